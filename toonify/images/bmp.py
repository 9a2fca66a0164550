"""BMP files by their headers: colors, and the bit fields that Pillow does not read.

Source: Microsoft, BITMAPINFOHEADER, BITMAPV4HEADER and BITMAPV5HEADER (Windows GDI, wingdi.h).
"""

import io
import struct
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from toonify.errors import ImageError
from toonify.images.color import Chromaticities, ColorSource, Encoding, Gamma
from toonify.pixels.arrays import Pixels

_RLE8, _RLE4, _BITFIELDS, _ALPHA_BITFIELDS = 1, 2, 3, 6
_CALIBRATED, _EMBEDDED, _LINKED = 0, b"DEBM", b"KNIL"  # color spaces; the last two as they lie in the file
_MOST_PROFILE = 16 << 20  # bytes


@dataclass(frozen=True)
class _Header:
    data: bytes  # BITMAPFILEHEADER and what follows it, with the masks behind a short one
    size: int
    width: int
    height: int  # as it is counted from below; negative: from above
    bits: int
    compression: int
    start: int  # of the pixels


def _header(file: BinaryIO) -> _Header | None:
    file.seek(0)
    data = file.read(14 + 124 + 16)
    if data[:2] != b"BM" or len(data) < 14 + 40:
        return None
    start, size, width, height, _, bits, compression = struct.unpack_from("<IIiiHHI", data, 10)
    return _Header(data, size, width, height, bits, compression, start) if size >= 40 else None


def bmp_color(file: BinaryIO, notes: list[str]) -> ColorSource:
    """What headers of version 4 and 5 say of the colors; a profile in another file is named in `notes`."""
    header = _header(file)
    if header is None or header.size < 108:
        return None
    (kind,) = struct.unpack_from("<I", header.data, 14 + 56)
    name = header.data[14 + 56 : 14 + 60]
    if name == _EMBEDDED and header.size >= 124:
        offset, length = struct.unpack_from("<II", header.data, 14 + 112)
        file.seek(14 + offset)
        profile = file.read(min(length, _MOST_PROFILE))
        if len(profile) == length:
            return profile
        notes.append("its color profile is broken and was not applied")
    elif name == _LINKED:
        notes.append("its color profile is in another file and was not applied")
    elif kind == _CALIBRATED:
        return _calibrated(header.data[14 + 60 : 14 + 108])
    return None


def _calibrated(data: bytes) -> Encoding | None:
    """Endpoints as x, y, z (2.30 fixed point), and a gamma for each channel (16.16); None where they are not filled in.

    No white point is given: D65.
    """
    numbers = struct.unpack("<12I", data)
    ends = [tuple(value / (1 << 30) for value in numbers[place : place + 3]) for place in (0, 3, 6)]
    gammas = [value / 65536 for value in numbers[9:]]
    if not all(sum(end) for end in ends) or not all(gammas) or max(gammas) - min(gammas) > 0.01:
        return None
    red, green, blue = ((x / (x + y + z), y / (x + y + z)) for x, y, z in ends)
    gamma = gammas[0] if gammas[0] >= 1 else 1 / gammas[0]
    srgb_like = abs(gamma - 2.2) < 0.01
    return Encoding(Chromaticities(red, green, blue, (0.3127, 0.3290)), "srgb" if srgb_like else Gamma(gamma))


def head_for_pillow(file: BinaryIO) -> io.BytesIO | None:
    """The head of a BMP with bit fields, with those that Pillow knows in their place; None for any other file.

    Pillow opens few sets of them; `bit_fields` reads the pixels from the file itself.
    """
    header = _header(file)
    file.seek(0)
    if header is None or header.compression not in (_BITFIELDS, _ALPHA_BITFIELDS) or header.bits not in (16, 32):
        return None
    known = (0xFF0000, 0xFF00, 0xFF, 0) if header.bits == 32 else (0xF800, 0x7E0, 0x1F, 0)
    data = bytearray(header.data)
    struct.pack_into("<I", data, 14 + 16, _BITFIELDS)
    struct.pack_into("<4I", data, 14 + 40, *known)
    return io.BytesIO(data)


def bit_fields(file: BinaryIO) -> tuple[Pixels, Pixels | None] | None:
    """H x W x 3 pixels and transparency of a BMP with bit fields (16 or 32 bits); None for any other.

    Transparency that is 0 everywhere was never filled in, and is none. Raises ImageError if data is missing.
    """
    header = _header(file)
    if header is None or header.compression not in (_BITFIELDS, _ALPHA_BITFIELDS) or header.bits not in (16, 32):
        return None
    has_alpha = header.size >= 56 or header.compression == _ALPHA_BITFIELDS
    masks = struct.unpack_from("<4I", header.data, 14 + 40)[: 4 if has_alpha else 3]
    if not all(_is_run(mask) for mask in masks[:3]) or any(mask and not _is_run(mask) for mask in masks):
        raise ImageError("bit fields that are not whole; convert it to PNG first")
    width, height = header.width, abs(header.height)
    stride = (width * header.bits + 31) // 32 * 4
    file.seek(header.start)
    data = file.read(stride * height)
    if len(data) < stride * height:
        raise ImageError(f"damaged: ends after {len(data) // stride} of {height} rows")
    words = np.frombuffer(data, np.uint8).reshape(height, stride)[:, : width * header.bits // 8]
    words = np.ascontiguousarray(words).view("<u2" if header.bits == 16 else "<u4")
    if header.height > 0:
        words = words[::-1]
    channels = [_samples(words, mask) for mask in masks if mask]
    alpha = channels[3] if len(channels) == 4 and channels[3].any() else None
    return np.dstack(channels[:3]), alpha


def refuse_damaged_runs(file: BinaryIO) -> None:
    """Raise ImageError if run lengths of a BMP (RLE of 4 or 8 bits) leave out pixels that they mean to set.

    They may end the picture early, and skip what is to be transparent. Some programs' runs go on behind the end of a
    row; that is no loss where nothing is missing.
    """
    header = _header(file)
    if header is None or header.compression not in (_RLE8, _RLE4):
        return
    file.seek(header.start)
    data = file.read()
    width, height = header.width, abs(header.height)
    per_byte = 1 if header.compression == _RLE8 else 2
    place = x = y = filled = behind = 0
    while place + 2 <= len(data) and y < height:
        count, value = data[place], data[place + 1]
        place += 2
        if count == 0 and value == 0:
            x, y = 0, y + 1
        elif count == 0 and value == 1:
            break
        elif count == 0 and value == 2:
            right, down = data[place : place + 1], data[place + 1 : place + 2]
            x, y, place = x + int.from_bytes(right), y + int.from_bytes(down), place + 2
        else:
            if count == 0:
                count, place = value, place + -(-value // (2 * per_byte)) * 2
            there = max(0, min(count, width - x))
            filled += there
            behind += count - there
            x += count
    is_cut = place > len(data) or (place + 2 > len(data) and filled < width * height and (y, x) < (height - 1, width))
    if is_cut or (behind and filled < width * height):
        raise ImageError(f"damaged: {width * height - filled} of its {width * height} pixels are not in its data")


def _is_run(mask: int) -> bool:
    """Whether the ones of a mask lie together."""
    lowest = mask & -mask
    return mask > 0 and (mask // lowest + 1) & (mask // lowest) == 0


def _samples(words: np.ndarray, mask: int) -> Pixels:
    lowest = mask & -mask
    most = mask // lowest
    values = (words.astype(np.uint64) & mask) // lowest
    return np.asarray((values * 255 + most // 2) // most, np.uint8)
