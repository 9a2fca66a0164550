"""Runs of zeros, which a broken disk or download leaves in the place of what was there."""

from collections.abc import Iterator
from typing import BinaryIO

from toonify.errors import ImageError

_USUAL, _PER_PIXEL = 64, 1 / 2000  # bytes: a flat picture's run is at most 1 in 5,000 pixels (VP8), or none (AV1)


def refuse_zeros(data: bytes, pixels: int) -> None:
    """Raise ImageError if arithmetic-coded data of a picture has a run of zeros that no encoder writes.

    Huffman-coded data may have any: a flat area is one short code, again and again, which may be a zero.
    """
    if (place := data.find(bytes(_USUAL + int(_PER_PIXEL * pixels)))) >= 0:
        run = len(data) - place - len(data[place:].lstrip(b"\0"))
        raise ImageError(f"damaged: {run} bytes of its data are zeros")


def webp_data(file: BinaryIO) -> bytes:
    """The lossy data of a WebP file: of its VP8 chunks, also inside of frames, in a row."""
    file.seek(0)
    data = file.read()
    return b"".join(_coded(data, 12, len(data)))


def _coded(data: bytes, place: int, end: int) -> Iterator[bytes]:
    while place + 8 <= end:
        kind, length = data[place : place + 4], int.from_bytes(data[place + 4 : place + 8], "little")
        body = place + 8
        if kind == b"VP8 ":
            yield data[body : body + length]
        elif kind == b"ANMF":
            yield from _coded(data, body + 16, min(end, body + length))
        place = body + length + length % 2
