import struct
import zlib
from io import BytesIO
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image, ImageCms

from toonify.errors import ImageError
from toonify.images import FORMATS as TABLE
from toonify.images import Metadata, Photo, encode_picture, read_photo, read_processing_note
from toonify.images.formats import FormatName, FormatOption
from toonify.images.xmp import note_of

# Pillow warns of damaged EXIF; users do not run with warnings as errors, so these tests do not either.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")

Base, IFD = ExifTags.Base, ExifTags.IFD
FORMATS = sorted(TABLE)
LOSSLESS = {"JPEG": {"quality": 100, "subsampling": 0}, "WEBP": {"lossless": True}, "AVIF": {"quality": 100}}


def save(image: Image.Image | np.ndarray, kind: str = "PNG", **options) -> bytes:
    image = image if isinstance(image, Image.Image) else Image.fromarray(image)
    buffer = BytesIO()
    image.save(buffer, kind, **LOSSLESS.get(kind, {}), **options)
    return buffer.getvalue()


def read(data: bytes, **options) -> Photo:
    return read_photo(BytesIO(data), **options)


def flat(*color: int, size: tuple[int, int] = (16, 24)) -> np.ndarray:
    return np.full((*size, len(color)), color, np.uint8)


def camera_exif() -> Image.Exif:
    exif = Image.Exif()
    exif[Base.Make] = "Kamera"
    exif[Base.Model] = "K1"
    exif.get_ifd(IFD.Exif).update(
        {
            Base.DateTimeOriginal: "2020:02:29 12:34:56",
            Base.ExposureTime: 0.01,
            Base.ColorSpace: 65535,
            Base.ExifImageWidth: 4032,
            Base.ExifImageHeight: 3024,
        }
    )
    exif.get_ifd(IFD.GPSInfo).update({1: "N", 2: (47.0, 30.0, 15.0), 3: "E", 4: (9.0, 45.0, 0.5)})
    return exif


def of(exif: Image.Exif) -> Metadata:
    return Metadata(exif.tobytes().removeprefix(b"Exif\0\0"))


def exif_of(data: bytes) -> Image.Exif:
    with Image.open(BytesIO(data)) as image:
        image.load()
        return image.getexif()


def srgb(linear: np.ndarray) -> np.ndarray:
    """The transfer function of IEC 61966-2-1, 0..1 to 0..255."""
    return 255 * np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


# --- ICC profiles, version 2, by hand ---

PRIMARIES = {
    "r": (0.4361, 0.2225, 0.0139),
    "g": (0.3851, 0.7169, 0.0971),
    "b": (0.1431, 0.0606, 0.7141),
}  # of sRGB, D50


def icc(space: bytes, tags: dict[bytes, bytes], *, kind: bytes = b"mntr", pcs: bytes = b"XYZ ") -> bytes:
    name = b"by hand\0"
    tags = {
        b"desc": b"desc" + struct.pack(">II", 0, len(name)) + name + bytes(78),
        b"cprt": b"text\0\0\0\0none\0",
        b"wtpt": xyz(0.9642, 1, 0.8249),
        **tags,
    }
    tags = {tag: data + bytes(-len(data) % 4) for tag, data in tags.items()}
    offset = 132 + 12 * len(tags)
    table = b""
    for tag, data in tags.items():
        table += tag + struct.pack(">II", offset, len(data))
        offset += len(data)
    header = struct.pack(">I4sI4s4s4s12x4s28x", offset, b"test", 0x02100000, kind, space, pcs, b"acsp")
    header += struct.pack(">3i48x", *(round(v * 65536) for v in (0.9642, 1, 0.8249)))
    return header + struct.pack(">I", len(tags)) + table + b"".join(tags.values())


def xyz(*values: float) -> bytes:
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(v * 65536) for v in values))


def gamma(value: float) -> bytes:
    return b"curv" + struct.pack(">IIH", 0, 1, round(value * 256))


def rgb_profile(red: str, green: str, blue: str) -> bytes:
    primaries = {f"{to}XYZ".encode(): xyz(*PRIMARIES[of]) for to, of in zip("rgb", (red, green, blue), strict=True)}
    return icc(b"RGB ", {**primaries, **{f"{channel}TRC".encode(): gamma(2.2) for channel in "rgb"}})


def cmyk_profile_of_gray_inks() -> bytes:
    """Full cyan is a gray of L* 50, black ink is black, the other two leave no trace, and the paper is yellowish."""
    ramp = bytes(range(256))
    lattice = b"".join(
        bytes([0 if k else 128 if c else 255, 128, 128])
        for c in (0, 1)
        for _ in range(4)  # magenta and yellow
        for k in (0, 1)
    )
    identity = struct.pack(">9i", *(65536 * v for v in (1, 0, 0, 0, 1, 0, 0, 0, 1)))
    lut = b"mft1\0\0\0\0" + bytes([4, 3, 2, 0]) + identity + 4 * ramp + lattice + 3 * ramp
    return icc(b"CMYK", {b"A2B0": lut, b"wtpt": xyz(0.8, 0.84, 0.6)}, kind=b"prtr", pcs=b"Lab ")


