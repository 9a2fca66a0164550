"""The same few photos, drawn again and again, so that one can see a run learn."""

import contextlib
from collections.abc import Iterator
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
from toonify.train.data import read_picture
from toonify.train.grid import MAX_PAIRS, grid


def choose_samples(pictures: tuple[Found, ...], size: int) -> NDArray[np.uint8]:
    """Up to 8 squares from the middles of readable photos, evenly spread over the folder: N x size x size x 3."""
    places = np.unique(np.linspace(0, len(pictures) - 1, min(MAX_PAIRS, len(pictures))).astype(int))
    squares = []
    for place in places:
        with contextlib.suppress(ImageError):  # the data loader names it when its turn comes
            pixels = read_picture(pictures[place])
            squares.append(cut(pixels, centre_box(*pixels.shape[:2]), size))
    return np.stack(squares) if squares else np.empty((0, size, size, 3), np.uint8)


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


def draw_squares(generator: nn.Module, photos: NDArray[np.uint8], device: str) -> NDArray[np.uint8]:
    """Draw squares one by one with a generator that takes RGB in -1..1: N x H x W x 3 uint8 to the same."""
    drawings = np.empty_like(photos)
    with evaluating(generator):
        for i, photo in enumerate(photos):
            x = torch.from_numpy(photo).to(device).permute(2, 0, 1)[None].float() / 127.5 - 1
            y = generator(x.contiguous(memory_format=torch.channels_last))[0].permute(1, 2, 0)
            drawings[i] = ((y + 1) * 127.5).round().clamp(0, 255).to("cpu", torch.uint8).numpy()
    return drawings


def write_sheet(path: Path, photos: NDArray[np.uint8], drawings: NDArray[np.uint8]) -> None:
    """Write photos and drawings side by side as PNG. Raises OSError."""
    write_atomically(path, encode_picture(grid(list(photos), list(drawings)), format="png"), overwrite=True)
