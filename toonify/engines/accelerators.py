"""Engines that are not on every machine: whether they can run here, and if not, what to type."""

import importlib.util
from dataclasses import dataclass

from toonify.engines import cuda
from toonify.system.installed import install_extra


@dataclass(frozen=True)
class Accelerator:
    """An execution provider of ONNX Runtime that a package or a system of its own brings."""

    providers: tuple[str, ...]  # it first, then what takes the operators that it does not know, before the CPU
    device: str  # what it runs on
    install: str


ACCELERATORS = {
    "coreml": Accelerator(
        ("CoreMLExecutionProvider",),
        "gpu/ane/cpu",  # CoreML chooses, and does not say
        "it is in the onnxruntime package for macOS: `pip install onnxruntime` there",
    ),
    "directml": Accelerator(
        ("DmlExecutionProvider",),
        "gpu",
        "on Windows type `pip uninstall -y onnxruntime onnxruntime-gpu` and `pip install onnxruntime-directml`",
    ),
    "tensorrt": Accelerator(
        ("TensorrtExecutionProvider", "CUDAExecutionProvider"),
        "cuda",
        'type `pip install "onnxruntime-gpu[cuda,cudnn]" tensorrt`, and name the folder tensorrt_libs that it brings '
        "in LD_LIBRARY_PATH",
    ),
}


def missing(backend: str) -> str | None:
    """Why `openvino` or one of the accelerators cannot run here and what to type, in a line; None if nothing speaks
    against it.
    """
    if backend == "openvino":
        there = importlib.util.find_spec("openvino") is not None
        return None if there else f"OpenVINO is not installed; type `{install_extra('openvino')}`"
    import onnxruntime as ort

    accelerator = ACCELERATORS[backend]
    provider = accelerator.providers[0]
    if provider not in ort.get_available_providers():
        return f"the onnxruntime that is installed has no {provider}; {accelerator.install}"
    if backend == "tensorrt":
        if cuda.missing_for_onnx() is not None:
            return "it needs CUDA, which does not run here: `toonify doctor` says why; or drop --backend tensorrt"
        library = cuda.missing_library("tensorrt")
        if library is not None:
            return f"a library is missing ({library}); {accelerator.install}"
    return None
