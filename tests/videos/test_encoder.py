"""Pictures to packets: what is declared, what comes back, and that the same pictures give the same packets."""

import os
import subprocess
import sys
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from clips import moving
from hypothesis import given
from hypothesis import strategies as st
from videos import scene

from toonify.videos.encoder import Encoder, Packet, Stream, decode_times, reordering, ticks_of
from toonify.videos.formats import CODECS, CONTAINERS, CodecName, choose_container


def encoded(pictures: list[np.ndarray], stream: Stream) -> list[Packet]:
    encoder = Encoder(stream)
    packets = [packet for n, picture in enumerate(pictures) for packet in encoder.encode(picture, 1000 * n, 1000)]
    return [*packets, *encoder.end()]


def shown_again(picture: np.ndarray) -> np.ndarray:
    """A picture as it comes out of a decoder."""
    height, width = picture.shape[:2]
    encoder = Encoder(Stream("h264", 100, height, width, Fraction(12), 12000))
    packets = [*encoder.encode(picture, 0, 1000), *encoder.end()]
    context: Any = av.CodecContext.create("h264", "r")
    context.extradata = encoder._context.extradata
    frames = [frame for packet in packets for frame in context.decode(av.Packet(packet.data))]
    frames += context.decode(None)
    (frame,) = frames
    return np.asarray(frame.to_ndarray(format="rgb24"))


@pytest.mark.parametrize("codec", CODECS)
def test_packets_have_the_times_and_lengths_of_their_pictures(codec: CodecName) -> None:
    packets = encoded(moving(13), Stream(codec, 85, 64, 64, Fraction(12), 12000))
    shown = sorted(packets, key=lambda packet: packet.pts)
    assert [(packet.pts, packet.length) for packet in shown] == [(1000 * number, 1000) for number in range(13)]
    assert packets[0].is_key
    assert_decodable(packets, reordering(packets))


def assert_decodable(packets: list[Packet], depth: int) -> None:
    times = [(dts, packet.pts) for dts, packet in decode_times(packets, depth, 1000)]
    assert all(dts <= pts for dts, pts in times)
    assert all(before < after for (before, _), (after, _) in pairwise(times))


@pytest.mark.parametrize("codec", CODECS)
def test_parts_of_any_length_have_rising_decode_times_together(codec: CodecName) -> None:
    packets: list[Packet] = []
    depth = 0
    for count in (1, 2, 7, 3):
        stream = Stream(codec, 85, 64, 64, Fraction(12), 12000)
        part = encoded(moving(count), stream)
        begun = len(packets) * 1000
        packets += [Packet(packet.pts + begun, packet.length, packet.is_key, packet.data) for packet in part]
        depth = max(depth, reordering(part))
    assert depth == reordering(packets)
    assert_decodable(packets, depth)


@given(st.permutations(range(1, 8)))
def test_any_order_can_be_decoded_in_time(order: list[int]) -> None:
    packets = [Packet(1000 * place, 1000, False, b"") for place in (0, *order)]
    assert_decodable(packets, reordering(packets))


@pytest.mark.parametrize("codec", CODECS)
def test_nothing_is_printed(codec: CodecName, capfd) -> None:
    encoded(moving(3), Stream(codec, 85, 64, 64, Fraction(12), 12000))
    assert capfd.readouterr() == ("", "")


def test_the_same_pictures_give_the_same_packets_whatever_memory_held_before() -> None:
    """glibc fills fresh memory with what MALLOC_PERTURB_ says; elsewhere this only repeats the encoding."""
    program = (
        "import hashlib; from fractions import Fraction; from clips import moving; from test_encoder import encoded;"
        "from toonify.videos.encoder import Stream;"
        "packets = encoded(moving(13, 128, 192), Stream('h264', 85, 128, 192, Fraction(12), 12000));"
        "print(hashlib.sha256(b''.join(each.data for each in packets)).hexdigest())"
    )
    here = Path(__file__).parent
    path = os.pathsep.join([str(here), str(here.parent / "support"), *sys.path])
    digests = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "MALLOC_PERTURB_": perturb, "PYTHONPATH": path},
            check=True,
            capture_output=True,
        ).stdout
        for perturb in ("0", "85", "255")
    }
    assert len(digests) == 1


@pytest.mark.parametrize("color", [(200, 40, 30), (20, 180, 60), (0, 0, 255), (255, 255, 255)])
def test_colors_come_back_in_the_matrix_that_is_declared(color: tuple[int, int, int]) -> None:
    picture = np.full((64, 64, 3), color, np.uint8)
    assert np.abs(shown_again(picture).astype(int) - picture).max() <= 4


def test_an_odd_side_gets_one_more_row_or_column_like_its_last() -> None:
    picture = scene(3, 61, 63)
    shown = shown_again(picture)
    assert shown.shape == (62, 64, 3)
    assert np.abs(shown[:, 63].astype(int) - shown[:, 62]).mean() < 6


def test_ticks_are_whole_in_the_time_base_of_the_source() -> None:
    for base in (Fraction(1, 25), Fraction(1001, 30000), Fraction(1, 90000), Fraction(1, 1000)):
        assert ticks_of(base) >= 10_000 and ticks_of(base) % base.denominator == 0
    assert ticks_of(None) >= 10_000


def test_a_container_is_the_source_s_where_it_holds_the_codec() -> None:
    assert choose_container(".MOV", "h265") == "mov" and choose_container(".mov", "vp9") == "mp4"
    assert choose_container(".webm", "vp9") == "webm" and choose_container(".webm", "h264") == "mp4"
    assert choose_container(".avi", "h264") == "mp4"
    assert all(codec in CODECS for container in CONTAINERS.values() for codec in container.codecs)
