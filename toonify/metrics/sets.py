"""What a user names as a set of pictures: a folder, a glob, a list in a file, or saved statistics."""

import glob
from dataclasses import dataclass
from pathlib import Path

from toonify.discover import Found, find_photos
from toonify.errors import UsageError, display


@dataclass(frozen=True)
class PictureSet:
    """A set of pictures, in the order of their names."""

    name: str  # as the user wrote it
    pictures: tuple[Found, ...] = ()
    statistics: Path | None = None  # .npz: in the place of pictures


def find_set(name: str) -> PictureSet:
    """The set that `name` means.

    A folder counts with its subfolders; a glob may name files and folders (`**` goes down); a .txt file lists one
    picture a line, relative to itself; a .npz file holds the statistics of a set. Raises UsageError.
    """
    path = Path(name)
    if path.suffix.lower() == ".npz" and path.is_file():
        return PictureSet(name, statistics=path)
    if path.suffix.lower() == ".txt" and path.is_file():
        inputs = _listed(path)
    elif not path.exists() and glob.has_magic(name):
        inputs = [Path(match) for match in sorted(glob.glob(name, recursive=True))]  # noqa: PTH207 - absolute ones too
        if not inputs:
            raise UsageError(f"nothing matches {display(name)}")
    else:
        inputs = [path]
    pictures = find_photos(inputs, drawings=True)
    if len(pictures) < 2:
        raise UsageError(f"{display(name)} is one picture, and distances are between sets; give a folder")
    return PictureSet(name, tuple(pictures))


def _listed(path: Path) -> list[Path]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{display(path)} cannot be read as a list of pictures in UTF-8: {error}") from error
    inputs = [path.parent / line.strip() for line in lines if line.strip() and not line.startswith("#")]
    if not inputs:
        raise UsageError(f"{display(path)} lists no pictures; give one path a line")
    return inputs