# --- orientation ---


def upright_and_stored(orientation: int) -> tuple[np.ndarray, np.ndarray]:
    """A picture of 16 x 24, and how a camera stores it that was held so (EXIF 2.3, tag Orientation)."""
    upright = np.kron(np.arange(6, dtype=np.uint8).reshape(2, 3, 1) * 40, np.ones((8, 8, 3), np.uint8))
    stored = {
        1: upright,
        2: np.fliplr(upright),
        3: np.rot90(upright, 2),
        4: np.flipud(upright),
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright, 1),
        7: np.rot90(upright, 2).transpose(1, 0, 2),
        8: np.rot90(upright, -1),
    }
    return upright, np.ascontiguousarray(stored[orientation])


@pytest.mark.parametrize("kind", [TABLE[kind].pillow for kind in FORMATS])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_decodes_upright_and_is_not_applied_twice(orientation, kind):
    upright, stored = upright_and_stored(orientation)
    exif = Image.Exif()
    exif[Base.Orientation] = orientation
    photo = read(save(stored, kind, exif=exif))
    assert photo.pixels.shape == upright.shape
    assert np.abs(photo.pixels.astype(int) - upright).max() <= 4
    assert photo.exif.get(Base.Orientation, 1) == 1
    written = encode_picture(photo.pixels, format="jpg", metadata=photo.metadata)
    assert exif_of(written).get(Base.Orientation, 1) == 1
    assert read(written).pixels.shape == upright.shape


def test_an_orientation_that_does_not_exist_leaves_the_picture_as_it_lies():
    exif = Image.Exif()
    exif[Base.Orientation] = 9
    photo = read(save(flat(10, 20, 30), exif=exif))
    assert photo.pixels.shape == (16, 24, 3)
    assert photo.exif.get(Base.Orientation, 1) == 1


@pytest.mark.parametrize("orientation", [3, 5, 6, 8])
def test_real_photos_from_cameras_held_in_any_way_come_out_alike(test_data, orientation):
    folder = test_data / "photos" / "awkward"
    pictures = []
    for number in (1, orientation):
        with (folder / f"orientation_{number}.jpg").open("rb") as file:
            pictures.append(read_photo(file).pixels)
    assert pictures[0].shape == pictures[1].shape == (1800, 1200, 3)
    blocks = [picture.reshape(18, 100, 12, 100, 3).mean(axis=(1, 3)) for picture in pictures]
    assert np.abs(blocks[0] - blocks[1]).mean() < 8


def test_a_real_heic_of_a_phone_stands_upright_and_keeps_its_exif(test_data):
    with (test_data / "photos" / "awkward" / "iphone.heic").open("rb") as file:
        photo = read_photo(file)
    assert photo.pixels.shape == (3313, 2566, 3)
    assert (photo.format, photo.alpha, photo.notes) == ("jpg", None, ())
    assert photo.exif[Base.Model] == "iPhone 11 Pro Max"
    small = np.ascontiguousarray(photo.pixels[::32, ::32])
    written = exif_of(encode_picture(small, format="jpg", metadata=photo.metadata))
    assert written.get_ifd(IFD.Exif)[Base.DateTimeOriginal] == "2021:04:11 15:47:53"
    assert written.get_ifd(IFD.GPSInfo)[1] == "N"


def test_a_real_corrupt_jpeg_is_named(test_data: Path) -> None:
    path = test_data / "photos" / "awkward" / "corrupted.jpg"
    with path.open("rb") as file, pytest.raises(ImageError, match=r"damaged: .*premature end of data"):
        read_photo(file)


def test_a_jpeg_that_has_lost_its_middle_is_damaged_and_one_with_odd_bytes_is_not() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    data = encode_picture(pixels, format="jpg")
    half = len(data) // 2
    with pytest.raises(ImageError, match="damaged"):
        read_photo(BytesIO(data[:half] + b"\xff\xd9"))
    with pytest.raises(ImageError, match="damaged"):
        read_photo(BytesIO(data[: half - 2000] + data[half:]))
    for odd in (data + b"more", data[:-2] + b"\x00\x00" + data[-2:]):
        assert read_photo(BytesIO(odd)).pixels.shape == pixels.shape


# --- EXIF ---


