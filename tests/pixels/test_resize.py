import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shapes import photo

from toonify.pixels.arrays import to_floats
from toonify.pixels.resize import Enlarged, fit_long_side, resize

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
def test_resizing_keeps_colors_and_channels(size):
    assert np.array_equal(resize(np.full((30, 40, 3), 77, np.uint8), size), np.full((*size, 3), 77))
    assert np.array_equal(resize(np.full((30, 40), 77, np.uint8), size), np.full(size, 77))


# --- Enlarged ---


@pytest.mark.parametrize(("source", "target"), [((20, 30), (75, 90)), ((20, 30), (40, 60)), ((31, 17), (32, 100))])
@pytest.mark.parametrize("method", [cv2.INTER_CUBIC, cv2.INTER_LINEAR])
def test_enlarging_agrees_with_opencvs(source, target, method):
    values = to_floats(photo(*source))
    expected = cv2.resize(values, target[::-1], interpolation=method)
    planes = np.ascontiguousarray(values.transpose(2, 0, 1))
    enlarged = Enlarged(planes, slice(0, target[0]), target[0], target[1], method).columns()
    assert np.abs(enlarged.transpose(1, 2, 0) - expected)[4:-4].max() < 1e-4
    part = Enlarged(planes, slice(11, 29), target[0], target[1], method).columns(slice(5, 50))
    assert np.abs(part - enlarged[:, 11:29, 5:50]).max() < 1e-6
