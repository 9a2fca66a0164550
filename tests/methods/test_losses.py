"""Every loss against numbers that were worked out by hand."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from toonify.methods.losses import (
    OBJECTIVES,
    Objective,
    ObjectiveName,
    cam_loss,
    content_loss,
    gradient_penalty,
    relative_content_loss,
)

pytestmark = pytest.mark.usefixtures("one_thread")


def softplus(x: float) -> float:
    """-log of what a sigmoid makes of -x."""
    return math.log1p(math.exp(x))


# Objectives

SCORES = (-1.0, 0.5)
BY_HAND = {  # of SCORES: loss if they are of real pictures, if they are of drawn ones, and of the generator
    "gan": ((softplus(1) + softplus(-0.5)) / 2, (softplus(-1) + softplus(0.5)) / 2, (softplus(1) + softplus(-0.5)) / 2),
    "lsgan": ((4 + 0.25) / 2, (1 + 0.25) / 2, (4 + 0.25) / 2),
    "wgan": (0.25, -0.25, 0.25),
    "wgan-gp": (0.25, -0.25, 0.25),
    "hinge": ((2 + 0.5) / 2, (0 + 1.5) / 2, 0.25),
}


def test_every_objective_is_worked_out_here() -> None:
    assert BY_HAND.keys() == OBJECTIVES.keys()


@pytest.mark.parametrize("name", OBJECTIVES)
@pytest.mark.parametrize("shape", [(2,), (2, 1, 1, 1), (1, 1, 1, 2), (3, 1, 4, 2)])
def test_losses_are_means_over_scores_of_any_shape(name: ObjectiveName, shape: tuple[int, ...]) -> None:
    objective = OBJECTIVES[name]
    scores = torch.tensor(SCORES).repeat(math.prod(shape) // 2).view(shape)
    found = [loss(scores) for loss in (objective.of_real, objective.of_drawn, objective.of_generator)]
    assert all(loss.shape == () for loss in found)
    assert [loss.item() for loss in found] == pytest.approx(BY_HAND[name], abs=1e-6)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_the_players_pull_the_score_of_a_drawing_in_opposite_directions(name: ObjectiveName) -> None:
    objective = OBJECTIVES[name]
    score = torch.tensor([0.25], requires_grad=True)  # neither network has all that it wants
    (of_discriminator,) = torch.autograd.grad(objective.of_drawn(score), score)
    (of_generator,) = torch.autograd.grad(objective.of_generator(score), score)
    (of_real,) = torch.autograd.grad(objective.of_real(score), score)
    assert of_discriminator > 0 > of_generator and of_real < 0


REAL, DRAWN, SMOOTH = torch.tensor([2.0, 0.0]), torch.tensor([0.5]), torch.tensor([[-2.0, 1.0]])
WHOLE = {  # the discriminator's loss with drawings alone, and with edge-smoothed cartoons, too
    "gan": (
        (softplus(-2) + softplus(0)) / 2 + softplus(0.5),
        (softplus(-2) + softplus(0)) / 2 + softplus(0.5) + (softplus(-2) + softplus(1)) / 2,
    ),
    "lsgan": (1 + 0.25, 1 + 0.25 + 2.5),
    "wgan": (-1 + 0.5, -1 + (0.5 - 0.5) / 2),
    "wgan-gp": (-1 + 0.5, -1 + (0.5 - 0.5) / 2),
    "hinge": (0.5 + 1.5, 0.5 + 1.5 + 1),
}


@pytest.mark.parametrize("name", OBJECTIVES)
def test_a_second_kind_of_fakes_counts_in_full_and_for_critics_as_half_of_them(name: ObjectiveName) -> None:
    objective = OBJECTIVES[name]
    found = [objective.of_discriminator(REAL, fakes).item() for fakes in ([DRAWN], [DRAWN, SMOOTH])]
    assert found == pytest.approx(WHOLE[name], abs=1e-6)


@pytest.mark.parametrize("name", [name for name, objective in OBJECTIVES.items() if objective.averages_fakes])
@pytest.mark.parametrize("kinds", [1, 2, 3])
def test_a_critic_gains_nothing_by_shifting_its_scores(name: ObjectiveName, kinds: int) -> None:
    fakes = [DRAWN, SMOOTH, REAL][:kinds]
    before, after = (
        OBJECTIVES[name].of_discriminator(REAL + shift, [fake + shift for fake in fakes]) for shift in (0, 64)
    )
    assert before.item() == pytest.approx(after.item(), abs=1e-5)


def test_objectives_train_as_their_authors_did() -> None:
    def training(objective: Objective) -> tuple[object, ...]:
        return objective.optimizer, objective.beta2, objective.defaults, objective.weight_limit

    adam: tuple[object, ...] = ("adam", 0.999, {}, None)
    assert {name: training(objective) for name, objective in OBJECTIVES.items()} == {
        "gan": adam,
        "lsgan": adam,
        "wgan": ("rmsprop", 0.999, {"learning_rate": 5e-5, "critic_steps": 5}, 0.01),
        "wgan-gp": ("adam", 0.9, {"learning_rate": 1e-4, "beta1": 0.0, "critic_steps": 5}, None),
        "hinge": adam,
    }
    assert [name for name, objective in OBJECTIVES.items() if objective.penalizes_gradient] == ["wgan-gp"]


# Gradient penalty


class LinearCritic(nn.Module):
    """One score a picture: the sum of its values times weights of the same shape."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight)

    def forward(self, x: Tensor) -> Tensor:
        return (x * self.weight).sum((1, 2, 3))


