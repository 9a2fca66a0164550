"""Networks that were sped up draw the same."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, numpy_helper
from PIL import Image

from toonify.graphs.speedup import speed_up
from toonify.graphs.speedup.matrices import winograd_matrices
from toonify.pixels.arrays import psnr

ALL = 1  # min_products with which every 3x3 convolution is rewritten
FEW_ONLY = 1 << 30  # and with which none is


def run(model: onnx.ModelProto, photo: np.ndarray) -> list[np.ndarray]:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, {"photo": photo})


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).uniform(-1, 1, shape).astype(np.float32)


def operators(model: onnx.ModelProto) -> list[str]:
    return [node.op_type for node in model.graph.node]


def parse(text: str, opset: int = 20, **shapes: tuple[int, ...]) -> onnx.ModelProto:
    """A network in ONNX's textual form, with random weights of these shapes."""
    model = onnx.parser.parse_model(f'<ir_version: 10, opset_import: ["" : {opset}]> {text}')
    rng = np.random.default_rng(0)
    for name, shape in shapes.items():
        weight = rng.normal(0, np.prod(shape[1:]) ** -0.5, shape).astype(np.float32)
        model.graph.initializer.append(numpy_helper.from_array(weight, name))
    return model


@pytest.fixture(scope="module")
def plain(tiny_onnx: Path) -> onnx.ModelProto:
    """The tiny generator with weights, biases, scales and shifts as if it had been trained."""
    model = onnx.load(tiny_onnx)
    rng = np.random.default_rng(2)
    for tensor in model.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT:
            shape = tuple(tensor.dims)
            scale = 1.5 * np.prod(shape[1:]) ** -0.5 if len(shape) == 4 else 0.3
            value = rng.normal(0, scale, shape) + (tensor.name.endswith("weight") and len(shape) == 1)
            tensor.CopyFrom(numpy_helper.from_array(value.astype(np.float32), tensor.name))
    return model


PHOTOS: dict[str, Callable[[], np.ndarray]] = {
    "the smallest": lambda: noise(1, 3, 8, 8),
    "wide": lambda: noise(1, 3, 8, 20),
    "tiles past the edge": lambda: noise(1, 3, 12, 28),
    "larger": lambda: noise(1, 3, 36, 100),
    "tall": lambda: noise(1, 3, 124, 8),
    "whole tiles": lambda: noise(1, 3, 48, 96),
    "a batch": lambda: noise(3, 3, 36, 20),
    "one color": lambda: np.full((1, 3, 36, 52), 0.1, np.float32),
    "a hard edge": lambda: np.where(np.arange(52) < 25, -1, 1).astype(np.float32) * np.ones((1, 3, 36, 1), np.float32),
}


@pytest.mark.parametrize("tile", [2, 4, 6])
def test_it_draws_the_same(plain: onnx.ModelProto, tile: int) -> None:
    fast = speed_up(plain, tile=tile, min_products=ALL)
    onnx.checker.check_model(fast, full_check=True)
    for name, make in PHOTOS.items():
        ((expected,), (drawing,)) = run(plain, make()), run(fast, make())
        assert drawing.shape == expected.shape
        assert psnr(drawing, expected, peak=2) >= 80, name


@pytest.mark.parametrize("min_products", [64, 256, FEW_ONLY])
def test_it_draws_the_same_if_some_convolutions_are_too_narrow(plain: onnx.ModelProto, min_products: int) -> None:
    fast = speed_up(plain, min_products=min_products)
    assert psnr(run(fast, noise(2, 3, 36, 20))[0], run(plain, noise(2, 3, 36, 20))[0], peak=2) >= 80


def test_the_interface_stays_and_the_costly_convolutions_go(plain: onnx.ModelProto) -> None:
    before = plain.SerializeToString()
    fast = speed_up(plain, min_products=ALL)
    assert plain.SerializeToString() == before
    assert list(fast.metadata_props) == list(plain.metadata_props) != []
    assert fast.graph.input == plain.graph.input and fast.graph.output == plain.graph.output
    assert fast.opset_import == plain.opset_import and fast.ir_version == plain.ir_version
    shapes = {tensor.name: list(tensor.dims) for tensor in fast.graph.initializer}
    convolutions = [(shapes[node.input[1]], node) for node in fast.graph.node if node.op_type == "Conv"]
    # The 7x7 at the start, two of stride 2, the rings of two doublings, and the 7x7 at the end as 8x8.
    assert [shape[2] for shape, _ in convolutions] == [7, 3, 3] + 8 * [3] + [8]
    assert convolutions[-1][0] == [12, 4, 8, 8]
    # The first norm reads what the 7x7 convolution made; the others are computed on rows.
    assert operators(fast).count("InstanceNormalization") == 1
    assert "Pad" in operators(fast) and operators(fast).count("Gather") < 40


