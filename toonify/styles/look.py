"""How a style is finished, as data: its contours, its flat tones and its grade."""

from typing import Annotated, Literal

import msgspec
from msgspec.structs import replace

LookName = Literal["soft", "drawn", "bold"]
FacesMode = Literal["auto", "off"]

Unit = Annotated[float, msgspec.Meta(ge=0, le=1)]
Signed = Annotated[float, msgspec.Meta(ge=-1, le=1)]
Color = tuple[Unit, Unit, Unit]  # RGB in 0..1
Shift = tuple[Signed, Signed]  # of a and b of CIELAB, each divided by 100


class Lines(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The contours that are drawn over the picture."""

    strength: Unit = 0.7  # opacity of a line where it is darkest
    width: Annotated[float, msgspec.Meta(ge=0.4, le=3)] = 0.85  # standard deviation across the line, in pixels
    faintest: Annotated[float, msgspec.Meta(ge=0, le=0.1)] = 0.006  # response of the filter at which a line begins
    full: Annotated[float, msgspec.Meta(ge=0, le=0.2)] = 0.016  # and at which it has its whole strength
    edge: tuple[Unit, Unit] = (0.02, 0.05)  # gradient per pixel at which an edge begins to count, and counts in full
    isolation: tuple[float, float] = (1.4, 2.4)  # its ratio to the mean gradient around it, likewise
    length: Annotated[float, msgspec.Meta(ge=0, le=100)] = 22.0  # in pixels; much shorter lines are dropped
    keep: Unit = 0.25  # how much of the local color the ink keeps
    ink: Color = (0.0, 0.0, 0.0)  # what is added to that


class Tones(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Flat surfaces, and steps of light."""

    flat: Unit = 0.9  # how far the flattened picture replaces the drawing
    steps: Annotated[int, msgspec.Meta(ge=2, le=32)] = 7  # of lightness, from black to white
    stepped: Unit = 0.5  # how far lightness is drawn to the middle of its step
    structure: tuple[Unit, Unit] = (0.45, 0.85)  # coherence from which edges are followed, and followed alone


class Grade(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Light and color of the whole picture. Lightness is L / 100 of CIELAB."""

    lightness: Unit = 0.58  # mean that a darker picture is brought to
    lift: Unit = 0.5  # how far it is brought there
    contrast: Signed = 0.2  # of the midtones
    black: Unit = 0.02  # lightness of what was black
    white: Unit = 1.0  # and of what was white
    saturation: Annotated[float, msgspec.Meta(ge=0, le=4)] = 1.1  # factor on the colors
    vibrance: Unit = 0.3  # how much more dull colors get
    shadows: Shift = (0.0, 0.0)  # what dark colors are shifted by
    highlights: Shift = (0.0, 0.0)  # and what bright ones are
    greens: Unit = 0.0  # how far greens turn to yellow
    glow: Unit = 0.0  # light that spreads around what is brightest


class Look(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a style is finished where it is to read as drawn; None leaves a step out."""

    lines: Lines | None = Lines()
    tones: Tones | None = Tones()
    grade: Grade | None = Grade()


def named_look(own: Look, name: LookName) -> Look:
    """What `--look name` makes of a style's own look.

    "soft" is the network's drawing with the photo's colors, and nothing of this; "drawn" is the style's own look;
    "bold" has heavier lines, fewer tones and more contrast.
    """
    if name == "soft":
        return Look(None, None, None)
    if name == "drawn":
        return own
    lines, tones, grade = own.lines or Lines(), own.tones or Tones(), own.grade or Grade()
    return Look(
        replace(lines, strength=(3 + lines.strength) / 4, width=min(3.0, 1.4 * lines.width), keep=lines.keep / 2),
        replace(tones, flat=1.0, steps=max(3, tones.steps - 2), stepped=min(1.0, tones.stepped + 0.25)),
        replace(grade, contrast=min(1.0, grade.contrast + 0.2), saturation=1.08 * grade.saturation),
    )
