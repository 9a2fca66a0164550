"""Videos to videos through the command line's own parts, with a network that draws in milliseconds."""

import itertools
import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from clips import SIDE, Cue, Seen, make_clip, moving, names_in, packets_of, see, tracks_of, video_settings
from files import snapshot
from videos import FPS, plain, scene

from toonify.cli import main
from toonify.videos.reader import Video

UNEVEN = [Fraction(tick, 12000) for tick in (0, 500, 501, 1700, 5000, 5999, 9000, 12001)]


@pytest.fixture
def convert(tiny_onnx: Path):
    def run(*arguments: Any) -> int:
        return main(["convert", *map(str, arguments), "--style", str(tiny_onnx)])

    return run


def psnr(one: np.ndarray, other: np.ndarray) -> float:
    error = np.square(one.astype(float) - other).mean()
    return float(10 * np.log10(255**2 / max(error, 1e-9)))


def sound_of(path: Path, number: int = 0) -> list[bytes]:
    return [data for _, data in packets_of(path, "audio", number)]


# --- times ---


@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
def test_every_frame_keeps_its_time_and_the_clip_its_duration(suffix: str, convert, tmp_path: Path) -> None:
    source = make_clip(tmp_path / f"a{suffix}", moving(len(UNEVEN)), times=UNEVEN)
    assert convert(source) == 0
    before, after = see(source), see(tmp_path / f"a_tiny{suffix}")
    assert after.times == before.times == UNEVEN
    assert after.end == before.end


@pytest.mark.parametrize(("suffix", "codec"), [(".mkv", "libx264"), (".webm", "libvpx-vp9")])
def test_matroska_keeps_times_to_its_millisecond(suffix: str, codec: str, convert, tmp_path: Path) -> None:
    source = make_clip(tmp_path / f"a{suffix}", moving(len(UNEVEN)), times=UNEVEN, codec=codec, b="500k")
    assert convert(source, "--codec", "vp9") == 0
    assert see(tmp_path / f"a_tiny{suffix}").times == see(source).times


def test_a_first_time_that_is_not_0_stays(convert, tmp_path: Path) -> None:
    times = [Fraction(3, 4) + Fraction(number, 12) for number in range(6)]
    source = make_clip(tmp_path / "a.mp4", moving(6), times=times, sound=["aac"])
    assert convert(source) == 0
    assert see(source).times == times == see(tmp_path / "a_tiny.mp4").times
    assert packets_of(source, "audio") == packets_of(tmp_path / "a_tiny.mp4", "audio")


def test_the_clock_of_a_broadcast_begins_at_0_and_sound_stays_with_the_pictures(convert, tmp_path: Path) -> None:
    source = make_clip(
        tmp_path / "a.ts", moving(8), times=[1000 + Fraction(n, 12) for n in range(8)], sound=["aac"], sound_begins=1000
    )
    assert convert(source) == 0
    target = tmp_path / "a_tiny.mp4"

    def apart(path: Path) -> Fraction:
        return see(path).times[0] - packets_of(path, "audio")[0][0]

    assert see(source).times[0] > 900 and see(target).times[0] < 1
    assert abs(apart(source) - apart(target)) < Fraction(1, 1000)
    shift = see(source).times[0] - see(target).times[0]
    assert all(
        abs(one - other - shift) < Fraction(1, 5000)
        for one, other in zip(see(source).times, see(target).times, strict=True)
    )


def test_an_edit_list_is_obeyed(convert, tmp_path: Path) -> None:
    """B frames make FFmpeg write one; a longer one hides the first half second, which is not drawn."""
    source = make_clip(tmp_path / "a.mp4", moving(24), g="6", bf="0", muxer={"movflags": "faststart"})
    data = bytearray(source.read_bytes())
    place = data.index(b"elst") + 8  # version and flags, then count, then duration, time of media, rate
    assert int.from_bytes(data[place : place + 4]) == 1
    data[place + 8 : place + 12] = (6000).to_bytes(4)
    source.write_bytes(data)
    shown = see(source)
    assert len(shown.times) == 18
    assert convert(source) == 0
    after = see(tmp_path / "a_tiny.mp4")
    assert len(after.times) == 18 and after.times == [time - shown.times[0] for time in shown.times]


def test_a_video_that_says_no_times_is_drawn(convert, tmp_path: Path) -> None:
    with av.open(str(tmp_path / "b.h264"), "w", format="h264") as file:
        stream: Any = file.add_stream("libx264", rate=12)
        stream.width = stream.height = SIDE
        stream.pix_fmt = "yuv420p"
        for picture in moving(6):
            file.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        file.mux(stream.encode())
    (tmp_path / "b.h264").rename(tmp_path / "b.mp4")
    code = convert(tmp_path / "b.mp4")
    assert code == 1 and not (tmp_path / "b_tiny.mp4").exists()  # a stream without a container is no video file


