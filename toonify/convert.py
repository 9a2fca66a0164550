"""Many photos to many pictures: decode, draw and encode at the same time, lose nothing, say what happened."""

import errno
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from io import BufferedIOBase, BytesIO
from pathlib import Path
from typing import Any, Literal

import msgspec
from PIL import ExifTags, Image

import toonify
from toonify.arrays import Floats
from toonify.discover import Job
from toonify.drawing import Look, Sketch, Style
from toonify.errors import ImageError, ToonifyError, UsageError, describe, display, one_line
from toonify.files import write_atomically
from toonify.images import DEFAULT_MAX_PIXELS, DEFAULT_QUALITY, Photo, encode_picture, read_photo, read_processing_note
from toonify.memory import give_back_freed_memory
from toonify.pipeline import run_stages
from toonify.resize import resize
from toonify.styles import FileWeights

Result = Literal["drawn", "skipped", "kept", "failed"]

_RECIPE = 1  # of the steps from photo to picture: raise it when they change, and pictures count as made otherwise


@dataclass(frozen=True)
class SaveOptions:
    """How drawings are written."""

    quality: int | None = None  # 1..100; None: what suits the format
    strip_metadata: bool = False
    overwrite: bool = False
    max_pixels: int = DEFAULT_MAX_PIXELS  # of a photo; larger ones are refused


@dataclass(frozen=True)
class Outcome:
    """What became of one photo."""

    source: Path
    target: Path
    result: Result  # drawn; skipped: there already, made the same way; kept: something else is there; failed
    reason: str = ""  # of all but drawn
    notes: tuple[str, ...] = ()  # what the user should know of the photo
    width: int | None = None  # of the photo as it stands upright, in pixels
    height: int | None = None
    seconds: float = 0.0  # of work on it; stages overlap, so the sum is more than the time that passed
    network_seconds: float = 0.0  # of these, in the network
    error: Exception | None = field(default=None, compare=False)  # for --debug, where it was not expected

    def record(self) -> dict[str, Any]:
        """The outcome for `--report`: plain values, paths as text."""
        record = {key: value for key, value in vars(self).items() if key != "error"}
        return {
            "input": os.fspath(record.pop("source")),
            "output": os.fspath(record.pop("target")),
            "outcome": record.pop("result"),
            **{key: round(value, 3) if isinstance(value, float) else value for key, value in record.items()},
        }


@dataclass
class _Work:
    """A photo on its way through the stages."""

    job: Job
    photo: Photo
    sketch: Sketch
    note: str
    seconds: float
    drawing: Floats | None = None
    network_seconds: float = 0.0


def convert(jobs: Iterable[Job], style: Style, save: SaveOptions) -> Iterator[Outcome]:
    """Draw every job and yield what became of it, in order.

    Decoding, drawing and encoding run at the same time. A photo that fails is an outcome; nothing but
    KeyboardInterrupt stops the rest, and then what is half done leaves no trace.
    """
    stages = [
        _guard(lambda job: _read(job, style, save)),
        _guard(lambda work: _draw(work, style)),
        _guard(lambda work: _finish_and_write(work, style, save)),
    ]
    return run_stages(jobs, stages, on_stop=style.cancel)


def examine(job: Job, look: Look, save: SaveOptions) -> Outcome | None:
    """What is known of a job without drawing it (failed, skipped, kept); None if it is to be drawn."""
    if job.problem is not None:
        return Outcome(job.source, job.target, "failed", job.problem)
    if not os.path.lexists(job.target) or save.overwrite:
        return None
    try:
        with job.source.open("rb") as file:
            note = processing_note(file, job, look, save)
    except OSError as error:
        return Outcome(job.source, job.target, "failed", f"cannot be read: {error.strerror}")
    if read_processing_note(job.target) == note:
        return Outcome(job.source, job.target, "skipped", "already drawn in this way")
    return Outcome(job.source, job.target, "kept", "another picture is in its place; --overwrite replaces it")


def processing_note(file: BufferedIOBase, job: Job, look: Look, save: SaveOptions) -> str:
    """What a picture says of its making (EXIF ProcessingSoftware), with a digest of the photo and all options.

    It makes a rerun know what is done, whatever the dates of the files. Device and backend are left out: they give
    the same picture up to rounding.
    """
    file.seek(0)
    photo = hashlib.file_digest(file, "sha256").hexdigest()
    file.seek(0)
    recipe = [
        _RECIPE,
        photo,
        look.style.card.id,
        look.weights_digest,
        repr(msgspec.structs.replace(look.variant, weights=FileWeights(""))),
        asdict(look.options),
        job.format,
        save.quality if job.format in DEFAULT_QUALITY else None,
        save.strip_metadata,
    ]
    digest = hashlib.sha256(json.dumps(recipe).encode()).hexdigest()[:16]
    return f"toonify {toonify.__version__} {look.style.card.id}/{look.variant_name} recipe:{digest}"


