"""Picture files opened, before anything is decoded: what they are, and what they say of their colors."""

import contextlib
import functools
import io
import logging
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import pillow_heif
from PIL import ExifTags, Image, ImagePalette, TiffImagePlugin, UnidentifiedImageError

from toonify.errors import ImageError, one_line
from toonify.images.bmp import bmp_color, head_for_pillow
from toonify.images.color import (
    ADOBE_RGB,
    SRGB,
    Chromaticities,
    ColorSource,
    Encoding,
    code_points_of_profile,
    from_code_points,
)
from toonify.images.formats import FORMAT_OF_DECODER
from toonify.images.frame_header import SOS, FrameHeader, frame_header
from toonify.images.isobmff import Still, read_still
from toonify.images.other_kinds import unread_kind
from toonify.images.png import SIGNATURE, PngFile, png_size
from toonify.images.tiff_pages import is_tiff, is_unreadable_bigtiff, photo_directory, refuse_raw, starting_at

_LONG_HEAD = 1 << 20  # bytes of a JPEG in which its frame header mostly is
_WHITE_POINT, _PRIMARIES, _TRANSFER, _COLOR_MAP = 318, 319, 301, 320  # tags of TIFF
_SEPARATE = 2  # of TIFF's PlanarConfiguration
_LARGE, _MOST_SCANNED = 40_000_000, 400_000_000  # pixels
_YCBCR = 6  # photometric interpretation
_MOST_TIFF = 100_000_000  # pixels that Pillow decodes where its own limit cannot be set


@dataclass(frozen=True)
class Opened:
    """An opened picture: its head is read."""

    image: Image.Image
    file: BinaryIO
    png: PngFile | None = None
    still: Still | None = None  # of HEIF and AVIF
    frame: FrameHeader | None = None  # of JPEG

    @property
    def length(self) -> int:
        """The file's, in bytes."""
        position = self.file.tell()
        try:
            return self.file.seek(0, io.SEEK_END)
        finally:
            self.file.seek(position)

    @property
    def is_unusual(self) -> bool:
        """Whether it is decoded in a process of its own, which can be stopped.

        That is where few files are like it, where it is large, and where its decoder takes what time and memory it
        likes, whatever the head says.
        """
        if self.image.width * self.image.height > _LARGE or self.still is not None:
            return True
        if self.frame is not None:
            return not self.frame.is_usual or (not self.frame.is_one_scan and self._scanned_pixels() > _MOST_SCANNED)
        return isinstance(self.image, TiffImagePlugin.TiffImageFile) and _needs_libtiff(self.image)

    def _scanned_pixels(self) -> int:
        """The pixels of all scans of a JPEG: a progressive one goes over its picture again and again."""
        position = self.file.tell()
        self.file.seek(0)
        scans = self.file.read().count(bytes([0xFF, SOS]))
        self.file.seek(position)
        return scans * self.image.width * self.image.height

    def color(self, notes: list[str]) -> ColorSource:
        """What its colors are. What is said of them and cannot be followed is put in `notes`."""
        if self.png is not None:
            found = self.png.color(notes)
            if found is None and not self.png.says_srgb and _says_adobe_rgb(self.image):
                found = ADOBE_RGB
        elif self.still is not None:
            found = self._color_of_still(notes)
        elif self.image.format in ("BMP", "DIB"):
            found = bmp_color(self.file, notes)
        else:
            found = color_of_image(self.image, notes)
        if isinstance(found, bytes) and (points := code_points_of_profile(found)) is not None:
            encoding = from_code_points(*points, notes)
            return encoding if encoding.is_hdr else found
        return found

    def _color_of_still(self, notes: list[str]) -> ColorSource:
        assert self.still is not None  # noqa: S101
        points = self.still.nclx
        if points is not None and from_code_points(*points, []).is_hdr:
            return from_code_points(*points, notes)  # a profile beside it cannot say how bright its white is
        if (icc := self.still.icc or self.image.info.get("icc_profile")) is not None:
            return bytes(icc)
        if points is None and self.still.hevc is not None:
            points = _points_of_hevc(self.still.hevc)
        if points in (None, (2, 2)) and self.image.info.get("bit_depth", 8) > 8:
            notes.append("it does not say what its colors are, and is read as sRGB")
        encoding = SRGB if points is None else from_code_points(*points, notes)
        return color_of_image(self.image, notes) if encoding == SRGB else encoding


def color_of_image(image: Image.Image, notes: list[str]) -> ColorSource:
    """What Pillow hands on of an image's colors: its profile, what TIFF says, or Exif's Adobe RGB."""
    if icc := image.info.get("icc_profile"):
        return bytes(icc)
    if isinstance(image, TiffImagePlugin.TiffImageFile) and (encoding := _tiff_encoding(image, notes)) is not None:
        return encoding
    return ADOBE_RGB if _says_adobe_rgb(image) else None


def _says_adobe_rgb(image: Image.Image) -> bool:
    """DCF 2.0, 3.3.1 (optional color space): interoperability R03; some cameras write ColorSpace 2 instead."""
    try:
        exif = image.getexif()
        space = exif.get_ifd(ExifTags.IFD.Exif).get(ExifTags.Base.ColorSpace)
        return space == 2 or (space == 65_535 and exif.get_ifd(ExifTags.IFD.Interop).get(1) == "R03")
    except Exception:  # broken EXIF, of which other parts of the reader speak
        return False


