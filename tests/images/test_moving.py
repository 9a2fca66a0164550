"""Moving pictures: told from stills, laid together as they are seen, and written with their times, plays and holes."""

import functools
import io
import struct
import tracemalloc
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from moving import BLUE, GREEN, RED, gif_frame, gif_of, rows, save_moving, shown_by_pillow, sliding
from PIL import Image, PngImagePlugin

from toonify.errors import ImageError
from toonify.images import read_photo, read_processing_note
from toonify.images.metadata import Metadata
from toonify.images.moving import MovingPicture, encode_moving, frame_count, left_out, moves, read_moving
from toonify.images.moving.times import as_ratio, in_ticks
from toonify.images.png import as_chunk

KINDS = ("gif", "png", "webp", "avif")
XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/">'
    b"<dc:source>a sketchbook</dc:source></rdf:Description></rdf:RDF></x:xmpmeta>"
)
TIMES = [Fraction(4, 100), Fraction(1, 10), Fraction(1, 10), Fraction(5, 2), Fraction(3, 100)]


def read(data: bytes, **options) -> MovingPicture:
    return read_moving(io.BytesIO(data), **options)


def shown(data: bytes) -> list[np.ndarray]:
    """The frames of a moving picture: H x W x 4 each, with 0 wherever nothing is seen."""
    found = []
    for colors, alpha in read(data).frames():
        frame = np.dstack([colors, np.full(colors.shape[:2], 255, np.uint8) if alpha is None else alpha])
        frame[frame[..., 3] == 0] = 0
        found.append(frame)
    return found


def with_alpha(frames: list[np.ndarray], least: int) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
    """The first frame is opaque; the others have a hole, of `least` alpha, which moves."""
    for number, frame in enumerate(frames):
        alpha = np.full(frame.shape[:2], 255, np.uint8)
        alpha[10:30, 6 * number : 6 * number + 20] = least
        yield frame, alpha if number else None


def encode(frames, *, kind: str, seconds=TIMES, **options) -> bytes:
    frames = list(frames)
    height, width = frames[0][0].shape[:2]
    return encode_moving(frames, seconds, size=(height, width), format=kind, **options)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("plays", [0, 1, 3])
def test_times_and_plays_come_back_as_they_were(kind, plays):
    data = encode(((frame, None) for frame in sliding(5)), kind=kind, plays=plays)
    picture = read(data)
    assert list(picture.seconds) == TIMES and picture.plays == plays and picture.format == kind
    assert not picture.has_alpha and picture.stored_size == (40, 60) and picture.notes == ()
    assert frame_count(io.BytesIO(data)) == 5 and moves(io.BytesIO(data))


@pytest.mark.parametrize("kind", KINDS)
def test_others_read_the_same_times(kind):
    data = encode(((frame, None) for frame in sliding(5)), kind=kind)
    with Image.open(io.BytesIO(data)) as image:
        times = []
        for number in range(getattr(image, "n_frames", 1)):
            image.seek(number)
            image.load()
            times.append(round(image.info["duration"]))
    assert times == [40, 100, 100, 2500, 30]


@pytest.mark.parametrize(("kind", "off"), [("gif", 12), ("png", 0), ("webp", 6), ("avif", 6)])
@pytest.mark.parametrize("least", [255, 0, 90])
def test_frames_come_back_as_they_looked(kind, off, least):
    """Of a GIF, what is half transparent becomes a hole."""
    frames = list(with_alpha(sliding(5), least))
    picture = read(encode(frames, kind=kind, quality=None if kind in ("gif", "png") else 95, has_alpha=least < 255))
    assert picture.has_alpha == (least < 255)
    for (colors, alpha), (wanted, hole) in zip(picture.frames(), frames, strict=True):
        if least == 255 or hole is None:
            assert alpha is None
            hole = np.full(wanted.shape[:2], 255, np.uint8)
        else:
            expected = np.where(hole < 128, 0, 255) if kind == "gif" else hole
            assert np.abs(alpha.astype(int) - expected).max() <= (2 if kind == "avif" else 0)
        seen = hole == 255
        assert np.abs(colors[seen].astype(int) - wanted[seen]).mean() <= off


@pytest.mark.parametrize("kind", ["gif", "png"])
def test_frames_that_look_alike_or_take_no_time_are_kept(kind):
    frame = sliding(1)[0]
    seconds = [Fraction(1, 10), Fraction(0), Fraction(2, 10), Fraction(0)]
    data = encode([(frame, None)] * 4, kind=kind, seconds=seconds)
    assert list(read(data).seconds) == seconds
    assert len(data) < 1.1 * len(encode([(frame, None)] * 2, kind=kind, seconds=seconds[:2])) + 200


