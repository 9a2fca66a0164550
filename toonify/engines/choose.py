"""Where a network runs."""

import logging

from toonify.engines import accelerators, cuda
from toonify.engines.accelerators import ACCELERATORS
from toonify.engines.engine import Backend, Device
from toonify.errors import DeviceError

_log = logging.getLogger(__name__)


def choose_device(device: Device, backend: Backend) -> str:
    """Where a network will run: "cpu", "cuda" or the accelerator's name. "auto" takes CUDA where nothing speaks
    against it.

    Raises DeviceError, saying why and what to type, if what was asked for cannot run.
    """
    if backend not in ("onnx", "torch"):
        runs_on = "cpu" if backend == "openvino" else ACCELERATORS[backend].device
        if device not in ("auto", runs_on):
            raise DeviceError(f"--backend {backend} does not run on {device}; drop --device {device}")
        missing = accelerators.missing(backend)
        if missing is not None:
            raise DeviceError(f"--backend {backend} cannot run: {missing}")
        return "cpu" if backend == "openvino" else backend
    if device == "cpu":
        return "cpu"
    missing = cuda.missing_for_onnx() if backend == "onnx" else cuda.missing_for_torch()
    if missing is None:
        return "cuda"
    if device == "cuda":
        raise DeviceError(f"--device cuda cannot run: {missing}")
    return "cpu"


def leave_cuda_aside(error: DeviceError, device: Device, *, what: str = "") -> None:
    """Say in a line that the CPU takes CUDA's place; raise the error unless `device` is "auto", which allows it."""
    if device != "auto":
        raise error
    _log.warning("CUDA is not used%s: %s", what, error)
