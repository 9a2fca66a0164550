"""From a style to its generator as a PyTorch module, fetched if need be."""

from typing import TYPE_CHECKING

from toonify.checkpoints import hub
from toonify.errors import DeviceError, StyleError, WeightsError
from toonify.networks.cache import beside_card, own_onnx
from toonify.styles.card import FileWeights
from toonify.styles.find import LocatedStyle

if TYPE_CHECKING:
    from torch import nn


def load_module(style: LocatedStyle, variant: str, *, quiet: bool = False) -> "nn.Module":
    """The generator as a PyTorch module on the CPU, fetched if need be and verified against its card."""
    from toonify.networks.checkpoint import load_generator

    name, chosen = style.variant(variant)
    weights = chosen.weights
    if isinstance(weights, FileWeights):
        if not weights.is_onnx:
            return load_generator(beside_card(style, weights), chosen)
        network = own_onnx(style, weights)
        try:
            return load_generator(network, chosen)
        except StyleError as error:
            what = f"{style.card.id} ({name}) is an ONNX network that PyTorch cannot run without a checkpoint"
            raise DeviceError(f"{what}: {error}") from error
    path = hub.fetch(weights, quiet=quiet)
    try:
        return load_generator(path, chosen)
    except WeightsError as error:
        hub.forget(path)
        raise WeightsError(f"{error}; it was taken out of the cache, so try again to fetch it anew") from error
