"""AVIF sequences by their boxes: when each frame is shown, and how often all of them; libavif unpacks and packs them.

Sources: ISO/IEC 14496-12:2022, 8.2.2 (mvhd), 8.3.2 (tkhd), 8.4.2 (mdhd), 8.6.1.2 (stts), 8.6.6 (elst); AV1 Image File
Format 1.1, 4 (sequences). An edit list with the flag for repetition makes a sequence of frames play until the end of
its track, as libavif has it.

Pillow tells and writes times in whole milliseconds and no number of plays, and the time of day at which it writes.
"""

import math
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import BinaryIO

from toonify.errors import ImageError
from toonify.images.isobmff import boxes_of

MOST_TICKS = 0xFFFF_FFFF
_LEAST_RATE, _MOST_RATE = 1000, 1_000_000  # ticks a second
_FOREVER = (0xFFFF_FFFF, 0xFFFF_FFFF_FFFF_FFFF)
_MOST_MOOV = 64 << 20  # bytes


@dataclass(frozen=True)
class Timing:
    """When the frames of a sequence are shown."""

    seconds: Sequence[Fraction]
    plays: int  # 0: for ever


def is_isobmff(head: bytes) -> bool:
    """Whether a file begins as one that may be AVIF."""
    return head[4:8] == b"ftyp"


def read_timing(file: BinaryIO) -> Timing | None:
    """The timing of an AVIF sequence; None for a file that is none, or a still."""
    file.seek(0)
    head = file.read(8)
    length = int.from_bytes(head[:4])
    if not is_isobmff(head) or not 16 <= length <= 4096:
        return None
    brands = file.read(length - 8)
    if b"avis" not in [brands[place : place + 4] for place in (0, *range(8, len(brands), 4))]:
        return None
    try:
        moov = _find_moov(file, length)
        return None if moov is None else _timing(moov)
    except (struct.error, IndexError, OverflowError, ZeroDivisionError):
        return None


def missing(data: bytes) -> int:
    """How many bytes of a file's last box lie behind its end."""
    place = 0
    while 0 <= place < len(data):
        length = int.from_bytes(data[place : place + 4])
        if length == 1:
            length = int.from_bytes(data[place + 8 : place + 16])
        if length < 8:  # 0: it reaches to the end
            return 0
        place += length
    return place - len(data)


def _find_moov(file: BinaryIO, place: int) -> memoryview | None:
    while True:
        file.seek(place)
        head = file.read(16)
        if len(head) < 8:
            return None
        length, kind = struct.unpack_from(">I4s", head)
        start = 8
        if length == 1:
            (length,) = struct.unpack_from(">Q", head, 8)
            start = 16
        if kind == b"moov":
            file.seek(place + start)
            return memoryview(file.read(min(length - start, _MOST_MOOV) if length else _MOST_MOOV))
        if length < start:
            return None
        place += length


def _timing(moov: memoryview) -> Timing | None:
    """That of the track of colors; the one of transparency has the same."""
    for kind, track in boxes_of(moov):
        if kind != b"trak":
            continue
        found = dict(_walk(track))
        if b"tref" in found and b"auxl" in bytes(found[b"tref"]):
            continue
        if b"hdlr" not in found or bytes(found[b"hdlr"][8:12]) != b"pict" or b"stts" not in found:
            continue
        _, rate = _duration(found[b"mdhd"], 0)
        seconds: list[Fraction] = []
        (runs,) = struct.unpack_from(">I", found[b"stts"], 4)
        for run in range(runs):
            count, delta = struct.unpack_from(">II", found[b"stts"], 8 + 8 * run)
            if len(seconds) + count > 10_000_000:
                return None
            seconds += [Fraction(delta, rate)] * count
        return Timing(seconds, _plays(found)) if len(seconds) > 1 else None
    return None


def _walk(track: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    for kind, body in boxes_of(track):
        yield kind, body
        if kind in (b"edts", b"mdia", b"minf", b"stbl"):
            yield from _walk(body)


def _duration(box: memoryview, between: int) -> tuple[int, int]:
    """Duration and what comes before it (of mvhd and mdhd the ticks a second), `between` bytes apart."""
    is_long = box[0] == 1
    place = 4 + (16 if is_long else 8)
    (before,) = struct.unpack_from(">I", box, place)
    (duration,) = struct.unpack_from(">Q" if is_long else ">I", box, place + 4 + between)
    return duration, before


def _plays(found: dict[bytes, memoryview]) -> int:
    edits = found.get(b"elst")
    if edits is None:
        return 0
    if not edits[3] & 1:
        return 1
    duration, _ = _duration(found[b"tkhd"], 4)
    (one,) = struct.unpack_from(">Q" if edits[0] == 1 else ">I", edits, 8)
    return 0 if duration in _FOREVER or not one else max(1, math.ceil(duration / one))


def rate_for(seconds: Sequence[Fraction]) -> int:
    """Ticks a second in which lengths of time are whole, where there is such a number; else a thousand."""
    rate = math.lcm(*(length.denominator for length in seconds))
    rate *= -(-_LEAST_RATE // rate)
    return rate if rate <= _MOST_RATE else _LEAST_RATE


def with_timing(data: bytes, rate: int, plays: int) -> bytes:
    """A sequence that libavif has written in milliseconds, for ever, with `rate` ticks a second in their place.

    The times at which it was made become 0, so that the same pictures give the same bytes. Raises ImageError if it is
    not built as libavif builds it.
    """
    out = bytearray(data)
    place = _find_box(data, b"moov", 0, len(data))
    for start, end, kind in _inside(data, *place, (b"trak", b"mdia", b"edts")):
        if kind not in (b"mvhd", b"mdhd", b"tkhd"):
            continue
        if data[start] != 1:
            raise ImageError("cannot be written as avif: libavif has built it in another way")
        out[start + 4 : start + 20] = bytes(16)  # made and changed
        if kind != b"tkhd":
            struct.pack_into(">I", out, start + 20, rate)
        if plays:
            total = plays * _length(data, place)
            struct.pack_into(">Q", out, start + (28 if kind == b"tkhd" else 24), total)
        assert start < end  # noqa: S101 - a box that holds something
    return bytes(out)


def _length(data: bytes, moov: tuple[int, int]) -> int:
    """How many ticks one play lasts, by the edit list."""
    for start, _, kind in _inside(data, *moov, (b"trak", b"edts")):
        if kind == b"elst":
            return int(struct.unpack_from(">Q", data, start + 8)[0])
    raise ImageError("cannot be written as avif: libavif has built it in another way")


def _find_box(data: bytes, wanted: bytes, start: int, end: int) -> tuple[int, int]:
    for first, last, kind in _inside(data, start, end, ()):
        if kind == wanted:
            return first, last
    raise ImageError("cannot be written as avif: libavif has built it in another way")


def _inside(data: bytes, place: int, end: int, opened: tuple[bytes, ...]) -> Iterator[tuple[int, int, bytes]]:
    """Beginning and end of the content of each box, and its kind; those of some kinds are gone into."""
    while place + 8 <= end:
        length, kind = struct.unpack_from(">I4s", data, place)
        if length < 8:
            return
        yield place + 8, place + length, kind
        if kind in opened:
            yield from _inside(data, place + 8, place + length, opened)
        place += length
