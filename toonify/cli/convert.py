"""`toonify convert`: photos to pictures, with a progress bar, a summary and an honest exit code."""

import contextlib
import functools
import os
import sys
from collections import Counter
from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from toonify.cli.clips import (
    CodecOption,
    EndOption,
    FpsOption,
    NoAudioOption,
    PreviewOption,
    StartOption,
    VideosOption,
)
from toonify.cli.options import (
    RUNNING,
    ConfigOption,
    DeviceOption,
    MaxMegapixelsOption,
    QuietOption,
    VariantOption,
    complete_format,
    complete_style,
    parse_format,
)
from toonify.engines.engine import Backend, Precision
from toonify.images.formats import FORMAT_OF_SUFFIX, FORMATS, VIDEO_SUFFIXES, FormatOption
from toonify.styles.look import FacesMode
from toonify.styles.options import OPTIONS

if TYPE_CHECKING:
    from toonify.cli.progress import Progress
    from toonify.convert.batches import Batch
    from toonify.convert.local import SaveOptions
    from toonify.drawing import Combination
    from toonify.drawing.drawer import Tile
    from toonify.drawing.moving.options import ClipOptions
    from toonify.jobs.outcome import Outcome
    from toonify.jobs.plan import Job


_QUALITIES = ", ".join(f"{each.quality} for {name}" for name, each in FORMATS.items() if each.quality is not None)
_STYLE, _FILES, _DRAWING = "Style", "Pictures", "How they are drawn"


def _drawn(name: str) -> Any:
    """An option of drawing as Typer has it."""
    return typer.Option(metavar=OPTIONS[name].metavar, help=OPTIONS[name].help, rich_help_panel=_DRAWING)


