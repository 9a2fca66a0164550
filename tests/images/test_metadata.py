"""What a photo says of itself goes along whole, and is true of the drawing."""

import hashlib
import shutil
import struct
import subprocess
import zlib
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pillow_heif
import pytest
from PIL import ExifTags, Image
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngInfo

from toonify.images import FORMATS as TABLE
from toonify.images import Metadata, Photo, encode_picture, read_photo
from toonify.images.exif import read_block
from toonify.images.resolution import Resolution
from toonify.images.segments import as_resource
from toonify.images.xmp import note_of

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
LONG_XMP = XMP.replace(b"<exif:Pixel", b"<xmp:Label>%b</xmp:Label><exif:Pixel" % (b"blue " * 40_000))
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
    found = photo_with(Metadata(block(order)), kind).metadata
    after = read_block(found.exif)
    assert after.order == order
    changed = {("main", 0x0112), ("details", 0xA001), ("details", 0xA002), ("details", 0xA003), ("interop", 1)}
    pointers = {0x8769, 0x8825, 0xA005}
    layout = {0x0100, 0x0101, 0x0102, 0x0103, 0x0106, 0x0213}
    assert set(before.directories) - set(after.directories) == ({"interop"} if kind == "tiff" else set())
    for name, entries in before.directories.items():
        if name not in after.directories:
            continue
        kept = {entry.tag: (entry.kind, entry.count, entry.value) for entry in after.directories[name]}
        for entry in entries:
            if entry.tag not in pointers and (name, entry.tag) not in changed:
                assert kept.pop(entry.tag) == (entry.kind, entry.count, entry.value), (name, hex(entry.tag))
        assert {(name, tag) for tag in kept} - changed <= {("main", tag) for tag in pointers | layout} | {
            ("details", 0xA005)
        }
    assert after.number("main", 0x0112) == (None if kind == "avif" else 1)  # where boxes say it
    assert after.number("details", 0xA001) == 1
    if kind != "tiff":  # whose Exif has neither
        assert [after.number("details", tag) for tag in (0xA002, 0xA003)] == [20, 30]
        assert after.value("interop", 1) == b"R98\0"
    assert note_of(found.xmp) == NOTE
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
    else:
        assert notes == []
    assert photo_with(metadata, kind).metadata.xmp.count(b"years") == 20_000


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
    metadata = photo_with(Metadata(), kind).metadata
    tags = {entry.tag for entry in read_block(metadata.exif).directories["main"]} if metadata.exif else set()
    assert tags == ({0x011A, 0x011B, 0x0128, 0x0213} if kind == "tiff" else set())
    assert note_of(metadata.xmp) == NOTE and metadata.xmp.count(b"Description ") == 1
    assert metadata.iptc == b""
    bare = read_photo(BytesIO(encode_picture(PIXELS, format=kind)))
    assert (bare.metadata.xmp, bare.metadata.iptc) == (b"", b"")


# --- what toonify says in XMP ---


def parsed(packet: bytes) -> ElementTree.Element:
    return ElementTree.fromstring(packet.strip(b"\0"))  # noqa: S314 - the tests' own


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("packet", [b"", XMP, XMP.decode().encode("utf-16"), XMP.replace(b"rdf:", b"r:")])
def test_our_note_is_replaced_and_not_added_when_a_drawing_is_drawn_again(kind: str, packet: bytes) -> None:
    metadata = Metadata(xmp=packet.replace(b"xmlns:rdf", b"xmlns:r") if b"<r:" in packet else packet)
    for note in (NOTE, "toonify 9.9 \"<&>' recipe", NOTE):
        data = encode_picture(PIXELS, format=kind, metadata=metadata, note=note)
        metadata = read_photo(BytesIO(data)).metadata
        assert note_of(metadata.xmp) == note and metadata.xmp.count(b"toonify:ProcessingSoftware") == 1
        assert not packet or "Zoë, 6 years".encode() in metadata.xmp
        root = parsed(metadata.xmp)
        assert len(list(root.iter("{http://www.w3.org/1999/02/22-rdf-syntax-ns#}Description"))) == 1 + bool(packet)
    gone = read_photo(BytesIO(encode_picture(PIXELS, format=kind, metadata=metadata))).metadata.xmp
    assert note_of(gone) is None and bool(gone) == bool(packet)


