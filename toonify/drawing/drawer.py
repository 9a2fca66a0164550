"""How a picture is drawn: at once where the memory allows it, else in tiles; what comes out is the same."""

import logging
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from toonify.drawing import run
from toonify.drawing.open import open_for_drawing, open_tiled
from toonify.drawing.precision import DrawnIn, check_has_int8, open_int8_in_tiles
from toonify.engines.choose import choose_device
from toonify.engines.cpu import has_dot_products
from toonify.engines.cuda_generator import CudaGenerator
from toonify.engines.engine import Backend, Device, Engine, Generator, Precision
from toonify.errors import DeviceError, ImageError, StyleError, TilingError, UsageError
from toonify.networks.open import open_int8
from toonify.pixels.arrays import Floats, Halves, Pixels
from toonify.styles.card import StyleVariant, Variant
from toonify.styles.frame import taken_size
from toonify.system.memory import available_memory, give_back_freed_memory
from toonify.system.waiting import waiting

if TYPE_CHECKING:
    from toonify.drawing.tiles import OnShare, TiledNetwork

_log = logging.getLogger(__name__)

Tile = Literal["auto", "off"] | int  # side of the tiles in pixels

SMALLEST = 64
_LARGEST = 4096
_SHARE = 4  # the part of the free memory that a drawing may take: others use the machine, too
_TILE_MEMORY = 256_000_000  # bytes for a tile at most; larger ones are not quicker
_LARGEST_ON_GPU = 16_000_000  # pixels: CUDA's kernels end at 2^31 numbers, which 64 channels have from 33 megapixels on
_LONG = 8.0  # seconds, of one call of the network, after which somebody who watches wants a sign of life
_PROBE = 128  # pixels: the side of the piece of a picture that shows how long all of it will take
_WORTH_A_PROBE = 300_000_000  # bytes that a drawing needs: with less of them it is quick
_ASSUMED = 1500  # bytes for each pixel, where the card does not say


def check_tile(tile: Tile) -> None:
    """Raise UsageError for tiles that are too small to be worth it, or too large to be tiles."""
    if isinstance(tile, int) and not SMALLEST <= tile <= _LARGEST:
        raise UsageError(f"--tile {tile}: give a side from {SMALLEST} to {_LARGEST} pixels, or auto, or off")


