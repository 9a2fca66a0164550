"""What adversarial methods have in common: discriminators, an objective, an initialization before."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor, nn

from toonify.methods.losses import GRADIENT_PENALTY, OBJECTIVES, ObjectiveName, gradient_penalty
from toonify.methods.method import GENERATOR, Method, Phase, Settings
from toonify.methods.trained import Learning, Precision, TrainedNetworks
from toonify.models.discriminators import spectrally_normalize
from toonify.models.layers import Norm

INITIALIZATION, ADVERSARIAL = "initialization", "adversarial"
DISCRIMINATOR = "discriminator"
PATCH_MINIMUM = 24  # pixels: smaller crops leave a PatchDiscriminator no patch


@dataclass(frozen=True, kw_only=True)
class AdversarialSettings(Settings):
    """What all adversarial methods can be told beside."""

    objective: ObjectiveName = "lsgan"
    critic_steps: int = 1  # of the discriminators for one of the generators
    edge_promoting: bool = False  # edge-smoothed cartoons are fakes, too (CartoonGAN, section 3.2.1)
    init_epochs: int = 0  # on content alone, before the others (CartoonGAN, section 3.3)
    discriminator_width: int = 64
    norm: Norm = "instance"
    spectral_norm: bool = False
    adversarial_weight: float = 1.0


class AdversarialMethod(Method):
    """A method that trains generators against discriminators.

    `score_real` and `score_drawn` among its losses are means of a discriminator's scores, by which a run is watched.
    """

    settings_type: ClassVar[type[AdversarialSettings]]
    settings: AdversarialSettings
    discriminators: TrainedNetworks

    def __init__(self, settings: AdversarialSettings, precision: Precision) -> None:
        self.objective = OBJECTIVES[settings.objective]
        super().__init__(settings, precision)

    @classmethod
    def phases_of(cls, settings: Settings) -> tuple[Phase, ...]:
        """The initialization, perhaps of no epochs, and the adversarial phase."""
        assert isinstance(settings, AdversarialSettings)  # noqa: S101
        return Phase(INITIALIZATION, settings.init_epochs), Phase(ADVERSARIAL, settings.epochs)

    @classmethod
    def needs_features(cls, settings: Settings) -> bool:
        """An initialization is on content."""
        assert isinstance(settings, AdversarialSettings)  # noqa: S101
        return bool(settings.init_epochs or settings.content_weight)

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
        if phase == INITIALIZATION:
            return frozenset({GENERATOR})
        last_of_critic = (number + 1) % self.settings.critic_steps == 0
        return frozenset({GENERATOR, DISCRIMINATOR} if last_of_critic else {DISCRIMINATOR})

    def trained_discriminators(self, networks: nn.Module) -> TrainedNetworks:
        """The discriminators, with their optimizer."""
        if self.settings.spectral_norm:
            spectrally_normalize(networks)
        return TrainedNetworks(
            networks, Learning(**self._learning(), weight_limit=self.objective.weight_limit), self.precision
        )

    def _learning(self) -> dict[str, Any]:
        betas = (self.settings.beta1, self.objective.beta2)
        return super()._learning() | {"optimizer": self.objective.optimizer, "betas": betas}

    @property
    def discriminator_norm(self) -> Norm:
        """The norm of the discriminators: a gradient penalty is of one picture, and batch norm would mix them."""
        no_batches = self.objective.penalizes_gradient and self.settings.norm == "batch"
        return "layer" if no_batches else self.settings.norm

    def wants_content(self, phase: str) -> bool:
        """Whether the content loss counts in a phase."""
        return self.content_weight(phase) > 0

    def content_weight(self, phase: str) -> float:
        """The weight of the content loss; in the initialization it is alone, so that any weight will do."""
        return self.settings.content_weight or (1.0 if phase == INITIALIZATION else 0.0)

    def backward_discriminator(
        self, discriminator: nn.Module, real: Tensor, fakes: Sequence[Tensor], share: float, suffix: str = ""
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
