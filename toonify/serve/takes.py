"""Pictures at their full size, drawn by `convert`'s own code: the same bytes, metadata and words for what fails."""

import dataclasses
import io
import secrets
import shutil
import threading
import time
import zipfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from toonify.convert.local import SaveOptions, convert
from toonify.drawing import Style
from toonify.errors import ToonifyError, describe, one_line
from toonify.images.formats import FALLBACK, FORMAT_OF_SUFFIX, FORMATS, FormatName, FormatOption
from toonify.jobs.outcome import Outcome
from toonify.jobs.plan import Job
from toonify.serve.choice import Choice
from toonify.serve.studio import Studio
from toonify.serve.visitors import MOST_PHOTOS, RefusedError, ServedPhoto, Visitor

State = Literal["waiting", "drawing", "done", "failed", "cancelled"]
_MOST = 2 * MOST_PHOTOS  # takes of a visitor


@dataclass
class Take:
    """A picture that somebody wants to have."""

    id: str
    batch: str  # of what was asked for at once
    photo: ServedPhoto
    choice: Choice
    save: SaveOptions
    job: Job
    name: str  # of the file that is downloaded
    in_folder: bool  # whether it is written beside the folder that is served
    state: State = "waiting"
    reason: str = ""  # of what failed; of what was there already
    can_replace: bool = False  # whether something else is in its place
    size: tuple[int, int] = (0, 0)  # width and height of the picture
    notes: tuple[str, ...] = ()

    def record(self) -> dict[str, object]:
        """What the page is told."""
        return {
            "id": self.id,
            "batch": self.batch,
            "photo": self.photo.id,
            "name": self.name,
            "style": self.choice.style,
            "in_folder": self.in_folder,
            "state": self.state,
            "reason": self.reason,
            "can_replace": self.can_replace,
            "width": self.size[0],
            "height": self.size[1],
            "notes": self.notes,
        }


@dataclass
class _Desk:
    """The takes of a visitor."""

    takes: dict[str, Take] = field(default_factory=dict)
    version: int = 0  # counts up with each change


