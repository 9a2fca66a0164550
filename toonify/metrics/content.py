"""How much of a photo is left in a picture of it: arrays in, numbers out, 1 if all of it is.

Both are taken at one size, the photo's, but at most 512 pixels long. That is about what Wang et al. advise (a shorter
side of some 256 pixels, as pictures are looked at whole), it counts contours rather than grain, and it makes figures
of photos from different cameras comparable.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from toonify.errors import ImageError
from toonify.metrics.settings import LONG_SIDE
from toonify.pixels.arrays import Pixels
from toonify.pixels.resize import fit_long_side, resize

SHORTEST_SIDE = 16  # pixels that are left of a shorter side at least: SSIM's window and LPIPS' layers need them
EDGE_THRESHOLDS = (100, 200)  # Canny's, as where edges are smoothed for CartoonGAN
EDGE_TOLERANCE = 2  # pixels by which an edge may have moved: about half of a drawn line's width
_WINDOW, _SIGMA = 11, 1.5
_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2

Doubles = NDArray[np.float64]


def to_one_size(photo: Pixels, picture: Pixels) -> tuple[Pixels, Pixels]:
    """A photo and a picture of it (H x W x 3 each) at the size at which they are compared.

    A picture of other proportions is stretched. Raises ImageError if the photo is too narrow to compare anything.
    """
    height, width = photo.shape[:2]
    size = fit_long_side(height, width, min(LONG_SIDE, max(height, width)))
    if min(size) < SHORTEST_SIDE:
        raise ImageError(
            f"{width} x {height} leaves {min(size)} pixels of its shorter side, and {SHORTEST_SIDE} are needed to "
            "compare it"
        )
    return resize(photo, size), resize(picture, size)


def ssim(photo: Pixels, picture: Pixels) -> float:
    """The mean structural similarity of two H x W x 3 pictures in gray, -1..1 (Wang et al. 2004, equation 13).

    Gaussian window of 11 x 11 with sigma 1.5, K1 = 0.01, K2 = 0.03; windows that reach over the border are left out,
    as in the authors' program. Symmetric.
    """
    x, y = (cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).astype(np.float64) for pixels in (photo, picture))
    mean_x, mean_y = _windowed(x), _windowed(y)
    variance_x = _windowed(x * x) - mean_x**2
    variance_y = _windowed(y * y) - mean_y**2
    covariance = _windowed(x * y) - mean_x * mean_y
    luminance = (2 * mean_x * mean_y + _C1) / (mean_x**2 + mean_y**2 + _C1)
    structure = (2 * covariance + _C2) / (variance_x + variance_y + _C2)
    return float((luminance * structure).mean())


def _windowed(values: Doubles) -> Doubles:
    """Means under the Gaussian window, wherever it lies inside the picture."""
    border = _WINDOW // 2
    return np.asarray(cv2.GaussianBlur(values, (_WINDOW, _WINDOW), _SIGMA)[border:-border, border:-border])


def edge_agreement(photo: Pixels, picture: Pixels) -> float:
    """How well the edges of two H x W x 3 pictures agree, 0..1: the F1 measure of one picture's against the other's.

    Edges are Canny's (thresholds 100 and 200 on gray). An edge pixel agrees if the other picture has one at most 2
    pixels away in each direction. With the share of the photo's edge pixels that are in the picture (kept), and the
    share of the picture's that are in the photo (true), F1 = 2 kept true / (kept + true): an edge lost and an edge
    made up both count. 1 if neither picture has edges, 0 if one has none. Symmetric.
    """
    a, b = (
        cv2.Canny(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), *EDGE_THRESHOLDS).astype(np.uint8)
        for pixels in (photo, picture)
    )
    if not a.any() or not b.any():
        return float(a.any() == b.any())
    kept, true = _share_near(a, b), _share_near(b, a)
    return 2 * kept * true / (kept + true) if kept + true else 0.0


def _share_near(edges: Pixels, others: Pixels) -> float:
    """The share of edge pixels that have one of the others near."""
    near = cv2.dilate(others, np.ones((2 * EDGE_TOLERANCE + 1, 2 * EDGE_TOLERANCE + 1), np.uint8))
    return float((near[edges > 0] > 0).mean())
