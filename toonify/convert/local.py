"""Many photos to many pictures: decode, draw and encode at the same time, lose nothing, say what happened."""

import logging
import threading
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from io import BufferedIOBase, BytesIO
from pathlib import Path
from typing import Any, BinaryIO, cast

from toonify.convert.moving import draw_moving, frames_under_way, refused
from toonify.convert.options import SaveOptions as SaveOptions  # what `convert` takes is part of this module
from toonify.drawing import Drawing, DrawingPlan, Sketch, Style
from toonify.drawing.identity import FOLLOWS, FORMERLY, former_identity, identity, told_flags
from toonify.drawing.open import DRAWERS_ON_CUDA
from toonify.drawing.optimized import NO_MOVING, is_drawn_by_optimization
from toonify.errors import ImageError
from toonify.images import Photo, encode_picture, picture_size, read_photo
from toonify.images.formats import WRITTEN, FormatOption, WrittenFormat
from toonify.images.moving import MovingPicture, frame_count, moves, read_moving, read_structure
from toonify.jobs.note import Recipe, making_notes
from toonify.jobs.outcome import Outcome as Outcome  # what `convert` yields is part of this module
from toonify.jobs.outcome import examine as examine_job
from toonify.jobs.outcome import guard, make_writable, open_source, write_output
from toonify.jobs.plan import Job
from toonify.pixels.layout import side_by_side
from toonify.pixels.resize import resize
from toonify.system.cores import network_threads
from toonify.system.memory import Allowance, available_memory, give_back_freed_memory, ran_out
from toonify.system.pipeline import Stage, run_stages
from toonify.system.waiting import waiting

_log = logging.getLogger(__name__)

_RECIPE = 3  # of the steps from photo to picture
_MOVING_RECIPE = 1  # of the steps from moving picture to moving picture
_FORMER_RECIPE = 2  # the same steps, as toonify 0.1.0 told what they were taken with
_MEMORY_SHARE = 4  # the part of the free memory that photos under way may take
_MEMORY_ADVICE = "make it smaller with --size or --output-size"
_BYTES_PER_PIXEL = 12  # of a photo under way: itself, the result, and a copy of either while it is decoded or encoded


_STILL_ONLY = f"it moves, and {NO_MOVING}; add --first-frame, or choose another --variant"

OnFile = Callable[[], None]


@dataclass
class _Work:
    """A photo on its way through the stages."""

    job: Job
    photo: Photo
    sketch: Sketch
    note: str
    seconds: float
    drawing: Drawing | None = None
    network_seconds: float = 0.0


@dataclass
class _Moving:
    """A moving picture on its way through the stages: it is drawn and encoded in one."""

    job: Job
    picture: MovingPicture
    note: str
    seconds: float


