"""Flat surfaces with crisp borders: what an illustrator makes of shading, grain and leaves."""

from dataclasses import dataclass

import cv2
import numpy as np

from toonify.drawing.finish.filters import crispen, gaussian, gradients, mean, smoothstep
from toonify.drawing.finish.flow import Tensor, smooth_along, structure_tensor
from toonify.drawing.finish.lab import Planes
from toonify.pixels.arrays import Floats, Pixels, to_floats
from toonify.styles.look import Tones

_SECTORS = 8
_STRUCTURED = 13  # pixels: the square in which edges have one direction
_BUILT = 21  # pixels: the square in which they have two
_PLAIN = 33  # pixels: the square over which colors of plain areas are averaged


def plain_areas(drawing: Floats, photo: Pixels) -> Floats:
    """Take from a drawing what it puts into areas that are plain in the photo: dots, stripes and grain in a sky.

    drawing: h x w x 3 in 0..1; photo: the same size. Where the photo varies by less than 3 % of the range of light
    (10 % where it ends), the smoothed photo takes the drawing's place, in the drawing's own colors: their difference is
    averaged over the plain parts of squares of 33 pixels.
    """
    gray = cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY)
    low, high = (extreme(gray, np.ones((9, 9), np.uint8)) for extreme in (cv2.erode, cv2.dilate))
    varied = smoothstep(mean(to_floats(np.asarray(high - low, np.uint8)), 5), 0.03, 0.1)[..., None]
    smooth = to_floats(np.asarray(cv2.GaussianBlur(photo, (0, 0), 1.5, borderType=cv2.BORDER_REFLECT_101), np.uint8))
    plain = 1 - varied
    shift = mean(plain * (drawing - smooth), _PLAIN) / (mean(plain, _PLAIN)[..., None] + 1e-3)
    return drawing + plain * (smooth + shift - drawing)


@dataclass(frozen=True)
class Flattened:
    """A flattened picture, and what its contours are found in."""

    planes: Planes
    edges: Floats  # lightness, smoothed along edges and crisp across them
    tensor: Tensor  # of that


def stroke_scale(height: int, width: int) -> float:
    """The size of strokes in a picture, 1 from a long side of 768 pixels on: small ones would melt under large ones."""
    return min(max(max(height, width) / 768, 0.6), 1.0)


def flatten(planes: Planes, tones: Tones, scale: float = 1.0) -> Flattened:
    """Flatten a picture, with strokes of that scale (see `stroke_scale`).

    Where edges have a direction, lightness is smoothed along them and made crisp across, twice (coherence-enhancing
    filtering: Kyprianidis and Kang, 2011). Elsewhere, as in leaves, gravel and plain surfaces, brush strokes take its
    place (the generalized Kuwahara filter); the colors are theirs everywhere, which leaves no fringe of JPEG's coarser
    colors along an edge. Thin features that stand alone, such as masts, and those of buildings are kept.
    """
    sigma = max(1.6 * scale, 1.2)
    tensor = structure_tensor(planes, sigma)
    edges = planes[0]
    for reach in (2, 3):
        (edges,) = smooth_along([edges], tensor, sigma=2.0 * scale, reach=max(2, round(reach * scale)))
        edges = crispen(edges)
        tensor = structure_tensor([edges], sigma)
    brushed = smooth_along(kuwahara(planes, max(2, round(3 * scale))), tensor, sigma=2.0 * scale, reach=2)
    lightness, *colors = (crispen(plane) for plane in brushed)
    built = _rectilinear(planes[0])
    structured = np.maximum(smoothstep(tensor.averaged(_STRUCTURED).coherence, *tones.structure), built)
    lightness += structured * (edges - lightness)
    thin = _thin(planes[0], built)
    flat = [hard + thin * (soft - hard) for soft, hard in zip(planes, [lightness, *colors], strict=True)]
    # What was made crisp is stairs of pixels, which are smoothed along themselves; but windows would melt.
    even = smooth_along(flat, tensor, sigma=1.2 * scale, reach=round(2 * scale))
    return Flattened([soft + built * (hard - soft) for soft, hard in zip(even, flat, strict=True)], edges, tensor)


