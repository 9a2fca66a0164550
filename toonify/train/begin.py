"""--start-from: a run whose generator begins with the weights of another style, in place of fresh ones.

Of several, separated by commas, it begins with the mean. Runs that went on from the same weights end at several places
of one valley, whose bottom lies between them (Wortsman et al.: Model soups, ICML 2022).
"""

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

import torch
from torch import Tensor

from toonify.checkpoints.tensors import fingerprint
from toonify.errors import UsageError, display
from toonify.methods.method import Method
from toonify.models import ARCHITECTURES
from toonify.networks.load import load_module
from toonify.styles.card import StyleVariant
from toonify.styles.find import find_generator, find_picture_network, find_style
from toonify.train.options import Options, flag

_OPTIONS = frozenset(Options.__struct_fields__)


def begin(method: Method, text: str) -> tuple[str, list[str]]:
    """Give a method's generator the weights of a style, or the mean of several.

    Returns a line that says so, and the fingerprints of the weights in its line of descent, the oldest first.

    Raises UsageError if a style has no such generator, StyleError, DownloadError.
    """
    states, names = [], []
    ancestors: list[str] = []
    for name in start_names(text):
        start = find_start(name, method.architecture, method.config)
        module = load_module(start)
        if start.variant.channels == "bgr":
            module.load_state_dict(turned_round(module.state_dict()))
        states.append(ARCHITECTURES[method.architecture].fit(module, method.generator))
        names.append(f"{PurePath(name).name} ({start.name})")
        trained = start.variant.training
        ancestors += [] if trained is None else trained.ancestors
        single = fingerprint(module.state_dict())
    state = mean_of(states)
    method.begin_with(state)
    ancestors.append(single if len(states) == 1 else fingerprint(state))
    mean = "the mean of " if len(names) > 1 else ""
    return f"begins with {mean}the weights of {' and '.join(names)}", list(dict.fromkeys(ancestors))


def start_names(text: str) -> list[str]:
    """The styles that `--start-from` names. A path may have commas."""
    return [text] if Path(text).exists() else [name for name in map(str.strip, text.split(",")) if name]


def license_note(text: str) -> str:
    """What a card says of `--start-from`: its names, but no paths of the user's machine."""
    names = [display(PurePath(name).name) for name in start_names(text)]
    return f"It began with the weights of {' and '.join(names)}, whose license counts, too."


def mean_of(states: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """The mean of weights with the same names and shapes; what is counted is as in the first."""
    return {
        key: torch.stack([state[key] for state in states]).mean(0) if tensor.is_floating_point() else tensor
        for key, tensor in states[0].items()
    }


def find_start(name: str, architecture: str, config: Mapping[str, Any]) -> StyleVariant:
    """The variant of the style that `--start-from` names which has a generator as it is to be trained.

    Raises UsageError, StyleError.
    """
    kind = ARCHITECTURES[architecture]
    find = find_generator if kind.from_noise else find_picture_network if kind.from_pictures else find_style
    located = find(name)
    wanted = _layers(architecture, config)
    others = None
    for style in located.variants():
        if style.variant.architecture != architecture:
            continue
        there = _layers(architecture, style.variant.config)
        if there == wanted:
            if tuple(style.variant.value_range) != (-1, 1):
                raise UsageError(f"--start-from {display(name)}: it takes {style.variant.value_range}, not -1 to 1")
            return style
        others = others or " and ".join(
            f"{flag(key) if key in _OPTIONS else key} {value}" for key, value in there.items() if value != wanted[key]
        )
    if others is not None:
        raise UsageError(f"--start-from {display(name)} has {others}; give the same")
    raise UsageError(f"--start-from {display(name)}: it has no {architecture} generator; give a style or run with one")


def turned_round(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights of a network that takes and gives BGR as those of one that takes and gives RGB, and draws the same.

    Its first and last convolutions are the only ones with three channels.
    """
    turned = {}
    for key, tensor in state.items():
        if tensor.ndim == 4 and tensor.shape[1] == 3:
            tensor = tensor.flip(1)
        if tensor.ndim in (1, 4) and tensor.shape[0] == 3:
            tensor = tensor.flip(0)
        turned[key] = tensor
    return turned


def _layers(architecture: str, config: Mapping[str, Any]) -> dict[str, Any]:
    whole = ARCHITECTURES[architecture].full_config(config)
    return {key: value for key, value in whole.items() if key not in ARCHITECTURES[architecture].fits}
