"""The small generator that `distill` teaches: convolutions at half and quarter size, and nothing that sees the frame.

No norm, no attention, no vector of the whole picture: a pixel depends on those within `reach` alone, so that a tile of
a picture is drawn exactly as it is drawn in the whole. Nothing global is missing, because what the student is to draw
has the photo's own low-frequency colours already (`convert` keeps them).

It works where convolutions are cheap: strided convolutions to half the size and to a quarter, residual blocks of plain
3x3 convolutions there, and back by pixel-shuffle (Shi et al., CVPR 2016). What comes out is added to the photo, so that
a fresh network draws nearly the photo itself. Padding is with zeros, which costs nothing; the card's reflected border
keeps most of what that does at the frame's edge outside the picture.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from toonify.models.layers import activation


@dataclass(frozen=True)
class LiteConfig:
    """Sizes of the generator; the defaults have 0.49 M parameters and take 33.3 GMAC for a megapixel."""

    width: int = 64  # channels at a quarter of the size; half as many at half of it
    blocks: int = 6  # residual blocks at a quarter of the size

    @property
    def reach(self) -> int:
        """Pixels beyond which nothing influences a pixel, in steps of the multiple, 4.

        A block reaches 2 places at a quarter of the size, the other layers together 11 pixels.
        """
        return 8 * self.blocks + 12


class LiteBlock(nn.Module):
    """Two 3x3 convolutions, added to the input: N x C x H x W to the same.

    LeakyReLU costs the same as ReLU here, and no unit can die: without norms, at rates that learn fast, many did.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.act = activation("leaky")
        self.second = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.second(self.act(self.first(x)))
        return x + y


class LiteGenerator(nn.Module):
    """N x 3 x H x W in -1..1 to the same, in training also a little beyond; H and W are multiples of 4."""

    def __init__(self, config: LiteConfig | None = None) -> None:
        super().__init__()
        config = config or LiteConfig()
        self.config = config
        wide, narrow = config.width, max(1, config.width // 2)
        self.head = nn.Conv2d(3, narrow, 6, stride=2, padding=2)  # as 3x3 after a pixel-unshuffle, in one operator
        self.down = nn.Conv2d(narrow, wide, 3, stride=2, padding=1)
        self.blocks = nn.Sequential(*(LiteBlock(wide) for _ in range(config.blocks)))
        self.up = nn.Conv2d(wide, 4 * narrow, 1)
        self.merge = nn.Conv2d(narrow, narrow, 3, padding=1)
        self.tail = nn.Conv2d(narrow, 12, 3, padding=1)
        self.act = activation("leaky")

    def forward(self, x: Tensor) -> Tensor:
        half = self.act(self.head(x))  # N x W/2 x H/2 x W/2
        y = self.blocks(self.act(self.down(half)))  # N x W x H/4 x W/4
        y = self.act(half + F.pixel_shuffle(self.up(y), 2))  # H/2 x W/2
        y = self.tail(self.act(self.merge(y)))
        drawn = x + F.pixel_shuffle(y, 2)
        return drawn if self.training else drawn.clamp(-1, 1)  # a clamped pixel would learn nothing


def initialise_lite(network: LiteGenerator) -> None:
    """Fresh weights (He et al., ICCV 2015); what ends a sum starts small, so that the network begins as the photo."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            nn.init.zeros_(module.bias)  # type: ignore[arg-type]
    with torch.no_grad():
        for block in network.blocks:
            assert isinstance(block, LiteBlock)  # noqa: S101
            block.second.weight.mul_(0.1)
        network.up.weight.mul_(0.1)
        network.tail.weight.mul_(0.1)
