"""Pictures at their places on one sheet."""

from collections.abc import Sequence

import numpy as np

from toonify.pixels.arrays import Pixels

Place = tuple[Pixels, int, int]  # a picture, H x W x 3 or H x W; its top and its left on the sheet, in pixels

_GAP = 0.008  # of the long side of two pictures that stand side by side


def placed(places: Sequence[Place], *, size: tuple[int, int] | None = None, ground: int = 255) -> Pixels:
    """Pictures at their places on white, or on another value of all channels.

    The sheet is of `size` (height, width), or reaches as far as the pictures do.
    """
    if size is None:
        size = (
            max(top + picture.shape[0] for picture, top, _ in places),
            max(left + picture.shape[1] for picture, _, left in places),
        )
    sheet = np.full((*size, *places[0][0].shape[2:]), ground, np.uint8)
    for picture, top, left in places:
        sheet[top : top + picture.shape[0], left : left + picture.shape[1]] = picture
    return sheet


def in_rows(pictures: Sequence[Pixels], columns: int) -> Pixels:
    """Pictures of one size on white in rows of so many, from left to right and top to bottom, with thin gaps."""
    height, width = pictures[0].shape[:2]
    gap = max(2, round(max(height, width) / 32))
    places = []
    for number, picture in enumerate(pictures):
        row, column = divmod(number, columns)
        places.append((picture, row * (height + gap), column * (width + gap)))
    return placed(places)


def side_by_side(left: Pixels, right: Pixels, *, between: int = 255) -> Pixels:
    """Two pictures of one size beside each other, with a thin gap of the value `between`: H x (2 W + gap)."""
    if left.shape != right.shape:
        raise ValueError(f"{left.shape} and {right.shape}: pictures that stand side by side have one size")
    gap = max(2, round(_GAP * max(left.shape[:2])))
    return placed([(left, 0, 0), (right, 0, left.shape[1] + gap)], ground=between)