def test_webp_makes_one_frame_of_those_that_look_alike_and_keeps_the_time():
    one, other = sliding(2)
    data = encode([(one, None), (one, None), (other, None)], kind="webp", seconds=TIMES[:3])
    assert list(read(data).seconds) == [TIMES[0] + TIMES[1], TIMES[2]]


def test_avif_keeps_thirtieths_of_a_second_and_gives_the_same_bytes_each_time():
    seconds = [Fraction(1, 30)] * 4 + [Fraction(1001, 30_000)]
    made = [encode(((frame, None) for frame in sliding(5)), kind="avif", seconds=seconds) for _ in range(2)]
    assert list(read(made[0]).seconds) == seconds
    assert made[0] == made[1]


@given(
    st.lists(st.fractions(0, 10, max_denominator=1000), min_size=1, max_size=30),
    st.sampled_from([100, 1000]),
)
def test_rounded_times_never_drift(seconds, rate):
    ticks = in_ticks(seconds, rate, most=65_535)
    ends = np.cumsum([float(length) for length in seconds])
    assert np.abs(np.cumsum(ticks) / rate - ends).max() <= 0.5 / rate + 1e-9
    if all((length * rate).denominator == 1 for length in seconds):
        assert ticks == [length * rate for length in seconds]


@given(st.fractions(0, 65_535))
def test_a_length_of_time_is_written_as_two_numbers_of_16_bits(seconds):
    numerator, denominator = as_ratio(seconds)
    assert 0 <= numerator <= 65_535 and 0 < denominator <= 65_535
    assert abs(Fraction(numerator, denominator) - seconds) <= max(Fraction(1, 60_000), seconds / 1000)


# --- GIF ---


def test_a_frame_without_a_disposal_method_stays_whatever_the_one_before_did():
    small = [[2]]
    data = gif_of(
        gif_frame(rows(0), disposal=1),
        gif_frame(rows(1, 2, 1), disposal=2),
        gif_frame(small, left=3, disposal=0),
        gif_frame(small, left=3, top=1),
    )
    first, second, third, fourth = shown(data)
    assert (first[..., :3] == RED).all() and (second[0, :2, :3] == GREEN).all()
    assert (third[0, :2] == 0).all() and tuple(third[0, 3, :3]) == BLUE and tuple(third[1, 0, :3]) == RED
    assert tuple(fourth[0, 3, :3]) == BLUE and tuple(fourth[1, 3, :3]) == BLUE


def test_what_is_restored_looks_as_before_the_frame():
    data = gif_of(gif_frame(rows(0)), gif_frame(rows(1), disposal=3), gif_frame([[2]], left=1))
    third = shown(data)[2]
    assert tuple(third[0, 1, :3]) == BLUE and (np.delete(third.reshape(-1, 4), 1, axis=0)[:, :3] == RED).all()


def test_a_transparent_index_shows_what_is_below_it():
    data = gif_of(gif_frame(rows(0)), gif_frame([[1, 3, 3, 1]], clear=3))
    assert shown(data)[1][0, :, :3].tolist() == [list(GREEN), list(RED), list(RED), list(GREEN)]


def test_where_no_frame_has_been_nothing_is_seen():
    data = gif_of(gif_frame([[0]], left=2), gif_frame([[1]], left=3))
    picture = read(data)
    assert picture.has_alpha
    assert shown(data)[1][0, :, 3].tolist() == [0, 0, 255, 255]


@pytest.mark.parametrize(("loops", "plays"), [(None, 1), (0, 0), (1, 2), (65_535, 65_536)])
def test_a_gif_counts_how_often_it_is_played_again(loops, plays):
    data = gif_of(gif_frame(rows(0)), gif_frame(rows(1)), loops=loops)
    assert read(data).plays == plays
    again = encode(read(data).frames(), kind="gif", seconds=TIMES[:2], plays=plays)
    assert read(again).plays == plays


def test_a_screen_that_is_too_small_grows_with_the_first_frame_and_others_are_cut():
    data = gif_of(gif_frame(rows(0, 6, 3)), gif_frame(rows(1, 4, 2), left=4), width=2, height=1)
    picture = read(data)
    assert picture.stored_size == (3, 6)
    assert shown(data)[1][0, :, 1].tolist() == [0, 0, 0, 0, 255, 255]


