"""The networks of DCGAN.

Source: Radford, Metz, Chintala: Unsupervised Representation Learning with Deep Convolutional GANs, ICLR 2016, section 3
(strided convolutions, batch norm but for the generator's last and the discriminator's first layer, no hidden layers
that are fully connected, ReLU and tanh, LeakyReLU) and figure 1 (1024 channels at 4 x 4, kernels of 5 x 5).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from toonify.models.layers import Norm, activation, normalization
from toonify.models.noise import SMALLEST, NoiseConfig, NoiseGenerator, noise_architecture


@dataclass(frozen=True)
class DCGANConfig(NoiseConfig):
    """Sizes of the generator; the defaults are the paper's for 64 x 64."""

    width: int = 1024
    latent: int = 100  # values of a latent


def dcgan_channels(config: NoiseConfig) -> list[int]:
    """Channels of the maps before the picture, from 4 x 4 on: half at each doubling, but no less than a 64th."""
    least = max(config.width // 64, 1)
    return [max(config.width * SMALLEST // side, least) for side in config.sides[:-1]]


class DCGANGenerator(NoiseGenerator):
    """N x latent to N x 3 x size x size in -1..1."""

    def __init__(self, config: DCGANConfig | None = None) -> None:
        super().__init__()
        config = config or DCGANConfig()
        self.latent_size = config.latent
        self.sides = config.sides
        channels = dcgan_channels(config)
        self.blocks = nn.ModuleList([_up(nn.ConvTranspose2d(config.latent, channels[0], SMALLEST, bias=False))])
        for before, after in pairwise(channels):
            self.blocks.append(_up(_twice(before, after, bias=False)))
        self.blocks.append(nn.Sequential(_twice(channels[-1], 3)))

    def forward(self, latent: Tensor, noise: Tensor | None = None, truncation: Tensor | None = None) -> Tensor:
        x = latent[:, :, None, None]
        for block in self.blocks:
            x = block(x)
        return torch.tanh(x)

    def layers(self) -> Iterator[tuple[int, str]]:
        """See `NoiseGenerator`."""
        yield from ((side, f"blocks.{number}.") for number, side in enumerate(self.sides))


class DCGANDiscriminator(nn.Module):
    """N x 3 x size x size in -1..1 to logits, N x 1 x 1 x 1: the generator's layers in reverse."""

    def __init__(self, config: NoiseConfig, *, norm: Norm = "batch") -> None:
        super().__init__()
        channels = [3, *reversed(dcgan_channels(config))]
        body: list[nn.Module] = []
        for number, (before, after) in enumerate(pairwise(channels)):
            body.append(nn.Conv2d(before, after, 5, stride=2, padding=2, bias=number == 0))
            body += [activation("leaky")] if number == 0 else [normalization(norm, after), activation("leaky")]
        self.layers = nn.Sequential(*body, nn.Conv2d(channels[-1], 1, SMALLEST))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layers(x)
        return y


def _twice(channels: int, out_channels: int, *, bias: bool = True) -> nn.ConvTranspose2d:
    return nn.ConvTranspose2d(channels, out_channels, 5, stride=2, padding=2, output_padding=1, bias=bias)


def _up(layer: nn.ConvTranspose2d) -> nn.Sequential:
    return nn.Sequential(layer, nn.BatchNorm2d(layer.out_channels), activation("relu"))


ARCHITECTURE = noise_architecture(DCGANConfig, DCGANGenerator)
