"""CIELAB as planes: the finish works on one plane after the other, which stays in the cache."""

import threading

import cv2
import numpy as np

from toonify.pixels.arrays import Floats

Planes = list[Floats]  # L, a and b of CIELAB, each h x w and divided by 100: L in 0..1


_making_tables = threading.Lock()


def make_tables() -> None:
    """Let OpenCV make its tables for CIELAB, which takes 80 ms once in a process; meanwhile, others wait here."""
    with _making_tables:
        cv2.cvtColor(np.zeros((1, 1, 3), np.float32), cv2.COLOR_RGB2Lab)


def to_planes(rgb: Floats) -> Planes:
    """h x w x 3 sRGB, clipped to 0..1, as L, a and b."""
    make_tables()
    lab = cv2.cvtColor(np.clip(rgb, 0, 1), cv2.COLOR_RGB2Lab)
    return [0.01 * np.asarray(plane, np.float32) for plane in cv2.split(lab)]


def to_rgb(planes: Planes) -> Floats:
    """L, a and b as h x w x 3 sRGB; colors that sRGB has not are clipped to 0..1."""
    make_tables()
    lab = cv2.merge([100 * plane for plane in planes])
    return np.asarray(cv2.cvtColor(lab, cv2.COLOR_Lab2RGB), np.float32)
