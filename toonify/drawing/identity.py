"""What a picture was drawn with, as text: two pictures of one photo are the same if their texts are.

`convert` and `distill` keep a digest of it in each picture, so that a rerun knows what is done. The text must not
change when code is renamed, and must change whenever the picture does. These are the rules:

- It is JSON with sorted keys. Keys and values are written out here; no name of a class or a module is in it.
- A field is left out if its value is neutral, which leaves the picture as it would be without the field. A new field
  of `DrawOptions` or `Variant` gets a line in one of the tables below, and all earlier pictures stay known.
- What changes speed or memory alone (device, engine, tiles, float16) is not in it: the picture is the same but for
  rounding. 8-bit integers are no rounding; the digest of their network is in it where they draw.

`former_identity` is what toonify 0.1.0 wrote in its place. It is frozen, so that pictures that carry it stay known.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import msgspec

from toonify.drawing.plan import DrawingPlan, DrawOptions, without_flags
from toonify.styles.card import Training, Variant
from toonify.styles.look import Look
from toonify.transfer import OPTIMIZED

ENCODING = 1  # of the text: raise it if the rules change, and read the old one as well

# Value of each field of DrawOptions with which a picture is as it was before the field existed.
NEUTRAL_OPTIONS: Mapping[str, Any] = {
    "size": None,
    "output_size": "same",
    "keep_color": 0.0,
    "saturation": 1.0,
    "strength": 1.0,
    "detail": 0.0,
    "padding": 0,
    "look": None,
    "faces": False,
}
# The same of the fields of Variant that say what the network is and takes.
NEUTRAL_NETWORK: Mapping[str, Any] = {
    "architecture": None,
    "config": {},
    "channels": "rgb",
    "value_range": (-1.0, 1.0),
    "multiple": 1,
    "minimum": 1,
}
# The same of fields inside an option that is a struct, by dotted name ("look.lines.taper"): those younger than it.
NEUTRAL_INSIDE: Mapping[str, Any] = {}
# Fields of Variant that are told otherwise (the digest of the weights, the options that they are defaults of) or do not
# show in a picture.
NOT_ENCODED = frozenset(
    {"weights", "padding", "size", "keep_color", "saturation", "bytes_per_pixel", "training", "int8", "input"}
)


_OF_LOOK = frozenset({"--lines", "--flat", "--saturation", "details"})
_OF_NETWORK = _OF_LOOK | {"--look", "--faces", "--size", "--keep-color", "weights"}
# What has another default where this flag is another.
FOLLOWS: Mapping[str, frozenset[str]] = {
    "--style": _OF_NETWORK | {"--variant", "--raw"},
    "--variant": _OF_NETWORK | {"--raw", "--steps", "--start-from", "--seed", "--style-strength"},
    "--raw": _OF_NETWORK,
    "--look": _OF_LOOK | {"--faces"},
}
# What a picture was drawn with that does not say it: flags that are younger than notes with flags.
FORMERLY: Mapping[str, Any] = {"--precision": "fp32", "--first-frame": True}


def identity(plan: DrawingPlan) -> str:
    """Style, network and options of a plan as JSON, by the rules above."""
    told = {
        "encoding": ENCODING,
        "style": plan.style.card.id,
        "weights": plan.style.digest,
        "network": _without_neutral(plan.style.variant, NEUTRAL_NETWORK),
        "options": _without_neutral(plan.options, NEUTRAL_OPTIONS),
    }
    if plan.drawn_in == "int8":
        told["int8"] = plan.style.int8_digest
    return json.dumps(told, sort_keys=True, separators=(",", ":"))


def told_flags(plan: DrawingPlan) -> dict[str, Any]:
    """The options of a plan for the reader, by the flags of `convert`: what tells one plan from another in words.

    A network, and the details of a look that no flag names, are a short digest. `FOLLOWS` says what needs no mention
    beside another flag.
    """
    options, look = plan.options, plan.options.look or Look(None, None, None)
    lines = look.lines.strength if look.lines else 0.0
    flat = look.tones.flat if look.tones else 0.0
    saturation = options.saturation if look.grade is None else look.grade.saturation
    return {
        "--style": plan.style.card.id,
        "--variant": plan.style.name,
        "--look": plan.look_name,
        "--lines": lines,
        "--flat": flat,
        "--faces": "auto" if options.faces else "off",
        "--size": options.size or "full",
        "--output-size": options.output_size,
        "--keep-color": options.keep_color,
        "--saturation": saturation,
        "--strength": options.strength,
        "--detail": options.detail,
        "--raw": options.padding == 0 < plan.style.variant.padding,
        "--precision": plan.drawn_in,
        **_optimization(plan.style.variant),
        "weights": _short(plan.style.digest),
        "details": _short(json.dumps(_plain(without_flags(look), "look"), sort_keys=True)),
    }


def _optimization(variant: Variant) -> dict[str, Any]:
    if variant.architecture != OPTIMIZED:
        return {}
    flags = {"steps": "--steps", "start": "--start-from", "seed": "--seed", "strength": "--style-strength"}
    return {flag: variant.config.get(name) for name, flag in flags.items()}


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _without_neutral(fields: Variant | DrawOptions, neutral: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that are not neutral; 1 and 1.0 are the same number, and are written alike."""
    values = {name: getattr(fields, name) for name in neutral}
    return {
        name: float(value) if isinstance(neutral[name], float) else _plain(value, name)
        for name, value in values.items()
        if value != neutral[name]
    }


