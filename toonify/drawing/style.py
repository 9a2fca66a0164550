"""A style that is ready to draw: photo in, picture out."""

import dataclasses
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from PIL import Image

from toonify.drawing.close_ups import CloseUp, find_close_ups, put_in_place
from toonify.drawing.drawer import Drawer
from toonify.drawing.faces import Face, FaceFinder
from toonify.drawing.finish import (
    Colors,
    Frame,
    Layers,
    finish,
    finish_layers,
    finish_soft,
    measure_frame,
    merge_layers,
)
from toonify.drawing.plan import DrawingPlan, DrawOptions
from toonify.engines.engine import Engine, ran_on
from toonify.errors import UsageError, display
from toonify.images import photo_from_image
from toonify.jobs.outcome import open_source
from toonify.pixels.arrays import Floats, Halves, Pixels
from toonify.pixels.resize import fit_long_side, resize
from toonify.styles.card import StyleVariant
from toonify.transfer import OPTIMIZED

if TYPE_CHECKING:
    from torch import nn

    from toonify.drawing.moving.options import ClipOptions, ClipResult
    from toonify.drawing.tiles import OnShare

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Sketch:
    """A photo made ready for drawing."""

    full: Pixels  # at the size of the result
    small: Pixels  # at the size at which the style is drawn
    faces: Sequence[Face] = ()  # in pixels of `small`
    close_ups: Sequence[CloseUp] = ()  # of those that are too small in it

    def with_faces(self, faces: Sequence[Face]) -> "Sketch":
        """The same with faces, in pixels of `small`, largest first."""
        return Sketch(self.full, self.small, faces, find_close_ups(faces, self.full, self.small))


@dataclass(frozen=True)
class Drawing:
    """What the network draws of a sketch: h x w x 3 RGB in 0..1 each, as it draws them."""

    picture: Floats | Halves
    close_ups: Sequence[Floats | Halves] = ()


