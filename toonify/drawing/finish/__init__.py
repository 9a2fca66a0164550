"""From the network's drawing to the picture: colors, flat tones, contours, grade and size. Arrays in, arrays out."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from toonify.drawing.faces import Face
from toonify.drawing.finish.correct import Colors, Correction, strips
from toonify.drawing.finish.drawn import finish_drawn
from toonify.drawing.finish.grade import Frame, measure_frame
from toonify.errors import ImageError
from toonify.pixels.arrays import Floats, Halves, Pixels, to_pixels
from toonify.pixels.boxes import Box
from toonify.pixels.ink import Ink
from toonify.pixels.upsample import blend, upsample
from toonify.styles.look import Look

__all__ = ["Colors", "Frame", "Layers", "finish", "finish_layers", "finish_soft", "measure_frame", "merge_layers"]


def finish_soft(
    drawing: Floats | Halves,
    small: Pixels,
    full: Pixels,
    colors: Colors,
    *,
    detail: float,
    strength: float,
    threads: int | None = None,
) -> Pixels:
    """Correct the colors of a drawing and bring it to the size of the full photo: H x W x 3 uint8.

    drawing: h x w x 3 in 0..1; small: the photo at that size; full: the photo, H x W x 3; `detail`, `strength` and
    `threads` are those of `upsample`. Beside these arrays it takes memory for the drawing in float32 only where sizes
    differ.
    Raises ImageError if the drawing is not one of finite numbers, which would come out black.
    """
    height, width = drawing.shape[:2]
    _check_finite(drawing)
    correction = Correction(drawing, small, colors)
    boxes = (Box(rows.start, 0, rows.stop, width) for rows in strips(height, width))
    if drawing.shape == full.shape:
        out = np.empty_like(full)
        for box in boxes:
            out[box.slices] = to_pixels(blend(correction(box), full[box.slices], strength))
        return out
    corrected = np.empty(drawing.shape, np.float32)
    for box in boxes:
        corrected[box.slices] = correction(box)
    return upsample(corrected, small, full, detail=detail, strength=strength, threads=threads)


def finish(
    drawing: Floats | Halves,
    small: Pixels,
    full: Pixels,
    colors: Colors,
    look: Look,
    *,
    detail: float,
    strength: float,
    faces: Sequence[Face] = (),
    frame: Frame | None = None,
    threads: int | None = None,
) -> Pixels:
    """The same in a drawn look, with its flat tones, contours and grade: H x W x 3 uint8.

    `faces` are those of the photo, in pixels of `small`; `frame` is what the grade measures, by default `small`. It
    takes memory for the drawing in float32. Raises ImageError as `finish_soft` does.
    """
    layers = finish_layers(drawing, small, colors, look, faces=faces, frame=frame)
    return merge_layers(layers, small, full, look, detail=detail, strength=strength, threads=threads)


@dataclass(frozen=True)
class Layers:
    """A finished drawing at the size at which it was drawn."""

    colors: Floats  # h x w x 3 in about 0..1
    opacity: Floats | None = None  # of the lines over them, h x w in 0..1; None: no look, and no lines


def finish_layers(
    drawing: Floats | Halves,
    small: Pixels,
    colors: Colors,
    look: Look | None,
    *,
    faces: Sequence[Face] = (),
    frame: Frame | None = None,
) -> Layers:
    """The first half of `finish`, or of `finish_soft` where there is no look: all that is done at the size of `small`.

    Raises ImageError as `finish_soft` does.
    """
    _check_finite(drawing)
    finished = np.empty(drawing.shape, np.float32)
    correction = Correction(drawing, small, colors)
    if look is None:
        height, width = drawing.shape[:2]
        for rows in strips(height, width):
            finished[rows] = correction(Box(rows.start, 0, rows.stop, width))
        return Layers(finished)
    opacity = np.empty(drawing.shape[:2], np.float32)
    frame = frame or measure_frame(small, look.grade)
    for box, part, lines in finish_drawn(correction, small, look, frame, faces):
        finished[box.slices], opacity[box.slices] = part, lines
    return Layers(finished, opacity)


def merge_layers(
    layers: Layers,
    small: Pixels,
    full: Pixels,
    look: Look | None,
    *,
    detail: float,
    strength: float,
    threads: int | None = None,
) -> Pixels:
    """The second half: the layers over each other at the size of the full photo, H x W x 3 uint8."""
    if look is None and layers.colors.shape == full.shape:
        return to_pixels(blend(layers.colors, full, strength))
    ink = None
    if look is not None and look.lines is not None and layers.opacity is not None:
        ink = Ink(layers.opacity, look.lines.keep, look.lines.ink)
    return upsample(layers.colors, small, full, ink=ink, detail=detail, strength=strength, threads=threads)


def _check_finite(drawing: Floats | Halves) -> None:
    if not all(np.isfinite(drawing[rows]).all() for rows in strips(*drawing.shape[:2])):
        raise ImageError(
            "what the network draws is not of finite numbers: float16 is too small for it (type --precision fp32 and "
            "--tile off), or its weights are spoilt"
        )
