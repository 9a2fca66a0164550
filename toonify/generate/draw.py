"""Latents to pictures."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from toonify.generate.seeds import latents_for, noise_for
from toonify.models.noise import NoiseGenerator
from toonify.pixels.arrays import Pixels

BATCH = 8  # pictures that are drawn at once


def draw_seeds(
    network: NoiseGenerator,
    seeds: Sequence[int],
    *,
    device: str = "cpu",
    truncation: float | None = None,
    batch: int = BATCH,
) -> Iterator[Pixels]:
    """The picture of each seed, H x W x 3, by a generator in evaluation mode on `device`.

    With the same number of threads they are the same always; in batches of other sizes a value may differ by one.
    """
    led = None if truncation is None else torch.tensor([truncation], device=device)
    for start in range(0, len(seeds), batch):
        some = seeds[start : start + batch]
        with torch.no_grad():
            yield from to_pictures(network(latents_for(network, some, device), noise_for(network, some, device), led))


def to_pictures(drawn: Tensor) -> list[Pixels]:
    """N x 3 x H x W, about -1..1, to H x W x 3 each; what lies outside is clipped."""
    values = ((drawn.float() + 1) * 127.5).round().clamp(0, 255).to("cpu", torch.uint8)
    return list(np.ascontiguousarray(values.permute(0, 2, 3, 1).numpy()))
