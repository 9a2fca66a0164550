"""The networks, and the table by which a card or a command names them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from toonify.models.cartoongan import CartoonGANConfig, CartoonGANGenerator, rename_released_keys
from toonify.models.cyclegan import CycleGANConfig, CycleGANGenerator
from toonify.models.lite import LiteConfig, LiteGenerator
from toonify.models.pix2pix import Pix2PixConfig, UNetGenerator
from toonify.models.ugatit import UGATITConfig, UGATITGenerator


@dataclass(frozen=True)
class Architecture:
    """How to build a generator from a card's config, which sizes it takes, how its published files name its tensors.

    `multiple` and `minimum` are what a card says under these names of a network with this config.
    """

    build: Callable[[Mapping[str, Any]], nn.Module]
    multiple: Callable[[Mapping[str, Any]], int] = lambda config: 4
    minimum: Callable[[Mapping[str, Any]], int] = lambda config: 8
    rename: Callable[[Mapping[str, Tensor]], dict[str, Tensor]] = dict


ARCHITECTURES: dict[str, Architecture] = {
    "cartoongan": Architecture(
        build=lambda config: CartoonGANGenerator(CartoonGANConfig(**config)),
        rename=rename_released_keys,
    ),
    "cyclegan": Architecture(build=lambda config: CycleGANGenerator(CycleGANConfig(**config))),
    "ugatit": Architecture(build=lambda config: UGATITGenerator(UGATITConfig(**config))),
    "pix2pix": Architecture(
        build=lambda config: UNetGenerator(Pix2PixConfig(**config)),
        multiple=lambda config: 2 ** Pix2PixConfig(**config).depth,
        minimum=lambda config: 2 ** Pix2PixConfig(**config).depth,
    ),
    "lite": Architecture(
        build=lambda config: LiteGenerator(LiteConfig(**config)),
        minimum=lambda config: 4,
    ),
}
