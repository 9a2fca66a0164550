"""How a picture of any size becomes what Inception takes: three protocols, because figures depend on it.

legacy    TensorFlow 1's bilinear resize, without antialiasing and half a pixel off: what the first FID had, and
          torch-fidelity has.
pytorch   PyTorch's bilinear resize, without antialiasing: what pytorch-fid has.
clean     Pillow's bicubic resize, antialiased, not rounded: clean-fid's (Parmar, Zhang and Zhu, CVPR 2022).

Figures of different protocols must not be compared.
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from toonify.metrics.settings import Mode
from toonify.pixels.arrays import Floats, Pixels

SIDE = 299  # of what Inception takes, in pixels


def to_inception(pixels: Pixels, mode: Mode) -> Floats:
    """H x W x 3 uint8 RGB to 3 x 299 x 299 float32, about -1..1."""
    resized = _bicubic(pixels) if mode == "clean" else _bilinear(pixels, half_pixel=mode == "pytorch")
    # The one puts 0..255 to -1..1, the others (as TensorFlow's graph does) 128 to 0.
    values = resized * np.float32(2 / 255) - 1 if mode == "pytorch" else (resized - 128) * np.float32(1 / 128)
    return np.ascontiguousarray(values.transpose(2, 0, 1), np.float32)


def _bilinear(pixels: Pixels, *, half_pixel: bool) -> Floats:
    """The four nearest pixels, weighted; where pixel centers lie is what the two protocols differ in."""
    top, bottom, down = _neighbors(pixels.shape[0], half_pixel=half_pixel)
    left, right, across = _neighbors(pixels.shape[1], half_pixel=half_pixel)
    down, across = down[:, None, None], across[None, :, None]

    def row(index: NDArray[np.intp]) -> Floats:
        rows = pixels[index]
        first = rows[:, left].astype(np.float32)
        return first + (rows[:, right].astype(np.float32) - first) * across

    upper = row(top)
    return np.asarray(upper + (row(bottom) - upper) * down)


def _neighbors(side: int, *, half_pixel: bool) -> tuple[NDArray[np.intp], NDArray[np.intp], Floats]:
    """Of each of the 299 places along a side: the pixel before, the pixel after, and how far it is to the latter."""
    scale = np.float32(side / SIDE)
    place = np.arange(SIDE, dtype=np.float32)
    place = np.maximum((place + np.float32(0.5)) * scale - np.float32(0.5), 0) if half_pixel else place * scale
    before = np.minimum(place.astype(np.intp), side - 1)
    return before, np.minimum(before + 1, side - 1), place - before.astype(np.float32)


def _bicubic(pixels: Pixels) -> Floats:
    channels = [
        Image.fromarray(np.ascontiguousarray(pixels[..., channel], np.float32)).resize(
            (SIDE, SIDE), Image.Resampling.BICUBIC
        )
        for channel in range(3)
    ]
    return np.asarray(np.clip(np.stack([np.asarray(channel) for channel in channels], axis=2), 0, 255))
