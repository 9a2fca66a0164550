"""What takes part in a comparison: styles that draw the photos, and folders of pictures that are finished already."""

import logging
import os
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from toonify.convert.local import Outcome, SaveOptions, convert, examine
from toonify.drawing import DrawingPlan, Style, choose_plan, load_plan
from toonify.engines.engine import Device, ran_on
from toonify.errors import UsageError, display
from toonify.images import read_photo, read_processing_note
from toonify.jobs.find import Found, find_photos, in_words
from toonify.jobs.plan import Job, plan_jobs
from toonify.pixels.arrays import Pixels
from toonify.styles.find import cards_in, find_style, shipped_styles
from toonify.system.waiting import waiting

_log = logging.getLogger(__name__)


_TIMED_PHOTOS = 5
_TURNS = 2


@dataclass(frozen=True)
class Candidate:
    """One of those that are compared: a style that toonify draws, or a folder of finished pictures."""

    name: str  # what tables call it
    plan: DrawingPlan | None = None
    folder: Path | None = None


@dataclass(frozen=True)
class Drawn:
    """A candidate's pictures."""

    pictures: dict[Path, Path]  # by photo
    failed: list[tuple[Path, str]]  # photos without a picture, and why
    runs_on: str | None = None  # device, engine and provider; None: the pictures were there


def find_candidates(names: Sequence[str]) -> list[Candidate]:
    """The candidates that a user names: styles as for `convert --style`, or folders of pictures.

    A style is drawn by the variant that its card puts first; "shinkai:original" names another. A folder with a style
    card in it is a style (a run), any other a folder of pictures, which are matched to the photos by their names.
    Raises UsageError for what is neither, and if two would be called the same; StyleError.
    """
    candidates = [_find_candidate(name) for name in names]
    called = [candidate.name for candidate in candidates]
    for name in called:
        if called.count(name) > 1:
            raise UsageError(f"two candidates are called {name}; rename a folder, or the id in a style's .json")
    return candidates


def _find_candidate(name: str) -> Candidate:
    path = Path(name)
    if name not in shipped_styles() and path.is_dir() and not cards_in(path):
        return Candidate(display(path.resolve().name), folder=path)
    style, _, variant = name.rpartition(":")
    if style and (style in shipped_styles() or os.path.lexists(style)) and not os.path.lexists(name):
        plan = choose_plan(style, variant=variant)
        return Candidate(f"{plan.style.card.id}-{variant}", plan=plan)
    # Not "auto", which may be another variant tomorrow: a comparison is of what it says.
    plan = choose_plan(name, variant=find_style(name).variant().name)
    return Candidate(plan.style.card.id, plan=plan)


def draw_candidate(
    candidate: Candidate,
    photos: Sequence[Found],
    folder: Path,
    *,
    among: Sequence[Found] | None = None,
    device: Device = "auto",
    on_outcome: Callable[[Outcome], None] = lambda outcome: None,
) -> Drawn:
    """Have the candidate's picture of every photo: drawn into `folder`/NAME as PNG, or found in its own folder.

    `among`: all photos that the candidate's folder may have pictures of, if `photos` are a choice of them.
    What `folder` has already from an earlier run is not drawn again. A drawing of toonify's in there that was made in
    another way (from other weights, say) is replaced; anything else is left alone, and its photo fails. Raises
    StyleError, DownloadError, DeviceError.
    """
    if candidate.plan is None:
        assert candidate.folder is not None  # noqa: S101 - one without a plan is a folder
        return _match(candidate.folder, photos, photos if among is None else among)
    style = load_plan(candidate.plan, device=device)
    # PNG: an encoder's losses are not the style's.
    jobs = plan_jobs(list(photos), output=folder / candidate.name, style=candidate.name, format="png")
    outdated = [job for job in jobs if _is_outdated(job, style.plan)]
    current = [job for job in jobs if job not in outdated]
    pictures, failed = {}, []
    for outcome in chain(convert(current, style, SaveOptions()), convert(outdated, style, SaveOptions(overwrite=True))):
        on_outcome(outcome)
        if outcome.result in ("drawn", "skipped"):
            pictures[outcome.source] = outcome.target
        else:
            failed.append((outcome.source, outcome.reason))
    return Drawn(pictures, failed, str(ran_on(style.engine)))


