"""Lines of subtitles from one codec of text to another: what a container does not hold, it holds as another kind.

Sources: 3GPP TS 26.245, 5.17 (timed text, FFmpeg's mov_text); W3C WebVTT, 3; Matroska, "Subtitles" (RFC 9559, 17).
"""

import re

TEXTS = frozenset({"ass", "mov_text", "ssa", "subrip", "text", "webvtt"})  # FFmpeg's names
HEADER = b"[Script Info]\nScriptType: v4.00+\n\n[Events]\nFormat: Layer, Start, End, Style, Text\n"  # of no styles

_TAGS = re.compile(r"</?[a-zA-Z][^<>]*>")
_OVERRIDES = re.compile(r"\{[^{}]*\}")
_BREAKS = re.compile(r"\\[Nn]")
_FIELDS = 8  # before the text of a line of ASS in Matroska


def converted(data: bytes, codec: str, new: str) -> bytes:
    """The content of a packet in another codec; empty where there is no text, as between two lines in MP4.

    Italics and the like stay between SubRip and WebVTT, and are left out elsewhere.
    """
    if codec == "mov_text":
        text = data[2 : 2 + int.from_bytes(data[:2])].decode("utf-8", "replace")
    else:
        text = data.decode("utf-8", "replace")
    if codec in ("ass", "ssa"):
        text = _BREAKS.sub("\n", _OVERRIDES.sub("", text.split(",", _FIELDS)[-1])).replace("\\h", " ")
    text = text.replace("\r\n", "\n").strip("\n")
    if new != "mov_text":
        return text.encode()
    plain = _TAGS.sub("", text).encode()
    return len(plain).to_bytes(2) + plain if 0 < len(plain) < 1 << 16 else b""