@pytest.mark.parametrize("kind", FORMATS)
def test_exif_of_a_camera_reaches_the_drawing_and_tells_the_truth_about_it(kind):
    photo = read(save(flat(90, 120, 150), "JPEG", exif=camera_exif()))
    exif = exif_of(encode_picture(flat(1, 2, 3, size=(30, 20)), format=kind, metadata=photo.metadata))
    assert (exif[Base.Make], exif[Base.Model]) == ("Kamera", "K1")
    details = exif.get_ifd(IFD.Exif)
    assert details[Base.DateTimeOriginal] == "2020:02:29 12:34:56"
    assert float(details[Base.ExposureTime]) == pytest.approx(0.01)
    assert details[Base.ColorSpace] == 1
    if kind != "tiff":  # whose Exif says nothing of it
        assert (details[Base.ExifImageWidth], details[Base.ExifImageHeight]) == (20, 30)
    assert exif.get_ifd(IFD.GPSInfo)[1] == "N"
    assert tuple(map(float, exif.get_ifd(IFD.GPSInfo)[2])) == (47, 30, 15)
    assert exif.get_ifd(IFD.IFD1) == {}


@pytest.mark.parametrize("kind", FORMATS)
def test_exif_survives_when_a_drawing_is_drawn_again(kind):
    exif = camera_exif()
    for _ in range(2):
        photo = read(encode_picture(flat(90, 120, 150), format=kind, metadata=of(exif)))
        exif = photo.exif
    assert exif[Base.Make] == "Kamera"
    assert exif.get_ifd(IFD.Exif)[Base.DateTimeOriginal] == "2020:02:29 12:34:56"
    assert exif.get_ifd(IFD.GPSInfo)[3] == "E"


@pytest.mark.parametrize("kind", FORMATS)
def test_exif_without_tags_at_its_top_is_kept_too(kind):
    exif = Image.Exif()
    exif.get_ifd(IFD.Exif)[Base.DateTimeOriginal] = "2020:02:29 12:34:56"
    photo = read(save(flat(90, 120, 150), exif=exif.tobytes()))
    written = exif_of(encode_picture(photo.pixels, format=kind, metadata=photo.metadata))
    assert written.get_ifd(IFD.Exif)[Base.DateTimeOriginal] == "2020:02:29 12:34:56"


@pytest.mark.parametrize("kind", FORMATS)
def test_names_beyond_ascii_survive(kind):
    artist = "© Zoë Müller".encode()
    exif = Image.Exif()
    exif[Base.Artist] = artist
    photo = read(save(flat(90, 120, 150), "JPEG", exif=exif))
    written = exif_of(encode_picture(photo.pixels, format=kind, metadata=photo.metadata))
    assert written[Base.Artist].encode("latin-1") == artist


def test_an_interoperability_block_never_points_into_the_void():
    exif = camera_exif()
    exif.get_ifd(IFD.Exif)[IFD.Interop] = {1: "R98", 2: b"0100"}
    photo = read(save(flat(90, 120, 150), "JPEG", exif=exif))
    written = exif_of(encode_picture(photo.pixels, format="jpg", metadata=photo.metadata))
    assert IFD.Interop not in written.get_ifd(IFD.Exif) or written.get_ifd(IFD.Interop)[1] == "R98"


def test_a_thumbnail_of_the_photo_is_not_handed_on_with_the_drawing():
    thumbnail = b"THUMBNAIL" * 3
    make = struct.pack("<HHHI4s", 1, Base.Make, 2, 4, b"Cam\0")
    place = struct.pack("<HHIIHHII", Base.JpegIFOffset, 4, 1, 56, Base.JpegIFByteCount, 4, 1, len(thumbnail))
    exif = b"Exif\0\0II*\0\x08\0\0\0" + make + struct.pack("<I", 26) + struct.pack("<H", 2) + place + bytes(4)
    data = save(flat(90, 120, 150), "JPEG", exif=exif + thumbnail)
    assert exif_of(data).get_ifd(IFD.IFD1)[Base.JpegIFOffset] == 56
    photo = read(data)
    written = encode_picture(photo.pixels, format="jpg", metadata=photo.metadata)
    assert exif_of(written)[Base.Make] == "Cam"
    assert thumbnail not in written
    assert exif_of(written).get_ifd(IFD.IFD1) == {}


def test_a_tiff_hands_on_what_describes_the_photo_and_not_how_it_is_stored():
    photo = read(save(flat(90, 120, 150, size=(300, 400)), "TIFF", exif=camera_exif().tobytes()))
    assert photo.exif.get_ifd(IFD.Exif)[Base.DateTimeOriginal] == "2020:02:29 12:34:56"
    exif = exif_of(encode_picture(flat(1, 2, 3), format="png", metadata=photo.metadata))
    assert exif[Base.Make] == "Kamera"
    layout = {Base.StripOffsets, Base.StripByteCounts, Base.RowsPerStrip, Base.ImageWidth, Base.Compression}
    assert not layout & set(exif)


