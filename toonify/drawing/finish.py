"""From a drawing to the result: the photo's colours, the strength of colours, and the size; strip by strip."""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from toonify.errors import ImageError
from toonify.pixels.arrays import Floats, Halves, Pixels, to_floats, to_pixels
from toonify.pixels.color import ColorModel, color_model, saturate
from toonify.pixels.resize import Enlarged, blend, fit_long_side, resize, upsample

_MODEL_SIDE = 1024  # pixels: colours are compared at no more than that; what is compared are low frequencies
_STRIP_PIXELS = 1 << 20  # of a picture that are worked on at once, which bounds the memory in float32


@dataclass(frozen=True)
class Colors:
    """What happens to a drawing's colours."""

    keep: float  # 0..1, how much of the photo's colours the drawing keeps
    saturation: float  # factor on the colours


def finish(
    drawing: Floats | Halves, small: Pixels, full: Pixels, colors: Colors, *, detail: float, strength: float
) -> Pixels:
    """Correct the colours of a drawing and bring it to the size of the full photo: H x W x 3 uint8.

    drawing: h x w x 3 in 0..1; small: the photo at that size; full: the photo, H x W x 3; `detail` and `strength` are
    those of `upsample`. Beside these arrays it takes memory for the drawing in float32 only where sizes differ.
    Raises ImageError if the drawing is not one of finite numbers, which would come out black.
    """
    height, width = full.shape[:2]
    if not all(np.isfinite(drawing[rows]).all() for rows in strips(*drawing.shape[:2])):
        raise ImageError(
            "what the network draws is not of finite numbers: float16 is too small for it (type --precision fp32 and "
            "--tile off), or its weights are spoilt"
        )
    corrected_rows = _Correction(drawing, small, colors)
    if drawing.shape == full.shape:
        out = np.empty_like(full)
        for rows in strips(height, width):
            out[rows] = to_pixels(blend(corrected_rows(rows), full[rows], strength))
        return out
    corrected = np.empty(drawing.shape, np.float32)
    for rows in strips(*drawing.shape[:2]):
        corrected[rows] = corrected_rows(rows)
    return upsample(corrected, small, full, detail=detail, strength=strength)


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


class _Correction:
    """Rows of a drawing with their colours corrected."""

    def __init__(self, drawing: Floats | Halves, small: Pixels, colors: Colors) -> None:
        self._drawing = drawing
        self._small = small
        self._colors = colors
        if colors.keep:
            model = _model(drawing, small)
            self._middle = model.middle
            both = np.concatenate([model.gain, model.offset], axis=2)
            self._planes = np.ascontiguousarray(both.transpose(2, 0, 1))  # as `Enlarged` takes them

    def __call__(self, rows: slice) -> Floats:
        strip = np.asarray(self._drawing[rows], np.float32)
        if self._colors.keep:
            height, width = self._drawing.shape[:2]
            planes = Enlarged(self._planes, rows, height, width, cv2.INTER_LINEAR).columns()
            gain, offset = (np.asarray(cv2.merge(list(half)), np.float32) for half in (planes[:3], planes[3:]))
            lack = ColorModel(gain, offset, self._middle).lack(to_floats(self._small[rows]))
            strip = strip + np.float32(self._colors.keep) * lack
        return saturate(strip, self._colors.saturation)
