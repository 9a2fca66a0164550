from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from toonify import load_style
from toonify.errors import DeviceError, UsageError
from toonify.styles.find import find_style

SIZES = [(1, 1), (1, 7), (9, 1), (3, 500), (500, 3), (63, 64), (64, 64), (65, 130), (7, 8)]


@pytest.fixture(scope="module")
def tiny(tiny_onnx: Path):
    return load_style(str(tiny_onnx), device="cpu")


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("raw", [False, True])
def test_any_size_from_one_pixel_up_comes_back_as_it_was(size: tuple[int, int], raw: bool, tiny_onnx: Path) -> None:
    photo = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    drawing = load_style(str(tiny_onnx), raw=raw)(photo)
    assert drawing.shape == photo.shape and drawing.dtype == np.uint8


def test_an_array_and_an_image_of_it_are_drawn_alike(tiny, noise: np.ndarray) -> None:
    assert np.array_equal(np.asarray(tiny(Image.fromarray(noise))), tiny(noise))


def test_the_photo_is_left_as_it_is(tiny, noise: np.ndarray) -> None:
    before = noise.copy()
    noise.flags.writeable = False
    tiny(noise)
    assert np.array_equal(noise, before)


def test_transparency_comes_back(tiny, noise: np.ndarray) -> None:
    alpha = np.full(noise.shape[:2], 255, np.uint8)
    alpha[:, :10] = 0
    drawing = tiny(Image.fromarray(np.dstack([noise, alpha])))
    assert drawing.mode == "RGBA"
    assert np.array_equal(np.asarray(drawing)[..., 3], alpha)


@pytest.mark.parametrize(
    "photo",
    [
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((4, 4, 3), np.float32),
        np.zeros((0, 4, 3), np.uint8),
        "cat.jpg",
    ],
)
def test_what_is_no_photo_is_refused(photo: object, tiny) -> None:
    with pytest.raises(UsageError):
        tiny(photo)


def test_both_backends_draw_the_same(tiny_run: Path, noise: np.ndarray) -> None:
    onnx, torch = (load_style(str(tiny_run), backend=backend)(noise) for backend in ("onnx", "torch"))
    assert np.abs(onnx.astype(int) - torch).max() <= 1


def test_strength_zero_is_the_photo(tiny_onnx: Path, noise: np.ndarray) -> None:
    assert np.array_equal(load_style(str(tiny_onnx), strength=0)(noise), noise)


def test_strength_blends(tiny_onnx: Path, noise: np.ndarray) -> None:
    half, full = (load_style(str(tiny_onnx), strength=s)(noise).astype(int) for s in (0.5, 1))
    assert np.abs(half - (full + noise) / 2).max() <= 1


def test_detail_changes_what_was_drawn_smaller_and_nothing_else(tiny_onnx: Path, noise: np.ndarray) -> None:
    for options, same in (({"size": 16}, False), ({"size": 100}, True)):
        plain, detailed = (load_style(str(tiny_onnx), detail=value, **options)(noise) for value in (0, 1))
        assert np.array_equal(plain, detailed) is same


def test_full_keep_color_gives_the_photos_mean_color(tiny_onnx: Path, noise: np.ndarray) -> None:
    options = {"saturation": 1.0, "size": "full"}
    kept, drifted = (load_style(str(tiny_onnx), keep_color=k, **options)(noise) for k in (1.0, 0.0))
    distance = [np.abs(d.mean((0, 1)) - noise.mean((0, 1))).max() for d in (kept, drifted)]
    assert distance[0] < 6 < distance[1]


