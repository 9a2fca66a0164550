"""The entries of a run as charts, each with a head that says in words and figures what it shows."""

import functools
import html
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from toonify.metrics.table import FIGURES, SPREAD
from toonify.pages.axes import figure
from toonify.pages.line_chart import COLORS, SMALL, Course, Curve, chart, smoothed, thin
from toonify.train.record import Entry, Losses, Number, Scores

_ROWS = 200  # of evaluations in the table, at most
_LOWER = '<span class="arrow" aria-hidden="true">&nbsp;↓</span><span class="unseen">, lower is better</span>'


def course_of(entries: Sequence[Entry]) -> Course:
    """How far a run got, and when its epochs and phases began; the entries are in the order of their steps."""
    epochs: dict[int, int] = {}
    phases: list[tuple[str, int]] = []
    before = 0  # an entry tells of the steps since the last one, so what is new in it began there
    for entry in entries:
        if isinstance(entry, Losses):
            epochs.setdefault(entry.epoch, before)
            if not phases or phases[-1][0] != entry.phase:
                phases.append((entry.phase, before))
            before = entry.step
    return Course(entries[-1].step if entries else 0, tuple(epochs.items()), tuple(phases))


def loss_charts(losses: Sequence[Losses], course: Course) -> str:
    """A chart for each loss, or for several whose names begin with the same word; empty if there are none."""
    charts = []
    for name, curves in _grouped(_curves((entry.step, entry.losses) for entry in losses)):
        keys = [
            _key(_words(curve.name.removeprefix(f"{name}_")), curve, smoothed(thin(curve, course.last).values))
            for curve in curves
        ]
        title = _words(name)
        charts.append(_chart(title, keys, chart(curves, course, _label(title, keys, course), smooth=True, log=True)))
    return _together(charts, "charts")


def score_charts(scores: Sequence[Scores], course: Course) -> str:
    """A chart for each figure that evaluations gave, and a table of all; empty if there are none."""
    curves = {curve.name: curve for curve in _curves((entry.step, entry.evaluation) for entry in scores)}
    shown = [name for name in curves if not (name.endswith(SPREAD) and name.removesuffix(SPREAD) in curves)]
    charts, best = [], {}
    for name in shown:
        curve, spread = curves[name], curves.get(name + SPREAD)
        if spread is not None and len(spread.values) == len(curve.values):
            curve = Curve(name, curve.steps, curve.values, spread.values)
        keys = [_key("last", curve, curve.drawn, functools.partial(_score, name))]
        lowest = _lowest(curve) if _is_better_lower(name) else -1
        if lowest >= 0:
            best[name] = step = int(curve.steps[lowest])
            keys.append(_Key("best", _score(name, float(curve.values[lowest])), f"at step {step:,}"))
        title = _score_title(name)
        drawing = chart([curve], course, _label(title, keys, course), best=lowest)
        charts.append(_chart(title, keys, drawing, _LOWER if lowest >= 0 else ""))
    return f"{_together(charts, 'charts')}\n{_score_table(scores, shown, best)}" if charts else ""


def tell_scores(scores: Mapping[str, Number]) -> str:
    """An evaluation in a line: each score, with its spread if it has one."""
    told = []
    for name, number in scores.items():
        if name.endswith(SPREAD):
            continue
        spread = scores.get(name + SPREAD)
        decimals = FIGURES[name].digits if name in FIGURES else 4
        said = f"{_score_title(name)} {_score(name, number)}"
        told.append(said if spread is None else f"{said} ± {spread:.{decimals}f}")
    return ", ".join(told)


def pace_charts(losses: Sequence[Losses], course: Course) -> str:
    """Small charts of the learning rate and of the speed; empty if there are no entries."""
    charts = []
    for name, smooth in (("learning_rate", False), ("images_per_second", True)):
        for curve in _curves((entry.step, {name: getattr(entry, name)}) for entry in losses):
            values = smoothed(thin(curve, course.last).values) if smooth else curve.drawn
            keys, title = [_key("", curve, values)], _words(name)
            drawing = chart([curve], course, _label(title, keys, course), frame=SMALL, smooth=smooth)
            charts.append(_chart(title, keys, drawing))
    return _together(charts, "charts small")


@dataclass(frozen=True)
class _Key:
    """What the head of a chart says of a curve."""

    name: str  # empty where the chart's own says all
    figure: str
    remark: str = ""
    kind: Literal["remark", "warning"] = "remark"

    def __str__(self) -> str:
        return " ".join(filter(None, [self.name, self.figure, self.remark]))


