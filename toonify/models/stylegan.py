"""The generator of StyleGAN.

Source: Karras, Laine, Aila: A Style-Based Generator Architecture for Generative Adversarial Networks, CVPR 2019:
section 2 and figure 1 (mapping, AdaIN, noise; 26.2 M parameters at 1024 x 1024), section 3.1 (style mixing), appendix B
(truncation), appendix C (sizes, rates). The discriminator is ProGAN's, with smooth halving.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from toonify.models.equalized import EqualizedConv2d, EqualizedLinear, UpConv2d, pixel_norm
from toonify.models.noise import (
    SMALLEST,
    Growing,
    NoiseConfig,
    NoiseGenerator,
    faded,
    grown_channels,
    noise_architecture,
)
from toonify.models.progan import blur

_RATE = 0.01  # of the mapping, as a factor on the learning rate (appendix C)
_DEPTH = 8  # layers of the mapping
_MEAN_DECAY = 0.995  # of the running mean of w


@dataclass(frozen=True)
class StyleGANConfig(NoiseConfig):
    """Sizes of the generator; latents and w are as wide as the first maps."""

    grows: bool = False  # whether it has layers to RGB at every side


class StyledLayer(nn.Module):
    """A convolution (but for the first layer), noise, LeakyReLU and AdaIN (equation 1): N x C x H x W.

    `up` doubles the sides first, smoothly (appendix C).
    """

    def __init__(self, channels: int, after: int, width: int, kind: str) -> None:
        super().__init__()
        self.up = kind == "up"
        self.conv: EqualizedConv2d | None = None
        if kind != "first":
            self.conv = UpConv2d(channels, after) if self.up else EqualizedConv2d(channels, after, 3)
        self.noise = nn.Parameter(torch.zeros(1, after, 1, 1))
        self.bias = nn.Parameter(torch.zeros(1, after, 1, 1))
        if self.conv is not None:
            self.conv.bias = None  # added after the noise, which comes to the same, and once
        self.affine = EqualizedLinear(width, 2 * after, gain=1)

    def forward(self, x: Tensor, w: Tensor, noise: Tensor) -> Tensor:
        """`w` N x width, `noise` N x 1 x H x W."""
        if self.conv is not None:
            x = self.conv(x)
            x = blur(x) if self.up else x
        x = F.leaky_relu(x + (self.noise * noise + self.bias).to(x.dtype), 0.2)
        scale, shift = self.affine(w).chunk(2, dim=1)
        return adaptive_instance_norm(x, 1 + scale, shift, training=self.training)


class StyleGANGenerator(Growing, NoiseGenerator):
    """N x width, and noise, to N x 3 x side x side.

    `mapping` makes w of latents, `synthesis` pictures of w, one for each layer (w+).
    """

    mean_w: Tensor  # running mean of w, to which truncation leads

    def __init__(self, config: StyleGANConfig | None = None) -> None:
        super().__init__()
        config = config or StyleGANConfig()
        width = self.latent_size = config.width
        self.sides = config.sides
        self.mapping_layers = nn.ModuleList(EqualizedLinear(width, width, rate=_RATE) for _ in range(_DEPTH))
        self.register_buffer("mean_w", torch.zeros(width))
        first = grown_channels(config, SMALLEST)
        self.constant = nn.Parameter(torch.ones(1, first, SMALLEST, SMALLEST))
        self.styled = nn.ModuleList()
        self.to_rgb = nn.ModuleDict()
        channels = first
        for side in self.sides:
            after = grown_channels(config, side)
            self.styled.append(StyledLayer(channels, after, width, "first" if side == SMALLEST else "up"))
            self.styled.append(StyledLayer(after, after, width, "same"))
            if config.grows or side == config.size:
                self.to_rgb[str(side)] = EqualizedConv2d(after, 3, 1, gain=1)
            channels = after
        self.level = config.level or math.log2(config.size)

    @property
    def layer_sides(self) -> list[int]:
        """The side of each layer's maps, of those that draw now."""
        return [side for side in self.sides for _ in range(2) if side <= self.side]

    @property
    def noise_size(self) -> int:  # type: ignore[override]
        """Values of noise that a picture takes."""
        return sum(side**2 for side in self.layer_sides)

    def mapping(self, latent: Tensor) -> Tensor:
        """Latents to w: N x width to the same."""
        x = pixel_norm(latent)
        for layer in self.mapping_layers:
            x = F.leaky_relu(layer(x), 0.2)
        return x

    def track(self, w: Tensor) -> None:
        """Move the running mean of w on: N x width without a gradient, or their mean."""
        self.mean_w.lerp_(w.mean(0).to(self.mean_w.dtype), 1 - _MEAN_DECAY)

    def truncated(self, w: Tensor, truncation: Tensor | float) -> Tensor:
        """Lead w to its mean: 0 is the mean, 1 leaves it (appendix B). The last axis of w is its width."""
        return self.mean_w + truncation * (w - self.mean_w)

    def synthesis(self, w: Tensor, noise: Tensor | None = None) -> Tensor:
        """w+, N x layers x width, and noise, N x `noise_size`, to pictures; w of layers that do not draw is ignored."""
        maps = self._noise_maps(w.shape[0], noise)  # `len` would fix it in an export
        x = self.constant.expand(w.shape[0], -1, -1, -1).contiguous(memory_format=torch.channels_last)
        before = x
        for number, side in enumerate(self.layer_sides):
            if number % 2 == 0:
                before = x
            x = self.styled[number](x, w[:, number], maps[number].view(-1, 1, side, side))
        y: Tensor = self.to_rgb[str(self.side)](x)
        if self.fraction:
            y = faded(F.interpolate(self.to_rgb[str(self.side // 2)](before), scale_factor=2.0), y, self.fraction)
        return y

    def _noise_maps(self, count: int, noise: Tensor | None) -> list[Tensor]:
        sizes = [side**2 for side in self.layer_sides]
        if noise is None:
            noise = torch.randn(count, sum(sizes), device=self.constant.device)
        return list(torch.split(noise, sizes, dim=1))

    def forward(self, latent: Tensor, noise: Tensor | None = None, truncation: Tensor | None = None) -> Tensor:
        w = self.mapping(latent)
        if truncation is not None:
            w = self.truncated(w, truncation)
        return self.synthesis(w[:, None].expand(-1, len(self.styled), -1), noise)

    def layers(self) -> Iterator[tuple[int, str]]:
        """See `NoiseGenerator`."""
        yield SMALLEST, "constant"
        for number, _ in enumerate(self.styled):
            yield self.sides[number // 2], f"styled.{number}."
        for side in self.to_rgb:
            yield int(side), f"to_rgb.{side}."


def adaptive_instance_norm(x: Tensor, scale: Tensor, shift: Tensor, *, training: bool) -> Tensor:
    """Each channel of each picture with mean 0 and deviation 1, times scale, plus shift: N x C x H x W; N x C each.

    Source: Karras et al. 2019, equation 1; Huang and Belongie, ICCV 2017.
    """
    if training and x.is_cpu:  # as `InstanceNorm` does it; scale and shift come for nothing
        pictures = zip(torch.split(x, 1), scale.float(), shift.float(), strict=True)
        return torch.cat([F.batch_norm(one, None, None, each, by, training=True) for one, each, by in pictures])
    normed = F.instance_norm(x)
    return normed * scale[:, :, None, None].to(x.dtype) + shift[:, :, None, None].to(x.dtype)


ARCHITECTURE = noise_architecture(StyleGANConfig, StyleGANGenerator)
