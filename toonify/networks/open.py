"""From a style to a running generator."""

from pathlib import Path

from toonify.engines.choose import choose_device, leave_cuda_aside
from toonify.engines.engine import Backend, Device, Generator
from toonify.engines.onnx_runtime import OnnxGenerator
from toonify.engines.pytorch import TorchGenerator
from toonify.errors import DeviceError
from toonify.networks.load import load_module
from toonify.networks.ready import from_onnx_file
from toonify.styles.find import LocatedStyle


def open_generator(
    style: LocatedStyle, variant: str, *, backend: Backend = "onnx", device: Device = "auto", quiet: bool = False
) -> Generator:
    """The generator of a variant, ready to draw.

    Raises StyleError (and DownloadError) if its weights cannot be had, DeviceError if it cannot run as asked.
    """
    chosen = choose_device(device, backend)
    if backend == "torch":
        return TorchGenerator(load_module(style, variant, quiet=quiet), chosen)
    made_for = "cpu" if (backend, chosen) == ("onnx", "cpu") else "cuda"  # other engines take the plain network
    try:
        return from_onnx_file(style, variant, made_for, lambda path: _open(path, chosen, backend), quiet=quiet)
    except DeviceError as error:
        if backend != "onnx":
            raise
        leave_cuda_aside(error, device)
        return open_generator(style, variant, backend=backend, device="cpu", quiet=quiet)


def _open(path: Path, device: str, backend: Backend) -> Generator:
    if backend == "openvino":
        from toonify.engines.openvino import OpenVinoGenerator

        return OpenVinoGenerator(path)
    return OnnxGenerator(path, device)
