"""What a file says of its picture, kept whole: Exif, XMP and IPTC as bytes; and made true of a drawing."""

import re
from dataclasses import dataclass
from typing import Any

from PIL import Image, TiffImagePlugin

from toonify.images.exif import (
    IPTC_TAG,
    MINIMAL,
    ORIENTATION,
    PHOTOSHOP_TAG,
    XMP_TAG,
    read_block,
    standalone,
    true_of,
)
from toonify.images.formats import FORMATS, FormatName
from toonify.images.opened import Opened

EXIF_HEAD = b"Exif\0\0"
BROKEN = "its EXIF is broken and was left out"
_IPTC_RESOURCE = 0x0404


@dataclass(frozen=True)
class Metadata:
    """Exif as a block that begins with TIFF's head, an XMP packet, IPTC-IIM records; empty where there is none."""

    exif: bytes = b""
    xmp: bytes = b""
    iptc: bytes = b""

    def true_of(self, width: int, height: int, note: str | None, format: FormatName) -> "Metadata":  # noqa: A002
        """What is written with a drawing of this size; `note` is what we say of its making."""
        form, exif = FORMATS[format], self.exif
        # Where boxes alone say how a picture lies, Pillow would write a block anew that has the tag.
        drop = frozenset() if form.exif_turns else frozenset({ORIENTATION})
        if exif or note is not None:
            try:
                exif = true_of(exif or MINIMAL, width, height, note, limit=form.max_exif, drop=drop)
            except ValueError:  # which has been said where it was read
                exif = true_of(MINIMAL, width, height, note) if note is not None else b""
        xmp = _true_xmp(self.xmp, width, height)
        if not _fits(xmp, form.max_xmp):
            xmp = _without_padding(xmp)
        return Metadata(
            exif,
            xmp if _fits(xmp, form.max_xmp) else b"",
            self.iptc if _fits(self.iptc, form.max_iptc) else b"",
        )

    def left_out(self, format: FormatName) -> list[str]:  # noqa: A002
        """What a format cannot hold of it."""
        form, notes = FORMATS[format], []
        if not _fits(_without_padding(self.xmp), form.max_xmp):
            notes.append(f"its XMP is too long for {format} and was left out")
        if self.iptc and form.max_iptc == 0:
            notes.append(f"its IPTC was left out, which {format} does not hold")
        elif not _fits(self.iptc, form.max_iptc):
            notes.append(f"its IPTC is too long for {format} and was left out")
        return notes


def _fits(data: bytes, limit: int | None) -> bool:
    return limit is None or len(data) <= limit


NO_METADATA = Metadata()


def metadata_of(opened: Opened, notes: list[str]) -> Metadata:
    """What a file says of its picture; what is broken of it is put in `notes`."""
    image = opened.image
    if opened.png is not None:
        exif, xmp, iptc = opened.png.metadata()
        return Metadata(_checked(exif, notes), xmp, iptc)
    if opened.still is not None:
        exif, xmp = opened.still.metadata(opened.file)
        return Metadata(_checked(exif, notes), xmp)
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        return _of_tiff(opened, notes)
    if image.format == "GIF":
        return Metadata(xmp=_xmp_of_gif(opened))
    return metadata_of_image(image, notes)


def metadata_of_image(image: Image.Image, notes: list[str]) -> Metadata:
    """What Pillow has of a picture."""
    exif = image.info.get("exif") or b""
    if not exif and isinstance(image, TiffImagePlugin.TiffImageFile):
        try:
            exif = image.getexif().tobytes()
        except Exception:  # Exif is written by a thousand programs; a broken one must not cost the picture
            notes.append(BROKEN)
    xmp = image.info.get("xmp") or b""
    packet = xmp.encode() if isinstance(xmp, str) else bytes(xmp)
    if b"HasExtendedXMP" in packet:
        notes.append("the extended part of its XMP was left out")
    return Metadata(_checked(exif, notes), packet, _iptc_of(image.info.get("photoshop")))


