"""TIFF files by their directories: which picture is the photo, and which files are raw ones of cameras.

Sources: TIFF 6.0 (1992), section 2; TIFF technical note 1 (SubIFDs); BigTIFF; TIFF/EP (ISO 12234-2); DNG 1.7.
"""

import struct
from dataclasses import dataclass
from typing import BinaryIO

from toonify.errors import ImageError

_MOST_DIRECTORIES = 200
_NEW_SUBFILE_TYPE, _SUBFILE_TYPE, _WIDTH, _HEIGHT, _COMPRESSION, _PHOTOMETRIC = 254, 255, 256, 257, 259, 262
_BITS, _SUB_IFDS, _SAMPLE_FORMAT, _DNG_VERSION = 258, 330, 339, 50706
_WANTED = frozenset((254, 255, 256, 257, 258, 259, 262, 330, 339, 50706))  # the tags above
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 6: 1, 7: 1, 8: 2, 9: 4, 13: 4, 16: 8, 17: 8, 18: 8}
_CODES = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 13: "I", 16: "Q", 17: "q", 18: "Q"}
_RAW_PHOTOMETRICS = {32803, 34892}  # color filter array, linear raw
_RAW_COMPRESSIONS = {32767, 32770, 34713, 65535}  # of Sony, Samsung, Nikon and Pentax
_REDUCED, _MASK = 1, 4  # bits of NewSubfileType
_TIFF_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_COMMON = {1, 2, 3, 4, 5, 7, 8, 32773, 32946}
_COMPRESSIONS = {
    1: "uncompressed",
    2: "CCITT RLE",
    3: "CCITT Group 3",
    4: "CCITT Group 4",
    5: "LZW",
    6: "old-style JPEG",
    7: "JPEG",
    8: "Deflate",
    32773: "PackBits",
    32946: "Deflate",
    34676: "SGI LogL",
    34677: "SGI LogLuv",
    34712: "JPEG 2000",
    34887: "LERC",
    34925: "LZMA",
    50000: "Zstandard",
    50001: "WebP",
    50002: "JPEG XL",
}
_SAMPLE_FORMATS = {2: " signed", 3: " floating-point", 5: " complex", 6: " complex"}
_RAW_MAGIC = {b"FUJIFILMCCD-RAW": "RAF", b"FOVb": "X3F", b"\0MRM": "MRW", b"II\x1a\0\0\0HEAP": "CRW"}
_OTHER_MAGIC = {b"IIRO": "ORF", b"IIRS": "ORF", b"MMOR": "ORF", b"IIU\0": "RW2"}


@dataclass(frozen=True)
class _Directory:
    offset: int
    tags: dict[int, tuple[int, ...]]

    def value(self, tag: int) -> int:
        return (self.tags.get(tag) or (0,))[0]

    @property
    def is_preview(self) -> bool:
        return bool(self.value(_NEW_SUBFILE_TYPE) & (_REDUCED | _MASK)) or self.value(_SUBFILE_TYPE) == 2

    @property
    def is_raw(self) -> bool:
        return (
            _DNG_VERSION in self.tags
            or self.value(_PHOTOMETRIC) in _RAW_PHOTOMETRICS
            or self.value(_COMPRESSION) in _RAW_COMPRESSIONS
        )

    @property
    def area(self) -> int:
        return self.value(_WIDTH) * self.value(_HEIGHT)


def is_tiff(head: bytes) -> bool:
    """Whether a file begins as TIFF and what is built like it do."""
    return head[:4] in _TIFF_MAGIC or head[:4] in _OTHER_MAGIC


def raw_kind(head: bytes) -> str | None:
    """The kind of a camera's raw file, by its first 16 bytes; None where they do not tell."""
    if head[4:12] == b"ftypcrx ":
        return "CR3"
    if head[:4] in _TIFF_MAGIC:
        return "CR2" if head[8:10] == b"CR" else "IIQ" if head[8:12] in (b"IIII", b"MMMM") else None
    found = (kind for magic, kind in _RAW_MAGIC.items() if head.startswith(magic))
    return _OTHER_MAGIC.get(head[:4]) or next(found, None)


def refuse_raw(head: bytes) -> None:
    """Raise ImageError for a camera's raw file that tells so in its first bytes."""
    if (kind := raw_kind(head)) is not None:
        raise _raw(kind)


def photo_directory(file: BinaryIO) -> int | None:
    """Where the directory of the photo itself is, if that is not the first: None if it is, or if none can be read.

    A first picture that is a preview, by its subfile type, is not the photo if there is another that is not.
    Raises ImageError for raw files of cameras, whose pictures are all previews.
    """
    position = file.tell()
    file.seek(0)
    head = file.read(16)
    try:
        refuse_raw(head)
        directories = _directories(file, head)
    finally:
        file.seek(position)
    if any(each.is_raw for each in directories):
        raise _raw("DNG" if any(_DNG_VERSION in each.tags for each in directories) else None)
    if not directories or not directories[0].is_preview:
        return None
    whole = [each for each in directories if not each.is_preview]
    return max(whole, key=lambda each: each.area).offset if whole else None


