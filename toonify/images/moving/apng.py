"""Animated PNG, read and written; each frame's pixels are packed as a PNG of their own.

Source: Portable Network Graphics (third edition), W3C, 2025; 4.9 (animation), 11.3.6 (acTL, fcTL, fdAT).

Pillow's own reader lays half-transparent frames over each other by another formula; its writer keeps all frames in
memory, and merges those that are alike.
"""

import io
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import BinaryIO

import numpy as np
from PIL import Image

from toonify.errors import ImageError
from toonify.images.moving.changes import around
from toonify.images.moving.parts import Disposal, Frame, Part, Reel
from toonify.images.moving.times import as_ratio
from toonify.images.png import SIGNATURE, Chunk, as_chunk, chunks_of
from toonify.pixels.arrays import Pixels
from toonify.pixels.boxes import Box

MOST_SIDE = 0x7FFF_FFFF
_DISPOSALS: tuple[Disposal, ...] = ("keep", "clear", "restore")
_CONTROL = struct.Struct(">IIIIIHHBB")  # number, width, height, left, top, delay (two numbers), disposal, blending
_OVER = 1
# What a part needs of the whole: its colors.
_SHARED = frozenset({b"PLTE", b"tRNS", b"cICP", b"iCCP", b"sRGB", b"gAMA", b"cHRM", b"sBIT"})


def count_frames(file: BinaryIO) -> int:
    """How many frames a PNG says that it has; 1 for one that is still, or whose animation has no head."""
    place, frames, has_control = len(SIGNATURE), 1, False
    while True:
        file.seek(place)
        head = file.read(16)
        if len(head) < 8:
            return max(1, frames) if has_control else 1
        length, kind = struct.unpack(">I4s", head[:8])
        if kind == b"acTL":
            frames = int.from_bytes(head[8:12])
        elif kind == b"fcTL":
            has_control = True
        elif kind == b"IEND":
            return 1
        elif kind == b"fdAT" or (kind == b"IDAT" and frames < 2) or not kind.isalpha():
            return max(1, frames) if has_control else 1
        place += 12 + length


def read_apng(data: bytes) -> Reel:
    """The structure of an animated PNG. Raises ImageError if part of it is lost."""
    chunks = list(chunks_of(data))
    head = next(chunk for chunk in chunks if chunk.kind == b"IHDR")
    control = next(chunk for chunk in chunks if chunk.kind == b"acTL")
    width, height = struct.unpack_from(">II", head.data)
    wanted, plays = struct.unpack_from(">II", control.data)
    first = next((chunk.start for chunk in chunks if chunk.kind == b"IDAT"), len(data))
    shared = [chunk for chunk in chunks if chunk.kind in _SHARED and chunk.start < first and chunk.is_whole]
    frames: list[tuple[Chunk, list[memoryview]]] = []
    number = 0
    for chunk in chunks:
        if chunk.kind in (b"fcTL", b"fdAT"):
            if not chunk.is_whole or len(chunk.data) < 4 or int.from_bytes(chunk.data[:4]) != number:
                how = "it ends in" if chunk.end == len(data) else "wrong checksum or number in"
                raise ImageError(f"damaged: {how} frame {max(1, len(frames))} of {wanted}")
            number += 1
        if chunk.kind == b"fcTL":
            if len(chunk.data) < _CONTROL.size:
                raise ImageError(f"damaged: frame {len(frames) + 1} of {wanted} is not whole")
            frames.append((chunk, []))
        elif chunk.kind == b"IDAT" and frames:  # else it is shown in the place of the animation
            frames[-1][1].append(chunk.data)
        elif chunk.kind == b"fdAT" and frames:
            frames[-1][1].append(chunk.data[4:])
    whole = sum(bool(pieces) for _, pieces in frames)
    if whole < wanted or whole < len(frames) or chunks[-1].kind != b"IEND":
        raise ImageError(f"damaged: it ends in frame {min(max(whole, 1), wanted)} of {wanted}")
    parts = [
        _part(head, shared, chunk, pieces, (height, width), is_first=not place)
        for place, (chunk, pieces) in enumerate(frames[:wanted])
    ]
    return Reel(height, width, parts, plays)


def _part(
    head: Chunk,
    shared: Iterable[Chunk],
    control: Chunk,
    pieces: Sequence[memoryview],
    screen: tuple[int, int],
    *,
    is_first: bool,
) -> Part:
    _, width, height, left, top, delay, unit, disposal, blending = _CONTROL.unpack_from(control.data)
    box = Box(top, left, top + height, left + width)
    if not (width and height) or box.bottom > screen[0] or box.right > screen[1] or disposal >= len(_DISPOSALS):
        raise ImageError("damaged: a frame lies outside of the picture")
    kept = _DISPOSALS[disposal]

    def still() -> bytes:
        made = [as_chunk(b"IHDR", struct.pack(">II", width, height) + bytes(head.data[8:]))]
        made += [as_chunk(chunk.kind, bytes(chunk.data)) for chunk in shared]
        return b"".join([SIGNATURE, *made, as_chunk(b"IDAT", b"".join(pieces)), as_chunk(b"IEND", b"")])

    seconds = Fraction(delay, unit or 100)
    return Part(still, box, seconds, blending == _OVER, "clear" if is_first and kept == "restore" else kept)


@dataclass
class ApngWriter:
    """Frames to an animated PNG, one by one: each brings what has changed."""

    height: int
    width: int
    seconds: Sequence[Fraction]
    plays: int
    has_alpha: bool
    _out: io.BytesIO = field(default_factory=io.BytesIO)

    def __post_init__(self) -> None:
        self._number = 0
        self._times = iter(self.seconds)
        self._shown: Pixels | None = None

    def add(self, frame: Frame) -> None:
        """One more frame."""
        colors, alpha = frame
        if self.has_alpha:
            colors = np.dstack([colors, np.full(colors.shape[:2], 255, np.uint8) if alpha is None else alpha])
        box = Box(0, 0, self.height, self.width)
        if self._shown is not None:
            box = around((colors != self._shown).any(axis=2))
        packed = list(_packed(colors[box.slices]))
        if self._shown is None:
            head = next(chunk for chunk in packed if chunk.kind == b"IHDR")
            self._out.write(SIGNATURE + as_chunk(b"IHDR", bytes(head.data)))
            self._out.write(as_chunk(b"acTL", struct.pack(">II", len(self.seconds), self.plays)))
        height, width = box.size
        delay = as_ratio(next(self._times))
        control = _CONTROL.pack(self._next(), width, height, box.left, box.top, *delay, 0, 0)
        self._out.write(as_chunk(b"fcTL", control))
        for chunk in packed:
            if chunk.kind == b"IDAT":
                body = bytes(chunk.data)
                first = self._shown is None
                self._out.write(as_chunk(*((b"IDAT", body) if first else (b"fdAT", self._next().to_bytes(4) + body))))
        self._shown = colors

    def _next(self) -> int:
        self._number += 1
        return self._number - 1

    def finish(self) -> bytes:
        """The whole file, without metadata."""
        self._out.write(as_chunk(b"IEND", b""))
        return self._out.getvalue()


def _packed(samples: Pixels) -> Iterable[Chunk]:
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(samples)).save(buffer, format="PNG")
    return chunks_of(buffer.getvalue())
