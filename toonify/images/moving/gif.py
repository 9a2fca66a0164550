"""GIF block by block, read and written; Pillow unpacks and packs what each frame shows.

Sources: GIF89a specification (CompuServe, 1990), 17 to 27; Netscape's application extension for loops.

Pillow's own reader lets a frame without a disposal method inherit that of the frame before, and fills what is cleared
with a color; its writer keeps all frames in memory, and drops those that look like the one before.
"""

import io
import itertools
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np
import numpy.typing as npt
from PIL import Image

from toonify.errors import ImageError
from toonify.images.moving.changes import around
from toonify.images.moving.palette import Palettes
from toonify.images.moving.parts import Disposal, Frame, Part, Reel
from toonify.images.moving.times import in_ticks
from toonify.pixels.arrays import Pixels
from toonify.pixels.boxes import Box

SIGNATURES = (b"GIF87a", b"GIF89a")
TICKS = 100  # a second
MOST_SIDE = 65_535
_DISPOSALS: dict[int, Disposal] = {2: "clear", 3: "restore"}
_EXTENSION, _IMAGE, _TRAILER = 0x21, 0x2C, 0x3B
_CONTROL, _COMMENT, _APPLICATION = 0xF9, 0xFE, 0xFF
_LOOPS = (b"NETSCAPE2.0", b"ANIMEXTS1.0")
_XMP = b"XMP DataXMP"
_MOST_LOOPS = 65_535
_LEAST_OPAQUE = 128  # of 255: what is less is a hole
_CLEAR = 255  # the index that stands for nothing, in what is written

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class _Image:
    """Where the pieces of a frame lie in the file."""

    box: Box
    table: bytes  # its colors
    is_interlaced: bool
    data: tuple[int, int]
    control: bytes | None  # of its graphic control extension


def is_gif(head: bytes) -> bool:
    """Whether a file begins as a GIF."""
    return head.startswith(SIGNATURES)


def count_frames(data: bytes, most: int | None = None) -> int:
    """How many frames a GIF has, counted up to `most`; the one in which it ends early counts, too."""
    count = 0
    try:
        for _ in itertools.islice(_images(data, []), most):
            count += 1
    except ImageError:
        count += 1
    return max(1, count)


def read_gif(data: bytes) -> Reel:
    """The structure of a GIF. Raises ImageError if part of it is lost."""
    found: list[tuple[bytes, bytes]] = []
    images = list(_images(data, found))
    height, width = _screen(data)
    if images:  # browsers enlarge a screen that is too small for the first frame
        height, width = max(height, images[0].box.bottom), max(width, images[0].box.right)
    plays = 1
    for kind, body in found:
        if kind in _LOOPS and body[:1] == b"\1" and len(body) >= 3:
            again = int.from_bytes(body[1:3], "little")
            plays = again + 1 if again else 0  # browsers count how often it is played again
    end = images[-1].data[1] if images else len(data)
    notes = () if _TRAILER in data[end:] else ("it has no end mark, so frames may be missing",)
    return Reel(height, width, [_part(data, each) for each in images], plays, notes)


def _part(data: bytes, image: _Image) -> Part:
    control = image.control or bytes(4)
    is_over = bool(control[0] & 1)

    def still() -> bytes:
        height, width = image.box.size
        screen = struct.pack("<HHBBB", width, height, _table_flags(image.table), 0, 0)
        clear = b"\x21\xf9\4\1\0\0%c\0" % control[3] if is_over else b""
        place = struct.pack("<BHHHHB", _IMAGE, 0, 0, width, height, 0x40 if image.is_interlaced else 0)
        start, end = image.data
        return b"".join([SIGNATURES[1], screen, image.table, clear, place, data[start:end], bytes([_TRAILER])])

    seconds = Fraction(int.from_bytes(control[1:3], "little"), TICKS)
    # What stands for nothing shows what is below it.
    return Part(still, image.box, seconds, is_over, _DISPOSALS.get(control[0] >> 2 & 7, "keep"))


