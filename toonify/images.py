"""Picture files to arrays and back: orientation, colour profiles, transparency and EXIF are dealt with here, once.

Everywhere else a photo is an upright H x W x 3 uint8 array in sRGB.
"""

import contextlib
import functools
import io
import math
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pillow_heif
from PIL import ExifTags, Image, ImageCms, ImageOps, TiffImagePlugin, UnidentifiedImageError

from toonify.arrays import Pixels, to_floats, to_pixels
from toonify.errors import ImageError, one_line
from toonify.exif import descriptive_exif, fitted_exif
from toonify.jpeg import decode_jpeg, refuse_damaged_jpeg, turned_upright
from toonify.tiff import encode_tiff

# What `--format same` writes for a file name. HEIC is patented, so few programs may write it; BMP and GIF hold no EXIF,
# and a GIF would cut the drawing to 256 colours.
FORMAT_OF_SUFFIX = {
    **dict.fromkeys([".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".heic", ".heif", ".hif"], "jpg"),
    **dict.fromkeys([".png", ".apng", ".bmp", ".dib", ".gif"], "png"),
    ".webp": "webp",
    **dict.fromkeys([".avif", ".avifs"], "avif"),
    **dict.fromkeys([".tif", ".tiff"], "tiff"),
}
SUFFIXES_OF_FORMAT = {  # the first is the one that new names get
    "jpg": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "png": (".png",),
    "webp": (".webp",),
    "avif": (".avif",),
    "tiff": (".tiff", ".tif"),
}
_FORMAT_OF_DECODER = {
    **dict.fromkeys(["JPEG", "MPO", "HEIF"], "jpg"),
    **dict.fromkeys(["PNG", "BMP", "DIB", "GIF"], "png"),
    "WEBP": "webp",
    "AVIF": "avif",
    "TIFF": "tiff",
}
DEFAULT_QUALITY = {"jpg": 92, "webp": 90, "avif": 80}  # the others are lossless
DEFAULT_MAX_PIXELS = 250_000_000
_MAX_EXIF = {"jpg": 65_000}  # bytes: one segment of 64 KiB
_MAX_SIDE = {"jpg": 65_500, "webp": 16_383, "avif": 65_536}  # of the files, in pixels


@dataclass(frozen=True)
class Photo:
    """A decoded picture: upright, in sRGB."""

    pixels: Pixels  # H x W x 3
    alpha: Pixels | None = None  # H x W; None: opaque
    exif: Image.Exif = field(default_factory=Image.Exif)  # descriptive tags only; orientation is applied and gone
    format: str = "png"  # the nearest that can be written: a key of SUFFIXES_OF_FORMAT
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
        if image.format not in _FORMAT_OF_DECODER:
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
    icc = image.info.get("icc_profile")
    if icc and not _names_srgb(icc):
        pixels = np.asarray(_through_profile(Image.fromarray(pixels), icc, notes))
    return Photo(pixels, None, exif, "jpg", pixels.shape[:2], tuple(notes))


def photo_from_image(image: Image.Image) -> Photo:
    """A PIL image, upright and in sRGB. Raises ImageError for a mode that has no defined white."""
    notes: list[str] = []
    frames = getattr(image, "n_frames", 1)
    if frames > 1 and image.format not in ("MPO", "HEIF"):  # those hold previews, not further pictures
        notes.append(f"first of {frames} frames")
    image.load()
    exif = descriptive_exif(image, notes)
    pixels, alpha = _to_srgb(_upright(image), _white(image), notes)
    own_format = _FORMAT_OF_DECODER.get(image.format or "", "png")
    return Photo(pixels, alpha, exif, own_format, pixels.shape[:2], tuple(notes))


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
        pixels, alpha = _on_white(pixels, alpha), None
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
            f"{width} x {height} is {width * height / 1e6:.0f} megapixels, over the limit of {max_pixels / 1e6:g}; "
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


def _white(image: Image.Image) -> tuple[int, bool]:
    """The largest value of more than 8 bits of grey, and whether it stands for black (TIFF 6.0, WhiteIsZero)."""
    if not isinstance(image, TiffImagePlugin.TiffImageFile):
        return 65_535, False
    bits = image.tag_v2.get(TiffImagePlugin.BITSPERSAMPLE, (16,))[0]
    return (1 << min(bits, 16)) - 1, image.tag_v2.get(TiffImagePlugin.PHOTOMETRIC_INTERPRETATION) == 0


def _grey_of_16_bits(image: Image.Image, white: tuple[int, bool]) -> tuple[Image.Image, Pixels | None]:
    """Grey of 8 bits, which Pillow's own conversion would clip, and transparency where a shade stands for it (PNG)."""
    grey = np.asarray(image)
    most, inverted = white
    if grey.min() < 0 or grey.max() > most:
        raise ImageError("32-bit integer pictures have no defined white; convert it to 16 bit first")
    clear = image.info.get("transparency")
    alpha = None if clear is None else np.where(grey == clear, 0, 255).astype(np.uint8)
    scaled = ((grey.astype(np.uint32) * 255 + most // 2) // most).astype(np.uint8)
    return Image.fromarray(255 - scaled if inverted else scaled), None if alpha is None or alpha.all() else alpha


def _to_srgb(image: Image.Image, white: tuple[int, bool], notes: list[str]) -> tuple[Pixels, Pixels | None]:
    """Any mode that Pillow decodes to, as sRGB pixels and transparency; `white` is of more than 8 bits of grey."""
    icc = image.info.get("icc_profile")
    if image.mode == "F":
        raise ImageError("32-bit floating-point pictures have no defined white; convert it to 16 bit first")
    alpha = None
    if image.mode.startswith("I"):
        image, alpha = _grey_of_16_bits(image, white)
    elif image.mode == "YCbCr":  # a profile is of what it stands for
        image = image.convert("RGB")
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        alpha = np.array(rgba.getchannel("A"))
        image = image.convert("L") if image.mode in ("L", "LA", "La") else rgba.convert("RGB")
        if alpha.min() == 255:
            alpha = None
    elif image.mode in ("P", "1", "PA"):
        image = image.convert("RGB")
    if icc and image.mode in ("RGB", "L", "CMYK", "LAB"):
        image = _through_profile(image, icc, notes)
    pixels = np.asarray(image if image.mode == "RGB" else image.convert("RGB"))
    if alpha is not None and alpha.any():
        # What lies under full transparency is often garbage; it must not tint the drawing of what can be seen.
        pixels = pixels.copy()
        pixels[alpha == 0] = pixels[alpha > 0].mean(axis=0).round()
    return pixels, alpha


def _names_srgb(icc: bytes) -> bool:
    """Whether a profile says that it is sRGB, so that nothing is to be converted. A broken one does not."""
    try:
        return ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(icc))).startswith("sRGB")
    except (ImageCms.PyCMSError, OSError, ValueError):
        return False


def _through_profile(image: Image.Image, icc: bytes, notes: list[str]) -> Image.Image:
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
        if image.mode == "L" and profile.profile.xcolor_space.strip() == "RGB":
            image = image.convert("RGB")  # some programs tag grey pictures so
        if image.mode == "RGB" and ImageCms.getProfileDescription(profile).startswith("sRGB"):
            return image
        converted = ImageCms.profileToProfile(
            image,
            profile,
            ImageCms.createProfile("sRGB"),
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
            outputMode="RGB",
            flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
    except (ImageCms.PyCMSError, OSError, ValueError):
        notes.append("its colour profile is broken and was left aside")
        return image
    assert converted is not None  # only inPlace=True returns None  # noqa: S101
    return converted


def opaque(photo: Photo) -> Pixels:
    """The pixels of a photo, its transparency laid on white."""
    return photo.pixels if photo.alpha is None else _on_white(photo.pixels, photo.alpha)


def _on_white(pixels: Pixels, alpha: Pixels) -> Pixels:
    weight = to_floats(alpha)[..., None]
    return to_pixels(to_floats(pixels) * weight + (1 - weight))
