"""The small filters that the finish is made of. Planes are h x w float32; borders are mirrored."""

import cv2
import numpy as np
from numpy.typing import NDArray

from toonify.pixels.arrays import Floats


def gaussian(plane: NDArray[np.floating], sigma: float) -> Floats:
    """Blur with a Gaussian of that standard deviation in pixels."""
    return np.asarray(cv2.GaussianBlur(plane, (0, 0), sigma, borderType=cv2.BORDER_REFLECT_101), np.float32)


def mean(plane: NDArray[np.floating], side: int) -> Floats:
    """The mean over squares of `side` pixels."""
    return np.asarray(cv2.blur(plane, (side, side), borderType=cv2.BORDER_REFLECT_101), np.float32)


def gradients(plane: NDArray[np.floating]) -> tuple[Floats, Floats]:
    """The derivatives along x and y, per pixel (Scharr's 3 x 3 kernel)."""
    x, y = (cv2.Scharr(plane, cv2.CV_32F, dx, 1 - dx, scale=1 / 32) for dx in (1, 0))
    return np.asarray(x, np.float32), np.asarray(y, np.float32)


def smoothstep(values: NDArray[np.floating], low: float, high: float) -> Floats:
    """0 up to `low`, 1 from `high` on, and a smooth cubic between; a step if `high` is no more than `low`."""
    t = np.clip((values - low) / max(high - low, 1e-6), 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)


def extremes(plane: NDArray[np.floating], side: int) -> tuple[Floats, Floats]:
    """The smallest and the largest value in squares of `side` pixels."""
    square = np.ones((side, side), np.uint8)
    return np.asarray(cv2.erode(plane, square), np.float32), np.asarray(cv2.dilate(plane, square), np.float32)


def crispen(plane: NDArray[np.floating]) -> Floats:
    """Push each value towards the nearer end of the range of its 3 x 3 neighbors: soft edges become hard, none rings.

    A smooth kind of morphological contrast enhancement (Kramer and Bruckner, Pattern Recognition 7, 1975).
    """
    low, high = extremes(plane, 3)
    reach = 0.5 * (high - low)
    middle = low + reach
    t = (plane - middle) * 1.6 / np.maximum(reach, 1e-5)
    np.clip(t, -1, 1, out=t)
    t *= 1.5 - 0.5 * t * t
    return np.asarray(middle + t * reach, np.float32)