@pytest.mark.parametrize("length", range(0, 60, 7))
def test_a_corrupt_exif_does_not_cost_the_picture(length):
    exif = camera_exif().tobytes()[: 6 + length]
    photo = read(save(flat(90, 120, 150), exif=exif))
    assert np.abs(photo.pixels.astype(int) - (90, 120, 150)).max() <= 2
    assert encode_picture(photo.pixels, format="jpg", metadata=photo.metadata)


def test_a_corrupt_exif_is_noted():
    photo = read(save(flat(90, 120, 150), "JPEG", exif=b"Exif\0\0no such thing as a TIFF header"))
    assert any("EXIF is broken" in note for note in photo.notes)
    assert len(photo.exif) == 0


@settings(max_examples=120, deadline=None)
@given(hits=st.lists(st.tuples(st.integers(6, 400), st.integers(0, 255)), min_size=1, max_size=12))
def test_whatever_is_wrong_with_the_exif_the_picture_is_read_and_written(hits):
    exif = bytearray(camera_exif().tobytes())
    for place, value in hits:
        exif[6 + place % (len(exif) - 6)] = value
    photo = read(save(flat(90, 120, 150, size=(4, 4)), exif=bytes(exif)))
    assert sorted(photo.pixels.shape) == [3, 4, 4]
    for kind in ("jpg", "tiff"):
        assert read(encode_picture(photo.pixels, format=kind, metadata=photo.metadata)).pixels.shape == (4, 4, 3)


def test_a_huge_makers_note_is_dropped_before_the_rest_of_the_exif():
    exif = camera_exif()
    exif.get_ifd(IFD.Exif)[Base.MakerNote] = bytes(70_000)
    written = exif_of(encode_picture(flat(1, 2, 3), format="jpg", metadata=of(exif))).get_ifd(IFD.Exif)
    assert Base.MakerNote not in written
    assert written[Base.DateTimeOriginal] == "2020:02:29 12:34:56"


def test_encoding_leaves_the_callers_exif_as_it_is():
    exif = camera_exif()
    encode_picture(flat(1, 2, 3), format="jpg", metadata=of(exif))
    assert dict(exif) == dict(camera_exif())
    assert exif.get_ifd(IFD.Exif) == camera_exif().get_ifd(IFD.Exif)


# --- color profiles ---


def test_colors_come_to_srgb_through_the_embedded_profile():
    ramp = np.linspace(0, 255, 16).round().astype(np.uint8)
    pixels = np.stack(np.broadcast_arrays(ramp[:, None], ramp[None, ::-1], np.uint8(77)), axis=-1)
    photo = read(save(pixels, icc_profile=rgb_profile(red="g", green="r", blue="b")))
    expected = srgb((pixels[..., [1, 0, 2]] / 255) ** 2.2)
    assert np.abs(photo.pixels - expected).max() <= 3
    assert photo.notes == ()


def test_a_drawing_carries_no_profile_of_the_photo():
    photo = read(save(flat(200, 100, 50), icc_profile=rgb_profile("g", "r", "b")))
    with Image.open(BytesIO(encode_picture(photo.pixels, format="png", metadata=photo.metadata))) as image:
        assert "icc_profile" not in image.info
        assert np.array_equal(np.asarray(image), photo.pixels)


@pytest.mark.parametrize("mode", ["L", "LA", "I;16", "L with a transparent shade"])
def test_gray_pictures_go_through_their_gray_profile(mode):
    profile = icc(b"GRAY", {b"kTRC": gamma(1)})
    gray = np.array([[0, 64, 128, 255]], np.uint8)
    options: dict = {}
    match mode:
        case "LA":
            image = Image.fromarray(np.dstack([gray, np.full_like(gray, 200)]))
        case "I;16":
            image = Image.fromarray(gray.astype(np.uint16) * 257)
        case _:
            image = Image.fromarray(gray)
            options = {} if mode == "L" else {"transparency": 7}
    photo = read(save(image, icc_profile=profile, **options))
    assert photo.notes == ()
    assert np.abs(photo.pixels - srgb(gray / 255)[..., None]).max() <= 2


def test_the_profile_of_luma_and_chroma_is_that_of_their_colors():
    pixels, profile = flat(200, 100, 50), rgb_profile("g", "b", "r")
    plain = read(save(Image.fromarray(pixels), "TIFF", icc_profile=profile))
    other = read(save(Image.fromarray(pixels).convert("YCbCr"), "TIFF", icc_profile=profile))
    assert np.abs(plain.pixels.astype(int) - other.pixels).max() <= 4
    assert np.abs(plain.pixels.astype(int) - pixels).max() > 20


