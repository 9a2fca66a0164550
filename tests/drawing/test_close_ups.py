"""Faces that are small in a picture: which are drawn once more, how large, and how they are put in their place."""

import math

import numpy as np
import pytest

from toonify.drawing.close_ups import CloseUp, find_close_ups, put_in_place, scaled_face
from toonify.drawing.faces import Face, Point
from toonify.pixels.boxes import Box

FULL = np.random.default_rng(0).integers(0, 256, (900, 1200, 3), dtype=np.uint8)
SMALL = FULL[::2, ::2]


def face_in(box: Box) -> Face:
    height, width = box.size

    def at(x: float, y: float) -> Point:
        return Point(box.left + x * width, box.top + y * height)

    return Face(box, at(0.3, 0.42), at(0.7, 0.42), at(0.5, 0.6), at(0.36, 0.78), at(0.64, 0.78), 0.9)


def face(height: int, top: int = 100, left: int = 200) -> Face:
    return face_in(Box(top, left, top + height, left + round(0.8 * height)))


def points(face: Face) -> np.ndarray:
    places = (face.right_eye, face.left_eye, face.nose, face.right_mouth, face.left_mouth)
    return np.array([(point.x, point.y) for point in places])


@pytest.mark.parametrize("height", [100, 101, 300])
def test_faces_that_are_near_are_drawn_well_as_they_are(height: int) -> None:
    assert find_close_ups([face(height)], FULL, SMALL) == []


@pytest.mark.parametrize(("height", "drawn"), [(99, 144), (60, 144), (29, 144), (20, 100), (8, 40)])
def test_far_faces_are_drawn_at_144_pixels_but_no_more_than_two_and_a_half_times_enlarged(
    height: int, drawn: int
) -> None:
    """The photo has twice the drawing's size here."""
    (close_up,) = find_close_ups([face(height)], FULL, SMALL)
    assert close_up.face.box.size[0] == pytest.approx(drawn, abs=1)
    assert close_up.in_photo.box == Box(200, 400, 200 + 2 * height, 400 + 2 * round(0.8 * height))


def test_a_close_up_is_the_face_with_what_is_around_it() -> None:
    (close_up,) = find_close_ups([face(50)], FULL, SMALL)
    box = close_up.box
    assert box == Box(200 - 70, 400 - 70, 300 + 70, 480 + 70)
    assert close_up.photo.shape == (*(round(1.44 * side) for side in box.size), 3)
    assert close_up.photo.dtype == np.uint8
    scale = np.array(close_up.photo.shape[1::-1]) / box.size[::-1]
    back = points(close_up.face) / scale + (box.left, box.top)
    assert np.abs(back - points(close_up.in_photo)).max() < 1e-3
    assert np.abs(points(close_up.in_photo) - 2 * points(face(50))).max() < 1e-3


@pytest.mark.parametrize("corner", [(0, 0), (0, 560), (400, 0), (400, 560)])
def test_close_ups_at_borders_lie_in_the_photo(corner: tuple[int, int]) -> None:
    (close_up,) = find_close_ups([face(50, *corner)], FULL, SMALL)
    assert close_up.box.common(Box(0, 0, 900, 1200)) == close_up.box
    inside = Box(0, 0, *close_up.photo.shape[:2])
    assert close_up.face.box.common(inside) == close_up.face.box
    assert close_up.photo.shape[0] / close_up.box.size[0] == pytest.approx(1.44, rel=0.01)


def test_all_close_ups_together_have_no_more_pixels_than_the_drawing() -> None:
    faces = [face(90 - k, 20 * k % 350, 40 * k % 500) for k in range(12)]
    close_ups = find_close_ups(faces, FULL, SMALL)
    areas = [close_up.photo.shape[0] * close_up.photo.shape[1] for close_up in close_ups]
    assert 1 <= len(close_ups) < len(faces)
    assert sum(areas) <= SMALL.shape[0] * SMALL.shape[1] < sum(areas) + max(areas)
    expected = [scaled_face(one, Box(0, 0, 0, 0), (2, 2)) for one in faces[: len(close_ups)]]
    assert [close_up.in_photo for close_up in close_ups] == expected  # the largest come first


def test_near_faces_take_nothing_from_the_far_ones() -> None:
    assert len(find_close_ups([face(300), face(120), face(40)], FULL, SMALL)) == 1


@pytest.mark.parametrize("factor", [0.01, 0.05, 0.3])
def test_a_result_much_smaller_than_the_drawing_needs_none(factor: float) -> None:
    result = np.zeros((math.ceil(450 * factor), math.ceil(600 * factor), 3), np.uint8)
    assert find_close_ups([face(99), face(40), face(8)], result, SMALL) == []


def test_a_face_that_would_be_larger_than_it_was_drawn_is_worth_it_in_a_smaller_result() -> None:
    (close_up,) = find_close_ups([face(60)], FULL[:300, :400], SMALL)
    assert 60 < close_up.face.box.size[0] == pytest.approx(100, abs=1)


# Back in place


def close_up_of(one: Face) -> CloseUp:
    (close_up,) = find_close_ups([one], FULL, SMALL)
    return close_up


def distance(close_up: CloseUp) -> np.ndarray:
    """Of all pixels of the photo from the middle of the face, in its heights."""
    box = close_up.in_photo.box
    y, x = np.mgrid[:900, :1200]
    height = box.size[0]
    return np.hypot(y - (box.top + box.bottom) / 2, x - (box.left + box.right) / 2) / height


@pytest.mark.parametrize("one", [face(50), face(90, 0, 0), face(30, 415, 570)])
def test_only_the_face_is_replaced_and_what_is_outside_its_oval_is_untouched(one: Face) -> None:
    close_up = close_up_of(one)
    picture = FULL.copy()
    drawn = np.full((*close_up.box.size, 3), (10, 200, 90), np.uint8)
    put_in_place(picture, close_up, drawn)
    away = distance(close_up)
    assert np.array_equal(picture[away > 1.45 * 0.62], FULL[away > 1.45 * 0.62])
    assert (picture[away < 0.61] == (10, 200, 90)).all()
    between = (away > 0.62) & (away < 1.45 * 0.62)
    low, high = np.minimum(FULL, (10, 200, 90)), np.maximum(FULL, (10, 200, 90))
    assert (picture[between] >= low[between]).all() and (picture[between] <= high[between]).all()


def test_the_seam_is_soft() -> None:
    close_up = close_up_of(face(90))
    picture = np.full_like(FULL, 60)
    put_in_place(picture, close_up, np.full((*close_up.box.size, 3), 200, np.uint8))
    assert max(np.abs(np.diff(picture.astype(int), axis=axis)).max() for axis in (0, 1)) <= 6


def test_the_same_picture_put_in_its_place_changes_nothing() -> None:
    close_up = close_up_of(face(70, 0, 3))
    picture = FULL.copy()
    put_in_place(picture, close_up, FULL[close_up.box.slices])
    assert np.array_equal(picture, FULL)


def test_a_scaled_face_is_moved_first_and_keeps_its_score() -> None:
    scaled = scaled_face(face_in(Box(10, 20, 30, 60)), Box(4, 10, 99, 99), (2.0, 0.5))
    assert scaled.box == Box(12, 5, 52, 25) and scaled.score == 0.9
    assert scaled.nose == Point((40 - 10) * 0.5, (22 - 4) * 2)
