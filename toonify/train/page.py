"""The page of a run: its curves, its sample sheets and its notes, in one file that asks nobody."""

import html
import math
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from string import Template

from toonify.errors import ImageError, display
from toonify.pages.base import render
from toonify.pages.embed import data_uri, page_jpeg, read_picture
from toonify.pages.line_chart import Course
from toonify.pixels.resize import fit_long_side
from toonify.system.cores import available_cores
from toonify.train.curves import course_of, loss_charts, pace_charts, score_charts
from toonify.train.record import Entry, Losses, Note, Scores
from toonify.version import __version__

_FOLDER = Path(__file__).parent
_SHEETS = 24  # in the page
_NEWEST_BYTES, _OTHER_BYTES = 700_000, 190_000  # of a sheet, so that all stay under 8 MB as text
_FORMS = ((1280, 88), (1024, 80), (800, 78), (800, 65), (640, 65), (440, 60))  # long side, quality: the best that fits
_THUMBNAIL = (176, 70)
_NOTES, _NOTES_IN_ALL = 8, 200  # at first sight, and folded away


def render_page(
    title: str,
    facts: Sequence[tuple[str, str]],
    entries: Iterable[Entry],
    grids: Sequence[tuple[int, Path]],
    *,
    shown: str = "Each photo with its drawing",
) -> str:
    """The page of a run as `entries` tell it, with sample sheets as (step, file), and what is `shown` on one."""
    told = sorted(entries, key=lambda entry: entry.step)
    losses = [entry for entry in told if isinstance(entry, Losses)]
    scores = list({entry.step: entry for entry in told if isinstance(entry, Scores)}.values())  # the last of a step
    course = course_of(told)
    sheets = _read_sheets(grids)
    style = (_FOLDER / "page.css").read_text(encoding="utf-8") + _proportions(sheets)
    legend = "Faint as recorded, strong smoothed; a figure is where its smoothed curve ends."
    sections = [
        _section(heading, explanation, charts)
        for heading, explanation, charts in (
            ("Losses", legend, loss_charts(losses, course)),
            ("Evaluation", "A ring marks the best.", score_charts(scores, course)),
            ("Pace", "", pace_charts(losses, course)),
        )
        if charts
    ]
    sections += [
        _sheets(sheets, len(grids), course, shown),
        _notes([entry for entry in told if isinstance(entry, Note)]),
    ]
    body = Template((_FOLDER / "page.html").read_text(encoding="utf-8")).substitute(
        version=html.escape(__version__),
        title=_text(title),
        lede=_lede(losses),
        facts="\n".join(f"<div><dt>{_text(name)}</dt><dd>{_text(value)}</dd></div>" for name, value in facts),
        sections="\n".join(filter(None, sections)),
    )
    return render(display(title), body, style=style)


def _text(words: str) -> str:
    """What may hold the name of a file, for the page."""
    return html.escape(display(words))


def _section(title: str, explanation: str, content: str) -> str:
    words = f"<p>{explanation}</p>" if explanation else ""
    return f'<section class="wide">\n<header class="measure"><h2>{title}</h2>{words}</header>\n{content}\n</section>'


def _lede(losses: Sequence[Losses]) -> str:
    if not losses:
        return "Nothing has been recorded yet."
    last = losses[-1]
    known = last.seconds is not None and math.isfinite(last.seconds)
    spent = f", {_duration(last.seconds or 0.0)} of training" if known else ""
    return f"Step {last.step:,}, epoch {last.epoch:,}{spent}."


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


@dataclass(frozen=True)
class _Sheet:
    """A sample sheet, ready for the page."""

    step: int
    path: Path
    jpeg: bytes
    thumbnail: bytes
    size: tuple[int, int]  # height, width


def _read_sheets(grids: Sequence[tuple[int, Path]]) -> list[_Sheet]:
    """The newest sheets first, without those whose files are gone or damaged."""
    chosen = _spread(sorted(grids, key=lambda grid: grid[0], reverse=True), _SHEETS)
    limits = [_NEWEST_BYTES, *[_OTHER_BYTES] * _SHEETS]
    with ThreadPoolExecutor(available_cores()) as pool:
        return [sheet for sheet in pool.map(_read_sheet, chosen, limits) if sheet is not None]


