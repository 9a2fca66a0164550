"""pix2pix, for photos that each have a cartoon of their own.

Source: Isola, Zhu, Zhou, Efros: pix2pix, CVPR 2017. A U-Net draws (section 3.2.1); a discriminator of patches sees
photo and drawing together (sections 3.1, 3.2.2); the drawing is to be near the pair's cartoon (equation 4).
"""

from dataclasses import asdict, dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from toonify.methods.adversarial import DISCRIMINATOR, INITIALIZATION, PATCH_MINIMUM, Game, GameSettings
from toonify.methods.batch import Batch
from toonify.methods.losses import ObjectiveName
from toonify.methods.method import GENERATOR, Turn, check_size
from toonify.methods.player import Precision
from toonify.models.discriminators import PatchDiscriminator
from toonify.models.layers import Norm, initialise
from toonify.models.pix2pix import Pix2PixConfig, UNetGenerator


@dataclass(frozen=True, kw_only=True)
class Pix2PixSettings(GameSettings):
    """The paper's settings (sections 3.3 and 6.1)."""

    objective: ObjectiveName = "gan"
    depth: int = 8  # times that the U-Net halves the picture
    norm: Norm = "batch"
    l1_weight: float = 100.0


class Pix2Pix(Game):
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
        initialise(generator)
        initialise(discriminator)
        self.config = asdict(config)
        self.generators = self.generating(generator)
        self.discriminators = self.discriminating(discriminator)

    def play(self, batch: Batch, turn: Turn) -> dict[str, Tensor]:
        """The discriminator judges the drawings that the generator is judged by, each with its photo."""
        discriminator = self.discriminators.network
        losses: dict[str, Tensor] = {}
        with self.precision.autocast(), torch.set_grad_enabled(GENERATOR in turn.players):
            drawn = self.generator(batch.photo)
        if DISCRIMINATOR in turn.players:
            kinds = [drawn.detach()] if batch.smooth is None else [drawn.detach(), batch.smooth]
            fakes = [_pair(batch.photo, kind) for kind in kinds]
            losses |= self.judge(discriminator, _pair(batch.photo, batch.cartoon), fakes, turn.share)
        if GENERATOR not in turn.players:
            return losses
        with self.precision.autocast():
            if self.wants_content(turn.phase):
                losses["content"] = self.content_loss(drawn, batch.photo)
            if turn.phase != INITIALIZATION:
                losses["adversarial"] = self.objective.of_generator(discriminator(_pair(batch.photo, drawn)).float())
                losses["l1"] = F.l1_loss(drawn.float(), batch.cartoon)
        weights = {
            "content": self.content_weight(turn.phase),
            "adversarial": self.settings.adversarial_weight,
            "l1": self.settings.l1_weight,
        }
        self.backward(self.generators, losses, weights, turn.share)
        return losses


def _pair(photo: Tensor, drawing: Tensor) -> Tensor:
    """Photo and drawing one on the other: N x 6 x H x W."""
    return torch.cat([photo, drawing.float()], dim=1)
