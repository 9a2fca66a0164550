"""Sizes: down to where a style is drawn, and back up to the photo's own, along the photo's edges."""

import cv2
import numpy as np

from toonify.arrays import Floats, Pixels, to_floats, to_pixels
from toonify.color import grey, guided_coefficients

_STRIP = 256  # rows of the full-size picture worked on at once, which bounds the memory in float32


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


def upsample(drawing: Floats, small: Pixels, full: Pixels, *, strength: float = 1.0) -> Pixels:
    """Bring a drawing up to the size of the full photo, with edges as sharp as the photo's.

    drawing: h x w x 3 in 0..1; small: the photo at that size; full: the photo, H x W x 3; returns H x W x 3 uint8.
    `strength` blends the result with the photo: 0 is the photo.

    The drawing is enlarged, and where it follows the photo's edges it gets the fine part of those edges: with the
    local linear model drawing = a * photo + b, out = up(drawing) + up(a) * (full - up(small)). In flat shading the
    model's `a` is near 0, so grain and leaf texture stay away; at edges that are drawn it is near 1.
    """
    height, width = full.shape[:2]
    h, w = drawing.shape[:2]
    if height * width <= h * w:
        if (h, w) != (height, width):
            drawing = np.asarray(cv2.resize(drawing, (width, height), interpolation=cv2.INTER_AREA), np.float32)
        return to_pixels(blend(drawing, full, strength))
    small_grey = grey(to_floats(small))
    gain, _ = guided_coefficients(small_grey, grey(drawing)[..., None], radius=2, eps=4e-3)
    gain = np.clip(gain[..., 0], 0, 1)
    out = np.empty_like(full)
    for top in range(0, height, _STRIP):
        rows = slice(top, min(top + _STRIP, height))
        photo = full[rows]
        detail = grey(to_floats(photo)) - enlarge(small_grey, rows, height, width)
        strip = enlarge(drawing, rows, height, width) + (enlarge(gain, rows, height, width) * detail)[..., None]
        out[rows] = to_pixels(blend(strip, photo, strength))
    return out


def enlarge(values: Floats, rows: slice, height: int, width: int) -> Floats:
    """The rows `rows` of `values` resampled to height x width by bicubic interpolation, as if the whole had been."""
    if values.shape[:2] == (height, width):
        return values[rows]
    first, weights = _cubic_weights(rows, values.shape[0], height)
    wide = cv2.resize(
        values[first : first + weights.shape[1]], (width, weights.shape[1]), interpolation=cv2.INTER_CUBIC
    )
    strip = weights @ np.asarray(wide, np.float32).reshape(len(wide), -1)
    return strip.reshape(len(weights), *wide.shape[1:])


def _cubic_weights(rows: slice, h: int, height: int) -> tuple[int, Floats]:
    """Which input rows the output rows `rows` are made of: the first, and a weight for each output and input row.

    The kernel is Keys' (1981) with a = -0.75, as OpenCV has it for the columns; the border row is repeated.
    """
    centre = (np.arange(rows.start, rows.stop) + 0.5) * h / height - 0.5
    taps = np.floor(centre).astype(int)[:, None] + np.arange(-1, 3)
    distance = np.abs(centre[:, None] - taps)
    near = (1.25 * distance - 2.25) * distance**2 + 1
    far = -0.75 * (((distance - 5) * distance + 8) * distance - 4)
    taps = np.clip(taps, 0, h - 1)
    first = int(taps.min())
    weights = np.zeros((len(taps), int(taps.max()) - first + 1), np.float32)
    np.add.at(weights, (np.arange(len(taps))[:, None], taps - first), np.where(distance <= 1, near, far))
    return first, weights


def blend(drawing: Floats, photo: Pixels, strength: float) -> Floats:
    """The drawing (`strength` 1), the photo (0), or what is between."""
    if strength == 1:
        return drawing
    drawing = np.clip(drawing, 0, 1)  # or what lies outside would weigh more than it shows
    return np.float32(strength) * drawing + np.float32(1 - strength) * to_floats(photo)
