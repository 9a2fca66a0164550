"""What a JPEG carries beside Exif and XMP: Photoshop's resources, comments, IPTC behind its end, and other segments.

Sources: Adobe Photoshop File Formats (image resources); IPTC-NAA IIM 4.2, 1.6 (datasets); ITU-T T.81, B.2.4.5 (COM).
"""

import re
from collections.abc import Iterable, Iterator
from typing import BinaryIO

from toonify.images.behind import FOTOSTATION

IPTC = 0x0404  # of Photoshop's resources
# Those that are true of a drawing, too: resolution, copyright, URL, checksum of the IPTC. Others tell how to print it,
# or hold a thumbnail, guides and paths in the photo's pixels.
_TRUE_OF_A_DRAWING = frozenset({0x03ED, IPTC, 0x040A, 0x040B, 0x0425})
_PHOTOSHOP = b"Photoshop 3.0\0"
# Segments that tell how the file is laid out, or are dealt with elsewhere.
_DEALT_WITH = re.compile(
    rb"JFIF|JFXX|Exif\0|http://ns\.adobe\.com/(?:xap/1\.0/\0|xmp/extension/\0)|ICC_PROFILE|MPF\0|Adobe\0|Adobe_CM"
    rb"|Ducky|AROT|SPIFF|\0*$"
)
_NAME = re.compile(rb"[\x1a ]?([A-Za-z][\w.\- ]{1,15})")
_DATASETS = re.compile(rb"\x1c[\x01-\x09]")


def resources_of(data: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """Number, content and all bytes of each of Photoshop's image resources: 8BIM, number, name, length, data."""
    place = 0
    while data[place : place + 4] == b"8BIM" and place + 12 <= len(data):
        start, number = place, int.from_bytes(data[place + 4 : place + 6])
        place += 6 + (data[place + 6] + 2) // 2 * 2
        length = int.from_bytes(data[place : place + 4])
        content = data[place + 4 : place + 4 + length]
        place += 4 + (length + 1) // 2 * 2
        yield number, content, data[start:place].ljust(place - start, b"\0")


def as_resource(number: int, content: bytes) -> bytes:
    """One of Photoshop's image resources, without a name."""
    return b"8BIM" + number.to_bytes(2) + b"\0\0" + len(content).to_bytes(4) + content + bytes(len(content) % 2)


def split_resources(data: bytes) -> tuple[bytes, bytes, int]:
    """Of Photoshop's resources the IPTC records, those others that are true of a drawing, and how many are not."""
    iptc, kept, left = b"", b"", 0
    for number, content, whole in resources_of(data):
        if number == IPTC and not iptc:
            iptc = content
        elif number in _TRUE_OF_A_DRAWING:
            kept += whole
        else:
            left += 1
    return iptc, kept, left


def photoshop_of(segments: Iterable[tuple[str, bytes]]) -> bytes:
    """Photoshop's resources in a JPEG's segments, which one resource may need several of."""
    bodies = (body for name, body in segments if name == "APP13" and body.startswith(_PHOTOSHOP))
    return b"".join(body.removeprefix(_PHOTOSHOP) for body in bodies)


def others_of(segments: Iterable[tuple[str, bytes]]) -> list[str]:
    """Names of a JPEG's segments that are not handed on: what other programs and cameras keep there."""
    names: list[str] = []
    for name, body in segments:
        if name == "COM" or _DEALT_WITH.match(body) or (name == "APP13" and body.startswith(_PHOTOSHOP)):
            continue
        found = _NAME.match(body)
        names.append(f"{name} {found[1].decode('ascii').strip()}" if found else name)
    return list(dict.fromkeys(names))


def iptc_behind(file: BinaryIO) -> bytes:
    """IPTC records behind a JPEG's end, where some programs keep them; only files that end as theirs do are read."""
    file.seek(-min(12, file.seek(0, 2)), 2)
    tail = file.read()
    if not tail.startswith((b"AXS!", b"AXS*")) and FOTOSTATION not in tail:
        return b""
    file.seek(0)
    data = file.read()
    found = (_records(data[each.start() :]) for each in _DATASETS.finditer(data, max(0, data.find(b"\xff\xda"))))
    return next(filter(None, found), b"")


def _records(data: bytes) -> bytes:
    """Datasets from the beginning of `data` on; nothing of fewer than three."""
    place = count = 0
    while data[place : place + 1] == b"\x1c" and place + 5 <= len(data):
        length = int.from_bytes(data[place + 3 : place + 5])
        if length & 0x8000 or place + 5 + length > len(data):
            break
        place += 5 + length
        count += 1
    return data[:place] if count >= 3 else b""
