"""Parts of a picture."""

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Box:
    """A part of a picture in pixels; `bottom` and `right` lie outside."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.bottom - self.top, self.right - self.left

    @property
    def slices(self) -> tuple[slice, slice]:
        """Rows and columns of an array."""
        return slice(self.top, self.bottom), slice(self.left, self.right)

    def common(self, other: "Box") -> "Box":
        """What lies in both; of no height or width if there is nothing."""
        top, left = max(self.top, other.top), max(self.left, other.left)
        return Box(top, left, max(min(self.bottom, other.bottom), top), max(min(self.right, other.right), left))

    def widened(self, by: int) -> "Box":
        """With so many pixels more on each side."""
        return Box(self.top - by, self.left - by, self.bottom + by, self.right + by)

    def relative_to(self, other: "Box") -> "Box":
        """As seen from the corner of another."""
        return Box(self.top - other.top, self.left - other.left, self.bottom - other.top, self.right - other.left)

    def moved(self, down: int, right: int) -> "Box":
        """So many pixels further down and to the right."""
        return Box(self.top + down, self.left + right, self.bottom + down, self.right + right)

    @property
    def corners(self) -> tuple[int, int, int, int]:
        """Left, top, right and bottom: the order in which files have them."""
        return self.left, self.top, self.right, self.bottom

    def at(self, unit: int) -> "Box":
        """In elements of `unit` pixels."""
        return Box(self.top // unit, self.left // unit, self.bottom // unit, self.right // unit)

    def tiles(self, side: int) -> Iterator["Box"]:
        """Its tiles row by row; the last ones may be smaller."""
        for top in range(self.top, self.bottom, side):
            for left in range(self.left, self.right, side):
                yield Box(top, left, min(top + side, self.bottom), min(left + side, self.right))
