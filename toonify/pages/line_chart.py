"""Small line charts as SVG: what belongs to a run's steps is drawn here, colors and type are the page's."""

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from toonify.pages.axes import Axis, Series, path, short, tick_step, tick_text, ticks

COLORS = 6  # that the page has, so so many curves a chart
_POINTS = 600  # of a curve, at most: more than a chart has pixels
_LARGEST = float(np.finfo(np.float32).max)  # no loss is larger, and sums of such do not overflow
_SMALLEST = 1e-30  # what is nearer to 0 is drawn as 0
_DECADES = 100.0  # max / min above which an axis is logarithmic
_DOTS = 80  # evaluations that are few enough to be seen one by one
_PHASES = 40  # more would be stripes
_CHARACTER = 6.2  # the width of one, about


@dataclass(frozen=True)
class Curve:
    """Values over steps; what is not finite leaves a gap."""

    name: str
    steps: Series
    values: Series
    spread: Series | None = None  # above and below, as a band

    @property
    def usable(self) -> NDArray[np.bool_]:
        """Which of the values can be drawn."""
        return np.abs(self.values) <= _LARGEST

    @property
    def drawn(self) -> Series:
        """The values that can be drawn."""
        return self.values[self.usable]


@dataclass(frozen=True)
class Course:
    """What the charts of a run have in common: how far it got, and by which way."""

    last: int  # step
    epochs: Sequence[tuple[int, int]] = ()  # an epoch, its first step
    phases: Sequence[tuple[str, int]] = ()  # a phase, its first step


@dataclass(frozen=True)
class Frame:
    """Where a chart's axes are, in units of its viewBox."""

    width: int = 440
    height: int = 254
    left: int = 46
    right: int = 10
    top: int = 20
    bottom: int = 40
    ticks: int = 4  # about so many on the y axis
    detail: bool = True  # epochs, phases, dots

    @property
    def floor(self) -> int:
        """The y of the x axis."""
        return self.height - self.bottom

    @property
    def inner(self) -> int:
        """The width between the axes' ends."""
        return self.width - self.left - self.right


LARGE = Frame()
SMALL = Frame(width=320, height=133, top=8, bottom=23, ticks=2, detail=False)


def chart(
    curves: Sequence[Curve],
    course: Course,
    label: str,
    *,
    frame: Frame = LARGE,
    smooth: bool = False,
    log: bool = False,
    best: int = -1,
) -> str:
    """An SVG of up to `COLORS` curves; `label` says in words what is seen.

    With `smooth`, a smoothed curve lies over the faint one of the values; without, few values are dots, and the one
    numbered `best` in the first curve has a ring. With `log` the y axis may be logarithmic.
    """
    thinned = [thin(curve, course.last) for curve in curves]
    x = Axis(0, max(1, course.last), frame.left, frame.width - frame.right)
    y = value_axis(thinned, frame, log=log)
    parts = [
        f'<svg viewBox="0 0 {frame.width} {frame.height}" role="img" aria-label="{html.escape(label)}">',
        *_phases(course, x, frame),
        *_axes(course, x, y, frame),
    ]
    for number, curve in enumerate(thinned, 1):
        places = x.place(curve.steps)
        if curve.spread is not None:
            low, high = (y.place(curve.values + sign * curve.spread) for sign in (-1, 1))
            parts.append(_band(number, places, low, high))
        raw = path(places, y.place(curve.values))
        if smooth:
            line = path(places, y.place(smoothed(curve.values)))
            parts.append(f'<path class="raw c{number}" d="{raw}"/><path class="line c{number}" d="{line}"/>')
        else:
            parts.append(f'<path class="line c{number}" d="{raw}"/>')
            if len(curve.steps) <= _DOTS and frame.detail:
                parts.append(f'<path class="dots c{number}" d="{_dots(places, y.place(curve.values))}"/>')
    if best >= 0:
        at = x.at(float(curves[0].steps[best])), y.at(float(curves[0].values[best]))
        parts.append(f'<circle class="best c1" cx="{short(at[0])}" cy="{short(at[1])}" r="6"/>')
    return "\n".join([*parts, "</svg>"])


