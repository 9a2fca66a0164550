"""What the student is to draw: each photo at the size at which it is drawn, and the teacher's drawing of it.

Pairs lie in a folder as `photo/...` and `drawing/...`, with the same names, as PNG: a reader takes twice the time of
JPEG's, which is a small part of a step, and nothing is lost. What is there and was made in the same way is not made
again, so that an interrupted run goes on; manifest.json, written last, lists the pairs.
"""

import os
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from io import BufferedReader
from pathlib import Path

import msgspec

from toonify.distill.teacher import Teacher
from toonify.drawing import Drawing, DrawingPlan, Sketch, Style
from toonify.drawing.identity import former_identity, identity
from toonify.errors import ImageError, ToonifyError, display
from toonify.images import encode_picture, opaque, read_photo, read_processing_note
from toonify.jobs.find import Found
from toonify.jobs.note import Recipe, is_made_by, making_notes
from toonify.jobs.outcome import Outcome, guard, make_writable, open_source
from toonify.jobs.plan import Job, plan_jobs
from toonify.system.files import below, write_atomically
from toonify.system.json_data import decode_json
from toonify.system.pipeline import run_stages
from toonify.train.pictures import Folder, Folders
from toonify.version import __version__

PHOTO, DRAWING, MANIFEST = "photo", "drawing", "manifest.json"
_RECIPE = 2  # of the steps from photo to pair
_FORMER_RECIPE = 1  # the same steps, as toonify 0.1.0 told what they were taken with
_MAKER = "distill"


