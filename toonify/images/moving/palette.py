"""Palettes for frames that follow each other: one is kept as long as it suits, so that still areas stand still.

With a palette of its own for each frame, what stands still in a drawing flickers (docs/lab-notes.md). Nothing is
dithered: in flat tones that is noise, which changes from frame to frame and takes half as many bytes again.
"""

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from toonify.pixels.arrays import Pixels

_COLORS = 255  # one more stands for nothing
_ALIKE = 4  # of 255: a pixel stays as it is where its color has changed by no more
_WORSE, _FREE = 1.2, 0.5  # how much further from the colors a later frame may be than the first: a factor, and levels
_LOOKED_AT = 16_384  # pixels from which a palette is made: four times as many are as good, and take a second
_BITS = 6  # of a channel, by which the nearest color is looked up

Table = npt.NDArray[np.uint8]  # up to 255 x 3


@dataclass(frozen=True)
class _Palette:
    table: Table
    nearest: Pixels  # indices by 6 bits of each channel: 64 x 64 x 64
    error: float  # mean distance in a channel, of the frame that it was made for

    @classmethod
    def of(cls, looked_at: Pixels) -> "_Palette":
        """The colors that suit N x 3 pixels: median cut, and k-means after it."""
        reduced = Image.fromarray(looked_at[None]).quantize(_COLORS, method=Image.Quantize.MEDIANCUT, kmeans=1)
        table = np.array(reduced.getpalette(), np.uint8).reshape(-1, 3)[:_COLORS]
        nearest = _look_up_table(table)
        return cls(table, nearest, _error(looked_at, table, nearest))


class Palettes:
    """The palette of the last frame, and whether it suits the next."""

    def __init__(self) -> None:
        self._palette: _Palette | None = None

    def differ(self, colors: Pixels, shown: Pixels) -> npt.NDArray[np.bool_]:
        """Where H x W x 3 colors differ from what is shown so far that it would be seen."""
        return np.asarray(cv2.absdiff(colors, shown).max(axis=2) > _ALIKE)

    def indices(self, colors: Pixels, solid: npt.NDArray[np.bool_]) -> tuple[Table, Pixels]:
        """The palette of a frame of H x W x 3 pixels, and its indices.

        It is that of the frame before where that suits. What is not `solid` is not seen.
        """
        seen = colors[solid] if solid.any() else colors.reshape(-1, 3)
        looked_at = np.ascontiguousarray(seen[:: max(1, len(seen) // _LOOKED_AT)])
        kept = self._palette
        if kept is None or _error(looked_at, kept.table, kept.nearest) > _WORSE * kept.error + _FREE:
            self._palette = kept = _Palette.of(looked_at)
        return kept.table, _indices(colors, kept.nearest)


def _look_up_table(table: Table) -> Pixels:
    """The index of the nearest color for each of 64 x 64 x 64: Pillow's own look-up is a fifth further off."""
    levels = (np.arange(1 << _BITS, dtype=np.float32) + 0.5) * (1 << 8 - _BITS) - 0.5
    colors = table.astype(np.float32)
    lengths = np.square(colors).sum(axis=1)
    found = np.empty((1 << _BITS,) * 3, np.uint8)
    for red, plane in zip(levels, found, strict=True):
        green, blue = np.meshgrid(levels, levels, indexing="ij")
        wanted = np.stack([np.full_like(green, red), green, blue], axis=2)
        plane[:] = (lengths - 2 * (wanted @ colors.T)).argmin(axis=2)
    return found


def _indices(colors: Pixels, nearest: Pixels) -> Pixels:
    red, green, blue = (colors[..., channel] >> 8 - _BITS for channel in range(3))
    return np.asarray(nearest[red, green, blue], np.uint8)


def _error(colors: Pixels, table: Table, nearest: Pixels) -> float:
    return float(np.abs(colors.astype(np.int16) - table[_indices(colors, nearest)]).mean())
