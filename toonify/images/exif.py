"""Exif as bytes: read by its directories, and written with everything where it was but what would be untrue.

Types, values and places stay: offsets in makers' notes count from the head of the whole block for many makers, so that
a note which is moved is lost. Only the first directory is written anew, behind all the rest.

Source: CIPA DC-008 (Exif 2.32), 4.5 and 4.6; TIFF 6.0, section 2.
"""

import contextlib
import struct
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Literal

from toonify.images.resolution import Resolution

Name = Literal["main", "details", "gps", "interop"]

ORIENTATION, PROCESSING_SOFTWARE = 0x0112, 0x000B
XMP_TAG, IPTC_TAG, PHOTOSHOP_TAG = 0x02BC, 0x83BB, 0x8649
_POINTERS: dict[Name, tuple[Name, int]] = {
    "details": ("main", 0x8769),
    "gps": ("main", 0x8825),
    "interop": ("details", 0xA005),
}
_COLOR_SPACE, _DETAILS_SIZE, _MAIN_SIZE, _MAKER_NOTE = 0xA001, (0xA002, 0xA003), (0x0100, 0x0101), 0x927C
_POSITIONING = 0x0213
_MAKE, _CANON_SIGNATURE = 0x010F, 0x0083  # the latter in Canon's note: the place of the original decision data
_THUMBNAIL, _THUMBNAIL_LENGTH = 0x0201, 0x0202
# What tells how the photo's file is laid out, of which nothing is left: strips, tiles, samples, profiles, previews.
_LAYOUT = frozenset(
    {
        *(0x00FE, 0x00FF, 0x0111, 0x011C, 0x012D, 0x014A, 0x015B, 0x0211, 0x0212, 0x0214, 0x8773),
        *range(0x0102, 0x010B),
        *range(0x0115, 0x011A),
        *range(0x0120, 0x0126),
        *range(0x013D, 0x0146),
        *range(0x014C, 0x0157),
        *range(0x0200, 0x020A),
    }
)
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_ASCII, _SHORT, _LONG = 2, 3, 4
_MOST_ENTRIES = 1000
_LONG_VALUE = 1000  # bytes, which go where there is no room


def minimal_block(resolution: Resolution | None = None) -> bytes:
    """What every block must have (Exif 2.32, table 21): the resolution, and where the samples of color lie.

    72 pixels an inch stand for a resolution that is not known.
    """
    unit, x, y = (None if resolution is None else resolution.as_exif()) or (2, (72, 1), (72, 1))
    return (
        b"II*\0\x08\0\0\0\x04\0"
        + struct.pack("<HHII", 0x011A, 5, 1, 62)
        + struct.pack("<HHII", 0x011B, 5, 1, 70)
        + struct.pack("<HHII", 0x0128, _SHORT, 1, unit)
        + struct.pack("<HHII", 0x0213, _SHORT, 1, 1)
        + struct.pack("<5I", 0, *x, *y)
    )


@dataclass(frozen=True)
class Entry:
    """One tag: its value as the bytes that stand for it, in the block's order."""

    tag: int
    kind: int
    count: int
    value: bytes
    place: int = 0  # of the value in the block


@dataclass(frozen=True)
class Block:
    """What lies in a block of Exif, or in a TIFF file, which is built like one."""

    data: bytes
    order: Literal["<", ">"]
    directories: dict[Name, list[Entry]]
    places: dict[Name, int]
    following: int = 0  # where the directory of the thumbnail is

    def number(self, directory: Name, tag: int) -> int | None:
        """The first value of a tag of whole numbers; None where there is none."""
        for entry in self.directories.get(directory, ()):
            if entry.tag == tag and entry.kind in (1, _SHORT, _LONG) and entry.value:
                size = _SIZES[entry.kind]
                return int.from_bytes(entry.value[:size], "little" if self.order == "<" else "big")
        return None

    def numbers(self, directory: Name, tag: int) -> tuple[int, ...]:
        """All values of a tag of whole numbers; none where there is none."""
        for entry in self.directories.get(directory, ()):
            if entry.tag == tag and entry.kind in (_SHORT, _LONG):
                return struct.unpack(f"{self.order}{entry.count}{'H' if entry.kind == _SHORT else 'I'}", entry.value)
        return ()

    def value(self, directory: Name, tag: int) -> bytes | None:
        """The bytes of a tag's value; None where there is none."""
        return next((entry.value for entry in self.directories.get(directory, ()) if entry.tag == tag), None)


