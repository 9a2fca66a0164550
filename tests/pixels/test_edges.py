"""Edge smoothing against its definition, written out pixel by pixel."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from toonify.errors import UsageError
from toonify.pixels.edges import check_settings, edge_mask, smooth_edges


def literal(pixels: np.ndarray, kernel: int = 5, canny: tuple[int, int] = (100, 200)) -> np.ndarray:
    """For each pixel that has an edge in its window: the Gaussian-weighted mean of that window, borders mirrored."""
    radius = kernel // 2
    edges = cv2.Canny(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), *canny)
    edges = np.pad(edges, radius)
    mirrored = np.pad(pixels, ((radius, radius), (radius, radius), (0, 0)), mode="reflect")
    column = cv2.getGaussianKernel(kernel, 0)
    weights = (column * column.T)[..., None]
    smoothed = pixels.copy()
    for y in range(pixels.shape[0]):
        for x in range(pixels.shape[1]):
            window = np.s_[y : y + kernel, x : x + kernel]
            if edges[window].any():
                smoothed[y, x] = np.rint((weights * mirrored[window]).sum(axis=(0, 1)))
    return smoothed


def cartoon(height: int = 60, width: int = 80) -> np.ndarray:
    """Flat colors with black outlines."""
    picture = np.full((height, width, 3), (240, 220, 180), np.uint8)
    cv2.circle(picture, (width // 3, height // 2), height // 4, (200, 60, 40), -1)
    cv2.circle(picture, (width // 3, height // 2), height // 4, (10, 10, 20), 2)
    cv2.rectangle(picture, (width // 2, height // 5), (width - 8, height - 9), (40, 90, 200), -1)
    cv2.line(picture, (0, height - 1), (width - 1, 0), (0, 0, 0), 1)
    return picture


def furthest(one: np.ndarray, other: np.ndarray) -> int:
    return int(np.abs(one.astype(int) - other).max())


@pytest.mark.parametrize("kernel", [3, 5, 9, 31])
@pytest.mark.parametrize("canny", [(100, 200), (0, 0), (30, 2040)])
def test_it_is_the_literal_definition(kernel, canny):
    for pixels in (cartoon(), np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)):
        smoothed = smooth_edges(pixels, kernel=kernel, canny=canny)
        assert smoothed.shape == pixels.shape and smoothed.dtype == np.uint8
        assert furthest(smoothed, literal(pixels, kernel, canny)) <= 1


@settings(max_examples=60, deadline=None)
@given(
    pixels=st_numpy.arrays(
        np.uint8,
        st.tuples(st.integers(1, 12), st.integers(1, 12), st.just(3)),
        elements=st.sampled_from([0, 1, 127, 254, 255]),
    ),
    kernel=st.sampled_from([3, 5, 7, 15]),
)
def test_it_is_the_literal_definition_for_any_picture_however_small(pixels, kernel):
    before = pixels.copy()
    assert furthest(smooth_edges(pixels, kernel=kernel), literal(pixels, kernel)) <= 1
    assert np.array_equal(pixels, before)


def test_a_straight_edge_is_widened_to_the_kernel_and_only_there_blurred():
    pixels = np.zeros((20, 40, 3), np.uint8)
    pixels[:, 20:] = 255
    mask = edge_mask(pixels, kernel=5)
    columns = np.flatnonzero(mask.any(axis=0))
    assert len(columns) == 5 and {19, 20} <= set(columns) and mask[:, columns].all()
    smoothed = smooth_edges(pixels, kernel=5)
    assert np.array_equal(smoothed[~mask], pixels[~mask])
    # The 5-tap Gaussian is (1, 4, 6, 4, 1) / 16, so the step becomes its sums.
    assert list(smoothed[10, 18:22, 0]) == [16, 80, 175, 239]


def test_a_picture_without_edges_is_the_same_in_another_array():
    pixels = np.full((30, 30, 3), 77, np.uint8)
    smoothed = smooth_edges(pixels)
    assert np.array_equal(smoothed, pixels) and not np.shares_memory(smoothed, pixels)


def test_edges_are_told_from_the_gray_picture():
    pixels = np.zeros((20, 40, 3), np.uint8)
    # Two colors of one gray level by Rec. 601: 0.299 R + 0.587 G + 0.114 B.
    pixels[:, :20], pixels[:, 20:] = (100, 0, 0), (0, 51, 0)
    assert not edge_mask(pixels).any()


@pytest.mark.parametrize("kernel", [-1, 0, 1, 2, 4, 32, 33])
def test_a_kernel_out_of_its_limits_is_named(kernel):
    with pytest.raises(UsageError, match=f"--kernel {kernel}: give an odd number from 3 to 31"):
        check_settings(kernel, (100, 200))


@pytest.mark.parametrize("canny", [(-1, 5), (200, 100), (0, 2041)])
def test_thresholds_out_of_their_limits_are_named(canny):
    with pytest.raises(UsageError, match=r"--canny .* 0 <= LOW <= HIGH <= 2040"):
        check_settings(5, canny)


def test_the_highest_threshold_is_that_of_the_steepest_edge():
    # A corner: the gradient is 3 x 255 across and as much down, and no picture has |dx| + |dy| of more than 2040.
    pixels = np.zeros((20, 20, 3), np.uint8)
    pixels[10:, 10:] = 255
    assert edge_mask(pixels, canny=(0, 0)).any()
    assert not edge_mask(pixels, canny=(2040, 2040)).any()
