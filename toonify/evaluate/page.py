"""The page of an evaluation: the table, and photos side by side in every style, in one file that asks nobody."""

import html
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from string import Template

from toonify.errors import ImageError, ToonifyError, display
from toonify.evaluate.contents import Content, Sample
from toonify.evaluate.evaluation import Evaluation
from toonify.evaluate.report import Column, columns, counts, failures, notes, styles_named, summary
from toonify.images import Photo
from toonify.metrics.table import FIGURES
from toonify.pages.base import render
from toonify.pages.embed import data_uri, page_jpeg, read_picture
from toonify.pixels.resize import fit_long_side
from toonify.system.cores import available_cores
from toonify.version import __version__

_FOLDER = Path(__file__).parent
_LONG_SIDE = 960  # of pictures in the page: smaller ones leave nothing of lines in the large view
_QUALITY = 85
_DIRECTIONS = {"lower": "lower is better", "higher": "higher is better"}


def shown(samples: Sequence[Sample], count: int) -> list[Sample]:
    """At most `count` of the samples, evenly spread from the first to the last."""
    if len(samples) <= count:
        return list(samples)
    if count == 1:
        return [samples[0]]
    return [samples[round(i * (len(samples) - 1) / (count - 1))] for i in range(count)]


def render_page(evaluation: Evaluation, *, show: int, on_photo: Callable[[int], None] = lambda count: None) -> str:
    """The page, with `show` of the photos in it.

    Raises ToonifyError if a picture that was measured cannot be read any more.
    """
    samples = shown(evaluation.samples, show)
    plates = []
    with ThreadPoolExecutor(available_cores()) as pool:
        for plate in pool.map(_plate, samples):
            plates.append(plate)
            on_photo(1)
    parts = {name: (_FOLDER / name).read_text(encoding="utf-8") for name in ("page.html", "page.css", "page.js")}
    many, few = len(evaluation.samples), len(samples)
    title = f"Evaluation of {styles_named(evaluation)}"
    body = Template(parts["page.html"]).substitute(
        version=html.escape(__version__),
        title=html.escape(title),
        summary=html.escape(summary(evaluation)),
        table=_table(evaluation),
        explanations="\n".join(
            f"<dt>{html.escape(column.title)}</dt><dd>{html.escape(column.explanation)}.</dd>"
            for column in columns(evaluation)
        ),
        notes="\n".join(f"<li>{html.escape(note)}.</li>" for note in notes(evaluation)),
        extent=f"All {many} photos." if few == many else f"{few} of the {many} photos, evenly spread over the set.",
        columns=len(evaluation.candidates) + 1,
        plates="\n".join(plates),
    )
    return render(title, body, style=parts["page.css"], script=parts["page.js"])


def _table(evaluation: Evaluation) -> str:
    figures = columns(evaluation)
    best = {column.title: column.best(evaluation.rows) for column in figures}
    lines = ['<thead><tr><th scope="col">pictures</th><th scope="col">counts</th>', *map(_heading, figures)]
    lines += ['<th scope="col">failed</th></tr></thead>', "<tbody>"]
    for row in evaluation.rows:
        lines.append(f'<tr class="{row.kind}"><th scope="row">{html.escape(row.name)}</th><td>{counts(row)}</td>')
        for column in figures:
            cell = html.escape(column.cell(row)) or '<span class="unseen">none</span>'
            is_best = row.name in best[column.title]
            lines.append(f'<td><b>{cell}</b><span class="unseen"> best</span></td>' if is_best else f"<td>{cell}</td>")
        lines.append(f"<td>{failures(row)}</td></tr>")
    return "\n".join([*lines, "</tbody>"])


def _heading(column: Column) -> str:
    arrow = column.heading.removeprefix(column.title).strip()
    words = "" if column.better is None else f'<span class="unseen">, {_DIRECTIONS[column.better]}</span>'
    pointer = f'<span class="arrow" aria-hidden="true">&nbsp;{arrow}</span>' if arrow else ""
    return f'<th scope="col">{html.escape(column.title)}{pointer}{words}</th>'


def _plate(sample: Sample) -> str:
    """A photo and its pictures, side by side."""
    photo = _read(sample.photo.path)
    name = html.escape(sample.name)
    lines = [f'<article class="plate" data-name="{name}">', f"<h3>{name}</h3>", '<div class="row">']
    lines.append(_figure(photo, photo, "photo", f"{name}: the photo", ""))
    for style, path in sample.pictures.items():
        figures = _figures(sample.content[style])
        lines.append(_figure(_read(path), photo, html.escape(style), f"{name} in {html.escape(style)}", figures))
    return "\n".join([*lines, "</div>", "</article>"])


def _figure(picture: Photo, photo: Photo, style: str, label: str, figures: str) -> str:
    jpeg = page_jpeg(picture, long_side=_LONG_SIDE, quality=_QUALITY, shape=photo.pixels.shape)
    height, width = photo.pixels.shape[:2]
    height, width = fit_long_side(height, width, min(_LONG_SIDE, max(height, width)))
    image = f'<img src="{data_uri(jpeg)}" width="{width}" height="{height}" alt="{label}">'
    button = f'<button type="button" data-style="{style}" data-figures="{figures}">{image}</button>'
    return f"<figure>{button}<figcaption>{style}</figcaption></figure>"


def _figures(content: Content) -> str:
    return ", ".join(f"{FIGURES[name].title} {value:.2f}" for name, value in content.items())


def _read(path: Path) -> Photo:
    try:
        return read_picture(path)
    except ImageError as error:
        raise ToonifyError(f"{display(path)} has changed meanwhile: {error}") from error
