"""Whether CUDA can run here, and if not, why and what to type: each answer is one line, or None where all is well."""

import contextlib
import ctypes
import io
import sys
from functools import cache
from pathlib import Path


@cache
def missing_for_onnx() -> str | None:
    """Why ONNX Runtime cannot run on CUDA here: wrong package, no driver, no device, or a library that is missing."""
    import onnxruntime as ort

    if "CUDAExecutionProvider" not in ort.get_available_providers():
        return (
            "the onnxruntime that is installed has no CUDA in it; "
            'type `pip uninstall -y onnxruntime onnxruntime-gpu` and `pip install "onnxruntime-gpu[cuda,cudnn]"`'
        )
    driver = missing_driver()
    if driver is not None:
        return driver
    library = missing_library("cuda")
    return library and f'a library is missing ({library}); type `pip install "onnxruntime-gpu[cuda,cudnn]"`'


@cache
def missing_for_torch() -> str | None:
    """Why PyTorch cannot run on CUDA here."""
    import torch

    if torch.cuda.is_available():
        return None
    if torch.version.cuda is None:
        return "the PyTorch that is installed has no CUDA in it; pytorch.org/get-started says how to install one"
    too_old = f"PyTorch is built for CUDA {torch.version.cuda} and cannot use the driver; update the driver"
    return missing_driver() or too_old


@cache
def missing_driver() -> str | None:
    """Why no NVIDIA device can be used here."""
    try:
        driver = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return "there is no NVIDIA driver on this machine; install it, or type --device cpu"
    count = ctypes.c_int(0)
    if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0 or count.value == 0:
        return "the NVIDIA driver finds no device; check `nvidia-smi` and CUDA_VISIBLE_DEVICES, or type --device cpu"
    return None


def missing_library(provider: str) -> str | None:
    """What of "cuda" or "tensorrt" ONNX Runtime cannot load. It would run on the CPU instead, without a word."""
    import onnxruntime as ort

    with contextlib.redirect_stdout(io.StringIO()):  # it prints what it does not find
        ort.preload_dlls()  # from the wheels that PyTorch and onnxruntime-gpu bring
    name = "onnxruntime_providers_{}.dll" if sys.platform == "win32" else "libonnxruntime_providers_{}.so"
    folder = Path(ort.__file__).parent / "capi"
    try:
        for part in ("shared", provider):
            ctypes.CDLL(str(folder / name.format(part)), mode=ctypes.RTLD_GLOBAL)
    except OSError as error:
        return str(error)
    return None
