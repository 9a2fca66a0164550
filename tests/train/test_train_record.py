"""The log of a run: nothing is lost, nothing is twice, whatever a crash or a resumed run does to it."""

import json
import math
import os
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from toonify.errors import ToonifyError
from toonify.train.record import EVENTS, Losses, Note, Record, Scores, read


def losses(step: int, **named: Any) -> Losses:
    return Losses(step, 1 + step // 10, "initialization", step / 2, 8.0, 2e-4, named or {"content": 1 / (1 + step)})


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "metrics.jsonl"


def fill(log: Path, steps: range, until_step: int | None = None) -> None:
    with Record.open(log, until_step=until_step) as record:
        for step in steps:
            record.add(losses(step))


def events(log: Path) -> list[Any]:
    """All events of all files in the order in which TensorBoard reads them."""
    from tensorboardX.proto.event_pb2 import Event

    found = []
    for path in sorted((log.parent / EVENTS).iterdir()):
        data = path.read_bytes()
        while data:
            (length,) = struct.unpack("<Q", data[:8])  # and a checksum of 4 bytes after it and after the event
            found.append(Event.FromString(data[12 : 12 + length]))
            data = data[16 + length :]
    return found


def test_entries_come_back_as_they_were(log):
    entries = [
        Losses(120, 3, "initialization", 61.2, 7.9, 2e-4, {"content": 0.41, "total": 1e-12}),
        Scores(500, 5, {"fid": 310.2, "kid": 0.081, "kid_spread": 0.01}),
        Note(40, 'photos/夏 "é" 🌊.jpg: damaged; left out'),
    ]
    with Record.open(log, until_step=None) as record:
        for number, entry in enumerate(entries, 1):
            record.add(entry)
            assert read(log) == entries[:number]  # at once
    assert [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()] == [
        {
            "step": 120,
            "epoch": 3,
            "phase": "initialization",
            "seconds": 61.2,
            "images_per_second": 7.9,
            "learning_rate": 2e-4,
            "losses": {"content": 0.41, "total": 1e-12},
        },
        {"step": 500, "epoch": 5, "evaluation": {"fid": 310.2, "kid": 0.081, "kid_spread": 0.01}},
        {"step": 40, "note": 'photos/夏 "é" 🌊.jpg: damaged; left out'},
    ]


def test_what_json_cannot_hold(log):
    with Record.open(log, until_step=None) as record:
        record.add(losses(1, generator=math.nan, content=math.inf, numpy=np.float32(0.5), text=1))
        record.add(Scores(2, 1, {"fid": -math.inf}))
        record.add(Note(3, os.fsdecode(b"photos/\xff\n.jpg: damaged \x1b[31m")))
    first, second, third = read(log)
    assert first == losses(1, generator=None, content=None, numpy=0.5, text=1)
    assert second == Scores(2, 1, {"fid": None})
    assert third == Note(3, "photos/??.jpg: damaged ?[31m")


@pytest.mark.parametrize("until", [0, 1, 20, 21, 39, 40, 1000])
def test_a_resumed_run_leaves_exactly_what_came_before(log, until):
    fill(log, range(1, 41))
    with Record.open(log, until_step=None) as record:  # notes may come late
        record.add(Note(20, "late"))
    fill(log, range(until + 1, until + 4), until_step=until)
    kept = [entry.step for entry in read(log) if isinstance(entry, Losses)]
    assert kept == [*range(1, min(until, 40) + 1), *range(until + 1, until + 4)]
    assert sum(isinstance(entry, Note) for entry in read(log)) == (until >= 20)


@pytest.mark.parametrize("until", [None, 3, 2])
@pytest.mark.parametrize("half", [b'{"step":4,"epoch":1,"lo', b'{"step":4,"note":"whole, but for its end"}', b"\0\0\0"])
def test_a_half_written_line_is_dropped(log, until, half):
    fill(log, range(1, 4))
    with log.open("ab") as file:
        file.write(half)
    assert [entry.step for entry in read(log)] == [1, 2, 3]
    fill(log, range(9, 10), until_step=until)
    assert [entry.step for entry in read(log)] == [*range(1, (until or 3) + 1), 9]
    assert half not in log.read_bytes()


def test_a_log_that_fits_is_not_rewritten(log):
    fill(log, range(1, 4))
    before = log.stat().st_ino
    fill(log, range(4, 6), until_step=3)
    assert log.stat().st_ino == before and len(read(log)) == 5


def test_a_cut_that_fails_leaves_the_log_as_it_was(log, monkeypatch):
    fill(log, range(1, 40))
    before = log.read_bytes()

    def interrupt(_descriptor: int) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", interrupt)
        with pytest.raises(KeyboardInterrupt):
            Record.open(log, until_step=10)
    assert log.read_bytes() == before
    assert sorted(path.name for path in log.parent.iterdir()) == [log.name, EVENTS]


@pytest.mark.parametrize(
    "line", [b"no JSON\n", b"\xff\n", b"[1]\n", b'{"step": "x", "note": "y"}\n', b"[" * 9999 + b"\n"]
)
def test_a_damaged_line_is_named(log, line):
    fill(log, range(1, 3))
    log.write_bytes(log.read_bytes() + line + log.read_bytes())
    for attempt in (lambda: read(log), lambda: Record.open(log, until_step=2)):
        with pytest.raises(ToonifyError, match=r"metrics.jsonl, line 3: no entry of a run"):
            attempt()


@pytest.mark.parametrize(
    "line", [b'{"step": 1}', b'{"step": 1, "note": "x", "color": 2}', b'{"step": 1, "losses": {}}']
)
def test_an_entry_of_another_kind_is_no_entry(log, line):
    log.write_bytes(line + b"\n")
    with pytest.raises(ToonifyError, match="line 1"):
        read(log)


def test_an_entry_is_whole_when_the_system_takes_it_in_pieces(log):
    class Pieces:
        def __init__(self) -> None:
            self.data = b""

        def write(self, data: memoryview) -> int:
            self.data += bytes(data[:7])
            return len(data[:7])

    class Nothing:
        def add(self, entry: Any) -> None: ...

    file = Pieces()
    Record(file, Nothing()).add(Note(1, "twenty-one characters"))
    assert file.data == b'{"step":1,"note":"twenty-one characters"}\n'


def test_a_full_disk_is_an_error_and_not_a_wait(log, monkeypatch):
    from tensorboardX.record_writer import RecordWriter

    def refuse(*_arguments: Any) -> None:
        raise OSError(28, "No space left on device")

    with Record.open(log, until_step=None) as record, monkeypatch.context() as patch:
        patch.setattr(RecordWriter, "write", refuse)
        for _ in range(20):
            with pytest.raises(OSError, match="No space left"):
                record.add(losses(1))


def test_tensorboard_gets_the_same(log):
    with Record.open(log, until_step=None) as record:
        record.add(losses(7, content=0.5, generator=math.nan))
        record.add(Scores(8, 1, {"fid": 300.25}))
        record.add(Note(9, "夏.jpg: left out"))
        assert len(events(log)) == 4  # at once, with the one that says what the file is
    version, first, second, third = events(log)
    assert version.file_version == "brain.Event:2"
    values = {value.tag: value.simple_value for value in first.summary.value}
    assert first.step == 7 and values.pop("losses/content") == 0.5 and math.isnan(values.pop("losses/generator"))
    assert values == {"run/epoch": 1, "run/images_per_second": 8, "run/learning_rate": pytest.approx(2e-4)}
    assert second.step == 8 and [(v.tag, v.simple_value) for v in second.summary.value] == [("evaluation/fid", 300.25)]
    assert third.step == 9 and third.summary.value[0].tensor.string_val == ["夏.jpg: left out".encode()]


def test_tensorboard_forgets_what_is_made_again(log):
    fill(log, range(1, 41))
    fill(log, range(21, 25), until_step=20)  # within the second that names of event files tell
    assert len(list((log.parent / EVENTS).iterdir())) == 2
    marks = [event for event in events(log) if event.HasField("session_log")]
    assert [(mark.step, mark.session_log.status) for mark in marks] == [(21, 1)]  # from here on, START


def test_tensorboard_itself_reads_it(log):
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator", reason="needs tensorboard")
    fill(log, range(1, 41))
    fill(log, range(21, 25), until_step=20)
    accumulator = reader.EventAccumulator(str(log.parent / EVENTS))
    accumulator.Reload()
    scalars = accumulator.Scalars("losses/content")
    assert [(scalar.step, scalar.value) for scalar in scalars] == [
        (step, pytest.approx(1 / (1 + step))) for step in range(1, 25)
    ]


def test_a_folder_that_cannot_be_made_leaves_no_file_open(log):
    (log.parent / EVENTS).write_bytes(b"")
    with pytest.raises(FileExistsError):
        Record.open(log, until_step=None)  # a file left open would be a warning, which is an error here


def test_torch_is_not_imported():
    script = (
        "import sys; from toonify.train import grid, page, record;"
        "print(sorted({'torch', 'tensorboardX', 'typer'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout == "[]\n"