class Pair(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A line of the manifest."""

    name: str  # of both pictures, relative to their folders
    source: str  # the photo's path below the folder that was named
    size: int | None  # long side that it was drawn at; None: the photo's own


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is in a folder of pairs."""

    toonify: str
    teacher: str  # id and variant of the style
    weights: str  # what tells its network from all others
    drawn_with: str  # engine and type
    pairs: list[Pair]
    failed: dict[str, str]  # photos that are left out, and why


@dataclass(frozen=True)
class Task:
    """A photo that is to become a pair."""

    job: Job  # from the photo to the drawing
    photo: Path  # where the photo goes
    pair: Pair


@dataclass
class _Work:
    task: Task
    sketch: Sketch
    note: str
    style: Style
    drawing: Drawing | None = None

    @property
    def job(self) -> Job:
        return self.task.job


def plan_pairs(photos: Sequence[Found], folder: Path, plan: DrawingPlan, sizes: Sequence[int]) -> list[Task]:
    """Give each photo its names and its size: the n-th has the n-th of `sizes`, over and over."""
    jobs = plan_jobs(list(photos), output=folder / DRAWING, style=plan.style.card.id, format="png")
    tasks = []
    for number, (found, job) in enumerate(zip(photos, jobs, strict=True)):
        name = job.target.relative_to(folder / DRAWING)
        source = found.path if found.root is None else found.path.relative_to(found.root)
        size = sizes[number % len(sizes)] if sizes else plan.options.size
        pair = Pair(os.fspath(name), os.fspath(source), size)
        if not _is_utf8(pair.name + pair.source):
            job = replace(job, problem="its name is not UTF-8, which the list of pairs is; rename it")
            pair = Pair(display(name), display(source), size)
        tasks.append(Task(job, folder / PHOTO / name, pair))
    return tasks


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def missing(tasks: Sequence[Task], plan: DrawingPlan) -> int:
    """How many pairs are still to be made."""
    return sum(_read(task, plan) is None for task in tasks)


def draw_pairs(tasks: Sequence[Task], plan: DrawingPlan, teacher: Teacher | None) -> Generator[Outcome]:
    """Make the pairs that are not there, and yield what became of each, in order. No `teacher`: all are there.

    Reading, drawing and writing run at the same time. A photo that fails is an outcome; only KeyboardInterrupt and
    DiskFullError stop the rest, and then what is half done leaves no trace.
    """

    def read(task: Task) -> _Work | Outcome:
        outcome = _read(task, plan)
        if outcome is not None:
            return outcome
        if teacher is None:
            raise ImageError("its drawing has gone meanwhile; type the same command again")
        with open_source(task.job.source) as file:
            note = _notes(file, task, plan)[0]
            pixels = opaque(read_photo(file))
        style = teacher.style(task.pair.size)
        return _Work(task, style.prepare(pixels), note, style)

    def draw(work: _Work) -> _Work:
        work.drawing = work.style.draw(work.sketch)
        return work

    stages = [guard(step, memory_advice="draw it smaller with --sizes") for step in (read, draw, _write)]
    yield from run_stages(tasks, stages, on_stop=lambda: None if teacher is None else teacher.generator.cancel())


def _read(task: Task, plan: DrawingPlan) -> Outcome | None:
    """What is known of a task without doing it; None if it is to be done."""
    job = task.job
    if job.problem is not None:
        return Outcome(job.source, job.target, "failed", job.problem)
    there = [path for path in (task.photo, job.target) if os.path.lexists(path)]
    if not there:
        return None
    with open_source(job.source) as file:
        expected = _notes(file, task, plan)
    notes = [read_processing_note(path) or "" for path in there]
    if len(notes) == 2 and all(is_made_by(note, expected) for note in notes):
        return Outcome(job.source, job.target, "skipped", "already made in this way")
    if all(note.startswith("toonify ") and f" {_MAKER} " in note for note in notes):
        return None  # of another teacher, or half of a pair: ours to replace
    return Outcome(job.source, job.target, "failed", f"{display(there[0])} is another picture; give another --output")


def _write(work: _Work) -> Outcome:
    assert work.drawing is not None  # noqa: S101 - the stage before has drawn it
    task = work.task
    drawing = work.style.finish(work.sketch, work.drawing)
    for path, pixels in ((task.photo, work.sketch.small), (task.job.target, drawing)):
        make_writable(path.parent)
        write_atomically(path, encode_picture(pixels, format="png", note=work.note, compression=1), overwrite=True)
    height, width = drawing.shape[:2]
    return Outcome(task.job.source, task.job.target, "drawn", width=width, height=height)


def _notes(file: BufferedReader, task: Task, plan: DrawingPlan) -> list[str]:
    """What both pictures of a pair say of their making, and what they say if an earlier version made them."""
    recipes = [Recipe(_MAKER, _RECIPE, [identity(plan), task.pair.size])]
    if (former := former_identity(plan)) is not None:
        recipes.append(Recipe(_MAKER, _FORMER_RECIPE, [*former, task.pair.size]))
    return making_notes(file, *recipes)


def write_manifest(
    folder: Path, tasks: Sequence[Task], outcomes: Sequence[Outcome], plan: DrawingPlan, remark: str
) -> Manifest:
    """List what was made, and what drew it (`remark`). Raises ToonifyError if nothing was, OSError."""
    failed = {task.pair.source: one.reason for task, one in zip(tasks, outcomes, strict=True) if one.result == "failed"}
    made = [task.pair for task, one in zip(tasks, outcomes, strict=True) if one.result != "failed"]
    if not made:
        raise ToonifyError(f"none of the photos can be drawn; the first: {next(iter(failed.values()))}")
    manifest = Manifest(
        toonify=__version__,
        teacher=plan.style.label,
        weights=plan.style.digest,
        drawn_with=remark,
        pairs=made,
        failed=failed,
    )
    data = msgspec.json.format(msgspec.json.encode(manifest), indent=1)
    write_atomically(folder / MANIFEST, data, overwrite=True)
    return manifest


def read_manifest(folder: Path) -> Manifest | None:
    """The list of pairs of a folder; None if they are not all made. Raises ToonifyError if it is damaged."""
    path = folder / MANIFEST
    try:
        return decode_json(path.read_bytes(), type=Manifest)
    except FileNotFoundError:
        return None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ToonifyError(f"{display(path)} is damaged: {error}; take it away") from error


def pairs_of(folder: Path, manifest: Manifest) -> Folders:
    """The pairs as the loop takes them."""

    def pictures(kind: str) -> Folder:
        root = folder / kind
        return Folder(os.fspath(root), tuple(Found(below(root, pair.name), root) for pair in manifest.pairs))

    return Folders(pictures(PHOTO), pictures(DRAWING), None, "no", paired=True, own=True)
