"""Frames one after the other through all steps of drawing, at the same time where order does not matter."""

import time
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import cv2
import numpy as np

from toonify.drawing.finish import Frame, Layers, measure_frame
from toonify.drawing.moving.hold import hold_close_ups, hold_layers
from toonify.drawing.moving.motion import Motion, find_motion
from toonify.drawing.moving.tracks import Tracks
from toonify.drawing.style import Drawing, Sketch, Style
from toonify.pixels.arrays import Pixels
from toonify.system.cores import network_threads
from toonify.system.pipeline import run_parallel, run_stages

_SEEN = 0.15  # the weight of a frame in the measures that a grade takes: they follow within half a second
_BLOCK = 8  # pixels: the squares over which two frames are compared
_FADED = 0.75  # of 255: the change of a channel's mean over the frame up to which it does not fade
_UNCHANGED = 3.5  # of 255: the mean difference in a square up to which nothing has happened there but compression

Tag = TypeVar("Tag")


@dataclass(frozen=True)
class Seen:
    """What is known of a frame for the sake of the next: the last that was to be drawn, where nothing has changed."""

    source: Pixels  # as it came
    small: Pixels  # at the size at which it is drawn
    frame: Frame  # what the grade measures, a mean over time
    tracks: Tracks


@dataclass
class Held:
    """What was drawn last."""

    layers: Layers | None = None
    picture: Pixels | None = None  # at the size of the result
    network_seconds: float = 0.0  # that all drawings took


@dataclass(frozen=True)
class Step(Generic[Tag]):
    """A frame that is ready for drawing."""

    tag: Tag  # whatever belongs to the frame
    seen: Seen  # with this frame
    sketch: Sketch | None  # None: nothing has changed since the frame before, and its picture stands on
    motion: Motion | None = None  # None: nothing is carried over
    is_cut: bool = False  # another scene begins with it


def draw_sequence(
    frames: Iterable[tuple[Tag, Pixels]], style: Style, held: Held | None = None
) -> Generator[tuple[Tag, Pixels]]:
    """Draw the frames of a moving picture in order, each H x W x 3 uint8 sRGB with whatever belongs to it.

    Pictures come out as `Style` draws them, steady over time. A `held` that is given is filled. Raises what
    `Style.draw` does.
    """
    yield from draw_steps(follow(frames, style), style, Held() if held is None else held)


def follow(frames: Iterable[tuple[Tag, Pixels]], style: Style, seen: Seen | None = None) -> Iterator[Step[Tag]]:
    """Make frames ready for drawing, in order: what has changed, what has moved where, and where faces are now.

    `seen` is that of the frame before the first.
    """
    look = style.plan.options.look
    for tag, pixels in frames:
        if seen is not None and _is_unchanged(pixels, seen.source):
            yield Step(tag, seen, None)
            continue
        sketch = style.resized(pixels)
        motion = None if seen is None else find_motion(seen.small, sketch.small)
        is_cut = seen is not None and (motion is None or motion.is_cut)
        motion = None if is_cut else motion
        frame, tracks = measure_frame(sketch.small, None if look is None else look.grade), Tracks()
        if seen is not None and motion is not None:
            frame, tracks = seen.frame.towards(frame, _SEEN), seen.tracks
        if style.find_faces is not None:
            tracks = tracks.followed(sketch.small, motion, style.find_faces)
            sketch = sketch.with_faces(tracks.faces)
        seen = Seen(pixels, sketch.small, frame, tracks)
        yield Step(tag, seen, sketch, motion, is_cut)


@dataclass
class _Work:
    """A step on its way to its picture."""

    step: Step[Any]
    sketch: Sketch
    drawing: Drawing
    layers: Layers | None = None
    picture: Pixels | None = None


def draw_steps(steps: Iterable[Step[Tag]], style: Style, held: Held) -> Generator[tuple[Tag, Pixels]]:
    """Draw what `follow` has made ready: pictures of the result's size, in order, with what belongs to them.

    `held` is what was drawn before the first, and afterwards what was drawn last.

    The network runs beside the finish of the frames before; what depends on the frame before is done in order.
    """
    workers = network_threads() // 2 + 1

    def draw(step: Step[Tag]) -> "_Work | Step[Tag]":
        if step.sketch is None:
            return step
        started = time.perf_counter()
        drawing = style.draw(step.sketch)
        held.network_seconds += time.perf_counter() - started
        return _Work(step, step.sketch, drawing)

    def finish(work: "_Work | Step[Tag]") -> "_Work | Step[Tag]":
        if isinstance(work, _Work):
            work.layers = style.layers(work.sketch, work.drawing, work.step.seen.frame)
        return work

    def hold(works: "Iterable[_Work | Step[Tag]]") -> "Iterator[_Work | Step[Tag]]":
        for work in works:
            if isinstance(work, _Work) and work.layers is not None:
                work.layers = held.layers = hold_layers(work.layers, held.layers, work.step.motion)
            yield work

    def merge(work: "_Work | Step[Tag]") -> "_Work | Step[Tag]":
        if isinstance(work, _Work) and work.layers is not None:
            work.picture = style.merge(work.sketch, work.drawing, work.layers, work.step.seen.frame, threads=1)
        return work

    drawn = run_stages(steps, [draw])
    finished = run_parallel(drawn, finish, workers=workers)
    merged = run_parallel(hold(finished), merge, workers=workers)
    try:
        for work in merged:
            if isinstance(work, _Work):
                assert work.picture is not None  # noqa: S101 - `merge` has made it
                hold_close_ups(work.picture, work.sketch.close_ups, held.picture, work.step.motion)
                held.picture, tag = work.picture, work.step.tag
            else:
                tag = work.tag
            assert held.picture is not None  # noqa: S101 - the first frame of all is never unchanged
            yield tag, held.picture
    finally:
        for each in (merged, finished, drawn):
            each.close()


def _is_unchanged(now: Pixels, before: Pixels) -> bool:
    """Whether nothing but noise of compression has changed between two frames, H x W x 3 uint8 each."""
    if now.shape != before.shape:
        return False
    if max(abs(one - other) for one, other in zip(cv2.mean(now), cv2.mean(before), strict=True)) > _FADED:
        return False
    difference = cv2.absdiff(now, before)
    height, width = now.shape[:2]
    squares = (max(1, width // _BLOCK), max(1, height // _BLOCK))
    means = cv2.resize(difference, squares, interpolation=cv2.INTER_AREA)
    # Most frames differ nearly everywhere, and the mean in whole numbers tells that; the rest is compared exactly.
    if means.max() > _UNCHANGED + 1:
        return False
    exact = cv2.resize(np.asarray(difference, np.float32), squares, interpolation=cv2.INTER_AREA)
    return bool(exact.max() <= _UNCHANGED)
