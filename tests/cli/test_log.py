"""What the library says on the way: logged, and printed by the command line unless it is to be quiet."""

import io
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from toonify import load_style
from toonify.cli import main
from toonify.cli.log import log_to_stderr
from toonify.system.waiting import waiting

LIBRARY = logging.getLogger("toonify")


@pytest.fixture(autouse=True)
def unchanged() -> Iterator[None]:
    """A command leaves neither handlers nor levels behind."""
    before = LIBRARY.level, list(LIBRARY.handlers)
    yield
    assert (LIBRARY.level, list(LIBRARY.handlers)) == before


def convert(photo: Path, style: Path, *more: str) -> int:
    return main(["convert", str(photo), "--style", str(style), "--device", "cpu", "--overwrite", *more])


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_shows_what_is_waited_for_and_keeps_how_long_it_took(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = Terminal()
    monkeypatch.setattr("sys.stderr", shown)
    monkeypatch.setenv("TERM", "xterm")
    log = logging.getLogger("toonify.test")
    with log_to_stderr():
        with waiting(log, "preparing it", done="prepared it"), waiting(log, "its first half"):
            pass
        with pytest.raises(ValueError, match="no"), waiting(log, "opening it"):
            raise ValueError("no")
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown.getvalue())
    assert "preparing it 0:00:00" in text and "opening it 0:00:00" in text
    assert re.findall("prepared it in [0-9]+ s", text) == ["prepared it in 0 s"]
    assert shown.getvalue().count("\x1b[?25l") == shown.getvalue().count("\x1b[?25h")  # the cursor is back


@pytest.mark.parametrize("more", [(), ("--quiet",)])
def test_what_takes_time_is_told_unless_quiet(
    more: tuple[str, ...], photo: Path, tiny_run: Path, capsys: pytest.CaptureFixture[str], monkeypatch
) -> None:
    monkeypatch.setattr("toonify.networks.export.export_onnx", lambda *arguments, **options: pytest.fail("made"))
    monkeypatch.setattr("toonify.networks.cache.hub.cache_folder", lambda: photo.parent / "cache")
    with pytest.raises(pytest.fail.Exception):
        convert(photo, tiny_run, *more)
    said = capsys.readouterr().err
    assert said == ("" if more else "preparing tiny (original) for this machine, once\n")


def test_the_library_prints_nothing(
    tiny_onnx: Path, noise, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    load_style(str(tiny_onnx), device="cpu")(noise)
    assert capsys.readouterr() == ("", "") and caplog.messages == []


def test_a_warning_is_printed_even_if_quiet(
    photo: Path, tiny_onnx: Path, capsys: pytest.CaptureFixture[str], monkeypatch
) -> None:
    """What was asked for is not what is done: that is not to be missed."""
    from toonify.errors import DeviceError

    def broken(*arguments: Any) -> None:
        raise DeviceError("no card")

    monkeypatch.setattr("toonify.drawing.open.choose_device", lambda device, backend: "cuda")
    monkeypatch.setattr("toonify.drawing.open._open_on_cuda", broken)
    assert main(["convert", str(photo), "--style", str(tiny_onnx), "--quiet"]) == 0
    assert capsys.readouterr().err == "CUDA is not used: no card\n"
