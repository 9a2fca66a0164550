"""U-GAT-IT.

Source: Kim, Kim, Kang, Lee: U-GAT-IT, ICLR 2020. As CycleGAN, with attention to what tells the two domains apart
(section 2.1), layers between instance and layer norm, and for each side a global and a local discriminator; losses
and weights from section 2.2.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from toonify.errors import UsageError
from toonify.methods.adversarial import INITIALIZATION, AdversarialMethod, AdversarialSettings
from toonify.methods.batch import Batch
from toonify.methods.gan import DISCRIMINATOR
from toonify.methods.losses import GRADIENT_PENALTY, cam_loss, gradient_penalty
from toonify.methods.method import GENERATOR, StepPart, check_size
from toonify.methods.trained import Precision
from toonify.models.discriminators import UGATITDiscriminator
from toonify.models.ugatit import UGATITConfig, UGATITGenerator, clip_rho


@dataclass(frozen=True, kw_only=True)
class UGATITSettings(AdversarialSettings):
    """The paper's settings (section 2.2, appendix B)."""

    blocks: int = 4  # residual blocks before the attention, and as many adaptive ones after it
    light: bool = False
    cycle_weight: float = 10.0
    identity_weight: float = 1.0  # as a part of the cycle's weight
    cam_weight: float = 1000.0
    learning_rate: float = 1e-4


class UGATIT(AdversarialMethod):
    """Two generators, and for each side a global and a local discriminator."""

    settings_type = UGATITSettings
    architecture = "ugatit"
    weight_decay = 1e-4
    settings: UGATITSettings

    def __init__(self, settings: UGATITSettings, precision: Precision) -> None:
        check_size(settings, 4, 16, "U-GAT-IT")
        if settings.norm != "instance":
            raise UsageError(f"--norm {settings.norm}: U-GAT-IT has norms of its own (AdaLIN); drop it")
        super().__init__(settings, precision)
        config = UGATITConfig(settings.width, settings.blocks, settings.light, settings.size)
        generators = nn.ModuleList(UGATITGenerator(config) for _ in range(2))
        width = settings.discriminator_width
        layers = _layers_for(settings.size)
        # cartoons' global and local, then photos'
        discriminators = nn.ModuleList(UGATITDiscriminator(width, n) for n in (*layers, *layers))
        self.config = {"width": config.width, "blocks": config.blocks, "light": config.light, "size": config.size}
        self.generators = self.trained_generators(generators, after_update=clip_rho)
        self.discriminators = self.trained_discriminators(discriminators)

    def add_gradients(self, batch: Batch, part: StepPart) -> dict[str, Tensor]:
        """Both directions at once; every score counts for the attention's classifiers, too."""
        to_cartoon, to_photo = self._generators()
        discriminators = [self.discriminators.member(i) for i in range(4)]
        settings = self.settings
        losses: dict[str, Tensor] = {}
        with self.precision.autocast(), torch.set_grad_enabled(GENERATOR in part.updated):
            cartoon, of_photo = to_cartoon.attend(batch.photo)
            photo, of_cartoon = to_photo.attend(batch.cartoon)
        if DISCRIMINATOR in part.updated:
            fakes = [cartoon.detach()] + ([] if batch.smooth is None else [batch.smooth])
            losses |= self._backward_side(discriminators[:2], batch.cartoon, fakes, part.share, "_cartoon")
            losses |= self._backward_side(discriminators[2:], batch.photo, [photo.detach()], part.share, "_photo")
        if GENERATOR not in part.updated:
            return losses
        with self.precision.autocast():
            if self.wants_content(part.phase):
                of_both = self.content_loss(cartoon, batch.photo) + self.content_loss(photo, batch.cartoon)
                losses["content"] = of_both / 2
            if part.phase != INITIALIZATION:
                same_cartoon, of_same_cartoon = to_cartoon.attend(batch.cartoon)
                same_photo, of_same_photo = to_photo.attend(batch.photo)
                scored = zip(discriminators, (cartoon, cartoon, photo, photo), strict=True)
                scores = [score for discriminator, drawn in scored for score in discriminator(drawn)]
                losses["adversarial"] = torch.stack(
                    [self.objective.of_generator(score.float()) for score in scores]
                ).sum()
                losses["cycle"] = F.l1_loss(to_photo(cartoon).float(), batch.photo) + F.l1_loss(
                    to_cartoon(photo).float(), batch.cartoon
                )
                losses["identity"] = F.l1_loss(same_cartoon.float(), batch.cartoon) + F.l1_loss(
                    same_photo.float(), batch.photo
                )
                losses["cam"] = cam_loss(of_photo.float(), of_same_cartoon.float()) + cam_loss(
                    of_cartoon.float(), of_same_photo.float()
                )
        weights = {
            "content": self.content_weight(part.phase),
            "adversarial": settings.adversarial_weight,
            "cycle": settings.cycle_weight,
            "identity": settings.cycle_weight * settings.identity_weight,
            "cam": settings.cam_weight,
        }
        self.backward(self.generators, losses, weights, part.share)
        return losses

    def compile(self) -> None:
        """The generators' `attend` is what is called in training."""
        super().compile()
        for generator in self._generators():
            generator.attend = torch.compile(generator.attend)  # type: ignore[method-assign]

    def _generators(self) -> tuple[UGATITGenerator, UGATITGenerator]:
        to_cartoon, to_photo = self.generators.member(0), self.generators.member(1)
        assert isinstance(to_cartoon, UGATITGenerator) and isinstance(to_photo, UGATITGenerator)  # noqa: S101
        return to_cartoon, to_photo

    def _backward_side(
        self, discriminators: Sequence[nn.Module], real: Tensor, fakes: Sequence[Tensor], share: float, suffix: str
    ) -> dict[str, Tensor]:
        """Add the gradients of one side's discriminators, and return their losses and the global one's mean scores."""
        loss = real.new_zeros(())
        means: list[Tensor] = []
        for discriminator in discriminators:
            with self.precision.autocast():
                of_real = [scores.float() for scores in discriminator(real)]
                of_fakes = [[scores.float() for scores in discriminator(fake)] for fake in fakes]
            for kind, scores in enumerate(of_real):  # of patches, and of the attention's classifiers
                loss = loss + self.objective.of_discriminator(scores, [of_fake[kind] for of_fake in of_fakes])
            if self.objective.penalizes_gradient:
                loss = loss + GRADIENT_PENALTY * gradient_penalty(_Patches(discriminator), real, fakes[0])
            means = means or [of_real[0].mean(), of_fakes[0][0].mean()]
        self.discriminators.backward(share * loss)
        return {f"discriminator{suffix}": loss, f"score_real{suffix}": means[0], f"score_drawn{suffix}": means[1]}


class _Patches:
    """A discriminator without what its attention's classifiers say."""

    def __init__(self, discriminator: nn.Module) -> None:
        self._discriminator = discriminator

    def __call__(self, x: Tensor) -> Tensor:
        scores: Tensor = self._discriminator(x)[0]
        return scores


def _layers_for(size: int) -> tuple[int, int]:
    """Layers of the global and the local discriminator: the paper's 7 and 5, and fewer where crops are too small."""
    deepest = 7
    while deepest > 3 and size // 2 ** (deepest - 2) < 3:
        deepest -= 1
    return deepest, max(deepest - 2, 2)
