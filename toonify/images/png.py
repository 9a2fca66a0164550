"""PNG files chunk by chunk: what they say of their colors and transparency, and whether all of the picture is there.

Sources: Portable Network Graphics (third edition), W3C, 2025; sections 5 (layout), 11.2 (critical chunks) and 11.3.
"""

import io
import struct
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

import cv2
import numpy as np
import numpy.typing as npt

from toonify.errors import ImageError
from toonify.images.color import Chromaticities, ColorSource, Encoding, Gamma, from_code_points
from toonify.images.resolution import Resolution, of_phys
from toonify.images.segments import IPTC, as_resource
from toonify.pixels.arrays import Pixels

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_HEAD = 8 + 25  # bytes: signature and IHDR
_MOST_PROFILE = 16 << 20  # bytes of a profile, unpacked
_MEGABYTE = 1 << 20
_ALWAYS_SHORT = 1000  # bytes that can be packed more than a megabyte of text into, which is all that Pillow takes
_TEXTS = frozenset({b"zTXt", b"iTXt", b"tEXt"})
_LONG = _TEXTS | {b"iCCP"}
_XMP = b"XML:com.adobe.xmp"
_ANIMATION = frozenset({b"acTL", b"fcTL", b"fdAT"})
_CRITICAL = frozenset({b"IHDR", b"PLTE", b"IDAT"})
_SRGB_GAMMA = range(45_454, 45_457)  # which writers mean by sRGB, and every decoder takes for it, as libpng does
_GRAY, _RGB = 0, 2  # color types; 4 stands for alpha

Deep = npt.NDArray[np.uint16]


@dataclass(frozen=True)
class Chunk:
    """A chunk where it lies."""

    kind: bytes
    data: memoryview
    start: int  # in the file
    end: int
    is_whole: bool  # its checksum is right


