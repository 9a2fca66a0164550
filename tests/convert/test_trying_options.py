"""Trying options in one place: what differs is named, once, before anything is fetched or made ready."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import ExifTags, Image

from toonify.cli import main
from toonify.images import read_processing_note


@pytest.fixture
def photos(tmp_path: Path, noise: np.ndarray) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(3):
        Image.fromarray(np.roll(noise, number, axis=0)).save(folder / f"{number}.jpg")
    return folder


def draw(photos: Path, style: Path, *options: Any) -> int:
    return main(["convert", str(photos), "-s", str(style), *map(str, options)])


def nothing_is_opened(*_: Any, **__: Any) -> None:
    raise AssertionError("a network was opened")


def test_other_options_are_named_once_and_no_network_is_opened(
    photos: Path, tiny_onnx: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert draw(photos, tiny_onnx, "--strength", 0.5) == 0
    capsys.readouterr()
    monkeypatch.setattr("toonify.drawing.load.open_drawer", nothing_is_opened)
    assert draw(photos, tiny_onnx, "--size", 32) == 0
    *files, summary, reason = capsys.readouterr().err.splitlines()
    assert len(files) == 3 and all(line.startswith("kept: ") and "(" not in line for line in files)
    assert summary.startswith("0 drawn, 3 kept in ")
    assert reason == (
        "  3 kept: it was made from the same file with other options (--size 64 there, 32 now; "
        "--strength 0.5 there, 1 now); --overwrite replaces it, another output keeps both"
    )


def test_a_finished_folder_needs_no_network(
    photos: Path, tiny_onnx: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert draw(photos, tiny_onnx) == 0
    monkeypatch.setattr("toonify.drawing.load.open_drawer", nothing_is_opened)
    assert draw(photos, tiny_onnx) == 0
    assert "0 drawn, 3 skipped" in capsys.readouterr().err


def test_what_is_new_is_drawn_and_the_report_keeps_the_order(photos: Path, tiny_onnx: Path, tmp_path: Path) -> None:
    assert draw(photos, tiny_onnx) == 0
    (tmp_path / "photos_tiny" / "1.jpg").unlink()
    report = tmp_path / "report.json"
    assert draw(photos, tiny_onnx, "--report", report) == 0
    files = json.loads(report.read_text())["files"]
    assert [Path(each["input"]).name for each in files] == ["0.jpg", "1.jpg", "2.jpg"]
    assert [each["outcome"] for each in files] == ["skipped", "drawn", "skipped"]


def test_a_picture_of_another_photo_is_told_from_one_with_other_options(
    photos: Path, tiny_onnx: Path, noise: np.ndarray, capsys: pytest.CaptureFixture[str]
) -> None:
    assert draw(photos, tiny_onnx) == 0
    Image.fromarray(255 - noise).save(photos / "0.jpg")
    assert draw(photos, tiny_onnx) == 0
    assert "1 kept: a picture is in its place that toonify made from another file; " in capsys.readouterr().err


def test_a_note_names_the_options_and_no_path(photos: Path, tiny_onnx: Path, tmp_path: Path) -> None:
    assert draw(photos, tiny_onnx, "--look", "bold") == 0
    note = read_processing_note(tmp_path / "photos_tiny" / "0.jpg") or ""
    assert '"--look":"bold"' in note and '"--format":"jpg"' in note and str(tmp_path) not in note
    assert note.isascii() and len(note) < 1000, "longer values may be dropped where EXIF is short of space"


def test_only_the_look_is_named_where_the_rest_follows_from_it(
    photos: Path, tiny_onnx: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert draw(photos, tiny_onnx) == 0
    assert draw(photos, tiny_onnx, "--look", "bold") == 0
    assert "other options (--look soft there, bold now);" in capsys.readouterr().err


def test_a_picture_that_only_the_other_variant_has_made_is_not_settled(tiny_run: Path, photos: Path) -> None:
    """The network that is asked for may turn out not to be had; then the picture is the right one."""
    import dataclasses

    from toonify.convert.local import SaveOptions, convert, settled
    from toonify.drawing import load_plan
    from toonify.drawing.plan import choose_plan
    from toonify.jobs.find import find_photos
    from toonify.jobs.plan import plan_jobs

    other = choose_plan(str(tiny_run))
    wanted = dataclasses.replace(choose_plan(str(tiny_run), strength=0.5), instead=other)
    jobs = plan_jobs(find_photos([photos]), output=None, style="tiny")
    list(convert(jobs, load_plan(other), SaveOptions()))
    assert settled(jobs, wanted, SaveOptions()) == []
    assert [each.result for each in settled(jobs, dataclasses.replace(wanted, instead=None), SaveOptions())] == [
        "kept"
    ] * 3


def test_the_notes_of_the_first_version_are_no_strangers(photos: Path, tiny_onnx: Path, tmp_path: Path, capsys) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.ProcessingSoftware] = "toonify 0.1.0 tiny/original recipe:0123456789abcdef"
    (tmp_path / "photos_tiny").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "photos_tiny" / "0.jpg", exif=exif)
    assert draw(photos, tiny_onnx) == 0
    assert "that toonify made from another file or with other options; --overwrite" in capsys.readouterr().err


def test_both_sizes_are_told(photos: Path, tiny_onnx: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = tmp_path / "report.json"
    assert draw(photos, tiny_onnx, "--output-size", "32", "--report", report) == 0
    assert capsys.readouterr().err.count("(64 x 48 to 32 x 24, ") == 3
    first = json.loads(report.read_text())["files"][0]
    assert (first["width"], first["height"], first["output_width"], first["output_height"]) == (64, 48, 32, 24)


def test_a_picture_larger_than_photos_may_be_is_refused_before_it_is_drawn(
    photos: Path, tiny_onnx: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert draw(photos, tiny_onnx, "--output-size", "50000") == 1
    said = capsys.readouterr().err
    assert "its picture would have 50000 x 37500 pixels, more than 250 megapixels; give a smaller --output-size" in said
    assert draw(photos, tiny_onnx, "--output-size", "100", "--max-megapixels", "0.005") == 1  # the photos have 0.003
    assert "more than 0.005 megapixels" in capsys.readouterr().err
    assert draw(photos, tiny_onnx, "--output-size", "100") == 0


@pytest.mark.parametrize(
    ("options", "told"), [((), "look soft"), (("--look", "bold"), "look bold"), (("--raw",), "raw")]
)
def test_the_first_line_names_the_look(
    options: tuple[str, ...], told: str, photos: Path, tiny_onnx: Path, capsys
) -> None:
    assert draw(photos, tiny_onnx, "--dry-run", *options) == 0
    assert capsys.readouterr().err.startswith(f"tiny (original), {told}, at ")


def test_a_dry_run_tells_the_style_and_the_totals(photos: Path, tiny_onnx: Path, capsys) -> None:
    assert draw(photos, tiny_onnx, "--dry-run") == 0
    said = capsys.readouterr()
    assert said.out.count("would draw") == 3
    assert said.err == "tiny (original), look soft, at up to 64 px: would draw 3\n"


@pytest.mark.parametrize("workers", [1, 5])
def test_workers_change_nothing_in_the_pictures(workers: int, photos: Path, tiny_onnx: Path, tmp_path: Path) -> None:
    for name, options in (("a", ()), ("b", ("--workers", workers))):
        assert draw(photos, tiny_onnx, "-o", tmp_path / name, *options) == 0
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()
