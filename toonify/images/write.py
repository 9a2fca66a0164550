"""Arrays to picture files."""

import io

import numpy as np
from PIL import Image

from toonify.errors import ImageError, one_line
from toonify.images.exif import fitted_exif
from toonify.images.formats import FORMATS, FormatName
from toonify.images.modes import on_white
from toonify.images.tiff import encode_tiff
from toonify.pixels.arrays import Pixels


def encode_picture(
    pixels: Pixels,
    *,
    format: FormatName,  # noqa: A002 - the field's own word, as in PIL
    quality: int | None = None,
    alpha: Pixels | None = None,
    exif: Image.Exif | None = None,
    compression: int | None = None,
) -> bytes:
    """Encode H x W x 3 uint8 sRGB pixels as `format`.

    `compression` is for png: from 1, three times as quick as the default of 6 for a tenth more bytes, to 9.
    Transparency is laid on white where the format has none. Raises ImageError if the picture is too large for it.
    """
    height, width = pixels.shape[:2]
    form = FORMATS[format]
    if form.max_side is not None and max(height, width) > form.max_side:
        raise ImageError(
            f"{width} x {height} is more than {format} holds ({form.max_side} a side); choose --format png"
        )
    if alpha is not None and not form.transparency:
        pixels, alpha = on_white(pixels, alpha), None
    samples = pixels if alpha is None else np.dstack([pixels, alpha])
    fitted = fitted_exif(exif, width, height, limit=form.max_exif)
    if format == "tiff":
        return encode_tiff(samples, fitted)
    options = dict(form.options)
    if form.quality is not None:
        options["quality"] = quality or form.quality
    if form.compression is not None and compression is not None:
        options[form.compression] = compression
    buffer = io.BytesIO()
    try:
        Image.fromarray(samples).save(
            buffer,
            format=form.pillow,
            exif=b"" if fitted is None else fitted.tobytes(),
            **options,
        )
    except (OSError, ValueError, RuntimeError, MemoryError) as error:
        raise ImageError(f"cannot be written as {format}: {one_line(error)}") from error
    return buffer.getvalue()
