"""Picture files to arrays: orientation, colors, transparency and EXIF are dealt with here, once."""

import contextlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
import numpy.typing as npt
import pillow_heif
from PIL import ExifTags, Image, ImageOps, TiffImagePlugin

from toonify.errors import ImageError
from toonify.images.bmp import bit_fields, refuse_damaged_runs
from toonify.images.child import Decoded, decode_apart
from toonify.images.color import ColorSource, Encoding
from toonify.images.formats import DEFAULT_MAX_PIXELS, FALLBACK, FORMAT_OF_DECODER, FormatName
from toonify.images.isobmff import refuse_damaged
from toonify.images.jpeg import decode_jpeg, refuse_damaged_jpeg, turned_upright
from toonify.images.metadata import NO_METADATA, Metadata, metadata_of, metadata_of_image, note_in_comment
from toonify.images.modes import deepest_white, on_white, samples_to_srgb, to_srgb
from toonify.images.opened import Opened, color_of_image, head_size, is_read, open_image, opening
from toonify.images.tiff_pages import is_common, named_kind
from toonify.images.tiff_strips import refuse_damaged_strips
from toonify.images.xmp import note_of
from toonify.images.zeros import refuse_zeros, webp_data
from toonify.pixels.arrays import Pixels

_Kind = Literal["photo", "stored"]
_SAMPLE_FORMAT, _SIGNED = 339, 2  # of TIFF
# Scans and drawings of black on white have up to 1,000 pixels a byte; nothing is asked of the first 25 megapixels.
_PIXELS_PER_BYTE, _FREE_SHARE = 2000, 10


@dataclass(frozen=True)
class Photo:
    """A decoded picture: upright, in sRGB."""

    pixels: Pixels  # H x W x 3
    alpha: Pixels | None = None  # H x W; None: opaque
    metadata: Metadata = NO_METADATA  # as in the file: `encode_picture` makes it true of another picture
    format: FormatName = FALLBACK  # the nearest that can be written
    stored_size: tuple[int, int] = (0, 0)  # height and width of the file's picture, upright; it may be decoded smaller
    notes: tuple[str, ...] = ()  # what the user should know, such as "first of 12 frames"

    @property
    def exif(self) -> Image.Exif:
        """What Exif says of the photo, as Pillow reads it; it is upright already."""
        exif = Image.Exif()
        if self.metadata.exif:
            exif.load(self.metadata.exif)
        if ExifTags.Base.Orientation in exif:
            exif[ExifTags.Base.Orientation] = 1
        return exif


def read_photo(file: BinaryIO, *, max_pixels: int = DEFAULT_MAX_PIXELS, enough: int | None = None) -> Photo:
    """Decode a picture that was opened for reading.

    A JPEG is decoded at a half, a quarter or an eighth of its size, which is quicker, if its long side still has
    `enough` pixels then.

    JPEG, PNG, WebP, TIFF, BMP, GIF (first frame), AVIF and HEIC, in any of their color modes but 32-bit floating
    point; colors come to sRGB by what the file says of them (see `toonify.images.color`).

    Raises ImageError: not a picture, damaged, more than `max_pixels`, a camera's raw file, or a mode that has no
    defined white.
    """
    with decoding(file, max_pixels) as opened:
        notes = _frame_notes(opened.image)
        if opened.is_unusual:
            metadata = metadata_of(opened, notes)
            decoded = _apart(opened, "photo", enough)
            pixels, alpha, notes = decoded.pixels, decoded.alpha, [*notes, *decoded.values["notes"]]
            height, width = decoded.values["stored_size"]
            size = height, width
        else:
            pixels, alpha, size = _decode(opened, enough, notes)
            metadata = metadata_of(opened, notes)
        if opened.still is None and _orientation(opened.image) != 1 and not metadata.has_orientation:
            notes.append("it was turned as its XMP says, of which its EXIF says nothing")
        own_format = FORMAT_OF_DECODER.get(opened.image.format or "", FALLBACK)
    return Photo(pixels, alpha, metadata, own_format, size, tuple(notes))


def read_stored(file: BinaryIO, *, max_pixels: int = DEFAULT_MAX_PIXELS) -> Pixels:
    """Decode a picture for measuring: upright and in sRGB, but with its transparency dropped, as other tools do.

    Raises ImageError as `read_photo` does, and for 16-bit gray, which those tools turn white.
    """
    with decoding(file, max_pixels) as opened:
        _refuse_deep_gray(opened.image)
        return _apart(opened, "stored", None).pixels if opened.is_unusual else _stored(opened, [])


