"""What is to be drawn with: a variant of a style, and the options of drawing."""

import dataclasses
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from msgspec.structs import replace

from toonify.drawing.precision import DrawnIn, check_has_int8
from toonify.drawing.yunet import NO_FACES, can_find_faces
from toonify.engines.engine import Precision
from toonify.errors import UsageError, display
from toonify.networks.cache import variants_to_try
from toonify.styles.card import LocatedStyle, StyleVariant, Variant
from toonify.styles.find import find_style, shipped_names
from toonify.styles.look import FacesMode, Lines, Look, LookName, Tones, named_look
from toonify.styles.options import OPTIONS
from toonify.transfer import OPTIMIZED, PictureOptions, is_picture, style_of_pictures

OutputSize = Literal["same", "drawn"] | int

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class DrawOptions:
    """How a picture is drawn, with nothing left open. `draw_options` fills in what a style prefers."""

    size: int | None  # long side at which the style is drawn, in pixels; None: the photo's own. Never enlarges
    output_size: OutputSize  # "same" as the photo, as "drawn", or a long side in pixels
    keep_color: float  # 0..1, how much of the photo's colors the drawing keeps
    saturation: float  # factor on the colors, 1: as they are
    strength: float  # 0..2, 0: the photo, 1: the drawing, beyond: away from the photo
    detail: float  # 0..1, how much of the photo's fine texture comes back where the drawing is enlarged
    padding: int  # pixels of reflected border around what is drawn
    look: Look | None = None  # how the drawing is finished, if not softly
    faces: bool = False  # whether faces are looked for, and drawn at their own scale


def draw_options(
    variant: Variant,
    own_look: Look | None = None,
    *,
    look: LookName | None = None,
    lines: float | None = None,
    flat: float | None = None,
    faces: FacesMode = "off",
    size: int | Literal["full"] | None = None,
    output_size: OutputSize = "same",
    keep_color: float | None = None,
    saturation: float | None = None,
    strength: float = 1.0,
    detail: float = 0.0,
    raw: bool = False,
) -> DrawOptions:
    """The options of a drawing: what is None is as the style's card says.

    `own_look` is the card's. `look` is a preset (see `named_look`), by default "drawn" for a style with a look of its
    own and "soft" for others; `lines` and `flat`, 0..1, take the place of its strength of lines and its flatness. With
    "auto" for `faces` they are looked for where the drawing is not finished softly.

    `raw` is the network's own output, as published: at the photo's own size unless `size` is given, with nothing
    around it and no correction of colors. `detail` shows only where the drawing is enlarged: with `raw` not without a
    `size`, and never at "full". Its default is 0, because from about 0.3 on skin and stone look like a photo again,
    beside the lines that the style has drawn there. Raises UsageError for a value outside its limits.
    """
    if raw and (keep_color, saturation) != (None, None):
        raise UsageError("--raw leaves the colors as the network draws them; drop --keep-color and --saturation")
    if raw and (look, lines, flat) != (None, None, None):
        raise UsageError("--raw leaves the drawing as the network draws it; drop --look, --lines and --flat")
    if look is not None and look not in get_args(LookName):
        raise UsageError(f"--look {look}: choose {', '.join(get_args(LookName))}")
    if faces not in get_args(FacesMode):
        raise UsageError(f"--faces {faces}: choose {' or '.join(get_args(FacesMode))}")
    numbers = {"lines": lines, "flat": flat, "keep_color": keep_color, "saturation": saturation}
    for name, value in {**numbers, "strength": strength, "detail": detail}.items():
        low, high = OPTIONS[name].limits or (0, 1)
        if value is not None and not low <= value <= high:
            raise UsageError(f"--{name.replace('_', '-')} {value:g}: give a number from {low:g} to {high:g}")
    if size is None:
        size = "full" if raw or variant.size is None else variant.size
    least, most = (int(limit) for limit in OPTIONS["size"].limits or (16, 65_500))
    if size != "full" and not least <= size <= most:
        raise UsageError(f"--size {size}: give a long side from {least} to {most}, or full")
    if detail and size == "full" and not isinstance(output_size, int):
        raise UsageError(f"--detail {detail:g} shows only where the drawing is enlarged; give a --size, or drop it")
    if isinstance(output_size, int) and not 1 <= output_size <= 65_500:
        raise UsageError(f"--output-size {output_size}: give a long side from 1 to 65500, or same, or drawn")
    finish = None if raw else finish_of(own_look, look, lines, flat)
    if finish is not None and finish.grade is not None:  # it has the drawing's saturation in hand
        wanted = finish.grade.saturation if saturation is None else saturation
        finish, saturation = replace(finish, grade=replace(finish.grade, saturation=wanted)), 1.0
    return DrawOptions(
        size=None if size == "full" else size,
        output_size=output_size,
        keep_color=0.0 if raw else variant.keep_color if keep_color is None else keep_color,
        saturation=1.0 if raw else variant.saturation if saturation is None else saturation,
        strength=strength,
        detail=detail,
        padding=0 if raw else variant.padding,
        look=finish,
        # By optimization each close-up of a face would take as long as the picture.
        faces=faces == "auto" and finish is not None and variant.architecture != OPTIMIZED,
    )


