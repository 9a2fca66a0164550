"""What adversarial methods from photo to cartoon have in common: content, an initialization before, edges as fakes."""

from dataclasses import dataclass
from typing import ClassVar

from toonify.methods.gan import GANMethod, GANSettings
from toonify.methods.method import GENERATOR, ContentSettings, Phase, Settings
from toonify.models.layers import Norm

INITIALIZATION, ADVERSARIAL = "initialization", "adversarial"
PATCH_MINIMUM = 24  # pixels: smaller crops leave a PatchDiscriminator no patch


@dataclass(frozen=True, kw_only=True)
class AdversarialSettings(GANSettings, ContentSettings):
    """What all adversarial methods from photo to cartoon can be told beside."""

    edge_promoting: bool = False  # edge-smoothed cartoons are fakes, too (CartoonGAN, section 3.2.1)
    init_epochs: int = 0  # on content alone, before the others (CartoonGAN, section 3.3)
    norm: Norm = "instance"
    adversarial_weight: float = 1.0


class AdversarialMethod(GANMethod):
    """A GAN from photo to cartoon."""

    settings_type: ClassVar[type[AdversarialSettings]]
    settings: AdversarialSettings

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

    def due(self, phase: str, number: int) -> frozenset[str]:
        """The names of the networks that step `number` of the run (from 0) updates."""
        return frozenset({GENERATOR}) if phase == INITIALIZATION else super().due(phase, number)

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
