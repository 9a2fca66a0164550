"""Networks and generators on ONNX Runtime, which know what they really run on."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toonify.engines.accelerators import ACCELERATORS
from toonify.engines.failures import for_want_of_memory, of_the_network, telling_part
from toonify.errors import DeviceError, StyleError
from toonify.pixels.arrays import Floats
from toonify.system.cores import network_threads
from toonify.system.memory import give_back_freed_memory

Array = NDArray[Any]

_FEW_CORES = 4
_LARGE = 8_000_000  # bytes of a network's file


class OnnxNetwork:
    """A network on ONNX Runtime; `source` is a file or what is in one, `device` is one that `choose_device` gave.

    On CUDA, float32 is what it says: without TF32, which keeps 10 of its 23 bits. `channels_last` is the layout there,
    the quicker one for float16. Without an `arena`, on CPUs, memory comes from the system and goes back at once: for a
    small network beside a large one. Raises DeviceError if the device cannot run, StyleError if the network cannot be
    read.
    """

    def __init__(self, source: Path | bytes, device: str, *, channels_last: bool = False, arena: bool = True) -> None:
        import onnxruntime as ort

        self._session = _open_session(source, device, channels_last=channels_last, arena=arena)
        if (len(source) if isinstance(source, bytes) else source.stat().st_size) > _LARGE:
            give_back_freed_memory()  # to read one takes several times its size
        self._options = ort.RunOptions()
        self._last_options = ort.RunOptions()
        if device == "cpu" and arena:  # it is quicker than the system's pages; between drawings it need not be kept
            self._last_options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
        self.inputs = [value.name for value in self._session.get_inputs()]
        self.outputs = [value.name for value in self._session.get_outputs()]
        self.engine = f"ONNX Runtime {ort.__version__}"
        self.provider = self._session.get_providers()[0]
        self.device = ACCELERATORS[device].device if device in ACCELERATORS else device
        if self.provider != _providers(device)[0][0]:  # it falls back without a word
            raise DeviceError(f"{_flag(device)} cannot run: ONNX Runtime takes {self.provider}; {_way_out(device)}")
        if device in ACCELERATORS:
            self.provider += _share(self._session, self.provider, device)

    def run(self, inputs: Mapping[str, Array], *, last: bool = True) -> dict[str, Array]:
        """The outputs by name. After the `last` of several runs of a kind the memory for them is given back.

        Raises InterruptedError if `cancel` is called meanwhile, MemoryError, DeviceError if anything else goes wrong.
        """
        options = self._last_options if last else self._options
        try:
            outputs = self._session.run(None, inputs, options)
        except Exception as error:  # onnxruntime's errors have no classes of their own
            if options.terminate:
                raise InterruptedError from error
            if for_want_of_memory(error):
                raise MemoryError from error
            raise DeviceError(f"{self.provider} could not run the network: {telling_part(error)}") from error
        return dict(zip(self.outputs, map(np.asarray, outputs), strict=True))

    @property
    def metadata(self) -> dict[str, str]:
        """What the file says beside the network."""
        return dict(self._session.get_modelmeta().custom_metadata_map)

    def cancel(self) -> None:
        """End the run in another thread, and all later ones, as soon as the engine can."""
        self._options.terminate = True
        self._last_options.terminate = True


class OnnxGenerator(OnnxNetwork):
    """A generator in an ONNX file: a network with one input and one output."""

    def __call__(self, batch: Floats) -> Floats:
        """Draw a batch: N x 3 x H x W float32 to the same. Raises InterruptedError if cancelled meanwhile."""
        (drawing,) = self.run({self.inputs[0]: batch}).values()
        return drawing


def _open_session(source: Path | bytes, device: str, *, channels_last: bool = False, arena: bool = True) -> Any:
    import onnxruntime as ort

    ort.set_default_logger_severity(4)  # what it says before there is a session
    options = ort.SessionOptions()
    options.log_severity_level = 4  # what goes wrong comes back as an exception; the rest is noise
    options.intra_op_num_threads = network_threads()
    options.enable_cpu_mem_arena = arena
    options.enable_mem_pattern = False  # photos differ in size, and a plan of memory holds for one
    # Threads that wait must not spin where decoding, finishing and encoding want the cores: never between drawings,
    # nor within one where cores are few (a folder took a twelfth longer on two, a drawing alone as long). Where there
    # are many, waking them all for each operator would take longer than it.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    if options.intra_op_num_threads <= _FEW_CORES:
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if device in ACCELERATORS:
        options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    try:  # without its own fallback, which prints
        providers = _providers(device, channels_last=channels_last)
        return ort.InferenceSession(source, options, providers=providers, enable_fallback=0)
    except Exception as error:  # onnxruntime's errors have no public base class
        if device == "cpu" or of_the_network(error):
            where = source if isinstance(source, Path) else "the network"
            raise StyleError(f"{where} is damaged or not an ONNX network: {telling_part(error)}") from error
        if for_want_of_memory(error):
            raise DeviceError(f"{_flag(device)} cannot run: its memory is full ({telling_part(error)})") from error
        raise DeviceError(f"{_flag(device)} cannot run: {telling_part(error)}; {_way_out(device)}") from error


def _providers(device: str, *, channels_last: bool = False) -> list[tuple[str, dict[str, str]]]:
    """The execution providers of a device with their options, the first for all that it can run."""
    on_cuda = {
        "use_tf32": "0",
        "cudnn_conv_algo_search": "HEURISTIC",  # trials would take half a second whenever the size changes
        "prefer_nhwc": str(int(channels_last)),
        "arena_extend_strategy": "kSameAsRequested",  # a session has one size of picture, and need not foresee others
    }
    names: tuple[str, ...] = ()
    if device in ACCELERATORS:
        names = ACCELERATORS[device].providers
    elif device == "cuda":
        names = ("CUDAExecutionProvider",)
    return [(name, on_cuda if name.startswith("CUDA") else {}) for name in (*names, "CPUExecutionProvider")]


def _share(session: Any, provider: str, device: str) -> str:
    """How many operators of a network the provider takes, where ONNX Runtime says so: the others are not its own.

    Raises DeviceError if it takes none.
    """
    if not hasattr(session, "get_provider_graph_assignment_info"):  # older versions do not say
        return ""
    counts: Counter[str] = Counter()
    for part in session.get_provider_graph_assignment_info():
        counts[part.ep_name] += len(part.get_nodes())
    if not counts[provider]:
        raise DeviceError(
            f"{_flag(device)} cannot run: {provider} takes no operator of this network; {_way_out(device)}"
        )
    return f" ({counts[provider]} of {counts.total()} operators)"


def _flag(device: str) -> str:
    return f"--backend {device}" if device in ACCELERATORS else f"--device {device}"


def _way_out(device: str) -> str:
    return f"drop --backend {device}" if device in ACCELERATORS else "update the driver, or type --device cpu"
