"""What every batch of files has in common: what became of each, what is known without doing it, what may go wrong."""

import errno
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from io import BufferedReader
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from toonify.errors import DiskFullError, ImageError, ToonifyError, describe, display, no_space, one_line
from toonify.jobs.note import is_made_by, parse_note, read_note, what_is_there
from toonify.jobs.plan import AnyJob, ClipJob, Job
from toonify.system.files import write_atomically
from toonify.system.memory import ran_out

Result = Literal["drawn", "smoothed", "skipped", "kept", "incomplete", "failed"]


@dataclass(frozen=True)
class Outcome:
    """What became of one file."""

    source: Path
    target: Path
    result: Result  # drawn or smoothed; skipped: there already, made the same way; kept: another is there; incomplete:
    # drawn so far as the source is whole; failed
    reason: str = ""  # of skipped, kept, incomplete and failed
    notes: tuple[str, ...] = ()  # what the user should know of the source
    width: int | None = None  # of the source as it stands upright, in pixels
    height: int | None = None
    output_width: int | None = None  # of the picture, in pixels
    output_height: int | None = None
    seconds: float = 0.0  # of work on it; stages overlap, so the sum is more than the time that passed
    network_seconds: float = 0.0  # of these, in the network
    clip: Mapping[str, Any] = field(default_factory=dict)  # of a video: frames, codecs and the like, for `record`
    error: Exception | None = field(default=None, compare=False)  # for --debug, where it was not expected

    def record(self) -> dict[str, Any]:
        """The outcome for `--report`: plain values, paths as text."""
        record = {key: value for key, value in vars(self).items() if key not in ("error", "clip")} | {**self.clip}
        return {
            "input": os.fspath(record.pop("source")),
            "output": os.fspath(record.pop("target")),
            "outcome": record.pop("result"),
            **{key: round(value, 3) if isinstance(value, float) else value for key, value in record.items()},
        }


def examine(
    job: AnyJob,
    notes: Callable[[BufferedReader], Sequence[str]],
    *,
    overwrite: bool,
    follows: Mapping[str, Collection[str]] = MappingProxyType({}),
    formerly: Mapping[str, Any] = MappingProxyType({}),
) -> Outcome | None:
    """What is known of a job without doing it (failed, skipped, kept); None if it is to be done.

    `notes` gives the `making_notes` that the picture may have from the opened source; `follows` and `formerly` are for
    `what_is_there`.
    """
    if job.problem is not None:
        return Outcome(job.source, job.target, "failed", job.problem)
    if os.path.isdir(job.target):  # noqa: PTH112 - it bears names that are too long
        return Outcome(job.source, job.target, "failed", "a folder is in the place of its picture; give another output")
    if not os.path.lexists(job.target) or overwrite:
        return None
    try:
        with open_source(job.source) as file:
            expected = notes(file)
    except ImageError as error:
        return Outcome(job.source, job.target, "failed", str(error))
    note = read_note(job.target)
    if is_made_by(note, expected):
        return Outcome(job.source, job.target, "skipped", "already made in this way")
    # Of several that it may be, the one that it differs least from: in the fewest words.
    with_flags = [each for each in expected if (parsed := parse_note(each)) is not None and parsed.flags is not None]
    there = min((what_is_there(note, each, follows, formerly) for each in with_flags or expected[:1]), key=len)
    return Outcome(job.source, job.target, "kept", f"{there}; --overwrite replaces it, another output keeps both")


def open_source(path: Path) -> BufferedReader:
    """Open an input for reading. Raises ImageError."""
    try:
        return path.open("rb")
    except OSError as error:
        raise ImageError(f"cannot be read: {error.strerror}") from error


def make_writable(folder: Path) -> None:
    """Make the folder and try to write there, before a minute of work is lost on one that cannot be written."""
    folder.mkdir(parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))


def write_output(job: Job, data: bytes, *, overwrite: bool) -> Outcome | None:
    """Write a picture; the outcome where another one has appeared in its place meanwhile, else None."""
    try:
        write_atomically(job.target, data, overwrite=overwrite)
    except FileExistsError:
        reason = "another picture appeared in its place; --overwrite replaces it"
        return Outcome(job.source, job.target, "kept", reason)
    return None


def guard(function: Callable[[Any], Any], *, memory_advice: str) -> Callable[[Any], Any]:
    """A step that turns what goes wrong with one file into its outcome and lets finished ones pass.

    Takes a Job, an Outcome, or work under way, which has its job as `job`. Raises DiskFullError, which ends the run.
    """

    def guarded(item: Any) -> Any:
        if isinstance(item, Outcome):
            return item
        job = item if isinstance(item, Job | ClipJob) else item.job
        unexpected = None
        try:
            return function(item)
        except ToonifyError as error:
            reason = str(error)
        except OSError as error:
            reason = describe(error)
            if no_space(error):  # to draw all the others would be work for nothing
                raise DiskFullError(f"{display(job.target)} cannot be written: {reason}") from error
        except Exception as error:
            if ran_out(error):
                reason = f"not enough memory; {memory_advice}"
            else:
                unexpected = error
                reason = f"unexpected {type(error).__name__}: {one_line(error)}; --debug shows where"
        return Outcome(job.source, job.target, "failed", reason, error=unexpected)

    return guarded
