"""The generator of CartoonGAN, laid out so that the released weights load into it key by key.

Source: Chen, Lai, Liu: CartoonGAN, CVPR 2018, section 3.1 and figure 2. The released networks (converted to
PyTorch by Yijun Li) put instance norm with eps 1e-9 where the paper's text has batch norm. The study that compares
CartoonGAN with CycleGAN goes on from there: instance norm and LeakyReLU.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from toonify.models.architecture import Architecture
from toonify.models.layers import Activation, Norm, ResidualBlock, activation, normalization


@dataclass(frozen=True)
class CartoonGANConfig:
    """Sizes and layers of the generator; the defaults are those of the released networks (11.13 M parameters)."""

    width: int = 64  # channels after the first convolution
    blocks: int = 8  # residual blocks at a quarter of the size
    eps: float = 1e-9  # of the norms, as in the released networks
    norm: Norm = "instance"
    activation: Activation = "relu"


class CartoonGANGenerator(nn.Module):
    """N x 3 x H x W in -1..1 to the same; H and W are multiples of 4, at least 8."""

    def __init__(self, config: CartoonGANConfig | None = None) -> None:
        super().__init__()
        config = config or CartoonGANConfig()
        w = config.width

        def normalized(channels: int) -> list[nn.Module]:
            return [normalization(config.norm, channels, eps=config.eps), activation(config.activation)]

        def block() -> nn.Module:
            return ResidualBlock(4 * w, norm=config.norm, act=config.activation, eps=config.eps)

        self.head = nn.Sequential(nn.ReflectionPad2d(3), nn.Conv2d(3, w, 7), *normalized(w))
        self.down = nn.Sequential(  # H x W -> H/4 x W/4
            nn.Conv2d(w, 2 * w, 3, stride=2, padding=1),
            nn.Conv2d(2 * w, 2 * w, 3, padding=1),
            *normalized(2 * w),
            nn.Conv2d(2 * w, 4 * w, 3, stride=2, padding=1),
            nn.Conv2d(4 * w, 4 * w, 3, padding=1),
            *normalized(4 * w),
        )
        self.blocks = nn.Sequential(*(block() for _ in range(config.blocks)))
        self.up = nn.Sequential(  # H/4 x W/4 -> H x W
            nn.ConvTranspose2d(4 * w, 2 * w, 3, stride=2, padding=1, output_padding=1),
            nn.Conv2d(2 * w, 2 * w, 3, padding=1),
            *normalized(2 * w),
            nn.ConvTranspose2d(2 * w, w, 3, stride=2, padding=1, output_padding=1),
            nn.Conv2d(w, w, 3, padding=1),
            *normalized(w),
        )
        self.tail = nn.Sequential(nn.ReflectionPad2d(3), nn.Conv2d(w, 3, 7), nn.Tanh())

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.tail(self.up(self.blocks(self.down(self.head(x)))))
        return y


# The released files name their layers by hand; ours are named by position in the network.
_RELEASED_LAYERS = {
    "conv01_1": "head.1",
    "in01_1": "head.2",
    "conv02_1": "down.0",
    "conv02_2": "down.1",
    "in02_1": "down.2",
    "conv03_1": "down.4",
    "conv03_2": "down.5",
    "in03_1": "down.6",
    **{
        f"{kind}{block + 4:02d}_{half + 1}": f"blocks.{block}.body.{4 * half + offset}"
        for block in range(8)
        for half in range(2)
        for kind, offset in (("conv", 1), ("in", 2))
    },
    "deconv01_1": "up.0",
    "deconv01_2": "up.1",
    "in12_1": "up.2",
    "deconv02_1": "up.4",
    "deconv02_2": "up.5",
    "in13_1": "up.6",
    "deconv03_1": "tail.1",
}
_RELEASED_PARAMETERS = {"weight": "weight", "bias": "bias", "scale": "weight", "shift": "bias"}


def rename_released_keys(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename the keys of a released file (`conv01_1.weight`, `in01_1.scale`) to `CartoonGANGenerator`'s.

    A key that no released file has is kept as it is, so that loading names it.
    """
    renamed = {}
    for key, tensor in state.items():
        layer, _, parameter = key.partition(".")
        if layer in _RELEASED_LAYERS and parameter in _RELEASED_PARAMETERS:
            key = f"{_RELEASED_LAYERS[layer]}.{_RELEASED_PARAMETERS[parameter]}"
        renamed[key] = tensor
    return renamed


ARCHITECTURE = Architecture(
    CartoonGANConfig,
    CartoonGANGenerator,
    rename=rename_released_keys,
    fits=frozenset({"eps"}),  # which makes no other layers
)
