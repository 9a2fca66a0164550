"""What a user names as a set of pictures: a folder, a glob, a list in a file, or saved statistics."""

import glob
import os
from dataclasses import dataclass
from pathlib import Path

from toonify.errors import UsageError, display
from toonify.jobs.find import Found, FoundPhotos, find_photos, in_words, is_absent


@dataclass(frozen=True)
class PictureSet:
    """A set of pictures, in the order of their names."""

    name: str  # as the user wrote it
    pictures: tuple[Found, ...] = ()
    statistics: Path | None = None  # .npz: in the place of pictures
    others: str = ""  # what else its folders have, which is not read


def find_set(name: str) -> PictureSet:
    """The set that `name` means.

    A folder counts with its subfolders; a glob may name files and folders (`**` goes down); a .txt file lists one
    path a line, relative to itself; a .npz file holds the statistics of a set. Raises UsageError.
    """
    path = Path(name)
    if not name:
        raise UsageError("an empty name is no set of pictures; is a variable of the shell unset?")
    # os.path is not upset by names that are too long.
    if path.suffix.lower() == ".npz" and os.path.isfile(path):  # noqa: PTH113
        return PictureSet(name, statistics=path)
    if path.suffix.lower() == ".txt" and os.path.isfile(path):  # noqa: PTH113
        pictures = _listed(path)
    elif not os.path.lexists(path) and glob.has_magic(name):
        inputs = [Path(match) for match in sorted(glob.glob(name, recursive=True))]  # noqa: PTH207 - absolute ones too
        if not inputs:
            raise UsageError(f"nothing matches {display(name)}")
        pictures = find_photos(inputs, drawings=True)
    else:
        pictures = find_photos([path], drawings=True)
    if len(pictures) < 2:
        raise UsageError(
            f"{display(name)} has one picture, and distances are between sets; give a folder, or put a glob in quotes"
        )
    return PictureSet(name, tuple(pictures), others=in_words(pictures.others))


def set_to_draw(name: str, count: int, folder: Path) -> PictureSet:
    """The set of so many pictures, of the seeds from 0 on, which a generator from noise draws into a folder."""
    return PictureSet(name, tuple(Found(folder / f"seed{seed}.png", folder) for seed in range(count)))


def _listed(path: Path) -> FoundPhotos:
    """What a list names; a line that leads nowhere is a picture that cannot be read."""
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{display(path)} cannot be read as a list of pictures in UTF-8: {error}") from error
    inputs = [path.parent / line.removesuffix("\r") for line in lines if line.strip()]
    if not inputs:
        raise UsageError(f"{display(path)} lists no pictures; give one path a line")
    there, missing = [], []
    for each in inputs:
        if is_absent(each):
            missing.append(Found(each, problem=f"no such file, though {display(path)} names it"))
        else:
            there.append(each)
    found = find_photos(there, drawings=True) if there else FoundPhotos()
    return FoundPhotos([*found, *missing], found.others)