def test_wide_convolutions_only_by_default(plain: onnx.ModelProto) -> None:
    assert operators(speed_up(plain)).count("MatMul") == 0


def test_twice_is_once(plain: onnx.ModelProto) -> None:
    fast = speed_up(plain, min_products=ALL)
    assert speed_up(fast, min_products=ALL) == fast


WITHOUT_NORMS = """
generator (float[N, 3, H, W] photo) => (float[N, 5, h, w] small, float[N, 3, y, x] drawing) {
    small = Conv<pads = [1, 1, 1, 1]>(photo, w1, b1)
    bent = LeakyRelu<alpha = 0.3>(small)
    more = Conv<pads = [1, 1, 1, 1]>(bent, w2)
    sum = Add(small, more)
    large = ConvTranspose<strides = [2, 2], pads = [1, 1, 1, 1], output_padding = [1, 1]>(sum, w3, b3)
    smooth = Conv<pads = [1, 1, 1, 1]>(large, w4, b4)
    again = LeakyRelu(smooth)
    drawing = Conv<pads = [2, 2, 2, 2]>(again, w5)
}"""
WITHOUT_NORMS_SHAPES = {
    "w1": (5, 3, 3, 3),
    "b1": (5,),
    "w2": (5, 5, 3, 3),
    "w3": (5, 7, 3, 3),
    "b3": (7,),
    "w4": (6, 7, 3, 3),
    "b4": (6,),
    "w5": (3, 6, 5, 5),
}


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (7, 12), (13, 6)])
def test_biases_and_outputs_in_between_and_zero_padding(size: tuple[int, int]) -> None:
    model = parse(WITHOUT_NORMS, **WITHOUT_NORMS_SHAPES)
    fast = speed_up(model, min_products=ALL)
    onnx.checker.check_model(fast, full_check=True)
    assert "DepthToSpace" in operators(fast)
    for expected, got in zip(run(model, noise(2, 3, *size)), run(fast, noise(2, 3, *size)), strict=True):
        assert got.shape == expected.shape
        assert psnr(got, expected, peak=2) >= 100


def test_a_bias_stays_if_not_only_a_norm_reads_it() -> None:
    text = """
    generator (float[N, 3, H, W] photo) => (float[N, 5, H, W] drawing) {
        a = Conv<pads = [1, 1, 1, 1]>(photo, w1, b1)
        b = InstanceNormalization(a, b2, b3)
        drawing = Add(b, a)
    }"""
    model = parse(text, w1=(5, 3, 3, 3), b1=(5,), b2=(5,), b3=(5,))
    fast = speed_up(model, min_products=ALL)
    assert "InstanceNormalization" not in operators(fast)
    assert psnr(run(fast, noise(2, 3, 9, 13))[0], run(model, noise(2, 3, 9, 13))[0], peak=2) >= 100


STRANGE = {
    "no padding": "drawing = Conv(photo, wide)",
    "groups": "drawing = Conv<pads = [1, 1, 1, 1], group = 2>(photo, grouped)",
    "dilation": "drawing = Conv<pads = [1, 1, 1, 1], dilations = [2, 2]>(photo, wide)",
    "stride": "drawing = Conv<pads = [1, 1, 1, 1], strides = [2, 2]>(photo, wide)",
    "auto_pad": 'drawing = Conv<auto_pad = "SAME_UPPER">(photo, wide)',
    "not square": "drawing = Conv<pads = [1, 2, 1, 2]>(photo, flat)",
    "weights that are computed": "w = Neg(wide) drawing = Conv<pads = [1, 1, 1, 1]>(photo, w)",
    "edge padding": 'a = Pad<mode = "edge">(photo, pads) drawing = Conv(a, wide)',
    "other nodes": "a = Sigmoid(photo) b = Add(a, photo) drawing = InstanceNormalization(b, four, four)",
    "a subgraph": """
        t = Constant<value = bool {1}>()
        drawing = If(t) <
            then_branch = g () => (float[N, 8, h, w] y) { y = Conv<pads = [1, 1, 1, 1]>(photo, wide) },
            else_branch = g () => (float[N, 8, h, w] z) { z = Conv<pads = [1, 1, 1, 1]>(photo, wide) }
        >
        """,
}


