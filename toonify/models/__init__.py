"""The networks, and the table by which a card or a command names them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from toonify.models.cartoongan import CartoonGANConfig, CartoonGANGenerator, rename_released_keys


@dataclass(frozen=True)
class Architecture:
    """How to build a generator from a card's config, and how its published files name their tensors."""

    build: Callable[[Mapping[str, Any]], nn.Module]
    rename: Callable[[Mapping[str, Tensor]], dict[str, Tensor]] = dict


ARCHITECTURES: dict[str, Architecture] = {
    "cartoongan": Architecture(
        build=lambda config: CartoonGANGenerator(CartoonGANConfig(**config)),
        rename=rename_released_keys,
    ),
}
