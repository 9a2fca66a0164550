"""What every training method is: settings, networks, phases, and a training step from a batch."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from toonify.errors import UsageError
from toonify.methods.batch import Batch
from toonify.methods.losses import content_loss
from toonify.methods.trained import Learning, Precision, TrainedNetworks
from toonify.models.features import load_features

GENERATOR = "generator"
Schedule = Literal["constant", "linear", "cosine"]
Optimizer = Literal["adam", "muon"]


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What all methods can be told; a method's own settings add to these and have its defaults.

    A field has the name of the option that sets it.
    """

    epochs: int = 100  # of the last phase
    size: int = 256  # of the crops that are trained on, in pixels
    width: int = 64  # channels of the generator's first layer
    batch_size: int = 1
    learning_rate: float = 2e-4
    beta1: float = 0.5
    schedule: Schedule = "linear"
    clip: float | None = None
    ema: float = 0.0


@dataclass(frozen=True, kw_only=True)
class ContentSettings(Settings):
    """What methods can be told beside that may have a content loss."""

    content: str = "vgg19:conv4_4"  # network and layer of the content loss
    content_weights: str | None = None  # their file; None: torchvision's
    content_weight: float = 0.0


@dataclass(frozen=True)
class Phase:
    """A part of a run, in which the same losses count."""

    name: str
    epochs: int


@dataclass(frozen=True)
class StepPart:
    """What a part of a training step is for: gradients are accumulated over the parts of a batch."""

    phase: str
    updated: frozenset[str]  # names of the networks that are updated at the end of the step
    share: float  # of the batch that the part has; losses are weighted with it before `backward`
    number: int = 0  # of the step in the run, from 0


