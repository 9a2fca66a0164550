"""The options of drawing as people are shown them: what each is for, and which values it takes.

The command line makes its flags of this table, the page of `toonify serve` its controls, and `draw_options` refuses
what lies outside.
"""

from dataclasses import dataclass
from typing import get_args

from toonify.styles.look import FacesMode, LookName


@dataclass(frozen=True)
class DrawingOption:
    """One option: a number between limits, one of some words, or a number of pixels or a word."""

    help: str
    limits: tuple[float, float] | None = None
    words: tuple[str, ...] = ()
    is_pixels: bool = False  # a whole number of them, or one of `words`

    @property
    def metavar(self) -> str:
        """What it takes, for the help: `0..1`, `N|full`, `soft|drawn|bold`."""
        if self.is_pixels:
            numbers = ["N"]
            return "|".join([*self.words, *numbers] if len(self.words) > 1 else [*numbers, *self.words])
        return "|".join(self.words) if self.limits is None else f"{self.limits[0]:g}..{self.limits[1]:g}"


OPTIONS: dict[str, DrawingOption] = {
    "look": DrawingOption(
        "How far from a photo. Several: a picture in each. Default: drawn, where a style has its own look.",
        words=get_args(LookName),
    ),
    "lines": DrawingOption("Strength of the contours. Default: the look's.", (0, 1)),
    "flat": DrawingOption("How flat surfaces are. Default: the look's.", (0, 1)),
    "faces": DrawingOption(
        "auto: find faces, keep their skin clean, and draw far ones larger.", words=get_args(FacesMode)
    ),
    "size": DrawingOption(
        "Long side in pixels at which the style is drawn; a smaller photo is drawn as it is. Default: the style's.",
        (16, 65_500),
        words=("full",),
        is_pixels=True,
    ),
    "output_size": DrawingOption(
        "Size of the result: the photo's, as drawn, or a long side.",
        (1, 65_500),
        words=("same", "drawn"),
        is_pixels=True,
    ),
    "keep_color": DrawingOption("How far the photo's colors are kept. Default: the style's.", (0, 1)),
    "saturation": DrawingOption("Factor on the colors' strength. Default: the style's.", (0, 4)),
    "strength": DrawingOption("0 is the photo, 1 the drawing, 2 twice as far from the photo.", (0, 2)),
    "detail": DrawingOption("How much of the photo's fine texture comes back where drawn smaller.", (0, 1)),
}