# --- what goes along ---


@pytest.mark.parametrize(
    ("suffix", "sound"),
    [
        (".mp4", ["aac", "ac3"]),
        (".mov", ["aac", "pcm_s16le"]),
        (".mkv", ["flac", "libopus"]),
    ],
)
def test_all_sound_is_copied_bit_for_bit(suffix: str, sound: list[str], convert, tmp_path: Path) -> None:
    source = make_clip(tmp_path / f"a{suffix}", moving(12), sound=sound, language="deu")
    assert convert(source) == 0
    target = tmp_path / f"a_tiny{suffix}"
    assert tracks_of(target) == tracks_of(source)
    for number in range(2):
        assert packets_of(target, "audio", number) == packets_of(source, "audio", number)
    with av.open(str(target)) as file:
        languages = [stream.language for stream in file.streams.audio]
    with av.open(str(source)) as file:
        assert languages == [stream.language for stream in file.streams.audio]


def test_opus_in_webm_is_copied_bit_for_bit(convert, tmp_path: Path) -> None:
    source = make_clip(tmp_path / "a.webm", moving(8), codec="libvpx-vp9", b="500k", sound=["libopus"])
    assert convert(source, "-o", tmp_path / "b.webm") == 0
    assert tracks_of(tmp_path / "b.webm") == [("video", "vp9"), ("audio", "opus")]
    assert packets_of(tmp_path / "b.webm", "audio") == packets_of(source, "audio")


@pytest.mark.parametrize(
    ("suffix", "sound", "target", "codec"),
    [(".avi", "pcm_s16le", ".mp4", "aac"), (".mp4", "aac", ".webm", "opus"), (".mov", "pcm_s16le", ".webm", "opus")],
)
def test_sound_that_a_container_does_not_hold_is_heard_all_the_same(
    suffix: str, sound: str, target: str, codec: str, convert, tmp_path: Path, capsys
) -> None:
    kind = "mpeg4" if suffix == ".avi" else "libx264"
    source = make_clip(tmp_path / f"a{suffix}", moving(12), sound=[sound], codec=kind)
    assert convert(source, "-o", tmp_path / f"b{target}") == 0
    assert f"its sound was in {sound} and is in {codec} now" in capsys.readouterr().err
    with av.open(str(tmp_path / f"b{target}")) as file:
        heard = np.concatenate([frame.to_ndarray().reshape(-1) for frame in file.decode(audio=0)])
        rate = file.streams.audio[0].rate
    assert abs(len(heard) / rate - 1.05) < 0.06  # as long as it was
    middle = heard[rate // 4 : rate // 4 + rate // 2]
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(len(middle))))
    assert abs(spectrum.argmax() * rate / len(middle) - 330) < 4  # and the same tone


@pytest.mark.parametrize(("codec", "after"), [("libmp3lame", "mp3"), ("mp2", "aac")])
def test_the_sound_of_an_avi_goes_along(codec: str, after: str, convert, tmp_path: Path) -> None:
    """Its clock has the length of a frame of sound in a tick: 24 ms, which other encoders cut otherwise."""
    source = make_clip(tmp_path / "a.avi", moving(36), sound=[codec], bf="0")
    assert convert(source) == 0
    target = tmp_path / "a_tiny.mp4"
    assert ("audio", after) in tracks_of(target)
    with av.open(str(target)) as file:
        heard = np.concatenate([frame.to_ndarray().ravel() for frame in file.decode(audio=0)])
    assert heard.std() > 0.01
    if after == "mp3":
        assert sound_of(target) == sound_of(source)


def test_no_audio_leaves_the_sound_out(convert, tmp_path: Path) -> None:
    source = make_clip(tmp_path / "a.mp4", moving(4), sound=["aac"])
    assert convert(source, "--no-audio") == 0
    assert tracks_of(tmp_path / "a_tiny.mp4") == [("video", "h264")]


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov"])
def test_subtitles_chapters_title_date_and_language_are_kept(suffix: str, convert, tmp_path: Path) -> None:
    source = make_clip(
        tmp_path / f"a{suffix}",
        moving(24),
        sound=["aac"],
        language="fra",
        cues=[Cue(0.25, 0.75, "bonjour"), Cue(1.0, 1.5, "bonsoir")],
        chapters=[(0, 1, "one"), (1, 2, "two")],
        metadata={"title": "A film", "date": "2024-05-06", "comment": "of mine"},
    )
    assert convert(source) == 0
    target = tmp_path / f"a_tiny{suffix}"

    def told(path: Path) -> tuple[Any, ...]:
        cues = [(time, data) for time, data in packets_of(path, "subtitle") if len(data) > 2]
        with av.open(str(path)) as file:
            chapters = [
                (float(each["start"] * each["time_base"]), float(each["end"] * each["time_base"]), each["metadata"])
                for each in file.chapters()
            ]
            named = {key.lower(): value for key, value in file.metadata.items()}
            languages = [stream.language for stream in file.streams if stream.type in ("audio", "subtitle")]
            return cues, chapters, [named.get(key) for key in ("title", "date", "comment")], languages

    before = told(source)
    assert len(before[0]) == 2 and len(before[1]) == 2 and before[2] == ["A film", "2024-05-06", "of mine"]
    assert told(target) == before


