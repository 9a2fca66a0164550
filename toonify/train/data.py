"""Folders of pictures to batches: which pictures make which step follows from the seed alone.

A folder is read in shuffled passes, one after the other without an end. An epoch is one pass over the smaller folder;
of the larger one a pass serves several epochs, so that no picture comes twice in an epoch. The state of the data is
the number of the next step, whatever the number of processes: a resumed run goes on with the very pictures and crops
that it would have had.
"""

import hashlib
import os
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from toonify.arrays import Pixels
from toonify.crops import cut, random_boxes
from toonify.discover import Found, find_photos
from toonify.edges import smooth_edges
from toonify.errors import ImageError, ToonifyError, UsageError, display
from toonify.images import opaque, read_photo
from toonify.methods.batch import Batch
from toonify.resize import resize
from toonify.train.options import Options

Smoothing = Literal["no", "folder", "fly"]
_MAX_PIXELS = 250_000_000
_TRIES = 50  # other pictures that are tried in place of a broken one


@dataclass(frozen=True)
class Folder:
    """A folder of pictures in the order of their names."""

    name: str
    pictures: tuple[Found, ...]

    def __len__(self) -> int:
        return len(self.pictures)


@dataclass(frozen=True)
class Folders:
    """The pictures of a run. For pairs, photos and cartoons have the same names and stand in the same order."""

    photos: Folder
    cartoons: Folder
    smooth: Folder | None  # None: not wanted, or made on the fly
    smoothing: Smoothing
    paired: bool

    def counts(self) -> dict[str, int]:
        """Pictures by folder."""
        smooth = {} if self.smooth is None else {"smooth": len(self.smooth)}
        return {"photos": len(self.photos), "cartoons": len(self.cartoons), **smooth}

    def digest(self) -> str:
        """Tells whether the folders have the same pictures as before, by their names."""
        folders = filter(None, (self.photos, self.cartoons, self.smooth))
        names = [[os.fspath(one.path) for one in folder.pictures] for folder in folders]
        return hashlib.sha256(repr(names).encode("utf-8", "surrogateescape")).hexdigest()[:16]

    def smallest(self) -> Folder:
        """The folder that makes an epoch."""
        return min(filter(None, (self.photos, self.cartoons, self.smooth)), key=len)


def find_folders(options: Options, *, smoothing: bool, paired: bool) -> Folders:
    """The pictures that the options name. Raises UsageError for a folder that is not there or has too few."""
    photos = _find(options.photos, "--photos")
    cartoons = _find(options.cartoons, "--cartoons")
    if paired:
        photos, cartoons = _pair(photos, cartoons)
    smooth = None
    if smoothing:
        name = options.smooth or ("data/smooth" if Path("data/smooth").is_dir() else None)
        smooth = None if name is None else _find(name, "--smooth")
    elif options.smooth is not None:
        raise UsageError("--smooth is for --edge-promoting; add it, or drop --smooth")
    kind: Smoothing = "no" if not smoothing else "fly" if smooth is None else "folder"
    return Folders(photos, cartoons, smooth, kind, paired)


def _find(name: str, flag: str) -> Folder:
    folder = Path(name)
    if not folder.is_dir():
        raise UsageError(f"{flag} {display(folder)}: no such folder; `toonify prepare` makes one")
    return Folder(name, tuple(find_photos([folder], drawings=True)))


def _pair(photos: Folder, cartoons: Folder) -> tuple[Folder, Folder]:
    """Photos and cartoons of the same path below their folders, but for the suffix."""

    def by_stem(folder: Folder) -> dict[str, Found]:
        return {os.fspath(one.path.relative_to(folder.name).with_suffix("")): one for one in folder.pictures}

    left, right = by_stem(photos), by_stem(cartoons)
    alone = sorted(left.keys() ^ right.keys())
    if alone:
        raise UsageError(
            f"--photos and --cartoons are to be pairs with the same names; {len(alone)} stand alone, "
            f"such as {display(alone[0])}"
        )
    names = sorted(left)
    return (
        Folder(photos.name, tuple(left[name] for name in names)),
        Folder(cartoons.name, tuple(right[name] for name in names)),
    )


@lru_cache(maxsize=8)
def _order(seed: int, stream: int, number: int, length: int) -> NDArray[np.int64]:
    return np.random.default_rng([seed, stream, number]).permutation(length)


_STREAMS = ("photo", "cartoon", "smooth")