@pytest.mark.parametrize("profile", [b"rubbish", rgb_profile("r", "g", "b")[:200]])
def test_a_broken_profile_is_noted_and_left_aside(profile):
    photo = read(save(flat(200, 100, 50), icc_profile=profile))
    assert any("color profile is broken" in note for note in photo.notes)
    assert np.array_equal(photo.pixels, flat(200, 100, 50))


# --- modes ---


@pytest.mark.parametrize("kind", ["TIFF", "JPEG"])
def test_cmyk_without_a_profile_is_read_as_ideal_inks(kind):
    inks = np.concatenate([flat(255, 0, 0, 0), flat(0, 0, 0, 255), flat(0, 128, 0, 0), flat(0, 0, 0, 0)])
    photo = read(save(Image.fromarray(inks, "CMYK"), kind))
    expected = [(0, 255, 255), (0, 0, 0), (255, 127, 255), (255, 255, 255)]
    assert np.abs(photo.pixels[8::16, 8].astype(int) - expected).max() <= 3


@pytest.mark.parametrize("kind", ["TIFF", "JPEG"])
def test_cmyk_goes_through_its_profile(kind):
    inks = np.concatenate([flat(255, 0, 0, 0), flat(0, 255, 255, 0), flat(0, 0, 0, 255)])
    photo = read(save(Image.fromarray(inks, "CMYK"), kind, icc_profile=cmyk_profile_of_gray_inks()))
    assert photo.notes == ()
    assert np.abs(photo.pixels[8::16, 8].astype(int) - [[119], [255], [0]]).max() <= 3


def test_gray_and_black_and_white_become_three_equal_channels():
    gray = np.array([[0, 100, 255]], np.uint8)
    assert np.array_equal(read(save(gray)).pixels, np.repeat(gray[..., None], 3, axis=2))
    bits = Image.fromarray(np.array([[0, 255, 255]], np.uint8)).convert("1")
    assert read(save(bits)).pixels[0, :, 0].tolist() == [0, 255, 255]


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_16_bit_gray_is_scaled_and_not_clipped(kind):
    photo = read(save(np.array([[0, 200, 32_768, 65_535]], np.uint16), kind))
    assert photo.pixels[0].tolist() == [[0] * 3, [1] * 3, [128] * 3, [255] * 3]


@pytest.mark.parametrize("turned", [False, True])
def test_a_tiff_whose_white_is_zero_is_no_negative(turned):
    gray = np.array([[0, 200, 32_768, 65_535]], np.uint16)
    tags = {262: 0} | ({274: 3} if turned else {})  # PhotometricInterpretation; Orientation, upside down
    photo = read(save(gray, "TIFF", tiffinfo=tags))
    assert photo.pixels[0, :, 0].tolist() == ([0, 127, 254, 255] if turned else [255, 254, 127, 0])


def test_gray_of_12_bits_is_as_bright_as_that_of_16():
    values = np.array([[0, 1024, 2048, 4095]])
    photo = read(tiff_of_12_bits(values))
    assert photo.pixels[0, :, 0].tolist() == [0, 64, 128, 255]


def tiff_of_12_bits(values: np.ndarray) -> bytes:
    """A gray TIFF of one strip, two values in three bytes."""
    (height, width), bits = values.shape, "".join(f"{value:012b}" for value in values.flat)
    data = int(bits, 2).to_bytes(len(bits) // 8, "big")
    entries = [(256, width), (257, height), (258, 12), (259, 1), (262, 1), (273, 8), (277, 1), (278, height)]
    entries.append((279, len(data)))
    head = b"II*\0" + struct.pack("<I", 8 + len(data)) + data + struct.pack("<H", len(entries))
    return head + b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries) + bytes(4)


def test_lab_keeps_its_colors():
    lab, srgb_profile = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    colors = np.concatenate([flat(255, 0, 0), flat(20, 90, 160), flat(119, 119, 119)])
    image = ImageCms.profileToProfile(Image.fromarray(colors), srgb_profile, lab, outputMode="LAB")
    photo = read(save(image, "TIFF"))
    assert np.abs(photo.pixels.astype(int) - colors).max() <= 6


@pytest.mark.parametrize("values", [np.full((2, 2), 0.5, np.float32), np.full((2, 2), 70_000, np.int32)])
def test_pictures_without_a_defined_white_are_refused(values):
    with pytest.raises(ImageError, match="no defined white; convert it to 16 bit"):
        read(save(values, "TIFF"))


# --- transparency ---