def test_a_gif_without_an_end_mark_is_drawn_and_that_is_said():
    data = gif_of(gif_frame(rows(0)), gif_frame(rows(1)), end=b"")
    assert read(data).notes == ("it has no end mark, so frames may be missing",)
    assert read(data + b";").notes == ()


def test_a_still_gif_with_something_behind_it_is_still():
    data = gif_of(gif_frame(rows(0)), end=b"") + b"\x21\xfe\x05he"
    assert frame_count(io.BytesIO(data)) == 1
    assert frame_count(io.BytesIO(gif_of(gif_frame(rows(0))) + b"trash,,,")) == 1


def test_a_gif_keeps_comments_and_xmp_and_says_how_it_was_made(tmp_path):
    metadata = Metadata(xmp=XMP, comments=(b"by me",), exif=b"II*\0\x08\0\0\0\0\0\0\0\0\0")
    note = "toonify 0.2.0 shinkai/lite recipe:0123456789abcdef " + "x" * 600
    data = encode(((frame, None) for frame in sliding(5)), kind="gif", metadata=metadata, note=note)
    (tmp_path / "a.gif").write_bytes(data)
    assert read_processing_note(tmp_path / "a.gif") == note
    again = read(data).metadata
    assert again.xmp == metadata.xmp and again.comments[0].endswith(b"\nby me")
    assert metadata.left_out("gif") == ["its EXIF was left out, which gif does not hold"]
    with Image.open(io.BytesIO(data)) as image:
        assert getattr(image, "n_frames", 1) == 5 and b"by me" in image.info["comment"]


def test_what_stands_still_in_a_gif_does_not_flicker():
    """One palette for frames that it suits; another where the colors are others."""
    frames = sliding(6)
    found = shown(encode(((frame, None) for frame in frames), kind="gif", seconds=[Fraction(1, 10)] * 6))
    assert all(np.array_equal(frame[30:], found[0][30:]) for frame in found)
    other = 255 - frames[0]
    last = shown(encode([(frames[0], None), (other, None)], kind="gif", seconds=TIMES[:2]))[1]
    assert np.abs(last[..., :3].astype(int) - other).mean() < 6


# --- PNG ---


def apng(
    *parts: tuple[np.ndarray, int, int, int, int], first_is_shown: bool = True, frames: int | None = None
) -> bytes:
    """Parts of H x W x 4: pixels, left, top, disposal, blending."""

    def packed(pixels: np.ndarray) -> bytes:
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, format="PNG")
        data = buffer.getvalue()
        at = data.index(b"IDAT")
        return data[at + 4 : at + 4 + int.from_bytes(data[at - 4 : at])]

    height, width = parts[0][0].shape[:2]
    out = [b"\x89PNG\r\n\x1a\n", as_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0))]
    out.append(as_chunk(b"acTL", struct.pack(">II", frames or len(parts), 0)))
    number = 0
    if not first_is_shown:
        out.append(as_chunk(b"IDAT", packed(np.full((height, width, 4), 77, np.uint8))))
    for place, (pixels, left, top, disposal, blending) in enumerate(parts):
        size = pixels.shape[1], pixels.shape[0]
        control = struct.pack(">IIIIIHHBB", number, *size, left, top, 1, 0, disposal, blending)
        out.append(as_chunk(b"fcTL", control))
        number += 1
        if place == 0 and first_is_shown:
            out.append(as_chunk(b"IDAT", packed(pixels)))
        else:
            out.append(as_chunk(b"fdAT", number.to_bytes(4) + packed(pixels)))
            number += 1
    return b"".join([*out, as_chunk(b"IEND", b"")])


def one_color(*color: int, height: int = 2, width: int = 3) -> np.ndarray:
    return np.broadcast_to(np.array(color, np.uint8), (height, width, 4)).copy()


def test_half_transparent_frames_are_laid_over_each_other_as_the_standard_has_it():
    below, above = one_color(200, 0, 0, 128), one_color(0, 0, 200, 64)
    _, second = shown(apng((below, 0, 0, 0, 0), (above, 0, 0, 0, 1)))
    a, b = 64 / 255, 128 / 255
    alpha = a + b * (1 - a)
    expected = [200 * b * (1 - a) / alpha, 0, 200 * a / alpha, 255 * alpha]
    assert np.abs(second[0, 0] - np.array(expected)).max() <= 0.5


def test_a_frame_that_is_not_blended_makes_holes():
    parts = [(one_color(9, 9, 9, 255), 0, 0, 0, 0), (one_color(0, 0, 0, 0, height=1, width=1), 1, 0, 0, 0)]
    assert shown(apng(*parts))[1][0, :, 3].tolist() == [255, 0, 255]
    parts[1] = (*parts[1][:4], 1)
    assert shown(apng(*parts))[1][0, :, 3].tolist() == [255, 255, 255]


