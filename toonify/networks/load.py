"""From a style to its generator as a PyTorch module, fetched if need be."""

from typing import TYPE_CHECKING

from toonify.checkpoints import hub
from toonify.errors import DeviceError, StyleError, WeightsError, display
from toonify.styles.card import HubWeights, StyleVariant
from toonify.styles.find import shipped_folder, shipped_names

if TYPE_CHECKING:
    from torch import nn


def pull_command(style: StyleVariant) -> str:
    """What to type to fetch a style."""
    ships = style.folder == shipped_folder() and style.card.id in shipped_names()
    return f"toonify styles pull {style.card.id if ships else display(style.folder)}"


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
    path = hub.fetch(weights, way_out=f"connect once and type `{pull_command(style)}`")
    try:
        return load_generator(path, style.variant)
    except WeightsError as error:
        hub.forget(path)
        raise WeightsError(f"{error}; it was taken out of the cache, so try again to fetch it anew") from error