def test_metadata_is_left_out_if_asked_for(convert, tmp_path: Path) -> None:
    source = make_clip(
        tmp_path / "a.mp4", moving(3), metadata={"title": "A film", "location": "+48+011/"}, sound=["aac"]
    )
    assert convert(source, "--strip-metadata") == 0
    with av.open(str(tmp_path / "a_tiny.mp4")) as file:
        told = {**file.metadata, **file.streams.audio[0].metadata}
    assert "A film" not in str(told) and "+48" not in str(told)


def test_what_a_container_has_no_name_for_is_told(convert, tmp_path: Path, capsys) -> None:
    source = make_clip(tmp_path / "a.mkv", moving(3), metadata={"title": "A film", "camera": "a Bolex"})
    assert convert(source, "-o", tmp_path / "b.mp4") == 0
    assert "left out of what it says of itself: camera" in capsys.readouterr().err.lower()
    assert convert(source, "-o", tmp_path / "c.mkv") == 0
    assert "left out" not in capsys.readouterr().err


def test_the_pictures_are_the_track_that_is_shown(convert, tmp_path: Path) -> None:
    source = make_clip(tmp_path / "a.mkv", moving(3))
    assert convert(source) == 0
    with av.open(str(tmp_path / "a_tiny.mkv")) as file:
        assert file.streams.video[0].disposition & av.stream.Disposition.default


def test_a_container_that_was_asked_for_needs_no_word(convert, tmp_path: Path, capsys) -> None:
    source = make_clip(tmp_path / "a.mp4", moving(3))
    for name, *codec in (("b.webm",), ("c.mkv", "--codec", "h265"), ("d.mov",)):
        assert convert(source, "-o", tmp_path / name, *codec) == 0
    assert "so it is in" not in capsys.readouterr().err
    assert convert(source.rename(tmp_path / "e.m2ts")) == 0
    assert ".m2ts is not written, so it is in mp4" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["b.mp4", "b.mov", "b.mkv", "b.webm"])
def test_the_same_video_is_the_same_file(name: str, convert, tmp_path: Path) -> None:
    source = make_clip(tmp_path / "a.mkv", moving(4), sound=["aac"])
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        assert convert(source, "-o", tmp_path / folder / name) == 0
    assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_what_a_container_does_not_hold_is_told(convert, tmp_path: Path, capsys) -> None:
    source = make_clip(tmp_path / "a.mkv", moving(4), second=moving(4))
    with av.open(str(source)) as file, av.open(str(tmp_path / "b.mkv"), "w") as out:
        track = out.add_stream_from_template(file.streams.video[0])
        out.add_attachment("font.ttf", "font/ttf", b"letters")
        for packet in file.demux(file.streams.video[0]):
            if packet.size:
                packet.stream = track
                out.mux(packet)
    assert convert(tmp_path / "b.mkv", "-o", tmp_path / "b.mp4") == 0
    assert "left out: 1 attachment, which mp4 does not hold" in capsys.readouterr().err


CUES = [Cue(0.25, 0.75, "<i>One</i> line"), Cue(1, 1.5, "two,\nthree")]


@pytest.mark.parametrize(
    ("before", "after", "codec", "said"),
    [
        (".mkv", ".mp4", "mov_text", ["One line", "two,\nthree"]),
        (".mkv", ".mov", "mov_text", ["One line", "two,\nthree"]),
        (".mkv", ".webm", "webvtt", ["<i>One</i> line", "two,\nthree"]),
        (".mp4", ".mkv", "subrip", ["<i>One</i> line", "two,\nthree"]),
        (".mp4", ".webm", "webvtt", ["<i>One</i> line", "two,\nthree"]),
    ],
)
def test_subtitles_are_written_as_the_container_wants_them(
    before: str, after: str, codec: str, said: list[str], convert, tmp_path: Path, capsys
) -> None:
    source = make_clip(tmp_path / f"a{before}", moving(24), cues=CUES, language="eng")
    target = tmp_path / f"b{after}"
    assert convert(source, "-o", target) == 0
    assert ("subtitle", codec) in tracks_of(target)
    assert f"and are in {codec} now" in capsys.readouterr().err
    found = packets_of(target, "subtitle")
    texts = [(time, data[2:] if codec == "mov_text" else data) for time, data in found]
    shown = [(float(time), data.decode()) for time, data in texts if data]
    assert [text for _, text in shown] == said and [time for time, _ in shown] == pytest.approx([0.25, 1], abs=0.002)
    with av.open(str(target)) as file:
        assert file.streams.subtitles[0].language == "eng"


