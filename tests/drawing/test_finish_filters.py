"""The small filters of the finish, the structure tensor, and smoothing along edges: against closed forms."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toonify.drawing.finish.filters import crispen, extremes, gaussian, gradients, mean, smoothstep
from toonify.drawing.finish.flow import Tensor, smooth_along, structure_tensor
from toonify.drawing.finish.lab import to_planes, to_rgb

ANGLES = [0, 17, 45, 80, 90, 135, 170]  # degrees, of the gradient


def grid(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    y, x = np.mgrid[:height, :width]
    return x.astype(np.float64), y.astype(np.float64)


def ramp(angle: float, slope: float, side: int = 48) -> np.ndarray:
    x, y = grid(side, side)
    direction = np.deg2rad(angle)
    return (0.5 + slope * (np.cos(direction) * (x - side / 2) + np.sin(direction) * (y - side / 2))).astype(np.float32)


def wave(angle: float, length: float, side: int = 96) -> np.ndarray:
    """A sinusoid of that wavelength in pixels; `angle` is that of its gradient."""
    x, y = grid(side, side)
    direction = np.deg2rad(angle)
    phase = 2 * np.pi / length * (np.cos(direction) * x + np.sin(direction) * y)
    return (0.5 + 0.3 * np.sin(phase)).astype(np.float32)


def inner(plane: np.ndarray, by: int = 12) -> np.ndarray:
    return plane[by:-by, by:-by]


def noise(side: int = 128, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((side, side), np.float32)


# Filters


def test_a_gaussian_spreads_a_point_by_its_standard_deviation() -> None:
    point = np.zeros((65, 65), np.float32)
    point[32, 32] = 1
    blurred = gaussian(point, 2.5)
    x, y = grid(65, 65)
    assert blurred.sum() == pytest.approx(1, abs=1e-5)
    for distance in (x - 32, y - 32):
        assert (blurred * distance**2).sum() == pytest.approx(2.5**2, rel=0.01)


def test_the_mean_is_that_of_the_square_mirrored_at_the_borders() -> None:
    plane = noise(20)
    padded = np.pad(plane, 3, mode="reflect")
    expected = [[padded[y : y + 7, x : x + 7].mean() for x in range(20)] for y in range(20)]
    assert np.allclose(mean(plane, 7), expected, atol=1e-6)


def test_extremes_are_those_of_the_part_of_the_square_inside_the_picture() -> None:
    plane = noise(16)
    low, high = extremes(plane, 5)
    for y, x in ((0, 0), (0, 9), (7, 7), (15, 2), (15, 15)):
        square = plane[max(y - 2, 0) : y + 3, max(x - 2, 0) : x + 3]
        assert (low[y, x], high[y, x]) == (square.min(), square.max())


@pytest.mark.parametrize("angle", ANGLES)
def test_gradients_of_a_ramp_are_its_slope(angle: float) -> None:
    x, y = gradients(ramp(angle, 0.01))
    assert np.allclose(inner(x), 0.01 * np.cos(np.deg2rad(angle)), atol=1e-6)
    assert np.allclose(inner(y), 0.01 * np.sin(np.deg2rad(angle)), atol=1e-6)


def test_gradients_of_a_wave_are_those_of_scharrs_kernel() -> None:
    """Its response along x to exp(i (kx x + ky y)) is i sin(kx) (10 + 6 cos(ky)) / 16."""
    horizontal, vertical = 0.4, 0.25
    x, y = grid(40, 40)
    phase = horizontal * x + vertical * y
    along_x, along_y = gradients(np.sin(phase).astype(np.float32))
    for found, this, other in ((along_x, horizontal, vertical), (along_y, vertical, horizontal)):
        assert np.allclose(inner(found), inner(np.cos(phase) * np.sin(this) * (10 + 6 * np.cos(other)) / 16), atol=1e-5)


def test_smoothstep_is_a_cubic_between_its_ends_and_flat_beyond() -> None:
    values = np.array([-1, 0.2, 0.3, 0.4, 0.5, 0.6, 9], np.float32)
    assert smoothstep(values, 0.2, 0.6) == pytest.approx([0, 0, 5 / 32, 0.5, 27 / 32, 1, 1], abs=1e-6)


def test_smoothstep_between_equal_ends_is_a_step() -> None:
    assert smoothstep(np.array([0.0, 0.29, 0.3, 0.31, 1.0]), 0.3, 0.3).tolist() == [0, 0, 0, 1, 1]


# Crispening


def test_crispening_stays_within_the_range_of_the_neighbors() -> None:
    plane = noise()
    low, high = cv2.erode(plane, np.ones((3, 3))), cv2.dilate(plane, np.ones((3, 3)))
    crisp = crispen(plane)
    assert (crisp >= low - 1e-6).all() and (crisp <= high + 1e-6).all()
    assert np.abs(crisp - plane).mean() > 0.02


@pytest.mark.parametrize("value", [0.1, 0.45, 0.5, 0.6, 0.79, 0.85])
def test_crispening_pushes_a_value_between_two_areas_along_a_cubic(value: float) -> None:
    plane = np.tile(np.array([0.2, 0.2, value * 0.6 + 0.2, 0.8, 0.8], np.float32), (5, 1))
    push = np.clip(1.6 * (2 * value - 1), -1, 1)
    assert crispen(plane)[2, 2] == pytest.approx(0.5 + 0.3 * (1.5 * push - 0.5 * push**3), abs=1e-6)


@pytest.mark.parametrize("angle", ANGLES)
def test_crispening_leaves_a_linear_ramp_alone(angle: float) -> None:
    plane = ramp(angle, 0.007)
    assert np.abs(inner(crispen(plane) - plane, 1)).max() < 1e-5


def test_crispening_leaves_a_sharp_step_and_a_flat_area_alone() -> None:
    step = np.full((20, 20), 0.2, np.float32)
    step[:, 9:] = 0.7
    step[12:] = 0.2
    assert np.abs(crispen(step) - step).max() < 1e-6


def test_a_soft_step_gets_harder_each_time_and_comes_to_rest() -> None:
    step = np.full((20, 40), 0.2, np.float32)
    step[:, 20:] = 0.8
    soft = gaussian(step, 1.2)
    widths = []
    for _ in range(6):
        row = soft[10]
        widths.append(int(((row > 0.23) & (row < 0.77)).sum()))
        soft = crispen(soft)
    assert widths == sorted(widths, reverse=True) and widths[0] >= 4 and widths[-1] == 0
    assert np.abs(crispen(soft) - soft).max() < 1e-3
    assert np.abs(soft - step).max() < 0.01


# The structure tensor


@pytest.mark.parametrize("angle", ANGLES)
def test_the_tensor_of_a_ramp_is_the_product_of_its_gradient_with_itself(angle: float) -> None:
    slope, cosine, sine = 0.01, np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
    tensor = structure_tensor([ramp(angle, slope)] * 3, 1.6)
    for part, expected in ((tensor.xx, cosine**2), (tensor.xy, cosine * sine), (tensor.yy, sine**2)):
        assert np.allclose(inner(part), 3 * slope**2 * expected, atol=2e-7)
    assert np.allclose(inner(tensor.gradient), np.sqrt(3) * slope, rtol=1e-3)


@pytest.mark.parametrize("angle", ANGLES)
@pytest.mark.parametrize("picture", [ramp, wave])
def test_tangents_are_unit_vectors_across_the_gradient(angle: float, picture) -> None:
    plane = ramp(angle, 0.02) if picture is ramp else wave(angle, 12)
    x, y = (inner(part, 16) for part in structure_tensor([plane], 3).tangents)
    assert np.allclose(x * x + y * y, 1, atol=1e-3)
    across = x * np.cos(np.deg2rad(angle)) + y * np.sin(np.deg2rad(angle))
    assert np.abs(across).max() < 0.03


@pytest.mark.parametrize("angle", ANGLES)
def test_coherence_is_one_where_all_edges_run_one_way(angle: float) -> None:
    assert inner(structure_tensor([wave(angle, 10)], 3).coherence, 16).min() > 0.99


def test_coherence_is_near_zero_in_noise_and_zero_in_a_uniform_picture() -> None:
    assert structure_tensor([noise()], 1.6).averaged(25).coherence.mean() < 0.1
    assert structure_tensor([np.full((9, 9), 0.3, np.float32)], 1.6).coherence.max() == 0


def test_coherence_is_that_of_the_eigenvalues() -> None:
    tensor = structure_tensor([noise(24), noise(24, 1)], 1.6)
    matrices = np.stack([[tensor.xx, tensor.xy], [tensor.xy, tensor.yy]]).transpose(2, 3, 0, 1).astype(np.float64)
    values, vectors = np.linalg.eigh(matrices)
    assert np.allclose(tensor.coherence, (values[..., 1] - values[..., 0]) / values.sum(axis=-1), atol=1e-3)
    assert np.allclose(tensor.gradient, np.sqrt(values[..., 1]), rtol=1e-3)
    cosines = np.abs((np.stack(tensor.tangents, axis=-1) * vectors[..., 0]).sum(axis=-1))
    assert cosines.min() > 0.999


# Smoothing along edges


def uniform_tensor(angle: float, side: int) -> Tensor:
    """One direction everywhere; `angle` is that of the gradient."""
    cosine, sine = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
    return Tensor(*(np.full((side, side), part, np.float32) for part in (cosine**2, cosine * sine, sine**2)))


@pytest.mark.parametrize("angle", ANGLES)
def test_smoothing_keeps_stripes_along_their_edges(angle: float) -> None:
    plane = wave(angle, 16)
    (smooth,) = smooth_along([plane], structure_tensor([plane], 3), sigma=2.5, reach=4)
    assert np.abs(inner(smooth - plane, 20)).max() < 0.015


@pytest.mark.parametrize("angle", ANGLES)
def test_smoothing_blurs_what_changes_along_the_edges_as_its_weights_say(angle: float) -> None:
    length, sigma, reach = 12, 2.5, 4
    plane = wave(angle + 90, length)
    (smooth,) = smooth_along([plane], uniform_tensor(angle, 96), sigma=sigma, reach=reach)
    steps = np.arange(-reach, reach + 1)
    weights = np.exp(-(steps**2) / (2 * sigma**2))
    share = (weights * np.cos(2 * np.pi / length * steps)).sum() / weights.sum()
    assert share < 0.6
    assert np.abs(inner(smooth - (0.5 + share * (plane - 0.5)), 12)).max() < 0.02


def test_smoothing_along_edges_takes_noise_away_and_leaves_the_edge_sharp() -> None:
    x, y = grid(96, 96)
    step = np.where(x + 0.5 * y < 70, 0.3, 0.7).astype(np.float32)
    noisy = (step + 0.1 * (noise(96) - 0.5)).astype(np.float32)
    tensor = structure_tensor([gaussian(noisy, 1)], 2)
    (smooth,) = smooth_along([noisy], tensor, sigma=2.5, reach=4)
    far = np.abs(x + 0.5 * y - 70) > 3
    assert np.std((smooth - step)[far]) < 0.5 * np.std((noisy - step)[far])
    across = gaussian(noisy, 1.8)  # as strong, in all directions
    near = np.abs(x + 0.5 * y - 70) < 2
    assert np.abs(smooth - step)[near].mean() < 0.5 * np.abs(across - step)[near].mean()


@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 99))
def test_a_uniform_picture_of_any_size_stays(height: int, width: int, seed: int) -> None:
    value = np.float32(np.random.default_rng(seed).random())
    plane = np.full((height, width), value, np.float32)
    (smooth,) = smooth_along([plane], structure_tensor([plane], 1.6), sigma=2.5, reach=4)
    assert np.allclose(smooth, value, atol=1e-6) and np.allclose(crispen(plane), value, atol=1e-6)


# CIELAB


@pytest.mark.parametrize(
    ("rgb", "lab"),
    [  # CIE 15:2004 under D65, of sRGB's primaries (IEC 61966-2-1)
        ((1, 1, 1), (100, 0, 0)),
        ((0, 0, 0), (0, 0, 0)),
        ((1, 0, 0), (53.24, 80.09, 67.20)),
        ((0, 1, 0), (87.73, -86.18, 83.18)),
        ((0, 0, 1), (32.30, 79.19, -107.86)),
        ((0.5, 0.5, 0.5), (53.39, 0, 0)),
    ],
)
def test_planes_are_cielab_by_a_hundred(rgb: tuple, lab: tuple) -> None:
    planes = to_planes(np.array([[rgb]], np.float32))
    assert [100 * float(plane[0, 0]) for plane in planes] == pytest.approx(lab, abs=0.35)


def test_there_and_back_is_the_same_picture_to_the_eye() -> None:
    picture = np.random.default_rng(0).random((64, 64, 3), np.float32)
    assert np.abs(to_rgb(to_planes(picture)) - picture).max() < 1.5 / 255


def test_what_srgb_has_not_is_clipped() -> None:
    outside = np.array([[[1.5, -0.2, 0.5]]], np.float32)
    assert np.allclose(to_rgb(to_planes(outside)), to_rgb(to_planes(outside.clip(0, 1))))
    strong = to_rgb([np.full((1, 1), part, np.float32) for part in (0.5, 1.2, -1.2)])
    assert strong.min() >= 0 and strong.max() <= 1
