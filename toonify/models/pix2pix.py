"""The generator of pix2pix: a U-Net.

Source: Isola, Zhu, Zhou, Efros: pix2pix, CVPR 2017, section 6.1.1 (encoder C64-C128-C256-C512 x 5, decoder
CD512 x 3-C512-C256-C128-C64), with the norms of the authors' PyTorch program.
"""

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from toonify.models.architecture import Architecture
from toonify.models.layers import Norm, activation, normalization


@dataclass(frozen=True)
class Pix2PixConfig:
    """Sizes of the generator; the defaults are the paper's for 256 x 256 (54.41 M parameters)."""

    width: int = 64  # channels after the first convolution; at most 8 times as many further in
    depth: int = 8  # how often the size is halved
    norm: Norm = "batch"
    dropout: bool = True  # of half of the values, in the three innermost decoder layers, while training


class UNetGenerator(nn.Module):
    """N x 3 x H x W in -1..1 to the same; H and W are multiples of 2 ** depth.

    In evaluation there is no dropout and batch norm has its running statistics, so that a photo is drawn the same each
    time; the authors' program keeps both as in training.
    """

    def __init__(self, config: Pix2PixConfig | None = None) -> None:
        super().__init__()
        config = config or Pix2PixConfig()
        bias = config.norm == "instance"  # as in `CycleGANGenerator`
        channels = [3, *(config.width * min(2**level, 8) for level in range(config.depth))]
        innermost = config.depth - 1

        self.down = nn.ModuleList()  # H x W -> H/2 x W/2 -> ... -> H/2**depth x W/2**depth
        self.up = nn.ModuleList()  # and back
        for level, (outside, inside) in enumerate(pairwise(channels)):
            shrink: list[nn.Module] = [nn.Conv2d(outside, inside, 4, stride=2, padding=1, bias=bias)]
            if level > 0:
                shrink.insert(0, nn.LeakyReLU(0.2))  # not in place: the skip connection takes the same input
            if 0 < level < innermost:  # a norm would leave nothing of a 1 x 1 map
                shrink.append(normalization(config.norm, inside, affine=not bias))
            self.down.append(nn.Sequential(*shrink))

            skipped = inside if level < innermost else 0
            grow: list[nn.Module] = [
                activation("relu"),
                nn.ConvTranspose2d(inside + skipped, outside, 4, stride=2, padding=1, bias=bias or level == 0),
            ]
            if level > 0:
                grow.append(normalization(config.norm, outside, affine=not bias))
            if config.dropout and level > max(0, innermost - 3):
                grow.append(nn.Dropout(0.5))
            self.up.insert(0, nn.Sequential(*grow))

    def forward(self, x: Tensor) -> Tensor:
        maps = []
        for down in self.down:
            x = down(x)
            maps.append(x)
        x = maps.pop()
        for number, up in enumerate(self.up):
            x = up(x if number == 0 else torch.cat([maps.pop(), x], dim=1))
        return torch.tanh(x)


ARCHITECTURE = Architecture(
    Pix2PixConfig,
    UNetGenerator,
    multiple=lambda config: 2 ** Pix2PixConfig(**config).depth,
    minimum=lambda config: 2 ** Pix2PixConfig(**config).depth,
)