class Drawer:
    """A network with what it needs to draw pictures of any size: for whole pictures, for tiles, or for both.

    `generator` draws at once; without one all is drawn in tiles. `open_tiled` opens the same network for tiles when
    they are first needed; without it there are none. It raises TilingError where the network cannot be cut: with
    "auto" it then draws at once, with a number for `tile` this raises StyleError. `drawn_in` is what both calculate in.
    """

    def __init__(
        self,
        generator: Generator | CudaGenerator | None,
        variant: Variant,
        *,
        padding: int,
        tile: Tile = "off",
        open_tiled: "Callable[[], TiledNetwork] | None" = None,
        drawn_in: DrawnIn = "fp32",
    ) -> None:
        self.drawn_in = drawn_in
        self._generator = generator
        self._variant = variant
        self._padding = padding
        self._tile = tile
        self._open_tiled = open_tiled
        self._tiled: TiledNetwork | None = None
        self._cancelled = False
        self._pace: float | None = None  # seconds for each pixel of the last picture that was drawn at once
        self._opening = threading.Lock()
        self._one_in_tiles = threading.Lock()  # it takes all that there is, and keeps what belongs to one picture
        if isinstance(tile, int):
            try:
                self._network()
            except TilingError as error:
                raise StyleError(f"--tile {tile}: the style is not for tiles, {error}; type --tile off") from error

    @property
    def engine(self) -> Engine:
        """What draws."""
        return self._network() if self._generator is None else self._generator

    def draw(self, pixels: Pixels, *, on_share: "OnShare | None" = None) -> Floats | Halves:
        """Draw H x W x 3 uint8 RGB pixels: the same shape, RGB in 0..1; float16 if in tiles or on CUDA.

        `on_share` is told how much is done, 0..1: after each tile of each sweep, and at the end. Who gives it does not
        want to wait long without a word, so that what would take long at once is then drawn in tiles.

        Raises ImageError or MemoryError if there is not the memory for it, InterruptedError after `cancel`.
        """
        tile = self._first_tile(pixels, watched=on_share is not None)
        while (drawing := self._try(pixels, tile, on_share)) is None:
            give_back_freed_memory()
            try:
                tile = self._smaller(tile)
            except TilingError as error:
                raise MemoryError(f"not enough at once, and not in tiles: {error}") from error
        if on_share is not None:
            on_share(1)
        return drawing

    def _try(self, pixels: Pixels, tile: int | None, on_share: "OnShare | None") -> Floats | Halves | None:
        """Draw in tiles of that side, or at once; None where there is not the memory for it.

        An error would hold what has failed, and its memory with it, as long as it is handled.
        """
        try:
            if tile is None:
                assert self._generator is not None  # noqa: S101 - only with a number for the tile
                started = time.perf_counter()
                drawing = run.draw(pixels, self._generator, self._variant, padding=self._padding)
                self._pace = (time.perf_counter() - started) / (pixels.shape[0] * pixels.shape[1])
                return drawing
            with self._one_in_tiles:
                side = tile + -tile % self._network().multiple
                framing: dict[str, int] = {"padding": self._padding, "tile": side}
                return run.draw_in_tiles(pixels, self._network(), self._variant, **framing, on_share=on_share)
        except MemoryError:
            return None

    def cancel(self) -> None:
        """End the `draw` that runs in another thread, as soon as the engine can. No other can begin after."""
        self._cancelled = True
        if self._generator is not None:
            self._generator.cancel()
        if self._tiled is not None:
            self._tiled.cancel()

    def _first_tile(self, pixels: Pixels, *, watched: bool) -> int | None:
        if isinstance(self._tile, int):
            return self._tile
        height, width = taken_size(*pixels.shape[:2], variant=self._variant, padding=self._padding)
        if self.engine.device != "cpu":  # its memory is its own, and says itself when it is full
            return None if height * width <= _LARGEST_ON_GPU else self._tile_for_gpu(height, width)
        needed, free = height * width * (self._variant.bytes_per_pixel or _ASSUMED), available_memory()
        if self._tile == "off":
            if needed > free:
                raise self._too_large(height, width, needed, free, "")
            return None
        if needed <= free / _SHARE and not (watched and needed > _WORTH_A_PROBE and self._is_slow(pixels)):
            return None
        try:
            return self._fitting_tile()
        except TilingError as error:
            if needed > free:
                raise self._too_large(height, width, needed, free, f" (and not in tiles, {error})") from error
            return None

    def _is_slow(self, pixels: Pixels) -> bool:
        """Whether a picture would take long at once, by the pace of the one before it, or of a piece of itself."""
        if self._pace is None:
            self._try(pixels[:_PROBE, :_PROBE], None, None)
        height, width = pixels.shape[:2]
        return self._pace is not None and self._pace * height * width > _LONG

    def _tile_for_gpu(self, height: int, width: int) -> int | None:
        """The side of the tiles for a picture that is too large for a GPU; None for a network that is not for tiles."""
        if self._tile == "off":
            raise ImageError(
                f"{width} x {height} is more than a GPU draws at once ({_LARGEST_ON_GPU / 1e6:g} megapixels); "
                "drop --tile off, or draw it smaller, with --size"
            )
        try:
            return self._fitting_tile()
        except TilingError:
            return None

    def _fitting_tile(self) -> int:
        """The side of a tile that the free memory allows."""
        memory = min(_TILE_MEMORY, available_memory() // _SHARE)
        side = int((memory / self._network().bytes_per_pixel) ** 0.5)
        return max(SMALLEST, side // SMALLEST * SMALLEST)

    def _smaller(self, tile: int | None) -> int:
        """The tile to try next where there was no memory for this one. Raises MemoryError if there is none."""
        if self._tile == "off" or (tile is not None and tile <= SMALLEST):
            raise MemoryError
        return self._fitting_tile() if tile is None else max(SMALLEST, tile // 2)

    def _network(self) -> "TiledNetwork":
        with self._opening:
            if self._tiled is None:
                assert self._open_tiled is not None  # noqa: S101 - only with --tile off
                with waiting(_log, "opening the network for tiles"):
                    self._tiled = self._open_tiled()
                if self._cancelled:
                    self._tiled.cancel()
            return self._tiled

    def _too_large(self, height: int, width: int, needed: int, free: int, more: str) -> ImageError:
        fitting = int(max(height, width) * (0.8 * free / needed) ** 0.5) // 64 * 64
        return ImageError(
            f"drawing at {width} x {height} at once needs about {needed / 1e9:.1f} GB of memory and {free / 1e9:.1f} "
            f"are free{more}; draw it smaller, with --size {max(fitting, 64)}"
        )


def open_drawer(
    style: StyleVariant,
    *,
    padding: int,
    device: Device = "auto",
    backend: Backend = "onnx",
    precision: Precision = "auto",
    tile: Tile = "auto",
) -> Drawer:
    """What draws photos with a variant of a style, as quickly as this machine can.

    The options are those of `load_plan`. Raises UsageError for some that do not go together, and what
    `open_for_drawing` and `open_tiled` do.
    """
    check_tile(tile)
    if backend != "onnx" and precision != "auto":
        raise UsageError(f"--precision {precision} is for --backend onnx; drop it, or --backend {backend}")
    if backend != "onnx" and isinstance(tile, int):
        raise UsageError(f"--tile {tile} is for --backend onnx; drop it, or --backend {backend}")
    if isinstance(tile, int) and precision == "fp16":
        raise UsageError(f"--tile {tile} draws in float32; drop it, or --precision fp16")
    if _wants_int8(style, backend=backend, device=device, precision=precision):
        try:
            return _open_int8_drawer(style, padding=padding, tile=tile)
        except DeviceError as error:
            if precision == "int8" or _is_int8_alone(style):
                raise
            _log.warning("%s falls back to float32: %s", style.label, error)
    generator, place_of_tiles = None, device
    if not isinstance(tile, int):  # else a network for whole pictures would be in memory for nothing
        generator = open_for_drawing(style, backend=backend, device=device, precision=precision)
        if style.variant.int8 is not None and backend == "onnx" and generator.device == "cpu":
            generator.provider += ", float32"  # CUDA's says so itself
        place_of_tiles = device if generator.device == "cuda" else "cpu"
    return Drawer(
        generator,
        style.variant,
        padding=padding,
        tile=tile if backend == "onnx" else "off",
        open_tiled=lambda: open_tiled(style, device=place_of_tiles),
    )


def _wants_int8(style: StyleVariant, *, backend: Backend, device: Device, precision: Precision) -> bool:
    """Whether integers are to draw, if they turn out to draw rightly; no file is opened.

    "int8" takes them on any CPU; "auto" where the card has them, the network runs on the CPU and this has dot products
    of bytes. Raises StyleError, UsageError or DeviceError if what was asked for cannot be.
    """
    alone = _is_int8_alone(style)
    if alone and precision in ("fp32", "fp16"):
        raise UsageError(
            f"--precision {precision}: {style.label} is in 8-bit integers alone; drop it, or name the style that it "
            "was made from"
        )
    if precision == "int8":
        check_has_int8(style)
    if style.variant.int8 is None or precision not in ("auto", "int8") or backend != "onnx":
        return False
    if precision == "int8" or alone:
        if device == "cuda":
            raise DeviceError(f"8-bit integers are for CPUs: to draw {style.label} in them, type --device cpu")
        return True
    return has_dot_products() and choose_device(device, backend) == "cpu"


def _is_int8_alone(style: StyleVariant) -> bool:
    """Whether a variant has no other network than the one in 8-bit integers."""
    int8 = style.variant.int8
    return int8 is not None and int8.file == style.variant.weights.file


def _open_int8_drawer(style: StyleVariant, *, padding: int, tile: Tile) -> Drawer:
    """What draws in 8-bit integers on the CPU. Raises DeviceError if that is not right here, StyleError."""
    return Drawer(
        None if isinstance(tile, int) else open_int8(style),
        style.variant,
        padding=padding,
        tile=tile,
        open_tiled=lambda: open_int8_in_tiles(style),
        drawn_in="int8",
    )
