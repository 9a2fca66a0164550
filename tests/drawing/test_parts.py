"""Work on a clip is kept part by part: whoever kills it, the same command goes on and gives the same file."""

import errno
import os
import random
import signal
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clips import make_clip, moving, names_in, packets_of, see
from videos import scene

from toonify import load_style
from toonify.cli import main
from toonify.drawing.moving.clip import draw_clip
from toonify.drawing.moving.options import ClipOptions
from toonify.drawing.moving.parts import Parts, Progress
from toonify.drawing.style import Style
from toonify.errors import ImageError
from toonify.videos.encoder import Packet, Stream

NOTE = 'toonify 1 tiny/original recipe:0123456789abcdef source:0123456789abcdef {"--codec":"h264"}'


class StoppedError(Exception):
    """Raised in the place of a kill."""


@pytest.fixture
def film(tmp_path: Path) -> Path:
    """Four scenes of 1.5 seconds each: a part for each."""
    frames = [frame for seed in range(4) for frame in moving(18, seed=seed)]
    return make_clip(tmp_path / "film.mp4", frames, sound=["aac"])


@pytest.fixture
def style(tiny_onnx: Path) -> Style:
    return load_style(str(tiny_onnx), device="cpu")


def draw(film: Path, target: Path, style: Style, stop_at: int | None = None) -> Any:
    def stop(frames: int, share: float) -> None:
        if frames == stop_at:
            raise StoppedError

    return draw_clip(film, target, style, ClipOptions(), note=NOTE, on_frame=stop)


def parts_of(target: Path) -> Path:
    return target.with_name(f".{target.name}.parts")


@pytest.mark.parametrize("stop_at", [1, 17, 18, 19, 36, 37, 55, 72])
def test_whatever_stops_it_the_rest_is_drawn_and_the_file_is_the_same(
    stop_at: int, film: Path, style: Style, tmp_path: Path
) -> None:
    whole, target = tmp_path / "whole.mp4", tmp_path / "target.mp4"
    draw(film, whole, style)
    with pytest.raises(StoppedError):
        draw(film, target, style, stop_at)
    assert not target.exists()
    assert draw(film, target, style).frames == 72
    assert target.read_bytes() == whole.read_bytes()
    assert names_in(tmp_path) == ["film.mp4", "target.mp4", "whole.mp4"]


