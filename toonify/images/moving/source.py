"""Files that move: told from stills by their bytes, and opened."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from io import BytesIO
from typing import BinaryIO

import numpy as np

from toonify.errors import ImageError, one_line
from toonify.images.formats import DEFAULT_MAX_PIXELS, WrittenFormat
from toonify.images.metadata import NO_METADATA, Metadata, metadata_of
from toonify.images.modes import to_srgb
from toonify.images.moving import apng, avif, gif, webp
from toonify.images.moving.parts import Frame, Reel, lay_together
from toonify.images.opened import Opened
from toonify.images.png import SIGNATURE
from toonify.images.read import decoding, read_photo, upright_pixels

_FORMATS: dict[str, WrittenFormat] = {"GIF": "gif", "PNG": "png", "WEBP": "webp", "AVIF": "avif"}
_HEAD = 32


@dataclass
class MovingPicture:
    """A moving picture of which all frames have been looked at; none is kept."""

    format: WrittenFormat  # the one that it is in
    stored_size: tuple[int, int]  # height and width, upright
    seconds: Sequence[Fraction]  # how long each frame is shown
    plays: int  # how often all of them; 0: for ever
    _decoded: Callable[[list[str]], Iterator[Frame]]  # is given where to put what the user should know
    metadata: Metadata = NO_METADATA
    notes: tuple[str, ...] = ()  # what the user should know
    has_alpha: bool = field(default=False, init=False)  # whether anything in it is transparent

    def frames(self) -> Iterator[Frame]:
        """Each frame as it is seen: upright H x W x 3 sRGB, and H x W transparency (None: opaque).

        Raises ImageError.
        """
        return self._decoded([])

    def look_through(self) -> None:
        """Decode all frames once, before anything is made of them. Raises ImageError if one is damaged."""
        notes: list[str] = []
        for _, alpha in self._decoded(notes):
            self.has_alpha = self.has_alpha or alpha is not None
        self.notes = tuple(dict.fromkeys([*self.notes, *notes]))


def moves(file: BinaryIO) -> bool:
    """Whether a picture file has more than one frame: see `frame_count`."""
    return frame_count(file, most=2) > 1


def frame_count(file: BinaryIO, *, most: int | None = None) -> int:
    """How many frames a picture file has, by its structure; 1 for all that do not move, also if they have pages.

    Counting may end at `most`. The file is left at its beginning.
    """
    file.seek(0)
    head = file.read(_HEAD)
    try:
        if gif.is_gif(head):
            return gif.count_frames(head + file.read(), most)
        if head.startswith(SIGNATURE):
            return apng.count_frames(file)
        if webp.is_webp(head):
            return webp.count_frames(file)
        if avif.is_isobmff(head):
            timing = avif.read_timing(file)
            return 1 if timing is None else len(timing.seconds)
        return 1
    finally:
        file.seek(0)


def read_structure(file: BinaryIO) -> Reel | avif.Timing:
    """The structure of a file that moves (see `frame_count`). Raises ImageError if part of it is lost."""
    file.seek(0)
    data = file.read()
    if gif.is_gif(data):
        return gif.read_gif(data)
    if data.startswith(SIGNATURE):
        return apng.read_apng(data)
    if webp.is_webp(data):
        return webp.read_webp(data)
    timing = avif.read_timing(file)
    if timing is None:
        raise ImageError("it does not move")
    if missing := avif.missing(data):
        raise ImageError(f"damaged: it ends early, with {missing} bytes missing")
    return timing


def read_moving(file: BinaryIO, *, max_pixels: int = DEFAULT_MAX_PIXELS) -> MovingPicture:
    """A moving picture (see `frame_count`), all of which can be decoded.

    Its frames are decoded one at a time, whenever they are asked for; what is kept in memory is the file.

    Raises ImageError as `read_photo` does, and if a frame is damaged, or not all of them are there.
    """
    structure = read_structure(file)
    file.seek(0)
    data = file.read()
    with decoding(file, max_pixels) as opened:
        notes: list[str] = []
        metadata = metadata_of(opened, notes)
        kind = opened.image.format or ""
        if isinstance(structure, avif.Timing):
            picture = _sequence(data, opened, structure, max_pixels)
        else:
            picture = _reel(structure, _FORMATS[kind], opened, max_pixels)
        picture.metadata = metadata
        picture.notes = (*picture.notes, *notes)
    picture.look_through()
    return picture


def _reel(reel: Reel, form: WrittenFormat, opened: Opened, max_pixels: int) -> MovingPicture:
    image = opened.image
    if reel.height * reel.width > max_pixels:
        raise ImageError(f"{reel.width} x {reel.height} is more than --max-megapixels allows")

    def decoded(notes: list[str]) -> Iterator[Frame]:
        number = 0

        def decode(still: bytes) -> Frame:
            nonlocal number
            number += 1
            try:
                photo = read_photo(BytesIO(still), max_pixels=max_pixels)
            except ImageError as error:
                raise ImageError(f"{error} (frame {number} of {len(reel.parts)})") from error
            notes.extend(photo.notes)
            return photo.pixels, photo.alpha

        for colors, alpha in lay_together(reel, decode):
            turned = None if alpha is None else upright_pixels(alpha, image, opened)
            yield upright_pixels(colors, image, opened), turned

    size = upright_pixels(np.zeros((reel.height, reel.width), np.uint8), image, opened).shape
    return MovingPicture(
        form, (size[0], size[1]), [part.seconds for part in reel.parts], reel.plays, decoded, notes=reel.notes
    )


def _sequence(data: bytes, opened: Opened, timing: avif.Timing, max_pixels: int) -> MovingPicture:
    """Frames that lie over none: libavif decodes each of them whole."""
    count = getattr(opened.image, "n_frames", 1)
    if count != len(timing.seconds):
        raise ImageError(f"damaged: it has times for {len(timing.seconds)} frames, and {count} frames")

    def decoded(notes: list[str]) -> Iterator[Frame]:
        with decoding(BytesIO(data), max_pixels) as again:
            color = again.color(notes)
            for number in range(count):
                try:
                    again.image.seek(number)
                    again.image.load()
                except (OSError, ValueError, RuntimeError, EOFError) as error:
                    reason = one_line(error)
                    raise ImageError(f"damaged: {reason} (frame {number + 1} of {count})") from error
                colors, alpha = to_srgb(again.image, (65_535, False), color, notes)
                turned = None if alpha is None else upright_pixels(alpha, again.image, again)
                yield upright_pixels(colors, again.image, again).copy(), turned

    size = upright_pixels(np.zeros(opened.image.size[::-1], np.uint8), opened.image, opened).shape
    return MovingPicture("avif", (size[0], size[1]), timing.seconds, timing.plays, decoded)