def read_block(data: bytes) -> Block:
    """The directories of a block that begins with TIFF's head, or BigTIFF's.

    Raises ValueError if it has none that can be read.
    """
    is_big = data[:4] in (b"II+\0", b"MM\0+")
    if not is_big and data[:4] not in (b"II*\0", b"MM\0*"):
        raise ValueError("no TIFF header")
    order: Literal["<", ">"] = "<" if data[:2] == b"II" else ">"
    try:
        (first,) = struct.unpack_from(f"{order}Q" if is_big else f"{order}I", data, 8 if is_big else 4)
        main, following = _read_directory(data, first, order, is_big)
    except struct.error as error:
        raise ValueError("its first directory lies outside of it") from error
    block = Block(data, order, {"main": main}, {"main": first}, following)
    for name, (parent, tag) in _POINTERS.items():
        if (place := block.number(parent, tag)) is None:
            continue
        try:
            block.directories[name], _ = _read_directory(data, place, order, is_big)
            block.places[name] = place
        except (struct.error, ValueError):
            continue  # a pointer that leads nowhere, as some programs leave behind
    return block


def _read_directory(data: bytes, place: int, order: str, is_big: bool = False) -> tuple[list[Entry], int]:
    """A directory's entries whose values lie in the data, and where the next directory is."""
    head, code, inline = (8, "Q", 8) if is_big else (2, "I", 4)
    (count,) = struct.unpack_from(f"{order}{'Q' if is_big else 'H'}", data, place)
    length = 4 + 2 * inline
    if count > _MOST_ENTRIES or place + head + length * count > len(data):
        raise ValueError("a directory that is none")
    entries = []
    for at in range(place + head, place + head + length * count, length):
        tag, kind, number = struct.unpack_from(f"{order}HH{code}", data, at)
        size = _SIZES.get(kind, 1) * number
        value = at + 4 + inline if size <= inline else struct.unpack_from(f"{order}{code}", data, at + 4 + inline)[0]
        if kind in _SIZES and value + size <= len(data):
            entries.append(Entry(tag, kind, number, data[value : value + size], value))
    tail = data[place + head + length * count :][:inline]
    return entries, struct.unpack(f"{order}{code}", tail)[0] if len(tail) == inline else 0


def standalone(block: Block) -> bytes:
    """What a TIFF file says of its picture, as a block of its own, without the file's layout."""
    dropped = {*_LAYOUT, *_MAIN_SIZE, XMP_TAG, IPTC_TAG, PHOTOSHOP_TAG, 0x8773}
    main = [entry for entry in block.directories["main"] if entry.tag not in dropped]
    if not main and len(block.directories) == 1:
        return b""
    if all(entry.tag != _POSITIONING for entry in main):  # which JPEGs must have (Exif 2.32, table 4)
        main.append(Entry(_POSITIONING, _SHORT, 1, struct.pack(f"{block.order}H", 1)))
    return _packed(replace(block, directories={**block.directories, "main": main}))


def true_of(
    data: bytes,
    width: int,
    height: int,
    *,
    limit: int | None = None,
    drop: frozenset[int] = frozenset(),
) -> bytes:
    """A block as it is true of a drawing: upright, its size, sRGB, without the photo's thumbnail.

    All else stays byte for byte where it was. Where `limit` bytes are not enough, the maker's note goes, then every
    value longer than 1,000 bytes. Tags in `drop` go, too. Raises ValueError for a block that
    cannot be read.
    """
    block = read_block(data)
    changed = _in_place(block, width, height, drop)
    if limit is None or len(changed) <= limit:
        return changed
    for is_kept in (lambda entry: entry.tag != _MAKER_NOTE, lambda entry: len(entry.value) <= _LONG_VALUE):
        shorter = {name: [each for each in entries if is_kept(each)] for name, entries in block.directories.items()}
        changed = _in_place(read_block(_packed(replace(block, directories=shorter))), width, height, drop)
        if len(changed) <= limit:
            break
    return changed


