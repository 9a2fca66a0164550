"""Arrays to picture files."""

import io

import numpy as np
from PIL import Image

from toonify.errors import ImageError, one_line
from toonify.images import xmp as packets
from toonify.images.formats import FORMATS, WrittenFormat
from toonify.images.metadata import EXIF_HEAD, NO_METADATA, Metadata
from toonify.images.modes import on_white
from toonify.images.png import comment_chunk, with_chunks
from toonify.images.tiff import encode_tiff
from toonify.pixels.arrays import Pixels


def encode_picture(
    pixels: Pixels,
    *,
    format: WrittenFormat,  # noqa: A002 - the field's own word, as in PIL
    quality: int | None = None,
    alpha: Pixels | None = None,
    metadata: Metadata | None = None,
    note: str | None = None,
    compression: int | None = None,
) -> bytes:
    """Encode H x W x 3 uint8 sRGB pixels as `format`.

    `compression` is for png: from 1, three times as quick as the default of 6 for a tenth more bytes, to 9.
    `metadata` is the photo's, which is made true of the picture; `note` says in its XMP how that was made.
    Transparency is laid on white where the format has none. Raises ImageError if the picture is too large for it,
    and for gif: see `encode_moving`.
    """
    height, width = pixels.shape[:2]
    if format == "gif":
        raise ImageError("a picture that does not move is not written as gif; choose png")
    form = FORMATS[format]
    if form.max_side is not None and max(height, width) > form.max_side:
        raise ImageError(
            f"{width} x {height} is more than {format} holds ({form.max_side} a side); choose --format png"
        )
    if alpha is not None and not form.transparency:
        pixels, alpha = on_white(pixels, alpha), None
    samples = pixels if alpha is None else np.dstack([pixels, alpha])
    fitted = (metadata or NO_METADATA).true_of(width, height, note, format)
    if form.metadata == "tiff":
        return encode_tiff(samples, fitted)
    options = dict(form.options)
    if form.quality is not None:
        options["quality"] = quality or form.quality
    if form.compression is not None and compression is not None:
        options[form.compression] = compression
    if form.metadata == "pillow":
        options |= {"exif": fitted.exif, "xmp": fitted.xmp}
    buffer = io.BytesIO()
    try:
        Image.fromarray(samples).save(
            buffer,
            format=form.pillow,
            **options,
        )
    except (OSError, ValueError, RuntimeError, MemoryError) as error:
        raise ImageError(f"cannot be written as {format}: {one_line(error)}") from error
    if form.metadata == "jpeg":
        return _with_segments(buffer.getvalue(), fitted)
    if form.metadata == "png":
        return with_png_metadata(buffer.getvalue(), fitted)
    return buffer.getvalue()


def with_png_metadata(data: bytes, metadata: Metadata) -> bytes:
    """An encoded PNG with its metadata."""
    return with_chunks(
        data,
        exif=metadata.exif,
        xmp=metadata.xmp,
        resources=metadata.photoshop,
        resolution=metadata.resolution,
        texts=[*metadata.texts, *map(comment_chunk, metadata.comments)],
    )


def _with_segments(data: bytes, metadata: Metadata) -> bytes:
    """An encoded JPEG with its metadata behind the JFIF head (Exif 2.32, 4.7; XMP part 3, 1.1.3)."""
    head = 4 + int.from_bytes(data[4:6]) if data[2:4] == b"\xff\xe0" else 2
    start = data[:head]
    if metadata.resolution is not None and start[6:11] == b"JFIF\0":
        start = start[:13] + metadata.resolution.as_jfif() + start[18:]
    segments = []
    if metadata.exif:
        segments.append(b"\xff\xe1" + _sized(EXIF_HEAD + metadata.exif))
    if metadata.xmp:
        packet, extended = packets.split(metadata.xmp, FORMATS["jpg"].max_xmp or 0)
        segments.append(b"\xff\xe1" + _sized(b"http://ns.adobe.com/xap/1.0/\0" + packet))
        segments += [b"\xff\xe1" + _sized(body) for body in packets.extension_segments(extended)]
    if metadata.photoshop:
        segments.append(b"\xff\xed" + _sized(b"Photoshop 3.0\0" + metadata.photoshop))
    segments += [b"\xff\xfe" + _sized(comment) for comment in metadata.comments]
    return b"".join([start, *segments, data[head:]])


def _sized(body: bytes) -> bytes:
    return (2 + len(body)).to_bytes(2) + body
