"""Faces in a photo, near and far: searched for at two sizes, and looked at again one by one."""

import functools
import math
import threading
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from toonify.drawing.yunet import COLUMNS, YuNet, ready_yunet
from toonify.errors import StyleError, UsageError
from toonify.pixels.arrays import Floats, Pixels
from toonify.pixels.boxes import Box

# YuNet sees faces of 10 to 300 pixels. The finer search is at twice the photo's size, but in no more pixels than these;
# the coarser one, for faces that fill the photo, at a third of that.
_SEARCHED_PIXELS = 600_000
_FINEST, _COARSER = 2.0, 1 / 3

# What a search finds is looked at again, alone and at these heights in pixels, also mirrored: fruit, blossoms and
# wheels that pass for a face at one size do not at the others. The mean of all looks is the result.
_LOOKS = (32, 48, 72)
_SURROUNDINGS = 0.75  # of a face's height, on each side of it

_CANDIDATE = 0.5  # score from which on a find is looked at again
_FACE = 0.66  # mean score of a face: of the finds in photos a twentieth were none, half of those animals
_ANYTHING = 0.05  # score in a look, of which the mean is taken
_SMALLEST = 8  # pixels of height: in smaller ones nothing can be drawn, and patterns pass for them
_SAME = 0.3  # intersection over union from which on two boxes are of one face, as in OpenCV's `FaceDetectorYN`

_POINTS = slice(4, 14)  # in a row of `YuNet`
_MIRRORED = (1, 0, 2, 4, 3)  # the points of a mirrored face: right and left change places


@dataclass(frozen=True)
class Point:
    """A place in a picture in pixels from its top left corner."""

    x: float
    y: float


@dataclass(frozen=True)
class Face:
    """A face in a picture. Right and left are the person's own: the right eye of a face that looks at us is at left."""

    box: Box  # the part of it that lies in the picture
    right_eye: Point
    left_eye: Point
    nose: Point
    right_mouth: Point  # corners
    left_mouth: Point
    score: float  # 0.66..1


def find_faces(pixels: Pixels) -> list[Face]:
    """The faces of 8 pixels and more in an upright photo, the largest first; `pixels` are H x W x 3 uint8 RGB.

    The same pixels have the same faces at each call, and several threads may call at once. The first call opens the
    network and raises what `open_finder` does. Raises UsageError if `pixels` is another kind of array.
    """
    return open_finder()(pixels)


_opening = threading.Lock()


def open_finder() -> "FaceFinder":
    """What `find_faces` calls: opened once in a process, its network fetched from the hub if it is not on this machine.

    Raises DownloadError if the network cannot be had, WeightsError if what came is not the published one.
    """
    with _opening:
        network = ready_yunet()
        try:
            return _finder(network)
        except StyleError:
            if not isinstance(network, Path):
                raise
            network.unlink(missing_ok=True)  # it was damaged on disk
            return _finder(ready_yunet())


@functools.cache
def _finder(network: Path | bytes) -> "FaceFinder":
    return FaceFinder(YuNet(network))