def test_a_shade_of_16_bits_may_stand_for_transparency():
    gray = np.array([[0, 300, 32_768, 65_535]], np.uint16)
    photo = read(save(gray, "PNG", transparency=300))
    assert photo.alpha is not None and photo.alpha[0].tolist() == [255, 0, 255, 255]
    assert photo.pixels[0, [0, 2, 3], 0].tolist() == [0, 128, 255]
    assert read(save(gray, "PNG", transparency=301)).alpha is None


def test_a_palette_with_a_transparent_entry_gives_colors_and_alpha():
    image = Image.fromarray(np.array([[0, 1, 2]], np.uint8), "P")
    image.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    photo = read(save(image, transparency=1))
    assert photo.alpha.tolist() == [[255, 0, 255]]
    assert photo.pixels[0, ::2].tolist() == [[255, 0, 0], [0, 0, 255]]


def test_gray_with_alpha_gives_both():
    photo = read(save(flat(80, 30)))
    assert np.array_equal(photo.pixels, flat(80, 80, 80))
    assert (photo.alpha == 30).all()


def test_full_alpha_counts_as_none():
    assert read(save(flat(1, 2, 3, 255))).alpha is None


def test_colors_under_full_transparency_become_the_mean_of_what_is_seen():
    pixels = flat(255, 0, 255, 0)
    pixels[:, :8] = 10, 20, 30, 255
    pixels[:, 8:16] = 30, 40, 50, 128
    photo = read(save(pixels))
    assert photo.pixels[0, 23].tolist() == [20, 30, 40]
    assert photo.pixels[0, 0].tolist() == [10, 20, 30]


def test_a_picture_that_is_wholly_transparent_is_read():
    photo = read(save(flat(9, 8, 7, 0)))
    assert photo.pixels.shape == (16, 24, 3)
    assert not photo.alpha.any()


@pytest.mark.parametrize("kind", [kind for kind in FORMATS if TABLE[kind].transparency])
def test_alpha_survives(kind):
    alpha = np.repeat(np.arange(0, 240, 10, dtype=np.uint8)[None], 16, axis=0)
    photo = read(encode_picture(flat(120, 60, 30), format=kind, alpha=alpha))
    assert np.abs(photo.alpha.astype(int) - alpha).max() <= (6 if kind == "avif" else 0)
    assert np.abs(photo.pixels[:, 1:].astype(int) - (120, 60, 30)).max() <= 12


def test_a_jpeg_lays_transparency_on_white():
    alpha = np.full((16, 24), 128, np.uint8)
    photo = read(encode_picture(flat(100, 100, 100), format="jpg", alpha=alpha))
    assert np.abs(photo.pixels.astype(int) - 177).max() <= 1


# --- kinds of files ---


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_of_an_animation_the_first_frame_is_taken_and_that_is_noted(kind):
    frames = [Image.fromarray(flat(*color)) for color in ((250, 10, 10), (10, 250, 10), (10, 10, 250))]
    photo = read(save(frames[0], kind, save_all=True, append_images=frames[1:]))
    assert photo.notes == ("first of 3 frames",)
    assert np.abs(photo.pixels.astype(int) - (250, 10, 10)).max() <= 8


@pytest.mark.parametrize(
    ("decoder", "kind"),
    [*((TABLE[kind].pillow, kind) for kind in FORMATS), ("BMP", "png"), ("GIF", "png"), ("HEIF", "jpg")],
)
def test_every_kind_is_read_and_names_the_kind_that_is_written_for_it(decoder, kind):
    read(save(flat(0, 0, 0)))  # registers HEIF
    photo = read(save(flat(200, 120, 40, size=(64, 48)), decoder))
    assert photo.format == kind
    assert photo.pixels.dtype == np.uint8
    assert photo.pixels.shape == (64, 48, 3)
    assert np.abs(photo.pixels.astype(int) - (200, 120, 40)).max() <= 6


def test_other_kinds_are_refused_by_name():
    with pytest.raises(ImageError, match=r"^PPM pictures are not read"):
        read(save(flat(1, 2, 3), "PPM"))


@pytest.mark.parametrize(
    "data",
    [b"", b"hello, I am text\n" * 9, save(flat(9, 9, 9), "JPEG")[:200], save(flat(9, 9, 9))[:50], b"\x89PNG\r\n\x1a\n"],
    ids=["empty", "text", "half a JPEG", "half a PNG", "PNG signature"],
)
def test_what_is_no_picture_is_refused_in_one_line(data):
    with pytest.raises(ImageError) as caught:
        read(data)
    message = str(caught.value)
    assert message
    assert "\n" not in message
    assert not message.endswith(".")


