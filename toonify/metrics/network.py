"""Networks that measure pictures, on ONNX Runtime: converted once, checked, opened when they are first needed."""

import logging
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from toonify.checkpoints import hub
from toonify.engines.choose import choose_device, leave_cuda_aside
from toonify.engines.engine import Device
from toonify.engines.onnx_runtime import OnnxGenerator
from toonify.errors import DeviceError, ExportError, StyleError, display
from toonify.graphs.format import EXPORTER, OPSET
from toonify.pixels.arrays import Floats
from toonify.system.files import write_atomically
from toonify.system.waiting import waiting

if TYPE_CHECKING:
    from torch import Tensor, nn

_log = logging.getLogger(__name__)

_AGREEMENT = 1e-4  # with PyTorch; features and distances are of the order of 1


class MeasuringNetwork:
    """A network from one batch of arrays to figures. It opens on the first call: a cache may spare it.

    `convert` writes the network to `path`, where it is kept. A call raises what `convert` does, and DeviceError if the
    device cannot run.
    """

    def __init__(self, title: str, path: Path, convert: Callable[[Path], None], *, device: Device = "auto") -> None:
        self._title = title
        self._path = path
        self._convert = convert
        self._device = device
        self._network: OnnxGenerator | None = None
        if device == "cuda":  # asked for in so many words: say at once if it cannot be had, needed or not
            choose_device(device, "onnx")

    def __call__(self, batch: Floats) -> Floats:
        """Measure a batch. Raises InterruptedError if `cancel` is called meanwhile."""
        self._network = self._network or self._open()
        return self._network(batch)

    @property
    def runs_on(self) -> str | None:
        """Device, engine and provider; None if the network was not needed."""
        if (network := self._network) is None:
            return None
        return f"{network.device}, {network.engine}, {network.provider}"

    def prepare(self) -> None:
        """Convert the network now if that is still to be done, before other work relies on it."""
        if not self._path.exists():
            _make_folder(self._path)
            what = f"the {self._title}"
            with waiting(_log, f"preparing {what} for this machine, once", done=f"prepared {what}"):
                self._convert(self._path)

    def cancel(self) -> None:
        """End the call that runs in another thread."""
        if self._network is not None:
            self._network.cancel()

    def _open(self) -> OnnxGenerator:
        self.prepare()
        device = choose_device(self._device, "onnx")
        try:
            return OnnxGenerator(self._path, device)
        except DeviceError as error:
            leave_cuda_aside(error, self._device)
            return OnnxGenerator(self._path, "cpu")
        except StyleError:
            self._path.unlink(missing_ok=True)  # the disk spoilt what we had made ourselves: make it again
            self.prepare()
            return OnnxGenerator(self._path, device)


def converted_file(name: str, digest: str) -> Path:
    """Where the network `name` lies once it is converted; `digest` tells its weights from all others."""
    return hub.cache_folder() / "onnx" / f"{name}-{digest[:16]}-{EXPORTER}-{OPSET}.onnx"


def write_converted(
    title: str, module: "nn.Module", example: "Tensor", shape: dict[int, Any], output: str, target: Path
) -> None:
    """Write `module` as ONNX, which runs twice as fast on CPUs, once it agrees with PyTorch on `example`.

    `shape` has the free dimensions of the input, `output` is the name of what comes out. Raises ExportError.
    """
    import torch

    from toonify.networks.export import to_onnx

    data = to_onnx(module, {"pictures": example}, {"pictures": shape}, output=output).SerializeToString()
    with tempfile.TemporaryDirectory() as folder:
        part = Path(folder, target.name)
        part.write_bytes(data)
        found = OnnxGenerator(part, "cpu")(example.numpy())
    with torch.inference_mode():
        difference = float(np.abs(found - module(example).numpy()).max())
    if not difference <= _AGREEMENT:
        raise ExportError(f"the converted {title} is off by {difference:.2g}; it was not kept")
    _make_folder(target)
    try:
        write_atomically(target, data, overwrite=True)
    except OSError as error:
        raise _not_kept(target, error) from error


def _make_folder(target: Path) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _not_kept(target, error) from error


def _not_kept(target: Path, error: OSError) -> ExportError:
    return ExportError(f"cannot keep the converted network {display(target)}: {error.strerror}; set HF_HOME")
