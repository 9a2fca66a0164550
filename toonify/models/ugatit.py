"""The generator of U-GAT-IT.

Source: Kim, Kim, Kang, Lee: U-GAT-IT, ICLR 2020, section 2.1 and appendix A; the numbers of layers and which of them
have biases is from the authors' PyTorch program.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from toonify.models.architecture import Architecture
from toonify.models.layers import ClassActivation, InstanceNorm, ReflectionPad, ResidualBlock, activation


@dataclass(frozen=True)
class UGATITConfig:
    """Sizes of the generator; the defaults are the paper's (278.96 M parameters; 10.59 M in the light form)."""

    width: int = 64  # channels after the first convolution
    blocks: int = 4  # residual blocks at a quarter of the size, as many before the attention as after it
    light: bool = False  # whether AdaLIN's scale and shift come from each channel's mean, not from the whole map
    size: int = 256  # of the pictures that it is trained on, if it is not light


class AdaptiveLayerInstanceNorm(nn.Module):
    """AdaLIN: x of N x C x H x W, scale and shift of N x C to N x C x H x W.

    rho * instance norm + (1 - rho) * layer norm, rho learned for each channel, then scaled and shifted (equation 1).
    """

    def __init__(self, channels: int, rho: float = 0.9) -> None:  # 1 in the paper, 0.9 in the authors' program
        super().__init__()
        self.rho = nn.Parameter(torch.full((1, channels, 1, 1), rho))
        self.instance = InstanceNorm(channels)

    def forward(self, x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
        # The small tensors are multiplied first, and brought to the map's type, so that the large ones keep it.
        of_instance = self.rho * scale[:, :, None, None]
        of_layer = (scale[:, :, None, None] - of_instance).to(x.dtype)
        y = torch.addcmul(shift[:, :, None, None].to(x.dtype), of_instance.to(x.dtype), self.instance(x))
        return torch.addcmul(y, of_layer, F.group_norm(x, 1).to(x.dtype))


class LayerInstanceNorm(nn.Module):
    """LIN: N x C x H x W to the same; AdaLIN with scale and shift of its own, at first all of it layer norm."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = AdaptiveLayerInstanceNorm(channels, rho=0.0)
        self.weight = nn.Parameter(torch.ones(1, channels))
        self.bias = nn.Parameter(torch.zeros(1, channels))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.norm(x, self.weight, self.bias)
        return y


class AdaptiveResidualBlock(nn.Module):
    """`ResidualBlock` with AdaLIN: x of N x C x H x W, scale and shift of N x C (for both norms) to N x C x H x W."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.pad = ReflectionPad(1)
        self.conv1 = nn.Conv2d(channels, channels, 3, bias=False)
        self.norm1 = AdaptiveLayerInstanceNorm(channels)
        self.relu = activation("relu")
        self.conv2 = nn.Conv2d(channels, channels, 3, bias=False)
        self.norm2 = AdaptiveLayerInstanceNorm(channels)

    def forward(self, x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
        y: Tensor = self.relu(self.norm1(self.conv1(self.pad(x)), scale, shift))
        y = self.norm2(self.conv2(self.pad(y)), scale, shift)
        return x + y


class UGATITGenerator(nn.Module):
    """N x 3 x H x W in -1..1 to the same; H and W are multiples of 4, at least 8. After an update: `clip_rho`."""

    def __init__(self, config: UGATITConfig | None = None) -> None:
        super().__init__()
        config = config or UGATITConfig()
        w = config.width
        self.map_size = None if config.light else config.size // 4

        def norm(channels: int) -> list[nn.Module]:
            return [InstanceNorm(channels), activation("relu")]

        def up(channels: int) -> list[nn.Module]:
            return [
                nn.Upsample(scale_factor=2),
                ReflectionPad(1),
                nn.Conv2d(2 * channels, channels, 3, bias=False),
                LayerInstanceNorm(channels),
                activation("relu"),
            ]

        self.head = nn.Sequential(ReflectionPad(3), nn.Conv2d(3, w, 7, bias=False), *norm(w))
        self.down = nn.Sequential(  # H x W -> H/4 x W/4
            ReflectionPad(1),
            nn.Conv2d(w, 2 * w, 3, stride=2, bias=False),
            *norm(2 * w),
            ReflectionPad(1),
            nn.Conv2d(2 * w, 4 * w, 3, stride=2, bias=False),
            *norm(4 * w),
        )
        self.blocks = nn.Sequential(
            *(ResidualBlock(4 * w, affine=False, bias=False) for _ in range(config.blocks)),
        )
        self.attention = ClassActivation(4 * w)
        places = 1 if self.map_size is None else self.map_size**2
        self.mlp = nn.Sequential(
            nn.Linear(places * 4 * w, 4 * w, bias=False),
            activation("relu"),
            nn.Linear(4 * w, 4 * w, bias=False),
            activation("relu"),
        )
        self.scale = nn.Linear(4 * w, 4 * w, bias=False)
        self.shift = nn.Linear(4 * w, 4 * w, bias=False)
        self.adaptive_blocks = nn.ModuleList(AdaptiveResidualBlock(4 * w) for _ in range(config.blocks))
        self.up = nn.Sequential(*up(2 * w), *up(w))  # H/4 x W/4 -> H x W
        self.tail = nn.Sequential(ReflectionPad(3), nn.Conv2d(w, 3, 7, bias=False), nn.Tanh())

    def forward(self, x: Tensor) -> Tensor:
        return self.attend(x)[0]

    def attend(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The drawing, N x 3 x H x W, and the logits of the auxiliary classifiers, N x 2, for training."""
        x, logits = self.attention(self.blocks(self.down(self.head(x))))
        # The full form's MLP knows maps of one size only; pictures of the training size keep theirs as it is.
        size = self.map_size
        seen = x.mean((2, 3)) if size is None else F.interpolate(x, (size, size), mode="bilinear").flatten(1)
        seen = self.mlp(seen)
        scale, shift = self.scale(seen), self.shift(seen)
        for block in self.adaptive_blocks:
            x = block(x, scale, shift)
        return self.tail(self.up(x)), logits


def clip_rho(network: nn.Module) -> None:
    """Bring rho of all (Ada)LINs back to 0..1, as after each update (section 2.1.1)."""
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, AdaptiveLayerInstanceNorm):
                module.rho.clamp_(0, 1)


ARCHITECTURE = Architecture(UGATITConfig, UGATITGenerator)
