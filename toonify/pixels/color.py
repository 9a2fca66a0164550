"""What happens to a drawing's colors: arrays in, arrays out. All are H x W x 3 float32, RGB in 0..1."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from toonify.pixels.arrays import Floats

_LUMA = np.array([[0.2126, 0.7152, 0.0722]], np.float32)  # Rec. 709


def gray(rgb: Floats) -> Floats:
    """Luma of an RGB picture: H x W x 3 to H x W."""
    return np.asarray(cv2.transform(rgb, _LUMA), np.float32)


def guided_coefficients(guide: Floats, target: Floats, *, radius: int, eps: float) -> tuple[Floats, Floats]:
    """The local linear model target = a * guide + b: for a guide H x W and a target H x W x C, two H x W x C.

    `radius` is that of the square windows, in pixels; `eps` is the variance of the guide below which the model turns
    flat. Source: He, Sun, Tang: Guided Image Filtering, ECCV 2010, equations 5, 6 and 8.
    """
    # Differences to the mean keep float32 exact enough where bright windows have a small variance.
    guide = np.subtract(guide, guide.mean(), dtype=np.float32)
    guide_mean = _box(guide, radius)
    variance = _box(guide * guide, radius) - guide_mean * guide_mean
    target_mean = _box(target, radius)
    covariance = _box(np.multiply(target, guide[..., None]), radius) - target_mean * guide_mean[..., None]
    a = covariance / (variance + np.float32(eps))[..., None]
    b = target_mean - a * guide_mean[..., None]
    return _box(a, radius), _box(b, radius)


@dataclass(frozen=True)
class ColorModel:
    """What a drawing's colors lack to be the photo's, at low frequencies and along the photo's edges.

    A local linear model of it: lack = gain * (gray(photo) - middle) + offset, with two h x w x 3. Both are so smooth
    that they may be enlarged to a larger picture of the same scene (He, Sun: Fast Guided Filter, 2015).
    """

    gain: Floats
    offset: Floats
    middle: float

    def lack(self, photo: Floats) -> Floats:
        """What is to be added to the drawing of a photo of the model's size: h x w x 3."""
        return self.gain * (gray(photo) - np.float32(self.middle))[..., None] + self.offset


def color_model(drawing: Floats, photo: Floats) -> ColorModel:
    """The model of the difference d = photo - drawing, by guided filters with the photo's gray as guide, eps 1e-3.

    The gray part of d is filtered with a radius of 2 % of the long side, which leaves the lines, drawn in gray, alone.
    The colored rest has 0.5 %: the networks' palettes drift inside single objects, and a wide window would leave red
    and green fringes there.
    """
    guide = gray(photo)
    long_side = max(guide.shape)
    difference = photo - drawing
    gray_part = gray(difference)[..., None]
    wide, narrow = (max(1, round(share * long_side)) for share in (0.02, 0.005))
    gain, offset = guided_coefficients(guide, gray_part, radius=wide, eps=1e-3)
    more_gain, more_offset = guided_coefficients(guide, difference - gray_part, radius=narrow, eps=1e-3)
    return ColorModel(more_gain + gain, more_offset + offset, float(guide.mean()))


def keep_color(drawing: Floats, photo: Floats, amount: float) -> Floats:
    """Give a drawing the photo's colors back (`amount` 1) or a part of them, and keep its lines and flat shading.

    0 leaves the drawing as it is.
    """
    return drawing if amount == 0 else drawing + np.float32(amount) * color_model(drawing, photo).lack(photo)


def saturate(rgb: Floats, factor: float) -> Floats:
    """Scale the distance of each color to its own gray: 0 is gray, 1 leaves the picture as it is."""
    if factor == 1:
        return rgb
    luma = gray(rgb)[..., None]
    return luma + np.float32(factor) * (rgb - luma)


def _box(values: NDArray[np.floating], radius: int) -> Floats:
    means = cv2.blur(values, (2 * radius + 1, 2 * radius + 1), borderType=cv2.BORDER_REFLECT)
    return np.asarray(means, np.float32).reshape(values.shape)  # OpenCV drops a last axis of 1