def _curves(numbers: Iterable[tuple[int, Mapping[str, Number]]]) -> list[Curve]:
    """Numbers by name, which come with their steps, as curves in the order in which they first appear."""
    steps: dict[str, list[int]] = {}
    values: dict[str, list[Number]] = {}
    for step, named in numbers:
        for name, number in named.items():
            steps.setdefault(name, []).append(step)
            values.setdefault(name, []).append(number)  # None becomes NaN
    return [Curve(name, np.array(steps[name], np.float64), np.array(values[name], np.float64)) for name in steps]


def _grouped(curves: Sequence[Curve]) -> list[tuple[str, list[Curve]]]:
    """Curves that share a chart, with its name: those whose names begin with the same word."""
    groups: dict[str, list[Curve]] = {}
    for curve in curves:
        groups.setdefault(curve.name.partition("_")[0], []).append(curve)
    parts = [
        (word, group[start : start + COLORS])
        for word, group in groups.items()
        for start in range(0, len(group), COLORS)
    ]
    return [(part[0].name if len(part) == 1 else word, part) for word, part in parts]


def _key(name: str, curve: Curve, values: Iterable[float], text: Callable[[float], str] = figure) -> _Key:
    """The last of the values that can be drawn, and how many of the curve's cannot."""
    usable = [value for value in values if not math.isnan(value)]
    lost = len(curve.values) - len(curve.drawn)
    return _Key(name, text(usable[-1]) if usable else "", f"{lost:,} not finite" if lost else "", "warning")


def _lowest(curve: Curve) -> int:
    """The number of the lowest value; -1 if there is none."""
    return int(np.nanargmin(np.where(curve.usable, curve.values, np.nan))) if len(curve.drawn) else -1


def _label(title: str, keys: Sequence[_Key], course: Course) -> str:
    return f"{title} over {course.last:,} steps: {', '.join(map(str, keys))}"


def _words(name: str) -> str:
    return name.replace("_", " ")


def _chart(title: str, keys: Sequence[_Key], drawing: str, note: str = "") -> str:
    several = len(keys) > 1 and keys[0].name != "last"
    items = []
    for number, key in enumerate(keys, 1):
        name = f"{html.escape(key.name)} " if len(keys) > 1 else ""
        remark = f' <span class="{key.kind}">{key.remark}</span>' if key.remark else ""
        swatch = f' class="swatch c{number}"' if several else ""
        items.append(f"<li{swatch}>{name}<b>{key.figure}</b>{remark}</li>")
    head = f"<h3>{html.escape(title)}{note}</h3><ul>{''.join(items)}</ul>"
    return f'<figure class="chart"><figcaption>{head}</figcaption>\n{drawing}</figure>'


def _together(charts: Sequence[str], kind: str) -> str:
    return "\n".join([f'<div class="{kind}">', *charts, "</div>"]) if charts else ""


def _score_table(scores: Sequence[Scores], shown: Sequence[str], best: Mapping[str, int]) -> str:
    """The figures of the last evaluations, newest first."""
    titles = ["step", "epoch", *map(_score_title, shown)]
    heads = (f'<th scope="col">{html.escape(title)}</th>' for title in titles)
    lines = [f"<tr>{''.join(heads)}</tr>"]
    for entry in scores[: -_ROWS - 1 : -1]:
        cells = [f'<th scope="row">{entry.step:,}</th>', f"<td>{entry.epoch:,}</td>"]
        for name in shown:
            cell = _score(name, entry.evaluation.get(name))
            if name + SPREAD in entry.evaluation:
                cell += f" ± {_score(name, entry.evaluation[name + SPREAD])}"
            is_best = best.get(name) == entry.step
            cells.append(f'<td><b>{cell}</b><span class="unseen"> best</span></td>' if is_best else f"<td>{cell}</td>")
        lines.append(f"<tr>{''.join(cells)}</tr>")
    what = f"The last {_ROWS} of {len(scores):,} evaluations" if len(scores) > _ROWS else "All figures"
    table = "\n".join([f"<table><thead>{lines[0]}</thead><tbody>", *lines[1:], "</tbody></table>"])
    return (
        f"<details><summary>{what}</summary>\n"
        f'<div class="scroll" tabindex="0" role="region" aria-label="Table of evaluations">{table}</div></details>'
    )


def _is_better_lower(name: str) -> bool:
    return name in FIGURES and FIGURES[name].better == "lower"


def _score_title(name: str) -> str:
    return FIGURES[name].title if name in FIGURES else _words(name)


def _score(name: str, number: Number) -> str:
    if number is None or not math.isfinite(number):
        return "none"
    return f"{number:.{FIGURES[name].digits}f}" if name in FIGURES else figure(number, 4)
