"""TIFF with its metadata: a file is built like a block of Exif, so that the photo's own block is where it begins."""

import io
import itertools
import struct

from PIL import Image

from toonify.images.exif import IPTC_TAG, PHOTOSHOP_TAG, XMP_TAG, Entry, minimal_block, read_block, with_entries
from toonify.images.metadata import Metadata
from toonify.pixels.arrays import Pixels

_SHORT, _LONG, _BYTE = 3, 4, 1
_STRIPS, _ROWS, _SIZES, _YCBCR_POSITIONING, _PREDICTOR = 0x0111, 0x0116, 0x0117, 0x0213, 0x013D
_LZW, _DIFFERENCES = 5, 2  # of TIFF 6.0 itself, and smaller than Deflate without differences


def encode_tiff(samples: Pixels, metadata: Metadata) -> bytes:
    """H x W x 3 (RGB) or 4 (RGB and alpha) samples as a TIFF in LZW."""
    height, width, channels = samples.shape
    rows = max(1, 2**18 // (width * channels))
    strips = _strips(samples, rows)
    sizes = [len(strip) for strip in strips]
    block = metadata.exif or minimal_block(metadata.resolution)
    order = "<" if block[:2] == b"II" else ">"
    start = len(block) + len(block) % 2

    def entry(tag: int, kind: int, *values: int) -> Entry:
        return Entry(
            tag, kind, len(values), struct.pack(f"{order}{len(values)}{'H' if kind == _SHORT else 'I'}", *values)
        )

    entries = [
        entry(0x0100, _LONG, width),
        entry(0x0101, _LONG, height),
        entry(0x0102, _SHORT, *[8] * channels),
        entry(0x0103, _SHORT, _LZW),
        entry(0x0106, _SHORT, 2),  # RGB
        entry(_STRIPS, _LONG, *itertools.accumulate(sizes[:-1], initial=start)),
        entry(0x0115, _SHORT, channels),
        entry(_ROWS, _LONG, rows),
        entry(_SIZES, _LONG, *sizes),
        entry(_PREDICTOR, _SHORT, _DIFFERENCES),
    ]
    if channels == 4:
        entries.append(entry(0x0152, _SHORT, 2))  # alpha, with which the colors are not multiplied
    if metadata.xmp:
        entries.append(Entry(XMP_TAG, _BYTE, len(metadata.xmp), metadata.xmp))
    if metadata.iptc:
        iptc = metadata.iptc + bytes(-len(metadata.iptc) % 4)
        entries.append(Entry(IPTC_TAG, _LONG, len(iptc) // 4, iptc))  # as all programs have it, whatever the order
    if metadata.resources:
        entries.append(Entry(PHOTOSHOP_TAG, _BYTE, len(metadata.resources), metadata.resources))
    data = b"".join([block.ljust(start, b"\0"), *strips])
    return with_entries(data, entries, without={_YCBCR_POSITIONING})


def _strips(samples: Pixels, rows: int) -> list[bytes]:
    """Samples as libtiff packs them, so many rows at a time."""
    file = io.BytesIO()
    tags = {_PREDICTOR: _DIFFERENCES, _ROWS: rows}
    Image.fromarray(samples).save(file, "TIFF", compression="tiff_lzw", tiffinfo=tags)
    data = file.getvalue()
    block = read_block(data)
    places, sizes = (block.numbers("main", tag) for tag in (_STRIPS, _SIZES))
    return [data[place : place + size] for place, size in zip(places, sizes, strict=True)]