def thin(curve: Curve, last: int) -> Curve:
    """A curve of at most 600 points: the means of as many equal stretches of the run, where there are more."""
    usable = curve.usable
    values = np.where(usable, np.where(np.abs(curve.values) < _SMALLEST, 0, curve.values), np.nan)
    spread = curve.spread
    if spread is not None:
        spread = np.where(np.abs(spread) <= _LARGEST, spread, 0)
    if len(values) <= _POINTS:
        return Curve(curve.name, curve.steps, values, spread)
    bucket = np.minimum(curve.steps * _POINTS // max(1, last), _POINTS - 1).astype(np.int64)
    filled, bucket = np.unique(bucket, return_inverse=True)

    def means(of: Series, where: NDArray[np.bool_]) -> Series:
        count = np.bincount(bucket[where], minlength=len(filled))
        total = np.bincount(bucket[where], of[where], minlength=len(filled))
        mean: Series = np.divide(total, count, out=np.full(len(filled), np.nan), where=count > 0)
        return mean

    steps = means(curve.steps, usable)  # of the same entries as the values, or a straight line would get bumps
    steps = np.where(np.isnan(steps), means(curve.steps, ~usable), steps)
    return Curve(curve.name, steps, means(values, usable), None if spread is None else means(spread, usable))


def smoothed(values: Series) -> Series:
    """The exponential moving average, there and back, so that the curve does not lag behind the values."""
    return _average(_average(values)[::-1])[::-1]


def _average(values: Series) -> Series:
    """Of each value and those before it, weighted as if there were none before the first; gaps stay gaps."""
    span = max(1.0, math.sqrt(len(values)) / 1.5)  # so that few are left nearly as they are: 4 of 40, 16 of 600
    keep = 1 - 2 / (1 + span)
    out = np.full_like(values, np.nan)
    total = weight = 0.0
    for i, value in enumerate(values.tolist()):
        if not math.isnan(value):
            total, weight = keep * total + (1 - keep) * value, keep * weight + (1 - keep)
            out[i] = total / weight
    return out


def value_axis(curves: Sequence[Curve], frame: Frame, *, log: bool = False) -> Axis:
    """A y axis from round number to round number; with `log`, logarithmic if all is above 0 and over two decades."""
    spreads = [0.0 if curve.spread is None else curve.spread for curve in curves]
    both = [curve.values + sign * by for curve, by in zip(curves, spreads, strict=True) for sign in (-1, 1)]
    values = np.concatenate(both)
    values = values[~np.isnan(values)]
    low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)
    start, end = float(frame.floor), float(frame.top)
    if log and low > 0 and high / low > _DECADES:
        low, high = _round_down(low), _round_up(high)
        decades = [10.0**n for n in range(math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9) + 1)]
        return Axis(low, high, start, end, True, decades[:: -(-len(decades) // (frame.ticks + 2))])
    if high - low <= 1e-6 * max(abs(low), abs(high)):
        room = abs(high) / 2 or 1.0
        low, high = low - room, high + room
    step = tick_step(low, high, frame.ticks)
    low, high = math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step
    return Axis(low, high, start, end, False, ticks(low, high, step))


def _dots(x: Series, y: Series) -> str:
    return "".join(
        f"M{short(across)} {short(down)}h0"
        for across, down in zip(x.tolist(), y.tolist(), strict=True)
        if not math.isnan(down)
    )


def _band(number: int, x: Series, low: Series, high: Series) -> str:
    """What lies between two curves, as one outline: at a place alone, a line up and down."""
    seen = ~np.isnan(low) & ~np.isnan(high)
    across, down = np.concatenate([x[seen], x[seen][::-1]]), np.concatenate([high[seen], low[seen][::-1]])
    points = " ".join(f"{short(a)},{short(d)}" for a, d in zip(across.tolist(), down.tolist(), strict=True))
    return f'<polygon class="band c{number}" points="{points}"/>'


def _phases(course: Course, x: Axis, frame: Frame) -> list[str]:
    """Every other phase on a darker ground, all with their names on top where there is room."""
    if not 2 <= len(course.phases) <= _PHASES or not frame.detail:
        return []
    parts, free = [], 0.0
    ends = [first for _, first in course.phases[1:]] + [course.last]
    for number, ((name, first), end) in enumerate(zip(course.phases, ends, strict=True)):
        left, right = x.at(first), x.at(end)
        if number % 2 == 0:
            parts.append(
                f'<rect class="phase" x="{short(left)}" y="{frame.top}" width="{short(right - left)}" '
                f'height="{frame.floor - frame.top}"/>'
            )
        left, width = max(left, free), len(name) * _CHARACTER
        if left + width <= frame.width:
            parts.append(f'<text class="name" x="{short(left)}" y="{frame.top - 7}">{html.escape(name)}</text>')
            free = left + width + 12
    return parts


def _axes(course: Course, x: Axis, y: Axis, frame: Frame) -> list[str]:
    parts = []
    y_step = y.ticks[1] - y.ticks[0] if len(y.ticks) > 1 else 1.0
    for tick in y.ticks:
        down = short(y.at(tick))
        text = tick_text(tick, tick if y.is_log else y_step)
        parts.append(f'<path class="rule" d="M{frame.left} {down}H{frame.width - frame.right}"/>')
        parts.append(f'<text class="y" x="{frame.left - 8}" y="{down}" dy="0.35em">{text}</text>')
    step = max(1.0, tick_step(x.low, x.high, 6 if frame.detail else 4))
    parts.append(f'<path class="axis" d="M{frame.left} {frame.floor}H{frame.width - frame.right}"/>')
    parts.append(f'<text class="y" x="{frame.left - 8}" y="{frame.floor + 19}">step</text>')
    for tick in ticks(x.low, x.high, step):
        parts += _mark(x.at(tick), frame.floor, frame.floor + 19, tick_text(tick, step))
    if frame.detail and course.epochs:
        parts += _epochs(course, x, frame)
    return parts


def _epochs(course: Course, x: Axis, frame: Frame) -> list[str]:
    """Marks on the axis where round epochs begin, and their numbers below those of the steps."""
    numbers = [epoch for epoch, _ in course.epochs]
    every = max(1, int(tick_step(0, max(1, numbers[-1] - numbers[0]), 6)))
    parts = [f'<text class="y" x="{frame.left - 8}" y="{frame.floor + 36}">epoch</text>']
    free = 0.0
    for epoch, first in course.epochs:
        at = x.at(first)
        if epoch % every == 0 and at >= free:
            parts.append(f'<path class="axis" d="M{short(at)} {frame.floor}v-4"/>')
            parts.append(f'<text class="x" x="{short(at)}" y="{frame.floor + 36}">{epoch}</text>')
            free = at + (len(str(epoch)) + 1) * _CHARACTER
    return parts


def _mark(at: float, floor: float, baseline: float, text: str) -> list[str]:
    return [
        f'<path class="axis" d="M{short(at)} {floor}v4"/>',
        f'<text class="x" x="{short(at)}" y="{baseline}">{text}</text>',
    ]


def _round_down(value: float) -> float:
    power = 10.0 ** math.floor(math.log10(value))
    return max(factor * power for factor in (1, 2, 5) if factor * power <= value * (1 + 1e-9))


def _round_up(value: float) -> float:
    power = 10.0 ** math.floor(math.log10(value))
    return min(factor * power for factor in (1, 2, 5, 10) if factor * power >= value * (1 - 1e-9))
