"""A generator on OpenVINO: in bf16 where the CPU computes with it (AMX, AVX-512 BF16), else in float32."""

import sys
import threading
from pathlib import Path
from typing import Any, Literal

import numpy as np

from toonify.errors import StyleError, one_line
from toonify.pixels.arrays import Floats
from toonify.system.cores import network_threads
from toonify.system.memory import give_back_freed_memory

Precision = Literal["bf16", "f32"]


class OpenVinoGenerator:
    """A generator in an ONNX file, on OpenVINO's CPU device; it is made ready for pictures of any size at once.

    `source` is the file or what is in one. `precision` None: the quicker one that the CPU has. Raises StyleError if the
    network cannot be read.
    """

    def __init__(self, source: Path | bytes, precision: Precision | None = None) -> None:
        openvino = _import_openvino()
        core = openvino.Core()
        settings = {
            "INFERENCE_PRECISION_HINT": precision or native_precision(),
            "INFERENCE_NUM_THREADS": network_threads(),
            "NUM_STREAMS": 1,
            "ENABLE_CPU_PINNING": False,  # two processes would be pinned to the same cores
        }
        try:
            network = core.compile_model(core.read_model(source), "CPU", settings)
        except RuntimeError as error:  # openvino has no error of its own
            where = source if isinstance(source, Path) else "the network"
            raise StyleError(f"{where} is no network that OpenVINO reads: {one_line(error)[-200:]}") from error
        give_back_freed_memory()
        self._request = network.create_infer_request()
        self._one_at_a_time = threading.Lock()  # a request is for one picture
        self._cancelled = False
        self.engine = f"OpenVINO {openvino.__version__.partition('-')[0]}"
        # What was asked for is a hint; what the operators were made for is the truth.
        made_for = {op.get_rt_info()["runtimePrecision"].astype(str) for op in network.get_runtime_model().get_ops()}
        self.provider = f"CPU {'bf16' if 'bf16' in made_for else 'f32'}"
        self.device = "cpu"

    def __call__(self, batch: Floats) -> Floats:
        """Draw a batch: N x 3 x H x W float32 to the same.

        Raises InterruptedError if cancelled meanwhile or before, MemoryError.
        """
        with self._one_at_a_time:
            try:
                self._request.start_async([batch])  # `infer` would not hear of `cancel`
                if self._cancelled:
                    self._request.cancel()
                self._request.wait()
            except RuntimeError as error:
                if self._cancelled:
                    raise InterruptedError from error
                if "alloc" in str(error).lower():
                    raise MemoryError from error
                raise
            if self._cancelled:
                raise InterruptedError
            return np.array(self._request.get_output_tensor(0).data, np.float32)

    def cancel(self) -> None:
        """End the call that runs in another thread, and all later ones, after the operator that it is at."""
        self._cancelled = True
        self._request.cancel()


def native_precision() -> Precision:
    """What the CPU computes with at its quickest, as OpenVINO sees it, of the two that drawings are good in."""
    openvino = _import_openvino()
    return "bf16" if "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES") else "f32"


def _import_openvino() -> Any:
    """OpenVINO, without the package that tells its maker of every use: it goes without where there is none."""
    absent: Any = None
    sys.modules.setdefault("openvino_telemetry", absent)
    import openvino

    return openvino