def test_a_picture_over_the_limit_is_refused_before_it_is_decoded():
    ihdr = b"IHDR" + struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    header = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + ihdr + struct.pack(">I", zlib.crc32(ihdr))
    idat = b"IDAT" + zlib.compress(bytes(100))
    data = header + struct.pack(">I", len(idat) - 4) + idat + struct.pack(">I", zlib.crc32(idat))
    with pytest.raises(ImageError, match=r"60000 x 60000 .* limit of 250; .*--max-megapixels 3600"):
        read(data)


def test_the_limit_is_on_pixels_not_on_sides():
    assert read(save(np.zeros((1, 60_000, 3), np.uint8))).pixels.shape == (1, 60_000, 3)


def test_the_limit_that_the_message_names_is_enough():
    data = save(flat(1, 2, 3, size=(1000, 1100)))
    with pytest.raises(ImageError, match=r"--max-megapixels 2$"):
        read(data, max_pixels=1_000_000)
    assert read(data, max_pixels=2_000_000).pixels.shape == (1000, 1100, 3)


def test_pillows_own_limit_is_left_as_it_was(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 4)
    assert read(save(flat(1, 2, 3))).pixels.shape == (16, 24, 3)
    with pytest.raises(ImageError):
        read(b"no picture")
    assert Image.MAX_IMAGE_PIXELS == 4


# --- damaged files ---

WHOLE = {
    kind: save(np.asarray(Image.linear_gradient("L").resize((20, 14)).convert("RGB")), kind)
    for kind in ("JPEG", "PNG", "WEBP", "GIF", "TIFF")
}


def decodes_or_is_refused(data: bytes) -> None:
    try:
        photo = read(data, max_pixels=100_000)
    except ImageError as error:
        assert "\n" not in str(error)
    else:
        assert photo.pixels.dtype == np.uint8
        assert photo.pixels.shape[2] == 3


@pytest.mark.parametrize("kind", sorted(WHOLE))
@settings(max_examples=80, deadline=None)
@given(
    hits=st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 255)), max_size=10),
    end=st.integers(1, 5000) | st.none(),
)
def test_a_damaged_file_decodes_or_is_refused(kind, hits, end):
    data = bytearray(WHOLE[kind])
    for place, value in hits:
        data[place % len(data)] = value
    decodes_or_is_refused(bytes(data[: None if end is None else end % len(data)]))


@settings(max_examples=80, deadline=None)
@given(
    start=st.sampled_from([b"", b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"II*\0", b"BM", b"RIFF"]),
    rest=st.binary(max_size=200),
)
def test_random_bytes_decode_or_are_refused(start, rest):
    decodes_or_is_refused(start + rest)


# --- encoding ---


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_gives_the_pixels_back(kind, noise):
    photo = read(encode_picture(noise, format=kind, quality=None if TABLE[kind].quality is None else 95))
    assert photo.format == kind
    difference = np.abs(photo.pixels.astype(int) - noise)
    assert difference.max() == 0 if TABLE[kind].quality is None else difference.mean() < 4


def test_a_jpeg_keeps_the_full_resolution_of_color():
    with Image.open(BytesIO(encode_picture(flat(1, 2, 3), format="jpg"))) as image:
        components = image.layer  # type: ignore[attr-defined]
    assert [component[1:3] for component in components] == [(1, 1)] * 3


def test_quality_is_passed_on(noise):
    small, large = (len(encode_picture(noise, format="jpg", quality=quality)) for quality in (20, 95))
    assert small < large / 2


@pytest.mark.parametrize(("kind", "limit"), [("webp", 16_383), ("jpg", 65_500)])
def test_what_a_format_cannot_hold_is_refused_by_name(kind, limit):
    assert read(encode_picture(np.zeros((1, limit, 3), np.uint8), format=kind)).pixels.shape == (1, limit, 3)
    with pytest.raises(ImageError, match=rf"{limit + 1} x 1 is more than {kind} holds \({limit} a side\).*png"):
        encode_picture(np.zeros((1, limit + 1, 3), np.uint8), format=kind)


# --- the note in our own pictures ---


@pytest.mark.parametrize("kind", FORMATS)
def test_the_processing_note_comes_back_from_every_format(kind, tmp_path, noise):
    note = "toonify 0.1.0 shinkai/lite recipe:0123456789abcdef"
    path = tmp_path / "drawing"
    path.write_bytes(encode_picture(noise, format=kind, note=note))
    assert read_processing_note(path) == note


