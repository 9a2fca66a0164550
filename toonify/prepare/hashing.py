"""Near-duplicates: pictures that differ in size, compression or a few details only."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from toonify.pixels.arrays import Pixels
from toonify.pixels.resize import resize

_LOOK = 256  # shorter side at which sharpness is told
_ROWS, _COLUMNS = 32, 4096  # of the pairs looked at at once: they fit the processor's cache


def perceptual_hash(pixels: Pixels) -> int:
    """64 bits that hardly change when a picture is scaled, compressed or made lighter: H x W x 3.

    The signs of the 8 x 8 lowest frequencies, without the zeroth, of the gray picture at 32 x 32 (discrete cosine
    transform), each against their median; the first is the highest bit. Source: Zauner: Implementation and Benchmarking
    of Perceptual Image Hash Functions, 2010, section 3.2.1 (DCT based hash).
    """
    gray = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    small = cv2.resize(gray, (32, 32), interpolation=cv2.INTER_AREA).astype(np.float32)
    low = cv2.dct(small)[1:9, 1:9].ravel()
    return int.from_bytes(np.packbits(low > np.median(low)).tobytes())


def sharpness(pixels: Pixels) -> float:
    """How much fine detail there is at training size: the variance of the Laplacian. To compare like pictures with."""
    height, width = pixels.shape[:2]
    scale = _LOOK / min(height, width)
    small = resize(pixels, (max(1, round(height * scale)), max(1, round(width * scale))))
    return float(cv2.Laplacian(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), cv2.CV_32F).var())


def find_duplicates(hashes: Sequence[int], distance: int) -> list[int | None]:
    """For each hash the place of the one before it that it duplicates, of those that duplicate none; else None.

    Hashes that differ in `distance` bits or less are duplicates. Put the best first: it is the first that stays. What
    is dropped is near one that stays, so a long chain of small changes keeps a picture now and then.
    """
    everything = np.array(hashes, np.uint64)
    of: list[int | None] = [None] * len(everything)
    kept, places, count = np.empty_like(everything), np.empty(len(everything), np.intp), 0
    for start in range(0, len(everything), _ROWS):
        rows = everything[start : start + _ROWS]
        for first in range(0, count, _COLUMNS):
            columns = slice(first, min(first + _COLUMNS, count))
            bits = _differing_bits(rows[:, None], kept[columns])
            if bits.min() > distance:
                continue
            for row in map(int, np.flatnonzero(bits.min(axis=1) <= distance)):
                if of[start + row] is None:
                    of[start + row] = int(places[first + bits[row].argmin()])
        for place, value in enumerate(rows, start):
            if of[place] is not None:
                continue
            kept[count], places[count], count = value, place, count + 1
            near = np.flatnonzero(_differing_bits(everything[place + 1 : start + _ROWS], value) <= distance)
            for later in (int(step) + place + 1 for step in near):
                if of[later] is None:
                    of[later] = place
    return of


def _differing_bits(one: NDArray[np.uint64], other: NDArray[np.uint64] | np.uint64) -> NDArray[np.uint8]:
    return np.asarray(np.bitwise_count(one ^ other))
