"""Pixels to a network's tensors and back: channel order, value range, multiple and padding, all read from the card."""

import numpy as np
from numpy.typing import NDArray

from toonify.pixels.arrays import Floats, Pixels
from toonify.pixels.boxes import Box
from toonify.styles.card import Variant


def taken_size(height: int, width: int, *, variant: Variant, padding: int) -> tuple[int, int]:
    """The smallest size that the network takes in which a picture has room, with `padding` around it."""
    return _frame(height, width, variant.multiple, variant.minimum, padding)


def _frame(height: int, width: int, multiple: int, minimum: int, padding: int) -> tuple[int, int]:
    sides = (max(side + 2 * padding, minimum) for side in (height, width))
    high, wide = (side + -side % multiple for side in sides)
    return high, wide


def framed(pixels: Pixels, *, multiple: int, minimum: int, padding: int) -> Pixels:
    """A picture with what is reflected around it, of the size that a network takes: H x W x 3 to h x w x 3."""
    height, width = pixels.shape[:2]
    return part(pixels, Box(0, 0, *_frame(height, width, multiple, minimum, padding)), padding)


def part(pixels: Pixels, box: Box, padding: int) -> Pixels:
    """A part of a picture that is reflected outwards, in the coordinates of the frame: `padding` before the picture."""
    height, width = pixels.shape[:2]
    rows, columns = (
        _reflect(np.arange(first - padding, last - padding), side)
        for first, last, side in ((box.top, box.bottom, height), (box.left, box.right, width))
    )
    if rows[-1] - rows[0] == len(rows) - 1 and columns[-1] - columns[0] == len(columns) - 1:
        return pixels[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return pixels[rows[:, None], columns]


def _reflect(places: NDArray[np.int64], side: int) -> NDArray[np.int64]:
    """Places on an endless line as places from 0 to side - 1, mirrored at the outermost ones."""
    period = max(2 * side - 2, 1)
    return side - 1 - np.abs(side - 1 - places % period)


def to_batch(pixels: Pixels, variant: Variant) -> Floats:
    """H x W x 3 uint8 RGB to 1 x 3 x H x W float32, in the network's channel order and value range."""
    low, high = variant.value_range
    if variant.channels == "bgr":
        pixels = pixels[..., ::-1]
    planes = pixels.transpose(2, 0, 1)[None]
    return np.multiply(planes, np.float32((high - low) / 255), dtype=np.float32, order="C") + np.float32(low)


def from_batch(batch: Floats, variant: Variant) -> Floats:
    """1 x 3 x H x W in the network's channel order and value range to H x W x 3 float32 RGB in 0..1."""
    low, high = variant.value_range
    drawing = (batch[0].transpose(1, 2, 0) - np.float32(low)) / np.float32(high - low)
    if variant.channels == "bgr":
        drawing = drawing[..., ::-1]
    return np.ascontiguousarray(drawing)
