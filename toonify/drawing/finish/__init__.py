"""From the network's drawing to the picture: colors, flat tones, contours, grade and size. Arrays in, arrays out."""

import numpy as np

from toonify.drawing.finish.correct import Colors, Correction, strips
from toonify.drawing.finish.drawn import Finish, finish_drawn
from toonify.errors import ImageError
from toonify.pixels.arrays import Floats, Halves, Pixels, to_pixels
from toonify.pixels.boxes import Box
from toonify.pixels.ink import Ink
from toonify.pixels.resize import blend, upsample

__all__ = ["Colors", "Finish", "finish"]


def finish(
    drawing: Floats | Halves,
    small: Pixels,
    full: Pixels,
    colors: Colors,
    look: Finish | None = None,
    *,
    detail: float,
    strength: float,
) -> Pixels:
    """Correct the colors of a drawing, give it its look, and bring it to the size of the full photo: H x W x 3 uint8.

    drawing: h x w x 3 in 0..1; small: the photo at that size; full: the photo, H x W x 3; `detail` and `strength` are
    those of `upsample`. Without a `look` only colors and size change. Beside these arrays it takes memory for the
    drawing in float32 only where sizes differ or it has a look. Raises ImageError if the drawing is not one of finite
    numbers, which would come out black.
    """
    height, width = drawing.shape[:2]
    if not all(np.isfinite(drawing[rows]).all() for rows in strips(height, width)):
        raise ImageError(
            "what the network draws is not of finite numbers: float16 is too small for it (type --precision fp32 and "
            "--tile off), or its weights are spoilt"
        )
    correction = Correction(drawing, small, colors)
    if look is None and drawing.shape == full.shape:
        out = np.empty_like(full)
        for rows in strips(height, width):
            part = correction(Box(rows.start, 0, rows.stop, width))
            out[rows] = to_pixels(blend(part, full[rows], strength))
        return out
    finished = np.empty(drawing.shape, np.float32)
    if look is None:
        for rows in strips(height, width):
            finished[rows] = correction(Box(rows.start, 0, rows.stop, width))
        return upsample(finished, small, full, detail=detail, strength=strength)
    opacity = np.empty((height, width), np.float32)
    for box, part, lines in finish_drawn(correction, small, look):
        finished[box.slices], opacity[box.slices] = part, lines
    ink = None if look.lines is None else Ink(opacity, look.lines.keep, look.lines.ink)
    return upsample(finished, small, full, ink=ink, detail=detail, strength=strength)