def test_the_processing_note_of_an_earlier_toonify_is_read(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[Base.ProcessingSoftware] = "toonify 0.1.0 shinkai/lite recipe:0123456789abcdef"
    path = tmp_path / "drawing.jpg"
    path.write_bytes(save(flat(1, 2, 3), "JPEG", exif=exif))
    assert read_processing_note(path) == exif[Base.ProcessingSoftware]


def test_what_has_no_processing_note_gives_none(tmp_path: Path):
    for name, data in {"garbage": b"garbage", "empty": b"", "plain.png": save(flat(1, 2, 3))}.items():
        (tmp_path / name).write_bytes(data)
        assert read_processing_note(tmp_path / name) is None
    assert read_processing_note(tmp_path / "missing.jpg") is None
    assert read_processing_note(tmp_path) is None


def test_a_gray_jpeg_with_an_rgb_profile_is_read_through_it() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    buffer = BytesIO()
    Image.new("L", (8, 8), 100).save(buffer, "JPEG", quality=100, icc_profile=profile)
    photo = read_photo(BytesIO(buffer.getvalue()))
    assert photo.notes == () and np.abs(photo.pixels.astype(int) - 100).max() <= 1


def test_long_exif_is_shortened_for_jpeg_alone_and_the_rest_kept() -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "Maker"
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.UserComment] = b"x" * 80_000
    for suffix, kept in (("jpg", False), ("png", True)):
        data = encode_picture(np.zeros((8, 8, 3), np.uint8), format=suffix, metadata=of(exif), note="toonify note")
        with Image.open(BytesIO(data)) as image:
            back = image.getexif()
            assert back[ExifTags.Base.Make] == "Maker" and note_of(image.info["xmp"]) == "toonify note"
            assert (ExifTags.Base.UserComment in back.get_ifd(ExifTags.IFD.Exif)) == kept


@pytest.mark.parametrize(
    ("enough", "decoded"), [(None, 800), (800, 800), (401, 800), (400, 400), (130, 200), (60, 100), (1, 100)]
)
@pytest.mark.parametrize("orientation", [1, 6])
def test_a_jpeg_is_decoded_no_larger_than_needed(enough: int | None, decoded: int, orientation: int) -> None:
    coarse = np.random.default_rng(0).integers(0, 256, (10, 16, 3), dtype=np.uint8)
    image = Image.fromarray(coarse).resize((800, 496), Image.Resampling.BICUBIC)
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    file = BytesIO()
    image.save(file, "JPEG", quality=95, exif=exif)
    whole, photo = read_photo(file), read_photo(file, enough=enough)
    turned = orientation == 6
    assert photo.stored_size == whole.stored_size == ((800, 496) if turned else (496, 800))
    assert photo.pixels.shape == ((decoded, decoded * 496 // 800, 3) if turned else (decoded * 496 // 800, decoded, 3))
    reduced = np.asarray(Image.fromarray(whole.pixels).resize(photo.pixels.shape[1::-1], Image.Resampling.BOX), int)
    assert np.abs(photo.pixels - reduced).mean() < 2


def test_other_formats_are_decoded_whole() -> None:
    file = BytesIO()
    Image.new("RGB", (800, 400)).save(file, "PNG")
    assert read_photo(file, enough=100).pixels.shape == (400, 800, 3)


def test_the_table_of_formats_is_whole() -> None:
    assert set(get_args(FormatName)) == set(TABLE) and get_args(FormatOption) == ("same", *TABLE)
    suffixes = [suffix for each in TABLE.values() for suffix in (*each.suffixes, *each.read_suffixes)]
    assert len(suffixes) == len(set(suffixes)) and all(suffix == suffix.lower() for suffix in suffixes)


@pytest.mark.parametrize("order", ["<", ">"])
def test_gray_and_alpha_in_separate_planes_are_refused_by_name(order: str) -> None:
    """Written by hand, for Pillow cannot: 4 x 4 pixels, two strips of 8 bits, unassociated alpha."""
    planes = bytes(range(16)), bytes([200] * 16)
    tags = [
        (256, 3, 1, 4), (257, 3, 1, 4), (258, 3, 2, 8 | 8 << 16), (259, 3, 1, 1),
        (262, 3, 1, 1), (273, 4, 2, 200), (277, 3, 1, 2), (278, 3, 1, 4), (279, 4, 2, 208),
        (284, 3, 1, 2), (338, 3, 1, 2),
    ]  # fmt: skip
    entries = b""
    for tag, kind, count, value in tags:
        short = kind == 3 and count == 1
        entries += struct.pack(f"{order}HHI", tag, kind, count)
        entries += struct.pack(f"{order}HH", value, 0) if short else struct.pack(f"{order}I", value)
    head = struct.pack(f"{order}2sHIH", b"II" if order == "<" else b"MM", 42, 8, len(tags)) + entries + bytes(4)
    lists = struct.pack(f"{order}4I", 216, 232, 16, 16)
    data = head.ljust(200, b"\0") + lists + b"".join(planes)
    with pytest.raises(ImageError, match="gray and alpha in separate planes"):
        read_photo(BytesIO(data))