def default_look(own: Look | None) -> LookName:
    """The preset that a style is finished with unless another is asked for; `own` is its card's look."""
    return "soft" if own is None else "drawn"


def finish_of(own: Look | None, name: LookName | None, lines: float | None, flat: float | None) -> Look | None:
    """The look that these options mean; None if nothing of it is left. `name` is a preset: see `named_look`."""
    chosen, preset = own or Look(), name or default_look(own)
    if preset != "drawn":
        chosen = named_look(chosen, preset)
    if lines is not None:
        kind = chosen.lines or (own or Look()).lines or Lines()
        chosen = replace(chosen, lines=replace(kind, strength=lines) if lines else None)
    if flat is not None:
        surfaces = chosen.tones or (own or Look()).tones or Tones()
        chosen = replace(chosen, tones=replace(surfaces, flat=flat) if flat else None)
    return None if chosen == Look(None, None, None) else chosen


def without_flags(look: Look) -> Look:
    """A look without what has a flag of its own."""
    return Look(
        None if look.lines is None else replace(look.lines, strength=0.0),
        None if look.tones is None else replace(look.tones, flat=0.0),
        None if look.grade is None else replace(look.grade, saturation=1.0),
    )


@dataclass(frozen=True)
class DrawingPlan:
    """All that decides what pictures will look like: a variant of a style, and the options of drawing."""

    style: StyleVariant
    options: DrawOptions
    instead: "DrawingPlan | None" = None  # what is drawn if the network of this one cannot be fetched
    warning: str = ""  # what is not as it was asked for; `warn` logs it, when it is sure that something will be drawn
    drawn_in: DrawnIn = "fp32"  # what the network calculates in
    either: bool = False  # whether a picture that was drawn in the other is as good: none was named

    def without_faces(self, warning: str = "") -> "DrawingPlan":
        """The same, but faces are not looked for."""
        instead = None if self.instead is None else self.instead.without_faces(warning)
        options = dataclasses.replace(self.options, faces=False)
        return dataclasses.replace(self, options=options, instead=instead, warning=warning)

    def in_precision(self, precision: Precision) -> "DrawingPlan":
        """The same as `--precision` asks for it; with "auto" it may be drawn in either, which loading it settles.

        Raises StyleError for int8 if the card has no such network.
        """
        if precision == "int8":
            check_has_int8(self.style)
        instead = self.instead
        if instead is not None:
            lacks = precision == "int8" and instead.style.variant.int8 is None
            instead = None if lacks else instead.in_precision(precision)
        return dataclasses.replace(
            self,
            instead=instead,
            drawn_in="int8" if precision == "int8" else "fp32",
            either=precision == "auto" and self.style.variant.int8 is not None,
        )

    def as_good(self) -> "list[DrawingPlan]":
        """The plans whose pictures need not be drawn anew by this one: itself, and first."""
        if not self.either:
            return [self]
        return [self, dataclasses.replace(self, drawn_in="fp32" if self.drawn_in == "int8" else "int8")]

    def warn(self) -> None:
        """Log the warning, if there is one. `load_plan` does."""
        if self.warning:
            _log.warning("%s", self.warning)

    def without_warning(self) -> "DrawingPlan":
        """The same, once somebody has been warned."""
        instead = None if self.instead is None else self.instead.without_warning()
        return dataclasses.replace(self, instead=instead, warning="")

    def for_variant(self, name: str) -> "DrawingPlan":
        """The plan for one of the variants that this one may draw with. Raises KeyError if it is none of them."""
        if self.style.name == name:
            return self
        if self.instead is None:
            raise KeyError(name)
        return self.instead.for_variant(name)

    def alternatives(self) -> "list[DrawingPlan]":
        """What may be drawn in place of this plan if a network cannot be fetched: without faces, another variant."""
        own = [self.without_faces()] if self.options.faces else []
        return own if self.instead is None else [*own, self.instead, *self.instead.alternatives()]

    @property
    def look_name(self) -> str:
        """The preset that the look comes from, whatever --lines and --flat say; "custom" if it is none."""
        look = self.options.look or Look(None, None, None)
        lines, flat = look.lines.strength if look.lines else 0.0, look.tones.flat if look.tones else 0.0
        for name in get_args(LookName):
            made = finish_of(self.style.card.look, name, lines, flat) or Look(None, None, None)
            if without_flags(made) == without_flags(look):
                return str(name)
        return "custom"

    def check_weights(self) -> None:
        """Raise StyleError if a file of weights beside the card is missing, WeightsError if it is another one."""
        self.style.digest  # noqa: B018 - it is the files' own
        if self.instead is not None:
            self.instead.check_weights()

    def __str__(self) -> str:
        size = "at full size" if self.options.size is None else f"at up to {self.options.size} px"
        is_raw = self.options.padding == 0 < self.style.variant.padding
        return f"{self.style.label}, {'raw' if is_raw else f'look {self.look_name}'}, {size}"


