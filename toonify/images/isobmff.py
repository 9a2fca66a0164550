"""HEIF and AVIF stills by their boxes: colors, how they are turned and cropped, and whether all of their data is there.

Sources: ISO/IEC 14496-12:2022, 8.11 (meta); ISO/IEC 23008-12:2022, 6.5 (properties), 6.6.2.3 (grids);
ISO/IEC 23000-22:2019 (MIAF), 7.3.6 (colr; clap, irot and imir alone, in this order).
"""

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

import numpy as np

from toonify.errors import ImageError
from toonify.images.zeros import refuse_zeros
from toonify.pixels.arrays import Pixels

_MOST_META = 64 << 20  # bytes


@dataclass(frozen=True)
class Still:
    """What the boxes of a file say of its primary picture."""

    nclx: tuple[int, int] | None = None  # code points of H.273: primaries, transfer function
    icc: bytes | None = None
    turns: int = 0  # quarters, counterclockwise
    mirror: int | None = None  # 0: top and bottom change places; 1: left and right do
    crop: tuple[int, int, int, int] | None = None  # left, top, right, bottom of the clean aperture, before it is turned
    hevc: bytes | None = None  # the decoder configuration record
    items: tuple[tuple[bytes, tuple[tuple[int, int], ...]], ...] = ()  # kind of each coded one; offsets and lengths
    described: tuple[tuple[bytes, tuple[tuple[int, int], ...]], ...] = ()  # the same of Exif, and mime for XMP
    missing: int = 0  # bytes of the picture's data that lie behind the end of the file
    needed: int = 0  # bytes of all of its data
    beside: tuple[str, ...] = ()  # names of pictures that belong to it, and are none of transparency

    def metadata(self, file: BinaryIO) -> tuple[bytes, bytes]:
        """Exif as a block that begins with TIFF's head, and XMP; empty where there is none."""
        found = {kind: b"".join(_part(file, *extent) for extent in extents) for kind, extents in self.described}
        exif = found.get(b"Exif", b"")
        # Four bytes say where TIFF's head is behind them (ISO/IEC 23008-12, A.2.1).
        return exif[4 + int.from_bytes(exif[:4]) :], found.get(b"mime", b"")

    def upright(self, pixels: Pixels) -> Pixels:
        """Pixels as the properties want them to be looked at: cropped, turned, mirrored."""
        if self.crop is not None:
            left, top, right, bottom = self.crop
            pixels = pixels[top:bottom, left:right]
        pixels = np.rot90(pixels, self.turns)
        if self.mirror is not None:
            pixels = np.flip(pixels, self.mirror)
        return np.ascontiguousarray(pixels)


@dataclass
class _Meta:
    primary: int = 0
    properties: list[tuple[bytes, memoryview]] = field(default_factory=list)
    of_item: dict[int, list[int]] = field(default_factory=dict)  # item -> places in `properties`
    extents: dict[int, list[tuple[int, int, int]]] = field(default_factory=dict)  # item -> method, offset, length
    references: list[tuple[bytes, int, tuple[int, ...]]] = field(default_factory=list)
    idat: int = 0  # length
    kinds: dict[int, bytes] = field(default_factory=dict)  # of the items


def read_still(file: BinaryIO) -> Still:
    """What an HEIF or AVIF file says of its picture; an empty Still if its boxes cannot be read."""
    position = file.tell()
    try:
        file.seek(0, 2)
        size = file.tell()
        found = _find_meta(file, size)
        return Still() if found is None else _still(_parse(found), size)
    except (struct.error, IndexError, ValueError, OverflowError):
        return Still()  # the decoder will say what is wrong with it
    finally:
        file.seek(position)


def refuse_damaged(file: BinaryIO, still: Still, pixels: int) -> None:
    """Raise ImageError if data of a picture of so many pixels is not all there, or is none that an encoder writes.

    HEVC's units begin with their lengths and hold no two zeros before a byte of 0 to 2 (ITU-T H.265, 7.4.2.1); AV1's
    arithmetic coder writes no long run of zeros.
    """
    if still.missing:
        raise ImageError(f"damaged: it ends early, with {still.missing} of {still.needed} bytes of its picture missing")
    for kind, extents in still.items:
        data = b"".join(_part(file, offset, length) for offset, length in extents)
        if kind == b"hvc1" and still.hevc is not None and not _are_units(data, (still.hevc[21] & 3) + 1):
            raise ImageError("damaged: its data is not what an encoder writes")
        if kind == b"av01":
            refuse_zeros(data, pixels)


