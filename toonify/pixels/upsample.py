"""A drawing brought up to the size of the photo, along the photo's edges."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from toonify.pixels.arrays import Floats, Pixels, to_floats, to_pixels
from toonify.pixels.color import gray, guided_coefficients
from toonify.pixels.ink import Ink
from toonify.pixels.resize import Enlarged
from toonify.system.cores import in_threads

# Rows and columns of the full-size picture worked on at once: so few that all that belongs to them stays in the cache.
_ROWS, _COLUMNS = 64, 512
_NEIGHBORS = np.ones((3, 3), np.uint8)
_FAINT = 0.04  # half the difference to its neighbors at which a pixel gets half the crispness
_INKED = 9  # pixels of the drawing: the square whose lines reach a pixel when they come up


def upsample(
    drawing: Floats,
    small: Pixels,
    full: Pixels,
    *,
    ink: Ink | None = None,
    detail: float = 0.0,
    strength: float = 1.0,
    threads: int | None = None,
) -> Pixels:
    """Bring a drawing up to the size of the full photo, with edges as sharp as the photo's and crisp lines.

    drawing: h x w x 3 in 0..1; small: the photo at that size; full: the photo, H x W x 3; returns H x W x 3 uint8.
    `ink` are lines over the drawing, of its size: they come up by themselves, so that they are crisp and of even width.
    `detail` (0..1) is how much comes back of the photo's fine texture that the drawing has not; it shows only where
    the drawing is enlarged. `strength` blends the result with the photo: 0 is the photo.
    `threads` work on it, by default one for each core: where several pictures are made at once, one each is quicker.

    1. Where the drawing follows the photo's edges it gets the fine part of those edges, by the local linear model
       drawing = a * photo + b: out = up(drawing) + up(a) * (full - up(small)). In flat shading `a` is near 0, so grain
       and leaf texture stay away; at edges that are drawn it is near 1.
    2. What leaves the range of the drawing around a pixel (3 x 3 pixels of the drawing) is clipped to it, so that no
       edge gets a halo; but where the photo leaves the range of the small photo, as on a line too thin for the working
       size, the result may leave the drawing's by as much.
    3. Inside that range values are pushed away from its middle, which makes the drawing's own lines, of which the photo
       knows nothing, as crisp as its edges: a smooth kind of morphological contrast enhancement (Kramer and Bruckner,
       1975). Linear shading lies in the middle of its range everywhere, and stays.
    4. `detail` adds its share of up(1 - a) * (full - up(small)), which is what step 1 left out.
    """
    height, width = full.shape[:2]
    h, w = drawing.shape[:2]
    if height * width <= h * w:
        if ink is not None:
            drawing = np.asarray(cv2.merge(ink.over(list(np.moveaxis(drawing, 2, 0)), ink.opacity)), np.float32)
        if (h, w) != (height, width):
            drawing = np.asarray(cv2.resize(drawing, (width, height), interpolation=cv2.INTER_AREA), np.float32)
        return to_pixels(blend(drawing, full, strength))
    model = _Model(np.clip(drawing, 0, 1), ink, gray(to_floats(small)), max(height, width) / max(h, w))
    out = np.empty_like(full)

    def draw_rows(top: int) -> None:
        rows = slice(top, min(top + _ROWS, height))
        strip = model.strip(rows, height, width)
        for left in range(0, width, _COLUMNS):
            columns = slice(left, min(left + _COLUMNS, width))
            photo = full[rows, columns]
            planes = strip.tile(columns, photo, np.float32(detail))
            out[rows, columns] = (
                _to_pixels(planes)
                if strength == 1
                else to_pixels(blend(np.asarray(cv2.merge(planes), np.float32), photo, strength))
            )

    in_threads(draw_rows, range(0, height, _ROWS), threads)
    return out


def _to_pixels(planes: Sequence[Floats]) -> Pixels:
    """`to_pixels` of the red, green and blue plane: OpenCV scales, rounds and clips in one pass."""
    return np.asarray(cv2.merge([cv2.addWeighted(one, 255, one, 0, 0, dtype=cv2.CV_8U) for one in planes]), np.uint8)


class _Crisp:
    """Planes at the size of the drawing that come up as crisp as they were, within the range around each pixel."""

    def __init__(self, planes: Sequence[Floats], scale: float) -> None:
        lows, highs = ([extreme(plane, _NEIGHBORS) for plane in planes] for extreme in (cv2.erode, cv2.dilate))
        self.reaches = [(high - low) / 2 for low, high in zip(lows, highs, strict=True)]
        self.middles = [low + reach for low, reach in zip(lows, self.reaches, strict=True)]
        self.smooth = [_without_grid(plane, scale) for plane in planes]
        # The slope at the middle of an edge that was one pixel wide and is `scale` wide now.
        self.slope = np.float32(max(1, (1 + scale) / 3))

    def push(self, drawn: Floats, middle: Floats, reach: Floats, crispness: Floats | np.float32) -> Floats:
        """Clip planes that came up, C x h x w, to their range, and push them away from its middle, in place.

        In units of `reach`, t becomes t + crispness * (smoothstep(slope * t) - t).
        """
        drawn -= middle
        drawn /= np.maximum(reach, np.float32(1e-6))
        pushed = np.clip(drawn, np.float32(-1), np.float32(1), out=drawn) * self.slope
        np.clip(pushed, np.float32(-1), np.float32(1), out=pushed)
        factor = pushed * pushed
        factor *= np.float32(-0.5)
        factor += np.float32(1.5)
        pushed *= factor  # smoothstep, from -1 to 1
        pushed -= drawn
        pushed *= crispness
        drawn += pushed
        drawn *= reach
        drawn += middle
        return drawn


def _without_grid(plane: Floats, scale: float) -> Floats:
    """From 2 times on the pixel grid of a drawing would show as steps along edges: it is smoothed.

    What is crisped then takes back the softness.
    """
    side = 0.11 * min(max(scale - 2, 0), 1)
    kernel = np.array([side, 1 - 2 * side, side])
    return np.asarray(cv2.sepFilter2D(plane, -1, kernel, kernel, borderType=cv2.BORDER_REPLICATE), np.float32)


class _Model:
    """All that the full-size picture is made of beside the full photo, at the size of the drawing.

    Pictures are planes (C x h x w) here: numpy is several times as quick with them.
    """

    def __init__(self, drawing: Floats, ink: Ink | None, photo: Floats, scale: float) -> None:
        gain, _ = guided_coefficients(photo, gray(drawing)[..., None], radius=1, eps=4e-3)
        self.colors = _Crisp([np.asarray(plane, np.float32) for plane in cv2.split(drawing)], scale)
        # Faint differences are noise or shading, and are not to become contours.
        red, green, blue = self.colors.reaches
        contrast = np.square(np.maximum(np.maximum(red, green), blue))
        self.most_crisp = np.float32(min(scale - 1, 1))
        crispness = self.most_crisp * contrast / (contrast + np.float32(_FAINT**2))
        self.smooth = np.array([*self.colors.smooth, _without_grid(photo, scale)], np.float32)
        darkest, brightest = (extreme(photo, _NEIGHBORS) for extreme in (cv2.erode, cv2.dilate))
        local = [np.clip(gain[..., 0], 0, 1), crispness, darkest, brightest]
        self.linear = np.array([*local, *self.colors.middles, *self.colors.reaches], np.float32)
        self.lines = None if ink is None else _Lines(ink, scale)

    def strip(self, rows: slice, height: int, width: int) -> "_Strip":
        """The rows `rows` of the result, which is height x width."""
        return _Strip(
            self,
            Enlarged(self.smooth, rows, height, width, cv2.INTER_CUBIC),
            Enlarged(self.linear, rows, height, width, cv2.INTER_LINEAR),
            None if self.lines is None else self.lines.strip(rows, height, width),
        )


@dataclass(frozen=True)
class _Strip:
    """Some rows of the result, and what they are made of."""

    model: _Model
    smooth: Enlarged
    linear: Enlarged
    lines: "_LinesStrip | None"

    def tile(self, columns: slice, photo: Pixels, detail: np.float32) -> list[Floats]:
        """The columns `columns` of these rows, red, green and blue; `photo` is that part of the full photo."""
        smooth, linear = self.smooth.columns(columns), self.linear.columns(columns)
        drawn, small = smooth[:3], smooth[3]
        gain, crispness, darkest, brightest = linear[:4]
        luma = gray(to_floats(photo))
        within = np.minimum(np.maximum(luma, darkest), brightest)
        rest = gain * (luma - within)
        if detail:
            rest += detail * (1 - gain) * (luma - small)
        within -= small
        within *= gain
        drawn += within
        self.model.colors.push(drawn, linear[4:7], linear[7:], crispness)
        drawn += rest
        return list(drawn) if self.lines is None else self.lines.over(list(drawn), columns)


class _Lines:
    """Lines that come up by themselves; most parts of a picture have none."""

    def __init__(self, ink: Ink, scale: float) -> None:
        self.ink = ink
        self.crisp = _Crisp([ink.opacity], scale)
        self.crispness = np.float32(min(scale - 1, 1))
        self.smooth = self.crisp.smooth[0][None]
        self.linear = np.array([*self.crisp.middles, *self.crisp.reaches], np.float32)
        self.near = cv2.dilate(ink.opacity, np.ones((_INKED, _INKED), np.uint8)) > 0

    def strip(self, rows: slice, height: int, width: int) -> "_LinesStrip | None":
        """What lies over the rows `rows` of the result, height x width; None: no line does."""
        h, w = self.near.shape
        above, below = math.floor(rows.start * h / height), math.ceil(rows.stop * h / height)
        near = np.asarray(self.near[above:below].any(axis=0))
        if not near.any():
            return None
        return _LinesStrip(
            self,
            Enlarged(self.smooth, rows, height, width, cv2.INTER_CUBIC),
            Enlarged(self.linear, rows, height, width, cv2.INTER_LINEAR),
            near,
            w / width,
        )


@dataclass(frozen=True)
class _LinesStrip:
    """The lines over some rows of the result."""

    lines: _Lines
    smooth: Enlarged
    linear: Enlarged
    near: NDArray[np.bool_]  # in which columns of the drawing there are lines
    scale: float  # width of the drawing by that of the result

    def over(self, colors: list[Floats], columns: slice) -> list[Floats]:
        """The columns `columns` of a picture with its lines over them."""
        if not self.near[math.floor(columns.start * self.scale) : math.ceil(columns.stop * self.scale)].any():
            return colors
        linear = self.linear.columns(columns)
        lines = self.lines
        opacity = lines.crisp.push(self.smooth.columns(columns), linear[:1], linear[1:], lines.crispness)
        return lines.ink.over(colors, opacity[0])


def blend(drawing: Floats, photo: Pixels, strength: float) -> Floats:
    """The drawing (`strength` 1), the photo (0), or what is between."""
    if strength == 1:
        return drawing
    drawing = np.clip(drawing, 0, 1)  # or what lies outside would weigh more than it shows
    return np.float32(strength) * drawing + np.float32(1 - strength) * to_floats(photo)
