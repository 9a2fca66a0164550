"""What somebody chose: a style and options of drawing, as they come from a page, checked by the tables of `convert`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from toonify.drawing.plan import DrawingPlan, default_look, make_plan
from toonify.errors import UsageError, display
from toonify.styles.card import StyleVariant
from toonify.styles.options import OPTIONS

# The options that the page has controls for, in its order.
SHOWN = ("look", "lines", "flat", "keep_color", "saturation", "strength", "size", "faces")


@dataclass(frozen=True)
class Choice:
    """A style and the options that differ from its own."""

    style: str  # id
    options: tuple[tuple[str, Any], ...] = ()  # sorted by name

    def plan(self, style: StyleVariant) -> DrawingPlan:
        """What is to be drawn, as `convert` plans it for these options. Raises UsageError."""
        return make_plan([style], **{"faces": "auto", **dict(self.options)}).in_precision("auto")

    @property
    def looks_for_faces(self) -> bool:
        """Whether faces may be looked for."""
        return bool(dict(self.options).get("faces", "auto") == "auto")

    @property
    def label(self) -> str:
        """The style, and the look where one is named: for names of files."""
        look = dict(self.options).get("look")
        return self.style if look is None else f"{self.style}-{look}"


def parse_choice(style: str, values: Mapping[str, Any], known: Mapping[str, StyleVariant]) -> Choice:
    """A choice from the texts or numbers that a page sends. Raises UsageError for what the tables do not have."""
    if style not in known:
        raise UsageError(f"there is no style {display(style[:40])}; choose {', '.join(known)}")
    options = {}
    for name, value in values.items():
        if name not in SHOWN:
            raise UsageError(f"{display(name[:40])} is no option of this page")
        options[name] = _value(name, value)
    own = default_look(known[style].card.look)
    if options.get("look") == own:  # said or unsaid, it is one choice
        del options["look"]
    if options.get("faces") == "auto":
        del options["faces"]
    choice = Choice(style, tuple(sorted(options.items())))
    choice.plan(known[style])  # raises for what is out of its limits
    return choice


def _value(name: str, value: Any) -> Any:
    """One value: a word, or a number. Limits are for `draw_options` to check."""
    option = OPTIONS[name]
    if isinstance(value, str) and value in option.words:
        return value
    try:
        if not isinstance(value, str | int | float) or isinstance(value, bool):
            raise ValueError(value)
        return int(value) if option.is_pixels else _finite(float(value)) if option.limits else _no_word(value)
    except (ValueError, OverflowError) as error:
        flag = f"--{name.replace('_', '-')}"
        raise UsageError(f"{flag} {display(str(value)[:40])}: give {option.metavar}") from error


def _finite(number: float) -> float:
    if number != number or number in (float("inf"), float("-inf")):
        raise ValueError(number)
    return number


def _no_word(value: Any) -> Any:
    raise ValueError(value)


def own_values(plan: DrawingPlan) -> dict[str, Any]:
    """Where the controls stand for a plan: the values that a style and its look have by themselves."""
    options, look = plan.options, plan.options.look
    grade = None if look is None else look.grade
    return {
        "lines": look.lines.strength if look is not None and look.lines is not None else 0.0,
        "flat": look.tones.flat if look is not None and look.tones is not None else 0.0,
        "keep_color": options.keep_color,
        "saturation": options.saturation if grade is None else grade.saturation,
        "strength": options.strength,
        "size": "full" if options.size is None else options.size,
        "faces": "auto",
    }
