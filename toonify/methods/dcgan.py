"""DCGAN: pictures from noise, by convolutions alone.

Source: Radford, Metz, Chintala: Unsupervised Representation Learning with Deep Convolutional GANs, ICLR 2016, section 3
(the guidelines) and section 4 (details: N(0, 0.02), Adam with 0.0002 and 0.5, batches of 128).
"""

from dataclasses import dataclass, replace

from toonify.methods.losses import ObjectiveName
from toonify.methods.noise import NoiseMethod, NoiseSettings
from toonify.methods.trained import Precision
from toonify.models.dcgan import DCGANConfig, DCGANDiscriminator, DCGANGenerator
from toonify.models.layers import Norm, initialize


@dataclass(frozen=True, kw_only=True)
class DCGANSettings(NoiseSettings):
    """The paper's settings."""

    objective: ObjectiveName = "gan"
    width: int = 1024
    discriminator_width: int = 1024
    batch_size: int = 128


class DCGAN(NoiseMethod):
    """The first that did it with convolutions."""

    settings_type = DCGANSettings
    architecture = "dcgan"
    settings: DCGANSettings

    def __init__(self, settings: DCGANSettings, precision: Precision) -> None:
        super().__init__(settings, precision)
        config = DCGANConfig(settings.size, settings.width)
        norm: Norm = "layer" if self.penalizes_pictures else "batch"
        generator = DCGANGenerator(config)
        discriminator = DCGANDiscriminator(replace(config, width=settings.discriminator_width), norm=norm)
        initialize(generator)
        initialize(discriminator)
        self.train_networks(config, generator, discriminator)
