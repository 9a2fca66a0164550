"""The same few photos, drawn again and again, so that one can see a run learn."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from toonify.errors import ImageError
from toonify.generate.draw import draw_seeds
from toonify.images import encode_picture
from toonify.jobs.find import Found
from toonify.models.noise import NoiseGenerator
from toonify.pixels.arrays import Floats, Pixels
from toonify.pixels.crops import center_box, cut
from toonify.pixels.layout import in_rows
from toonify.pixels.resize import resize
from toonify.system.files import write_atomically
from toonify.train.grid import MAX_PAIRS, grid
from toonify.train.pictures import Measure, read_picture

SEEDS = tuple(range(32))  # that samples from noise are of
SHEET_COLUMNS = 8
Crops = NDArray[np.uint8]  # N x size x size x 3


@dataclass(frozen=True)
class Samples:
    """The photos that are drawn again and again, what is wanted of each, and of what frame they are, where known.

    From noise, seeds are drawn again and again, and the photos are real pictures to compare with. From pictures, each
    photo is drawn in the style of one.
    """

    photos: Crops
    wanted: Crops | None = None
    frames: Floats | None = None  # N x ...: what was measured of the whole photos (`Folders.measure`)
    seeds: tuple[int, ...] = ()
    styles: Crops | None = None  # the pictures in whose styles the photos are drawn


def choose_samples(
    photos: tuple[Found, ...],
    size: int,
    *,
    wanted: tuple[Found, ...] = (),
    grid: int | None = None,
    measure: Measure | None = None,
) -> Samples:
    """Up to 8 squares from the middles of readable photos, evenly spread over the folder.

    They hold all of a photo's height or width; with a `grid`, what lies in the middle as it is, from multiples of that
    on. `wanted` are the drawings of the photos, if there are any.
    """
    folders = (photos, wanted) if wanted else (photos,)
    squares: list[list[Pixels]] = []
    frames = []
    for place in np.unique(np.linspace(0, len(photos) - 1, min(MAX_PAIRS, len(photos))).astype(int)):
        with contextlib.suppress(ImageError):  # the data loader names it when its turn comes
            read = [read_picture(pictures[place]) for pictures in folders]
            height, width = read[0].shape[:2]
            box = center_box(height, width) if grid is None else center_box(height, width, size, grid=grid)
            squares.append([cut(resize(pixels, (height, width)), box, size) for pixels in read])
            if measure is not None:
                frames.append(measure(read[0]))
    if not squares:
        return Samples(np.empty((0, size, size, 3), np.uint8))
    of_photos, *of_drawings = (np.stack(each) for each in zip(*squares, strict=True))
    return Samples(of_photos, of_drawings[0] if of_drawings else None, np.stack(frames) if frames else None)


@contextlib.contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """A network in evaluation mode, without gradients, and as it was afterwards."""
    training = network.training
    network.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        network.train(training)


def draw_samples(generator: nn.Module, samples: Samples, device: str) -> Crops:
    """Draw samples one by one with a generator that takes RGB in -1..1, and frames if they have any; or their seeds."""
    if samples.seeds:
        assert isinstance(generator, NoiseGenerator)  # noqa: S101
        with evaluating(generator):
            return np.stack(list(draw_seeds(generator, samples.seeds, device=device)))
    drawings = np.empty_like(samples.photos)
    with evaluating(generator):
        for i, photo in enumerate(samples.photos):
            x = _batch_of(photo, device)
            told = () if samples.frames is None else (torch.from_numpy(samples.frames[i : i + 1]).to(device),)
            if samples.styles is not None:
                told = (_batch_of(samples.styles[i], device),)
            y = generator(x, *told)[0].permute(1, 2, 0)
            drawings[i] = ((y + 1) * 127.5).round().clamp(0, 255).to("cpu", torch.uint8).numpy()
    return drawings


def _batch_of(picture: Pixels, device: str) -> torch.Tensor:
    """H x W x 3 uint8 to 1 x 3 x H x W in -1..1, channels last."""
    x = torch.from_numpy(picture).to(device).permute(2, 0, 1)[None].float() / 127.5 - 1
    return x.contiguous(memory_format=torch.channels_last)


def with_styles(samples: Samples, pictures: tuple[Found, ...]) -> Samples:
    """The same, each drawn in the style of one of a folder's pictures; empty if none can be read."""
    styles = choose_samples(pictures, samples.photos.shape[1]).photos
    if not len(styles):
        return replace(samples, photos=samples.photos[:0])
    return replace(samples, styles=styles[np.arange(len(samples.photos)) % len(styles)])


def sheet_of(samples: Samples, drawings: Crops) -> Pixels:
    """Photos with what was drawn, and in between what was wanted or the styles, if known; or the drawings of seeds."""
    if samples.seeds:
        side = samples.photos.shape[1]
        larger = [cv2.resize(each, (side, side), interpolation=cv2.INTER_NEAREST) for each in drawings]
        return in_rows(larger, SHEET_COLUMNS)
    beside = samples.wanted if samples.styles is None else samples.styles
    shown = [drawings] if beside is None else [beside, drawings]
    return grid(list(samples.photos), *(list(each) for each in shown))


def write_sheet(path: Path, sheet: Pixels) -> None:
    """Write a sheet as PNG. Raises OSError."""
    write_atomically(path, encode_picture(sheet, format="png"), overwrite=True)
