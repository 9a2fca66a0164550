"""The networks that draw in the styles of pictures: AdaIN's as published, the small one that ships, and runs' own."""

from dataclasses import replace
from pathlib import Path

from toonify.checkpoints.published import Published
from toonify.errors import UsageError
from toonify.styles.card import Card, FileWeights, LocatedStyle, StyleVariant, Variant
from toonify.styles.find import find_picture_network, shipped_picture_network

_RELEASE = "https://github.com/naoto0804/pytorch-AdaIN/releases/download/v0.0.0"
ENCODER = Published(
    title="AdaIN's encoder (a normalized VGG-19)",
    url=f"{_RELEASE}/vgg_normalised.pth",
    sha256="804ca2835ecf7539f0cd2a7ac3c18ce81e6f8468969ae7117ac0c148d286bb4a",
    megabytes=80.1,
)
DECODER = Published(
    title="AdaIN's decoder",
    url=f"{_RELEASE}/decoder.pth",
    sha256="379ca41d59f3a37eed3599bbbc2560c19da5c458870a5ffd3a9dd41aa88f9472",
    megabytes=14.0,
    folder="adain",
)


_MULTIPLE = 8  # of the encoder
_BYTES_PER_PIXEL = 1_400  # of memory on a CPU while drawing, measured
_BYTES_PER_PIXEL_OPTIMIZED = 3_000  # the same, estimated from the maps that a step keeps
LARGE, SMALL = "adain", "lite"  # names of the variants
OPTIMIZED = "gatys"  # the same, and the architecture of its card: no network draws, but pictures are optimized


def published() -> StyleVariant:
    """The published networks as the variant of a card; `load` fetches them."""
    variant = Variant(
        weights=FileWeights("", f"sha256:{ENCODER.sha256} {DECODER.sha256}"),
        architecture="adain",
        value_range=(0.0, 1.0),
        multiple=_MULTIPLE,
        minimum=2 * _MULTIPLE,
        padding=16,
        size=768,
        bytes_per_pixel=_BYTES_PER_PIXEL,
        input="pictures",
    )
    card = Card(
        id="pictures",
        title="In the style of a picture",
        license="MIT",
        attribution="Xun Huang and Serge Belongie (AdaIN); Naoto Inoue (weights for PyTorch)",
        source="https://github.com/naoto0804/pytorch-AdaIN",
        variants={LARGE: variant},
    )
    return LocatedStyle(card, Path()).variant()


def optimized() -> StyleVariant:
    """What draws by optimization, as the variant of a card; its features are those of AdaIN's encoder."""
    variant = Variant(
        weights=FileWeights("", f"sha256:{ENCODER.sha256}"),
        architecture=OPTIMIZED,
        value_range=(0.0, 1.0),
        multiple=16,
        minimum=32,
        padding=8,
        size=512,
        bytes_per_pixel=_BYTES_PER_PIXEL_OPTIMIZED,
        input="pictures",
    )
    card = Card(
        id="pictures",
        title="In the style of a picture, by optimization",
        license="MIT",
        attribution="Leon A. Gatys, Alexander S. Ecker and Matthias Bethge; Naoto Inoue (weights for PyTorch)",
        source="https://github.com/naoto0804/pytorch-AdaIN",
        variants={OPTIMIZED: variant},
    )
    return LocatedStyle(card, Path()).variant()


def networks_for(variant: str, network: str | None) -> list[StyleVariant]:
    """The networks that may draw in the style of a picture, in the order in which they are tried; at least one.

    `network` is `--style-network`, whose card has the variants; without one they are `adain`, `lite` and
    `gatys`, and "auto"
    takes the first that can be had. Raises UsageError if there is no such variant, StyleError.
    """
    if network is not None:
        return [find_picture_network(network).variant(variant)]
    small = replace(shipped_picture_network().variant(), name=SMALL)
    found = {"auto": [published(), small], LARGE: [published()], SMALL: [small], OPTIMIZED: [optimized()]}
    if variant not in found:
        choices = f"{LARGE}, {SMALL} or {OPTIMIZED}"
        raise UsageError(f"a picture as style has no variant {variant!r}; choose --variant {choices}")
    return found[variant]
