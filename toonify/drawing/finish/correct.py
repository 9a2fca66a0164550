"""The photo's colors for a drawing, part by part."""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from toonify.pixels.arrays import Floats, Halves, Pixels, to_floats
from toonify.pixels.boxes import Box
from toonify.pixels.color import ColorModel, color_model, saturate
from toonify.pixels.resize import Enlarged, fit_long_side, resize

_MODEL_SIDE = 1024  # pixels: colors are compared at no more than that; what is compared are low frequencies
_STRIP_PIXELS = 1 << 20  # of a picture that are worked on at once, which bounds the memory in float32


@dataclass(frozen=True)
class Colors:
    """What happens to a drawing's colors."""

    keep: float  # 0..1, how much of the photo's colors the drawing keeps
    saturation: float  # factor on the colors


def strips(height: int, width: int) -> Iterator[slice]:
    """The rows of a picture, some at a time."""
    step = max(16, _STRIP_PIXELS // width)
    for top in range(0, height, step):
        yield slice(top, min(top + step, height))


def _model(drawing: Floats | Halves, small: Pixels) -> ColorModel:
    height, width = drawing.shape[:2]
    if max(height, width) <= _MODEL_SIDE:
        return color_model(np.asarray(drawing, np.float32), to_floats(small))
    size = fit_long_side(height, width, _MODEL_SIDE)
    return color_model(_reduce(drawing, size), to_floats(resize(small, size)))


def _reduce(drawing: Floats | Halves, size: tuple[int, int]) -> Floats:
    """Area averages of a drawing: first along the rows, strip by strip, then along the columns."""
    height, width = size
    narrow = np.empty((drawing.shape[0], width, 3), np.float32)
    for rows in strips(*drawing.shape[:2]):
        strip = np.asarray(drawing[rows], np.float32)
        narrow[rows] = cv2.resize(strip, (width, len(strip)), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(narrow, (width, height), interpolation=cv2.INTER_AREA), np.float32)


class Correction:
    """Parts of a drawing with their colors corrected.

    drawing: h x w x 3 RGB in 0..1; small: the photo at that size.
    """

    def __init__(self, drawing: Floats | Halves, small: Pixels, colors: Colors) -> None:
        self._drawing = drawing
        self._small = small
        self._colors = colors
        if colors.keep:
            model = _model(drawing, small)
            self._middle = model.middle
            both = np.concatenate([model.gain, model.offset], axis=2)
            self._planes = np.ascontiguousarray(both.transpose(2, 0, 1))  # as `Enlarged` takes them

    def __call__(self, box: Box) -> Floats:
        """The part of the drawing in a box: its height x its width x 3, in about 0..1."""
        part = np.asarray(self._drawing[box.slices], np.float32)
        if self._colors.keep:
            rows, columns = box.slices
            height, width = self._drawing.shape[:2]
            planes = Enlarged(self._planes, rows, height, width, cv2.INTER_LINEAR).columns(columns)
            gain, offset = (np.asarray(cv2.merge(list(half)), np.float32) for half in (planes[:3], planes[3:]))
            lack = ColorModel(gain, offset, self._middle).lack(to_floats(self._small[box.slices]))
            part = part + np.float32(self._colors.keep) * lack
        return saturate(part, self._colors.saturation)
