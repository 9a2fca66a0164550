"""Files that other programs of this kind read wrongly, each with what is right: tests/data/cases shows base.png."""

import struct
import sys
import zlib
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pillow_heif
import pytest
from PIL import ExifTags, Image, ImageCms
from videos import write_video

from toonify.errors import ImageError
from toonify.images import Photo, photo_from_image, picture_size, read_photo, read_stored
from toonify.images.child import decode_apart
from toonify.images.frame_header import frame_header
from toonify.images.jpeg import decode_jpeg, refuse_damaged_jpeg
from toonify.prepare.content import find_bars
from toonify.videos.reader import Video

CASES = Path(__file__).parents[1] / "data" / "cases"
TONE_MAPPED = "its HDR was tone-mapped to sRGB"
TAIL = "it has bytes behind its picture that do not belong to it"


def base() -> np.ndarray:
    return np.asarray(Image.open(CASES / "base.png").convert("RGB"))


def read(source: str | bytes) -> Photo:
    return read_photo(BytesIO((CASES / source).read_bytes() if isinstance(source, str) else source))


def off(pixels: np.ndarray, expected: np.ndarray | None = None) -> float:
    expected = base() if expected is None else expected
    assert pixels.shape == expected.shape
    return float(np.abs(pixels.astype(int) - expected).mean())


