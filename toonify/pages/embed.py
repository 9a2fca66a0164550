"""Pictures inside a web page that needs no other file, and the policy that keeps everything else out of it."""

import base64
import hashlib
from pathlib import Path

from toonify.errors import ImageError
from toonify.images import Photo, check_measurable, encode_picture, read_photo
from toonify.pixels.resize import fit_long_side, resize

_SAME_SHAPE = 0.02  # by which sides' ratios may differ, as where a network rounds sizes


def read_picture(path: Path, *, measurable: bool = False) -> Photo:
    """Decode a picture file. Raises ImageError, also if the file cannot be opened.

    `measurable`: what FID's tools, which take files as they are, would not read is an error here, too.
    """
    try:
        with path.open("rb") as file:
            if measurable:
                check_measurable(file)
                file.seek(0)
            return read_photo(file)
    except OSError as error:
        raise ImageError(f"cannot be read: {error.strerror}") from error


def page_jpeg(picture: Photo, *, long_side: int, quality: int, shape: tuple[int, ...] | None = None) -> bytes:
    """A JPEG of the page's size with no metadata, in the exact proportions of `shape` if it nearly has them.

    So a pixel that a network rounded away leaves no margin that would tell its pictures from others'. Never enlarges.
    """
    height, width = picture.pixels.shape[:2]
    long_side = min(long_side, max(height, width))
    if shape is not None and same_shape(picture.pixels.shape, shape):
        height, width = shape[:2]
    size = fit_long_side(height, width, long_side)
    alpha = None if picture.alpha is None else resize(picture.alpha, size)
    return encode_picture(resize(picture.pixels, size), format="jpg", quality=quality, alpha=alpha)


def same_shape(one: tuple[int, ...], other: tuple[int, ...]) -> bool:
    """Whether two shapes (height, width, ...) have the same proportions, up to what networks round."""
    ratio = (one[0] * other[1]) / (one[1] * other[0])
    return abs(ratio - 1) <= _SAME_SHAPE


def data_uri(jpeg: bytes) -> str:
    """A JPEG as the address of an image."""
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"


def policy_hash(text: str) -> str:
    """What a Content-Security-Policy allows an inline script or style of this text by."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
