"""Networks that are updated together, such as the discriminators of a GAN, and all that an update takes."""

import contextlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from toonify.methods.muon import Muon, hidden_kernels
from toonify.system import distributed


@dataclass(frozen=True)
class Precision:
    """What networks calculate in: float32, or a shorter type for what bears it (autocast), on one kind of device."""

    device: str  # "cpu" or "cuda"
    dtype: torch.dtype = torch.float32

    @contextlib.contextmanager
    def autocast(self) -> Iterator[None]:
        """Within it networks calculate in this precision; leave it before `backward`."""
        with torch.autocast(self.device, dtype=self.dtype, enabled=self.dtype != torch.float32):
            yield

    def place(self, network: nn.Module) -> nn.Module:
        """Move a network to the device, channels last: what convolutions run quickest on."""
        return network.to(self.device).to(memory_format=torch.channels_last)

    @property
    def name(self) -> str:
        """As `--precision` has it."""
        return {torch.float32: "fp32", torch.bfloat16: "bf16", torch.float16: "fp16"}[self.dtype]


@dataclass(frozen=True)
class Learning:
    """How networks are updated."""

    optimizer: str = "adam"  # or rmsprop, or muon: for hidden convolutions, and Adam for the rest
    rate: float = 2e-4
    betas: tuple[float, float] = (0.5, 0.999)
    weight_decay: float = 0.0  # not of what Muon updates
    clip: float | None = None  # limit of the gradients' norm
    weight_limit: float | None = None  # to which weights are clipped after an update (WGAN)
    ema: float = 0.0  # decay of the EMA of the weights; 0: none


class TrainedNetworks:
    """Networks that are updated together. Call `zero`, then `backward` with one loss or several, then `update`.

    Gradients flow through other networks and leave no trace in them. With several processes the gradients are
    averaged before the update, so that all keep the same weights.
    """

    def __init__(
        self,
        network: nn.Module,
        learning: Learning,
        precision: Precision,
        *,
        after_update: Callable[[nn.Module], None] | None = None,
    ) -> None:
        self.network = precision.place(network)
        self.learning = learning
        self.parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
        self._after_update = after_update
        self._optimizers = _make_optimizers(network, self.parameters, learning)
        # float16 has no room for small gradients: the loss is scaled up and the gradients down again.
        self._scaler = torch.amp.GradScaler(precision.device, enabled=precision.dtype == torch.float16)
        self.average = None
        if learning.ema:
            average = get_ema_multi_avg_fn(learning.ema)  # type: ignore[no-untyped-call]
            self.average = AveragedModel(network, multi_avg_fn=average, use_buffers=True)

    @property
    def ema_network(self) -> nn.Module:
        """The EMA of the networks if there is one, else the networks themselves."""
        return self.network if self.average is None else self.average.module

    def member(self, number: int) -> nn.Module:
        """One of several networks (an nn.ModuleList)."""
        assert isinstance(self.network, nn.ModuleList)  # noqa: S101
        return self.network[number]

    def zero(self) -> None:
        """Forget the gradients."""
        for optimizer in self._optimizers.values():
            optimizer.zero_grad(set_to_none=True)

    def backward(self, loss: Tensor, *, retain: bool = False) -> None:
        """Add the gradients of a loss, those of these networks' parameters only.

        `retain`: others learn from the same forward pass, and will call `backward`, too.
        """
        self._scaler.scale(loss).backward(inputs=self.parameters, retain_graph=retain)  # type: ignore[no-untyped-call]

    def forget(self) -> None:
        """Begin the optimizers' means of gradients anew."""
        for optimizer in self._optimizers.values():
            optimizer.state.clear()

    def update(self, rate_factor: float = 1.0) -> None:
        """Take a step along the gradients, at the learning rate times `rate_factor`."""
        for optimizer in self._optimizers.values():
            for group in optimizer.param_groups:
                group["lr"] = self.learning.rate * rate_factor
        # First: the scaler looks for infinite gradients as it scales them down, and all processes must find the same.
        distributed.average_gradients(self.parameters)
        if self._scaler.is_enabled() and len(self._optimizers) > 1:
            _spread_infinities(self.parameters)
        for optimizer in self._optimizers.values():
            self._scaler.unscale_(optimizer)
        if self.learning.clip is not None:
            nn.utils.clip_grad_norm_(self.parameters, self.learning.clip)
        for optimizer in self._optimizers.values():
            self._scaler.step(optimizer)
        self._scaler.update()
        with torch.no_grad():
            if (limit := self.learning.weight_limit) is not None:
                for parameter in self.parameters:
                    parameter.clamp_(-limit, limit)
            if self._after_update is not None:
                self._after_update(self.network)
        if self.average is not None:
            self.average.update_parameters(self.network)

    def state_dict(self) -> dict[str, Any]:
        """All that equal networks need to go on: plain containers of tensors and numbers."""
        state = {
            "network": self.network.state_dict(),
            "scaler": self._scaler.state_dict(),
            **{name: optimizer.state_dict() for name, optimizer in self._optimizers.items()},
        }
        return state if self.average is None else {**state, "average": self.average.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from `state_dict`. Raises KeyError, RuntimeError or ValueError if it is of other networks."""
        self.network.load_state_dict(state["network"])
        state = {
            "optimizer" if name == "optimiser" else name: value for name, value in state.items()
        }  # as 0.1.0 had it
        for name, optimizer in self._optimizers.items():
            optimizer.load_state_dict(state[name])
        if self._scaler.is_enabled():
            self._scaler.load_state_dict(state["scaler"])
        if self.average is not None:
            self.average.load_state_dict(state["average"])


def _spread_infinities(parameters: list[nn.Parameter]) -> None:
    """Make all gradients infinite if any is not finite.

    The scaler leaves an update out for each optimizer by itself, and they are to be updated together or not at all.
    """
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    if not all(bool(gradient.isfinite().all()) for gradient in gradients):
        for gradient in gradients:
            gradient.fill_(math.inf)


def _make_optimizers(
    network: nn.Module, parameters: list[nn.Parameter], learning: Learning
) -> dict[str, torch.optim.Optimizer]:
    """The optimizers of a network, by the names that their states have in `TrainedNetworks.state_dict`."""
    if learning.optimizer == "rmsprop":
        rmsprop = torch.optim.RMSprop(parameters, lr=learning.rate, weight_decay=learning.weight_decay)
        return {"optimizer": rmsprop}
    muons = hidden_kernels(network) if learning.optimizer == "muon" else []
    adams = [each for each in parameters if not any(each is muon for muon in muons)]
    adam = torch.optim.Adam(adams, lr=learning.rate, betas=learning.betas, weight_decay=learning.weight_decay)
    return {"optimizer": adam, "muon": Muon(muons, lr=learning.rate)} if muons else {"optimizer": adam}
