"""Frames one after the other: what is drawn, what stands on, and what is carried over."""

from collections.abc import Iterator

import numpy as np
import pytest
from clips import moving
from videos import plain, scene

from toonify import load_style
from toonify.drawing.moving import draw_sequence
from toonify.drawing.moving.sequence import Held, draw_steps, follow
from toonify.drawing.style import Style


@pytest.fixture
def style(tiny_onnx) -> Style:
    return load_style(str(tiny_onnx), device="cpu")


def drawn(frames: list[np.ndarray], style: Style) -> list[np.ndarray]:
    return [picture for _, picture in draw_sequence(enumerate(frames), style)]


def test_the_first_frame_is_drawn_as_a_photo(style: Style) -> None:
    frame = scene(0, 64, 64)
    assert np.abs(drawn([frame], style)[0].astype(int) - style(frame)).max() <= 1


def test_what_belongs_to_a_frame_comes_back_in_order(style: Style) -> None:
    frames = [*moving(5), *moving(2)[:1] * 3]
    assert [tag for tag, _ in draw_sequence(enumerate(frames), style)] == list(range(8))


def test_a_frame_that_only_has_noise_of_compression_stands_on(style: Style, rng: np.random.Generator) -> None:
    frame = plain(100, 64, 64)
    noisy = frame + rng.integers(0, 2, frame.shape, dtype=np.uint8)
    steps = list(follow(enumerate([frame, noisy, noisy]), style))
    assert [step.sketch is None for step in steps] == [False, True, True]


def test_a_slow_fade_is_drawn_before_it_is_seen(style: Style) -> None:
    """Frames are compared with the one that was drawn last, so that small changes add up."""
    frames = [plain(100 + number, 64, 64) for number in range(10)]
    steps = list(follow(enumerate(frames), style))
    unseen = 0
    for step in steps:
        unseen = 0 if step.sketch is not None else unseen + 1
        assert unseen <= 1


def test_a_small_change_in_a_still_frame_is_drawn(style: Style) -> None:
    frame = scene(1, 64, 64)
    other = frame.copy()
    other[40:44, 40:44] ^= 128
    assert [step.sketch is None for step in follow(enumerate([frame, other]), style)] == [False, False]


def test_nothing_is_carried_over_a_cut(style: Style) -> None:
    one, other = scene(0, 64, 64), 255 - scene(5, 64, 64)
    steps = list(follow(enumerate([one, one, other]), style))
    assert [step.is_cut for step in steps] == [False, False, True]
    assert np.array_equal(drawn([one, other], style)[1], drawn([other], style)[0])


def test_frames_of_another_size_begin_anew(style: Style) -> None:
    pictures = drawn([scene(0, 64, 64), scene(0, 64, 96)], style)
    assert [picture.shape for picture in pictures] == [(64, 64, 3), (64, 96, 3)]
    assert np.array_equal(pictures[1], drawn([scene(0, 64, 96)], style)[0])


def test_a_sequence_that_is_gone_on_with_gives_the_same_pictures(style: Style) -> None:
    frames = moving(8)
    whole = drawn(frames, style)
    held = Held()
    first = list(follow(enumerate(frames[:5]), style))
    begun = [picture for _, picture in draw_steps(first, style, held)]
    rest = follow(enumerate(frames[5:]), style, first[-1].seen)
    ended = [picture for _, picture in draw_steps(rest, style, held)]
    assert all(map(np.array_equal, whole, begun + ended))


def test_few_frames_are_in_memory_at_a_time(style: Style) -> None:
    """However long the clip is: frames are taken only a little ahead of the pictures that come out."""
    taken = 0

    def frames() -> Iterator[tuple[int, np.ndarray]]:
        nonlocal taken
        for number, frame in enumerate(moving(8) * 8):
            taken += 1
            yield number, frame

    ahead = [taken - number for number, _ in draw_sequence(frames(), style)]
    assert max(ahead) < 24