def test_a_default_image_is_no_frame_and_a_delay_counts_hundredths_by_default():
    data = apng((one_color(1, 2, 3, 255), 0, 0, 0, 0), (one_color(4, 5, 6, 255), 0, 0, 0, 0), first_is_shown=False)
    picture = read(data)
    assert [frame[0, 0, 0] for frame in shown(data)] == [1, 4] and list(picture.seconds) == [Fraction(1, 100)] * 2


def test_a_first_frame_that_is_to_be_restored_is_cleared():
    small = (one_color(4, 5, 6, 255, height=1, width=1), 0, 0, 0, 0)
    data = apng((one_color(1, 2, 3, 255), 0, 0, 2, 0), small)
    assert shown(data)[1][0, :, 3].tolist() == [255, 0, 0]


def test_frames_of_a_png_have_its_colors():
    chunk = PngImagePlugin.PngInfo()
    chunk.add(b"gAMA", (100_000).to_bytes(4))
    images = [Image.fromarray(frame) for frame in sliding(3)]
    moving, still = io.BytesIO(), io.BytesIO()
    images[0].save(moving, "PNG", save_all=True, append_images=images[1:], pnginfo=chunk)
    images[0].save(still, "PNG", pnginfo=chunk)
    expected = read_photo(still).pixels
    assert np.array_equal(next(read(moving.getvalue()).frames())[0], expected)
    assert not np.array_equal(expected, sliding(1)[0])


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data.replace(b"acTL", b"acTl"),
        lambda data: data.replace(
            as_chunk(b"acTL", struct.pack(">II", 2, 0)), as_chunk(b"acTL", bytes(3) + b"\1" + bytes(4))
        ),
    ],
)
def test_a_png_whose_animation_is_none_is_still(change):
    data = apng((one_color(1, 2, 3, 255), 0, 0, 0, 0), (one_color(4, 5, 6, 255), 0, 0, 0, 0))
    assert moves(io.BytesIO(data)) and not moves(io.BytesIO(change(data)))


def test_a_png_that_claims_more_frames_than_it_has_is_damaged():
    data = apng((one_color(1, 2, 3, 255), 0, 0, 0, 0), (one_color(4, 5, 6, 255), 0, 0, 0, 0), frames=3)
    with pytest.raises(ImageError, match="damaged: it ends in frame 2 of 3"):
        read(data)


# --- WebP and AVIF ---


@pytest.mark.parametrize("lossless", [True, False])
@pytest.mark.parametrize("least", [0, 90, 255])
def test_an_animated_webp_looks_as_libwebp_has_it(tmp_path, lossless, least):
    frames = [
        np.dstack([colors, np.full(colors.shape[:2], 255, np.uint8) if alpha is None else alpha])
        for colors, alpha in with_alpha(sliding(8), least)
    ]
    data = save_moving(
        tmp_path / "a.webp", frames, lossless=lossless, duration=40, allow_mixed=not lossless
    ).read_bytes()
    for ours, theirs in zip(shown(data), shown_by_pillow(data), strict=True):
        theirs[theirs[..., 3] == 0] = 0
        assert np.abs(ours.astype(int) - theirs).max() <= 1


@pytest.mark.parametrize("kind", ["webp", "png"])
def test_a_moving_picture_lies_as_its_exif_says(tmp_path, kind):
    exif = Image.Exif()
    exif[0x0112] = 6
    frames = sliding(3)
    options = {"lossless": True} if kind == "webp" else {}
    data = save_moving(tmp_path / f"a.{kind}", frames, exif=exif, duration=50, **options).read_bytes()
    picture = read(data)
    assert picture.stored_size == (60, 40)
    for (colors, _), frame in zip(picture.frames(), frames, strict=True):
        assert np.abs(colors.astype(int) - np.rot90(frame, -1)).mean() < 3


@pytest.mark.parametrize("kind", ["png", "webp", "avif"])
def test_exif_xmp_and_the_note_are_kept(tmp_path, kind):
    data = encode(((frame, None) for frame in sliding(5)), kind=kind, metadata=Metadata(xmp=XMP), note="toonify x")
    (tmp_path / "a").write_bytes(data)
    assert read_processing_note(tmp_path / "a") == "toonify x"
    assert b"<dc:source>a sketchbook</dc:source>" in read(data).metadata.xmp


