"""From a plan, or the name of a style, to a style that is ready to draw."""

import dataclasses
import difflib
import logging
import os
import threading
from collections.abc import Mapping
from typing import Any, get_args

from toonify.drawing.drawer import Tile, open_drawer
from toonify.drawing.faces import open_finder
from toonify.drawing.finish.lab import make_tables
from toonify.drawing.optimized import open_optimized
from toonify.drawing.plan import DrawingPlan, choose_plan
from toonify.drawing.style import Style
from toonify.drawing.yunet import NO_FACES
from toonify.engines.engine import Backend, Device, Precision
from toonify.errors import DownloadError, UsageError
from toonify.styles.look import FacesMode, LookName
from toonify.transfer import OPTIMIZED

_log = logging.getLogger(__name__)

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


def load_plan(
    plan: DrawingPlan,
    *,
    device: Device = "auto",
    backend: Backend = "onnx",
    precision: Precision = "auto",
    tile: Tile = "auto",
) -> Style:
    """Fetch what a plan needs, if it is not there, and make it ready to draw.

    `tile`: the side of the tiles in which pictures are drawn, in pixels; "off": at once; "auto": as the memory allows.
    What comes out is the same. `precision`: of the network; "auto" is float16 on CUDA where that cannot be told from
    float32, and on CPUs "int8" where the card has it, and it is quicker and right; the style's plan says which of
    float32 and integers draws. If the network cannot be fetched and the plan has another one `instead`, that is loaded,
    and a warning in the log says so. Raises UsageError, StyleError, DownloadError, DeviceError.
    """
    runs_on: dict[str, Any] = {"device": device, "backend": backend, "precision": precision, "tile": tile}
    if plan.options.look is not None:
        threading.Thread(target=make_tables).start()  # meanwhile; no daemon: an exit amid C++ would abort the process
    try:
        is_optimized = plan.style.variant.architecture == OPTIMIZED
        drawer = (open_optimized if is_optimized else open_drawer)(plan.style, padding=plan.options.padding, **runs_on)
    except DownloadError as error:
        if plan.instead is None:
            raise
        _log.warning("%s is not used: %s", plan.style.label, error)
        return load_plan(plan.instead, **runs_on)
    either = precision == "auto" and plan.style.variant.int8 is not None
    plan = dataclasses.replace(plan, drawn_in=drawer.drawn_in, either=either)
    if plan.warning:
        plan.warn()
    if not plan.options.faces:
        return Style(plan, drawer)
    try:
        return Style(plan, drawer, open_finder())
    except DownloadError as error:
        _log.warning("%s (%s)", NO_FACES, error)
        return Style(plan.without_faces(), drawer)


def load_style(
    name: str | os.PathLike[str],
    *,
    variant: str = "auto",
    device: Device = "auto",
    backend: Backend = "onnx",
    precision: Precision = "auto",
    tile: Tile = "auto",
    **options: Any,
) -> Style:
    """Load a style by name (`toonify styles`) or path, fetching its weights on first use.

    >>> shinkai = load_style("shinkai")
    >>> drawing = shinkai(PIL.Image.open("cat.jpg"))

    `precision` and `tile` are as for `load_plan`, `options` are those of `draw_options`: look, lines, flat, faces,
    size, output_size, keep_color, saturation, strength, detail, raw. Raises UsageError (also for an argument of another
    type, which it names), StyleError, DownloadError, DeviceError.
    """
    runs_on: dict[str, Any] = {"device": device, "backend": backend, "precision": precision, "tile": tile}
    _check_arguments(name, {"variant": variant, **runs_on, **options})
    plan = choose_plan(os.fspath(name), variant=variant, **options)
    return load_plan(plan, **runs_on)


def _check_arguments(name: Any, arguments: Mapping[str, Any]) -> None:
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