@pytest.mark.parametrize(
    ("size", "output_size", "expected"),
    [
        (None, "same", (60, 90)),
        (None, "drawn", (43, 64)),
        (32, "drawn", (21, 32)),
        ("full", "drawn", (60, 90)),
        (500, "drawn", (60, 90)),
        (None, 45, (30, 45)),
        (None, 180, (120, 180)),
    ],
)
def test_sizes(size: object, output_size: object, expected: tuple[int, int], tiny_onnx: Path) -> None:
    photo = np.full((60, 90, 3), 128, np.uint8)
    assert load_style(str(tiny_onnx), size=size, output_size=output_size)(photo).shape[:2] == expected


def test_raw_is_the_network_alone(tiny_onnx: Path, noise: np.ndarray) -> None:
    from toonify.engines.onnx_runtime import OnnxGenerator

    batch = (noise.astype(np.float32) / 127.5 - 1).transpose(2, 0, 1)[None]
    expected = (OnnxGenerator(tiny_onnx, "cpu")(batch)[0].transpose(1, 2, 0) + 1) * 127.5
    assert np.abs(load_style(str(tiny_onnx), raw=True)(noise) - expected).max() <= 0.51


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"keep_color": 1.5}, "--keep-color 1.5"),
        ({"saturation": -1}, "--saturation -1"),
        ({"strength": 2.1}, "--strength 2.1"),
        ({"strength": float("nan")}, "--strength nan"),
        ({"detail": 1.01}, "--detail 1.01"),
        ({"detail": float("nan")}, "--detail nan"),
        ({"detail": 1.0, "raw": True}, "--detail 1 shows only where the drawing is enlarged; give a --size"),
        ({"detail": 0.5, "size": "full"}, "--detail 0.5 shows only where the drawing is enlarged"),
        ({"size": 3}, "--size 3"),
        ({"output_size": 0}, "--output-size 0"),
        ({"raw": True, "saturation": 1.0}, "--raw"),
    ],
)
def test_a_value_outside_its_limits_names_the_flag(options: dict, message: str, tiny_onnx: Path) -> None:
    with pytest.raises(UsageError, match=message):
        load_style(str(tiny_onnx), **options)


def test_a_checkpoint_is_converted_once(tiny_run: Path, noise: np.ndarray) -> None:
    from toonify.networks.cache import cached_onnx

    style = find_style(str(tiny_run))
    load_style(str(tiny_run))(noise)
    made = cached_onnx(style.variant("original"), "cpu").stat()
    load_style(str(tiny_run))(noise)
    assert cached_onnx(style.variant("original"), "cpu").stat() == made


def test_a_spoilt_converted_network_is_made_anew(tiny_run: Path, noise: np.ndarray) -> None:
    from toonify.networks.cache import cached_onnx
    from toonify.networks.ready import onnx_file

    style = find_style(str(tiny_run))
    path = cached_onnx(style.variant("original"), "cpu")
    path.parent.mkdir(parents=True)
    path.write_bytes(b"the disk lost this")
    assert load_style(str(tiny_run))(noise).shape == noise.shape
    assert onnx_file(style.variant("original"), "cpu").stat().st_size > 1000


def test_an_onnx_network_without_pytorchs_names_has_no_torch_backend(tiny_onnx: Path) -> None:
    with pytest.raises(DeviceError, match="an ONNX network that PyTorch cannot run without a checkpoint"):
        load_style(str(tiny_onnx), backend="torch")


@pytest.mark.parametrize("backend", ["onnx", "torch"])
def test_cuda_where_there_is_none_says_why(backend: str, tiny_run: Path) -> None:
    from toonify.engines.cuda import missing_driver

    if missing_driver() is None:
        pytest.skip("this machine has CUDA")
    with pytest.raises(DeviceError, match=r"--device cuda cannot run: .*(driver|CUDA)") as caught:
        load_style(str(tiny_run), backend=backend, device="cuda")
    assert "\n" not in str(caught.value)


def test_a_style_says_what_really_runs(tiny) -> None:
    assert str(tiny).startswith("tiny (original), look soft, at up to 64 px on cpu, ONNX Runtime ")
    assert str(tiny).endswith("CPUExecutionProvider")