def _proportions(sheets: Sequence[_Sheet]) -> str:
    """What the style must know of sheets: their width by their height."""
    return f":root {{ --ratio: {sheets[0].size[1] / sheets[0].size[0]:.4f}; }}\n" if sheets else ""


def _sheets(sheets: Sequence[_Sheet], count: int, course: Course, shown: str) -> str:
    """The newest sheet, large, and a strip of small ones to choose another by; the page needs no script for that."""
    lost = min(count, _SHEETS) - len(sheets)
    remarks = [f"{shown}, the newest first."] if sheets else []
    if count > _SHEETS:
        remarks.append(f"{_SHEETS} of {count:,} sheets, evenly spread over the run.")
    if lost:
        remarks.append(f"{lost} of the files cannot be read any more.")
    lines = [_sheet(number, sheet, len(sheets), course) for number, sheet in enumerate(sheets)]
    if lines:
        lines = ['<div class="sheets" role="radiogroup" aria-label="Sample sheets by step">', *lines, "</div>"]
    return _section("Samples", " ".join(remarks), "\n".join(lines)) if count else ""


def _spread(grids: Sequence[tuple[int, Path]], count: int) -> list[tuple[int, Path]]:
    """At most `count` of them, evenly spread from the first to the last."""
    if len(grids) <= count:
        return list(grids)
    return [grids[round(i * (len(grids) - 1) / (count - 1))] for i in range(count)]


def _read_sheet(grid: tuple[int, Path], limit: int) -> _Sheet | None:
    """A sheet in the best form of at most `limit` bytes, or in the smallest; None if its file is gone or damaged."""
    step, path = grid
    try:
        picture = read_picture(path)
    except ImageError:
        return None
    for long_side, quality in _FORMS:
        jpeg = page_jpeg(picture, long_side=long_side, quality=quality)
        if len(jpeg) <= limit:
            break
    thumbnail = page_jpeg(picture, long_side=_THUMBNAIL[0], quality=_THUMBNAIL[1])
    return _Sheet(step, path, jpeg, thumbnail, picture.pixels.shape[:2])


def _sheet(number: int, sheet: _Sheet, count: int, course: Course) -> str:
    epoch = next((f", epoch {epoch:,}" for epoch, first in reversed(course.epochs) if first < sheet.step), "")
    when, name = f"Step {sheet.step:,}{epoch}", _text(sheet.path.name)
    height, width = sheet.size
    large = f'<img src="{data_uri(sheet.jpeg)}" width="{width}" height="{height}" alt="{when}: samples">'
    lines = [f'<input type="radio" name="sheet" id="sheet-{number}"{" checked" if not number else ""}>']
    if count > 1:
        height, width = fit_long_side(height, width, _THUMBNAIL[0] // 2)
        small = f'<img src="{data_uri(sheet.thumbnail)}" width="{width}" height="{height}" alt="">'
        lines.append(f'<label for="sheet-{number}">{small}<span class="unseen">Step </span>{sheet.step:,}</label>')
    lines.append(f"<figure>{large}<figcaption>{when} <span>{name}</span></figcaption></figure>")
    return "\n".join(['<div class="sheet">', *lines, "</div>"])


def _notes(notes: Sequence[Note]) -> str:
    """What happened, the last of it first."""
    items = [
        f'<li><span class="step">{note.step:,}</span> <span>{_text(note.note)}</span></li>'
        for note in notes[: -_NOTES_IN_ALL - 1 : -1]
    ]
    if not items:
        return ""
    content = f"<ol>{''.join(items[:_NOTES])}</ol>"
    if folded := items[_NOTES:]:
        what = f"{len(folded)} earlier ones"
        if len(items) < len(notes):
            what += f"; metrics.jsonl has all {len(notes):,}"
        content += f"\n<details><summary>{what}</summary><ol>{''.join(folded)}</ol></details>"
    return _section("Notes", "By step, the last one first.", f'<div class="notes">{content}</div>')