class PngFile:
    """A PNG of which all is read and nothing is decoded. Raises ImageError if it is none, or part of it is lost."""

    def __init__(self, file: BinaryIO) -> None:
        file.seek(0)
        self._data = file.read()
        self._chunks = list(chunks_of(self._data))
        if not self._chunks or self._chunks[0].kind != b"IHDR" or len(self._chunks[0].data) != 13:
            raise ImageError("damaged: its head is not whole")
        self.bits, self.color_type = self._chunks[0].data[8], self._chunks[0].data[9]
        for chunk in self._chunks:
            if chunk.kind in _CRITICAL and not chunk.is_whole:
                raise ImageError(f"damaged: wrong checksum of {chunk.kind.decode()} at byte {chunk.start}")
        said = [chunk for chunk in reversed(self._chunks) if chunk.is_whole and chunk.kind not in (b"IDAT", b"fdAT")]
        self._by_kind = {chunk.kind: bytes(chunk.data) for chunk in said}  # of several the first

    def for_pillow(self) -> io.BytesIO:
        """The file, without what may be too long for Pillow, or has a wrong checksum, and is not of the picture."""
        left_out = [chunk for chunk in self._chunks if _is_in_the_way(chunk)]
        animation = [chunk for chunk in self._chunks if chunk.kind in _ANIMATION]
        if [chunk.kind for chunk in animation if chunk.kind != b"acTL"][:1] == [b"fdAT"]:
            left_out = sorted({*left_out, *animation}, key=lambda chunk: chunk.start)  # a frame without its head
        if not left_out:
            return io.BytesIO(self._data)
        kept, place = [], 0
        for chunk in left_out:
            kept.append(memoryview(self._data)[place : chunk.start])
            place = chunk.end
        return io.BytesIO(b"".join([*kept, memoryview(self._data)[place:]]))

    def color(self, notes: list[str]) -> ColorSource:
        """By the order of section 4.3: cICP, iCCP, sRGB, gAMA and cHRM. What cannot be read is put in `notes`."""
        chunks = self._by_kind
        if len(points := chunks.get(b"cICP", b"")) == 4:
            primaries, transfer, matrix, is_full = points
            if matrix == 0 and is_full:
                return from_code_points(primaries, transfer, notes)
            notes.append("its cICP chunk is not of RGB in full range and was not applied")
        if b"iCCP" in chunks and (profile := _profile(chunks[b"iCCP"], notes)) is not None:
            return profile
        if b"sRGB" in chunks:
            return None
        gamma = int.from_bytes(chunks.get(b"gAMA", b""))
        corners = chunks.get(b"cHRM", b"")
        encoding = Encoding()
        if len(corners) == 32:
            white, red, green, blue = ((x / 1e5, y / 1e5) for x, y in struct.iter_unpack(">II", corners))
            encoding = Encoding(Chromaticities(red, green, blue, white))
        if gamma and gamma not in _SRGB_GAMMA:
            encoding = Encoding(encoding.primaries, Gamma(1e5 / gamma))
        return encoding if gamma or corners else None

    @property
    def says_srgb(self) -> bool:
        """Whether a chunk says that its colors are sRGB's."""
        return b"sRGB" in self._by_kind

    def transparent(self) -> tuple[int, ...] | None:
        """The sample (gray), or three, that stand for transparency, in the picture's own depth; of a palette None."""
        said = self._by_kind.get(b"tRNS", b"")
        wanted = {_GRAY: 1, _RGB: 3}.get(self.color_type)
        if wanted is None or len(said) < 2 * wanted:
            return None
        return tuple(sample & ((1 << self.bits) - 1) for sample in struct.unpack(f">{wanted}H", said[: 2 * wanted]))

    def metadata(self) -> tuple[bytes, bytes, bytes]:
        """Exif, XMP, and Photoshop's image resources, IPTC among them; empty where there is none that can be read."""
        exif = self._by_kind.get(b"eXIf", b"") or self._raw_profile(b"exif") or self._raw_profile(b"APP1")
        resources = self._raw_profile(b"8bim")
        iptc = self._raw_profile(b"iptc")
        if iptc and not iptc.startswith(b"8BIM"):
            iptc = as_resource(IPTC, iptc)
        return exif, self._text(_XMP), iptc + resources

    @property
    def resolution(self) -> Resolution | None:
        """What pHYs says."""
        return of_phys(self._by_kind.get(b"pHYs", b""))

    def texts(self) -> tuple[tuple[bytes, bytes], ...]:
        """Kind and content of the text chunks, as they are, but for those that hold what `metadata` gives."""
        texts = [(chunk.kind, bytes(chunk.data)) for chunk in self._chunks if chunk.kind in _TEXTS and chunk.is_whole]
        return tuple(each for each in texts if not each[1].startswith((_XMP, b"Raw profile type ")))

    def _text(self, keyword: bytes) -> bytes:
        """A text chunk's content, unpacked."""
        for chunk in self._chunks:
            if chunk.kind not in _TEXTS or not chunk.is_whole:
                continue
            name, _, rest = bytes(chunk.data).partition(b"\0")
            if name != keyword:
                continue
            if chunk.kind == b"tEXt":
                return rest
            is_packed = chunk.kind == b"zTXt" or rest[:1] == b"\1"
            content = rest[1:] if chunk.kind == b"zTXt" else rest[2:].split(b"\0", 2)[-1]
            try:
                return zlib.decompressobj().decompress(content, _MOST_PROFILE) if is_packed else content
            except zlib.error:
                return b""
        return b""

    def _raw_profile(self, name: bytes) -> bytes:
        """What ImageMagick writes: a line with the kind, one with the length, and hexadecimal digits."""
        text = self._text(b"Raw profile type " + name)
        try:
            return bytes.fromhex(b"".join(text.split()[2:]).decode("ascii"))
        except ValueError:
            return b""

    def deep(self) -> tuple[Deep, Pixels | None] | None:
        """H x W x 3 samples of 16 bits, and transparency of 8; None for a picture that is not in RGB of 16 bits."""
        if self.bits != 16 or not self.color_type & _RGB:
            return None
        kept = b"".join(self._data[c.start : c.end] for c in self._chunks if c.kind in (b"IHDR", b"IDAT", b"IEND"))
        decoded = cv2.imdecode(np.frombuffer(SIGNATURE + kept, np.uint8), cv2.IMREAD_UNCHANGED)
        if decoded is None or decoded.dtype != np.uint16 or decoded.ndim != 3:
            raise ImageError("damaged: its data cannot be decoded")
        samples = np.ascontiguousarray(decoded[..., 2::-1]).astype(np.uint16, copy=False)
        if decoded.shape[2] == 4:
            return samples, ((decoded[..., 3].astype(np.uint32) * 255 + 32_767) // 65_535).astype(np.uint8)
        if (clear := self.transparent()) is None:
            return samples, None
        return samples, np.where((samples == np.array(clear, np.uint16)).all(axis=2), 0, 255).astype(np.uint8)


def png_size(head: bytes) -> tuple[int, int] | None:
    """Width and height, from a file's first 24 bytes; None if they are not a PNG's."""
    if len(head) < 24 or not head.startswith(SIGNATURE) or head[12:16] != b"IHDR":
        return None
    width, height = struct.unpack(">II", head[16:24])
    return (width, height) if width and height else None


def with_chunks(
    data: bytes,
    *,
    exif: bytes,
    xmp: bytes,
    resources: bytes,
    resolution: Resolution | None,
    texts: Iterable[tuple[bytes, bytes]],
) -> bytes:
    """An encoded PNG with chunks of metadata behind its head; `resources` are Photoshop's, IPTC among them."""
    added = list(texts)
    if resolution is not None:
        added.append((b"pHYs", resolution.as_phys()))
    if exif:
        added.append((b"eXIf", exif))
    if xmp:
        added.append((b"iTXt", _XMP + bytes(5) + xmp))
    if resources:
        digits = resources.hex().encode()
        lines = b"\n".join(digits[place : place + 72] for place in range(0, len(digits), 72))
        text = b"\niptc\n%8d\n%b\n" % (len(resources), lines)
        added.append((b"zTXt", b"Raw profile type iptc\0\0" + zlib.compress(text)))
    return b"".join([data[:_HEAD], *(as_chunk(kind, body) for kind, body in added), data[_HEAD:]])


def as_chunk(kind: bytes, body: bytes) -> bytes:
    """A chunk as it lies in a file."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def comment_chunk(comment: bytes) -> tuple[bytes, bytes]:
    """A comment of another format as a text chunk."""
    try:
        text = comment.decode("utf-8").strip("\0")
    except UnicodeDecodeError:
        text = comment.decode("latin-1").strip("\0")
    if text.isascii():
        return b"tEXt", b"Comment\0" + text.encode()
    return b"iTXt", b"Comment" + bytes(5) + text.encode()


def chunks_of(data: bytes) -> Iterator[Chunk]:
    """The chunks of a PNG, up to IEND or where there are none any more."""
    view, place = memoryview(data), len(SIGNATURE)
    while place + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, place)
        kind, end = data[place + 4 : place + 8], place + 12 + length
        body = view[place + 8 : end - 4]
        is_whole = end <= len(data) and zlib.crc32(view[place + 4 : end - 4]) == int.from_bytes(view[end - 4 : end])
        if not kind.isalpha():  # what follows is no chunk
            return
        yield Chunk(kind, body, place, min(end, len(data)), is_whole)
        if kind == b"IEND":
            return
        place = end


def _is_in_the_way(chunk: Chunk) -> bool:
    is_ancillary = bool(chunk.kind[0] & 0x20)
    return is_ancillary and (not chunk.is_whole or (chunk.kind in _LONG and _is_long(chunk)))


def _is_long(chunk: Chunk) -> bool:
    """Whether text, or a profile, may be longer than a megabyte, which is all that Pillow takes."""
    if len(chunk.data) <= _ALWAYS_SHORT:
        return False
    if bytes(chunk.data[: len(_XMP) + 2]) == _XMP + b"\0\0":  # unpacked, and may say how the picture lies
        return len(chunk.data) >= _MEGABYTE
    if chunk.kind != b"iCCP":
        return True
    _, _, packed = bytes(chunk.data).partition(b"\0")
    try:
        return len(zlib.decompressobj().decompress(packed[1:], _MEGABYTE)) == _MEGABYTE
    except zlib.error:
        return True


def _profile(chunk: bytes, notes: list[str]) -> bytes | None:
    """The ICC profile in an iCCP chunk: a name, 0, 0 (deflate), data."""
    _, _, packed = chunk.partition(b"\0")
    unpacker = zlib.decompressobj()
    try:
        profile = unpacker.decompress(packed[1:], _MOST_PROFILE)
    except zlib.error:
        notes.append("its color profile is broken and was not applied")
        return None
    if unpacker.unconsumed_tail:
        notes.append(f"its color profile is longer than {_MOST_PROFILE >> 20} MB and was not applied")
        return None
    return profile