def _part(file: BinaryIO, offset: int, length: int) -> bytes:
    file.seek(offset)
    return file.read(length)


def _are_units(data: bytes, size: int) -> bool:
    """Whether data is whole HEVC units, each behind its length of `size` bytes."""
    place = 0
    while place + size <= len(data):
        length = int.from_bytes(data[place : place + size])
        unit = data[place + size : place + size + length]
        if not length or len(unit) < length or any(bytes([0, 0, last]) in unit for last in range(3)):
            return False
        place += size + length
    return place == len(data)


def _find_meta(file: BinaryIO, size: int) -> memoryview | None:
    place = 0
    while place + 8 <= size:
        file.seek(place)
        length, kind = struct.unpack(">I4s", file.read(8))
        head = 8
        if length == 1:
            (length,) = struct.unpack(">Q", file.read(8))
            head = 16
        end = place + length if length else size
        if length and length < head:
            return None
        if kind == b"meta":
            return memoryview(file.read(min(end - place - head, _MOST_META)))[4:]
        place = end
    return None


def boxes_of(data: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    """Kind and content of each box in a row of them."""
    place = 0
    while place + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, place)
        head = 8
        if length == 1:
            (length,) = struct.unpack_from(">Q", data, place + 8)
            head = 16
        end = place + length if length else len(data)
        if end < place + head:
            return
        yield kind, data[place + head : end]
        place = end


class _Reader:
    """Big-endian numbers, one after the other."""

    def __init__(self, data: memoryview) -> None:
        self._data, self._place = data, 0

    def number(self, size: int) -> int:
        if self._place + size > len(self._data):
            raise ValueError("a box that ends early")
        self._place += size
        return int.from_bytes(self._data[self._place - size : self._place])


def _parse(data: memoryview) -> _Meta:
    meta = _Meta()
    for kind, body in boxes_of(data):
        if kind == b"pitm":
            meta.primary = int.from_bytes(body[4:6] if body[0] == 0 else body[4:8])
        elif kind == b"iloc":
            meta.extents = _locations(body)
        elif kind == b"iinf":
            meta.kinds = dict(_kinds(body))
        elif kind == b"iref":
            meta.references = list(_references(body))
        elif kind == b"idat":
            meta.idat = len(body)
        elif kind == b"iprp":
            for inner, content in boxes_of(body):
                if inner == b"ipco":
                    meta.properties = list(boxes_of(content))
                elif inner == b"ipma":
                    meta.of_item |= _associations(content)
    return meta


def _kinds(body: memoryview) -> Iterator[tuple[int, bytes]]:
    for kind, entry in boxes_of(body[6 if body[0] == 0 else 8 :]):
        if kind == b"infe" and entry[0] in (2, 3):
            size = 2 if entry[0] == 2 else 4
            yield int.from_bytes(entry[4 : 4 + size]), bytes(entry[6 + size : 10 + size])


def _locations(body: memoryview) -> dict[int, list[tuple[int, int, int]]]:
    reader = _Reader(body)
    version = reader.number(4) >> 24
    sizes = reader.number(2)
    offset_size, length_size, base_size, index_size = (sizes >> shift & 15 for shift in (12, 8, 4, 0))
    extents: dict[int, list[tuple[int, int, int]]] = {}
    for _ in range(reader.number(2 if version < 2 else 4)):
        item = reader.number(2 if version < 2 else 4)
        method = reader.number(2) & 15 if version > 0 else 0
        reader.number(2)  # data reference
        base = reader.number(base_size)
        extents[item] = []
        for _ in range(reader.number(2)):
            if version > 0:
                reader.number(index_size)
            offset = base + reader.number(offset_size)
            extents[item].append((method, offset, reader.number(length_size)))
    return extents


def _references(body: memoryview) -> Iterator[tuple[bytes, int, tuple[int, ...]]]:
    size = 2 if body[0] == 0 else 4
    for kind, content in boxes_of(body[4:]):
        reader = _Reader(content)
        source = reader.number(size)
        yield kind, source, tuple(reader.number(size) for _ in range(reader.number(2)))


def _associations(body: memoryview) -> dict[int, list[int]]:
    reader = _Reader(body)
    head = reader.number(4)
    wide = bool(head & 1)
    found = {}
    for _ in range(reader.number(4)):
        item = reader.number(2 if head >> 24 == 0 else 4)
        mask = 0x7FFF if wide else 0x7F
        found[item] = [(reader.number(2 if wide else 1) & mask) - 1 for _ in range(reader.number(1))]
    return found


