"""Folders of pictures to batches: which pictures make which step follows from the seed alone.

A folder is read in shuffled passes, one after the other without an end. An epoch is one pass over the smaller folder;
of the larger one a pass serves several epochs, so that no picture comes twice in an epoch. The state of the data is
the number of the next step, whatever the number of processes: a resumed run goes on with the very pictures and crops
that it would have had.
"""

import contextlib
import signal
from collections.abc import Generator, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from toonify.errors import ImageError, TrainingError, UsageError, display
from toonify.jobs.find import Found
from toonify.methods.batch import Batch
from toonify.pixels.arrays import Floats, Pixels
from toonify.pixels.crops import cut, random_boxes
from toonify.pixels.edges import smooth_edges
from toonify.pixels.resize import resize
from toonify.system.memory import available_memory
from toonify.train.options import RunOptions
from toonify.train.pictures import Folder, Folders, Measure, read_picture

_SHARE_KEPT = 8  # of the memory that is free, for pictures that are read again and again
_MOST_KEPT = 2_000_000_000  # bytes: what is free may be the whole machine's, of which a container has a part
_TRIES = 50  # other pictures that are tried in place of a broken one


@lru_cache(maxsize=8)
def _order(seed: int, stream: int, number: int, length: int) -> NDArray[np.int64]:
    return np.random.default_rng([seed, stream, number]).permutation(length)


_STREAMS = ("photo", "cartoon", "smooth")
_FRAME = "frame"  # beside them, what was measured of the whole photo


