"""What charts are made of: axes, ticks, numbers as text, and lines as SVG paths."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Series = NDArray[np.float64]  # of one dimension


@dataclass(frozen=True)
class Axis:
    """Values to places: `low` at `start`, `high` at `end`."""

    low: float
    high: float
    start: float
    end: float
    is_log: bool = False
    ticks: Sequence[float] = ()

    def place(self, values: Series) -> Series:
        """Where values are drawn."""
        low, high = self.low, self.high
        if self.is_log:
            low, high = math.log10(low), math.log10(high)
            values = np.log10(np.where(values > 0, values, np.nan))
        return self.start + (values - low) / (high - low) * (self.end - self.start)

    def at(self, value: float) -> float:
        """Where one value is drawn."""
        return float(self.place(np.array([value], np.float64))[0])


def tick_step(low: float, high: float, count: int) -> float:
    """The smallest of 1, 2 and 5 times a power of ten that makes at most `count` steps from `low` to `high`.

    If none of its multiples lies there (from 1 to 400,000 in two steps: 0 and 500,000), the next smaller one.
    """
    least = (high - low) / count
    power = 10.0 ** math.floor(math.log10(least))
    steps = pairwise(factor * power for factor in (0.5, 1, 2, 5, 10))
    smaller, step = next((smaller, step) for smaller, step in steps if step >= least * (1 - 1e-9))
    return step if ticks(low, high, step) else smaller


def ticks(low: float, high: float, step: float) -> list[float]:
    """The multiples of `step` from `low` to `high`."""
    return [n * step for n in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]


def tick_text(value: float, step: float) -> str:
    """A tick's number, with the digits that it needs to differ from its neighbors by `step`."""
    size = max(abs(value), step)
    if abs(value) < step / 2:
        return "0"
    if size >= 1e9 or size < 1e-3:
        digits = max(0, math.floor(math.log10(size)) - math.floor(math.log10(step) + 1e-9))
        mantissa, exponent = f"{value:.{digits}e}".split("e")
        text = f"{mantissa}e{int(exponent)}"
    elif size >= 1e4 and step >= size / 1000:
        text = f"{value / 1e6:g}M" if size >= 1e6 else f"{value / 1e3:g}k"
    else:
        text = f"{value:,.{max(0, -math.floor(math.log10(step) + 1e-9))}f}"
    return _with_minus(text)


def figure(value: float, digits: int = 3) -> str:
    """A number with so many digits that count."""
    size = abs(value)
    if not size or 1e-3 <= size < 1e6:
        decimals = digits - 1 - math.floor(math.log10(size)) if size else 0
        return _with_minus(f"{value:,.{max(0, decimals)}f}")
    mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
    return _with_minus(f"{mantissa.rstrip('0').rstrip('.') if '.' in mantissa else mantissa}e{int(exponent)}")


def _with_minus(text: str) -> str:
    return f"\N{MINUS SIGN}{text[1:]}" if text.startswith("-") else text


def path(x: Series, y: Series) -> str:
    """A line through points; where one is missing it stops and starts anew."""
    parts, pen = [], "M"
    for across, down in zip(x.tolist(), y.tolist(), strict=True):
        if math.isnan(down):
            pen = "M"
            continue
        parts.append(f"{pen}{short(across)} {short(down)}")
        if pen == "M":
            parts.append("h0")  # so that a point alone is seen, as a dot
        pen = "L"
    return "".join(parts)


def short(value: float) -> str:
    """A place in a drawing, to a tenth of a unit."""
    """A coordinate to a tenth of a unit."""
    return f"{value:.1f}".removesuffix(".0")