def test_a_note_that_an_earlier_toonify_wrote_into_exif_goes_and_another_programs_stays() -> None:
    for said, is_kept in (("toonify 0.1.0 shinkai/lite recipe:0123456789abcdef", False), ("ACD Systems 5", True)):
        exif = Image.Exif()
        exif[0x010F], exif[0x000B] = "Maker", said
        found = read_block(photo_with(Metadata(exif.tobytes().removeprefix(b"Exif\0\0"))).metadata.exif)
        assert found.value("main", 0x010F) == b"Maker\0"
        assert (found.value("main", 0x000B) == said.encode() + b"\0") == is_kept


def test_broken_xmp_is_left_out_and_named() -> None:
    for broken in (b"<x:xmpmeta>no RDF in it", b"\xff\xfe<"):
        metadata = Metadata(xmp=broken)
        assert metadata.left_out("png") == ["its XMP is broken and was left out"]
        assert note_of(photo_with(metadata, "png").metadata.xmp) == NOTE


# --- extended XMP ---


def description(body: bytes, attributes: bytes = b"") -> bytes:
    return (
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"'
        b' xmlns:pdf="http://ns.adobe.com/pdf/1.3/"><rdf:Description rdf:about="" xmlns:a="http://a.example/" %b>%b'
        b"</rdf:Description></rdf:RDF></x:xmpmeta>" % (attributes, body)
    )


def extended_jpeg(main: bytes, extended: bytes, *, size: int = 60_000, lacking: int | None = None) -> bytes:
    """A JPEG as Adobe's programs write it: the extended part in pieces, by its fingerprint, here in any order."""
    guid = hashlib.md5(extended, usedforsecurity=False).hexdigest().upper().encode()
    main = main.replace(b"GUID", guid)
    pieces = [
        b"http://ns.adobe.com/xmp/extension/\0"
        + guid
        + struct.pack(">II", len(extended), at)
        + extended[at : at + size]
        for at in range(0, len(extended), size)
    ]
    other = b"http://ns.adobe.com/xmp/extension/\0" + b"0" * 32 + struct.pack(">II", 5, 0) + b"other"
    kept = [piece for number, piece in enumerate(pieces) if number != lacking]
    return with_segments(
        (0xE1, b"http://ns.adobe.com/xap/1.0/\0" + main), *[(0xE1, each) for each in kept[::-1]], (0xE1, other)
    )


MAIN = description(
    b"<a:first>one</a:first>",
    b'xmlns:xmpNote="http://ns.adobe.com/xmp/note/" xmpNote:HasExtendedXMP="GUID"'
    b' xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="1"',
)
EXTENDED = description(b"<pdf:Long>%b</pdf:Long><a:second>two</a:second>" % (b"a long text " * 20_000))


@pytest.mark.parametrize("kind", FORMATS)
def test_extended_xmp_goes_along_into_every_format(kind: str) -> None:
    photo = read_photo(BytesIO(extended_jpeg(MAIN, EXTENDED)))
    assert photo.notes == () and photo.metadata.left_out(kind) == []
    packet = photo_with(photo.metadata, kind).metadata.xmp
    parsed(packet)
    for said in (b"<a:first>one<", b"<a:second>two<", b"<pdf:Long>" + b"a long text " * 20_000, NOTE.encode()):
        assert packet.count(said) == 1


def test_a_main_packet_is_whole_and_true_by_itself_and_its_extension_has_its_fingerprint() -> None:
    data = encode_picture(PIXELS, format="jpg", metadata=Metadata(xmp=LONG_XMP), note=NOTE)
    with Image.open(BytesIO(data)) as image:
        assert isinstance(image, JpegImageFile)
        bodies = [body for name, body in image.applist if name == "APP1"]
    main = bodies[0].removeprefix(b"http://ns.adobe.com/xap/1.0/\0")
    parsed(main)
    assert b'tiff:Orientation="1"' in main and b"<exif:PixelYDimension>30<" in main and note_of(main) == NOTE
    head = len(b"http://ns.adobe.com/xmp/extension/\0")
    extended = b"".join(body[head + 40 :] for body in bodies[1:])
    guid = hashlib.md5(extended, usedforsecurity=False).hexdigest().upper().encode()
    assert b'xmpNote:HasExtendedXMP="%b"' % guid in main
    assert [body[head : head + 32] for body in bodies[1:]] == [guid] * 4
    assert b"blue " not in main and extended.count(b"blue ") == 40_000
    parsed(extended)
    again = []
    for _ in range(3):
        data = encode_picture(PIXELS, format="jpg", metadata=read_photo(BytesIO(data)).metadata, note=NOTE)
        again.append(data)
    assert again[2] == again[1] and again[2].count(b"Description ") == 4


