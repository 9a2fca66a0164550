"""Motion between frames, and what is held along it."""

import numpy as np
import pytest
from videos import scene

from toonify.drawing.close_ups import CloseUp
from toonify.drawing.faces import Face, Point
from toonify.drawing.finish import Layers
from toonify.drawing.moving.hold import hold_close_ups, hold_layers
from toonify.drawing.moving.motion import Motion, find_motion
from toonify.drawing.moving.tracks import Track, Tracks
from toonify.pixels.boxes import Box

H, W = 96, 128


def still(trust: float = 1.0) -> Motion:
    x, y = np.meshgrid(np.arange(W, dtype=np.float32), np.arange(H, dtype=np.float32))
    return Motion(x, y, np.full((H, W), trust, np.float32))


def face(top: int, left: int, side: int = 20) -> Face:
    at = Point(left + side / 2, top + side / 2)
    return Face(Box(top, left, top + side, left + side), at, at, at, at, at, 0.9)


@pytest.mark.parametrize(("down", "right"), [(0, 0), (3, 0), (0, -5), (2, 4)])
def test_a_shift_is_found_where_there_is_something_to_see(down: int, right: int) -> None:
    large = scene(1, H + 40, W + 40)
    before = large[20 : 20 + H, 20 : 20 + W]
    now = large[20 - down : 20 - down + H, 20 - right : 20 - right + W]
    motion = find_motion(before, now)
    assert motion is not None and not motion.is_cut
    found = motion.shift(Box(20, 20, H - 20, W - 20))
    assert found == pytest.approx((down, right), abs=0.5)


def test_another_scene_is_a_cut() -> None:
    motion = find_motion(scene(1, H, W), scene(2, H, W))
    assert motion is not None and motion.is_cut


def test_what_was_uncovered_is_not_trusted_and_what_stands_is() -> None:
    before = scene(3, H, W).copy()
    now = before.copy()
    before[30:60, 40:70] = 255  # a white square stood there
    now[30:60, 40:70] = (20, 200, 30)
    motion = find_motion(before, now)
    assert motion is not None
    assert motion.trust[35:55, 45:65].max() < 0.1
    assert motion.trust[75:90, 90:120].min() > 0.9


def test_pictures_that_are_too_small_and_those_of_other_sizes_have_no_motion() -> None:
    assert find_motion(scene(1, 15, 40), scene(1, 15, 40)) is None
    assert find_motion(scene(1, 40, 40), scene(1, 40, 48)) is None
    assert find_motion(scene(1, 16, 16), scene(1, 16, 16)) is not None


def test_a_drawing_is_blended_with_the_one_before_as_far_as_that_is_trusted() -> None:
    before = Layers(np.zeros((H, W, 3), np.float32), np.zeros((H, W), np.float32))
    now = Layers(np.ones((H, W, 3), np.float32), np.ones((H, W), np.float32))
    for trust in (0.0, 0.5, 1.0):
        held = hold_layers(now, before, still(trust))
        assert held.colors == pytest.approx(1 - 0.6 * trust) and held.opacity == pytest.approx(1 - 0.6 * trust)
    assert hold_layers(now, before, None) is now and hold_layers(now, None, still()) is now


def test_repeated_blending_of_noise_takes_it_down_as_an_exponential_mean_does() -> None:
    random = np.random.default_rng(0)
    held: Layers | None = None
    for _ in range(40):
        noise = random.normal(0, 1, (H, W, 3)).astype(np.float32)
        held = hold_layers(Layers(noise), held, still())
    assert held is not None
    # The variance of an exponential mean: (1 - a) / (1 + a), a being the share that is carried on.
    assert float(held.colors.var()) == pytest.approx(0.4 / 1.6, rel=0.05)


def test_close_ups_are_held_at_the_size_of_the_picture() -> None:
    small = face(10, 10)
    close_up = CloseUp(Box(40, 40, 100, 100), np.zeros((60, 60, 3), np.uint8), small, small)
    picture, before = np.full((2 * H, 2 * W, 3), 200, np.uint8), np.full((2 * H, 2 * W, 3), 100, np.uint8)
    hold_close_ups(picture, [close_up], before, still())
    assert np.abs(picture[41:99, 41:99].astype(int) - 140).max() <= 1
    assert (picture[:40] == 200).all() and (picture[:, 100:] == 200).all()


def test_faces_are_followed_between_searches_and_forgiven_when_they_are_missed_twice() -> None:
    frame = np.zeros((H, W, 3), np.uint8)
    searches: list[int] = []

    def find(results: list[Face]) -> object:
        def finder(_: np.ndarray) -> list[Face]:
            searches.append(1)
            return results

        return finder

    moving = Motion(still().x - 2, still().y - 1, still().trust)  # all moves two to the right and one down
    tracks = Tracks().followed(frame, None, find([face(20, 30)]))
    for _ in range(3):
        tracks = tracks.followed(frame, moving, find([]))
    assert len(searches) == 1 and tracks.faces[0].box == Box(23, 36, 43, 56)
    for missed in range(1, 3):
        for _ in range(4):
            tracks = tracks.followed(frame, still(), find([]))
        assert tracks.tracks[0].missed == missed
    for _ in range(4):
        tracks = tracks.followed(frame, still(), find([]))
    assert tracks.faces == []


def test_a_face_that_is_found_again_is_brought_half_way_and_another_begins() -> None:
    frame = np.zeros((H, W, 3), np.uint8)
    tracks = Tracks((Track(face(20, 30)),)).followed(frame, still(), lambda _: [face(60, 90), face(24, 30)])
    assert [each.box.top for each in tracks.faces] == [22, 60]


def test_a_face_that_leaves_the_frame_is_gone() -> None:
    away = Motion(still().x + 200, still().y, still().trust)
    tracks = Tracks((Track(face(20, 30)),), age=1).followed(np.zeros((H, W, 3), np.uint8), away, lambda _: [])
    assert tracks.faces == []
