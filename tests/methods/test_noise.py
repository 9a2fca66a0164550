"""What every method from noise must keep to with every objective, on networks that are tiny in width and size."""

import copy
import math
from dataclasses import asdict
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from contracts import assert_same, close, gradients, last, parameters, phase, through_a_file
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

from toonify.errors import UsageError
from toonify.methods import METHODS
from toonify.methods.augment import augment
from toonify.methods.batch import Batch
from toonify.methods.gan import DISCRIMINATOR
from toonify.methods.growing import GrowingMethod, level_of
from toonify.methods.losses import OBJECTIVES, ObjectiveName, r1_penalty
from toonify.methods.method import GENERATOR, Phase
from toonify.methods.noise import NoiseMethod
from toonify.methods.trained import Precision
from toonify.models import ARCHITECTURES
from toonify.models.equalized import Equalized
from toonify.models.noise import Growing, NoiseGenerator
from toonify.models.stylegan import StyleGANGenerator
from toonify.train.options import make_options
from toonify.train.plan import Plan
from toonify.train.settings import method_settings

pytestmark = pytest.mark.usefixtures("one_thread")

ARCHES = [arch for arch, method in METHODS.items() if method.from_noise]
GROWING = [arch for arch in ARCHES if issubclass(METHODS[arch], GrowingMethod)]
EVERY = [(arch, objective) for arch in ARCHES for objective in OBJECTIVES]
SIZE = 32
TINY = {"size": SIZE, "width": 8, "discriminator_width": 8}


def make(arch: str, objective: ObjectiveName | None = None, dtype: Any = torch.float32, **options: Any) -> NoiseMethod:
    """A method as `train` would build it of these options, not growing unless they say so."""
    given: dict[str, Any] = {"arch": arch, **TINY, "augment": False, "objective": objective}
    if arch in GROWING:
        given["grow_epochs"] = 0
    given = {name: value for name, value in {**given, **options}.items() if value is not None}
    torch.manual_seed(0)
    method = METHODS[arch](method_settings(make_options(given)), Precision("cpu", dtype))
    assert isinstance(method, NoiseMethod)
    return method


def pictures(count: int = 4, size: int = SIZE) -> Batch:
    random = torch.Generator().manual_seed(1)
    real = F.interpolate(torch.rand(count, 3, 4, 4, generator=random) * 2 - 1, size=size, mode="bilinear")
    return Batch(real, real).to("cpu")


