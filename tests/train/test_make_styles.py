"""The pictures that recipes/make_styles.py makes for networks that draw in the styles of pictures."""

import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image
from samples import PHOTOS

ROOT = Path(__file__).parents[2]


def make(folder: Path, *options: object) -> list[Path]:
    command = [sys.executable, ROOT / "recipes" / "make_styles.py", PHOTOS, PHOTOS, folder]
    done = subprocess.run(list(map(str, [*command, *options])), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return sorted(folder.iterdir())


def test_pictures_of_every_kind_are_made_alike_each_time(tmp_path: Path) -> None:
    first = make(tmp_path / "a", "--count", 30)
    assert [path.name for path in first] == [f"{number:05d}.jpg" for number in range(30)]
    pixels = [np.asarray(Image.open(path)) for path in first]
    assert {each.shape for each in pixels} == {(256, 256, 3)}
    assert len({each.tobytes() for each in pixels}) == 30
    assert sum(each.std() > 5 for each in pixels) >= 28  # a photo may be of one color where it was cut out
    again = make(tmp_path / "b", "--count", 30)
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in again]
    other = make(tmp_path / "c", "--count", 3, "--seed", 1)
    assert all(a.read_bytes() != b.read_bytes() for a, b in zip(first, other, strict=False))


def test_what_is_there_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "00001.jpg").write_bytes(b"mine")
    assert len(make(tmp_path, "--count", 3)) == 3
    assert (tmp_path / "00001.jpg").read_bytes() == b"mine"
