"""`toonify convert`: photos to pictures, with a progress bar, a summary and an honest exit code."""

import functools
import os
import sys
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from toonify.cli.options import (
    DeviceOption,
    MaxMegapixelsOption,
    QuietOption,
    VariantOption,
)
from toonify.engines.engine import Backend, Precision
from toonify.images.formats import FORMATS, FormatOption
from toonify.styles.look import FacesMode

if TYPE_CHECKING:
    from toonify.convert.batches import Batch
    from toonify.convert.local import SaveOptions
    from toonify.drawing import Combination, Style
    from toonify.drawing.drawer import Tile
    from toonify.jobs.outcome import Outcome


_QUALITIES = ", ".join(f"{each.quality} for {name}" for name, each in FORMATS.items() if each.quality is not None)


def convert(
    context: typer.Context,
    inputs: Annotated[
        list[Path],
        typer.Argument(
            metavar="INPUT...", help="Photos and folders of photos, in any mix; - reads stdin and writes stdout."
        ),
    ],
    style: Annotated[
        list[str],
        typer.Option(
            "--style",
            "-s",
            help="A name from `toonify styles`; or a card, an ONNX file, a run. Several: a picture in each.",
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Folder for the pictures, or a file for one. Default: beside the input."),
    ] = None,
    variant: VariantOption = "auto",
    recursive: Annotated[bool, typer.Option(help="Look for photos in subfolders too.")] = True,
    format: Annotated[  # noqa: A002
        FormatOption,
        typer.Option(help="File format; same keeps the photo's (HEIC to jpg, BMP and GIF to png)."),
    ] = "same",
    quality: Annotated[
        int | None, typer.Option(min=1, max=100, help=f"Default: {_QUALITIES}; the others are lossless.")
    ] = None,
    strip_metadata: Annotated[
        bool, typer.Option("--strip-metadata", help="Leave out the photo's EXIF, XMP and IPTC.")
    ] = False,
    before_after: Annotated[
        bool, typer.Option("--before-after", help="The photo and its drawing side by side, in one picture.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace pictures that are there already.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would happen, and do nothing.")] = False,
    report: Annotated[
        Path | None, typer.Option(metavar="FILE.json", help="Write what happened to each file as JSON.")
    ] = None,
    look: Annotated[
        list[str] | None,
        typer.Option(
            metavar="soft|drawn|bold",
            help="How far from a photo. Several: a picture in each. Default: drawn, where a style has its own look.",
        ),
    ] = None,
    lines: Annotated[
        float | None, typer.Option(metavar="0..1", help="Strength of the contours. Default: the look's.")
    ] = None,
    flat: Annotated[
        float | None, typer.Option(metavar="0..1", help="How flat surfaces are. Default: the look's.")
    ] = None,
    faces: Annotated[
        FacesMode, typer.Option(help="auto: find faces, keep their skin clean, and draw far ones larger.")
    ] = "auto",
    size: Annotated[
        str | None,
        typer.Option(metavar="N|full", help="Long side in pixels at which the style is drawn. Default: the style's."),
    ] = None,
    output_size: Annotated[
        str, typer.Option(metavar="same|drawn|N", help="Size of the result: the photo's, as drawn, or a long side.")
    ] = "same",
    keep_color: Annotated[
        float | None, typer.Option(metavar="0..1", help="How far the photo's colours are kept. Default: the style's.")
    ] = None,
    saturation: Annotated[
        float | None, typer.Option(metavar="0..4", help="Factor on the colours' strength. Default: the style's.")
    ] = None,
    strength: Annotated[
        float, typer.Option(metavar="0..2", help="0 is the photo, 1 the drawing, 2 twice as far from the photo.")
    ] = 1.0,
    detail: Annotated[
        float,
        typer.Option(metavar="0..1", help="How much of the photo's fine texture comes back where drawn smaller."),
    ] = 0.0,
    raw: Annotated[
        bool, typer.Option("--raw", help="The network's own output, as published: full size, colours untouched.")
    ] = False,
    tile: Annotated[
        str, typer.Option(metavar="auto|off|N", help="Draw in tiles of N pixels; auto: if memory asks for it.")
    ] = "auto",
    shard: Annotated[
        str | None, typer.Option(metavar="I/N", help="Do part I of N: the same command with 1/N to N/N does all.")
    ] = None,
    ray: Annotated[
        str | None,
        typer.Option(metavar="local|auto|HOST:PORT", help="Draw on a Ray cluster: one started here, a running one."),
    ] = None,
    device: DeviceOption = "auto",
    backend: Annotated[Backend, typer.Option(help="What runs the network.")] = "onnx",
    precision: Annotated[
        Precision, typer.Option(help="Of the network on CUDA; auto: fp16 where it cannot be told from fp32.")
    ] = "auto",
    max_megapixels: MaxMegapixelsOption = 250,
    quiet: QuietOption = False,
) -> int:
    """Turn photos into pictures: files and folders in, the same tree of drawings out.

    With several styles or looks every photo is drawn in each: photos_STYLE-LOOK/, or a folder STYLE-LOOK in --output.

    Photos are never changed, and nothing is overwritten unless --overwrite is given. A picture that was made from the
    same photo in the same way is skipped, so that an interrupted run goes on where it stopped.

    Exit codes: 0 all good; 1 some files failed; 2 the command line cannot be right; 3 toonify could not start on the
    work (style, device, network) or had to end (full disk); 130 interrupted.
    """
    # Read when NumPy is loaded. Pictures are finished beside a network that uses all cores: threads of OpenBLAS would
    # wait for each other there, and a folder of 12-megapixel photos would take 1.6 times as long.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from toonify.convert.batches import Batch, plan_batches
    from toonify.convert.local import SaveOptions
    from toonify.convert.local import convert as draw_jobs
    from toonify.convert.report import check_report
    from toonify.drawing import Loader, choose_combinations
    from toonify.drawing.drawer import check_tile
    from toonify.engines.engine import ran_on
    from toonify.errors import UsageError
    from toonify.jobs.find import find_photos, in_words
    from toonify.jobs.shards import check_shardable, parse_shard, take_shard

    if quality is not None and format != "same" and FORMATS[format].quality is None:
        *others, last = (name for name, each in FORMATS.items() if each.quality is not None)
        lossy = f"{', '.join(others)} and {last}"
        raise UsageError(f"--quality is for {lossy}; {format} loses nothing, so drop one of the two flags")
    if report is not None and dry_run:
        raise UsageError("--dry-run does nothing that --report could tell; drop one of them")
    if report is not None:
        check_report(report)
    sides: Tile = _pixels("--tile", tile, "auto", "off", example=512)
    check_tile(sides)  # before a plan is made or a network fetched

    def tell(line: str) -> None:
        if not quiet:
            print(line, file=sys.stderr)

    save = SaveOptions(quality, strip_metadata, overwrite, before_after, int(max_megapixels * 1e6))
    combinations = choose_combinations(
        style,
        look or [],
        variant=variant,
        lines=lines,
        flat=flat,
        faces=faces,
        size=None if size is None else _pixels("--size", size, "full", example=1024),
        output_size=_pixels("--output-size", output_size, "same", "drawn", example=2048),
        keep_color=keep_color,
        saturation=saturation,
        strength=strength,
        detail=detail,
        raw=raw,
    )
    if variant == "auto":
        _tell_of_others(combinations, tell)
    part = None if shard is None else parse_shard(shard)
    runs_on: dict[str, Any] = {
        "device": device,
        "backend": backend,
        "precision": precision,
        "tile": sides,
    }
    load = Loader(**runs_on)
    if Path("-") in inputs:
        about_files = bool(output or report or dry_run or overwrite or shard or ray)
        _check_streaming(inputs, about_files=about_files, pictures=len(combinations))
        loaded = load(combinations[0].plan)
        tell(str(loaded))
        return _convert_stream(loaded, save, format, quiet=quiet)
    found = find_photos(inputs, recursive=recursive, leave_out=output)
    not_read = in_words(found.others)
    batches = plan_batches(found, combinations, inputs=inputs, output=output, format=format)
    if part is not None:
        for batch in batches:
            check_shardable(batch.jobs, inputs, output=output)
            batch.jobs = take_shard(batch.jobs, part)
        tell(f"shard {part}: {len(batches[0].jobs)} of {len(found)} photos")
    if dry_run:
        _warn(batches)
        return _print_plan(batches, save, not_read)
    debug = bool(context.find_root().params["debug"])
    finish = functools.partial(_convert_files, batches, not_read=not_read, report=report, quiet=quiet, debug=debug)
    if not batches[0].jobs:  # a shard may be empty
        return finish(_open_nothing)
    several = len(batches) > 1

    def say(batch: Batch, line: str) -> None:
        tell(f"{batch.combination.label}: {line}" if several else line)

    if ray is not None:
        from toonify.convert.cluster import ClusterRun, connected

        _warn(batches)

        def open_on_cluster(batch: Batch) -> "Generator[Outcome]":
            run = ClusterRun(batch.jobs, batch.plan, save, **runs_on, tell=tell)
            batch.ran_on = run.ran_on
            say(batch, f"{batch.plan} on Ray, {run.workers} worker{'s' if run.workers > 1 else ''}")
            return run.outcomes()

        with connected(ray, hush=not debug):
            return finish(open_on_cluster)

    def open_here(batch: Batch) -> "Generator[Outcome]":
        loaded = load(batch.plan)
        batch.plan, batch.ran_on = loaded.plan, [ran_on(loaded.engine)]
        say(batch, str(loaded))
        return draw_jobs(batch.jobs, loaded, save)

    return finish(open_here)


def _tell_of_others(combinations: "Sequence[Combination]", tell: Callable[[str], None]) -> None:
    """Say which styles are drawn by another variant than the one that they prefer."""
    lines = []
    for style in (each.plan.style for each in combinations):
        preferred = next(iter(style.card.variants))
        if style.name != preferred:
            name = f"{style.card.id} ({preferred})"
            lines.append(f"{name} is not here and cannot be fetched now, so {style.label} draws")
    for line in dict.fromkeys(lines):  # once for all looks
        tell(line)


def _warn(batches: "list[Batch]") -> None:
    """Log the warnings of what is planned, each once; where a style is loaded, that does so."""
    for plan in {batch.plan.warning: batch.plan for batch in batches}.values():
        plan.warn()


def _open_nothing(batch: "Batch") -> "Generator[Outcome]":
    yield from ()


def _pixels(flag: str, text: str, *words: str, example: int) -> Any:
    """A number of pixels, or one of the words. Raises UsageError for anything else."""
    from toonify.errors import UsageError

    if text in words:
        return text
    if not text.isdecimal():
        raise UsageError(f"{flag} {text}: give a number of pixels, such as {example}, or {', or '.join(words)}")
    return int(text)


def _check_streaming(inputs: list[Path], *, about_files: bool, pictures: int) -> None:
    from toonify.errors import UsageError

    if len(inputs) > 1:
        raise UsageError("- reads one photo from stdin and goes with no other input")
    if pictures > 1:
        raise UsageError("- writes one picture to stdout; give one --style and one --look")
    if about_files:
        raise UsageError(
            "- writes the picture to stdout; drop --output, --overwrite, --report, --dry-run, --shard and --ray"
        )
    if sys.stdin is None or sys.stdout is None:
        raise UsageError("- needs stdin and stdout, and one of them is closed; add < photo.jpg > drawing.jpg")
    if sys.stdout.isatty():
        raise UsageError("- writes the picture to stdout, which is a terminal; add > drawing.jpg")


def _convert_stream(style: "Style", save: "SaveOptions", format: FormatOption, *, quiet: bool) -> int:  # noqa: A002
    import io

    from toonify.convert.local import draw_stream
    from toonify.errors import ImageError

    try:
        picture, notes = draw_stream(io.BytesIO(sys.stdin.buffer.read()), style, save, format)
    except ImageError as error:
        print(f"error: stdin: {error}", file=sys.stderr)
        return 1
    for note in notes if not quiet else ():
        print(f"stdin: {note}", file=sys.stderr)
    sys.stdout.buffer.write(picture)
    sys.stdout.buffer.flush()
    return 0


def _print_plan(batches: "list[Batch]", save: "SaveOptions", not_read: str) -> int:
    from toonify.cli.progress import beside
    from toonify.convert.local import examine
    from toonify.errors import display
    from toonify.jobs.outcome import guard

    for batch in batches:
        if batch.problem is not None:
            print(f"not drawn: {batch.combination.label}: {batch.problem}", file=sys.stderr)
            continue
        look_at = guard(functools.partial(examine, plan=batch.plan, save=save), memory_advice="look at fewer at a time")
        for job in batch.jobs:
            outcome = look_at(job)
            if outcome is None:
                what = "would replace" if os.path.lexists(job.target) else "would draw"
            else:
                what = f"{outcome.result} ({outcome.reason})"
            print(f"{display(job.source)} -> {display(job.target)}: {what}")
    if not_read:
        print(f"{len(batches[0].jobs)} photos{beside(not_read)}")
    return 3 if any(batch.problem is not None for batch in batches) else 0


def _convert_files(
    batches: "list[Batch]",
    open_batch: "Callable[[Batch], Generator[Outcome]]",
    *,
    not_read: str,
    report: Path | None,
    quiet: bool,
    debug: bool,
) -> int:
    from toonify.cli.progress import Progress
    from toonify.convert.batches import draw_batches
    from toonify.convert.report import write_report

    total, several = sum(len(batch.jobs) for batch in batches), len(batches) > 1
    # What is wrong with the only style ends the command, before anything is shown.
    opened = None if several else open_batch(batches[0])
    with Progress(total, quiet=quiet, debug=debug, with_target=several) as progress:

        def give_up(batch: "Batch") -> None:
            left = len(batch.jobs) - len(batch.outcomes)
            progress.give_up(batch.combination.label, str(batch.problem), left)

        if opened is None:
            progress.follow(draw_batches(batches, open_batch, give_up))
        else:
            batches[0].outcomes = progress.follow(opened)
    progress.summarise([outcome for batch in batches for outcome in batch.outcomes], not_read)
    if report is not None:
        write_report(report, batches)
    return progress.exit_code()