def _of_tiff(opened: Opened, notes: list[str]) -> Metadata:
    opened.file.seek(0)
    try:
        block = read_block(opened.file.read())
    except ValueError:
        return metadata_of_image(opened.image, notes)
    resources = block.value("main", PHOTOSHOP_TAG) or b""
    iptc = block.value("main", IPTC_TAG) or _resource(resources, _IPTC_RESOURCE)
    return Metadata(standalone(block), block.value("main", XMP_TAG) or b"", iptc)


def _xmp_of_gif(opened: Opened) -> bytes:
    """XMP in an application extension, which ends in bytes that lead any reader out of it (XMP part 3, 1.1.2)."""
    opened.file.seek(0)
    _, _, behind = opened.file.read().partition(b"\x21\xff\x0bXMP DataXMP")
    return behind.partition(b"\x01\xff\xfe")[0]


def _checked(exif: bytes, notes: list[str]) -> bytes:
    """A block without the head that it has in JPEGs; nothing, and a note, if it cannot be read."""
    exif = exif.removeprefix(EXIF_HEAD)
    if not exif:
        return b""
    try:
        block = read_block(exif)
    except ValueError:
        notes.append(BROKEN)
        return b""
    return exif if any(block.directories.values()) else b""


def _iptc_of(resources: Any) -> bytes:
    """IPTC among Photoshop's resources, as Pillow has them."""
    found = resources.get(_IPTC_RESOURCE) if isinstance(resources, dict) else None
    return found if isinstance(found, bytes) else b""


def _resource(data: bytes, wanted: int) -> bytes:
    """One of Photoshop's image resources: 8BIM, number, name, length, data (Adobe Photoshop File Formats)."""
    place = 0
    while data[place : place + 4] == b"8BIM" and place + 12 <= len(data):
        number = int.from_bytes(data[place + 4 : place + 6])
        place += 6 + (data[place + 6] + 2) // 2 * 2
        length = int.from_bytes(data[place : place + 4])
        if number == wanted:
            return data[place + 4 : place + 4 + length]
        place += 4 + (length + 1) // 2 * 2
    return b""


def as_resource(iptc: bytes) -> bytes:
    """IPTC as one of Photoshop's image resources."""
    head = b"8BIM" + _IPTC_RESOURCE.to_bytes(2) + b"\0\0" + len(iptc).to_bytes(4)
    return head + iptc + bytes(len(iptc) % 2)


# What XMP says of the file rather than of the picture: a drawing has no second picture, clip, or map in it.
_PARTS = rb"hdrgm|HDRGainMap|GCamera|GContainer|Container|Item|GDepth|GImage|GAudio|GPano|xmpNote"
_OF_THE_FILE = [
    re.compile(rb"\s(?:%s):\w+\s*=\s*(?:\"[^\"]*\"|'[^']*')" % _PARTS),
    re.compile(rb"<((?:%s):\w+)\b[^>]*?(?:/>|>.*?</\1\s*>)" % _PARTS, re.DOTALL),
    re.compile(rb"<((?:xmp|xap):Thumbnails)\b[^>]*?(?:/>|>.*?</\1\s*>)", re.DOTALL),
]


def _true_xmp(packet: bytes, width: int, height: int) -> bytes:
    """An XMP packet whose orientation, size and color space are a drawing's. Others than in UTF-8 stay as they are."""
    values = {
        rb"tiff:Orientation": 1,
        rb"tiff:ImageWidth": width,
        rb"tiff:ImageLength": height,
        rb"exif:PixelXDimension": width,
        rb"exif:PixelYDimension": height,
        rb"exif:ColorSpace": 1,
    }
    for name, value in values.items():
        text = rb"\g<1>%d" % value
        packet = re.sub(rb"(\b%s\s*=\s*[\"'])[^\"']*" % name, text, packet)
        packet = re.sub(rb"(<%s\s*>)[^<]*" % name, text, packet)
    for pattern in _OF_THE_FILE:
        packet = pattern.sub(b"", packet)
    return packet


def _without_padding(packet: bytes) -> bytes:
    """A packet without the room that programs leave at its end."""
    return re.sub(rb"\s{16,}(<\?xpacket end)", rb"\n\1", packet)