def test_subtitles_of_a_part_begin_with_it(convert, tmp_path: Path) -> None:
    source = make_clip(tmp_path / "a.mkv", moving(24), cues=CUES)
    assert convert(source, "-o", tmp_path / "b.mp4", "--start", "0.9") == 0
    found = [(time, data[2:]) for time, data in packets_of(tmp_path / "b.mp4", "subtitle") if data[2:]]
    assert [(round(float(time), 2), text) for time, text in found] == [(0.1, b"two,\nthree")]


def test_two_tracks_of_pictures_one_is_drawn_and_the_other_is_told(convert, tmp_path: Path, capsys) -> None:
    source = make_clip(tmp_path / "a.mkv", moving(6), second=moving(6, seed=4))
    assert convert(source) == 0
    said = capsys.readouterr().err
    assert [kind for kind, _ in tracks_of(tmp_path / "a_tiny.mkv")] == ["video"]
    assert "left out: 1 further video" in said


# --- pictures ---


def test_rotation_is_applied_and_its_tag_is_gone(convert, tmp_path: Path) -> None:
    corner = plain(20, 64, 96)
    corner[:32, :32] = (240, 30, 30)
    source = make_clip(tmp_path / "a.mp4", [corner] * 3, turned=-90)
    assert video_settings(source)["rotation"] in (-90, 270, 90)
    assert convert(source, "--strength", "0") == 0
    told = video_settings(tmp_path / "a_tiny.mp4")
    assert told["size"] == (64, 96) and told["rotation"] == 0
    picture = see(tmp_path / "a_tiny.mp4").pictures[0]
    turned = np.rot90(corner, -1) if video_settings(source)["rotation"] == -90 else np.rot90(corner, 1)
    assert psnr(picture, turned) > psnr(picture, turned[::-1, ::-1]) + 6


def test_a_mirrored_picture_is_mirrored_and_not_turned(convert, tmp_path: Path) -> None:
    corner = plain(20, 64, 96)
    corner[:32, :32] = (240, 30, 30)
    mirror = [-1 << 16, 0, 0, 0, 1 << 16, 0, 96 << 16, 0, 1 << 30]
    source = make_clip(tmp_path / "a.mp4", [corner] * 3, matrix=mirror)
    assert convert(source, "--strength", "0") == 0
    picture = see(tmp_path / "a_tiny.mp4").pictures[0]
    others = [corner, corner[::-1], corner[::-1, ::-1]]
    assert psnr(picture, corner[:, ::-1]) > max(psnr(picture, other) for other in others) + 3


@pytest.mark.parametrize(("suffix", "kept"), [(".mp4", True), (".mov", True), (".mkv", False)])
def test_the_aspect_of_pixels_is_kept_or_they_are_made_square(
    suffix: str, kept: bool, convert, tmp_path: Path, capsys
) -> None:
    source = make_clip(tmp_path / f"a{suffix}", moving(3, 64, 90), aspect=Fraction(16, 15))
    assert convert(source) == 0
    told = video_settings(tmp_path / f"a_tiny{suffix}")
    assert (told["size"], told["aspect"]) == (((90, 64), Fraction(16, 15)) if kept else ((96, 64), Fraction(1)))
    assert ("are square now" in capsys.readouterr().err) is not kept


def test_what_the_numbers_of_a_pixel_mean_is_declared(convert, tmp_path: Path) -> None:
    """Full range and BT.601 come in; the same colors, in the declared BT.709 and limited range, come out."""
    source = make_clip(tmp_path / "a.mp4", [scene(1, 64, 64)] * 3, color={"colorspace": 5, "color_range": 1}, crf="1")
    assert convert(source, "--codec", "h264") == 0
    told = video_settings(tmp_path / "a_tiny.mp4")
    assert (told["primaries"], told["matrix"], told["range"], told["pix_fmt"]) == (1, 1, 1, "yuv420p")
    assert told["transfer"] == 1


@pytest.mark.parametrize("curve", [16, 18])
def test_hdr_is_tone_mapped_and_told(curve: int, convert, tmp_path: Path, capsys) -> None:
    color = {"color_primaries": 9, "color_trc": curve, "colorspace": 9, "color_range": 1}
    source = make_clip(
        tmp_path / "a.mp4",
        moving(3),
        codec="libx265",
        pix_fmt="yuv420p10le",
        color=color,
        **{"x265-params": "log-level=error"},
    )
    assert video_settings(source)["transfer"] == curve
    assert convert(source) == 0
    assert "its HDR was tone-mapped to sRGB" in capsys.readouterr().err
    told = video_settings(tmp_path / "a_tiny.mp4")
    assert (told["primaries"], told["transfer"], told["pix_fmt"]) == (1, 13, "yuv420p")


