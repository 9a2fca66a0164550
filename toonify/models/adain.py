"""AdaIN: any picture as a style, in one pass.

Source: Huang, Belongie: Arbitrary Style Transfer in Real-time with Adaptive Instance Normalization, ICCV 2017. Encoder
and decoder are as their authors publish them: VGG-19 up to relu4_1, scaled so that its ReLU maps have a mean of 1
(Gatys, Ecker, Bethge: Texture Synthesis Using Convolutional Neural Networks, 2015), with reflection in the place of
zeros; and a mirror image of it that takes nearest neighbors in the place of poolings.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from toonify.models.architecture import Architecture
from toonify.models.layers import ReflectionPad

# Channels of the layers, in units of `width`; up to conv4_1, and back.
_ENCODER = (1, 1, "pool", 2, 2, "pool", 4, 4, 4, 4, "pool", 8)
_DECODER = (4, "up", 4, 4, 4, 2, "up", 2, 1, "up", 1)
_EPS = 1e-5


@dataclass(frozen=True)
class AdaINConfig:
    """Sizes of the networks, and how much of the style there is; the defaults are the paper's (7.01 M parameters)."""

    width: int = 64  # channels of conv1_1
    strength: float = 1.0  # alpha of equation 14: 0 leaves the content's own statistics
    signed: bool = False  # whether pictures are in -1..1, as in runs of `train`; the published networks take 0..1


def encoder(width: int = 64) -> nn.Sequential:
    """N x 3 x H x W RGB in 0..1 to relu4_1, N x 8 width x H/8 x W/8, rounded up."""
    layers: list[nn.Module] = [nn.Conv2d(3, 3, 1)]  # to BGR in 0..255 less ImageNet's mean
    channels = 3
    for step in _ENCODER:
        if isinstance(step, str):
            layers.append(nn.MaxPool2d(2, ceil_mode=True))
        else:
            layers += [ReflectionPad(1), nn.Conv2d(channels, step * width, 3), nn.ReLU()]
            channels = step * width
    return nn.Sequential(*layers)


def decoder(width: int = 64) -> nn.Sequential:
    """Features as `encoder` makes them, N x 8 width x h x w, to RGB in about 0..1, N x 3 x 8h x 8w."""
    layers: list[nn.Module] = []
    channels = 8 * width
    for step in _DECODER:
        if isinstance(step, str):
            layers.append(nn.Upsample(scale_factor=2, mode="nearest"))
        else:
            layers += [ReflectionPad(1), nn.Conv2d(channels, step * width, 3), nn.ReLU()]
            channels = step * width
    return nn.Sequential(*layers, ReflectionPad(1), nn.Conv2d(channels, 3, 3))


def maps_of(network: nn.Sequential, pictures: Tensor) -> list[Tensor]:
    """What the style loss compares: an `encoder`'s relu1_1, relu2_1, relu3_1 and relu4_1 (section 5.1)."""
    maps, y = [], pictures
    places = _first_relus()
    for place, layer in enumerate(network):
        y = layer(y)
        if place in places:
            maps.append(y)
    return maps


def _first_relus() -> list[int]:
    """The places of the first ReLU of each block in `encoder`: three layers after its beginning."""
    places, place, begins = [], 1, True  # behind the 1x1 convolution
    for step in _ENCODER:
        place += 1 if isinstance(step, str) else 3
        if begins and not isinstance(step, str):
            places.append(place - 1)
        begins = isinstance(step, str)
    return places


def adaptive_instance_norm(content: Tensor, style: Tensor) -> Tensor:
    """Content with a style's mean and standard deviation in each channel (equation 8): N x C x h x w of any sizes."""
    (mean, deviation), (own_mean, own_deviation) = (statistics(each.float()) for each in (style, content))
    scale = (deviation / own_deviation)[..., None, None]
    return (content - own_mean[..., None, None]) * scale + mean[..., None, None]


def statistics(features: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each channel over the frame (equations 5 and 6): N x C x h x w to N x C, twice.

    The variance is the mean square less the squared mean: PyTorch's own takes eight times as long on channels-last
    memory. Means of features are about 1, so that float32 has room for it.
    """
    mean = features.mean((2, 3))
    variance = features.square().mean((2, 3)) - mean.square()
    return mean, (variance.clamp(min=0) + _EPS).sqrt()


class PictureGenerator(nn.Module):
    """A network that draws in the style of a picture: N x 3 x H x W RGB to the same, and pictures N x 3 x h x w if any.

    Without pictures it draws in the style that it has taken. In training pictures are given with each batch.
    """

    def take_styles(self, pictures: Sequence[Tensor], weights: Sequence[float]) -> None:
        """Take the styles of pictures, 1 x 3 x H x W in the network's range of values; the weights sum to 1."""
        raise NotImplementedError


class AdaINGenerator(PictureGenerator):
    """N x 3 x H x W RGB in 0..1 (-1..1 if the config says so) to the same; H and W are multiples of 8.

    The statistics of one style are constants of the network: adaptive instance norm is then an instance norm with the
    style's standard deviation as scale and its mean as shift (equation 8), and engines, tiles and float16 take it as
    that.
    """

    def __init__(self, config: AdaINConfig | None = None) -> None:
        super().__init__()
        config = config or AdaINConfig()
        self.strength = config.strength
        self.signed = config.signed
        self.encoder = encoder(config.width)
        self.norm = nn.InstanceNorm2d(8 * config.width, eps=_EPS, affine=True)
        self.decoder = decoder(config.width)

    def forward(self, x: Tensor, style: Tensor | None = None) -> Tensor:
        content = self.encoder(x)  # N x 512 x H/8 x W/8
        features = self.norm(content) if style is None else adaptive_instance_norm(content, self.encoder(style))
        if self.strength != 1:
            features = self.strength * features + (1 - self.strength) * content
        drawing: Tensor = self.decoder(features)
        if self.training:
            return drawing
        return drawing.clamp(-1, 1) if self.signed else drawing.clamp(0, 1)

    @torch.no_grad()
    def take_styles(self, pictures: Sequence[Tensor], weights: Sequence[float]) -> None:
        """Take the styles of pictures, 1 x 3 x H x W of any sizes; the weights sum to 1.

        Of several the features are blended (equation 15): of instance norms of one content that is an instance norm
        with their scales and shifts blended.
        """
        shares = torch.tensor(weights)[:, None]
        found = [statistics(self.encoder(picture)) for picture in pictures]
        means, deviations = (torch.cat(parts) for parts in zip(*found, strict=True))
        self.norm.bias.copy_((shares * means).sum(0))
        self.norm.weight.copy_((shares * deviations).sum(0))


ARCHITECTURE = Architecture(
    AdaINConfig, AdaINGenerator, multiple=lambda config: 8, minimum=lambda config: 16, from_pictures=True
)
