"""Near-duplicates: the hash against its definition, the search against all pairs."""

import io

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from videos import scene

from toonify.prepare.hashing import find_duplicates, perceptual_hash, sharpness


def distance(one: int, other: int) -> int:
    return (one ^ other).bit_count()


def literal_hash(pixels: np.ndarray) -> int:
    """The 8 x 8 lowest frequencies but the zeroth of the orthonormal DCT-II, against their median."""
    gray = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    small = cv2.resize(gray, (32, 32), interpolation=cv2.INTER_AREA).astype(float)
    n = np.arange(32)
    basis = np.cos(np.pi * (2 * n[None] + 1) * n[:, None] / 64) * np.sqrt(2 / 32)
    low = (basis @ small @ basis.T)[1:9, 1:9].ravel()
    return int("".join("1" if value > np.median(low) else "0" for value in low), 2)


@pytest.mark.parametrize("seed", range(8))
def test_the_hash_is_the_signs_of_the_low_frequencies(seed):
    picture = scene(seed, 200, 300)
    assert distance(perceptual_hash(picture), literal_hash(picture)) <= 1  # one may lie on the median
    assert perceptual_hash(picture).bit_count() == 32


def jpeg(pixels: np.ndarray, quality: int) -> np.ndarray:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer))


@pytest.mark.parametrize("seed", range(6))
def test_scaling_compressing_and_lightening_hardly_change_the_hash(seed):
    picture = scene(seed, 300, 400)
    hash_ = perceptual_hash(picture)
    for other in (
        jpeg(picture, 15),
        cv2.resize(picture, (150, 120), interpolation=cv2.INTER_AREA),
        cv2.resize(picture, (1000, 750), interpolation=cv2.INTER_CUBIC),
        (picture * 0.8 + 20).astype(np.uint8),
    ):
        assert distance(hash_, perceptual_hash(other)) <= 6
    for unlike in (picture[:, ::-1], picture[::-1], scene(seed + 50, 300, 400)):
        assert distance(hash_, perceptual_hash(unlike)) > 12


@pytest.mark.parametrize("shape", [(1, 1), (1, 200), (3, 2), (32, 32)])
def test_pictures_of_a_few_pixels_have_hashes_too(shape):
    picture = scene(0, *shape)
    assert 0 <= perceptual_hash(picture) < 2**64 and sharpness(picture) >= 0


def test_blur_takes_sharpness():
    picture = scene(0, 300, 400)
    assert sharpness(cv2.GaussianBlur(picture, (0, 0), 3)) < sharpness(picture)


def literal_duplicates(hashes: list[int], limit: int) -> list[set[int]]:
    """For each hash the kept ones before it that are near it; empty if it is kept itself."""
    kept: list[int] = []
    near = []
    for place, value in enumerate(hashes):
        near.append({other for other in kept if distance(hashes[other], value) <= limit})
        if not near[-1]:
            kept.append(place)
    return near


def check(hashes: list[int], limit: int) -> None:
    found = find_duplicates(hashes, limit)
    for place, (one, near) in enumerate(zip(found, literal_duplicates(hashes, limit), strict=True)):
        assert (one in near) if near else one is None, place


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.sampled_from([0, 1, 3, 7, 15, 255, 2**63, 2**64 - 1, 2**64 - 2]) | st.integers(0, 2**64 - 1)),
    st.integers(0, 16),
)
def test_duplicates_are_those_of_all_pairs(hashes, limit):
    check(hashes, limit)


def test_duplicates_are_found_across_blocks():
    random = np.random.default_rng(0)
    originals = [int(value) for value in random.integers(0, 2**64, 300, dtype=np.uint64)]
    hashes = [
        originals[int(random.integers(300))] ^ (1 << int(random.integers(64))) ^ (1 << int(random.integers(64)))
        for _ in range(6000)
    ]
    check(originals + hashes, 6)
    assert all(one is not None for one in find_duplicates(originals + hashes, 6)[300:])


def test_unlike_hashes_beyond_one_block_of_columns_all_stay():
    hashes = [int(value) for value in np.random.default_rng(1).integers(0, 2**64, 9000, dtype=np.uint64)]
    found = find_duplicates([*hashes, hashes[5], hashes[8000]], 3)
    assert found == [None] * 9000 + [5, 8000]


def test_a_chain_of_small_changes_keeps_a_picture_now_and_then():
    chain = [(1 << number) - 1 for number in range(60)]
    found = find_duplicates(chain, 6)
    assert [place for place, one in enumerate(found) if one is None] == list(range(0, 60, 7))
