import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toonify.pixels.color import gray, guided_coefficients, keep_color, saturate


def guided_filter(guide: np.ndarray, target: np.ndarray, *, radius: int, eps: float) -> np.ndarray:
    gain, offset = guided_coefficients(guide, target, radius=radius, eps=eps)
    return gain * (guide - guide.mean())[..., None] + offset


def picture(height: int = 48, width: int = 64, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((height, width, 3), np.float32)


def box(values: np.ndarray, radius: int) -> np.ndarray:
    """Means over square windows, pixel by pixel; beyond the border the picture is mirrored, its last row included."""
    padded = np.pad(values, radius, mode="symmetric")
    means = np.empty_like(values)
    for y in range(values.shape[0]):
        for x in range(values.shape[1]):
            means[y, x] = padded[y : y + 2 * radius + 1, x : x + 2 * radius + 1].mean()
    return means


def literal_guided_filter(guide: np.ndarray, target: np.ndarray, radius: int, eps: float) -> np.ndarray:
    """He, Sun, Tang: Guided Image Filtering, algorithm 1, in float64."""
    guide, target = guide.astype(np.float64), target.astype(np.float64)
    mean_guide, mean_target = box(guide, radius), box(target, radius)
    variance = box(guide * guide, radius) - mean_guide**2
    covariance = box(guide * target, radius) - mean_guide * mean_target
    a = covariance / (variance + eps)
    b = mean_target - a * mean_guide
    return box(a, radius) * guide + box(b, radius)


@pytest.mark.parametrize(("radius", "eps"), [(1, 1e-3), (2, 4e-3), (5, 1e-3)])
@pytest.mark.parametrize("brightness", [0.0, 0.9])
def test_the_guided_filter_agrees_with_its_definition(radius, eps, brightness):
    guide = brightness + (1 - brightness) * picture(12, 14, seed=1)[..., 0]
    target = picture(12, 14, seed=2)
    expected = np.dstack([literal_guided_filter(guide, target[..., c], radius, eps) for c in range(3)])
    assert np.abs(guided_filter(guide, target, radius=radius, eps=eps) - expected).max() < 1e-4


def test_the_guided_filter_takes_targets_of_one_channel():
    guide, target = picture()[..., 0], picture(seed=1)[..., :1]
    filtered = guided_filter(guide, target, radius=3, eps=1e-3)
    assert filtered.shape == (48, 64, 1)
    assert filtered.dtype == np.float32
    assert np.abs(filtered[..., 0] - literal_guided_filter(guide, target[..., 0], 3, 1e-3)).max() < 1e-4


@settings(max_examples=25, deadline=None)
@given(
    value=st.floats(-1, 2, width=32),
    radius=st.integers(1, 40),
    height=st.integers(1, 20),
    width=st.integers(1, 20),
)
def test_what_is_constant_stays_constant(value, radius, height, width):
    guide = picture(height, width)[..., 0]
    target = np.full((height, width, 2), value, np.float32)
    assert np.abs(guided_filter(guide, target, radius=radius, eps=1e-3) - value).max() < 1e-4


def test_an_edge_of_the_guide_survives_and_noise_does_not():
    step = np.repeat((np.arange(40) >= 20).astype(np.float32)[None], 30, axis=0)
    noise = np.random.default_rng(0).normal(0, 0.05, (30, 40)).astype(np.float32)
    filtered = guided_filter(step, (step + noise)[..., None], radius=4, eps=1e-3)[..., 0]
    assert (filtered[:, 20] - filtered[:, 19]).min() > 0.9
    assert np.abs(filtered - step).std() < 0.3 * noise.std()


def test_a_flat_guide_gives_plain_means():
    target = picture(12, 14)[..., :1]
    filtered = guided_filter(np.full((12, 14), 0.5, np.float32), target, radius=2, eps=1e-3)[..., 0]
    assert np.abs(filtered - box(box(target[..., 0], 2), 2)).max() < 1e-5


def test_the_coefficients_of_a_linear_relation_are_its_slope_and_offset():
    guide = picture()[..., 0]
    a, b = guided_coefficients(guide, (0.5 * guide + 0.2)[..., None], radius=3, eps=1e-7)
    assert np.abs(a - 0.5).max() < 1e-3
    assert np.abs(b - (0.2 + 0.5 * guide.mean())).max() < 1e-3


def test_gray_is_the_luma_of_rec_709():
    colors = np.array([[[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 1]]], np.float32)
    assert np.allclose(gray(colors), [[0.2126, 0.7152, 0.0722, 1]], atol=1e-6)
    assert gray(picture()).shape == (48, 64)


# --- keep_color ---


def test_no_color_kept_is_the_drawing_itself():
    drawing = picture()
    assert np.array_equal(keep_color(drawing, picture(seed=1), 0), drawing)


@pytest.mark.parametrize("offset", [(0.2, 0.2, 0.2), (0.3, -0.1, 0.05)])
@pytest.mark.parametrize("amount", [0.5, 1.0])
def test_a_constant_shift_of_color_is_undone_by_its_amount(offset, amount):
    photo = picture()
    shift = np.array(offset, np.float32)
    kept = keep_color(photo + shift, photo, amount)
    assert np.abs(kept - (photo + (1 - amount) * shift)).max() < 1e-4


def test_thin_lines_of_the_drawing_stay():
    photo = np.full((200, 200, 3), 0.6, np.float32)
    drawing = photo.copy()
    drawing[:, 100] = 0.1
    kept = keep_color(drawing, photo, 1)
    assert kept[:, 100].max() < 0.25
    assert np.abs(kept[:, :80] - 0.6).max() < 1e-3


def test_colors_come_back_within_the_edges_of_the_photo():
    photo = np.empty((200, 200, 3), np.float32)
    photo[:, :100], photo[:, 100:] = (0.9, 0.3, 0.2), (0.1, 0.4, 0.8)
    kept = keep_color(np.full_like(photo, 0.5), photo, 1)
    assert np.abs(kept[:, 98] - photo[:, 98]).max() < 0.15
    assert np.abs(kept[:, 101] - photo[:, 101]).max() < 0.15


@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (50, 1), (2, 3)])
def test_pictures_of_a_few_pixels_keep_their_shape(shape):
    photo = picture(*shape)
    kept = keep_color(photo + np.float32(0.1), photo, 1)
    assert kept.shape == (*shape, 3)
    assert kept.dtype == np.float32
    assert np.abs(kept - photo).max() < 1e-4


def test_neither_drawing_nor_photo_is_changed_in_place():
    drawing, photo = picture(), picture(seed=1)
    keep_color(drawing, photo, 0.7)
    saturate(drawing, 1.5)
    assert np.array_equal(drawing, picture())
    assert np.array_equal(photo, picture(seed=1))


# --- saturate ---


def test_no_saturation_is_gray():
    rgb = picture()
    assert np.abs(saturate(rgb, 0) - gray(rgb)[..., None]).max() < 1e-6


def test_a_saturation_of_one_is_the_picture_itself():
    assert np.array_equal(saturate(picture(), 1), picture())


@pytest.mark.parametrize("factor", [0, 0.5, 1.25, 4])
def test_saturation_leaves_the_luma(factor):
    rgb = picture()
    assert np.abs(gray(saturate(rgb, factor)) - gray(rgb)).max() < 1e-5


def test_saturation_scales_the_distance_to_gray():
    rgb = np.array([[[0.6, 0.4, 0.5]]], np.float32)
    luma = float(gray(rgb)[0, 0])
    assert np.allclose(saturate(rgb, 2)[0, 0] - luma, 2 * (rgb[0, 0] - luma), atol=1e-6)
