"""An evaluation for readers and programs: the table's columns, Markdown, CSV, JSON, and what may be overwritten."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toonify.errors import ToonifyError, UsageError, describe, display
from toonify.evaluate.evaluation import Evaluation, Row, Yardstick
from toonify.metrics.sets import PictureSet
from toonify.metrics.table import CONTENT_METRICS, FIGURES, SPREAD, Direction, Figure, figures_of, standard_metrics
from toonify.pages.tables import csv_text, markdown_table
from toonify.system.files import write_atomically
from toonify.version import __version__

RECORD, TABLE, SHEET, PAGE = "evaluation.json", "evaluation.md", "evaluation.csv", "index.html"
PICTURES = "pictures"  # the folder of what was drawn


@dataclass(frozen=True)
class Column:
    """A column of figures."""

    title: str
    explanation: str
    better: Direction
    value: Callable[[Row], float | None]
    text: Callable[[Row], str]  # of a row that has a value

    @property
    def heading(self) -> str:
        """The title with an arrow to where it gets better."""
        return self.title + {"lower": " ↓", "higher": " ↑", None: ""}[self.better]

    def cell(self, row: Row) -> str:
        """The figure as text; empty where there is none."""
        return "" if self.value(row) is None else self.text(row)

    def best(self, rows: Sequence[Row]) -> set[str]:
        """The names of the styles that are best, as they are printed; none where there is nothing to choose."""
        styles = [row for row in rows if row.kind == "candidate" and self.value(row) is not None]
        if self.better is None or len(styles) < 2:
            return set()
        ordered = sorted(styles, key=lambda row: self.value(row) or 0.0, reverse=self.better == "higher")
        best = {row.name for row in styles if self.text(row) == self.text(ordered[0])}
        return best if len(best) < len(styles) else set()


def _column(figure: Figure) -> Column:
    def text(row: Row) -> str:
        spread = row.figures.get(figure.name + SPREAD)
        told = "" if spread is None else f" ± {spread:.{figure.digits}f}"
        return f"{row.figures[figure.name]:.{figure.digits}f}{told}"

    return Column(figure.title, figure.explanation, figure.better, lambda row: row.figures.get(figure.name), text)


_OF_SETS = figures_of(standard_metrics())
_OF_CONTENT = [metric.figure for metric in CONTENT_METRICS.values()]
_COLUMNS = (
    *(_column(figure) for figure in _OF_SETS if figure.in_evaluations),
    _column(FIGURES["fid_to_photos"]),
    *map(_column, _OF_CONTENT),
    Column(
        "MP/s",
        "megapixels of photos drawn in a second on this machine, one after the other, from decoded photo to finished "
        "picture",
        "higher",
        lambda row: row.megapixels_per_second,
        lambda row: f"{row.megapixels_per_second:.3f}",
    ),
)


def columns(evaluation: Evaluation) -> list[Column]:
    """The columns that have figures."""
    return [column for column in _COLUMNS if any(column.value(row) is not None for row in evaluation.rows)]


def counts(row: Row) -> str:
    """How many pictures are compared with how many."""
    return f"{row.count} : {row.reference_count}"


def failures(row: Row) -> str:
    """How many photos a style has no picture of; empty for what is no style."""
    return "" if row.failed is None else str(row.failed)


def styles_named(evaluation: Evaluation) -> str:
    """The styles in running text."""
    return _listed([row.name for row in evaluation.candidates])


def _listed(names: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last


def summary(evaluation: Evaluation) -> str:
    """What was evaluated, in a sentence."""
    return (
        f"{len(evaluation.samples)} photos ({display(evaluation.photos)}) drawn in {styles_named(evaluation)}, "
        f"against {evaluation.rows[0].reference_count} cartoons ({display(evaluation.cartoons)})"
    )


def notes(evaluation: Evaluation) -> list[str]:
    """What a reader of the table must know: what is missing, by which protocol, on what it ran."""
    made = evaluation.protocol
    weights = f"Inception weights {str(made['weights'])[:8]}"
    if isinstance(digests := made.get("lpips_weights"), list):
        weights += f", LPIPS weights {' and '.join(digest[:8] for digest in digests)}"
    subsets = " or ".join(str(size) for size in sorted({row.figures["kid_subset"] for row in evaluation.rows}))
    lines = list(evaluation.remarks)
    if evaluation.failed:
        lines.append(
            f"{len({path for path, _ in evaluation.failed})} files could not be used; evaluation.json has them"
        )
    lines += [
        "counts: a row's pictures : the cartoons that they are compared with. All rows of photos and styles are of the "
        "same photos. Compare FID where counts are equal, KID anywhere",
        "the rows of cartoons say what a perfect style would get",
        f"protocol: {made['mode']} resize, {weights}, KID over 100 subsets of {subsets}, seed {made['seed']}, "
        f"toonify {made['toonify']}",
    ]
    ran: dict[str | None, list[str]] = {}
    for name, where in [*evaluation.runs_on.items(), *((row.name, row.runs_on) for row in evaluation.candidates)]:
        ran.setdefault(where, []).append(name)
    for where, names in ran.items():
        if where is not None:
            lines.append(f"{_listed(names)} ran on {where}")
    remembered = [name for name, where in evaluation.runs_on.items() if where is None]
    if remembered:
        lines.append(f"what {_listed(remembered)} measured is all from the cache")
    return lines


def markdown(evaluation: Evaluation) -> str:
    """The table and all that a reader must know."""
    shown = columns(evaluation)
    best = {column.title: column.best(evaluation.rows) for column in shown}
    rows = [
        [
            row.name,
            counts(row),
            *(f"**{column.cell(row)}**" if row.name in best[column.title] else column.cell(row) for column in shown),
            failures(row),
        ]
        for row in evaluation.rows
    ]
    lines = ["# Evaluation", "", f"{summary(evaluation)}.", ""]
    lines += markdown_table(["pictures", "counts", *(column.heading for column in shown), "failed"], rows)
    lines += ["", *(f"- **{column.title}**: {column.explanation}." for column in shown)]
    lines += ["", *(f"- {note}." for note in notes(evaluation))]
    return "\n".join(lines) + "\n"


_NUMBERS = [
    *(name for figure in _OF_SETS for name in [figure.name, *[figure.name + SPREAD] * figure.has_spread]),
    "fid_to_photos",
    *CONTENT_METRICS,
]


def _fields(row: Row) -> dict[str, Any]:
    """A row for programs; what was not measured is None."""
    return {
        "name": row.name,
        "kind": row.kind,
        "count": row.count,
        "cartoons": row.reference_count,
        **{name: row.figures.get(name) for name in _NUMBERS},
        "megapixels_per_second": row.megapixels_per_second,
        "failed": row.failed,
        "runs_on": row.runs_on,
    }


def sheet(evaluation: Evaluation) -> str:
    """The table as CSV, with all digits."""
    rows = [_fields(row) for row in evaluation.rows]
    return csv_text([list(rows[0]), *(list(row.values()) for row in rows)])


def record(evaluation: Evaluation, request: dict[str, Any]) -> dict[str, Any]:
    """All of it as plain values for JSON; what was not measured is null."""
    return {
        "toonify": __version__,
        "request": request,
        "protocol": evaluation.protocol,
        "runs_on": evaluation.runs_on,
        "rows": [_fields(row) for row in evaluation.rows],
        "photos": [
            {
                "photo": display(sample.photo.path),
                "pictures": {
                    name: {"picture": display(path), **{key: sample.content[name].get(key) for key in CONTENT_METRICS}}
                    for name, path in sample.pictures.items()
                },
            }
            for sample in evaluation.samples
        ],
        "failed": [{"file": display(path), "reason": reason} for path, reason in evaluation.failed],
        "remarks": list(evaluation.remarks),
    }


def make_request(photos: Path, cartoons: str, styles: Sequence[str], yardstick: Yardstick) -> dict[str, Any]:
    """What an evaluation was asked for: with the same request, it may replace its own files."""
    return {
        "photos": display(photos),
        "cartoons": display(cartoons),
        "styles": [display(style) for style in styles],
        "mode": yardstick.mode,
        "weights": yardstick.network.weights.sha256,
        "lpips": yardstick.lpips is not None,
        "seed": yardstick.seed,
    }


def check_output(folder: Path, cartoons: PictureSet, request: dict[str, Any], *, overwrite: bool) -> None:
    """Raise UsageError unless the evaluation `request` can be written to `folder`.

    What is drawn may not lie among the cartoons, or the next run would take it for some. What is there is replaced if
    it is the same evaluation from another day, or if `overwrite` asks for it.
    """
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"--output {display(folder)} is a file; give a folder")
    drawn, named = (folder / PICTURES).resolve(), Path(cartoons.name).resolve()
    if named in drawn.parents or any(drawn in found.path.resolve().parents for found in cartoons.pictures):
        raise UsageError(f"--output {display(folder)} lies among the cartoons; give another folder")
    there = [folder / name for name in (RECORD, TABLE, SHEET, PAGE) if (folder / name).exists()]
    if not there or overwrite or _request_of(folder / RECORD) == request:
        return
    what = "holds another evaluation" if _request_of(folder / RECORD) else f"holds {there[0].name} already"
    raise UsageError(f"--output {display(folder)} {what}; give another folder, or --overwrite")


def _request_of(path: Path) -> dict[str, Any] | None:
    """What the evaluation in a file was asked for; None if there is none."""
    try:
        found = json.loads(path.read_bytes())
        return dict(found["request"]) if {"toonify", "rows"} <= found.keys() else None
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def write_evaluation(folder: Path, evaluation: Evaluation, request: dict[str, Any], page: str) -> Path:
    """Write all forms of the evaluation, and return the page's path. Raises ToonifyError if they cannot be written.

    The record goes first, for by it the next run knows the others as its own.
    """
    texts = {
        RECORD: json.dumps(record(evaluation, request), indent=1, ensure_ascii=False) + "\n",
        TABLE: markdown(evaluation),
        SHEET: sheet(evaluation),
        PAGE: page,
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            write_atomically(folder / name, text.encode(), overwrite=True)
    except OSError as error:
        raise ToonifyError(f"--output {display(folder)} cannot be written: {describe(error)}") from error
    return folder / PAGE
