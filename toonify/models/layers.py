"""Building blocks that several generators and discriminators share."""

from torch import Tensor, nn


class ResidualBlock(nn.Module):
    """Two reflection-padded 3x3 convolutions with instance norm, added to the input: N x C x H x W to the same.

    Source: CartoonGAN (Chen, Lai, Liu; CVPR 2018), figure 2; after Johnson et al., ECCV 2016.
    """

    def __init__(self, channels: int, *, eps: float) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, 3),
            nn.InstanceNorm2d(channels, eps=eps, affine=True),
            nn.ReLU(),
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, 3),
            nn.InstanceNorm2d(channels, eps=eps, affine=True),
        )

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.body(x)
        return x + y
