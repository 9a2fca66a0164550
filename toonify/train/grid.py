"""The sample sheet of a run: photos and their drawings, wanted and drawn, in one picture."""

from collections.abc import Sequence

from toonify.pixels.arrays import Pixels
from toonify.pixels.layout import placed

MAX_PAIRS = 8
_MOST_ABREAST = 5  # of pairs; more stand in two rows, or phones would show them as stamps


def grid(photos: Sequence[Pixels], *drawings: Sequence[Pixels]) -> Pixels:
    """One picture of 1 to 8 photos, all of one size, each with its drawings below; a single photo has them beside it.

    Gutters are white: narrow between a photo and its drawings, wider between pairs, widest between rows of pairs.
    """
    count = len(photos)
    if not 1 <= count <= MAX_PAIRS or any(len(each) != count for each in drawings):
        counts = " and ".join(str(len(each)) for each in drawings)
        raise ValueError(f"{count} photos and {counts} drawings; the sheet holds 1 to {MAX_PAIRS} pairs")
    stacks = list(zip(photos, *drawings, strict=True))
    if len({picture.shape for stack in stacks for picture in stack}) != 1:
        raise ValueError("the pictures of a sheet have one size")
    height, width = photos[0].shape[:2]
    gutter = max(2, round(max(height, width) / 32))
    narrow = gutter // 2
    if count == 1:
        return placed([(picture, 0, i * (width + narrow)) for i, picture in enumerate(stacks[0])])
    tall = len(stacks[0]) * (height + narrow) - narrow
    abreast = count if count <= _MOST_ABREAST else -(-count // 2)
    places = []
    for i, stack in enumerate(stacks):
        row, column = divmod(i, abreast)
        top, left = row * (tall + 2 * gutter), column * (width + gutter)
        places += [(picture, top + j * (height + narrow), left) for j, picture in enumerate(stack)]
    return placed(places)