def _plain(value: Any, name: str) -> Any:
    """A value as JSON has it; of a struct every field, but for those of `NEUTRAL_INSIDE` that are neutral."""
    if not isinstance(value, msgspec.Struct):
        return value
    fields = {key: (getattr(value, key), f"{name}.{key}") for key in value.__struct_fields__}
    return {
        key: _plain(each, path)
        for key, (each, path) in fields.items()
        if path not in NEUTRAL_INSIDE or each != NEUTRAL_INSIDE[path]
    }


def former_identity(plan: DrawingPlan) -> list[Any] | None:
    """Weights, variant and options as toonify 0.1.0 told them; None for a picture that it could not have drawn."""
    former = ("size", "output_size", "keep_color", "saturation", "strength", "detail", "padding")
    later = {name: value for name, value in NEUTRAL_OPTIONS.items() if name not in former}
    if plan.drawn_in == "int8" or any(getattr(plan.options, name) != value for name, value in later.items()):
        return None
    options = {name: getattr(plan.options, name) for name in former}
    return [plan.style.digest, _former_variant(plan.style.variant), options]


def _former_variant(variant: Variant) -> str:
    """What `repr` gave of a variant without its weights in toonify 0.1.0, with the names that it had then."""
    return (
        f"Variant(weights=FileWeights(file='', fingerprint=None), architecture={variant.architecture!r}, "
        f"config={variant.config!r}, channels={variant.channels!r}, value_range={variant.value_range!r}, "
        f"multiple={variant.multiple!r}, minimum={variant.minimum!r}, padding={variant.padding!r}, "
        f"size={variant.size!r}, bytes_per_pixel={variant.bytes_per_pixel!r}, keep_color={variant.keep_color!r}, "
        f"saturation={variant.saturation!r}, training={_former_training(variant.training)})"
    )


def _former_training(training: Training | None) -> str:
    if training is None:
        return "None"
    return (
        f"Training(method={training.method!r}, options={training.options!r}, steps={training.steps!r}, "
        f"epochs={training.epochs!r}, seed={training.seed!r}, pictures={training.pictures!r}, "
        f"versions={training.versions!r}, hours={training.hours!r}, scores={training.scores!r}, "
        f"teacher={training.teacher!r})"
    )
