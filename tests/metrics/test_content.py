"""SSIM and the agreement of edges: closed forms, a literal slow writing, and what every such measure must satisfy."""

import math

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toonify.errors import ImageError
from toonify.metrics.content import edge_agreement, ssim, to_one_size


def flat(value: int, height: int = 40, width: int = 48) -> np.ndarray:
    return np.full((height, width, 3), value, np.uint8)


def lines(*columns: int) -> np.ndarray:
    """White bars of 9 pixels on black, from top to bottom, each of which has two edges."""
    picture = flat(0, 64, 160)
    for column in columns:
        picture[:, column : column + 9] = 255
    return picture


def slow_ssim(photo: np.ndarray, picture: np.ndarray) -> float:
    """Equations 14 to 16 and 13 of the paper, window by window."""
    gray = [cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).astype(float) for pixels in (photo, picture)]
    weights = np.array(
        [[math.exp(-((i - 5) ** 2 + (j - 5) ** 2) / (2 * 1.5**2)) for j in range(11)] for i in range(11)]
    )
    weights /= weights.sum()
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    values = []
    for top in range(gray[0].shape[0] - 10):
        for left in range(gray[0].shape[1] - 10):
            x, y = (plane[top : top + 11, left : left + 11] for plane in gray)
            mean_x, mean_y = (weights * x).sum(), (weights * y).sum()
            variance_x, variance_y = (weights * (x - mean_x) ** 2).sum(), (weights * (y - mean_y) ** 2).sum()
            covariance = (weights * (x - mean_x) * (y - mean_y)).sum()
            values.append(
                (2 * mean_x * mean_y + c1)
                * (2 * covariance + c2)
                / ((mean_x**2 + mean_y**2 + c1) * (variance_x + variance_y + c2))
            )
    return float(np.mean(values))


def test_ssim_is_that_of_the_paper(noise: np.ndarray) -> None:
    other = cv2.medianBlur(np.roll(noise, 3, axis=1), 5)
    assert ssim(noise, other) == pytest.approx(slow_ssim(noise, other), abs=1e-9)
    assert 0.2 < ssim(noise, other) < 0.9


def test_ssim_of_flat_pictures_is_that_of_their_brightness() -> None:
    c1 = (0.01 * 255) ** 2
    expected = (2 * 100 * 160 + c1) / (100**2 + 160**2 + c1)
    assert ssim(flat(100), flat(160)) == pytest.approx(expected, abs=1e-9)
    assert ssim(flat(0), flat(255)) == pytest.approx(c1 / (255**2 + c1), abs=1e-9)


def test_ssim_of_a_negative_is_negative(noise: np.ndarray) -> None:
    assert ssim(noise, 255 - noise) < -0.3


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), height=st.integers(16, 40), width=st.integers(16, 40))
def test_both_are_1_for_a_picture_of_itself_and_symmetric(seed: int, height: int, width: int) -> None:
    random = np.random.default_rng(seed)
    one, other = random.integers(0, 256, (2, height, width, 3), dtype=np.uint8)
    for measure in (ssim, edge_agreement):
        assert measure(one, one) == pytest.approx(1, abs=1e-12)
        assert measure(one, other) == pytest.approx(measure(other, one), abs=1e-12)
        assert -1 <= measure(one, other) <= 1


def test_edges_that_move_a_little_agree_and_others_do_not() -> None:
    assert edge_agreement(lines(40), lines(41)) == 1
    assert edge_agreement(lines(40), lines(42)) == 1
    assert edge_agreement(lines(40), lines(60)) == 0


def test_half_of_the_edges_give_two_thirds() -> None:
    """Half is kept and all is true, or the other way round: 2 * 1/2 * 1 / (1/2 + 1)."""
    assert edge_agreement(lines(20, 100), lines(20)) == pytest.approx(2 / 3)
    assert edge_agreement(lines(20), lines(20, 100)) == pytest.approx(2 / 3)


def test_pictures_without_edges() -> None:
    assert edge_agreement(flat(10), flat(200)) == 1
    assert edge_agreement(lines(40), flat(0, 64, 160)) == 0
    assert edge_agreement(flat(0, 64, 160), lines(40)) == 0


def test_both_come_to_the_size_of_the_photo() -> None:
    photo, picture = to_one_size(flat(1, 100, 200), flat(2, 30, 30))
    assert photo.shape == picture.shape == (100, 200, 3) and photo.max() == 1 and picture.min() == 2
    photo, picture = to_one_size(flat(1, 1000, 2000), flat(2, 1000, 2000))
    assert photo.shape == picture.shape == (256, 512, 3)
    photo, picture = to_one_size(flat(1, 3000, 1000), flat(2, 300, 100))
    assert photo.shape == picture.shape == (512, 171, 3)


def test_what_is_too_narrow_is_refused() -> None:
    to_one_size(flat(0, 16, 512), flat(0, 16, 512))
    with pytest.raises(ImageError, match=r"4000 x 100 leaves 13 pixels of its shorter side, and 16 are needed"):
        to_one_size(flat(0, 100, 4000), flat(0, 100, 4000))