def test_a_depth_map_in_extended_xmp_is_none_of_a_drawing() -> None:
    depth = b'xmlns:GDepth="http://ns.google.com/photos/1.0/depthmap/" GDepth:Data="%b"' % (b"QUJD" * 30_000)
    photo = read_photo(BytesIO(extended_jpeg(MAIN, description(b"<a:second>two</a:second>", depth))))
    packet = photo_with(photo.metadata).metadata.xmp
    assert b"<a:second>two<" in packet and b"QUJD" not in packet and b"HasExtended" not in packet


def test_extended_xmp_of_which_a_part_is_missing_is_named() -> None:
    photo = read_photo(BytesIO(extended_jpeg(MAIN, EXTENDED, lacking=1)))
    assert photo.notes == ("a part of its XMP is missing in it",)
    assert b"<a:first>one<" in photo_with(photo.metadata).metadata.xmp


def test_long_xmp_that_cannot_be_split_is_left_out_of_a_jpeg_and_named() -> None:
    metadata = Metadata(xmp=XMP.replace(b"years", b"years & " * 20_000))  # which is not well-formed
    assert metadata.left_out("jpg") == ["its XMP is too long for jpg and was left out"]
    assert note_of(photo_with(metadata).metadata.xmp) == NOTE
    assert metadata.left_out("png") == []


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


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_picture_that_only_xmp_turns_is_turned_and_that_is_noted(kind: str) -> None:
    file, text = BytesIO(), PngInfo()
    text.add_itxt("XML:com.adobe.xmp", XMP.decode())
    Image.fromarray(PIXELS).save(file, kind, xmp=XMP, pnginfo=text)
    photo = read_photo(file)
    assert photo.pixels.shape == (20, 30, 3)
    assert photo.notes == ("it was turned as its XMP says, of which its EXIF says nothing",)


# --- resolution ---


def with_phys(data: bytes, x: int, y: int, unit: int) -> bytes:
    """A PNG with a pHYs chunk behind its head."""
    body = b"pHYs" + struct.pack(">IIB", x, y, unit)
    return data[:33] + struct.pack(">I", 9) + body + struct.pack(">I", zlib.crc32(body)) + data[33:]


def picture_at(kind: str, x: int, y: int, unit: int) -> Photo:
    """A picture at so many pixels an inch (1), a centimeter (2), or of pixels that are not square (0)."""
    file = BytesIO()
    Image.fromarray(PIXELS).save(file, kind)
    data = file.getvalue()
    if kind == "JPEG":
        data = data[:13] + struct.pack(">BHH", unit, x, y) + data[18:]
    elif kind == "PNG":
        scale = {0: 1, 1: 1 / 0.0254, 2: 100}[unit]
        data = with_phys(data, round(x * scale), round(y * scale), int(unit > 0))
    return read_photo(BytesIO(data))


def resolution_in(data: bytes) -> dict[str, object]:
    """What a written file says of its resolution, by Pillow and in Exif."""
    with Image.open(BytesIO(data)) as image:
        exif = image.getexif()
        said = {name: image.info[name] for name in ("jfif_unit", "jfif_density", "dpi", "aspect") if name in image.info}
    return said | {"exif": tuple(exif.get(tag) for tag in (0x0128, 0x011A, 0x011B))}


@pytest.mark.parametrize("source", ["JPEG", "PNG"])
@pytest.mark.parametrize(("x", "y", "unit"), [(300, 300, 1), (144, 72, 1), (118, 118, 2), (72, 72, 1)])
def test_a_resolution_that_was_said_outside_of_exif_is_kept(source: str, x: int, y: int, unit: int) -> None:
    photo = picture_at(source, x, y, unit)
    for kind in FORMATS:
        said = resolution_in(encode_picture(PIXELS, format=kind, metadata=photo.metadata, note=NOTE))
        assert said["exif"] == (unit + 1, x, y)
        if kind == "jpg":
            assert (said["jfif_unit"], said["jfif_density"]) == (unit, (x, y))
        if kind == "png":
            scale = 1 if unit == 1 else 2.54
            assert said["dpi"] == pytest.approx((x * scale, y * scale), rel=1e-3)


