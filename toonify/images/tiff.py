"""TIFF with its metadata: a file is built like a block of Exif, so that the photo's own block is where it begins."""

import itertools
import struct
import zlib

from toonify.images.exif import IPTC_TAG, PHOTOSHOP_TAG, XMP_TAG, Entry, minimal_block, with_entries
from toonify.images.metadata import Metadata
from toonify.pixels.arrays import Pixels

_SHORT, _LONG, _BYTE = 3, 4, 1
_YCBCR_POSITIONING = 0x0213


def encode_tiff(samples: Pixels, metadata: Metadata) -> bytes:
    """H x W x 3 (RGB) or 4 (RGB and alpha) samples as a deflated TIFF."""
    height, width, channels = samples.shape
    rows = max(1, 2**18 // (width * channels))
    strips = [zlib.compress(samples[top : top + rows].tobytes()) for top in range(0, height, rows)]
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
        entry(0x0103, _SHORT, 8),  # deflate
        entry(0x0106, _SHORT, 2),  # RGB
        entry(0x0111, _LONG, *itertools.accumulate(sizes[:-1], initial=start)),
        entry(0x0115, _SHORT, channels),
        entry(0x0116, _LONG, rows),
        entry(0x0117, _LONG, *sizes),
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
