"""What runs a network: the protocols, and what it says of itself."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from toonify.pixels.arrays import Floats

Device = Literal["auto", "cpu", "cuda"]
Backend = Literal["onnx", "torch", "openvino", "coreml", "directml", "tensorrt"]
Precision = Literal["auto", "fp32", "fp16", "int8"]


@dataclass(frozen=True)
class RanOn:
    """What a network really ran on."""

    device: str
    engine: str
    provider: str

    def __str__(self) -> str:
        return f"{self.device}, {self.engine}, {self.provider}"


class Engine(Protocol):
    """What a network really runs on."""

    engine: str  # such as "ONNX Runtime 1.31.1"
    provider: str  # what runs inside it, such as "CPUExecutionProvider"
    device: str  # "cpu", "cuda", or what an accelerator of `engines` runs on


class Generator(Engine, Protocol):
    """Draws: N x 3 x H x W float32 in the network's own channel order and value range, to the same."""

    def __call__(self, batch: "Floats") -> "Floats":
        """Draw a batch. Raises InterruptedError if `cancel` is called meanwhile."""
        ...

    def cancel(self) -> None:
        """End the call that runs in another thread, as soon as the engine can."""
        ...


def ran_on(engine: Engine) -> RanOn:
    """What a generator runs on, as data that outlives it."""
    return RanOn(engine.device, engine.engine, engine.provider)
