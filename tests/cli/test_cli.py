"""The command line as a user meets it: help, errors, exit codes, what it imports."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from toonify.cli import main


def run(*arguments: Any, **options: Any) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([sys.executable, "-m", "toonify", *map(str, arguments)], capture_output=True, **options)


@pytest.fixture
def photo(tmp_path: Path, noise: np.ndarray) -> Path:
    Image.fromarray(noise).save(tmp_path / "cat.jpg")
    return tmp_path / "cat.jpg"


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--help"],
        ["convert", "--help"],
        ["sheet", "--help"],
        ["styles", "--help"],
        ["styles", "show", "-h"],
        ["export", "--help"],
        ["fid", "--help"],
        ["evaluate", "--help"],
        ["study", "--help"],
        ["doctor", "--help"],
        ["--version"],
    ],
)
def test_help_is_there(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) in (0, 2) and capsys.readouterr().out.strip()


def test_the_exit_codes_are_documented(capsys: pytest.CaptureFixture[str]) -> None:
    main(["convert", "--help"])
    said = " ".join(capsys.readouterr().out.split())
    for part in ("0 all good", "1 some files failed", "130 interrupted"):
        assert part in said


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["convert"], "INPUT"),
        (["convert", "x.jpg"], "--style is missing; choose one of hayao, hosoda, paprika, shinkai, or give a path"),
        (["train", "--arch", "gan"], "Invalid value for '--arch': 'gan' is not one of"),
        (["convert", "{photo}", "--style", "sinkai"], "shinkai"),
        (["convert", "gone.jpg", "--style", "shinkai"], "gone.jpg: no such file"),
        (["convert", "{empty}", "--style", "shinkai"], "no photos in"),
        (["convert", "{photo}", "--stile", "shinkai"], "--style"),
        (["convert", "{photo}", "--style", "shinkai", "--format", "jpeg2000"], "jpeg2000"),
        (
            ["convert", "{photo}", "--style", "shinkai", "--keep-color", "2"],
            "--keep-color 2: give a number from 0 to 1",
        ),
        (["convert", "{photo}", "--style", "shinkai", "--size", "big"], "--size big"),
        (["convert", "{photo}", "--style", "shinkai", "--output-size", "huge"], "--output-size huge"),
        (["convert", "{photo}", "--style", "shinkai", "--quality", "0"], "--quality"),
        (["convert", "{photo}", "--style", "shinkai", "--format", "png", "--quality", "9"], "--quality is for jpg"),
        (["convert", "{photo}", "--style", "shinkai", "--device", "tpu"], "--device"),
        (["convert", "{photo}", "--style", "shinkai", "--variant", "heavy"], "choose --variant lite or original"),
        (["convert", "{photo}", "{empty}", "--style", "shinkai", "--output", "{photo}"], "--output"),
        (["convert", "-", "{photo}", "--style", "shinkai"], "goes with no other input"),
        (["convert", "{photo}", "--style", "x" * 300], "name too long"),
        (["convert", "{photo}", "--style", "shinkai", "--max-megapixels", "inf"], "--max-megapixels"),
        (["convert", "{photo}", "--style", "shinkai", "--dry-run", "--report", "r.json"], "--report"),
        (["convert", "-", "--style", "shinkai", "--report", "r.json"], "--report"),
        (["convert", "-", "--style", "shinkai", "-o", "{empty}"], "give the name of a picture"),
        (["convert", "-", "--style", "shinkai", "-o", "there"], "ends in one of"),
        (["convert", "{empty}", "--style", "shinkai", "-o", "-"], "is a folder; give one photo"),
        (["convert", "{photo}", "--style", "shinkai", "--raw", "--detail", "1"], "--detail 1 shows only where"),
        (["convert", "{photo}", "--style", "SHINKEI"], "is it shinkai?"),
        (["convert", "{photo}", "--style", "gone.onnx"], "gone.onnx: no such file;"),
        (["styles", "show", "sinkai"], "shinkai"),
        (["styles", "pull"], "--all"),
        (["export", "shinkai", "net.pth"], ".onnx"),
        (["paint"], "paint"),
    ],
)
def test_a_command_line_that_cannot_be_right_is_one_line_and_code_2(
    arguments: list[str], named: str, photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    code = main([argument.format(photo=photo, empty=tmp_path / "empty") for argument in arguments])
    said = capsys.readouterr()
    assert code == 2 and said.out == ""
    assert said.err.count("\n") == 1 and said.err.startswith("error: ") and named in said.err


def test_a_style_that_cannot_be_fetched_is_one_line_and_code_3(photo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["convert", str(photo), "--style", "shinkai", "--variant", "original"]) == 3
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "HF_HUB_OFFLINE" in said


def test_debug_shows_the_traceback(photo: Path, tmp_path: Path) -> None:
    done = run(
        "convert",
        photo,
        "--style",
        "shinkai",
        "--variant",
        "original",
        "--debug",
        env={**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "hf")},
    )
    assert done.returncode != 0 and b"Traceback" in done.stderr and b"DownloadError" in done.stderr


def test_stdin_to_stdout(photo: Path, tiny_onnx: Path) -> None:
    done = run("convert", "-", "--style", tiny_onnx, input=photo.read_bytes())
    assert done.returncode == 0, done.stderr
    with Image.open(io.BytesIO(done.stdout)) as drawing:
        assert drawing.size == (64, 48) and drawing.format == "JPEG"
    done = run("convert", "-", "--style", tiny_onnx, "--format", "png", input=b"no photo")
    assert done.returncode == 1 and done.stdout == b"" and b"stdin: not a picture" in done.stderr


@pytest.mark.skipif(os.name != "posix", reason="needs a POSIX shell")
def test_a_picture_is_alone_on_stdout_where_stderr_is_closed(photo: Path, tiny_onnx: Path) -> None:
    words = [sys.executable, "-m", "toonify", "convert", "-", "--style", str(tiny_onnx)]
    done = subprocess.run(["sh", "-c", '"$@" 2>&-', "sh", *words], input=photo.read_bytes(), stdout=subprocess.PIPE)
    assert done.returncode == 0
    with Image.open(io.BytesIO(done.stdout)) as drawing:
        assert drawing.size == (64, 48)


def test_the_first_line_says_what_really_runs(photo: Path, tiny_onnx: Path) -> None:
    done = run("convert", photo, "--style", tiny_onnx, "--device", "cpu")
    first = done.stderr.decode().splitlines()[0]
    assert first.startswith("tiny (original), look soft, at up to 64 px on cpu, ONNX Runtime")
    assert first.endswith("CPUExecutionProvider")


@pytest.mark.parametrize(
    "arguments", [["--help"], ["styles"], ["styles", "license"], ["convert", "{photo}", "--style", "{onnx}"]]
)
def test_torch_is_not_imported(arguments: list[str], photo: Path, tiny_onnx: Path) -> None:
    words = [argument.format(photo=photo, onnx=tiny_onnx) for argument in arguments]
    script = (
        "import sys; from toonify.cli import main; code = main(sys.argv[1:]);"
        "known = {'torch', 'torchvision', 'onnxscript'} | ({'onnx'} if not sys.argv[-1].endswith('.onnx') else set());"
        "heavy = sorted(known & set(sys.modules));"  # a network by others is looked at before it is opened
        "sys.exit(f'imported {heavy}' if heavy else code)"
    )
    done = subprocess.run([sys.executable, "-c", script, *words], capture_output=True)
    assert done.returncode == 0, done.stderr


def test_importing_toonify_imports_nothing_heavy() -> None:
    script = "import sys, toonify; print(sorted({'torch', 'numpy', 'PIL', 'cv2', 'typer'} & set(sys.modules)))"
    assert subprocess.check_output([sys.executable, "-c", script]) == b"[]\n"


def test_styles_lists_shows_and_licenses(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["styles"]) == 0
    listed = capsys.readouterr().out
    assert all(
        name in listed
        for name in ("shinkai", "hayao", "hosoda", "paprika", "original", "44.5 MB", "lite", "3.5 MB", "MIT")
    )
    assert main(["styles", "show", "shinkai"]) == 0
    shown = capsys.readouterr().out
    assert (
        "clear blue contours, flat surfaces in 7 steps of light, vivid colors" in shown and "fingerprint" not in shown
    )
    assert main(["styles", "show", "SHINKAI", "--json"]) == 0
    card = json.loads(capsys.readouterr().out)
    assert card["variants"]["original"]["weights"]["revision"] == "d162ca947aab5aa943c3586bda550812831d5cf4"
    assert main(["styles", "license", "hayao"]) == 0
    assert "MIT" in capsys.readouterr().out
    assert main(["styles", "verify"]) == 0
    assert capsys.readouterr().out.count("not fetched yet") == 4


def test_pull_and_verify(tiny_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["styles", "pull", str(tiny_run)]) == 0
    assert main(["styles", "verify", str(tiny_run)]) == 0
    assert "agrees with it" in capsys.readouterr().out


def test_export_writes_a_style_that_convert_takes(tiny_run: Path, photo: Path, tmp_path: Path) -> None:
    target = tmp_path / "mine.onnx"
    assert main(["export", str(tiny_run), str(target)]) == 0
    assert main(["export", str(tiny_run), str(target)]) == 2
    assert main(["convert", str(photo), "--style", str(target), "--output", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out" / "cat.jpg").exists()


def test_doctor_names_what_it_looked_at(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 0
    said = capsys.readouterr().out
    assert all(subject in said for subject in ("Python", "PyTorch", "ONNX Runtime", "CUDA", "cache", "styles", "hub"))


@pytest.mark.skipif(sys.platform != "linux", reason="counts on nameless files, which Linux has")
@pytest.mark.parametrize("kind", [signal.SIGKILL, signal.SIGINT])
def test_a_run_that_is_ended_leaves_whole_pictures_and_the_rerun_finishes(
    kind: signal.Signals, tmp_path: Path, tiny_onnx: Path, noise: np.ndarray
) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for i in range(40):
        Image.fromarray(np.kron(np.roll(noise, i, 1), np.ones((8, 8, 1), np.uint8))).save(photos / f"{i:02}.png")
    drawn = tmp_path / "photos_tiny"
    process = subprocess.Popen(
        [sys.executable, "-m", "toonify", "convert", photos, "--style", tiny_onnx],
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    while not (drawn.is_dir() and any(drawn.iterdir())):
        time.sleep(0.005)
        assert process.poll() is None
    process.send_signal(kind)
    said = process.communicate(timeout=60)[1].decode()
    assert process.returncode == (130 if kind == signal.SIGINT else -kind)
    assert "Traceback" not in said
    if kind == signal.SIGINT:
        assert "interrupted with" in said
    left = sorted(drawn.iterdir())
    assert 1 <= len(left) < 40 and all(path.name == f"{path.stem}.png" for path in left)
    for path in left:
        with Image.open(path) as image:
            image.load()
    done = run("convert", photos, "--style", tiny_onnx)
    assert done.returncode == 0 and f"{40 - len(left)} drawn, {len(left)} skipped" in done.stderr.decode()


def test_doctor_finds_both_onnxruntime_wheels_and_says_what_to_type(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("toonify.doctor.installed_version", lambda name: "1.0" if name != "toonify" else None)
    assert main(["doctor"]) == 1
    said = capsys.readouterr().out
    assert "both installed and overwrite each other" in said and "pip uninstall -y onnxruntime onnxruntime-gpu" in said


def test_a_reader_that_has_read_enough_is_no_error() -> None:
    command = f"{sys.executable} -m toonify styles | head -1"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True)
    assert done.stderr == b"" and done.stdout.startswith(b"name")


@pytest.mark.parametrize("arguments", ["styles", "styles show shinkai", "convert --help", "version", "styles verify"])
def test_every_command_ends_alike_where_nobody_reads(arguments: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([sys.executable, "-m", "toonify", *arguments.split()], stdout=writer, stderr=subprocess.PIPE)
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_stdout_is_one_line() -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run([sys.executable, "-m", "toonify", "styles"], stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 3 and done.stderr.decode().count("\n") == 1 and b"no space" in done.stderr


def test_bare_toonify_is_help_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "Commands" in (said := capsys.readouterr()).out and said.err == ""


def test_a_table_into_a_pipe_has_a_line_for_each_variant() -> None:
    lines = run("styles", env={**os.environ, "COLUMNS": "30"}).stdout.decode().splitlines()
    assert len(lines) == 9 and any(line.startswith("paprika") and "deep contrast" in line for line in lines)


def test_former_names_of_options_and_commands_are_taken_and_not_told_of(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["styles", "licence", "shinkai"]) == 0
    told = capsys.readouterr().out
    assert main(["styles", "license", "shinkai"]) == 0
    assert capsys.readouterr().out == told
    for former, name in (("--licence", "--license"), ("--optimiser", "--optimizer")):
        assert main(["distill", "--teacher", "nothing", "--photos", "nowhere", f"{former}=none"]) == 2
        assert "No such option" not in capsys.readouterr().err
        assert main(["distill", "--help"]) == 0
        help_text = capsys.readouterr().out
        assert name in help_text and former not in help_text
