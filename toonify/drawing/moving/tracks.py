"""Faces over time: looked for now and then, moved along in between, and kept where they are missed once."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from toonify.drawing.faces import Face, FaceFinder, Point
from toonify.drawing.moving.motion import Motion
from toonify.pixels.arrays import Pixels
from toonify.pixels.boxes import Box

_EVERY = 4  # frames: how often faces are looked for
_PATIENCE = 3  # times that a face may be missed before it is given up: half a second at 25 frames a second
_SAME = 0.3  # of the area that two boxes cover together: what they have in common, if they are of one face
_NEW = 0.5  # the weight of a face that is found over that of the one that was followed there


@dataclass(frozen=True)
class Track:
    """A face that is followed."""

    face: Face
    missed: int = 0


@dataclass(frozen=True)
class Tracks:
    """The faces of a frame, and how many frames ago they were looked for."""

    tracks: tuple[Track, ...] = ()
    age: int = _EVERY

    @property
    def faces(self) -> list[Face]:
        """Largest first, as `FaceFinder` gives them."""
        return sorted((track.face for track in self.tracks), key=lambda face: -face.box.size[0] * face.box.size[1])

    def followed(self, frame: Pixels, motion: Motion | None, find: FaceFinder) -> "Tracks":
        """The faces of the next frame, h x w x 3; where no motion is known they are looked for anew."""
        if motion is None:
            return Tracks(tuple(map(Track, find(frame))), 1)
        moved = [replace(track, face=face) for track in self.tracks if (face := _moved(track.face, motion)) is not None]
        if self.age < _EVERY:
            return Tracks(tuple(moved), self.age + 1)
        return Tracks(tuple(_matched(moved, find(frame))), 1)


def _moved(face: Face, motion: Motion) -> Face | None:
    """A face where it is now; None if it has left the frame."""
    shift = motion.shift(face.box)
    if shift is None:
        return None
    down, right = shift
    box = face.box.moved(round(down), round(right)).common(Box(0, 0, *motion.x.shape))
    return _changed(face, box, lambda point, _: Point(point.x + right, point.y + down), face) if all(box.size) else None


def _matched(tracks: Sequence[Track], found: Sequence[Face]) -> Iterator[Track]:
    """Tracks brought up to what was found; each face that was found belongs to one of them at most, or begins one."""
    left = list(found)
    for track in tracks:
        same = max(left, key=lambda face: _overlap(face.box, track.face.box), default=None)
        if same is not None and _overlap(same.box, track.face.box) >= _SAME:
            left.remove(same)
            yield Track(_mixed(track.face, same))
        elif track.missed + 1 < _PATIENCE:
            yield Track(track.face, track.missed + 1)
    yield from map(Track, left)


def _mixed(followed: Face, found: Face) -> Face:
    def mix(one: float, other: float) -> float:
        return one + _NEW * (other - one)

    sides = (round(mix(*both)) for both in zip(_sides(followed.box), _sides(found.box), strict=True))
    return _changed(found, Box(*sides), lambda a, b: Point(mix(a.x, b.x), mix(a.y, b.y)), followed)


def _changed(face: Face, box: Box, change: Callable[[Point, Point], Point], other: Face) -> Face:
    """A face with another box, and each of its points made of that of `other` and its own."""
    return replace(
        face,
        box=box,
        right_eye=change(other.right_eye, face.right_eye),
        left_eye=change(other.left_eye, face.left_eye),
        nose=change(other.nose, face.nose),
        right_mouth=change(other.right_mouth, face.right_mouth),
        left_mouth=change(other.left_mouth, face.left_mouth),
    )


def _overlap(one: Box, other: Box) -> float:
    """Intersection over union."""
    both, first, second = (height * width for height, width in (one.common(other).size, one.size, other.size))
    return both / max(first + second - both, 1)


def _sides(box: Box) -> tuple[int, int, int, int]:
    return box.top, box.left, box.bottom, box.right
