"""Faces in the finish: no lines on skin, and features as they were drawn."""

import numpy as np
import pytest

from toonify.drawing.faces import Face, Point
from toonify.drawing.finish.filters import gaussian
from toonify.drawing.finish.grade import apply_grade
from toonify.drawing.finish.portrait import Portrait, find_portrait
from toonify.pixels.boxes import Box
from toonify.styles.look import Grade

PICTURE = Box(0, 0, 200, 240)


def face_in(box: Box) -> Face:
    height, width = box.size

    def at(x: float, y: float) -> Point:
        return Point(box.left + x * width, box.top + y * height)

    return Face(box, at(0.3, 0.42), at(0.7, 0.42), at(0.5, 0.6), at(0.36, 0.78), at(0.64, 0.78), 0.9)


FACE = face_in(Box(40, 70, 140, 150))


def test_skin_is_in_the_middle_of_the_face_and_ends_at_its_box() -> None:
    portrait = find_portrait([FACE], PICTURE)
    assert portrait.skin[85:95, 105:115].min() == 1
    outside = np.ones(PICTURE.size, bool)
    outside[FACE.box.slices] = False
    assert portrait.skin[outside].max() < 0.05
    outside[FACE.box.widened(2).slices] = False
    assert portrait.skin[outside].max() == 0
    assert portrait.skin.min() >= 0 and portrait.skin.max() == 1


def test_skin_is_an_ellipse_with_a_soft_edge() -> None:
    skin = find_portrait([FACE], PICTURE).skin
    share = 0.42 * 80  # half axes: 0.42 of the width, 0.47 of the height
    for part, expected in ((0.7, 1), (0.925, 0.5), (1.12, 0)):
        assert skin[90, round(110 + part * share)] == pytest.approx(expected, abs=0.05)
        assert skin[round(90 + part * 47), 110] == pytest.approx(expected, abs=0.05)


def test_features_are_at_the_eyes_and_the_mouth_and_not_on_cheeks_and_forehead() -> None:
    features = find_portrait([FACE], PICTURE).features
    for point in (FACE.right_eye, FACE.left_eye):
        assert features[round(point.y), round(point.x)] == 1
    assert features[118, 110] == 1
    for y, x in ((100, 80), (100, 140), (45, 110), (0, 0), (199, 239)):
        assert features[y, x] < 0.2


def test_two_faces_are_as_much_as_each_of_them() -> None:
    other = face_in(Box(20, 160, 60, 190))
    both, first, second = (find_portrait(faces, PICTURE) for faces in ([FACE, other], [FACE], [other]))
    assert np.array_equal(both.skin, np.maximum(first.skin, second.skin))
    assert np.array_equal(both.features, np.maximum(first.features, second.features))


def test_without_a_face_near_there_is_no_portrait() -> None:
    assert find_portrait([], PICTURE) is None
    assert find_portrait([FACE], Box(0, 600, 100, 700)) is None


@pytest.mark.parametrize(
    "box", [Box(0, 0, 90, 110), Box(37, 64, 150, 151), Box(0, 152, 200, 240), Box(141, 0, 200, 99)]
)
def test_a_part_of_a_picture_has_that_part_of_the_masks(box: Box) -> None:
    """Parts that the face's own box does not touch, too: the masks of its eyes fade out beyond it."""
    whole, part = find_portrait([FACE], PICTURE), find_portrait([FACE], box)
    assert np.allclose(part.skin, whole.skin[box.slices], atol=1e-5)
    assert np.allclose(part.features, whole.features[box.slices], atol=1e-5)


@pytest.mark.parametrize("box", [Box(-1, -1, 30, 25).common(PICTURE), Box(150, 200, 200, 240), Box(60, 0, 61, 1)])
def test_faces_at_borders_and_of_a_pixel_have_masks(box: Box) -> None:
    portrait = find_portrait([face_in(box)], PICTURE)
    for mask in (portrait.skin, portrait.features):
        assert mask.shape == PICTURE.size and np.isfinite(mask).all() and mask.min() >= 0 and mask.max() <= 1


def masks(skin: float, features: float) -> Portrait:
    return Portrait(*(np.full((12, 12), value, np.float32) for value in (skin, features)))


def test_lines_on_skin_are_cleared_those_of_features_quartered_and_surroundings_stay() -> None:
    opacity = np.full((12, 12), 0.6, np.float32)
    for skin, features, expected in ((1, 0, 0), (1, 1, 0.15), (0, 0, 0.6), (0.5, 0, 0.3)):
        assert masks(skin, features).clear_lines(opacity) == pytest.approx(np.full((12, 12), expected), abs=1e-6)


def test_skin_has_no_steps_and_features_come_back_sharpened() -> None:
    rng = np.random.default_rng(0)
    stepped, flat, soft = ([rng.random((12, 12), np.float32) for _ in range(3)] for _ in range(3))
    outside = masks(0, 0).keep_features(stepped, flat, soft)
    assert all(np.array_equal(*pair) for pair in zip(outside, stepped, strict=True))
    skin = masks(1, 0).keep_features(stepped, flat, soft)
    assert np.allclose(skin[0], 0.65 * flat[0] + 0.35 * soft[0], atol=1e-6)
    assert np.allclose(skin[1], stepped[1]) and np.allclose(skin[2], stepped[2])
    features = masks(1, 1).keep_features(stepped, flat, soft)
    sharp = soft[0] + 0.4 * (soft[0] - gaussian(soft[0], 1.5))
    for found, under, over in zip(features, stepped, [sharp, *soft[1:]], strict=True):
        assert np.allclose(found, 0.15 * under + 0.85 * over, atol=1e-5)


def test_faces_get_a_gentler_grade_and_what_is_around_them_the_looks_own() -> None:
    planes = [np.linspace(0, 1, 144, dtype=np.float32).reshape(12, 12), *(np.full((12, 12), 0.1, np.float32),) * 2]
    hard, soft = Grade(contrast=0.75, black=0.26, lift=0.1), Grade(contrast=0, black=0.1, lift=0.5)
    graded = apply_grade(planes, hard, 0.5)
    for skin, expected in ((0, hard), (1, soft)):
        eased = masks(skin, 0).ease_grade(graded, planes, hard, 0.5)
        for found, wanted in zip(eased, apply_grade(planes, expected, 0.5), strict=True):
            assert np.allclose(found, wanted, atol=1e-6)
    assert masks(1, 0).ease_grade(graded, planes, soft, 0.5) is graded