class FaceFinder:
    """Finds faces with an open network."""

    def __init__(self, network: YuNet) -> None:
        self._network = network

    def __call__(self, pixels: Pixels) -> list[Face]:
        """The faces in H x W x 3 uint8 RGB pixels, as `find_faces` says."""
        if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.size == 0:
            raise UsageError("faces are looked for in H x W x 3 uint8 arrays of 1 x 1 pixels or more")
        height, width = pixels.shape[:2]
        fine = min(_FINEST, math.sqrt(_SEARCHED_PIXELS / (height * width)))
        scaled = (_scaled(pixels, scale) for scale in (fine, fine * _COARSER))
        searched = [self._see(picture, (height, width), _CANDIDATE) for picture in scaled]
        candidates = [row for row in _one_each(np.concatenate(searched)) if row[3] >= _SMALLEST - 2]
        seen = [self._look_again(pixels, row) for row in candidates]
        certain = [row for row in seen if row[-1] >= _FACE and row[3] >= _SMALLEST]
        faces = [_face(row, Box(0, 0, height, width)) for row in _one_each(np.reshape(certain, (-1, COLUMNS)))]
        return sorted(faces, key=lambda face: math.prod(face.box.size), reverse=True)

    def _see(self, scaled: Pixels, size: tuple[int, int], score: float) -> Floats:
        """The network's rows for a picture that was scaled, in pixels of the picture of `size` (height, width) itself.

        The centers of their boxes lie in it.
        """
        height, width = size
        rows = self._network(scaled, score)
        rows[:, :14] *= np.tile(np.array([width / scaled.shape[1], height / scaled.shape[0]], np.float32), 7)
        centers = rows[:, :2] + rows[:, 2:4] / 2
        return rows[((centers >= 0) & (centers < (width, height))).all(axis=1)]

    def _look_again(self, pixels: Pixels, row: Floats) -> Floats:
        """A row from all looks at the place of `row`: places weighted by their scores, and the mean score."""
        left, top, width, height = map(float, row[:4])
        place = Box(int(top), int(left), math.ceil(top + height), math.ceil(left + width))
        around = place.widened(math.ceil(_SURROUNDINGS * height)).common(Box(0, 0, *pixels.shape[:2]))
        crop = pixels[around.slices]
        looks = [np.zeros(COLUMNS, np.float32)]
        for side in _LOOKS:
            scaled = _scaled(crop, side / height)
            straight = self._see(scaled, around.size, _ANYTHING)
            mirrored = _mirror(self._see(scaled[:, ::-1], around.size, _ANYTHING), crop.shape[1])
            for rows in (straight, mirrored):
                rows = _moved(rows, around)
                there = rows[_overlap(rows, row) > _SAME]
                if len(there):
                    looks.append(there[np.argmax(there[:, -1])])
        stacked = np.stack(looks)
        scores = stacked[:, -1]
        mean = scores @ stacked / max(float(scores.sum()), _ANYTHING)
        mean[-1] = scores.sum() / (2 * len(_LOOKS))
        return np.asarray(mean, np.float32)


def _scaled(pixels: Pixels, scale: float) -> Pixels:
    height, width = pixels.shape[:2]
    size = max(1, round(width * scale)), max(1, round(height * scale))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(pixels, size, interpolation=method), np.uint8)


def _mirror(rows: Floats, width: int) -> Floats:
    """Rows of a picture `width` pixels wide from those of its mirror image."""
    points = rows[:, _POINTS].reshape(-1, 5, 2)[:, _MIRRORED]
    points = np.concatenate([width - points[..., :1], points[..., 1:]], axis=2).reshape(-1, 10)
    left = width - rows[:, :1] - rows[:, 2:3]
    return np.concatenate([left, rows[:, 1:4], points, rows[:, 14:]], axis=1)


def _moved(rows: Floats, crop: Box) -> Floats:
    """Rows of a picture from those of a part of it."""
    corner = np.array([crop.left, crop.top], np.float32)
    return np.concatenate(
        [rows[:, :2] + corner, rows[:, 2:4], rows[:, _POINTS] + np.tile(corner, 5), rows[:, 14:]], axis=1
    )


def _overlap(rows: Floats, row: Floats) -> NDArray[np.float32]:
    """Intersection over union of the boxes of N rows with that of one."""
    low = np.maximum(rows[:, :2], row[:2])
    high = np.minimum(rows[:, :2] + rows[:, 2:4], row[:2] + row[2:4])
    common = np.clip(high - low, 0, None).prod(axis=1)
    return np.asarray(common / (rows[:, 2:4].prod(axis=1) + row[2:4].prod() - common), np.float32)


def _one_each(rows: Floats) -> Floats:
    """The best row of each face: non-maximum suppression."""
    if not len(rows):
        return rows
    kept = cv2.dnn.NMSBoxes(rows[:, :4].tolist(), rows[:, -1].tolist(), 0.0, _SAME)
    return rows[np.asarray(kept, np.intp).ravel()]


def _face(row: Floats, picture: Box) -> Face:
    left, top, width, height = map(float, row[:4])
    box = Box(math.floor(top), math.floor(left), math.ceil(top + height), math.ceil(left + width)).common(picture)
    right_eye, left_eye, nose, right_mouth, left_mouth = (Point(*map(float, at)) for at in row[_POINTS].reshape(5, 2))
    return Face(box, right_eye, left_eye, nose, right_mouth, left_mouth, float(row[-1]))
