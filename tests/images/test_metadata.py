"""What a photo says of itself goes along whole, and is true of the drawing."""

import struct
from io import BytesIO

import numpy as np
import pytest
from PIL import ExifTags, Image

from toonify.images import FORMATS as TABLE
from toonify.images import Metadata, Photo, encode_picture, read_photo
from toonify.images.exif import read_block

FORMATS = sorted(TABLE)
PIXELS = np.full((30, 20, 3), 90, np.uint8)
NOTE = "toonify 0.1.0 shinkai/lite recipe:0123456789abcdef"
MAKER_NOTE = b"KAMERA\0\1" + bytes(range(200)) + struct.pack("<I", 300)  # with an offset from the block's head
THUMBNAIL = b"\xff\xd8THUMBNAIL" * 9
XMP = (
    b"""<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/" xmlns:exif="http://ns.adobe.com/exif/1.0/"
 xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/"
 tiff:Orientation="6" exif:PixelXDimension="4032" hdrgm:Version="1.0" xmp:Rating="5">
<exif:PixelYDimension>3024</exif:PixelYDimension>
<dc:description xmlns:dc="http://purl.org/dc/elements/1.1/"><rdf:Alt><rdf:li>Zo\xc3\xab, 6 years</rdf:li>
</rdf:Alt></dc:description></rdf:Description></rdf:RDF></x:xmpmeta>
"""
    + b" " * 2000
    + b'<?xpacket end="w"?>'
)
IPTC = b"\x1c\x02\x78\x00\x11A caption of 1994" + b"\x1c\x02\x19\x00\x03sea"


def block(order: str) -> bytes:
    """What a camera writes: values of every kind, a maker's note, interoperability, a place, a thumbnail."""

    def pack(code: str, *values: int) -> bytes:
        return struct.pack(f"{order}{code}", *values)

    out = bytearray((b"II*\0" if order == "<" else b"MM\0*") + pack("I", 8))

    def directory(entries: list[tuple[int, int, int, bytes]], following: int = 0) -> int:
        places = []
        for *_, value in entries:
            places.append(len(out))
            if len(value) > 4:
                out.extend(value + bytes(len(value) % 2))
        place = len(out)
        out.extend(pack("H", len(entries)))
        for (tag, kind, count, value), at in zip(entries, places, strict=True):
            out.extend(pack("HHI", tag, kind, count) + (pack("I", at) if len(value) > 4 else value.ljust(4, b"\0")))
        out.extend(pack("I", following))
        return place

    out.extend(THUMBNAIL)
    thumbnail = directory([(0x0201, 4, 1, pack("I", 8)), (0x0202, 4, 1, pack("I", len(THUMBNAIL)))])
    interop = directory([(1, 2, 4, b"R03\0"), (2, 7, 4, b"0100")])
    gps = directory([(1, 2, 2, b"N\0"), (2, 5, 3, pack("6I", 47, 1, 30, 1, 15, 1))])
    details = directory(
        [
            (0x829A, 5, 1, pack("2I", 1, 125)),
            (0x9000, 7, 4, b"0230"),
            (0x9003, 2, 20, b"2020:02:29 12:34:56\0"),
            (0x9204, 10, 1, pack("2i", -2, 3)),
            (0x927C, 7, len(MAKER_NOTE), MAKER_NOTE),
            (0x9286, 7, 16, b"ASCII\0\0\0a remark"),
            (0xA001, 3, 1, pack("H", 65535)),
            (0xA002, 3, 1, pack("H", 4032)),
            (0xA003, 3, 1, pack("H", 3024)),
            (0xA005, 4, 1, pack("I", interop)),
            (0xA301, 7, 1, b"\1"),
        ]
    )
    main = directory(
        [
            (0x010E, 2, 14, "Zoë am Meer 6".encode("latin-1") + b"\0"),
            (0x010F, 2, 7, b"Kamera\0"),
            (0x0112, 3, 1, pack("H", 6)),
            (0x8769, 4, 1, pack("I", details)),
            (0x8825, 4, 1, pack("I", gps)),
            (0xC4A5, 7, 26, b"PrintIM\0" + bytes(18)),
        ],
        thumbnail,
    )
    out[4:8] = pack("I", main)
    return bytes(out)


def photo_with(metadata: Metadata, kind: str = "jpg") -> Photo:
    return read_photo(BytesIO(encode_picture(PIXELS, format=kind, metadata=metadata, note=NOTE)))


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("order", ["<", ">"])
def test_types_and_values_stay_and_what_would_be_untrue_is_made_true(order: str, kind: str) -> None:
    before = read_block(block(order))
    after = read_block(photo_with(Metadata(block(order)), kind).metadata.exif)
    assert after.order == order
    changed = {("main", 0x0112), ("details", 0xA001), ("details", 0xA002), ("details", 0xA003), ("interop", 1)}
    pointers = {0x8769, 0x8825, 0xA005}
    layout = {0x0100, 0x0101, 0x0102, 0x0103, 0x0106}
    for name, entries in before.directories.items():
        kept = {entry.tag: (entry.kind, entry.count, entry.value) for entry in after.directories[name]}
        for entry in entries:
            if entry.tag not in pointers and (name, entry.tag) not in changed:
                assert kept.pop(entry.tag) == (entry.kind, entry.count, entry.value), (name, hex(entry.tag))
        assert {(name, tag) for tag in kept} - changed <= {("main", tag) for tag in pointers | layout | {0x000B}} | {
            ("details", 0xA005)
        }
    assert after.number("main", 0x0112) == (None if kind == "avif" else 1)  # where boxes say it
    assert after.number("details", 0xA001) == 1
    assert [after.number("details", tag) for tag in (0xA002, 0xA003)] == [20, 30]
    assert after.value("interop", 1) == b"R98\0"
    assert after.value("main", 0x000B) == NOTE.encode() + b"\0"
    assert not after.following and b"THUMBNAIL" not in after.data


