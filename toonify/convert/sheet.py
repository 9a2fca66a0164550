"""Photos in every style and look, on one sheet."""

import itertools
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from toonify.drawing import Combination, Style
from toonify.drawing.plan import DrawingPlan
from toonify.errors import DeviceError, StyleError, display
from toonify.images import DEFAULT_MAX_PIXELS, Photo, encode_picture, opaque, read_photo
from toonify.images.formats import FormatName
from toonify.images.modes import on_white
from toonify.jobs.find import Found
from toonify.jobs.outcome import Outcome, guard, open_source
from toonify.jobs.plan import Job
from toonify.pixels.arrays import Pixels
from toonify.pixels.resize import fit_long_side, resize
from toonify.pixels.sheet import Cell, photo_sheet, photo_span, rows_sheet
from toonify.system.waiting import waiting
from toonify.version import __version__

_log = logging.getLogger(__name__)

MAX_PHOTOS = 12
_MEMORY_ADVICE = "make it smaller, or draw it alone with convert"


@dataclass
class _Row:
    """A photo of the sheet, and its drawings by combination."""

    job: Job
    photo: Pixels | None = None
    drawings: dict[str, Pixels] = field(default_factory=dict)
    failure: Outcome | None = None


@dataclass(frozen=True)
class Watch:
    """Who is told how the sheet comes along."""

    on_load: Callable[[Style], None]
    on_drawn: Callable[[Path, str, float], None]  # photo, label of the combination, seconds
    on_failed: Callable[[Outcome], None]  # a photo is left out
    on_missing: Callable[[str, str], None]  # label of a combination, and why its style cannot be had


def draw_sheet(
    found: Sequence[Found],
    combinations: Sequence[Combination],
    load: Callable[[DrawingPlan], Style],
    watch: Watch,
    *,
    cell: int,
    max_pixels: int = DEFAULT_MAX_PIXELS,
) -> Pixels | None:
    """One picture, H x W x 3, of 1 to 12 photos in every combination; None if there is nothing to show.

    Drawings are made at the size at which their style is drawn, and reduced to `cell` pixels of the long side, so that
    strokes are as in a result that is seen as a whole. Where `cell` is the larger, they are brought up to it; none is
    larger than its photo. A photo that fails is left out, and so is a style whose network cannot be had.
    """
    if not 1 <= len(found) <= MAX_PHOTOS:
        raise ValueError(f"{len(found)} photos; a sheet holds 1 to {MAX_PHOTOS}")
    rows = [_Row(Job(photo.path, photo.path, "png", photo.problem)) for photo in found]
    span = 1
    if len(rows) == 1:
        looks = len({combination.look for combination in combinations})
        span = photo_span(len(combinations) // looks, looks)
    large = cell if span == 1 else round(1.1 * span * cell)  # with the gaps between the drawings beside it
    for row in rows:
        _attempt(row, lambda row: _read_shown(row, large, max_pixels), watch)
    drawn: list[Combination] = []
    for _, group in itertools.groupby(combinations, key=lambda each: each.name):
        if any(row.failure is None for row in rows):
            drawn += _draw_style(rows, list(group), load, watch, cell, max_pixels)
    shown = [row for row in rows if row.failure is None]
    return _compose(shown, drawn, alone=len(rows) == 1) if shown and drawn else None


def _draw_style(
    rows: Sequence[_Row],
    looks: Sequence[Combination],
    load: Callable[[DrawingPlan], Style],
    watch: Watch,
    cell: int,
    max_pixels: int,
) -> Sequence[Combination]:
    """Draw all photos in one style: the network draws each once for all looks. Returns what was drawn."""
    problem: Exception | None = looks[0].problem
    if problem is None:
        plans = [each.plan for each in looks]
        try:
            # If one of the looks wants faces to be looked for, they are found for all of them.
            style = load(next((plan for plan in plans if plan.options.faces), plans[0]))
        except (StyleError, DeviceError) as error:
            problem = error
    if problem is not None:
        for each in looks:
            watch.on_missing(each.label, str(problem))
        return []
    watch.on_load(style)
    for row in rows:
        _attempt(row, lambda row: _draw_photo(row, style, looks, watch, cell, max_pixels), watch)
    return looks


def _draw_photo(
    row: _Row, style: Style, looks: Sequence[Combination], watch: Watch, cell: int, max_pixels: int
) -> None:
    started = time.perf_counter()
    size = style.plan.options.size
    photo = _read(row.job, max_pixels, None if size is None else max(size, cell))
    sketch = style.prepare(photo.pixels)
    with waiting(_log, f"drawing {display(row.job.source)} in {style.plan.style.label}"):
        drawing = style.draw(sketch)
    for each in looks:
        options = each.plan.for_variant(style.plan.style.name).options
        pixels = style.finish(sketch, drawing, options)
        if photo.alpha is not None:
            pixels = on_white(pixels, photo.alpha)
        row.drawings[each.label] = _reduced(pixels, cell)
        watch.on_drawn(row.job.source, each.label, time.perf_counter() - started)
        started = time.perf_counter()


def _attempt(row: _Row, work: Callable[[_Row], None], watch: Watch) -> None:
    """Work on a photo that is still to be shown; what goes wrong with it leaves it out."""
    if row.failure is not None:
        return
    row.failure = guard(work, memory_advice=_MEMORY_ADVICE)(row)
    if row.failure is not None:
        watch.on_failed(row.failure)


def _read_shown(row: _Row, long_side: int, max_pixels: int) -> Any:
    if row.job.problem is not None:
        return Outcome(row.job.source, row.job.target, "failed", row.job.problem)
    row.photo = opaque(_read(row.job, max_pixels, long_side))
    return None


def _read(job: Job, max_pixels: int, long_side: int | None) -> Photo:
    """The photo, reduced to a long side of so many pixels where it has more. Raises ImageError."""
    with open_source(job.source) as file:
        photo = read_photo(file, max_pixels=max_pixels, enough=long_side)
    if long_side is None:
        return photo
    alpha = None if photo.alpha is None else _reduced(photo.alpha, long_side)
    return Photo(_reduced(photo.pixels, long_side), alpha)


def _reduced(pixels: Pixels, long_side: int) -> Pixels:
    height, width = pixels.shape[:2]
    return pixels if max(height, width) <= long_side else resize(pixels, fit_long_side(height, width, long_side))


def _compose(rows: Sequence[_Row], drawn: Sequence[Combination], *, alone: bool) -> Pixels:
    styles = [list(group) for _, group in itertools.groupby(drawn, key=lambda each: each.name)]

    def cells(row: _Row, combinations: Sequence[Combination]) -> list[Cell]:
        return [Cell(row.drawings[each.label], each.plan.style.card.id, each.look) for each in combinations]

    photos = []
    for row in rows:
        assert row.photo is not None  # noqa: S101 - it was read, or the row would have failed
        photos.append(Cell(row.photo, display(row.job.source.name)))
    if alone:
        return photo_sheet(photos[0], [cells(rows[0], style) for style in styles])
    return rows_sheet([[photo, *cells(row, drawn)] for photo, row in zip(photos, rows, strict=True)])


def encode_sheet(pixels: Pixels, format: FormatName) -> bytes:  # noqa: A002
    """A sheet as a picture file, which says what it is, so that it is not taken for a photo beside its photo.

    Raises ImageError if it is too large for the format.
    """
    return encode_picture(pixels, format=format, note=f"toonify {__version__} sheet")
