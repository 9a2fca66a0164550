"""Where everything in a frame was in the frame before, and how far that can be trusted."""

from dataclasses import dataclass

import cv2
import numpy as np

from toonify.drawing.finish.filters import gaussian
from toonify.pixels.arrays import Floats, Pixels
from toonify.pixels.boxes import Box

_SMALLEST = 16  # pixels: of the shorter side; the optical flow's patches are 8 pixels wide
_ALIKE = 12.0  # of 255: the difference along the motion at which trust has fallen to 1/e
_AROUND = 1.5  # pixels: standard deviation of the window over which that difference is taken
_CUT = 0.3  # of the frame: where less of it than this can be trusted, another scene has begun


@dataclass(frozen=True)
class Motion:
    """From each pixel of a frame to its place in the frame before: h x w each."""

    x: Floats  # column there
    y: Floats  # row there
    trust: Floats  # 0..1: 0 where nothing there looks like what is here, as where something was uncovered

    @property
    def is_cut(self) -> bool:
        """Whether the frame before shows hardly anything of this one."""
        return float(self.trust.mean()) < _CUT

    def moved(self, picture: Floats) -> Floats:
        """A picture of the frame before, h x w or h x w x C, as it lies in this frame."""
        # Cubic: a picture that is carried on over many frames would get soft with linear interpolation.
        there = cv2.remap(picture, self.x, self.y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(there, np.float32)

    def shift(self, box: Box) -> tuple[float, float] | None:
        """How far what was in a box of the frame before has moved, in rows and columns; None where nothing was."""
        seen = box.common(Box(0, 0, *self.x.shape))
        if not all(seen.size):
            return None
        rows, columns = seen.slices
        down = np.arange(rows.start, rows.stop, dtype=np.float32)[:, None] - self.y[seen.slices]
        right = np.arange(columns.start, columns.stop, dtype=np.float32)[None] - self.x[seen.slices]
        return float(np.median(down)), float(np.median(right))


def find_motion(before: Pixels, now: Pixels) -> Motion | None:
    """The motion between two frames, h x w x 3 uint8 each; None for those that are too small to tell.

    By dense inverse search (Kroeger, Timofte, Dai, Van Gool: Fast Optical Flow using Dense Inverse Search, ECCV 2016).
    What is trusted is what looks the same in both frames, so that nothing is carried on behind what moves.
    """
    height, width = now.shape[:2]
    if min(height, width) < _SMALLEST or before.shape != now.shape:
        return None
    finder = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    grays = (cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in (now, before))
    flow = finder.calc(*grays, None)  # type: ignore[call-overload]  # None is allowed: no flow is known before
    x = flow[..., 0] + np.arange(width, dtype=np.float32)[None]
    y = flow[..., 1] + np.arange(height, dtype=np.float32)[:, None]
    there = cv2.remap(before, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    red, green, blue = cv2.split(cv2.absdiff(now, np.asarray(there, np.uint8)))
    difference = gaussian(np.asarray(cv2.max(cv2.max(red, green), blue), np.float32), _AROUND)
    trust = np.exp(-np.square(difference / np.float32(_ALIKE)))
    trust[(x < 0) | (x > width - 1) | (y < 0) | (y > height - 1)] = 0
    return Motion(x, y, trust)