class Squares(Dataset[dict[str, Any]]):
    """The n-th square of each folder of an endless run, with n from 0: read, cut, perhaps mirrored.

    An epoch has `epoch` of them, no more than the smallest folder has pictures.
    """

    def __init__(self, folders: Folders, *, size: int, seed: int, epoch: int) -> None:
        self._folders = folders
        self._epoch = epoch
        self._size = size
        self._seed = seed

    def __getitem__(self, place: int) -> dict[str, Any]:
        """Squares `size` x `size` x 3 uint8 by stream, and the problems met with. Raises ToonifyError."""
        problems: list[str] = []
        folders = self._folders
        if folders.paired:
            photo, cartoon = self._pair_at(place, problems)
        else:
            photo = self._square(folders.photos, 0, place, problems)
            cartoon = self._square(folders.cartoons, 1, place, problems)
        squares = {"photo": photo, "cartoon": cartoon}
        if folders.smoothing == "fly":
            squares["smooth"] = smooth_edges(cartoon)
        elif folders.smooth is not None:
            squares["smooth"] = self._square(folders.smooth, 2, place, problems)
        return {**squares, "problems": problems}

    def _random(self, stream: int, place: int) -> np.random.Generator:
        return np.random.default_rng([self._seed, 1_000 + stream, place])

    def _square(self, folder: Folder, stream: int, place: int, problems: list[str]) -> Pixels:
        (pixels,) = self._read((folder,), stream, place, problems)
        return _cut(pixels, self._size, self._random(stream, place))

    def _pair_at(self, place: int, problems: list[str]) -> tuple[Pixels, Pixels]:
        photo, cartoon = self._read((self._folders.photos, self._folders.cartoons), 0, place, problems)
        if photo.shape != cartoon.shape:
            cartoon = resize(cartoon, photo.shape[:2])
        return (
            _cut(photo, self._size, self._random(0, place)),
            _cut(cartoon, self._size, self._random(0, place)),
        )

    def _read(self, folders: Sequence[Folder], stream: int, place: int, problems: list[str]) -> list[Pixels]:
        """The pictures of the folders at a place in the stream; a broken one is left out, and the next serves."""
        length = len(folders[0])
        epoch, rest = divmod(place, self._epoch)
        number, part = divmod(epoch, length // self._epoch)  # a pass serves so many epochs; what is over waits
        order = _order(self._seed, stream, number, length)
        rest += part * self._epoch
        for offset in range(min(length, _TRIES)):
            chosen = int(order[(rest + offset) % length])
            path = folders[0].pictures[chosen].path
            try:
                read = []
                for folder in folders:
                    path = folder.pictures[chosen].path
                    read.append(read_picture(path))
            except ImageError as error:
                problems.append(f"{display(path)}: {error}")
            else:
                return read
        raise ToonifyError(f"{min(length, _TRIES)} pictures of {display(folders[0].name)} in a row cannot be read")


def read_picture(path: Path) -> Pixels:
    """A picture as H x W x 3, upright and opaque. Raises ImageError."""
    try:
        with path.open("rb") as file:
            return opaque(read_photo(file, max_pixels=_MAX_PIXELS))
    except OSError as error:
        raise ImageError(f"cannot be read: {error.strerror}") from error


def _cut(pixels: Pixels, size: int, random: np.random.Generator) -> Pixels:
    """A square of `size` anywhere in the picture, mirrored half of the time; a smaller picture is enlarged."""
    height, width = pixels.shape[:2]
    (box,) = random_boxes(height, width, size, 1, random)
    square = cut(pixels, box, size)
    return np.ascontiguousarray(square[:, ::-1]) if random.random() < 0.5 else square


def steps_per_epoch(folders: Folders, batch_size: int) -> int:
    """Whole batches in an epoch. Raises UsageError if the smallest folder does not fill one."""
    smallest = folders.smallest()
    if len(smallest) < batch_size:
        count = f"{len(smallest)} picture{'s' * (len(smallest) != 1)}"
        raise UsageError(
            f"--batch-size {batch_size}: {display(smallest.name)} has {count}; "
            f"add some, or give --batch-size {len(smallest)}"
        )
    return len(smallest) // batch_size


class _Places(Sampler[list[int]]):
    """The places in the streams that one process takes for each step, from a step on, without an end."""

    def __init__(self, batch_size: int, first_step: int, rank: int, world: int) -> None:
        self._batch_size, self._first, self._rank, self._world = batch_size, first_step, rank, world

    def __iter__(self) -> Iterator[list[int]]:
        share = self._batch_size // self._world
        step = self._first
        while True:
            start = step * self._batch_size + self._rank * share
            yield list(range(start, start + share))
            step += 1


def _collate(items: list[dict[str, Any]]) -> dict[str, Any]:
    problems = [problem for item in items for problem in item["problems"]]
    # Bytes travel between processes, a quarter of what floats would be.
    tensors = {
        name: torch.from_numpy(np.stack([item[name] for item in items])) for name in _STREAMS if name in items[0]
    }
    return {**tensors, "problems": problems}


def _one_thread(_worker: int) -> None:
    cv2.setNumThreads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's Ctrl-C reaches all; the run's own process decides


def batches(
    folders: Folders, options: Options, *, batch_size: int, first_step: int, workers: int, rank: int = 0, world: int = 1
) -> Iterator[tuple[Batch, list[str]]]:
    """The batches of one process from a step on, without an end; it takes its share of `batch_size` pictures.

    An epoch has `steps_per_epoch` of them. With each come the pictures that could not be read, and why: for each the
    next one in the order served.

    Raises ToonifyError when too many pictures in a row cannot be read.
    """
    epoch = steps_per_epoch(folders, batch_size) * batch_size
    loader: DataLoader[dict[str, Any]] = DataLoader(
        Squares(folders, size=options.size, seed=options.seed, epoch=epoch),
        batch_sampler=_Places(batch_size, first_step, rank, world),
        num_workers=workers,
        collate_fn=_collate,
        worker_init_fn=_one_thread,
        prefetch_factor=2 if workers else None,
        persistent_workers=False,
    )
    for raw in loader:
        smooth = _to_range(raw["smooth"]) if "smooth" in raw else None
        yield Batch(_to_range(raw["photo"]), _to_range(raw["cartoon"]), smooth), raw["problems"]


def _to_range(squares: Tensor) -> Tensor:
    """N x H x W x 3 uint8 to N x 3 x H x W float32 in -1..1."""
    return squares.permute(0, 3, 1, 2).float().div_(127.5).sub_(1)
