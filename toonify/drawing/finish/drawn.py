"""A drawing in the drawn look: flat tones, contours and grade, tile by tile in bounded memory."""

from collections.abc import Callable, Iterator, Sequence

import cv2
import numpy as np

from toonify.drawing.faces import Face
from toonify.drawing.finish.contours import contours, reach
from toonify.drawing.finish.flatten import flatten, plain_areas, step_tones, stroke_scale
from toonify.drawing.finish.grade import Frame, add_glow, apply_grade
from toonify.drawing.finish.lab import to_planes, to_rgb
from toonify.drawing.finish.portrait import Portrait, find_portrait
from toonify.pixels.arrays import Floats, Pixels, to_floats
from toonify.pixels.boxes import Box
from toonify.pixels.resize import Enlarged
from toonify.styles.look import Look, Tones

_TILE = 1024  # pixels: the side of what is worked on at once, where a picture is larger than that
_WHOLE = 1 << 20  # pixels of a picture that is worked on as a whole
_LONGEST = 32_000  # pixels: the side up to which it is; OpenCV's remap ends at 32766
_FILTERS = 65  # pixels: the radii of the filters in a row, as far as their weights count
_LEAST = 96  # pixels around a tile


def finish_drawn(
    drawing: Callable[[Box], Floats], small: Pixels, look: Look, frame: Frame, faces: Sequence[Face] = ()
) -> Iterator[tuple[Box, Floats, Floats]]:
    """Finish a drawing of the photo `small`, h x w x 3: yield boxes, their colors, and the opacity of their lines.

    `drawing` gives any part of the drawing, h x w x 3 RGB in 0..1, colors corrected; `frame` is the photo that the
    grade measures; `faces` are in pixels of `small`. Colors come as h x w x 3 in 0..1, opacities as h x w in 0..1; the
    boxes cover the picture. The result does not depend on where they lie.
    """
    height, width = small.shape[:2]
    whole = Box(0, 0, height, width)
    scale = stroke_scale(height, width)
    at_once = height * width <= _WHOLE and max(height, width) <= _LONGEST
    margin = _LEAST if look.lines is None else max(_LEAST, _FILTERS + reach(look.lines))
    for box in [whole] if at_once else whole.tiles(_TILE):
        around = box.widened(margin).common(whole)
        portrait = find_portrait(faces, around)
        colors, opacity = _finish(drawing(around), small[around.slices], look, scale, frame, portrait)
        inside = box.relative_to(around).slices
        colors, opacity = colors[inside], opacity[inside]
        if look.grade is not None and frame.glow is not None:
            glow = Enlarged(frame.glow, box.slices[0], height, width, cv2.INTER_LINEAR).columns(box.slices[1])
            colors = add_glow(colors, np.asarray(cv2.merge(list(glow)), np.float32), look.grade.glow)
        yield box, colors, opacity


def _finish(
    drawing: Floats, photo: Pixels, look: Look, scale: float, frame: Frame, portrait: Portrait | None
) -> tuple[Floats, Floats]:
    """Colors and lines of a part of a picture; a tile's margin comes out wrong."""
    planes = to_planes(plain_areas(drawing, photo))
    opacity = np.zeros(photo.shape[:2], np.float32)
    if look.lines is not None or look.tones is not None:
        flat = flatten(planes, look.tones or Tones(), scale)
        if look.lines is not None:
            gray = to_floats(np.asarray(cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY), np.uint8))
            opacity = contours(gray, planes[0], flat.edges, flat.tensor, look.lines)
            if portrait is not None:
                opacity = portrait.clear_lines(opacity)
        if look.tones is not None:
            amount = look.tones.flat
            stepped = step_tones(flat.planes, look.tones)
            if portrait is not None:
                stepped = portrait.keep_features(stepped, flat.planes, planes)
            planes = [soft + amount * (hard - soft) for soft, hard in zip(planes, stepped, strict=True)]
    if look.grade is not None:
        graded = apply_grade(planes, look.grade, frame.lightness)
        if portrait is not None:
            graded = portrait.ease_grade(graded, planes, look.grade, frame.lightness)
        planes = graded
    return to_rgb(planes), opacity
