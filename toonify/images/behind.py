"""What lies behind a JPEG's end: further pictures, a video, data of programs and cameras. A drawing has none of it.

Sources: CIPA DC-007 (Multi-Picture Format), 5.2.3; Google's Motion Photo 1.0 and Ultra HDR 1.1; ExifTool's description
of Samsung's trailer (SEF).
"""

import re
import struct
from collections.abc import Iterable
from typing import BinaryIO

from toonify.images.exif import read_block

_EOI = b"\xff\xd9"
_TAIL = 1 << 16  # bytes in which a trailer tells what it is
FOTOSTATION = b"\xa1\xb2\xc3\xd4"  # in the last bytes; of AFCP these begin with AXS
_PROGRAMS = (
    (b"CANON OPTIONAL DATA\0", "Canon's VRD trailer"),
    (b"cbipcbbl", "Photo Mechanic's trailer"),
    (FOTOSTATION, "FotoStation's trailer"),
    (b"~\0\x06\0MIE", "MIE trailer"),
    (b"~\0\x04\0zmie", "MIE trailer"),
    (b"AXS!", "AFCP trailer"),
    (b"AXS*", "AFCP trailer"),
)
_MOTION = re.compile(rb"GCamera:(?:MicroVideo|MotionPhoto)\s*(?:=\s*[\"']|>)\s*1\b")
_GAIN_MAP = re.compile(rb"hdrgm:Version|HDRGainMap|Item:Semantic\s*=\s*[\"']GainMap")
_VIDEO = "its video (motion photo)"
_SAMSUNGS_VIDEO = 0x0A30  # type of an entry
_PICTURES, _ENTRIES = 0xB001, 0xB002  # tags of MPF
_THUMBNAILS = frozenset({0x010001, 0x010002})  # types of pictures: large thumbnails, as are in the head, too


def what_is_behind(file: BinaryIO, segments: Iterable[tuple[str, bytes]], packet: bytes, has_iptc: bool) -> list[str]:
    """Names of what lies behind the picture of a JPEG, by its segments, its XMP and its last bytes.

    `has_iptc`: some of it is IPTC, which is read from there.
    """
    found = []
    pictures = _further_pictures(segments)
    if _GAIN_MAP.search(packet):
        found.append("its gain map")
        pictures -= 1
    if pictures > 0:
        found.append(f"{pictures} further picture{'s' if pictures > 1 else ''} (MPF)")
    file.seek(-min(_TAIL, file.seek(0, 2)), 2)
    tail = file.read()
    if _MOTION.search(packet) or _SAMSUNGS_VIDEO in (samsungs := _samsungs_types(tail)):
        found.append(_VIDEO)
    elif samsungs:
        found.append("Samsung's trailer")
    program = next((name for magic, name in _PROGRAMS if magic in tail[-64:]), None)
    if program is not None and not (has_iptc and program.startswith("AFCP")):
        found.append(program)
    if not found and program is None and tail.rstrip(b"\0\xff")[-2:] != _EOI and tail.rstrip(b"\0")[-2:] != _EOI:
        rest = tail.rpartition(_EOI)[2]
        found.append(_VIDEO if rest[4:8] == b"ftyp" else "bytes behind its end")
    return found


def _further_pictures(segments: Iterable[tuple[str, bytes]]) -> int:
    """How many pictures a JPEG's index tells of, beside the first and thumbnails of it."""
    for name, body in segments:
        if name != "APP2" or not body.startswith(b"MPF\0"):
            continue
        try:
            block = read_block(body[4:])
        except ValueError:
            return 0
        code = f"{block.order}I"
        entries = block.value("main", _ENTRIES) or b""
        types = [struct.unpack_from(code, entries, place)[0] & 0xFFFFFF for place in range(16, len(entries) - 15, 16)]
        return sum(kind not in _THUMBNAILS for kind in types)
    return 0


def _samsungs_types(tail: bytes) -> set[int]:
    """Types of the entries in the trailer that Samsung's phones write: SEFH, version, count, entries, length, SEFT."""
    if not tail.endswith(b"SEFT"):
        return set()
    directory = tail[-8 - int.from_bytes(tail[-8:-4], "little") : -8]
    if not directory.startswith(b"SEFH"):
        return {0}
    return {int.from_bytes(directory[place + 2 : place + 4], "little") for place in range(12, len(directory), 12)} | {0}
