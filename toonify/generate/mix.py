"""Style mixing: coarse, middle and fine layers with the style of a seed each.

Source: Karras, Laine, Aila: StyleGAN, CVPR 2019, section 3.1 and figure 3 (coarse: 4 and 8 pixels; middle: 16 and 32;
fine: from 64 on).
"""

from collections.abc import Mapping

import torch

from toonify.errors import UsageError
from toonify.generate.draw import to_pictures
from toonify.generate.open import Opened, styles_of
from toonify.generate.seeds import MOST, latents_for, noise_for
from toonify.models.noise import COARSE, FINE
from toonify.pixels.arrays import Pixels

BANDS = {"coarse": range(COARSE), "middle": range(COARSE, FINE), "fine": range(FINE, 1 << 16)}  # sides of maps


def parse_mix(text: str) -> dict[str, int]:
    """The seeds of `--mix coarse=1,middle=2,fine=3`, by band; some may be missing. Raises UsageError."""
    seeds: dict[str, int] = {}
    for part in text.split(","):
        band, equals, seed = (word.strip() for word in part.partition("="))
        good = equals and band in BANDS and seed.isascii() and seed.isdigit() and int(seed) <= MOST
        if not good or band in seeds:
            raise UsageError(f"--mix {text}: give a seed for layers, such as coarse=1,middle=2,fine=3")
        seeds[band] = int(seed)
    return seeds


def mix(opened: Opened, seeds: Mapping[str, int], rest: int, truncation: float | None = None) -> Pixels:
    """The picture with the styles of seeds by band; `rest` is the seed of bands that are not named, and of noise.

    Raises UsageError if the generator has no styles, or no layers of a band.
    """
    network = styles_of(opened, "--mix")
    sides = network.layer_sides
    for band, seed in seeds.items():
        if not any(side in BANDS[band] for side in sides):
            first = BANDS[band].start
            raise UsageError(
                f"--mix {band}={seed}: {opened.style.card.id} draws {network.side} px and has no layers from {first} "
                "px on; drop it"
            )
    of_layers = [next((seeds[band] for band in seeds if side in BANDS[band]), rest) for side in sides]
    with torch.no_grad():
        w = network.mapping(latents_for(network, of_layers, opened.device))
        if truncation is not None:
            w = network.truncated(w, truncation)
        (picture,) = to_pictures(network.synthesis(w[None], noise_for(network, [rest], opened.device)))
    return picture