def convert(
    jobs: Iterable[Job],
    style: Style,
    save: SaveOptions,
    *,
    workers: int | None = None,
    on_share: Callable[[Job, float], None] | None = None,
) -> Generator[Outcome]:
    """Draw every job and yield what became of it, in order.

    `workers`: how many are finished at once, and decoded at most; None: as suits the cores. `on_share` is told, in the
    threads that draw, how much of a photo the network has drawn, 0..1.

    Decoding, drawing and encoding run at the same time, on all cores. Photos wait to be decoded while those under way
    take too much memory. A photo that fails is an outcome; only KeyboardInterrupt and DiskFullError stop the rest,
    and then what is half done leaves no trace.
    """
    jobs = list(jobs)
    cores = network_threads()
    threads = None if len(jobs) == 1 else 1  # for each picture: others are finished, and drawn, beside it
    stopping = threading.Event()
    memory = _PhotoMemory(available_memory() // _MEMORY_SHARE, style, pictures=2 if save.before_after else 1)
    steps: list[Stage] = [
        lambda job: _read(job, style, save, memory),
        lambda work: _draw(work, style, save, on_share, stopping),
        lambda work: _finish_and_write(work, style, save, threads),
    ]
    stages = [memory.released_by(guard(step, memory_advice=_MEMORY_ADVICE)) for step in steps]

    def stop() -> None:
        stopping.set()
        memory.close()
        style.cancel()

    # A network uses all cores, but beyond some it gains little, and beside a small one it is the finishing that takes
    # most of the time: more than one core, or others are idle.
    drawers = DRAWERS_ON_CUDA if style.engine.device == "cuda" else max(1, cores // 16)
    finishers = workers or cores // 2 + 1
    return run_stages(jobs, stages, workers=[min(max(1, cores // 4), finishers), drawers, finishers], on_stop=stop)


class _PhotoMemory:
    """Memory for the photos under way: taken before a photo is decoded, given back when its outcome is known."""

    def __init__(self, total: int, style: Style, *, pictures: int = 1) -> None:
        """`total` bytes for photos that `style` draws; a result has the size of so many `pictures`."""
        self._allowance = Allowance(total)
        self._style = style
        self._pictures = pictures
        self._taken: dict[Job, int] = {}

    def take(self, job: Job, file: BinaryIO, *, frames: int = 1) -> None:
        """Wait until there is enough for so many of the photo in an open file.

        Raises ImageError if that is no picture.
        """
        width, height = picture_size(file)
        file.seek(0)
        _, (result_height, result_width) = self._style.sizes(height, width)
        needed = frames * _BYTES_PER_PIXEL * max(width * height, self._pictures * result_width * result_height)
        self._allowance.take(needed)
        self._taken[job] = needed

    def released_by(self, step: Stage) -> Stage:
        """The step, after which a job that has got its outcome gives back what it took."""

        def releasing(item: Any) -> Any:
            result = step(item)
            if isinstance(result, Outcome) and not isinstance(item, Outcome):
                job = item if isinstance(item, Job) else item.job
                self._allowance.give_back(self._taken.pop(job, 0))
            return result

        return releasing

    def close(self) -> None:
        """Let nobody wait any longer."""
        self._allowance.close()


def examine(job: Job, plan: DrawingPlan, save: SaveOptions) -> Outcome | None:
    """What is known of a job without drawing it (failed, skipped, kept); None if it is to be drawn."""
    if job.problem is None and (save.moving or job.format == "gif"):
        with open_source(job.source) as file:
            count = frame_count(file)
        if (reason := refused(count, job.format, moving=save.moving)) is not None:
            return Outcome(job.source, job.target, "failed", reason)
        if save.moving and count > 1 and is_drawn_by_optimization(plan):
            return Outcome(job.source, job.target, "failed", _STILL_ONLY)
    return examine_job(
        job,
        lambda file: processing_notes(file, job, plan, save),
        overwrite=save.overwrite,
        follows=FOLLOWS,
        formerly=FORMERLY,
    )


def settled(jobs: Sequence[Job], plan: DrawingPlan, save: SaveOptions, on_file: OnFile = lambda: None) -> list[Outcome]:
    """The outcomes of the first jobs, up to one that is to be drawn: they are known without a network.

    Of a picture that is not as the plan has it, nothing is settled where the plan may yet draw in another way, which
    shows when its networks are fetched. `on_file` is called after each.
    """
    others = plan.alternatives()
    look_at = guard(lambda job: examine(job, plan, save), memory_advice=_MEMORY_ADVICE)
    known: list[Outcome] = []
    for job in jobs:
        outcome = look_at(job)
        if outcome is None or (outcome.result == "kept" and any(_is_made(job, other, save) for other in others)):
            break
        known.append(outcome)
        on_file()
    return known


def _is_made(job: Job, plan: DrawingPlan, save: SaveOptions) -> bool:
    outcome = examine(job, plan, save)
    return outcome is not None and outcome.result == "skipped"


def processing_notes(file: BufferedIOBase, job: Job, plan: DrawingPlan, save: SaveOptions) -> list[str]:
    """What a drawing says of its making (photo, plan and format), and what others say that need not be drawn anew.

    Those are of earlier versions, and where no precision was named, of the other one. Device and backend are left out:
    they give the same picture up to rounding.
    """
    is_moving = moves(cast("BinaryIO", file))
    recipes = [recipe for each in plan.as_good() for recipe in _recipes(job, each, save, is_moving=is_moving)]
    return making_notes(file, *recipes)


def _recipes(job: Job, plan: DrawingPlan, save: SaveOptions, *, is_moving: bool) -> list[Recipe]:
    """How the picture is made, as this version tells it and as earlier ones did."""
    maker = f"{plan.style.card.id}/{plan.style.name}"
    quality = None if WRITTEN[job.format].quality is None else save.quality
    saved = [job.format, quality, save.strip_metadata]
    flags = told_flags(plan) | {
        "--format": job.format,
        "--quality": quality or "default",
        "--strip-metadata": save.strip_metadata,
        "--before-after": save.before_after,
    }
    if is_moving:
        flags["--first-frame"] = not save.moving
    beside = ["before-after"] if save.before_after else []
    if is_moving and save.moving:
        return [Recipe(maker, _MOVING_RECIPE, [identity(plan), *saved, "moving", *beside], flags)]
    if save.before_after:
        return [Recipe(maker, _RECIPE, [identity(plan), *saved, *beside], flags)]
    recipes = [Recipe(maker, _RECIPE, [identity(plan), *saved], flags)]
    if (former := former_identity(plan)) is not None:
        recipes.append(Recipe(maker, _FORMER_RECIPE, [plan.style.card.id, *former, *saved]))
    return recipes


def draw_stream(
    data: BytesIO,
    style: Style,
    save: SaveOptions,
    format: FormatOption | WrittenFormat,  # noqa: A002
) -> tuple[bytes, tuple[str, ...]]:
    """Draw one encoded photo to one encoded picture, and what the user should know of the photo.

    `format` "same" takes the photo's. Raises ImageError.
    """
    try:
        if save.moving and moves(data):
            if is_drawn_by_optimization(style.plan):
                raise ImageError(_STILL_ONLY)
            return _draw_moving_stream(data, style, save, format)
        if format == "gif":
            raise ImageError(refused(1, format, moving=save.moving) or "")
        _check_result(style, picture_size(data), save)
        data.seek(0)
        photo = read_photo(data, max_pixels=save.max_pixels, enough=style.enough)
        job = Job(Path("-"), Path("-"), photo.format if format == "same" else format)
        note = processing_notes(data, job, style.plan, save)[0]
        sketch = style.prepare(photo.pixels)
        with waiting(_log, f"drawing in {style.plan.style.label}"):
            drawing = style.draw(sketch)
        work = _Work(job, photo, sketch, note, seconds=0.0, drawing=drawing)
        return _encode(work, style, save)[0], _notes(work, save)
    except Exception as error:
        if not ran_out(error):
            raise
        raise ImageError(f"not enough memory; {_MEMORY_ADVICE}") from error


def _draw_moving_stream(
    data: BytesIO,
    style: Style,
    save: SaveOptions,
    format: FormatOption | WrittenFormat,  # noqa: A002
) -> tuple[bytes, tuple[str, ...]]:
    picture = read_moving(data, max_pixels=save.max_pixels)
    chosen = picture.format if format == "same" else format
    if (reason := refused(len(picture.seconds), chosen, moving=True)) is not None:
        raise ImageError(reason)
    note = processing_notes(data, Job(Path("-"), Path("-"), chosen), style.plan, save)[0]
    with waiting(_log, f"drawing in {style.plan.style.label}"):
        drawn = draw_moving(picture, chosen, style, save, note)
    return drawn.data, drawn.notes


def _read(job: Job, style: Style, save: SaveOptions, memory: _PhotoMemory) -> "_Work | _Moving | Outcome":
    started = time.perf_counter()
    if (outcome := examine(job, style.plan, save)) is not None:
        return outcome
    make_writable(job.target.parent)
    with open_source(job.source) as file:
        is_moving = save.moving and moves(file)
        if is_moving:
            read_structure(file)  # what is lost is told as such, before the decoder meets it
        _check_result(style, picture_size(file), save)
        file.seek(0)
        if is_moving:
            memory.take(job, file, frames=frames_under_way())
            note = processing_notes(file, job, style.plan, save)[0]
            picture = read_moving(file, max_pixels=save.max_pixels)
            return _Moving(job, picture, note, time.perf_counter() - started)
        memory.take(job, file)
        photo = read_photo(file, max_pixels=save.max_pixels, enough=style.enough)
        note = processing_notes(file, job, style.plan, save)[0]
    sketch = style.prepare(photo.pixels)
    give_back_freed_memory()
    return _Work(job, photo, sketch, note, time.perf_counter() - started)


def _check_result(style: Style, photo: tuple[int, int], save: SaveOptions) -> None:
    """Raise ImageError if the picture of a photo of that width and height would be larger than photos may be."""
    width, height = photo
    _, (result_height, result_width) = style.sizes(height, width)
    if result_width * result_height > save.max_pixels >= width * height:
        raise ImageError(
            f"its picture would have {result_width} x {result_height} pixels, more than {save.max_pixels / 1e6:g} "
            "megapixels; give a smaller --output-size, or raise --max-megapixels"
        )


def _draw(
    work: _Work | _Moving,
    style: Style,
    save: SaveOptions,
    on_share: Callable[[Job, float], None] | None,
    stopping: threading.Event,
) -> _Work | Outcome:
    if isinstance(work, _Moving):
        return _draw_and_write(work, style, save, on_share, stopping)
    started = time.perf_counter()
    work.drawing = style.draw(work.sketch, on_share=None if on_share is None else partial(on_share, work.job))
    work.network_seconds = time.perf_counter() - started
    work.seconds += work.network_seconds
    return work


def _draw_and_write(
    work: _Moving,
    style: Style,
    save: SaveOptions,
    on_share: Callable[[Job, float], None] | None,
    stopping: threading.Event,
) -> Outcome:
    """Draw all frames, in this thread and some of its own; other photos are read and finished beside it."""
    started = time.perf_counter()
    job, picture = work.job, work.picture
    total = len(picture.seconds)

    def on_frame(count: int) -> None:
        if stopping.is_set():
            raise InterruptedError
        if on_share is not None:
            on_share(job, count / total)

    drawn = draw_moving(picture, job.format, style, save, work.note, on_frame)
    if (outcome := write_output(job, drawn.data, overwrite=save.overwrite)) is not None:
        return outcome
    height, width = picture.stored_size
    return Outcome(
        job.source,
        job.target,
        "drawn",
        notes=drawn.notes,
        width=width,
        height=height,
        output_width=drawn.size[0],
        output_height=drawn.size[1],
        clip={"frames": total},
        seconds=work.seconds + time.perf_counter() - started,
        network_seconds=drawn.network_seconds,
    )


def _finish_and_write(work: _Work, style: Style, save: SaveOptions, threads: int | None) -> Outcome:
    started = time.perf_counter()
    data, (width, height) = _encode(work, style, save, threads)
    if (outcome := write_output(work.job, data, overwrite=save.overwrite)) is not None:
        return outcome
    photo_height, photo_width = work.photo.stored_size
    return Outcome(
        work.job.source,
        work.job.target,
        "drawn",
        notes=_notes(work, save),
        width=photo_width,
        height=photo_height,
        output_width=width,
        output_height=height,
        seconds=work.seconds + time.perf_counter() - started,
        network_seconds=work.network_seconds,
    )


def _notes(work: _Work, save: SaveOptions) -> tuple[str, ...]:
    """What the user should know of a photo that was drawn."""
    notes = [*work.photo.notes]
    if work.photo.alpha is not None and not WRITTEN[work.job.format].transparency:
        notes.append("its transparency was laid on white")
    if not save.strip_metadata:
        notes += work.photo.metadata.left_out(work.job.format)
    return tuple(notes)


def _encode(work: _Work, style: Style, save: SaveOptions, threads: int | None = None) -> tuple[bytes, tuple[int, int]]:
    """The finished picture as a file, and its width and height."""
    assert work.drawing is not None  # noqa: S101 - the stage before has drawn it
    pixels = style.finish(work.sketch, work.drawing, threads=threads)
    alpha = work.photo.alpha
    if alpha is not None:
        alpha = resize(alpha, pixels.shape[:2])
    if save.before_after:
        alpha = None if alpha is None else side_by_side(alpha, alpha, between=0)
        pixels = side_by_side(work.sketch.full, pixels)
    data = encode_picture(
        pixels,
        format=work.job.format,
        quality=save.quality,
        alpha=alpha,
        metadata=None if save.strip_metadata else work.photo.metadata,
        note=work.note,
    )
    height, width = pixels.shape[:2]
    return data, (width, height)
