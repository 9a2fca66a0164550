"""Seeds to latents and noise: the same numbers everywhere and always."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from toonify.models.noise import NoiseGenerator
from toonify.pixels.arrays import Floats

MOST = 2**32 - 1  # the largest seed
_LATENT, _NOISE = 0, 1  # streams of a seed


def latents_of(seeds: Sequence[int], size: int) -> Floats:
    """A latent for each seed, standard normal: N x size.

    NumPy's old generator, whose numbers are promised never to change.
    """
    return _normal(seeds, _LATENT, size)


def noise_of(seeds: Sequence[int], size: int) -> Floats:
    """The noise that layers add beside the latent, for each seed: N x size."""
    return _normal(seeds, _NOISE, size)


def _normal(seeds: Sequence[int], stream: int, size: int) -> Floats:
    rows = [np.random.RandomState([seed, stream]).standard_normal(size) for seed in seeds]
    return np.asarray(rows, np.float32).reshape(len(seeds), size)


def latents_for(network: NoiseGenerator, seeds: Sequence[int], device: str = "cpu") -> Tensor:
    """The latents of seeds, as a generator takes them."""
    return torch.from_numpy(latents_of(seeds, network.latent_size)).to(device)


def noise_for(network: NoiseGenerator, seeds: Sequence[int], device: str = "cpu") -> Tensor | None:
    """The noise of seeds, as a generator takes it; None if it takes none."""
    if not network.noise_size:
        return None
    return torch.from_numpy(noise_of(seeds, network.noise_size)).to(device)
