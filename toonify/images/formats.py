"""The formats that pictures are written in, and what each of them may hold: a new one is a line in `FORMATS`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

FormatName = Literal["jpg", "png", "webp", "avif", "tiff"]
FormatOption = Literal["same", FormatName]  # "same" as the photo's, or the nearest that is written


@dataclass(frozen=True)
class Format:
    """A format that pictures are written in, and which of the files that are read it suits."""

    pillow: str  # what Pillow calls it
    suffixes: tuple[str, ...]  # of its files; the first is the one that new names get
    read_suffixes: tuple[str, ...] = ()  # of other files that are read, and whose drawings are written in it
    decoders: tuple[str, ...] = ()  # Pillow's names of what is read in these files
    quality: int | None = None  # the default, of 100; None: it is lossless
    max_side: int | None = None  # of its files, in pixels
    max_exif: int | None = None  # bytes
    transparency: bool = True  # whether it has any; else it is laid on white
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
        max_exif=65_000,  # one segment of 64 KiB
        transparency=False,
        options={"subsampling": 0},  # halving the color's resolution frays colored lines
    ),
    # BMP and GIF hold no EXIF, and a GIF would cut the drawing to 256 colors.
    "png": Format(
        pillow="PNG",
        suffixes=(".png",),
        read_suffixes=(".apng", ".bmp", ".dib", ".gif"),
        decoders=("PNG", "BMP", "DIB", "GIF"),
        compression="compress_level",
    ),
    "webp": Format(pillow="WEBP", suffixes=(".webp",), decoders=("WEBP",), quality=90, max_side=16_383),
    "avif": Format(
        pillow="AVIF",
        suffixes=(".avif",),
        read_suffixes=(".avifs",),
        decoders=("AVIF",),
        quality=80,
        max_side=65_536,
    ),
    "tiff": Format(pillow="TIFF", suffixes=(".tiff", ".tif"), decoders=("TIFF",)),
}
FALLBACK: FormatName = "png"  # of pictures that are in none of these formats
DEFAULT_MAX_PIXELS = 250_000_000

# What `--format same` writes for a file name; all that is read.
FORMAT_OF_SUFFIX: dict[str, FormatName] = {
    suffix: name for name, each in FORMATS.items() for suffix in (*each.suffixes, *each.read_suffixes)
}
FORMAT_OF_DECODER: dict[str, FormatName] = {
    decoder: name for name, each in FORMATS.items() for decoder in each.decoders
}
