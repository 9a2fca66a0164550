"""What networks are trained to lower: adversarial objectives, content, gradient penalty, CAM.

Scores are a discriminator's raw outputs (logits) of any shape; every loss is a scalar, a mean over its inputs.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from toonify.models.adain import statistics

if TYPE_CHECKING:
    from toonify.models.lpips import LpipsNetwork

ObjectiveName = Literal["gan", "lsgan", "wgan", "wgan-gp", "hinge"]
GRADIENT_PENALTY = 10.0  # lambda of WGAN-GP (Gulrajani et al. 2017, section 4)


@dataclass(frozen=True)
class Objective:
    """An adversarial objective: what the discriminator and the generator want its scores to be.

    The other fields are how the objective's authors train with it.
    """

    of_real: Callable[[Tensor], Tensor]  # the discriminator's loss on scores of real pictures
    of_drawn: Callable[[Tensor], Tensor]  # and on scores of drawn ones (and of edge-smoothed ones)
    of_generator: Callable[[Tensor], Tensor]  # the generator's loss on the scores of its drawings
    averages_fakes: bool = False  # several kinds of fakes count as one mixture, not each in full
    penalizes_gradient: bool = False
    optimizer: Literal["adam", "rmsprop"] = "adam"
    beta2: float = 0.999  # of Adam
    defaults: dict[str, float] = field(default_factory=dict)  # settings that its authors train with
    weight_limit: float | None = None  # to which the discriminator's weights are clipped after its steps

    def of_discriminator(self, real: Tensor, fakes: Sequence[Tensor]) -> Tensor:
        """The discriminator's loss: real scores against one or more kinds of fakes.

        With edge-smoothed cartoons as a second kind this is CartoonGAN's edge-promoting loss (CVPR 2018, eq. 3), which
        adds the kinds up. The critics of WGAN take their mean: with a sum, shifting all scores would lower the loss.
        """
        drawn = torch.stack([self.of_drawn(scores) for scores in fakes])
        return self.of_real(real) + (drawn.mean() if self.averages_fakes else drawn.sum())


def _toward(target: float, distance: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    return lambda scores: distance(scores, torch.full_like(scores, target))


_BCE, _MSE = F.binary_cross_entropy_with_logits, F.mse_loss

OBJECTIVES: dict[ObjectiveName, Objective] = {
    # Goodfellow et al. 2014, with the generator's non-saturating form (section 3)
    "gan": Objective(_toward(1, _BCE), _toward(0, _BCE), _toward(1, _BCE)),
    # Mao et al., ICCV 2017, eq. 9: a = 0, b = c = 1
    "lsgan": Objective(_toward(1, _MSE), _toward(0, _MSE), _toward(1, _MSE)),
    # Arjovsky et al. 2017, algorithm 1
    "wgan": Objective(
        lambda scores: -scores.mean(),
        lambda scores: scores.mean(),
        lambda scores: -scores.mean(),
        averages_fakes=True,
        optimizer="rmsprop",
        defaults={"learning_rate": 5e-5, "critic_steps": 5},
        weight_limit=0.01,
    ),
    # Gulrajani et al. 2017, algorithm 1; batch norm would make the penalty of one picture depend on the others
    "wgan-gp": Objective(
        lambda scores: -scores.mean(),
        lambda scores: scores.mean(),
        lambda scores: -scores.mean(),
        averages_fakes=True,
        penalizes_gradient=True,
        beta2=0.9,
        defaults={"learning_rate": 1e-4, "beta1": 0.0, "critic_steps": 5},
    ),
    # Lim and Ye 2017; Miyato et al. 2018, eq. 17
    "hinge": Objective(
        lambda scores: F.relu(1 - scores).mean(),
        lambda scores: F.relu(1 + scores).mean(),
        lambda scores: -scores.mean(),
    ),
}


def gradient_penalty(critic: Callable[[Tensor], Tensor], real: Tensor, drawn: Tensor) -> Tensor:
    """Mean of (|gradient of the critic| - 1)^2 at random points between real and drawn pictures, N x C x H x W each.

    Source: Gulrajani et al. 2017, eq. 3, without lambda. In float32: squares of small gradients vanish in less.
    """
    with torch.autocast(real.device.type, enabled=False):
        real, drawn = real.float(), drawn.float()
        mix = torch.rand(len(real), 1, 1, 1, device=real.device)
        between = (mix * real + (1 - mix) * drawn).detach().requires_grad_()
        of_each = critic(between).reshape(len(real), -1).mean(1)  # a picture's value, where patches are scored
        (gradient,) = torch.autograd.grad(of_each.sum(), between, create_graph=True)
        length = gradient.flatten(1).square().sum(1).add(1e-12).sqrt()  # the root has no slope at 0
        return (length - 1).square().mean()


def r1_penalty(discriminator: Callable[[Tensor], Tensor], real: Tensor, scores: Tensor | None = None) -> Tensor:
    """Mean of |gradient of the discriminator|^2 at real pictures, N x C x H x W, which require a gradient.

    `scores` are what it says of them, if that was calculated in float32 already. In float32, as the gradient penalty.

    Source: Mescheder, Geiger, Nowozin: Which Training Methods for GANs do actually Converge?, ICML 2018, equation 9,
    without gamma / 2.
    """
    with torch.autocast(real.device.type, enabled=False):
        if scores is None:
            scores = discriminator(real)
        (gradient,) = torch.autograd.grad(scores.sum(), real, create_graph=True)
        return gradient.flatten(1).square().sum(1).mean()


Features = Callable[[Tensor], Sequence[Tensor]]  # feature maps of a batch of pictures, N x C x h x w each


def content_loss(features: Features, drawn: Tensor, photo: Tensor) -> Tensor:
    """Mean absolute difference of two pictures' features; the photo's get no gradient (CVPR 2018, eq. 4).

    Of several feature maps, the mean over the maps.
    """
    with torch.no_grad():
        goals = features(photo)
    losses = [F.l1_loss(found.float(), goal.float()) for found, goal in zip(features(drawn), goals, strict=True)]
    return torch.stack(losses).mean()


def relative_content_loss(features: Features, drawn: Tensor, wanted: Tensor) -> Tensor:
    """The content loss relative to the mean size of each wanted picture's features, so that no layer has its own scale.

    Two pictures of which nothing is alike come to about 1.
    """
    with torch.no_grad():
        goals = [goal.float() for goal in features(wanted)]
    losses = []
    for found, goal in zip(features(drawn), goals, strict=True):
        size = goal.abs().mean(dim=(1, 2, 3)).clamp(min=1e-6)
        losses.append(((found.float() - goal).abs().mean(dim=(1, 2, 3)) / size).mean())
    return torch.stack(losses).mean()


def lpips_loss(network: "LpipsNetwork", drawn: Tensor, wanted: Tensor) -> Tensor:
    """LPIPS of pictures to those that were wanted, N x 3 x H x W in -1..1 each; only what was drawn gets a gradient."""
    with torch.no_grad():
        goals = network.maps(wanted)
    return network.distances(network.maps(drawn), goals).mean()


def statistics_loss(found: Sequence[Tensor], wanted: Sequence[Tensor]) -> Tensor:
    """How far the statistics of drawings' feature maps are from those of pictures: N x C x h x w each, of any h and w.

    For each map the mean squared differences of the channels' means and standard deviations over the frame, all added
    up. Source: Huang and Belongie, ICCV 2017, equation 13, with means over channels in the place of norms.
    """
    pairs = [(*statistics(a), *statistics(b)) for a, b in zip(found, wanted, strict=True)]
    return torch.stack([F.mse_loss(mean, m) + F.mse_loss(std, s) for mean, std, m, s in pairs]).sum()


def gradient_loss(difference: Tensor) -> Tensor:
    """Mean size of the slopes, across and down, of the difference of two pictures: N x C x H x W."""
    across = difference[..., :, 1:] - difference[..., :, :-1]
    down = difference[..., 1:, :] - difference[..., :-1, :]
    return (across.abs().mean() + down.abs().mean()) / 2


def cam_loss(of_source: Tensor, of_target: Tensor) -> Tensor:
    """The auxiliary classifier of U-GAT-IT's generator is to tell photos (1) from cartoons (0): logits, N x k each.

    Source: Kim et al., ICLR 2020, section 2.2, CAM loss.
    """
    return _toward(1, _BCE)(of_source) + _toward(0, _BCE)(of_target)
