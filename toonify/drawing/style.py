"""A style that is ready to draw: photo in, picture out."""

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from PIL import Image

from toonify.drawing.drawer import Drawer, Tile, open_drawer
from toonify.drawing.finish import Colors, finish_soft
from toonify.drawing.plan import DrawingPlan, DrawOptions, choose_plan
from toonify.engines.engine import Backend, Device, Engine, Precision, ran_on
from toonify.errors import DownloadError, UsageError
from toonify.images import photo_from_image
from toonify.pixels.arrays import Floats, Halves, Pixels
from toonify.pixels.resize import fit_long_side, resize
from toonify.styles.card import StyleVariant

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Sketch:
    """A photo made ready for drawing."""

    full: Pixels  # at the size of the result
    small: Pixels  # at the size at which the style is drawn


class Style:
    """A style with its network loaded. Call it with a photo; or take the three steps, each in a thread of its own."""

    def __init__(self, plan: DrawingPlan, drawer: Drawer) -> None:
        self.plan = plan
        self._drawer = drawer

    @classmethod
    def of_network(cls, network: "nn.Module", style: StyleVariant, options: DrawOptions, *, device: str) -> "Style":
        """A style that a PyTorch module draws at once, such as a generator in training, on "cpu" or "cuda"."""
        from toonify.engines.pytorch import TorchGenerator

        drawer = Drawer(TorchGenerator(network, device), style.variant, padding=options.padding)
        return cls(DrawingPlan(style, options), drawer)

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
        """Bring a photo to the size of the result and to that at which the style is drawn."""
        drawn, result = self.sizes(*pixels.shape[:2])
        return Sketch(full=resize(pixels, result), small=resize(pixels, drawn))

    def draw(self, sketch: Sketch) -> Floats | Halves:
        """Run the network: h x w x 3 RGB in 0..1, as it draws; float16 if it did so in tiles or on CUDA.

        Raises ImageError if there is not the memory for it, InterruptedError after `cancel`.
        """
        return self._drawer.draw(sketch.small)

    def finish(self, sketch: Sketch, drawing: Floats | Halves) -> Pixels:
        """Correct the colours and bring the drawing to the size of the result: H x W x 3 uint8 RGB."""
        options = self.plan.options
        colors = Colors(options.keep_color, options.saturation)
        return finish_soft(drawing, sketch.small, sketch.full, colors, detail=options.detail, strength=options.strength)

    def cancel(self) -> None:
        """End a `draw` that runs in another thread, as soon as the engine can. The style cannot be used after."""
        self._drawer.cancel()

    def __str__(self) -> str:
        return f"{self.plan} on {ran_on(self.engine)}"


def load_plan(
    plan: DrawingPlan,
    *,
    device: Device = "auto",
    backend: Backend = "onnx",
    precision: Precision = "auto",
    tile: Tile = "auto",
    quiet: bool = False,
) -> Style:
    """Fetch what a plan needs, if it is not there, and make it ready to draw.

    `tile`: the side of the tiles in which pictures are drawn, in pixels; "off": at once; "auto": as the memory allows.
    What comes out is the same. `precision`: of a network on CUDA; "auto" is float16 where that cannot be told from
    float32. If the network cannot be fetched and the plan has another one `instead`, that
    is loaded, and a line on stderr says so. Raises UsageError, StyleError, DownloadError, DeviceError.
    """
    runs_on: dict[str, Any] = {"device": device, "backend": backend, "precision": precision, "tile": tile}
    try:
        return Style(plan, open_drawer(plan.style, padding=plan.options.padding, quiet=quiet, **runs_on))
    except DownloadError as error:
        if plan.instead is None:
            raise
        print(f"{plan.style.label} left aside: {error}", file=sys.stderr)
    return load_plan(plan.instead, quiet=quiet, **runs_on)


def load_style(
    name: str,
    *,
    variant: str = "auto",
    device: Device = "auto",
    backend: Backend = "onnx",
    precision: Precision = "auto",
    tile: Tile = "auto",
    quiet: bool = False,
    **options: Any,
) -> Style:
    """Load a style by name (`toonify styles`) or path, fetching its weights on first use.

    >>> shinkai = load_style("shinkai")
    >>> drawing = shinkai(PIL.Image.open("cat.jpg"))

    `precision` and `tile` are as for `load_plan`, `options` are those of `draw_options`: size, output_size, keep_color,
    saturation, strength, detail, raw. Raises UsageError, StyleError, DownloadError, DeviceError.
    """
    plan = choose_plan(name, variant=variant, **options)
    return load_plan(plan, device=device, backend=backend, precision=precision, tile=tile, quiet=quiet)
