"""AdaIN: a network that draws photos in the styles of pictures it has never seen, learned from pairs of both.

Source: Huang, Belongie: Arbitrary Style Transfer in Real-time with Adaptive Instance Normalization, ICCV 2017. A photo
and a picture are drawn at random; a fixed VGG-19 says how far the drawing's features are from the photo's with the
picture's statistics (equation 12), and its statistics from the picture's (equation 13).
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from toonify.errors import UsageError
from toonify.methods.batch import Batch
from toonify.methods.losses import statistics_loss
from toonify.methods.method import Method, Optimizer, Phase, Schedule, Settings, StepPart, check_size
from toonify.methods.trained import Precision
from toonify.models.adain import AdaINConfig, AdaINGenerator, adaptive_instance_norm, maps_of
from toonify.models.adain_lite import (
    AdaINLiteConfig,
    AdaINLiteGenerator,
    initialize_adain_lite,
    keep_tail_smooth,
)
from toonify.transfer.load import read_encoder, signed_encoder

STYLE_TRANSFER = "style transfer"
_LEAST = 32  # pixels a side of a crop: of less there are hardly statistics at relu4_1


@dataclass(frozen=True, kw_only=True)
class AdaINSettings(Settings):
    """The paper's settings (sections 5.1 and 6)."""

    content_weights: str | None = None  # file of the encoder; None: the published one
    content_weight: float = 1.0
    style_weight: float = 10.0  # lambda of equation 11
    optimizer: Optimizer = "adam"
    batch_size: int = 8
    learning_rate: float = 1e-4
    beta1: float = 0.9
    schedule: Schedule = "constant"


@dataclass(frozen=True, kw_only=True)
class AdaINLiteSettings(AdaINSettings):
    """What small runs showed to learn most in their time."""

    width: int = 32
    blocks: int = 2  # residual blocks of the decoder
    size: int = 128
    optimizer: Optimizer = "muon"
    batch_size: int = 4
    learning_rate: float = 2e-3
    schedule: Schedule = "cosine"
    clip: float | None = 20.0
    ema: float = 0.998


class StyleTransfer(Method):
    """What networks have in common that learn to draw in the styles of pictures: the losses, and who measures them."""

    settings_type: ClassVar[type[AdaINSettings]]
    from_pictures = True
    settings: AdaINSettings

    def __init__(self, settings: AdaINSettings, precision: Precision) -> None:
        check_size(settings, 8, _LEAST, "AdaIN")
        super().__init__(settings, precision)
        path = None if settings.content_weights is None else Path(settings.content_weights)
        self.vgg = read_encoder(path).requires_grad_(False)
        precision.place(self.vgg)

    def _learning(self) -> dict[str, Any]:
        return super()._learning() | {"optimizer": self.settings.optimizer}

    @classmethod
    def phases_of(cls, settings: Settings) -> tuple[Phase, ...]:
        """One, in which both losses count."""
        return (Phase(STYLE_TRANSFER, settings.epochs),)

    @property
    def perceptual_networks(self) -> dict[str, nn.Module]:
        """The encoder through which the losses look."""
        return {"--content-weights": self.vgg}

    def compile(self) -> None:
        """See `Method`; and of the encoder, which is most of a step."""
        super().compile()
        self.vgg.compile()

    def draw(self, batch: Batch, target: Tensor) -> Tensor:
        """The drawings of a batch, N x 3 x H x W in about -1..1; `target` are the features that they are to have."""
        raise NotImplementedError

    def add_gradients(self, batch: Batch, part: StepPart) -> dict[str, Tensor]:
        """Photos are drawn in the styles of the batch's pictures, and measured (equations 11 to 13)."""
        with self.precision.autocast():
            with torch.no_grad():
                maps = [each.float().chunk(2) for each in self._maps(torch.cat([batch.photo, batch.cartoon]))]
                wanted = [of_picture for _, of_picture in maps]
                target = adaptive_instance_norm(*maps[-1])
            drawn = self.draw(batch, target)
            found = [each.float() for each in self._maps(drawn)]
        losses = {"content": F.mse_loss(found[-1], target), "style": statistics_loss(found, wanted)}
        weights = {"content": self.settings.content_weight, "style": self.settings.style_weight}
        self.backward(self.generators, losses, weights, part.share)
        return losses

    def _maps(self, pictures: Tensor) -> list[Tensor]:
        """relu1_1 to relu4_1 of pictures in -1..1; of VGG-19 in the published form, which takes 0..1."""
        return maps_of(self.vgg, (pictures + 1) / 2)


class AdaIN(StyleTransfer):
    """The paper's: the fixed encoder is the generator's own, and the decoder is trained."""

    settings_type = AdaINSettings
    architecture = "adain"

    def __init__(self, settings: AdaINSettings, precision: Precision) -> None:
        super().__init__(settings, precision)
        width = int(self.vgg[2].out_channels)  # type: ignore[arg-type]
        if settings.width != width:
            raise UsageError(f"--width {settings.width}: the encoder in --content-weights has {width}; give that")
        config = AdaINConfig(width, signed=True)
        generator = AdaINGenerator(config)
        generator.encoder.load_state_dict(signed_encoder(self.vgg.state_dict()))
        generator.encoder.requires_grad_(False)
        generator.norm.requires_grad_(False)  # it holds a style, and nothing that is learned
        self.config = {"width": width, "signed": True}
        self.generators = self.trained_generators(generator)

    def draw(self, batch: Batch, target: Tensor) -> Tensor:
        """The decoder takes the very features that its drawing is to have."""
        assert isinstance(self.generator, AdaINGenerator)  # noqa: S101
        drawn: Tensor = self.generator.decoder(target)
        return drawn


class AdaINLite(StyleTransfer):
    """A small network with an encoder of its own, which is trained with the decoder."""

    settings_type = AdaINLiteSettings
    architecture = "adain_lite"
    warm_up = 100
    settings: AdaINLiteSettings

    def __init__(self, settings: AdaINLiteSettings, precision: Precision) -> None:
        super().__init__(settings, precision)
        config = AdaINLiteConfig(settings.width, settings.blocks)
        generator = AdaINLiteGenerator(config)
        initialize_adain_lite(generator)
        generator.norms.requires_grad_(False)  # they hold a style, and nothing that is learned
        self.config = asdict(config)
        self.generators = self.trained_generators(generator, after_update=keep_tail_smooth)

    def draw(self, batch: Batch, target: Tensor) -> Tensor:
        """The network sees photo and picture, and nothing of VGG."""
        drawn: Tensor = self.generator(batch.photo, batch.cartoon)
        return drawn
