"""Strips and tiles of compressed TIFFs, checked for what libtiff passes over."""

import zlib
from typing import BinaryIO

from PIL import TiffImagePlugin

from toonify.errors import ImageError
from toonify.images.jpeg import refuse_damaged_jpeg_data

_COMPRESSION, _JPEG_TABLES = 259, 347
_OFFSETS, _COUNTS = (273, 324), (279, 325)  # of strips, and of tiles
_YCBCR = 6
_JPEG, _DEFLATE, _PACKBITS = (7,), (8, 32946), (32773,)


def refuse_damaged_strips(file: BinaryIO, image: TiffImagePlugin.TiffImageFile) -> None:
    """Raise ImageError if a strip's checksum is wrong (Deflate), part of it lost (JPEG) or its length (PackBits).

    libtiff stops reading where it has the rows that it wants, and meets no checksum.
    """
    tags = image.tag_v2
    compression = tags.get(_COMPRESSION, 1)
    if compression not in (*_JPEG, *_DEFLATE, *_PACKBITS):
        return
    rows = _rows_of_strips(image) if compression in _PACKBITS else []
    offsets, counts = (next((tags[tag] for tag in both if tag in tags), ()) for both in (_OFFSETS, _COUNTS))
    for number, (offset, count) in enumerate(zip(offsets, counts, strict=False), 1):
        file.seek(offset)
        data = file.read(count)
        if len(data) < count:
            raise ImageError(f"damaged: it ends in part {number} of {len(offsets)}")
        try:
            if compression in _DEFLATE:
                _inflate(data)
            elif compression in _PACKBITS:
                if number <= len(rows) and not _unpacks_to(data, rows[number - 1]):
                    raise zlib.error("not as long as its rows")
            else:
                refuse_damaged_jpeg_data(_with_tables(data, tags.get(_JPEG_TABLES, b"")))
        except zlib.error as error:
            raise ImageError(f"damaged: part {number} of {len(offsets)} of its data is spoilt") from error


def _inflate(data: bytes) -> None:
    """Go through zlib data piece by piece. Raises zlib.error if it is spoilt, or its checksum wrong."""
    unpacker = zlib.decompressobj()
    while data and not unpacker.eof:
        unpacker.decompress(data, 1 << 20)
        data = unpacker.unconsumed_tail
    if not unpacker.eof:
        raise zlib.error("it does not end")


def _rows_of_strips(image: TiffImagePlugin.TiffImageFile) -> list[int]:
    """The bytes of each strip, unpacked; nothing of a file in tiles or planes, whose parts are of other sizes."""
    tags = image.tag_v2
    bits = sum(tags.get(TiffImagePlugin.BITSPERSAMPLE, (1,)))
    is_subsampled = tags.get(TiffImagePlugin.PHOTOMETRIC_INTERPRETATION) == _YCBCR
    if is_subsampled or TiffImagePlugin.TILEWIDTH in tags or tags.get(TiffImagePlugin.PLANAR_CONFIGURATION, 1) != 1:
        return []
    row = (tags[TiffImagePlugin.IMAGEWIDTH] * bits + 7) // 8
    height = tags[TiffImagePlugin.IMAGELENGTH]
    each = min(tags.get(TiffImagePlugin.ROWSPERSTRIP, height), height) or height
    return [row * min(each, height - top) for top in range(0, height, each)]


def _unpacks_to(data: bytes, wanted: int) -> bool:
    """Whether packets of PackBits data stand for so many bytes, and nothing comes behind (TIFF 6.0, section 9)."""
    place = length = 0
    while place < len(data) and length < wanted:
        count = data[place]
        if count < 128:
            length += count + 1
            place += count + 2
        else:
            length += 257 - count if count > 128 else 0
            place += 2 if count > 128 else 1
    return length == wanted and place <= len(data) and not data[place:].strip(b"\0\x80")


def _with_tables(data: bytes, tables: bytes) -> bytes:
    """A strip as a JPEG of its own: the tables that all have in common come behind its head (TIFF Tech Note 2)."""
    return data[:2] + tables[2:-2] + data[2:] if tables else data
