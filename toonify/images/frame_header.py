"""A JPEG's frame header, before any decoder sees the file: its coding process, size and depth.

Source: ITU-T T.81 (1992), B.1.1.3 (marker assignments) and B.2.2 (frame header).
"""

from dataclasses import dataclass, replace

SOS = 0xDA  # the marker behind which the picture's data begins
ALONE = frozenset({0x01, *range(0xD0, 0xDA)})  # markers without a segment behind them
_PROCESSES = {
    0xC0: "baseline",
    0xC1: "extended sequential",
    0xC2: "progressive",
    0xC3: "lossless",
    0xC5: "hierarchical",
    0xC6: "hierarchical progressive",
    0xC7: "hierarchical lossless",
    0xC9: "arithmetic-coded",
    0xCA: "arithmetic-coded progressive",
    0xCB: "arithmetic-coded lossless",
    0xCD: "arithmetic-coded hierarchical",
    0xCE: "arithmetic-coded hierarchical progressive",
    0xCF: "arithmetic-coded hierarchical lossless",
    0xF7: "JPEG-LS",
}
_SEQUENTIAL = frozenset({0xC0, 0xC1})
_USUAL = _SEQUENTIAL | {0xC2}


@dataclass(frozen=True)
class FrameHeader:
    """What the SOF segment of a JPEG says."""

    marker: int
    bits: int
    height: int
    width: int
    components: int
    in_first_scan: int = 0  # components; 0: not known

    @property
    def is_one_scan(self) -> bool:
        """Whether decoders read one scan of it and no more."""
        return self.marker in _SEQUENTIAL and self.in_first_scan == self.components

    @property
    def process(self) -> str:
        """The coding process by name, with the depth where it is not 8 bits."""
        name = _PROCESSES.get(self.marker, f"SOF {self.marker:#x}")
        return name if self.bits == 8 else f"{name}, {self.bits} bits"

    @property
    def is_usual(self) -> bool:
        """Whether every decoder knows it: Huffman-coded DCT of 8 bits, in gray, three colors or CMYK."""
        return self.marker in _USUAL and self.bits == 8 and self.components in (1, 3, 4) and self.width > 0


def frame_header(data: bytes) -> FrameHeader | None:
    """The first frame header of a JPEG, with what its first scan says; None where there is none before its data."""
    place, found = 2, None
    while place + 4 <= len(data):
        marker = data[place + 1]
        if data[place] != 0xFF or marker in (0x00, 0xFF):
            place += 1
            continue
        if marker in _PROCESSES and found is None:
            if place + 10 > len(data):
                return None
            height, width = (int.from_bytes(data[place + at : place + at + 2]) for at in (5, 7))
            found = FrameHeader(marker, data[place + 4], height, width, data[place + 9])
        if marker == SOS:
            return found and replace(found, in_first_scan=int.from_bytes(data[place + 4 : place + 5]))
        place += 2 if marker in ALONE else 2 + int.from_bytes(data[place + 2 : place + 4])
    return found