@pytest.mark.parametrize("kind", FORMATS)
def test_a_makers_note_stays_where_its_offsets_count_from(kind: str) -> None:
    data = encode_picture(PIXELS, format=kind, metadata=Metadata(block("<")), note=NOTE)
    place = block("<").index(MAKER_NOTE)
    start = {"tiff": 0}.get(kind)
    if start is None:
        start = data.index(b"II*\0")
    assert data[start + place : start + place + len(MAKER_NOTE)] == MAKER_NOTE


@pytest.mark.parametrize("kind", FORMATS)
def test_captions_ratings_and_places_of_xmp_go_along_and_its_sizes_are_true(kind: str) -> None:
    packet = photo_with(Metadata(xmp=XMP), kind).metadata.xmp
    assert "Zoë, 6 years".encode() in packet and b'xmp:Rating="5"' in packet
    assert b'tiff:Orientation="1"' in packet and b'exif:PixelXDimension="20"' in packet
    assert b"<exif:PixelYDimension>30<" in packet
    assert b'hdrgm:Version="' not in packet  # a drawing has no gain map


@pytest.mark.parametrize("kind", ["jpg", "png", "tiff"])
def test_iptc_goes_along(kind: str) -> None:
    assert photo_with(Metadata(iptc=IPTC), kind).metadata.iptc.rstrip(b"\0") == IPTC


@pytest.mark.parametrize("kind", FORMATS)
def test_what_a_format_cannot_hold_is_named(kind: str) -> None:
    metadata = Metadata(iptc=IPTC, xmp=XMP.replace(b"years", b"years " * 20_000))
    notes = metadata.left_out(kind)
    if kind in ("webp", "avif"):
        assert notes == [f"its IPTC was left out, which {kind} does not hold"]
    elif kind == "jpg":
        assert notes == ["its XMP is too long for jpg and was left out"]
    else:
        assert notes == []
    assert photo_with(metadata, kind).pixels.shape == PIXELS.shape


def test_room_at_the_end_of_xmp_goes_before_the_rest_of_it() -> None:
    packet = XMP.replace(b" " * 2000, b" " * 70_000)
    assert Metadata(xmp=packet).left_out("jpg") == []
    assert b"Rating" in photo_with(Metadata(xmp=packet)).metadata.xmp


def test_a_tiff_with_all_of_it_hands_all_of_it_on() -> None:
    whole = Metadata(block(">"), XMP, IPTC)
    photo = photo_with(photo_with(whole, "tiff").metadata, "jpg")
    after = read_block(photo.metadata.exif)
    assert after.value("details", 0x927C) == MAKER_NOTE and after.value("details", 0x9204) == struct.pack(">2i", -2, 3)
    assert b"Rating" in photo.metadata.xmp and photo.metadata.iptc.rstrip(b"\0") == IPTC
    assert after.value("main", 0x02BC) is None and after.number("main", 0x0111) is None


@pytest.mark.parametrize("kind", FORMATS)
def test_without_metadata_only_the_note_is_written(kind: str) -> None:
    photo = photo_with(Metadata(), kind)
    tags = {entry.tag for entry in read_block(photo.metadata.exif).directories["main"]}
    assert tags == {0x000B, 0x011A, 0x011B, 0x0128, 0x0213} - ({0x0213} if kind == "tiff" else set())
    assert (photo.metadata.xmp, photo.metadata.iptc) == (b"", b"")
    bare = read_photo(BytesIO(encode_picture(PIXELS, format=kind)))
    assert (bare.metadata.xmp, bare.metadata.iptc) == (b"", b"")


def test_our_note_is_replaced_and_not_added_when_a_drawing_is_drawn_again() -> None:
    once = photo_with(Metadata(block("<")))
    again = read_block(photo_with(once.metadata).metadata.exif)
    assert [entry.tag for entry in again.directories["main"]].count(0x000B) == 1


def test_long_values_go_where_a_jpeg_has_no_room_and_the_makers_note_first() -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "Kamera"
    exif.get_ifd(ExifTags.IFD.Exif).update({ExifTags.Base.MakerNote: bytes(40_000), 0x9286: b"x" * 30_000})
    data = exif.tobytes().removeprefix(b"Exif\0\0")
    jpeg = read_block(photo_with(Metadata(data)).metadata.exif)
    assert jpeg.value("details", 0x927C) is None and len(jpeg.value("details", 0x9286) or b"") == 30_000
    png = read_block(photo_with(Metadata(data), "png").metadata.exif)
    assert len(png.value("details", 0x927C) or b"") == 40_000


def test_avif_has_the_same_bytes_whatever_the_number_of_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (300, 400, 3), dtype=np.uint8)
    files = []
    for cores in (1, 2, 7):
        monkeypatch.setattr("os.sched_getaffinity", lambda _, cores=cores: set(range(cores)), raising=False)
        monkeypatch.setattr("os.cpu_count", lambda cores=cores: cores)
        files.append(encode_picture(pixels, format="avif"))
    assert files[0] == files[1] == files[2]
