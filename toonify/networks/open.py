"""From a style to a running generator."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from toonify.engines.choose import choose_device, leave_cuda_aside
from toonify.engines.engine import Backend, Device, Generator
from toonify.engines.large_frames import LargeFrames
from toonify.engines.onnx_runtime import OnnxGenerator
from toonify.engines.pytorch import TorchGenerator
from toonify.errors import DeviceError, StyleError, display
from toonify.graphs.format import CHECK_KEY
from toonify.networks.check_photo import check_photo, drawing_from_text
from toonify.networks.load import load_module
from toonify.networks.ready import from_onnx_file, refuse_absurd_of
from toonify.pixels.arrays import Floats, Halves, psnr
from toonify.styles.card import StyleVariant
from toonify.styles.frame import from_batch

MIN_PSNR_INT8 = 45.0  # dB, of the check photo's drawing to that in float32: one and a half gray levels


def open_generator(style: StyleVariant, *, backend: Backend = "onnx", device: Device = "auto") -> Generator:
    """The generator of a variant, ready to draw.

    Raises StyleError (and DownloadError) if its weights cannot be had, DeviceError if it cannot run as asked.
    """
    chosen = choose_device(device, backend)
    try:
        return open_on(chosen, style, backend=backend)
    except DeviceError as error:
        if backend != "onnx":
            raise
        leave_cuda_aside(error, device)
        return open_on("cpu", style, backend=backend)


def open_on(device: str, style: StyleVariant, *, backend: Backend = "onnx") -> Generator:
    """The same on a device that `choose_device` gave, or not at all."""
    if backend == "torch":
        return TorchGenerator(load_module(style), device)
    if backend == "openvino":
        from toonify.engines.openvino import OpenVinoGenerator

        return from_onnx_file(style, "cuda", partial(LargeFrames, open_source=OpenVinoGenerator))
    if device == "cpu":
        on_cpu = partial(OnnxGenerator, device="cpu")
        return from_onnx_file(style, "cpu", partial(LargeFrames, open_source=on_cpu))
    return from_onnx_file(style, "cuda", partial(OnnxGenerator, device=device))  # other engines take the plain network


def open_int8(style: StyleVariant) -> LargeFrames:
    """The generator of a variant in 8-bit integers on the CPU, which draws the check photo as float32 does, to 45 dB.

    Raises StyleError if the card names no such network or its file is not right, DeviceError if it draws otherwise.
    """
    path = style.int8
    if path is None:
        raise StyleError(f"{style.label} has no network in 8-bit integers")
    refuse_absurd_of(style, path)
    metadata: dict[str, str] = {}

    def open_source(source: Path | bytes) -> OnnxGenerator:
        generator = OnnxGenerator(source, "cpu")
        metadata.update(generator.metadata)
        return generator

    opened = LargeFrames(path, open_source)
    check_int8(style, from_batch(opened(check_photo(style.variant)), style.variant), metadata)
    opened.provider += ", int8"
    return opened


def check_int8(style: StyleVariant, drawing: Floats | Halves, metadata: Mapping[str, str]) -> None:
    """Raise DeviceError unless a drawing of the check photo is what the file of integers says that float32 draws.

    That is in the file, so that no other network is opened: it takes 10 ms, at every start, and there is nothing to
    keep and nothing that grows old when the runtime or the processor changes.
    """
    text = metadata.get(CHECK_KEY)
    if text is None:
        path = display(style.int8 or style.folder)
        raise StyleError(f"{path} says nothing to check it by; make it anew with `toonify export --int8`")
    agreement = psnr(drawing, drawing_from_text(text), peak=1)
    if agreement < MIN_PSNR_INT8:
        raise DeviceError(
            f"in 8-bit integers {style.label} draws the check photo {agreement:.0f} dB from float32 on this processor"
        )