def pq(nits: np.ndarray) -> np.ndarray:
    """SMPTE ST 2084's inverse EOTF."""
    power = (nits / 10_000) ** 0.1593017578125
    return ((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** 78.84375


def linear(pixels: np.ndarray) -> np.ndarray:
    values = pixels / 255
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def in_bt2020_pq(pixels: np.ndarray, white: float = 203.0) -> np.ndarray:
    """sRGB pixels as BT.2020 with PQ, 0 to 1, white at so many cd/m2 (the matrix of BT.2087-0)."""
    matrix = np.array([[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]])
    return pq(np.maximum(linear(pixels) @ matrix.T, 0) * white)


def png_with(data: bytes, *chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG with chunks behind its head."""
    made = b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )
    return data[:33] + made + data[33:]


def deep_png(samples: np.ndarray) -> bytes:
    """H x W x 3 samples from 0 to 1 as a PNG of 16 bits."""
    rounded = np.rint(samples * 65_535).astype(np.uint16)
    return cv2.imencode(".png", np.ascontiguousarray(rounded[..., ::-1]))[1].tobytes()


# --- colors ---


@pytest.mark.parametrize(
    ("name", "most"),
    [
        ("gama18.png", 0.2),
        ("p3_nclx.avif", 1.1),
        ("v5_icc.bmp", 0.2),
        ("icc_1.3MB.png", 0.2),
        ("icc_srgb_linear.jpg", 5),  # 8 bits of linear light
        ("xmp6_noirot.avif", 1),
        ("ycc_none_22.tif", 5),
        ("colormap8bit.tif", 4),  # a palette
        ("junk64.jpg", 6),  # as clean.jpg
        ("rst_extra_after.jpg", 6),
    ],
)
def test_a_file_shows_the_picture_that_is_in_it(name: str, most: float) -> None:
    assert off(read(name).pixels) < most


@pytest.mark.parametrize("name", ["gama18.png", "p3_nclx.avif", "v5_icc.bmp", "icc_srgb_linear.jpg"])
def test_measuring_reads_colors_as_drawing_does(name: str) -> None:
    with (CASES / name).open("rb") as file:
        assert np.array_equal(read_stored(file), read(name).pixels)


def test_cicp_with_pq_shows_sdr_as_it_was_and_says_so() -> None:
    photo = read(png_with(deep_png(in_bt2020_pq(base())), (b"cICP", bytes([9, 16, 0, 1]))))
    assert off(photo.pixels) < 0.05
    assert photo.notes == (TONE_MAPPED,)


def test_cicp_comes_before_all_other_chunks_and_iccp_before_gama() -> None:
    data = (CASES / "base.png").read_bytes()
    wide = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes().replace(b"rXYZ", b"tmp_")
    wide = wide.replace(b"gXYZ", b"rXYZ").replace(b"tmp_", b"gXYZ")
    iccp = b"iCCP", b"swapped\0\0" + zlib.compress(wide)
    srgb, gama = (b"sRGB", b"\0"), (b"gAMA", struct.pack(">I", 100_000))
    assert np.array_equal(read(png_with(data, (b"cICP", bytes([1, 13, 0, 1])), iccp, gama)).pixels, base())
    assert np.array_equal(read(png_with(data, srgb, gama)).pixels, base())
    assert off(read(png_with(data, iccp, gama)).pixels, read(png_with(data, iccp)).pixels) == 0
    assert off(read(png_with(data, iccp)).pixels) > 5
    assert off(read(png_with(data, gama)).pixels) > 20


def test_a_power_function_in_gama_and_primaries_in_chrm_are_applied() -> None:
    """Display P3's corners: as an AVIF that says so by its code points."""
    chrm = struct.pack(">8I", *(round(v * 1e5) for v in (0.3127, 0.329, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06)))
    data = (CASES / "base.png").read_bytes()
    by_chrm = read(png_with(data, (b"gAMA", struct.pack(">I", 45_455)), (b"cHRM", chrm)))
    by_code = read(png_with(data, (b"cICP", bytes([12, 13, 0, 1]))))
    assert np.array_equal(by_chrm.pixels, by_code.pixels)
    assert off(by_code.pixels) > 1


def test_code_points_that_nobody_knows_are_named() -> None:
    photo = read(png_with((CASES / "base.png").read_bytes(), (b"cICP", bytes([99, 13, 0, 1]))))
    assert np.array_equal(photo.pixels, base())
    assert photo.notes == ("its colors are read as sRGB: primaries 99 of H.273 not known",)


def test_exif_that_says_adobe_rgb_counts_in_a_png_that_says_nothing_else() -> None:
    exif = Image.Exif()
    exif[0x010F] = "Maker"
    exif.get_ifd(ExifTags.IFD.Exif).update({0xA001: 65_535, 0xA005: {1: "R03", 2: b"0100"}})
    file = BytesIO()
    Image.new("RGB", (4, 4), (0, 200, 0)).save(file, "PNG", exif=exif)
    green = read_photo(file).pixels[0, 0]
    assert np.abs(green.astype(int) - np.array([0, 201, 0])).max() <= 1  # clipped: more than sRGB holds
    file = BytesIO()
    Image.new("RGB", (4, 4), (100, 150, 100)).save(file, "PNG", exif=exif)
    assert np.abs(read_photo(file).pixels[0, 0].astype(int) - np.array([66, 151, 97])).max() <= 1
    data = file.getvalue()
    said = struct.pack(">I4sB", 1, b"sRGB", 0)
    data = data[:33] + said + struct.pack(">I", zlib.crc32(said[4:])) + data[33:]
    assert read_photo(BytesIO(data)).pixels[0, 0].tolist() == [100, 150, 100]


def test_exif_that_says_adobe_rgb_is_followed() -> None:
    """As with a profile of Adobe RGB (1998): green of (0, 200, 0) lies outside of sRGB's."""
    colors = read("adobergb_r03_patches.jpg").pixels[50, 50::100].astype(int)
    stored = np.asarray(Image.open(CASES / "adobergb_r03_patches.jpg"))[50, 50::100].astype(int)
    green = stored.tolist().index(max(stored.tolist(), key=lambda color: color[1] - color[0] - color[2]))
    assert np.abs(colors[green] - (9, 200, 5)).max() <= 10
    assert np.abs(colors - stored).max() > 5


@pytest.mark.parametrize("code_points", [(9, 16), (9, 18)])
def test_a_heif_of_10_bits_is_tone_mapped_by_its_code_points(code_points: tuple[int, int]) -> None:
    samples = in_bt2020_pq(base())
    if code_points[1] == 18:
        samples = in_hlg(base())
    heif = pillow_heif.from_bytes("RGB;16", (160, 106), np.rint(samples * 65_535).astype(np.uint16).tobytes())
    buffer = BytesIO()
    heif.save(
        buffer,
        quality=100,
        chroma=444,
        color_primaries=code_points[0],
        transfer_characteristics=code_points[1],
        matrix_coefficients=9,
        full_range_flag=1,
    )
    photo = read(buffer.getvalue())
    assert photo.notes == (TONE_MAPPED,)
    assert off(photo.pixels) < 2


def in_hlg(pixels: np.ndarray) -> np.ndarray:
    """sRGB pixels as BT.2020 with HLG for a display of 1000 cd/m2, white at 203 (BT.2100, table 5)."""
    matrix = np.array([[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]])
    light = np.maximum(linear(pixels) @ matrix.T, 0) * 0.203
    luminance = np.maximum(light @ [0.2627, 0.6780, 0.0593], 1e-9)
    scene = light * luminance[..., None] ** (1 / 1.2 - 1)
    high = 0.17883277 * np.log(np.maximum(12 * scene - 0.28466892, 1e-9)) + 0.55991073
    return np.clip(np.where(scene <= 1 / 12, np.sqrt(3 * scene), high), 0, 1)


def test_a_heif_that_says_nothing_of_its_colors_is_read_as_srgb_and_that_is_noted() -> None:
    """It is PQ, and nothing in it says so: no colr box, no Exif, and unspecified code points in its HEVC parameters."""
    photo = read("pq.hif")
    assert photo.notes == ("it does not say what its colors are, and is read as sRGB",)
    assert 25 < off(photo.pixels) < 35


def test_highlights_are_brought_down_and_what_is_dark_stays() -> None:
    ramp = np.geomspace(1, 4000, 256)[None, :, None].repeat(8, axis=0).repeat(3, axis=2)
    pixels = read(png_with(deep_png(pq(ramp)), (b"cICP", bytes([9, 16, 0, 1])))).pixels[0, :, 0].astype(int)
    assert (np.diff(pixels) >= 0).all() and pixels[-1] >= 253
    at_100 = pixels[np.searchsorted(ramp[0, :, 0], 100)]
    assert pixels[np.searchsorted(ramp[0, :, 0], 2000)] > pixels[np.searchsorted(ramp[0, :, 0], 500)] > at_100
    dark = ramp[0, :, 0] < 20
    expected = 255 * (1.055 * (ramp[0, dark, 0] / 203) ** (1 / 2.4) - 0.055)
    assert np.abs(pixels[dark] - expected).max() <= 2


# --- raw and layered files ---


def tiff(directories: list[tuple[np.ndarray, dict[int, tuple[int, int, int]]]], *, nested: bool) -> bytes:
    """RGB pictures and further tags (type, count, value); the second in a SubIFD of the first, or behind it."""
    data = b"II*\0" + bytes(4)
    places: list[int] = []
    for number, (pixels, extra) in reversed(list(enumerate(directories))):
        height, width = pixels.shape[:2]
        strip, bits = len(data), len(data) + pixels.nbytes
        data += pixels.tobytes() + struct.pack("<3H", 8, 8, 8)
        tags = {
            256: (4, 1, width),
            257: (4, 1, height),
            258: (3, 3, bits),
            259: (3, 1, 1),
            262: (3, 1, 2),
            273: (4, 1, strip),
            277: (3, 1, 3),
            278: (4, 1, height),
            279: (4, 1, pixels.nbytes),
            **extra,
        }
        following = 0
        if number == 0 and nested:
            tags[330] = 4, 1, places[-1]
        elif places:
            following = places[-1]
        data += bytes(len(data) % 2)
        places.append(len(data))
        body = b"".join(struct.pack("<HHII", tag, *tags[tag]) for tag in sorted(tags))
        data += struct.pack("<H", len(tags)) + body + struct.pack("<I", following)
    return data[:4] + struct.pack("<I", places[-1]) + data[8:]


PREVIEW = {254: (4, 1, 1)}


@pytest.mark.parametrize("nested", [True, False])
def test_of_a_tiff_whose_first_picture_is_a_preview_the_full_one_is_read(nested: bool) -> None:
    small = np.ascontiguousarray(base()[::4, ::4])
    photo = read(tiff([(small, PREVIEW), (base(), {254: (4, 1, 0)})], nested=nested))
    assert np.array_equal(photo.pixels, base())
    assert np.array_equal(read(tiff([(base(), {}), (small, PREVIEW)], nested=nested)).pixels, base())


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({50706: (1, 4, 0x00000401)}, {}),
        ({}, {262: (3, 1, 32803)}),
        ({}, {262: (3, 1, 34892)}),
        ({}, {259: (3, 1, 34713)}),
    ],
    ids=["DNG", "color filter array", "linear raw", "NEF"],
)
@pytest.mark.parametrize("nested", [True, False])
def test_a_raw_file_is_refused_by_name_whatever_it_is_called(first: dict, second: dict, nested: bool) -> None:
    small = np.ascontiguousarray(base()[::4, ::4])
    data = tiff([(small, PREVIEW | first), (base(), second)], nested=nested)
    for function in (read_photo, read_stored):
        with pytest.raises(ImageError, match=r"raw file.*preview could be read of it; develop it"):
            function(BytesIO(data))


# --- TIFF ---


def test_separate_planes_of_16_bits_are_read() -> None:
    planes = [np.ascontiguousarray(base()[..., channel].astype("<u2") * 257) for channel in range(3)]
    data = b"II*\0" + bytes(4) + b"".join(plane.tobytes() for plane in planes)
    size, lists = planes[0].nbytes, len(data)
    data += struct.pack("<3I", *(8 + size * n for n in range(3))) + struct.pack("<3I", *[size] * 3)
    data += struct.pack("<3H", 16, 16, 16)
    tags = {
        256: (4, 1, 160),
        257: (4, 1, 106),
        258: (3, 3, lists + 24),
        259: (3, 1, 1),
        262: (3, 1, 2),
        273: (4, 3, lists),
        277: (3, 1, 3),
        278: (4, 1, 106),
        279: (4, 3, lists + 12),
        284: (3, 1, 2),
    }
    body = b"".join(struct.pack("<HHII", tag, *tags[tag]) for tag in sorted(tags))
    data = data[:4] + struct.pack("<I", len(data)) + data[8:] + struct.pack("<H", len(tags)) + body + bytes(4)
    assert np.array_equal(read(data).pixels, base())


def test_gray_with_associated_alpha_is_read() -> None:
    photo = read("grey_assoc_alpha.tif")
    assert photo.alpha is not None and photo.alpha.mean() / 255 == pytest.approx(0.859, abs=0.001)
    assert photo.pixels.mean() == pytest.approx(82.4, abs=0.5)


def test_what_cannot_be_read_is_named_for_what_it_is(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ImageError, match=r"^a TIFF of this kind \(WebP, .*is not read"):
        read("tiff_webp.tif")
    assert capfd.readouterr() == ("", "")


def test_a_compressed_tiff_that_is_damaged_says_nothing_by_itself(capfd: pytest.CaptureFixture[str]) -> None:
    buffer = BytesIO()
    Image.fromarray(base()).save(buffer, "TIFF", compression="tiff_lzw")
    data = bytearray(buffer.getvalue())
    data[3000:9000] = bytes(6000)
    with pytest.raises(ImageError, match="damaged"):
        read(bytes(data))
    assert capfd.readouterr() == ("", "")


def test_a_tiff_over_pillows_own_limit_is_read() -> None:
    buffer = BytesIO()
    Image.new("1", (14_000, 13_000)).save(buffer, "TIFF", compression="group4")
    photo = read_photo(buffer, max_pixels=2_000_000_000)  # its 6 KB are trusted
    assert photo.pixels.shape == (13_000, 14_000, 3) and not photo.pixels[::1000].any()


def test_a_turned_tiff_that_pillow_has_opened_by_name_is_not_garbled(tmp_path: Path) -> None:
    Image.fromarray(base()).save(tmp_path / "turned.tif", tiffinfo={274: 6})
    with Image.open(tmp_path / "turned.tif") as image:
        assert np.array_equal(photo_from_image(image).pixels, np.rot90(base(), -1))


# --- transparency ---


def test_a_shade_of_few_bits_that_stands_for_transparency_is_found() -> None:
    photo = read("zop_la16.png")
    assert photo.alpha is not None and photo.alpha.mean() / 255 == pytest.approx(1 - 0.787, abs=0.001)


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_trns_counts_in_the_depth_of_the_samples(bits: int) -> None:
    samples = np.arange(1 << bits, dtype=np.uint8)[:, None].repeat(8, axis=1)
    rows = b"".join(b"\0" + np.packbits(np.unpackbits(row[:, None], axis=1)[:, -bits:]).tobytes() for row in samples)
    head = struct.pack(">IIBBBBB", 8, 1 << bits, bits, 0, 0, 0, 0)
    data = png_with(
        b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + b"IHDR" + head + struct.pack(">I", zlib.crc32(b"IHDR" + head)),
        (b"tRNS", struct.pack(">H", 1)),
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    )
    photo = read(data)
    assert photo.alpha is not None
    assert photo.alpha[:, 0].tolist() == [0 if sample == 1 else 255 for sample in range(1 << bits)]


def test_a_color_of_16_bits_stands_for_transparency_only_if_all_bits_agree() -> None:
    samples = np.full((4, 6, 3), 0x1234, np.uint16)
    samples[1, 1, 2] = 0x1235  # the same in 8 bits
    data = cv2.imencode(".png", samples[..., ::-1])[1].tobytes()
    photo = read(png_with(data, (b"tRNS", struct.pack(">3H", 0x1234, 0x1234, 0x1235))))
    assert photo.alpha is not None and photo.alpha.mean() == pytest.approx(255 * 23 / 24)


def bmp(words: np.ndarray, masks: tuple[int, int, int, int], *, size: int = 108) -> bytes:
    bits = words.dtype.itemsize * 8
    height, width = words.shape
    head = struct.pack("<IiiHHIIiiII", size, width, height, 1, bits, 3, 0, 0, 0, 0, 0) + struct.pack("<4I", *masks)
    head = head.ljust(size, b"\0") if size > 40 else head[:52]
    stride = (width * words.dtype.itemsize + 3) // 4 * 4
    rows = b"".join(row.tobytes().ljust(stride, b"\0") for row in words[::-1])
    return b"BM" + struct.pack("<IHHI", 14 + len(head) + len(rows), 0, 0, 14 + len(head)) + head + rows


def test_bit_fields_of_a_bmp_are_read_and_alpha_that_was_never_filled_in_is_none() -> None:
    words = np.arange(12, dtype="<u4").reshape(3, 4) * 0x00050709
    masks = (0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    photo = read(bmp(words, masks))
    assert photo.alpha is None
    assert photo.pixels[2, 3].tolist() == [(11 * 0x050709 >> shift) & 255 for shift in (16, 8, 0)]
    half = read(bmp(words | np.uint32(0x80000000), masks))
    assert half.alpha is not None and (half.alpha == 0x80).all()


def run_length_bmp(data: bytes, width: int = 4, height: int = 3) -> bytes:
    """A BMP of 8 bits in run lengths: pairs of count and color, or 0 and what to do."""
    palette = bytes(range(256)) * 4
    head = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 1, len(data), 0, 0, 256, 0)
    start = 14 + len(head) + len(palette)
    return b"BM" + struct.pack("<IHHI", start + len(data), 0, 0, start) + head + palette + data


@pytest.mark.parametrize(
    ("data", "missing"),
    [
        (b"\4\1\0\0\4\2\0\0\4\3\0\1", 0),
        (b"\4\1\0\0\4\2\0\0\4\3", 0),  # without an end
        (b"\4\1\0\0\0\4abcd\0\0\4\3\0\1", 0),  # single pixels
        (b"\6\1\0\0\6\2\0\0\6\3\0\1", 0),  # runs that go on behind the end of a row
        (b"\2\1\0\0\4\2\0\0\0\2\2\0\2\3\0\1", 0),  # what is skipped is meant so
        (b"\4\1\0\0\4\2\0\0", 4),
        (b"\4\1\0\0\0\4ab", 4),
        (b"\x20\1\0\1", 8),
    ],
)
def test_run_lengths_of_a_bmp_that_leave_pixels_out_are_damage(data: bytes, missing: int) -> None:
    file = BytesIO(run_length_bmp(data))
    if not missing:
        assert read_photo(file).pixels.shape == (3, 4, 3)
        return
    with pytest.raises(ImageError, match=f"^damaged: {missing} of its 12 pixels are not in its data$"):
        read_photo(file)


def test_bit_fields_of_any_width_are_read() -> None:
    words = np.array([[0x8000, 0xFC00, 0x83E0, 0x801F, 0x0000]], "<u2")
    photo = read(bmp(words, (0x7C00, 0x3E0, 0x1F, 0x8000)))
    assert photo.pixels[0, :4].tolist() == [[0, 0, 0], [255, 0, 0], [0, 255, 0], [0, 0, 255]]
    assert photo.alpha is not None and photo.alpha[0].tolist() == [255, 255, 255, 255, 0]
    deep = np.array([[(1023 << 20) | (512 << 10)]], "<u4")
    assert read(bmp(deep, (1023 << 20, 1023 << 10, 1023, 0))).pixels[0, 0].tolist() == [255, 128, 0]


# --- HEIF and AVIF by their boxes ---


def box(kind: bytes, *content: bytes) -> bytes:
    return struct.pack(">I", 8 + sum(map(len, content))) + kind + b"".join(content)


def with_property(data: bytes, added: bytes) -> bytes:
    """An AVIF or HEIF of one picture with one more property of it."""
    at = data.index(b"ipco") - 4
    (size,) = struct.unpack(">I", data[at : at + 4])
    count = data[at + size :].index(b"ipma") - 4 + at + size
    changed = bytearray(data)
    number = 0
    place = at + 8
    while place < at + size:
        place += int.from_bytes(changed[place : place + 4])
        number += 1
    entries = count + 8 + 4 + 4 + 2  # head, version and flags, number of items, item
    changed[entries] += 1
    changed.insert(entries + 1 + changed[entries] - 1, 0x80 | (number + 1))
    for name, grown in ((b"ipma", 1), (b"iprp", 1 + len(added)), (b"meta", 1 + len(added)), (b"ipco", len(added))):
        start = changed.index(name) - 4
        changed[start : start + 4] = (int.from_bytes(changed[start : start + 4]) + grown).to_bytes(4)
    changed[at + size : at + size] = added
    location = changed.index(b"iloc") + 4 + 4 + 2 + 2
    for extent in (location + 6, location + 6 + 14):  # of one item, or two
        offset = int.from_bytes(changed[extent : extent + 4])
        if 0 < offset < len(data) and extent + 4 < changed.index(b"iinf"):
            changed[extent : extent + 4] = (offset + 1 + len(added)).to_bytes(4)
    return bytes(changed)


def test_in_avif_orientation_in_xmp_counts_for_nothing_and_boxes_do() -> None:
    plain = read("xmp6_noirot.avif")
    assert plain.pixels.shape == (106, 160, 3)
    turned = read(with_property((CASES / "xmp6_noirot.avif").read_bytes(), box(b"irot", b"\1")))
    assert np.array_equal(turned.pixels, np.rot90(plain.pixels))
    mirrored = read(with_property((CASES / "xmp6_noirot.avif").read_bytes(), box(b"imir", b"\1")))
    assert np.array_equal(mirrored.pixels, plain.pixels[:, ::-1])


def test_of_an_avif_the_clean_aperture_is_shown() -> None:
    plain = read("xmp6_noirot.avif")
    clap = box(b"clap", struct.pack(">IIIIiIiI", 100, 1, 60, 1, -10, 1, 3, 1))
    cropped = read(with_property((CASES / "xmp6_noirot.avif").read_bytes(), clap))
    assert np.array_equal(cropped.pixels, plain.pixels[26:86, 20:120])
    assert cropped.stored_size == (60, 100)


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_a_heic_that_ends_early_is_damaged(share: float) -> None:
    buffer = BytesIO()
    pillow_heif.from_pillow(Image.fromarray(base())).save(buffer, quality=90)
    data = buffer.getvalue()
    start = data.index(b"mdat")
    with pytest.raises(ImageError, match=r"damaged: it ends early, with \d+ of \d+ bytes"):
        read(data[: start + int(share * (len(data) - start))])


def test_a_real_tiled_heic_that_ends_early_is_damaged(test_data: Path) -> None:
    data = (test_data / "photos" / "awkward" / "iphone.heic").read_bytes()
    for share in (0.09, 0.3, 0.6, 0.93, 0.999):
        with pytest.raises(ImageError, match="damaged: it ends early"):
            read(data[: int(share * len(data))])


# --- damaged means damaged ---


@pytest.mark.parametrize("name", ["junk64.jpg", "rst_extra_after.jpg"])
def test_bytes_behind_the_last_unit_are_no_damage_and_are_noted(name: str) -> None:
    assert read(name).notes == (TAIL,)


@pytest.mark.parametrize("seed", range(20))
def test_meaningless_bytes_are_told_from_left_over_data(seed: int) -> None:
    """Both make libjpeg speak of extraneous bytes before the end, and of nothing else."""
    rng = np.random.default_rng(seed)
    whole = (CASES / "clean.jpg").read_bytes()
    junk = rng.integers(0, 255, int(rng.integers(4, 200)), dtype=np.uint8).tobytes()
    assert off(read(whole[:-2] + junk + whole[-2:]).pixels) < 6
    place = int(rng.integers(700, len(whole) - 400))
    lost = whole[:place] + rng.integers(0, 255, 64, dtype=np.uint8).tobytes() + whole[place + 64 :]
    try:
        refuse_damaged_jpeg(BytesIO(lost))
    except ImageError:
        return
    assert decode_jpeg(BytesIO(lost)) is not None, "what libjpeg remarked on was taken for harmless"


def progressive(**options: object) -> bytes:
    """clean.jpg as a progressive JPEG."""
    file = BytesIO()
    Image.open(CASES / "clean.jpg").save(file, "JPEG", quality=88, progressive=True, **options)
    return file.getvalue()


@pytest.mark.parametrize("rows", [0, 2])
@pytest.mark.parametrize("seed", range(8))
def test_meaningless_bytes_before_the_end_of_a_progressive_jpeg_are_no_damage(seed: int, rows: int) -> None:
    whole = progressive(restart_marker_rows=rows)
    junk = np.random.default_rng(seed).integers(0, 255, 64, dtype=np.uint8).tobytes()
    odd = read(whole[:-2] + junk + whole[-2:])
    assert np.array_equal(odd.pixels, read(whole).pixels) and odd.notes == (TAIL,)


def test_a_broken_animation_costs_no_picture() -> None:
    data = (CASES / "base.png").read_bytes()
    frame = png_with(bytes(33), (b"fdAT", struct.pack(">I", 0) + b"a frame without its head"))[33:]
    animated = png_with(data[:-12] + frame + data[-12:], (b"acTL", struct.pack(">II", 2, 0)))
    assert off(read(animated).pixels) == 0


@pytest.mark.parametrize("marker", [b"\xff\xda", b"\xff\xc4"])
def test_a_progressive_jpeg_whose_earlier_scan_ends_early_is_damaged(marker: bytes) -> None:
    """libjpeg speaks of extraneous bytes before a marker that is not the last."""
    whole = progressive()
    place = whole.index(marker, whole.index(b"\xff\xda") + 2)
    with pytest.raises(ImageError, match="damaged"):
        read(whole[:place] + b"ab" * 30 + whole[place:])


def test_meaningless_bytes_behind_the_last_of_several_scans_are_no_damage() -> None:
    whole = (CASES / "three_scans.jpg").read_bytes()  # by cjpeg: Y, Cb and Cr each in a scan of its own
    assert whole.count(b"\xff\xda") == 3
    assert read(whole).notes == () and off(read(whole).pixels) < 7
    junk = np.random.default_rng(0).integers(0, 255, 64, dtype=np.uint8).tobytes()
    assert read(whole[:-2] + junk + whole[-2:]).notes == (TAIL,)


def test_long_text_and_wrong_checksums_beside_the_picture_are_no_damage() -> None:
    data = (CASES / "base.png").read_bytes()
    text = b"zTXt", b"Comment\0\0" + zlib.compress(b"long " * 300_000)
    assert np.array_equal(read(png_with(data, text)).pixels, base())
    spoilt = bytearray(png_with(data, (b"tEXt", b"Comment\0short")))
    spoilt[50] ^= 1
    assert np.array_equal(read(bytes(spoilt)).pixels, base())


def test_a_png_with_a_wrong_checksum_of_its_data_is_damaged() -> None:
    data = bytearray((CASES / "base.png").read_bytes())
    data[-3000:] = bytes(3000)
    with pytest.raises(ImageError, match="damaged"):
        read(bytes(data))
    data = bytearray((CASES / "base.png").read_bytes())
    data[20_000] ^= 1
    with pytest.raises(ImageError, match="damaged: wrong checksum of IDAT"):
        read(bytes(data))


def encoded(kind: str, **options: Any) -> bytearray:
    read((CASES / "base.png").read_bytes())  # registers HEIF
    buffer = BytesIO()
    Image.fromarray(np.kron(base(), np.ones((3, 3, 1), np.uint8))).save(buffer, kind, **options)
    return bytearray(buffer.getvalue())


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("HEIF", {"quality": 95}),
        ("AVIF", {"quality": 95, "speed": 10}),
        ("WEBP", {"quality": 98}),
        ("PNG", {}),
        ("TIFF", {"compression": "tiff_adobe_deflate"}),
        ("TIFF", {"compression": "jpeg", "quality": 95}),
    ],
)
def test_zeros_in_the_place_of_data_are_damage(kind: str, options: dict[str, Any]) -> None:
    data = encoded(kind, **options)
    read(bytes(data))
    data[len(data) // 2 : len(data) // 2 + 2500] = bytes(2500)
    with pytest.raises(ImageError, match="damaged"):
        read(bytes(data))


@pytest.mark.parametrize("options", [{"quality": 80}, {"lossless": True}, {"lossless": True, "method": 0}])
@pytest.mark.parametrize("kind", ["WEBP", "AVIF"])
def test_the_zeros_of_flat_pictures_are_none(kind: str, options: dict[str, Any]) -> None:
    read((CASES / "base.png").read_bytes())
    for image in (Image.new("RGB", (2000, 1500), "white"), Image.linear_gradient("L").resize((640, 480)).convert("1")):
        buffer = BytesIO()
        image.convert("RGB").save(buffer, kind, **({"speed": 10} if kind == "AVIF" else options))
        assert read(buffer.getvalue()).pixels.shape[2] == 3


@pytest.mark.parametrize("length", [8, 16, 20, 23, 24, 30])
def test_the_head_of_a_png_may_be_cut_anywhere(length: int) -> None:
    data = (CASES / "base.png").read_bytes()[:length]
    if length >= 24:
        assert picture_size(BytesIO(data)) == (160, 106)
    else:
        with pytest.raises(ImageError, match="damaged"):
            picture_size(BytesIO(data))


def test_odd_files_say_nothing_by_themselves(capfd: pytest.CaptureFixture[str]) -> None:
    """Pillow logs an error for a TIFF that claims to have 6,403 samples in a pixel."""
    data = tiff([(base(), {277: (3, 1, 6403)})], nested=False)
    with pytest.raises(ImageError):
        read(data)
    assert capfd.readouterr() == ("", "")


# --- decoders that die ---


def jpeg_head(marker: int, *, bits: int = 8, components: int = 3) -> bytes:
    frame = struct.pack(">BHHB", bits, 16, 16, components) + b"".join(
        bytes([n + 1, 0x11, 0]) for n in range(components)
    )
    return b"\xff\xd8\xff" + bytes([marker]) + struct.pack(">H", 2 + len(frame)) + frame + b"\xff\xd9"


OTHER_PROCESSES = [0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF, 0xF7]


@pytest.mark.parametrize("marker", OTHER_PROCESSES)
def test_other_coding_processes_never_reach_simplejpeg(marker: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simplejpeg.decode_jpeg", lambda *_, **__: pytest.fail("it did"))
    for data in (jpeg_head(marker), jpeg_head(0xC0, bits=12), jpeg_head(0xC1, components=2)):
        for function in (decode_jpeg, refuse_damaged_jpeg):
            with pytest.raises(ImageError, match="a JPEG of a kind that is not read"):
                function(BytesIO(data))


@pytest.mark.parametrize(("marker", "process"), [(0xC0, "baseline"), (0xC3, "lossless"), (0xC9, "arithmetic-coded")])
def test_the_frame_header_names_the_process(marker: int, process: str) -> None:
    header = frame_header(jpeg_head(marker))
    assert header is not None and (header.process, header.width, header.components) == (process, 16, 3)
    assert frame_header(jpeg_head(marker, bits=12)).process == f"{process}, 12 bits"
    assert frame_header(b"\xff\xd8\xff\xd9") is None


@pytest.mark.parametrize("marker", OTHER_PROCESSES)
@pytest.mark.parametrize("bits", [8, 12])
def test_a_jpeg_of_a_rare_process_costs_one_file(marker: int, bits: int) -> None:
    with pytest.raises(ImageError, match=r"of a kind that is not read|not a picture|damaged"):
        read(jpeg_head(marker, bits=bits))
    assert off(read("ycc_none_22.tif").pixels) < 5  # and the next is decoded as ever


def test_a_decoder_that_dies_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("toonify.images.child._IDLE", [])
    monkeypatch.setattr("toonify.images.child._PROGRAM", "import os; os.abort()")
    data = (CASES / "ycc_none_22.tif").read_bytes()
    with pytest.raises(ImageError, match=r"its decoder died \(.*\); convert it to PNG first"):
        decode_apart(data, 1.0, kind="photo")


# In the place of the child's program: what it does with a request is `decode`.
CHILD = """
import toonify.images.read as read
def decode(file, *, kind, enough):
    {body}
read.decode_request = decode
from toonify.images.in_child import serve
serve()
"""


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Puts a decoder of our own into the child process."""
    idle: list[Any] = []
    monkeypatch.setattr("toonify.images.child._IDLE", idle)
    yield lambda body: monkeypatch.setattr("toonify.images.child._PROGRAM", CHILD.format(body=body))
    while idle:
        idle.pop().close()


def test_a_decoder_that_never_ends_is_stopped_and_named(stand_in, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("toonify.images.child._SECONDS", 1.0)
    stand_in("import time; time.sleep(600)")
    with pytest.raises(ImageError, match=r"its decoder took more than \d s and was stopped; convert it to PNG first"):
        read("ycc_none_22.tif")


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a process's memory has no such limit")
def test_a_decoder_that_takes_too_much_memory_costs_one_file(stand_in) -> None:
    """NumPy asks for 16 GB of address space, and would fill none of it."""
    stand_in("import numpy; numpy.zeros(1 << 34, numpy.uint8)")
    for _ in range(2):  # and the child serves on
        with pytest.raises(ImageError, match="not enough memory to decode it"):
            read("ycc_none_22.tif")


def test_a_decoder_that_raises_anything_costs_one_file(stand_in) -> None:
    stand_in("raise SystemError('odd')")
    for _ in range(2):
        with pytest.raises(ImageError, match="damaged: odd"):
            read("ycc_none_22.tif")


# --- videos ---


def first_frame(name: str) -> tuple[np.ndarray, Video]:
    with Video(CASES / name) as video:
        return next(iter(video.frames())).pixels(), video


def test_hlg_is_tone_mapped_and_that_is_noted() -> None:
    pixels, video = first_frame("hlg.mov")
    assert off(pixels) < 6  # as the same picture in SDR, below
    assert video.notes == [TONE_MAPPED]


def test_the_default_stream_is_taken() -> None:
    pixels, _ = first_frame("two_streams.mkv")
    assert off(pixels) < 6


def test_a_mirroring_display_matrix_mirrors() -> None:
    pixels, _ = first_frame("hflip.mp4")
    assert off(pixels, base()[:, ::-1]) < 6


def test_packets_of_no_bytes_repeat_the_frame_before() -> None:
    with Video(CASES / "held_frames.ogv") as video:
        frames = list(video.frames())
    assert len(frames) == 99 and video.problem is None
    times = [frame.time for frame in frames]
    assert times == sorted(times) and len(set(times)) == 99


def test_transparent_video_lies_on_white_and_has_no_bars() -> None:
    with Video(CASES / "toon_alpha.mov") as video:
        pictures = [frame.pixels() for frame in video.frames()]
    assert (pictures[0][:4, :4] == 255).all()
    assert find_bars(pictures) is None


def test_the_calibration_of_a_bmp_is_followed_and_that_of_srgb_changes_nothing() -> None:
    """A header of version 4: x, y and z of each primary, and a gamma, of the channels."""

    def calibrated(corners: list[tuple[float, float]], gamma: float) -> bytes:
        ends = [round(value * (1 << 30)) for x, y in corners for value in (x, y, 1 - x - y)]
        rows = b"".join(row[:, ::-1].tobytes() for row in base()[::-1])  # 480 bytes each: no padding
        head = struct.pack("<IiiHHIIiiII", 108, 160, 106, 1, 24, 0, 0, 0, 0, 0, 0) + bytes(16)
        head += struct.pack("<I12I", 0, *ends, *[round(gamma * 65536)] * 3)
        return b"BM" + struct.pack("<IHHI", 14 + 108 + len(rows), 0, 0, 14 + 108) + head + rows

    srgb, p3 = [(0.64, 0.33), (0.30, 0.60), (0.15, 0.06)], [(0.68, 0.32), (0.265, 0.69), (0.15, 0.06)]
    assert np.array_equal(read(calibrated(srgb, 2.2)).pixels, base())
    assert np.array_equal(read(calibrated(srgb, 0.4545)).pixels, base())
    by_code = read(png_with((CASES / "base.png").read_bytes(), (b"cICP", bytes([12, 13, 0, 1]))))
    assert off(read(calibrated(p3, 2.2)).pixels, by_code.pixels) < 0.1


def scene_with_hole() -> np.ndarray:
    """64 x 96 RGBA: a picture with a transparent border."""
    pixels = np.zeros((64, 96, 4), np.uint8)
    pixels[16:48, 16:80, :3] = (200, 40, 90)
    pixels[16:48, 16:80, 3] = 255
    return pixels


@pytest.mark.parametrize("codec", ["libvpx", "libvpx-vp9"])
def test_transparent_webm_lies_on_white(codec: str, tmp_path: Path) -> None:
    path = tmp_path / "alpha.webm"
    with av.open(str(path), "w") as file:
        stream = file.add_stream(codec, rate=10, options={"auto-alt-ref": "0"})
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuva420p"
        stream.metadata["alpha_mode"] = "1"
        for _ in range(12):
            frame = av.VideoFrame.from_ndarray(scene_with_hole(), format="rgba").reformat(format="yuva420p")
            file.mux(stream.encode(frame))
        file.mux(stream.encode())
    with Video(path) as video:
        frames = [frame.pixels() for frame in video.frames()]
        assert len(frames) == 12 and video.problem is None
    with Video(path) as video:
        sampled = [frame.pixels() for frame in video.key_frames(1)]
    for pixels in (frames[0], frames[-1], sampled[0]):
        assert pixels[:8].min() > 240
        assert np.abs(pixels[24:40, 24:72].astype(int) - (200, 40, 90)).mean() < 12


def test_the_edges_that_a_matroska_file_crops_are_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "cropped.mkv"
    write_video(path, [base()] * 6)
    with Video(path) as video:
        whole = next(iter(video.frames())).pixels()
    data = path.read_bytes()
    video_track = b"\xb0\x81\xa0\xba\x81\x6a\x54\xb2\x81\x04"  # width 160, height 106, unit of the display's size
    assert data.count(video_track) == 1
    for name, cut in ((0xAA, np.s_[:90]), (0xBB, np.s_[16:]), (0xCC, np.s_[:, 16:]), (0xDD, np.s_[:, :144])):
        cropped = bytes([0x54, name, 0x81, 16])  # in the place of the unit
        path.write_bytes(data.replace(video_track, video_track[:6] + cropped))
        with Video(path) as video:
            assert np.array_equal(next(iter(video.frames())).pixels(), whole[cut])


def test_signed_samples_are_refused_by_name() -> None:
    buffer = BytesIO()
    Image.fromarray(np.full((8, 8), 300, np.uint16)).save(buffer, "TIFF", tiffinfo={339: 1})
    unsigned = buffer.getvalue()
    assert read(unsigned).pixels.max() == 1
    entry = struct.pack("<HHIH", 339, 3, 1, 1)
    assert unsigned.count(entry) == 1
    with pytest.raises(ImageError, match="signed samples have no defined black"):
        read(unsigned.replace(entry, struct.pack("<HHIH", 339, 3, 1, 2)))


# --- what is not read is named for what it is ---


def float_tiff(order: str, *, big: bool) -> bytes:
    """The head of a TIFF of 4 x 4 pixels with three floating-point samples of 16 bits."""
    tags = [(256, 4), (257, 4), (258, 16), (259, 1), (262, 2), (277, 3), (339, 3)]
    mark = b"II" if order == "<" else b"MM"
    if big:
        body = b"".join(struct.pack(f"{order}HHQH6x", tag, 3, 1, value) for tag, value in tags)
        return mark + struct.pack(f"{order}HHHQQ", 43, 8, 0, 16, len(tags)) + body + bytes(8)
    body = b"".join(struct.pack(f"{order}HHIHH", tag, 3, 1, value, 0) for tag, value in tags)
    return mark + struct.pack(f"{order}HIH", 42, 8, len(tags)) + body + bytes(4)


@pytest.mark.parametrize(
    ("data", "named"),
    [
        (jpeg_head(0xF7), r"a JPEG of a kind that is not read \(JPEG-LS\); convert it"),
        (jpeg_head(0xC1, bits=12), r"a JPEG of a kind that is not read \(extended sequential, 12 bits\); convert it"),
        (jpeg_head(0xC5), r"a JPEG of a kind that is not read \(hierarchical\); convert it"),
        (b"\xff\xd8\xff\xe0\x00\x04ab", "damaged: a JPEG without a frame header"),
        (float_tiff("<", big=False), r"a TIFF of this kind \(uncompressed, 16 bits floating-point, .* convert it"),
        (float_tiff(">", big=True), r"a TIFF of this kind \(big-endian BigTIFF, uncompressed, 16 bits floating-point"),
        (b"\xff\x0a" + bytes(50), "a JPEG XL picture, which is not read; convert it"),
        (b'<?xml version="1.0"?>\n<svg></svg>', "an SVG drawing, which is not read"),
        (b"%PDF-1.7\n", "a PDF document, which is not read"),
        (b"\0\0\0\x18ftypqt  " + bytes(50), "a video; give it the name of one"),
        (b"RIFF\0\0\0\0AVI LIST", "a video; give it the name of one"),
        (b"\x47" + bytes(187) + b"\x47" + bytes(187) + b"\x47", "a video; give it the name of one"),
        (b"notes", "not a picture, or of a kind that is not read"),
    ],
)
def test_a_file_of_another_kind_is_named(data: bytes, named: str) -> None:
    for reading in (read_photo, read_stored):
        with pytest.raises(ImageError, match=named):
            reading(BytesIO(data))
