"""Lines over a picture, and how they come up to the photo's size."""

import cv2
import numpy as np
import pytest

from toonify.pixels.arrays import to_floats
from toonify.pixels.ink import Ink
from toonify.pixels.upsample import upsample

SCALE = 5


def test_ink_takes_the_color_under_it_and_leaves_a_part_of_it(rng: np.random.Generator) -> None:
    planes, opacity = list(rng.random((3, 8, 9), np.float32)), rng.random((8, 9), np.float32)
    result = Ink(opacity, 0.25, (0.1, 0.0, 0.3)).over(planes, opacity)
    for plane, over, added in zip(planes, result, (0.1, 0.0, 0.3), strict=True):
        assert np.allclose(over, (1 - opacity) * plane + opacity * (0.25 * plane + added), atol=1e-6)


@pytest.mark.parametrize(("keep", "color"), [(0.25, (0.0, 0.0, 0.0)), (0.0, (1.0, 0.2, 0.0)), (1.0, (0.0, 0.0, 0.0))])
def test_no_ink_is_the_picture_and_full_ink_its_color(
    keep: float, color: tuple[float, float, float], rng: np.random.Generator
) -> None:
    planes = list(rng.random((3, 8, 9), np.float32))
    none, full = (np.full((8, 9), value, np.float32) for value in (0, 1))
    ink = Ink(full, keep, color)
    for plane, without, over, added in zip(planes, ink.over(planes, none), ink.over(planes, full), color, strict=True):
        assert np.array_equal(without, plane)
        assert np.allclose(over, keep * plane + added, atol=1e-6)


def line(angle: float, width: float, side: int = 80) -> np.ndarray:
    """The opacity of a line through the middle, across an axis at that angle, averaged over pixels."""
    y, x = (np.mgrid[: 8 * side, : 8 * side] + 0.5) / 8 - side / 2
    distance = np.cos(np.deg2rad(angle)) * x + np.sin(np.deg2rad(angle)) * y
    fine = (np.abs(distance) < width / 2).astype(np.float32)
    return 0.7 * cv2.resize(fine, (side, side), interpolation=cv2.INTER_AREA)


def over_flat(opacity: np.ndarray, gray: float = 0.8) -> np.ndarray:
    """A flat drawing of a flat photo with lines, 5 times as large."""
    side = len(opacity)
    small, full = (np.full((size, size, 3), 120, np.uint8) for size in (side, SCALE * side))
    drawing = np.full((side, side, 3), gray, np.float32)
    return upsample(drawing, small, full, ink=Ink(opacity, 0.25, (0.0, 0.0, 0.0)))


@pytest.mark.parametrize("angle", [10, 25, 40, 45])
@pytest.mark.parametrize("width", [1.6, 2.5])
def test_lines_come_up_crisp_and_of_even_width(angle: float, width: float) -> None:
    out = over_flat(line(angle, width))
    assert (np.ptp(out, axis=2) == 0).all()
    shades = out[100:300, :, 0].astype(float)
    share = (204 - shades) / (204 - shades.min())  # of the line in pixels
    across = np.cos(np.deg2rad(angle))
    widths = share.sum(axis=1) * across
    assert widths.mean() == pytest.approx(SCALE * width, rel=0.1)
    assert widths.std() < 0.1 * widths.mean() and widths.min() > 0.75 * widths.mean()
    soft = ((share > 0.1) & (share < 0.9)).sum(axis=1) * across / 2
    enlarged = cv2.resize(line(angle, width), None, fx=SCALE, fy=SCALE, interpolation=cv2.INTER_CUBIC)[100:300] / 0.7
    bicubic = ((enlarged > 0.1) & (enlarged < 0.9)).sum(axis=1) * across / 2
    assert soft.mean() < 3 and soft.mean() < 0.75 * bicubic.mean()  # pixels on each side of the line


def test_lines_of_whole_pixels_have_their_width_and_two_pixels_of_transition() -> None:
    for width in (1, 2, 3):
        opacity = np.zeros((40, 40), np.float32)
        opacity[:, 20 : 20 + width] = 0.7
        row = over_flat(opacity)[100, :, 0].astype(float)
        share = (204 - row) / (204 - row.min())
        assert share.sum() == pytest.approx(SCALE * width, abs=0.3)
        assert ((share > 0.1) & (share < 0.9)).sum() == 4
        assert row.min() == round(204 * (1 - 0.7 * 0.75))


@pytest.mark.parametrize("angle", [0, 25, 45])
def test_lines_have_no_halo(angle: float) -> None:
    out = over_flat(line(angle, 1.6))
    assert out.max() == 204
    away = cv2.dilate(cv2.resize(line(angle, 1.6), (400, 400)), np.ones((11, 11))) == 0
    assert (out[away] == 204).all()
    assert out.min() >= round(204 * (1 - 0.7 * 0.75)) - 1


def test_a_line_on_an_edge_leaves_the_edge_as_sharp_as_the_photos() -> None:
    full = np.full((400, 400, 3), 60, np.uint8)
    full[:, 200:] = 200
    small = full[::SCALE, ::SCALE]
    opacity = np.zeros((80, 80), np.float32)
    opacity[:, 38:40] = 0.7
    row = upsample(to_floats(small), small, full, ink=Ink(opacity, 0.25, (0.0, 0.0, 0.0)))[200, :, 0]
    assert (row[:185] == 60).all() and (row[205:] == 200).all() and row.max() == 200
    assert row[192:198].max() <= round(60 * (1 - 0.7 * 0.75)) + 1
    assert row[201] > 150 and row[198] < 60


def test_where_there_is_no_line_the_picture_is_what_it_is_without_ink(rng: np.random.Generator) -> None:
    drawing = rng.random((30, 40, 3), np.float32)
    small, full = (rng.integers(0, 256, (30 * k, 40 * k, 3), dtype=np.uint8) for k in (1, 3))
    opacity = np.zeros((30, 40), np.float32)
    opacity[:, :10] = rng.random((30, 10))
    inked, plain = (
        upsample(drawing, small, full, ink=ink, detail=0.5) for ink in (Ink(opacity, 0, (0.0, 0.0, 0.0)), None)
    )
    assert np.array_equal(inked[:, 36:], plain[:, 36:])
    assert (inked[:, :24] < plain[:, :24]).mean() > 0.8


@pytest.mark.parametrize("size", [(30, 40), (15, 20), (7, 9), (1, 1)])
def test_in_a_result_no_larger_than_the_drawing_lines_are_a_part_of_it(
    size: tuple[int, int], rng: np.random.Generator
) -> None:
    drawing, opacity = rng.random((30, 40, 3), np.float32), rng.random((30, 40), np.float32)
    ink = Ink(opacity, 0.25, (0.1, 0.0, 0.0))
    photo, full = np.zeros((30, 40, 3), np.uint8), np.zeros((*size, 3), np.uint8)
    inked = np.stack(ink.over(list(drawing.transpose(2, 0, 1)), opacity), axis=2)
    expected = 255 * cv2.resize(inked, size[::-1], interpolation=cv2.INTER_AREA)
    assert np.abs(upsample(drawing, photo, full, ink=ink) - expected).max() <= 0.51
