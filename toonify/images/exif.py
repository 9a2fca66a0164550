"""What a picture file says of its picture: kept from the photo, made true of the drawing."""

from typing import Any

from PIL import ExifTags, Image

# What describes the photo. Tags that describe the file's layout (strips, thumbnail, compression) would be untrue.
_KEPT_TAGS = frozenset(
    {
        ExifTags.Base.ImageDescription,
        ExifTags.Base.Make,
        ExifTags.Base.Model,
        ExifTags.Base.XResolution,
        ExifTags.Base.YResolution,
        ExifTags.Base.ResolutionUnit,
        ExifTags.Base.Software,
        ExifTags.Base.DateTime,
        ExifTags.Base.Artist,
        ExifTags.Base.HostComputer,
        ExifTags.Base.Copyright,
        ExifTags.Base.Rating,
        ExifTags.Base.XPTitle,
        ExifTags.Base.XPComment,
        ExifTags.Base.XPAuthor,
        ExifTags.Base.XPKeywords,
        ExifTags.Base.XPSubject,
    }
)
KEPT_IFDS = (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo)
_EMPTY_EXIF = 20  # bytes of one without tags


def descriptive_exif(image: Image.Image, notes: list[str]) -> Image.Exif:
    """What a photo's EXIF says of it, with the orientation reset; broken EXIF is left aside and put in `notes`."""
    kept = Image.Exif()
    try:
        exif = image.getexif()
        if not exif and len(image.info.get("exif") or b"") > _EMPTY_EXIF:  # the JPEG decoder has swallowed the error
            raise ValueError("no tags can be read")
        kept.update({tag: value for tag, value in exif.items() if tag in _KEPT_TAGS})
        if ExifTags.Base.Orientation in exif:
            kept[ExifTags.Base.Orientation] = 1
        for ifd in KEPT_IFDS:
            # The interoperability table is an offset into the photo's file, and says nothing of the drawing.
            if entries := {tag: value for tag, value in exif.get_ifd(ifd).items() if tag != ExifTags.IFD.Interop}:
                kept.get_ifd(ifd).update(entries)
        kept.tobytes()
    except Exception:  # EXIF is written by a thousand firmwares; a broken one must not cost the picture
        notes.append("its EXIF is broken and was left aside")
        return Image.Exif()
    return kept


def fitted_exif(exif: Image.Exif | None, width: int, height: int, *, limit: int | None) -> Image.Exif | None:
    """EXIF that is true of a drawing: its size, sRGB. None where there is nothing to write.

    Where `limit` bytes are not enough, the maker's note goes first, then every value longer than 1,000.
    """
    if exif is None:
        return None
    # get_ifd makes an empty table where there is none, which some readers stumble over.
    tables = {ifd: dict(entries) for ifd in KEPT_IFDS if (entries := exif.get_ifd(ifd))}
    if details := tables.get(ExifTags.IFD.Exif):
        details[ExifTags.Base.ColorSpace] = 1  # sRGB
        details[ExifTags.Base.ExifImageWidth] = width
        details[ExifTags.Base.ExifImageHeight] = height
    tags = dict(exif)
    packed = _pack_exif(tags, tables)
    if limit is not None and len(packed.tobytes()) > limit:
        tables.get(ExifTags.IFD.Exif, {}).pop(ExifTags.Base.MakerNote, None)
        packed = _pack_exif(tags, tables)
    if limit is not None and len(packed.tobytes()) > limit:
        tags, *shortened = ({k: v for k, v in entries.items() if _is_short(v)} for entries in (tags, *tables.values()))
        packed = _pack_exif(tags, dict(zip(tables, shortened, strict=True)))
    return packed if dict(packed) or tables else None


def _is_short(value: object) -> bool:
    return not isinstance(value, (str, bytes, tuple)) or len(value) <= 1000


def _pack_exif(tags: dict[int, Any], tables: dict[ExifTags.IFD, dict[int, Any]]) -> Image.Exif:
    packed = Image.Exif()
    # Pillow reads text as Latin-1, whatever it is, but writes ASCII alone; so it gets the bytes back.
    for tag, value in tags.items():
        ascii_ = not isinstance(value, str) or value.isascii()
        packed[tag] = value if ascii_ else value.encode("latin-1", "replace")
    for ifd, entries in tables.items():
        packed.get_ifd(ifd).update(entries)
    return packed
