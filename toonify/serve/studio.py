"""Previews of a photo in any style and look, quickly: what the network draws is kept, a change redoes the finish only.

A preview is drawn at the style's working size, as the result will be, and reduced after that, so that its strokes are
the result's.
"""

import contextlib
import dataclasses
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import simplejpeg

from toonify.drawing import Drawing, DrawingPlan, Loader, Sketch, Style, choose_plan
from toonify.drawing.open import DRAWERS_ON_CUDA
from toonify.errors import ImageError, StyleError, ToonifyError, UsageError
from toonify.images import DEFAULT_MAX_PIXELS, Photo, opaque, picture_size, read_photo
from toonify.images.modes import on_white
from toonify.jobs.outcome import open_source
from toonify.pixels.arrays import Pixels
from toonify.pixels.resize import fit_long_side, resize
from toonify.serve.cache import Cache
from toonify.serve.choice import Choice
from toonify.styles.card import StyleVariant
from toonify.styles.find import shipped_names
from toonify.system.cores import network_threads
from toonify.system.memory import Allowance, available_memory, give_back_freed_memory, ran_out

LARGEST_PREVIEW = 2048  # pixels of a preview's long side
_SHARP = 1600  # long side at which photos are kept: that of the largest screens' stage
_QUALITY = 90
_PHOTO_BYTES, _DRAWING_BYTES, _FILE_BYTES = 128 << 20, 256 << 20, 64 << 20  # kept in memory at most
_MEMORY_SHARE = 4  # the part of the free memory that photos may take while they are decoded
_BYTES_PER_PIXEL = 12

T = TypeVar("T")


