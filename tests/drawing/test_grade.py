"""The grade: light and color of a whole picture, and the light that spreads."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toonify.drawing.finish.grade import Frame, add_glow, apply_grade, measure_frame
from toonify.drawing.finish.lab import to_planes, to_rgb
from toonify.pixels.boxes import Box
from toonify.styles.look import Grade

NEUTRAL = Grade(lift=0, contrast=0, black=0, white=1, saturation=1, vibrance=0)


def plane(*values: float) -> np.ndarray:
    return np.array([values], np.float32)


def graded(lightness: np.ndarray, grade: Grade, mean: float = 0.5, a: float = 0, b: float = 0) -> list[np.ndarray]:
    return apply_grade([lightness, np.full_like(lightness, a), np.full_like(lightness, b)], grade, mean)


def test_a_neutral_grade_leaves_a_picture_as_it_is(rng: np.random.Generator) -> None:
    picture = rng.random((40, 40, 3), np.float32)
    planes = to_planes(picture)
    for before, after in zip(planes, apply_grade(planes, NEUTRAL, 0.3), strict=True):
        assert np.abs(after - before).max() < 1e-6
    assert np.abs(to_rgb(apply_grade(planes, NEUTRAL, 0.3)) - picture).max() < 1.5 / 255


# Light


@pytest.mark.parametrize(("mean", "lift"), [(0.4, 0.5), (0.42, 0.4), (0.45, 1), (0.5, 0.3), (0.57, 1)])
def test_a_dark_frame_is_brought_as_far_to_the_grades_lightness_as_it_says(mean: float, lift: float) -> None:
    lightness, _, _ = graded(np.full((4, 4), mean, np.float32), Grade(lift=lift, contrast=0, black=0), mean)
    assert lightness == pytest.approx(mean + lift * (0.58 - mean), abs=1e-5)


def test_frames_as_bright_as_that_are_not_made_darker_and_night_stays_night() -> None:
    grade = Grade(lift=1, contrast=0, black=0)
    assert graded(plane(0.58, 0.7, 0.9), grade, 0.7)[0] == pytest.approx(plane(0.58, 0.7, 0.9), abs=1e-6)
    dark = Grade(lift=0.4, contrast=0, black=0)
    assert graded(plane(0.3), dark, 0.3)[0] == pytest.approx(0.3 + 0.8 * 0.4 * (0.58 - 0.3), abs=1e-5)  # four fifths
    assert graded(plane(0.1), grade, 0.1)[0] == pytest.approx(0.1**0.62, abs=1e-5)
    assert graded(plane(0.1), grade, 0.0)[0] == pytest.approx(0.1**0.62, abs=1e-5)


def test_black_and_white_come_to_their_places() -> None:
    lightness, _, _ = graded(plane(-0.1, 0, 0.5, 1, 1.1), Grade(contrast=0, black=0.1, white=0.9), 0.7)
    assert lightness == pytest.approx(plane(0.1, 0.1, 0.5, 0.9, 0.9), abs=1e-5)


def test_contrast_leaves_black_middle_and_white_and_makes_midtones_steeper() -> None:
    values = plane(0, 0.25, 0.5, 0.75, 1)
    more, less = (graded(values, Grade(contrast=share, black=0), 0.7)[0] for share in (0.4, -0.4))
    curve = 3 * values**2 - 2 * values**3
    assert more == pytest.approx(values + 0.4 * (curve - values), abs=1e-5)
    assert less == pytest.approx(values - 0.4 * (curve - values), abs=1e-5)


@given(st.floats(0, 1), st.floats(0, 1), st.floats(-1, 1), st.floats(0, 0.5), st.floats(0.5, 1), st.floats(0, 1))
def test_what_is_brighter_stays_so(
    lightness: float, lift: float, contrast: float, black: float, white: float, mean: float
) -> None:
    grade = Grade(lightness=lightness, lift=lift, contrast=contrast, black=black, white=white)
    (after,), _, _ = graded(np.linspace(0, 1, 201, dtype=np.float32)[None], grade, mean)
    assert (np.diff(after) >= -1e-6).all() and after[0] >= 0 and after[-1] <= 1 + 1e-6


# Color


def test_grays_stay_gray() -> None:
    grade = Grade(contrast=0.5, saturation=3, vibrance=1, greens=1)
    lightness, a, b = graded(np.linspace(0, 1, 50, dtype=np.float32)[None], grade, 0.2)
    assert np.ptp(lightness) > 0.5 and not a.any() and not b.any()
    gray = np.repeat(np.linspace(0, 1, 64, dtype=np.float32)[None, :, None], 3, axis=2)
    picture = to_rgb(apply_grade(to_planes(gray), grade, 0.2))
    assert np.ptp(picture, axis=2).max() < 2.5 / 255  # OpenCV's grays are so by 0.1 of 100, and that times 3


def test_saturation_is_a_factor_and_keeps_the_hue() -> None:
    grade = Grade(lift=0, contrast=0, black=0, saturation=1.5, vibrance=0)
    _, a, b = graded(plane(0.2, 0.5, 0.8), grade, a=0.2, b=0.3)
    assert a == pytest.approx(plane(*[0.3] * 3), abs=1e-6) and b == pytest.approx(plane(*[0.45] * 3), abs=1e-6)


def test_stronger_blues_do_not_turn_purple() -> None:
    grade = Grade(lift=0, contrast=0, black=0, saturation=1.5, vibrance=0)
    _, a, b = graded(plane(0.4), grade, a=0.1, b=-0.4)
    assert b[0, 0] == pytest.approx(-0.6, abs=1e-6)
    assert a[0, 0] < 0.1 * 1.5 - 0.05  # the hue turns towards blue as its chroma grows


def test_vibrance_strengthens_dull_colors_more_than_strong_ones_and_near_grays_not_at_all() -> None:
    grade = Grade(lift=0, contrast=0, black=0, saturation=1, vibrance=1)
    chromas = (0.01, 0.1, 0.3, 0.8)
    factors = [float(graded(plane(0.5), grade, b=chroma)[2][0, 0]) / chroma for chroma in chromas]
    assert factors == pytest.approx([1, 1 + np.exp(-1 / 9), 1 + np.exp(-1), 1], abs=2e-3)


def test_what_gets_lighter_gets_some_more_color() -> None:
    grade = Grade(lift=1, contrast=0, black=0, saturation=1, vibrance=0)
    lightness, a, _ = graded(plane(0.45), grade, 0.45, a=0.3)
    assert float(a[0, 0]) / 0.3 == pytest.approx(((lightness[0, 0] + 0.05) / 0.5) ** 0.45, abs=1e-4)
    assert a[0, 0] > 0.3


def test_greens_turn_to_yellow_and_other_colors_do_not() -> None:
    grade = Grade(lift=0, contrast=0, black=0, saturation=1, vibrance=0, greens=0.6)
    _, a, b = graded(plane(0.5), grade, a=-0.3, b=0.3)
    assert a[0, 0] == pytest.approx(-0.3 * (1 - 0.3), abs=1e-6) and b[0, 0] == pytest.approx(0.3 * 1.09, abs=1e-6)
    for color in ((0.3, 0.3), (0.3, -0.3), (-0.3, -0.3), (0.0, 0.4)):
        _, a, b = graded(plane(0.5), grade, a=color[0], b=color[1])
        assert (a[0, 0], b[0, 0]) == pytest.approx(color, abs=1e-6)


def test_shadows_and_highlights_are_shifted_and_the_middle_is_not() -> None:
    grade = Grade(lift=0, contrast=0, black=0, saturation=2, vibrance=0, shadows=(-0.05, -0.1), highlights=(0.02, 0.08))
    _, a, b = graded(plane(0, 0.1, 0.575, 0.95, 1), grade)
    assert a == pytest.approx(plane(-0.05, -0.05, 0, 0.02, 0.02), abs=1e-6)
    assert b == pytest.approx(plane(-0.1, -0.1, 0, 0.08, 0.08), abs=1e-6)


# The frame, and glow


@pytest.mark.parametrize("size", [(1, 1), (5, 700), (192, 192), (600, 400)])
def test_a_frame_has_its_mean_lightness_at_any_size(size: tuple[int, int]) -> None:
    photo = np.empty((*size, 3), np.uint8)
    photo[:], photo[: size[0] // 2] = 119, 119  # L = 50
    assert measure_frame(photo, None).lightness == pytest.approx(0.5, abs=0.005)
    assert measure_frame(photo, Grade(glow=0)).glow is None


def test_a_frame_half_black_and_half_white_has_their_mean() -> None:
    photo = np.zeros((300, 400, 3), np.uint8)
    photo[:, 200:] = 255
    assert measure_frame(photo, None).lightness == pytest.approx(0.5, abs=0.01)


def test_glow_spreads_around_what_is_bright_in_its_color_and_there_is_none_in_the_dark() -> None:
    photo = np.full((150, 190, 3), 40, np.uint8)
    assert measure_frame(photo, Grade(glow=1)).glow.max() == 0
    photo[65:85, 85:105] = (255, 240, 200)
    glow = measure_frame(photo, Grade(glow=1, saturation=1, vibrance=0)).glow
    assert glow.shape == (3, 150, 190) and glow.dtype == np.float32
    assert glow.min() >= 0 and 0.2 < glow[:, 75, 95].max() <= 1
    assert glow[0, 75, 95] > glow[1, 75, 95] > glow[2, 75, 95]
    row = glow[0, 75, 95:]
    assert (np.diff(row) <= 1e-7).all() and row[14] > 0.02 and row[60] < 1e-3


def test_glow_adds_light_as_a_second_exposure_does_and_takes_none(rng: np.random.Generator) -> None:
    picture, glow = rng.random((20, 30, 3), np.float32), rng.random((20, 30, 3), np.float32)
    result = add_glow(picture, glow, 0.4)
    assert np.allclose(result, picture + 0.4 * glow - 0.4 * glow * picture, atol=1e-6)
    assert (result >= picture - 1e-6).all() and result.max() <= 1
    assert np.allclose(add_glow(picture, glow, 0), picture, atol=1e-6)


def test_a_part_of_the_frame_has_its_part_of_the_glow() -> None:
    glow = np.arange(3 * 4 * 6, dtype=np.float32).reshape(3, 4, 6)
    part = Frame(0.5, glow).cropped(Box(100, 200, 200, 300), 400, 600)
    assert part.lightness == 0.5
    assert part.glow is not None
    assert np.array_equal(part.glow, glow[:, 1:2, 2:3])
    assert Frame(0.5, None).cropped(Box(0, 0, 1, 1), 400, 600).glow is None
