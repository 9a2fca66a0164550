from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.parser
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import numpy_helper
from tiling import draw_at_once, draw_in_tiles, photo

from toonify.drawing.tiles import TiledNetwork, store
from toonify.drawing.tiles.plan import plan_sweeps
from toonify.drawing.tiles.statistics import Statistics
from toonify.errors import ImageError, StyleError, TilingError
from toonify.graphs.anatomy import dissect
from toonify.pixels.arrays import Floats, psnr
from toonify.pixels.boxes import Box

SHAPES = {
    "w7": (8, 3, 7, 7),
    "w3": (8, 8, 3, 3),
    "wd": (16, 8, 3, 3),
    "wu": (16, 8, 3, 3),  # of a transposed convolution: in, out
    "w4": (8, 3, 4, 4),
    "w12": (12, 8, 3, 3),
    "out7": (3, 8, 7, 7),
    "b3": (3,),
    "b8": (8,),
    "b16": (16,),
    "s8": (8,),
    "s16": (16,),
}
PAD3 = "pads3 = Constant<value = int64[8] {0, 0, 3, 3, 0, 0, 3, 3}>()"
PAD1 = "pads1 = Constant<value = int64[8] {0, 0, 1, 1, 0, 0, 1, 1}>()"


def network(body: str, path: Path, *, out: str = "drawing") -> Path:
    """An ONNX network with random weights in a file."""
    text = f"generator (float[N, 3, H, W] photo) => (float[N, 3, H, W] {out}) {{ {body} }}"
    graph = onnx.parser.parse_graph(text)
    rng = np.random.default_rng(0)
    for name, shape in SHAPES.items():
        if f"{name})" in body or f"{name}," in body:
            scale = 1.5 / np.sqrt(np.prod(shape[1:])) if len(shape) > 1 else 0.3
            value = rng.normal(0, scale, shape).astype(np.float32) + (name[0] == "s")
            graph.initializer.append(numpy_helper.from_array(value.astype(np.float32), name))
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 20)], ir_version=10)
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path


# The parts that the networks of the field are made of, in small; each is drawn in tiles and at once.
LOCAL = {
    "one convolution": "drawing = Conv<pads = [3, 3, 3, 3]>(photo, out3, b3)".replace("out3", "w33"),
    "reflection": f'{PAD3} p = Pad<mode = "reflect">(photo, pads3) a = Conv(p, w7, b8) r = Relu(a) '
    f'q = Pad<mode = "reflect">(r, pads3) drawing = Conv(q, out7, b3)',
    "dilation": "a = Conv<pads = [1, 1, 1, 1]>(photo, w38) b = Conv<pads = [4, 4, 4, 4], dilations = [4, 4]>(a, w3, b8)"
    " drawing = Conv<pads = [3, 3, 3, 3]>(b, out7)",
    "down and up": "a = Conv<pads = [3, 3, 3, 3]>(photo, w7) "
    "d = Conv<strides = [2, 2], pads = [1, 1, 1, 1]>(a, wd, b16) l = LeakyRelu(d) "
    "u = ConvTranspose<strides = [2, 2], pads = [1, 1, 1, 1], output_padding = [1, 1]>(l, wu, b8) "
    "s = Add(u, a) drawing = Conv<pads = [3, 3, 3, 3]>(s, out7)",
    "reflected strides": f'{PAD1} p = Pad<mode = "reflect">(photo, pads1) a = Conv<strides = [2, 2]>(p, w4, b8) '
    'r = Relu(a) q = Pad<mode = "reflect">(r, pads1) b = Conv(q, w12) '
    'c = DepthToSpace<blocksize = 2, mode = "CRD">(b) '
    "drawing = Add(c, photo)",
    "shuffled pixels": "a = Conv<strides = [2, 2], pads = [1, 1, 1, 1]>(photo, w4) "
    'b = Conv<pads = [1, 1, 1, 1]>(a, w12) c = DepthToSpace<blocksize = 2, mode = "CRD">(b) drawing = Add(c, photo)',
}
NORMED = {
    "a norm": "a = Conv<pads = [3, 3, 3, 3]>(photo, w7, b8) n = InstanceNormalization(a, s8, b8) r = Relu(n) "
    "drawing = Conv<pads = [3, 3, 3, 3]>(r, out7, b3)",
    "at the end": "a = Conv<pads = [3, 3, 3, 3]>(photo, w7, b8) b = Conv<pads = [3, 3, 3, 3]>(a, out7) "
    "drawing = InstanceNormalization(b, s3, b3)",
    "a residual at half size": "a = Conv<pads = [3, 3, 3, 3]>(photo, w7) n = InstanceNormalization(a, s8, b8) "
    "d = Conv<strides = [2, 2], pads = [1, 1, 1, 1]>(n, wd, b16) e = InstanceNormalization(d, s16, b16) r = Relu(e)"
    " f = InstanceNormalization(r, s16, b16) g = Add(f, r) "
    "u = ConvTranspose<strides = [2, 2], pads = [1, 1, 1, 1], output_padding = [1, 1]>(g, wu, b8)"
    " h = InstanceNormalization(u, s8, b8) s = Add(h, n) t = Conv<pads = [3, 3, 3, 3]>(s, out7) drawing = Tanh(t)",
    "statistics of the photo and of half of it": f"{PAD1} i = InstanceNormalization(photo, s3, b3) "
    'p = Pad<mode = "reflect">(photo, pads1) a = Conv<strides = [2, 2]>(p, w4, b8) '
    "n = InstanceNormalization(a, s8, b8) "
    'q = Pad<mode = "reflect">(n, pads1) b = Conv(q, w12) c = DepthToSpace<blocksize = 2, mode = "CRD">(b) '
    "drawing = Add(c, i)",
    "two that are side by side": "a = Conv<pads = [3, 3, 3, 3]>(photo, w7) b = Conv<pads = [1, 1, 1, 1]>(a, w3)"
    " n = InstanceNormalization(a, s8, b8) m = InstanceNormalization(b, s8, b8) s = Add(n, m) "
    "drawing = Conv<pads = [3, 3, 3, 3]>(s, out7)",
}
SHAPES |= {"w33": (3, 3, 7, 7), "w38": (8, 3, 3, 3), "s3": (3,)}


