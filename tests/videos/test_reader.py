"""Videos to frames: upright, square pixels, right colors; what is damaged is left out and named."""

import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from videos import FPS, HEIGHT, WIDTH, credits_page, hold, plain, scene, write_video

from toonify.errors import ImageError
from toonify.videos.reader import Video, as_time

FIRST = {"movflags": "faststart"}  # the table of contents


def frames(path: Path) -> list[np.ndarray]:
    with Video(path) as video:
        return [frame.pixels() for frame in video.frames()]


def near(one: np.ndarray, other: np.ndarray) -> bool:
    return one.shape == other.shape and np.abs(one.astype(int) - other).mean() < 6


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("a.mp4", "libx264"),
        ("a.mkv", "libx264"),
        ("a.avi", "mpeg4"),
        ("a.mov", "mpeg4"),
        ("a.ts", "libx264"),
        ("a.mpg", "mpeg2video"),
        ("a.webm", "libvpx-vp9"),
    ],
)
def test_the_frames_of_a_video_with_their_times(name: str, codec: str, tmp_path: Path) -> None:
    fps = 25 if codec == "mpeg2video" else FPS
    path = write_video(tmp_path / name, [scene(0)] * 10 + [scene(1)] * 10, codec=codec, fps=fps, b="2000000")
    with Video(path) as video:
        found = list(video.frames())
        assert len(found) == 20 and video.problem is None
        assert np.allclose([frame.time for frame in found], np.arange(20) / fps, atol=0.002)
        assert found[0].thumbnail.shape == (36, 64, 3)
    assert near(found[0].pixels(), scene(0)) and near(found[-1].pixels(), scene(1))


