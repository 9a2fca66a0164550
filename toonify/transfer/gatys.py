"""Style transfer by optimization: the losses, and a picture that makes them small.

Source: Gatys, Ecker, Bethge: A Neural Algorithm of Artistic Style, 2015 (arXiv:1508.06576), equations 1 to 7; the
optimizer L-BFGS and several sizes one after the other as Gatys, Ecker, Bethge, Hertzmann, Shechtman: Controlling
Perceptual Factors in Neural Style Transfer, CVPR 2017, section 6.

Two things differ. Sums over places are means here: what balances at one size does at another. And the weights suit the
normalized VGG, whose maps have a mean of 1; those of the paper are for others.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from toonify.transfer.vgg import Features, StyleFeatures

STYLE_WEIGHT = 60.0  # beta of equation 7, where alpha is 1
LAYER_WEIGHTS = (0.03, 0.09, 0.29, 0.29, 0.3)  # of equation 5: more of the fine layers makes grain on dark ground
SMOOTHNESS = 300.0  # weight of the total variation
_HISTORY = 20  # steps that L-BFGS remembers; more of them gain nothing that can be seen


@dataclass(frozen=True)
class Losses:
    """What is made small (equation 7 with the total variation), and its parts with their weights in them."""

    total: Tensor
    content: Tensor
    style: Tensor
    smoothness: Tensor


OnStep = Callable[[int, Losses], None]  # told after each step how many are done; what it raises ends them


def gram(maps: Tensor) -> Tensor:
    """Equation 3 divided by the number of places: 1 x C x h x w to C x C, in float32 or better."""
    rows = _wide(maps).permute(0, 2, 3, 1).flatten(0, 2)  # channels last: no copy
    return rows.T @ rows / rows.shape[0]


def _wide(maps: Tensor) -> Tensor:
    """Maps in the digits that sums need: bfloat16 as float32."""
    return maps.float() if maps.dtype == torch.bfloat16 else maps


def content_loss(maps: Tensor, target: Tensor) -> Tensor:
    """Equation 1 divided by the number of values."""
    return (_wide(maps) - _wide(target)).square().mean() / 2


def style_loss(grams: Sequence[Tensor], targets: Sequence[Tensor]) -> Tensor:
    """Equations 4 and 5 for Gram matrices that are divided by the number of places."""
    layers = zip(LAYER_WEIGHTS, grams, targets, strict=True)
    return torch.stack([weight * (own - target).square().mean() / 4 for weight, own, target in layers]).sum()


def total_variation(picture: Tensor) -> Tensor:
    """The mean of squared differences of neighbors, down and to the right: N x 3 x H x W to a number."""
    down, right = picture[:, :, 1:] - picture[:, :, :-1], picture[:, :, :, 1:] - picture[:, :, :, :-1]
    return down.square().mean() + right.square().mean()


def style_weight(strength: float) -> float:
    """The weight of the style for `--style-strength`, 0..1: its third power, so that steps of it look alike."""
    return STYLE_WEIGHT * strength**3


def losses(picture: Tensor, features: "Features", content: Tensor, grams: Sequence[Tensor], weight: float) -> Losses:
    """The losses of a picture, 1 x 3 x H x W, and its features; `weight` is that of the style."""
    parts = (
        content_loss(features.content, content),
        weight * style_loss([gram(maps) for maps in features.style], grams),
        SMOOTHNESS * total_variation(picture),
    )
    return Losses(parts[0] + parts[1] + parts[2], *parts)


def optimize(
    start: Tensor,
    photo: Tensor,
    grams: Sequence[Tensor],
    network: "StyleFeatures",
    *,
    steps: int,
    weight: float,
    on_step: OnStep = lambda done, found: None,
) -> Tensor:
    """The picture after so many steps of L-BFGS from `start`: 1 x 3 x H x W RGB, about in 0..1, as `photo` is.

    A step is one pass forward and back. Raises FloatingPointError where the loss is no number.
    """
    with torch.no_grad():
        content = network(photo).content
    picture = start.detach().clone(memory_format=torch.contiguous_format).requires_grad_()
    done = 0

    def evaluate() -> float:
        nonlocal done
        picture.grad = None
        found = losses(picture, network(picture), content, grams, weight)
        found.total.backward()  # type: ignore[no-untyped-call]
        done += 1
        value = found.total.item()
        if value != value or value == float("inf"):
            raise FloatingPointError(f"the loss is {value} after {done} steps")
        on_step(done, found)
        return value

    while done < steps:
        before = done
        # Tolerances of 0: it ends early only where the slope along its direction is not downhill. It begins anew then.
        optimizer = torch.optim.LBFGS(
            [picture], max_iter=steps - done, history_size=_HISTORY, tolerance_grad=0, tolerance_change=0
        )
        optimizer.step(evaluate)  # type: ignore[no-untyped-call]
        if picture.grad is None or not picture.grad.any() or done == before:
            break
    return picture.detach()
