"""The sample sheet of a run: photos and their drawings in one picture."""

from collections.abc import Sequence

import numpy as np

from toonify.arrays import Pixels

MAX_PAIRS = 8
_MOST_ABREAST = 5  # of pairs; more stand in two rows, or phones would show them as stamps


def grid(photos: Sequence[Pixels], drawings: Sequence[Pixels]) -> Pixels:
    """One picture of 1 to 8 photos, all of one size, each with its drawing below; a single pair stands side by side.

    Gutters are white: narrow between a photo and its drawing, wider between pairs, widest between rows of pairs.
    """
    count = len(photos)
    if not 1 <= count <= MAX_PAIRS or len(drawings) != count:
        raise ValueError(f"{count} photos and {len(drawings)} drawings; the sheet holds 1 to {MAX_PAIRS} pairs")
    if len({picture.shape for picture in (*photos, *drawings)}) != 1:
        raise ValueError("the pictures of a sheet have one size")
    height, width = photos[0].shape[:2]
    gutter = max(2, round(max(height, width) / 32))
    if count == 1:
        return _placed([(photos[0], 0, 0), (drawings[0], 0, width + gutter // 2)])
    abreast = count if count <= _MOST_ABREAST else -(-count // 2)
    places = []
    for i, (photo, drawing) in enumerate(zip(photos, drawings, strict=True)):
        row, column = divmod(i, abreast)
        top, left = row * (2 * height + gutter // 2 + 2 * gutter), column * (width + gutter)
        places += [(photo, top, left), (drawing, top + height + gutter // 2, left)]
    return _placed(places)


def _placed(places: Sequence[tuple[Pixels, int, int]]) -> Pixels:
    """Pictures at their places (top, left) on white, which reaches as far as they do."""
    bottom = max(top + picture.shape[0] for picture, top, _ in places)
    right = max(left + picture.shape[1] for picture, _, left in places)
    sheet = np.full((bottom, right, 3), 255, np.uint8)
    for picture, top, left in places:
        sheet[top : top + picture.shape[0], left : left + picture.shape[1]] = picture
    return sheet
