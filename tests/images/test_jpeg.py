import io
from typing import Any

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageCms, ImageOps

from toonify.errors import ImageError
from toonify.images import photo_from_image, read_photo, read_stored
from toonify.images.jpeg import decode_jpeg, refuse_damaged_jpeg, turned_upright


def picture(height: int, width: int) -> Image.Image:
    noise = np.random.default_rng(0).integers(0, 256, (height // 4 + 1, width // 4 + 1, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC)


def jpeg(image: Image.Image, **options: Any) -> io.BytesIO:
    file = io.BytesIO()
    image.save(file, "JPEG", **options)
    return file


def by_pillow(file: io.BytesIO) -> np.ndarray:
    return np.asarray(Image.open(file).convert("RGB"))


@pytest.mark.parametrize("size", [(1, 1), (7, 90), (121, 83), (240, 320)])
@pytest.mark.parametrize("options", [{}, {"subsampling": 0}, {"subsampling": 1}, {"progressive": True}, {"quality": 5}])
def test_values_are_pillows(size: tuple[int, int], options: dict[str, Any]) -> None:
    file = jpeg(picture(*size), **options)
    file.seek(5)
    decoded = decode_jpeg(file)
    assert decoded is not None and np.array_equal(decoded, by_pillow(file))


def test_the_file_stays_where_it_was() -> None:
    file = jpeg(picture(30, 40))
    file.seek(5)
    decode_jpeg(file)
    refuse_damaged_jpeg(file)
    assert file.tell() == 5


@pytest.mark.parametrize("orientation", range(10))
def test_every_orientation_is_turned_as_pillow_turns_it(orientation: int) -> None:
    image = picture(24, 40)
    image.getexif()[ExifTags.Base.Orientation] = orientation
    turned = turned_upright(np.asarray(image), orientation)
    assert np.array_equal(turned, np.asarray(ImageOps.exif_transpose(image)))


def test_what_is_lost_is_refused_and_what_is_odd_is_left_to_pillow() -> None:
    whole = jpeg(picture(240, 320)).getvalue()
    cut = io.BytesIO(whole[: len(whole) // 2])
    for read in (decode_jpeg, refuse_damaged_jpeg, read_photo, read_stored):
        with pytest.raises(ImageError, match="damaged: Premature end"):
            read(cut)
    tables = whole.index(b"\xff\xdb")
    odd = io.BytesIO(whole[:tables] + b"\x00\x00\x00" + whole[tables:])  # libjpeg speaks of extraneous bytes
    assert decode_jpeg(odd) is None
    refuse_damaged_jpeg(odd)
    assert np.array_equal(read_photo(odd).pixels, by_pillow(odd))


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("seed", range(8))
def test_data_of_another_picture_in_the_middle_is_damage(progressive: bool, seed: int) -> None:
    """After which libjpeg's last remark is mostly of extraneous bytes."""
    rng = np.random.default_rng(seed)
    data = bytearray(
        jpeg(picture(480, 640), quality=90, progressive=progressive, restart_marker_rows=seed % 3).getvalue()
    )
    place = int(rng.integers(2000, len(data) - 2000))
    data[place : place + 1000] = rng.bytes(1000)
    for read in (read_photo, read_stored):
        with pytest.raises(ImageError, match="damaged"):
            read(io.BytesIO(data))


@pytest.mark.parametrize("padding", [b"\x00" * 7, b"\xff" * 300, b"\xff\x00" * 5])
@pytest.mark.parametrize("progressive", [False, True])
def test_a_camera_may_fill_up_before_the_end(padding: bytes, progressive: bool) -> None:
    whole = jpeg(picture(240, 320), progressive=progressive).getvalue()
    for data in (whole[:-2] + padding + whole[-2:], whole + padding):
        refuse_damaged_jpeg(io.BytesIO(data))
        assert np.array_equal(read_photo(io.BytesIO(data)).pixels, by_pillow(io.BytesIO(whole)))


@pytest.mark.parametrize("junk", [b"ab", b"\x00\x01\x02" * 9])
def test_bytes_between_the_segments_of_the_head_are_no_damage(junk: bytes) -> None:
    whole = jpeg(picture(240, 320), progressive=True, exif=Image.Exif()).getvalue()
    for marker in (b"\xff\xdb", b"\xff\xc2", b"\xff\xc4", b"\xff\xda"):
        place = whole.index(marker)
        odd = io.BytesIO(whole[:place] + junk + whole[place:])
        assert np.array_equal(read_photo(odd).pixels, by_pillow(io.BytesIO(whole)))


def profile_of_swapped_primaries() -> bytes:
    """A profile of other colors than sRGB's."""
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    data = data.replace(b"rXYZ", b"tmp_").replace(b"gXYZ", b"rXYZ").replace(b"tmp_", b"gXYZ")
    return bytes(data).replace("sRGB".encode("utf-16-be"), "swap".encode("utf-16-be"))


@pytest.mark.parametrize("profile", [None, "srgb", "other", "broken"])
@pytest.mark.parametrize("orientation", [1, 6])
def test_a_photo_is_what_it_would_be_through_pillow(profile: str | None, orientation: int) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    exif[ExifTags.Base.Make] = "a camera"
    icc = {
        None: None,
        "srgb": ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(),
        "other": profile_of_swapped_primaries(),
        "broken": b"nothing",
    }[profile]
    file = jpeg(picture(45, 60), exif=exif, icc_profile=icc)
    read, expected = read_photo(file), photo_from_image(Image.open(file))
    assert np.array_equal(read.pixels, expected.pixels)
    assert (read.metadata, read.notes, read.format) == (expected.metadata, expected.notes, expected.format)
    assert np.array_equal(read.pixels, np.asarray(ImageOps.exif_transpose(Image.open(file)))) == (profile != "other")
