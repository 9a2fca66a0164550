"""DiffAugment: what the discriminator sees is changed at random, drawn and real pictures alike.

With few pictures a discriminator learns them by heart, and the generator nothing more from it; so it cannot.

Source: Zhao, Liu, Lin, Zhu, Han: Differentiable Augmentation for Data-Efficient GAN Training, NeurIPS 2020, section 3
and appendix A (the policy "color, translation, cutout").
"""

import torch
from torch import Tensor

FEW = 10_000  # pictures, below which a training set is augmented unless it is said otherwise
_SHIFT = 1 / 8  # of the side, at most
_CUT = 1 / 2  # of the side


def augment(x: Tensor) -> Tensor:
    """N x 3 x H x W in -1..1 to the same in float32, each picture in a way of its own; gradients go through."""
    return _cut_out(_shift(_recolor(x.float())))


def _recolor(x: Tensor) -> Tensor:
    """Brightness by ±1/2, then saturation from 0 to 2 and contrast from 1/2 to 3/2."""
    brightness, saturation, contrast = torch.rand(3, len(x), 1, 1, 1, device=x.device)
    x = x + (brightness - 0.5)
    gray = x.mean(1, keepdim=True)
    x = torch.lerp(gray, x, 2 * saturation)
    mean = x.mean((1, 2, 3), keepdim=True)
    return torch.lerp(mean, x, contrast + 0.5)


def _shift(x: Tensor) -> Tensor:
    """Move the picture by up to an eighth of its side; what comes in is 0."""
    count, _, height, width = x.shape
    rows, columns = (_moved(count, side, x.device) for side in (height, width))
    padded = torch.nn.functional.pad(x, (1, 1, 1, 1)).permute(0, 2, 3, 1)  # the zeros that are moved in
    numbers = torch.arange(count, device=x.device)[:, None, None]
    return padded[numbers, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def _moved(count: int, side: int, device: torch.device) -> Tensor:
    """For each place of a moved side the place in the padded one that it comes from: count x side."""
    most = int(side * _SHIFT + 0.5)
    by = torch.randint(-most, most + 1, (count, 1), device=device)
    return (torch.arange(side, device=device) + by + 1).clamp(0, side + 1)


def _cut_out(x: Tensor) -> Tensor:
    """Make a square of half the side 0; its middle is anywhere, so that some of it may lie outside."""
    count, _, height, width = x.shape
    inside = [_within(count, side, x.device) for side in (height, width)]
    hole = inside[0][:, None, :, None] & inside[1][:, None, None, :]
    return x * ~hole


def _within(count: int, side: int, device: torch.device) -> Tensor:
    half = int(side * _CUT + 0.5) // 2
    middle = torch.randint(side + 1, (count, 1), device=device)
    place = torch.arange(side, device=device)
    return (place >= middle - half) & (place < middle + half)
