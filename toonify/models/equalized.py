"""Layers of generators that draw from noise: equalized learning rate, pixel norm, minibatch standard deviation.

Source: Karras, Aila, Laine, Lehtinen: Progressive Growing of GANs (ProGAN), ICLR 2018, sections 3 and 4.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrize

from toonify.models.discriminators import spectrally_normalize

_GAIN = math.sqrt(2)  # He's, of a layer before a ReLU
_GROUP = 4  # pictures of a minibatch that are compared


class EqualizedConv2d(nn.Conv2d):
    """A convolution whose weight is N(0, 1) and scaled by He's constant when it is used: N x C x H x W, sides kept.

    So Adam, whose steps do not depend on the scale of gradients, learns all layers at one rate (ProGAN, section 4.1).
    """

    def __init__(self, channels: int, out_channels: int, kernel: int, *, gain: float = _GAIN) -> None:
        super().__init__(channels, out_channels, kernel, padding=kernel // 2)
        self.scale = gain / math.sqrt(channels * kernel**2)
        _equalize(self)

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight * self.scale, self.bias, padding=self.padding)


class UpConv2d(EqualizedConv2d):
    """Nearest-neighbor upsampling and a 3 x 3 convolution in one: N x C x H x W to N x C' x 2H x 2W.

    Of the nine values under the kernel four are the same pixel or its neighbor, so that a transposed convolution with
    the sums of the kernel's neighbors gives the same in four ninths of the multiplications.
    """

    def __init__(self, channels: int, out_channels: int) -> None:
        super().__init__(channels, out_channels, 3)

    def forward(self, x: Tensor) -> Tensor:
        kernel = _neighbors(self.weight * self.scale).transpose(0, 1).flip(2, 3)
        return F.conv_transpose2d(x, kernel, self.bias, stride=2, padding=1)


class DownConv2d(EqualizedConv2d):
    """A 3 x 3 convolution and average pooling in one: N x C x H x W to N x C' x H/2 x W/2 (compare `UpConv2d`)."""

    def __init__(self, channels: int, out_channels: int) -> None:
        super().__init__(channels, out_channels, 3)

    def forward(self, x: Tensor) -> Tensor:
        kernel = _neighbors(self.weight * (self.scale / 4))
        return F.conv2d(x, kernel, self.bias, stride=2, padding=1)


def _neighbors(kernel: Tensor) -> Tensor:
    """The sums of all 2 x 2 neighbors of a kernel within zeros: O x I x 3 x 3 to O x I x 4 x 4."""
    wide = F.pad(kernel, (1, 1, 1, 1))
    tall = wide[..., 1:, :] + wide[..., :-1, :]
    return tall[..., 1:] + tall[..., :-1]


class EqualizedLinear(nn.Linear):
    """The same for vectors: N x C to N x C'. `rate` is a factor on the learning rate (StyleGAN, section 4)."""

    def __init__(self, channels: int, out_channels: int, *, gain: float = _GAIN, rate: float = 1.0) -> None:
        super().__init__(channels, out_channels)
        self.rate = rate
        self.scale = gain / math.sqrt(channels) * rate
        _equalize(self, 1 / rate)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight * self.scale, self.bias * self.rate)


Equalized = EqualizedConv2d | EqualizedLinear


def _equalize(layer: Equalized, std: float = 1.0) -> None:
    nn.init.normal_(layer.weight, 0.0, std)
    assert layer.bias is not None  # noqa: S101
    nn.init.zeros_(layer.bias)


def normalize_spectrally(network: nn.Module) -> None:
    """Give every layer the largest singular value 1, in place; equalized ones lose their scale, which would be two."""
    spectrally_normalize(network)
    for module in network.modules():
        if isinstance(module, Equalized) and parametrize.is_parametrized(module):
            module.scale = 1.0


def clip_weights(network: nn.Module, limit: float) -> None:
    """Clip what the layers calculate with to ±limit, in place (WGAN; Arjovsky et al. 2017, algorithm 1)."""
    for module in network.modules():
        for name, parameter in module.named_parameters(recurse=False):
            scale = module.scale if isinstance(module, Equalized) and name == "weight" else 1.0
            with torch.no_grad():
                parameter.clamp_(-limit / scale, limit / scale)


def pixel_norm(x: Tensor) -> Tensor:
    """Divide by the root of the mean square of the channels: N x C or N x C x H x W (ProGAN, section 4.2)."""
    return x * torch.rsqrt(x.float().square().mean(1, keepdim=True) + 1e-8).to(x.dtype)


def minibatch_deviation(x: Tensor) -> Tensor:
    """Add a map of how different the pictures of a group are: N x C x H x W to N x (C + 1) x H x W.

    The standard deviation over a group of four (of the largest number up to four that divides N), averaged over
    channels and places (ProGAN, section 3).
    """
    count, _, height, width = x.shape
    group = next(size for size in range(min(_GROUP, count), 0, -1) if count % size == 0)
    grouped = x.float().reshape(group, count // group, *x.shape[1:])
    deviation = (grouped.var(0, correction=0) + 1e-8).sqrt().mean((1, 2, 3))
    plane = deviation.repeat(group).view(count, 1, 1, 1).expand(count, 1, height, width)
    return torch.cat([x, plane.to(x.dtype)], dim=1)
