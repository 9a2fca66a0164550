"""Which frames are taken, and what makes a frame worthless: on arrays, without any video."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from videos import boxed, credits_page, plain, scene

from toonify.prepare.content import blank, content_box, find_bars, is_plain, looks_like_credits
from toonify.prepare.shots import find_cuts, pick_every, pick_shots


@dataclass
class Moment:
    time: float
    thumbnail: np.ndarray


def film(*pictures: np.ndarray, fps: float = 24) -> list[Moment]:
    return [Moment(number / fps, picture) for number, picture in enumerate(pictures)]


def still(seed: int, frames: int) -> list[np.ndarray]:
    """A shot in which nothing moves, as a thumbnail."""
    return [scene(seed, 36, 64)] * frames


def times(picked: list[Moment]) -> list[float]:
    return [round(moment.time, 3) for moment in picked]


# --- shots ---


def test_one_frame_of_each_shot_some_way_after_the_cut():
    lengths = [48, 30, 96, 60]
    shots = [frame for seed, length in enumerate(lengths) for frame in still(seed, length)]
    picked = list(pick_shots(film(*shots)))
    starts = np.cumsum([0, *lengths[:-1]]) / 24
    assert len(picked) == len(lengths)
    for moment, start in zip(picked, starts, strict=True):
        assert 0.25 <= moment.time - start <= 1.25


def test_the_stillest_frame_is_taken():
    moving = [np.roll(scene(1, 36, 64), number, axis=1) for number in range(18)]
    picked = list(pick_shots(film(*still(0, 24), *moving, *[moving[-1]] * 6, *moving[::-1])))
    after_the_cut = [moment for moment in picked if moment.time >= 1]
    assert 1 + 18 / 24 <= after_the_cut[0].time < 2


def test_a_slide_show_loses_no_slide():
    slides = [scene(seed, 36, 64) for seed in range(6)]
    assert times(list(pick_shots(film(*slides, fps=1)))) == [0, 1, 2, 3, 4, 5]


def test_a_flash_is_no_shot_and_the_shot_after_it_is_not_lost():
    flash = [plain(255, 36, 64)] * 2
    picked = list(pick_shots(film(*still(0, 48), *flash, *still(1, 48))))
    assert len(picked) == 2 and all(moment.thumbnail.mean() < 250 for moment in picked)


def test_a_dissolve_leads_to_another_shot():
    one, other = scene(0, 36, 64).astype(float), scene(1, 36, 64).astype(float)
    blend = [(one * (1 - t) + other * t).astype(np.uint8) for t in np.linspace(0, 1, 36)]
    picked = list(pick_shots(film(*still(0, 48), *blend, *still(1, 72))))
    assert np.array_equal(picked[0].thumbnail, one) and np.array_equal(picked[-1].thumbnail, other)
    assert len(picked) <= 3


def test_a_shot_that_fades_in_is_taken_when_it_is_there():
    fade = [(scene(1, 36, 64) * t).astype(np.uint8) for t in np.linspace(0, 1, 24)]
    picked = list(pick_shots(film(*[plain(0, 36, 64)] * 40, *fade, *still(1, 60))))
    assert np.abs(picked[-1].thumbnail.astype(int) - scene(1, 36, 64)).mean() < 25


def test_a_camera_that_moves_all_the_time_gives_a_frame_now_and_then():
    wide = wide_scene()
    pan = [wide[:, 2 * number : 2 * number + 64] for number in range(150)]
    picked = list(pick_shots(film(*pan)))
    assert 3 <= len(picked) <= 7


def wide_scene() -> np.ndarray:
    """What a camera passes over, as a row of thumbnails."""
    return np.hstack([scene(seed, 36, 64) for seed in range(6)])


def cuts(moments: list[Moment]) -> list[int]:
    return [number for number, moving in enumerate(find_cuts(moments)) if moving.is_cut]


@pytest.mark.parametrize("held", [1, 2, 3])
def test_a_fast_pan_is_no_cut_however_long_each_drawing_is_held(held):
    wide = wide_scene()
    pan = [wide[:, 4 * (number // held * held) :][:, :64] for number in range(72)]
    assert np.abs(pan[held].astype(int) - pan[0]).mean() > 8
    film_ = film(*[pan[0]] * 30, *pan, *[pan[-1]] * 30, *still(9, 30))
    assert cuts(film_) == [132]


def test_cuts_a_few_frames_apart_are_found():
    assert cuts(film(*still(0, 30), *still(1, 3), *still(2, 30))) == [30, 33]


@pytest.mark.parametrize("lasting", [1, 2, 4])
def test_a_flash_inside_a_shot_gives_no_second_frame(lasting):
    shot, white = scene(0, 36, 64), plain(255, 36, 64)
    flash = [(white * (1 - t) + shot * t).astype(np.uint8) for t in np.arange(lasting) / lasting]
    moments = film(*still(0, 48), *flash, *still(0, 48))
    assert cuts(moments) == [] and len(list(pick_shots(moments))) == 1


@settings(max_examples=60, deadline=None)
@given(
    shots=st.lists(st.tuples(st.integers(0, 5), st.integers(1, 40)), min_size=1, max_size=8), fps=st.floats(0.2, 120)
)
def test_whatever_is_filmed_frames_come_in_order_and_at_least_one(shots, fps):
    moments = film(*(frame for seed, length in shots for frame in still(seed, length)), fps=fps)
    picked = list(pick_shots(moments))
    assert picked and times(picked) == sorted(set(times(picked)))
    assert all(any(moment is other for other in moments) for moment in picked)
    assert [id(moving.frame) for moving in find_cuts(moments)] == list(map(id, moments))


def test_a_film_without_frames_has_no_shots():
    assert list(pick_shots([])) == [] and list(pick_every([], 1)) == []


def test_every_so_many_seconds():
    moments = film(*still(0, 100), fps=10)
    assert times(list(pick_every(moments, 2.5))) == [0, 2.5, 5, 7.5]
    gap = [moment for moment in moments if not 1 < moment.time < 6]
    assert times(list(pick_every(gap, 2))) == [0, 6, 8]
    assert len(list(pick_every(moments, 0.01))) == 100


# --- what is worthless ---


@pytest.mark.parametrize(
    ("picture", "found"),
    [
        (plain(0), "black"),
        (plain(20), "black"),
        (plain(255), "white"),
        (plain(128), "plain"),
        (scene(0), None),
        ((scene(0) * 0.02).astype(np.uint8), "black"),
        ((scene(0) // 16 + 120).astype(np.uint8), "plain"),
    ],
)
def test_frames_that_show_nothing(picture, found):
    assert blank(picture) == found


def test_a_dark_frame_with_a_lamp_in_it_is_kept():
    night = plain(8)
    night[40:70, 60:90] = 200
    assert blank(night) is None


def test_a_still_has_to_be_of_one_color_to_be_plain():
    assert is_plain(plain(90)) and is_plain(plain(0))
    faint = plain(240)
    faint[::2] = 250
    assert not is_plain(faint) and not is_plain(scene(0))


def test_bars_are_what_all_samples_have_in_common():
    dark = boxed(scene(3), 20)
    dark[:60] = 0
    samples = [boxed(scene(seed), 20) for seed in range(8)] + [dark, plain(0, 168)]
    left, top, right, bottom = find_bars(samples).corners
    assert (left, right) == (0, 192)
    assert 20 <= top <= 24 and 144 <= bottom <= 148


def test_bars_at_the_sides():
    left, top, right, bottom = find_bars([np.pad(scene(seed), ((0, 0), (30, 30), (0, 0))) for seed in range(5)]).corners
    assert (top, bottom) == (0, 128) and 30 <= left <= 34 and 218 <= right <= 222


def test_noise_in_the_bars_does_not_hide_them():
    random = np.random.default_rng(0)
    samples = [
        np.clip(boxed(scene(seed), 20) + random.normal(0, 5, (168, 192, 3)), 0, 255).astype(np.uint8)
        for seed in range(6)
    ]
    assert 20 <= find_bars(samples).top <= 24


def test_a_logo_in_full_size_does_not_hide_the_bars_of_the_film():
    samples = [scene(99, 168)] + [boxed(scene(seed), 20) for seed in range(19)]
    assert find_bars(samples).top >= 20


@pytest.mark.parametrize(
    "samples",
    [
        [],
        [plain(0)] * 10,
        [scene(seed) for seed in range(8)],
        [boxed(scene(0), 20)] * 2,
    ],
)
def test_no_bars_where_there_are_none_or_nothing_is_known(samples):
    assert find_bars(samples) is None


def test_a_film_that_is_dark_but_for_a_spot_has_no_bars():
    dark = plain(0)
    dark[60:80, 90:130] = 200
    assert find_bars([dark] * 8) is None


def test_the_box_of_what_is_not_black():
    assert content_box(plain(0)) is None
    picture = plain(0)
    picture[30:60, 50:100] = 200
    left, top, right, bottom = content_box(picture).corners
    assert abs(left - 50) <= 1 and abs(top - 30) <= 1 and abs(right - 100) <= 1 and abs(bottom - 60) <= 1


@pytest.mark.parametrize("lines", [2, 4, 9])
@pytest.mark.parametrize(
    ("ink", "paper"), [((230, 230, 230), (0, 0, 0)), ((10, 10, 10), (255, 255, 255)), ((255, 230, 90), (20, 30, 110))]
)
@pytest.mark.parametrize("height", [240, 720])
def test_text_on_a_flat_background_looks_like_credits(lines, ink, paper, height):
    page = credits_page(lines, height, height * 16 // 9, ink, paper)
    noisy = np.clip(page + np.random.default_rng(0).normal(0, 2, page.shape), 0, 255).astype(np.uint8)
    assert looks_like_credits(noisy)


def stars() -> np.ndarray:
    sky = plain(10, 360, 640)
    random = np.random.default_rng(0)
    sky[random.integers(0, 360, 150), random.integers(0, 640, 150)] = 255
    return sky


def crowd() -> np.ndarray:
    """Small round things on a flat ground."""
    import cv2

    picture = plain(90, 360, 640)
    for y in range(40, 340, 60):
        for x in range(40, 620, 60):
            cv2.circle(picture, (x, y), 9, (230, 40, 40), -1)
    return picture


def subtitle() -> np.ndarray:
    picture = scene(0, 360, 640)
    page = credits_page(3)
    return np.where(page > 100, page, picture)


@pytest.mark.parametrize("picture", [scene(0), scene(1, 360, 640), plain(0), plain(200), stars(), crowd(), subtitle()])
def test_other_pictures_do_not(picture):
    assert not looks_like_credits(picture)


@settings(max_examples=30, deadline=None)
@given(height=st.integers(1, 40), width=st.integers(1, 40), seed=st.integers(0, 9))
def test_pictures_of_a_few_pixels_are_judged_too(height, width, seed):
    picture = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    looks_like_credits(picture)
    assert blank(picture) in (None, "black", "white", "plain")
    box = content_box(picture)
    assert box is None or (0 <= box.left < box.right <= width and 0 <= box.top < box.bottom <= height)