def with_entries(data: bytes, added: Collection[Entry], *, without: Collection[int] = ()) -> bytes:
    """A block whose first directory has further entries, or others; it is written behind all the rest.

    The values of `added` must be in the block's order.
    """
    block = read_block(data)
    changed = {entry.tag for entry in added}
    kept = [each for each in block.directories["main"] if each.tag not in without and each.tag not in changed]
    return _with_main(data, block.order, kept, list(added))


def _in_place(block: Block, width: int, height: int, drop: frozenset[int]) -> bytes:
    order, data = block.order, bytearray(block.data)
    long, short = (struct.Struct(f"{order}{code}") for code in "IH")
    for of_details, of_main, side in zip(_DETAILS_SIZE, _MAIN_SIZE, (width, height), strict=True):
        _set(data, block, "details", of_details, _LONG, long.pack(side))
        _set(data, block, "main", of_main, _LONG, long.pack(side))
    _set(data, block, "details", _COLOR_SPACE, _SHORT, short.pack(1))
    _set(data, block, "main", ORIENTATION, _SHORT, short.pack(1))
    if block.value("interop", 1) == b"R03\0":  # Adobe RGB
        _set(data, block, "interop", 1, _ASCII, b"R98\0")
    _forget_trailer(data, block)
    _drop_details(data, block, drop)
    data = _without_thumbnail(data, block)
    first, count = block.places["main"], struct.unpack_from(f"{order}H", data, block.places["main"])[0]
    main = _read_directory(bytes(data), first, order)[0]
    data[first : first + 6 + 12 * count] = bytes(len(data[first : first + 6 + 12 * count]))
    pointers = {tag: name for name, (parent, tag) in _POINTERS.items() if parent == "main"}
    lost = {tag for tag, name in pointers.items() if name not in block.directories}
    dropped = {*_LAYOUT, *lost, *drop}
    if (block.value("main", PROCESSING_SOFTWARE) or b"").startswith(b"toonify "):  # of a drawing before 0.2.0
        dropped.add(PROCESSING_SOFTWARE)
    return _with_main(bytes(data), order, [entry for entry in main if entry.tag not in dropped], [])


def _with_main(data: bytes, order: str, kept: list[Entry], added: list[Entry]) -> bytes:
    out = bytearray(data)
    out += bytes(len(out) % 2)
    placed = []
    for entry in added:
        placed.append(replace(entry, place=len(out)))
        if len(entry.value) > 4:
            out += entry.value + bytes(len(entry.value) % 2)
    entries = sorted([*kept, *placed], key=lambda entry: entry.tag)
    struct.pack_into(f"{order}I", out, 4, len(out))
    out += struct.pack(f"{order}H", len(entries))
    for entry in entries:
        is_short = len(entry.value) <= 4
        field = entry.value.ljust(4, b"\0") if is_short else struct.pack(f"{order}I", entry.place)
        out += struct.pack(f"{order}HHI", entry.tag, entry.kind, entry.count) + field
    return bytes(out) + bytes(4)


def _set(data: bytearray, block: Block, name: Name, tag: int, kind: int, value: bytes) -> None:
    """Give a tag that is there another value of at most four bytes, in its place."""
    if name not in block.places:
        return
    place = block.places[name]
    (count,) = struct.unpack_from(f"{block.order}H", data, place)
    for at in range(place + 2, place + 2 + 12 * count, 12):
        if struct.unpack_from(f"{block.order}H", data, at)[0] == tag:
            number = len(value) if kind == _ASCII else 1
            data[at : at + 12] = struct.pack(f"{block.order}HHI", tag, kind, number) + value.ljust(4, b"\0")


