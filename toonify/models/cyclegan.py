"""The generator of CycleGAN.

Source: Zhu, Park, Isola, Efros: CycleGAN, ICCV 2017, section 7.2 (c7s1-64, d128, d256, R256 x 9, u128, u64, c7s1-3),
with the padding and the norms of the authors' PyTorch program.
"""

from dataclasses import dataclass

from torch import Tensor, nn

from toonify.models.architecture import Architecture
from toonify.models.layers import Norm, ReflectionPad, ResidualBlock, normalization


@dataclass(frozen=True)
class CycleGANConfig:
    """Sizes of the generator; the defaults are the paper's for 256 x 256 (11.378 M parameters)."""

    width: int = 64  # channels after the first convolution
    blocks: int = 9  # residual blocks at a quarter of the size; the paper has 6 for 128 x 128
    norm: Norm = "instance"


class CycleGANGenerator(nn.Module):
    """N x 3 x H x W in -1..1 to the same; H and W are multiples of 4, at least 8."""

    def __init__(self, config: CycleGANConfig | None = None) -> None:
        super().__init__()
        config = config or CycleGANConfig()
        w = config.width
        # As published: instance norm has no weights of its own and leaves the convolutions their biases (which it
        # takes away again); other norms bring their own.
        bias = config.norm == "instance"

        def normalized(channels: int) -> list[nn.Module]:
            return [normalization(config.norm, channels, affine=not bias), nn.ReLU(inplace=True)]

        def up(channels: int) -> nn.Module:
            return nn.ConvTranspose2d(2 * channels, channels, 3, stride=2, padding=1, output_padding=1, bias=bias)

        self.head = nn.Sequential(ReflectionPad(3), nn.Conv2d(3, w, 7, bias=bias), *normalized(w))
        self.down = nn.Sequential(  # H x W -> H/4 x W/4
            nn.Conv2d(w, 2 * w, 3, stride=2, padding=1, bias=bias),
            *normalized(2 * w),
            nn.Conv2d(2 * w, 4 * w, 3, stride=2, padding=1, bias=bias),
            *normalized(4 * w),
        )
        self.blocks = nn.Sequential(
            *(ResidualBlock(4 * w, norm=config.norm, affine=not bias, bias=bias) for _ in range(config.blocks))
        )
        self.up = nn.Sequential(up(2 * w), *normalized(2 * w), up(w), *normalized(w))  # H/4 x W/4 -> H x W
        self.tail = nn.Sequential(ReflectionPad(3), nn.Conv2d(w, 3, 7), nn.Tanh())

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.tail(self.up(self.blocks(self.down(self.head(x)))))
        return y


ARCHITECTURE = Architecture(CycleGANConfig, CycleGANGenerator)
