"""What the frames of a moving picture are made of, and how they look laid over each other."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

import numpy as np

from toonify.pixels.arrays import Floats, Pixels
from toonify.pixels.boxes import Box

Disposal = Literal["keep", "clear", "restore"]
Frame = tuple[Pixels, Pixels | None]  # H x W x 3 colors, and H x W transparency (None: opaque)


@dataclass(frozen=True)
class Part:
    """A rectangle that a frame brings."""

    still: Callable[[], bytes]  # it as a picture file of its own
    box: Box  # where it lies; what reaches beyond the picture is not seen
    seconds: Fraction  # how long the frame is shown
    is_over: bool  # laid over what is there, by its transparency; else it takes the place of that
    disposal: Disposal = "keep"  # what becomes of its place before the next frame


@dataclass(frozen=True)
class Reel:
    """The structure of a moving picture: nothing of it is decoded."""

    height: int
    width: int
    parts: Sequence[Part]
    plays: int  # how often it is played; 0: for ever
    notes: tuple[str, ...] = ()


def lay_together(reel: Reel, decode: Callable[[bytes], Frame]) -> Iterator[Frame]:
    """The frames of a reel as they are seen, each an array of its own.

    `decode` gives the pixels of a part. Sources: GIF89a, 23 (disposal); PNG, third edition, 11.3.6 (fcTL); WebP
    Container Specification (ANMF).
    """
    canvas = np.zeros((reel.height, reel.width, 4), np.uint8)
    whole = Box(0, 0, reel.height, reel.width)
    for part in reel.parts:
        seen = part.box.common(whole)
        place = canvas[seen.slices] if all(seen.size) else canvas[:0, :0]
        before = place.copy() if part.disposal == "restore" else None
        colors, alpha = decode(part.still())
        rows, columns = seen.moved(-part.box.top, -part.box.left).slices
        brought = np.dstack([colors, np.full(colors.shape[:2], 255, np.uint8) if alpha is None else alpha])
        brought = brought[rows, columns][: place.shape[0], : place.shape[1]]
        if part.is_over:
            _lay_over(place, brought)
        else:
            place[:] = brought
        yield _seen(canvas)
        if part.disposal == "clear":
            place[:] = 0
        elif before is not None:
            place[:] = before


def _lay_over(below: Pixels, above: Pixels) -> None:
    """Lay H x W x 4 pixels over others, in place: `over` of Porter and Duff (1984), colors not multiplied by alpha."""
    weight = above[..., 3]
    opaque = weight == 255
    below[opaque] = above[opaque]
    mixed = (weight > 0) & ~opaque
    if not mixed.any():
        return
    top, bottom = above[mixed].astype(np.float32), below[mixed].astype(np.float32)
    share, left = top[:, 3:] / 255, bottom[:, 3:] / 255
    rest: Floats = left * (1 - share)
    both = share + rest
    colors = (top[:, :3] * share + bottom[:, :3] * rest) / both
    below[mixed] = np.rint(np.hstack([colors, both * 255])).astype(np.uint8)


def _seen(canvas: Pixels) -> Frame:
    """A copy of what is on the canvas; where nothing is seen, the mean color of the rest."""
    colors, alpha = canvas[..., :3].copy(), canvas[..., 3].copy()
    if alpha.min(initial=255) == 255:
        return colors, None
    if alpha.any():
        colors[alpha == 0] = colors[alpha > 0].mean(axis=0).round()
    return colors, alpha
