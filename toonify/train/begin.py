"""--start-from: a run whose generator begins with the weights of another style, in place of fresh ones."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from toonify.errors import UsageError, display
from toonify.generators import load_module
from toonify.methods.method import Method
from toonify.models import ARCHITECTURES
from toonify.styles import LocatedStyle, find_style
from toonify.train.options import Options, flag

_OPTIONS = frozenset(Options.__struct_fields__)


def begin(method: Method, name: str, *, quiet: bool) -> str:
    """Give a method's generator the weights of a style, and say so in a line.

    Raises UsageError if the style has no such generator, StyleError, DownloadError.
    """
    located, variant = find_start(name, method.architecture, method.config)
    module = load_module(located, variant, quiet=quiet)
    if located.card.variants[variant].channels == "bgr":
        module.load_state_dict(turned_round(module.state_dict()))
    method.begin_with(ARCHITECTURES[method.architecture].fit(module, method.generator))
    return f"begins with the weights of {located.card.id} ({variant})"


def find_start(name: str, architecture: str, config: Mapping[str, Any]) -> tuple[LocatedStyle, str]:
    """The style that `--start-from` names, and which of its variants has a generator as it is to be trained.

    Raises UsageError, StyleError.
    """
    located = find_style(name)
    wanted = _layers(architecture, config)
    others = None
    for variant, each in located.card.variants.items():
        if each.architecture != architecture:
            continue
        there = _layers(architecture, each.config)
        if there == wanted:
            if tuple(each.value_range) != (-1, 1):
                raise UsageError(f"--start-from {display(name)}: it takes {each.value_range}, not -1 to 1")
            return located, variant
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