def _still(meta: _Meta, size: int) -> Still:
    tiles = [
        item for kind, source, items in meta.references if kind == b"dimg" and source == meta.primary for item in items
    ]
    alphas = [source for kind, source, items in meta.references if kind == b"auxl" and meta.primary in items]
    alpha_tiles = [
        item for kind, source, items in meta.references if kind == b"dimg" and source in alphas for item in items
    ]
    own = _properties(meta, meta.primary)
    of_tile = _properties(meta, tiles[0]) if tiles else []
    nclx, icc = _colors(own)
    if nclx is None and icc is None:
        nclx, icc = _colors(of_tile)
    width = height = 0
    turns, mirror, crop, hevc = 0, None, None, None
    for kind, body in [*own, *((kind, body) for kind, body in of_tile if kind == b"hvcC")]:
        if kind == b"ispe":
            width, height = struct.unpack_from(">II", body, 4)
        elif kind == b"irot":
            turns = body[0] & 3
        elif kind == b"imir":
            mirror = body[0] & 1
        elif kind == b"clap":
            crop = _aperture(body, width, height)
        elif kind == b"hvcC":
            hevc = bytes(body)
    items = {meta.primary, *tiles, *alphas, *alpha_tiles}
    extents = [each for item in items for each in meta.extents.get(item, ())]
    ends = {0: size, 1: meta.idat}
    missing = sum(
        min(length, max(0, offset + length - ends[method])) for method, offset, length in extents if method in ends
    )
    describing = [source for kind, source, to in meta.references if kind == b"cdsc" and meta.primary in to]
    needed = sum(length for _, _, length in extents)
    beside = tuple(dict.fromkeys(name for each in alphas if (name := _auxiliary(_properties(meta, each)))))
    return Still(
        nclx, icc, turns, mirror, crop, hevc, _located(meta, items), _located(meta, describing), missing, needed, beside
    )


def _auxiliary(properties: list[tuple[bytes, memoryview]]) -> str | None:
    """What an auxiliary picture is, by its type (ISO/IEC 23008-12, 6.5.8); None for transparency."""
    kind = next((bytes(body[4:]).partition(b"\0")[0].lower() for name, body in properties if name == b"auxC"), b"")
    if b"alpha" in kind or kind.endswith(b"auxid:1"):
        return None
    if b"gainmap" in kind:
        return "its gain map"
    return "its depth map" if b"depth" in kind or kind.endswith(b"auxid:2") else "an auxiliary picture"


def _located(meta: _Meta, items: Iterable[int]) -> tuple[tuple[bytes, tuple[tuple[int, int], ...]], ...]:
    """The kind of each item that lies in the file itself, and its offsets and lengths."""
    return tuple(
        (meta.kinds.get(item, b""), tuple((offset, length) for _, offset, length in meta.extents.get(item, ())))
        for item in sorted(items)
        if all(method == 0 for method, _, _ in meta.extents.get(item, ()))
    )


def _properties(meta: _Meta, item: int) -> list[tuple[bytes, memoryview]]:
    return [meta.properties[place] for place in meta.of_item.get(item, ()) if 0 <= place < len(meta.properties)]


def _colors(properties: list[tuple[bytes, memoryview]]) -> tuple[tuple[int, int] | None, bytes | None]:
    nclx = icc = None
    for kind, body in properties:
        if kind == b"colr" and bytes(body[:4]) == b"nclx":
            primaries, transfer = struct.unpack_from(">HH", body, 4)
            nclx = primaries, transfer
        elif kind == b"colr" and bytes(body[:4]) in (b"prof", b"rICC"):
            icc = bytes(body[4:])
    return nclx, icc


def _aperture(body: memoryview, width: int, height: int) -> tuple[int, int, int, int] | None:
    """The clean aperture as a box; None if it is not inside the picture (14496-12, 12.1.4)."""
    numbers = struct.unpack_from(">IIIIiIiI", body)
    if not all(numbers[1::2]):
        return None
    wide, high, right, down = (top / bottom for top, bottom in zip(numbers[::2], numbers[1::2], strict=True))
    left, top = right + (width - wide) / 2, down + (height - high) / 2
    box = round(left), round(top), round(left + wide), round(top + high)
    inside = 0 <= box[0] < box[2] <= width and 0 <= box[1] < box[3] <= height
    return box if inside and box != (0, 0, width, height) else None