class Method(ABC):
    """Owns the networks, their optimizers, the losses and the phases of a run.

    A method builds its networks and their optimizers in `__init__`; fresh weights follow from torch's random state.
    """

    settings_type: ClassVar[type[Settings]]  # whose defaults are the method's
    architecture: ClassVar[str]  # of the generator: a name in `models.ARCHITECTURES`
    paired: ClassVar[bool] = False  # whether every photo has a cartoon of its own
    from_noise: ClassVar[bool] = False  # whether the generator draws from latents, and there is one kind of pictures
    from_pictures: ClassVar[bool] = False  # whether the generator draws photos in the styles of pictures, not of one
    weight_decay: ClassVar[float] = 0.0
    warm_up: ClassVar[int] = 0  # steps in which the learning rate rises
    config: Mapping[str, Any]  # the generator's, as a style card has it
    generators: TrainedNetworks

    def __init__(self, settings: Settings, precision: Precision) -> None:
        self.settings = settings
        self.precision = precision
        self.phases = self.phases_of(settings)
        self.features: nn.Module | None = None
        if self.needs_features(settings):
            assert isinstance(settings, ContentSettings)  # noqa: S101
            path = None if settings.content_weights is None else Path(settings.content_weights)
            self.features = precision.place(load_features(settings.content, path))

    @classmethod
    @abstractmethod
    def phases_of(cls, settings: Settings) -> tuple[Phase, ...]:
        """The phases of a run, in order."""

    @classmethod
    def needs_features(cls, settings: Settings) -> bool:
        """Whether a run has a content loss at any time."""
        return isinstance(settings, ContentSettings) and settings.content_weight > 0

    @property
    def perceptual_networks(self) -> dict[str, nn.Module]:
        """The networks through which losses look at pictures, never trained, by the option that names their weights."""
        return {} if self.features is None else {"--content-weights": self.features}

    @property
    def generator(self) -> nn.Module:
        """The network from photo to cartoon as it is trained: the first of the generators."""
        return _networks(self.generators.network)[0]

    @property
    def ema_generator(self) -> nn.Module:
        """The network from photo to cartoon that is saved: the EMA of its weights, if there is one."""
        return _networks(self.generators.ema_network)[0]

    def begin_with(self, state: Mapping[str, Tensor]) -> None:
        """Give the network from photo to cartoon other weights than fresh ones. RuntimeError: they do not fit."""
        self.generator.load_state_dict(state)
        self.ema_generator.load_state_dict(state)

    @abstractmethod
    def add_gradients(self, batch: Batch, part: StepPart) -> dict[str, Tensor]:
        """Add the gradients of the networks that the step updates, weighted by the share.

        Returns the losses by name: scalars, not weighted.
        """

    @property
    def trained(self) -> dict[str, TrainedNetworks]:
        """The networks that are trained, with their optimizers, by name."""
        return {GENERATOR: self.generators}

    @property
    def full_step(self) -> int:
        """The number of a step that updates all networks."""
        return 0

    def due(self, phase: str, number: int) -> frozenset[str]:
        """The names of the networks that step `number` of the run (from 0) updates."""
        return frozenset(self.trained)

    def step(
        self,
        batch: Batch,
        phase: str,
        number: int,
        *,
        parts: int = 1,
        rate_factor: float = 1.0,
        progress: float = 1.0,
    ) -> dict[str, Tensor]:
        """Update the networks that are due from a batch, and return the losses by name.

        The batch goes through the networks in `parts`; all are updated at the end, so that the result does not depend
        on them (but for batch norm, spectral norm and a minibatch's deviation, and where a method draws random
        numbers). So generators and discriminators learn from what the others were before the step, as in CycleGAN's
        program; in those of pix2pix and U-GAT-IT the generators learn from discriminators that are one step ahead.

        `progress` is the part of the phase that is done before the step, 0..1.
        """
        self.begin_step(phase, progress)
        due = self.due(phase, number)
        for name in due:
            self.trained[name].zero()
        sums: dict[str, Tensor] = {}
        for micro_batch in batch.split(parts):
            part = StepPart(phase, due, len(micro_batch) / len(batch), number)
            for name, loss in self.add_gradients(micro_batch, part).items():
                weighted = part.share * loss.detach().float()
                sums[name] = sums[name] + weighted if name in sums else weighted
        for name in sorted(due):
            self.trained[name].update(rate_factor)
        return sums

    def begin_step(self, phase: str, progress: float) -> None:  # noqa: B027 - most methods have the same networks always
        """Make the networks ready for a step, of which they are a part (0..1) through a phase."""

    def trained_generators(self, networks: nn.Module, **options: Any) -> TrainedNetworks:
        """The generators, with their optimizer."""
        learning = Learning(**self._learning(), ema=self.settings.ema)
        return TrainedNetworks(networks, learning, self.precision, **options)

    def _learning(self) -> dict[str, Any]:
        return {
            "rate": self.settings.learning_rate,
            "betas": (self.settings.beta1, 0.999),
            "weight_decay": self.weight_decay,
            "clip": self.settings.clip,
        }

    @staticmethod
    def backward(
        trained: TrainedNetworks, losses: Mapping[str, Tensor], weights: Mapping[str, float], share: float
    ) -> None:
        """Add the gradients of some networks' losses, each with its weight; losses without a weight are not theirs."""
        terms = [weights[name] * losses[name] for name in weights if name in losses]
        trained.backward(share * torch.stack(terms).sum())

    def content_loss(self, drawn: Tensor, photo: Tensor) -> Tensor:
        """The content loss, within autocast. Only where `settings` ask for one."""
        assert self.features is not None  # noqa: S101 - loaded above
        return content_loss(self.features, drawn, photo)

    def compile(self) -> None:
        """Have torch.compile make quicker code of the generators and the content network, when each is first called.

        Not of the discriminators: they are cheap, run in many ways, and with spectral norm gave NaN in PyTorch 2.14.
        """
        networks = _networks(self.generators.network)
        for network in networks if self.features is None else [*networks, self.features]:
            network.compile()

    def state_dict(self) -> dict[str, Any]:
        """All of the run's networks and optimizers: plain containers of tensors and numbers."""
        return {name: trained.state_dict() for name, trained in self.trained.items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from `state_dict`. Raises KeyError, RuntimeError or ValueError if it is of another method."""
        for name, trained in self.trained.items():
            trained.load_state_dict(state[name])

    def own_state(self) -> dict[str, Any]:
        """What each process has of its own, beside its random state, such as a pool of pictures."""
        return {}

    def load_own_state(self, state: Mapping[str, Any]) -> None:  # noqa: B027 - most methods have none
        """Go on from `own_state`."""


def check_size(settings: Settings, multiple: int, minimum: int, what: str) -> None:
    """Raise UsageError unless the networks take crops of the settings' size: a multiple, and no less than a minimum.

    Before any weights are fetched. `what` has such needs.
    """
    if settings.size % multiple or settings.size < minimum:
        least = f", at least {minimum}" if minimum > multiple else ""
        raise UsageError(f"--size {settings.size}: {what} needs a multiple of {multiple}{least}")


def _networks(network: nn.Module) -> list[nn.Module]:
    """Networks that are trained together, one by one."""
    return [*network] if isinstance(network, nn.ModuleList) else [network]
