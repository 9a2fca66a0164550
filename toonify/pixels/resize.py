"""Sizes: down to where a style is drawn, and planes brought up, part by part."""

import cv2
import numpy as np

from toonify.pixels.arrays import Floats, Pixels

_BLOCK = 64  # rows that are made at once of those that they lie between
# OpenBLAS takes several threads for a matrix product of more multiplications than these, and they wait spinning:
# where every core has work of its own, that takes longer than the work.
_PRODUCTS = 1 << 18


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


class Enlarged:
    """The rows `rows` of C x h x w `planes` resampled to height x width, as if the whole had been.

    `method` is OpenCV's INTER_CUBIC or INTER_LINEAR.
    """

    def __init__(self, planes: Floats, rows: slice, height: int, width: int, method: int) -> None:
        self._height = rows.stop - rows.start
        self._blocks: list[tuple[slice, slice, Floats]] = []  # output rows, input rows, and the weights between them
        if planes.shape[1:] == (height, width):
            self._wide = planes[:, rows]
            return
        parts = [slice(top, min(top + _BLOCK, rows.stop)) for top in range(rows.start, rows.stop, _BLOCK)]
        weighted = [_weights(part, planes.shape[1], height, method) for part in parts]
        first = weighted[0][0]
        for part, (start, weights) in zip(parts, weighted, strict=True):
            output = slice(part.start - rows.start, part.stop - rows.start)
            self._blocks.append((output, slice(start - first, start - first + weights.shape[1]), weights))
        count = self._blocks[-1][1].stop
        self._wide = np.empty((len(planes), count, width), np.float32)
        for plane, target in zip(planes, self._wide, strict=True):
            cv2.resize(plane[first : first + count], (width, count), dst=target, interpolation=method)

    def columns(self, columns: slice = slice(None)) -> Floats:
        """Some columns, or all of them."""
        wide = self._wide[:, :, columns]
        if not self._blocks:
            return wide
        out = np.empty((len(wide), self._height, wide.shape[2]), np.float32)
        for output, source, weights in self._blocks:
            step = max(16, _PRODUCTS // weights.size)
            for left in range(0, wide.shape[2], step):
                part = slice(left, left + step)
                np.matmul(weights, wide[:, source, part], out=out[:, output, part])
        return out


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