def named_kind(file: BinaryIO) -> str | None:
    """What a TIFF is, by its first directory, for those that cannot be decoded; None for a file that is none."""
    file.seek(0)
    head = file.read(16)
    directories = _directories(file, head) if head[:4] in _TIFF_MAGIC else []
    if not directories:
        return None
    compression = directories[0].value(_COMPRESSION)
    by = _COMPRESSIONS.get(compression, f"method {compression}")
    photometric = directories[0].value(_PHOTOMETRIC)
    depths = "/".join(map(str, directories[0].tags.get(_BITS, (1,))))
    samples = _SAMPLE_FORMATS.get(directories[0].value(_SAMPLE_FORMAT), "")
    order = "big-endian BigTIFF, " if head[:4] == b"MM\0+" else ""
    return f"a TIFF of this kind ({order}{by}, {depths} bits{samples}, photometric interpretation {photometric})"


def is_unreadable_bigtiff(file: BinaryIO) -> bool:
    """Whether a file is a BigTIFF with its numbers from the high byte to the low one."""
    file.seek(0)
    is_one = file.read(4) == b"MM\0+"
    file.seek(0)
    return is_one


def is_common(file: BinaryIO) -> bool:
    """Whether a TIFF is compressed, or not, in a way that every reader knows."""
    file.seek(0)
    directories = _directories(file, file.read(16))
    return bool(directories) and directories[0].value(_COMPRESSION) in _COMMON


def starting_at(data: bytes, directory: int) -> bytes:
    """A TIFF file whose first directory is another one: all offsets count from the file's head, so that they hold."""
    order = "<" if data[:2] == b"II" else ">"
    if data[2:4] in (b"+\0", b"\0+"):
        return data[:8] + struct.pack(f"{order}Q", directory) + data[16:]
    return data[:4] + struct.pack(f"{order}I", directory) + data[8:]


def _raw(kind: str | None) -> ImageError:
    named = f"a camera's raw file ({kind})" if kind else "a camera's raw file"
    return ImageError(f"{named}: only a preview could be read of it; develop it to JPEG or TIFF first")


def _directories(file: BinaryIO, head: bytes) -> list[_Directory]:
    """All directories: the chain, and behind each its SubIFDs. Those that cannot be read are not among them."""
    order = "<" if head[:2] == b"II" else ">"
    is_big = head[2:4] in (b"+\0", b"\0+")
    waiting = [struct.unpack(f"{order}Q", head[8:16])[0] if is_big else struct.unpack(f"{order}I", head[4:8])[0]]
    found: list[_Directory] = []
    seen: set[int] = set()
    while waiting and len(found) < _MOST_DIRECTORIES:
        offset = waiting.pop(0)
        if offset in seen or not offset:
            continue
        seen.add(offset)
        try:
            directory, following = _directory(file, offset, order, is_big)
        except (struct.error, OSError, OverflowError, ValueError):
            continue
        found.append(directory)
        waiting = [*directory.tags.get(_SUB_IFDS, ()), *waiting, following]
    return found


def _directory(file: BinaryIO, offset: int, order: str, is_big: bool) -> tuple[_Directory, int]:
    count_size, entry_size, inline = (8, 20, 8) if is_big else (2, 12, 4)
    file.seek(offset)
    (count,) = struct.unpack(f"{order}{'Q' if is_big else 'H'}", file.read(count_size))
    if count > 4096:
        raise ValueError("no directory")
    body = file.read(count * entry_size + inline)
    if len(body) < count * entry_size:
        raise ValueError("a directory that ends early")
    tags = {}
    for place in range(0, count * entry_size, entry_size):
        tag, kind, number = struct.unpack_from(f"{order}HH{'Q' if is_big else 'I'}", body, place)
        if tag not in _WANTED or kind not in _CODES or not 0 < number <= 1000:
            continue
        size = _SIZES[kind] * number
        value = body[place + entry_size - inline : place + entry_size]
        if size > inline:
            file.seek(struct.unpack(f"{order}{'Q' if is_big else 'I'}", value)[0])
            value = file.read(size)
        tags[tag] = struct.unpack(f"{order}{number}{_CODES[kind]}", value[:size])
    tail = body[count * entry_size :]
    following = int.from_bytes(tail, "little" if order == "<" else "big") if len(tail) == inline else 0
    return _Directory(offset, tags), following
