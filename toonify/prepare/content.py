"""What a frame shows that nobody wants to train on: nothing, bars, or credits. Arrays in, findings out."""

from collections import Counter
from collections.abc import Iterable
from typing import Literal

import cv2
import numpy as np

from toonify.pixels.arrays import Pixels
from toonify.pixels.boxes import Box

Blank = Literal["black", "white", "plain"]

_BLACK, _WHITE = 32, 235  # of 255: video's black and white, with what compression adds
_SHARE = 0.98  # of the pixels, as in FFmpeg's blackframe
_PLAIN = 8.0  # standard deviation of the gray picture
_FLAT_STILL = 2.0  # the same, of a still: its maker meant what is in it
_BORDER = 2  # pixels that are cut off inside a bar: its edge is blurred
_LEAST_AREA = 0.25  # of the frame that bars leave; less is a dark film


def blank(pixels: Pixels) -> Blank | None:
    """Whether a picture shows nothing: 98 % of it black or white, or all of one color, as in a fade."""
    gray = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    if (gray < _BLACK).mean() >= _SHARE:
        return "black"
    if (gray > _WHITE).mean() >= _SHARE:
        return "white"
    return "plain" if gray.std() < _PLAIN else None


def is_plain(pixels: Pixels) -> bool:
    """Whether a still is of one color, which leaves nothing to compare."""
    return bool(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).std() < _FLAT_STILL)


def content_box(pixels: Pixels) -> Box | None:
    """The smallest box that holds all that is not black; None for a black picture."""
    # Averages of 3 x 3: a speck of noise is no content.
    lit = cv2.blur(pixels.max(axis=2), (3, 3)) >= _BLACK
    if lit.mean() < 1 - _SHARE:
        return None
    rows, columns = np.flatnonzero(lit.any(axis=1)), np.flatnonzero(lit.any(axis=0))
    return Box(int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1)


def find_bars(samples: Iterable[Pixels]) -> Box | None:
    """The box inside the black bars that the frames of a video have in common; None if there are none.

    A side's bar is as wide as in the tenth of the samples where it is narrowest: dark scenes look like wide bars, and
    a studio's logo in full size must not hide those of the film. Black samples do not count; with less than three
    others nothing is known.
    """
    boxes = [(pixels.shape[:2], box) for pixels in samples if (box := content_box(pixels)) is not None]
    if len(boxes) < 3:
        return None
    (height, width), _ = Counter(shape for shape, _ in boxes).most_common(1)[0]
    sides = np.array([box.corners for shape, box in boxes if shape == (height, width)])
    left, top = (int(bar) for bar in np.quantile(sides[:, :2], 0.1, axis=0, method="lower"))
    right, bottom = (int(bar) for bar in np.quantile(sides[:, 2:], 0.9, axis=0, method="higher"))
    left, top = (bar + _BORDER if bar > 0 else 0 for bar in (left, top))
    right, bottom = (end - _BORDER if end < whole else end for end, whole in ((right, width), (bottom, height)))
    inside = Box(top, left, bottom, right)
    if inside == Box(0, 0, height, width):
        return None
    if right <= left or bottom <= top or (right - left) * (bottom - top) < _LEAST_AREA * height * width:
        return None
    return inside


_LINES = 360  # height at which text is looked for, in pixels
_FLAT = 0.75  # share of the picture that is background
_NEAR, _FAR = 12, 64  # differences to the background that are none, and that are ink
_GAP = 15  # pixels between the letters and words of a line
_TEXT_HEIGHT = 5, 45  # of a line
_LETTERS = 3  # in a line
_TEXT_SHARE = 0.7  # of the ink that is text


def looks_like_credits(pixels: Pixels) -> bool:
    """Whether a picture is text on a flat background: H x W x 3.

    At a height of 360 pixels: at least 75 % of the picture is of one color (its median, give or take 12), and of what
    differs from it by more than 64, at least 70 % lies in lines of text, of which there are two or more. A line is
    what comes together when gaps of up to 15 pixels are closed: 5 to 45 pixels high, wider than high, and made of
    three or more separate marks. Text over a picture is not found.
    """
    height, width = pixels.shape[:2]
    scale = min(_LINES / height, 4 * _LINES / width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    background = np.median(small.reshape(-1, 3), axis=0)
    distance = np.abs(small - background).max(axis=2)
    ink = (distance > _FAR).astype(np.uint8)
    if (distance <= _NEAR).mean() < _FLAT or not ink.any():
        return False
    lines = cv2.morphologyEx(ink, cv2.MORPH_CLOSE, np.ones((1, _GAP), np.uint8))
    count, labels, boxes, _ = cv2.connectedComponentsWithStats(lines)
    letters, letter_labels = cv2.connectedComponents(ink)
    # Every letter belongs to the line that its first pixel lies in.
    _, first = np.unique(letter_labels, return_index=True)
    in_line = np.bincount(labels.ravel()[first[1:]], minlength=count) if letters > 1 else np.zeros(count)
    is_text = (
        (boxes[:, cv2.CC_STAT_HEIGHT] >= _TEXT_HEIGHT[0])
        & (boxes[:, cv2.CC_STAT_HEIGHT] <= _TEXT_HEIGHT[1])
        & (boxes[:, cv2.CC_STAT_WIDTH] > boxes[:, cv2.CC_STAT_HEIGHT])
        & (in_line >= _LETTERS)
    )
    is_text[0] = False  # the background
    return bool(is_text.sum() >= 2 and ink[is_text[labels]].sum() >= _TEXT_SHARE * ink.sum())
