"""The small generator that `distill` teaches: convolutions at half the size and less, local but for the contrast.

Colors need nothing global, because the targets have the photo's own low-frequency colors already (`convert` keeps
them). Lines do: a teacher with instance norms draws them as strongly in a faint photo, and a student that cannot tell
how faint a photo is draws none there. So the student sees the photo and, beside it, the photo's colors and gradients,
each standardized by its mean and standard deviation over the frame (`Contrast`): one instance norm, before all that is
learned. All else is convolutions. A tile is drawn as the whole picture is if it gets the whole's statistics and `reach`
pixels around it.

It works where convolutions are cheap: strided convolutions to half the size and to a quarter, residual blocks of plain
3x3 convolutions there, and back by pixel-shuffle (Shi et al., CVPR 2016). A branch goes down to an eighth and comes
back as a residual: there a convolution of the same cost has four times the weights (docs/lab-notes.md). What comes out
is added to the photo, so that a fresh network draws nearly the photo itself. Padding is with zeros, which costs
nothing; the card's reflected border keeps most of what that does at the frame's edge outside the picture.
"""

from copy import deepcopy
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from toonify.models.architecture import Architecture
from toonify.models.contrast import Contrast
from toonify.models.layers import activation


@dataclass(frozen=True)
class LiteConfig:
    """Sizes of the generator. Defaults describe students from before a field existed, so that old cards stay valid.

    What `distill` teaches (width 64, 3 blocks, 3 deep ones, contrast) has 0.85 M parameters and takes 30.1 GMAC a
    megapixel.
    """

    width: int = 64  # channels at a quarter of the size; half as many at half of it, one and a half times at an eighth
    blocks: int = 6  # residual blocks at a quarter of the size: a third of them before the branch, the others behind it
    deep_blocks: int = 0  # residual blocks at an eighth of the size; 0: no branch
    contrast: bool = False  # whether it sees the contrast of the frame; else nothing of the frame

    @property
    def multiple(self) -> int:
        """Of which the sides of a picture must be."""
        return 8 if self.deep_blocks else 4

    @property
    def reach(self) -> int:
        """Pixels beyond which nothing influences a pixel but through the frame's contrast, in steps of the multiple.

        A block reaches 2 places at its size: 8 pixels, or 16. The other layers reach 12 pixels, with the branch 20.
        """
        return 8 * self.blocks + (16 * self.deep_blocks + 24 if self.deep_blocks else 12)


