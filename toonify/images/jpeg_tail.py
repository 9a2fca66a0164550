"""Whether what lies between a JPEG's last unit and its end is left over of its data, or was never part of it.

A decoder that met damage goes out of step, and may have read all units before the data ends. Other programs, and some
cameras, put bytes there that mean nothing. Data goes on where a decoder has stopped: it can be read as whole units up
to the end, and ends in ones. Meaningless bytes cannot. The last scan of a progressive JPEG mostly refines what those
before it have said and cannot be read without them: there only the ones tell, with which each scan ends.

Source: ITU-T T.81 (1992), F.1.2 (Huffman coding of DC and AC), B.1.1.5 (padding with ones, stuffed zeros).
"""

import re
from collections.abc import Callable

from toonify.images.frame_header import ALONE, SOS

Table = dict[tuple[int, int], int]  # number of bits and code -> symbol
_EOI = b"\xff\xd9"
_HUFFMAN = 0xC4
_SEQUENTIAL, _PROGRESSIVE = (0xC0, 0xC1), 0xC2
_SCAN = bytes([0xFF, SOS])
_MARKER = re.compile(rb"\xff[^\x00\x01\xff\xd0-\xd7]")  # with a segment behind it


def end_of_units(data: bytes, is_short: Callable[[bytes], bool]) -> int:
    """Where the data of the last unit ends: `is_short` tells whether the units of a JPEG go on behind its end."""
    low, high = _last_scan(data)[1], data.rindex(_EOI)
    while low < high:
        middle = (low + high) // 2
        if is_short(data[:middle] + _EOI):
            low = middle + 1
        else:
            high = middle
    return low


def is_left_over(data: bytes, end: int, is_same: Callable[[bytes], bool]) -> bool:
    """Whether what follows the last unit of a JPEG, which ends at `end`, is data.

    `is_same` tells whether a JPEG decodes to the same as this one up to `end`. Of a progressive JPEG whose data ends
    early by damage, one in five passes for whole. Raises ValueError where there is no scan.
    """
    blocks, _ = _last_scan(data)
    unused = _unused_bits(data, end, is_same)
    padding = (1 << unused) - 1
    if data[end - 1] & padding != padding:
        return True  # the last unit's data does not end in ones, so that it was not the last
    if blocks is None:
        return False
    rest = data[end - 1 : data.rindex(_EOI)].replace(b"\xff\x00", b"\xff")
    return _goes_on("".join(f"{byte:08b}" for byte in rest), 8 - unused, blocks)


def _unused_bits(data: bytes, end: int, is_same: Callable[[bytes], bool]) -> int:
    """How many of the last bits before `end` mean nothing."""
    for bit in range(8):
        other = bytearray(data[:end])
        other[-1] ^= 1 << bit
        if other[-1] == 0xFF:
            other.append(0)
        if not is_same(bytes(other) + _EOI):
            return bit
    return 8


def _last_scan(data: bytes) -> tuple[list[tuple[Table, Table]] | None, int]:
    """The Huffman tables of each block of a unit in the last scan, None if that is progressive; and where it begins.

    Raises ValueError.
    """
    huffman: dict[int, Table] = {}
    sampling: dict[int, int] = {}
    is_progressive = False
    place = 2
    while found := _MARKER.search(data, place):
        place, marker = found.start(), data[found.start() + 1]
        if marker in ALONE:
            place += 2
            continue
        following = place + 2 + int.from_bytes(data[place + 2 : place + 4])
        body = data[place + 4 : following]
        if marker == _HUFFMAN:
            huffman |= _huffman_tables(body)
        elif marker in _SEQUENTIAL:
            sampling = {body[at]: (body[at + 1] >> 4) * (body[at + 1] & 15) for at in range(6, 6 + 3 * body[5], 3)}
        elif marker == _PROGRESSIVE:
            is_progressive = True
        elif marker == SOS and _SCAN not in data[following:]:
            if is_progressive:
                return None, following
            pairs = [(body[at], body[at + 1]) for at in range(1, 1 + 2 * body[0], 2)]
            counts = [sampling[name] if len(pairs) > 1 else 1 for name, _ in pairs]
            tables = [(huffman[chosen >> 4], huffman[16 | chosen & 15]) for _, chosen in pairs]
            return [pair for pair, count in zip(tables, counts, strict=True) for _ in range(count)], following
        place = following
    raise ValueError("no scan")


def _huffman_tables(body: bytes) -> dict[int, Table]:
    """The tables of a DHT segment by class and number (annex C)."""
    tables: dict[int, Table] = {}
    place = 0
    while place + 17 <= len(body):
        counts = body[place + 1 : place + 17]
        symbols = iter(body[place + 17 : place + 17 + sum(counts)])
        table: Table = {}
        code = 0
        for length, count in enumerate(counts, 1):
            for _ in range(count):
                table[length, code] = next(symbols)
                code += 1
            code <<= 1
        tables[body[place]] = table
        place += 17 + sum(counts)
    return tables


def _goes_on(bits: str, place: int, blocks: list[tuple[Table, Table]]) -> bool:
    """Whether bits are whole units and less than a byte of ones behind them."""
    number = 0
    while True:
        if number % len(blocks) == 0 and len(bits) - place < 8 and "0" not in bits[place:]:
            return number > 0
        end = _block(bits, place, *blocks[number % len(blocks)])
        if end is None or end > len(bits):
            return False
        place = end
        number += 1


def _block(bits: str, place: int, direct: Table, alternating: Table) -> int | None:
    """Where a block's data ends; None if it is none."""
    size, place = _symbol(bits, place, direct)
    if size is None:
        return None
    place += size
    coefficient = 1
    while coefficient < 64:
        symbol, place = _symbol(bits, place, alternating)
        if symbol is None:
            return None
        run, size = symbol >> 4, symbol & 15
        if size == 0 and run < 15:
            return place
        coefficient += run + 1
        place += size
    return place


def _symbol(bits: str, place: int, table: Table) -> tuple[int | None, int]:
    code = 0
    for length in range(1, 17):
        if place >= len(bits):
            return None, place
        code = 2 * code + (bits[place] == "1")
        place += 1
        if (symbol := table.get((length, code))) is not None:
            return symbol, place
    return None, place
