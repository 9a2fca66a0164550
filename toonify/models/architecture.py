"""What is known of a generator's architecture beside the network itself."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from torch import Tensor, nn


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
    from_noise: bool = False  # whether it takes latents (`NoiseGenerator`), not photos
    from_pictures: bool = False  # whether it takes a style from a picture (`PictureGenerator`)

    def build(self, config: Mapping[str, Any]) -> nn.Module:
        """The network of a config, with fresh weights. Raises TypeError for what is no field of it."""
        return self.network(self.config_type(**config))

    def full_config(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """The config with nothing left to its defaults. Raises TypeError for what is no field of it."""
        return asdict(self.config_type(**config))
