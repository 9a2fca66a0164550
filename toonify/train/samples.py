"""The same few photos, drawn again and again, so that one can see a run learn."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from toonify.crops import centre_box, cut
from toonify.discover import Found
from toonify.errors import ImageError
from toonify.files import write_atomically
from toonify.images import encode_picture
from toonify.resize import resize
from toonify.train.data import read_picture
from toonify.train.grid import MAX_PAIRS, grid

Squares = NDArray[np.uint8]  # N x size x size x 3


@dataclass(frozen=True)
class Samples:
    """The photos that are drawn again and again, and what is wanted of each where that is known."""

    photos: Squares
    wanted: Squares | None = None


def choose_samples(pictures: tuple[Found, ...], size: int, *, scaled: bool = True) -> Squares:
    """Up to 8 squares from the middles of readable photos, evenly spread over the folder: N x size x size x 3.

    They hold all of a photo's height or width; if they are not `scaled`, what lies in the middle as it is.
    """
    (squares,) = _choose((pictures,), size, scaled)
    return squares


def choose_pairs(
    photos: tuple[Found, ...], drawings: tuple[Found, ...], size: int, *, scaled: bool = True
) -> tuple[Squares, Squares]:
    """The same of photos and of the drawings that are wanted of them."""
    of_photos, of_drawings = _choose((photos, drawings), size, scaled)
    return of_photos, of_drawings


def _choose(folders: tuple[tuple[Found, ...], ...], size: int, scaled: bool) -> list[Squares]:
    count = len(folders[0])
    stacks = []
    for place in np.unique(np.linspace(0, count - 1, min(MAX_PAIRS, count)).astype(int)):
        with contextlib.suppress(ImageError):  # the data loader names it when its turn comes
            read = [read_picture(pictures[place]) for pictures in folders]
            height, width = read[0].shape[:2]
            box = centre_box(height, width, None if scaled else size)
            stacks.append([cut(resize(pixels, (height, width)), box, size) for pixels in read])
    if not stacks:
        return [np.empty((0, size, size, 3), np.uint8) for _ in folders]
    return [np.stack(squares) for squares in zip(*stacks, strict=True)]


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


def draw_squares(generator: nn.Module, photos: Squares, device: str) -> Squares:
    """Draw squares one by one with a generator that takes RGB in -1..1: N x H x W x 3 uint8 to the same."""
    drawings = np.empty_like(photos)
    with evaluating(generator):
        for i, photo in enumerate(photos):
            x = torch.from_numpy(photo).to(device).permute(2, 0, 1)[None].float() / 127.5 - 1
            y = generator(x.contiguous(memory_format=torch.channels_last))[0].permute(1, 2, 0)
            drawings[i] = ((y + 1) * 127.5).round().clamp(0, 255).to("cpu", torch.uint8).numpy()
    return drawings


def write_sheet(path: Path, photos: Squares, *drawings: Squares) -> None:
    """Write photos and drawings of them as one PNG. Raises OSError."""
    sheet = grid(list(photos), *(list(each) for each in drawings))
    write_atomically(path, encode_picture(sheet, format="png"), overwrite=True)
