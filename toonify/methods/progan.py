"""ProGAN: pictures from noise, first small, then larger and larger.

Source: Karras, Aila, Laine, Lehtinen: Progressive Growing of GANs for Improved Quality, Stability, and Variation, ICLR
2018, section 2 and appendix A.1 (Adam with 0.001, 0 and 0.99; WGAN-GP with one step of the critic and a drift of 0.001;
batches of 16; EMA with 0.999).
"""

from dataclasses import dataclass, replace

from toonify.methods.growing import GrowingMethod, GrowingSettings
from toonify.methods.losses import ObjectiveName
from toonify.methods.trained import Precision
from toonify.models.progan import ProGANConfig, ProGANDiscriminator, ProGANGenerator


@dataclass(frozen=True, kw_only=True)
class ProGANSettings(GrowingSettings):
    """The paper's settings."""

    objective: ObjectiveName = "wgan-gp"
    batch_size: int = 16
    learning_rate: float = 1e-3
    beta1: float = 0.0
    ema: float = 0.999
    grow_epochs: int = 20


class ProGAN(GrowingMethod):
    """Both networks grow from 4 x 4 pixels."""

    settings_type = ProGANSettings
    architecture = "progan"
    beta2 = 0.99
    drift = 1e-3
    settings: ProGANSettings

    def __init__(self, settings: ProGANSettings, precision: Precision) -> None:
        super().__init__(settings, precision)
        grows = settings.grow_epochs > 0
        config = ProGANConfig(settings.size, settings.width, grows=grows)
        discriminator = ProGANDiscriminator(replace(config, width=settings.discriminator_width), grows=grows)
        self.train_networks(config, ProGANGenerator(config), discriminator)
        self.begin_step(self.phases[0].name, 0.0)
