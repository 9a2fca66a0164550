"""The log of a run: a line of JSON for each entry in metrics.jsonl, and the same for TensorBoard."""

import math
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import msgspec

from toonify.errors import ToonifyError, display
from toonify.system.files import write_atomically
from toonify.system.json_data import decode_json

EVENTS = "tensorboard"  # the folder beside the log that TensorBoard is pointed at

Number = float | None  # what is not finite, JSON cannot hold: in the file it is null, and None when read again


class Losses(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How training went in the steps up to `step`."""

    step: int
    epoch: int
    phase: str
    seconds: Number  # of training so far
    images_per_second: Number
    learning_rate: Number
    losses: Mapping[str, Number]


class Scores(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an evaluation measured, by name; `kid_spread` is the standard deviation of `kid`."""

    step: int
    epoch: int
    evaluation: Mapping[str, Number]


class Note(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What happened on the way, in a line."""

    step: int
    note: str


Entry = Losses | Scores | Note
_KINDS: dict[str, type[Entry]] = {"losses": Losses, "evaluation": Scores, "note": Note}  # by the field only they have


class _Step(msgspec.Struct):
    """The one field that all entries have."""

    step: int


_STEP = msgspec.json.Decoder(_Step)
_ENCODER = msgspec.json.Encoder(enc_hook=float)  # NumPy's and PyTorch's numbers are welcome too


class Record:
    """The log of a run that goes on; every entry is in the file, whole, when `add` returns."""

    def __init__(self, file: BinaryIO, events: "_EventFile") -> None:
        self._file = file
        self._events = events

    @classmethod
    def open(cls, path: Path, *, until_step: int | None) -> Self:
        """Open a log for appending, and make it if there is none.

        A run that is resumed at `until_step` makes later entries again, so those that are there are cut off, as is a
        last line that a crash left half-written; the file is replaced in one go. Raises OSError, and ToonifyError if a
        line is damaged otherwise.
        """
        if path.exists():
            _cut(path, until_step)
        file = path.open("ab", buffering=0)  # a buffer would try to write again, on closing, what had no space
        try:
            return cls(file, _EventFile(path.parent / EVENTS, until_step))
        except BaseException:
            file.close()
            raise

    def add(self, entry: Entry) -> None:
        """Append an entry. Raises OSError, as where the disk is full."""
        if isinstance(entry, Note):  # it may name files, and those may be called anything
            entry = Note(entry.step, display(entry.note))
        line = memoryview(_ENCODER.encode(entry) + b"\n")
        while line:
            line = line[self._file.write(line) :]
        self._events.add(entry)

    def close(self) -> None:
        """Close the files; the log takes no more entries."""
        try:
            self._events.close()
        finally:
            self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def read(path: Path) -> list[Entry]:
    """All entries of a log but a half-written last one. Raises OSError, and ToonifyError if a line is damaged."""
    return [_decoded(path, number, line) for number, line in enumerate(_whole_lines(path), 1)]


def _decoded(path: Path, number: int, line: bytes) -> Entry:
    try:
        values = decode_json(line)
        kind = next((kind for field, kind in _KINDS.items() if field in values), Note)
        return msgspec.convert(values, kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, TypeError) as error:
        raise _damaged(path, number) from error


def _cut(path: Path, until_step: int | None) -> None:
    """Rewrite a log without the entries after `until_step` and without a half-written last line, if there are any."""
    limit = math.inf if until_step is None else until_step
    kept = bytearray()
    for number, line in enumerate(_whole_lines(path), 1):
        try:
            step = _STEP.decode(line).step
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise _damaged(path, number) from error
        if step <= limit:
            kept += line
    if len(kept) != path.stat().st_size:
        write_atomically(path, bytes(kept), overwrite=True)


def _whole_lines(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        yield from (line for line in file if line.endswith(b"\n"))


def _damaged(path: Path, number: int) -> ToonifyError:
    return ToonifyError(
        f"{display(path)}, line {number}: no entry of a run; take that line out, or the file away to start a new one"
    )


class _EventFile:
    """The entries of one process as TensorBoard reads them.

    Written at once, entry by entry. tensorboardX's own SummaryWriter leaves it to a thread: when that dies of a full
    disk, the queue before it fills up, and training waits for ever.
    """

    def __init__(self, folder: Path, until_step: int | None) -> None:
        # Only here, for with them comes PyTorch.
        from tensorboardX.event_file_writer import EventsWriter
        from tensorboardX.proto.event_pb2 import Event, SessionLog
        from tensorboardX.proto.summary_pb2 import Summary
        from tensorboardX.summary import text

        self._event: Any = Event
        self._summary: Any = Summary
        self._text: Any = text
        folder.mkdir(parents=True, exist_ok=True)
        # TensorBoard reads files in the order of their names, which start with the second they were made in. The path
        # is absolute because one like `s3:runs` would be sent to a server.
        prefix = os.path.join(folder.absolute(), "events")  # noqa: PTH118 - tensorboardX takes text
        self._writer: Any = EventsWriter(prefix, f".{time.time_ns()}")
        if until_step is not None:
            self._write(until_step + 1, session_log=SessionLog(status=SessionLog.START))  # forget all from here on
        self._writer.flush()

    def add(self, entry: Entry) -> None:
        """Append what an entry says."""
        if isinstance(entry, Note):
            summary = self._text("note", entry.note)
        else:
            value = self._summary.Value
            summary = self._summary(value=[value(tag=tag, simple_value=number) for tag, number in _scalars(entry)])
        self._write(entry.step, summary=summary)
        self._writer.flush()

    def close(self) -> None:
        """Close the file."""
        self._writer.close()

    def _write(self, step: int, **what: Any) -> None:
        self._writer.write_event(self._event(wall_time=time.time(), step=step, **what))


def _scalars(entry: Losses | Scores) -> Iterator[tuple[str, float]]:
    """An entry's numbers by the names that TensorBoard shows them under."""
    numbers: dict[str, Number]
    if isinstance(entry, Scores):
        numbers = {f"evaluation/{name}": score for name, score in entry.evaluation.items()}
    else:
        numbers = {f"losses/{name}": loss for name, loss in entry.losses.items()}
        for name in ("epoch", "images_per_second", "learning_rate"):
            numbers[f"run/{name}"] = getattr(entry, name)
    for tag, number in numbers.items():
        yield tag, math.nan if number is None else float(number)