def test_a_phone_held_upright_gives_upright_frames(tmp_path: Path) -> None:
    corner = plain(0)
    corner[: HEIGHT // 2, : WIDTH // 2] = 255
    path = write_video(tmp_path / "a.mp4", [corner] * 3)
    data = bytearray(path.read_bytes())
    matrix = data.index(b"tkhd") + 4 + 40
    # As phones write it (ISO 14496-12, 8.3.2): x' = -y + height, y' = x, which is a quarter turn clockwise.
    data[matrix : matrix + 36] = struct.pack(">9i", 0, 1 << 16, 0, -1 << 16, 0, 0, HEIGHT << 16, 0, 1 << 30)
    path.write_bytes(data)
    turned = frames(path)[0]
    assert turned.shape == (WIDTH, HEIGHT, 3)
    assert near(turned, np.rot90(corner, -1))


def test_pixels_that_are_not_square_are_made_so(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mkv", [scene(0)] * 3, aspect=Fraction(4, 3))
    assert frames(path)[0].shape == (HEIGHT, WIDTH * 4 // 3, 3)


@pytest.mark.parametrize("height", [128, 720])
def test_a_video_that_does_not_say_its_colors_has_those_of_its_size(height: int, tmp_path: Path) -> None:
    """Players take Rec. 601 for small ones and Rec. 709 for HD."""
    color = np.array([200, 40, 30])
    matrix = {128: (0.299, 0.587, 0.114), 720: (0.2126, 0.7152, 0.0722)}[height]
    luma = matrix @ color / 255
    blue, red = (color[2] / 255 - luma) / (2 - 2 * matrix[2]), (color[0] / 255 - luma) / (2 - 2 * matrix[0])
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=FPS, options={"crf": "1"})
        stream.width, stream.height, stream.pix_fmt = 64, height, "yuv420p"
        frame = av.VideoFrame(64, height, "yuv420p")
        for plane, value in zip(frame.planes, (16 + 219 * luma, 128 + 224 * blue, 128 + 224 * red), strict=True):
            plane.update(bytes([round(value)]) * plane.buffer_size)
        file.mux(stream.encode(frame))
        file.mux(stream.encode())
    assert np.abs(frames(path)[0][height // 2, 32].astype(int) - color).max() <= 3


def test_interlaced_frames_have_no_combs(tmp_path: Path) -> None:
    combed = plain(20)
    combed[::2, 40:80] = 230
    combed[1::2, 100:140] = 230
    path = write_video(tmp_path / "a.mkv", [combed] * 4, **{"x264-params": "interlaced=1:tff=1", "crf": "4"})
    rows = frames(path)[0].astype(int)
    assert rows.shape == combed.shape
    assert np.abs(np.diff(rows[8:-8], axis=0)).max() < 12


def test_key_frames_are_spread_over_the_video(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", [f for seed in range(10) for f in hold(scene(seed), 1)], g="12")
    with Video(path) as video:
        keys = [frame.pixels() for frame in video.key_frames(10)]
    assert len(keys) == 10 and all(near(key, scene(seed)) for seed, key in enumerate(keys))


# --- clocks ---


@pytest.mark.parametrize("suffix", [".mpg", ".ts"])
def test_recordings_that_were_joined_run_on(suffix: str, tmp_path: Path) -> None:
    parts = [
        write_video(
            tmp_path / f"{part}{suffix}",
            [f for seed in range(6) for f in hold(scene(10 * part + seed), 1)],
            codec="mpeg2video",
            g="12",
        )
        for part in (0, 1)
    ]
    joined = tmp_path / f"joined{suffix}"
    joined.write_bytes(b"".join(path.read_bytes() for path in parts))
    with Video(joined) as video:
        seconds = [frame.time for frame in video.frames()]
    assert len(seconds) >= 2 * 6 * FPS - 6  # where they meet a few may be lost
    assert np.all(np.diff(seconds) > 0) and abs(seconds[-1] - 12) < 1


def test_sound_that_is_longer_than_the_picture_is_no_damage(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        sound = file.add_stream("aac", rate=44100)
        for picture in hold(scene(0), 2):
            file.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        for _ in range(20 * 43):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            frame.rate = 44100
            file.mux(sound.encode(frame))
        file.mux(stream.encode())
        file.mux(sound.encode())
    with Video(path) as video:
        assert sum(1 for _ in video.frames()) == 2 * FPS
        assert video.problem is None


def test_a_last_picture_that_stands_for_long_is_no_damage(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=FPS, options={"bf": "0"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        packets = [
            packet
            for picture in hold(scene(0), 2)
            for packet in stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24"))
        ]
        packets += stream.encode()
        packets[-1].duration = round(60 / packets[-1].time_base)
        for packet in packets:
            file.mux(packet)
    with Video(path) as video:
        assert video.duration is not None and video.duration > 50
        assert sum(1 for _ in video.frames()) == 2 * FPS
        assert video.problem is None


# --- what is damaged ---


@pytest.fixture
def long_video(tmp_path: Path) -> Path:
    pictures = [f for seed in range(12) for f in hold(scene(seed), 1)]
    return write_video(tmp_path / "long.mp4", pictures, container=FIRST, g="12")


def test_a_video_that_was_cut_off_gives_what_is_there_and_says_so(long_video: Path) -> None:
    data = long_video.read_bytes()
    long_video.write_bytes(data[: len(data) * 2 // 3])
    with Video(long_video) as video:
        count = sum(1 for _ in video.frames())
        assert 4 * FPS < count < 12 * FPS
        assert video.problem is not None and "damaged" in video.problem


def test_after_a_damaged_part_frames_come_again_and_none_that_is_wrong(long_video: Path) -> None:
    data = bytearray(long_video.read_bytes())
    middle = len(data) // 2
    data[middle : middle + len(data) // 12] = np.random.default_rng(0).bytes(len(data) // 12)
    long_video.write_bytes(data)
    with Video(long_video) as video:
        found = [(frame.time, frame.pixels()) for frame in video.frames()]
        assert video.problem is not None and "frames lost, the first at 0:0" in video.problem
    assert FPS < 12 * FPS - len(found) + FPS < 5 * FPS
    assert found[-1][0] > 11.5
    assert [time for time, pixels in found if not near(pixels, scene(int(time)))] == []


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no video",
        bytes(5000),
        b"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nhttp://127.0.0.1:9/a.ts\n#EXT-X-ENDLIST\n",
        b"ffconcat version 1.0\nfile /etc/hostname\n",
        b"RIFF\0\0\0\0AVI LIST",
    ],
)
def test_what_is_no_video_is_refused(content: bytes, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(content)
    with pytest.raises(ImageError) as caught, Video(path) as video:
        list(video.frames())
    assert "\n" not in str(caught.value) and "<none>" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    damage=st.lists(st.tuples(st.integers(0, 10**6), st.binary(min_size=1, max_size=40)), max_size=6),
    length=st.sampled_from([0.1, 0.5, 0.9, 1.0]),
)
def test_whatever_is_damaged_there_are_frames_or_a_reason(
    damage: list[tuple[int, bytes]], length: float, tmp_path: Path
) -> None:
    path = tmp_path / "short.mp4"
    if not path.exists():
        write_video(path, [f for seed in range(3) for f in hold(scene(seed), 0.5)], container=FIRST, g="6")
    data = bytearray(path.read_bytes())
    for place, content in damage:
        place %= len(data)
        data[place : place + len(content)] = content
    damaged = tmp_path / "damaged.mp4"
    damaged.write_bytes(data[: int(len(data) * length)])
    try:
        with Video(damaged) as video:
            shapes = {frame.pixels().shape[2:] for frame in video.frames()}
            keys = [frame.pixels().shape[2:] for frame in video.key_frames(4)]
        assert shapes | set(keys) <= {(3,)} and (shapes or video.problem)
    except ImageError as error:
        assert "\n" not in str(error)


def test_sound_alone_is_no_video(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as file:
        stream = file.add_stream("aac", rate=44100)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.rate = 44100
        file.mux(stream.encode(frame))
        file.mux(stream.encode())
    with pytest.raises(ImageError, match="no pictures in it"):
        Video(path)


def test_a_name_is_never_taken_for_an_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "concat:a").mkdir()
    path = write_video(tmp_path / "plain.mp4", [credits_page(3, HEIGHT, WIDTH)] * 3)
    odd = Path("concat:a") / "http:b|c.mp4"
    path.rename(odd)
    assert len(frames(odd)) == 3


@pytest.mark.parametrize(("seconds", "said"), [(0, "0:00"), (61.9, "1:01"), (3723, "1:02:03")])
def test_times_as_people_write_them(seconds: float, said: str) -> None:
    assert as_time(seconds) == said
