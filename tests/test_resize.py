import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import toonify.resize
from toonify.arrays import to_floats
from toonify.resize import fit_long_side, resize, upsample


def photo(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Shapes with sharp edges over a soft background, and some grain."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width].astype(np.float32) / max(height, width)
    values = np.stack([0.4 + 0.3 * np.sin(3 * y + k) * np.cos(2 * x) for k in range(3)], axis=-1)
    for k in range(6):
        centre, color = rng.random(2), rng.random(3)
        values[(y - centre[0]) ** 2 + (x - centre[1]) ** 2 < (0.05 + 0.02 * k) ** 2] = color
    values += rng.normal(0, 0.01, values.shape)
    return np.rint(255 * values.clip(0, 1)).astype(np.uint8)


def shrink(pixels: np.ndarray, long_side: int) -> np.ndarray:
    return resize(pixels, fit_long_side(*pixels.shape[:2], long_side))


def mse(pixels: np.ndarray, other: np.ndarray) -> float:
    return float(np.square(pixels.astype(float) - other).mean())


sides = st.integers(1, 20_000)


@given(height=sides, width=sides, long_side=sides)
@settings(max_examples=200, deadline=None)
def test_fitting_gives_the_long_side_exactly_and_keeps_the_shape(height, width, long_side):
    h, w = fit_long_side(height, width, long_side)
    assert max(h, w) == long_side
    assert min(h, w) >= 1
    scale = long_side / max(height, width)
    assert abs(h - height * scale) <= 0.5 + 1e-6 or h == 1
    assert abs(w - width * scale) <= 0.5 + 1e-6 or w == 1


# --- resize ---


def test_resizing_to_the_same_size_is_the_picture_itself():
    pixels = photo(30, 40)
    assert np.array_equal(resize(pixels, (30, 40)), pixels)


def test_resizing_down_averages_areas():
    pixels = photo(40, 60)
    means = pixels.reshape(10, 4, 15, 4, 3).mean(axis=(1, 3))
    assert np.abs(resize(pixels, (10, 15)).astype(float) - means).max() <= 1


@pytest.mark.parametrize("size", [(1, 1), (7, 90), (90, 7), (200, 300)])
def test_resizing_keeps_colours_and_channels(size):
    assert np.array_equal(resize(np.full((30, 40, 3), 77, np.uint8), size), np.full((*size, 3), 77))
    assert np.array_equal(resize(np.full((30, 40), 77, np.uint8), size), np.full(size, 77))


# --- upsample ---


def test_strips_leave_no_trace(monkeypatch):
    full = photo(150, 110)
    small = shrink(full, 60)
    drawing = to_floats(photo(*small.shape[:2], seed=1))
    whole = upsample(drawing, small, full)
    for rows in (1, 7, 64):
        monkeypatch.setattr(toonify.resize, "_STRIP", rows)
        assert np.abs(upsample(drawing, small, full).astype(int) - whole).max() <= 1


def test_no_strength_is_the_photo_and_half_is_halfway():
    full = photo(120, 90)
    small = shrink(full, 40)
    drawing = to_floats(photo(*small.shape[:2], seed=1))
    assert np.array_equal(upsample(drawing, small, full, strength=0), full)
    halfway = (upsample(drawing, small, full).astype(float) + full) / 2
    assert np.abs(upsample(drawing, small, full, strength=0.5) - halfway).mean() < 2


def test_no_strength_is_the_photo_at_a_smaller_size_too():
    drawn, full = photo(60, 80), photo(30, 40, seed=1)
    assert np.array_equal(upsample(to_floats(drawn), drawn, full, strength=0), full)


def test_grain_of_the_photo_does_not_return_in_flat_shading():
    rng = np.random.default_rng(0)
    full = np.clip(128 + rng.normal(0, 12, (240, 320, 3)), 0, 255).astype(np.uint8)
    small = shrink(full, 80)
    drawing = np.full((*small.shape[:2], 3), 0.5, np.float32)
    assert np.abs(upsample(drawing, small, full).astype(int) - 128).max() <= 1


@pytest.mark.parametrize("contrast", [0.3, 0.8])
def test_a_drawing_like_the_photo_gets_the_photos_sharp_edges_back(contrast):
    y, x = np.mgrid[:300, :400]
    inside = ((y - 140) ** 2 + (x - 210) ** 2 < 90**2) ^ (abs(y + x - 350) < 20)
    values = np.array([0.1, 0.15, 0.12]) + contrast * inside[..., None]
    full = np.rint(255 * values).astype(np.uint8)
    small = shrink(full, 100)
    bicubic = cv2.resize(small, (400, 300), interpolation=cv2.INTER_CUBIC)
    assert mse(upsample(to_floats(small), small, full), full) < 0.25 * mse(bicubic, full)


def test_edges_that_were_not_drawn_stay_away():
    full = np.full((200, 200, 3), 60, np.uint8)
    full[:, 100:] = 200
    small = shrink(full, 50)
    out = upsample(np.full((50, 50, 3), 0.5, np.float32), small, full)
    assert np.abs(out.astype(int) - 128).max() <= 1


@pytest.mark.parametrize("size", [(1, 1), (1, 3000), (3000, 1), (2, 3), (5, 3000), (700, 3)])
@pytest.mark.parametrize("long_side", [1, 64, 768])
def test_pictures_of_any_shape_come_out_in_their_own_size(size, long_side):
    full = photo(*size)
    small = shrink(full, long_side)
    out = upsample(to_floats(small), small, full)
    assert out.shape == full.shape
    assert out.dtype == np.uint8
    assert abs(out.mean() - full.mean()) < 12


@pytest.mark.parametrize("size", [(30, 40), (60, 40), (1, 1)])
def test_an_output_smaller_than_drawn_is_the_drawing_averaged(size):
    drawn = photo(120, 160)
    out = upsample(to_floats(drawn), drawn, photo(*size, seed=1))
    assert np.abs(out.astype(int) - cv2.resize(drawn, size[::-1], interpolation=cv2.INTER_AREA)).max() <= 1


def test_an_output_as_large_as_drawn_is_the_drawing():
    drawn = photo(30, 40)
    assert np.array_equal(upsample(to_floats(drawn), drawn, photo(30, 40, seed=1)), drawn)


@pytest.mark.parametrize(("source", "target"), [((20, 30), (75, 90)), ((20, 30), (40, 60)), ((31, 17), (32, 100))])
def test_enlarging_agrees_with_opencvs_bicubic(source, target):
    values = to_floats(photo(*source))
    expected = cv2.resize(values, target[::-1], interpolation=cv2.INTER_CUBIC)
    enlarged = toonify.resize._enlarge(values, slice(0, target[0]), *target)
    assert np.abs(enlarged - expected)[4:-4].max() < 1e-4
    part = toonify.resize._enlarge(values, slice(11, 29), *target)
    assert np.abs(part - enlarged[11:29]).max() < 1e-5
