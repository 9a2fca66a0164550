"""What a Matroska file says that FFmpeg leaves to others: the edges of its pictures, and where it ends.

Source: RFC 9559 (Matroska), 5.1.4.1.28 (PixelCropBottom, -Top, -Left, -Right); RFC 8794 (EBML), 4 to 6.
"""

from collections.abc import Iterator
from typing import BinaryIO

_EBML, _SEGMENT, _CLUSTER, _TRACKS, _ENTRY = 0x1A45DFA3, 0x18538067, 0x1F43B675, 0x1654AE6B, 0xAE
_TYPE, _VIDEO, _WIDTH, _HEIGHT = 0x83, 0xE0, 0xB0, 0xBA
_BOTTOM, _TOP, _LEFT, _RIGHT = 0x54AA, 0x54BB, 0x54CC, 0x54DD
_IS_VIDEO = 1
_MOST_TRACKS = 1 << 20  # bytes


def pixel_crops(file: BinaryIO) -> list[tuple[int, int, int, int]]:
    """How many pixels are cut off each video track, in their order: left, top, right and bottom.

    Nothing for a file that is no Matroska, or cannot be read as one. The file stays where it was.
    """
    position = file.tell()
    try:
        file.seek(0)
        return [_crop(entry) for entry in _entries(_tracks(file)) if _number(entry, _TYPE) == _IS_VIDEO]
    except (IndexError, ValueError):
        return []
    finally:
        file.seek(position)


def segment_end(file: BinaryIO) -> int | None:
    """Where the content of a Matroska file ends, in bytes; None if it does not say, or is another kind of file."""
    file.seek(0)
    head = file.read(12)
    if head[:4] != _EBML.to_bytes(4):
        return None
    try:
        size, length = _size(head, 4)
        place = 4 + length + size
        file.seek(place)
        name, after = _name(head := file.read(12), 0)
        size, length = _size(head, after)
    except (IndexError, ValueError):
        return None
    return place + after + length + size if name == _SEGMENT and size else None


def _tracks(file: BinaryIO) -> bytes:
    """The content of the element of tracks, which lies before the first cluster."""
    head = file.read(12)
    if head[:4] != _EBML.to_bytes(4):
        return b""
    size, length = _size(head, 4)
    file.seek(4 + length + size)
    while len(head := file.read(12)) == 12:
        place = file.tell() - 12
        name, after = _name(head, 0)
        size, length = _size(head, after)
        if name == _CLUSTER:
            return b""
        if name == _TRACKS:
            file.seek(place + after + length)
            return file.read(min(size, _MOST_TRACKS))
        file.seek(place + after + length + (0 if name == _SEGMENT else size))
    return b""


def _entries(tracks: bytes) -> list[dict[int, bytes]]:
    return [dict(_elements(body)) for name, body in _elements(tracks) if name == _ENTRY]


def _crop(entry: dict[int, bytes]) -> tuple[int, int, int, int]:
    video = dict(_elements(entry.get(_VIDEO, b"")))
    left, top, right, bottom = (_number(video, name) for name in (_LEFT, _TOP, _RIGHT, _BOTTOM))
    if left + right >= _number(video, _WIDTH) or top + bottom >= _number(video, _HEIGHT):
        return 0, 0, 0, 0
    return left, top, right, bottom


def _number(elements: dict[int, bytes], name: int) -> int:
    return int.from_bytes(elements.get(name, b""))


def _elements(data: bytes) -> Iterator[tuple[int, bytes]]:
    place = 0
    while place < len(data):
        name, place = _name(data, place)
        size, length = _size(data, place)
        yield name, data[place + length : place + length + size]
        place += length + size


def _name(data: bytes, place: int) -> tuple[int, int]:
    """An element's name, and where it ends."""
    length = 9 - data[place].bit_length()
    if length > 4:
        raise ValueError("no element")
    return int.from_bytes(data[place : place + length]), place + length


def _size(data: bytes, place: int) -> tuple[int, int]:
    """An element's size, and how many bytes that takes; 0 for one that is not known, as of what is streamed."""
    length = 9 - data[place].bit_length()
    if length > 8:
        raise ValueError("no size")
    size = int.from_bytes(data[place : place + length]) & ((1 << 7 * length) - 1)
    return (0 if size == (1 << 7 * length) - 1 else size), length
