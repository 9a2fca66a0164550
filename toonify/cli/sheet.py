"""`toonify sheet`: photos in every style and look, in one picture, to choose from."""

import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from toonify.cli.options import DRAWING, OUTPUT, DeviceOption, MaxMegapixelsOption, QuietOption, VariantOption
from toonify.styles.look import FacesMode, LookName

if TYPE_CHECKING:
    from toonify.jobs.find import Found
    from toonify.jobs.outcome import Outcome


def sheet(
    context: typer.Context,
    photos: Annotated[
        list[Path], typer.Argument(metavar="PHOTO...", help="Photos, or folders of photos: 12 of them at most.")
    ],
    styles: Annotated[
        str | None,
        typer.Option(
            metavar="A,B,...",
            help="Names from `toonify styles`, or paths. Default: all that come with it.",
            rich_help_panel=DRAWING,
        ),
    ] = None,
    looks: Annotated[
        str, typer.Option(metavar="A,B,...", help=f"Some of {', '.join(get_args(LookName))}.", rich_help_panel=DRAWING)
    ] = "drawn,bold",
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Default: PHOTO_sheet.png, beside the first photo.",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    size: Annotated[
        int,
        typer.Option(
            min=64,
            max=2048,
            metavar="N",
            help="Long side of each drawing on the sheet, in pixels.",
            rich_help_panel=DRAWING,
        ),
    ] = 512,
    variant: VariantOption = "auto",
    faces: Annotated[
        FacesMode,
        typer.Option(
            help="auto: find faces, keep their skin clean, and draw far ones larger.", rich_help_panel=DRAWING
        ),
    ] = "auto",
    device: DeviceOption = "auto",
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a file that is there already.", rich_help_panel=OUTPUT)
    ] = False,
    max_megapixels: MaxMegapixelsOption = 250,
    quiet: QuietOption = False,
) -> int:
    """Draw photos in every style and several looks, as one picture with their names, to choose from.

    Of one photo the drawings of each style stand beside each other; of several, each photo has a row. Photos are never
    changed, and nothing is overwritten unless --overwrite is given.

    Exit codes: 0 all good; 1 some photos failed; 2 the command line cannot be right; 3 a style cannot be had, or
    nothing can be written; 130 interrupted.
    """
    from toonify.cli.progress import beside
    from toonify.convert.sheet import MAX_PHOTOS, Watch, draw_sheet, encode_sheet
    from toonify.drawing import Loader, choose_combinations
    from toonify.engines.engine import ran_on
    from toonify.errors import display
    from toonify.jobs.find import find_photos, in_words
    from toonify.jobs.outcome import make_writable
    from toonify.jobs.plan import check_output_file
    from toonify.styles.find import shipped_styles
    from toonify.system.files import write_atomically

    failed = missing = 0
    debug = bool(context.find_root().params["debug"])

    def tell(line: str) -> None:
        if not quiet:
            print(line, file=sys.stderr)

    def on_failed(outcome: "Outcome") -> None:
        nonlocal failed
        failed += 1
        print(f"failed: {display(outcome.source)}: {outcome.reason}", file=sys.stderr)
        if debug and outcome.error is not None:
            traceback.print_exception(outcome.error, file=sys.stderr)

    def on_missing(label: str, problem: str) -> None:
        nonlocal missing
        missing += 1
        print(f"not drawn: {label}: {problem}", file=sys.stderr)

    watch = Watch(
        on_load=lambda style: tell(f"{style.plan.style.label} on {ran_on(style.engine)}"),
        on_drawn=lambda photo, label, seconds: tell(f"drawn: {display(photo)} in {label} ({seconds:.1f} s)"),
        on_failed=on_failed,
        on_missing=on_missing,
    )
    names = list(shipped_styles()) if styles is None else _listed("--styles", styles)
    combinations = choose_combinations(names, _listed("--looks", looks), variant=variant, faces=faces)
    found = find_photos(photos)
    if others := in_words(found.others):
        tell(f"{len(found)} photos{beside(others)}")
    target = _default_target(found[0]) if output is None else output
    format_ = check_output_file(target, [photo.path for photo in found], overwrite=overwrite)
    make_writable(target.parent)
    if len(found) > MAX_PHOTOS:
        tell(f"{MAX_PHOTOS} of {len(found)} photos: {', '.join(display(each.path) for each in found[:MAX_PHOTOS])}")
    pixels = draw_sheet(
        found[:MAX_PHOTOS], combinations, Loader(device=device), watch, cell=size, max_pixels=int(max_megapixels * 1e6)
    )
    if pixels is not None:
        write_atomically(target, encode_sheet(pixels, format_), overwrite=overwrite)
        if not quiet:
            print(display(target))
    return 3 if missing else 1 if failed else 0


def _listed(flag: str, text: str) -> list[str]:
    """What is listed between commas. Raises UsageError if it is nothing, or nothing between two of them."""
    from toonify.errors import UsageError

    words = [word.strip() for word in text.split(",")]
    if not all(words):
        raise UsageError(f"{flag} {text}: give names with a comma between them, such as a,b")
    return words


def _default_target(first: "Found") -> Path:
    """`cat_sheet.png` beside `cat.jpg`, `photos_sheet.png` beside the folder `photos`."""
    from toonify.jobs.plan import default_output

    if first.root is None:
        return first.path.with_name(f"{first.path.stem}_sheet.png")
    folder = default_output(first.root, "sheet")
    return folder.with_name(f"{folder.name}.png")