def convert(
    context: typer.Context,
    inputs: Annotated[
        list[Path],
        typer.Argument(
            metavar="INPUT...", help="Photos, videos and folders of photos, in any mix; - reads a photo from stdin."
        ),
    ],
    style: Annotated[
        list[str] | None,
        typer.Option(
            "--style",
            "-s",
            metavar="STYLE",
            help="A name from `toonify styles`; or the path of a style's .json, an ONNX file, a run, or a picture. "
            "Needed. Several: a picture in each.",
            autocompletion=complete_style,
            rich_help_panel=_STYLE,
        ),
    ] = None,
    style_size: Annotated[
        int,
        typer.Option(
            min=32,
            max=4096,
            metavar="N",
            help="Of a picture as style: the long side at which it is looked at. Strokes grow with it.",
            rich_help_panel=_STYLE,
        ),
    ] = 512,
    style_strength: Annotated[
        float,
        typer.Option(
            min=0, max=1, metavar="0..1", help="Of a picture as style: how much of it.", rich_help_panel=_STYLE
        ),
    ] = 1.0,
    style_weight: Annotated[
        list[float] | None,
        typer.Option(
            min=0,
            metavar="SHARE",
            help="Blend the pictures of several --style into one style; a share for each.",
            rich_help_panel=_STYLE,
        ),
    ] = None,
    steps: Annotated[
        int,
        typer.Option(
            min=1, max=4096, metavar="N", help="Of --variant gatys: steps at each size.", rich_help_panel=_STYLE
        ),
    ] = 100,
    start_from: Annotated[
        Literal["photo", "noise"],
        typer.Option(help="Of --variant gatys: what the picture is optimized from.", rich_help_panel=_STYLE),
    ] = "photo",
    seed: Annotated[
        int, typer.Option(min=0, max=4096, metavar="N", help="Of --start-from noise.", rich_help_panel=_STYLE)
    ] = 0,
    style_network: Annotated[
        str | None,
        typer.Option(
            metavar="RUN",
            help="Of a picture as style: the run (of train --arch adain or adain-lite) whose network draws. "
            "Default: toonify's own, which --variant chooses.",
            rich_help_panel=_STYLE,
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="PATH",
            help="Folder for the pictures, or a file for one; - writes one to stdout. Default: beside the input.",
            rich_help_panel=_FILES,
        ),
    ] = None,
    recursive: Annotated[bool, typer.Option(help="Look for photos in subfolders too.", rich_help_panel=_FILES)] = True,
    format: Annotated[  # noqa: A002
        FormatOption,
        typer.Option(
            help="File format; same keeps the photo's (HEIC to jpg, BMP and still GIF to png).",
            parser=parse_format,
            metavar="NAME",
            autocompletion=complete_format,
            rich_help_panel=_FILES,
        ),
    ] = "same",
    quality: Annotated[
        int | None,
        typer.Option(min=1, max=100, help=f"Default: {_QUALITIES}; the others are lossless.", rich_help_panel=_FILES),
    ] = None,
    strip_metadata: Annotated[
        bool, typer.Option("--strip-metadata", help="Leave out the photo's EXIF, XMP and IPTC.", rich_help_panel=_FILES)
    ] = False,
    before_after: Annotated[
        bool,
        typer.Option(
            "--before-after",
            help="The photo and its drawing side by side, in one picture.",
            rich_help_panel=_FILES,
        ),
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace pictures that are there already.", rich_help_panel=_FILES)
    ] = False,
    first_frame: Annotated[
        bool,
        typer.Option(
            "--first-frame",
            help="Of GIF, APNG, WebP and AVIF that move: draw the first frame only.",
            rich_help_panel=_FILES,
        ),
    ] = False,
    look: Annotated[list[str] | None, _drawn("look")] = None,
    lines: Annotated[float | None, _drawn("lines")] = None,
    flat: Annotated[float | None, _drawn("flat")] = None,
    faces: Annotated[FacesMode, typer.Option(help=OPTIONS["faces"].help, rich_help_panel=_DRAWING)] = "auto",
    size: Annotated[str | None, _drawn("size")] = None,
    output_size: Annotated[str, _drawn("output_size")] = "same",
    keep_color: Annotated[float | None, _drawn("keep_color")] = None,
    saturation: Annotated[float | None, _drawn("saturation")] = None,
    strength: Annotated[float, _drawn("strength")] = 1.0,
    detail: Annotated[float, _drawn("detail")] = 0.0,
    raw: Annotated[
        bool,
        typer.Option(
            "--raw",
            help="The network's own output, as published: full size, colors untouched.",
            rich_help_panel=_DRAWING,
        ),
    ] = False,
    variant: VariantOption = "auto",
    device: DeviceOption = "auto",
    backend: Annotated[Backend, typer.Option(help="What runs the network.", rich_help_panel=RUNNING)] = "onnx",
    precision: Annotated[
        Precision,
        typer.Option(
            help="Of the network; auto: fp16 on CUDA, int8 on CPUs, where quicker and right.", rich_help_panel=RUNNING
        ),
    ] = "auto",
    tile: Annotated[
        str,
        typer.Option(
            metavar="auto|off|N",
            help="Draw in tiles of N pixels; auto: if memory asks for it.",
            rich_help_panel=RUNNING,
        ),
    ] = "auto",
    workers: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            max=256,
            help="Photos finished at once, beside those being drawn. Default: half of the cores, and one.",
            rich_help_panel=RUNNING,
        ),
    ] = None,
    shard: Annotated[
        str | None,
        typer.Option(
            metavar="I/N",
            help="Do part I of N: the same command with 1/N to N/N does all.",
            rich_help_panel=RUNNING,
        ),
    ] = None,
    ray: Annotated[
        str | None,
        typer.Option(
            metavar="local|auto|HOST:PORT",
            help="Draw on a Ray cluster: one started here, a running one.",
            rich_help_panel=RUNNING,
        ),
    ] = None,
    videos: VideosOption = False,
    start: StartOption = None,
    end: EndOption = None,
    preview: PreviewOption = None,
    fps: FpsOption = None,
    codec: CodecOption = None,
    no_audio: NoAudioOption = False,
    max_megapixels: MaxMegapixelsOption = 250,
    config: ConfigOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would happen, and do nothing.")] = False,
    report: Annotated[
        Path | None, typer.Option(metavar="FILE.json", help="Write what happened to each file as JSON.")
    ] = None,
    quiet: QuietOption = False,
) -> int:
    """Turn photos and videos into pictures: files and folders in, the same tree of drawings out.

    With several styles or looks every photo is drawn in each: photos_STYLE-LOOK/, or a folder STYLE-LOOK in --output.

    Photos are never changed, and nothing is overwritten unless --overwrite is given. A picture that was made from the
    same photo in the same way is skipped, so that an interrupted run goes on where it stopped; one that was made with
    other options is kept, and the options are named.

    Exit codes: 0 all good; 1 some files failed; 2 the command line cannot be right; 3 toonify could not start on the
    work (style, device, network) or had to end (full disk); 130 interrupted.
    """
    # Read when NumPy is loaded. Pictures are finished beside a network that uses all cores: threads of OpenBLAS would
    # wait for each other there, and a folder of 12-megapixel photos would take 1.6 times as long.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from toonify.cli.clips import check_clip_flags, clip_options
    from toonify.cli.progress import Progress, count_bar
    from toonify.cli.stream import STREAM, Streamed, check_stream
    from toonify.convert.batches import Batch, plan_batches
    from toonify.convert.clips import convert_clips, settled_clips
    from toonify.convert.local import SaveOptions, settled
    from toonify.convert.local import convert as draw_jobs
    from toonify.convert.report import check_report
    from toonify.drawing import Loader, choose_combinations
    from toonify.drawing.drawer import check_tile
    from toonify.drawing.optimized import NO_MOVING, check_optimized, is_drawn_by_optimization
    from toonify.engines.engine import ran_on
    from toonify.errors import UsageError
    from toonify.jobs.find import find_photos, in_words
    from toonify.jobs.shards import check_shardable, parse_shard, take_shard
    from toonify.styles.find import shipped_names
    from toonify.transfer import PictureOptions

    if not style:
        raise UsageError(f"--style is missing; choose one of {', '.join(shipped_names())}, or give a path")
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

    chosen_codec = codec or ("vp9" if output is not None and output.suffix.lower() == ".webm" else "h264")
    clip = clip_options(start=start, end=end, preview=preview, fps=fps, codec=chosen_codec, no_audio=no_audio)
    save = SaveOptions(
        quality, strip_metadata, overwrite, before_after, int(max_megapixels * 1e6), moving=not first_frame
    )
    combinations = choose_combinations(
        style,
        look or [],
        variant=variant,
        pictures=PictureOptions(
            style_size, style_strength, tuple(style_weight or ()), style_network, steps, start_from, seed
        ),
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
    is_optimized = any(is_drawn_by_optimization(each.plan) for each in combinations)
    if is_optimized:
        source = context.get_parameter_source("backend")
        chose_backend = source is not None and source.name != "DEFAULT"
        check_optimized(backend=backend if chose_backend else None, precision=precision, tile=sides, ray=ray)
    combinations = [replace(each, plan=each.plan.in_precision(precision)) for each in combinations]
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
    if STREAM in (*inputs, output):
        refused = {"--report": report, "--dry-run": dry_run, "--shard": shard, "--ray": ray, "--workers": workers}
        check_stream(inputs, output, [flag for flag, value in refused.items() if value], pictures=len(combinations))
        streamed = Streamed(
            inputs[0], STREAM if output is None else output, format, overwrite=overwrite, moving=save.moving
        )
        loaded = load(combinations[0].plan)
        tell(str(loaded))
        return streamed.convert(loaded, save, quiet=quiet)
    if ray is not None and workers is not None:
        raise UsageError("--workers is for one machine; with --ray every core of the cluster works, so drop it")
    searched = FORMAT_OF_SUFFIX.keys() | VIDEO_SUFFIXES if videos else FORMAT_OF_SUFFIX.keys()
    way = "" if videos else "--videos draws them, too"
    found = find_photos(inputs, recursive=recursive, leave_out=output, suffixes=searched, way_to_videos=way)
    not_read = in_words(found.others, way)
    batches = plan_batches(
        found, combinations, inputs=inputs, output=output, format=format, codec=chosen_codec, moving=save.moving
    )
    if is_optimized and batches[0].clips:
        raise UsageError(f"{NO_MOVING}; choose another --variant for videos")
    given = {"--start": start, "--end": end, "--preview": preview, "--fps": fps, "--codec": codec}
    check_clip_flags(batches, given | {"--no-audio": no_audio}, format=format, ray=ray is not None)
    if part is not None:
        for batch in batches:
            check_shardable(batch.all_jobs, inputs, output=output)
            batch.jobs, batch.clips = take_shard(batch.jobs, part), take_shard(batch.clips, part)
        tell(f"shard {part}: {len(batches[0].all_jobs)} of {len(found)} {'files' if batches[0].clips else 'photos'}")
    if dry_run:
        return _print_plan(batches, save, clip, not_read, tell)
    debug = bool(context.find_root().params["debug"])
    finish = functools.partial(_convert_files, batches, not_read=not_read, report=report, quiet=quiet, debug=debug)
    if not batches[0].all_jobs:  # a shard may be empty
        return finish(_open_nothing)
    several = len(batches) > 1

    def say(batch: Batch, line: str) -> None:
        tell(f"{batch.combination.label}: {line}" if several else line)

    def look_first(batch: Batch) -> "tuple[list[Outcome], list[Job]]":
        """What is known of the first photos before anything is fetched or made ready, and the others."""
        with count_bar("looking at what is there", len(batch.jobs), quiet=quiet) as advance:
            known = settled(batch.jobs, batch.plan, save, on_file=lambda: advance(1))
        return known, batch.jobs[len(known) :]

    if ray is not None:
        from toonify.convert.cluster import ClusterRun, connected

        _warn(batches)

        def open_on_cluster(batch: Batch, progress: Progress) -> "Generator[Outcome]":
            known, left = look_first(batch)
            if not left:
                return _chained(known)
            run = ClusterRun(left, batch.plan, save, **runs_on, tell=tell)
            batch.ran_on = run.ran_on
            say(batch, f"{batch.plan} on Ray, {run.workers} worker{'s' if run.workers > 1 else ''}")
            return _chained(known, run.outcomes())

        with connected(ray, hush=not debug):
            return finish(open_on_cluster)

    def open_here(batch: Batch, progress: Progress) -> "Generator[Outcome]":
        known, left = look_first(batch)
        known_clips = settled_clips(batch.clips, batch.plan, save, clip)
        clips_left = batch.clips[len(known_clips) :]
        if not left and not clips_left:
            return _chained([*known, *known_clips])
        loaded = load(batch.plan)
        batch.plan, batch.ran_on = loaded.plan, [ran_on(loaded.engine)]
        say(batch, str(loaded))
        return _chained(
            [*known, *known_clips],
            draw_jobs(left, loaded, save, workers=workers, on_share=progress.on_share),
            convert_clips(clips_left, loaded, save, clip, progress.on_frame),
        )

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


def _chained(known: "list[Outcome]", *others: "Generator[Outcome]") -> "Generator[Outcome]":
    """Outcomes that are known, and then others, which are closed with it."""
    with contextlib.ExitStack() as stack:
        for each in others:
            stack.enter_context(contextlib.closing(each))
        yield from known
        for each in others:
            yield from each


def _open_nothing(batch: "Batch", progress: "Progress") -> "Generator[Outcome]":
    yield from ()


def _pixels(flag: str, text: str, *words: str, example: int) -> Any:
    """A number of pixels, or one of the words. Raises UsageError for anything else."""
    from toonify.errors import UsageError

    if text in words:
        return text
    if not text.isdecimal():
        raise UsageError(f"{flag} {text}: give a number of pixels, such as {example}, or {', or '.join(words)}")
    return int(text)


def _print_plan(
    batches: "list[Batch]", save: "SaveOptions", clip: "ClipOptions", not_read: str, tell: Callable[[str], None]
) -> int:
    from toonify.cli.progress import beside
    from toonify.convert.clips import examine_clip
    from toonify.convert.local import examine
    from toonify.convert.peek import peek
    from toonify.errors import counted, display
    from toonify.jobs.outcome import guard
    from toonify.jobs.plan import Job

    has_failures = would_draw = False
    for batch in batches:
        if batch.problem is not None:
            print(f"not drawn: {batch.combination.label}: {batch.problem}", file=sys.stderr)
            continue
        advice = {"memory_advice": "look at fewer at a time"}
        look_at = guard(functools.partial(examine, plan=batch.plan, save=save), **advice)
        look_at_clip = guard(functools.partial(examine_clip, plan=batch.plan, save=save, options=clip), **advice)
        counts: Counter[str] = Counter()
        for job in batch.all_jobs:
            outcome = look_at(job) if isinstance(job, Job) else look_at_clip(job)
            outcome = outcome or peek(job)
            if outcome is None:
                result = what = "would replace" if os.path.lexists(job.target) else "would draw"
            else:
                result, what = outcome.result, f"{outcome.result} ({outcome.reason})"
            counts[result] += 1
            has_failures = has_failures or result in ("failed", "incomplete")
            print(f"{display(job.source)} -> {display(job.target)}: {what}")
        told = ", ".join(f"{result} {count}" for result, count in counts.items()) or "nothing to do"
        tell(f"{batch.plan}: {told}")
        would_draw = would_draw or any(result.startswith("would") for result in counts)
    if not_read:
        found = ((len(batches[0].jobs), "photo"), (len(batches[0].clips), "video"))
        print(" and ".join(counted(*each) for each in found if each[0]) + beside(not_read))
    if would_draw:
        _warn(batches)
    return 3 if any(batch.problem is not None for batch in batches) else int(has_failures)


def _convert_files(
    batches: "list[Batch]",
    open_batch: "Callable[[Batch, Progress], Generator[Outcome]]",
    *,
    not_read: str,
    report: Path | None,
    quiet: bool,
    debug: bool,
) -> int:
    from toonify.cli.progress import Progress
    from toonify.convert.batches import draw_batches
    from toonify.convert.report import write_report

    total, several = sum(len(batch.all_jobs) for batch in batches), len(batches) > 1
    progress = Progress(total, quiet=quiet, debug=debug, with_target=several)
    # What is wrong with the only style ends the command, before anything is shown.
    opened = None if several else open_batch(batches[0], progress)
    with progress:

        def give_up(batch: "Batch") -> None:
            left = len(batch.all_jobs) - len(batch.outcomes)
            progress.give_up(batch.combination.label, str(batch.problem), left)

        if opened is None:
            progress.follow(draw_batches(batches, lambda batch: open_batch(batch, progress), give_up))
        else:
            batches[0].outcomes = progress.follow(opened)
    progress.summarize([outcome for batch in batches for outcome in batch.outcomes], not_read)
    if report is not None:
        write_report(report, batches)
    return progress.exit_code()
