"""From a style to its generator as a PyTorch module, fetched if need be."""

from typing import TYPE_CHECKING

from toonify.checkpoints import hub
from toonify.errors import DeviceError, StyleError, WeightsError
from toonify.styles.card import HubWeights, StyleVariant

if TYPE_CHECKING:
    from torch import nn


def load_module(style: StyleVariant) -> "nn.Module":
    """The generator as a PyTorch module on the CPU, fetched if need be and verified against its card."""
    from toonify.networks.checkpoint import load_generator

    if style.onnx is not None:
        try:
            return load_generator(style.onnx, style.variant)
        except StyleError as error:
            what = f"{style.label} is an ONNX network that PyTorch cannot run without a checkpoint"
            raise DeviceError(f"{what}: {error}") from error
    weights = style.variant.weights
    if not isinstance(weights, HubWeights):
        return load_generator(style.file, style.variant)
    path = hub.fetch(weights)
    try:
        return load_generator(path, style.variant)
    except WeightsError as error:
        hub.forget(path)
        raise WeightsError(f"{error}; it was taken out of the cache, so try again to fetch it anew") from error