@pytest.mark.parametrize("name", LOCAL)
@pytest.mark.parametrize(("size", "tile"), [((48, 64), 16), ((32, 100), 32), ((8, 8), 64), ((52, 20), 24)])
def test_a_local_network_takes_one_sweep_and_draws_the_same(
    name: str, size: tuple[int, int], tile: int, tmp_path: Path
) -> None:
    path = network(LOCAL[name], tmp_path / "local.onnx")
    assert len(TiledNetwork(path, "cpu").sweeps) == 1
    batch = photo(*size)
    assert np.abs(draw_in_tiles(path, batch, tile) - draw_at_once(path, batch)).max() < 1e-5


@pytest.mark.parametrize("name", NORMED)
@pytest.mark.parametrize(("size", "tile"), [((48, 64), 16), ((32, 100), 32), ((8, 8), 64), ((52, 20), 24)])
def test_a_network_with_norms_draws_as_over_the_whole_frame(
    name: str, size: tuple[int, int], tile: int, tmp_path: Path
) -> None:
    path = network(NORMED[name], tmp_path / "normed.onnx")
    assert len(TiledNetwork(path, "cpu").sweeps) > 1
    batch = photo(*size)
    assert psnr(draw_in_tiles(path, batch, tile), draw_at_once(path, batch), peak=2) > 65


def test_what_one_convolution_makes_of_the_photo_is_made_again_and_not_kept(tmp_path: Path) -> None:
    def kept(layers: str) -> tuple[str, ...]:
        end = "n = InstanceNormalization(c, s3, b3) s = Add(n, c) drawing = Conv<pads = [3, 3, 3, 3]>(s, w33)"
        return TiledNetwork(network(f"{PAD3} {layers} {end}", tmp_path / "some.onnx"), "cpu").sweeps[0].keeps

    padded = 'p = Pad<mode = "reflect">(photo, pads3)'
    assert kept(f"{padded} c = Conv(p, w33)") == ()
    assert kept(f"{padded} b = Conv(p, w33) c = Conv<pads = [3, 3, 3, 3]>(b, w33)") == ("c",)


def test_tiles_that_were_drawn_alone_would_differ(tmp_path: Path) -> None:
    path = network(NORMED["a norm"], tmp_path / "normed.onnx")
    batch = photo(48, 64)
    whole = draw_at_once(path, batch)
    alone = draw_at_once(path, np.ascontiguousarray(batch[:, :, :16, :16]))
    assert psnr(alone, whole[:, :, :16, :16], peak=2) < 25