def kuwahara(planes: Planes, radius: int = 3) -> Planes:
    """Replace each pixel by the mean of that part of its neighborhood which varies least, softly weighted.

    Sectors are Gaussian windows around points on a circle of `radius` pixels. Source: Papari, Petkov, Campisi: Artistic
    Edge and Corner Enhancing Smoothing, IEEE Transactions on Image Processing 16, 2007, equations 13 to 15, with an
    exponent of 8.
    """
    height, width = planes[0].shape
    means = [gaussian(plane, radius / 2) for plane in planes]
    variance = np.zeros_like(planes[0])
    for plane, average in zip(planes, means, strict=True):
        variance += gaussian(plane * plane, radius / 2) - average * average
    weight = 1 / (np.maximum(variance, 0) + 1e-4)
    weight = np.square(np.square(weight))
    border = (radius,) * 4
    weighted = [
        cv2.copyMakeBorder(plane, *border, cv2.BORDER_REFLECT_101)
        for plane in (weight, *(weight * average for average in means))
    ]
    sums = [np.zeros_like(planes[0]) for _ in weighted]
    for sector in range(_SECTORS):
        angle = 2 * np.pi * sector / _SECTORS
        top, left = (radius + round(radius * part) for part in (np.sin(angle), np.cos(angle)))
        for total, part in zip(sums, weighted, strict=True):
            np.add(total, part[top : top + height, left : left + width], out=total)
    return [total / sums[0] for total in sums[1:]]


def step_tones(planes: Planes, tones: Tones) -> Planes:
    """Draw lightness to the middle of its step; where it changes slowly, as in a sky, softly, so that no bands show.

    Colors get stronger and weaker with it. Source: Winnemoeller, Olsen, Gooch: Real-Time Video Abstraction, 2006,
    equation 5.
    """
    lightness, *colors = planes
    scaled = lightness * tones.steps
    border = np.rint(scaled)
    x, y = gradients(gaussian(lightness, 1.5))
    sharpness = 1 + 9 * smoothstep(np.sqrt(x * x + y * y), 0.001, 0.008)
    step = np.tanh(sharpness * (scaled - border)) / np.tanh(0.5 * sharpness)
    stepped = (border + 0.5 * step) * (1 / tones.steps)
    stepped = lightness + tones.stepped * (stepped - lightness)
    ratio = (stepped + 0.05) / (np.maximum(lightness, 0) + 0.05)
    np.clip(ratio, 0.6, 1.5, out=ratio)
    return [stepped, *(ratio * color for color in colors)]


def _rectilinear(lightness: Floats) -> Floats:
    """Where edges run in two directions at right angles, as on buildings, and not in all, as in leaves: 0..1.

    The fourth power of a gradient, as a complex number, is the same for edges at right angles to each other: there its
    mean is as long as the mean of its length.
    """
    x, y = gradients(lightness)
    real, imaginary, length = x * x - y * y, 2.0 * x * y, x * x + y * y
    scale = 1 / (length + 1e-6)
    fourth = (real * real - imaginary * imaginary) * scale, 2.0 * real * imaginary * scale
    agreeing = cv2.magnitude(*(mean(part, _BUILT) for part in fourth))
    return smoothstep(np.asarray(agreeing, np.float32) / (mean(length, _BUILT) + 1e-4), 0.4, 0.65)


def _thin(lightness: Floats, built: Floats) -> Floats:
    """Where features are thinner than 5 pixels, dark or bright, and stand alone or belong to what is built: 0..1."""
    square = np.ones((5, 5), np.uint8)
    closed, opened = (cv2.morphologyEx(lightness, kind, square) for kind in (cv2.MORPH_CLOSE, cv2.MORPH_OPEN))
    contrast = np.maximum(closed - lightness, lightness - opened)
    crowd = mean(contrast, 31) / (contrast + 1e-3)
    alone = 1 - smoothstep(crowd, 0.45, 0.8)
    return np.asarray(smoothstep(contrast, 0.06, 0.14) * np.maximum(alone, built), np.float32)
