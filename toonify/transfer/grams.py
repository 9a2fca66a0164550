"""The Gram matrices of pictures: what a style is to style transfer by optimization, and the file that holds it."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from toonify.errors import StyleError
from toonify.system.memory import available_memory
from toonify.transfer.gatys import gram
from toonify.transfer.vgg import STYLE_LAYERS, StyleFeatures

LEVELS = 3  # sizes at which a picture is looked at, each half of the one before, and at which photos are drawn
_LEAST = 32  # pixels of the shorter side of the smallest
_BYTES_PER_PIXEL = 1_000  # of memory while a picture is looked at, estimated from the maps


def grams_of(pictures: Sequence[Tensor], shares: Sequence[float], network: StyleFeatures) -> dict[str, Tensor]:
    """The Gram matrices of pictures, 1 x 3 x H x W RGB in 0..1 each, blended by shares that sum to 1.

    Named LEVEL.LAYER: level 0 is a picture at its size, 1 at half of it, 2 at a quarter. Raises StyleError where the
    memory does not allow it.
    """
    most = max(picture.shape[2] * picture.shape[3] for picture in pictures)
    if most * _BYTES_PER_PIXEL > available_memory():
        needed, free = most * _BYTES_PER_PIXEL / 1e9, available_memory() / 1e9
        raise StyleError(
            f"to look at the picture at this size takes about {needed:.1f} GB of memory and {free:.1f} are free; "
            "give a smaller --style-size"
        )
    blended: dict[str, Tensor] = {}
    with torch.no_grad():
        for picture, share in zip(pictures, shares, strict=True):
            for level in range(LEVELS):
                height, width = (max(_LEAST, side // 2**level) for side in picture.shape[2:])
                seen = picture if level == 0 else resized(picture, (height, width))
                for layer, maps in zip(STYLE_LAYERS, network(seen).style, strict=True):
                    name = f"{level}.{layer}"
                    blended[name] = blended.get(name, torch.zeros(())) + share * gram(maps)
    return blended


def grams_from_state(state: Mapping[str, Tensor]) -> list[list[Tensor]]:
    """The Gram matrices of each level, in the order of the layers. Raises KeyError if it lacks some."""
    return [[state[f"{level}.{layer}"] for layer in STYLE_LAYERS] for level in range(LEVELS)]


def resized(picture: Tensor, size: tuple[int, int]) -> Tensor:
    """A picture, N x 3 x H x W, made smaller."""
    return functional.interpolate(picture, size=size, mode="bilinear", antialias=True)
