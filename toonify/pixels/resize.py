"""Sizes: down to where a style is drawn, and back up to the photo's own, along the photo's edges."""

from dataclasses import dataclass

import cv2
import numpy as np

from toonify.pixels.arrays import Floats, Pixels, to_floats, to_pixels
from toonify.pixels.color import gray, guided_coefficients
from toonify.pixels.ink import Ink

# Rows and columns of the full-size picture worked on at once: so few that all that belongs to them stays in the cache.
_ROWS, _COLUMNS = 64, 512
_NEIGHBORS = np.ones((3, 3), np.uint8)
_FAINT = 0.04  # half the difference to its neighbors at which a pixel gets half the crispness


def fit_long_side(height: int, width: int, long_side: int) -> tuple[int, int]:
    """Height and width scaled so that the longer is `long_side`; neither falls under 1."""
    scale = long_side / max(height, width)
    return max(1, round(height * scale)), max(1, round(width * scale))


def resize(pixels: Pixels, size: tuple[int, int]) -> Pixels:
    """Resample to `size` (height, width): area averages on the way down, Lanczos on the way up."""
    height, width = size
    if pixels.shape[:2] == size:
        return pixels
    smaller = height * width < pixels.shape[0] * pixels.shape[1]
    method = cv2.INTER_AREA if smaller else cv2.INTER_LANCZOS4
    return np.asarray(cv2.resize(pixels, (width, height), interpolation=method), np.uint8)


