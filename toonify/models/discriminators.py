"""The networks that tell drawn from generated: N x 3 x H x W in -1..1 to raw logits (no sigmoid), N x 1 x h x w.

Each logit judges a patch, not the picture, so every size will do that leaves a place after the last convolution.
"""

from itertools import pairwise

from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import spectral_norm

from toonify.models.layers import ClassActivation, Norm, ReflectionPad, activation, normalization


class CartoonGANDiscriminator(nn.Module):
    """N x 3 x H x W to N x 1 x H/4 x W/4 (rounded up): shallow, for clear edges are a local matter.

    Source: Chen, Lai, Liu: CartoonGAN, CVPR 2018, figure 2.
    """

    def __init__(self, width: int = 32, *, norm: Norm = "instance") -> None:
        super().__init__()
        w = width
        self.layers = nn.Sequential(
            nn.Conv2d(3, w, 3, padding=1),
            activation("leaky"),
            nn.Conv2d(w, 2 * w, 3, stride=2, padding=1),
            activation("leaky"),
            nn.Conv2d(2 * w, 4 * w, 3, padding=1),
            normalization(norm, 4 * w),
            activation("leaky"),
            nn.Conv2d(4 * w, 4 * w, 3, stride=2, padding=1),
            activation("leaky"),
            nn.Conv2d(4 * w, 8 * w, 3, padding=1),
            normalization(norm, 8 * w),
            activation("leaky"),
            nn.Conv2d(8 * w, 8 * w, 3, padding=1),
            normalization(norm, 8 * w),
            activation("leaky"),
            nn.Conv2d(8 * w, 1, 3, padding=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layers(x)
        return y


class PatchDiscriminator(nn.Module):
    """N x C x H x W to N x 1 x h x w, h = H/8 - 2 for multiples of 8; with 3 layers a logit sees 70 x 70 pixels.

    pix2pix gives it the photo and the drawing one on the other (6 channels).

    Source: Isola et al.: pix2pix, CVPR 2017, section 6.1.2 (C64-C128-C256-C512); Zhu et al.: CycleGAN, ICCV 2017,
    section 7.2. 2.765 M parameters with instance norm.
    """

    def __init__(self, channels: int = 3, width: int = 64, layers: int = 3, norm: Norm = "instance") -> None:
        super().__init__()
        bias = norm == "instance"  # as in `CycleGANGenerator`
        body: list[nn.Module] = [nn.Conv2d(channels, width, 4, stride=2, padding=1), activation("leaky")]
        before = width
        for number in range(1, layers + 1):
            after = width * min(2**number, 8)
            stride = 2 if number < layers else 1
            body += [
                nn.Conv2d(before, after, 4, stride=stride, padding=1, bias=bias),
                normalization(norm, after, affine=not bias),
                activation("leaky"),
            ]
            before = after
        self.layers = nn.Sequential(*body, nn.Conv2d(before, 1, 4, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layers(x)
        return y


class UGATITDiscriminator(nn.Module):
    """N x 3 x H x W to logits of patches, N x 1 x h x w, and of the attention's classifiers, N x 2.

    With 7 layers it is the global one (6 x 6 logits of 256 x 256 pixels, of at least 96 x 96), with 5 the local one
    (30 x 30 logits, of at least 24 x 24).

    Source: Kim et al.: U-GAT-IT, ICLR 2020, section 2.1.2 and appendix A; spectrally normalized as the authors' program
    has it, which leaves out the attention's 1x1 convolution.
    """

    def __init__(self, width: int = 64, layers: int = 7) -> None:
        super().__init__()
        channels = [3, *(width * 2**number for number in range(layers - 1))]
        body: list[nn.Module] = []
        for before, after in pairwise(channels):
            stride = 1 if after == channels[-1] else 2
            body += [ReflectionPad(1), nn.Conv2d(before, after, 4, stride=stride), activation("leaky")]
        self.layers = nn.Sequential(*body)
        self.attention = ClassActivation(channels[-1], "leaky")
        self.tail = nn.Sequential(ReflectionPad(1), nn.Conv2d(channels[-1], 1, 4, bias=False))
        for part in (self.layers, self.attention.mean, self.attention.maximum, self.tail):
            spectrally_normalize(part)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x, logits = self.attention(self.layers(x))
        return self.tail(x), logits


def spectrally_normalize(network: nn.Module) -> None:
    """Divide every convolution's and linear layer's weight by its largest singular value, in place.

    Source: Miyato et al.: Spectral Normalization for GANs, ICLR 2018: one power iteration at each forward pass in
    training. Layers that are normalized already are left as they are.
    """
    for module in list(network.modules()):
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear) and not parametrize.is_parametrized(module):
            spectral_norm(module)