def test_parts_that_are_drawn_are_not_drawn_again(
    film: Path, style: Style, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "target.mp4"
    with pytest.raises(StoppedError):
        draw(film, target, style, 60)
    calls, network = [0], style.draw

    def counted(sketch: Any, **more: Any) -> Any:
        calls[0] += 1
        return network(sketch, **more)

    monkeypatch.setattr(style, "draw", counted)
    draw(film, target, style)
    assert calls[0] == 18


@pytest.mark.parametrize("spoilt", ["part-000001", "state-000003", "recipe"])
def test_a_part_that_is_spoilt_is_drawn_anew(spoilt: str, film: Path, style: Style, tmp_path: Path) -> None:
    whole, target = tmp_path / "whole.mp4", tmp_path / "target.mp4"
    draw(film, whole, style)
    with pytest.raises(StoppedError):
        draw(film, target, style, 60)
    (parts_of(target) / spoilt).write_bytes(b"\x93nothing")
    draw(film, target, style)
    assert target.read_bytes() == whole.read_bytes() and not parts_of(target).exists()


def test_another_recipe_begins_anew(film: Path, style: Style, tmp_path: Path) -> None:
    target = tmp_path / "target.mp4"
    with pytest.raises(StoppedError):
        draw(film, target, style, 60)
    calls: list[int] = []
    other = NOTE.replace("0123456789abcdef", "f" * 16)
    draw_clip(film, target, style, ClipOptions(), note=other, on_frame=lambda frames, share: calls.append(frames))
    assert calls == list(range(1, 73))


def test_one_process_at_a_time_works_on_a_file(film: Path, style: Style, tmp_path: Path) -> None:
    target = tmp_path / "target.mp4"
    first = Parts(target, NOTE)
    with pytest.raises(ImageError, match="another toonify is drawing it; wait for that one, or give another output"):
        draw(film, target, style)
    first.leave()
    assert draw(film, target, style).frames == 72


def test_what_is_kept_comes_back_as_it_was(tmp_path: Path) -> None:
    parts = Parts(tmp_path / "a.mp4", NOTE)
    stream = Stream("h264", 85, 64, 48, Fraction(30000, 1001), 30000, Fraction(16, 15), is_srgb=True)
    progress = Progress(stream, (48, 64), frames=3, repeated=1, notes=["said"])
    progress.held.picture = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    packets = [Packet(0, 10, True, b"abc"), Packet(10, 10, False, b"")]
    parts.add(packets, progress)
    parts.leave()
    again = Parts(tmp_path / "a.mp4", NOTE)
    loaded = again.load()
    assert (loaded.stream, loaded.shown, loaded.frames, loaded.notes) == (stream, (48, 64), 3, ["said"])
    assert loaded.held.picture is not None and np.array_equal(loaded.held.picture, progress.held.picture)
    assert list(again.packets()) == packets
    again.remove()
    assert names_in(tmp_path) == []


def test_a_full_disk_ends_the_run_and_the_same_command_goes_on(
    film: Path, tiny_onnx: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    arguments = ["convert", str(film), "--style", str(tiny_onnx), "--device", "cpu", "-o", str(tmp_path / "b.mp4")]
    real, left = os.write, [5]

    def write(descriptor: int, data: bytes) -> int:
        if not left[0]:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        left[0] -= 1
        return real(descriptor, data)

    monkeypatch.setattr("toonify.system.files.os.write", write)
    assert main([*arguments, "--quiet"]) == 3
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "free some, then run the same command again" in error
    assert not (tmp_path / "b.mp4").exists() and parts_of(tmp_path / "b.mp4").exists()
    monkeypatch.undo()
    assert main(arguments) == 0
    assert len(see(tmp_path / "b.mp4").times) == 72


def _killed(film: Path, tiny_onnx: Path, tmp_path: Path, kills: int, signals: list[signal.Signals]) -> None:
    """Kill the command at random moments, then let it end: the file is that of an undisturbed run."""
    chance = random.Random(0)
    command = [sys.executable, "-m", "toonify", "convert", str(film), "--style", str(tiny_onnx), "--device", "cpu"]
    whole, target = tmp_path / "whole.mp4", tmp_path / "target.mp4"
    began = time.monotonic()
    subprocess.run([*command, "-o", str(whole)], check=True, capture_output=True)
    seconds = time.monotonic() - began
    for number in range(kills):
        with subprocess.Popen([*command, "-o", str(target)], stdout=-3, stderr=-3) as process:
            time.sleep(chance.uniform(0.3, 1.1) * seconds)
            process.send_signal(signals[number % len(signals)])
            process.wait()
        if target.exists():
            assert target.read_bytes() == whole.read_bytes()
            target.unlink()
    subprocess.run([*command, "-o", str(target)], check=True, capture_output=True)
    assert target.read_bytes() == whole.read_bytes()
    assert packets_of(target, "audio") == packets_of(film, "audio")
    assert {path.name for path in tmp_path.iterdir()} <= {film.name, "whole.mp4", "target.mp4"}


def test_kills_and_ctrl_c_lose_nothing(film: Path, tiny_onnx: Path, tmp_path: Path) -> None:
    _killed(film, tiny_onnx, tmp_path, 3, [signal.SIGKILL, signal.SIGINT])


@pytest.mark.long
def test_sixty_kills_lose_nothing(tiny_onnx: Path, tmp_path: Path) -> None:
    frames = [frame for seed in range(12) for frame in moving(30, 96, 128, seed=seed)]
    film = make_clip(tmp_path / "film.mp4", frames, sound=["aac"])
    _killed(film, tiny_onnx, tmp_path, 60, [signal.SIGKILL, signal.SIGKILL, signal.SIGINT])


def test_what_does_not_change_is_not_drawn_again(style: Style, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slides = [scene(seed, 64, 64) for seed in range(3) for _ in range(20)]
    source = make_clip(tmp_path / "a.mp4", slides)
    calls, network = [0], style.draw

    def counted(sketch: Any, **more: Any) -> Any:
        calls[0] += 1
        return network(sketch, **more)

    monkeypatch.setattr(style, "draw", counted)
    result = draw(source, tmp_path / "b.mp4", style)
    assert result.frames == 60 and result.repeated + calls[0] == 60 and calls[0] <= 9
    assert len(see(tmp_path / "b.mp4").times) == 60
