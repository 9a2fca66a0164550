import itertools

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shapes import photo, shrink

import toonify.pixels.upsample
from toonify.pixels.arrays import to_floats
from toonify.pixels.ink import Ink
from toonify.pixels.upsample import upsample


def mse(pixels: np.ndarray, other: np.ndarray) -> float:
    return float(np.square(pixels.astype(float) - other).mean())


def test_tiles_leave_no_trace(monkeypatch):
    full = photo(150, 110)
    small = shrink(full, 60)
    drawing = to_floats(photo(small.shape[0], small.shape[1], seed=1))
    whole = upsample(drawing, small, full)
    for rows, columns in itertools.product((1, 7, 64, 1000), (3, 100, 512)):
        monkeypatch.setattr(toonify.pixels.upsample, "_ROWS", rows)
        monkeypatch.setattr(toonify.pixels.upsample, "_COLUMNS", columns)
        off = np.abs(upsample(drawing, small, full).astype(int) - whole)
        assert off.max() <= 1 and off.mean() < 1e-4  # sums of float32 may differ in their last bit


def test_parts_without_lines_come_out_as_if_lines_were_looked_for_everywhere(monkeypatch):
    full = photo(330, 470)
    small = shrink(full, 120)
    drawing = to_floats(photo(small.shape[0], small.shape[1], seed=1))
    opacity = np.zeros(small.shape[:2], np.float32)
    cv2.line(opacity, (5, 5), (40, 30), 0.8, 1)
    ink = Ink(opacity, 0.25, (0.0, 0.1, 0.2))
    monkeypatch.setattr(toonify.pixels.upsample, "_COLUMNS", 50)
    some = upsample(drawing, small, full, ink=ink)
    monkeypatch.setattr(toonify.pixels.upsample, "_INKED", 999)
    assert np.array_equal(upsample(drawing, small, full, ink=ink), some)
    assert not np.array_equal(upsample(drawing, small, full), some)


def test_no_strength_is_the_photo_and_half_is_halfway():
    full = photo(120, 90)
    small = shrink(full, 40)
    drawing = to_floats(photo(small.shape[0], small.shape[1], seed=1))
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


@pytest.mark.parametrize("scale", [1.5, 2, 3, 4, 8])
@pytest.mark.parametrize(("dark", "bright"), [(60, 200), (10, 250)])
def test_a_step_is_as_sharp_as_the_photos_and_has_no_halo(scale, dark, bright):
    full = np.full((96, 240, 3), dark, np.uint8)
    full[:, 121:] = bright  # inside a pixel of the small photo
    small = shrink(full, round(240 / scale))
    for drawing in (to_floats(small), to_floats(small) * np.float32(0.7) + np.float32(0.2)):
        out = upsample(drawing, small, full)[48].mean(axis=-1)
        low, high = (round(255 * float(value)) for value in (drawing.min(), drawing.max()))
        assert out.min() >= low - 1 and out.max() <= high + 1  # a halo would leave the range
        assert out[120] < low + 0.15 * (high - low) and out[121] > low + 0.85 * (high - low)
        assert np.abs(np.r_[out[:100] - low, out[140:] - high]).max() <= 1


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_the_drawings_own_lines_are_crisp_and_have_no_halo(scale):
    drawing = np.full((60, 60, 3), 0.8, np.float32)
    drawing[:, 29:31] = 0.1  # two pixels wide; the photo has no such line
    size = (60 * scale, 60 * scale)
    photos = (np.full((side, side, 3), 150, np.uint8) for side in (60, 60 * scale))
    out = upsample(drawing, *photos)[30 * scale].mean(axis=-1) / 255
    bicubic = cv2.resize(drawing, size, interpolation=cv2.INTER_CUBIC)[30 * scale].mean(axis=-1)
    assert out.min() >= 0.1 - 0.003 and out.max() <= 0.8 + 0.003
    assert bicubic.max() > 0.82
    assert np.abs(np.diff(out)).max() > 1.3 * np.abs(np.diff(bicubic)).max()
    assert (out < 0.45).sum() == pytest.approx(2 * scale, abs=1)  # neither thinner nor bolder


