"""Distillation: a small generator learns what a large one draws, from photos that each have their drawing.

After Hinton, Vinyals, Dean: Distilling the Knowledge in a Neural Network, 2015, with drawings in place of logits. What
is to be drawn is known for every pixel, so that no discriminator is needed: pixels and their gradients are compared
(which keeps lines where they are), and what VGG makes of both pictures (Johnson, Alahi, Fei-Fei, ECCV 2016, section
3.2), which decides what is blurred when the student cannot have all. LPIPS weighs VGG's maps as people judged pictures
to be alike (Zhang et al., CVPR 2018): it does not forgive a blurred line as the plain distance of maps does.

Crops start at multiples of the student's stride, also when flipped. A strided network draws a photo differently after a
shift of one pixel; off the grid, the student would have to average over all shifts (docs/lab-notes.md).
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from toonify.methods.batch import Batch
from toonify.methods.losses import gradient_loss, lpips_loss, relative_content_loss
from toonify.methods.method import ContentSettings, Method, Optimizer, Phase, Schedule, Settings, StepPart, check_size
from toonify.methods.trained import Precision
from toonify.metrics.lpips import lpips_files, read_lpips
from toonify.models.lite import LiteConfig, LiteGenerator, initialize_lite
from toonify.models.lpips import LpipsNetwork

DISTILLATION = "distillation"
_WINDOWED = 96  # pixels: from this side on a half of it is a picture that VGG has maps of


@dataclass(frozen=True, kw_only=True)
class DistillSettings(ContentSettings):
    """What small runs showed to give most for their time."""

    size: int = 128
    blocks: int = 3  # residual blocks at a quarter of the size
    deep_blocks: int = 3  # and at an eighth
    contrast: bool = True  # whether the student sees the contrast of the frame
    content: str = "vgg19:conv2_2"
    content_weight: float = 0.0
    lpips_weight: float = 0.0
    lpips_weights: list[str] | None = None  # files of its network; None: the published ones
    l1_weight: float = 1.0
    gradient_weight: float = 1.0
    batch_size: int = 4
    optimizer: Optimizer = "muon"  # to the same loss in a third of Adam's steps
    learning_rate: float = 1.5e-3
    beta1: float = 0.9
    schedule: Schedule = "cosine"
    clip: float | None = 0.25  # about the median: without norms one bad step at a high rate throws all away
    ema: float = 0.999

    @property
    def config(self) -> LiteConfig:
        """Of the student."""
        return LiteConfig(self.width, self.blocks, self.deep_blocks, self.contrast)


class Distill(Method):
    """One generator, which draws photos as their drawings are."""

    settings_type = DistillSettings
    architecture = "lite"
    paired = True
    warm_up = 100
    settings: DistillSettings

    def __init__(self, settings: DistillSettings, precision: Precision) -> None:
        config = settings.config
        check_size(settings, config.multiple, 16, "the student")
        super().__init__(settings, precision)
        generator = LiteGenerator(config)
        initialize_lite(generator)
        self.config = asdict(config)
        self.generators = self.trained_generators(generator)
        self.lpips: LpipsNetwork | None = None
        if settings.lpips_weight > 0:
            paths = lpips_files([Path(path) for path in settings.lpips_weights or ()])
            self.lpips = read_lpips(paths).requires_grad_(False)
            precision.place(self.lpips)

    @property
    def perceptual_networks(self) -> dict[str, nn.Module]:
        """VGG of the content loss, and LPIPS' network."""
        return super().perceptual_networks | ({} if self.lpips is None else {"--lpips-weights": self.lpips})

    def compile(self) -> None:
        """See `Method`; and of what LPIPS compares, which is most of a step."""
        super().compile()
        if self.lpips is not None:
            self.lpips.maps = torch.compile(self.lpips.maps)  # type: ignore[method-assign]

    @classmethod
    def phases_of(cls, settings: Settings) -> tuple[Phase, ...]:
        """One, in which all losses count."""
        return (Phase(DISTILLATION, settings.epochs),)

    def _learning(self) -> dict[str, Any]:
        return super()._learning() | {"optimizer": self.settings.optimizer}

    def _window(self) -> tuple[slice, slice]:
        """Where VGG compares: half the side of a large crop, anywhere; VGG is the most expensive part of a step.

        On whole crops a step would take twice as long (docs/lab-notes.md).
        """
        size = self.settings.size
        side = size // 2 if size >= _WINDOWED else size
        top, left = torch.randint(size - side + 1, (2,)).tolist()
        return slice(top, top + side), slice(left, left + side)

    def add_gradients(self, batch: Batch, part: StepPart) -> dict[str, Tensor]:
        """The student draws, and is told how far that is from what it was to draw."""
        assert batch.frame is not None or not self.settings.contrast  # noqa: S101 - a crop has another contrast
        with self.precision.autocast():
            drawn = self.generator(batch.photo, batch.frame)
        difference = drawn.float() - batch.cartoon
        losses = {"l1": difference.abs().mean(), "gradient": gradient_loss(difference)}
        if self.features is not None or self.lpips is not None:
            rows, columns = self._window()
            seen, wanted = drawn[..., rows, columns], batch.cartoon[..., rows, columns]
            with self.precision.autocast():
                if self.features is not None:
                    losses["content"] = relative_content_loss(self.features, seen, wanted)
                if self.lpips is not None:
                    losses["lpips"] = lpips_loss(self.lpips, seen, wanted)
        weights = {
            "l1": self.settings.l1_weight,
            "gradient": self.settings.gradient_weight,
            "content": self.settings.content_weight,
            "lpips": self.settings.lpips_weight,
        }
        self.backward(self.generators, losses, weights, part.share)
        return losses
