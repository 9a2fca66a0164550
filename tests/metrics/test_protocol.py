"""Pictures come to Inception's size as in the tools whose names the protocols bear, to the last bit that matters."""

import numpy as np
import pytest
import torch
from torch_fidelity.interpolate_compat_tensorflow import interpolate_bilinear_2d_like_tensorflow1x

from toonify.metrics.protocol import to_inception

SIZES = [(640, 1138), (299, 299), (64, 48), (1, 1), (3, 700), (300, 298)]


def picture(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(height * width).integers(0, 256, (height, width, 3), dtype=np.uint8)


def planes(pixels: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(pixels.transpose(2, 0, 1)[None].astype(np.float32))


@pytest.mark.parametrize("size", SIZES)
def test_legacy_is_torch_fidelitys(size: tuple[int, int]) -> None:
    pixels = picture(*size)
    resized = interpolate_bilinear_2d_like_tensorflow1x(planes(pixels), size=(299, 299), align_corners=False)
    expected = ((resized - 128) / 128)[0].numpy()
    np.testing.assert_allclose(to_inception(pixels, "legacy"), expected, atol=2e-6)


@pytest.mark.parametrize("size", SIZES)
def test_pytorch_is_pytorch_fids(size: tuple[int, int]) -> None:
    pixels = picture(*size)
    resized = torch.nn.functional.interpolate(planes(pixels) / 255, size=(299, 299), mode="bilinear")
    # In float32 the two find slightly other places between pixels where an edge is far from the origin.
    np.testing.assert_allclose(to_inception(pixels, "pytorch"), (2 * resized - 1)[0].numpy(), atol=2e-4)


@pytest.mark.parametrize("size", SIZES)
def test_clean_is_clean_fids(size: tuple[int, int]) -> None:
    resize = pytest.importorskip("cleanfid.resize").build_resizer("clean")
    pixels = picture(*size)
    expected = ((resize(pixels) - 128) / 128).transpose(2, 0, 1)
    np.testing.assert_array_equal(to_inception(pixels, "clean"), expected)


def test_the_protocols_differ_where_it_matters() -> None:
    pixels = picture(640, 1138)
    legacy, pytorch, clean = (to_inception(pixels, mode) for mode in ("legacy", "pytorch", "clean"))
    assert np.abs(legacy - pytorch).mean() > 0.1
    assert clean.std() < 0.6 * legacy.std()  # only antialiasing averages noise away


@pytest.mark.parametrize("mode", ["legacy", "pytorch", "clean"])
def test_a_gray_picture_stays_gray_in_every_protocol(mode: str) -> None:
    gray = np.full((50, 80, 3), 128, np.uint8)
    np.testing.assert_allclose(to_inception(gray, mode), 1 / 255 if mode == "pytorch" else 0, atol=1e-6)