def choose_plan(name: str, *, variant: str = "auto", faces: FacesMode = "auto", **options: Any) -> DrawingPlan:
    """The plan that a style's name (or path), variant and options mean; nothing is fetched.

    With "auto" it depends on what is on this machine and whether the hub answers: see `variants_to_try`; of faces, the
    network that finds them; where they would be looked for and cannot be, the plan has a warning. `options` are the
    others of `draw_options`. Raises UsageError, StyleError.
    """
    ((_, style),) = locate_styles([name], variant=variant)
    plan = make_plan(variants_to_try(style, variant), faces=faces, **options)
    plan.check_weights()
    (plan,) = settle_faces([plan])
    return plan


def locate_styles(
    names: Sequence[str], pictures: PictureOptions | None = None, *, variant: str = "auto"
) -> list[tuple[str, LocatedStyle]]:
    """The styles that names mean, each with the name by which it was asked for; a picture is made into a style.

    With weights in `pictures` all names are pictures, of which one style is blended. `variant` says what draws in the
    styles of pictures. Raises what `find_style` and `style_of_pictures` do, UsageError for options of pictures where
    there is none.
    """
    of_pictures = [_means_picture(name) for name in names]
    if pictures is not None and pictures.weights:
        for name, right in zip(names, of_pictures, strict=True):
            if not right:
                raise UsageError(f"--style-weight blends pictures, and {display(name)} is none; drop one of them")
        return [(" + ".join(names), style_of_pictures([Path(name) for name in names], pictures, variant))]
    if pictures not in (None, PictureOptions()) and not any(of_pictures):
        raise UsageError(
            "--style-size, --style-strength, --style-network, --steps, --start-from and --seed are for a --style that "
            "is a picture; drop them"
        )
    return [
        (name, style_of_pictures([Path(name)], pictures, variant) if right else find_style(name))
        for name, right in zip(names, of_pictures, strict=True)
    ]


def _means_picture(name: str) -> bool:
    is_file = os.path.isfile(name)  # noqa: PTH113 - Path's raises for a long name
    return is_file and name.lower() not in shipped_names() and is_picture(name)


def make_plan(styles: Sequence[StyleVariant], **options: Any) -> DrawingPlan:
    """The plan to draw with the first of one or more variants of a style that can be had.

    `options` are those of `draw_options`. Raises UsageError. No file is looked at: see `check_weights`.
    """
    plan = None
    for style in reversed(styles):
        plan = DrawingPlan(style, draw_options(style.variant, style.card.look, **options), instead=plan)
    assert plan is not None  # noqa: S101 - there is a variant to try
    return plan


def settle_faces(plans: Sequence[DrawingPlan]) -> list[DrawingPlan]:
    """The plans as they can be drawn: if faces cannot be looked for, those that wanted it have a warning in its place.

    The hub is asked once for all of them.
    """
    if not any(plan.options.faces for plan in plans) or can_find_faces():
        return list(plans)
    return [plan.without_faces(NO_FACES) if plan.options.faces else plan for plan in plans]
