"""Faces that are small in a picture are drawn once more, by themselves and larger, and put in their place."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from toonify.drawing.faces import Face, Point
from toonify.drawing.finish.filters import smoothstep
from toonify.pixels.arrays import Pixels, to_floats, to_pixels
from toonify.pixels.boxes import Box
from toonify.pixels.resize import resize

_NEAR = 100  # pixels: the height in a drawing from which a face is drawn well as it is
_DRAWN = 144  # pixels: the height at which smaller ones are drawn
_ENLARGED = 2.5  # how many times larger than in the photo they may be drawn: beyond that there is nothing to see
_AROUND = 0.7  # of a face's height, on each side of it, that is drawn with it
_OVAL = 0.62  # of a face's height: the radius of the circle that is put in its place, before its soft edge


@dataclass(frozen=True)
class CloseUp:
    """A face with what is around it."""

    box: Box  # in the photo
    photo: Pixels  # what is in it, at the size at which it is drawn
    face: Face  # in pixels of that
    in_photo: Face  # in pixels of the whole photo


def find_close_ups(faces: Sequence[Face], full: Pixels, small: Pixels) -> list[CloseUp]:
    """The faces that are too small in a drawing of h x w, largest first.

    full: the photo, H x W x 3; small: the same at the size at which it is drawn, h x w x 3; `faces` are in pixels of
    that. All together they have no more pixels than `small`, so that they take no longer than it does.
    """
    height, width = full.shape[:2]
    scale = height / small.shape[0], width / small.shape[1]
    left = small.shape[0] * small.shape[1]
    close_ups = []
    for face in faces:
        if face.box.size[0] >= _NEAR:
            continue
        in_photo = scaled_face(face, Box(0, 0, 0, 0), scale)
        tall = min(_DRAWN, _ENLARGED * in_photo.box.size[0])
        if tall <= face.box.size[0]:  # the result is so much smaller than the drawing that there is nothing to gain
            continue
        factor = tall / in_photo.box.size[0]
        box = in_photo.box.widened(round(_AROUND * in_photo.box.size[0])).common(Box(0, 0, height, width))
        size = round(box.size[0] * factor), round(box.size[1] * factor)
        left -= size[0] * size[1]
        if left < 0:
            break
        drawn = scaled_face(in_photo, box, (size[0] / box.size[0], size[1] / box.size[1]))
        close_ups.append(CloseUp(box, resize(full[box.slices], size), drawn, in_photo))
    return close_ups


def put_in_place(picture: Pixels, close_up: CloseUp, drawn: Pixels) -> None:
    """Blend the finished drawing of a close-up, of the size of its box, into a picture of the photo's size."""
    face, box = close_up.in_photo, close_up.box
    radius = _OVAL * face.box.size[0]
    y = np.arange(box.top, box.bottom, dtype=np.float32)[:, None] - (face.box.top + face.box.bottom) / 2
    x = np.arange(box.left, box.right, dtype=np.float32)[None] - (face.box.left + face.box.right) / 2
    distance = np.sqrt(np.square(x) + np.square(y)) / radius
    share = (1 - smoothstep(distance, 1.0, 1.45))[..., None]
    under = to_floats(picture[box.slices])
    picture[box.slices] = to_pixels(under + share * (to_floats(drawn) - under))


def scaled_face(face: Face, corner: Box, scale: tuple[float, float]) -> Face:
    """A face as it is seen from the corner of a box, with height and width times `scale`."""

    def moved(point: Point) -> Point:
        return Point((point.x - corner.left) * scale[1], (point.y - corner.top) * scale[0])

    low = moved(Point(face.box.left, face.box.top))
    high = moved(Point(face.box.right, face.box.bottom))
    return Face(
        box=Box(round(low.y), round(low.x), round(high.y), round(high.x)),
        right_eye=moved(face.right_eye),
        left_eye=moved(face.left_eye),
        nose=moved(face.nose),
        right_mouth=moved(face.right_mouth),
        left_mouth=moved(face.left_mouth),
        score=face.score,
    )
