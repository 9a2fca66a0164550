"""From a network for pictures, as its card has it, to a module: fetched, read, checked."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

from msgspec.structs import replace
from torch import Tensor, nn

from toonify.checkpoints.published import Published, fetch
from toonify.checkpoints.tensors import read_tensors
from toonify.errors import DownloadError, StyleError, WeightsError, display
from toonify.models.adain import AdaINConfig, AdaINGenerator, PictureGenerator, encoder
from toonify.networks.load import load_module
from toonify.styles.card import StyleVariant
from toonify.transfer import networks


def load_network(style: StyleVariant, strength: float) -> PictureGenerator:
    """A network that draws in the style of pictures, on the CPU, in evaluation mode; the published ones are fetched.

    `strength` is alpha of equation 14. Raises DownloadError, WeightsError, StyleError.
    """
    if style.variant == networks.published().variant:
        return published_generator(AdaINConfig(strength=strength))
    changed = replace(style.variant, config={**style.variant.config, "strength": strength})
    generator = load_module(dataclasses.replace(style, variant=changed))
    if not isinstance(generator, PictureGenerator):
        raise StyleError(f"{style.label} takes no pictures: {style.variant.architecture} is no network for styles")
    return generator


def published_generator(config: AdaINConfig) -> AdaINGenerator:
    """The generator with the published encoder and decoder, and no style yet; fetched if they are not here.

    Raises DownloadError, WeightsError.
    """
    generator = AdaINGenerator(config).eval()
    parts = ((networks.ENCODER, generator.encoder), (networks.DECODER, generator.decoder))
    paths, problems = [], []
    for file, _ in parts:
        try:
            paths.append(fetch(file))
        except DownloadError as error:
            problems.append(str(error))
    if problems:  # of both files, so that nobody looks for one and then hears of the other
        raise DownloadError("; ".join(problems))
    for (file, part), path in zip(parts, paths, strict=True):
        _load(part, file, path)
    return generator


def read_encoder(path: Path | None) -> nn.Sequential:
    """The encoder of AdaIN from a file, or the published one, fetched if it is not here.

    The file has its tensors as they are published, or under torchvision's names, with the 1x1 convolution as `pre`; its
    width is as in the file. Raises DownloadError, WeightsError.
    """
    if path is None:
        path = fetch(networks.ENCODER, flag="--content-weights")
    state = read_tensors(path)
    if "pre.weight" in state:
        state = {name.replace("features.", ""): tensor for name, tensor in state.items()}
    values = [state[name] for name in sorted(state, key=_layer_order)]
    try:
        width = len(values[2])
        network = encoder(width)
        names = list(network.state_dict())
        network.load_state_dict({name: value.float() for name, value in zip(names, values[: len(names)], strict=True)})
    except (IndexError, ValueError, RuntimeError, TypeError) as error:
        raise WeightsError(
            f"{display(path)} is not {networks.ENCODER.title}; give --content-weights its file, or leave it out"
        ) from error
    return network.eval()


def _layer_order(name: str) -> tuple[int, str]:
    """The place of a tensor in its network, weights before biases; the 1x1 convolution comes first."""
    layer, _, what = name.partition(".")
    return (int(layer) if layer.isdecimal() else -1, "" if what == "weight" else what)


def signed_encoder(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of an encoder that takes pictures in -1..1 and gives the features that one gives of them in 0..1."""
    halved = state["0.weight"] / 2
    return {**state, "0.weight": halved, "0.bias": state["0.bias"] + halved.sum(dim=(1, 2, 3))}


def _load(part: nn.Module, file: Published, path: Path) -> None:
    state = read_tensors(path)
    try:  # the encoder's file goes on to relu5_4
        part.load_state_dict({name: state[name] for name in part.state_dict()})
    except (KeyError, RuntimeError) as error:
        raise WeightsError(f"{display(path)} is not {file.title}") from error
