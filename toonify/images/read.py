"""Picture files to arrays: orientation, colour profiles, transparency and EXIF are dealt with here, once."""

import contextlib
import functools
import math
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pillow_heif
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from toonify.errors import ImageError, one_line
from toonify.images.exif import descriptive_exif
from toonify.images.formats import DEFAULT_MAX_PIXELS, FALLBACK, FORMAT_OF_DECODER, FormatName
from toonify.images.jpeg import decode_jpeg, refuse_damaged_jpeg, turned_upright
from toonify.images.modes import deepest_white, on_white, pixels_to_srgb, to_srgb
from toonify.pixels.arrays import Pixels


@dataclass(frozen=True)
class Photo:
    """A decoded picture: upright, in sRGB."""

    pixels: Pixels  # H x W x 3
    alpha: Pixels | None = None  # H x W; None: opaque
    exif: Image.Exif = field(default_factory=Image.Exif)  # descriptive tags only; orientation is applied and gone
    format: FormatName = FALLBACK  # the nearest that can be written
    stored_size: tuple[int, int] = (0, 0)  # height and width of the file's picture, upright; it may be decoded smaller
    notes: tuple[str, ...] = ()  # what the user should know, such as "first of 12 frames"


def read_photo(file: BinaryIO, *, max_pixels: int = DEFAULT_MAX_PIXELS, enough: int | None = None) -> Photo:
    """Decode a picture that was opened for reading.

    A JPEG is decoded at a half, a quarter or an eighth of its size, which is quicker, if its long side still has
    `enough` pixels then.

    JPEG, PNG, WebP, TIFF, BMP, GIF (first frame), AVIF and HEIC, in any of their colour modes but 32-bit floating
    point; other colour spaces come to sRGB through the embedded profile.

    Raises ImageError: not a picture, damaged, more than `max_pixels`, or a mode that has no defined white.
    """
    with _decoding(file, max_pixels) as image:
        width, height = image.size
        if enough is not None and enough < max(width, height):
            factor = enough / max(width, height)
            image.draft(None, (math.ceil(width * factor), math.ceil(height * factor)))  # for JPEG; others ignore it
        pixels = _jpeg_pixels(image, file, whole=image.size == (width, height))
        photo = photo_from_image(image) if pixels is None else _photo_from_jpeg(image, pixels)
    turned = (photo.pixels.shape[0] > photo.pixels.shape[1]) != (height > width)
    return replace(photo, stored_size=(width, height) if turned else (height, width))


def read_stored(file: BinaryIO, *, max_pixels: int = DEFAULT_MAX_PIXELS) -> Pixels:
    """Decode a picture as tools that measure pictures do: upright, but with neither profile nor transparency applied.

    Raises ImageError as `read_photo` does, and for 16-bit grey, which those tools turn white.
    """
    with _decoding(file, max_pixels) as image:
        _refuse_deep_grey(image)
        pixels = _jpeg_pixels(image, file)
        return np.asarray(_upright(image).convert("RGB")) if pixels is None else pixels


def check_measurable(file: BinaryIO) -> None:
    """Raise ImageError for what `read_photo` reads and `read_stored` refuses; only a file's head is read."""
    with _opening(file) as image:
        _refuse_deep_grey(image)


def _refuse_deep_grey(image: Image.Image) -> None:
    if image.mode.startswith(("I", "F")):
        raise ImageError("more than 8 bits of grey, which tools that measure pictures clip; convert it to 8 bit")


def picture_size(file: BinaryIO) -> tuple[int, int]:
    """Width and height as a picture file's head has them, as it lies. Raises ImageError if it is no picture."""
    with _opening(file) as image:
        return image.size


@contextlib.contextmanager
def _decoding(file: BinaryIO, max_pixels: int) -> Iterator[Image.Image]:
    """A picture that may be decoded; whatever goes wrong with it is an ImageError."""
    with _opening(file) as image:
        _refuse_bomb(image.size, max_pixels)
        if image.format not in FORMAT_OF_DECODER:
            raise ImageError(f"{image.format} pictures are not read; convert it to JPEG or PNG first")
        yield image