def upsample(
    drawing: Floats, small: Pixels, full: Pixels, *, ink: Ink | None = None, detail: float = 0.0, strength: float = 1.0
) -> Pixels:
    """Bring a drawing up to the size of the full photo, with edges as sharp as the photo's and crisp lines.

    drawing: h x w x 3 in 0..1; small: the photo at that size; full: the photo, H x W x 3; returns H x W x 3 uint8.
    `ink` are lines over the drawing, of its size: they come up by themselves, so that they are crisp and of even width.
    `detail` (0..1) is how much comes back of the photo's fine texture that the drawing has not; it shows only where
    the drawing is enlarged. `strength` blends the result with the photo: 0 is the photo.

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
    for top in range(0, height, _ROWS):
        rows = slice(top, min(top + _ROWS, height))
        strip = model.strip(rows, height, width)
        for left in range(0, width, _COLUMNS):
            columns = slice(left, min(left + _COLUMNS, width))
            photo = full[rows, columns]
            tile = strip.tile(columns, photo, np.float32(detail))
            out[rows, columns] = to_pixels(blend(tile, photo, strength))
    return out


class _Model:
    """All that the full-size picture is made of beside the full photo, at the size of the drawing.

    Pictures are planes (C x h x w) here: numpy is several times as quick with them.
    """

    def __init__(self, drawing: Floats, ink: Ink | None, photo: Floats, scale: float) -> None:
        gain, _ = guided_coefficients(photo, gray(drawing)[..., None], radius=1, eps=4e-3)
        drawn = [*cv2.split(drawing), *([] if ink is None else [ink.opacity])]
        planes = [*drawn, photo]
        lows, highs = ([extreme(plane, _NEIGHBORS) for plane in planes] for extreme in (cv2.erode, cv2.dilate))
        reaches = [(high - low) / 2 for low, high in zip(lows[:-1], highs, strict=False)]
        middles = [low + reach for low, reach in zip(lows, reaches, strict=False)]
        # Faint differences are noise or shading, and are not to become contours.
        contrast = np.square(np.maximum(np.maximum(reaches[0], reaches[1]), reaches[2]))
        self.most_crisp = np.float32(min(scale - 1, 1))
        crispness = self.most_crisp * contrast / (contrast + np.float32(_FAINT**2))
        # The slope at the middle of an edge that was one pixel wide and is `scale` wide now.
        self.slope = np.float32(max(1, (1 + scale) / 3))
        self.ink = ink
        # From 2 times on the pixel grid of the drawing would show as steps along edges: it is smoothed, and step 3
        # takes back the softness.
        side = 0.11 * min(max(scale - 2, 0), 1)
        kernel = np.array([side, 1 - 2 * side, side])
        if side:
            planes = [cv2.sepFilter2D(one, -1, kernel, kernel, borderType=cv2.BORDER_REPLICATE) for one in planes]
        self.smooth = np.array(planes, np.float32)
        self.linear = np.array(
            [np.clip(gain[..., 0], 0, 1), crispness, lows[-1], highs[-1], *middles, *reaches], np.float32
        )

    def strip(self, rows: slice, height: int, width: int) -> "_Strip":
        """The rows `rows` of the result, which is height x width."""
        return _Strip(
            Enlarged(self.smooth, rows, height, width, cv2.INTER_CUBIC),
            Enlarged(self.linear, rows, height, width, cv2.INTER_LINEAR),
            self.slope,
            self.most_crisp,
            self.ink,
        )


@dataclass(frozen=True)
class _Strip:
    """Some rows of the result, and what they are made of."""

    smooth: "Enlarged"
    linear: "Enlarged"
    slope: np.float32
    most_crisp: np.float32
    ink: Ink | None

    def tile(self, columns: slice, photo: Pixels, detail: np.float32) -> Floats:
        """The columns `columns` of these rows; `photo` is that part of the full photo."""
        smooth, linear = self.smooth.columns(columns), self.linear.columns(columns)
        drawn, small = smooth[:-1], smooth[-1]  # red, green, blue and, if there are lines, their opacity
        gain, crispness, darkest, brightest = linear[:4]
        middle, reach = linear[4 : 4 + len(drawn)], linear[4 + len(drawn) :]
        luma = gray(to_floats(photo))
        within = np.minimum(np.maximum(luma, darkest), brightest)
        rest = gain * (luma - within)
        if detail:
            rest += detail * (1 - gain) * (luma - small)

        drawn -= middle
        drawn[:3] += gain * (within - small)
        lowest = -reach
        np.minimum(np.maximum(drawn, lowest, out=drawn), reach, out=drawn)
        pushed = drawn * self.slope
        np.minimum(np.maximum(pushed, lowest, out=pushed), reach, out=pushed)
        ratio = np.divide(pushed, np.maximum(reach, np.float32(1e-6), out=reach), out=lowest)
        ratio *= ratio
        ratio *= np.float32(-0.5)
        ratio += np.float32(1.5)
        pushed *= ratio  # smoothstep, from -reach to reach
        pushed -= drawn
        pushed[:3] *= crispness
        pushed[3:] *= self.most_crisp
        drawn += pushed
        drawn += middle
        colors = list(drawn[:3] + rest)
        if self.ink is not None:
            colors = self.ink.over(colors, drawn[3])
        return np.asarray(cv2.merge(colors), np.float32)


class Enlarged:
    """The rows `rows` of C x h x w `planes` resampled to height x width, as if the whole had been.

    `method` is OpenCV's INTER_CUBIC or INTER_LINEAR.
    """

    def __init__(self, planes: Floats, rows: slice, height: int, width: int, method: int) -> None:
        self._weights: Floats | None = None
        if planes.shape[1:] == (height, width):
            self._wide = planes[:, rows]
            return
        first, self._weights = _weights(rows, planes.shape[1], height, method)
        count = self._weights.shape[1]
        self._wide = np.empty((len(planes), count, width), np.float32)
        for plane, target in zip(planes, self._wide, strict=True):
            cv2.resize(plane[first : first + count], (width, count), dst=target, interpolation=method)

    def columns(self, columns: slice = slice(None)) -> Floats:
        """Some columns, or all of them."""
        wide = self._wide[:, :, columns]
        return wide if self._weights is None else np.asarray(np.matmul(self._weights, wide), np.float32)


def _weights(rows: slice, h: int, height: int, method: int) -> tuple[int, Floats]:
    """Which input rows the output rows `rows` are made of: the first, and a weight for each output and input row.

    The cubic kernel is Keys' (1981) with a = -0.75, as OpenCV has it for the columns; the border row is repeated.
    """
    reach = 2 if method == cv2.INTER_CUBIC else 1
    center = (np.arange(rows.start, rows.stop) + 0.5) * h / height - 0.5
    taps = np.floor(center).astype(int)[:, None] + np.arange(1 - reach, 1 + reach)
    distance = np.abs(center[:, None] - taps)
    if method == cv2.INTER_CUBIC:
        near = (1.25 * distance - 2.25) * distance**2 + 1
        far = -0.75 * (((distance - 5) * distance + 8) * distance - 4)
        values = np.where(distance <= 1, near, far)
    else:
        values = 1 - distance
    taps = np.clip(taps, 0, h - 1)
    first = int(taps.min())
    weights = np.zeros((len(taps), int(taps.max()) - first + 1), np.float32)
    np.add.at(weights, (np.arange(len(taps))[:, None], taps - first), values)
    return first, weights


def blend(drawing: Floats, photo: Pixels, strength: float) -> Floats:
    """The drawing (`strength` 1), the photo (0), or what is between."""
    if strength == 1:
        return drawing
    drawing = np.clip(drawing, 0, 1)  # or what lies outside would weigh more than it shows
    return np.float32(strength) * drawing + np.float32(1 - strength) * to_floats(photo)
