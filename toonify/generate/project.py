"""The latent of a photo: which styles a generator would have drawn it with.

Source: Abdal, Qin, Wonka: Image2StyleGAN, ICCV 2019, sections 4 and 5 (a style for each layer, w+, by gradient descent
on a perceptual loss and on pixels, from the mean of w).
"""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from toonify.generate.seeds import noise_for
from toonify.models.stylegan import StyleGANGenerator
from toonify.pixels.arrays import Pixels
from toonify.pixels.crops import center_box, cut

if TYPE_CHECKING:
    from toonify.models.lpips import LpipsNetwork

STEPS = 300
_RATE = 0.05
_PIXELS = 1.0  # weight of the squared differences of pixels beside LPIPS


def project(
    network: StyleGANGenerator,
    photo: Pixels,
    lpips: "LpipsNetwork",
    *,
    seed: int = 0,
    steps: int = STEPS,
    on_step: Callable[[int], None] = lambda count: None,
) -> tuple[Tensor, float]:
    """Styles with which a generator draws a photo's middle, 1 x layers x width, and the LPIPS that is left.

    `photo` is H x W x 3, of which the square in the middle counts; `seed` is that of the noise. LPIPS needs pictures of
    16 pixels a side.
    """
    device = network.mean_w.device
    square = cut(photo, center_box(*photo.shape[:2]), network.side)
    wanted = torch.from_numpy(np.ascontiguousarray(square.transpose(2, 0, 1))).to(device)[None].float() / 127.5 - 1
    noise = noise_for(network, [seed], str(device))
    w = network.mean_w.expand(1, len(network.styled), -1).clone().requires_grad_()
    optimizer = torch.optim.Adam([w], lr=_RATE, betas=(0.9, 0.999))
    with torch.no_grad():
        maps = lpips.maps(wanted)
    left = math.inf
    best = w.detach().clone()
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = _RATE * (1 + math.cos(math.pi * step / steps)) / 2
        drawn = network.synthesis(w, noise)
        distance = lpips.distances(lpips.maps(drawn), maps).mean()
        if distance.item() < left:
            left, best = distance.item(), w.detach().clone()
        optimizer.zero_grad(set_to_none=True)
        (distance + _PIXELS * F.mse_loss(drawn, wanted)).backward(inputs=[w])  # type: ignore[no-untyped-call]
        optimizer.step()
        on_step(1)
    return best, left