@contextlib.contextmanager
def _opening(file: BinaryIO) -> Iterator[Image.Image]:
    """A picture of which the head is read; whatever goes wrong with it is an ImageError."""
    try:
        with _open(file) as image:
            yield image
    except ImageError:
        raise
    except UnidentifiedImageError as error:
        raise ImageError("not a picture, or of a kind that is not read") from error
    except MemoryError as error:
        raise ImageError("not enough memory to decode it") from error
    except Exception as error:  # decoders raise almost anything on damaged files: SyntaxError, struct.error, ...
        raise ImageError(f"damaged: {one_line(error)}") from error


def _jpeg_pixels(image: Image.Image, file: BinaryIO, *, whole: bool = True) -> Pixels | None:
    """An opened JPEG's pixels, upright: H x W x 3 RGB in its own colour space. None for what Pillow is to decode.

    That is other formats, JPEGs in grey or CMYK, and those that are not wanted `whole`, at their full size. Raises
    ImageError if part of a JPEG is lost.
    """
    if image.format not in ("JPEG", "MPO"):
        return None
    pixels = decode_jpeg(file) if image.mode == "RGB" and whole else None
    if pixels is None:
        refuse_damaged_jpeg(file)
        return None
    return turned_upright(pixels, _orientation(image))


def _photo_from_jpeg(image: Image.Image, pixels: Pixels) -> Photo:
    """An opened JPEG whose upright pixels are decoded already."""
    notes: list[str] = []
    exif = descriptive_exif(image, notes)
    if icc := image.info.get("icc_profile"):
        pixels = pixels_to_srgb(pixels, icc, notes)
    return Photo(pixels, None, exif, "jpg", pixels.shape[:2], tuple(notes))


def photo_from_image(image: Image.Image) -> Photo:
    """A PIL image, upright and in sRGB. Raises ImageError for a mode that has no defined white."""
    notes: list[str] = []
    frames = getattr(image, "n_frames", 1)
    if frames > 1 and image.format not in ("MPO", "HEIF"):  # those hold previews, not further pictures
        notes.append(f"first of {frames} frames")
    image.load()
    exif = descriptive_exif(image, notes)
    pixels, alpha = to_srgb(_upright(image), deepest_white(image), notes)
    own_format = FORMAT_OF_DECODER.get(image.format or "", FALLBACK)
    return Photo(pixels, alpha, exif, own_format, pixels.shape[:2], tuple(notes))


def read_processing_note(path: Path) -> str | None:
    """The EXIF tag ProcessingSoftware of a picture file, without decoding its pixels; None where there is none."""
    try:
        if not path.is_file():  # to open a pipe would wait for ever
            return None
        with path.open("rb") as file, _open(file) as image:
            note = image.getexif().get(ExifTags.Base.ProcessingSoftware)
    except Exception:  # whatever is wrong with it, it is no picture of ours
        return None
    return note if isinstance(note, str) else None


_OPENING = threading.Lock()
_register_heif = functools.cache(pillow_heif.register_heif_opener)


def _open(file: BinaryIO) -> Image.Image:
    """Image.open without Pillow's own size limit, which is global; `read_photo` has one for each call."""
    _register_heif()
    with _OPENING:
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            return Image.open(file)
        finally:
            Image.MAX_IMAGE_PIXELS = limit


def _refuse_bomb(size: tuple[int, int], max_pixels: int) -> None:
    width, height = size
    if width * height > max_pixels:
        raise ImageError(
            f"{width} x {height} is {width * height / 1e6:.5g} megapixels, over the limit of {max_pixels / 1e6:g}; "
            "if you trust the file, convert, prepare and smooth-edges take it with "
            f"--max-megapixels {-(-width * height // 1_000_000)}"
        )


def _orientation(image: Image.Image) -> int:
    """How a picture lies, as EXIF has it: 1 is upright."""
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # broken EXIF: the pixels are still good as they lie
        return 1


def _upright(image: Image.Image) -> Image.Image:
    try:
        return image if _orientation(image) == 1 else ImageOps.exif_transpose(image)  # which would copy it
    except Exception:  # broken EXIF, too
        return image


def opaque(photo: Photo) -> Pixels:
    """The pixels of a photo, its transparency laid on white."""
    return photo.pixels if photo.alpha is None else on_white(photo.pixels, photo.alpha)
