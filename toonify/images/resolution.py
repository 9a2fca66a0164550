"""Pixels an inch, or a centimeter, as files give them: what was said is kept, and nothing is made up.

Sources: JFIF 1.02, page 5 (units and densities); PNG (third edition), 11.3.4.3 (pHYs); Exif 2.32, table 4 (resolution).
"""

import struct
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

_INCH, _CENTIMETER = 1, 2  # units of JFIF; 0: the sides of a pixel only
_METERS = {_INCH: Fraction(127, 5000), _CENTIMETER: Fraction(1, 100)}
_MOST = 65_535


@dataclass(frozen=True)
class Resolution:
    """Pixels in a unit of length, from left to right and from top to bottom."""

    x: Fraction
    y: Fraction
    unit: int = _INCH  # of JFIF

    def as_jfif(self) -> bytes:
        """Unit and densities of a JFIF head; of what does not fit, the proportion."""
        if max(self.x, self.y) > _MOST or min(self.x, self.y) < 1:
            return struct.pack(">BHH", 0, 1, 1)
        return struct.pack(">BHH", self.unit, round(self.x), round(self.y))

    def as_phys(self) -> bytes:
        """What a pHYs chunk holds."""
        meters = _METERS.get(self.unit, Fraction(1))
        return struct.pack(">IIB", round(self.x / meters), round(self.y / meters), int(self.unit != 0))

    def as_exif(self) -> tuple[int, tuple[int, int], tuple[int, int]] | None:
        """Exif's unit, and two numerators and denominators; None where there is no length."""
        if not self.unit:
            return None
        x, y = (value.limit_denominator(10_000) for value in (self.x, self.y))
        return self.unit + 1, (x.numerator, x.denominator), (y.numerator, y.denominator)


def _tidy(value: Fraction) -> Fraction:
    """A whole number where it is within what a file in pixels a meter rounds."""
    whole = Fraction(round(value))
    return whole if abs(value - whole) <= Fraction(2, 100) else value


def of_jfif(info: dict[Any, Any]) -> Resolution | None:
    """What a JFIF head says, as Pillow has it; None without one, and where it says nothing: square pixels."""
    unit, density = info.get("jfif_unit"), info.get("jfif_density", (0, 0))
    if unit not in (0, _INCH, _CENTIMETER) or not all(density) or (unit == 0 and density[0] == density[1]):
        return None
    return Resolution(Fraction(density[0]), Fraction(density[1]), unit)


def of_phys(chunk: bytes) -> Resolution | None:
    """What a pHYs chunk says; None where it says nothing."""
    if len(chunk) != 9:
        return None
    x, y, unit = struct.unpack(">IIB", chunk)
    if not x or not y or unit > 1 or (unit == 0 and x == y):
        return None
    return _in_meters(x, y) if unit else Resolution(Fraction(x), Fraction(y), 0)


def of_bmp(head: bytes) -> Resolution | None:
    """What the head of a BMP says in pixels a meter; None where it says nothing."""
    if len(head) < 46:
        return None
    x, y = struct.unpack("<ii", head[38:46])
    return _in_meters(x, y) if x > 0 and y > 0 else None


def _in_meters(x: int, y: int) -> Resolution:
    in_inches = Resolution(_tidy(x * _METERS[_INCH]), _tidy(y * _METERS[_INCH]))
    is_metric = x % 100 == y % 100 == 0 and in_inches.x.denominator + in_inches.y.denominator > 2
    return Resolution(Fraction(x, 100), Fraction(y, 100), _CENTIMETER) if is_metric else in_inches
