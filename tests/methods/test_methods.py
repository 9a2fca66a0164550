"""What every method from photo to cartoon must keep to with every objective, on networks that are tiny in all ways."""

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, fields, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest
import torch
import torch.nn.functional as F
import torchvision
from contracts import assert_same, close, gradients, last, parameters, phase, through_a_file
from torch import Tensor, nn
from torch.nn.utils.parametrize import ParametrizationList, is_parametrized

from toonify.distill.options import DistillOptions
from toonify.errors import UsageError, WeightsError
from toonify.methods import METHODS, Arch
from toonify.methods.adain import STYLE_TRANSFER, StyleTransfer
from toonify.methods.adversarial import ADVERSARIAL, INITIALIZATION, AdversarialMethod
from toonify.methods.batch import Batch
from toonify.methods.cyclegan import CycleGAN
from toonify.methods.distill import DISTILLATION, Distill
from toonify.methods.gan import DISCRIMINATOR
from toonify.methods.losses import OBJECTIVES, ObjectiveName
from toonify.methods.method import GENERATOR, ContentSettings, Method, Schedule, Settings
from toonify.methods.pool import ImagePool
from toonify.methods.trained import Learning, Precision, TrainedNetworks
from toonify.methods.ugatit import UGATIT
from toonify.models import ARCHITECTURES
from toonify.models.adain import AdaINGenerator, encoder
from toonify.models.layers import Norm
from toonify.models.ugatit import AdaptiveLayerInstanceNorm
from toonify.train.options import Options, bare_type, make_options
from toonify.train.settings import method_settings

pytestmark = pytest.mark.usefixtures("one_thread")

TINY: dict[str, dict[str, Any]] = {  # the smallest that each method takes
    "cartoongan": {"size": 16, "blocks": 1},
    "cartoongan-improved": {"size": 16, "blocks": 1},
    "cyclegan": {"size": 24, "blocks": 1},
    "ugatit": {"size": 16, "blocks": 1},
    "pix2pix": {"size": 24, "depth": 3},
    "distill": {"size": 16, "blocks": 1},
    "adain": {"size": 32, "width": 8},
    "adain-lite": {"size": 32, "blocks": 1},
}
OF_PHOTOS = [arch for arch, method in METHODS.items() if not method.from_noise]  # test_noise.py has the others
ADVERSARIAL_METHODS = [arch for arch in OF_PHOTOS if issubclass(METHODS[arch], AdversarialMethod)]
WITH_OBJECTIVES: list[tuple[str, ObjectiveName | None]] = [
    (arch, objective) for arch in ADVERSARIAL_METHODS for objective in OBJECTIVES
]
EVERY = WITH_OBJECTIVES + [(arch, None) for arch in OF_PHOTOS if arch not in ADVERSARIAL_METHODS]
KINDS = (Options, DistillOptions)
WITH_CONTENT = [arch for arch in OF_PHOTOS if issubclass(METHODS[arch].settings_type, ContentSettings)]
Make = Callable[..., Method]


def save_features(path: Path, network: str, first: tuple[str, ...]) -> str:
    """Random weights of the first layers of a content network, with torchvision's names."""
    random = torch.Generator().manual_seed(0)
    with torch.device("meta"):
        shapes = torchvision.models.get_model(network, weights=None).state_dict()
    state = {}
    for name, tensor in shapes.items():
        if name.startswith(first):
            kernel = tensor.dim() == 4
            scale = (2 / tensor[0].numel()) ** 0.5 if kernel else 0.1
            state[name] = torch.randn(tensor.shape, generator=random) * scale
            if name.endswith("num_batches_tracked"):
                state[name] = torch.tensor(0)
            elif not kernel and not name.endswith(("bias", "mean")):
                state[name] += 1
    torch.save(state, path)
    return str(path)


