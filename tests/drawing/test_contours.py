"""Contours: even lines on the dark side of borders, and none on what is no contour."""

import itertools

import cv2
import numpy as np
import pytest

from toonify.drawing.finish.contours import contours
from toonify.drawing.finish.filters import gaussian
from toonify.drawing.finish.flatten import flatten
from toonify.styles.look import Lines, Tones

SIDE = 160
DARK, BRIGHT = 0.25, 0.6


def drawn(lightness: np.ndarray, lines: Lines | None = None) -> np.ndarray:
    """The opacity of the lines of a gray picture."""
    lightness = np.asarray(lightness, np.float32)
    flat = flatten([lightness, np.zeros_like(lightness), np.zeros_like(lightness)], Tones())
    return contours(lightness, lightness, flat.edges, flat.tensor, lines or Lines())


def as_photographed(fine: np.ndarray, blur: float = 0.7) -> np.ndarray:
    """A picture of 4 times the size brought down, as soft as a lens leaves it."""
    return gaussian(cv2.resize(fine.astype(np.float32), (SIDE, SIDE), interpolation=cv2.INTER_AREA), blur)


def fine_grid() -> tuple[np.ndarray, np.ndarray]:
    y, x = (np.mgrid[: 4 * SIDE, : 4 * SIDE] + 0.5) / 4 - SIDE / 2
    return x, y


def border(angle: float, *, dark: float = DARK, bright: float = BRIGHT, blur: float = 0.7) -> np.ndarray:
    """Two flat areas; dark is where the distance from a straight line through the middle is negative."""
    x, y = fine_grid()
    distance = np.cos(np.deg2rad(angle)) * x + np.sin(np.deg2rad(angle)) * y
    return as_photographed(np.where(distance < 0, dark, bright), blur)


def distances(angle: float) -> tuple[np.ndarray, np.ndarray]:
    """Of pixels from that line, and along it."""
    y, x = np.mgrid[:SIDE, :SIDE] + 0.5 - SIDE / 2
    cosine, sine = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
    return cosine * x + sine * y, cosine * y - sine * x


@pytest.mark.parametrize("angle", [0, 10, 25, 45, 70, 90, 115, 180, 300])
def test_one_even_line_on_the_dark_side_of_a_border(angle: float) -> None:
    opacity = drawn(border(angle))
    across, along = distances(angle)
    assert opacity[np.abs(across) > 4].max() == 0
    assert opacity.max() == pytest.approx(0.7, abs=0.01)
    places = np.arange(-60, 61, 10)
    for low, high in itertools.pairwise(places):
        part = np.where((along >= low) & (along < high), opacity, 0)
        assert part.sum() / (high - low) == pytest.approx(1.58, rel=0.12)  # the area of the line, per pixel of length
        assert -2 < (part * across).sum() / part.sum() < -0.6


@pytest.mark.parametrize("radius", [25, 60])
@pytest.mark.parametrize("inside", ["dark", "bright"])
def test_one_even_line_along_a_curved_border(radius: float, inside: str) -> None:
    x, y = fine_grid()
    values = (DARK, BRIGHT) if inside == "dark" else (BRIGHT, DARK)
    opacity = drawn(as_photographed(np.where(np.hypot(x, y) < radius, *values)))
    down, right = np.mgrid[:SIDE, :SIDE] + 0.5 - SIDE / 2
    distance = np.hypot(down, right) - radius
    assert opacity[np.abs(distance) > 4].max() == 0
    sector = np.floor(np.arctan2(down, right) / (2 * np.pi) * 16).astype(int) + 8
    darker = -1 if inside == "dark" else 1
    for number in range(16):
        part = np.where(sector == number, opacity, 0)
        middle = (part * distance).sum() / part.sum()
        assert 0.6 < darker * middle < 2
        assert part.sum() / (2 * np.pi * (radius + middle) / 16) == pytest.approx(1.58, rel=0.12)


def test_lines_are_as_wide_as_the_look_says() -> None:
    areas = [drawn(border(20), Lines(width=width)).sum() for width in (0.6, 0.85, 1.4)]
    assert areas[0] < areas[1] < areas[2]


def test_strength_is_the_largest_opacity_and_a_factor_on_all() -> None:
    full, half, none = (drawn(border(20), Lines(strength=strength)) for strength in (1.0, 0.5, 0.0))
    assert full.max() == pytest.approx(1, abs=0.01)
    assert np.allclose(half, 0.5 * full, atol=1e-6) and none.max() == 0


@pytest.mark.parametrize("deviation", [0.01, 0.03, 0.1])
def test_noise_has_no_lines(deviation: float) -> None:
    noise = np.random.default_rng(0).normal(0.5, deviation, (SIDE, SIDE))
    assert drawn(noise).max() == 0


def test_texture_as_of_leaves_has_no_lines() -> None:
    coarse = gaussian(np.random.default_rng(0).random((SIDE, SIDE)), 1.2)
    assert drawn(0.4 + 0.15 * (coarse - coarse.mean()) / coarse.std()).max() == 0


def test_a_border_that_was_soft_in_the_photo_has_none() -> None:
    strongest = [drawn(border(20, blur=blur)).max() for blur in (0.7, 1, 1.5, 2, 4)]
    assert strongest[0] == pytest.approx(0.7, abs=0.01) and strongest[3:] == [0, 0]
    assert strongest == sorted(strongest, reverse=True)


def test_a_faint_border_has_none() -> None:
    strongest = [drawn(border(20, dark=0.3, bright=0.3 + contrast)).max() for contrast in (0.03, 0.1, 0.25)]
    assert strongest[:2] == [0, 0] and strongest[2] > 0.6


def test_short_lines_are_left_out() -> None:
    def around(side: int, length: float) -> float:
        square = np.full((SIDE, SIDE), BRIGHT, np.float32)
        square[50 : 50 + side, 60 : 60 + side] = DARK
        return float(drawn(gaussian(square, 0.7), Lines(length=length)).max())

    assert around(8, 22) == around(12, 22) == 0
    assert 0 < around(21, 22) < around(40, 22) == pytest.approx(0.7, abs=0.01)
    assert around(21, 0) == pytest.approx(0.7, abs=0.01)
    assert around(40, 90) == 0


def test_lines_are_fainter_on_bright_ground() -> None:
    strongest = [drawn(border(20, dark=dark, bright=dark + 0.28)).max() for dark in (0.1, 0.4, 0.5, 0.6, 0.7)]
    assert strongest[:2] == pytest.approx([0.7, 0.7], abs=0.01)
    assert strongest[1] > strongest[2] > strongest[3] > strongest[4] == pytest.approx(0.25 * 0.7, abs=0.01)


def test_thresholds_that_are_equal_make_lines_without_a_transition() -> None:
    opacity = drawn(border(20), Lines(faintest=0.01, full=0.01, edge=(0.03, 0.03), isolation=(1.5, 1.5), length=0))
    assert np.isfinite(opacity).all() and opacity.max() == pytest.approx(0.7, abs=0.01)


def test_an_edge_that_was_soft_in_the_photo_has_no_line_however_hard_it_was_drawn() -> None:
    hard = border(20)
    flat = flatten([hard, np.zeros_like(hard), np.zeros_like(hard)], Tones())
    soft_photo = border(20, blur=4)
    assert contours(hard, hard, flat.edges, flat.tensor, Lines()).max() > 0.6
    assert contours(soft_photo, hard, flat.edges, flat.tensor, Lines()).max() < 0.1
