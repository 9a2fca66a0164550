"""How long frames are shown, in the units that a format counts in."""

from collections.abc import Sequence
from fractions import Fraction


def in_ticks(seconds: Sequence[Fraction], rate: int, *, most: int, least: int = 0) -> list[int]:
    """Whole ticks, `rate` of them a second, of which no frame has more than `most` or fewer than `least`.

    The ends of frames are rounded, not their lengths, so that the sum stays right.
    """
    ticks, end, written = [], Fraction(0), 0
    for length in seconds:
        end += length
        count = min(most, max(least, round(end * rate) - written))
        ticks.append(count)
        written += count
    return ticks


def as_ratio(seconds: Fraction) -> tuple[int, int]:
    """Numerator and denominator of 16 bits each, the nearest to a length of time."""
    if seconds.numerator <= 65_535 and seconds.denominator <= 65_535:
        return seconds.numerator, seconds.denominator
    whole = int(seconds) + 1
    if whole > 65_535:
        return 65_535, 1
    near = seconds.limit_denominator(65_535 // whole)
    return near.numerator, near.denominator
