"""Contours: thin, even lines on the borders of objects, and none on grain, foam, bokeh or glare."""

import math

import cv2
import numpy as np

from toonify.drawing.finish.filters import extremes, gaussian, gradients, mean, smoothstep
from toonify.drawing.finish.flow import Tensor, smooth_along
from toonify.pixels.arrays import Floats
from toonify.styles.look import Lines

_AROUND = 9  # pixels: the square in which an edge is compared with the range of light
_NEIGHBORHOOD = 31  # pixels: the square in which it is compared with other edges
_SHARP = 0.17, 0.26  # the part of the range that a pixel's step must have: none, and all, of a line
_BRIGHT = 0.42, 0.68  # lightness of the darker side of an edge from which its line gets fainter
_LONG = 0.6, 1.4  # of the wanted length: the extents from which a line is drawn faintly, and in full
_VISIBLE = 0.2  # opacity from which a line counts as one when its length is measured


def contours(photo: Floats, soft: Floats, flat: Floats, tensor: Tensor, lines: Lines) -> Floats:
    """The opacity of the lines, h x w in 0..1, of which `lines.strength` is the largest.

    photo: the photo's gray, 0..1; soft: the drawing's lightness before it was flattened; flat: after, where it follows
    edges; `tensor` is that of the flat picture.

    The lines are those of a difference of Gaussians along the flow of edges (Kang, Lee, Chui: Coherent Line Drawing,
    2007; its two thresholds are XDoG's: Winnemoeller, 2011). What is no contour is left out: edges that are faint, that
    stand among many others (texture), that were soft in the photo (bokeh, shadows of clouds), and short ones. On bright
    ground and around small bright spots lines are fainter, as illustrators color them there.
    """
    middle = 0.5 * (soft + flat)
    difference = gaussian(middle, lines.width) - gaussian(middle, 1.6 * lines.width)
    (along,) = smooth_along([difference], tensor, sigma=2.5, reach=4)
    opacity = smoothstep(-along, lines.faintest, lines.full)

    gradient = tensor.gradient
    peak = _widened(gaussian(gradient, 1.0))
    opacity *= smoothstep(peak, *lines.edge)
    opacity *= smoothstep(peak / (mean(gradient, _NEIGHBORHOOD) + 1e-3), *lines.isolation)

    x, y = gradients(photo)  # networks make soft edges hard
    step = _widened(np.sqrt(gaussian(x * x + y * y, 1.0)))
    low, high = extremes(photo, _AROUND)
    opacity *= smoothstep(step / (high - low + 0.02), *_SHARP)
    opacity *= 1 - 0.75 * smoothstep(low, *_BRIGHT)
    opacity *= 1 - 0.75 * smoothstep(_glints(soft), 0.08, 0.2)
    return lines.strength * opacity * _long_enough(opacity, lines.length)


def _glints(lightness: Floats) -> Floats:
    """How much brighter than what is around them spots and stripes are that are thinner than 15 pixels, near them.

    A square does not fit into a rounded border: the large one leaves crescents along it, which a small one takes away;
    stripes that this takes, too, are found with a square in which no crescents are left.
    """
    large, small, smallest = (np.ones((side, side), np.uint8) for side in (15, 5, 3))
    spots = cv2.morphologyEx(cv2.morphologyEx(lightness, cv2.MORPH_TOPHAT, large), cv2.MORPH_OPEN, smallest)
    stripes = cv2.morphologyEx(lightness, cv2.MORPH_TOPHAT, small)
    return extremes(np.maximum(np.asarray(spots, np.float32), np.asarray(stripes, np.float32)), 5)[1]


def reach(lines: Lines) -> int:
    """How far from a pixel, in pixels, a line must be followed to see whether it is long enough to be drawn."""
    return math.ceil(_LONG[1] * lines.length)


def _long_enough(opacity: Floats, length: float) -> Floats:
    """1 around lines of that extent and more, 0 around much shorter ones: h x w."""
    _, labels, statistics, _ = cv2.connectedComponentsWithStats((opacity > _VISIBLE).astype(np.uint8), connectivity=8)
    extent = np.maximum(statistics[:, cv2.CC_STAT_WIDTH], statistics[:, cv2.CC_STAT_HEIGHT]).astype(np.float32)
    kept = smoothstep(extent, *(part * length for part in _LONG)) if length else np.ones_like(extent)
    kept[0] = 0  # the ground
    return _widened(kept[labels])


def _widened(plane: Floats) -> Floats:
    """The largest value among a pixel and its neighbors."""
    return np.asarray(cv2.dilate(plane, np.ones((3, 3), np.uint8)), np.float32)
