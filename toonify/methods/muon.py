"""Muon: steps along the nearest semi-orthogonal matrix to the momentum, in place of the momentum itself.

Jordan et al., Muon: An optimizer for hidden layers in neural networks, 2024. All directions of a layer's weights are
learned at the same pace, not only those in which gradients are largest. Steps are scaled to have about the size of
Adam's (Liu et al., Muon is scalable for LLM training, 2025, section 2.2), so that both can have one learning rate.

torch.optim.Muon is for matrices alone, one at a time; here are kernels of convolutions, and those of equal shape are
stepped together, as a student has many small ones.
"""

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

_ROUNDS = 5  # of Newton-Schulz
_COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # of its polynomial: singular values of 0.01 and more come to about 1
_ADAMS_SIZE = 0.2  # root mean square of Adam's steps, about, in learning rates


def hidden_kernels(network: nn.Module) -> list[nn.Parameter]:
    """The kernels that Muon is for: of all convolutions but the first and the last, in the network's own order."""
    kernels = [parameter for parameter in network.parameters() if parameter.ndim == 4 and parameter.requires_grad]
    return kernels[1:-1]


def orthogonalize(matrices: Tensor) -> Tensor:
    """Bring the singular values of matrices, N x A x B, to about 1 (0.7 to 1.2) and keep their singular vectors."""
    a, b, c = _COEFFICIENTS
    tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.mT if tall else matrices
    x = x / x.norm(dim=(1, 2), keepdim=True).clamp(min=1e-7)  # Frobenius: no singular value is above 1
    for _ in range(_ROUNDS):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    orthogonal: Tensor = x.mT if tall else x
    return orthogonal


class Muon(torch.optim.Optimizer):
    """Muon with Nesterov's momentum, for kernels (a matrix has a row for each output channel) and matrices."""

    def __init__(self, parameters: Iterable[nn.Parameter], *, lr: float, momentum: float = 0.95) -> None:
        super().__init__(parameters, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Update the parameters from their gradients; those without gradients stay."""
        assert closure is None  # noqa: S101 - nobody here has one
        for group in self.param_groups:
            alike: dict[tuple[int, int], list[tuple[Tensor, Tensor]]] = {}
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                state = self.state[parameter]
                if not state:
                    state["momentum"] = torch.zeros_like(parameter)
                state["momentum"].lerp_(parameter.grad, 1 - group["momentum"])
                ahead = parameter.grad.lerp(state["momentum"], group["momentum"]).flatten(1)
                alike.setdefault((ahead.shape[0], ahead.shape[1]), []).append((parameter, ahead))
            for shape, members in alike.items():
                rate = group["lr"] * _ADAMS_SIZE * math.sqrt(max(shape))
                steps = orthogonalize(torch.stack([ahead.float() for _, ahead in members]))
                for (parameter, _), step in zip(members, steps, strict=True):
                    parameter.add_(step.view(parameter.shape), alpha=-rate)
