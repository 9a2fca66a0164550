"""Which frames of a video to take: one of every shot, or one every few seconds."""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import numpy as np

from toonify.pixels.arrays import Pixels

# Differences are means over a thumbnail's pixels and channels, of 255.
_CUT = 8.0  # from one frame to the next, at least, and
_CUT_RATIO = 2.0  # so many times as large as the differences nearby, which are large where the camera moves
_FLASH_RATIO = 0.5  # of the cut: the picture before it and one after it, if they are the same shot
_NEAR = 0.3  # seconds before and after a cut: a drawing that moves on every third frame moves twice in them
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


@dataclass
class Moving(Generic[TimedFrame]):
    """A frame, its difference from the one before it, of 255, and whether a shot begins with it."""

    frame: TimedFrame
    motion: float
    is_cut: bool = False


@dataclass(frozen=True)
class _Past:
    """What is kept of a frame that was judged: not its pixels, which are large."""

    time: float
    thumbnail: Pixels
    motion: float


def find_cuts(frames: Iterable[TimedFrame]) -> Iterator[Moving[TimedFrame]]:
    """Say of every frame whether it is the first after a hard cut. The first frame of all is not.

    At a cut the picture changes much more than it does 0.3 seconds before and after, and no frame soon after it shows
    what was there before, as after a flash. Frames come out when those 0.3 seconds have been seen.
    """
    before: deque[_Past] = deque()
    ahead: deque[Moving[TimedFrame]] = deque()
    previous = None
    for frame in frames:
        ahead.append(Moving(frame, 0.0 if previous is None else difference(frame, previous)))
        previous = frame
        while frame.time - ahead[0].frame.time > _NEAR:
            yield _judged(before, ahead)
    while ahead:
        yield _judged(before, ahead)


def _judged(before: deque[_Past], ahead: deque[Moving[TimedFrame]]) -> Moving[TimedFrame]:
    """The first of `ahead`, which goes over to `before`."""
    moving = ahead.popleft()
    while before and moving.frame.time - before[0].time > _NEAR:
        before.popleft()
    if moving.motion >= _CUT:
        # One other change may be as large: two cuts can be close to each other. A camera that moves makes more.
        nearby = sorted([1.0, 1.0, *(past.motion for past in before), *(coming.motion for coming in ahead)])[-2]
        moving.is_cut = moving.motion >= _CUT_RATIO * nearby and not any(
            difference(earlier, later.frame) < _FLASH_RATIO * moving.motion
            for earlier in before
            for later in (moving, *ahead)
            if later.frame.time - earlier.time <= _SETTLED
        )
    before.append(_Past(moving.frame.time, moving.frame.thumbnail, moving.motion))
    return moving


def pick_shots(frames: Iterable[TimedFrame]) -> Iterator[TimedFrame]:
    """One frame of every shot: the stillest of those 0.25 to 1.25 seconds after the cut.

    A shot begins at a cut, and where the picture has become, and stays, another one than was taken. Shots of less than
    a quarter of a second yield none.
    """
    previous: TimedFrame | None = None
    taken: TimedFrame | None = None  # of the shot that goes on
    best: TimedFrame | None = None
    changed: float | None = None  # since when the picture has been another one than was taken
    least = began = 0.0
    for moving in find_cuts(frames):
        frame = moving.frame
        if previous is None:
            began = frame.time
        if moving.is_cut:
            last = best or (None if previous is None else _settled(previous, began, frame.time))
            if taken is None and last is not None:
                yield last
            began, taken, best, changed = frame.time, None, None, None
        if taken is not None:
            if difference(frame, taken) < _DRIFT:
                changed = None
            elif changed is None:
                changed = frame.time
            if changed is not None and frame.time - changed >= _SETTLED:
                began, taken, best, changed = changed, None, None, None
        age = frame.time - began
        if taken is None and age >= _SETTLED:
            if best is None or moving.motion < least:
                best, least = frame, moving.motion
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