@pytest.fixture(scope="module")
def features(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("features") / "vgg19.pth"
    return save_features(path, "vgg19", ("features.0.", "features.2."))


def save_encoder(path: Path, width: int) -> str:
    """AdaIN's encoder, so much narrower, with weights of chance that keep the size of what goes through."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = encoder(width)
        for module in network.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)
                nn.init.constant_(module.get_parameter("bias"), 0.1)
    torch.save(network.state_dict(), path)
    return str(path)


@pytest.fixture
def make(features: str, tmp_path: Path) -> Make:
    """A method as `train` would build it of these options, with tiny networks unless they say otherwise."""

    def make(arch: str, objective: ObjectiveName | None = None, dtype: Any = torch.float32, **options: Any) -> Method:
        given = {"width": 4, "content": "vgg19:conv1_2", "content_weights": features, **TINY[arch]}
        if arch not in WITH_CONTENT:
            encoder_file = save_encoder(tmp_path / "encoder.pth", options.get("width", 8) if arch == "adain" else 8)
            given |= {"content": None, "content_weights": encoder_file}
        if arch in ADVERSARIAL_METHODS:
            given |= {"init_epochs": 1, "discriminator_width": 4}
        else:
            given["content_weight"] = 1
        if objective is not None:
            given["objective"] = objective
        given = {name: value for name, value in {**given, **options}.items() if value is not None}
        settings = settings_of(arch, **given)
        torch.manual_seed(0)
        return METHODS[arch](settings, Precision("cpu", dtype))

    return make


def batch_for(method: Method, count: int = 2) -> Batch:
    """The same few pictures each time, with edge-smoothed ones and frames where the method asks for them."""
    random = torch.Generator().manual_seed(1)
    size = method.settings.size
    photo, cartoon = (
        F.interpolate(torch.rand(count, 3, 4, 4, generator=random) * 2 - 1, size=size, mode="bilinear")
        for _ in range(2)
    )
    smooth = F.avg_pool2d(cartoon, 3, 1, 1) if getattr(method.settings, "edge_promoting", False) else None
    frame = torch.rand(count, 2, 5, generator=random) if isinstance(method, Distill) else None
    return Batch(photo, cartoon, smooth, frame).to("cpu")


def calm(method: Method) -> Method:
    """Take away what makes each forward pass another one: dropout, and the power iterations of spectral norms."""
    for trained in method.trained.values():
        for module in trained.network.modules():
            if isinstance(module, nn.Dropout):
                module.p = 0.0
            elif isinstance(module, ParametrizationList):
                module.eval()
    return method


# Every method with every objective


@pytest.mark.parametrize(("arch", "objective"), EVERY)
def test_each_player_alone_lowers_its_own_loss(
    arch: str, objective: ObjectiveName, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    wide = {}
    if objective == "wgan" and arch.startswith("cartoongan"):
        # WGAN clips the scales of norms, too: three of at most 0.01 each, one on the other, leave a critic of 4
        # channels scores that differ by less than float32 can tell.
        wide["discriminator_width"] = 16
    for network in make(arch, objective).trained:
        method = make(arch, objective, **wide)
        side = method.trained[network]
        monkeypatch.setattr(method, "due", lambda phase, number, network=network: frozenset({network}))
        backward = side.backward
        terms: list[float] = []

        def see(loss: Tensor, backward: Any = backward, terms: list[float] = terms) -> None:
            terms.append(loss.item())
            backward(loss)

        monkeypatch.setattr(side, "backward", see)
        batch, losses = batch_for(method), []
        for _ in range(3):
            terms.clear()
            torch.manual_seed(0)  # the same dropout, and the same places for a gradient penalty
            method.step(batch, phase(method), 0)
            losses.append(sum(terms))  # discriminators have one for each side
        start = 1 if objective == "wgan" else 0  # its weights are clipped for the first time after the first step
        assert all(math.isfinite(loss) for loss in losses)
        assert losses[-1] < losses[start], (network, losses)


def without_slope(method: Method) -> set[nn.Parameter]:
    """Parameters that no loss depends on, so that their gradients are 0 but for rounding."""
    found: set[Any] = set()
    for trained in method.trained.values():
        for module in trained.network.modules():
            if isinstance(module, nn.Sequential):
                # What a bias adds, the batch or instance norm behind it takes away again.
                found |= {
                    layer.bias
                    for layer, norm in pairwise(module)
                    if isinstance(norm, nn.BatchNorm2d | nn.InstanceNorm2d)
                }
    # A critic gains nothing by shifting all scores, as its last bias would; nor does a hinge, as long as no score is
    # beyond its margin and there is one kind of fakes.
    if not isinstance(method, AdversarialMethod):
        return set()
    within = method.settings.objective == "hinge" and not method.settings.edge_promoting
    if method.objective.averages_fakes or within:
        network = method.discriminators.network
        for discriminator in network if isinstance(network, nn.ModuleList) else [network]:
            found.add([module for module in discriminator.modules() if isinstance(module, nn.Conv2d)][-1].bias)
    return {parameter for parameter in found if parameter is not None}


@pytest.mark.parametrize(("arch", "objective"), EVERY)
def test_a_step_reaches_every_parameter_and_nothing_that_is_frozen(
    arch: str, objective: ObjectiveName, make: Make
) -> None:
    method = make(arch, objective, content_weight=1)
    flat = without_slope(method)
    losses = method.step(batch_for(method), phase(method), last(method))
    assert all(loss.shape == () and not loss.requires_grad and torch.isfinite(loss) for loss in losses.values())
    for network in method.trained:
        named = parameters(method, network)
        learned = {name: parameter for name, parameter in named.items() if parameter.requires_grad}
        assert named == learned or isinstance(method, StyleTransfer)  # which has a fixed encoder, and places for styles
        assert all(named[name].grad is None for name in named.keys() - learned.keys())
        largest = max(parameter.grad.abs().max() for parameter in learned.values() if parameter.grad is not None)
        for name, parameter in learned.items():
            assert parameter.grad is not None and torch.isfinite(parameter.grad).all(), name
            if parameter in flat:
                assert parameter.grad.abs().max() < 1e-5 * largest, name
            else:
                assert parameter.grad.abs().max() > 0, name
    assert method.perceptual_networks
    for perceptual in method.perceptual_networks.values():
        for parameter in perceptual.parameters():
            assert not parameter.requires_grad and parameter.grad is None


@pytest.mark.parametrize(("arch", "objective"), WITH_OBJECTIVES)
def test_who_is_not_due_stays_as_it_is(arch: str, objective: ObjectiveName, make: Make) -> None:
    method = make(arch, objective, critic_steps=2)
    batch = batch_for(method)
    before = copy.deepcopy(method.state_dict())
    losses = method.step(batch, INITIALIZATION, 0)
    assert losses.keys() == {"content"}
    assert_same(method.state_dict()[DISCRIMINATOR], before[DISCRIMINATOR])  # spectral norms and the optimizer, too
    assert all(gradient is None for gradient in gradients(method, DISCRIMINATOR).values())
    drawing = {name: parameter.clone() for name, parameter in parameters(method, GENERATOR).items()}
    assert any(not torch.equal(drawing[name], before[GENERATOR]["network"][name]) for name in drawing)

    of_content = gradients(method, GENERATOR)
    kept_for_backward: list[bool] = []
    for module in method.generators.network.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(lambda module, inputs, y: kept_for_backward.append(y.requires_grad))
    losses = method.step(batch, ADVERSARIAL, 0)
    assert kept_for_backward and not any(kept_for_backward)  # drawn without what only gradients would need
    assert {name.split("_")[0] for name in losses} == {"discriminator", "score"}
    assert_same(parameters(method, GENERATOR), drawing)  # a batch norm's running statistics may move on
    assert_same(gradients(method, GENERATOR), of_content)
    judging = method.state_dict()[DISCRIMINATOR]["network"]
    assert any(not torch.equal(judging[name], before[DISCRIMINATOR]["network"][name]) for name in judging)


@pytest.mark.parametrize("arch", ADVERSARIAL_METHODS)
def test_together_the_players_get_the_gradients_that_each_gets_alone(
    arch: str, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The generators' losses go through the discriminators and leave no trace there."""
    both = calm(make(arch, "wgan-gp"))
    batch = batch_for(both)
    torch.manual_seed(0)
    both.step(batch, ADVERSARIAL, last(both))
    for network in both.trained:
        alone = calm(make(arch, "wgan-gp"))
        monkeypatch.setattr(alone, "due", lambda phase, number, network=network: frozenset({network}))
        torch.manual_seed(0)
        alone.step(batch, ADVERSARIAL, 0)
        assert close(gradients(both, network), gradients(alone, network))


@pytest.mark.parametrize(("arch", "objective"), EVERY)
def test_a_run_goes_on_from_its_state_bit_for_bit(arch: str, objective: ObjectiveName, make: Make) -> None:
    first = make(arch, objective, ema=0.5, width=3)
    batch = batch_for(first)
    if isinstance(first, CycleGAN):  # full pools, of which drawings are swapped at random
        first.load_own_state({"pools": [list(torch.rand(50, *batch.photo.shape[1:])) for _ in range(2)]})
    first.step(batch, phase(first), last(first))
    state, own = through_a_file(first.state_dict()), through_a_file(first.own_state())
    random = torch.get_rng_state()
    expected = first.step(batch, phase(first), last(first))

    second = make(arch, objective, ema=0.5, width=3)
    second.load_state_dict(state)
    second.load_own_state(own)
    torch.set_rng_state(random)
    assert_same(second.step(batch, phase(second), last(second)), expected, "losses")
    assert_same(second.state_dict(), first.state_dict())
    assert_same(second.own_state(), first.own_state())


def test_a_state_of_other_networks_is_refused(make: Make) -> None:
    state = make("cartoongan").state_dict()
    for arch, error in (("cyclegan", RuntimeError), ("cartoongan-improved", RuntimeError)):
        with pytest.raises(error):
            make(arch).load_state_dict(state)
    with pytest.raises(KeyError):
        make("cartoongan", ema=0.9).load_state_dict(state)


# Every method


def by_hand(method: Method, batch: Batch) -> dict[str, Tensor]:
    """The losses of a step with least squares, straight from the papers' formulas; no network is changed."""
    photo, cartoon = batch.photo, batch.cartoon
    generators = method.generators.network

    def features(pictures: Tensor) -> Tensor:
        assert method.features is not None
        (found,) = method.features(pictures)  # of the one layer
        return found

    def distance(a: Tensor, b: Tensor) -> Tensor:
        return (a - b).abs().mean()

    def squares(discriminator: nn.Module, pictures: Tensor, wanted: float) -> Tensor:
        """U-GAT-IT's discriminators say something of patches, and their attention's classifiers, too."""
        said = discriminator(pictures)
        return sum(((scores - wanted) ** 2).mean() for scores in (said if isinstance(said, tuple) else (said,)))

    if isinstance(method, StyleTransfer):
        return style_transfer_by_hand(method, batch)
    if isinstance(method, Distill):
        drawn = generators(photo, batch.frame)
        slopes = [distance(drawn.diff(dim=dim), cartoon.diff(dim=dim)) for dim in (2, 3)]
        pairs = zip(features(drawn), features(cartoon), strict=True)
        content = sum(distance(one, other) / other.abs().mean() for one, other in pairs) / len(photo)
        return {"l1": distance(drawn, cartoon), "gradient": sum(slopes) / 2, "content": content}
    assert isinstance(method, AdversarialMethod)
    discriminators: Any = method.discriminators.network
    if not isinstance(generators, nn.ModuleList):
        drawn = generators(photo)
        real, fake = (torch.cat([photo, x], 1) if method.paired else x for x in (cartoon, drawn))
        losses: dict[str, Any] = {
            "content": distance(features(drawn), features(photo)),
            "adversarial": squares(discriminators, fake, 1),
            "discriminator": squares(discriminators, real, 1) + squares(discriminators, fake, 0),
        }
        return losses | ({"l1": distance(drawn, cartoon)} if method.paired else {})

    to_cartoon, to_photo = generators
    drawn, shot = to_cartoon(photo), to_photo(cartoon)
    half = len(discriminators) // 2
    of_cartoons, of_photos = [*discriminators][:half], [*discriminators][half:]
    losses = {
        "content": (distance(features(drawn), features(photo)) + distance(features(shot), features(cartoon))) / 2,
        "adversarial": sum(squares(discriminator, drawn, 1) for discriminator in of_cartoons)
        + sum(squares(discriminator, shot, 1) for discriminator in of_photos),
        "cycle": distance(to_photo(drawn), photo) + distance(to_cartoon(shot), cartoon),
        "identity": distance(to_cartoon(cartoon), cartoon) + distance(to_photo(photo), photo),
        "discriminator_cartoon": sum(
            squares(discriminator, cartoon, 1) + squares(discriminator, drawn, 0) for discriminator in of_cartoons
        ),
        "discriminator_photo": sum(
            squares(discriminator, photo, 1) + squares(discriminator, shot, 0) for discriminator in of_photos
        ),
    }
    if isinstance(method, UGATIT):
        losses["cam"] = torch.zeros(())
        for generator, source, target in ((to_cartoon, photo, cartoon), (to_photo, cartoon, photo)):
            losses["cam"] += F.softplus(-generator.attend(source)[1]).mean()
            losses["cam"] += F.softplus(generator.attend(target)[1]).mean()
    return losses


def style_transfer_by_hand(method: StyleTransfer, batch: Batch) -> dict[str, Tensor]:
    """Equations 8, 12 and 13 of AdaIN, picture by picture and channel by channel."""

    def maps(picture: Tensor) -> list[Tensor]:
        found, y = [], (picture[None] + 1) / 2
        for place, layer in enumerate(method.vgg):
            y = layer(y)
            if place in (3, 10, 17, 30):  # relu1_1, relu2_1, relu3_1, relu4_1
                found.append(y[0].flatten(1).double())
        return found

    def deviation(x: Tensor) -> Tensor:
        return (x.var(correction=0) + 1e-5).sqrt()

    content, style = [], []
    for photo, cartoon in zip(batch.photo, batch.cartoon, strict=True):
        generator = method.generators.network
        drawn = maps(generator(photo[None], cartoon[None])[0])
        wanted = maps(cartoon)
        target = torch.stack(
            [
                deviation(y) * (x - x.mean()) / deviation(x) + y.mean()
                for x, y in zip(maps(photo)[-1], wanted[-1], strict=True)
            ]
        )
        content.append((drawn[-1] - target).square().mean())
        style += [
            torch.stack(
                [
                    (a.mean() - b.mean()) ** 2 + (deviation(a) - deviation(b)) ** 2
                    for a, b in zip(one, other, strict=True)
                ]
            ).mean()
            for one, other in zip(drawn, wanted, strict=True)
        ]
    return {"content": torch.stack(content).mean(), "style": torch.stack(style).sum() / len(batch)}


WEIGHTS = {  # of the generators' losses, with a content weight of 10 where the paper has none
    "cartoongan": {"content": 10, "adversarial": 1},
    "cartoongan-improved": {"content": 10, "adversarial": 1},
    "cyclegan": {"content": 10, "adversarial": 1, "cycle": 10, "identity": 5},
    "ugatit": {"content": 10, "adversarial": 1, "cycle": 10, "identity": 10, "cam": 1000},
    "pix2pix": {"content": 10, "adversarial": 1, "l1": 100},
    "distill": {"content": 10, "l1": 1, "gradient": 1},
    "adain": {"content": 10, "style": 10},
    "adain-lite": {"content": 10, "style": 10},
}


@pytest.mark.parametrize("arch", OF_PHOTOS)
def test_losses_and_their_weights_are_the_papers(arch: str, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    own = {"objective": "lsgan", "edge_promoting": False} if arch in ADVERSARIAL_METHODS else {}
    method, other = (calm(make(arch, content_weight=10, **own)) for _ in range(2))
    totals: list[float] = []
    backward = method.generators.backward

    def see(loss: Tensor) -> None:
        totals.append(loss.item())
        backward(loss)

    monkeypatch.setattr(method.generators, "backward", see)
    batch = batch_for(method)
    losses = {name: loss.item() for name, loss in method.step(batch, phase(method), 0).items()}
    with torch.no_grad():
        expected = {name: loss.item() for name, loss in by_hand(other, batch).items()}
    assert {name for name in losses if not name.startswith("score")} == expected.keys()
    # A fresh decoder's drawings are nearly flat, and float32 has few digits for the deviations of what is made of them.
    rel = 1e-3 if arch == "adain" else 1e-4
    assert {name: losses[name] for name in expected} == pytest.approx(expected, rel=rel)
    assert totals == pytest.approx([sum(weight * losses[name] for name, weight in WEIGHTS[arch].items())], rel=1e-4)


def test_fresh_weights_follow_from_the_seed(make: Make) -> None:
    for arch in OF_PHOTOS:
        assert_same(make(arch).state_dict(), make(arch).state_dict())


@pytest.mark.parametrize("arch", OF_PHOTOS)
def test_parts_make_no_difference(arch: str, make: Make) -> None:
    """With norms that are a picture's own, and three pictures in parts of two and one."""
    own = {"norm": "instance", "edge_promoting": True} if arch in ADVERSARIAL_METHODS else {}
    whole, parts = (calm(make(arch, **own)) for _ in range(2))
    batch = batch_for(whole, 3)
    assert [len(part) for part in batch.split(2)] == [2, 1] and [len(part) for part in batch.split(7)] == [1, 1, 1]
    expected = whole.step(batch, phase(whole), 0)
    found = parts.step(batch, phase(parts), 0, parts=2)
    assert found.keys() == expected.keys()
    for name in expected:
        assert found[name].item() == pytest.approx(expected[name].item(), rel=1e-4, abs=1e-5), name
    for network in whole.trained:
        assert close(gradients(parts, network), gradients(whole, network))


@pytest.mark.parametrize("arch", OF_PHOTOS)
def test_what_is_kept_is_the_moving_average(arch: str, make: Make) -> None:
    method = make(arch, ema=0.75)
    batch = batch_for(method)
    assert method.ema_generator is not method.generator
    method.step(batch, phase(method), 0)
    kept = {name: tensor.clone() for name, tensor in method.ema_generator.state_dict().items()}
    assert_same(kept, method.generator.state_dict())  # the average starts with the first update
    method.step(batch, phase(method), 0)
    for name, tensor in method.generator.state_dict().items():
        if tensor.is_floating_point():  # running statistics, too
            expected = 0.75 * kept[name] + 0.25 * tensor
            assert torch.allclose(method.ema_generator.state_dict()[name], expected, atol=1e-6), name
    plain = make(arch, ema=0)
    assert plain.ema_generator is plain.generator


@pytest.mark.parametrize("arch", OF_PHOTOS)
def test_the_config_is_that_of_the_generator_that_is_kept(arch: str, make: Make) -> None:
    """A card has no more of it than config and weights. (test_networks.py exports every architecture.)"""
    method = make(arch, ema=0.5, learning_rate=0.01)
    method.step(batch_for(method), phase(method), 0)
    architecture = ARCHITECTURES[method.architecture]
    network = architecture.build(method.config)
    network.load_state_dict(method.ema_generator.state_dict())
    multiple = architecture.multiple(method.config)
    photo = torch.rand(1, 3, 3 * multiple, 5 * multiple, generator=torch.Generator().manual_seed(0)) * 2 - 1
    kept = method.ema_generator.eval()
    with torch.inference_mode():
        assert torch.allclose(network.eval()(photo), kept(photo), atol=1e-5)
        assert kept(photo).std() > 1e-4  # it draws something


@pytest.mark.parametrize("arch", OF_PHOTOS)
def test_bfloat16_comes_near_float32(arch: str, make: Make) -> None:
    results = []
    for dtype in (torch.float32, torch.bfloat16):
        own = {"objective": "wgan-gp", "edge_promoting": True} if arch in ADVERSARIAL_METHODS else {}
        method = make(arch, dtype=dtype, content_weight=1, **own)
        torch.manual_seed(0)
        results.append(method.step(batch_for(method), phase(method), last(method)))
        for network in method.trained:
            for parameter in parameters(method, network).values():
                assert parameter.dtype == torch.float32 and torch.isfinite(parameter).all()
    exact, short = results
    assert short.keys() == exact.keys()
    for name in exact:
        # A fresh generator's drawings are nearly flat, and the penalty is of what instance norms make of that little.
        rel = 0.2 if name.startswith("discriminator") else 0.05
        assert short[name].item() == pytest.approx(exact[name].item(), rel=rel, abs=0.05), name


@pytest.mark.parametrize("arch", ADVERSARIAL_METHODS)
def test_wgan_clips_the_critics_weights_and_no_others(arch: str, make: Make) -> None:
    method = make(arch, "wgan")
    method.step(batch_for(method), ADVERSARIAL, last(method))
    judging = torch.cat([parameter.abs().flatten() for parameter in parameters(method, DISCRIMINATOR).values()])
    assert judging.max().item() == pytest.approx(0.01)
    assert max(parameter.abs().max() for parameter in parameters(method, GENERATOR).values()) > 0.02


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("arch", ["cartoongan", "ugatit"])
def test_optimizers_are_those_of_the_objectives_authors(arch: str, objective: ObjectiveName, make: Make) -> None:
    method = make(arch, objective)
    of_objectives: dict[str, dict[str, Any]] = {
        "wgan": {"lr": 5e-5, "alpha": 0.99},
        "wgan-gp": {"lr": 1e-4, "betas": (0.0, 0.9)},
    }
    expected = of_objectives.get(objective, {"lr": 1e-4 if arch == "ugatit" else 2e-4, "betas": (0.5, 0.999)})
    expected["weight_decay"] = 1e-4 if arch == "ugatit" else 0
    for state in method.state_dict().values():
        (group,) = state["optimizer"]["param_groups"]
        assert {name: group[name] for name in expected} == expected
        assert ("alpha" in group) == (objective == "wgan")  # RMSProp's


@pytest.mark.parametrize("arch", ["cartoongan", "pix2pix"])
def test_a_penalized_critic_has_no_batch_norm(arch: str, make: Make) -> None:
    """The penalty is of one picture's gradient, which must not depend on the others."""

    def has_batch_norm(method: Method, name: str) -> bool:
        return any(isinstance(module, nn.BatchNorm2d) for module in method.trained[name].network.modules())

    for objective in OBJECTIVES:
        method = make(arch, objective)
        assert has_batch_norm(method, GENERATOR)
        assert has_batch_norm(method, DISCRIMINATOR) == (objective != "wgan-gp")


@pytest.mark.parametrize("arch", ADVERSARIAL_METHODS)
def test_spectral_norm_is_for_all_layers_of_the_discriminators(arch: str, make: Make) -> None:
    method = make(arch, spectral_norm=True)
    for _ in range(2):
        method.step(batch_for(method), ADVERSARIAL, 0)
    for network in method.trained:
        layers = [
            module
            for module in method.trained[network].network.modules()
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear)
        ]
        assert all(is_parametrized(layer, "weight") == (network == DISCRIMINATOR) for layer in layers)
        if network == DISCRIMINATOR:
            sizes = [torch.linalg.matrix_norm(layer.weight.flatten(1), 2).item() for layer in layers]
            assert sizes == pytest.approx([1] * len(layers), abs=0.2)  # by a few power iterations


def test_rho_stays_between_instance_norm_and_layer_norm(make: Make) -> None:
    method = make("ugatit", learning_rate=0.5)
    for _ in range(2):
        method.step(batch_for(method), ADVERSARIAL, 0)
    rhos = torch.cat(
        [
            module.rho.flatten()
            for module in method.generators.network.modules()
            if isinstance(module, AdaptiveLayerInstanceNorm)
        ]
    )
    assert rhos.min() == 0 and rhos.max() == 1


@pytest.mark.parametrize("arch", ADVERSARIAL_METHODS)
def test_edge_smoothed_cartoons_are_shown_as_fakes(arch: str, make: Make) -> None:
    def step(shown: Tensor | None) -> dict[str, Tensor]:
        torch.manual_seed(0)
        method = calm(make(arch, "gan", edge_promoting=True))
        return method.step(replace(batch, smooth=shown), ADVERSARIAL, 0)

    method = calm(make(arch, "gan", edge_promoting=True))
    batch = batch_for(method)
    assert batch.smooth is not None and isinstance(method, AdversarialMethod)
    network = method.discriminators.network
    discriminators = [*network][: len(network) // 2] if isinstance(network, nn.ModuleList) else [network]  # of cartoons
    smooth = torch.cat([batch.photo, batch.smooth], 1) if arch == "pix2pix" else batch.smooth
    expected = 0.0
    for discriminator in discriminators:
        result = discriminator(smooth)
        for scores in result if isinstance(result, tuple) else (result,):
            expected += F.softplus(scores).mean().item()

    without, shown = step(None), step(batch.smooth)
    title = "discriminator_cartoon" if "discriminator_cartoon" in shown else "discriminator"
    assert (shown[title] - without[title]).item() == pytest.approx(expected, rel=1e-4)
    for name in shown.keys() - {title}:  # photos' discriminators, scores, the generators' losses
        assert torch.equal(shown[name], without[name]), name
    assert step(batch.smooth.flip(3))[title] != shown[title]


@pytest.mark.parametrize("arch", OF_PHOTOS)
def test_the_learning_rate_follows_the_schedule(arch: str, make: Make) -> None:
    method = make(arch)
    before = copy.deepcopy(method.state_dict())
    method.step(batch_for(method), phase(method), 0, rate_factor=0)
    for network in method.trained:
        for name, parameter in parameters(method, network).items():
            # What is brought back to its kind after each step (adain-lite's last layer) is rounded.
            assert torch.allclose(parameter, before[network]["network"][name], rtol=0, atol=1e-7), name


def test_gradients_are_clipped_to_their_norm(make: Make) -> None:
    method = make("cartoongan", clip=0.125)
    method.step(batch_for(method), ADVERSARIAL, 0)
    for network in method.trained:
        found = [gradient.norm() for gradient in gradients(method, network).values() if gradient is not None]
        assert torch.stack(found).norm().item() == pytest.approx(0.125, rel=1e-3)


def test_turns_of_the_critic_come_before_one_of_the_generator(make: Make) -> None:
    method = make("cyclegan", "wgan")
    steps = [method.due(ADVERSARIAL, number) for number in range(10)]
    assert [number for number, due in enumerate(steps) if GENERATOR in due] == [4, 9]
    assert all(DISCRIMINATOR in due for due in steps)
    assert all(method.due(INITIALIZATION, number) == {GENERATOR} for number in range(10))


def test_without_content_no_network_is_loaded(make: Make) -> None:
    for arch in WITH_CONTENT:
        without = {"init_epochs": 0} if arch in ADVERSARIAL_METHODS else {}
        made = make(arch).settings
        assert isinstance(made, ContentSettings)
        settings = replace(made, **without, content_weight=0, content_weights="nowhere.pth")
        method = METHODS[arch](settings, Precision("cpu"))
        assert method.features is None
        assert "content" not in method.step(batch_for(method), phase(method), 0)


# Settings


def settings_of(arch: str, **values: Any) -> Settings:
    if arch == "distill":
        return method_settings(make_options({"teacher": "shinkai", "output": "x", **values}, DistillOptions))
    return method_settings(make_options({"arch": arch, **values}))


def test_defaults_are_the_papers() -> None:
    common = {
        "critic_steps": 1,
        "size": 256,
        "width": 64,
        "beta1": 0.5,
        "adversarial_weight": 1,
        "clip": None,
        "ema": 0,
    }
    cartoongan: dict[str, Any] = {
        "blocks": 8,
        "edge_promoting": True,
        "init_epochs": 10,
        "content_weight": 10,
        "batch_size": 8,
    }
    cartoongan |= {"learning_rate": 2e-4, "schedule": "constant", "discriminator_width": 32}
    cyclic = {
        "edge_promoting": False,
        "init_epochs": 0,
        "content_weight": 0,
        "batch_size": 1,
        "schedule": "linear",
    }
    cyclic |= {"objective": "lsgan", "norm": "instance", "cycle_weight": 10, "discriminator_width": 64}
    paper = {
        "cartoongan": {**cartoongan, "objective": "gan", "norm": "batch", "content": "vgg19:conv4_4"},
        "cartoongan-improved": {**cartoongan, "objective": "lsgan", "norm": "instance", "content": "resnet101:layer2"},
        "cyclegan": {**cyclic, "blocks": 9, "identity_weight": 0.5, "learning_rate": 2e-4},
        # The weight of the identity loss is a part of the cycle's: 10 of 10.
        "ugatit": {**cyclic, "blocks": 4, "identity_weight": 1, "cam_weight": 1000, "learning_rate": 1e-4},
        "pix2pix": {"depth": 8, "norm": "batch", "objective": "gan", "l1_weight": 100, "learning_rate": 2e-4},
    }
    assert paper.keys() == set(ADVERSARIAL_METHODS)
    for arch, wanted in paper.items():
        values = asdict(settings_of(arch=arch))
        assert {name: values[name] for name in common | wanted} == common | wanted, arch
    assert UGATIT.weight_decay == 1e-4


def differences(one: Settings, other: Settings) -> dict[str, Any]:
    a, b = asdict(one), asdict(other)
    assert a.keys() == b.keys()
    return {name: b[name] for name in a if a[name] != b[name]}


def test_distill_is_for_pairs_without_discriminators(make: Make) -> None:
    method = make("distill", content_weight=0, content=None, content_weights=None)
    assert method.trained.keys() == {GENERATOR} and method.paired
    assert [(each.name, each.epochs) for each in method.phases] == [(DISTILLATION, 100)]
    assert method.features is None and method.step(batch_for(method), DISTILLATION, 0).keys() == {"l1", "gradient"}


def test_adain_trains_the_decoder_of_the_published_encoder(make: Make) -> None:
    made = settings_of("adain")
    found = {name: getattr(made, name) for name in ("content_weight", "style_weight", "batch_size", "learning_rate")}
    assert found == {"content_weight": 1, "style_weight": 10, "batch_size": 8, "learning_rate": 1e-4}
    method = make("adain")
    assert [(each.name, each.epochs) for each in method.phases] == [(STYLE_TRANSFER, 100)]
    generator = method.generator
    assert isinstance(method, StyleTransfer) and isinstance(generator, AdaINGenerator) and generator.strength == 1
    picture = torch.rand(1, 3, 32, 40) * 2 - 1
    with torch.inference_mode():  # one takes -1..1, the other 0..1 as published
        assert torch.allclose(generator.encoder(picture), method.vgg((picture + 1) / 2), atol=1e-4)
    before = copy.deepcopy(generator.state_dict())
    method.step(batch_for(method), STYLE_TRANSFER, 0)
    changed = {name.partition(".")[0] for name, x in generator.state_dict().items() if not torch.equal(x, before[name])}
    assert changed == {"decoder"}


def test_an_encoder_that_does_not_fit_is_refused(make: Make, features: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^--width 4: the encoder in --content-weights has 8; give that$"):
        make("adain", width=4, content_weights=save_encoder(tmp_path / "other.pth", 8))
    with pytest.raises(WeightsError, match="is not AdaIN's encoder"):
        make("adain-lite", content_weights=features)


def test_the_four_models_of_the_study_are_combinations_of_options() -> None:
    cyclegan = settings_of(arch="cyclegan")
    assert differences(cyclegan, settings_of(arch="cyclegan", edge_promoting=True)) == {"edge_promoting": True}
    assert differences(cyclegan, settings_of(arch="cyclegan", init_epochs=10)) == {"init_epochs": 10}
    improved = settings_of(arch="cartoongan-improved")
    assert differences(settings_of(arch="cartoongan"), improved) == {
        "objective": "lsgan",
        "norm": "instance",
        "content": "resnet101:layer2",
    }


def test_cyclegan_with_initialization_begins_with_content_alone(make: Make) -> None:
    method = make("cyclegan", init_epochs=10, epochs=20)
    assert [(phase.name, phase.epochs) for phase in method.phases] == [(INITIALIZATION, 10), (ADVERSARIAL, 20)]
    batch = batch_for(method)
    assert method.step(batch, INITIALIZATION, 0).keys() == {"content"}
    assert {"adversarial", "cycle", "identity"} <= method.step(batch, ADVERSARIAL, 0).keys()
    assert "content" not in method.step(batch, ADVERSARIAL, 0)


def test_the_improved_cartoongan_is_the_studys(make: Make, tmp_path: Path) -> None:
    state = save_features(tmp_path / "resnet101.pth", "resnet101", ("conv1", "bn1", "layer1", "layer2"))
    method = make("cartoongan-improved", content="resnet101", content_weights=state)
    modules = [type(module) for module in method.generator.modules()]
    assert nn.LeakyReLU in modules and nn.ReLU not in modules and nn.BatchNorm2d not in modules
    assert nn.ReLU in [type(module) for module in make("cartoongan").generator.modules()]
    batch = batch_for(method)
    assert method.features is not None and method.features(batch.photo)[0].shape == (2, 512, 2, 2)
    losses = method.step(batch, ADVERSARIAL, 0)
    assert losses["content"] > 0
    # Least squares, of the scores themselves.
    assert isinstance(method, AdversarialMethod) and method.objective is OBJECTIVES["lsgan"]


def test_the_objectives_defaults_give_way_to_what_is_asked_for() -> None:
    settings = (settings_of(arch="cyclegan", objective="wgan", **given) for given in ({}, {"learning_rate": 1e-3}))
    found = [(each.learning_rate, getattr(each, "critic_steps", None)) for each in settings]
    assert found == [(5e-5, 5), (1e-3, 5)]


def test_every_setting_is_an_option_and_every_choice_is_one_that_there_is() -> None:
    known = {kind: {field.name: bare_type(field.type)[0] for field in msgspec.structs.fields(kind)} for kind in KINDS}
    kinds = known[Options]
    for arch, method in METHODS.items():
        of_method = known[DistillOptions if arch == "distill" else Options]
        assert {field.name for field in fields(method.settings_type)} <= of_method.keys()
    assert get_args(Arch) == tuple(arch for arch in METHODS if arch != "distill")
    assert get_args(kinds["objective"]) == get_args(ObjectiveName) == tuple(OBJECTIVES)
    assert get_args(kinds["norm"]) == get_args(Norm)
    assert get_args(kinds["schedule"]) == get_args(Schedule)


OF_SOME = {  # options that some methods know, with a value each
    "blocks": 2,
    "depth": 4,
    "light": True,
    "cycle_weight": 1.0,
    "identity_weight": 1.0,
    "cam_weight": 1.0,
    "l1_weight": 1.0,
    "adversarial_weight": 2.0,
    "content": "vgg16",
    "content_weight": 2.0,
    "content_weights": "x.pth",
    "style_weight": 2.0,
    "optimizer": "muon",
    "edge_promoting": True,
    "init_epochs": 3,
    "norm": "instance",
    "augment": False,
    "objective": "lsgan",
    "critic_steps": 1,
    "spectral_norm": True,
    "discriminator_width": 8,
    "grow_epochs": 3,
    "r1": 2.0,
    "r1_every": 2,
}


def test_options_of_other_methods_are_refused_by_name() -> None:
    known = {arch: {field.name for field in fields(method.settings_type)} for arch, method in METHODS.items()}
    del known["distill"]  # whose options are of another command
    assert OF_SOME.keys() == set().union(*known.values()) - set.intersection(*known.values())
    for arch in known:
        for name, value in OF_SOME.items():
            if name in known[arch]:
                needed = {"content_weight": 1.0} if name.startswith("content") else {}
                assert getattr(settings_of(arch=arch, **{**needed, name: value}), name) == value
            else:
                with pytest.raises(UsageError, match=f"^--{name.replace('_', '-')} is not for {arch}; it is for "):
                    settings_of(arch=arch, **{name: value})


@pytest.mark.parametrize(
    ("arch", "options", "message"),
    [
        ("cartoongan", {"size": 50}, "--size 50: CartoonGAN needs a multiple of 4, at least 8"),
        ("cartoongan-improved", {"size": 18}, "--size 18: CartoonGAN needs a multiple of 4, at least 8"),
        ("cyclegan", {"size": 50}, "--size 50: CycleGAN needs a multiple of 4, at least 24"),
        ("cyclegan", {"size": 20}, "--size 20: CycleGAN needs a multiple of 4, at least 24"),
        ("ugatit", {"size": 50}, "--size 50: U-GAT-IT needs a multiple of 4"),
        ("ugatit", {"norm": "batch"}, "--norm batch: U-GAT-IT has norms of its own"),
        ("pix2pix", {"size": 16, "depth": 3}, "--size 16: a U-Net of --depth 3 needs a multiple of 8, at least 24"),
        ("adain", {"size": 36}, "--size 36: AdaIN needs a multiple of 8, at least 32"),
        ("adain-lite", {"size": 24}, "--size 24: AdaIN needs a multiple of 8, at least 32"),
        ("distill", {"size": 50}, "--size 50: the student needs a multiple of 8, at least 16"),
        ("pix2pix", {"size": 96, "depth": 6}, "--size 96: a U-Net of --depth 6 needs a multiple of 64$"),
    ],
)
def test_what_the_networks_cannot_take_is_refused_before_weights_are_fetched(
    arch: str, options: dict[str, Any], message: str, make: Make
) -> None:
    with pytest.raises(UsageError, match=message):
        make(arch, content_weights="nowhere.pth", **options)


# Pools


def numbered(start: int, count: int) -> Tensor:
    """Drawings that are told apart by their values."""
    return torch.arange(start, start + count).float().view(-1, 1, 1, 1).expand(-1, 3, 2, 2)


def test_a_pool_shows_what_it_gets_until_it_is_full() -> None:
    pool = ImagePool()
    for start in range(0, 50, 5):
        assert torch.equal(pool.exchange(numbered(start, 5)), numbered(start, 5))
    assert torch.equal(torch.stack(pool.drawings), numbered(0, 50))


def test_a_full_pool_shows_an_old_drawing_half_of_the_time() -> None:
    pool = ImagePool()
    pool.exchange(numbered(0, 50))
    torch.manual_seed(0)
    old = 0
    for start in range(50, 1050, 4):
        before = [drawing.mean().item() for drawing in pool.drawings]
        new = numbered(start, 4)
        shown = pool.exchange(new)[:, 0, 0, 0].tolist()
        after = [drawing.mean().item() for drawing in pool.drawings]
        assert len(after) == 50
        # Nothing is lost, nothing is there twice: what was shown is gone, unless it is new and passed through.
        assert sorted(after + shown) == sorted(before + [start + i for i in range(4)])
        old += sum(value != start + i for i, value in enumerate(shown))
    assert 450 < old < 550  # of 1000: three standard deviations are 47


def test_a_pool_follows_from_the_seed() -> None:
    def run(seed: int) -> Tensor:
        torch.manual_seed(seed)
        pool = ImagePool(3)
        return torch.stack([pool.exchange(numbered(start, 2)) for start in range(0, 40, 2)])

    assert torch.equal(run(1), run(1)) and not torch.equal(run(1), run(2))


def test_a_pool_keeps_no_gradients_and_no_views() -> None:
    pool = ImagePool(1)
    drawings = torch.ones(1, 3, 2, 2, requires_grad=True)
    shown = pool.exchange(drawings)
    assert not shown.requires_grad and not pool.drawings[0].requires_grad
    with torch.no_grad():
        drawings.zero_()
        shown.zero_()
    assert (pool.drawings[0] == 1).all()


def test_cyclegan_has_a_pool_for_each_side(make: Make) -> None:
    method = make("cyclegan")
    assert isinstance(method, CycleGAN)
    batch = batch_for(method)
    to_cartoon, to_photo = (copy.deepcopy(method.generators.member(number)) for number in (0, 1))
    method.step(batch, ADVERSARIAL, 0)
    for drawings, expected in zip(
        method.own_state()["pools"], (to_cartoon(batch.photo), to_photo(batch.cartoon)), strict=True
    ):
        assert torch.allclose(torch.stack(drawings), expected, atol=1e-5)
    # What the discriminators see again is of their own side.
    old = torch.full(batch.photo.shape[1:], 0.5)
    method.load_own_state({"pools": [[sign * old] * 50 for sign in (1, -1)]})
    seen: list[set[float]] = [set(), set()]
    for values, discriminator in zip(seen, (method.discriminators.member(number) for number in (0, 1)), strict=True):
        discriminator.register_forward_pre_hook(
            lambda module, inputs, values=values: values.update(inputs[0].mean((1, 2, 3)).tolist())
        )
    for _ in range(4):
        method.step(batch, ADVERSARIAL, 0)
    assert [value & {0.5, -0.5} for value in seen] == [{0.5}, {-0.5}]


# float16, whose gradients are scaled up lest they vanish


def half_and_whole() -> tuple[TrainedNetworks, TrainedNetworks]:
    networks = []
    for dtype in (torch.float16, torch.float32):
        torch.manual_seed(0)
        networks.append(TrainedNetworks(nn.Linear(3, 2), Learning(rate=0.1), Precision("cpu", dtype)))
    return networks[0], networks[1]


def test_losses_that_call_backward_one_by_one_are_scaled_alike() -> None:
    half, whole = half_and_whole()
    x = torch.rand(2, 3, generator=torch.Generator().manual_seed(0))
    for _ in range(2):
        for trained in (half, whole):
            trained.zero()
            trained.backward(trained.network(x).square().mean())
            trained.backward(1e-9 * trained.network(x).sum())
            trained.update()
    assert_same(half.network.state_dict(), whole.network.state_dict())


def test_an_update_with_infinite_gradients_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where only another process has them, from whom they come with the mean."""

    def of_another(gradients: Sequence[Tensor]) -> None:
        for parameter in gradients:
            assert parameter.grad is not None
            parameter.grad.fill_(math.inf)

    monkeypatch.setattr("toonify.system.distributed.average_gradients", of_another)
    half, _ = half_and_whole()
    before = copy.deepcopy(half.state_dict())
    half.backward(half.network(torch.rand(2, 3)).mean())
    half.update()
    after = half.state_dict()
    assert_same(after["network"], before["network"])
    assert after["scaler"]["scale"] == before["scaler"]["scale"] / 2
