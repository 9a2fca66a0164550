"""The networks, and the table by which a card or a command names them."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from torch import Tensor, nn

from toonify.models.cartoongan import CartoonGANConfig, CartoonGANGenerator, rename_released_keys
from toonify.models.cyclegan import CycleGANConfig, CycleGANGenerator
from toonify.models.lite import LiteConfig, LiteGenerator, fit_lite
from toonify.models.pix2pix import Pix2PixConfig, UNetGenerator
from toonify.models.ugatit import UGATITConfig, UGATITGenerator


@dataclass(frozen=True)
class Architecture:
    """How to build a generator from a card's config, which sizes it takes, how its published files name its tensors.

    `multiple` and `minimum` are what a card says under these names of a network with this config. `fit` makes the
    weights of another network into those that a network begins with; where they differ in fields that `fits` names, it
    knows how.
    """

    config_type: Callable[..., Any]  # a dataclass
    network: Callable[[Any], nn.Module]
    multiple: Callable[[Mapping[str, Any]], int] = lambda config: 4
    minimum: Callable[[Mapping[str, Any]], int] = lambda config: 8
    rename: Callable[[Mapping[str, Tensor]], dict[str, Tensor]] = dict
    fits: frozenset[str] = frozenset()
    fit: Callable[[nn.Module, nn.Module], dict[str, Tensor]] = lambda older, network: older.state_dict()

    def build(self, config: Mapping[str, Any]) -> nn.Module:
        """The network of a config, with fresh weights. Raises TypeError for what is no field of it."""
        return self.network(self.config_type(**config))

    def full_config(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """The config with nothing left to its defaults. Raises TypeError for what is no field of it."""
        return asdict(self.config_type(**config))


ARCHITECTURES: dict[str, Architecture] = {
    "cartoongan": Architecture(
        CartoonGANConfig,
        CartoonGANGenerator,
        rename=rename_released_keys,
        fits=frozenset({"eps"}),  # which makes no other layers
    ),
    "cyclegan": Architecture(CycleGANConfig, CycleGANGenerator),
    "ugatit": Architecture(UGATITConfig, UGATITGenerator),
    "pix2pix": Architecture(
        Pix2PixConfig,
        UNetGenerator,
        multiple=lambda config: 2 ** Pix2PixConfig(**config).depth,
        minimum=lambda config: 2 ** Pix2PixConfig(**config).depth,
    ),
    "lite": Architecture(
        LiteConfig,
        LiteGenerator,
        multiple=lambda config: LiteConfig(**config).multiple,
        minimum=lambda config: LiteConfig(**config).multiple,
        fits=frozenset({"blocks", "deep_blocks", "contrast"}),
        fit=fit_lite,
    ),
}