def draw_stream(
    data: BytesIO,
    style: Style,
    save: SaveOptions,
    format: str,  # noqa: A002
) -> tuple[bytes, tuple[str, ...]]:
    """Draw one encoded photo to one encoded picture, and what the user should know of the photo.

    `format` "same" takes the photo's. Raises ImageError.
    """
    photo = read_photo(data, max_pixels=save.max_pixels)
    job = Job(Path("-"), Path("-"), photo.format if format == "same" else format)
    note = processing_note(data, job, style.look, save)
    sketch = style.prepare(photo.pixels)
    work = _Work(job, photo, sketch, note, seconds=0.0, drawing=style.draw(sketch))
    return _encode(work, style, save), _notes(work)


def _read(job: Job, style: Style, save: SaveOptions) -> _Work | Outcome:
    started = time.perf_counter()
    if (outcome := examine(job, style.look, save)) is not None:
        return outcome
    _make_writable(job.target.parent)
    try:
        file = job.source.open("rb")
    except OSError as error:
        raise ImageError(f"cannot be read: {error.strerror}") from error
    with file:
        photo = read_photo(file, max_pixels=save.max_pixels)
        note = processing_note(file, job, style.look, save)
    sketch = style.prepare(photo.pixels)
    give_back_freed_memory()
    return _Work(job, photo, sketch, note, time.perf_counter() - started)


def _draw(work: _Work, style: Style) -> _Work:
    started = time.perf_counter()
    work.drawing = style.draw(work.sketch)
    work.network_seconds = time.perf_counter() - started
    work.seconds += work.network_seconds
    return work


def _finish_and_write(work: _Work, style: Style, save: SaveOptions) -> Outcome:
    started = time.perf_counter()
    data = _encode(work, style, save)
    try:
        write_atomically(work.job.target, data, overwrite=save.overwrite)
    except FileExistsError:
        reason = "another picture appeared in its place; --overwrite replaces it"
        return Outcome(work.job.source, work.job.target, "kept", reason)
    height, width = work.photo.pixels.shape[:2]
    return Outcome(
        work.job.source,
        work.job.target,
        "drawn",
        notes=_notes(work),
        width=width,
        height=height,
        seconds=work.seconds + time.perf_counter() - started,
        network_seconds=work.network_seconds,
    )


def _notes(work: _Work) -> tuple[str, ...]:
    """What the user should know of a photo that was drawn."""
    if work.photo.alpha is not None and work.job.format == "jpg":
        return (*work.photo.notes, "its transparency was laid on white")
    return work.photo.notes


def _encode(work: _Work, style: Style, save: SaveOptions) -> bytes:
    assert work.drawing is not None  # noqa: S101 - the stage before has drawn it
    pixels = style.finish(work.sketch, work.drawing)
    alpha = work.photo.alpha
    exif = Image.Exif() if save.strip_metadata else work.photo.exif
    exif[ExifTags.Base.ProcessingSoftware] = work.note
    return encode_picture(
        pixels,
        format=work.job.format,
        quality=save.quality,
        alpha=None if alpha is None else resize(alpha, pixels.shape[:2]),
        exif=exif,
    )


def _make_writable(folder: Path) -> None:
    """Make the folder and try to write there, before a minute of drawing is lost on one that cannot be written."""
    folder.mkdir(parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))


def _guard(function: Callable[[Any], _Work | Outcome]) -> Callable[[Any], _Work | Outcome]:
    """A stage that turns what goes wrong with one photo into its outcome and lets finished ones pass."""

    def guarded(item: Job | _Work | Outcome) -> _Work | Outcome:
        if isinstance(item, Outcome):
            return item
        job = item if isinstance(item, Job) else item.job
        unexpected = None
        try:
            return function(item)
        except ImageError as error:
            reason = str(error)
        except OSError as error:
            reason = describe(error)
        except MemoryError:
            reason = "not enough memory; draw it smaller with --size"
        except Exception as error:
            unexpected = error
            reason = f"unexpected {type(error).__name__}: {one_line(error)}; --debug shows where"
        return Outcome(job.source, job.target, "failed", reason, error=unexpected)

    return guarded


def write_report(path: Path, style: Style, outcomes: list[Outcome]) -> None:
    """Write what happened as JSON: the style and what it ran on, and a record for each file.

    Raises UsageError if something other than an earlier report is in the place.
    """
    check_report(path)
    generator = style.generator
    report = {
        "toonify": toonify.__version__,
        "style": style.look.style.card.id,
        "variant": style.look.variant_name,
        "device": generator.device,
        "engine": generator.engine,
        "provider": generator.provider,
        "options": asdict(style.look.options),
        "files": [outcome.record() for outcome in outcomes],
    }
    try:
        write_atomically(path, (json.dumps(report, indent=1) + "\n").encode(), overwrite=True)
    except OSError as error:
        raise ToonifyError(f"--report {display(path)} cannot be written: {error.strerror}") from error


def check_report(path: Path) -> None:
    """Raise UsageError unless a report can be written to `path`: a free name, or that of an earlier report."""
    if not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
        raise UsageError(f"--report {display(path)}: its folder is not there or cannot be written; give another")
    if not os.path.lexists(path):
        return
    try:
        earlier = json.loads(path.read_bytes()) if path.is_file() else None
    except (OSError, ValueError):
        earlier = None
    if not (isinstance(earlier, dict) and {"toonify", "files"} <= earlier.keys()):
        raise UsageError(f"--report {display(path)}: something else is in that place; give another name")