class PatchCritic(nn.Module):
    """One score a place, N x 1 x H x W: that place's channels times a weight each."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight)

    def forward(self, x: Tensor) -> Tensor:
        return torch.einsum("nchw,c->nhw", x, self.weight)[:, None]


def pictures(count: int = 2, height: int = 4, width: int = 6) -> tuple[Tensor, Tensor]:
    random = torch.Generator().manual_seed(0)
    real, drawn = (torch.rand(count, 3, height, width, generator=random) * 2 - 1 for _ in range(2))
    return real, drawn


def test_the_penalty_of_a_linear_critic_is_that_of_its_weights_length() -> None:
    weight = torch.randn(3, 4, 6, generator=torch.Generator().manual_seed(1))
    critic = LinearCritic(weight)
    penalty = gradient_penalty(critic, *pictures())
    length = weight.norm()
    assert penalty.item() == pytest.approx((length.item() - 1) ** 2, rel=1e-5)
    penalty.backward()
    assert critic.weight.grad is not None
    assert torch.allclose(critic.weight.grad, 2 * (length - 1) * weight / length, rtol=1e-4)


def test_a_critic_of_slope_1_is_not_penalized() -> None:
    weight = torch.zeros(3, 4, 6)
    weight[1, 2, 3] = -1
    assert gradient_penalty(LinearCritic(weight), *pictures()).item() == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (4, 6), (8, 8)])
def test_where_patches_are_scored_a_pictures_value_is_their_mean(height: int, width: int) -> None:
    critic = PatchCritic(torch.tensor([2.0, -3.0, 6.0]))  # of length 7
    penalty = gradient_penalty(critic, *pictures(2, height, width))
    # The mean's slope is weight / places at each of them.
    assert penalty.item() == pytest.approx((7 / math.sqrt(height * width) - 1) ** 2, rel=1e-5)


def test_the_penalty_is_the_mean_over_pictures() -> None:
    real = torch.stack([torch.full((3, 2, 2), value) for value in (0.5, 1.0)])
    penalty = gradient_penalty(lambda x: x.square().sum((1, 2, 3)) / 2, real, real)  # whose slope is x
    lengths = [value * math.sqrt(12) for value in (0.5, 1.0)]
    assert penalty.item() == pytest.approx(sum((length - 1) ** 2 for length in lengths) / 2, rel=1e-5)


def test_the_penalty_is_taken_between_a_real_picture_and_a_drawn_one() -> None:
    real, drawn = pictures(64)
    seen: list[Tensor] = []

    def critic(x: Tensor) -> Tensor:
        seen.append(x.detach())
        return x.sum((1, 2, 3))

    torch.manual_seed(0)
    gradient_penalty(critic, real, drawn)
    (between,) = seen
    share = (between - drawn) / (real - drawn)  # of the real picture: the same all over a picture
    of_each = share.flatten(1).median(1).values
    assert torch.allclose(between, drawn + of_each.view(-1, 1, 1, 1) * (real - drawn), atol=1e-5)
    assert 0 <= of_each.min() < 0.1 and 0.9 < of_each.max() <= 1
    assert of_each.mean().item() == pytest.approx(0.5, abs=0.15)


def test_the_penalty_is_the_critics_alone() -> None:
    real, drawn = (picture.requires_grad_() for picture in pictures())
    gradient_penalty(PatchCritic(torch.ones(3)), real, drawn).backward()
    assert real.grad is None and drawn.grad is None


def test_a_critic_without_slope_can_be_penalized() -> None:
    critic = LinearCritic(torch.zeros(3, 4, 6))
    penalty = gradient_penalty(critic, *pictures())
    penalty.backward()
    assert penalty.item() == pytest.approx(1, abs=1e-5)
    assert critic.weight.grad is not None and torch.isfinite(critic.weight.grad).all()


def test_the_penalty_is_reckoned_in_float32() -> None:
    critic = nn.Conv2d(3, 1, 1)
    real, drawn = pictures()
    torch.manual_seed(0)
    expected = gradient_penalty(critic, real, drawn.bfloat16().float())
    torch.manual_seed(0)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = gradient_penalty(critic, real, drawn.bfloat16())
    assert found.dtype == torch.float32 and torch.equal(found, expected)


# Content and CAM


def test_content_is_the_mean_absolute_difference_of_features() -> None:
    network = nn.Conv2d(3, 2, 1)
    weight, bias = np.array([[1.0, -2.0, 0.5], [0.25, 4.0, -1.0]]), np.array([0.5, -1.0])
    with torch.no_grad():
        network.weight.copy_(torch.from_numpy(weight)[:, :, None, None])
        network.bias.copy_(torch.from_numpy(bias))
    network.requires_grad_(False)
    drawn, photo = (picture.requires_grad_() for picture in pictures())

    def features(picture: Tensor) -> np.ndarray:
        values = picture.detach().numpy().transpose(0, 2, 3, 1)
        return values.astype(np.float64) @ weight.T + bias

    loss = content_loss(lambda picture: [network(picture)], drawn, photo)
    assert loss.item() == pytest.approx(np.abs(features(drawn) - features(photo)).mean(), rel=1e-5)
    loss.backward()
    signs = np.sign(features(drawn) - features(photo))
    slope = (signs @ weight / signs.size).transpose(0, 3, 1, 2)
    assert drawn.grad is not None and photo.grad is None
    assert np.allclose(drawn.grad.numpy(), slope, atol=1e-6)
    assert network.weight.grad is None


def test_content_of_the_photo_itself_costs_nothing() -> None:
    photo, _ = pictures()
    network = nn.Conv2d(3, 2, 3)
    assert content_loss(lambda picture: [network(picture), picture], photo, photo) == 0


def test_several_feature_maps_count_alike() -> None:
    drawn, photo = pictures()
    maps = [lambda picture: picture * 3, lambda picture: picture[:, :1, ::2]]
    each = [content_loss(lambda picture, one=one: [one(picture)], drawn, photo) for one in maps]  # type: ignore[misc]
    together = content_loss(lambda picture: [one(picture) for one in maps], drawn, photo)
    assert together.item() == pytest.approx((each[0].item() + each[1].item()) / 2, rel=1e-6)


def test_relative_content_knows_no_scale() -> None:
    drawn, photo = pictures()
    sizes = np.abs(photo.numpy()).mean(axis=(1, 2, 3))
    expected = (np.abs(drawn.numpy() - photo.numpy()).mean(axis=(1, 2, 3)) / sizes).mean()
    for scales in ([1.0], [0.01, 100.0]):
        found = relative_content_loss(lambda picture, by=scales: [picture * scale for scale in by], drawn, photo)  # type: ignore[misc]
        assert found.item() == pytest.approx(expected, rel=1e-5)


def test_content_is_compared_in_float32() -> None:
    drawn, photo = pictures()
    network = nn.Conv2d(3, 2, 1)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = content_loss(lambda picture: [network(picture)], drawn, photo)
    assert found.dtype == torch.float32
    exact = content_loss(lambda picture: [network(picture)], drawn, photo)
    assert found.item() == pytest.approx(exact.item(), rel=0.05)


def test_the_attentions_classifiers_are_to_say_1_of_photos_and_0_of_cartoons() -> None:
    of_source, of_target = torch.tensor([[2.0, -1.0]]), torch.tensor([[0.5, 0.0], [-3.0, 1.0]])
    expected = (softplus(-2) + softplus(1)) / 2 + (softplus(0.5) + softplus(0) + softplus(-3) + softplus(1)) / 4
    assert cam_loss(of_source, of_target).item() == pytest.approx(expected, abs=1e-6)
