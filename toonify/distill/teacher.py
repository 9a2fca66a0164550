"""The style that is distilled, ready to draw as fast as this machine can without being told apart from float32."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from toonify.drawing import DrawingPlan, Style, choose_plan
from toonify.drawing.drawer import Drawer
from toonify.drawing.open import open_exact
from toonify.engines.engine import Device, Generator
from toonify.engines.pytorch import TorchGenerator
from toonify.methods.trained import Precision
from toonify.networks.check_photo import check_photo
from toonify.networks.load import load_module
from toonify.pixels.arrays import Floats, psnr
from toonify.styles.find import find_style
from toonify.system.waiting import waiting

_log = logging.getLogger(__name__)

MIN_PSNR = 50.0  # dB, of a drawing in a shorter type against float32
_ROUNDS = 2  # that each way is timed in, after one to warm up


def choose_teacher(name: str, variant: str = "auto") -> DrawingPlan:
    """The style that `--teacher` names, as `convert` draws it by default; nothing is fetched.

    "auto" is the first of its variants that is not a student itself, if there is one. Raises UsageError, StyleError.
    """
    if variant == "auto":
        variants = find_style(name).card.variants
        variant = next((each for each in variants if variants[each].architecture != "lite"), variant)
    return choose_plan(name, variant=variant, look="soft", output_size="drawn")


@dataclass(frozen=True)
class Teacher:
    """The plan of the drawings, and what draws them."""

    plan: DrawingPlan
    generator: Generator
    remark: str  # what it runs on, and how far that agrees with float32
    seconds_per_megapixel: float

    def style(self, size: int | None) -> Style:
        """The style at a long side other than its own."""
        options = self.plan.options if size is None else replace(self.plan.options, size=size)
        drawer = Drawer(self.generator, self.plan.style.variant, padding=options.padding)
        return Style(replace(self.plan, options=options), drawer)


def open_teacher(plan: DrawingPlan, precision: Precision | None, *, device: Device) -> Teacher:
    """Fetch what the teacher needs, and find the faster way to run it.

    The ways are ONNX Runtime in float32, and PyTorch in the shorter type of `precision` if that is given and agrees to
    50 dB. Raises StyleError, DownloadError, DeviceError.
    """
    exact = open_exact(plan.style, device=device)
    photo = check_photo(plan.style.variant)
    megapixels = photo.shape[2] * photo.shape[3] / 1e6
    with waiting(_log, "timing the teacher"):
        drawn, seconds = _time(exact, photo)
    said = f"{exact.engine}, float32"
    if precision is None or precision.dtype == torch.float32 or plan.style.onnx is not None:
        return Teacher(plan, exact, f"{said}, {seconds / megapixels:.1f} s a megapixel", seconds / megapixels)
    module = _Shortened(load_module(plan.style), precision)
    short = TorchGenerator(module, precision.device)
    with waiting(_log, "timing the teacher in PyTorch"):
        other, other_seconds = _time(short, photo)
    low, high = plan.style.variant.value_range
    agreement = psnr(other, drawn, peak=high - low)
    compared = (
        f"{said} {seconds / megapixels:.1f} s a megapixel, "
        f"{short.engine} {precision.name} {other_seconds / megapixels:.1f} s, {agreement:.0f} dB between them"
    )
    if agreement >= MIN_PSNR and other_seconds < seconds:
        return Teacher(plan, short, f"{compared}: the second draws", other_seconds / megapixels)
    return Teacher(plan, exact, f"{compared}: the first draws", seconds / megapixels)


def _time(generator: Callable[[Floats], Floats], photo: Floats) -> tuple[Floats, float]:
    """The drawing of a photo, and the least seconds that it took."""
    drawn = generator(photo)
    seconds = []
    for _ in range(_ROUNDS):
        started = time.perf_counter()
        generator(photo)
        seconds.append(time.perf_counter() - started)
    return drawn, min(seconds)


class _Shortened(nn.Module):
    """A generator that calculates in a shorter type where it bears it, channels last."""

    def __init__(self, generator: nn.Module, precision: Precision) -> None:
        super().__init__()
        self.generator = precision.place(generator)
        self.precision = precision

    def forward(self, x: Tensor) -> Tensor:
        with self.precision.autocast():
            y: Tensor = self.generator(x.contiguous(memory_format=torch.channels_last))
        return y.float()
