"""Pixels to a network's tensors and back: channel order, value range, multiple and padding, all read from the card."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from toonify.arrays import Floats, Halves, Pixels
from toonify.boxes import Box
from toonify.engines.cuda_generator import CudaGenerator
from toonify.engines.runtime import Generator
from toonify.styles import Variant

if TYPE_CHECKING:
    from toonify.tiles import TiledNetwork


def draw(pixels: Pixels, generator: Generator | CudaGenerator, variant: Variant, *, padding: int) -> Floats | Halves:
    """Draw H x W x 3 uint8 RGB pixels of any size from 1 x 1 on, at once: H x W x 3 RGB in 0..1, float16 from CUDA.

    The picture is reflected outwards by `padding` pixels, and right and below to the size that the network takes, and
    cropped after: what the network does at its border falls outside. Raises MemoryError.
    """
    height, width = pixels.shape[:2]
    padded = framed(pixels, multiple=variant.multiple, minimum=variant.minimum, padding=padding)
    drawing: Floats | Halves
    if isinstance(generator, CudaGenerator):
        drawing = generator.draw(padded)
    else:
        drawing = from_batch(generator(to_batch(padded, variant)), variant)
    return drawing[padding : padding + height, padding : padding + width]


def draw_in_tiles(pixels: Pixels, network: "TiledNetwork", variant: Variant, *, padding: int, tile: int) -> Halves:
    """The same tile by tile, as `draw` would draw it: H x W x 3 float16, whose steps are an eighth of a grey level.

    Raises MemoryError if there is not even enough for a tile, ImageError if the disk is too small for what is kept.
    """
    height, width = pixels.shape[:2]
    drawing = np.empty((height, width, 3), np.float16)
    inside = Box(padding, padding, padding + height, padding + width)

    def read(box: Box) -> Floats:
        return to_batch(_part(pixels, box, padding), variant)

    def write(box: Box, batch: Floats) -> None:
        seen = box.common(inside)
        part = from_batch(batch, variant)[seen.relative_to(box).slices]
        drawing[seen.relative_to(inside).slices] = part

    network.draw(*taken_size(height, width, variant=variant, padding=padding), tile, read, write)
    return drawing


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
    return _part(pixels, Box(0, 0, *_frame(height, width, multiple, minimum, padding)), padding)


def _part(pixels: Pixels, box: Box, padding: int) -> Pixels:
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