@pytest.mark.parametrize("source", ["JPEG", "PNG"])
def test_pixels_that_are_not_square_stay_so_where_a_format_can_say_it(source: str) -> None:
    metadata = picture_at(source, 4, 3, 0).metadata
    assert resolution_in(encode_picture(PIXELS, format="jpg", metadata=metadata, note=NOTE))["jfif_density"] == (4, 3)
    assert resolution_in(encode_picture(PIXELS, format="png", metadata=metadata, note=NOTE))["aspect"] == (4, 3)


def test_a_bmp_says_its_resolution_and_exif_comes_before_what_else_is_said() -> None:
    file = BytesIO()
    Image.fromarray(PIXELS).save(file, "BMP", dpi=(300, 300))
    assert read_photo(file).metadata.resolution == Resolution(Fraction(300), Fraction(300))
    exif = Image.Exif()
    exif[0x0128], exif[0x011A], exif[0x011B] = 2, 240.0, 240.0
    file = BytesIO()
    Image.fromarray(PIXELS).save(file, "JPEG", exif=exif, dpi=(300, 300))
    said = resolution_in(encode_picture(PIXELS, format="jpg", metadata=read_photo(file).metadata, note=NOTE))
    assert said["exif"] == (2, 240, 240) and said["jfif_density"] == (300, 300)


def test_no_resolution_is_made_up_in_jfif_and_phys() -> None:
    for kind in ("jpg", "png"):
        assert not {"dpi", "jfif_unit"} & {
            key for key, value in resolution_in(encode_picture(PIXELS, format=kind)).items() if value
        }


# --- text, comments, Photoshop ---

TEXTS = (
    (b"tEXt", b"Title\0Am Meer"),
    (b"iTXt", b"Author" + bytes(5) + "Zoë".encode()),
    (b"zTXt", b"Description\0\0" + zlib.compress(b"long " * 900)),
)
RIGHTS = as_resource(0x040A, b"\1") + as_resource(0x040B, b"http://example.org/")


def test_text_of_a_png_goes_along_byte_for_byte_and_is_named_where_it_cannot() -> None:
    photo = photo_with(Metadata(texts=TEXTS, xmp=XMP), "png")
    assert photo.metadata.texts == TEXTS
    for kind in ("jpg", "webp", "avif", "tiff"):
        assert photo.metadata.left_out(kind) == ["left out of the file: PNG text (Title, Author, Description)"]
        assert photo_with(photo.metadata, kind).metadata.texts == ()


@pytest.mark.parametrize("comment", [b"a comment", "Zoë".encode(), b"Zo\xeb"])
def test_a_comment_goes_along(comment: bytes) -> None:
    jpeg = photo_with(Metadata(comments=(comment,)))
    assert jpeg.metadata.comments == (comment,)
    ((_, body),) = photo_with(jpeg.metadata, "png").metadata.texts
    keyword, _, rest = body.partition(b"\0")
    assert keyword == b"Comment" and rest.strip(b"\0").decode() in ("a comment", "Zoë")
    assert jpeg.metadata.left_out("webp") == ["left out of the file: its comment"]


def test_the_comment_of_a_gif_goes_into_a_png() -> None:
    file = BytesIO()
    Image.fromarray(PIXELS).save(file, "GIF", comment=b"a comment")
    assert photo_with(read_photo(file).metadata, "png").metadata.texts == ((b"tEXt", b"Comment\0a comment"),)


@pytest.mark.parametrize("kind", ["jpg", "png", "tiff"])
def test_photoshops_resources_that_stay_true_go_along(kind: str) -> None:
    metadata = photo_with(Metadata(iptc=IPTC, resources=RIGHTS), kind).metadata
    assert metadata.resources == RIGHTS and metadata.iptc.rstrip(b"\0") == IPTC
    assert metadata.left_out("webp")[-1] == "left out of the file: Photoshop's resources"


def with_segments(*segments: tuple[int, bytes]) -> bytes:
    """A JPEG with segments behind its head."""
    data = encode_picture(PIXELS, format="jpg")
    added = b"".join(bytes([0xFF, marker]) + (2 + len(body)).to_bytes(2) + body for marker, body in segments)
    return data[:20] + added + data[20:]


