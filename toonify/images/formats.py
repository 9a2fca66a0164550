"""The formats that pictures are written in, and what each of them may hold: a new one is a line in `FORMATS`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

FormatName = Literal["jpg", "png", "webp", "avif", "tiff"]
FormatOption = Literal["same", FormatName]  # "same" as the photo's, or the nearest that is written
WrittenFormat = FormatName | Literal["gif"]  # of all that is written; GIF only if it moves


@dataclass(frozen=True)
class Format:
    """A format that pictures are written in, and which of the files that are read it suits."""

    pillow: str  # what Pillow calls it
    suffixes: tuple[str, ...]  # of its files; the first is the one that new names get
    read_suffixes: tuple[str, ...] = ()  # of other files that are read, and whose drawings are written in it
    decoders: tuple[str, ...] = ()  # Pillow's names of what is read in these files
    quality: int | None = None  # the default, of 100; None: it is lossless
    max_side: int | None = None  # of its files, in pixels
    max_exif: int | None = None  # bytes; None: any number
    max_xmp: int | None = None  # bytes of its main packet; what is longer is split (JPEG)
    max_iptc: int | None = None
    moves: bool = False  # whether it has moving pictures
    texts: bool = False  # whether it has PNG's text chunks
    comments: bool = False
    not_in_exif: frozenset[int] = frozenset()  # tags that do not belong into its Exif
    transparency: bool = True  # whether it has any; else it is laid on white
    metadata: Literal["pillow", "jpeg", "png", "tiff"] = "pillow"  # who writes it: Pillow's `save`, or `write.py`
    options: Mapping[str, Any] = field(default_factory=dict)  # for Pillow's `save`
    compression: str | None = None  # the option of Pillow's `save` that trades time for bytes


FORMATS: dict[FormatName, Format] = {
    # HEIC is patented, so few programs may write it.
    "jpg": Format(
        pillow="JPEG",
        suffixes=(".jpg", ".jpeg", ".jpe", ".jfif"),
        read_suffixes=(".mpo", ".heic", ".heif", ".hif"),
        decoders=("JPEG", "MPO", "HEIF"),
        quality=92,
        max_side=65_500,
        max_exif=65_533 - 6,  # what one segment holds behind its head
        max_xmp=65_533 - 29,
        max_iptc=65_533 - 28,
        comments=True,
        transparency=False,
        metadata="jpeg",
        options={"subsampling": 0},  # halving the color's resolution frays colored lines
    ),
    # BMP and GIF hold no EXIF, and a GIF would cut the drawing to 256 colors.
    "png": Format(
        pillow="PNG",
        suffixes=(".png",),
        read_suffixes=(".apng", ".bmp", ".dib", ".gif"),
        decoders=("PNG", "BMP", "DIB", "GIF"),
        moves=True,
        texts=True,
        comments=True,
        metadata="png",
        compression="compress_level",
    ),
    "webp": Format(
        pillow="WEBP", suffixes=(".webp",), decoders=("WEBP",), quality=90, max_side=16_383, max_iptc=0, moves=True
    ),
    "avif": Format(
        pillow="AVIF",
        suffixes=(".avif",),
        read_suffixes=(".avifs",),
        decoders=("AVIF",),
        quality=80,
        max_side=65_536,
        max_iptc=0,
        moves=True,
        # Its boxes alone say how it lies, and with the tag Pillow would write a block anew.
        not_in_exif=frozenset({0x0112}),
        options={"max_threads": 4},  # always, as the bytes depend on it
    ),
    "tiff": Format(
        pillow="TIFF",
        suffixes=(".tiff", ".tif"),
        decoders=("TIFF",),
        metadata="tiff",
        # What tells of JPEG's data, and that it may be read as such (Exif 2.32, 4.6.8).
        not_in_exif=frozenset({0x9101, 0x9102, 0xA002, 0xA003, 0xA005}),
    ),
}
# A still GIF becomes PNG, which has all of the drawing's colors; one that moves stays GIF.
GIF = Format(
    pillow="GIF",
    suffixes=(".gif",),
    decoders=("GIF",),
    max_side=65_535,
    max_exif=0,
    max_iptc=0,
    moves=True,
    comments=True,
)
WRITTEN: Mapping[WrittenFormat, Format] = {"gif": GIF, **dict(FORMATS.items())}
FALLBACK: FormatName = "png"  # of pictures that are in none of these formats
DEFAULT_MAX_PIXELS = 250_000_000

VIDEO_SUFFIXES = frozenset(
    f".{name}"
    for name in (
        *("mp4", "m4v", "mov", "mkv", "webm", "avi", "mpg", "mpeg", "vob"),
        *("ts", "m2ts", "mts", "wmv", "asf", "flv", "ogv", "3gp", "3g2"),
    )
)
RAW_SUFFIXES = frozenset(  # cameras' raw files, which are named and not read
    f".{name}"
    for name in (
        *("3fr", "arw", "cr2", "cr3", "crw", "dcr", "dng", "erf", "fff", "iiq", "kdc", "mef", "mos", "mrw"),
        *("nef", "nrw", "orf", "pef", "raf", "raw", "rw2", "rwl", "sr2", "srf", "srw", "x3f"),
    )
)

# What `--format same` writes for a file name; all that is read.
FORMAT_OF_SUFFIX: dict[str, FormatName] = {
    suffix: name for name, each in FORMATS.items() for suffix in (*each.suffixes, *each.read_suffixes)
}
FORMAT_OF_DECODER: dict[str, FormatName] = {
    decoder: name for name, each in FORMATS.items() for decoder in each.decoders
}
