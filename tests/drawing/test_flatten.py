"""Flat tones: the Kuwahara filter, plain areas, steps of light."""

import cv2
import numpy as np
import pytest

from toonify.drawing.finish.filters import gaussian
from toonify.drawing.finish.flatten import flatten, kuwahara, plain_areas, step_tones
from toonify.pixels.arrays import to_floats
from toonify.styles.look import Tones


def planes_of(lightness: np.ndarray) -> list[np.ndarray]:
    lightness = np.asarray(lightness, np.float32)
    return [lightness, np.full_like(lightness, 0.1), np.full_like(lightness, -0.2)]


# The Kuwahara filter


def literal_kuwahara(planes: list[np.ndarray], y: int, x: int) -> list[float]:
    """One pixel, as the paper says: means and variances in windows around it, those that vary least weigh most."""
    offsets = np.arange(-6, 7)
    window = np.exp(-(offsets[:, None] ** 2 + offsets[None] ** 2) / (2 * 1.5**2))
    window /= window.sum()
    padded = [np.pad(plane.astype(np.float64), 9, mode="reflect") for plane in planes]
    sums, total = np.zeros(len(planes)), 0.0
    for sector in range(8):
        angle = sector * np.pi / 4
        top, left = y + 3 + round(3 * np.sin(angle)), x + 3 + round(3 * np.cos(angle))
        parts = [plane[top : top + 13, left : left + 13] for plane in padded]
        means = [(window * part).sum() for part in parts]
        variances = [(window * (part - m) ** 2).sum() for part, m in zip(parts, means, strict=True)]
        weight = np.sqrt(sum(variances) + 1e-4) ** -8
        sums += weight * np.array(means)
        total += weight
    return list(sums / total)


def test_kuwahara_is_what_the_paper_says_pixel_by_pixel(rng: np.random.Generator) -> None:
    step = np.where(np.add.outer(np.arange(26), 0.5 * np.arange(31)) < 20, 0.2, 0.7)
    planes = [(step + 0.1 * rng.random((26, 31)) * k).astype(np.float32) for k in (1, 2, 3)]
    result = kuwahara(planes)
    for y in range(26):
        for x in range(0 if y in (0, 1, 25) else y % 4, 31, 4):
            assert [plane[y, x] for plane in result] == pytest.approx(literal_kuwahara(planes, y, x), abs=2e-4)


def test_kuwahara_takes_noise_away_and_keeps_an_edge(rng: np.random.Generator) -> None:
    step = np.full((60, 60), 0.3)
    step[:, 30:] = 0.6
    planes = planes_of(step + rng.normal(0, 0.03, step.shape))
    result = kuwahara(planes)[0]
    assert np.std(result[:, 8:22]) < 0.4 * 0.03
    assert abs(result[:, 27].mean() - 0.3) < 0.05 and abs(result[:, 32].mean() - 0.6) < 0.05


# Flattening


def test_flattening_keeps_a_crisp_border_where_it_is_and_flattens_grain(rng: np.random.Generator) -> None:
    y, x = np.mgrid[:120, :120]
    inside = np.hypot(y - 60, x - 60) < 35
    clean = np.where(inside, 0.3, 0.65)
    flat = flatten(planes_of(gaussian(clean, 0.7) + rng.normal(0, 0.02, clean.shape)), Tones())
    distance = np.hypot(y - 60, x - 60) - 35
    assert np.abs(flat.planes[0] - clean)[np.abs(distance) > 2.5].mean() < 0.01
    for radius, expected in ((-3, 0.3), (3, 0.65)):
        there = np.abs(distance - radius) < 0.5
        assert flat.planes[0][there].mean() == pytest.approx(expected, abs=0.03)
    grain = np.abs(distance) > 8
    assert np.std((flat.planes[0] - clean)[grain]) < 0.5 * 0.02
    assert all(np.abs(plane - color).max() < 1e-3 for plane, color in zip(flat.planes[1:], (0.1, -0.2), strict=True))


@pytest.mark.parametrize("angle", [0, 30, 45])
@pytest.mark.parametrize("width", [1, 1.5, 2])
def test_flattening_keeps_masts_that_stand_alone(angle: float, width: float) -> None:
    y, x = (np.mgrid[:400, :400] + 0.5) / 4 - 50
    distance = np.cos(np.deg2rad(angle)) * x + np.sin(np.deg2rad(angle)) * y
    fine = np.where(np.abs(distance) < width / 2, 0.3, 0.7)
    mast = cv2.resize(fine, (100, 100), interpolation=cv2.INTER_AREA)
    rows = slice(30, 70)
    flat = flatten(planes_of(mast), Tones()).planes[0]
    assert np.abs(flat.min(axis=1) - mast.min(axis=1))[rows].max() < 0.1  # of 0.4
    assert (0.7 - flat)[rows].sum() == pytest.approx((0.7 - mast)[rows].sum(), rel=0.1)


def test_flattening_keeps_a_small_mark_that_stands_alone() -> None:
    mark = np.full((60, 60), 0.7)
    mark[30:33, 30:33] = 0.3
    flat = flatten(planes_of(mark), Tones()).planes[0]
    assert flat[31, 31] == pytest.approx(0.3, abs=0.1)
    assert np.abs(flat - mark).max() < 0.25  # its corners are rounded


