"""What happens to a drawing's colours: arrays in, arrays out. All are H x W x 3 float32, RGB in 0..1."""

import cv2
import numpy as np
from numpy.typing import NDArray

from toonify.arrays import Floats

_LUMA = np.array([[0.2126, 0.7152, 0.0722]], np.float32)  # Rec. 709


def grey(rgb: Floats) -> Floats:
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


def guided_filter(guide: Floats, target: Floats, *, radius: int, eps: float) -> Floats:
    """Smooth `target` (H x W x C) where `guide` (H x W) is smooth, and keep its edges where the guide has edges."""
    a, b = guided_coefficients(guide, target, radius=radius, eps=eps)
    return a * (guide - np.float32(guide.mean()))[..., None] + b


def keep_color(drawing: Floats, photo: Floats, amount: float) -> Floats:
    """Give a drawing the photo's colours back, and keep its lines and flat shading.

    Takes the low frequencies of the difference d = x - y from the photo x to the drawing y, along the photo's edges:
    out = y + amount * guided_filter(guide = grey(x), d), with eps 1e-3. The grey part of d is filtered with a radius
    of 2 % of the long side, which leaves the lines, drawn in grey, alone. The coloured rest has 0.5 %: the networks'
    palettes drift inside single objects, and a wide window would leave red and green fringes there.
    0 leaves the drawing as it is.
    """
    if amount == 0:
        return drawing
    guide = grey(photo)
    long_side = max(guide.shape)
    difference = photo - drawing
    grey_part = grey(difference)[..., None]
    kept = guided_filter(guide, grey_part, radius=max(1, round(0.02 * long_side)), eps=1e-3)
    kept = kept + guided_filter(guide, difference - grey_part, radius=max(1, round(0.005 * long_side)), eps=1e-3)
    return drawing + np.float32(amount) * kept


def saturate(rgb: Floats, factor: float) -> Floats:
    """Scale the distance of each colour to its own grey: 0 is grey, 1 leaves the picture as it is."""
    if factor == 1:
        return rgb
    luma = grey(rgb)[..., None]
    return luma + np.float32(factor) * (rgb - luma)


def _box(values: NDArray[np.floating], radius: int) -> Floats:
    means = cv2.blur(values, (2 * radius + 1, 2 * radius + 1), borderType=cv2.BORDER_REFLECT)
    return np.asarray(means, np.float32).reshape(values.shape)  # OpenCV drops a last axis of 1
