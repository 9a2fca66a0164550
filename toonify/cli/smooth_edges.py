"""`toonify smooth-edges`: cartoons to the edge-smoothed set that CartoonGAN trains against."""

from pathlib import Path
from typing import Annotated

import typer

from toonify.cli.options import OUTPUT, PICTURES, MaxMegapixelsOption, QuietOption, WorkersOption, no_stream


def smooth_edges(
    context: typer.Context,
    cartoons: Annotated[Path, typer.Argument(metavar="IN", help="A folder of cartoons, or one.")],
    output: Annotated[
        Path,
        typer.Argument(
            metavar="OUT",
            help="The folder for the smoothed ones.",
            callback=no_stream,
        ),
    ],
    kernel: Annotated[
        int,
        typer.Option(metavar="N", help="Pixels by which edges are widened and blurred; odd.", rich_help_panel="Edges"),
    ] = 5,
    canny: Annotated[
        str, typer.Option(metavar="LOW,HIGH", help="Canny's thresholds.", rich_help_panel="Edges")
    ] = "100,200",
    size: Annotated[
        str,
        typer.Option(
            metavar="N|full",
            help="Side of the square in the middle; full: the whole cartoon as it is.",
            rich_help_panel=PICTURES,
        ),
    ] = "256",
    workers: WorkersOption = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace pictures that are there already.", rich_help_panel=OUTPUT)
    ] = False,
    max_megapixels: MaxMegapixelsOption = 250,
    quiet: QuietOption = False,
) -> int:
    """Blur cartoons along their edges, and only there: CartoonGAN's third training set, as PNG.

    Canny edges of the gray picture, widened; inside them the pixels of a Gaussian blur. Each cartoon is brought to
    training size first, because what is an edge depends on the size. A picture that was made from the same cartoon in
    the same way is skipped.

    Exit codes: 0 all good; 1 some files failed; 2 the command line cannot be right; 3 it had to end (full disk); 130
    interrupted.
    """
    from toonify.cli.progress import Progress
    from toonify.jobs.find import find_photos, in_words
    from toonify.jobs.plan import check_output_folder, plan_jobs
    from toonify.pixels.edges import check_settings
    from toonify.prepare.smooth_edges import SmoothOptions, smooth
    from toonify.system.cores import available_cores

    options = SmoothOptions(kernel, _canny(canny), _size(size), overwrite, int(max_megapixels * 1e6))
    check_settings(options.kernel, options.canny)
    check_output_folder(output, [cartoons])
    found = find_photos([cartoons], leave_out=output, drawings=True)
    jobs = plan_jobs(found, output=output, style="smooth", format="png")
    debug = bool(context.find_root().params["debug"])
    with Progress(len(jobs), quiet=quiet, debug=debug, done="smoothed") as progress:
        outcomes = progress.follow(smooth(jobs, options, workers=workers or available_cores()))
    progress.summarize(outcomes, in_words(found.others))
    return progress.exit_code()


def _canny(text: str) -> tuple[int, int]:
    from toonify.errors import UsageError

    words = [word.strip() for word in text.split(",")]
    if len(words) != 2 or not all(word.isdecimal() for word in words):
        raise UsageError(f"--canny {text}: give two whole numbers LOW,HIGH, such as 100,200")
    return int(words[0]), int(words[1])


def _size(text: str) -> int | None:
    from toonify.errors import UsageError

    if text == "full":
        return None
    if not (text.isdecimal() and 16 <= int(text) <= 8192):
        raise UsageError(f"--size {text}: give a side of 16 to 8192 pixels, or full")
    return int(text)
