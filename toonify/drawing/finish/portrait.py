"""Faces in the finish: clean skin, and eyes and mouth as sharp as they were drawn."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from msgspec.structs import replace

from toonify.drawing.faces import Face, Point
from toonify.drawing.finish.filters import gaussian, smoothstep
from toonify.drawing.finish.grade import apply_grade
from toonify.drawing.finish.lab import Planes
from toonify.pixels.arrays import Floats
from toonify.pixels.boxes import Box
from toonify.styles.look import Grade

_SKIN = 0.42, 0.47  # of a face's width and height: the half axes of the ellipse in which there is skin
_EYE = 0.17, 0.1  # likewise: standard deviations of what belongs to an eye, brows included
_MOUTH = 0.2, 0.08


@dataclass(frozen=True)
class Portrait:
    """Where the skin of faces is, and where their features are: h x w each, 0..1."""

    skin: Floats
    features: Floats

    def clear_lines(self, opacity: Floats) -> Floats:
        """The opacity of lines, h x w: without those on skin, and a quarter of it at eyes and mouths."""
        return np.asarray(opacity * (1 - self.skin * (1 - 0.25 * self.features)), np.float32)

    def ease_grade(self, graded: Planes, planes: Planes, grade: Grade, mean: float) -> Planes:
        """Graded planes with a gentler grade on faces: no hard light on skin, and no veil over it.

        `planes` are those before they were graded, `mean` is the mean lightness of the frame.
        """
        gentle = replace(
            grade,
            contrast=min(grade.contrast, 0.0),
            black=min(grade.black, 0.1),
            lightness=max(grade.lightness, 0.58),
            lift=max(grade.lift, 0.5),
        )
        if gentle == grade:
            return graded
        eased = apply_grade(planes, gentle, mean)
        return [there + self.skin * (here - there) for there, here in zip(graded, eased, strict=True)]

    def keep_features(self, stepped: Planes, flat: Planes, soft: Planes) -> Planes:
        """Planes of a picture in steps of light, with none on skin, and features as they were drawn, sharpened.

        `flat` are those before lightness was stepped, `soft` those before the picture was flattened.
        """
        calm = self.skin * (1 - self.features)
        shaded = flat[0] + 0.35 * (soft[0] - flat[0])
        eased = [stepped[0] + calm * (shaded - stepped[0]), *stepped[1:]]
        sharp = [soft[0] + 0.4 * (soft[0] - gaussian(soft[0], 1.5)), *soft[1:]]
        return [under + 0.85 * self.features * (over - under) for under, over in zip(eased, sharp, strict=True)]


def find_portrait(faces: Sequence[Face], box: Box) -> Portrait | None:
    """Skin and features in a part of a picture, `faces` in coordinates of the whole; None where no face is near.

    What belongs to an eye fades out beyond the face's box: a face counts as far away as its box is long.
    """
    here = [face for face in faces if all(face.box.widened(max(face.box.size)).common(box).size)]
    if not here:
        return None
    y = np.arange(box.top, box.bottom, dtype=np.float32)[:, None]
    x = np.arange(box.left, box.right, dtype=np.float32)[None]
    skin, features = (np.zeros(box.size, np.float32) for _ in range(2))
    for face in here:
        height, width = face.box.size
        middle = Point(face.box.left + width / 2, face.box.top + height / 2)
        mouth = Point((face.right_mouth.x + face.left_mouth.x) / 2, (face.right_mouth.y + face.left_mouth.y) / 2)
        radius = np.sqrt(_squares(x, y, middle, _SKIN[0] * width, _SKIN[1] * height))
        np.maximum(skin, 1 - smoothstep(radius, 0.75, 1.1), out=skin)
        for place, axes in ((face.right_eye, _EYE), (face.left_eye, _EYE), (mouth, _MOUTH)):
            blob = np.exp(-0.5 * _squares(x, y, place, axes[0] * width, axes[1] * height))
            np.maximum(features, np.minimum(1.5 * blob, 1), out=features)
    return Portrait(skin, features)


def _squares(x: Floats, y: Floats, center: Point, half_width: float, half_height: float) -> Floats:
    """The squared distance to a place in units of the axes of an ellipse around it."""
    return np.asarray(((x - center.x) / half_width) ** 2 + ((y - center.y) / half_height) ** 2, np.float32)
