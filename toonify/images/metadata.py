"""What a file says of its picture, kept whole: Exif, XMP, IPTC and text as bytes; and made true of a drawing."""

from dataclasses import dataclass, replace

from PIL import Image, TiffImagePlugin

from toonify.errors import display
from toonify.images import xmp as packets
from toonify.images.behind import what_is_behind
from toonify.images.exif import (
    IPTC_TAG,
    ORIENTATION,
    PHOTOSHOP_TAG,
    XMP_TAG,
    minimal_block,
    read_block,
    standalone,
    true_of,
)
from toonify.images.formats import WRITTEN, WrittenFormat
from toonify.images.opened import Opened
from toonify.images.resolution import Resolution, of_bmp, of_jfif
from toonify.images.segments import IPTC, as_resource, iptc_behind, others_of, photoshop_of, split_resources

EXIF_HEAD = b"Exif\0\0"
BROKEN = "its EXIF is broken and was left out"
_LONGEST_COMMENT = 65_533  # bytes, in a JPEG
_LONGEST_NOTE = "x" * 1000


@dataclass(frozen=True)
class Metadata:
    """What a file says of its picture, as bytes; empty where it says nothing."""

    exif: bytes = b""  # a block that begins with TIFF's head
    xmp: bytes = b""  # a packet
    iptc: bytes = b""  # IPTC-IIM records
    resources: bytes = b""  # others of Photoshop's image resources that are true of a drawing, too
    resolution: Resolution | None = None  # where it is said outside of Exif
    texts: tuple[tuple[bytes, bytes], ...] = ()  # PNG's text chunks: kind and content
    comments: tuple[bytes, ...] = ()  # of JPEG and GIF
    others: tuple[str, ...] = ()  # names of what is never handed on

    @property
    def photoshop(self) -> bytes:
        """All of Photoshop's image resources, IPTC among them."""
        return (as_resource(IPTC, self.iptc) if self.iptc else b"") + self.resources

    @property
    def has_orientation(self) -> bool:
        """Whether Exif says how the picture lies."""
        try:
            return bool(self.exif) and read_block(self.exif).number("main", ORIENTATION) is not None
        except ValueError:
            return False

    def true_of(self, width: int, height: int, note: str | None, format: WrittenFormat) -> "Metadata":  # noqa: A002
        """What is written with a drawing of this size; `note`, which its XMP holds, is what we say of its making."""
        form, exif = WRITTEN[format], self.exif
        if not exif and self.resolution is not None and self.resolution.as_exif() is not None:
            exif = minimal_block(self.resolution)
        try:
            exif = exif and true_of(exif, width, height, limit=form.max_exif, drop=form.not_in_exif)
        except ValueError:  # which has been said where it was read
            exif = b""
        iptc, resources = (self.iptc, self.resources) if self._resources_fit(format) else (self.iptc, b"")
        return replace(
            self,
            exif=exif,
            xmp=self._packet(width, height, note, format)[0],
            iptc=iptc if _fits(iptc, form.max_iptc) else b"",
            resources=resources,
            texts=self.texts if form.texts else (),
            comments=tuple(each for each in self.comments if len(each) <= _LONGEST_COMMENT) if form.comments else (),
        )

    def _packet(self, width: int, height: int, note: str | None, format: WrittenFormat) -> tuple[bytes, str | None]:  # noqa: A002
        """XMP as it is true of a drawing, and what keeps a photo's from being written."""
        limit, problem, packet = WRITTEN[format].max_xmp, "is broken", b""
        try:
            if self.xmp:
                packet = packets.true_of(packets.in_utf8(self.xmp), width, height)
            packet = packets.with_note(packet, note)
            if limit is not None:
                problem = f"is too long for {format}"
                packets.split(packet, limit)
        except ValueError:
            return packets.with_note(b"", note), problem
        return packet, None

    def _resources_fit(self, format: WrittenFormat) -> bool:  # noqa: A002
        return _fits(self.iptc + self.resources, WRITTEN[format].max_iptc)

    def left_out(self, format: WrittenFormat) -> list[str]:  # noqa: A002
        """What a format cannot hold of it, and what is never handed on."""
        form, notes = WRITTEN[format], []
        if self.exif and form.max_exif == 0:
            notes.append(f"its EXIF was left out, which {format} does not hold")
        if (problem := self._packet(1, 1, _LONGEST_NOTE, format)[1]) is not None:
            notes.append(f"its XMP {problem} and was left out")
        if self.iptc and form.max_iptc == 0:
            notes.append(f"its IPTC was left out, which {format} does not hold")
        elif not _fits(self.iptc, form.max_iptc):
            notes.append(f"its IPTC is too long for {format} and was left out")
        lost = [*self.others]
        if self.resources and not self._resources_fit(format):
            lost.append("Photoshop's resources")
        if self.texts and not form.texts:
            keywords = dict.fromkeys(body.partition(b"\0")[0].decode("latin-1") for _, body in self.texts)
            lost.append(f"PNG text ({', '.join(display(keyword) for keyword in keywords)})")
        if any(not form.comments or len(comment) > _LONGEST_COMMENT for comment in self.comments):
            lost.append("its comment")
        if lost:
            notes.append(f"left out of the file: {', '.join(lost)}")
        return notes


