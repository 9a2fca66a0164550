"""How far the reading of a video has come: the time it has reached, and what was lost on the way."""

import math

import av

_BACKWARDS = 0.5  # seconds: a frame that is so much earlier than the one before it belongs to another recording


class Clock:
    """Seconds since the first frame, also where the clock of the file starts anew, as where recordings were joined."""

    def __init__(self, step: float) -> None:
        """`step`: seconds from one frame to the next, where they do not say."""
        self.start: float | None = None  # of the first frame, on the clock of the file
        self.last = 0.0  # the time of the last frame
        self.step = step
        self._skipped = 0.0

    def follow(self, frame: av.VideoFrame) -> bool:
        """Go on to the next frame's time; whether the clock of the file starts anew with it."""
        following = self.last + self.step
        time = following if frame.time is None else frame.time - (self.start or 0.0) + self._skipped
        starts_anew = time < self.last - _BACKWARDS
        if starts_anew:
            self._skipped += following - time
            time = following
        self.last = time
        return starts_anew


class Losses:
    """What is damaged of a video, and which frames it spares."""

    def __init__(self) -> None:
        self.count = 0
        self.first = 0.0  # seconds
        self._latest: float | None = None  # time stamp of damaged data, in the stream's units
        self._key = -math.inf  # of the last key frame

    def add(self, stamp: int | None, seconds: float) -> None:
        """Take note of something lost; `stamp` is None if nothing further follows from it."""
        self.first = self.first if self.count else seconds
        self.count += 1
        if stamp is not None:
            self._latest = stamp if self._latest is None else max(self._latest, stamp)

    def forget(self) -> None:
        """Time stamps begin anew: those of earlier losses say nothing of what follows."""
        self._latest, self._key = None, -math.inf

    def spare(self, frame: av.VideoFrame) -> bool:
        """Whether a frame is whole: it is a key frame, or nothing was lost since the last one."""
        if frame.is_corrupt:
            return False
        if frame.key_frame:
            self._key = math.inf if frame.pts is None else frame.pts
            return True
        return self._latest is None or self._latest < self._key
