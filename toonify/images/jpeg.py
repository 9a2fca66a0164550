"""JPEGs in colour, straight into arrays: libjpeg-turbo's own values, in less than half the time that Pillow takes.

It says on the way whether all of the picture is there, which Pillow does not.
"""

from typing import BinaryIO

import cv2
import numpy as np
import simplejpeg

from toonify.arrays import Pixels
from toonify.errors import ImageError, one_line

# What libjpeg says where part of the picture is lost; it says other things of harmless oddities.
_LOSSES = ("premature end", "bad huffman code", "instead of rst", "bad arithmetic code")


def decode_jpeg(file: BinaryIO) -> Pixels | None:
    """A JPEG's pixels as they lie: H x W x 3 RGB. None if there is something about it that only Pillow understands.

    Raises ImageError if part of it is lost.
    """
    data = _all_of(file)
    try:
        return np.asarray(simplejpeg.decode_jpeg(data, "RGB"), np.uint8)
    except ValueError as error:
        _refuse_lost(error)
        return None


def refuse_damaged_jpeg(file: BinaryIO) -> None:
    """Raise ImageError if part of a JPEG is lost, which Pillow decodes to grey or shifted parts without a word.

    Decodes at an eighth of the size, which takes little time and meets all of the data.
    """
    try:
        simplejpeg.decode_jpeg(_all_of(file), "GRAY", min_height=1, min_width=1, min_factor=8)
    except ValueError as error:
        _refuse_lost(error)


def turned_upright(pixels: Pixels, orientation: int) -> Pixels:
    """A picture as EXIF's orientation (1 to 8) wants it to be looked at. Others leave it as it lies."""
    if orientation in (5, 6, 7, 8):
        pixels = np.asarray(cv2.transpose(pixels), np.uint8)
    flip = {2: 1, 3: -1, 4: 0, 6: 1, 7: -1, 8: 0}.get(orientation)  # OpenCV's codes: 1 left to right, 0 upside down
    return pixels if flip is None else np.asarray(cv2.flip(pixels, flip), np.uint8)


def _all_of(file: BinaryIO) -> bytes:
    """What a file holds; it stays where it was."""
    position = file.tell()
    file.seek(0)
    try:
        return file.read()
    finally:
        file.seek(position)


def _refuse_lost(error: ValueError) -> None:
    if any(loss in str(error).lower() for loss in _LOSSES):
        raise ImageError(f"damaged: {one_line(error)}") from error