class Studio:
    """The styles, open, and what they have drawn of late."""

    def __init__(self, names: Sequence[str] | None = None, **runs_on: Any) -> None:
        """`names` of styles, by default all that ship; `runs_on` are the options of `load_plan`.

        Raises StyleError if there is none.
        """
        self._load = Loader(**runs_on)
        plans = [choose_plan(name) for name in (shipped_names() if names is None else names)]
        if not plans:
            raise StyleError("there is no style to draw with")
        self._plans = {plan.style.card.id: plan for plan in plans}
        self._opened: dict[str, Style] = {}
        self._opening = threading.Lock()
        self._photos, self._drawings = Cache(_PHOTO_BYTES), Cache(_DRAWING_BYTES)
        self._files = Cache(_FILE_BYTES)
        self._memory = Allowance(available_memory() // _MEMORY_SHARE)
        device = runs_on.get("device", "auto")
        self._drawers = threading.Semaphore(
            DRAWERS_ON_CUDA if device == "cuda" else max(1, network_threads() // 16)  # as `convert` has
        )

    @property
    def styles(self) -> dict[str, StyleVariant]:
        """The variant of each style that draws, by the style's id."""
        return {name: plan.style for name, plan in self._current().items()}

    @property
    def finds_faces(self) -> bool:
        """Whether the network that finds faces can be had."""
        return any(plan.options.faces for plan in self._current().values())

    def _current(self) -> dict[str, DrawingPlan]:
        """What each style draws with: where its network is open, that may be another than was planned."""
        return {**self._plans, **{name: style.plan for name, style in self._opened.items()}}

    def open(self, name: str) -> Style:
        """A style with its network loaded, which stays open. Raises StyleError, DeviceError."""
        with self._opening:
            if name not in self._opened:
                self._opened[name] = self._load(self._plans[name])
            return self._opened[name]

    def open_all(self) -> None:
        """Open every style before it is asked for; one that cannot be opened says so when it is."""
        for name in self._plans:
            with contextlib.suppress(ToonifyError):
                self.open(name)

    def style(self, choice: Choice) -> Style:
        """The style with the options that were chosen. Raises what `open` does, UsageError."""
        style = self.open(choice.style)
        return style.with_options(choice.plan(style.plan.style).options)

    def plan(self, choice: Choice) -> DrawingPlan:
        """What `style` would draw, without its network where that is not open yet."""
        opened = self._opened.get(choice.style)
        if opened is not None:
            return opened.with_options(choice.plan(opened.plan.style).options).plan
        own = self._plans[choice.style]
        plan = choice.plan(own.style)
        return plan if own.options.faces else plan.without_faces()

    def photo(self, photo: "Source", side: int) -> bytes:
        """The photo itself, as a JPEG with a long side of at most so many pixels. Raises ImageError."""
        key = (photo.key, "photo", side)
        return bytes(self._files.get(key, lambda: _jpeg(_reduced(opaque(self._read(photo)), side)), len))

    def preview(self, photo: "Source", choice: Choice, side: int) -> bytes:
        """The drawing of a photo, as a JPEG with a long side of at most so many pixels.

        Raises ImageError, StyleError, DeviceError, UsageError.
        """
        key = (photo.key, choice, side)
        return bytes(self._files.get(key, lambda: self._draw_preview(photo, choice, side), len))

    def full_photo(self, photo: "Source") -> bytes:
        """The photo at its full size, as a JPEG. Raises ImageError."""
        return _jpeg(opaque(self._decode(photo, None)))

    def full_drawing(self, photo: "Source", choice: Choice) -> bytes:
        """The drawing at its full size, as a JPEG to look at. Raises what `preview` does."""

        def draw() -> bytes:
            style = self.style(choice)
            decoded = self._decode(photo, style.enough)
            sketch = style.prepare(decoded.pixels)
            with self._drawers:
                drawing = style.draw(sketch)
            pixels = style.finish(sketch, drawing)
            if decoded.alpha is not None:
                pixels = on_white(pixels, resize(decoded.alpha, pixels.shape[:2]))
            return _jpeg(pixels)

        return bytes(self._files.get((photo.key, choice, "full"), lambda: _in_words(draw), len))

    def forget(self, key: str) -> None:
        """Drop what is kept of a photo that is gone."""
        for cache in (self._photos, self._drawings, self._files):
            cache.forget(lambda kept: isinstance(kept, tuple) and kept[0] == key)

    @property
    def kept_bytes(self) -> int:
        """How much is kept in memory."""
        return self._photos.used + self._drawings.used + self._files.used

    def _draw_preview(self, photo: "Source", choice: Choice, side: int) -> bytes:
        def draw() -> bytes:
            style = self.style(choice)
            sketch, drawing = self._drawn(photo, choice, style)
            if side <= max(sketch.small.shape) and not sketch.close_ups:
                # Only what is shown larger, or has faces that are drawn larger, needs more than the working size.
                sketch = dataclasses.replace(sketch, full=sketch.small)
            pixels = style.finish(sketch, drawing)
            alpha = self._read(photo, self._side_of(style)).alpha
            pixels = _reduced(pixels, side)
            return _jpeg(pixels if alpha is None else on_white(pixels, resize(alpha, pixels.shape[:2])))

        return _in_words(draw)

    def _drawn(self, photo: "Source", choice: Choice, style: Style) -> tuple[Sketch, Drawing]:
        """The photo made ready, and what the network draws of it, which is the same for all looks."""
        size = style.plan.options.size
        opened = self.open(choice.style)
        faces = choice.looks_for_faces and opened.plan.options.faces
        # As for a sheet: if one of the looks wants faces, they are found for all.
        prepares = opened.with_options(dataclasses.replace(style.plan.options, faces=faces))

        def make() -> tuple[Sketch, Drawing]:
            sketch = self._sketch(photo, prepares, faces)
            with self._drawers:
                return sketch, prepares.draw(sketch)

        found: tuple[Sketch, Drawing] = self._drawings.get(
            (photo.key, choice.style, size, faces), make, lambda made: _drawing_bytes(made[1])
        )
        return found

    def _sketch(self, photo: "Source", style: Style, faces: bool) -> Sketch:
        size = style.plan.options.size

        def make() -> Sketch:
            return style.prepare(self._read(photo, self._side_of(style)).pixels)

        made: Sketch = self._photos.get((photo.key, "sketch", size, faces), make, lambda sketch: sketch.small.nbytes)
        return made

    def _side_of(self, style: Style) -> int:
        """The long side at which a photo is kept for a style's previews."""
        size = style.plan.options.size
        return max(_SHARP, LARGEST_PREVIEW if size is None else min(size, LARGEST_PREVIEW))

    def _read(self, photo: "Source", side: int = _SHARP) -> Photo:
        """The photo with a long side of at most so many pixels."""

        def make() -> Photo:
            decoded = self._decode(photo, side)
            alpha = None if decoded.alpha is None else _reduced(decoded.alpha, side)
            return Photo(_reduced(decoded.pixels, side), alpha, stored_size=decoded.stored_size, notes=decoded.notes)

        def size(made: Photo) -> int:
            return made.pixels.nbytes + (0 if made.alpha is None else made.alpha.nbytes)

        read: Photo = self._photos.get((photo.key, "read", side), lambda: _in_words(make), size)
        return read

    def _decode(self, photo: "Source", enough: int | None) -> Photo:
        with open_source(photo.path) as file:
            width, height = picture_size(file)
            file.seek(0)
            needed = _BYTES_PER_PIXEL * width * height
            if width * height > DEFAULT_MAX_PIXELS:
                needed = 0  # it is refused, unread
            self._memory.take(needed)
            try:
                return read_photo(file, enough=enough)
            finally:
                self._memory.give_back(needed)
                if width * height > 20_000_000:
                    give_back_freed_memory()


@dataclasses.dataclass(frozen=True)
class Source:
    """A photo on the disk, and the key under which what is made of it is kept."""

    key: str
    path: Path


def _in_words(work: Callable[[], T]) -> T:
    """What `work` returns. Raises ImageError where there is not the memory for it."""
    try:
        return work()
    except Exception as error:
        if not ran_out(error):
            raise
        raise ImageError("not enough memory; choose a smaller size, or a smaller photo") from error


def _drawing_bytes(drawing: Drawing) -> int:
    return int(drawing.picture.nbytes + sum(each.nbytes for each in drawing.close_ups))


def _reduced(pixels: Pixels, side: int) -> Pixels:
    height, width = pixels.shape[:2]
    return pixels if max(height, width) <= side else resize(pixels, fit_long_side(height, width, side))


def _jpeg(pixels: Pixels) -> bytes:
    if max(pixels.shape) > 65_500:
        raise UsageError("a side of more than 65500 pixels cannot be shown; choose a smaller size")
    return bytes(simplejpeg.encode_jpeg(np.ascontiguousarray(pixels), _QUALITY, "RGB", "444"))
