"""A chart of shares with intervals, as an SVG file of its own."""

from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

from toonify.pages.axes import Axis, short, tick_step, ticks

_WIDTH, _LEFT, _RIGHT, _TOP, _ROW = 800, 190, 120, 70, 44
_TICKS = 6
_INK, _PALE, _FAINT, _ACCENT = "#1b1b1b", "#5c5c5c", "#e2e2e2", "#0b57d0"


@dataclass(frozen=True)
class Dot:
    """A row of the chart."""

    name: str
    value: float  # 0..1
    interval: tuple[float, float] | None
    remark: str  # to the right of it


def dot_chart(title: str, dots: Sequence[Dot], *, reference: float, reference_name: str, caption: str) -> str:
    """The dots with their intervals, one below the other, and a dashed line where the reference is."""
    bottom = _TOP + _ROW * len(dots)
    reach = max([reference, *(dot.interval[1] if dot.interval else dot.value for dot in dots)])
    step = tick_step(0, reach, _TICKS)
    marks = ticks(0, reach, step)
    if marks[-1] < reach * (1 - 1e-9):
        marks.append(len(marks) * step)
    x = Axis(0, marks[-1], _LEFT, _WIDTH - _RIGHT)

    def at(value: float) -> str:
        return short(x.at(value))

    def text(where: str, words: str, more: str = "") -> str:
        return f"<text {where}{f' {more}' if more else ''}>{_xml(words)}</text>"

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{bottom + 60}" '
        f'viewBox="0 0 {_WIDTH} {bottom + 60}" font-family="system-ui, sans-serif" font-size="15" fill="{_INK}" '
        'role="img">',
        f"<title>{_xml(title)}</title>",
        '<rect width="100%" height="100%" fill="#ffffff"/>',
        text('x="24" y="34"', _cut(title, 70), 'font-size="18" font-weight="600"'),
    ]
    middle = f'text-anchor="middle" fill="{_PALE}"'
    for mark in marks:
        parts.append(f'<line x1="{at(mark)}" x2="{at(mark)}" y1="{_TOP}" y2="{bottom}" stroke="{_FAINT}"/>')
        parts.append(text(f'x="{at(mark)}" y="{bottom + 20}"', f"{mark:.0%}", middle))
    line = f'x1="{at(reference)}" x2="{at(reference)}" y1="{_TOP - 8}" y2="{bottom}"'
    parts.append(f'<line {line} stroke="{_PALE}" stroke-dasharray="5 4"/>')
    parts.append(text(f'x="{at(reference)}" y="{_TOP - 12}"', reference_name, f'{middle} font-size="13"'))
    for number, dot in enumerate(dots):
        y = _TOP + _ROW * number + _ROW // 2
        parts.append(text(f'x="{_LEFT - 14}" y="{y + 5}"', _cut(dot.name, 22), 'text-anchor="end"'))
        if dot.interval is not None:
            low, high = map(at, dot.interval)
            whisker = f"M{low} {y}H{high}M{low} {y - 7}v14M{high} {y - 7}v14"
            parts.append(f'<path d="{whisker}" stroke="{_ACCENT}" stroke-width="2" fill="none"/>')
        parts.append(f'<circle cx="{at(dot.value)}" cy="{y}" r="6" fill="{_ACCENT}"/>')
        parts.append(text(f'x="{_WIDTH - 24}" y="{y + 5}"', dot.remark, 'text-anchor="end"'))
    parts.append(text(f'x="{_LEFT}" y="{bottom + 44}"', caption, f'fill="{_PALE}" font-size="13"'))
    return "\n".join([*parts, "</svg>"]) + "\n"


def _xml(text: str) -> str:
    """A line as XML; the two characters in it that no XML may hold are shown as replaced."""
    return escape(text.translate({0xFFFE: 0xFFFD, 0xFFFF: 0xFFFD}))


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
