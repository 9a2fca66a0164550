"""Which way the edges of a picture run, and smoothing along them."""

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from toonify.drawing.finish.filters import gaussian, gradients, mean
from toonify.drawing.finish.lab import Planes
from toonify.pixels.arrays import Floats


@dataclass(frozen=True)
class Tensor:
    """The smoothed structure tensor, h x w each: sums over the planes of xx, xy and yy of their gradients."""

    xx: Floats
    xy: Floats
    yy: Floats

    def averaged(self, side: int) -> "Tensor":
        """Averaged over squares of `side` pixels."""
        return Tensor(*(mean(part, side) for part in (self.xx, self.xy, self.yy)))

    @property
    def coherence(self) -> Floats:
        """How much the gradients agree in direction: 0 (in none) to 1 (in all)."""
        return np.asarray(self._difference() / (self.xx + self.yy + 1e-6), np.float32)

    @property
    def gradient(self) -> Floats:
        """The length of the dominant gradient, per pixel: the root of the larger eigenvalue."""
        return np.asarray(np.sqrt(0.5 * (self.xx + self.yy + self._difference())), np.float32)

    @cached_property
    def tangents(self) -> tuple[Floats, Floats]:
        """x and y of the unit vectors along the edges: the eigenvectors of the smaller eigenvalue."""
        angle = 0.5 * np.asarray(cv2.phase(self.xx - self.yy, 2 * self.xy), np.float32)
        cosine, sine = cv2.polarToCart(np.ones_like(angle), angle)
        return -np.asarray(sine, np.float32), np.asarray(cosine, np.float32)

    def _difference(self) -> Floats:
        """Of the two eigenvalues."""
        return np.asarray(np.sqrt(np.square(self.xx - self.yy) + 4 * np.square(self.xy)), np.float32)


def structure_tensor(planes: Planes, sigma: float) -> Tensor:
    """The structure tensor of a color picture, smoothed with a Gaussian of `sigma` pixels.

    Source: Kyprianidis and Doellner: Image Abstraction by Structure Adaptive Filtering, 2008, section 3.
    """
    xx = xy = yy = np.zeros_like(planes[0])
    for plane in planes:
        x, y = gradients(plane)
        xx, xy, yy = xx + x * x, xy + x * y, yy + y * y
    return Tensor(gaussian(xx, sigma), gaussian(xy, sigma), gaussian(yy, sigma))


def smooth_along(planes: Planes, tensor: Tensor, *, sigma: float, reach: int) -> Planes:
    """Blur planes along the edges with a Gaussian of `sigma` pixels, cut at `reach`.

    Lines of this length are as good as straight, so that each pixel's own tangent is followed, and no curve (the line
    integral of Kyprianidis and Kang: Image and Video Abstraction by Coherence-Enhancing Filtering, 2011, follows it).
    """
    height, width = planes[0].shape
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    tangent_x, tangent_y = tensor.tangents
    sums = [plane.copy() for plane in planes]
    total = 1.0
    for step in range(1, reach + 1):
        weight = float(np.exp(-(step**2) / (2 * sigma**2)))
        total += 2 * weight
        for signed in (step, -step):
            there = x + signed * tangent_x, y + signed * tangent_y
            for plane, added in zip(planes, sums, strict=True):
                taken = cv2.remap(plane, *there, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
                cv2.scaleAdd(taken, weight, added, dst=added)
    return [added / total for added in sums]
