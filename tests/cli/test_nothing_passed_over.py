"""What lies in folders and is not read is counted by every command that walks, and what cannot be entered is named."""

import errno
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from samples import DATA

from toonify.cli import main
from toonify.errors import UsageError
from toonify.evaluate.candidates import Candidate, draw_candidate
from toonify.jobs.find import find_photos, in_words
from toonify.metrics.sets import find_set
from toonify.study.sources import find_answers
from toonify.train.pictures import find_folder, find_pictures
from toonify.train.start import describe_folder

OTHERS = "1 video, 1 raw file, 1 hidden picture or folder, 2 other files"


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """Three pictures, and files of every other kind, in a folder and one below it."""
    folder = tmp_path / "mixed"
    (folder / "below").mkdir(parents=True)
    pixels = np.random.default_rng(0).integers(0, 256, (40, 48, 3), dtype=np.uint8)
    for number, name in enumerate(("a.png", "b.png", "below/c.png")):
        Image.fromarray(np.roll(pixels, 7 * number, axis=1)).save(folder / name)
    for name in ("clip.MP4", "below/photo.dng", "notes.txt", "below/Thumbs.db", "._a.png", ".DS_Store"):
        (folder / name).write_bytes(b"nothing")
    return folder


def test_other_files_are_counted_by_kind(mixed: Path) -> None:
    found = find_photos([mixed])
    assert [photo.path.name for photo in found] == ["a.png", "b.png", "c.png"]
    assert in_words(found.others) == OTHERS
    assert in_words(find_photos([mixed], recursive=False).others) == (
        "1 video, 1 hidden picture or folder, 1 other file"
    )
    assert in_words(find_photos([mixed / "a.png"]).others) == ""


def test_where_there_is_no_photo_at_all_the_error_says_what_there_is(tmp_path: Path) -> None:
    (tmp_path / "clip.mov").touch()
    with pytest.raises(UsageError, match=r"not read: 1 video$"):
        find_photos([tmp_path])


@pytest.mark.parametrize("leave_out", [None, Path("not there yet")])
def test_folders_whose_paths_are_too_long_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, leave_out: Path | None
) -> None:
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (8, 8)).save("a.png")
    folder = os.open(".", os.O_RDONLY)
    for _ in range(22):  # 22 x 200 bytes are more than a path may have
        os.mkdir("n" * 200, dir_fd=folder)
        deeper = os.open("n" * 200, os.O_RDONLY, dir_fd=folder)
        os.close(folder)
        folder = deeper
    os.close(folder)
    found = find_photos([tmp_path], leave_out=leave_out)
    assert found[0].path.name == "a.png" and len(found) == 2
    assert found[1].problem is not None and "File name too long" in found[1].problem


@pytest.mark.parametrize("leave_out", [None, Path("not there yet")])
def test_a_folder_that_cannot_be_looked_at_is_named(
    mixed: Path, monkeypatch: pytest.MonkeyPatch, leave_out: Path | None
) -> None:
    """As below a folder of mode 444, which can be listed and not entered."""
    stat = Path.stat

    def deny(path: Path, **options: bool) -> os.stat_result:
        if path.name == "below":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return stat(path, **options)

    monkeypatch.setattr(Path, "stat", deny)
    *_, last = find_photos([mixed], leave_out=leave_out)
    assert (last.path, last.problem) == (mixed / "below", "cannot be opened: Permission denied")


def test_convert_counts_them(mixed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    others = OTHERS.replace("1 video", "1 video (--videos draws them, too)")
    assert main(["convert", str(mixed), "-s", "shinkai", "-o", str(tmp_path / "out"), "--dry-run"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"3 photos; not read: {others}"
    arguments = ["convert", str(mixed), "-s", "shinkai", "-o", str(tmp_path / "out"), "--strength", "0"]
    assert main(arguments) == 0
    assert capsys.readouterr().err.splitlines()[-1].endswith(f"; not read: {others}")


def test_smooth_edges_and_prepare_count_them(mixed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["smooth-edges", str(mixed), str(tmp_path / "smooth"), "--size", "16"]) == 0
    assert capsys.readouterr().err.splitlines()[-1].endswith(f"; not read: {OTHERS}")
    assert main(["prepare", "photos", str(mixed), str(tmp_path / "set"), "--size", "16"]) == 1  # the clip is none
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.endswith("; not read: 1 raw file, 1 hidden picture or folder, 2 other files")


def test_sets_to_measure_and_to_train_on_count_them(mixed: Path) -> None:
    assert find_set(str(mixed)).others == OTHERS
    first, *_ = describe_folder("photos", find_folder(str(mixed), "--photos"), 16)
    assert first == f"photos: 3 in {mixed}; not read: {OTHERS}"


def test_photos_to_evaluate_and_to_show_are_counted_in_the_log(mixed: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", "toonify"):
        assert len(find_pictures(str(mixed), "--sample-photos")) == 3
        assert len(find_pictures(str(mixed), "--eval-photos")) == 3
    said = [record.getMessage() for record in caplog.records]
    assert said == [f"{name}-photos: 3 in {mixed}; not read: {OTHERS}" for name in ("sample", "eval")]


def test_a_sheet_counts_them(mixed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--styles", "shinkai", "--looks", "soft", "--size", "64", "-o", str(tmp_path / "sheet.png")]
    assert main(["sheet", str(mixed), *words]) == 0
    assert f"3 photos; not read: {OTHERS}" in capsys.readouterr().err.splitlines()


def test_folders_of_candidates_are_counted_in_the_log(mixed: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", "toonify"):
        drawn = draw_candidate(Candidate("ours", folder=mixed), list(find_photos([mixed])), mixed / "none")
    assert len(drawn.pictures) == 3
    assert [record.getMessage() for record in caplog.records] == [f"{mixed}: 3 pictures; not read: {OTHERS}"]


def closed(path: Path) -> OSError:
    return PermissionError(errno.EACCES, "Permission denied", os.fspath(path))


def test_what_lies_in_a_folder_that_may_not_be_entered_is_said_to_be_hidden_and_not_absent(
    mixed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tests may run as root, who may enter all folders."""
    real = Path.stat
    hidden = mixed / "closed"

    def stat(path: Path, **options: bool) -> os.stat_result:
        if hidden in path.parents:
            raise closed(path)
        return real(path, **options)

    monkeypatch.setattr(Path, "stat", stat)
    (found,) = find_photos([hidden / "a.jpg"])
    assert found.problem == "cannot be opened: Permission denied"
    with pytest.raises(UsageError, match=r"--photos .*x: Permission denied"):
        find_folder(str(hidden / "x"), "--photos")
    with pytest.raises(UsageError, match=r"answers\.json: Permission denied"):
        find_answers([hidden / "answers.json"])


def test_a_video_that_is_named_itself_is_said_to_be_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("hflip.mp4", "hlg.mov", "two_streams.mkv", "held_frames.ogv"):
        clip = tmp_path / f"{name}.jpg"  # by what is in it, whatever it is called
        clip.write_bytes((DATA / "cases" / name).read_bytes())
        assert main(["convert", str(clip), "--style", "shinkai"]) == 1
        assert f"failed: {clip}: a video; give it the name of one" in capsys.readouterr().err