def test_what_is_never_handed_on_is_named_in_one_note() -> None:
    data = with_segments(
        (0xED, b"Photoshop 3.0\0" + as_resource(0x0425, b"0123456789abcdef") + as_resource(0x03F3, bytes(9))),
        (0xE1, b"FLIR\0\1\0\0"),
        (0xE1, b"FLIR\0\1\1\0"),
        (0xE6, b"GoPro\0"),
        (0xE4, b"\1\2\3"),
    )
    metadata = read_photo(BytesIO(data)).metadata
    assert metadata.left_out("jpg") == ["left out of the file: APP1 FLIR, APP6 GoPro, APP4, 1 of Photoshop's resources"]
    assert metadata.resources == as_resource(0x0425, b"0123456789abcdef")
    assert read_photo(BytesIO(with_segments((0xE0, b"JFXX\0\x13"), (0xEF, bytes(40))))).metadata.others == ()


def test_iptc_that_fills_several_segments_is_one() -> None:
    whole = as_resource(0x0404, IPTC)
    parts = [(0xED, b"Photoshop 3.0\0" + part) for part in (whole[:20], whole[20:])]
    assert read_photo(BytesIO(with_segments(*parts))).metadata.iptc == IPTC


@pytest.mark.parametrize("ending", [b"AXS!\0\0\0\0\0\0\0\0", b"\0\0\0\x20\xa1\xb2\xc3\xd4\0\0"])
def test_iptc_behind_the_end_of_a_jpeg_goes_along(ending: bytes) -> None:
    records = b"\x1c\x02\x00\x00\x02\0\2" + IPTC
    data = encode_picture(PIXELS, format="jpg") + b"AXS!\1\0" + bytes(8) + records + bytes(4) + ending
    assert read_photo(BytesIO(data)).metadata.iptc == records


def test_stripping_takes_all_of_it() -> None:
    whole = Metadata(block("<"), XMP, IPTC, RIGHTS, Resolution(Fraction(300), Fraction(300)), TEXTS, (b"a comment",))
    for kind in FORMATS:
        kept = read_photo(BytesIO(encode_picture(PIXELS, format=kind, metadata=None, note=NOTE))).metadata
        assert (kept.iptc, kept.resources, kept.texts, kept.comments) == (b"", b"", (), ())
        assert note_of(kept.xmp) == NOTE and b"Rating" not in kept.xmp
        assert photo_with(whole, kind).metadata.exif


# --- behind a JPEG's end ---


def index_of_pictures(*types: int) -> tuple[int, bytes]:
    """The segment that tells of several pictures in a file (CIPA DC-007): their types."""
    entries = b"".join(struct.pack("<IIIHH", kind, 100, 0, 0, 0) for kind in (0x030000, *types))
    fields = [(0xB000, 7, 4, b"0100"), (0xB001, 4, 1, struct.pack("<I", 1 + len(types)))]
    fields.append((0xB002, 7, len(entries), struct.pack("<I", 8 + 2 + 3 * 12 + 4)))
    head = b"II*\0\x08\0\0\0\3\0" + b"".join(struct.pack("<HHI4s", *each) for each in fields) + bytes(4)
    return 0xE2, b"MPF\0" + head + entries


def samsungs_trailer(kind: int) -> bytes:
    directory = b"SEFH" + struct.pack("<IIHHII", 106, 1, 0, kind, 20, 20)
    return b"data" + directory + struct.pack("<I", len(directory)) + b"SEFT"


GOOGLES = description(
    b"<GCamera:MotionPhoto xmlns:GCamera='http://ns.google.com/photos/1.0/camera/'>1</GCamera:MotionPhoto>"
)
GAIN_MAP = description(b"", b'xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/" hdrgm:Version="1.0"')
VIDEO = b"\0\0\0\x18ftypmp42" + bytes(range(200))