def _drop_details(data: bytearray, block: Block, tags: frozenset[int]) -> None:
    """Take tags out of the directory of details, which stays where it is."""
    if "details" not in block.places:
        return
    place = block.places["details"]
    (count,) = struct.unpack_from(f"{block.order}H", data, place)
    fields = [bytes(data[at : at + 12]) for at in range(place + 2, place + 2 + 12 * count, 12)]
    kept = [field for field in fields if struct.unpack(f"{block.order}H", field[:2])[0] not in tags]
    rest = bytes(12 * (count - len(kept)))
    tail = bytes(data[place + 2 + 12 * count :][:4])
    packed = struct.pack(f"{block.order}H", len(kept)) + b"".join(kept) + tail + rest
    data[place : place + len(packed)] = packed


def _forget_trailer(data: bytearray, block: Block) -> None:
    """Set to 0 where Canon's note says that there is a signature behind the photo's end: behind a drawing's is none."""
    note = next((each for each in block.directories.get("details", ()) if each.tag == _MAKER_NOTE), None)
    if note is None or not (block.value("main", _MAKE) or b"").startswith(b"Canon"):
        return
    with contextlib.suppress(struct.error):
        (count,) = struct.unpack_from(f"{block.order}H", data, note.place)
        for at in range(note.place + 2, note.place + 2 + 12 * min(count, _MOST_ENTRIES), 12):
            if struct.unpack_from(f"{block.order}HHI", data, at) == (_CANON_SIGNATURE, _LONG, 1):
                data[at + 8 : at + 12] = bytes(4)


def _without_thumbnail(data: bytearray, block: Block) -> bytearray:
    """The directory of the thumbnail, and the thumbnail, as zeros; cut off where they lie at the end."""
    if not block.following:
        return data
    try:
        entries, _ = _read_directory(bytes(data), block.following, block.order)
    except (struct.error, ValueError):
        return data
    parts = [(block.following, block.following + 6 + 12 * len(entries))]
    numbers = Block(block.data, block.order, {"main": entries}, {})
    start, length = numbers.number("main", _THUMBNAIL), numbers.number("main", _THUMBNAIL_LENGTH)
    if start is not None and length is not None:
        parts.append((start, start + length))
    used = _used(block)
    for start, end in sorted(parts, reverse=True):
        if any(start < other_end and other < end for other, other_end in used):
            continue  # as broken files have it
        end = min(end, len(data))
        if end >= len(data) - 1:
            del data[start:]
        else:
            data[start:end] = bytes(end - start)
    return data


def _used(block: Block) -> list[tuple[int, int]]:
    """Where the directories and values of a block lie, without those of the thumbnail."""
    parts = [(0, 8)]
    for name, entries in block.directories.items():
        place = block.places.get(name, 0)
        parts.append((place, place + 6 + 12 * len(entries)))
        parts += [(entry.place, entry.place + len(entry.value)) for entry in entries]
    return parts


def _packed(block: Block) -> bytes:
    """A block with its directories and values written anew, one behind the other."""
    out = bytearray((b"II*\0" if block.order == "<" else b"MM\0*") + struct.pack(f"{block.order}I", 8))
    _pack(out, block, "main")
    return bytes(out)


def _pack(out: bytearray, block: Block, name: Name) -> int:
    """Append a directory, with those that it points to, and give its place."""
    order, place = block.order, len(out)
    children = {tag: child for child, (parent, tag) in _POINTERS.items() if parent == name}
    entries = sorted(block.directories[name], key=lambda entry: entry.tag)
    entries = [entry for entry in entries if entry.tag not in children or children[entry.tag] in block.directories]
    out += struct.pack(f"{order}H", len(entries)) + bytes(12 * len(entries) + 4)
    for number, entry in enumerate(entries):
        at = place + 2 + 12 * number
        kind, count, field = entry.kind, entry.count, entry.value.ljust(4, b"\0")
        if entry.tag in children:
            kind, count, field = _LONG, 1, struct.pack(f"{order}I", _pack(out, block, children[entry.tag]))
        elif len(entry.value) > 4:
            field = struct.pack(f"{order}I", len(out))
            out += entry.value + bytes(len(entry.value) % 2)
        out[at : at + 12] = struct.pack(f"{order}HHI", entry.tag, kind, count) + field
    return place
