"""Frames to a moving picture, one by one: what is kept in memory is what is written, not what it is made of."""

import io
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from PIL import Image

from toonify.errors import ImageError, one_line
from toonify.images.formats import WRITTEN, Format, WrittenFormat
from toonify.images.metadata import NO_METADATA, Metadata
from toonify.images.moving import avif, gif, webp
from toonify.images.moving.apng import ApngWriter
from toonify.images.moving.gif import GifWriter
from toonify.images.moving.parts import Frame
from toonify.images.moving.source import MovingPicture
from toonify.images.moving.times import in_ticks
from toonify.images.write import with_png_metadata

_WEBP_EFFORT = 4  # as for stills, of 0 to 6; Pillow's default for moving pictures is 0


def encode_moving(
    frames: Iterable[Frame],
    seconds: Sequence[Fraction],
    *,
    size: tuple[int, int],
    format: WrittenFormat,  # noqa: A002 - as in PIL
    plays: int = 0,
    has_alpha: bool = False,
    quality: int | None = None,
    metadata: Metadata | None = None,
    note: str | None = None,
) -> bytes:
    """Encode frames of H x W x 3 uint8 sRGB and transparency (None: opaque), each of a `size` of height and width.

    `seconds` are how long each is shown, `plays` how often all of them are (0: for ever); where `has_alpha` is false,
    transparency is not asked for. `metadata` and `note` are as for `encode_picture`. Times are whole hundredths in GIF,
    thousandths in WebP and as good as exact in the others; they are rounded so that the sum stays right.

    Raises ImageError if the picture is too large for the format, or that does not move; whatever `frames` raises.
    """
    height, width = size
    form = WRITTEN[format]
    if not form.moves:
        raise ImageError(f"{format} does not move")
    if form.max_side is not None and max(height, width) > form.max_side:
        raise ImageError(
            f"{width} x {height} is more than {format} holds ({form.max_side} a side); choose --format png"
        )
    fitted = (metadata or NO_METADATA).true_of(width, height, None if format == "gif" else note, format)
    if format == "gif":
        comments = [*([] if note is None else [note.encode("ascii", "replace")]), *fitted.comments]
        return _written(GifWriter(height, width, seconds, plays, fitted.xmp, comments), frames)
    if format == "png":
        return with_png_metadata(_written(ApngWriter(height, width, seconds, plays, has_alpha), frames), fitted)
    options = {
        **form.options,
        "quality": quality or form.quality,
        "exif": fitted.exif,
        "xmp": fitted.xmp,
    }
    images = _Images(frames, len(seconds), has_alpha=has_alpha)
    if format == "webp":
        ticks = in_ticks(seconds, webp.TICKS, most=webp.MOST_TICKS)
        options |= {"duration": ticks, "loop": min(plays, webp.MOST_PLAYS), "method": _WEBP_EFFORT}
        return _saved(images, form, options)
    rate = avif.rate_for(seconds)
    ticks = in_ticks(seconds, rate, most=avif.MOST_TICKS, least=1)
    return avif.with_timing(_saved(images, form, options | {"duration": ticks}), rate, plays)


def left_out(picture: MovingPicture, format: WrittenFormat) -> list[str]:  # noqa: A002
    """What a format cannot hold of a moving picture, its metadata apart."""
    notes = []
    rate = {"gif": gif.TICKS, "webp": webp.TICKS}.get(format)
    if rate is not None and any((length * rate).denominator > 1 for length in picture.seconds):
        notes.append(f"its times were rounded to 1/{rate} s")
    if format == "avif" and not all(picture.seconds):
        notes.append("its frames of 0 s are shown for 1/1000 s, which avif asks for")
    if format == "gif" != picture.format and picture.has_alpha:
        notes.append("its transparency was cut to holes")
    return notes


def _written(writer: GifWriter | ApngWriter, frames: Iterable[Frame]) -> bytes:
    for frame in frames:
        writer.add(frame)
    return writer.finish()


class _Images(Image.Image):
    """Frames as an image of Pillow's that moves: each is made when Pillow goes to it, and then let go."""

    def __init__(self, frames: Iterable[Frame], count: int, *, has_alpha: bool) -> None:
        super().__init__()
        self._frames: Iterator[Frame] = iter(frames)
        self._has_alpha = has_alpha
        self._place = -1
        self.n_frames = count
        self.is_animated = True
        self.failure: BaseException | None = None  # what `frames` has raised, and not Pillow
        self.seek(0)

    def seek(self, frame: int) -> None:
        """Go to the next frame; to the first again, which Pillow asks for at the end, when nobody looks any more."""
        if frame >= self.n_frames:
            raise EOFError
        if frame <= self._place:
            return
        try:
            colors, alpha = next(self._frames)
        except BaseException as error:
            self.failure = error
            raise
        if self._has_alpha:
            colors = np.dstack([colors, np.full(colors.shape[:2], 255, np.uint8) if alpha is None else alpha])
        image = Image.fromarray(colors)
        self._im, self._mode, self._size = image.im, image.mode, image.size
        self._place = frame

    def tell(self) -> int:
        """The number of the frame."""
        return max(0, self._place)


def _saved(images: _Images, form: Format, options: dict[str, Any]) -> bytes:
    buffer = io.BytesIO()
    try:
        images.save(buffer, format=form.pillow, save_all=True, **options)
    except (OSError, ValueError, RuntimeError, MemoryError) as error:
        if images.failure is not None:
            raise images.failure from None
        raise ImageError(f"cannot be written as {form.suffixes[0][1:]}: {one_line(error)}") from error
    return buffer.getvalue()
