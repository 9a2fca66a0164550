"""CartoonGAN, and the improved form of the study that compares it with CycleGAN.

Source: Chen, Lai, Liu: CartoonGAN, CVPR 2018. A generator learns from photos and cartoons that are no pairs; the
discriminator sees edge-smoothed cartoons as fakes, so that it looks for clear edges (section 3.2.1); high-level
features of the photo are to survive (section 3.2.2); a first phase trains on these alone (section 3.3).
"""

from dataclasses import asdict, dataclass
from typing import ClassVar

import torch
from torch import Tensor

from toonify.methods.adversarial import INITIALIZATION, AdversarialMethod, AdversarialSettings
from toonify.methods.batch import Batch
from toonify.methods.gan import DISCRIMINATOR
from toonify.methods.losses import ObjectiveName
from toonify.methods.method import GENERATOR, Schedule, StepPart, check_size
from toonify.methods.trained import Precision
from toonify.models.cartoongan import CartoonGANConfig, CartoonGANGenerator
from toonify.models.discriminators import CartoonGANDiscriminator
from toonify.models.layers import Activation, Norm, initialize


@dataclass(frozen=True, kw_only=True)
class CartoonGANSettings(AdversarialSettings):
    """The paper's settings (sections 3 and 4)."""

    objective: ObjectiveName = "gan"
    edge_promoting: bool = True
    init_epochs: int = 10
    blocks: int = 8  # residual blocks of the generator
    discriminator_width: int = 32
    norm: Norm = "batch"
    content_weight: float = 10.0
    batch_size: int = 8
    schedule: Schedule = "constant"


@dataclass(frozen=True, kw_only=True)
class ImprovedSettings(CartoonGANSettings):
    """The study's: instance norm, ResNet-101's features up to layer2, least squares."""

    objective: ObjectiveName = "lsgan"
    norm: Norm = "instance"
    content: str = "resnet101:layer2"


class CartoonGAN(AdversarialMethod):
    """One generator, one discriminator."""

    settings_type = CartoonGANSettings
    architecture = "cartoongan"
    activation: ClassVar[Activation] = "relu"  # of the generator
    settings: CartoonGANSettings

    def __init__(self, settings: CartoonGANSettings, precision: Precision) -> None:
        check_size(settings, 4, 8, "CartoonGAN")
        super().__init__(settings, precision)
        config = CartoonGANConfig(settings.width, settings.blocks, 1e-5, settings.norm, self.activation)
        generator = CartoonGANGenerator(config)
        discriminator = CartoonGANDiscriminator(settings.discriminator_width, norm=self.discriminator_norm)
        # The discriminator keeps PyTorch's fresh weights: those of `initialize` vanish in its layers that have no norm,
        # and after 100 steps it still could not tell what now it can after 50 (the paper says nothing of either).
        initialize(generator)
        self.config = asdict(config)
        self.generators = self.trained_generators(generator)
        self.discriminators = self.trained_discriminators(discriminator)

    def add_gradients(self, batch: Batch, part: StepPart) -> dict[str, Tensor]:
        """Discriminator and generator learn from the same drawings."""
        discriminator = self.discriminators.network
        losses: dict[str, Tensor] = {}
        with self.precision.autocast(), torch.set_grad_enabled(GENERATOR in part.updated):
            drawn = self.generator(batch.photo)
        if DISCRIMINATOR in part.updated:
            fakes = [drawn.detach()] if batch.smooth is None else [drawn.detach(), batch.smooth]
            losses |= self.backward_discriminator(discriminator, batch.cartoon, fakes, part.share)
        if GENERATOR not in part.updated:
            return losses
        with self.precision.autocast():
            if self.wants_content(part.phase):
                losses["content"] = self.content_loss(drawn, batch.photo)
            if part.phase != INITIALIZATION:
                losses["adversarial"] = self.objective.of_generator(discriminator(drawn).float())
        weights = {"content": self.content_weight(part.phase), "adversarial": self.settings.adversarial_weight}
        self.backward(self.generators, losses, weights, part.share)
        return losses


class ImprovedCartoonGAN(CartoonGAN):
    """CartoonGAN as the study improves it: LeakyReLU in the generator, too, and `ImprovedSettings`."""

    settings_type = ImprovedSettings
    activation = "leaky"
