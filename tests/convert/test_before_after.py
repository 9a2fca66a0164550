"""`convert --before-after`: the photo beside its drawing, as one picture."""

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from toonify import load_style
from toonify.cli import main
from toonify.convert.local import SaveOptions, _PhotoMemory
from toonify.images import encode_picture
from toonify.jobs.plan import Job
from toonify.pixels.layout import placed, side_by_side

GAP = 2  # pixels, of pictures as small as these


@pytest.fixture
def convert(tiny_onnx: Path):
    def run(*arguments: Any) -> int:
        return main(["convert", *map(str, arguments), "--before-after", "--style", str(tiny_onnx)])

    return run


def read(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def halves(picture: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    width = (picture.shape[1] - GAP) // 2
    assert (picture[:, width : width + GAP, :3] == 255).all() or (picture[:, width : width + GAP, 3] == 0).all()
    return picture[:, :width], picture[:, width + GAP :]


@pytest.mark.parametrize("turned", [False, True])
def test_the_photo_is_left_and_its_drawing_right(turned: bool, tmp_path: Path, noise, tiny_onnx: Path, convert) -> None:
    pixels = np.ascontiguousarray(noise.swapaxes(0, 1)) if turned else noise
    Image.fromarray(pixels).save(tmp_path / "cat.png")
    assert convert(tmp_path / "cat.png", "--quiet") == 0
    left, right = halves(read(tmp_path / "cat_tiny.png"))
    assert np.array_equal(left, pixels)
    assert np.array_equal(right, load_style(str(tiny_onnx), device="cpu")(pixels))


@pytest.mark.parametrize(("size", "expected"), [("drawn", (48, 64)), ("320", (240, 320)), ("32", (24, 32))])
def test_both_have_the_size_of_the_result(size: str, expected, photo: Path, convert, tmp_path: Path) -> None:
    assert convert(photo, "--output-size", size, "-o", tmp_path / "out.png", "-q") == 0
    height, width = expected
    gap = max(2, round(0.008 * width))
    assert read(tmp_path / "out.png").shape == (height, 2 * width + gap, 3)


def test_transparency_is_on_both_sides_and_between(noise: np.ndarray, tmp_path: Path, convert, capsys) -> None:
    alpha = np.full(noise.shape[:2], 255, np.uint8)
    alpha[:24] = 90
    Image.fromarray(np.dstack([noise, alpha])).save(tmp_path / "clear.png")
    assert convert(tmp_path / "clear.png", "-q") == 0
    left, right = halves(read(tmp_path / "clear_tiny.png"))
    assert np.array_equal(left[..., 3], alpha) and np.array_equal(right[..., 3], alpha)
    assert convert(tmp_path / "clear.png", "--format", "jpg", "-o", tmp_path / "flat") == 0
    assert "its transparency was laid on white" in capsys.readouterr().err
    assert read(tmp_path / "flat" / "clear.jpg").shape == (48, 2 * 64 + GAP, 3)


def test_metadata_tells_of_the_whole_picture(noise: np.ndarray, tmp_path: Path, convert) -> None:
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "Maker", 6
    exif.get_ifd(0x8769)[0xA002] = 64
    Image.fromarray(noise).save(tmp_path / "turned.jpg", exif=exif)
    assert convert(tmp_path / "turned.jpg", "-q") == 0
    with Image.open(tmp_path / "turned_tiny.jpg") as image:
        found = image.getexif()
        assert image.size == (2 * 48 + GAP, 64)
        assert (found[0x010F], found[0x0112]) == ("Maker", 1)
        assert found.get_ifd(0x8769)[0xA002] == 2 * 48 + GAP


def test_it_is_another_picture_than_the_drawing_alone(photo: Path, convert, tiny_onnx: Path, tmp_path: Path) -> None:
    report = tmp_path / "report.json"

    def outcome() -> str:
        (file,) = json.loads(report.read_text())["files"]
        return file["outcome"]

    assert convert(photo, "-q", "--report", report) == 0 and outcome() == "drawn"
    assert convert(photo, "-q", "--report", report) == 0 and outcome() == "skipped"
    assert main(["convert", str(photo), "-q", "--style", str(tiny_onnx), "--report", str(report)]) == 0
    assert outcome() == "kept"


@pytest.mark.parametrize(("name", "width", "limit"), [("a.jpg", 32_750, 65_500), ("a.webp", 8_192, 16_383)])
def test_a_picture_beyond_its_formats_limit_is_one_line(
    name: str, width: int, limit: int, tmp_path: Path, convert, capsys
) -> None:
    Image.new("RGB", (width, 2)).save(tmp_path / name)
    assert convert(tmp_path / name, "-q") == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and f"({limit} a side); choose --format png" in said
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert convert(tmp_path / name, "-q", "--format", "png") == 0


def test_it_goes_through_stdin_and_stdout(photo: Path, tiny_onnx: Path, noise: np.ndarray) -> None:
    command = [sys.executable, "-m", "toonify", "convert", "-", "--before-after", "--style", str(tiny_onnx)]
    done = subprocess.run(command, input=photo.read_bytes(), capture_output=True)
    assert done.returncode == 0, done.stderr
    left, _ = halves(read(io.BytesIO(done.stdout)))
    assert np.array_equal(left, noise)


@pytest.mark.parametrize("options", [["--raw"], ["--strength", "0"], ["--strength", "2"], ["--size", "full"]])
def test_it_goes_with_every_way_of_drawing(options: list[str], photo: Path, convert, noise: np.ndarray) -> None:
    assert convert(photo, *options, "-q") == 0
    left, right = halves(read(photo.with_name("cat_tiny.png")))
    assert np.array_equal(left, noise) and np.array_equal(left, right) == ("0" in options)


def test_memory_is_counted_for_two_pictures(tiny_onnx: Path) -> None:
    memory = _PhotoMemory(10**9, load_style(str(tiny_onnx)), pictures=2)
    job = Job(Path("a.png"), Path("b.png"), "png")
    memory.take(job, io.BytesIO(encode_picture(np.zeros((75, 100, 3), np.uint8), format="png")))
    assert memory._taken[job] == 12 * 2 * 75 * 100
    assert not SaveOptions().before_after


def test_pictures_lie_at_their_places_on_white() -> None:
    one, two = np.zeros((2, 3, 3), np.uint8), np.full((1, 1, 3), 9, np.uint8)
    sheet = placed([(one, 0, 0), (two, 3, 4)])
    assert sheet.shape == (4, 5, 3) and (sheet[:2, :3] == 0).all() and (sheet[3, 4] == 9).all()
    assert (sheet == 255).sum() == 3 * (20 - 6 - 1)
    assert placed([(two[..., 0], 0, 0)], size=(3, 3), ground=7).sum() == 9 + 8 * 7
    with pytest.raises(ValueError, match="have one size"):
        side_by_side(one, two)