@pytest.mark.parametrize("scale", [2, 3, 5])
def test_soft_shading_stays_soft(scale):
    y, x = np.mgrid[:40, :50].astype(np.float32)
    drawing = np.repeat((0.2 + 0.004 * x + 0.006 * y)[..., None], 3, axis=-1)
    photos = (np.full((40 * k, 50 * k, 3), 90, np.uint8) for k in (1, scale))
    expected = cv2.resize(drawing, (50 * scale, 40 * scale), interpolation=cv2.INTER_LINEAR)
    inner = slice(2 * scale, -2 * scale)
    assert np.abs(upsample(drawing, *photos) - 255 * expected)[inner, inner].max() <= 1


def test_faint_noise_of_a_drawing_does_not_become_contours():
    drawing = np.random.default_rng(0).normal(0.5, 0.005, (40, 50, 3)).astype(np.float32)
    photos = (np.full((40 * k, 50 * k, 3), 90, np.uint8) for k in (1, 3))
    bicubic = cv2.resize(drawing, (150, 120), interpolation=cv2.INTER_CUBIC)
    assert upsample(drawing, *photos).std() < 1.1 * 255 * bicubic.std()


def test_detail_brings_back_the_photos_texture_and_nothing_of_its_color():
    full = np.clip(128 + np.random.default_rng(0).normal(0, 12, (240, 320, 3)), 0, 255).astype(np.uint8)
    small = shrink(full, 80)
    drawing = np.full((*small.shape[:2], 3), (0.6, 0.4, 0.5), np.float32)
    out = [upsample(drawing, small, full, detail=detail).astype(int) for detail in (0, 0.25, 0.5, 0.75, 1)]
    luma, grain = (pixels @ (0.2126, 0.7152, 0.0722) for pixels in (out[-1], full.astype(float)))
    assert np.corrcoef(luma.ravel(), grain.ravel())[0, 1] > 0.95
    assert luma.std() == pytest.approx(grain.std(), rel=0.15)
    assert np.abs(out[-1] - out[-1][..., :1] - (out[0] - out[0][..., :1])).max() <= 1
    steps = [(b - a) * np.sign(out[-1] - out[0]) for a, b in itertools.pairwise(out)]
    assert min(step.min() for step in steps) >= 0  # monotone, pixel by pixel
    shares = [np.abs(pixels - out[0]).mean() / np.abs(out[-1] - out[0]).mean() for pixels in out]
    assert shares == pytest.approx([0, 0.25, 0.5, 0.75, 1], abs=0.03)


@given(
    size=st.tuples(st.integers(1, 12), st.integers(1, 12)),
    scale=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    seed=st.integers(0, 999),
)
@settings(max_examples=100, deadline=None)
def test_nothing_leaves_the_range_of_its_neighborhood(size, scale, seed):
    """Not in a photo that is flat between its pixels, so that it has no line too thin for the working size."""
    rng = np.random.default_rng(seed)
    drawing = rng.random((*size, 3), np.float32)
    small = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
    full = np.repeat(np.repeat(small, scale[0], axis=0), scale[1], axis=1)
    out = upsample(drawing, small, full)
    window = np.ones((5, 5), np.uint8)  # 3 x 3, and the pixels between which it is interpolated
    for extreme, sign in ((cv2.dilate(drawing, window), 1), (cv2.erode(drawing, window), -1)):
        limit = np.repeat(np.repeat(extreme, scale[0], axis=0), scale[1], axis=1)
        assert (sign * (out - 255 * limit)).max() <= 0.51


def test_edges_that_were_not_drawn_stay_away():
    full = np.full((200, 200, 3), 60, np.uint8)
    full[:, 100:] = 200
    small = shrink(full, 50)
    out = upsample(np.full((50, 50, 3), 0.5, np.float32), small, full)
    assert np.abs(out.astype(int) - 128).max() <= 1


@pytest.mark.parametrize("size", [(1, 1), (1, 3000), (3000, 1), (2, 3), (5, 3000), (700, 3)])
@pytest.mark.parametrize("long_side", [1, 7, 64, 768])
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
    out = upsample(to_floats(drawn), drawn, photo(size[0], size[1], seed=1))
    assert np.abs(out.astype(int) - cv2.resize(drawn, size[::-1], interpolation=cv2.INTER_AREA)).max() <= 1


def test_an_output_as_large_as_drawn_is_the_drawing():
    drawn = photo(30, 40)
    assert np.array_equal(upsample(to_floats(drawn), drawn, photo(30, 40, seed=1)), drawn)