def _screen(data: bytes) -> tuple[int, int]:
    """Height and width of the logical screen."""
    width, height = struct.unpack_from("<HH", data, 6)
    return height, width


def _table_flags(table: bytes) -> int:
    """The bits of a descriptor that say how many colors follow."""
    return 0x80 | (len(table) // 3).bit_length() - 2 if table else 0


def _images(data: bytes, found: list[tuple[bytes, bytes]]) -> Iterator[_Image]:
    """The frames in order; application extensions are put in `found`. Raises ImageError where the data ends early."""
    if len(data) < 13:
        raise ImageError("damaged: its head is not whole")
    place = 13
    shared, place = _table(data, place, data[10])
    control: bytes | None = None
    number = 1
    while place < len(data) and data[place] != _TRAILER:
        kind = data[place]
        if kind == _EXTENSION:
            label = data[place + 1 : place + 2]
            body, following = _blocks(data, place + 2)
            if following is None:
                return
            if label == bytes([_CONTROL]):
                control = body.ljust(4, b"\0")
            elif label == bytes([_APPLICATION]) and body[:11] != _XMP:
                found.append((body[:11], body[11:]))
            place = following
        elif kind == _IMAGE:
            if place + 10 > len(data):
                raise ImageError(f"damaged: it ends in frame {number}")
            left, top, width, height, flags = struct.unpack_from("<HHHHB", data, place + 1)
            own, start = _table(data, place + 10, flags)
            end = _end_of_blocks(data, start + 1)
            if end is None:
                raise ImageError(f"damaged: it ends in frame {number}")
            if not width or not height:
                raise ImageError(f"damaged: frame {number} has no size")
            box = Box(top, left, top + height, left + width)
            yield _Image(box, own or shared, bool(flags & 0x40), (start, end), control)
            control, number, place = None, number + 1, end
        elif kind == 0:  # as some programs leave between blocks
            place += 1
        else:  # nothing begins like this: browsers stop here
            return


def _table(data: bytes, place: int, flags: int) -> tuple[bytes, int]:
    """The colors at a place, if the flags of a descriptor have it so, and what follows them."""
    length = 3 << (flags & 7) + 1 if flags & 0x80 else 0
    return data[place : place + length], place + length


def _end_of_blocks(data: bytes, place: int) -> int | None:
    """Where a row of blocks ends; None where the data does."""
    while place < len(data):
        if not data[place]:
            return place + 1
        place += 1 + data[place]
    return None


def _blocks(data: bytes, place: int) -> tuple[bytes, int | None]:
    """The content of a row of blocks, and where it ends."""
    end = _end_of_blocks(data, place)
    pieces = []
    while place < len(data) and data[place]:
        pieces.append(data[place + 1 : place + 1 + data[place]])
        place += 1 + data[place]
    return b"".join(pieces), end


@dataclass
class _Pending:
    """A frame that is made ready: what becomes of its place shows with the next."""

    ticks: int
    box: Box
    indices: Pixels  # of the box
    table: bytes
    disposal: int = 1


@dataclass
class GifWriter:
    """Frames to a GIF, one by one: each brings what has changed."""

    height: int
    width: int
    seconds: Sequence[Fraction]
    plays: int
    xmp: bytes = b""
    comments: Sequence[bytes] = ()
    _out: io.BytesIO = field(default_factory=io.BytesIO)
    _palettes: Palettes = field(default_factory=Palettes)

    def __post_init__(self) -> None:
        self._ticks = iter(in_ticks(self.seconds, TICKS, most=65_535))
        self._shared: bytes | None = None
        self._pending: _Pending | None = None
        self._shown = np.zeros((self.height, self.width, 3), np.uint8)  # the colors that are seen, of the palettes
        self._solid = np.zeros((self.height, self.width), np.bool_)  # where something is seen

    def add(self, frame: Frame) -> None:
        """One more frame."""
        colors, alpha = frame
        solid = np.ones(colors.shape[:2], np.bool_) if alpha is None else alpha >= _LEAST_OPAQUE
        vanished = self._solid & ~solid
        if vanished.any() and self._pending is not None:
            self._clear_behind(self._pending, around(vanished))
        is_first = self._pending is None
        palette, indices = self._palettes.indices(colors, solid)
        painted = palette[indices]
        differs = self._palettes.differ(colors, self._shown) & (painted != self._shown).any(axis=2)
        changed = solid & (~self._solid | differs)
        self._shown[changed] = painted[changed]
        self._solid |= solid
        indices[~changed] = _CLEAR
        box = Box(0, 0, self.height, self.width) if is_first else around(changed)
        self._flush()
        table = palette.tobytes().ljust(768, b"\0")
        self._pending = _Pending(next(self._ticks), box, indices[box.slices], table)

    def _clear_behind(self, pending: _Pending, box: Box) -> None:
        """Have a place cleared after a frame, which must cover it for that."""
        both = Box(
            min(box.top, pending.box.top),
            min(box.left, pending.box.left),
            max(box.bottom, pending.box.bottom),
            max(box.right, pending.box.right),
        )
        indices = np.full(both.size, _CLEAR, np.uint8)
        indices[pending.box.relative_to(both).slices] = pending.indices
        pending.box, pending.indices, pending.disposal = both, indices, 2
        self._solid[both.slices] = False

    def _flush(self) -> None:
        if (pending := self._pending) is None:
            return
        if self._shared is None:
            self._shared = pending.table
            self._write_head()
        own = b"" if pending.table == self._shared else pending.table
        height, width = pending.box.size
        self._out.write(
            struct.pack("<BBBBHBB", _EXTENSION, _CONTROL, 4, pending.disposal << 2 | 1, pending.ticks, _CLEAR, 0)
        )
        flags = _table_flags(own)
        self._out.write(struct.pack("<BHHHHB", _IMAGE, pending.box.left, pending.box.top, width, height, flags))
        self._out.write(own + _packed(pending.indices))

    def _write_head(self) -> None:
        assert self._shared is not None  # noqa: S101 - the first frame has it
        screen = struct.pack("<HHBBB", self.width, self.height, _table_flags(self._shared) | 0x70, 0, 0)
        self._out.write(SIGNATURES[1] + screen + self._shared)
        if self.plays != 1:
            again = min(self.plays - 1, _MOST_LOOPS) if self.plays else 0
            self._out.write(_extension(_APPLICATION, _LOOPS[0], b"\1" + again.to_bytes(2, "little")))
        for comment in self.comments:
            self._out.write(_extension(_COMMENT, comment))
        if self.xmp:  # which ends in bytes that lead any reader out of it (XMP part 3, 1.1.2)
            trailer = bytes([1, *range(255, -1, -1), 0])
            self._out.write(bytes([_EXTENSION, _APPLICATION, 11]) + _XMP + self.xmp + trailer)

    def finish(self) -> bytes:
        """The whole file."""
        self._flush()
        self._out.write(bytes([_TRAILER]))
        return self._out.getvalue()


def _packed(indices: Pixels) -> bytes:
    """Indices as the data of a frame: the size of a code, and blocks. Pillow packs them."""
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(indices)).save(buffer, format="GIF", optimize=False, interlace=0)
    data = buffer.getvalue()
    (packed,) = _images(data, [])
    start, end = packed.data
    return data[start:end]


def _extension(label: int, *bodies: bytes) -> bytes:
    out = [bytes([_EXTENSION, label])]
    for body in bodies:
        pieces = (body[place : place + 255] for place in range(0, len(body), 255))
        out += [bytes([len(piece)]) + piece for piece in pieces]
    return b"".join([*out, b"\0"])
