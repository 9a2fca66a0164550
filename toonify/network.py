"""Pixels to a network's tensors and back: channel order, value range, multiple and padding, all read from the card."""

import cv2
import numpy as np

from toonify.arrays import Floats, Pixels
from toonify.errors import ImageError
from toonify.memory import available_memory
from toonify.runtime import Generator
from toonify.styles import Variant


def draw(pixels: Pixels, generator: Generator, variant: Variant, *, padding: int) -> Floats:
    """Draw H x W x 3 uint8 RGB pixels of any size from 1 x 1 on: H x W x 3 float32 RGB in 0..1.

    The picture is reflected outwards by `padding` pixels, and right and below to the size that the network takes, and
    cropped after: what the network does at its border falls outside.

    Raises ImageError if the machine has not the memory for it: the system would end the whole process.
    """
    height, width = pixels.shape[:2]
    bottom, right = (_taken_size(side + 2 * padding, variant) - padding - side for side in (height, width))
    if generator.device == "cpu":
        _refuse_if_too_large(height + padding + bottom, width + padding + right, variant)
    padded = cv2.copyMakeBorder(pixels, padding, bottom, padding, right, cv2.BORDER_REFLECT_101)
    drawing = from_batch(generator(to_batch(np.asarray(padded, np.uint8), variant)), variant)
    return drawing[padding : padding + height, padding : padding + width]


def _taken_size(side: int, variant: Variant) -> int:
    """The smallest side from `side` on that the network takes."""
    side = max(side, variant.minimum)
    return side + -side % variant.multiple


def _refuse_if_too_large(height: int, width: int, variant: Variant) -> None:
    if variant.bytes_per_pixel is None:
        return
    needed = height * width * variant.bytes_per_pixel
    free = available_memory()
    if needed > free:
        fitting = int(max(height, width) * (0.8 * free / needed) ** 0.5) // 64 * 64
        raise ImageError(
            f"drawing at {width} x {height} needs about {needed / 1e9:.1f} GB of memory and {free / 1e9:.1f} are free; "
            f"draw it smaller, with --size {max(fitting, 64)}"
        )


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
