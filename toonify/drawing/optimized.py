"""What draws a style by optimization (variant `gatys`) in the place of a network."""

import functools
import hashlib
import json
from typing import TYPE_CHECKING

from toonify.drawing import run
from toonify.drawing.drawer import Drawer, Tile
from toonify.drawing.plan import DrawingPlan
from toonify.engines.choose import choose_device
from toonify.engines.engine import Backend, Device, Engine, Precision
from toonify.errors import ImageError, StyleError, UsageError, display
from toonify.pixels.arrays import Floats, Halves, Pixels
from toonify.styles.card import StyleVariant
from toonify.transfer import OPTIMIZED

if TYPE_CHECKING:
    import torch

    from toonify.drawing.tiles import OnShare
    from toonify.transfer.optimizer import GatysGenerator


NO_MOVING = f"--variant {OPTIMIZED} draws still pictures"


def is_drawn_by_optimization(plan: DrawingPlan) -> bool:
    """Whether no network draws, but each picture is optimized."""
    return plan.style.variant.architecture == OPTIMIZED


def check_optimized(
    *, backend: Backend | None = None, precision: Precision = "auto", tile: Tile = "auto", ray: str | None = None
) -> None:
    """Raise UsageError for options that are for networks; `backend` is None where nobody has chosen one."""
    if backend not in (None, "torch"):
        raise UsageError(f"--variant {OPTIMIZED} runs on PyTorch; drop --backend {backend}")
    if precision in ("int8", "fp16"):
        raise UsageError(f"--variant {OPTIMIZED} draws in float32, or bfloat16 by itself; drop --precision {precision}")
    if isinstance(tile, int):
        raise UsageError(f"--variant {OPTIMIZED} draws no tiles; drop --tile {tile}, or choose a --size")
    if ray is not None:
        raise UsageError(f"--variant {OPTIMIZED} draws on this machine; drop --ray, or share the work with --shard")


class OptimizedDrawer(Drawer):
    """Draws at once, and says after each step how much is done."""

    def __init__(self, generator: "GatysGenerator", style: StyleVariant, *, padding: int) -> None:
        super().__init__(generator, style.variant, padding=padding, tile="off")
        self._optimizer, self._of = generator, style.variant

    @property
    def engine(self) -> Engine:
        """What draws."""
        return self._optimizer

    def _try(self, pixels: Pixels, tile: int | None, on_share: "OnShare | None") -> Floats | Halves | None:
        draw = self._optimizer if on_share is None else functools.partial(self._optimizer, on_share=on_share)
        try:
            return run.draw(pixels, draw, self._of, padding=self._padding)  # type: ignore[arg-type]
        except FloatingPointError as error:
            raise ImageError(f"cannot be drawn by optimization: {error}; type --precision fp32") from error
        except MemoryError:
            return None


def open_optimized(
    style: StyleVariant,
    *,
    padding: int,
    device: Device = "auto",
    backend: Backend = "onnx",
    precision: Precision = "auto",
    tile: Tile = "auto",
) -> OptimizedDrawer:
    """What draws a variant whose architecture is `gatys`, on PyTorch; the options are those of `open_drawer`.

    Convolutions run in bfloat16 where the device has it and `precision` is "auto". Raises UsageError for options that
    are for networks, StyleError, WeightsError, DownloadError, DeviceError.
    """
    import msgspec

    from toonify.checkpoints.tensors import fingerprint, read_tensors
    from toonify.transfer.grams import grams_from_state
    from toonify.transfer.optimizer import GatysConfig, GatysGenerator
    from toonify.transfer.vgg import published_features

    check_optimized(backend=None if backend == "onnx" else backend, precision=precision, tile=tile)
    chosen = choose_device(device, "torch")
    state = read_tensors(style.file)
    if style.variant.weights.fingerprint not in (None, fingerprint(state)):
        raise StyleError(f"{display(style.file)} is not what its card says; delete the folder, and it is made anew")
    try:
        config = msgspec.convert(style.variant.config, GatysConfig, strict=True)
        grams = grams_from_state(state)
    except (msgspec.ValidationError, KeyError) as error:
        raise StyleError(f"{display(style.folder)} is no style for optimization: {error}") from error
    dtype = _dtype(chosen, precision)
    told = json.dumps([style.digest, style.variant.config, str(dtype)], sort_keys=True)
    generator = GatysGenerator(
        published_features(dtype), grams, config, chosen, hashlib.sha256(told.encode()).hexdigest()
    )
    return OptimizedDrawer(generator, style, padding=padding)


def _dtype(device: str, precision: Precision) -> "torch.dtype":
    """bfloat16 where the device calculates in it, and nobody asks for more."""
    import torch

    if precision == "fp32":
        return torch.float32
    if device == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float32
    has = torch.cpu.get_capabilities()
    return torch.bfloat16 if has.get("avx512_bf16") or has.get("amx_bf16") else torch.float32