class LiteBlock(nn.Module):
    """Two 3x3 convolutions, added to the input: N x C x H x W to the same.

    LeakyReLU costs the same as ReLU here, and without norms many units of ReLU die at high learning rates.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.act = activation("leaky")
        self.second = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.second(self.act(self.first(x)))
        return x + y


class LiteBranch(nn.Module):
    """Residual blocks at half the size, added to the input: N x C x H x W to the same; H and W are even."""

    def __init__(self, channels: int, blocks: int) -> None:
        super().__init__()
        wide = channels + channels // 2
        self.down = nn.Conv2d(channels, wide, 3, stride=2, padding=1)
        self.blocks = nn.Sequential(*(LiteBlock(wide) for _ in range(blocks)))
        self.up = nn.Conv2d(wide, 4 * channels, 1)
        self.act = activation("leaky")

    def forward(self, x: Tensor) -> Tensor:
        return x + F.pixel_shuffle(self.up(self.blocks(self.act(self.down(x)))), 2)


class LiteGenerator(nn.Module):
    """N x 3 x H x W in -1..1 to the same, in training also a little beyond; H and W are of the config's multiple."""

    def __init__(self, config: LiteConfig | None = None) -> None:
        super().__init__()
        config = config or LiteConfig()
        self.config = config
        wide, narrow = config.width, max(1, config.width // 2)
        self.contrast = Contrast() if config.contrast else None
        seen = Contrast.channels if config.contrast else 3
        self.head = nn.Conv2d(seen, narrow, 6, stride=2, padding=2)  # as 3x3 after a pixel-unshuffle, in one operator
        self.down = nn.Conv2d(narrow, wide, 3, stride=2, padding=1)
        self.blocks = nn.Sequential(*(LiteBlock(wide) for _ in range(config.blocks)))
        self.deep = LiteBranch(wide, config.deep_blocks) if config.deep_blocks else nn.Identity()
        self.before = _third(config.blocks)  # blocks in front of the branch
        self.up = nn.Conv2d(wide, 4 * narrow, 1)
        self.merge = nn.Conv2d(narrow, narrow, 3, padding=1)
        self.tail = nn.Conv2d(narrow, 12, 3, padding=1)
        self.act = activation("leaky")

    def forward(self, x: Tensor, frame: Tensor | None = None) -> Tensor:
        """`frame`: what is known of the photos that x are parts of (`frame_contrast`, N x 2 x 5); None: they are x."""
        seen = x if self.contrast is None else self.contrast(x, frame)
        half = self.act(self.head(seen))  # N x W/2 x H/2 x W/2
        y = self.blocks[: self.before](self.act(self.down(half)))  # N x W x H/4 x W/4
        y = self.blocks[self.before :](self.deep(y))
        y = self.act(half + F.pixel_shuffle(self.up(y), 2))  # H/2 x W/2
        y = self.tail(self.act(self.merge(y)))
        drawn = x + F.pixel_shuffle(y, 2)
        return drawn if self.training else drawn.clamp(-1, 1)  # a clamped pixel would learn nothing


def initialize_lite(network: LiteGenerator) -> None:
    """Fresh weights (He et al., ICCV 2015); what ends a sum starts small, so that the network begins as the photo."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            nn.init.zeros_(module.bias)  # type: ignore[arg-type]
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, LiteBlock):
                module.second.weight.mul_(0.1)
            elif isinstance(module, LiteBranch):
                module.up.weight.mul_(0.1)
        network.up.weight.mul_(0.1)
        network.tail.weight.mul_(0.1)


def fit_lite(older: nn.Module, network: nn.Module) -> dict[str, Tensor]:
    """The weights of `network` when it begins as an older student of its width with other blocks, or another head.

    A third of the blocks come from its beginning and the rest from its end; those over in between are left out, where a
    residual network misses them least (Veit et al., NeurIPS 2016). What the older one has not stays fresh, but starts
    small where it looks at the contrast; from zero it would hardly be learned (docs/lab-notes.md).
    """
    assert isinstance(older, LiteGenerator) and isinstance(network, LiteGenerator)  # noqa: S101
    fitted = deepcopy(network)
    pairs: list[tuple[nn.Module, nn.Module]] = [
        *((getattr(older, name), getattr(fitted, name)) for name in ("down", "up", "merge", "tail")),
        *_pair(older.blocks, fitted.blocks),
    ]
    if isinstance(older.deep, LiteBranch) and isinstance(fitted.deep, LiteBranch):
        pairs += [(older.deep.down, fitted.deep.down), (older.deep.up, fitted.deep.up)]
        pairs += _pair(older.deep.blocks, fitted.deep.blocks)
    for old, new in pairs:
        new.load_state_dict(old.state_dict())
    shared = min(older.head.in_channels, fitted.head.in_channels)
    with torch.no_grad():
        fitted.head.weight[:, :shared] = older.head.weight[:, :shared]
        fitted.head.weight[:, shared:] *= 0.1
        fitted.head.bias.copy_(older.head.bias)  # type: ignore[union-attr, arg-type]
    return fitted.state_dict()


def _pair(older: nn.Sequential, newer: nn.Sequential) -> list[tuple[nn.Module, nn.Module]]:
    """Blocks of two sequences that come to be the same."""
    first, before = _third(len(older)), _third(len(newer))
    front = zip(older[:first], newer[:before], strict=False)
    return [*front, *zip(reversed(older[first:]), reversed(newer[before:]), strict=False)]


def _third(blocks: int) -> int:
    return (blocks + 1) // 3


ARCHITECTURE = Architecture(
    LiteConfig,
    LiteGenerator,
    multiple=lambda config: LiteConfig(**config).multiple,
    minimum=lambda config: LiteConfig(**config).multiple,
    fits=frozenset({"blocks", "deep_blocks", "contrast"}),
    fit=fit_lite,
)
