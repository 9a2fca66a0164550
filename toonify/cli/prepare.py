"""`toonify prepare`: pictures and videos as they come to the folder that `toonify train` takes."""

import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from toonify.cli.options import OUTPUT, PICTURES, MaxMegapixelsOption, QuietOption, WorkersOption, no_stream
from toonify.cli.progress import beside, count_bar

if TYPE_CHECKING:
    from toonify.prepare.manifest import Source


def prepare(
    context: typer.Context,
    kind: Annotated[
        Literal["photos", "cartoons"], typer.Argument(metavar="photos|cartoons", help="What the pictures are.")
    ],
    inputs: Annotated[list[Path], typer.Argument(metavar="IN...", help="Folders, pictures and videos, in any mix.")],
    output: Annotated[
        Path,
        typer.Argument(
            metavar="OUT",
            help="The folder for the crops and manifest.json.",
            callback=no_stream,
        ),
    ],
    size: Annotated[
        int, typer.Option(min=16, max=4096, metavar="N", help="Side of the crops, in pixels.", rich_help_panel="Crops")
    ] = 256,
    crop: Annotated[
        str,
        typer.Option(
            metavar="center|random:N",
            help="The square in the middle, or N of each picture anywhere.",
            rich_help_panel="Crops",
        ),
    ] = "center",
    min_size: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="Leave out pictures with a shorter side of less. Default: --size.",
            rich_help_panel=PICTURES,
        ),
    ] = None,
    every: Annotated[
        float | None,
        typer.Option(
            min=0.01,
            metavar="SECONDS",
            help="Frames of a video: one every so often, not one of each shot.",
            rich_help_panel=PICTURES,
        ),
    ] = None,
    hash_distance: Annotated[
        int,
        typer.Option(
            min=0,
            max=16,
            metavar="BITS",
            help="How far near-duplicates differ, of 64 bits; 0: hardly.",
            rich_help_panel=PICTURES,
        ),
    ] = 6,
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Of the random crops.", rich_help_panel="Crops")] = 0,
    workers: WorkersOption = None,
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite", help="Replace what prepare has made in OUT with other options.", rich_help_panel=OUTPUT
        ),
    ] = False,
    max_megapixels: MaxMegapixelsOption = 250,
    quiet: QuietOption = False,
) -> int:
    """Make a training set: crops of one size; what is small, doubled, empty or broken is left out and counted.

    Of videos one frame of each shot is taken, without black bars; black frames and credits are left out. OUT gets a
    manifest.json that tells where each square comes from, and what was left out. A second run does only what is new.

    Exit codes: 0 all good; 1 some files failed, or nothing is left; 2 the command line cannot be right; 3 OUT cannot be
    written; 130 interrupted.
    """
    from toonify.errors import display
    from toonify.images import FORMAT_OF_SUFFIX, VIDEO_SUFFIXES
    from toonify.jobs.find import find_photos, in_words
    from toonify.jobs.plan import check_output_folder
    from toonify.prepare.manifest import Options, summary
    from toonify.prepare.survey import survey
    from toonify.prepare.workspace import open_workspace
    from toonify.system.cores import available_cores
    from toonify.system.locks import only_process

    options = Options(kind, size, _crops(crop), min_size or size, every, hash_distance, seed)
    check_output_folder(output, inputs)
    suffixes = VIDEO_SUFFIXES | FORMAT_OF_SUFFIX.keys()
    found = find_photos(inputs, leave_out=output, drawings=True, suffixes=suffixes)
    busy = f"OUT {display(output)} is being prepared by another process; wait for its end"
    context.with_resource(only_process(output, busy))
    workspace = open_workspace(output, options, overwrite=overwrite)
    known = failed = done = 0
    debug = bool(context.find_root().params["debug"])
    try:
        with count_bar(f"{display(output)}: ", len(found), quiet=quiet) as advance:
            for surveyed in survey(
                found,
                workspace,
                workers=workers or available_cores(),
                max_pixels=int(max_megapixels * 1e6),
                on_progress=advance,
            ):
                done += 1
                known += surveyed.was_known
                failed += surveyed.source.problem is not None
                _tell(surveyed.source, quiet=quiet)
                if debug and surveyed.error is not None:
                    traceback.print_exception(surveyed.error, file=sys.stderr)
    except KeyboardInterrupt:
        print(
            f"interrupted with {len(found) - done} to go; the same command goes on from here",
            file=sys.stderr,
        )
        return 130
    manifest = workspace.finish()
    if not quiet:
        before = f" ({known} looked at before)" if known else ""
        print(f"{summary(manifest)}{before}{beside(in_words(found.others))}", file=sys.stderr)
    if not manifest.files:
        print(f"error: nothing is left for {display(output)}; manifest.json there tells why", file=sys.stderr)
        return 1
    return 1 if failed else 0


def _crops(text: str) -> int:
    """The number of random crops; 0 is the one in the middle."""
    from toonify.errors import UsageError

    if text == "center":
        return 0
    kind, _, number = text.partition(":")
    if kind != "random" or not (number.isdecimal() and 1 <= int(number) <= 100):
        raise UsageError(f"--crop {text}: give center, or random:N with N from 1 to 100, such as random:4")
    return int(number)


def _tell(source: "Source", *, quiet: bool) -> None:
    if source.problem is not None:
        print(f"failed: {source.path}: {source.problem}", file=sys.stderr)
    if source.is_video and not source.is_broken and not quiet:
        bars = ""
        if source.inside_bars is not None:
            left, top, right, bottom = source.inside_bars
            bars = f", cut to {right - left} x {bottom - top} inside its bars"
        notes = "".join(f"; {note}" for note in source.notes)
        print(f"{source.path}: {len(source.pictures)} frames{bars}{notes}", file=sys.stderr)
    elif source.notes and not quiet:
        print(f"{source.path}: {'; '.join(source.notes)}", file=sys.stderr)
