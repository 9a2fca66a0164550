"""Files that are not read, named for what they are by their first bytes."""

import re
from pathlib import Path
from typing import BinaryIO

from toonify.images.frame_header import frame_header
from toonify.images.tiff_pages import named_kind

_LONGEST_HEAD = 1 << 20  # bytes of a JPEG in which its frame header is looked for
_CONVERT = "convert it to JPEG or PNG first"
VIDEO = "a video; give it the name of one (.mp4, .mov, .mkv, .webm, .avi), and `toonify convert` draws it"
_STILL_BRANDS = frozenset(
    {b"avif", b"avis", b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1", b"jxl ", b"crx "}
)
_VIDEOS = re.compile(
    rb"""
      \x1a\x45\xdf\xa3                  # Matroska and WebM (EBML)
    | RIFF....AVI[ ]
    | \x30\x26\xb2\x75\x8e\x66\xcf\x11  # ASF and WMV
    | FLV\x01
    | OggS
    | \x00\x00\x01[\xb3\xba]            # MPEG-1 and -2
    | \x47.{187}\x47.{187}\x47          # MPEG transport streams
    | .{4}\x47.{191}\x47.{191}\x47      # with a time before each packet
    | ....(?:moov|mdat|wide|pnot)       # QuickTime without a brand
    """,
    re.DOTALL | re.VERBOSE,
)
_PICTURES = (
    (b"\xff\x0a", "a JPEG XL picture"),
    (b"\0\0\0\x0cJXL ", "a JPEG XL picture"),
    (b"II\xbc\x01", "a JPEG XR picture"),
    (b"\x76\x2f\x31\x01", "an OpenEXR picture"),
    (b"#?RADIANCE", "a Radiance HDR picture"),
    (b"%PDF-", "a PDF document"),
    (b"<svg", "an SVG drawing"),
)


def is_video(path: Path) -> bool:
    """Whether a file begins as videos do."""
    try:
        with path.open("rb") as file:
            return _begins_as_video(file.read(1024))
    except OSError:
        return False


def _begins_as_video(head: bytes) -> bool:
    return bool(_VIDEOS.match(head)) or (head[4:8] == b"ftyp" and head[8:12] not in _STILL_BRANDS)


def unread_kind(file: BinaryIO) -> str | None:
    """What a file is that no decoder knows, and what to do, as the end of a line; None where its bytes do not tell."""
    file.seek(0)
    head = file.read(1024)
    if head.startswith(b"\xff\xd8\xff"):
        return _jpeg_kind(head + file.read(_LONGEST_HEAD))
    if (tiff := named_kind(file)) is not None:
        return f"{tiff} is not read; convert it to PNG first"
    if _begins_as_video(head):
        return VIDEO
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    if text.startswith(b"<?xml") and b"<svg" in text:
        text = b"<svg"
    found = next((name for magic, name in _PICTURES if text.startswith(magic)), None)
    return None if found is None else f"{found}, which is not read; {_CONVERT}"


def _jpeg_kind(data: bytes) -> str:
    header = frame_header(data)
    if header is None:
        return "damaged: a JPEG without a frame header"
    if header.is_usual:
        return "damaged: a JPEG whose head cannot be read"
    return f"a JPEG of a kind that is not read ({header.process}); {_CONVERT}"
