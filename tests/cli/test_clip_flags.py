"""Videos on the command line: which are drawn, what flags go together, and what is said."""

import errno
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clips import make_clip, moving, names_in, see
from PIL import Image

from toonify import load_style
from toonify.cli import main
from toonify.errors import ImageError, UsageError


@pytest.fixture
def convert(tiny_onnx: Path):
    def run(*arguments: Any) -> int:
        return main(["convert", *map(str, arguments), "--style", str(tiny_onnx)])

    return run


@pytest.fixture
def folder(tmp_path: Path, noise: np.ndarray) -> Path:
    (tmp_path / "in").mkdir()
    Image.fromarray(noise).save(tmp_path / "in" / "photo.png")
    for name in ("a.mp4", "b.mkv", "c.mov"):
        make_clip(tmp_path / "in" / name, moving(2))
    return tmp_path / "in"


def test_videos_in_a_folder_are_counted_and_drawn_if_asked_for(folder: Path, convert, capsys) -> None:
    assert convert(folder) == 0
    assert "3 videos (--videos draws them, too)" in capsys.readouterr().err
    drawn = folder.with_name("in_tiny")
    assert names_in(drawn) == ["photo.png"]
    assert convert(folder, "--videos") == 0
    assert names_in(drawn) == ["a.mp4", "b.mkv", "c.mov", "photo.png"]
    assert "3 drawn, 1 skipped" in capsys.readouterr().err


def test_drawings_beside_their_videos_are_no_inputs(folder: Path, convert, capsys) -> None:
    assert convert(folder / "a.mp4") == 0
    assert (folder / "a_tiny.mp4").exists()
    assert convert(folder, "--videos", "--dry-run") == 0
    assert "a_tiny.mp4 ->" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["a.mp4", "--start", "x"], "--start x: give seconds, or a time such as 1:02:03.5"),
        (["a.mp4", "--start", "2", "--end", "1"], "--end 1 is not after --start 2; give a later end"),
        (["a.mp4", "--preview", "2", "--end", "1"], "--preview takes seconds from the middle; drop it"),
        (["a.mp4", "--fps", "1/0"], "--fps 1/0: give frames a second"),
        (["a.mp4", "--fps", "0"], "--fps 0: give frames a second"),
        (["a.mp4", "--format", "png"], "--format png is for pictures"),
        (["a.mp4", "-o", "b.jpg"], "a video is not written in .jpg"),
        (["a.mp4", "-o", "b.webm", "--codec", "h264"], "does not hold h264; give --codec vp9, av1"),
        (["a.mp4", "b.mkv", "-o", "c.mp4"], "is one file"),
        (["a.mp4", "-o", "a.mp4"], "is the video itself; give another name"),
        (["photo.png", "--preview", "2"], "--preview is for videos"),
        (["photo.png", "--no-audio"], "--no-audio is for videos"),
    ],
)
def test_what_cannot_be_right_is_one_line(
    arguments: list[str], said: str, folder: Path, convert, capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    assert convert(*arguments) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1
    assert len(names_in(folder)) == 4


def test_a_dry_run_names_what_would_be_drawn(folder: Path, convert, capsys) -> None:
    assert convert(folder, "--videos", "--dry-run") == 0
    assert capsys.readouterr().out.count("would draw") == 4
    assert not folder.with_name("in_tiny").exists()


def test_a_dry_run_names_files_that_cannot_be_read(folder: Path, convert, capsys) -> None:
    (folder / "text.mp4").write_text("this is no video\n" * 90)
    (folder / "photo.png").rename(folder / "picture.mkv")
    (folder / "a.mp4").rename(folder / "film.jpg")
    assert convert(folder, "--videos", "--dry-run") == 1
    said = capsys.readouterr().out
    assert said.count("would draw") == 2 and said.count("failed (") == 3
    assert "failed (not a video that can be read: " in said
    assert "failed (a picture; give it the name of one" in said and "failed (a video; give it the name of one" in said


def test_a_video_is_no_stream(folder: Path, convert, capsys) -> None:
    assert convert(folder / "a.mp4", "-o", "-") == 2
    assert "is a video; give --output NAME.mp4" in capsys.readouterr().err


def test_python_draws_videos(folder: Path, tiny_onnx: Path, tmp_path: Path) -> None:
    style = load_style(str(tiny_onnx))
    result = style.video(str(folder / "a.mp4"), str(tmp_path / "new" / "b.webm"))
    assert (result.frames, result.problem) == (2, None) and len(see(tmp_path / "new/b.webm").times) == 2
    with pytest.raises(UsageError, match="is there already; overwrite=True replaces it"):
        style.video(folder / "a.mp4", tmp_path / "new" / "b.webm")
    assert style.video(folder / "b.mkv", tmp_path / "new" / "b.webm", overwrite=True).frames == 2
    with pytest.raises(ImageError):
        style.video(tiny_onnx, tmp_path / "c.mp4")


def test_a_report_has_frames_and_codecs(folder: Path, convert, tmp_path: Path) -> None:
    assert convert(folder / "a.mp4", "--report", tmp_path / "r.json", "--codec", "h265") == 0
    (record,) = json.loads((tmp_path / "r.json").read_text())["files"]
    assert (record["outcome"], record["frames"], record["frames_dropped"]) == ("drawn", 2, 0)
    assert 0 < record["network_seconds"] < record["seconds"]
    assert (record["video_codec"], record["output_video_codec"]) == ("h264", "h265")


def test_shards_share_the_videos(folder: Path, convert) -> None:
    for number in (1, 2):
        assert convert(folder, "--videos", "--shard", f"{number}/2") == 0
    assert names_in(folder.with_name("in_tiny")) == ["a.mp4", "b.mkv", "c.mov", "photo.png"]


def test_several_styles_have_a_file_each(folder: Path, tiny_onnx: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    arguments = ["convert", str(folder / "a.mp4"), "-o", str(out), "--style", str(tiny_onnx)]
    assert main([*arguments, "--look", "soft", "--look", "drawn"]) == 0
    files = sorted(path.relative_to(out) for path in out.rglob("*.mp4"))
    assert len(files) == 2 and all(len(see(out / path).times) == 2 for path in files)


def test_a_link_to_a_video_is_drawn_and_left_alone(folder: Path, convert, tmp_path: Path) -> None:
    (tmp_path / "link.mp4").symlink_to(folder / "a.mp4")
    assert convert(tmp_path / "link.mp4") == 0
    assert (tmp_path / "link.mp4").is_symlink() and len(see(tmp_path / "link_tiny.mp4").times) == 2


def test_a_folder_that_cannot_be_written_is_named(
    folder: Path, convert, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    def refuse(folder: Path) -> None:  # root may write anywhere
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))

    monkeypatch.setattr("toonify.convert.clips.make_writable", refuse)
    assert convert(folder / "a.mp4", "-o", tmp_path / "out") == 1
    assert f"{tmp_path / 'out'}; choose another place for the output" in capsys.readouterr().err
