"""Where pictures from noise are written: whole, and never over what is there unasked."""

import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path

from toonify.errors import UsageError, display
from toonify.images import VIDEO_SUFFIXES, encode_picture
from toonify.pixels.arrays import Pixels
from toonify.system.files import replacing, write_atomically
from toonify.videos.formats import CONTAINER_OF_SUFFIX, CONTAINERS, DEFAULT_QUALITY

WALK_RATE = Fraction(30)  # frames a second of a walk


def free_paths(folder: Path, names: Sequence[str], *, overwrite: bool) -> list[Path]:
    """The files of a folder that pictures go to, which is made if it is not there.

    Raises UsageError if one is there already and must not be replaced, or the folder cannot be.
    """
    if os.path.lexists(folder) and not folder.is_dir():
        raise UsageError(f"--output {display(folder)} is a file; give a folder")
    paths = [folder / name for name in names]
    taken = next((path for path in paths if os.path.lexists(path)), None)
    if taken is not None and not overwrite:
        raise UsageError(f"{display(taken)} is there already; give another --output, or --overwrite")
    folder.mkdir(parents=True, exist_ok=True)
    return paths


def write_pictures(
    paths: Sequence[Path],
    pictures: Iterable[Pixels],
    *,
    overwrite: bool,
    on_picture: Callable[[float], None] = lambda count: None,
) -> None:
    """Write pictures as PNG, each as soon as it is drawn. Raises FileExistsError where one has appeared, OSError."""
    for path, picture in zip(paths, pictures, strict=True):
        write_atomically(path, encode_picture(picture, format="png"), overwrite=overwrite)
        on_picture(1)


def write_walk(
    target: Path,
    frames: Iterable[Pixels],
    count: int,
    *,
    overwrite: bool,
    on_picture: Callable[[float], None] = lambda count: None,
) -> None:
    """Write the frames of a walk as a video, by the suffix of `target`, or as numbered pictures of a folder.

    Raises UsageError if something is in the way, ImageError if a video cannot hold such frames, OSError.
    """
    suffix = target.suffix.lower()
    if suffix in CONTAINER_OF_SUFFIX:
        _write_video(target, frames, overwrite=overwrite, on_picture=on_picture)
        return
    if suffix in VIDEO_SUFFIXES:
        others = ", ".join(CONTAINER_OF_SUFFIX)
        raise UsageError(f"--output {display(target)}: give a folder, or a video that ends in {others}")
    paths = free_paths(target, [f"frame{number:05d}.png" for number in range(count)], overwrite=overwrite)
    write_pictures(paths, frames, overwrite=overwrite, on_picture=on_picture)


def _write_video(
    target: Path, frames: Iterable[Pixels], *, overwrite: bool, on_picture: Callable[[float], None]
) -> None:
    from toonify.videos.encoder import Stream, ticks_of
    from toonify.videos.mux import write_silent

    (path,) = free_paths(target.parent, [target.name], overwrite=overwrite)
    container = CONTAINER_OF_SUFFIX[target.suffix.lower()]
    frames = iter(frames)
    first = next(frames)
    height, width = first.shape[:2]
    stream = Stream(
        codec=CONTAINERS[container].codecs[0],
        quality=DEFAULT_QUALITY,
        height=height,
        width=width,
        rate=WALK_RATE,
        ticks=ticks_of(1 / WALK_RATE),
        is_srgb=True,
    )

    def counted() -> Iterator[Pixels]:
        for frame in itertools.chain([first], frames):
            on_picture(1)
            yield frame

    with replacing(path) as file:
        write_silent(file, container, stream, counted())
