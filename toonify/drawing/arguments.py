"""What `load_style` is given from Python, checked before anything is done: the command line has its own checks."""

import difflib
import os
from collections.abc import Mapping
from typing import Any, get_args

from toonify.engines.engine import Backend, Device, Precision
from toonify.errors import UsageError
from toonify.styles.look import FacesMode, LookName

_WORDS: Mapping[str, tuple[str, ...]] = {
    "device": get_args(Device),
    "backend": get_args(Backend),
    "precision": get_args(Precision),
    "look": get_args(LookName),
    "faces": get_args(FacesMode),
}
_PIXELS: Mapping[str, tuple[str, ...]] = {
    "size": ("full",),
    "output_size": ("same", "drawn"),
    "tile": ("auto", "off"),
}
_NUMBERS = ("lines", "flat", "keep_color", "saturation", "strength", "detail")
_MAY_BE_NONE = {"look", "lines", "flat", "size", "keep_color", "saturation"}
_KNOWN = (*_WORDS, *_PIXELS, *_NUMBERS, "variant", "raw")


def check_arguments(name: Any, arguments: Mapping[str, Any]) -> None:
    """Raise UsageError for an argument that `load_style` does not have, and for one of another type or word.

    Limits of numbers are for `draw_options` to check.
    """
    if not isinstance(name, str | os.PathLike):
        raise UsageError(f"name {name!r}: give the name of a style, or a path")
    for key, value in arguments.items():
        if key not in _KNOWN:
            close = difflib.get_close_matches(key, _KNOWN, n=1)
            raise UsageError(f"{key} is no argument of load_style{f' (is it {close[0]}?)' if close else ''}")
        wanted = _wanted(key)
        if not (_suits(key, value) or (value is None and key in _MAY_BE_NONE)):
            raise UsageError(f"{key} {value!r}: give {wanted}{' or None' if key in _MAY_BE_NONE else ''}")


def _suits(key: str, value: Any) -> bool:
    if key == "raw":
        return isinstance(value, bool)
    if key == "variant":
        return isinstance(value, str)
    if key in _WORDS:
        return isinstance(value, str) and value in _WORDS[key]
    is_number = isinstance(value, int if key in _PIXELS else int | float) and not isinstance(value, bool)
    return is_number or (isinstance(value, str) and value in _PIXELS.get(key, ()))


def _wanted(key: str) -> str:
    if key == "raw":
        return "True or False"
    if key == "variant":
        return "the name of a variant"
    if key in _WORDS:
        return " or ".join(map(repr, _WORDS[key]))
    return " or ".join(["a whole number", *map(repr, _PIXELS[key])]) if key in _PIXELS else "a number"
