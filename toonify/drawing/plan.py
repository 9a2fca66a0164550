"""What is to be drawn with: a variant of a style, and the options of drawing."""

from dataclasses import dataclass
from typing import Any, Literal

from toonify.errors import UsageError
from toonify.networks.cache import variants_to_try
from toonify.styles.card import StyleVariant, Variant
from toonify.styles.find import find_style

OutputSize = Literal["same", "drawn"] | int


@dataclass(frozen=True)
class DrawOptions:
    """How a picture is drawn, with nothing left open. `draw_options` fills in what a style prefers."""

    size: int | None  # long side at which the style is drawn, in pixels; None: the photo's own. Never enlarges
    output_size: OutputSize  # "same" as the photo, as "drawn", or a long side in pixels
    keep_color: float  # 0..1, how much of the photo's colours the drawing keeps
    saturation: float  # factor on the colours, 1: as they are
    strength: float  # 0..1, 0: the photo
    detail: float  # 0..1, how much of the photo's fine texture comes back where the drawing is enlarged
    padding: int  # pixels of reflected border around what is drawn


def draw_options(
    variant: Variant,
    *,
    size: int | Literal["full"] | None = None,
    output_size: OutputSize = "same",
    keep_color: float | None = None,
    saturation: float | None = None,
    strength: float = 1.0,
    detail: float = 0.0,
    raw: bool = False,
) -> DrawOptions:
    """The options of a drawing: what is None is as the style's card says.

    `raw` is the network's own output, as published: at the photo's own size unless `size` is given, with nothing
    around it and no correction of colours. `detail` shows only where the drawing is enlarged: with `raw` not without a
    `size`, and never at "full". Its default is 0, because from about 0.3 on skin and stone look like a photo again,
    beside the lines that the style has drawn there. Raises UsageError for a value outside its limits.
    """
    if raw and (keep_color, saturation) != (None, None):
        raise UsageError("--raw leaves the colours as the network draws them; drop --keep-color and --saturation")
    if size is None:
        size = "full" if raw or variant.size is None else variant.size
    if size != "full" and size < 16:
        raise UsageError(f"--size {size}: give a long side of 16 pixels or more, or full")
    if isinstance(output_size, int) and not 1 <= output_size <= 65_500:
        raise UsageError(f"--output-size {output_size}: give a long side from 1 to 65500, or same, or drawn")
    options = DrawOptions(
        size=None if size == "full" else size,
        output_size=output_size,
        keep_color=0.0 if raw else variant.keep_color if keep_color is None else keep_color,
        saturation=1.0 if raw else variant.saturation if saturation is None else saturation,
        strength=strength,
        detail=detail,
        padding=0 if raw else variant.padding,
    )
    for flag, value, limit in (
        ("--keep-color", options.keep_color, 1),
        ("--saturation", options.saturation, 4),
        ("--strength", options.strength, 1),
        ("--detail", options.detail, 1),
    ):
        if not 0 <= value <= limit:
            raise UsageError(f"{flag} {value:g}: give a number from 0 to {limit}")
    return options


@dataclass(frozen=True)
class DrawingPlan:
    """All that decides what pictures will look like: a variant of a style, and the options of drawing."""

    style: StyleVariant
    options: DrawOptions
    instead: "DrawingPlan | None" = None  # what is drawn if the network of this one cannot be fetched

    def __str__(self) -> str:
        size = "at full size" if self.options.size is None else f"at {self.options.size} px"
        return f"{self.style.label} drawn {size}"


def choose_plan(name: str, *, variant: str = "auto", **options: Any) -> DrawingPlan:
    """The plan that a style's name (or path), variant and options mean; nothing is fetched.

    With "auto" it depends on what is on this machine and whether the hub answers: see `variants_to_try`.
    `options` are those of `draw_options`. Raises UsageError, StyleError.
    """
    plan = None
    for style in reversed(variants_to_try(find_style(name), variant)):
        style.digest  # noqa: B018 - raises for what is missing, before a batch is planned
        plan = DrawingPlan(style, draw_options(style.variant, **options), instead=plan)
    assert plan is not None  # noqa: S101 - there is a variant to try
    return plan