def check_measurable(file: BinaryIO) -> None:
    """Raise ImageError for what `read_photo` reads and `read_stored` refuses; only a file's head is read."""
    with opening(file) as opened:
        _refuse_deep_gray(opened.image)


def _refuse_deep_gray(image: Image.Image) -> None:
    if image.mode.startswith(("I", "F")):
        raise ImageError("more than 8 bits of gray, which tools that measure pictures clip; convert it to 8 bit")


def picture_size(file: BinaryIO) -> tuple[int, int]:
    """Width and height as a picture file's head has them, as it lies. Raises ImageError if it is no picture."""
    return head_size(file)


def is_picture(file: BinaryIO) -> bool:
    """Whether a file begins as a picture that is known. The file stays where it was."""
    position = file.tell()
    file.seek(0)
    try:
        head_size(file)
    except ImageError:
        return False
    finally:
        file.seek(position)
    return True


@contextlib.contextmanager
def decoding(file: BinaryIO, max_pixels: int) -> Iterator[Opened]:
    """A picture that may be decoded; whatever goes wrong with it is an ImageError."""
    with opening(file) as opened:
        _refuse_bomb(opened.image.size, max_pixels, opened.length)
        if not is_read(opened):
            raise ImageError(f"{opened.image.format} pictures are not read; convert it to JPEG or PNG first")
        if opened.still is not None:
            refuse_damaged(opened.file, opened.still, opened.image.width * opened.image.height)
        if opened.image.format in ("BMP", "DIB"):
            refuse_damaged_runs(opened.file)
        if opened.image.format == "WEBP":
            refuse_zeros(webp_data(opened.file), opened.image.width * opened.image.height)
        yield opened


def _apart(opened: Opened, kind: _Kind, enough: int | None) -> Decoded:
    """Decode a picture in a process of its own."""
    opened.file.seek(0)
    width, height = opened.image.size
    return decode_apart(opened.file.read(), width * height / 1e6, kind=kind, enough=enough)


def decode_request(file: BinaryIO, *, kind: _Kind, enough: int | None) -> Decoded:
    """What a process of its own decodes: the parent has looked at its size before. Raises ImageError."""
    TiffImagePlugin.READ_LIBTIFF = True  # these two are global, which harms nobody here
    Image.MAX_IMAGE_PIXELS = None
    notes: list[str] = []
    with opening(file) as opened:
        if opened.frame is not None and not opened.frame.is_usual:
            pixels, alpha = _unusual_jpeg(opened, kind, notes)
            return Decoded(pixels, alpha, {"notes": notes, "stored_size": pixels.shape[:2]})
        if isinstance(opened.image, TiffImagePlugin.TiffImageFile):
            refuse_damaged_strips(file, opened.image)
            _load_tiff(opened.image, file)
        if kind == "stored":
            return Decoded(_stored(opened, notes), None, {"notes": notes})
        pixels, alpha, size = _decode(opened, enough, notes)
        return Decoded(pixels, alpha, {"notes": notes, "stored_size": size})


def _load_tiff(image: TiffImagePlugin.TiffImageFile, file: BinaryIO) -> None:
    try:
        image.load()
    except MemoryError:
        raise
    except Exception as error:
        if is_common(file):
            raise
        raise ImageError(f"{named_kind(file)} is not read; convert it to PNG first") from error


def _unusual_jpeg(opened: Opened, kind: _Kind, notes: list[str]) -> tuple[Pixels, Pixels | None]:
    """A JPEG of a coding process that few decoders know; if ours does not, it is named."""
    assert opened.frame is not None  # noqa: S101
    opened.file.seek(0)
    if b"\xff\xd9" not in opened.file.read()[-4096:]:
        raise ImageError("damaged: it ends before its picture does")
    try:
        opened.image.load()
    except Exception as error:
        process = opened.frame.process
        raise ImageError(f"a JPEG of a kind that is not read ({process}); convert it to PNG first") from error
    pixels, alpha = _from_image(opened.image, opened.color(notes), notes)
    return pixels, alpha if kind == "photo" else None


def _decode(opened: Opened, enough: int | None, notes: list[str]) -> tuple[Pixels, Pixels | None, tuple[int, int]]:
    """Pixels in sRGB, transparency, and the height and width that the picture has in the file."""
    image = opened.image
    color = opened.color(notes)
    if (samples := _samples(opened, color)) is not None:
        pixels, alpha = samples_to_srgb(*samples, color, notes)
        return pixels, alpha, pixels.shape[:2]
    width, height = image.size
    if enough is not None and enough < max(width, height):
        factor = enough / max(width, height)
        image.draft(None, (math.ceil(width * factor), math.ceil(height * factor)))  # for JPEG; others ignore it
    is_whole = image.size == (width, height)
    stored = _jpeg_pixels(image, opened.file, notes, whole=is_whole)
    if stored is not None:
        pixels, alpha = samples_to_srgb(stored, None, color, notes)
    else:
        pixels, alpha = _from_image(image, color, notes, still=opened)
    if is_whole:
        return pixels, alpha, pixels.shape[:2]
    turned = (pixels.shape[0] > pixels.shape[1]) != (height > width)
    return pixels, alpha, (width, height) if turned else (height, width)


