"""Networks in 8-bit integers as files: how they are made, from what, and when they are not."""

from pathlib import Path

import numpy as np
import onnx
import onnx.parser
import pytest
import torch
from onnx import numpy_helper
from PIL import Image
from videos import scene

from toonify import load_style
from toonify.cli import main
from toonify.engines.onnx_runtime import OnnxGenerator
from toonify.errors import ExportError
from toonify.graphs.format import CHECK_KEY, read_onnx_metadata
from toonify.graphs.quantize import quantize
from toonify.pixels.arrays import psnr
from toonify.styles.card import Card, FileWeights, Variant
from toonify.styles.find import find_style

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A student with random weights as a run leaves it: the folder of a style."""
    import msgspec

    from toonify.models.lite import LiteConfig, LiteGenerator, initialize_lite

    folder = tmp_path_factory.mktemp("small")
    torch.manual_seed(0)
    config = {"width": 8, "blocks": 1, "deep_blocks": 0, "contrast": True}
    network = LiteGenerator(LiteConfig(**config))
    initialize_lite(network)
    torch.save(network.state_dict(), folder / "small.pth")
    variant = Variant(FileWeights("small.pth"), "lite", config, multiple=4, minimum=4, padding=8, size=64)
    card = Card("small", "-", "MIT", "-", "-", {"lite": variant})
    (folder / "small.json").write_bytes(msgspec.json.encode(card))
    return folder


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    for number in range(17):
        Image.fromarray(scene(number, 48 + number, 80)).save(folder / f"{number:02}.png")
    (folder / "05.png").write_bytes(b"no picture")
    return folder


def export(*arguments: object) -> int:
    return main(["export", *map(str, arguments)])


def test_a_style_is_exported_in_integers_and_draws(
    small: Path, photos: Path, tmp_path: Path, noise: np.ndarray, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "small-int8.onnx"
    assert export(small, target, "--int8", "--photos", photos) == 0
    said = capsys.readouterr().err
    assert "05.png skipped: " in said and "agrees with float32 to " in said and "ranges of 16 photos" in said
    int8 = find_style(str(target)).card.variants["lite"].int8
    assert int8 is not None and int8.file == target.name and int8.photos == 16 and int8.psnr >= 45
    exact, quick = load_style(str(small), device="cpu"), load_style(str(target), device="cpu")
    assert quick.engine.provider.endswith("int8") and psnr(exact(noise), quick(noise), peak=255) >= 40
    assert CHECK_KEY in read_onnx_metadata(target)
    assert export(target, tmp_path / "again.onnx", "--int8", "--photos", photos) == 2
    assert "is in 8-bit integers already" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--int8"], "--int8 needs --photos DIR"),
        (["--photos", "."], "--photos is for --int8; drop it"),
        (["--int8", "--fp16", "--photos", "."], "--int8 and --fp16 are two files"),
    ],
)
def test_flags_that_do_not_go_together(
    options: list[str], said: str, tiny_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert export(tiny_run, tmp_path / "x.onnx", *options) == 2
    assert said in capsys.readouterr().err and not (tmp_path / "x.onnx").exists()


def test_too_few_photos_are_an_error(
    small: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "one.png").write_bytes((photos / "00.png").read_bytes())
    assert export(small, tmp_path / "x.onnx", "--int8", "--photos", tmp_path) == 2
    assert "--photos: 1 can be read; give 16 or more" in capsys.readouterr().err
    assert not (tmp_path / "x.onnx").exists()


def test_a_network_that_does_not_bear_integers_is_not_written(
    small: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("toonify.networks.quantize.MIN_PSNR_INT8", 200.0)
    assert export(small, tmp_path / "x.onnx", "--int8", "--photos", photos) == 3
    assert "agrees with float32 to" in (said := capsys.readouterr().err) and "was not written" in said
    assert not (tmp_path / "x.onnx").exists()


def graph(body: str, **weights: np.ndarray) -> onnx.ModelProto:
    text = f"generator (float[N, 3, H, W] photo) => (float[N, 3, H, W] drawing) {{ {body} }}"
    made = onnx.parser.parse_graph(text)
    made.initializer.extend(numpy_helper.from_array(value.astype(np.float32), name) for name, value in weights.items())
    return onnx.helper.make_model(made, opset_imports=[onnx.helper.make_opsetid("", 20)], ir_version=10)


@pytest.mark.parametrize(
    ("body", "said"),
    [("drawing = Relu(photo)", "nothing to quantize"), ("drawing = Softmax<axis = 1>(photo)", "cannot be quantized")],
)
def test_a_graph_without_deep_layers_and_one_that_is_not_understood(body: str, said: str) -> None:
    with pytest.raises(ExportError, match=said):
        quantize(graph(body), [])


def test_weights_and_activations_are_rounded_as_the_paper_has_it(tmp_path: Path, rng: np.random.Generator) -> None:
    """One convolution at a quarter of the side, against integer arithmetic written out: equation 7 of Jacob et al."""
    weight, photos = rng.normal(size=(48, 3, 4, 4)), rng.uniform(-1, 1, (8, 1, 3, 16, 16)).astype(np.float32)
    up = 'DepthToSpace<blocksize = 4, mode = "CRD">'
    model = graph(f"a = Conv<strides = [4, 4]>(photo, w) drawing = {up}(a)", w=weight)
    made = quantize(model, photos)
    onnx.save(made, tmp_path / "x.onnx")
    drawn = OnnxGenerator(tmp_path / "x.onnx", "cpu")(photos[0])[0]

    groups = photos.reshape(2, 4, *photos.shape[1:])  # ranges: the mean over groups of four of what each reaches
    low, high = groups.min((1, 2, 3, 4, 5)).mean(), groups.max((1, 2, 3, 4, 5)).mean()
    scale = (high - low) / 255
    zero = np.rint(-low / scale)
    seen = scale * (np.clip(np.rint(photos[0, 0] / scale) + zero, 0, 255) - zero)
    steps = np.abs(weight).max((1, 2, 3), keepdims=True) / 64
    rounded = steps * np.rint(weight / steps)
    blocks = seen.reshape(3, 4, 4, 4, 4).transpose(1, 3, 0, 2, 4).reshape(4, 4, -1)  # of the photo, one to each place
    values = blocks @ rounded.reshape(48, -1).T
    expected = values.reshape(4, 4, 3, 4, 4).transpose(2, 0, 3, 1, 4).reshape(3, 16, 16)
    step = float(np.ptp(values)) / 255  # of the result, which is in integers, too; its range is a mean of extremes
    assert np.quantile(np.abs(drawn - expected), 0.99) <= step
