"""Lines over a picture."""

from collections.abc import Sequence
from dataclasses import dataclass

from toonify.pixels.arrays import Floats


@dataclass(frozen=True)
class Ink:
    """Where lines lie, and what color they have."""

    opacity: Floats  # h x w in 0..1
    keep: float  # how much of the local color the ink keeps
    color: tuple[float, float, float]  # what is added to that, RGB in 0..1

    def over(self, planes: Sequence[Floats], opacity: Floats) -> list[Floats]:
        """Lines of that opacity (h x w) over the red, green and blue plane of a picture, h x w each in 0..1."""
        return [
            plane + opacity * ((self.keep - 1) * plane + added) for plane, added in zip(planes, self.color, strict=True)
        ]