def test_interlaced_frames_odd_sides_and_transparency_are_told(convert, tmp_path: Path, capsys) -> None:
    combed = plain(20, 64, 64)
    combed[::2, 10:30] = 230
    make_clip(tmp_path / "combed.mp4", [combed] * 3, **{"x264-params": "interlaced=1:tff=1"})
    make_clip(tmp_path / "odd.mkv", moving(3, 61, 63), codec="ffv1", pix_fmt="bgr0")
    with av.open(str(tmp_path / "clear.mov"), "w") as file:
        stream: Any = file.add_stream("qtrle", rate=12)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "argb"
        for _ in range(3):
            clear = np.zeros((64, 64, 4), np.uint8)
            clear[..., 0] = 128
            file.mux(stream.encode(av.VideoFrame.from_ndarray(clear, format="argb")))
        file.mux(stream.encode())
    assert convert(tmp_path / "combed.mp4", tmp_path / "odd.mkv", tmp_path / "clear.mov") == 0
    said = capsys.readouterr().err
    assert "interlaced: one field of each frame is taken, without combs" in said
    assert "63 x 61 is odd: it is written as 64 x 62" in said
    assert "its transparency was laid on white" in said
    assert video_settings(tmp_path / "odd_tiny.mkv")["size"] == (64, 62)


@pytest.mark.parametrize(
    ("codec", "suffix"),
    [
        *itertools.product(["h264", "h265", "av1", "vp9"], [".mp4", ".mkv"]),
        ("h264", ".mov"),
        ("h265", ".mov"),
        ("vp9", ".webm"),
        ("av1", ".webm"),
    ],
)
def test_each_codec_in_each_container(codec: str, suffix: str, convert, tmp_path: Path) -> None:
    source = make_clip(tmp_path / "a.mp4", moving(13), sound=["aac"])
    target = tmp_path / f"b{suffix}"
    assert convert(source, "-o", target, "--codec", codec) == 0
    decoders = {"h265": "hevc", "av1": ("libdav1d", "av1", "libaom-av1")}
    told, after = video_settings(target), see(target)
    assert told["codec"] in decoders.get(codec, codec)
    assert [round(time * 12) for time in after.times] == list(range(13))
    assert convert(source, "-o", target, "--codec", codec) == 0  # skipped: the note is there
    plain_drawing = see(source).pictures
    assert all(picture.shape == plain_drawing[0].shape for picture in after.pictures)


@pytest.mark.parametrize("codec", ["h264", "h265", "av1", "vp9"])
def test_a_higher_quality_is_larger_and_nearer(codec: str, convert, tmp_path: Path) -> None:
    source = make_clip(tmp_path / "a.mkv", moving(8, 64, 96), codec="ffv1", pix_fmt="bgr0")
    sizes, errors = [], []
    convert(source, "-o", tmp_path / "best.mkv", "--quality", 100)
    best = see(tmp_path / "best.mkv").pictures
    for quality in (10, 50, 90):
        target = tmp_path / f"{quality}.mkv"
        assert convert(source, "-o", target, "--codec", codec, "--quality", quality) == 0
        sizes.append(target.stat().st_size)
        errors.append(np.mean([psnr(*both) for both in zip(see(target).pictures, best, strict=True)]))
    assert sizes == sorted(sizes) and errors == sorted(errors)


# --- a part of it ---


def fractions(clip: Seen) -> list[float]:
    return [round(float(time), 3) for time in clip.times]


def test_a_part_begins_and_ends_where_it_was_asked_for(convert, tmp_path: Path) -> None:
    source = make_clip(tmp_path / "a.mp4", moving(36), rate=Fraction(12), sound=["aac"], chapters=[(0, 3, "all")])
    target = tmp_path / "b.mp4"
    assert convert(source, "-o", target, "--start", "1", "--end", "0:02.25") == 0
    after = see(target)
    assert fractions(after) == [round(number / 12, 3) for number in range(15)]
    assert after.end == Fraction(5, 4)
    heard = packets_of(target, "audio")
    assert abs(heard[0][0]) < 0.03 and abs(float(heard[-1][0]) - 1.25) < 0.03
    inside = [data for time, data in packets_of(source, "audio") if Fraction(11, 10) < time < 2]
    there = [data for _, data in heard]
    assert there[there.index(inside[0]) :][: len(inside)] == inside
    whole, beginning = packets_of(source, "audio"), inside[0]
    moved = next(time for time, data in whole if data == beginning) - heard[there.index(beginning)][0]
    assert abs(moved - 1) < Fraction(1, 1000)  # sound stays with the pictures
    with av.open(str(target)) as file:
        (chapter,) = file.chapters()
        assert chapter["end"] * chapter["time_base"] == Fraction(5, 4)


