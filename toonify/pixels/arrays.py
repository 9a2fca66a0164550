"""The kinds of picture in memory, the way from one to the other, and how near two of them are."""

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]  # H x W x 3 sRGB as files have it, or H x W of one channel
Halves = NDArray[np.float16]  # what is too large to be kept as Floats
Floats = NDArray[np.float32]  # the same in 0..1 (in between, colors may lie outside), or a network's N x C x H x W


def to_floats(pixels: Pixels) -> Floats:
    """0..255 to 0..1."""
    return np.multiply(pixels, np.float32(1 / 255), dtype=np.float32)


def to_pixels(values: Floats) -> Pixels:
    """0..1 to 0..255, rounded to nearest; what lies outside is clipped."""
    scaled = np.clip(values, np.float32(0), np.float32(1)) * np.float32(255)
    return np.asarray(np.rint(scaled), np.uint8)


def psnr(a: Floats | Halves | Pixels, b: Floats | Halves | Pixels, *, peak: float) -> float:
    """Peak signal-to-noise ratio of two arrays in dB; infinite if they are equal."""
    error = float(np.mean((a.astype(np.float64) - b.astype(np.float64)) ** 2))
    return float("inf") if error == 0 else 10 * float(np.log10(peak**2 / error))