def _fits(data: bytes, limit: int | None) -> bool:
    return limit is None or len(data) <= limit


NO_METADATA = Metadata()


def note_in_comment(comment: bytes) -> str | None:
    """What is said of a drawing's making in the comments of a GIF, which has no other place for it."""
    lines = comment.decode("ascii", "replace").split("\n")
    return next((line for line in lines if line.startswith("toonify ")), None)


def metadata_of(opened: Opened, notes: list[str]) -> Metadata:
    """What a file says of its picture; what is broken of it is put in `notes`."""
    image = opened.image
    if (png := opened.png) is not None:
        exif, xmp, photoshop = png.metadata()
        iptc, resources, left = split_resources(photoshop)
        return Metadata(
            _checked(exif, notes), xmp, iptc, resources, png.resolution, png.texts(), others=_photoshops(left)
        )
    if opened.still is not None:
        exif, xmp = opened.still.metadata(opened.file)
        return Metadata(_checked(exif, notes), xmp, others=opened.still.beside)
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        return _of_tiff(opened, notes)
    if image.format == "GIF":
        comment = image.info.get("comment", b"")
        return Metadata(xmp=_xmp_of_gif(opened), comments=(comment,) if comment else ())
    if image.format in ("BMP", "DIB"):
        opened.file.seek(0)
        return Metadata(resolution=of_bmp(opened.file.read(46)))
    found = metadata_of_image(image, notes)
    if opened.frame is None:
        return found
    behind = iptc_behind(opened.file)
    others = what_is_behind(opened.file, getattr(image, "applist", []), found.xmp, has_iptc=bool(behind))
    return replace(found, iptc=found.iptc or behind, others=(*found.others, *others))


def metadata_of_image(image: Image.Image, notes: list[str]) -> Metadata:
    """What Pillow has of a picture."""
    exif = image.info.get("exif") or b""
    if not exif and isinstance(image, TiffImagePlugin.TiffImageFile):
        try:
            exif = image.getexif().tobytes()
        except Exception:  # Exif is written by a thousand programs; a broken one must not cost the picture
            notes.append(BROKEN)
    xmp = image.info.get("xmp") or b""
    packet = xmp.encode() if isinstance(xmp, str) else bytes(xmp)
    segments = getattr(image, "applist", [])
    packet, is_whole = packets.joined(packet, [body for name, body in segments if name == "APP1"])
    if not is_whole:
        notes.append("a part of its XMP is missing in it")
    iptc, resources, left = split_resources(photoshop_of(segments))
    return Metadata(
        _checked(exif, notes),
        packet,
        iptc,
        resources,
        of_jfif(image.info),
        comments=tuple(bytes(body) for name, body in segments if name == "COM" and body),
        others=(*others_of(segments), *_photoshops(left)),
    )


def _of_tiff(opened: Opened, notes: list[str]) -> Metadata:
    opened.file.seek(0)
    try:
        block = read_block(opened.file.read())
    except ValueError:
        return metadata_of_image(opened.image, notes)
    iptc, resources, left = split_resources(block.value("main", PHOTOSHOP_TAG) or b"")
    return Metadata(
        standalone(block),
        block.value("main", XMP_TAG) or b"",
        block.value("main", IPTC_TAG) or iptc,
        resources,
        others=_photoshops(left),
    )


def _photoshops(count: int) -> tuple[str, ...]:
    """The name of Photoshop's resources that are not true of a drawing."""
    return (f"{count} of Photoshop's resources",) if count else ()


def _xmp_of_gif(opened: Opened) -> bytes:
    """XMP in an application extension, which ends in bytes that lead any reader out of it (XMP part 3, 1.1.2)."""
    opened.file.seek(0)
    _, _, behind = opened.file.read().partition(b"\x21\xff\x0bXMP DataXMP")
    return behind.partition(b"\x01\xff\xfe")[0]


def _checked(exif: bytes, notes: list[str]) -> bytes:
    """A block without the head that it has in JPEGs; nothing, and a note, if it cannot be read."""
    exif = exif.removeprefix(EXIF_HEAD)
    if not exif:
        return b""
    try:
        block = read_block(exif)
    except ValueError:
        notes.append(BROKEN)
        return b""
    return exif if any(block.directories.values()) else b""
