"""Distillation: a small generator learns what a large one draws, from photos that each have their drawing.

After Hinton, Vinyals, Dean: Distilling the Knowledge in a Neural Network, 2015, with drawings in place of logits. What
is to be drawn is known for every pixel, so that no discriminator is needed: pixels and their gradients are compared
(which keeps lines where they are), and what VGG makes of both pictures (Johnson, Alahi, Fei-Fei, ECCV 2016, section
3.2), which decides what is blurred when the student cannot have all.
"""

from dataclasses import asdict, dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from toonify.losses import gradient_loss, relative_content_loss
from toonify.methods.batch import Batch
from toonify.methods.method import Method, Phase, Schedule, Settings, Turn, check_size
from toonify.methods.player import Precision
from toonify.models.lite import LiteConfig, LiteGenerator, initialise_lite

Optimiser = Literal["adam", "muon"]
DISTILLATION = "distillation"
_WINDOWED = 96  # pixels: from this side on a half of it is a picture that VGG can judge


@dataclass(frozen=True, kw_only=True)
class DistillSettings(Settings):
    """What small runs showed to give most for their time."""

    size: int = 128
    blocks: int = 6  # residual blocks of the student
    content: str = "vgg19:conv2_2"
    content_weight: float = 0.0
    l1_weight: float = 1.0
    gradient_weight: float = 1.0
    batch_size: int = 4
    optimiser: Optimiser = "muon"  # a third of Adam's steps to the same loss, each 1.1 times as long
    learning_rate: float = 1.5e-3
    beta1: float = 0.9
    schedule: Schedule = "cosine"
    clip: float | None = 0.25  # about the median: without norms one bad step at a high rate throws all away
    ema: float = 0.999


class Distill(Method):
    """One generator, which draws photos as their drawings are."""

    settings_type = DistillSettings
    architecture = "lite"
    paired = True
    scaled = False  # strokes have one width, at the size at which the teacher draws
    warm_up = 100
    settings: DistillSettings

    def __init__(self, settings: DistillSettings, precision: Precision, *, quiet: bool = False) -> None:
        check_size(settings, 4, 16, "the student")
        super().__init__(settings, precision, quiet=quiet)
        config = LiteConfig(settings.width, settings.blocks)
        generator = LiteGenerator(config)
        initialise_lite(generator)
        self.config = asdict(config)
        self.generators = self.generating(generator)

    @classmethod
    def phases_of(cls, settings: Settings) -> tuple[Phase, ...]:
        """One, in which all losses count."""
        return (Phase(DISTILLATION, settings.epochs),)

    def _learning(self) -> dict[str, Any]:
        return super()._learning() | {"optimiser": self.settings.optimiser}

    def _window(self) -> tuple[slice, slice]:
        """Where content is compared: half the side of a large square, anywhere, as VGG costs more than all else.

        A step of 4 squares of 128 takes 1.6 times as long with it as without; in whole squares, 3.4 times.
        """
        size = self.settings.size
        side = size // 2 if size >= _WINDOWED else size
        top, left = torch.randint(size - side + 1, (2,)).tolist()
        return slice(top, top + side), slice(left, left + side)

    def play(self, batch: Batch, turn: Turn) -> dict[str, Tensor]:
        """The student draws, and is told how far that is from what it was to draw."""
        with self.precision.autocast():
            drawn = self.generator(batch.photo)
        difference = drawn.float() - batch.cartoon
        losses = {"l1": difference.abs().mean(), "gradient": gradient_loss(difference)}
        if self.features is not None:
            rows, columns = self._window()
            with self.precision.autocast():
                losses["content"] = relative_content_loss(
                    self.features, drawn[..., rows, columns], batch.cartoon[..., rows, columns]
                )
        weights = {
            "l1": self.settings.l1_weight,
            "gradient": self.settings.gradient_weight,
            "content": self.settings.content_weight,
        }
        self.backward(self.generators, losses, weights, turn.share)
        return losses
