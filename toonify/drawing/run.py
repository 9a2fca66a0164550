"""A network over a picture: at once, or tile by tile."""

from typing import TYPE_CHECKING

import numpy as np

from toonify.engines.cuda_generator import CudaGenerator
from toonify.engines.engine import Generator
from toonify.errors import StyleError
from toonify.pixels.arrays import Floats, Halves, Pixels
from toonify.pixels.boxes import Box
from toonify.styles.card import Variant
from toonify.styles.frame import framed, from_batch, part, taken_size, to_batch

if TYPE_CHECKING:
    from toonify.drawing.tiles import OnShare, TiledNetwork


def draw(pixels: Pixels, generator: Generator | CudaGenerator, variant: Variant, *, padding: int) -> Floats | Halves:
    """Draw H x W x 3 uint8 RGB pixels of any size from 1 x 1 on, at once: H x W x 3 RGB in 0..1, float16 from CUDA.

    The picture is reflected outwards by `padding` pixels, and right and below to the size that the network takes, and
    cropped after: what the network does at its border falls outside. Raises MemoryError, StyleError if what the
    network makes is not of the size that it takes.
    """
    height, width = pixels.shape[:2]
    padded = framed(pixels, multiple=variant.multiple, minimum=variant.minimum, padding=padding)
    drawing: Floats | Halves
    if isinstance(generator, CudaGenerator):
        drawing = generator.draw(padded)
    else:
        batch = to_batch(padded, variant)
        drawn = generator(batch)
        if drawn.shape != batch.shape:
            sizes = (" x ".join(map(str, shape)) for shape in (batch.shape, drawn.shape))
            raise StyleError("the network is no generator: from {} it makes {}".format(*sizes))
        drawing = from_batch(drawn, variant)
    return drawing[padding : padding + height, padding : padding + width]


def draw_in_tiles(
    pixels: Pixels,
    network: "TiledNetwork",
    variant: Variant,
    *,
    padding: int,
    tile: int,
    on_share: "OnShare | None" = None,
) -> Halves:
    """The same tile by tile, as `draw` would draw it: H x W x 3 float16, whose steps are an eighth of a gray level.

    `on_share` is told how much is done, 0..1.

    Raises MemoryError if there is not even enough for a tile, ImageError if the disk is too small for what is kept.
    """
    height, width = pixels.shape[:2]
    drawing = np.empty((height, width, 3), np.float16)
    inside = Box(padding, padding, padding + height, padding + width)

    def read(box: Box) -> Floats:
        return to_batch(part(pixels, box, padding), variant)

    def write(box: Box, batch: Floats) -> None:
        seen = box.common(inside)
        part = from_batch(batch, variant)[seen.relative_to(box).slices]
        drawing[seen.relative_to(inside).slices] = part

    size = taken_size(height, width, variant=variant, padding=padding)
    network.draw(*size, tile, read, write, on_share=on_share)
    return drawing
