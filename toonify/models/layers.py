"""Building blocks that several generators and discriminators share."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrize

Norm = Literal["batch", "instance", "layer"]
Activation = Literal["relu", "leaky"]


class InstanceNorm(nn.InstanceNorm2d):
    """nn.InstanceNorm2d, quicker to train on CPUs: N x C x H x W to the same, each channel of each picture by itself.

    In evaluation it is the parent, which is exported as one native InstanceNormalization.
    """

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or not x.is_cpu:
            return super().forward(x)
        # The parent takes its input as one picture of N * C channels, and copies channels-last memory there and back.
        # One batch norm for each picture is the same function in a quarter of the time (docs/lab-notes.md).
        if x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous():
            pictures = x.chunk(len(x))
            return torch.cat(
                [F.batch_norm(one, None, None, self.weight, self.bias, training=True, eps=self.eps) for one in pictures]
            )
        # On contiguous memory a group for each channel is quickest. (F.group_norm refuses 1 x 1 maps, this does not.)
        return torch.group_norm(x, self.num_features, self.weight, self.bias, self.eps)


class ReflectionPad(nn.ReflectionPad2d):
    """nn.ReflectionPad2d that keeps the type of its input: N x C x H x W to N x C x (H + 2p) x (W + 2p).

    Autocast on CPUs would make it float32, which takes twice the memory, and nothing is computed here.
    """

    def forward(self, x: Tensor) -> Tensor:
        if x.device.type != "cpu" or not torch.is_autocast_enabled("cpu"):
            return super().forward(x)
        with torch.autocast("cpu", enabled=False):
            return super().forward(x)


def normalization(kind: Norm, channels: int, *, eps: float = 1e-5, affine: bool = True) -> nn.Module:
    """A layer that normalizes N x C x H x W; "layer" takes all channels and places of a picture together.

    Raises TypeError if there is no such kind (it may come from a card).
    """
    match kind:
        case "batch":
            return nn.BatchNorm2d(channels, eps=eps, affine=affine)
        case "instance":
            return InstanceNorm(channels, eps=eps, affine=affine)
        case "layer":
            return nn.GroupNorm(1, channels, eps=eps, affine=affine)
    raise TypeError(f"norm {kind!r} is unknown; choose batch, instance or layer")


def activation(kind: Activation) -> nn.Module:
    """ReLU, or LeakyReLU with the slope 0.2 of the GAN papers; it works in place, so its input must be a layer's own.

    Raises TypeError if there is no such kind (it may come from a card).
    """
    match kind:
        case "relu":
            return nn.ReLU(inplace=True)
        case "leaky":
            return nn.LeakyReLU(0.2, inplace=True)
    raise TypeError(f"activation {kind!r} is unknown; choose relu or leaky")


class ResidualBlock(nn.Module):
    """Two reflection-padded 3x3 convolutions with norms, added to the input: N x C x H x W to the same.

    Source: CartoonGAN (Chen, Lai, Liu; CVPR 2018), figure 2, and CycleGAN (Zhu et al.; ICCV 2017), section 7.2; after
    Johnson et al., ECCV 2016.
    """

    def __init__(
        self,
        channels: int,
        *,
        norm: Norm = "instance",
        act: Activation = "relu",
        eps: float = 1e-5,
        affine: bool = True,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.body = nn.Sequential(
            ReflectionPad(1),
            nn.Conv2d(channels, channels, 3, bias=bias),
            normalization(norm, channels, eps=eps, affine=affine),
            activation(act),
            ReflectionPad(1),
            nn.Conv2d(channels, channels, 3, bias=bias),
            normalization(norm, channels, eps=eps, affine=affine),
        )

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.body(x)
        return x + y


class ClassActivation(nn.Module):
    """Attention by an auxiliary classifier: N x C x H x W to the same, weighted by what tells the domains apart.

    Two linear classifiers, of the channels' means and of their maxima, weight the channels; a 1x1 convolution makes one
    map of both. The second result are their logits, N x 2.

    Source: U-GAT-IT (Kim et al.; ICLR 2020), section 2.1.1; after Zhou et al., CVPR 2016.
    """

    def __init__(self, channels: int, act: Activation = "relu") -> None:
        super().__init__()
        self.mean = nn.Linear(channels, 1, bias=False)
        self.maximum = nn.Linear(channels, 1, bias=False)
        self.merge = nn.Conv2d(2 * channels, channels, 1)
        self.act = activation(act)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        # Once each: spectral normalization (in the discriminator) gives other weights at each look. The authors'
        # program takes the weights before it as attention; they differ by a factor that `merge` can learn.
        of_mean, of_maximum = self.mean.weight, self.maximum.weight  # 1 x C
        logits = [F.linear(x.mean((2, 3)), of_mean), F.linear(x.amax((2, 3)), of_maximum)]
        weighted = [x * weight[:, :, None, None] for weight in (of_mean, of_maximum)]
        return self.act(self.merge(torch.cat(weighted, dim=1))), torch.cat(logits, dim=1)


def initialize(network: nn.Module, std: float = 0.02) -> None:
    """Fresh weights, as DCGAN, pix2pix and CycleGAN start: convolutions and linear layers N(0, std), norms N(1, std).

    Biases are 0. What is neither (AdaLIN's rho) keeps what it was built with.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            mean = 0.0
        elif isinstance(module, nn.BatchNorm2d | nn.InstanceNorm2d | nn.GroupNorm):
            mean = 1.0
        else:
            continue
        weight = module.weight
        if parametrize.is_parametrized(module, "weight"):  # spectrally normalized: module.weight is computed from it
            weight = module.parametrizations.weight.original  # type: ignore[union-attr, assignment]
        if weight is not None:
            nn.init.normal_(weight, mean, std)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
