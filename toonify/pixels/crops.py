"""Square crops of pictures, as networks are trained on them."""

import numpy as np

from toonify.pixels.arrays import Pixels
from toonify.pixels.boxes import Box
from toonify.pixels.resize import resize


def center_box(height: int, width: int, size: int | None = None, *, grid: int = 1) -> Box:
    """The largest square in the middle, of at most `size`; its left and top are multiples of `grid`."""
    side = min(height, width) if size is None else min(height, width, size)
    left, top = ((length - side) // 2 // grid * grid for length in (width, height))
    return Box(top, left, top + side, left + side)


def random_boxes(
    height: int, width: int, size: int, count: int, random: np.random.Generator, *, grid: int | None = None
) -> list[Box]:
    """Squares anywhere in the picture.

    Their sides are spread evenly between half and all of the shorter side, so that things come in sizes that are
    natural in a picture, but none is less than `size`, so that none is enlarged unless the picture itself is smaller.
    With a `grid` all are of `size`, or of the picture's where it is smaller, and left and top are multiples of it.
    """
    longest = min(height, width) if grid is None else min(height, width, size)
    shortest = min(longest, max(size, longest // 2))
    step = grid or 1
    boxes = []
    for _ in range(count):
        side = int(random.integers(shortest, longest, endpoint=True))
        left, top = (
            step * int(random.integers(0, (length - side) // step, endpoint=True)) for length in (width, height)
        )
        boxes.append(Box(top, left, top + side, left + side))
    return boxes


def cut(pixels: Pixels, box: Box, size: int) -> Pixels:
    """What lies in a square box, brought to `size` x `size`: H x W x 3 to size x size x 3, as a new array."""
    return resize(pixels[box.slices], (size, size)).copy()
