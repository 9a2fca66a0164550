"""pix2pix, for photos that each have a cartoon of their own.

Source: Isola, Zhu, Zhou, Efros: pix2pix, CVPR 2017. A U-Net draws (section 3.2.1); a discriminator of patches sees
photo and drawing together (sections 3.1, 3.2.2); the drawing is to be near the pair's cartoon (equation 4).
"""

from dataclasses import asdict, dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from toonify.methods.adversarial import (
    INITIALIZATION,
    PATCH_MINIMUM,
    AdversarialMethod,
    AdversarialSettings,
)
from toonify.methods.batch import Batch
from toonify.methods.gan import DISCRIMINATOR
from toonify.methods.losses import ObjectiveName
from toonify.methods.method import GENERATOR, StepPart, check_size
from toonify.methods.trained import Precision
from toonify.models.discriminators import PatchDiscriminator
from toonify.models.layers import Norm, initialize
from toonify.models.pix2pix import Pix2PixConfig, UNetGenerator


@dataclass(frozen=True, kw_only=True)
class Pix2PixSettings(AdversarialSettings):
    """The paper's settings (sections 3.3 and 6.1)."""

    objective: ObjectiveName = "gan"
    depth: int = 8  # times that the U-Net halves the picture
    norm: Norm = "batch"
    l1_weight: float = 100.0


class Pix2Pix(AdversarialMethod):
    """One generator, one discriminator of pairs."""

    settings_type = Pix2PixSettings
    architecture = "pix2pix"
    paired = True
    settings: Pix2PixSettings

    def __init__(self, settings: Pix2PixSettings, precision: Precision) -> None:
        check_size(settings, 2**settings.depth, PATCH_MINIMUM, f"a U-Net of --depth {settings.depth}")
        super().__init__(settings, precision)
        config = Pix2PixConfig(settings.width, settings.depth, settings.norm)
        generator = UNetGenerator(config)
        discriminator = PatchDiscriminator(6, settings.discriminator_width, norm=self.discriminator_norm)
        initialize(generator)
        initialize(discriminator)
        self.config = asdict(config)
        self.generators = self.trained_generators(generator)
        self.discriminators = self.trained_discriminators(discriminator)

    def add_gradients(self, batch: Batch, part: StepPart) -> dict[str, Tensor]:
        """Discriminator and generator learn from the same drawings, each with its photo."""
        discriminator = self.discriminators.network
        losses: dict[str, Tensor] = {}
        with self.precision.autocast(), torch.set_grad_enabled(GENERATOR in part.updated):
            drawn = self.generator(batch.photo)
        if DISCRIMINATOR in part.updated:
            kinds = [drawn.detach()] if batch.smooth is None else [drawn.detach(), batch.smooth]
            fakes = [_pair(batch.photo, kind) for kind in kinds]
            losses |= self.backward_discriminator(discriminator, _pair(batch.photo, batch.cartoon), fakes, part.share)
        if GENERATOR not in part.updated:
            return losses
        with self.precision.autocast():
            if self.wants_content(part.phase):
                losses["content"] = self.content_loss(drawn, batch.photo)
            if part.phase != INITIALIZATION:
                losses["adversarial"] = self.objective.of_generator(discriminator(_pair(batch.photo, drawn)).float())
                losses["l1"] = F.l1_loss(drawn.float(), batch.cartoon)
        weights = {
            "content": self.content_weight(part.phase),
            "adversarial": self.settings.adversarial_weight,
            "l1": self.settings.l1_weight,
        }
        self.backward(self.generators, losses, weights, part.share)
        return losses


def _pair(photo: Tensor, drawing: Tensor) -> Tensor:
    """Photo and drawing one on the other: N x 6 x H x W."""
    return torch.cat([photo, drawing.float()], dim=1)
