"""StyleGAN: pictures from noise, by styles for each layer.

Source: Karras, Laine, Aila: A Style-Based Generator Architecture for Generative Adversarial Networks, CVPR 2019,
section 2 and appendix C (non-saturating loss with R1 of 10, Adam with 0.001, 0 and 0.99, the mapping at a hundredth of
the rate, style mixing of 90 % of pictures, smooth sampling, EMA, growth from 8 x 8, if at all).
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from toonify.methods.growing import GrowingMethod, GrowingSettings
from toonify.methods.losses import ObjectiveName
from toonify.methods.method import GENERATOR, StepPart
from toonify.methods.trained import Precision
from toonify.models.progan import ProGANDiscriminator
from toonify.models.stylegan import StyleGANConfig, StyleGANGenerator
from toonify.system import distributed

_MIXED = 0.9  # of pictures have two styles (section 3.1)


@dataclass(frozen=True, kw_only=True)
class StyleGANSettings(GrowingSettings):
    """The paper's settings, but for growth, which later work found to be needless."""

    objective: ObjectiveName = "gan"
    batch_size: int = 32
    learning_rate: float = 1e-3
    beta1: float = 0.0
    ema: float = 0.999
    r1: float = 10.0


class StyleGAN(GrowingMethod):
    """A mapping, a synthesis network, and ProGAN's discriminator."""

    settings_type = StyleGANSettings
    architecture = "stylegan"
    beta2 = 0.99
    first_side = 8
    settings: StyleGANSettings

    def __init__(self, settings: StyleGANSettings, precision: Precision) -> None:
        super().__init__(settings, precision)
        grows = settings.grow_epochs > 0
        config = StyleGANConfig(settings.size, settings.width, grows=grows)
        wide = replace(config, width=settings.discriminator_width)
        discriminator = ProGANDiscriminator(wide, smooth=True, grows=grows)
        self.train_networks(config, StyleGANGenerator(config), discriminator)
        self.begin_step(self.phases[0].name, 0.0)

    def draw(self, count: int, part: StepPart) -> Tensor:
        """Most pictures have one style up to a layer and another from there on."""
        generator = self.generators.network
        assert isinstance(generator, StyleGANGenerator)  # noqa: S101
        device = self.precision.device
        latents = torch.randn(2 * count, generator.latent_size, device=device)
        first, second = generator.mapping(latents).chunk(2)
        if GENERATOR in part.updated:
            generator.track(distributed.average(first.detach().float().mean(0, keepdim=True)))
        layers = len(generator.layer_sides)
        cut = torch.randint(1, layers, (count, 1), device=device)
        cut = torch.where(torch.rand(count, 1, device=device) < _MIXED, cut, layers)
        is_second = torch.arange(layers, device=device) >= cut
        return generator.synthesis(torch.where(is_second[:, :, None], second[:, None], first[:, None]))

    def compile(self) -> None:
        """The synthesis is what is called in training, and most of the work."""
        super().compile()
        generator = self.generators.network
        assert isinstance(generator, StyleGANGenerator)  # noqa: S101
        generator.synthesis = torch.compile(generator.synthesis)  # type: ignore[method-assign]
