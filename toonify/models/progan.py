"""The networks of ProGAN, which grow.

Source: Karras, Aila, Laine, Lehtinen: Progressive Growing of GANs for Improved Quality, Stability, and Variation, ICLR
2018, section 2 (growing), table 2 (layers; 23.1 M parameters each at 1024 x 1024) and section 4 (equalized learning
rate, pixel norm).
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

from toonify.models.equalized import (
    DownConv2d,
    EqualizedConv2d,
    EqualizedLinear,
    UpConv2d,
    minibatch_deviation,
    pixel_norm,
)
from toonify.models.noise import (
    SMALLEST,
    Growing,
    NoiseConfig,
    NoiseGenerator,
    faded,
    grown_channels,
    noise_architecture,
)


@dataclass(frozen=True)
class ProGANConfig(NoiseConfig):
    """Sizes of the generator; latents are as wide as the first maps."""

    grows: bool = True  # whether it has layers to RGB at every side


class ProGANGenerator(Growing, NoiseGenerator):
    """N x width to N x 3 x side x side: at each side two convolutions, each with LeakyReLU and pixel norm."""

    def __init__(self, config: ProGANConfig | None = None) -> None:
        super().__init__()
        config = config or ProGANConfig()
        self.latent_size = config.width
        self.sides = config.sides
        first = grown_channels(config, SMALLEST)
        # Of a dense layer only 1 / 16 of the gain, so that 4 x 4 places are what one would be.
        self.first = EqualizedLinear(config.width, first * SMALLEST**2, gain=math.sqrt(2) / 4)
        self.blocks = nn.ModuleList([nn.ModuleList([EqualizedConv2d(first, first, 3)])])
        self.to_rgb = nn.ModuleDict()
        if config.grows:
            self.to_rgb[str(SMALLEST)] = EqualizedConv2d(first, 3, 1, gain=1)
        for before, side in zip(self.sides, self.sides[1:], strict=False):
            channels, after = grown_channels(config, before), grown_channels(config, side)
            self.blocks.append(nn.ModuleList([UpConv2d(channels, after), EqualizedConv2d(after, after, 3)]))
            if config.grows or side == config.size:
                self.to_rgb[str(side)] = EqualizedConv2d(after, 3, 1, gain=1)
        self.level = config.level or math.log2(config.size)

    def forward(self, latent: Tensor, noise: Tensor | None = None, truncation: Tensor | None = None) -> Tensor:
        x = self.first(pixel_norm(latent)).unflatten(1, (-1, SMALLEST, SMALLEST))
        x = before = pixel_norm(F.leaky_relu(x, 0.2))
        for side, block in zip(self.sides, self.blocks, strict=True):
            if side > self.side:
                break
            before = x
            for layer in block:  # type: ignore[attr-defined]
                x = pixel_norm(F.leaky_relu(layer(x), 0.2))
        y: Tensor = self.to_rgb[str(self.side)](x)
        if self.fraction:
            y = faded(F.interpolate(self.to_rgb[str(self.side // 2)](before), scale_factor=2.0), y, self.fraction)
        return y

    def layers(self) -> Iterator[tuple[int, str]]:
        """See `NoiseGenerator`."""
        yield SMALLEST, "first."
        for number, side in enumerate(self.sides):
            yield side, f"blocks.{number}."
        for rgb in self.to_rgb:
            yield int(rgb), f"to_rgb.{rgb}."


class ProGANDiscriminator(Growing):
    """N x 3 x side x side in -1..1 to logits, N x 1: the generator's layers in reverse, then the minibatch's deviation.

    With `smooth` maps are blurred before they are halved, as StyleGAN has it (section 2). Without `grows` it takes
    pictures of its full size only.
    """

    def __init__(self, config: NoiseConfig, *, smooth: bool = False, grows: bool = True) -> None:
        super().__init__()
        self.smooth = smooth
        self.sides = config.sides[::-1]
        self.blocks = nn.ModuleList()
        self.from_rgb = nn.ModuleDict()
        for side in self.sides:
            channels = grown_channels(config, side)
            if grows or side == config.size:
                self.from_rgb[str(side)] = EqualizedConv2d(3, channels, 1)
            if side > SMALLEST:
                after = grown_channels(config, side // 2)
                self.blocks.append(nn.ModuleList([EqualizedConv2d(channels, channels, 3), DownConv2d(channels, after)]))
        last = grown_channels(config, SMALLEST)
        self.last = EqualizedConv2d(last + 1, last, 3)
        self.hidden = EqualizedLinear(last * SMALLEST**2, last)
        self.score = EqualizedLinear(last, 1, gain=1)
        self.level = math.log2(config.size)

    def forward(self, x: Tensor) -> Tensor:
        picture = x
        x = F.leaky_relu(self.from_rgb[str(self.side)](x), 0.2)
        for side, block in zip(self.sides, self.blocks, strict=False):
            if side > self.side:
                continue
            x = F.leaky_relu(block[0](x), 0.2)  # type: ignore[index]
            x = F.leaky_relu(block[1](blur(x) if self.smooth else x), 0.2)  # type: ignore[index]
            if side == self.side and self.fraction:
                small = self.from_rgb[str(side // 2)](F.avg_pool2d(picture, 2))
                x = faded(F.leaky_relu(small, 0.2), x, self.fraction)
        x = F.leaky_relu(self.last(minibatch_deviation(x)), 0.2)
        x = F.leaky_relu(self.hidden(x.flatten(1)), 0.2)
        y: Tensor = self.score(x)
        return y


def blur(x: Tensor) -> Tensor:
    """Each channel through (1 2 1) / 4 down and across, with zeros beyond the border: N x C x H x W to the same.

    Two means of 2 x 2 neighbors are that filter, and quicker than a convolution of single channels.
    """
    return F.avg_pool2d(F.avg_pool2d(x, 2, stride=1, padding=1), 2, stride=1)


ARCHITECTURE = noise_architecture(ProGANConfig, ProGANGenerator)