class Takes:
    """Draws what visitors take, one batch of like ones after the other, and keeps it until the visitor has gone."""

    def __init__(self, studio: Studio, root: Path) -> None:
        """`root`: a private folder for the pictures."""
        self._studio = studio
        self._root = root
        self._desks: dict[str, _Desk] = {}
        self._waiting: deque[tuple[_Desk, Take]] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="takes", daemon=True)
        self._thread.start()

    def ask(
        self,
        visitor: Visitor,
        photos: Iterable[ServedPhoto],
        choice: Choice,
        *,
        format: FormatOption,  # noqa: A002
        strip_metadata: bool,
        place: "Callable[[ServedPhoto], Job] | None" = None,
        overwrite: bool = False,
    ) -> list[Take]:
        """Let pictures be drawn, and return what will become of them. `place` says where, if not for a download.

        Raises RefusedError.
        """
        photos = list(photos)
        batch = secrets.token_urlsafe(8)
        folder = self._root / secrets.token_hex(8)
        taken: set[str] = set()
        with self._changed:
            desk = self._desks.setdefault(visitor.id, _Desk())
            if len(desk.takes) + len(photos) > _MOST:
                raise RefusedError("too many pictures at once; clear the list first")
            made = []
            for photo in photos:
                take_id = secrets.token_urlsafe(12)
                if place is None:
                    kind = _format(photo, format)
                    suffix = _suffix(photo, kind)
                    job = Job(photo.path, folder / (secrets.token_hex(8) + suffix), kind, photo.problem)
                    name = _free_name(f"{Path(photo.name).stem}_{choice.label}", suffix, taken)
                else:
                    job = place(photo)
                    name = job.target.name
                save = SaveOptions(strip_metadata=strip_metadata, overwrite=overwrite)
                take = Take(take_id, batch, photo, choice, save, job, name, in_folder=place is not None)
                desk.takes[take_id] = take
                self._waiting.append((desk, take))
                made.append(take)
            desk.version += 1
            self._changed.notify()
        return made

    def of(self, visitor: Visitor) -> tuple[int, list[Take]]:
        """A number that changes with them, and all takes of a visitor, the oldest first."""
        with self._changed:
            desk = self._desks.get(visitor.id)
            return (0, []) if desk is None else (desk.version, list(desk.takes.values()))

    def version(self, visitor: Visitor) -> int:
        """The number of `of`."""
        desk = self._desks.get(visitor.id)
        return 0 if desk is None else desk.version

    def find(self, visitor: Visitor, take_id: str) -> Take | None:
        """A take of this visitor."""
        desk = self._desks.get(visitor.id)
        return None if desk is None else desk.takes.get(take_id)

    def cancel(self, visitor: Visitor, ids: Iterable[str] | None = None) -> int:
        """Drop what is not done, all of it or some; how many. A picture that is being drawn leaves nothing behind."""
        with self._changed:
            desk = self._desks.get(visitor.id)
            if desk is None:
                return 0
            wanted = set(desk.takes) if ids is None else set(ids)
            stopped = [
                take for take in desk.takes.values() if take.id in wanted and take.state in ("waiting", "drawing")
            ]
            for take in stopped:
                take.state = "cancelled"
            desk.version += 1
            return len(stopped)

    def retry(self, visitor: Visitor, take_id: str, *, overwrite: bool) -> Take | None:
        """Draw again what failed or was cancelled; with `overwrite`, in the place of what is there."""
        with self._changed:
            desk = self._desks.get(visitor.id)
            take = None if desk is None else desk.takes.get(take_id)
            if desk is None or take is None or take.state not in ("failed", "cancelled"):
                return None
            # Another object: the one that was cancelled may still be under way.
            again = dataclasses.replace(
                take,
                state="waiting",
                reason="",
                can_replace=False,
                save=dataclasses.replace(take.save, overwrite=overwrite or take.save.overwrite),
            )
            desk.takes[take_id] = again
            self._waiting.append((desk, again))
            desk.version += 1
            self._changed.notify()
            return again

    def clear(self, visitor: Visitor) -> None:
        """Forget what is done, and the files of it that were not written beside the folder."""
        with self._changed:
            desk = self._desks.get(visitor.id)
            if desk is None:
                return
            for take in [take for take in desk.takes.values() if take.state not in ("waiting", "drawing")]:
                del desk.takes[take.id]
                if not take.in_folder:
                    take.job.target.unlink(missing_ok=True)
            desk.version += 1

    def forget(self, visitor: Visitor) -> None:
        """Drop all of a visitor who has gone."""
        self.cancel(visitor)
        self.clear(visitor)
        with self._changed:
            self._desks.pop(visitor.id, None)

    def close(self) -> None:
        """Drop what waits, and wait for what is under way."""
        with self._changed:
            self._closed = True
            self._waiting.clear()
            self._changed.notify_all()
        self._thread.join()
        shutil.rmtree(self._root, ignore_errors=True)

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._waiting and not self._closed:
                    self._changed.wait()
                if self._closed:
                    return
                _, first = self._waiting[0]
            under_way: deque[tuple[_Desk, Take]] = deque()
            try:
                style = self._studio.style(first.choice)
                for outcome in convert(self._alike(first, under_way), style, first.save):
                    desk, take = under_way.popleft()
                    self._settle(desk, take, outcome, style)
            except Exception as error:  # a style that cannot be opened, a full disk: of all that were to follow
                reason = str(error) if isinstance(error, ToonifyError) else one_line(error)
                if isinstance(error, OSError):
                    reason = describe(error)
                self._fail([*under_way, *self._alike_now(first)], reason)

    def _alike(self, first: Take, under_way: "deque[tuple[_Desk, Take]]") -> Iterator[Job]:
        """The jobs of takes that go with the first, as they are asked for."""
        while True:
            with self._changed:
                found = self._next(first)
                if found is None:
                    return
                desk, take = found
                take.state = "drawing"
                desk.version += 1
                under_way.append(found)
            yield take.job

    def _next(self, first: Take) -> tuple[_Desk, Take] | None:
        while self._waiting and not self._closed:
            _, take = self._waiting[0]
            if take.state == "waiting" and (take.choice, take.save) != (first.choice, first.save):
                return None
            found = self._waiting.popleft()
            if take.state == "waiting":
                return found
        return None

    def _alike_now(self, first: Take) -> list[tuple[_Desk, Take]]:
        found = []
        with self._changed:
            while (each := self._next(first)) is not None:
                found.append(each)
        return found

    def _fail(self, takes: Iterable[tuple[_Desk, Take]], reason: str) -> None:
        with self._changed:
            for desk, take in takes:
                if take.state != "cancelled":
                    take.state, take.reason = "failed", without_paths(reason, take.job)
                desk.version += 1

    def _settle(self, desk: _Desk, take: Take, outcome: Outcome, style: Style) -> None:
        with self._changed:
            if take.state == "cancelled":
                if outcome.result == "drawn":  # whoever cancelled it does not want it
                    take.job.target.unlink(missing_ok=True)
            elif outcome.result in ("drawn", "skipped"):
                take.state = "done"
                take.reason = outcome.reason
                take.size = outcome.output_width or 0, outcome.output_height or 0
                take.notes = outcome.notes
            else:
                take.state = "failed"
                take.can_replace = outcome.result == "kept"
                take.reason = without_paths(outcome.reason.partition("; --overwrite")[0], take.job)
            desk.version += 1


def without_paths(text: str, job: Job) -> str:
    """A reason in which no folder of this machine is named."""
    for path in (job.target, job.source, job.target.parent, job.source.parent):
        text = text.replace(str(path), path.name)
    return text.partition("; --debug")[0]


def _format(photo: ServedPhoto, format: FormatOption) -> FormatName:  # noqa: A002
    suffix = Path(photo.name).suffix.lower()
    return FORMAT_OF_SUFFIX.get(suffix, FALLBACK) if format == "same" else format


def _suffix(photo: ServedPhoto, kind: FormatName) -> str:
    """The photo's own suffix, in its own letters, where that is one of the format, as `convert` names its pictures."""
    suffix = Path(photo.name).suffix
    return suffix if suffix.lower() in FORMATS[kind].suffixes else FORMATS[kind].suffixes[0]


def _free_name(stem: str, suffix: str, taken: set[str]) -> str:
    name, number = stem + suffix, 2
    while name.casefold() in taken:
        name = f"{stem}_{number}{suffix}"
        number += 1
    taken.add(name.casefold())
    return name


class _Sink(io.RawIOBase):
    """What a zip is written to, to be sent on at once."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.parts.append(bytes(data))
        return len(self.parts[-1])


def zipped(files: Iterable[tuple[str, Path]]) -> Iterator[bytes]:
    """A zip of files under names of their own, part by part; pictures are packed as they are."""
    sink, taken = _Sink(), set[str]()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as archive:
        for wanted, path in files:
            stem, dot, ending = wanted.rpartition(".")
            name = _free_name(stem, dot + ending, taken)
            with (
                path.open("rb") as source,
                archive.open(zipfile.ZipInfo(name, time.localtime()[:6]), "w", force_zip64=True) as packed,
            ):
                while part := source.read(1 << 20):
                    packed.write(part)
                    yield b"".join(sink.parts)
                    sink.parts.clear()
    yield b"".join(sink.parts)