@pytest.mark.parametrize("name", ["a residual at half size", "two that are side by side"])
def test_what_is_kept_on_the_disk_is_what_is_kept_in_memory(name: str, tmp_path: Path) -> None:
    path = network(NORMED[name], tmp_path / "normed.onnx")
    batch = photo(40, 56)
    assert np.array_equal(draw_in_tiles(path, batch, 16, memory=0), draw_in_tiles(path, batch, 16))


def test_a_drawing_leaves_no_file_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import tempfile

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    path = network(NORMED["a residual at half size"], tmp_path / "normed.onnx")
    draw_in_tiles(path, photo(24, 24), 16, memory=0)
    assert [one.name for one in tmp_path.iterdir()] == ["normed.onnx"]


@pytest.mark.parametrize("method", ["_reserve", "_seek"])
def test_a_full_disk_is_named_and_leaves_nothing(method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import errno

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(store.FileStore, method, full)
    path = network(NORMED["a residual at half size"], tmp_path / "normed.onnx")
    with pytest.raises(ImageError, match=r"no space .*; set TMPDIR to a larger disk, or draw it with --size"):
        draw_in_tiles(path, photo(24, 24), 16, memory=0)


@given(
    height=st.integers(1, 9),
    width=st.integers(1, 9),
    channels=st.integers(1, 3),
    corner=st.tuples(st.integers(0, 8), st.integers(0, 8)),
    seed=st.integers(0, 2**32 - 1),
)
@settings(max_examples=50, deadline=None)
def test_stores_give_back_what_was_written(
    height: int, width: int, channels: int, corner: tuple[int, int], seed: int
) -> None:
    top, left = min(corner[0], height - 1), min(corner[1], width - 1)
    values = np.random.default_rng(seed).normal(size=(height, width, channels)).astype(np.float16)
    part = -values[top:, left:]
    for kind in (store.Store, store.FileStore):
        kept = kind(height, width, channels)
        kept.write(0, 0, values)
        kept.write(top, left, part)
        expected = values.copy()
        expected[top:, left:] = part
        assert np.array_equal(kept.read(0, 0, height, width), expected)
        assert np.array_equal(kept.read(top, left, *part.shape[:2]), part)
        kept.close()


@given(st.lists(st.integers(1, 40), min_size=1, max_size=8), st.floats(0, 1e4), st.integers(0, 2**32 - 1))
@settings(max_examples=100, deadline=None)
def test_statistics_of_parts_are_those_of_the_whole(counts: list[int], offset: float, seed: int) -> None:
    parts = [np.random.default_rng([seed, part]).normal(offset, 1, (count, 3)) for part, count in enumerate(counts)]
    statistics = Statistics()
    for part in parts:
        statistics.add(len(part), part.mean(0), ((part - part.mean(0)) ** 2).sum(0))
    whole = np.concatenate(parts)
    np.testing.assert_allclose(statistics.mean, whole.mean(0), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(statistics.variance, whole.var(0), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("name", LOCAL)
def test_the_halo_is_as_wide_as_the_network_sees(name: str, tmp_path: Path) -> None:
    """What lies past it changes nothing; with less than it (but for rounding up) something would be missing."""
    path = network(LOCAL[name], tmp_path / "local.onnx")
    anatomy = dissect(onnx.load(path).graph)
    (sweep,) = plan_sweeps(anatomy)
    side = 96
    middle = side // 2 // anatomy.multiple * anatomy.multiple
    batch = photo(side, side)
    drawn = draw_at_once(path, batch)
    seen = 0
    for distance in range(2 * sweep.halo + 1):
        changed = batch.copy()
        changed[..., : middle - distance] += 1
        difference = draw_at_once(path, changed) - drawn
        if np.abs(difference[..., middle]).max() > 1e-4:
            seen = distance + 1
    assert seen <= sweep.halo
    assert sweep.halo - seen < 2 * anatomy.multiple + 1


WHOLE_FRAME = {
    "a mean over the frame": "m = GlobalAveragePool(photo) drawing = Mul(photo, m)",
    "a norm of channels": "axes = Constant<value = int64[3] {1, 2, 3}>() m = ReduceMean(photo, axes) "
    "drawing = Sub(photo, m)",
    "a change of size": "a = Conv<pads = [2, 2, 2, 2]>(photo, w7) drawing = Conv<pads = [4, 4, 4, 4]>(a, out7)",
    "weights that are computed": "w = Neg(w33) drawing = Conv<pads = [3, 3, 3, 3]>(photo, w)",
    "a picture as a constant": "c = Constant<value = float[1, 1, 1, 2] {1, 2}>() drawing = Mul(photo, c)",
    "padding that is normalized": f'{PAD3} p = Pad<mode = "reflect">(photo, pads3) n = InstanceNormalization(p, s3, b3)'
    " drawing = Conv(n, w33)",
}


@pytest.mark.parametrize("body", WHOLE_FRAME.values(), ids=WHOLE_FRAME)
def test_what_needs_the_whole_frame_is_refused(body: str, tmp_path: Path) -> None:
    with pytest.raises(TilingError):
        TiledNetwork(network(body, tmp_path / "whole.onnx"), "cpu")


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "no.onnx").write_bytes(b"nothing of the kind")
    with pytest.raises(StyleError, match=r"no\.onnx is damaged"):
        TiledNetwork(tmp_path / "no.onnx", "cpu")


@pytest.fixture(scope="module")
def _seeing_contrast(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, dict[str, Path]]:
    """A small generator that sees the contrast, and what it is exported as: `float32` and `float16`."""
    import torch

    from toonify.models.lite import LiteConfig, LiteGenerator
    from toonify.networks.export import _to_onnx

    torch.manual_seed(0)
    generator = LiteGenerator(LiteConfig(width=8, blocks=1, contrast=True)).eval()
    folder = tmp_path_factory.mktemp("contrast")
    paths = {name: folder / f"{name}.onnx" for name in ("float32", "float16")}
    for name, path in paths.items():
        path.write_bytes(_to_onnx(generator, 8, {}, fp16=name == "float16", for_cpu=False))
    return generator, paths


@pytest.mark.parametrize("strength", [1, 0.02, 0])
def test_contrast_is_that_of_the_frame_in_tiles_and_in_pytorch(
    strength: float, _seeing_contrast: tuple[Any, dict[str, Path]], one_thread: None
) -> None:
    """Also of a faint photo, and of one of one color, where the least that is added decides."""
    import torch

    generator, paths = _seeing_contrast
    batch = np.asarray(0.3 + strength * photo(64, 96), np.float32)
    with torch.inference_mode():
        expected = generator(torch.from_numpy(batch)).numpy()
    for name, least in (("float32", 90), ("float16", 50)):
        assert psnr(draw_at_once(paths[name], batch), expected, peak=2) > least
    assert psnr(draw_in_tiles(paths["float32"], batch, 32), expected, peak=2) > 70


def test_the_released_network_draws_the_same_in_tiles(test_data: Path, tmp_path: Path) -> None:
    import torch
    from PIL import Image

    from toonify.models.cartoongan import CartoonGANGenerator, rename_released_keys
    from toonify.networks.export import _to_onnx

    (released,) = (test_data / "hub").glob("*/*Shinkai/*.pth")
    generator = CartoonGANGenerator()
    generator.load_state_dict(rename_released_keys(torch.load(released, weights_only=True)))
    path = tmp_path / "plain.onnx"
    path.write_bytes(_to_onnx(generator.eval(), 4, {}, fp16=False, for_cpu=False))
    image = Image.open(min((test_data / "photos" / "eval").iterdir())).convert("RGB").resize((256, 192))
    batch = np.asarray(image, np.float32).transpose(2, 0, 1)[None, ::-1] / np.float32(127.5) - 1
    whole = draw_at_once(path, np.ascontiguousarray(batch))
    assert psnr(draw_in_tiles(path, batch, 96), whole, peak=2) > 80


def test_cancel_ends_a_drawing_between_tiles(tmp_path: Path) -> None:
    tiled = TiledNetwork(network(NORMED["a norm"], tmp_path / "normed.onnx"), "cpu")
    batch = photo(64, 64)

    def read(box: Box) -> Floats:
        tiled.cancel()
        return np.ascontiguousarray(batch[:, :, *box.slices])

    nowhere: Callable[[Box, Floats], None] = lambda box, part: None  # noqa: E731
    with pytest.raises(InterruptedError):
        tiled.draw(64, 64, 16, read, nowhere)


def test_the_share_grows_with_each_tile_of_each_sweep(tmp_path: Path) -> None:
    path = network(LOCAL["reflection"], tmp_path / "network.onnx")
    shares: list[float] = []
    batch = photo(64, 96)
    draw_in_tiles(path, batch, 32, on_share=shares.append)
    sweeps = len(TiledNetwork(path, "cpu").sweeps)
    assert shares == pytest.approx([(n + 1) / (6 * sweeps) for n in range(6 * sweeps)])