@dataclass(eq=False)
class Style:
    """A style with its network loaded. Call it with a photo; or take the three steps, each in a thread of its own."""

    plan: DrawingPlan
    _drawer: Drawer
    find_faces: FaceFinder | None = None  # None: the style leaves faces alone

    @classmethod
    def of_network(cls, network: "nn.Module", style: StyleVariant, options: DrawOptions, *, device: str) -> "Style":
        """A style that a PyTorch module draws at once, such as a generator in training, on "cpu" or "cuda"."""
        from toonify.engines.pytorch import TorchGenerator

        drawer = Drawer(TorchGenerator(network, device), style.variant, padding=options.padding)
        return cls(DrawingPlan(style, options), drawer)

    def with_options(self, options: DrawOptions) -> "Style":
        """The same network with other options: of those of `draw_options` all but `raw`, which changes the border.

        Faces are looked for only if they are by this style, too.
        """
        finder = self.find_faces if options.faces else None
        chosen = dataclasses.replace(options, faces=finder is not None)
        plan = dataclasses.replace(self.plan, options=chosen, instead=None, warning="")
        return Style(plan, self._drawer, finder)

    @property
    def engine(self) -> Engine:
        """What the network really runs on."""
        return self._drawer.engine

    @overload
    def __call__(self, photo: Image.Image) -> Image.Image: ...
    @overload
    def __call__(self, photo: Pixels) -> Pixels: ...
    def __call__(self, photo: Image.Image | Pixels) -> Image.Image | Pixels:
        """Draw a PIL image of any mode, or H x W x 3 uint8 RGB pixels; the same kind comes back.

        An image comes back upright, in sRGB, as RGB or (if it is transparent somewhere) RGBA.
        Raises UsageError for anything else, ImageError for an image that cannot be decoded.
        """
        if isinstance(photo, Image.Image):
            decoded = photo_from_image(photo)
            pixels = self(decoded.pixels)
            if decoded.alpha is None:
                return Image.fromarray(pixels)
            return Image.fromarray(np.dstack([pixels, resize(decoded.alpha, pixels.shape[:2])]))
        if not (isinstance(photo, np.ndarray) and photo.dtype == np.uint8 and photo.ndim == 3 and photo.shape[2] == 3):
            raise UsageError("a style draws a PIL image or an H x W x 3 uint8 array")
        if photo.size == 0:
            raise UsageError("a style draws pictures of 1 x 1 pixels or more; this array is empty")
        sketch = self.prepare(photo)
        return self.finish(sketch, self.draw(sketch))

    @property
    def enough(self) -> int | None:
        """The long side in pixels above which no more of a photo is needed; None: all of it is."""
        options = self.plan.options
        if options.size is None or options.output_size == "same":
            return None
        return options.size if options.output_size == "drawn" else max(options.size, options.output_size)

    def sizes(self, height: int, width: int) -> tuple[tuple[int, int], tuple[int, int]]:
        """At which height and width a photo is drawn, and those of the result."""
        options = self.plan.options
        drawn = (height, width)
        if options.size is not None and max(drawn) > options.size:
            drawn = fit_long_side(height, width, options.size)
        if options.output_size == "same":
            return drawn, (height, width)
        return drawn, drawn if options.output_size == "drawn" else fit_long_side(height, width, options.output_size)

    def prepare(self, pixels: Pixels) -> Sketch:
        """Bring a photo to the size of the result and to that at which the style is drawn, and find its faces."""
        sketch = self.resized(pixels)
        return sketch if self.find_faces is None else sketch.with_faces(self.find_faces(sketch.small))

    def resized(self, pixels: Pixels) -> Sketch:
        """A photo at both sizes, whose faces nobody has looked for."""
        drawn, result = self.sizes(*pixels.shape[:2])
        return Sketch(resize(pixels, result), resize(pixels, drawn))

    def draw(self, sketch: Sketch, *, on_share: "OnShare | None" = None) -> Drawing:
        """Run the network; what comes out is float16 if it ran in tiles or on CUDA.

        `on_share` is told how much is done, as `Drawer.draw` does.

        Raises ImageError if there is not the memory for it, InterruptedError after `cancel`.
        """
        picture = self._drawer.draw(sketch.small, on_share=on_share)
        return Drawing(picture, [self._drawer.draw(close_up.photo) for close_up in sketch.close_ups])

    def finish(
        self, sketch: Sketch, drawing: Drawing, options: DrawOptions | None = None, *, threads: int | None = None
    ) -> Pixels:
        """Correct the colors, give the drawing its look, and bring it to the size of the result: H x W x 3 uint8.

        `options` are those of another look of the same style, in the place of the plan's; sizes and padding are as
        they were for `prepare` and `draw`. `threads` are those of `upsample`.
        """
        options = options or self.plan.options
        if options.look is None:
            colors = Colors(options.keep_color, options.saturation)
            share: dict[str, Any] = {"detail": options.detail, "strength": options.strength, "threads": threads}
            return finish_soft(drawing.picture, sketch.small, sketch.full, colors, **share)
        frame = measure_frame(sketch.small, options.look.grade)
        layers = self.layers(sketch, drawing, frame, options)
        return self.merge(sketch, drawing, layers, frame, options, threads=threads)

    def layers(self, sketch: Sketch, drawing: Drawing, frame: Frame, options: DrawOptions | None = None) -> Layers:
        """The first half of `finish`: the layers of the picture without its close-ups.

        `frame` is what the grade measures.
        """
        options = options or self.plan.options
        colors = Colors(options.keep_color, options.saturation)
        return finish_layers(drawing.picture, sketch.small, colors, options.look, faces=sketch.faces, frame=frame)

    def merge(
        self,
        sketch: Sketch,
        drawing: Drawing,
        layers: Layers,
        frame: Frame,
        options: DrawOptions | None = None,
        *,
        threads: int | None = None,
    ) -> Pixels:
        """The second half of `finish`: the layers at the size of the result, with the close-ups put in their places."""
        options = options or self.plan.options
        colors, look = Colors(options.keep_color, options.saturation), options.look
        share: dict[str, Any] = {"detail": options.detail, "strength": options.strength, "threads": threads}
        picture = merge_layers(layers, sketch.small, sketch.full, look, **share)
        if look is None:
            return picture
        for close_up, drawn in zip(sketch.close_ups, drawing.close_ups, strict=True):
            photo = sketch.full[close_up.box.slices]
            seen = frame.cropped(close_up.box, *sketch.full.shape[:2])
            face = finish(drawn, close_up.photo, photo, colors, look, faces=[close_up.face], frame=seen, **share)
            put_in_place(picture, close_up, face)
        return picture

    def video(
        self,
        path: "str | PathLike[str]",
        out: "str | PathLike[str]",
        options: "ClipOptions | None" = None,
        *,
        overwrite: bool = False,
    ) -> "ClipResult":
        """Draw a video from file to file, with its sound: steady over time, and gone on with where a call was killed.

        `options` say which part of it, and how it is written; the container is that of the name `out`. Raises
        UsageError for a name of no container, one that does not hold the codec, or one that is there already,
        ImageError for what cannot be read, OSError.
        """
        from toonify.drawing.moving.clip import draw_clip
        from toonify.drawing.moving.options import clip_notes, options_for

        if self.plan.style.variant.architecture == OPTIMIZED:
            raise UsageError(f"{self.plan.style.label} draws still pictures; choose another variant for videos")
        source, target = Path(path), Path(out)
        options = options_for(target) if options is None else options.named(target)
        taken = UsageError(f"{display(target)} is there already; overwrite=True replaces it")
        if not overwrite and target.exists():
            raise taken
        target.parent.mkdir(parents=True, exist_ok=True)
        with open_source(source) as file:
            note = clip_notes(file, self.plan, options)[0]
        try:
            return draw_clip(source, target, self, options, note=note, overwrite=overwrite)
        except FileExistsError as error:
            raise taken from error

    def cancel(self) -> None:
        """End a `draw` that runs in another thread, as soon as the engine can. The style cannot be used after."""
        self._drawer.cancel()

    def __str__(self) -> str:
        return f"{self.plan} on {ran_on(self.engine)}"
