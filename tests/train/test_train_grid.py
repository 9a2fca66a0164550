"""The sample sheet: every photo and every drawing is in it once, pixel by pixel, with its partner."""

import numpy as np
import pytest

from toonify.train.grid import MAX_PAIRS, grid

SIZE = 64
SHAPES = {1: (1, 2), 2: (2, 2), 3: (2, 3), 4: (2, 4), 5: (2, 5), 6: (4, 3), 7: (4, 4), 8: (4, 4)}  # rows, columns


def pairs(count: int, height: int = SIZE, width: int = SIZE) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Pictures of noise, each like no other and none with white in it."""
    rng = np.random.default_rng(count)
    pictures = list(rng.integers(0, 255, (2 * count, height, width, 3), dtype=np.uint8))
    return pictures[:count], pictures[count:]


def find(sheet: np.ndarray, picture: np.ndarray) -> tuple[int, int]:
    """The one place (top, left) where a picture is in a sheet."""
    height, width = picture.shape[:2]
    places = [
        (int(top), int(left))
        for top, left in np.argwhere((sheet == picture[0, 0]).all(axis=2))
        if np.array_equal(sheet[top : top + height, left : left + width], picture)
    ]
    assert len(places) == 1
    return places[0]


@pytest.mark.parametrize("count", range(1, MAX_PAIRS + 1))
def test_every_photo_stands_by_its_drawing(count):
    photos, drawings = pairs(count)
    sheet = grid(photos, drawings)
    assert sheet.dtype == np.uint8 and sheet.ndim == 3
    covered = np.zeros(sheet.shape[:2], bool)
    places = []
    for photo, drawing in zip(photos, drawings, strict=True):
        top, left = find(sheet, photo)
        if count == 1:
            assert find(sheet, drawing) == (top, left + SIZE + 1)
        else:
            assert find(sheet, drawing) == (top + SIZE + 1, left)
        places.append((top, left))
        for picture in (photo, drawing):
            top, left = find(sheet, picture)
            assert not covered[top : top + SIZE, left : left + SIZE].any()
            covered[top : top + SIZE, left : left + SIZE] = True
    assert places == sorted(places)  # in their order, line by line
    assert (sheet[~covered] == 255).all()
    rows, columns = SHAPES[count]
    assert sheet.shape[0] // SIZE == rows and sheet.shape[1] // SIZE == columns  # gutters are small
    assert covered.mean() > (0.85 if count != 7 else 0.75)


def test_photos_need_not_be_square():
    photos, drawings = pairs(6, 40, 96)
    sheet = grid(photos, drawings)
    assert sheet.shape == (4 * 40 + 2 * 1 + 6, 3 * 96 + 2 * 3, 3)
    for picture in (*photos, *drawings):
        find(sheet, picture)


def test_the_pictures_stay_as_they_are():
    photos, drawings = pairs(2)
    before = photos[0].copy()
    grid(photos, drawings)[:] = 0
    assert np.array_equal(photos[0], before)


def test_what_makes_no_sheet_is_refused():
    photos, drawings = pairs(9)
    for some, others in (([], []), (photos, drawings), (photos[:2], drawings[:1])):
        with pytest.raises(ValueError, match="holds 1 to 8 pairs"):
            grid(some, others)
    with pytest.raises(ValueError, match="one size"):
        grid(photos[:2], [drawings[0], drawings[1][1:]])