@pytest.mark.parametrize(
    ("segments", "packet", "behind", "named"),
    [
        ([], b"", b"", []),
        ([], b"", bytes(300), []),  # which cameras fill files up with
        ([], b"", VIDEO, ["its video (motion photo)"]),
        ([], GOOGLES, VIDEO, ["its video (motion photo)"]),
        ([], b"", VIDEO + samsungs_trailer(0x0A30), ["its video (motion photo)"]),
        ([], b"", samsungs_trailer(0x0001), ["Samsung's trailer"]),
        ([], b"", b"other data", ["bytes behind its end"]),
        ([index_of_pictures(0x020002)], b"", b"", ["1 further picture (MPF)"]),
        ([index_of_pictures(0, 0)], b"", b"", ["2 further pictures (MPF)"]),
        ([index_of_pictures(0x010001, 0x010002)], b"", b"", []),  # thumbnails
        ([index_of_pictures(0)], GAIN_MAP, b"", ["its gain map"]),
        ([index_of_pictures(0, 0)], GAIN_MAP, b"", ["its gain map", "1 further picture (MPF)"]),
    ],
)
def test_what_lies_behind_a_jpegs_end_is_named(
    segments: list[tuple[int, bytes]], packet: bytes, behind: bytes, named: list[str]
) -> None:
    if packet:
        segments = [(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + packet), *segments]
    photo = read_photo(BytesIO(with_segments(*segments) + behind))
    assert photo.metadata.left_out("jpg") == ([f"left out of the file: {', '.join(named)}"] if named else [])
    assert np.array_equal(photo.pixels, read_photo(BytesIO(with_segments())).pixels)


@pytest.mark.parametrize(
    ("kind", "named"),
    [
        (b"urn:mpeg:hevc:2015:auxid:1", []),  # transparency
        (b"urn:mpeg:hevc:2015:auxid:2", ["left out of the file: its depth map"]),
        (b"urn:com:photo:hdrgainmap:x", ["left out of the file: its gain map"]),
        (b"urn:com:photo:portrait:abc", ["left out of the file: an auxiliary picture"]),
    ],
)
def test_pictures_beside_that_of_a_heic_are_named(kind: bytes, named: list[str]) -> None:
    file = BytesIO()
    pillow_heif.from_pillow(Image.new("RGBA", (64, 48), (9, 99, 200, 120))).save(file, quality=90)
    data = file.getvalue()
    assert data.count(b"urn:mpeg:hevc:2015:auxid:1") == 1
    photo = read_photo(BytesIO(data.replace(b"urn:mpeg:hevc:2015:auxid:1", kind)))
    assert photo.metadata.left_out("jpg") == named
    assert (photo.alpha is None) == bool(named)


def test_of_several_pictures_in_a_heic_the_main_one_is_drawn_and_that_is_noted() -> None:
    file = BytesIO()
    several = pillow_heif.from_pillow(Image.new("RGB", (64, 48)))
    several.add_from_pillow(Image.new("RGB", (32, 32)))
    several.save(file, quality=90)
    photo = read_photo(file)
    assert photo.pixels.shape == (48, 64, 3) and photo.notes == ("the main one of 2 pictures",)


# --- by ExifTool ---


def warnings_of(path: Path) -> list[str]:
    """What ExifTool says that is wrong with a picture's metadata."""
    command = ["exiftool", "-validate", "-a", "-warning", "-error", "-s3", str(path)]
    said = subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines()
    assert said, "it has not run"
    return said[1:]


@pytest.mark.skipif(shutil.which("exiftool") is None, reason="needs exiftool: apt-get install libimage-exiftool-perl")
@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("metadata", [Metadata(), Metadata(block("<"), XMP, IPTC, RIGHTS), Metadata(xmp=LONG_XMP)])
def test_exiftool_finds_no_more_wrong_with_a_drawing_than_with_its_photo(
    kind: str, metadata: Metadata, tmp_path: Path
) -> None:
    (tmp_path / "photo.jpg").write_bytes(
        with_segments(
            *[(0xE1, b"Exif\0\0" + metadata.exif)] * bool(metadata.exif),
            *[(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + metadata.xmp)] * (0 < len(metadata.xmp) < 60_000),
        )
    )
    data = encode_picture(PIXELS, format=kind, metadata=metadata, note=NOTE)
    (tmp_path / f"drawing.{kind}").write_bytes(data)
    before, after = (warnings_of(tmp_path / name) for name in ("photo.jpg", f"drawing.{kind}"))
    of_tiff_alone = {"Missing required TIFF GPS tag 0x001b GPSProcessingMethod"} if kind == "tiff" else set()
    assert len([each for each in after if each not in of_tiff_alone]) <= len(before)
    said = subprocess.run(["exiftool", "-b", "-XMP-toonify:all", tmp_path / f"drawing.{kind}"], capture_output=True)
    assert said.stdout.decode() == NOTE
