"""Which frames of a video to take: one of every shot, or one every few seconds."""

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Protocol, TypeVar

import numpy as np

from toonify.pixels.arrays import Pixels

# Differences are means over a thumbnail's pixels and channels, of 255.
_CUT = 8.0  # from one frame to the next, at least, and
_CUT_RATIO = 4.0  # so many times the usual difference, which is large where the camera moves
_USUAL = 12  # frames that tell what is usual
_DRIFT = 20.0  # from the frame taken: what a dissolve, a fade or a pan has made of the shot is another picture
_SETTLED = 0.25  # seconds from the cut to the first frame that may be taken: until then there are flashes and blends
_PATIENCE = 1.25  # seconds from the cut by which one is taken


class Timed(Protocol):
    """What is known of a frame: its time in seconds, and an h x w x 3 thumbnail."""

    @property
    def time(self) -> float: ...
    @property
    def thumbnail(self) -> Pixels: ...


TimedFrame = TypeVar("TimedFrame", bound=Timed)


def pick_shots(frames: Iterable[TimedFrame]) -> Iterator[TimedFrame]:
    """One frame of every shot: the stillest of those 0.25 to 1.25 seconds after the cut.

    A shot begins at a cut, and where the picture has become another one than was taken. Shots of less than a quarter
    of a second yield none.
    """
    usual: deque[float] = deque(maxlen=_USUAL)
    previous = taken = best = None
    least = began = 0.0
    for frame in frames:
        if previous is None:
            began, motion = frame.time, 0.0
        else:
            motion = difference(frame, previous)
            usual.append(motion)
            # Frames so far apart, as of a slide show, have nothing that is usual.
            is_unusual = frame.time - previous.time >= _SETTLED or motion >= _CUT_RATIO * max(1.0, np.median(usual))
            is_cut = motion >= _CUT and is_unusual
            if is_cut and taken is None and (last := best or _settled(previous, began, frame.time)) is not None:
                yield last
            if is_cut or (taken is not None and difference(frame, taken) >= _DRIFT):
                began, taken, best = frame.time, None, None
                usual.clear()
        age = frame.time - began
        if taken is None and age >= _SETTLED:
            if best is None or motion < least:
                best, least = frame, motion
            if age >= _PATIENCE:
                yield best
                taken, best = best, None
        previous = frame
    if previous is not None and taken is None:
        yield best or previous


def _settled(frame: TimedFrame, began: float, ended: float) -> TimedFrame | None:
    """The last frame of a shot that has lasted long enough, though no frame lies late enough: a slide show."""
    return frame if ended - began >= _SETTLED else None


def pick_every(frames: Iterable[TimedFrame], seconds: float) -> Iterator[TimedFrame]:
    """The first frame, and then one every `seconds`."""
    due = -np.inf
    for frame in frames:
        if frame.time >= due:
            yield frame
            due = frame.time if due == -np.inf else due
            due += seconds * ((frame.time - due) // seconds + 1)


def difference(one: Timed, other: Timed) -> float:
    """The mean difference of two thumbnails, of 255."""
    return float(np.abs(one.thumbnail.astype(np.int16) - other.thumbnail).mean())
