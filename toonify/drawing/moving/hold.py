"""Blend each drawing with the one before it, along the motion of what is drawn: lines and tones stand still."""

from collections.abc import Sequence

import cv2
import numpy as np

from toonify.drawing.close_ups import CloseUp
from toonify.drawing.finish import Layers
from toonify.drawing.moving.motion import Motion
from toonify.pixels.arrays import Floats, Pixels, to_floats, to_pixels
from toonify.pixels.boxes import Box

_HELD = 0.6  # the part of a drawing that comes from the one before it, where that is trusted


def hold_layers(layers: Layers, before: Layers | None, motion: Motion | None) -> Layers:
    """The layers of a frame, blended with those of the frame before.

    An exponential mean over time along the optical flow. What moves leaves nothing behind: trust is 0 there.
    """
    if before is None or motion is None:
        return layers
    share = np.float32(_HELD) * motion.trust
    colors = layers.colors + share[..., None] * (motion.moved(before.colors) - layers.colors)
    if layers.opacity is None or before.opacity is None:
        return Layers(colors, layers.opacity)
    opacity = layers.opacity + share * (motion.moved(before.opacity) - layers.opacity)
    return Layers(colors, np.clip(opacity, 0, 1))


def hold_close_ups(picture: Pixels, close_ups: Sequence[CloseUp], before: Pixels | None, motion: Motion | None) -> None:
    """Blend the places of close-ups in a finished picture with the picture before, in place.

    picture: H x W x 3 uint8, as `before`; `motion` is that of the frame at the size at which it is drawn.
    """
    if before is None or motion is None:
        return
    height, width = picture.shape[:2]
    for close_up in close_ups:
        box = close_up.box
        x, y = (_enlarged(plane, box, height, width) for plane in (motion.x, motion.y))
        h, w = motion.x.shape
        x, y = (x + 0.5) * (width / w) - 0.5, (y + 0.5) * (height / h) - 0.5
        there = cv2.remap(to_floats(before), x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
        here = to_floats(picture[box.slices])
        share = np.float32(_HELD) * _enlarged(motion.trust, box, height, width)[..., None]
        picture[box.slices] = to_pixels(here + share * (np.asarray(there, np.float32) - here))


def _enlarged(plane: Floats, box: Box, height: int, width: int) -> Floats:
    """The part of a plane that lies in a box, were the plane height x width."""
    h, w = plane.shape
    rows, columns = box.slices
    x = (np.arange(columns.start, columns.stop, dtype=np.float32) + 0.5) * (w / width) - 0.5
    y = (np.arange(rows.start, rows.stop, dtype=np.float32) + 0.5) * (h / height) - 0.5
    columns_there, rows_there = np.meshgrid(x, y)
    return np.asarray(
        cv2.remap(plane, columns_there, rows_there, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.float32
    )
