"""What a student sees of the whole frame: the mean and standard deviation of colors and gradients.

Its teacher's instance norms remove contrast: a photo and the same photo in haze give one drawing, but for the colors
that `convert` keeps.
"""

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from toonify.pixels.arrays import Floats, Pixels

_SLOPE = 4.0  # of slopes to colors: so one least serves both
_LEAST = 4e-4  # variance that is added: a photo of one color stays calm, and of a gray level of noise 0.4 is left
_GAIN = 0.5  # of what is measured: so most of it has about the range of the photo itself


class Contrast(nn.Module):
    """A photo, and its colors and gradients standardized over the frame: N x 3 x H x W in -1..1 to N x 8 x H x W.

    After the photo come its three colors and the two gradients of its mean color (to the right and down: central
    differences, reflected at the border), each minus its mean over the photo, divided by twice its standard deviation.
    The values have no limits: those of a white page with two thin lines reach 30.
    """

    channels = 8
    kernel: Tensor
    gain: Tensor

    def __init__(self) -> None:
        super().__init__()
        kernel = torch.zeros(5, 3, 3, 3)
        for channel in range(3):
            kernel[channel, channel, 1, 1] = 1
        kernel[3, :, 1, 2] = kernel[4, :, 2, 1] = _SLOPE / 3
        kernel[3, :, 1, 0] = kernel[4, :, 0, 1] = -_SLOPE / 3
        self.register_buffer("kernel", kernel, persistent=False)
        self.register_buffer("gain", torch.full((5,), _GAIN), persistent=False)

    def forward(self, x: Tensor, frame: Tensor | None = None) -> Tensor:
        """`frame`: what is known of the photos that x are parts of (`frame_contrast`), N x 2 x 5; None: they are x."""
        if torch.is_autocast_enabled(x.device.type):  # bfloat16 has no room for the slopes of a soft edge
            with torch.autocast(x.device.type, enabled=False):
                return self._measure(x.float(), frame)
        return self._measure(x, frame)

    def _measure(self, x: Tensor, frame: Tensor | None) -> Tensor:
        seen = self.seen(x)
        if frame is None:
            measured = F.instance_norm(seen, weight=self.gain, eps=_LEAST)
        else:
            mean, variance = frame[:, :, :, None, None].unbind(1)
            measured = (seen - mean) * (variance + _LEAST).rsqrt() * _GAIN
        return torch.cat([x, measured], 1)

    def seen(self, x: Tensor) -> Tensor:
        """Colors and slopes before they are measured: N x 5 x H x W."""
        return F.conv2d(F.pad(x, (1, 1, 1, 1), mode="reflect"), self.kernel)


def frame_contrast(photo: Pixels) -> Floats:
    """What `Contrast` has to know of a photo to see a part of it: H x W x 3 uint8 to 2 x 5, means and variances.

    The mean of the slope to the right is taken for 0, which it nearly is: so a part may be mirrored.
    """
    gray = photo.sum(2, dtype=np.int16)  # three times that
    slopes = [
        cv2.Sobel(gray, cv2.CV_16S, *axis, ksize=1, borderType=cv2.BORDER_REFLECT_101) for axis in ((1, 0), (0, 1))
    ]
    spread = [cv2.meanStdDev(each) for each in (photo, *slopes)]
    mean, deviation = (np.concatenate([each[which].ravel() for each in spread]) for which in (0, 1))
    unit = np.array([1, 1, 1, _SLOPE / 3, _SLOPE / 3]) / 127.5  # of the network's values, in one of these
    mean = mean * unit - [1, 1, 1, 0, 0]
    mean[3] = 0
    return np.stack([mean, (deviation * unit) ** 2]).astype(np.float32)