@pytest.mark.parametrize("body", STRANGE.values(), ids=STRANGE.keys())
def test_what_it_does_not_know_stays(body: str) -> None:
    shapes = {"wide": (8, 4, 3, 3), "grouped": (8, 2, 3, 3), "flat": (8, 4, 3, 5), "four": (4,)}
    model = parse(
        f"strange (float[N, 4, H, W] photo) => (float[N, C, h, w] drawing) {{ {body} }}",
        **{name: shape for name, shape in shapes.items() if name in body},
    )
    if "pads)" in body:
        model.graph.initializer.append(numpy_helper.from_array(np.array([0, 0, 1, 1, 0, 0, 1, 1]), "pads"))
    same = speed_up(model, min_products=ALL)
    assert [(node.op_type, node.attribute) for node in same.graph.node] == [
        (node.op_type, node.attribute) for node in model.graph.node
    ]
    np.testing.assert_array_equal(run(same, noise(1, 4, 9, 11))[0], run(model, noise(1, 4, 9, 11))[0])


def test_a_convolution_to_few_channels_stays_where_sizes_may_be_odd() -> None:
    text = """
    generator (float[N, 4, H, W] photo) => (float[N, 3, H, W] drawing) {
        a = Conv<pads = [1, 1, 1, 1]>(photo, w1)
        b = Relu(a)
        drawing = Conv<pads = [3, 3, 3, 3]>(b, w2)
    }"""
    model = parse(text, w1=(6, 4, 3, 3), w2=(3, 6, 7, 7))
    assert operators(speed_up(model, min_products=FEW_ONLY)) == ["Conv", "Relu", "Conv"]


def test_old_networks_stay() -> None:
    model = parse(WITHOUT_NORMS, opset=12, **WITHOUT_NORMS_SHAPES)
    assert speed_up(model, min_products=ALL) == model


def test_half_precision_stays(plain: onnx.ModelProto) -> None:
    from onnxruntime.transformers.float16 import convert_float_to_float16

    half = convert_float_to_float16(onnx.ModelProto.FromString(plain.SerializeToString()), keep_io_types=True)
    same = operators(speed_up(half, min_products=ALL))
    assert "MatMul" not in same and "DepthToSpace" not in same
    assert same.count("Conv") == operators(half).count("Conv")


@pytest.mark.parametrize("m", [2, 4, 6])
def test_winograd_is_correlation(m: int) -> None:
    rng = np.random.default_rng(m)
    a, b, g = winograd_matrices(m)
    assert (a.shape, b.shape, g.shape) == ((m, m + 2), (m + 2, m + 2), (m + 2, 3))
    d, k = rng.normal(size=(m + 2, m + 2)), rng.normal(size=(3, 3))
    expected = [[(d[y : y + 3, x : x + 3] * k).sum() for x in range(m)] for y in range(m)]
    np.testing.assert_allclose(a @ ((g @ k @ g.T) * (b @ d @ b.T)) @ a.T, expected, rtol=0, atol=1e-9)


def test_the_real_generator_draws_the_same(test_data: Path) -> None:
    import torch

    from toonify.models.cartoongan import CartoonGANGenerator, rename_released_keys
    from toonify.networks.export import _to_onnx

    folder = test_data / "hub" / "akiyamasho" / "AnimeBackgroundGAN-Shinkai"
    generator = CartoonGANGenerator()
    generator.load_state_dict(rename_released_keys(torch.load(folder / "shinkai_makoto.pth", weights_only=True)))
    model = onnx.ModelProto.FromString(_to_onnx(generator.eval(), 4, {}, fp16=False, for_cpu=False))
    image = Image.open(min((test_data / "photos" / "eval").iterdir())).convert("RGB").crop((200, 100, 456, 292))
    photo = np.asarray(image, np.float32).transpose(2, 0, 1)[None, ::-1] / np.float32(127.5) - 1
    photo = np.ascontiguousarray(photo)
    fast = speed_up(model)
    assert operators(fast).count("MatMul") > 60
    assert psnr(run(fast, photo)[0], run(model, photo)[0], peak=2) >= 80
