"""`toonify evaluate`: a study's table for several styles, and a page that shows them side by side."""

import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from toonify.cli.options import (
    MEASURING,
    OUTPUT,
    PICTURES,
    CacheOption,
    DeviceOption,
    ModeOption,
    QuietOption,
    WeightsOption,
    no_stream,
)
from toonify.cli.progress import beside, count_bar

if TYPE_CHECKING:
    from toonify.evaluate.evaluation import Evaluation


def evaluate(
    styles: Annotated[
        list[str],
        typer.Argument(metavar="STYLE...", help="Styles and runs as for convert, or folders of finished pictures."),
    ],
    photos: Annotated[
        Path, typer.Option("--photos", help="Photos to draw and measure: a folder.", rich_help_panel=PICTURES)
    ],
    cartoons: Annotated[
        str,
        typer.Option(
            "--cartoons",
            metavar="PATH",
            help="What they should look like: a folder, a glob or a list (.txt).",
            rich_help_panel=PICTURES,
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            help="Folder for the table, the page and the pictures.",
            callback=no_stream,
            rich_help_panel=OUTPUT,
        ),
    ] = Path("evaluation"),
    show: Annotated[
        int, typer.Option(min=1, max=1000, help="Photos on the page, spread over the set.", rich_help_panel=OUTPUT)
    ] = 12,
    lpips: Annotated[
        bool,
        typer.Option(
            "--lpips", help="Measure LPIPS too, which fetches VGG-16 (553 MB) once.", rich_help_panel=MEASURING
        ),
    ] = False,
    lpips_weights: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help="VGG-16, and LPIPS' heads: give it for each. Default: the published files.",
            rich_help_panel=MEASURING,
        ),
    ] = None,
    mode: ModeOption = "legacy",
    weights: WeightsOption = None,
    seed: Annotated[
        int,
        typer.Option(
            min=0, max=2**32 - 1, help="For KID's subsets and the cartoons' halves.", rich_help_panel=MEASURING
        ),
    ] = 2020,
    cache: CacheOption = True,
    device: DeviceOption = "auto",
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace another evaluation that is in OUTPUT.", rich_help_panel=OUTPUT)
    ] = False,
    quiet: QuietOption = False,
) -> int:
    """Draw photos in several styles and measure them: FID and KID to cartoons, what is left of the photos, and speed.

    Prints the table and writes it as Markdown, CSV and JSON, with a web page (index.html) on which the same photos
    stand side by side in every style. Rows for the untouched photos, and for cartoons against cartoons, anchor the
    scale. Only photos that every style has a picture of count. What an earlier run has drawn is used again. Exit code 1
    if files could not be read or drawn.
    """
    from toonify.errors import UsageError, display
    from toonify.evaluate.candidates import find_candidates
    from toonify.evaluate.evaluation import Yardstick
    from toonify.evaluate.evaluation import evaluate as run
    from toonify.evaluate.page import render_page, shown
    from toonify.evaluate.report import PICTURES, check_output, make_request, write_evaluation
    from toonify.jobs.find import find_photos, in_words
    from toonify.metrics.features import open_cache
    from toonify.metrics.inception import Inception, find_weights
    from toonify.metrics.lpips import Lpips, find_lpips_weights
    from toonify.metrics.sets import PictureSet, find_set

    if lpips_weights and not lpips:
        raise UsageError("--lpips-weights is for LPIPS; add --lpips, or drop it")
    drawn = output / PICTURES
    walked = find_photos([photos], leave_out=drawn)
    found = PictureSet(str(photos), tuple(walked), others=in_words(walked.others))
    if len(found.pictures) < 2:
        raise UsageError(f"--photos {display(photos)} is one photo, and distances are between sets; give a folder")
    reference = find_set(cartoons)
    if reference.statistics is not None:
        raise UsageError(f"--cartoons {display(cartoons)} holds statistics, which serve FID alone; give the pictures")
    candidates = find_candidates(styles)
    network = Inception(find_weights(weights), device=device)
    network.prepare()  # in this thread, which hears Ctrl-C
    distance = None
    if lpips:
        distance = Lpips(find_lpips_weights(lpips_weights or []), device=device)

    def bar(title: str, total: int) -> contextlib.AbstractContextManager[Callable[[int], None]]:
        return _bar(title, total, quiet=quiet)

    with open_cache(network, mode) if cache else contextlib.nullcontext() as features:
        yardstick = Yardstick(network, mode, features, distance, seed)
        request = make_request(photos, cartoons, styles, yardstick)
        check_output(output, reference, request, overwrite=overwrite)
        evaluation = run(
            found,
            reference,
            candidates,
            drawn,
            yardstick,
            device=device,
            bar=bar,
        )
    with bar("putting the page together", len(shown(evaluation.samples, show))) as advance:
        page = render_page(evaluation, show=show, on_photo=advance)
    path = write_evaluation(output, evaluation, request, page)
    _print_table(evaluation)
    for file, reason in evaluation.failed:
        print(f"failed: {display(file)}: {reason}", file=sys.stderr)
    if not quiet:
        for each in (found, reference):
            if each.others:
                print(f"{display(each.name)}: {len(each.pictures)} pictures{beside(each.others)}", file=sys.stderr)
        print(f"page: {display(path)}, {path.stat().st_size / 1e6:.1f} MB", file=sys.stderr)
    return 1 if evaluation.failed else 0


@contextlib.contextmanager
def _bar(title: str, total: int, *, quiet: bool) -> Iterator[Callable[[int], None]]:
    """A bar on a terminal; elsewhere a line, as the whole takes minutes."""
    from toonify.errors import display

    if not quiet and not sys.stderr.isatty():
        print(f"{display(title)}: {total} pictures", file=sys.stderr)
    with count_bar(title, total, quiet=quiet) as advance:
        yield advance


def _print_table(evaluation: "Evaluation") -> None:
    from rich.table import Table
    from rich.text import Text

    from toonify.cli.console import Console
    from toonify.evaluate.report import columns, counts, failures, notes, summary

    figures = columns(evaluation)
    table = Table("pictures", box=None, pad_edge=False)
    for heading in ("counts", *(column.heading for column in figures), "failed"):
        table.add_column(heading, justify="right")
    best = {column.title: column.best(evaluation.rows) for column in figures}
    for row in evaluation.rows:
        cells = [Text(column.cell(row), "bold" if row.name in best[column.title] else "") for column in figures]
        table.add_row(Text(row.name), counts(row), *cells, failures(row))
    print(f"{summary(evaluation)}\n")
    Console(width=None if sys.stdout.isatty() else 200, highlight=False).print(table)
    print()
    for note in notes(evaluation):
        print(f"note: {note}")