def _tiff_encoding(image: TiffImagePlugin.TiffImageFile, notes: list[str]) -> Encoding | None:
    """The colorimetry of TIFF 6.0, section 20."""
    white, corners = (image.tag_v2.get(tag) for tag in (_WHITE_POINT, _PRIMARIES))
    if _TRANSFER in image.tag_v2:
        notes.append("its transfer function (TIFF tag 301) was not applied")
    if white is None or corners is None or len(white) != 2 or len(corners) != 6:
        return None
    numbers = [float(number) for number in (*corners, *white)]
    red, green, blue, at = zip(numbers[::2], numbers[1::2], strict=True)
    return Encoding(Chromaticities(red, green, blue, at))


def _points_of_hevc(record: bytes) -> tuple[int, int] | None:
    """Primaries and transfer function by the usability information in an HEVC stream's parameter sets."""
    import av  # few files need it

    context = av.CodecContext.create("hevc", "r")
    try:
        context.extradata = record
        context.open()
        return int(context.color_primaries), int(context.color_trc)
    except (av.FFmpegError, ValueError):
        return None


def _needs_libtiff(image: TiffImagePlugin.TiffImageFile) -> bool:
    """Whether Pillow decodes a TIFF by libtiff, or should: it reads planes and subsampled colors wrongly itself."""
    is_plain = (
        image.info.get("compression") == "raw"
        and image.tag_v2.get(TiffImagePlugin.PLANAR_CONFIGURATION, 1) == 1
        and image.tag_v2.get(TiffImagePlugin.PHOTOMETRIC_INTERPRETATION) != _YCBCR
    )
    return not is_plain or image.width * image.height > _MOST_TIFF


@contextlib.contextmanager
def opening(file: BinaryIO) -> Iterator[Opened]:
    """A picture of which the head is read; whatever goes wrong with it is an ImageError."""
    try:
        opened = _open(file)
        with opened.image:
            yield opened
    except ImageError:
        raise
    except UnidentifiedImageError as error:
        raise ImageError(unread_kind(file) or "not a picture, or of a kind that is not read") from error
    except MemoryError as error:
        raise ImageError("not enough memory to decode it") from error
    except Exception as error:  # decoders raise almost anything on damaged files: SyntaxError, struct.error, ...
        raise ImageError(f"damaged: {one_line(error)}") from error


def _open(file: BinaryIO) -> Opened:
    file.seek(0)
    head = file.read(16)
    file.seek(0)
    if head.startswith(SIGNATURE):
        png = PngFile(file)
        return Opened(open_image(png.for_pillow()), file, png=png)
    refuse_raw(head)
    if is_tiff(head):
        return Opened(_open_tiff(file), file)
    if head.startswith(b"BM") and (simple := head_for_pillow(file)) is not None:
        return Opened(open_image(simple), file)
    image = open_image(file)
    if image.format in ("HEIF", "AVIF"):
        return Opened(image, file, still=read_still(file))
    if image.format in ("JPEG", "MPO"):
        return Opened(image, file, frame=_frame(file))
    return Opened(image, file)


def _frame(file: BinaryIO) -> FrameHeader | None:
    position = file.tell()
    file.seek(0)
    head = file.read(_LONG_HEAD)
    found = frame_header(head) or frame_header(head + file.read())
    file.seek(position)
    return found


def _open_tiff(file: BinaryIO) -> Image.Image:
    """A TIFF's photo. Raises ImageError for what Pillow would decode to something else."""
    directory = photo_directory(file)
    if is_unreadable_bigtiff(file):  # of which Pillow takes the offsets for others
        raise ImageError(unread_kind(file))
    if directory is None:
        image = open_image(file)
    else:
        file.seek(0)
        image = open_image(io.BytesIO(starting_at(file.read(), directory)))
    if not isinstance(image, TiffImagePlugin.TiffImageFile):
        return image
    if image.mode in ("LA", "La") and image.tag_v2.get(TiffImagePlugin.PLANAR_CONFIGURATION) == _SEPARATE:
        # Pillow's decoder leaves the second plane empty, and says nothing.
        raise ImageError("a TIFF with gray and alpha in separate planes is not read; convert it to PNG first")
    if image.mode == "P":
        colors = image.tag_v2.get(_COLOR_MAP, ())
        if colors and max(colors) < 256:  # written with 8 bits in the place of 16, which libtiff understands so, too
            image.palette = ImagePalette.raw("RGB;L", bytes(colors))
    return image


def head_size(file: BinaryIO) -> tuple[int, int]:
    """Width and height as a picture file's head has them, as it lies. Raises ImageError if it is no picture."""
    file.seek(0)
    size = png_size(file.read(24))
    file.seek(0)
    if size is not None:
        return size
    with opening(file) as opened:
        return opened.image.size


def is_read(opened: Opened) -> bool:
    """Whether pictures of this kind are read at all."""
    return opened.image.format in FORMAT_OF_DECODER


_OPENING = threading.Lock()
# What Pillow says of odd files would go to stderr by itself where nobody listens; errors say it in our own words.
logging.getLogger("PIL").addHandler(logging.NullHandler())
_register_heif = functools.cache(pillow_heif.register_heif_opener)


def open_image(file: BinaryIO) -> Image.Image:
    """Image.open without Pillow's own size limit, which is global; `read_photo` has one for each call."""
    _register_heif()
    with _OPENING:
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            return Image.open(file)
        finally:
            Image.MAX_IMAGE_PIXELS = limit
