"""What all GANs have in common: discriminators, an objective, steps of a critic."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor, nn

from toonify.methods.losses import GRADIENT_PENALTY, OBJECTIVES, ObjectiveName, gradient_penalty
from toonify.methods.method import GENERATOR, Method, Settings
from toonify.methods.trained import Learning, Precision, TrainedNetworks
from toonify.models.equalized import normalize_spectrally

DISCRIMINATOR = "discriminator"


@dataclass(frozen=True, kw_only=True)
class GANSettings(Settings):
    """What all GANs can be told beside."""

    objective: ObjectiveName = "lsgan"
    critic_steps: int = 1  # of the discriminators for one of the generator
    discriminator_width: int = 64
    spectral_norm: bool = False


class GANMethod(Method):
    """A method that trains generators against discriminators.

    `score_real` and `score_drawn` among its losses are means of a discriminator's scores, by which a run is watched.
    """

    settings_type: ClassVar[type[GANSettings]]
    settings: GANSettings
    discriminators: TrainedNetworks

    def __init__(self, settings: GANSettings, precision: Precision) -> None:
        self.objective = OBJECTIVES[settings.objective]
        super().__init__(settings, precision)

    @property
    def trained(self) -> dict[str, TrainedNetworks]:
        """Generators and discriminators."""
        return {GENERATOR: self.generators, DISCRIMINATOR: self.discriminators}

    @property
    def full_step(self) -> int:
        """The last of the steps of a critic for one of the generator."""
        return self.settings.critic_steps - 1

    def due(self, phase: str, number: int) -> frozenset[str]:
        """The names of the networks that step `number` of the run (from 0) updates."""
        last_of_critic = (number + 1) % self.settings.critic_steps == 0
        return frozenset({GENERATOR, DISCRIMINATOR} if last_of_critic else {DISCRIMINATOR})

    def trained_discriminators(self, networks: nn.Module, **options: Any) -> TrainedNetworks:
        """The discriminators, with their optimizer."""
        if self.settings.spectral_norm:
            normalize_spectrally(networks)
        limit = None if "after_update" in options else self.objective.weight_limit
        learning = Learning(**self._learning(), weight_limit=limit)
        return TrainedNetworks(networks, learning, self.precision, **options)

    def _learning(self) -> dict[str, Any]:
        betas = (self.settings.beta1, self.objective.beta2)
        return super()._learning() | {"optimizer": self.objective.optimizer, "betas": betas}

    def backward_discriminator(
        self,
        discriminator: nn.Module,
        real: Tensor,
        fakes: Sequence[Tensor],
        share: float,
        suffix: str = "",
    ) -> dict[str, Tensor]:
        """Add the gradients of one of the discriminators, and return its loss and mean scores.

        `fakes` are drawings, and edge-smoothed cartoons where they count as fakes; none has a gradient. Each kind goes
        through the discriminator by itself, so that a batch norm never mixes them.

        CycleGAN and pix2pix halve this loss. Adam and RMSProp take the same steps with and without a factor.
        """
        with self.precision.autocast():
            of_real = discriminator(real).float()
            of_fakes = [discriminator(fake).float() for fake in fakes]
        loss = self.objective.of_discriminator(of_real, of_fakes)
        if self.objective.penalizes_gradient:
            loss = loss + GRADIENT_PENALTY * gradient_penalty(discriminator, real, fakes[0])
        self.discriminators.backward(share * loss)
        return {
            f"discriminator{suffix}": loss,
            f"score_real{suffix}": of_real.mean(),
            f"score_drawn{suffix}": of_fakes[0].mean(),
        }
