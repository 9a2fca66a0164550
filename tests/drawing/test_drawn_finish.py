"""The drawn finish as a whole: in tiles as at once, at any size, from the photo to beyond the drawing."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from PIL import Image
from samples import PHOTOS

from toonify.drawing.faces import Face, Point
from toonify.drawing.finish import Colors, finish, finish_soft
from toonify.drawing.finish import drawn as module
from toonify.drawing.finish.drawn import finish_drawn
from toonify.drawing.finish.grade import Frame, measure_frame
from toonify.errors import ImageError
from toonify.pixels.arrays import Floats, Pixels, to_floats
from toonify.pixels.boxes import Box
from toonify.styles.look import Grade, Lines, Look, Tones

FULL_LOOK = Look(Lines(), Tones(), Grade(glow=0.4, greens=0.3, shadows=(0.0, -0.04)))
LOOKS = {
    "all": FULL_LOOK,
    "lines": Look(Lines(), None, None),
    "tones": Look(None, Tones(), None),
    "grade": Look(None, None, Grade(glow=1)),
    "nothing": Look(None, None, None),
}
COLORS = Colors(0.5, 1.1)


def photo(name: str, height: int, width: int) -> Pixels:
    with Image.open(PHOTOS / f"{name}.jpg") as image:
        return np.asarray(image)[-height:, -width:].copy()


def photo_of_any_size(height: int, width: int) -> Pixels:
    coarse = np.random.default_rng(0).integers(0, 256, (-(-height // 4), -(-width // 4), 3), dtype=np.uint8)
    return coarse.repeat(4, axis=0).repeat(4, axis=1)[:height, :width]


def face_in(box: Box) -> Face:
    height, width = box.size

    def at(x: float, y: float) -> Point:
        return Point(box.left + x * width, box.top + y * height)

    return Face(box, at(0.3, 0.42), at(0.7, 0.42), at(0.5, 0.6), at(0.36, 0.78), at(0.64, 0.78), 0.9)


def drawn(
    small: Pixels, look: Look, faces: Sequence[Face] = (), frame: Frame | None = None
) -> tuple[Floats, Floats, int]:
    """Colors and lines of a drawing that is the photo itself, and the number of boxes that they came in."""
    drawing = to_floats(small)
    colors, opacity = np.full(small.shape, np.nan, np.float32), np.full(small.shape[:2], np.nan, np.float32)
    count = 0
    for box, part, lines in finish_drawn(
        lambda box: drawing[box.slices], small, look, frame or measure_frame(small, look.grade), faces
    ):
        assert np.isnan(opacity[box.slices]).all()  # no pixel comes twice
        colors[box.slices], opacity[box.slices] = part, lines
        count += 1
    assert np.isfinite(colors).all() and np.isfinite(opacity).all()
    return colors, opacity, count


# Tiles


@pytest.mark.parametrize(("name", "size"), [("singapore", (301, 397)), ("casa-mila", (260, 333))])
@pytest.mark.parametrize("tile", [128, 75])
def test_tiles_are_what_the_whole_is(
    name: str, size: tuple[int, int], tile: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = photo(name, *size)
    faces = [face_in(Box(60, 150, 200, 260)), face_in(Box(10, 0, 40, 20))]
    whole, whole_lines, one = drawn(small, FULL_LOOK, faces)
    monkeypatch.setattr(module, "_WHOLE", 1000)
    monkeypatch.setattr(module, "_TILE", tile)
    tiled, tiled_lines, count = drawn(small, FULL_LOOK, faces)
    assert one == 1 and count == -(-size[0] // tile) * -(-size[1] // tile)
    assert whole_lines.max() > 0.5
    for at_once, in_tiles in ((whole, tiled), (whole_lines, tiled_lines)):
        assert np.abs(at_once - in_tiles).max() < 1 / 255


@pytest.mark.parametrize("look", [LOOKS["tones"], LOOKS["grade"]], ids=["tones", "grade"])
def test_looks_without_lines_are_the_same_in_tiles(look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    small = photo("singapore", 180, 230)
    whole, _, _ = drawn(small, look)
    monkeypatch.setattr(module, "_WHOLE", 1000)
    monkeypatch.setattr(module, "_TILE", 75)
    tiled, _, _ = drawn(small, look)
    assert np.abs(whole - tiled).max() < 1 / 255


@pytest.mark.parametrize("look", [Lines(length=100), Lines(length=60, width=3)])
def test_long_lines_are_as_long_in_tiles(look: Lines, monkeypatch: pytest.MonkeyPatch) -> None:
    small = np.full((300, 420, 3), 200, np.uint8)
    for number, length in enumerate((50, 75, 90, 110, 130, 160, 200)):
        small[20 + 40 * number : 28 + 40 * number, 30 : 30 + length] = 40
    finish_of_lines = Look(look, None, None)
    _, whole, _ = drawn(small, finish_of_lines)
    monkeypatch.setattr(module, "_WHOLE", 1000)
    monkeypatch.setattr(module, "_TILE", 64)
    _, tiled, _ = drawn(small, finish_of_lines)
    assert np.unique(whole[:, 40].round(2)).size > 3  # lines of several lengths: none, some faint, some in full
    assert np.abs(whole - tiled).max() < 0.01


def test_a_large_face_is_the_same_in_tiles_that_its_box_does_not_touch(monkeypatch: pytest.MonkeyPatch) -> None:
    small = np.random.default_rng(0).integers(0, 256, (100, 828, 3), dtype=np.uint8)
    faces = [face_in(Box(0, 228, 100, 828))]
    whole, _, _ = drawn(small, FULL_LOOK, faces)
    without, _, _ = drawn(small, FULL_LOOK)
    monkeypatch.setattr(module, "_WHOLE", 1000)
    monkeypatch.setattr(module, "_TILE", 130)
    tiled, _, _ = drawn(small, FULL_LOOK, faces)
    assert np.abs(whole - without)[:, :130].max() > 2 / 255  # the face reaches into the first tile
    assert np.abs(whole - tiled).max() < 1 / 255


def test_no_more_is_held_at_once_than_a_tile_with_its_margin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_WHOLE", 1000)
    monkeypatch.setattr(module, "_TILE", 100)
    small = photo("colosseum", 440, 700)
    drawing = to_floats(small)
    asked: list[Box] = []

    def part(box: Box) -> Floats:
        asked.append(box)
        return drawing[box.slices]

    boxes = finish_drawn(part, small, FULL_LOOK, measure_frame(small, FULL_LOOK.grade))
    assert not asked
    for number, (box, colors, opacity) in enumerate(boxes, start=1):
        assert len(asked) == number  # one after the other
        assert asked[-1].common(box) == box and max(asked[-1].size) <= 100 + 2 * 96
        assert colors.shape == (*box.size, 3) and opacity.shape == box.size
        assert colors.dtype == opacity.dtype == np.float32
    assert number == 5 * 7


def test_a_picture_of_twelve_megapixels_is_finished_in_parts_of_one_and_a_half() -> None:
    small = np.zeros((3000, 4000, 3), np.uint8)

    class AskedError(Exception):
        pass

    def part(box: Box) -> Floats:
        raise AskedError(box)

    with pytest.raises(AskedError) as caught:
        next(finish_drawn(part, small, FULL_LOOK, Frame(0.5, None)))
    height, width = caught.value.args[0].size
    assert height * width <= 1.5e6


# Sizes


@pytest.mark.parametrize("size", [(1, 1), (1, 2), (2, 1), (1, 90), (90, 1), (2, 3), (5, 5), (7, 200), (64, 33)])
@pytest.mark.parametrize("scale", [1, 3])
def test_pictures_of_any_size_are_finished(size: tuple[int, int], scale: int) -> None:
    small = photo_of_any_size(*size)
    full = small.repeat(scale, axis=0).repeat(scale, axis=1)
    faces = [face_in(Box(0, 0, *size))]
    result = finish(to_floats(small), small, full, COLORS, FULL_LOOK, detail=0.3, strength=1, faces=faces)
    assert result.shape == full.shape and result.dtype == np.uint8


@pytest.mark.parametrize("size", [(2, 33_000), (33_000, 1)])
def test_very_long_pictures_are_finished(size: tuple[int, int]) -> None:
    small = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    colors, _, count = drawn(small, Look(Lines(), Tones(), Grade()))
    assert colors.shape == small.shape and count > 1


@pytest.mark.parametrize("size", [(90, 130), (45, 65), (7, 9), (1, 1), (180, 260)])
def test_the_result_has_the_size_of_the_full_photo(size: tuple[int, int]) -> None:
    small = photo("periwinkle", 90, 130)
    full = np.asarray(Image.fromarray(small).resize(size[::-1]))
    same = finish(to_floats(small), small, small, COLORS, FULL_LOOK, detail=0, strength=1)
    result = finish(to_floats(small), small, full, COLORS, FULL_LOOK, detail=0, strength=1)
    assert result.shape == full.shape
    assert np.abs(result.mean(axis=(0, 1)) - same.mean(axis=(0, 1))).max() < 4


# Strength, and the parts of a look


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
@pytest.mark.parametrize("scale", [1, 2])
def test_no_strength_is_the_photo_exactly(look: Look, scale: int) -> None:
    full = photo("casa-mila", 160, 200)
    small = full[::scale, ::scale]
    drawing = np.random.default_rng(0).normal(0.5, 0.5, small.shape).astype(np.float32)
    for detail in (0.0, 1.0):
        assert np.array_equal(finish(drawing, small, full, COLORS, look, detail=detail, strength=0), full)


@pytest.mark.parametrize("scale", [1, 2])
def test_strength_goes_from_the_photo_to_the_drawing_and_beyond(scale: int) -> None:
    full = photo("casa-mila", 160, 200)
    small = full[::scale, ::scale]
    half, whole, twice = (
        finish(to_floats(small), small, full, COLORS, FULL_LOOK, detail=0, strength=strength).astype(int)
        for strength in (0.5, 1, 2)
    )
    assert np.abs(half - (whole + full.astype(int)) / 2).max() <= 1
    assert np.abs(twice - (2 * whole - full).clip(0, 255)).max() <= 2
    assert np.abs(twice - full.astype(int)).mean() > 1.5 * np.abs(whole - full.astype(int)).mean()


def test_without_lines_tones_and_grade_the_drawing_stays_but_for_plain_areas() -> None:
    small = photo_of_any_size(80, 100)
    drawing = np.random.default_rng(1).random(small.shape, np.float32)
    plain = Colors(0, 1)
    nothing = finish(drawing, small, small, plain, LOOKS["nothing"], detail=0, strength=1)
    soft = finish_soft(drawing, small, small, plain, detail=0, strength=1)
    assert np.abs(nothing.astype(int) - soft).max() <= 2


def test_lines_are_drawn_in_the_looks_ink_and_only_where_they_are() -> None:
    small = np.full((90, 90, 3), 170, np.uint8)
    small[20:70, 20:70] = 50
    drawing = to_floats(small)
    _, opacity, _ = drawn(small, LOOKS["lines"])
    assert opacity.max() > 0.6
    lines = Lines(keep=0, ink=(0.0, 0.0, 1.0))
    for look, color in ((Lines(), None), (lines, (0, 0, 255))):
        result = finish(drawing, small, small, Colors(0, 1), Look(look, None, None), detail=0, strength=1)
        assert np.abs(result.astype(int) - small)[opacity == 0].max() <= 1
        strongest = np.unravel_index(opacity.argmax(), opacity.shape)
        under = small[strongest].astype(float)
        expected = 0.3 * under + 0.7 * (0.25 * under if color is None else np.array(color))
        assert result[strongest] == pytest.approx(expected, abs=2)
    assert np.array_equal(
        finish(drawing, small, small, Colors(0, 1), LOOKS["nothing"], detail=0, strength=1),
        finish(drawing, small, small, Colors(0, 1), Look(Lines(strength=0), None, None), detail=0, strength=1),
    )


def test_tones_that_are_not_flat_change_nothing() -> None:
    small = photo("singapore", 90, 120)
    soft, flat = (drawn(small, Look(None, tones, None))[0] for tones in (None, Tones(flat=0)))
    assert np.abs(soft - flat).max() < 1e-5


def test_glow_only_adds_light() -> None:
    small = photo("singapore", 150, 200)
    small[30:50, 60:90] = 255
    with_it, without = (drawn(small, Look(None, Tones(), Grade(glow=glow)))[0] for glow in (0.5, 0.0))
    assert (with_it >= without - 1e-6).all()
    assert (with_it - without)[25:28, 60:90].max() > 0.02


def test_the_grade_measures_the_frame_that_it_is_given() -> None:
    small = photo("singapore", 90, 120)
    dark, bright = (
        finish(
            to_floats(small), small, small, COLORS, LOOKS["grade"], detail=0, strength=1, frame=Frame(lightness, None)
        )
        for lightness in (0.3, 0.9)
    )
    assert dark.mean() > bright.mean() + 10


def test_faces_have_no_lines_on_their_skin() -> None:
    small = np.full((200, 200, 3), 190, np.uint8)
    small[60:140, 98:] = 60  # a hard border through the middle of the face
    face = face_in(Box(40, 40, 160, 160))
    _, without, _ = drawn(small, LOOKS["lines"])
    _, with_it, _ = drawn(small, LOOKS["lines"], [face])
    assert without[85:105, 95:105].max() > 0.6
    assert with_it[114, 95:105].max() < 0.25 * without[114, 95:105].max()  # between the eyes and the mouth
    assert np.array_equal(with_it[:, 165:], without[:, 165:])


@pytest.mark.parametrize("number", [np.nan, np.inf])
@pytest.mark.parametrize("kind", [np.float16, np.float32])
def test_what_are_no_numbers_is_refused(number: float, kind: type[Any]) -> None:
    small = photo("singapore", 30, 40)
    drawing: Any = to_floats(small).astype(kind)
    drawing[-1, -1, -1] = number
    with pytest.raises(ImageError, match="not of finite numbers"):
        finish(drawing, small, small, COLORS, FULL_LOOK, detail=0, strength=1)


def test_a_drawing_in_half_precision_comes_out_the_same() -> None:
    small = photo("singapore", 120, 160)
    whole, half = (
        finish(to_floats(small).astype(kind), small, small, COLORS, FULL_LOOK, detail=0, strength=1)
        for kind in (np.float32, np.float16)
    )
    error = np.abs(whole.astype(int) - half)
    assert (error <= 1).mean() > 0.99


def test_what_goes_in_is_not_written() -> None:
    small = photo("singapore", 60, 80)
    full, drawing = small.repeat(2, axis=0).repeat(2, axis=1), to_floats(small)
    for array in (small, full, drawing):
        array.flags.writeable = False
    finish(drawing, small, full, COLORS, FULL_LOOK, detail=0, strength=1, faces=[face_in(Box(5, 5, 50, 40))])
