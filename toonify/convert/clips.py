"""Videos to videos: one after the other, each on all cores, and what became of each."""

import time
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import replace

from toonify.convert.local import SaveOptions
from toonify.drawing import DrawingPlan, Style
from toonify.drawing.identity import FOLLOWS, FORMERLY
from toonify.drawing.moving.clip import draw_clip
from toonify.drawing.moving.options import DAMAGE, ClipOptions, ClipResult, clip_notes
from toonify.jobs.note import parse_note, read_note
from toonify.jobs.outcome import Outcome, guard, make_writable, open_source
from toonify.jobs.outcome import examine as examine_job
from toonify.jobs.plan import ClipJob
from toonify.videos.formats import CONTAINER_OF_SUFFIX, CONTAINERS

_MEMORY_ADVICE = "make it smaller with --size or --output-size"

OnFrame = Callable[[ClipJob, int, float], None]  # told of a clip how many frames, and what part of it, are done


def convert_clips(
    jobs: Iterable[ClipJob],
    style: Style,
    save: SaveOptions,
    options: ClipOptions,
    on_frame: OnFrame | None = None,
) -> Generator[Outcome]:
    """Draw every video and yield what became of it, in order.

    A video that fails is an outcome; only KeyboardInterrupt and DiskFullError stop the rest. What is drawn of the one
    that is under way is kept, and the next run goes on with it.
    """
    step = guard(lambda job: _convert(job, style, save, options, on_frame), memory_advice=_MEMORY_ADVICE)
    for job in jobs:
        yield step(job)


def examine_clip(job: ClipJob, plan: DrawingPlan, save: SaveOptions, options: ClipOptions) -> Outcome | None:
    """What is known of a job without drawing it (failed, skipped, kept, incomplete); None if it is to be drawn."""
    outcome = examine_job(
        job,
        lambda file: clip_notes(file, plan, _of_job(job, save, options)),
        overwrite=save.overwrite,
        follows=FOLLOWS,
        formerly=FORMERLY,
    )
    if outcome is not None and outcome.result == "skipped":
        note = parse_note(read_note(job.target))
        damage = None if note is None or note.flags is None else note.flags.get(DAMAGE)
        if damage:
            return replace(outcome, result="incomplete", reason=f"{outcome.reason}; {damage}")
    return outcome


def settled_clips(jobs: Sequence[ClipJob], plan: DrawingPlan, save: SaveOptions, options: ClipOptions) -> list[Outcome]:
    """The outcomes of the first jobs, up to one that is, or may be, to be drawn: they are known without a network."""
    look_at = guard(lambda job: examine_clip(job, plan, save, options), memory_advice=_MEMORY_ADVICE)
    known: list[Outcome] = []
    for job in jobs:
        outcome = look_at(job)
        if outcome is None or (outcome.result == "kept" and plan.alternatives()):
            break
        known.append(outcome)
    return known


def _of_job(job: ClipJob, save: SaveOptions, options: ClipOptions) -> ClipOptions:
    return replace(
        options,
        container=job.container,
        quality=save.quality,
        strip_metadata=save.strip_metadata,
        before_after=save.before_after,
    )


def _convert(job: ClipJob, style: Style, save: SaveOptions, options: ClipOptions, on_frame: OnFrame | None) -> Outcome:
    started = time.perf_counter()
    if (outcome := examine_clip(job, style.plan, save, options)) is not None:
        return outcome
    make_writable(job.target.parent)
    with open_source(job.source) as file:
        note = clip_notes(file, style.plan, _of_job(job, save, options))[0]
    try:
        result = draw_clip(
            job.source,
            job.target,
            style,
            _of_job(job, save, options),
            note=note,
            overwrite=save.overwrite,
            max_pixels=save.max_pixels,
            on_frame=lambda frames, share: on_frame(job, frames, share) if on_frame is not None else None,
        )
    except FileExistsError:
        return Outcome(job.source, job.target, "kept", "another video appeared in its place; --overwrite replaces it")
    return _outcome(job, result, options, time.perf_counter() - started)


def _of_container(job: ClipJob, options: ClipOptions) -> list[str]:
    """What the user should know of the kind of file."""
    suffix = job.source.suffix.lower()
    if suffix in CONTAINERS[job.container].suffixes:
        return []
    there = CONTAINER_OF_SUFFIX.get(suffix)
    if there is None:
        return [f"{suffix or 'its kind of file'} is not written, so it is in {job.container}"]
    if options.codec in CONTAINERS[there].codecs:  # another was asked for
        return []
    return [f"{there} does not hold {options.codec}, so it is in {job.container}"]


def _outcome(job: ClipJob, result: ClipResult, options: ClipOptions, seconds: float) -> Outcome:
    return Outcome(
        job.source,
        job.target,
        "drawn" if result.problem is None else "incomplete",
        reason=result.problem or "",
        notes=(*_of_container(job, options), *result.notes),
        width=result.width,
        height=result.height,
        output_width=result.output_width,
        output_height=result.output_height,
        seconds=seconds,
        network_seconds=result.network_seconds,
        clip={
            "frames": result.frames,
            "frames_repeated": result.repeated,
            "frames_dropped": result.dropped,
            "frames_per_second": round(result.frames / seconds, 2),
            **{f"{name}_codec": codec for name, codec in result.codecs.items()},
        },
    )
