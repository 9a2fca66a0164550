"""A walk through the latent space: from the picture of one seed to that of the next."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch

from toonify.errors import UsageError
from toonify.generate.draw import BATCH, to_pictures
from toonify.generate.open import Opened
from toonify.generate.seeds import MOST, latents_for, latents_of, noise_for
from toonify.pixels.arrays import Floats, Pixels

FEWEST_FRAMES = 2


def parse_walk(text: str) -> list[int]:
    """The seeds of `--walk a,b,c`. Raises UsageError."""
    seeds = [part.strip() for part in text.split(",")]
    if len(seeds) < 2 or not all(seed.isascii() and seed.isdigit() and int(seed) <= MOST for seed in seeds):
        raise UsageError(f"--walk {text}: give two seeds or more with commas, such as 1,2,3")
    return [int(seed) for seed in seeds]


def walk(opened: Opened, seeds: Sequence[int], frames: int, truncation: float | None = None) -> Iterator[Pixels]:
    """So many pictures, H x W x 3, evenly from the first seed to the last.

    Styles lie on straight lines between those of the seeds, other latents on arcs, so that they are as long as latents
    are. Noise is the first seed's all the way, or fine details would flicker.
    """
    places = np.linspace(0, len(seeds) - 1, frames)
    network, styled, device = opened.network, opened.styled, opened.device
    noise = noise_for(network, seeds[:1], device)
    with torch.no_grad():
        if styled is not None:
            styles = styled.mapping(latents_for(network, seeds, device))
            if truncation is not None:
                styles = styled.truncated(styles, truncation)
        for start in range(0, frames, BATCH):
            some = places[start : start + BATCH]
            repeated = None if noise is None else noise.expand(len(some), -1)
            if styled is None:
                latents = arc(latents_of(seeds, network.latent_size), some)
                yield from to_pictures(network(torch.from_numpy(latents).to(device), repeated))
                continue
            first = np.minimum(some.astype(int), len(seeds) - 2)
            part = torch.from_numpy((some - first).astype(np.float32)).to(device)[:, None]
            w = torch.lerp(styles[first], styles[first + 1], part)
            yield from to_pictures(styled.synthesis(w[:, None].expand(-1, len(styled.styled), -1), repeated))


def arc(latents: Floats, places: np.ndarray[tuple[int], np.dtype[np.float64]]) -> Floats:
    """Latents between those in a row, N x C, at places from 0 to N - 1, by spherical interpolation."""
    found = []
    for place in places:
        first = min(int(place), len(latents) - 2)
        part, (a, b) = place - first, latents[first : first + 2].astype(np.float64)
        angle = np.arccos(np.clip(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)), -1, 1))
        if angle < 1e-6:
            found.append((1 - part) * a + part * b)
        else:
            found.append((np.sin((1 - part) * angle) * a + np.sin(part * angle) * b) / np.sin(angle))
    return np.asarray(found, np.float32)
