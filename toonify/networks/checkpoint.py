"""From a file of tensors to the generator that a card says it is."""

from pathlib import Path

import torch
from torch import nn

from toonify.checkpoints.tensors import PRECISIONS, fingerprint, read_tensors
from toonify.errors import StyleError, WeightsError, one_line
from toonify.models import ARCHITECTURES
from toonify.styles.card import FileWeights, Variant

_SMALL = 1_000_000  # values that a network may have without weights in a file


def load_generator(path: Path, variant: Variant) -> nn.Module:
    """The generator of `variant` with the weights in `path`: float32, on the CPU, in evaluation mode.

    An ONNX network serves if it has all of them by the names that they have in PyTorch, as a student's has (the
    exporter may merge equal ones, or rename them); that it is the file that the card pins is for the caller to see to.
    Raises WeightsError if the file cannot be trusted, is not the one that the card pins, or does not fit the network;
    StyleError if there is no such network.
    """
    state = read_tensors(path)
    is_onnx = path.suffix.lower() == ".onnx"
    pinned = variant.weights.fingerprint
    if pinned is not None and not (isinstance(variant.weights, FileWeights) and variant.weights.is_onnx):
        precision = pinned.partition(":")[0]
        if precision not in PRECISIONS:
            raise StyleError(
                f"the style's .json has the fingerprint {pinned[:20]}...; that of a checkpoint begins with "
                f"{' or '.join(PRECISIONS)}:"
            )
        found = fingerprint(state, precision)
        if found != pinned:
            raise WeightsError(
                f"{path} holds other weights than the style's .json says "
                f"(found {found[:20]}..., expected {pinned[:20]}...)"
            )
    if variant.architecture == "gatys":
        raise StyleError(
            f"{path} holds no network: its style is drawn by optimization, with `toonify convert --style PICTURE "
            "--variant gatys`"
        )
    architecture = ARCHITECTURES.get(variant.architecture)
    if architecture is None:
        raise StyleError(
            f"architecture {variant.architecture!r} is unknown; this toonify knows {', '.join(ARCHITECTURES)}"
        )
    try:
        with torch.device("meta"):  # it takes no memory there, however large the card says that it is
            size = sum(tensor.numel() for tensor in architecture.build(variant.config).state_dict().values())
        if size > 2 * sum(tensor.numel() for tensor in state.values()) + _SMALL:
            raise WeightsError(f"{path} does not fit the architecture {variant.architecture}: it is much smaller")
        generator = architecture.build(variant.config)
    except (TypeError, ValueError, RuntimeError) as error:
        raise StyleError(f"config of architecture {variant.architecture}: {one_line(error)}") from error
    if is_onnx:  # it has constants of its own beside the weights
        state = {name: state[name] for name in generator.state_dict() if name in state}
    try:
        generator.load_state_dict(architecture.rename(state))
    except RuntimeError as error:
        raise WeightsError(f"{path} does not fit the architecture {variant.architecture}") from error
    return generator.float().eval()