def test_a_part_that_begins_within_a_frame_shows_that_frame(convert, tmp_path: Path) -> None:
    source = make_clip(tmp_path / "a.mp4", [plain(level, 64, 64) for level in (20, 120, 220)], rate=Fraction(1))
    assert convert(source, "-o", tmp_path / "b.mp4", "--start", "0.5", "--end", "2.25") == 0
    after = see(tmp_path / "b.mp4")
    assert fractions(after) == [0, 0.5, 1.5] and after.end == Fraction(7, 4)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts"])
def test_a_part_far_behind_is_the_same_as_from_the_beginning(suffix: str, tmp_path: Path) -> None:
    """Where a container has key frames by their times, what lies before is passed over."""
    source = make_clip(tmp_path / f"a{suffix}", moving(12 * 14), g="20", **{"x264-params": "open-gop=1:bframes=3"})

    def behind(since: float) -> list[tuple[int | None, float, int]]:
        with Video(source) as video:
            frames = [frame for frame in video.frames(since=since) if frame.time >= 9.5]
            assert video.problem is None
            return [(frame.pts, frame.time, int(frame.pixels().sum(dtype=int))) for frame in frames]

    assert len(behind(0.0)) == 12 * 14 - 114
    assert behind(9.5) == behind(0.0)


def test_the_last_frame_lasts_as_long_as_the_file_says(tmp_path: Path) -> None:
    """FFmpeg counts to the next frame in the order of decoding, which may be an earlier one, at another distance."""
    with Video(make_clip(tmp_path / "a.mp4", moving(6))) as video:
        *_, last = video.frames()
        for length in (0.0, 0.05, 1 / FPS, 0.25):
            last.duration = length
            assert video.length(last) == pytest.approx(min(length, 1 / FPS) or 1 / FPS)


def test_a_preview_is_of_the_middle(convert, tmp_path: Path) -> None:
    source = make_clip(tmp_path / "a.mp4", moving(48))
    assert convert(source, "-o", tmp_path / "b.mp4", "--preview", "1") == 0
    convert(source, "-o", tmp_path / "c.mp4", "--start", "1.5", "--end", "2.5")
    after, same = see(tmp_path / "b.mp4"), see(tmp_path / "c.mp4")
    assert fractions(after) == fractions(same) == [round(number / 12, 3) for number in range(12)]
    assert all(map(np.array_equal, after.pictures, same.pictures))


@pytest.mark.parametrize("rate", ["4", "30000/1001", "60"])
def test_a_rate_of_frames_is_kept_to_the_frame(rate: str, convert, tmp_path: Path) -> None:
    source = make_clip(tmp_path / "a.mp4", moving(24))
    assert convert(source, "-o", tmp_path / "b.mp4", "--fps", rate) == 0
    after, exact = see(tmp_path / "b.mp4"), Fraction(rate)
    assert len(after.times) == -(-2 * exact.numerator // exact.denominator)
    assert all(abs(time - number / exact) < Fraction(1, 10_000) for number, time in enumerate(after.times))


def test_a_start_behind_the_end_is_told(convert, tmp_path: Path, capsys) -> None:
    source = make_clip(tmp_path / "a.mp4", moving(12))
    assert convert(source, "--start", "5") == 1
    assert "nothing lies behind 5 s; give an earlier --start" in capsys.readouterr().err
    assert names_in(tmp_path) == ["a.mp4"]


def test_before_and_after_stand_side_by_side(convert, tmp_path: Path) -> None:
    source = make_clip(tmp_path / "a.mp4", moving(4))
    assert convert(source, "--before-after") == 0
    after = see(tmp_path / "a_tiny.mp4")
    assert after.pictures[0].shape[1] >= 2 * SIDE
    assert psnr(after.pictures[2][:, :SIDE], see(source).pictures[2]) > 28


# --- a second run ---


def test_a_second_run_skips_and_what_was_made_otherwise_is_kept(convert, tmp_path: Path, capsys) -> None:
    source = make_clip(tmp_path / "a.mp4", moving(6))
    target = tmp_path / "a_tiny.mp4"
    assert convert(source) == 0
    before = target.read_bytes()
    assert convert(source) == 0 and "1 skipped" in capsys.readouterr().err
    assert convert(source, "--codec", "h265") == 0
    said = capsys.readouterr().err
    assert "--codec h264 there, h265 now" in said and target.read_bytes() == before
    assert convert(source, "--codec", "h265", "--overwrite") == 0
    assert video_settings(target)["codec"] == "hevc"
    assert names_in(tmp_path) == ["a.mp4", "a_tiny.mp4"]


def test_a_changed_source_is_drawn_anew_if_asked_for(convert, tmp_path: Path, capsys) -> None:
    make_clip(tmp_path / "a.mp4", moving(6))
    convert(tmp_path / "a.mp4")
    make_clip(tmp_path / "a.mp4", moving(7, seed=2))
    assert convert(tmp_path / "a.mp4") == 0
    assert "toonify made from another file" in capsys.readouterr().err
    assert convert(tmp_path / "a.mp4", "--overwrite") == 0
    assert len(see(tmp_path / "a_tiny.mp4").times) == 7


def test_what_is_whole_of_a_damaged_video_is_drawn_and_a_rerun_says_so_again(convert, tmp_path: Path, capsys) -> None:
    source = make_clip(tmp_path / "a.ts", moving(60), g="12", bf="0")
    data = bytearray(source.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 1500] = bytes(range(250)) * 6
    source.write_bytes(data)
    report = tmp_path / "r.json"
    for outcome in ("incomplete", "incomplete"):
        assert convert(source, "--report", report) == 1
        (record,) = json.loads(report.read_text())["files"]
        assert record["outcome"] == outcome and "damaged" in record["reason"]
    assert 24 <= len(see(tmp_path / "a_tiny.mp4").times) < 60
    assert "damaged" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("suffix", "muxer"),
    [
        (".mp4", {"movflags": "faststart"}),
        (".mp4", {"movflags": "frag_keyframe+empty_moov"}),
        (".mkv", {}),
        (".webm", {}),
        (".avi", {}),
    ],
)
@pytest.mark.parametrize("share", [0.4, 0.6, 0.75, 0.97])
def test_a_download_that_broke_off_is_incomplete(
    suffix: str, muxer: dict[str, str], share: float, convert, tmp_path: Path, capsys
) -> None:
    codec = {"codec": "libvpx-vp9", "b": "400k"} if suffix == ".webm" else {"codec": "libx264", "bf": "0"}
    source = make_clip(tmp_path / f"a{suffix}", moving(60), g="6", muxer=muxer, **codec)
    data = source.read_bytes()
    assert convert(source, "-o", tmp_path / "whole.mp4") == 0
    source.write_bytes(data[: int(share * len(data))])
    assert convert(source, "-o", tmp_path / "b.mp4") == 1
    said = capsys.readouterr().err
    assert "incomplete: " in said and "damaged: the file is cut off; its pictures end at 0:0" in said
    assert 0 < len(see(tmp_path / "b.mp4").times) < 60 or share > 0.9 or suffix == ".avi"  # which repeats the last


