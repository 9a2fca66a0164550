"""A small network that draws in the style of any picture: AdaIN with an encoder of its own, at four depths.

After Huang and Belongie (ICCV 2017), whose encoder is VGG-19 and whose decoder sees nothing but relu4_1. Here a light
encoder is trained together with the decoder, and one pass of it gives both the photo's features and the statistics of
the picture (as in MicroAST: Wang et al., AAAI 2023). Each depth's features are normalized to the picture's statistics
(equation 8) and handed to the decoder as in a U-Net, so that edges stay where the photo has them. The shallowest depth
is the photo itself: a fresh network draws the photo in the picture's colors.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from toonify.models.adain import PictureGenerator, adaptive_instance_norm, statistics
from toonify.models.architecture import Architecture
from toonify.models.layers import ReflectionPad, activation

_EPS = 1e-5


@dataclass(frozen=True)
class AdaINLiteConfig:
    """Sizes of the network; the defaults are those of what ships: 0.63 M parameters, 16 GMAC a megapixel."""

    width: int = 32  # channels at half the size; twice as many at a quarter, three times at an eighth
    blocks: int = 2  # residual blocks of the decoder at an eighth of the size; the encoder has one
    strength: float = 1.0  # alpha of equation 14: 0 leaves the photo's own statistics


def _convolution(channels: int, out: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(ReflectionPad(1), nn.Conv2d(channels, out, kernel, stride))


class _Block(nn.Module):
    """Two 3x3 convolutions, added to the input: N x C x h x w to the same."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            _convolution(channels, channels), activation("leaky"), _convolution(channels, channels)
        )

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.body(x)
        return x + y


class AdaINLiteGenerator(PictureGenerator):
    """N x 3 x H x W RGB in -1..1 to the same, in training also beyond; H and W are multiples of 8."""

    def __init__(self, config: AdaINLiteConfig | None = None) -> None:
        super().__init__()
        config = config or AdaINLiteConfig()
        self.strength = config.strength
        half, quarter, eighth = config.width, 2 * config.width, 3 * config.width
        self.encoder = nn.ModuleList(
            [
                nn.Sequential(_convolution(3, half, 4, 2), activation("leaky")),
                nn.Sequential(_convolution(half, quarter, 3, 2), activation("leaky")),
                nn.Sequential(_convolution(quarter, eighth, 3, 2), activation("leaky"), _Block(eighth)),
            ]
        )
        norms = [nn.InstanceNorm2d(channels, eps=_EPS, affine=True) for channels in (3, half, quarter, eighth)]
        self.norms = nn.ModuleList(norms)  # they hold a style, and nothing that is learned
        self.deep = nn.Sequential(*(_Block(eighth) for _ in range(config.blocks)), nn.Conv2d(eighth, quarter, 1))
        self.middle = nn.Sequential(_convolution(quarter, quarter), activation("leaky"), nn.Conv2d(quarter, half, 1))
        self.shallow = nn.Sequential(_convolution(half, half), activation("leaky"))
        self.tail = nn.Sequential(*_convolution(half, 12), nn.PixelShuffle(2))
        self.color = _convolution(3, 3)
        self.up = nn.Upsample(scale_factor=2, mode="nearest")

    def forward(self, x: Tensor, style: Tensor | None = None) -> Tensor:
        """`style`: pictures in whose styles is drawn, N x 3 x h x w; None: the style that was taken."""
        content = self._maps(x)
        pictures = [None] * len(content) if style is None else self._maps(style)
        color, half, quarter, eighth = (
            self._mixed(one, norm, picture) for one, norm, picture in zip(content, self.norms, pictures, strict=True)
        )
        y = self.middle(quarter + self.up(self.deep(eighth)))
        y = self.shallow(half + self.up(y))
        drawing: Tensor = self.color(color) + self.tail(y)
        return drawing if self.training else drawing.clamp(-1, 1)

    def _maps(self, x: Tensor) -> list[Tensor]:
        """The picture itself, and its features at a half, a quarter and an eighth of its size."""
        maps = [x]
        for stage in self.encoder:
            maps.append(stage(maps[-1]))
        return maps

    def _mixed(self, content: Tensor, norm: nn.Module, picture: Tensor | None) -> Tensor:
        """Content with the picture's statistics, as far as the strength goes (equations 8 and 14)."""
        styled: Tensor = norm(content) if picture is None else adaptive_instance_norm(content, picture)
        return styled if self.strength == 1 else self.strength * styled + (1 - self.strength) * content

    @torch.no_grad()
    def take_styles(self, pictures: Sequence[Tensor], weights: Sequence[float]) -> None:
        """Take the styles of pictures, 1 x 3 x H x W of any sizes; the weights sum to 1 (equation 15)."""
        shares = torch.tensor(weights)[:, None]
        depths = zip(*(self._maps(picture) for picture in pictures), strict=True)
        for norm, maps in zip(self.norms, depths, strict=True):
            means, deviations = (torch.cat(parts) for parts in zip(*map(statistics, maps), strict=True))
            norm.get_parameter("bias").copy_((shares * means).sum(0))
            norm.get_parameter("weight").copy_((shares * deviations).sum(0))


def initialize_adain_lite(network: AdaINLiteGenerator) -> None:
    """Fresh weights: He's normal ones, but what ends a sum starts small: so it begins as the photo in other colors."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="leaky_relu", a=0.2)
            nn.init.zeros_(module.bias)  # type: ignore[arg-type]
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, _Block):
                _kernel(module.body[-1]).mul_(0.1)
        _kernel(network.tail).mul_(0.1)
        nn.init.dirac_(_kernel(network.color))
    keep_tail_smooth(network)


@torch.no_grad()
def keep_tail_smooth(network: nn.Module) -> None:
    """Bring the last layer to the nearest one that is a nearest-neighbor upsampling with a 3x3 convolution after it.

    Left to itself a pixel shuffle learns checkerboards, as these have the statistics of textures (Odena et al.:
    Deconvolution and Checkerboard Artifacts, 2016). At half the size the same takes a quarter of the time: at full size
    3 channels cost as much as 16.
    """
    assert isinstance(network, AdaINLiteGenerator)  # noqa: S101
    kernel, bias = _kernel(network.tail), network.tail.get_parameter("1.bias")
    phases = _phases().to(kernel)
    onto = phases @ torch.linalg.pinv(phases)  # 36 x 36
    channels = kernel.shape[1]
    parts = kernel.reshape(3, 4, channels, 9).permute(0, 2, 1, 3).reshape(3, channels, 36) @ onto.T
    kernel.copy_(parts.reshape(3, channels, 4, 9).permute(0, 2, 1, 3).reshape(kernel.shape))
    bias.copy_(bias.reshape(3, 4).mean(1).repeat_interleave(4))


def _phases() -> Tensor:
    """What a 3x3 kernel on doubled pixels is on the pixels themselves, for each of the four of a pixel: 36 x 9."""
    one = torch.tensor([[[1.0, 0, 0], [0, 1, 1], [0, 0, 0]], [[0, 0, 0], [1, 1, 0], [0, 0, 1]]])  # phase, there, here
    return torch.einsum("pay,qbx->pqabyx", one, one).reshape(36, 9)


def _kernel(convolution: nn.Module) -> Tensor:
    """The kernel of what `_convolution` has made."""
    return convolution.get_parameter("1.weight")


ARCHITECTURE = Architecture(
    AdaINLiteConfig, AdaINLiteGenerator, multiple=lambda config: 8, minimum=lambda config: 16, from_pictures=True
)
