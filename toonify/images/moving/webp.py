"""Animated WebP chunk by chunk; libwebp unpacks and packs the frames.

Source: WebP Container Specification (Google), Animation: ANIM, ANMF.

Pillow lays frames together as they are seen, but only where all of them are there: a file that ends early has fewer
frames for it, and that is all.
"""

import struct
from collections.abc import Iterator
from fractions import Fraction
from typing import BinaryIO

from toonify.errors import ImageError
from toonify.images.moving.parts import Part, Reel
from toonify.pixels.boxes import Box

TICKS = 1000  # a second
MOST_TICKS = (1 << 24) - 1
MOST_PLAYS = 65_535
_ANIMATED, _ALPHA, _PROFILE = 0x02, 0x10, 0x20  # flags of VP8X
_CLEARED, _NOT_BLENDED = 0x01, 0x02  # flags of a frame
_PICTURE = frozenset({b"ALPH", b"VP8 ", b"VP8L"})

_Chunk = tuple[bytes, bytes, bool]  # kind, content, and whether all of it is there


def is_webp(head: bytes) -> bool:
    """Whether a file begins as WebP."""
    return head[:4] == b"RIFF" and head[8:12] == b"WEBP"


def count_frames(file: BinaryIO) -> int:
    """How many frames a WebP has; 1 for one that is still."""
    file.seek(0)
    head = file.read(30)
    if len(head) < 30 or not is_webp(head) or head[12:16] != b"VP8X" or not head[20] & _ANIMATED:
        return 1
    place, frames = 12, 0
    while True:
        file.seek(place)
        head = file.read(8)
        if len(head) < 8:
            return max(1, frames)
        frames += head[:4] == b"ANMF"
        length = int.from_bytes(head[4:], "little")
        place += 8 + length + length % 2


def read_webp(data: bytes) -> Reel:
    """The structure of an animated WebP. Raises ImageError if part of it is lost."""
    plays, profile = 0, b""
    parts: list[Part] = []
    height = width = 0
    ended = 8 + int.from_bytes(data[4:8], "little") > len(data) + 1  # a last byte of padding may be missing
    for kind, body, is_whole in _chunks(data, 12):
        if kind == b"VP8X" and len(body) >= 10:
            width, height = _number(body, 4, 3) + 1, _number(body, 7, 3) + 1
        elif kind == b"ANIM" and len(body) >= 6:
            plays = _number(body, 4, 2)
        elif kind == b"ICCP":
            profile = body
        elif kind == b"ANMF":
            if not is_whole or len(body) < 24:
                raise ImageError(f"damaged: it ends in frame {len(parts) + 1}")
            parts.append(_part(body, profile))
    if ended:
        raise ImageError(f"damaged: it ends after frame {len(parts)}")
    return Reel(height, width, parts, plays)


def _part(body: bytes, profile: bytes) -> Part:
    left, top = 2 * _number(body, 0, 3), 2 * _number(body, 3, 3)
    width, height = _number(body, 6, 3) + 1, _number(body, 9, 3) + 1
    flags = body[15]

    def still() -> bytes:
        pieces = [(kind, content) for kind, content, _ in _chunks(body, 16) if kind in _PICTURE]
        has = (_PROFILE if profile else 0) | (0 if [kind for kind, _ in pieces] == [b"VP8 "] else _ALPHA)
        head = struct.pack("<I", has) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
        colors = [(b"ICCP", profile)] if profile else []
        packed = b"".join(_chunk(kind, content) for kind, content in [(b"VP8X", head), *colors, *pieces])
        return b"RIFF" + struct.pack("<I", 4 + len(packed)) + b"WEBP" + packed

    seconds = Fraction(_number(body, 12, 3), TICKS)
    box = Box(top, left, top + height, left + width)
    return Part(still, box, seconds, not flags & _NOT_BLENDED, "clear" if flags & _CLEARED else "keep")


def _number(body: bytes, place: int, size: int) -> int:
    return int.from_bytes(body[place : place + size], "little")


def _chunks(data: bytes, place: int) -> Iterator[_Chunk]:
    while place + 8 <= len(data):
        length = _number(data, place + 4, 4)
        end = place + 8 + length
        yield data[place : place + 4], data[place + 8 : end], end <= len(data)
        place = end + length % 2


def _chunk(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("<I", len(body)) + body + bytes(len(body) % 2)
