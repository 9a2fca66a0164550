"""Which pictures a run has: its folders, in the order of their names."""

import hashlib
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from toonify.errors import ImageError, UsageError, display
from toonify.images import opaque
from toonify.jobs.find import Found, find_photos, hidden_by, in_words
from toonify.pages import embed
from toonify.pixels.arrays import Floats, Pixels
from toonify.train.options import Options

_log = logging.getLogger(__name__)

Smoothing = Literal["no", "folder", "fly"]
Measure = Callable[[Pixels], Floats]  # what a square must be told of its whole photo, H x W x 3


@dataclass(frozen=True)
class Folder:
    """A folder of pictures in the order of their names."""

    name: str
    pictures: tuple[Found, ...]
    others: str = ""  # what else it has, which is not read

    def __len__(self) -> int:
        return len(self.pictures)

    def digest(self) -> str:
        """Tells whether it has the same pictures as before, by their names, wherever the folder is."""
        names = [os.fspath(one.path.relative_to(self.name)) for one in self.pictures]
        return hashlib.sha256(repr(names).encode("utf-8", "surrogateescape")).hexdigest()[:16]


@dataclass(frozen=True)
class Folders:
    """The pictures of a run. For pairs, all folders have the same names and stand in the same order."""

    photos: Folder
    cartoons: Folder
    smooth: Folder | None  # None: not wanted, or made on the fly
    smoothing: Smoothing
    paired: bool
    # Crops are cut as they are, from multiples of it on (strokes have one width, and depend on where strides meet
    # them); None: in several sizes, anywhere.
    grid: int | None = None
    own: bool = False  # the run's, which nobody changes meanwhile: what was read once may be kept
    measure: Measure | None = None  # of the photos of pairs
    single: bool = False  # whether there is one kind of pictures: photos and cartoons are the same folder

    @property
    def named(self) -> dict[str, Folder]:
        """The folders by the names of their options."""
        if self.single:
            return {"pictures": self.photos}
        folders = {"photos": self.photos, "cartoons": self.cartoons, "smooth": self.smooth}
        return {title: folder for title, folder in folders.items() if folder is not None}

    def counts(self) -> dict[str, int]:
        """Pictures by folder."""
        return {title: len(folder) for title, folder in self.named.items()}

    def digests(self) -> dict[str, str]:
        """For each folder what tells whether it has the same pictures as before, by their names in it."""
        return {title: folder.digest() for title, folder in self.named.items()}

    def smallest(self) -> Folder:
        """The folder that makes an epoch."""
        return min(self.named.values(), key=len)


def find_folders(options: Options, *, smoothing: bool, paired: bool, look_for_smooth: bool = True) -> Folders:
    """The pictures that the options name, but what the run itself makes; smoothed ones also where they usually lie.

    Raises UsageError for a folder that is not there or has too few.
    """
    own = Path(options.folder)
    photos = find_folder(options.photos, "--photos", leave_out=own)
    cartoons = find_folder(options.cartoons, "--cartoons", leave_out=own)
    smooth = None
    if smoothing:
        name = options.smooth or ("data/smooth" if look_for_smooth and Path("data/smooth").is_dir() else None)
        smooth = None if name is None else find_folder(name, "--smooth", leave_out=own)
    elif options.smooth is not None:
        raise UsageError("--smooth is for --edge-promoting; add it, or drop --smooth")
    if paired:
        photos, cartoons = _pair(photos, cartoons, "--photos and --cartoons")
        if smooth is not None:
            _, smooth = _pair(photos, smooth, "--photos and --smooth")
    kind: Smoothing = "no" if not smoothing else "fly" if smooth is None else "folder"
    return Folders(photos, cartoons, smooth, kind, paired)


def find_single(options: Options) -> Folders:
    """The one folder of pictures of a generator from noise. Raises UsageError."""
    if options.pictures is None:
        raise UsageError("--pictures is missing; give the folder of pictures that are to be drawn like")
    folder = find_folder(options.pictures, "--pictures", leave_out=Path(options.folder))
    return Folders(folder, folder, None, "no", paired=False, single=True)


def find_pictures(name: str, flag: str, *, leave_out: Path | None = None) -> tuple[Found, ...]:
    """The pictures of the folder that an option names; what else it has is logged. Raises UsageError if it has none."""
    folder = find_folder(name, flag, leave_out=leave_out)
    if folder.others:
        _log.info("%s: %s in %s; not read: %s", flag.lstrip("-"), len(folder), display(name), folder.others)
    return folder.pictures


def find_folder(name: str, flag: str, *, leave_out: Path | None = None) -> Folder:
    """The folder that an option names. Raises UsageError if it has no pictures."""
    if not os.path.isdir(name):  # noqa: PTH112 - Path.is_dir raises for a name that is too long
        if (problem := hidden_by(Path(name))) is not None:
            raise UsageError(f"{flag} {display(name)}: {problem}")
        raise UsageError(f"{flag} {display(name)}: no such folder; `toonify prepare` makes one")
    try:
        found = find_photos([Path(name)], drawings=True, leave_out=leave_out)
    except UsageError as error:
        raise UsageError(f"{flag}: {error}") from error
    return Folder(name, tuple(found), in_words(found.others))


def _pair(left: Folder, right: Folder, flags: str) -> tuple[Folder, Folder]:
    """Two folders' pictures of the same path below them, but for the suffix."""
    lefts, rights = _by_stem(left), _by_stem(right)
    alone = sorted(lefts.keys() ^ rights.keys())
    if alone:
        one = next(by_stem[alone[0]] for by_stem in (lefts, rights) if alone[0] in by_stem)
        count = "1 stands" if len(alone) == 1 else f"{len(alone)} stand"
        raise UsageError(f"{flags} are to be pairs with the same names, and {count} alone, such as {display(one.path)}")
    names = sorted(lefts)
    return (
        Folder(left.name, tuple(lefts[name] for name in names), left.others),
        Folder(right.name, tuple(rights[name] for name in names), right.others),
    )


def _by_stem(folder: Folder) -> dict[str, Found]:
    by_stem: dict[str, Found] = {}
    for one in folder.pictures:
        stem = os.fspath(one.path.relative_to(folder.name).with_suffix(""))
        if stem in by_stem:
            both = f"{display(by_stem[stem].path)} and {display(one.path)}"
            raise UsageError(f"{both} have one name, so that it is not clear which is the pair's; take one away")
        by_stem[stem] = one
    return by_stem


def read_picture(found: Found) -> Pixels:
    """A picture as H x W x 3, upright and opaque. Raises ImageError."""
    if found.problem is not None:  # to open a pipe would wait for ever
        raise ImageError(found.problem)
    return opaque(embed.read_picture(found.path))