def _samples(opened: Opened, color: ColorSource) -> tuple[Pixels | npt.NDArray[np.uint16], Pixels | None] | None:
    """Samples and transparency of what Pillow does not decode as it should; None for all the rest."""
    if opened.image.format in ("BMP", "DIB"):
        return bit_fields(opened.file)
    if opened.png is not None and (deep := opened.png.deep()) is not None:
        orientation = _orientation(opened.image)
        samples, alpha = deep
        return _turned(samples, orientation), None if alpha is None else _turned(alpha, orientation)
    if opened.image.format != "HEIF":
        return None
    if opened.image.info.get("bit_depth", 8) > 8 and isinstance(color, Encoding) and color.is_hdr:
        return _deep_heif(opened.file)
    return _heif(opened.file) if opened.image.mode in ("RGB", "RGBA") else None


def _turned(samples: Any, orientation: int) -> Any:
    """`turned_upright` of any number of bits and channels."""
    turned = turned_upright(samples, orientation)
    return turned if turned.dtype == samples.dtype else turned.astype(samples.dtype)


def _heif(file: BinaryIO) -> tuple[Pixels, Pixels | None]:
    """H x W x 3 samples of 8 bits of an HEIF picture, and transparency, without the copies that Pillow makes."""
    file.seek(0)
    heif = pillow_heif.open_heif(file)
    samples = np.asarray(heif[heif.primary_index])
    return np.ascontiguousarray(samples[..., :3]), samples[..., 3] if samples.shape[2] == 4 else None


