"""- in the place of a name: stdin, stdout, or both."""

import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from toonify.cli import main


@pytest.fixture
def photo(tmp_path: Path, noise: np.ndarray) -> Path:
    path = tmp_path / "cat.png"
    Image.fromarray(noise).save(path)
    return path


def convert(*arguments: Any, stdin: bytes = b"") -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "toonify", "convert", *map(str, arguments)]
    return subprocess.run(command, input=stdin, capture_output=True)


def test_all_ways_through_give_the_same_pixels(photo: Path, tiny_onnx: Path, tmp_path: Path) -> None:
    style = ("-s", tiny_onnx, "-q")
    piped = convert("-", *style, stdin=photo.read_bytes())
    to_stdout = convert(photo, *style, "-o", "-")
    to_file = convert("-", *style, "-o", tmp_path / "x.png", stdin=photo.read_bytes())
    assert [each.returncode for each in (piped, to_stdout, to_file)] == [0, 0, 0]
    assert convert(photo, *style, "-o", tmp_path / "usual.png").returncode == 0
    files = [io.BytesIO(piped.stdout), io.BytesIO(to_stdout.stdout), tmp_path / "x.png"]
    usual = np.asarray(Image.open(tmp_path / "usual.png"))
    assert all(np.array_equal(np.asarray(Image.open(file)), usual) for file in files)
    assert not Path("-").exists() and to_file.stdout == b""


def test_the_suffix_chooses_the_format_and_nothing_is_replaced(photo: Path, tiny_onnx: Path, tmp_path: Path) -> None:
    target = tmp_path / "x.webp"
    command = ("-", "-s", tiny_onnx, "-o", target)
    assert convert(*command, stdin=photo.read_bytes()).returncode == 0
    before = target.read_bytes()
    with Image.open(target) as picture:
        assert picture.format == "WEBP"
    again = convert(*command, stdin=photo.read_bytes())
    assert again.returncode == 2 and b"--overwrite replaces it" in again.stderr and target.read_bytes() == before
    assert convert(*command, "--overwrite", "--strength", 0, stdin=photo.read_bytes()).returncode == 0
    assert target.read_bytes() != before
    assert b"do not agree" in convert(*command, "--overwrite", "--format", "png", stdin=b"").stderr


def test_what_is_no_picture_is_named_and_leaves_nothing(tiny_onnx: Path, tmp_path: Path) -> None:
    done = convert("-", "-s", tiny_onnx, "-q", "-o", tmp_path / "x.png", stdin=b"no picture")
    assert done.returncode == 1 and done.stderr.startswith(b"error: stdin: ") and not (tmp_path / "x.png").exists()
    done = convert(tmp_path / "gone.jpg", "-s", tiny_onnx, "-q", "-o", "-")
    assert (done.returncode, done.stdout) == (1, b"") and b"gone.jpg: cannot be read: No such file" in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["prepare", "{photo}", "-"],
        ["smooth-edges", "{photo}", "-"],
        ["sheet", "{photo}", "-o", "-"],
        ["evaluate", "shinkai", "--photos", "{photo}", "--cartoons", "{photo}", "-o", "-"],
        ["study", "build", "shinkai", "hayao", "--photos", "{photo}", "--reference", "{photo}", "-o", "-"],
        ["train", "--arch", "cyclegan", "--output", "-", "--dry-run"],
        ["distill", "--teacher", "shinkai", "--output", "-", "--dry-run"],
        ["export", "shinkai", "-"],
    ],
)
def test_what_writes_folders_makes_none_of_that_name(
    arguments: list[str], photo: Path, tmp_path, monkeypatch, capsys
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([each.format(photo=photo) for each in arguments]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and " -" in said and not Path("-").exists()