class Crops(Dataset[dict[str, Any]]):
    """The n-th square of each folder of an endless run, with n from 0: read, cut, perhaps mirrored.

    An epoch has `epoch` of them, no more than the smallest folder has pictures.
    """

    def __init__(self, folders: Folders, *, size: int, seed: int, epoch: int, memory: int = 0) -> None:
        """`memory` is how many bytes may be kept of pictures that have been read, if they are the run's own."""
        self._folders = folders
        self._epoch = epoch
        self._size = size
        self._seed = seed
        self._room = memory if folders.own else 0
        self._kept: dict[Path, Pixels] = {}
        self._measured: dict[Path, Floats] = {}

    def __getitem__(self, place: int) -> dict[str, Any]:
        """Crops `size` x `size` x 3 uint8 by stream, and `problems`, the pictures that could not be read, and why.

        `frame` is what was measured of the photo, if something is to be. Where too many in a row cannot be read,
        `failed` says so and there are no squares: an error would come out of a worker with its traceback as text.
        """
        problems: list[str] = []
        try:
            return {**self._squares(place, problems), "problems": problems}
        except TrainingError as error:
            return {"failed": str(error), "problems": problems}

    def _squares(self, place: int, problems: list[str]) -> dict[str, Pixels | Floats]:
        folders = self._folders
        if folders.single:
            return {_STREAMS[0]: self._square(folders.photos, 0, place, problems)}
        smooth = () if folders.smooth is None else (folders.smooth,)
        each = (folders.photos, folders.cartoons, *smooth)
        frames: dict[str, Floats] = {}
        if folders.paired:
            path, pictures = self._read(each, 0, place, problems)
            squares = self._cut_alike(pictures, place)
            if folders.measure is not None:
                frames[_FRAME] = self._measure(folders.measure, path, pictures[0])
        else:
            squares = [self._square(folder, stream, place, problems) for stream, folder in enumerate(each)]
        if folders.smoothing == "fly":
            squares.append(smooth_edges(squares[1]))
        return dict(zip(_STREAMS, squares, strict=False)) | frames

    def _measure(self, measure: Measure, path: Path, photo: Pixels) -> Floats:
        if not self._folders.own:
            return measure(photo)
        if path not in self._measured:
            self._measured[path] = measure(photo)
        return self._measured[path]

    def _random(self, stream: int, place: int) -> np.random.Generator:
        return np.random.default_rng([self._seed, 1_000 + stream, place])

    def _square(self, folder: Folder, stream: int, place: int, problems: list[str]) -> Pixels:
        _, (pixels,) = self._read((folder,), stream, place, problems)
        return _cut(pixels, self._size, self._random(stream, place), self._folders.grid)

    def _cut_alike(self, pictures: Sequence[Pixels], place: int) -> list[Pixels]:
        photo, *others = pictures
        whole = [photo, *(resize(other, photo.shape[:2]) for other in others)]
        return [_cut(pixels, self._size, self._random(0, place), self._folders.grid) for pixels in whole]

    def _read(
        self, folders: Sequence[Folder], stream: int, place: int, problems: list[str]
    ) -> tuple[Path, list[Pixels]]:
        """The pictures of the folders at a place in the stream, and the first one's path.

        A broken one is left out, and the next serves.
        """
        length = len(folders[0])
        epoch, rest = divmod(place, self._epoch)
        number, part = divmod(epoch, length // self._epoch)  # a pass serves so many epochs; what is over waits
        order = _order(self._seed, stream, number, length)
        rest += part * self._epoch
        for offset in range(min(length, _TRIES)):
            chosen = int(order[(rest + offset) % length])
            found = folders[0].pictures[chosen]
            try:
                read = []
                for folder in folders:
                    found = folder.pictures[chosen]
                    read.append(self._read_picture(found))
            except ImageError as error:
                problems.append(f"{display(found.path)}: {error}")
            else:
                return folders[0].pictures[chosen].path, read
        count = f"{min(length, _TRIES)} pictures in a row" if length > 1 else "the picture"
        raise TrainingError(f"{count} of {display(folders[0].name)} cannot be read; the last: {problems[-1]}")

    def _read_picture(self, found: Found) -> Pixels:
        """`read_picture`, or what it gave before: to read a whole pair takes half the time of a student's step."""
        if found.path in self._kept:
            return self._kept[found.path]
        pixels = read_picture(found)
        if pixels.nbytes <= self._room:
            self._room -= pixels.nbytes
            self._kept[found.path] = pixels
        return pixels


def _cut(pixels: Pixels, size: int, random: np.random.Generator, grid: int | None) -> Pixels:
    """A square of `size` anywhere in the picture, mirrored half of the time; a smaller picture is enlarged.

    With a `grid`, what is mirrored is cut a pixel further to the right, if there is one: so the columns that lay on the
    grid lie on it again, and are what strides meet, where these have odd kernels (as in the released generators).
    """
    height, width = pixels.shape[:2]
    (box,) = random_boxes(height, width, size, 1, random, grid=grid)
    mirrored = random.random() < 0.5
    if mirrored and grid is not None:
        mirrored = box.right < width
        box = box.moved(0, int(mirrored))
    square = cut(pixels, box, size)
    return np.ascontiguousarray(square[:, ::-1]) if mirrored else square


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
    if failed := next((item["failed"] for item in items if "failed" in item), None):
        return {"failed": failed, "problems": problems}
    # Bytes travel between processes, a quarter of what floats would be.
    tensors = {
        name: torch.from_numpy(np.stack([item[name] for item in items]))
        for name in (*_STREAMS, _FRAME)
        if name in items[0]
    }
    return {**tensors, "problems": problems}


@contextlib.contextmanager
def _no_threads_of_opencv() -> Iterator[None]:
    """Within it workers can be forked: OpenCV's pool of threads does not survive that, and they would hang."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)


def _start_worker(_number: int) -> None:
    if cv2.getNumThreads() > 1:  # in a process of a fresh start; a forked one has its parent's single thread
        cv2.setNumThreads(0)
    # A terminal's Ctrl-C, and what ends a whole group of processes, reach workers too; the run's own process decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: signal.signal(signal.SIGTERM, signal.SIG_DFL))  # a second one ends it


def batches(
    folders: Folders,
    options: RunOptions,
    *,
    size: int,
    batch_size: int,
    first_step: int,
    workers: int,
    rank: int = 0,
    world: int = 1,
    device: str = "cpu",
) -> Generator[tuple[Batch, list[str]]]:
    """The batches of one process from a step on, without an end; it takes its share of `batch_size` pictures.

    Crops are `size` pixels a side.

    An epoch has `steps_per_epoch` of them. With each come the pictures that could not be read, and why: for each the
    next one in the order served. They come to `device`, as bytes until they are there.

    Raises TrainingError when too many pictures in a row cannot be read, or a worker ends. PyTorch notices that
    wherever the process happens to be, with what `is_of_worker` knows.
    """
    epoch = steps_per_epoch(folders, batch_size) * batch_size
    memory = min(_MOST_KEPT, available_memory() // _SHARE_KEPT) // (max(1, workers) * world)
    loader: DataLoader[dict[str, Any]] = DataLoader(
        Crops(folders, size=size, seed=options.seed, epoch=epoch, memory=memory),
        batch_sampler=_Places(batch_size, first_step, rank, world),
        num_workers=workers,
        collate_fn=_collate,
        worker_init_fn=_start_worker,
        prefetch_factor=2 if workers else None,
        pin_memory=device == "cuda",  # which fetches from it while it works
        # Or it would take a number from those that the networks draw from, and a resumed run would draw others.
        generator=torch.Generator().manual_seed(options.seed),
    )
    with _no_threads_of_opencv():
        source = iter(loader)
    try:
        for raw in source:
            if "failed" in raw:
                raise TrainingError(raw["failed"])
            pictures = {name: _to_range(raw[name].to(device, non_blocking=True)) for name in _STREAMS if name in raw}
            frame = raw[_FRAME].to(device, non_blocking=True) if _FRAME in raw else None
            photo, smooth = pictures["photo"], pictures.get("smooth")
            yield Batch(photo, pictures.get("cartoon", photo), smooth, frame), raw["problems"]
    except (OSError, EOFError) as error:  # it was passing something on
        raise reader_ended(workers) from error
    finally:
        del source  # the workers end with it; a traceback that holds this frame would keep them


def is_of_worker(error: RuntimeError) -> bool:
    """Whether an error says that a process that reads pictures has ended."""
    return "DataLoader worker" in str(error)


def reader_ended(workers: int) -> TrainingError:
    """What it means for a run that a process that reads pictures has ended."""
    return TrainingError(
        "a process that reads pictures has ended, perhaps for want of memory; go on with --resume last and fewer "
        f"--workers than {workers}"
    )


def _to_range(squares: Tensor) -> Tensor:
    """N x H x W x 3 uint8 to N x 3 x H x W float32 in -1..1."""
    return squares.permute(0, 3, 1, 2).float().div_(127.5).sub_(1)
