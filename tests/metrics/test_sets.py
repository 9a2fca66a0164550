"""What a user may name as a set of pictures."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from toonify.errors import UsageError
from toonify.metrics.sets import find_set


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """photos/b.png, photos/c.jpg, photos/deep/a.png, and what is no picture."""
    monkeypatch.chdir(tmp_path)
    for name in ("photos/b.png", "photos/c.jpg", "photos/deep/a.png"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(name)
    Path("photos/notes.md").write_text("no picture")
    return tmp_path


def names(name: str) -> list[str]:
    return [os.fspath(found.path) for found in find_set(name).pictures]


@pytest.mark.usefixtures("folder")
def test_a_folder_counts_with_its_subfolders() -> None:
    assert names("photos") == ["photos/b.png", "photos/c.jpg", "photos/deep/a.png"]


@pytest.mark.usefixtures("folder")
def test_drawings_beside_their_photos_count_too() -> None:
    exif = Image.Exif()
    exif[0x000B] = "toonify 0.1.0 shinkai/original recipe:0"
    Image.open("photos/b.png").save("photos/b_shinkai.png", exif=exif)
    assert "photos/b_shinkai.png" in names("photos")


@pytest.mark.usefixtures("folder")
def test_a_glob_names_files_at_any_depth() -> None:
    assert names("photos/**/*.png") == ["photos/b.png", "photos/deep/a.png"]


@pytest.mark.usefixtures("folder")
def test_a_folder_with_a_globs_letters_in_its_name_is_a_folder() -> None:
    Path("photos").rename("photos [2026]")
    assert len(names("photos [2026]")) == 3


@pytest.mark.usefixtures("folder")
def test_a_list_is_relative_to_itself() -> None:
    Path("photos/list.txt").write_bytes(b"\xef\xbb\xbfb.png\r\n\r\ndeep/a.png")  # as Windows' editor writes it
    assert names("photos/list.txt") == ["photos/b.png", "photos/deep/a.png"]


@pytest.mark.usefixtures("folder")
def test_a_line_that_leads_nowhere_is_a_bad_picture_and_does_not_stop_the_others() -> None:
    Path("list.txt").write_text("photos/b.png\nnot-there.png\nphotos/c.jpg\n")
    found = find_set("list.txt").pictures
    assert [picture.problem for picture in found] == [None, None, "no such file, though list.txt names it"]


@pytest.mark.usefixtures("folder")
def test_names_in_a_list_may_begin_with_anything() -> None:
    Path("photos/b.png").rename("photos/#1 .png")
    Path("list.txt").write_text("photos/#1 .png\nphotos/c.jpg\n")
    assert names("list.txt") == ["photos/#1 .png", "photos/c.jpg"]


@pytest.mark.usefixtures("folder")
def test_saved_statistics_are_taken_by_their_suffix() -> None:
    Path("s.npz").write_bytes(b"")
    assert find_set("s.npz").statistics == Path("s.npz")


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("nowhere", "no such file"),
        ("*.png", "nothing matches"),
        ("s.npz", "no such file"),
        ("photos/b.png", "one picture"),
        ("empty.txt", "lists no pictures"),
        ("latin.txt", "UTF-8"),
        ("", "empty name"),
        ("x" * 300, "no such file"),
        ("photos/notes.md", "one picture"),
    ],
)
def test_what_is_no_set_is_refused_in_one_line(name: str, says: str) -> None:
    Path("empty.txt").write_text("\n\n")
    Path("latin.txt").write_bytes("bäume.png".encode("latin-1"))
    with pytest.raises(UsageError, match=says) as caught:
        find_set(name)
    assert "\n" not in str(caught.value)
