"""One moving picture to another: GIF, APNG, animated WebP and AVIF sequences."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from toonify.convert.options import SaveOptions
from toonify.drawing import Style
from toonify.drawing.moving import Held, draw_sequence
from toonify.images.formats import WRITTEN, WrittenFormat
from toonify.images.moving import MovingPicture, encode_moving, left_out
from toonify.images.moving.parts import Frame
from toonify.pixels.arrays import Pixels
from toonify.pixels.layout import side_by_side
from toonify.pixels.resize import resize
from toonify.system.cores import network_threads

OnFrame = Callable[[int], None]  # is told how many frames are drawn; what it raises ends the drawing
_Belongings = tuple[Pixels | None, Pixels | None]  # of a frame: transparency, and itself where it is shown beside


def refused(frames: int, format: WrittenFormat, *, moving: bool) -> str | None:  # noqa: A002
    """Why a picture with so many frames cannot be drawn to a format, and what to type; None where it can."""
    if moving and frames > 1 and not WRITTEN[format].moves:
        return (
            f"it moves ({frames} frames), which {format} does not; choose --format webp, png or avif, "
            "or add --first-frame"
        )
    if format == "gif" and (frames == 1 or not moving):
        return "a picture that does not move is not written as gif; choose png"
    return None


def frames_under_way() -> int:
    """How many frames are in memory at most while a moving picture is drawn."""
    return 4 * (network_threads() // 2 + 1) + 4


@dataclass(frozen=True)
class Drawn:
    """A moving picture that is drawn."""

    data: bytes  # as a file
    size: tuple[int, int]  # width and height
    network_seconds: float
    notes: tuple[str, ...]  # what the user should know


def draw_moving(
    picture: MovingPicture,
    format: WrittenFormat,  # noqa: A002
    style: Style,
    save: SaveOptions,
    note: str,
    on_frame: OnFrame = lambda count: None,
) -> Drawn:
    """Draw all frames of a moving picture, one after the other, and encode them as they come.

    Raises ImageError, and what `Style.draw` and `on_frame` raise.
    """
    height, width = style.sizes(*picture.stored_size)[1]
    if save.before_after:
        empty = np.zeros((height, width), np.uint8)
        height, width = side_by_side(empty, empty).shape
    held = Held()

    def sources() -> Iterator[tuple[_Belongings, Pixels]]:
        for colors, alpha in picture.frames():
            yield (alpha, colors if save.before_after else None), colors

    with contextlib.closing(draw_sequence(sources(), style, held)) as drawn:

        def frames() -> Iterator[Frame]:
            for count, ((alpha, source), pixels) in enumerate(drawn, 1):
                alpha = None if alpha is None else resize(alpha, pixels.shape[:2])
                if source is not None:
                    alpha = None if alpha is None else side_by_side(alpha, alpha, between=0)
                    pixels = side_by_side(resize(source, pixels.shape[:2]), pixels)
                yield pixels, alpha
                on_frame(count)

        data = encode_moving(
            frames(),
            picture.seconds,
            size=(height, width),
            format=format,
            plays=picture.plays,
            has_alpha=picture.has_alpha,
            quality=save.quality,
            metadata=None if save.strip_metadata else picture.metadata,
            note=note,
        )
    return Drawn(data, (width, height), held.network_seconds, _notes(picture, format, save))


def _notes(picture: MovingPicture, format: WrittenFormat, save: SaveOptions) -> tuple[str, ...]:  # noqa: A002
    lost = [] if save.strip_metadata else picture.metadata.left_out(format)
    return (*picture.notes, *left_out(picture, format), *lost)
