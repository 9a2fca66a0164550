"""What methods have in common whose generator draws from noise: one kind of pictures, R1, DiffAugment."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from toonify.errors import UsageError
from toonify.methods.augment import augment
from toonify.methods.batch import Batch
from toonify.methods.gan import DISCRIMINATOR, GANMethod, GANSettings
from toonify.methods.losses import GRADIENT_PENALTY, gradient_penalty, r1_penalty
from toonify.methods.method import GENERATOR, Phase, Schedule, Settings, StepPart
from toonify.methods.trained import Precision
from toonify.models.equalized import clip_weights
from toonify.models.noise import NoiseConfig, NoiseGenerator

SMALLEST, LARGEST = 32, 1024  # pixels a side
ADVERSARIAL = "adversarial"


@dataclass(frozen=True, kw_only=True)
class NoiseSettings(GANSettings):
    """What all methods from noise can be told beside."""

    size: int = 64
    width: int = 512
    discriminator_width: int = 512  # of its last layers
    schedule: Schedule = "constant"
    r1: float = 0.0  # gamma of the gradient penalty on real pictures
    r1_every: int = 1  # steps between two of them, each counting as many
    augment: bool | None = None  # None: if there are few pictures


class NoiseMethod(GANMethod):
    """One generator, one discriminator; the batch's cartoons are the real pictures."""

    settings_type: ClassVar[type[NoiseSettings]]
    from_noise = True
    beta2: ClassVar[float | None] = None  # of Adam; None: the objective's
    drift: ClassVar[float] = 0.0  # weight of the square of scores of real pictures, where nothing else bounds them
    settings: NoiseSettings

    def __init__(self, settings: NoiseSettings, precision: Precision) -> None:
        if not SMALLEST <= settings.size <= LARGEST or settings.size & (settings.size - 1):
            raise UsageError(f"--size {settings.size}: give a power of two from {SMALLEST} to {LARGEST}")
        super().__init__(settings, precision)

    @classmethod
    def phases_of(cls, settings: Settings) -> tuple[Phase, ...]:
        """One."""
        return (Phase(ADVERSARIAL, settings.epochs),)

    @property
    def penalizes_pictures(self) -> bool:
        """Whether a gradient of single pictures is penalized, which a batch norm would mix with others'."""
        return self.objective.penalizes_gradient or self.settings.r1 > 0

    def train_networks(self, config: NoiseConfig, generator: NoiseGenerator, discriminator: nn.Module) -> None:
        """Take the networks with their optimizers, and the generator's config."""
        self.config: Mapping[str, Any] = asdict(config)
        limit = self.objective.weight_limit
        clipped = {} if limit is None else {"after_update": partial(clip_weights, limit=limit)}
        self.generators = self.trained_generators(generator)
        self.discriminators = self.trained_discriminators(discriminator, **clipped)

    def _learning(self) -> dict[str, Any]:
        learning = super()._learning()
        return learning if self.beta2 is None else learning | {"betas": (self.settings.beta1, self.beta2)}

    def draw(self, count: int, part: StepPart) -> Tensor:
        """Pictures from fresh latents, within autocast."""
        generator = self.generators.network
        assert isinstance(generator, NoiseGenerator)  # noqa: S101
        drawn: Tensor = generator(torch.randn(count, generator.latent_size, device=self.precision.device))
        return drawn

    def real(self, pictures: Tensor) -> Tensor:
        """Real pictures as the discriminator takes them now."""
        return pictures

    def add_gradients(self, batch: Batch, part: StepPart) -> dict[str, Tensor]:
        """Discriminator and generator learn from the same pictures, and from the same scores of them."""
        discriminator = self.discriminators.network
        with self.precision.autocast(), torch.set_grad_enabled(GENERATOR in part.updated):
            drawn = self.draw(len(batch), part)
        real, drawn = self.real(batch.cartoon), drawn.float()
        if self.settings.augment:
            real, drawn = augment(real), augment(drawn)
        real, drawn = (each.contiguous(memory_format=torch.channels_last) for each in (real, drawn))
        with self.precision.autocast():
            of_drawn = discriminator(drawn).float()
        losses: dict[str, Tensor] = {}
        if DISCRIMINATOR in part.updated:
            losses |= self._backward_discriminator(real, drawn.detach(), of_drawn, part)
        if GENERATOR in part.updated:
            losses["adversarial"] = self.objective.of_generator(of_drawn)
            self.generators.backward(part.share * losses["adversarial"])
        return losses

    def _backward_discriminator(
        self, real: Tensor, drawn: Tensor, of_drawn: Tensor, part: StepPart
    ) -> dict[str, Tensor]:
        """Add the discriminator's gradients, and return its loss, with its penalties, and mean scores."""
        discriminator, settings = self.discriminators.network, self.settings
        penalized = settings.r1 > 0 and part.number % settings.r1_every == 0
        exact = self.precision.dtype == torch.float32
        real = real.detach().requires_grad_(penalized)
        with self.precision.autocast():
            of_real = discriminator(real).float()
        loss = self.objective.of_discriminator(of_real, [of_drawn])
        if self.objective.penalizes_gradient:
            loss = loss + GRADIENT_PENALTY * gradient_penalty(discriminator, real.detach(), drawn)
        if self.drift and self.objective.averages_fakes:
            loss = loss + self.drift * of_real.square().mean()
        losses = {}
        if penalized:
            losses["r1"] = r1_penalty(discriminator, real, of_real if exact else None)
            loss = loss + settings.r1_every * settings.r1 / 2 * losses["r1"]
        self.discriminators.backward(part.share * loss, retain=GENERATOR in part.updated)
        means = {"score_real": of_real.mean(), "score_drawn": of_drawn.mean()}
        return {"discriminator": loss} | losses | means