def only(method: NoiseMethod, network: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(method, "due", lambda phase, number: frozenset({network}))


# Every method with every objective


@pytest.mark.parametrize(("arch", "objective"), EVERY)
@pytest.mark.parametrize("network", [GENERATOR, DISCRIMINATOR])
def test_each_network_alone_lowers_its_own_loss(
    arch: str, objective: ObjectiveName, network: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # WGAN clips the critic's weights to 0.01: of 8 channels it has scores that float32 can hardly tell apart.
    method = make(arch, objective, discriminator_width=256 if objective == "wgan" else 8)
    only(method, network, monkeypatch)
    found = []
    for _ in range(4):
        torch.manual_seed(0)  # the same latents, noise, and places of a gradient penalty
        losses = method.step(pictures(), phase(method), 0)
        found.append(losses["adversarial" if network == GENERATOR else "discriminator"].item())
    start = 1 if objective == "wgan" else 0  # its weights are clipped for the first time after the first step
    assert all(math.isfinite(loss) for loss in found)
    assert found[-1] < found[start], found


@pytest.mark.parametrize(("arch", "objective"), EVERY)
def test_a_step_reaches_every_parameter(arch: str, objective: ObjectiveName) -> None:
    method = make(arch, objective, r1=1.0)
    if arch == "stylegan":
        generator = method.generator
        assert isinstance(generator, StyleGANGenerator)
        with torch.no_grad():  # fresh ones are 0, so that nothing depends on the noise of which they are the scale
            for layer in generator.styled:
                layer.noise.fill_(0.1)
    losses = method.step(pictures(), phase(method), last(method))
    assert all(loss.shape == () and not loss.requires_grad and torch.isfinite(loss) for loss in losses.values())
    # A critic, or one whose scores are all within the hinge's margin, gains nothing by shifting all scores.
    flat = objective in ("wgan", "wgan-gp", "hinge")
    for network in method.trained:
        for name, parameter in parameters(method, network).items():
            assert parameter.grad is not None and torch.isfinite(parameter.grad).all(), name
            is_shift = network == DISCRIMINATOR and name.endswith("bias") and parameter.numel() == 1
            if not (flat and is_shift):
                assert parameter.grad.abs().max() > 0, (network, name)


@pytest.mark.parametrize(("arch", "objective"), EVERY)
def test_a_critics_step_leaves_the_generator_alone(arch: str, objective: ObjectiveName) -> None:
    method = make(arch, objective, critic_steps=2)
    before = copy.deepcopy(method.state_dict())
    losses = method.step(pictures(), phase(method), 0)
    assert "adversarial" not in losses and {"discriminator", "score_real", "score_drawn"} <= losses.keys()
    assert_same(
        {name: parameter.detach() for name, parameter in parameters(method, GENERATOR).items()},
        {name: before[GENERATOR]["network"][name] for name in parameters(method, GENERATOR)},
    )
    after = method.state_dict()[DISCRIMINATOR]["network"]
    assert any(not torch.equal(after[name], before[DISCRIMINATOR]["network"][name]) for name in after)
    method.step(pictures(), phase(method), 1)
    assert any(
        not torch.equal(parameter, before[GENERATOR]["network"][name])
        for name, parameter in parameters(method, GENERATOR).items()
    )


@pytest.mark.parametrize(("arch", "objective"), EVERY)
def test_a_run_goes_on_from_its_state_bit_for_bit(arch: str, objective: ObjectiveName) -> None:
    options = {"ema": 0.5, "r1": 1.0, "r1_every": 2, "augment": True, "spectral_norm": objective == "hinge"}
    first = make(arch, objective, **options)
    first.step(pictures(), phase(first), last(first))
    state = through_a_file(first.state_dict())
    random = torch.get_rng_state()
    expected = first.step(pictures(), phase(first), last(first) + 1)

    second = make(arch, objective, **options)
    second.load_state_dict(state)
    torch.set_rng_state(random)
    assert_same(second.step(pictures(), phase(second), last(second) + 1), expected, "losses")
    assert_same(second.state_dict(), first.state_dict())


@pytest.mark.parametrize("arch", ARCHES)
def test_together_the_networks_get_the_gradients_that_each_gets_alone(
    arch: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They learn from one forward pass, whose graph serves both."""
    both = make(arch, "hinge", r1=1.0)
    torch.manual_seed(0)
    both.step(pictures(), phase(both), 0)
    for network in both.trained:
        alone = make(arch, "hinge", r1=1.0)
        only(alone, network, monkeypatch)
        torch.manual_seed(0)
        alone.step(pictures(), phase(alone), 0)
        assert close(gradients(both, network), gradients(alone, network))


@pytest.mark.parametrize("arch", ARCHES)
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_losses_are_the_papers(arch: str, objective: ObjectiveName) -> None:
    """Written once more by hand, with R1 in float64 by finite differences of the discriminator's scores."""
    method = make(arch, objective, r1=3.0)
    other = copy.deepcopy(method)
    torch.manual_seed(5)
    losses = method.step(pictures(), phase(method), method.full_step)
    torch.manual_seed(5)
    real = pictures().cartoon
    with torch.no_grad():
        part: Any = type("Part", (), {"updated": frozenset({GENERATOR}), "phase": phase(method)})
        drawn = other.draw(len(real), part)
    discriminator = other.discriminators.network
    of_real, of_drawn = discriminator(real).double(), discriminator(drawn).double()
    by_hand: dict[str, tuple[Any, Any]] = {
        "gan": (F.softplus(-of_real).mean() + F.softplus(of_drawn).mean(), F.softplus(-of_drawn).mean()),
        "lsgan": (((of_real - 1) ** 2).mean() + (of_drawn**2).mean(), ((of_drawn - 1) ** 2).mean()),
        "hinge": ((1 - of_real).clamp(min=0).mean() + (1 + of_drawn).clamp(min=0).mean(), -of_drawn.mean()),
    }
    of_discriminator, of_generator = by_hand.get(objective, (of_drawn.mean() - of_real.mean(), -of_drawn.mean()))
    if objective.startswith("wgan") and arch == "progan":
        of_discriminator = of_discriminator + 0.001 * (of_real**2).mean()
    if objective == "wgan-gp":
        mix = torch.rand(len(real), 1, 1, 1)
        between = (mix * real + (1 - mix) * drawn).requires_grad_()
        (slope,) = torch.autograd.grad(discriminator(between).sum(), between)
        of_discriminator = of_discriminator + 10 * ((slope.flatten(1).norm(dim=1) - 1) ** 2).mean()
    assert losses["adversarial"].item() == pytest.approx(of_generator.item(), rel=1e-4, abs=1e-6)
    penalty = 3.0 / 2 * losses["r1"].item()
    assert losses["discriminator"].item() == pytest.approx(of_discriminator.item() + penalty, rel=1e-4, abs=1e-6)
    assert losses["score_real"].item() == pytest.approx(of_real.mean().item(), rel=1e-4, abs=1e-6)


# Penalties


def test_r1_is_the_mean_square_of_the_gradient() -> None:
    weight = torch.tensor([0.5, -1.0, 2.0]).view(1, 3, 1, 1)
    real = torch.rand(4, 3, 8, 8).requires_grad_()
    # The gradient of each picture's score is the weight at every place: 64 (0.25 + 1 + 4) = 336.
    assert r1_penalty(lambda x: (x * weight).sum((1, 2, 3)), real).item() == pytest.approx(336)
    # That of sum(x^2) / 2 is the picture itself.
    by_hand = real.detach().square().sum((1, 2, 3)).mean().item()
    assert r1_penalty(lambda x: x.square().sum((1, 2, 3)) / 2, real).item() == pytest.approx(by_hand)


@pytest.mark.parametrize("arch", ARCHES)
def test_r1_is_calculated_in_float32_whatever_the_precision(arch: str) -> None:
    values = []
    for dtype in (torch.float32, torch.bfloat16):
        method = make(arch, "gan", dtype, r1=2.0)
        method.step(pictures(), phase(method), 0)  # so that the weights are not those of a symmetric start
        method = make(arch, "gan", dtype, r1=2.0)
        seen: list[torch.dtype] = []
        for module in method.discriminators.network.modules():
            if isinstance(module, nn.Conv2d):
                module.register_forward_hook(lambda module, inputs, y, seen=seen: seen.append(y.dtype))
        torch.manual_seed(0)
        values.append(method.step(pictures(), phase(method), 0)["r1"].item())
        assert torch.float32 in seen
    assert values[1] == pytest.approx(values[0], rel=1e-4)


def test_r1_every_few_steps_counts_as_many_times() -> None:
    method, other = make("stylegan", r1=2.0, r1_every=4), make("stylegan", r1=8.0)
    found = []
    for each in (method, other):
        torch.manual_seed(0)
        found.append(each.step(pictures(), phase(each), 4))
    assert found[0]["discriminator"].item() == pytest.approx(found[1]["discriminator"].item(), rel=1e-5)
    assert "r1" not in method.step(pictures(), phase(method), 5)


@pytest.mark.parametrize("arch", ARCHES)
def test_wgan_clips_what_the_critic_calculates_with(arch: str) -> None:
    method = make(arch, "wgan")
    method.step(pictures(), phase(method), last(method))
    sizes = []
    for module in method.discriminators.network.modules():
        for name, parameter in module.named_parameters(recurse=False):
            scale = module.scale if isinstance(module, Equalized) and name == "weight" else 1.0
            sizes.append(parameter.abs().max().item() * scale)
    assert max(sizes) == pytest.approx(0.01)


@pytest.mark.parametrize("arch", ARCHES)
def test_spectral_norm_is_for_all_layers_of_the_discriminator(arch: str) -> None:
    method = make(arch, spectral_norm=True, objective="hinge")
    for number in range(3):
        method.step(pictures(), phase(method), number)
    layers = [m for m in method.discriminators.network.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert layers and all(is_parametrized(layer, "weight") for layer in layers)
    for layer in layers:
        size = torch.linalg.matrix_norm(layer.weight.flatten(1), 2).item()
        assert size * getattr(layer, "scale", 1.0) == pytest.approx(1, abs=0.25)
    assert not any(is_parametrized(module) for module in method.generators.network.modules())


def test_a_penalized_discriminator_of_dcgan_has_no_batch_norm() -> None:
    def has_batch_norm(method: NoiseMethod, name: str) -> bool:
        return any(isinstance(module, nn.BatchNorm2d) for module in method.trained[name].network.modules())

    for options, expected in (({}, True), ({"r1": 1.0}, False), ({"objective": "wgan-gp"}, False)):
        method = make("dcgan", **options)
        assert has_batch_norm(method, GENERATOR) and has_batch_norm(method, DISCRIMINATOR) == expected


# Growing

LEVELS = [  # of a ProGAN that grows to 32 pixels, two epochs of two steps a phase, step by step
    *[2.0] * 4,
    *[2.0, 2.25, 2.5, 2.75],
    *[3.0] * 4,
    *[3.0, 3.25, 3.5, 3.75],
    *[4.0] * 4,
    *[4.0, 4.25, 4.5, 4.75],
    *[5.0] * 2,
]


def plan_of(method: NoiseMethod) -> Plan:
    return Plan(method.phases, 2, "constant")


def test_alpha_rises_evenly_through_each_fade_in() -> None:
    method = make("progan", grow_epochs=2, epochs=1)
    plan = plan_of(method)
    assert method.phases[:3] == (Phase("stabilize 4", 2), Phase("fade-in 8", 2), Phase("stabilize 8", 2))
    assert method.phases[-1] == Phase("stabilize 32", 1)
    assert [level_of(plan.phase(step), plan.progress(step)) for step in range(plan.steps)] == LEVELS
    assert level_of("fade-in 8", 0.5) == 2.5 and level_of("stabilize 1024", 0.3) == 10


@pytest.mark.parametrize("arch", GROWING)
def test_a_run_goes_on_bit_for_bit_across_a_change_of_resolution(arch: str) -> None:
    """Stopped before each step of a growing run, by what a checkpoint has alone."""
    options = {"grow_epochs": 1, "epochs": 1, "ema": 0.5}
    whole = make(arch, **options)
    plan, batch = plan_of(whole), pictures()

    def step(method: NoiseMethod, number: int) -> dict[str, Tensor]:
        return method.step(batch, plan.phase(number), number, progress=plan.progress(number))

    states, seen = [], []
    for number in range(plan.steps):
        states.append((through_a_file(whole.state_dict()), torch.get_rng_state()))
        losses = step(whole, number)
        seen.append((losses, copy.deepcopy(whole.state_dict()), whole.config))
    assert len({config["level"] for _, _, config in seen}) > 3
    for number, (state, random) in enumerate(states):
        resumed = make(arch, **options)
        resumed.load_state_dict(state)
        torch.set_rng_state(random)
        assert_same(step(resumed, number), seen[number][0], f"losses of step {number}")
        assert_same(resumed.state_dict(), seen[number][1], f"state after step {number}")
        assert resumed.config == seen[number][2]


@pytest.mark.parametrize("arch", GROWING)
def test_all_layers_are_reached_as_the_networks_grow(arch: str) -> None:
    method = make(arch, grow_epochs=1, epochs=1)
    plan = plan_of(method)
    reached: set[str] = set()
    for number in range(plan.steps):
        method.step(pictures(), plan.phase(number), number, progress=plan.progress(number))
        for network in method.trained:
            reached |= {f"{network}.{name}" for name, grad in gradients(method, network).items() if grad is not None}
    first = GrowingMethod.first_side if arch == "progan" else 8
    named = {f"{network}.{name}" for network in method.trained for name in parameters(method, network)}
    unused = {name for name in named if f"rgb.{first // 2}." in name}
    assert reached == named - unused


@pytest.mark.parametrize("arch", GROWING)
def test_networks_see_pictures_of_the_side_that_they_have(arch: str) -> None:
    method = make(arch, grow_epochs=4, epochs=1)
    assert isinstance(method, GrowingMethod)
    real = pictures().cartoon
    for phase_name, progress, side in (("stabilize 8", 0.5, 8), ("fade-in 16", 0.25, 16), ("stabilize 32", 0, 32)):
        method.begin_step(phase_name, progress)
        seen = method.real(real)
        generator = method.generator
        assert isinstance(generator, NoiseGenerator) and isinstance(generator, Growing)
        assert seen.shape[-1] == generator.side == side
        assert generator(torch.randn(2, 8)).shape == (2, 3, side, side)
    # In a fade-in, real pictures are as much finer as the layers count: here by a quarter.
    method.begin_step("fade-in 16", 0.25)
    fine = F.avg_pool2d(real, 2)
    coarse = F.avg_pool2d(fine, 2).repeat_interleave(2, 2).repeat_interleave(2, 3)
    assert torch.allclose(method.real(real), 0.75 * coarse + 0.25 * fine, atol=1e-6)


def test_optimizers_begin_anew_with_new_layers() -> None:
    method = make("progan", grow_epochs=1, epochs=1)
    plan = plan_of(method)
    counts = []
    for number in range(6):
        method.step(pictures(), plan.phase(number), number, progress=plan.progress(number))
        state = method.state_dict()[GENERATOR]["optimizer"]["state"]
        counts.append(int(max(each["step"] for each in state.values())))
    assert counts == [1, 2, 1, 2, 3, 4]


# The rest


@pytest.mark.parametrize("arch", ARCHES)
def test_the_config_is_that_of_the_generator_that_is_kept(arch: str) -> None:
    method = make(arch, ema=0.5, **({"grow_epochs": 1} if arch in GROWING else {}))
    where = ("fade-in 16", 0.5) if arch in GROWING else (phase(method), 0.0)
    method.step(pictures(), where[0], 0, progress=where[1])
    network = ARCHITECTURES[method.architecture].build(method.config)
    network.load_state_dict(method.ema_generator.state_dict())
    assert isinstance(network, NoiseGenerator)
    latent, noise = torch.randn(2, network.latent_size), torch.randn(2, max(network.noise_size, 1))
    with torch.inference_mode():
        expected = method.ema_generator.eval()(latent, noise)
        assert torch.allclose(network.eval()(latent, noise), expected, atol=1e-5)
    assert expected.shape[-1] == (16 if arch in GROWING else SIZE)


@pytest.mark.parametrize("arch", ARCHES)
def test_bfloat16_comes_near_float32(arch: str) -> None:
    results = []
    for dtype in (torch.float32, torch.bfloat16):
        method = make(arch, dtype=dtype)
        torch.manual_seed(0)
        results.append(method.step(pictures(), phase(method), last(method)))
        for network in method.trained:
            assert all(each.dtype == torch.float32 for each in parameters(method, network).values())
    exact, short = results
    for name in exact:
        assert short[name].item() == pytest.approx(exact[name].item(), rel=0.1, abs=0.1), name


@pytest.mark.parametrize("arch", ARCHES)
def test_the_average_is_what_is_kept(arch: str) -> None:
    method = make(arch, ema=0.75)
    method.step(pictures(), phase(method), last(method))
    kept = {name: tensor.clone() for name, tensor in method.ema_generator.state_dict().items()}
    assert_same(kept, method.generator.state_dict())
    method.step(pictures(), phase(method), last(method))
    for name, tensor in method.generator.state_dict().items():
        if tensor.is_floating_point():
            expected = 0.75 * kept[name] + 0.25 * tensor
            assert torch.allclose(method.ema_generator.state_dict()[name], expected, atol=1e-6), name


def test_the_running_mean_of_styles_moves_by_half_a_percent_with_each_step_of_the_generator() -> None:
    method = make("stylegan", critic_steps=2)
    generator = method.generator
    assert isinstance(generator, StyleGANGenerator)
    method.step(pictures(), phase(method), 0)
    assert torch.equal(generator.mean_w, torch.zeros(8))  # the critic's alone
    torch.manual_seed(3)
    before = copy.deepcopy(generator)
    method.step(pictures(), phase(method), 1)
    torch.manual_seed(3)
    w = before.mapping(torch.randn(8, 8))[:4]
    assert torch.allclose(generator.mean_w, 0.005 * w.mean(0), atol=1e-6)


def test_defaults_are_the_papers() -> None:
    common = {"size": 64, "critic_steps": 1, "schedule": "constant", "clip": None, "spectral_norm": False}
    grown = {"width": 512, "discriminator_width": 512, "learning_rate": 1e-3, "beta1": 0.0, "ema": 0.999}
    paper: dict[str, dict[str, Any]] = {
        "dcgan": {"objective": "gan", "width": 1024, "batch_size": 128, "learning_rate": 2e-4, "beta1": 0.5, "r1": 0},
        "progan": {**grown, "objective": "wgan-gp", "batch_size": 16, "r1": 0},
        "stylegan": {**grown, "objective": "gan", "r1": 10, "r1_every": 1, "grow_epochs": 0},
    }
    assert paper.keys() == set(ARCHES)
    for arch, wanted in paper.items():
        values = asdict(method_settings(make_options({"arch": arch})))
        assert {name: values[name] for name in common | wanted} == common | wanted, arch
    for arch, betas in (("progan", (0.0, 0.99)), ("stylegan", (0.0, 0.99)), ("dcgan", (0.5, 0.999))):
        for state in make(arch).state_dict().values():
            assert tuple(state["optimizer"]["param_groups"][0]["betas"]) == betas


def test_another_objective_brings_its_authors_rates() -> None:
    assert method_settings(make_options({"arch": "stylegan", "objective": "wgan"})).learning_rate == 5e-5
    assert method_settings(make_options({"arch": "progan", "objective": "wgan-gp"})).learning_rate == 1e-3


def test_dcgan_begins_with_a_standard_deviation_of_a_fiftieth() -> None:
    method = make("dcgan", width=64)
    kernels = torch.cat([each.flatten() for each in method.generator.parameters() if each.ndim == 4])
    assert kernels.std().item() == pytest.approx(0.02, rel=0.02) and abs(kernels.mean().item()) < 1e-3


@pytest.mark.parametrize("size", [16, 48, 63, 96, 2048])
@pytest.mark.parametrize("arch", ARCHES)
def test_a_size_that_is_no_power_of_two_is_refused(arch: str, size: int) -> None:
    with pytest.raises(UsageError, match=f"^--size {size}: give a power of two from 32 to 1024$"):
        make(arch, size=size)


# DiffAugment


def test_augmented_pictures_are_changed_each_in_its_own_way_and_gradients_go_through() -> None:
    torch.manual_seed(0)
    x = (pictures(8).cartoon * 0.5).requires_grad_()
    y = augment(x)
    assert y.shape == x.shape and y.dtype == torch.float32
    assert all(not torch.allclose(y[i], x[i], atol=0.05) for i in range(8))
    y.square().mean().backward()
    assert x.grad is not None and (x.grad.abs().sum((1, 2, 3)) > 0).all()


def test_what_is_cut_out_or_moved_in_is_gray() -> None:
    torch.manual_seed(0)
    y = augment(torch.full((64, 3, 32, 32), 0.3))
    holes = (y == 0).all(1).float().mean((1, 2))
    # A hole of a quarter of the picture, of which some may lie outside, and up to 28 of 32 rows and columns beside.
    assert holes.min() >= 1 / 16 and holes.max() <= 1 / 4 + 1 - (28 / 32) ** 2
    assert 0.2 < holes.mean() < 0.35


def test_a_discriminator_sees_drawn_and_real_pictures_augmented(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def mark(x: Tensor) -> Tensor:
        seen.append(len(x))
        return x.float()

    monkeypatch.setattr("toonify.methods.noise.augment", mark)
    method = make("dcgan", augment=True)
    method.step(pictures(), phase(method), 0)
    assert seen == [4, 4]
    make("dcgan").step(pictures(), phase(method), 0)
    assert seen == [4, 4]