def test_pictures_that_end_long_before_the_file_says_are_missed(convert, tmp_path: Path, capsys) -> None:
    """FFmpeg passes over what is no Matroska in the middle of a file, and tells nobody."""
    source = make_clip(tmp_path / "a.mkv", moving(60), g="60", bf="0")
    data = bytearray(source.read_bytes())
    middle = len(data) // 2
    data[middle:-2000] = bytes(len(data) - 2000 - middle)
    source.write_bytes(data)
    assert convert(source) == 1
    assert "incomplete: " in (said := capsys.readouterr().err) and "damaged: " in said


def test_a_video_without_its_index_is_told_to_be_cut_off(convert, tmp_path: Path, capsys) -> None:
    source = make_clip(tmp_path / "a.mp4", moving(30))
    source.write_bytes(source.read_bytes()[:-4000])
    assert convert(source) == 1
    assert "the file is cut off, and the index at its end is missing; fetch it again" in capsys.readouterr().err


# --- files that are none, and odd ones ---


def test_files_that_are_no_videos_are_named_in_a_line_each_and_the_others_are_drawn(
    convert, tmp_path: Path, capsys, noise: np.ndarray
) -> None:
    from PIL import Image

    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "empty.mp4").write_bytes(b"")
    (folder / "text.mp4").write_text("this is no video\n" * 90)
    Image.fromarray(noise).save(folder / "photo.jpg")
    (folder / "photo.jpg").rename(folder / "photo.mp4")
    good = make_clip(folder / "good.mp4", moving(12), sound=["aac"], muxer={"movflags": "faststart"})
    tail = make_clip(folder / "tail.mp4", moving(12))
    tail.write_bytes(tail.read_bytes()[:-900])  # without its table of contents
    with av.open(str(folder / "sound.mp4"), "w") as file:
        voice: Any = file.add_stream("aac", rate=48000, layout="mono")
        heard = av.AudioFrame.from_ndarray(np.zeros((1, 4096), np.int16), format="s16", layout="mono")
        heard.sample_rate = 48000
        file.mux(voice.encode(heard))
        file.mux(voice.encode())
    make_clip(folder / "none.mp4", [])
    before = snapshot(folder)
    assert convert(folder, "--videos", "--output", tmp_path / "out") == 1
    said = capsys.readouterr().err
    assert "1 drawn, 6 failed" in said
    failed = {line.split("/in/")[1].partition(": ")[0]: line for line in said.splitlines() if "  failed: " in line}
    assert set(failed) == {"empty.mp4", "text.mp4", "photo.mp4", "tail.mp4", "sound.mp4", "none.mp4"}
    assert snapshot(folder) == before
    assert names_in(tmp_path / "out") == ["good.mp4"]
    assert len(see(tmp_path / "out" / "good.mp4").times) == len(see(good).times)


