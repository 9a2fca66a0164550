"""From a drawing to the result: the photo's colours, the strength of colours, and the size; strip by strip."""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from toonify.arrays import Floats, Halves, Pixels, to_floats, to_pixels
from toonify.color import ColorModel, color_model, saturate
from toonify.resize import blend, enlarge, fit_long_side, resize, upsample

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
    """
    height, width = full.shape[:2]
    model = None if colors.keep == 0 else _model(drawing, small)
    if drawing.shape == full.shape:
        out = np.empty_like(full)
        for rows in strips(height, width):
            strip = _correct(drawing, small, rows, model, colors)
            out[rows] = to_pixels(blend(strip, full[rows], strength))
        return out
    corrected = np.empty(drawing.shape, np.float32)
    for rows in strips(*drawing.shape[:2]):
        corrected[rows] = _correct(drawing, small, rows, model, colors)
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


def _at(model: ColorModel, rows: slice, height: int, width: int) -> ColorModel:
    """The rows of a model that is enlarged to height x width."""
    if model.gain.shape[:2] == (height, width):
        return ColorModel(model.gain[rows], model.offset[rows], model.middle)
    planes = np.concatenate([model.gain, model.offset], axis=2).transpose(2, 0, 1)
    enlarged = enlarge(np.ascontiguousarray(planes), rows, height, width, cv2.INTER_LINEAR)
    gain, offset = (np.asarray(cv2.merge(list(half)), np.float32) for half in (enlarged[:3], enlarged[3:]))
    return ColorModel(gain, offset, model.middle)


def _reduce(drawing: Floats | Halves, size: tuple[int, int]) -> Floats:
    """Area averages of a drawing: first along the rows, strip by strip, then along the columns."""
    height, width = size
    narrow = np.empty((drawing.shape[0], width, 3), np.float32)
    for rows in strips(*drawing.shape[:2]):
        strip = np.asarray(drawing[rows], np.float32)
        narrow[rows] = cv2.resize(strip, (width, len(strip)), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(narrow, (width, height), interpolation=cv2.INTER_AREA), np.float32)


def _correct(drawing: Floats | Halves, small: Pixels, rows: slice, model: ColorModel | None, colors: Colors) -> Floats:
    strip = np.asarray(drawing[rows], np.float32)
    if model is not None:
        strip = strip + np.float32(colors.keep) * _at(model, rows, *drawing.shape[:2]).lack(to_floats(small[rows]))
    return saturate(strip, colors.saturation)