def test_edges_are_followed_where_they_have_a_direction_and_brush_strokes_fill_the_rest(
    rng: np.random.Generator,
) -> None:
    y, x = np.mgrid[:120, :120]
    stripes = planes_of(0.5 + 0.2 * np.sin(0.35 * x + 0.2 * y))
    blobs = gaussian(rng.random((120, 120)), 2)
    leaves = planes_of(0.5 + 0.12 * (blobs - blobs.mean()) / blobs.std())
    inner = slice(16, -16), slice(16, -16)

    def from_edges(planes: list[np.ndarray], structure: tuple[float, float]) -> np.ndarray:
        flat = flatten(planes, Tones(structure=structure))
        return np.abs(flat.planes[0] - flat.edges)[inner]

    assert from_edges(stripes, (0.45, 0.85)).mean() < 0.004
    assert from_edges(leaves, (0.0, 0.0)).mean() < 0.01  # but for thin features
    assert from_edges(leaves, (0.45, 0.85)).mean() > 0.02


# Plain areas


@pytest.fixture
def sky(rng: np.random.Generator) -> np.ndarray:
    """A sky with the grain of a photo, and a dark hill from row 60 on."""
    photo = np.empty((120, 160, 3))
    photo[:60], photo[60:] = (120, 160, 210), (60, 70, 50)
    return np.clip(np.rint(photo + rng.normal(0, 1, photo.shape)), 0, 255).astype(np.uint8)


def test_a_dot_grid_in_a_plain_sky_is_taken_out_and_the_colors_stay_the_drawings(sky: np.ndarray) -> None:
    drawing = to_floats(sky) + np.float32([0.05, -0.02, 0.03])
    drawing[::4, ::4] -= 0.2
    result = plain_areas(drawing, sky)
    for rows in (slice(8, 50), slice(72, 112)):
        plain = rows, slice(8, -8)
        assert result[plain].std(axis=(0, 1)).max() < 0.1 * drawing[plain].std(axis=(0, 1)).min()
        assert np.abs(result[plain].mean(axis=(0, 1)) - drawing[plain].mean(axis=(0, 1))).max() < 0.004


def test_what_was_drawn_at_edges_and_in_texture_stays(sky: np.ndarray, rng: np.random.Generator) -> None:
    sky[80:, 80:] = rng.integers(0, 256, (40, 80, 3))
    drawing = rng.random(sky.shape, np.float32)
    result = plain_areas(drawing, sky)
    assert np.array_equal(result[58:62, 8:-8], drawing[58:62, 8:-8])
    assert np.array_equal(result[84:, 84:], drawing[84:, 84:])


# Steps of light


@pytest.mark.parametrize("steps", [2, 5, 7, 16])
def test_middles_and_borders_of_steps_stay_next_to_edges_and_far_from_them(
    steps: int, rng: np.random.Generator
) -> None:
    values = np.arange(2 * steps + 1) / (2 * steps)  # borders and middles in turn
    tones = Tones(steps=steps, stepped=1)
    for lightness in (np.tile(values.repeat(3), (30, 1)), np.tile(values[rng.permutation(len(values))], (30, 1))):
        result = step_tones(planes_of(lightness), tones)[0]
        assert np.abs(result - lightness).max() < 1e-5


def test_no_value_leaves_its_step_or_goes_away_from_its_middle(rng: np.random.Generator) -> None:
    planes = planes_of(rng.random((50, 50)))
    result = step_tones(planes, Tones(steps=6, stepped=1))[0]
    middle = (np.floor(planes[0] * 6) + 0.5) / 6
    assert (np.abs(result - middle) <= np.abs(planes[0] - middle) + 1e-5).all()
    assert np.abs(result - middle).mean() < 0.5 * np.abs(planes[0] - middle).mean()  # edges everywhere: sharp steps


def test_a_slow_ramp_shows_no_bands_and_a_quicker_one_is_stepped() -> None:
    def slopes(width: int) -> np.ndarray:
        ramp = np.tile(np.linspace(0.1, 0.9, width), (20, 1))
        return np.diff(step_tones(planes_of(ramp), Tones(steps=7, stepped=1))[0][10])[8:-8] * width / 0.8

    slow, quick = slopes(900), slopes(90)
    assert slow.min() > 0.8 and slow.max() < 1.15
    assert quick.min() < 0.2 and quick.max() > 2


def test_light_that_is_not_stepped_stays_and_so_do_colors(rng: np.random.Generator) -> None:
    planes = planes_of(rng.random((20, 20)))
    for before, after in zip(planes, step_tones(planes, Tones(stepped=0)), strict=True):
        assert np.abs(after - before).max() < 1e-6


def test_half_of_stepping_is_half_of_the_way(rng: np.random.Generator) -> None:
    planes = planes_of(rng.random((20, 20)))
    whole, half = (step_tones(planes, Tones(stepped=share))[0] for share in (1.0, 0.5))
    assert np.allclose(half, (planes[0] + whole) / 2, atol=1e-6)


def test_colors_get_stronger_and_weaker_with_the_light(rng: np.random.Generator) -> None:
    planes = planes_of(rng.random((20, 20)))
    lightness, a, b = step_tones(planes, Tones(steps=4, stepped=1))
    ratio = np.clip((lightness + 0.05) / (planes[0] + 0.05), 0.6, 1.5)
    assert np.allclose(a, 0.1 * ratio, atol=1e-5) and np.allclose(b, -0.2 * ratio, atol=1e-5)