def test_a_video_under_the_name_of_a_photo_is_told_to_be_one(convert, tmp_path: Path, capsys) -> None:
    make_clip(tmp_path / "a.mp4", moving(3)).rename(tmp_path / "a.jpg")
    assert convert(tmp_path / "a.jpg") == 1
    assert "a.jpg" in (said := capsys.readouterr().err) and "video" in said


def test_a_video_without_a_suffix_is_drawn_if_it_is_named(convert, tmp_path: Path) -> None:
    make_clip(tmp_path / "a.mp4", moving(3)).rename(tmp_path / "film")
    assert convert(tmp_path / "film") == 0
    assert len(see(tmp_path / "film_tiny.mp4").times) == 3


def test_a_header_that_promises_three_hours_is_told(convert, tmp_path: Path, capsys) -> None:
    source = make_clip(tmp_path / "a.mkv", moving(12))
    source.write_bytes(source.read_bytes().replace(b"00:00:01.0", b"03:00:00.0"))
    assert convert(source, "--preview", "1") == 1
    assert "--start and --end" in capsys.readouterr().err
    assert convert(source) == 1
    assert "damaged: ends at 0:00 of 3:00:00" in capsys.readouterr().err
    assert len(see(tmp_path / "a_tiny.mkv").times) == 12


@pytest.mark.parametrize(("height", "width"), [(1, 1), (2, 300), (17, 9)])
def test_tiny_frames_are_drawn(height: int, width: int, convert, tmp_path: Path) -> None:
    source = make_clip(tmp_path / "a.mkv", moving(3, height, width), codec="ffv1", pix_fmt="bgr0")
    assert convert(source) == 0
    assert len(see(tmp_path / "a_tiny.mkv").times) == 3


def test_one_frame_is_a_video(convert, tmp_path: Path) -> None:
    source = make_clip(tmp_path / "a.mp4", moving(1))
    assert convert(source) == 0
    assert see(tmp_path / "a_tiny.mp4").times == [0]


def test_frames_that_are_too_large_are_refused_with_the_flag_that_raises_the_limit(
    convert, tmp_path: Path, capsys
) -> None:
    source = make_clip(tmp_path / "a.mp4", moving(2))
    assert convert(source, "--max-megapixels", "0.002") == 1
    assert "--max-megapixels" in capsys.readouterr().err and names_in(tmp_path) == ["a.mp4"]
    assert convert(source, "--max-megapixels", "1") == 0


def test_names_with_odd_characters(convert, tmp_path: Path) -> None:
    names = ["夜\u3000空.mp4", "[red] 100%d.mp4", "http:example.mp4", "-v.mp4", "a'b\"c.mkv"]
    for name in names:
        make_clip(tmp_path / name, moving(2))
    assert convert(*(tmp_path / name for name in names), "-o", tmp_path / "out") == 0
    assert names_in(tmp_path / "out") == sorted(names)


def test_pictures_that_change_their_size_are_brought_to_that_of_the_first_and_it_is_told(
    convert, tmp_path: Path, capsys
) -> None:
    parts = [
        make_clip(
            tmp_path / f"{number}.m2v", moving(6, *shape), codec="mpeg2video", rate=Fraction(25), base=Fraction(1, 25)
        )
        for number, shape in enumerate([(64, 96), (96, 96)])
    ]
    (tmp_path / "a.mpg").write_bytes(b"".join(part.read_bytes() for part in parts))
    assert convert(tmp_path / "a.mpg") in (0, 1)
    said = capsys.readouterr().err
    assert "96 x 96" in said and "96 x 64" in said
    assert {picture.shape for picture in see(tmp_path / "a_tiny.mp4").pictures} == {(64, 96, 3)}


def test_a_cover_is_not_the_video(convert, tmp_path: Path, capsys) -> None:
    import io

    from PIL import Image

    source = make_clip(tmp_path / "b.mp4", moving(4))
    cover = io.BytesIO()
    Image.fromarray(plain(200, 32, 32)).save(cover, "jpeg")
    with av.open(str(source)) as origin, av.open(str(tmp_path / "a.mp4"), "w") as file:
        video: Any = file.add_stream_from_template(origin.streams.video[0])
        still: Any = file.add_stream("mjpeg")
        still.width = still.height = 32
        still.pix_fmt = "yuvj420p"
        still.disposition = av.stream.Disposition.attached_pic
        for packet in origin.demux(video=0):
            if packet.dts is not None:
                packet.stream = video
                file.mux(packet)
        shown: Any = av.Packet(cover.getvalue())
        shown.stream, shown.pts, shown.dts, shown.time_base = still, 0, 0, Fraction(1, 90000)
        file.mux(shown)
    assert convert(tmp_path / "a.mp4") == 0
    assert "cover picture" in capsys.readouterr().err
    assert len(see(tmp_path / "a_tiny.mp4").times) == 4
