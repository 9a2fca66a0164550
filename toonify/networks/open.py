"""From a style to a running generator."""

from functools import partial

from toonify.engines.choose import choose_device, leave_cuda_aside
from toonify.engines.engine import Backend, Device, Generator
from toonify.engines.large_frames import LargeFrames
from toonify.engines.onnx_runtime import OnnxGenerator
from toonify.engines.pytorch import TorchGenerator
from toonify.errors import DeviceError
from toonify.networks.load import load_module
from toonify.networks.ready import from_onnx_file
from toonify.styles.card import StyleVariant


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

        return from_onnx_file(style, "cuda", lambda path: LargeFrames(path, OpenVinoGenerator))
    if device == "cpu":
        return from_onnx_file(style, "cpu", lambda path: LargeFrames(path, partial(OnnxGenerator, device="cpu")))
    return from_onnx_file(style, "cuda", partial(OnnxGenerator, device=device))  # other engines take the plain network