def _is_outdated(job: Job, plan: DrawingPlan) -> bool:
    """Whether a drawing of toonify's is in the job's place that was made from another photo or in another way."""
    outcome = examine(job, plan, SaveOptions())
    is_ours = (read_processing_note(job.target) or "").startswith("toonify ")
    return outcome is not None and outcome.result == "kept" and is_ours


def measure_speeds(
    candidates: Sequence[Candidate], photos: Sequence[Path], *, device: Device = "auto"
) -> dict[str, float]:
    """Megapixels of photos a second from decoded photo to finished picture, by the name of each style.

    The styles take turns, one network at a time, and the best turn of each counts: what else the machine does at one
    moment is then no style's own fault. Folders of pictures have no speed.
    """
    pixels = []
    for path in photos[:_TIMED_PHOTOS]:
        with path.open("rb") as file:
            pixels.append(read_photo(file).pixels)
    speeds: dict[str, float] = {}
    if not pixels:
        return speeds
    for _ in range(_TURNS):
        for candidate in candidates:
            if candidate.plan is not None:
                style = load_plan(candidate.plan.without_warning(), device=device)
                with waiting(_log, f"timing {candidate.name}"):
                    speeds[candidate.name] = max(speeds.get(candidate.name, 0.0), _speed(style, pixels))
    return speeds


def _speed(style: Style, pixels: Sequence[Pixels]) -> float:
    """Megapixels a second, after one drawing to warm up."""
    style(pixels[0])
    started = time.perf_counter()
    for photo in pixels:
        style(photo)
    megapixels = sum(photo.shape[0] * photo.shape[1] for photo in pixels) / 1e6
    return float(megapixels / (time.perf_counter() - started))


def _match(folder: Path, photos: Sequence[Found], among: Sequence[Found]) -> Drawn:
    """Find a finished picture for every photo: the same path below the folder, but for the suffix.

    Of photos that share such a path (`a.jpg`, `a.heic`) it is `a_heic` for those that `convert` calls so, and `a` for
    the one that is left; two that are left cannot be told apart.
    """
    pictures_of: dict[Path, list[Path]] = defaultdict(list)
    walked = find_photos([folder], drawings=True)
    if walked.others:
        _log.info("%s: %s pictures; not read: %s", display(folder), len(walked), in_words(walked.others))
    for found in walked:
        pictures_of[_name_below(found.path, folder)].append(found.path)
    sharing: dict[Path, list[Found]] = defaultdict(list)
    for photo in among:
        sharing[_name_of(photo)].append(photo)

    def has_its_own(photo: Found) -> bool:
        name = _name_with_suffix(photo)
        return name in pictures_of and name not in sharing

    pictures, failed = {}, []
    for photo in photos:
        name = _name_of(photo)
        rivals = sharing[name]
        if len(rivals) > 1 and has_its_own(photo):
            name, rivals = _name_with_suffix(photo), [photo]
        elif len(rivals) > 1:
            rivals = [rival for rival in rivals if not has_its_own(rival)]
        matches = pictures_of.get(name, [])
        if len(matches) == len(rivals) == 1:
            pictures[photo.path] = matches[0]
        elif len(matches) == 1:
            others = f"{len(rivals)} photos have the name of its picture"
            failed.append((photo.path, f"{others} in {display(folder)}; rename one of them"))
        else:
            count = f"{len(matches)} pictures" if matches else "no picture"
            failed.append((photo.path, f"{count} of that name in {display(folder)}"))
    return Drawn(pictures, failed)


def _name_below(path: Path, folder: Path) -> Path:
    """Where a picture lies below a folder, without its suffix. (One that cannot be listed stands for itself.)"""
    return path.relative_to(folder).parent / path.stem


def _name_of(photo: Found) -> Path:
    return _name_below(photo.path, photo.root or photo.path.parent)


def _name_with_suffix(photo: Found) -> Path:
    """What `convert` calls the second drawing of a name (`plan_jobs`)."""
    name = _name_of(photo)
    return name.with_name(f"{name.name}_{photo.path.suffix[1:].lower()}")
