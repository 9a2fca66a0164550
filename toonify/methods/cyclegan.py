"""CycleGAN, with CartoonGAN's techniques if they are asked for: the study's models are combinations of these.

Source: Zhu, Park, Isola, Efros: CycleGAN, ICCV 2017. One generator makes cartoons of photos and another photos of
cartoons; what went there and back again is to be what it was (section 3.2), and what is a cartoon already is to stay
as it is (identity loss, section 5.2). Each side has a discriminator of its own, least squares (section 4).
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from toonify.methods.adversarial import (
    INITIALIZATION,
    PATCH_MINIMUM,
    AdversarialMethod,
    AdversarialSettings,
)
from toonify.methods.batch import Batch
from toonify.methods.gan import DISCRIMINATOR
from toonify.methods.method import GENERATOR, StepPart, check_size
from toonify.methods.pool import ImagePool
from toonify.methods.trained import Precision
from toonify.models.cyclegan import CycleGANConfig, CycleGANGenerator
from toonify.models.discriminators import PatchDiscriminator
from toonify.models.layers import initialize


@dataclass(frozen=True, kw_only=True)
class CycleGANSettings(AdversarialSettings):
    """The paper's settings (sections 4 and 5.2)."""

    blocks: int = 9  # residual blocks of each generator
    cycle_weight: float = 10.0
    identity_weight: float = 0.5  # as a part of the cycle's weight


class CycleGAN(AdversarialMethod):
    """Two generators, two discriminators."""

    settings_type = CycleGANSettings
    architecture = "cyclegan"
    settings: CycleGANSettings

    def __init__(self, settings: CycleGANSettings, precision: Precision) -> None:
        check_size(settings, 4, PATCH_MINIMUM, "CycleGAN")
        super().__init__(settings, precision)
        config = CycleGANConfig(settings.width, settings.blocks, settings.norm)
        generators = nn.ModuleList(CycleGANGenerator(config) for _ in range(2))
        discriminators = nn.ModuleList(
            PatchDiscriminator(width=settings.discriminator_width, norm=self.discriminator_norm) for _ in range(2)
        )
        initialize(generators)
        initialize(discriminators)
        self.config = asdict(config)
        self.generators = self.trained_generators(generators)
        self.discriminators = self.trained_discriminators(discriminators)
        self.pools = (ImagePool(), ImagePool())  # of cartoons and of photos

    def add_gradients(self, batch: Batch, part: StepPart) -> dict[str, Tensor]:
        """Both directions at once; the discriminators see drawings out of the pools."""
        to_cartoon, to_photo = self.generators.member(0), self.generators.member(1)
        cartoon_discriminator, photo_discriminator = self.discriminators.member(0), self.discriminators.member(1)
        settings = self.settings
        losses: dict[str, Tensor] = {}
        with self.precision.autocast(), torch.set_grad_enabled(GENERATOR in part.updated):
            cartoon, photo = to_cartoon(batch.photo), to_photo(batch.cartoon)
        if DISCRIMINATOR in part.updated:
            fakes = [self.pools[0].exchange(cartoon)] + ([] if batch.smooth is None else [batch.smooth])
            losses |= self.backward_discriminator(cartoon_discriminator, batch.cartoon, fakes, part.share, "_cartoon")
            losses |= self.backward_discriminator(
                photo_discriminator, batch.photo, [self.pools[1].exchange(photo)], part.share, "_photo"
            )
        if GENERATOR not in part.updated:
            return losses
        with self.precision.autocast():
            if self.wants_content(part.phase):
                of_both = self.content_loss(cartoon, batch.photo) + self.content_loss(photo, batch.cartoon)
                losses["content"] = of_both / 2
            if part.phase != INITIALIZATION:
                of_cartoon = self.objective.of_generator(cartoon_discriminator(cartoon).float())
                losses["adversarial"] = of_cartoon + self.objective.of_generator(photo_discriminator(photo).float())
                losses["cycle"] = _both(to_photo(cartoon), batch.photo, to_cartoon(photo), batch.cartoon)
                if settings.identity_weight:
                    losses["identity"] = _both(
                        to_cartoon(batch.cartoon), batch.cartoon, to_photo(batch.photo), batch.photo
                    )
        weights = {
            "content": self.content_weight(part.phase),
            "adversarial": settings.adversarial_weight,
            "cycle": settings.cycle_weight,
            "identity": settings.cycle_weight * settings.identity_weight,
        }
        self.backward(self.generators, losses, weights, part.share)
        return losses

    def own_state(self) -> dict[str, Any]:
        """The pools of drawings."""
        return {"pools": [pool.drawings for pool in self.pools]}

    def load_own_state(self, state: Mapping[str, Any]) -> None:
        """Go on with these pools."""
        for pool, drawings in zip(self.pools, state["pools"], strict=True):
            pool.drawings = [drawing.to(self.precision.device) for drawing in drawings]


def _both(photo: Tensor, wanted_photo: Tensor, cartoon: Tensor, wanted_cartoon: Tensor) -> Tensor:
    """The mean absolute differences of both directions, added."""
    return F.l1_loss(photo.float(), wanted_photo) + F.l1_loss(cartoon.float(), wanted_cartoon)
