"""Photos in several styles and looks: a batch of jobs for each combination, drawn one batch after the other."""

import contextlib
import os
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from toonify.drawing import Combination, DrawingPlan
from toonify.engines.engine import RanOn
from toonify.errors import DeviceError, StyleError, UsageError, display
from toonify.images import FORMAT_OF_SUFFIX, VIDEO_SUFFIXES
from toonify.images.formats import FormatOption
from toonify.jobs.find import Found
from toonify.jobs.outcome import Outcome
from toonify.jobs.plan import AnyJob, ClipJob, Job, path_key, plan_clips, plan_jobs, target_among_photos
from toonify.videos.formats import CodecName


@dataclass
class Batch:
    """The photos and videos in one combination of style and look, and what became of them."""

    combination: Combination
    jobs: list[Job]
    clips: list[ClipJob] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    ran_on: Sequence[RanOn] = ()
    plan: DrawingPlan = field(init=False)  # what was drawn: not the combination's own where that could not be had
    problem: str | None = field(init=False)  # why nothing, or not all, was drawn, where that is not for a single file

    def __post_init__(self) -> None:
        self.plan = self.combination.plan
        self.problem = None if self.combination.problem is None else str(self.combination.problem)

    @property
    def all_jobs(self) -> list[AnyJob]:
        """Photos, and then videos."""
        return [*self.jobs, *self.clips]


def plan_batches(
    found: list[Found],
    combinations: Sequence[Combination],
    *,
    inputs: Iterable[Path],
    output: Path | None,
    format: FormatOption = "same",  # noqa: A002
    codec: CodecName = "h264",
) -> list[Batch]:
    """Give every photo and video an output path of its own in every combination.

    One combination is planned as `plan_jobs` does, under the style's name. Of several, each has its label in the
    place of that name, or a folder of that name in `output`: `photos_STYLE-LOOK/a.jpg`, `cat_STYLE-LOOK.jpg` or
    `OUTPUT/STYLE-LOOK/...`.

    Raises UsageError if `output` cannot serve, and if pictures of several combinations would have one place, or one
    among the photos, where the next run would draw them.
    """
    photos = [each for each in found if not each.is_video]
    clips = [each for each in found if each.is_video]

    def planned(combination: Combination, folder: Path | None, style: str) -> Batch:
        jobs = plan_jobs(photos, output=folder, style=style, format=format) if photos else []
        return Batch(combination, jobs, plan_clips(clips, output=folder, style=style, codec=codec))

    if len(combinations) == 1:
        (only,) = combinations
        return [planned(only, output, only.plan.style.card.id)]
    _check_folder(output, len(combinations))
    batches = [planned(each, None if output is None else output / each.label, each.label) for each in combinations]
    taken: set[str] = set()
    for batch in batches:
        if (target := target_among_photos(batch.all_jobs, inputs, output=output)) is not None:
            raise UsageError(
                f"{display(target)} would lie among the photos, and the next run would draw it too; "
                "give an --output folder of its own"
            )
        for job in batch.all_jobs:
            if path_key(job.target) in taken:
                raise UsageError(
                    f"{display(job.target)} would be the place of two pictures; give an --output folder, in which "
                    "every style and look has a folder of its own"
                )
        taken.update(path_key(job.target) for job in batch.all_jobs)
    return batches


def _check_folder(output: Path | None, count: int) -> None:
    """Raise UsageError if the pictures of several combinations have no room in `output`."""
    if output is None or os.path.isdir(output):  # noqa: PTH112 - Path.is_dir raises for a long name
        return
    if output.suffix.lower() in FORMAT_OF_SUFFIX.keys() | VIDEO_SUFFIXES:
        raise UsageError(f"--output {display(output)} is one file, and {count} pictures are asked for; give a folder")
    if os.path.lexists(output):
        raise UsageError(f"--output {display(output)} is a file; give a folder")


def draw_batches(
    batches: Sequence[Batch],
    draw: Callable[[Batch], Generator[Outcome]],
    on_problem: Callable[[Batch], None] = lambda batch: None,
) -> Generator[Outcome]:
    """Draw one batch after the other, so that one network is open at a time, and yield what became of each photo.

    `draw` loads the style of a batch and draws its jobs. If the style cannot be had (StyleError, DeviceError), or a
    file of it was found missing before, the batch has that as its `problem`, `on_problem` is called, and the others
    are drawn; further looks of the same style are not tried.
    """
    missing: dict[str, str] = {}  # problem of each style that cannot be had
    for batch in batches:
        name = batch.combination.name
        batch.problem = batch.problem or missing.get(name)
        if batch.problem is None:
            try:
                with contextlib.closing(draw(batch)) as outcomes:
                    for outcome in outcomes:
                        batch.outcomes.append(outcome)
                        yield outcome
            except (StyleError, DeviceError) as error:
                batch.problem = missing[name] = str(error)
        if batch.problem is not None:
            on_problem(batch)