def _deep_heif(file: BinaryIO) -> tuple[npt.NDArray[np.uint16], Pixels | None]:
    """H x W x 3 samples of 16 bits of an HEIF picture of more than 8, and transparency of 8."""
    file.seek(0)
    heif = pillow_heif.open_heif(file, convert_hdr_to_8bit=False)
    samples = np.asarray(heif[heif.primary_index])
    bits = int(heif.info["bit_depth"])
    most = ((1 << bits) - 1) << (16 - bits)  # the decoder shifts samples up, and leaves the bits below empty
    whole = np.minimum((samples.astype(np.uint32) * 65_535 + most // 2) // most, 65_535).astype(np.uint16)
    if whole.ndim == 2:
        whole = np.repeat(whole[..., None], 3, axis=2)
    return np.ascontiguousarray(whole[..., :3]), (whole[..., 3] >> 8).astype(np.uint8) if whole.shape[2] == 4 else None


def _stored(opened: Opened, notes: list[str]) -> Pixels:
    """Pixels in sRGB, as they are without transparency."""
    color = opened.color(notes)
    if (samples := _samples(opened, color)) is not None:
        return samples_to_srgb(samples[0], None, color, notes)[0]
    pixels = _jpeg_pixels(opened.image, opened.file, notes)
    if pixels is not None:
        return samples_to_srgb(pixels, None, color, notes)[0]
    image = opened.image
    if image.has_transparency_data:
        image.load()
        image = (image.convert("LA") if image.mode == "La" else image).convert("RGB")
        image.info.pop("transparency", None)
        upright = upright_pixels(np.asarray(image), opened.image, opened)
        return samples_to_srgb(upright, None, color, notes)[0]
    return _from_image(image, color, notes, still=opened)[0]


def _jpeg_pixels(image: Image.Image, file: BinaryIO, notes: list[str], *, whole: bool = True) -> Pixels | None:
    """An opened JPEG's pixels, upright: H x W x 3 RGB in its own color space. None for what Pillow is to decode.

    That is other formats, JPEGs in gray or CMYK, and those that are not wanted `whole`, at their full size. Raises
    ImageError if part of a JPEG is lost.
    """
    if image.format not in ("JPEG", "MPO"):
        return None
    pixels = decode_jpeg(file) if image.mode == "RGB" and whole else None
    if pixels is None:
        notes += refuse_damaged_jpeg(file)
        return None
    return turned_upright(pixels, _orientation(image))


def photo_from_image(image: Image.Image) -> Photo:
    """A PIL image, upright and in sRGB. Raises ImageError for a mode that has no defined white.

    An image that Pillow has opened by its name from an uncompressed TIFF which lies on its side is garbled by Pillow's
    own memory map once it is loaded; one that is not loaded yet is read without the map here.
    """
    notes = _frame_notes(image)
    _load(image)
    metadata = metadata_of_image(image, notes)
    pixels, alpha = _from_image(image, color_of_image(image, notes), notes)
    own_format = FORMAT_OF_DECODER.get(image.format or "", FALLBACK)
    return Photo(pixels, alpha, metadata, own_format, pixels.shape[:2], tuple(notes))


def _load(image: Image.Image) -> None:
    name = getattr(image, "filename", "")
    if name and isinstance(image, TiffImagePlugin.TiffImageFile):
        image.filename = ""  # for a file without a name, Pillow makes no map
        try:
            image.load()
        finally:
            image.filename = name
    else:
        image.load()


def _frame_notes(image: Image.Image) -> list[str]:
    frames = getattr(image, "n_frames", 1)
    if frames == 1 or image.format == "MPO":  # of whose further pictures the metadata tell
        return []
    return [f"the main one of {frames} pictures" if image.format == "HEIF" else f"first of {frames} frames"]


def _from_image(
    image: Image.Image, color: ColorSource, notes: list[str], *, still: Opened | None = None
) -> tuple[Pixels, Pixels | None]:
    """What Pillow decodes, as upright pixels in sRGB, and transparency."""
    if isinstance(image, TiffImagePlugin.TiffImageFile) and _is_signed(image):
        raise ImageError("signed samples have no defined black; convert it to unsigned ones first")
    image.load()
    white = deepest_white(image)
    if still is not None and still.png is not None and (clear := still.png.transparent()) is not None:
        image.info["transparency"] = _pillows_shade(image, clear, still.png.bits)
    if still is not None and still.still is not None:
        pixels, alpha = to_srgb(image, white, color, notes)
        return upright_pixels(pixels, image, still), None if alpha is None else upright_pixels(alpha, image, still)
    return to_srgb(_upright(image), white, color, notes)


def _is_signed(image: TiffImagePlugin.TiffImageFile) -> bool:
    """Whether a TIFF has signed samples of at most 16 bits; of those with more, white is not defined either."""
    bits = image.tag_v2.get(TiffImagePlugin.BITSPERSAMPLE, (1,))
    return _SIGNED in image.tag_v2.get(_SAMPLE_FORMAT, ()) and max(bits) <= 16


def _pillows_shade(image: Image.Image, clear: tuple[int, ...], bits: int) -> int | tuple[int, ...]:
    """The sample that stands for transparency as Pillow scales it: to 8 bits, but for gray of 16."""
    if bits == 16:
        return clear[0]
    most = (1 << bits) - 1
    scaled = tuple(sample * 255 // most for sample in clear)
    return scaled[0] if len(scaled) == 1 else scaled


def upright_pixels(pixels: Pixels, image: Image.Image, opened: Opened) -> Pixels:
    """Pixels turned as the file wants them to be looked at: in HEIF and AVIF, by their boxes alone (MIAF)."""
    if opened.still is None:
        return turned_upright(pixels, _orientation(image))
    # libheif has done that already
    return pixels if image.format == "HEIF" else opened.still.upright(pixels)


def read_processing_note(path: Path) -> str | None:
    """What a picture file says of its making, without decoding its pixels; None where it says nothing.

    It is in XMP, in a GIF in a comment, and in pictures by toonify before 0.2.0 in Exif's ProcessingSoftware.
    """
    try:
        if not path.is_file():  # to open a pipe would wait for ever
            return None
        with path.open("rb") as file, open_image(file) as image:
            if image.format == "GIF":
                return note_in_comment(image.info.get("comment", b""))
            packet = image.info.get("xmp") or b""
            note = note_of(packet.encode() if isinstance(packet, str) else bytes(packet))
            if note is None:
                note = image.getexif().get(ExifTags.Base.ProcessingSoftware)
    except Exception:  # whatever is wrong with it, it is no picture of ours
        return None
    return note if isinstance(note, str) else None


def _refuse_bomb(size: tuple[int, int], max_pixels: int, length: int) -> None:
    """Raise ImageError for more than `max_pixels`, or many more than a file of `length` bytes has of a photo."""
    width, height = size
    if max_pixels // _FREE_SHARE + _PIXELS_PER_BYTE * length < width * height <= max_pixels:
        raise ImageError(
            f"{width} x {height} in {length} bytes is no photo, but would take as much memory as one of "
            f"{width * height / 1e6:.5g} megapixels; if you trust the file, convert, prepare and smooth-edges take it "
            f"with --max-megapixels {-(-width * height * _FREE_SHARE // 1_000_000)}"
        )
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
