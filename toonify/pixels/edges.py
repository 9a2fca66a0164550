"""Edge smoothing, CartoonGAN's third training set: a cartoon whose edges are blurred and whose areas are as they were.

Source: Chen, Lai, Liu: CartoonGAN, CVPR 2018, section 3.2.1: detect the edges with Canny, dilate them, smooth inside.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from toonify.errors import UsageError
from toonify.pixels.arrays import Pixels

KERNEL = 5  # pixels, of the dilation and of the blur
CANNY = (100, 200)  # thresholds on the gradient of the gray picture
MAX_KERNEL = 31
MAX_CANNY = 2040  # the steepest gradient: 4 x 255 across and as much down


def check_settings(kernel: int, canny: tuple[int, int]) -> None:
    """Raise UsageError unless the settings are within their limits, with the flag's name."""
    if kernel % 2 == 0 or not 3 <= kernel <= MAX_KERNEL:
        raise UsageError(f"--kernel {kernel}: give an odd number from 3 to {MAX_KERNEL}")
    low, high = canny
    if not 0 <= low <= high <= MAX_CANNY:
        raise UsageError(f"--canny {low},{high}: give LOW,HIGH with 0 <= LOW <= HIGH <= {MAX_CANNY}, such as 100,200")


def edge_mask(pixels: Pixels, *, kernel: int = KERNEL, canny: tuple[int, int] = CANNY) -> NDArray[np.bool_]:
    """Where the edges are, widened: H x W x 3 uint8 RGB to H x W. Canny on the gray picture, then dilation."""
    edges = cv2.Canny(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), *canny)
    return np.asarray(cv2.dilate(edges, np.ones((kernel, kernel), np.uint8)), np.bool_)


def smooth_edges(pixels: Pixels, *, kernel: int = KERNEL, canny: tuple[int, int] = CANNY) -> Pixels:
    """Blur a picture along its edges: H x W x 3 uint8 RGB to the same, as a new array.

    Inside `edge_mask` the pixels are those of a `kernel` x `kernel` Gaussian blur, outside they are as they were. The
    Gaussian's width follows from the kernel as `cv2.getGaussianKernel` has it (1.1 for 5); beyond the border the
    picture is mirrored.
    """
    mask = edge_mask(pixels, kernel=kernel, canny=canny)
    if not mask.any():
        return pixels.copy()
    # cv2.GaussianBlur would round the weights to 1/256, which costs large kernels up to four gray levels.
    weights = cv2.getGaussianKernel(kernel, 0, cv2.CV_32F)
    blurred = cv2.convertScaleAbs(cv2.sepFilter2D(pixels, cv2.CV_32F, weights, weights))  # rounds to uint8
    return np.asarray(cv2.copyTo(blurred, mask.view(np.uint8), pixels.copy()), np.uint8)
