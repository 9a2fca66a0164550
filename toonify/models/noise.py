"""What generators from noise have in common: latents in, pictures out, and how far they have grown."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from toonify.models.architecture import Architecture

SMALLEST = 4  # pixels a side of the first maps
COARSE, FINE = 16, 64  # pixels: layers below the first are coarse, from the second on fine (StyleGAN, section 3.1)


@dataclass(frozen=True)
class NoiseConfig:
    """Sizes of a generator from noise."""

    size: int = 64  # side of its pictures in pixels, a power of two
    width: int = 512  # channels of the first maps
    level: float = 0.0  # how far it has grown: log2 of its pictures' side, 0: as far as it can

    def __post_init__(self) -> None:
        if self.size < 2 * SMALLEST or self.size & (self.size - 1):
            raise ValueError(f"size {self.size} is no power of two from {2 * SMALLEST} on")

    @property
    def sides(self) -> list[int]:
        """The sides of the maps, from small to large."""
        return [2**level for level in range(2, self.size.bit_length())]


def grown_channels(config: NoiseConfig, side: int) -> int:
    """Channels of maps of a side: the first ones' up to 32 pixels, then half at each doubling (ProGAN, table 2)."""
    return max(min(config.width, config.width * 32 // side), 1)


class NoiseGenerator(nn.Module):
    """A generator from noise. Its forward takes latents, N x `latent_size` (standard normal), to pictures.

    They are N x 3 x side x side, about -1..1, and not clipped. `noise`, N x `noise_size`, is what layers add beside the
    latent, standard normal, too; None: drawn anew from torch's random state. `truncation` draws latents towards their
    mean (`StyleGANGenerator`).
    """

    latent_size: int
    noise_size = 0

    def layers(self) -> Iterator[tuple[int, str]]:
        """The side of each layer's maps, and what the names of its tensors begin with. The mapping has none."""
        raise NotImplementedError


class Growing(nn.Module):
    """What grows: layers for maps of more and more pixels are faded in (ProGAN, section 2 and figure 2).

    `level` is log2 of the side, with a fraction in which the next layers count.
    """

    level: float

    @property
    def side(self) -> int:
        """Pixels a side of the pictures now."""
        return int(2 ** math.ceil(self.level))

    @property
    def fraction(self) -> float:
        """How much the newest layers count while they are faded in (alpha); 0: there are none that are."""
        return self.level - math.floor(self.level)


def noise_architecture(config_type: type[NoiseConfig], network: type[NoiseGenerator]) -> Architecture:
    """The entry of a generator from noise."""
    return Architecture(
        config_type,
        network,
        multiple=lambda config: 1,
        minimum=lambda config: 1,
        fits=frozenset({"level", "grows"}),
        fit=lambda older, network: fitted(older.state_dict(), network),
        from_noise=True,
    )


def fitted(older: Mapping[str, Tensor], network: nn.Module) -> dict[str, Tensor]:
    """The weights that a network begins with: another's, and its own of layers to and from RGB that only it has."""
    return {name: older.get(name, tensor) for name, tensor in network.state_dict().items()}


def faded(before: Tensor, after: Tensor, alpha: float) -> Tensor:
    """(1 - alpha) before + alpha after."""
    return torch.lerp(before, after.to(before.dtype), alpha)
