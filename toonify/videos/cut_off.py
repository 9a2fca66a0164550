"""Whether a video's file ends before its own structure says that it does, as where a download broke off.

FFmpeg takes the end of such a file for the end of the video. Sources: ISO/IEC 14496-12:2022, 4.2 (boxes); RFC 9559
(Matroska), 5.1, with RFC 8794 (EBML), 6; Microsoft's RIFF, in which an AVI may have several parts.
"""

from typing import BinaryIO

from toonify.videos.matroska import segment_end

_FIRST_BOXES = frozenset({b"ftyp", b"styp", b"moov", b"mdat", b"moof", b"sidx", b"free", b"skip", b"wide", b"pnot"})
_BOXES = _FIRST_BOXES | {b"mfra", b"uuid", b"udta", b"meta", b"ssix", b"prft", b"emsg"}
_RIFF_SLACK = 64  # bytes by which some cameras are wrong


def is_cut_off(file: BinaryIO) -> bool:
    """Whether bytes are missing at the end of an MP4, MOV, Matroska, WebM or AVI; of others nothing is known.

    The file stays where it was.
    """
    position = file.tell()
    try:
        size = file.seek(0, 2)
        file.seek(0)
        head = file.read(12)
        if head[4:8] in _FIRST_BOXES:
            return _lacks_boxes(file, size)
        if head[:4] == b"RIFF" and head[8:] == b"AVI ":
            return _lacks_parts(file, size)
        end = segment_end(file)
        return end is not None and end > size
    finally:
        file.seek(position)


def _lacks_boxes(file: BinaryIO, size: int) -> bool:
    place = 0
    while place + 8 <= size:
        file.seek(place)
        head = file.read(16)
        length = int.from_bytes(head[:4])
        if length == 1:
            length = int.from_bytes(head[8:])
        if head[4:8] not in _BOXES or length < 8:  # no box, or one that goes to the end
            return False
        place += length
    return place > size


def _lacks_parts(file: BinaryIO, size: int) -> bool:
    place = 0
    while place + 12 <= size:
        file.seek(place)
        head = file.read(12)
        length = int.from_bytes(head[4:8], "little")
        if head[:4] != b"RIFF" or head[8:] not in (b"AVI ", b"AVIX") or not length:
            return False
        place += 8 + length + length % 2
    return place > size + _RIFF_SLACK