def test_what_a_format_cannot_hold_is_said():
    made = encode(with_alpha(sliding(5), 0), kind="png", seconds=[Fraction(1, 30)] * 4 + [Fraction(0)], has_alpha=True)
    picture = read(made)
    assert left_out(picture, "png") == []
    assert left_out(picture, "gif") == ["its times were rounded to 1/100 s", "its transparency was cut to holes"]
    assert left_out(picture, "webp") == ["its times were rounded to 1/1000 s"]
    assert left_out(picture, "avif") == ["its frames of 0 s are shown for 1/1000 s, which avif asks for"]


# --- what does not move, what is damaged, what is large ---


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP", "AVIF", "TIFF", "BMP"])
def test_stills_do_not_move(kind):
    buffer = io.BytesIO()
    Image.fromarray(sliding(1)[0]).save(buffer, kind)
    assert not moves(buffer) and frame_count(buffer) == 1 and buffer.tell() == 0


def test_pages_of_a_tiff_are_no_frames(tmp_path):
    assert frame_count(io.BytesIO(save_moving(tmp_path / "a.tif", sliding(3)).read_bytes())) == 1


@pytest.mark.parametrize("data", [b"", b"GIF89a", b"\x89PNG\r\n\x1a\n", b"RIFF\0\0\0\0WEBPVP8X", b"\0\0\0\x18ftypavis"])
def test_a_head_alone_does_not_move(data):
    assert not moves(io.BytesIO(data))


@functools.cache
def example(kind: str) -> bytes:
    return encode(with_alpha(sliding(5), 0), kind=kind, has_alpha=True)


@settings(max_examples=40, deadline=None)
@given(kind=st.sampled_from(KINDS), share=st.floats(0, 1, exclude_max=True))
def test_a_file_that_ends_early_is_still_or_damaged_and_never_drawn_in_part(kind, share):
    data = example(kind)
    cut = data[: int(share * len(data))]
    if not moves(io.BytesIO(cut)):
        if kind != "avif":  # of which the head says that it moves
            with pytest.raises(ImageError):
                read_photo(io.BytesIO(cut))
        return
    try:
        picture = read(cut)
    except ImageError as error:
        assert "damaged" in str(error)
    else:
        assert kind == "gif" and picture.notes == ("it has no end mark, so frames may be missing",)


@settings(max_examples=60, deadline=None)
@given(kind=st.sampled_from(KINDS), place=st.floats(0, 1, exclude_max=True), value=st.integers(0, 255))
def test_a_changed_byte_is_drawn_or_told(kind, place, value):
    data = bytearray(example(kind))
    data[int(place * len(data))] = value
    file = io.BytesIO(bytes(data))
    if moves(file):
        try:
            for colors, _ in read_moving(file, max_pixels=1_000_000).frames():
                assert colors.ndim == 3
        except ImageError:
            pass


@pytest.mark.parametrize("kind", KINDS)
def test_a_limit_of_pixels_counts_one_frame(kind):
    assert read(example(kind), max_pixels=40 * 60).stored_size == (40, 60)
    with pytest.raises(ImageError, match="over the limit"):
        read(example(kind), max_pixels=40 * 60 - 1)


@pytest.mark.parametrize("kind", KINDS)
def test_memory_does_not_grow_with_the_number_of_frames(kind, tmp_path: Path):
    """But for what is written: frames are read and written one at a time."""
    size, count = (200, 300), 40
    ground = np.zeros((*size, 3), np.uint8)

    def frames(many: int) -> Iterator[tuple[np.ndarray, None]]:
        for number in range(many):
            frame = ground.copy()
            frame[number % 200, number % 300] = 255
            yield frame, None

    def run(many: int) -> int:
        tracemalloc.start()
        data = encode_moving(frames(many), [Fraction(1, 10)] * many, size=size, format=kind)
        for _ in read(data).frames():
            pass
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak - 3 * len(data)

    run(2)
    few, many = run(4), run(count)
    assert many - few < 4 * ground.nbytes, (few, many)


def test_a_picture_that_is_too_large_for_its_format_is_refused_before_anything_is_drawn():
    with pytest.raises(ImageError, match="more than webp holds"):
        encode_moving(iter(()), [Fraction(1)], size=(20_000, 10), format="webp")


@pytest.mark.parametrize("kind", ["webp", "avif"])
def test_what_goes_wrong_in_a_frame_comes_out_as_it_is(kind):
    def frames() -> Iterator[tuple[np.ndarray, None]]:
        yield sliding(1)[0], None
        raise MemoryError("in a frame")

    with pytest.raises(MemoryError, match="in a frame"):
        encode_moving(frames(), TIMES, size=(40, 60), format=kind)
