"""Arrays to picture files."""

import io

import numpy as np
from PIL import Image

from toonify.errors import ImageError, one_line
from toonify.images.exif import fitted_exif
from toonify.images.formats import DEFAULT_QUALITY
from toonify.images.modes import on_white
from toonify.images.tiff import encode_tiff
from toonify.pixels.arrays import Pixels

_MAX_EXIF = {"jpg": 65_000}  # bytes: one segment of 64 KiB
_MAX_SIDE = {"jpg": 65_500, "webp": 16_383, "avif": 65_536}  # of the files, in pixels


def encode_picture(
    pixels: Pixels,
    *,
    format: str,  # noqa: A002 - the field's own word, as in PIL
    quality: int | None = None,
    alpha: Pixels | None = None,
    exif: Image.Exif | None = None,
    compression: int | None = None,
) -> bytes:
    """Encode H x W x 3 uint8 sRGB pixels as `format`, a key of SUFFIXES_OF_FORMAT.

    `compression` is that of png: from 1, three times as quick as the default of 6 for a tenth more bytes, to 9.
    Transparency is laid on white where the format has none. Raises ImageError if the picture is too large for it.
    """
    height, width = pixels.shape[:2]
    limit = _MAX_SIDE.get(format)
    if limit is not None and max(height, width) > limit:
        raise ImageError(f"{width} x {height} is more than {format} holds ({limit} a side); choose --format png")
    if alpha is not None and format == "jpg":
        pixels, alpha = on_white(pixels, alpha), None
    samples = pixels if alpha is None else np.dstack([pixels, alpha])
    fitted = fitted_exif(exif, width, height, limit=_MAX_EXIF.get(format))
    if format == "tiff":
        return encode_tiff(samples, fitted)
    options: dict[str, object] = {"quality": quality or DEFAULT_QUALITY[format]} if format in DEFAULT_QUALITY else {}
    if format == "png" and compression is not None:
        options["compress_level"] = compression
    if format == "jpg":
        options["subsampling"] = 0  # halving the colour's resolution frays coloured lines
    buffer = io.BytesIO()
    try:
        Image.fromarray(samples).save(
            buffer,
            format={"jpg": "JPEG"}.get(format, format.upper()),
            exif=b"" if fitted is None else fitted.tobytes(),
            **options,
        )
    except (OSError, ValueError, RuntimeError, MemoryError) as error:
        raise ImageError(f"cannot be written as {format}: {one_line(error)}") from error
    return buffer.getvalue()
