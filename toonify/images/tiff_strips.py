"""Strips and tiles of compressed TIFFs, checked for what libtiff passes over."""

import zlib
from typing import BinaryIO

from PIL import TiffImagePlugin

from toonify.errors import ImageError
from toonify.images.jpeg import refuse_damaged_jpeg_data

_COMPRESSION, _JPEG_TABLES = 259, 347
_OFFSETS, _COUNTS = (273, 324), (279, 325)  # of strips, and of tiles
_JPEG, _DEFLATE = (7,), (8, 32946)


def refuse_damaged_strips(file: BinaryIO, image: TiffImagePlugin.TiffImageFile) -> None:
    """Raise ImageError if a strip's checksum is wrong (Deflate), or a part of it lost (JPEG).

    libtiff stops reading where it has the rows that it wants, and meets no checksum.
    """
    tags = image.tag_v2
    compression = tags.get(_COMPRESSION, 1)
    if compression not in (*_JPEG, *_DEFLATE):
        return
    offsets, counts = (next((tags[tag] for tag in both if tag in tags), ()) for both in (_OFFSETS, _COUNTS))
    for number, (offset, count) in enumerate(zip(offsets, counts, strict=False), 1):
        file.seek(offset)
        data = file.read(count)
        if len(data) < count:
            raise ImageError(f"damaged: it ends in part {number} of {len(offsets)}")
        try:
            if compression in _DEFLATE:
                _inflate(data)
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


def _with_tables(data: bytes, tables: bytes) -> bytes:
    """A strip as a JPEG of its own: the tables that all have in common come behind its head (TIFF Tech Note 2)."""
    return data[:2] + tables[2:-2] + data[2:] if tables else data
