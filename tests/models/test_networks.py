"""The networks that training needs: held against the literature, hand-written formulas and torchvision."""

import functools
import os
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import torchvision
from PIL import Image
from samples import PHOTOS
from tiling import draw_at_once, draw_in_tiles
from tiling import photo as photo_of
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torchvision.models.feature_extraction import create_feature_extractor

from toonify.engines.onnx_runtime import OnnxGenerator
from toonify.errors import DownloadError, TilingError, UsageError, WeightsError
from toonify.models import ARCHITECTURES
from toonify.models.cartoongan import CartoonGANGenerator
from toonify.models.cyclegan import CycleGANConfig, CycleGANGenerator
from toonify.models.discriminators import (
    CartoonGANDiscriminator,
    PatchDiscriminator,
    UGATITDiscriminator,
    spectrally_normalize,
)
from toonify.models.features import CONTENT, PUBLISHED, ContentFeatures, load_features, parse_content
from toonify.models.layers import ClassActivation, InstanceNorm, activation, initialize, normalization
from toonify.models.pix2pix import Pix2PixConfig, UNetGenerator
from toonify.models.ugatit import (
    AdaptiveLayerInstanceNorm,
    LayerInstanceNorm,
    UGATITConfig,
    UGATITGenerator,
    clip_rho,
)
from toonify.networks.export import export_onnx
from toonify.pixels.arrays import psnr
from toonify.styles.card import Card, FileWeights, LocatedStyle, Variant
from toonify.system.files import file_digest

pytestmark = pytest.mark.usefixtures("one_thread")

TINY: dict[str, dict[str, Any]] = {  # a small network of each architecture, by a name of the test's own
    "adain": {"width": 4, "strength": 0.5},
    "adain_lite": {"width": 4, "blocks": 1, "strength": 0.5},
    "cartoongan": {"width": 4, "blocks": 1, "norm": "layer", "activation": "leaky"},
    "cyclegan": {"width": 4, "blocks": 1},
    "ugatit": {"width": 4, "blocks": 1, "size": 16},
    "ugatit light": {"width": 4, "blocks": 1, "light": True},
    "pix2pix": {"width": 4, "depth": 3},
    "lite": {"width": 4, "blocks": 3, "deep_blocks": 1},
    "lite without a branch": {"width": 4, "blocks": 1},
    "lite with contrast": {"width": 4, "blocks": 1, "contrast": True},
}
WHOLE = ("cartoongan", "ugatit", "ugatit light")  # layer norms and attention take all channels of the whole frame
DISCRIMINATORS: dict[str, Callable[[], nn.Module]] = {
    "cartoongan": lambda: CartoonGANDiscriminator(4),
    "cartoongan, layer": lambda: CartoonGANDiscriminator(4, norm="layer"),
    "patch": lambda: PatchDiscriminator(width=4, layers=2),
    "patch, batch": lambda: PatchDiscriminator(width=4, layers=2, norm="batch"),
    "u-gat-it": lambda: UGATITDiscriminator(4, layers=5),
}


def build(name: str) -> nn.Module:
    torch.manual_seed(0)
    return ARCHITECTURES[name.split()[0]].build(TINY[name])


def count(make: Callable[[], nn.Module]) -> int:
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in make().parameters())


def noise(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(1), dtype=dtype) * 2 - 1


def logits(network: nn.Module, x: Tensor) -> Tensor:
    """All that a discriminator says, as one tensor."""
    result = network(x)
    return result if isinstance(result, Tensor) else torch.cat([part.flatten() for part in result])


# Sizes


@pytest.mark.parametrize(
    ("make", "published"),
    [
        (CartoonGANGenerator, 11.13e6),
        (CycleGANGenerator, 11.378e6),
        (lambda: CycleGANGenerator(CycleGANConfig(blocks=6)), 7.838e6),
        (PatchDiscriminator, 2.765e6),
        (lambda: PatchDiscriminator(6, norm="batch"), 2.769e6),
        (UNetGenerator, 54.414e6),
    ],
)
def test_networks_have_the_published_number_of_parameters(make: Callable[[], nn.Module], published: float) -> None:
    assert count(make) == pytest.approx(published, abs=6e3)


def ugatit_table(light: bool) -> Iterator[int]:
    """Parameters of U-GAT-IT's generator, row by row of the paper's table of layers."""
    yield 3 * 64 * 7 * 7
    yield from (64 * 128 * 9, 128 * 256 * 9)
    yield from 8 * [256 * 256 * 9]  # residual blocks, norms without parameters
    yield from (2 * 256, 512 * 256 + 256)  # classifiers, 1x1 convolution
    yield from ((256 if light else 64 * 64 * 256) * 256, 256 * 256)
    yield from 2 * [256 * 256]  # gamma and beta
    yield from 8 * [256 * 256 * 9 + 256]  # AdaLIN has a rho
    for before, after in ((256, 128), (128, 64)):
        yield before * after * 9 + 3 * after  # LIN has rho, gamma and beta
    yield 64 * 3 * 7 * 7


def ugatit_discriminator_table(layers: int) -> Iterator[int]:
    channels = [3, 64, 128, 256, 512, 1024, 2048][:layers]
    yield from (before * after * 16 + after for before, after in pairwise(channels))
    yield from (2 * channels[-1], 2 * channels[-1] ** 2 + channels[-1], channels[-1] * 16)


def test_u_gat_it_has_the_published_number_of_parameters() -> None:
    full, light = (count(functools.partial(UGATITGenerator, UGATITConfig(light=light))) for light in (False, True))
    both = [count(functools.partial(UGATITDiscriminator, layers=layers)) for layers in (5, 7)]
    assert (full, light) == (sum(ugatit_table(False)), sum(ugatit_table(True)))
    assert both == [sum(ugatit_discriminator_table(5)), sum(ugatit_discriminator_table(7))]
    # The authors' program counts two generators and four discriminators.
    assert 2 * (full + sum(both)) == pytest.approx(670.8e6, abs=5e4)
    assert 2 * (light + sum(both)) == pytest.approx(134.0e6, abs=5e4)


@pytest.mark.parametrize(
    ("make", "size", "expected"),
    [
        (CartoonGANDiscriminator, (256, 256), (64, 64)),
        (CartoonGANDiscriminator, (37, 66), (10, 17)),
        (PatchDiscriminator, (256, 256), (30, 30)),
        (PatchDiscriminator, (64, 128), (6, 14)),
        (lambda: UGATITDiscriminator(layers=5), (256, 256), (30, 30)),
        (lambda: UGATITDiscriminator(layers=7), (256, 256), (6, 6)),
        (lambda: UGATITDiscriminator(layers=5), (24, 32), (1, 2)),
        (lambda: UGATITDiscriminator(layers=7), (96, 128), (1, 2)),
    ],
)
def test_logits_are_of_patches(make: Callable[[], nn.Module], size: tuple[int, int], expected: tuple[int, int]) -> None:
    with torch.device("meta"):
        result = make()(torch.empty(2, 3, *size))
    patches = result if isinstance(result, Tensor) else result[0]
    assert patches.shape == (2, 1, *expected)
    assert isinstance(result, Tensor) or result[1].shape == (2, 2)


@pytest.mark.parametrize(("layers", "field"), [(1, 16), (2, 34), (3, 70)])
def test_a_logit_of_the_patch_discriminator_sees_70_pixels(layers: int, field: int) -> None:
    network = PatchDiscriminator(width=2, layers=layers, norm="batch").eval()  # which has no statistics of the picture
    x = noise(1, 3, 128, 128).requires_grad_()
    y = network(x)
    y[0, 0, y.shape[2] // 2, y.shape[3] // 2].backward()
    assert x.grad is not None
    rows, columns = (x.grad[0].abs().sum((0, axis)).nonzero().flatten() for axis in (2, 1))
    assert rows.max() - rows.min() + 1 == field == columns.max() - columns.min() + 1


def test_cartoongan_discriminator_is_figure_2() -> None:
    layers = [module for module in CartoonGANDiscriminator().modules() if isinstance(module, nn.Conv2d)]
    figure = [(32, 1), (64, 2), (128, 1), (128, 2), (256, 1), (256, 1), (1, 1)]
    assert [(layer.out_channels, layer.stride[0]) for layer in layers] == figure
    assert all(layer.kernel_size == (3, 3) for layer in layers)
    before_norms = [
        one.out_channels for one, other in pairwise(CartoonGANDiscriminator().layers) if isinstance(other, InstanceNorm)
    ]
    assert before_norms == [128, 256, 256]


# Networks against a second writing


def test_cyclegan_is_the_published_architecture() -> None:
    torch.manual_seed(0)
    network = CycleGANGenerator(CycleGANConfig(width=4, blocks=2)).double()
    initialize(network, 0.3)
    x = noise(2, 3, 16, 24, dtype=torch.float64)
    state = iter(network.state_dict().values())

    def conv(x: Tensor, pad: int, **how: int) -> Tensor:
        return F.conv2d(F.pad(x, (pad,) * 4, mode="reflect"), next(state), next(state), **how)

    def norm(x: Tensor) -> Tensor:
        variance, mean = torch.var_mean(x, (2, 3), correction=0, keepdim=True)
        return (x - mean) / (variance + 1e-5).sqrt()

    y = F.relu(norm(conv(x, 3)))
    y = F.relu(norm(conv(y, 0, stride=2, padding=1)))
    y = F.relu(norm(conv(y, 0, stride=2, padding=1)))
    for _ in range(2):
        y = y + norm(conv(F.relu(norm(conv(y, 1))), 1))
    for _ in range(2):
        y = F.conv_transpose2d(y, next(state), next(state), stride=2, padding=1, output_padding=1)
        y = F.relu(norm(y))
    expected = torch.tanh(conv(y, 3))
    assert torch.allclose(network(x), expected, atol=1e-9)


@pytest.mark.parametrize("norm", ["batch", "layer"])
def test_cyclegan_with_other_norms_has_their_parameters_instead_of_biases(norm: Any) -> None:
    network = CycleGANGenerator(CycleGANConfig(width=4, blocks=1, norm=norm))
    layers = [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]
    assert [layer.bias is not None for layer in layers] == [False] * 7 + [True]
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d | nn.GroupNorm)]
    assert len(norms) == 7 and all(layer.affine for layer in norms)


def test_a_u_net_nests_its_levels() -> None:
    torch.manual_seed(0)
    network = UNetGenerator(Pix2PixConfig(width=4, depth=4, dropout=False)).eval()
    x = noise(2, 3, 16, 32)

    def level(number: int, x: Tensor) -> Tensor:
        inside = network.down[number](x)
        if number < 3:
            inside = torch.cat([inside, level(number + 1, inside.clone())], dim=1)
        result: Tensor = network.up[3 - number](inside)
        return result

    assert torch.allclose(network(x), torch.tanh(level(0, x.clone())), atol=1e-6)


def test_the_three_innermost_decoder_layers_drop_out_while_training() -> None:
    with torch.device("meta"):
        network = UNetGenerator()
    assert [isinstance(layer[-1], nn.Dropout) for layer in network.up] == [True] * 3 + [False] * 5
    small = UNetGenerator(Pix2PixConfig(width=4, depth=4, norm="layer"))
    x = noise(1, 3, 16, 16)
    assert not torch.equal(small(x), small(x))
    assert torch.equal(small.eval()(x), small(x))


def test_the_innermost_map_of_a_u_net_may_be_one_pixel() -> None:
    for norm in ("batch", "instance", "layer"):
        network = UNetGenerator(Pix2PixConfig(width=2, depth=4, norm=norm))
        assert network(noise(1, 3, 16, 16)).shape == (1, 3, 16, 16)


def test_class_activation_is_the_published_attention() -> None:
    torch.manual_seed(0)
    attention = ClassActivation(5).double()
    x = noise(2, 5, 4, 6, dtype=torch.float64)
    of_mean, of_maximum = attention.mean.weight[0], attention.maximum.weight[0]
    both = torch.cat([torch.einsum("nchw,c->nchw", x, w) for w in (of_mean, of_maximum)], dim=1)
    kernel = attention.merge.weight[:, :, 0, 0]
    expected = (torch.einsum("nchw,oc->nohw", both, kernel) + attention.merge.bias[:, None, None]).clamp(min=0)
    found, found_logits = attention(x)
    assert torch.allclose(found, expected)
    mean_logits = torch.stack([(picture.mean((1, 2)) * of_mean).sum() for picture in x])
    max_logits = torch.stack([(picture.flatten(1).max(1).values * of_maximum).sum() for picture in x])
    assert torch.allclose(found_logits, torch.stack([mean_logits, max_logits], dim=1))


def test_layer_instance_norms_have_the_papers_formula() -> None:
    torch.manual_seed(0)
    x = noise(2, 3, 4, 5, dtype=torch.float64)
    scale, shift = noise(2, 3, dtype=torch.float64), noise(3, 3, dtype=torch.float64)[:2]
    adaptive, own = AdaptiveLayerInstanceNorm(3).double(), LayerInstanceNorm(3).double()
    for norm in (adaptive, own.norm):
        nn.init.uniform_(norm.rho)
    nn.init.normal_(own.weight)
    nn.init.normal_(own.bias)

    def formula(x: Tensor, rho: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
        results = []
        for n in range(2):
            layer = (x[n] - x[n].mean()) / (x[n].var(correction=0) + 1e-5).sqrt()
            for c in range(3):
                instance = (x[n, c] - x[n, c].mean()) / (x[n, c].var(correction=0) + 1e-5).sqrt()
                mixed = rho[c] * instance + (1 - rho[c]) * layer[c]
                results.append(scale[n, c] * mixed + shift[n, c])
        return torch.stack(results).view_as(x)

    assert torch.allclose(adaptive(x, scale, shift), formula(x, adaptive.rho.flatten(), scale, shift))
    expected = formula(x, own.norm.rho.flatten(), own.weight.expand(2, 3), own.bias.expand(2, 3))
    assert torch.allclose(own(x), expected)


def test_rho_starts_as_published_and_is_clipped() -> None:
    network = build("ugatit light")
    rhos = {name: rho for name, rho in network.named_parameters() if name.endswith("rho")}
    assert len(rhos) == 4
    for name, rho in rhos.items():
        assert (rho == (0.9 if "adaptive" in name else 0)).all()
        nn.init.uniform_(rho, -3, 3)
    before = {name: rho.clone() for name, rho in rhos.items()}
    clip_rho(network)
    assert all(torch.equal(rho, before[name].clamp(0, 1)) for name, rho in rhos.items())


def test_the_full_u_gat_it_takes_a_map_of_its_training_size_as_it_is() -> None:
    network = build("ugatit").eval()
    x = noise(2, 3, 16, 16)
    seen, _ = network.attention(network.blocks(network.down(network.head(x))))
    adapted = network.mlp(seen.flatten(1))
    for block in network.adaptive_blocks:
        seen = block(seen, network.scale(adapted), network.shift(adapted))
    drawing, classes = network.attend(x)
    assert torch.equal(drawing, network.tail(network.up(seen))) and classes.shape == (2, 2)
    assert torch.equal(network(x), drawing)


# Layers


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize(
    "layout",
    [
        lambda x: x,
        lambda x: x.contiguous(memory_format=torch.channels_last),
        lambda x: x.transpose(2, 3),
        lambda x: x[:1].contiguous(memory_format=torch.channels_last),
        lambda x: x[:, :1],
        lambda x: x[..., ::2],
    ],
)
def test_instance_norm_trains_as_it_is_used(layout: Callable[[Tensor], Tensor], affine: bool) -> None:
    torch.manual_seed(0)
    x = layout(noise(3, 5, 8, 6, dtype=torch.float64)).detach()
    ours = InstanceNorm(x.shape[1], affine=affine).double()
    theirs = nn.InstanceNorm2d(x.shape[1], affine=affine).double()
    for parameter in ours.parameters():
        nn.init.normal_(parameter)
    theirs.load_state_dict(ours.state_dict())
    direction = noise(*x.shape, dtype=torch.float64)

    def slopes(norm: nn.Module) -> list[Tensor]:
        """Values, gradients, and what a penalty on the gradients has for gradients."""
        picture = x.detach().requires_grad_()
        y = norm(picture)
        inputs = [picture, *norm.parameters()]
        first = torch.autograd.grad((y * direction).sum(), inputs, create_graph=True)
        second = torch.autograd.grad(first[0].pow(2).sum(), inputs[:2])
        return [y, *first, *second]

    expected = slopes(theirs)
    for mode in (True, False):
        assert all(torch.allclose(a, b) for a, b in zip(slopes(ours.train(mode)), expected, strict=True))
    memory = torch.channels_last if x.is_contiguous(memory_format=torch.channels_last) else torch.contiguous_format
    assert ours.train()(x).is_contiguous(memory_format=memory)


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("affine", [True, False])
def test_instance_norm_of_one_pixel_is_the_bias(count: int, affine: bool) -> None:
    norm = InstanceNorm(3, affine=affine)
    if affine:
        nn.init.normal_(norm.bias)
    expected = norm.bias[None, :, None, None].expand(count, -1, 1, 1) if affine else torch.zeros(count, 3, 1, 1)
    assert torch.allclose(norm(noise(count, 3, 1, 1)), expected, atol=1e-3)


def test_norms_normalize_what_they_are_named_for() -> None:
    x = noise(4, 3, 8, 8) * torch.tensor([1.0, 2.0, 3.0])[:, None, None] + torch.arange(4.0)[:, None, None, None]
    for kind, axes in (("batch", (0, 2, 3)), ("instance", (2, 3)), ("layer", (1, 2, 3))):
        y = normalization(kind, 3)(x)
        assert y.mean(axes).abs().max() < 1e-5 and (y.var(axes, correction=0) - 1).abs().max() < 1e-3
        assert bool(list(normalization(kind, 3).parameters()))
        assert not list(normalization(kind, 3, affine=False).parameters())


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(TypeError, match="choose batch, instance or layer"):
        normalization("group", 3)
    with pytest.raises(TypeError, match="choose relu or leaky"):
        activation("gelu")


def test_fresh_weights_are_those_of_dcgan() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(64, 64, 5), nn.ConvTranspose2d(64, 64, 5), nn.Linear(200, 200), nn.BatchNorm2d(5000)
    )
    for layer in network:
        nn.init.constant_(layer.bias, 7)
    initialize(network, 0.05)
    for layer, mean in zip(network, (0, 0, 0, 1), strict=True):
        assert layer.weight.std().item() == pytest.approx(0.05, rel=0.05)
        assert layer.weight.mean().item() == pytest.approx(mean, abs=5e-3)
        assert (layer.bias == 0).all()
    initialize(CycleGANGenerator(CycleGANConfig(width=2, blocks=1)))  # norms without weights


def test_fresh_weights_reach_what_is_spectrally_normalized() -> None:
    network = UGATITDiscriminator(8, layers=5)
    initialize(network, 3.0)
    weights = network.state_dict()
    originals = [weights[name] for name in weights if name.endswith("weight.original")]
    assert len(originals) == 7  # four convolutions, two classifiers, the last convolution
    assert all(weight.std() > 1 for weight in originals)


# Spectral normalization


def test_the_largest_singular_value_becomes_1() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 6, 3), nn.ConvTranspose2d(6, 4, 2), nn.Flatten(), nn.Linear(4 * 49, 5))
    for layer in (network[0], network[1], network[3]):
        nn.init.normal_(layer.weight, std=3)
    spectrally_normalize(network)
    for _ in range(50):
        network(noise(1, 3, 8, 8))
    network.eval()
    for layer, matrix in (
        (network[0], lambda w: w),
        (network[1], lambda w: w.transpose(0, 1)),
        (network[3], lambda w: w),
    ):
        largest = torch.linalg.svdvals(matrix(layer.weight).flatten(1)).max().item()
        assert largest == pytest.approx(1, rel=0.02)


def test_layers_are_normalized_once() -> None:
    network = UGATITDiscriminator(4, layers=5)
    spectrally_normalize(network)
    spectrally_normalize(network)
    layers = [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert len(layers) == 8
    assert all(len(layer.parametrizations.weight) == 1 for layer in layers)


@pytest.mark.parametrize("spectral", [False, True])
@pytest.mark.parametrize("memory", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("name", DISCRIMINATORS)
def test_discriminators_bear_two_forwards_and_a_gradient_penalty(
    name: str, memory: torch.memory_format, spectral: bool
) -> None:
    torch.manual_seed(0)
    network = DISCRIMINATORS[name]().to(memory_format=memory)
    if spectral:
        spectrally_normalize(network)
        assert all(
            parametrize.is_parametrized(module, "weight")
            for module in network.modules()
            if isinstance(module, nn.Conv2d | nn.Linear)
        )
    real, drawn = (noise(2, 3, 32, 40).contiguous(memory_format=memory).requires_grad_() for _ in range(2))
    scores = logits(network, real), logits(network, drawn)
    (slope,) = torch.autograd.grad(scores[1].sum(), drawn, create_graph=True)
    (scores[0].mean() - scores[1].mean() + (slope.flatten(1).norm(dim=1) - 1).pow(2).mean()).backward()
    for parameter in network.parameters():
        assert parameter.grad is not None and torch.isfinite(parameter.grad).all()


# All architectures


def test_every_architecture_is_tried_here() -> None:
    """test_noise_networks.py tries those from noise."""
    of_photos = {name for name, architecture in ARCHITECTURES.items() if not architecture.from_noise}
    assert {name.split()[0] for name in TINY} == of_photos


@pytest.mark.parametrize("name", TINY)
def test_an_architecture_trains(name: str) -> None:
    """Gradients reach all of its weights, in float32 and in bfloat16, however its memory is laid out."""
    network = build(name)
    x = noise(2, 3, 16, 24)
    for memory in (torch.contiguous_format, torch.channels_last):
        network.to(memory_format=memory)
        results = []
        for precision in (torch.float32, torch.bfloat16):
            network.zero_grad()
            torch.manual_seed(0)  # the same dropout
            with torch.autocast("cpu", dtype=precision, enabled=precision != torch.float32):
                y = network(x.contiguous(memory_format=memory))
            y.float().square().mean().backward()
            results.append(y.float())
            for key, parameter in network.named_parameters():
                assert parameter.grad is not None and torch.isfinite(parameter.grad).all(), key
        assert (results[0] - results[1]).abs().mean() < 0.05


@pytest.mark.parametrize("name", TINY)
def test_sizes_are_those_that_the_table_says(name: str) -> None:
    architecture = ARCHITECTURES[name.split()[0]]
    multiple, least = architecture.multiple(TINY[name]), architecture.minimum(TINY[name])
    network = build(name).eval()
    with torch.inference_mode():
        for size in ((least, least), (least, least + multiple), (5 * multiple, 3 * multiple)):
            x = noise(2, 3, *size)
            y = network(x)
            assert y.shape == x.shape and y.abs().max() <= 1 and torch.isfinite(y).all()
            assert not torch.equal(y[0], y[1])


@pytest.mark.parametrize("name", TINY)
def test_an_architecture_is_exported_with_free_sizes(name: str, tmp_path: Path) -> None:
    """One export for all that is to be seen of it: it takes seconds."""
    architecture = ARCHITECTURES[name.split()[0]]
    multiple = architecture.multiple(TINY[name])
    variant = Variant(
        weights=FileWeights(file="tiny.pth"),
        architecture=name.split()[0],
        config=TINY[name],
        multiple=multiple,
        minimum=architecture.minimum(TINY[name]),
    )
    card = Card(id="tiny", title="Tiny", license="MIT", attribution="-", source="-", variants={"original": variant})
    network = build(name).eval()
    target = tmp_path / "tiny.onnx"
    photo = noise(1, 3, 5 * multiple, 3 * multiple).numpy()
    assert export_onnx(network, LocatedStyle(card, tmp_path).variant(), target, photo=photo) > 80
    batch = noise(3, 3, 2 * multiple, 20 * multiple)
    with torch.inference_mode():
        difference = OnnxGenerator(target, "cpu")(batch.numpy()) - network(batch).numpy()
    assert np.square(difference).mean() < 4e-8  # 80 dB of -1..1

    side = 4 * max(multiple, 8)
    frame = photo_of(side, 2 * side)
    if name in WHOLE:
        with pytest.raises(TilingError):
            draw_in_tiles(target, frame, side // 2)
    else:
        assert psnr(draw_in_tiles(target, frame, side // 2), draw_at_once(target, frame), peak=2) > 60


# Content features


def random_state(network: str) -> dict[str, Tensor]:
    """Weights of the layers that content features may be of, with torchvision's names."""
    random = torch.Generator().manual_seed(0)
    with torch.device("meta"):
        shapes = getattr(torchvision.models, network)(weights=None).state_dict()
    state = {}
    for name, tensor in shapes.items():
        if not name.startswith(("features", "conv1", "bn1", "layer1", "layer2")):
            continue
        if name.endswith("num_batches_tracked"):
            state[name] = torch.tensor(0)
        elif tensor.dim() == 4:
            state[name] = torch.randn(tensor.shape, generator=random) * (2 / tensor[0].numel()) ** 0.5
        elif "bias" in name or "mean" in name:
            state[name] = torch.randn(tensor.shape, generator=random) * 0.1
        else:  # scales and variances of batch norms
            state[name] = torch.rand(tensor.shape, generator=random) + 0.5
    return state


def reference(network: str, node: str, state: Mapping[str, Tensor], x: Tensor) -> Tensor:
    """torchvision's own network up to one of its modules, of RGB in 0..1."""
    with torch.device("meta"):
        whole = getattr(torchvision.models, network)(weights=None).eval()
    whole.load_state_dict({**state}, strict=False, assign=True)
    transforms = torchvision.models.get_model_weights(network).IMAGENET1K_V1.transforms()
    mean, std = (torch.tensor(values)[:, None, None] for values in (transforms.mean, transforms.std))
    with torch.inference_mode():
        found: Tensor = create_feature_extractor(whole, {node: "found"})((x - mean) / std)["found"]
    return found


@pytest.mark.parametrize(
    ("name", "node", "shape"),
    [
        ("vgg19", "features.25", (512, 4, 6)),
        ("vgg19:relu3_1", "features.11", (256, 8, 12)),
        ("vgg16", "features.21", (512, 4, 6)),
        ("vgg16:conv1_1", "features.0", (64, 32, 48)),
        ("resnet50", "layer2", (512, 4, 6)),
        ("resnet50:layer1", "layer1", (256, 8, 12)),
    ],
)
def test_features_are_torchvisions(name: str, node: str, shape: tuple[int, ...], tmp_path: Path) -> None:
    network, _ = parse_content(name)
    state = random_state(network)
    passed_over = {"classifier.0.bias" if network.startswith("vgg") else "fc.bias": torch.zeros(3)}
    torch.save({**state, **passed_over}, tmp_path / "weights.pth")
    x = (noise(2, 3, 32, 48) + 1) / 2
    with torch.inference_mode():
        (found,) = load_features(name, tmp_path / "weights.pth")(x * 2 - 1)
    assert found.shape == (2, *shape)
    expected = reference(network, node, state, x)
    assert (found - expected).abs().max() < 1e-4 * expected.abs().max()


def test_features_of_several_layers_are_those_of_each(tmp_path: Path) -> None:
    torch.save(random_state("vgg19"), tmp_path / "weights.pth")
    x = noise(2, 3, 32, 32)
    layers = ["conv2_2", "relu2_2", "conv1_2", "conv3_1"]
    with torch.inference_mode():
        found = load_features(f"vgg19:{','.join(layers)}", tmp_path / "weights.pth")(x)
        alone = [load_features(f"vgg19:{layer}", tmp_path / "weights.pth")(x)[0] for layer in layers]
    assert len(found) == len(layers)
    assert all(torch.equal(one, other) for one, other in zip(found, alone, strict=True))
    assert found[0].min() < 0  # not overwritten by the ReLU behind it


def test_vgg_may_bring_its_own_preprocessing() -> None:
    """The form of AdaIN, here with what torchvision subtracts and divides by written as a convolution."""
    state = random_state("vgg16")
    spread = torch.tensor([0.229, 0.224, 0.225])
    own = {
        "pre.weight": torch.diag(1 / spread)[:, :, None, None],
        "pre.bias": -torch.tensor([0.485, 0.456, 0.406]) / spread,
    }
    x = noise(1, 3, 32, 32)
    plain, own_features = (ContentFeatures("vgg16", ["conv3_1"], s) for s in (state, {**state, **own}))
    assert torch.allclose(plain(x)[0], own_features(x)[0], atol=1e-5)
    own["pre.bias"] = own["pre.bias"] + 1
    brighter = ContentFeatures("vgg16", ["conv3_1"], {**state, **own})
    assert not torch.allclose(plain(x)[0], brighter(x)[0], atol=1e-2)


def test_features_stay_as_they_are() -> None:
    features = ContentFeatures("resnet50", ["layer1"], random_state("resnet50"))
    before = {name: tensor.clone() for name, tensor in features.state_dict().items()}
    x = noise(2, 3, 32, 32).requires_grad_()
    nn.Sequential(features).train()(x)[0].mean().backward()
    assert not any(module.training for module in features.modules())
    assert not any(parameter.requires_grad for parameter in features.parameters())
    assert x.grad is not None and x.grad.abs().sum() > 0
    assert all(torch.equal(tensor, before[name]) for name, tensor in features.state_dict().items())
    assert next(features.parameters()).dtype == torch.float32


def test_half_precision_files_serve_as_well(tmp_path: Path) -> None:
    state = {
        name: tensor.half() if tensor.is_floating_point() else tensor
        for name, tensor in random_state("resnet50").items()
    }
    torch.save(state, tmp_path / "half.pth")
    features = load_features("resnet50:layer1", tmp_path / "half.pth")
    assert {p.dtype for p in features.parameters()} == {torch.float32}


def test_content_is_named_by_network_and_layer() -> None:
    assert parse_content("vgg19") == ("vgg19", ("conv4_4",))
    assert parse_content("vgg16") == ("vgg16", ("conv4_3",))
    assert parse_content("resnet101") == ("resnet101", ("layer2",))
    assert parse_content("resnet50:layer4") == ("resnet50", ("layer4",))
    assert parse_content("vgg19:relu5_4") == ("vgg19", ("relu5_4",))
    assert parse_content("vgg19:conv4_4,conv1_2") == ("vgg19", ("conv4_4", "conv1_2"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("vgg11", "--content vgg11: no such network; choose one of vgg19, vgg16, resnet50, resnet101"),
        ("", "--content : no such network"),
        ("vgg19:", "choose vgg19: and one of conv1_1 to conv5_4, or relu1_1 to relu5_4"),
        ("vgg16:conv4_4", "vgg16 has no such layer; choose vgg16: and one of conv1_1 to conv5_3"),
        ("resnet50:layer5", "choose resnet50: and one of layer1 to layer4"),
        ("vgg19:conv1_2,", "vgg19 has no such layer; choose vgg19: and one of"),
        ("vgg19:conv1_2,conv1_2", "--content vgg19:conv1_2,conv1_2: a layer is named twice; name each once"),
        ("VGG19", "no such network"),
    ],
)
def test_unknown_content_is_refused(text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        load_features(text, None)
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_a_file_without_the_network_is_refused(tmp_path: Path) -> None:
    torch.save(random_state("vgg16"), tmp_path / "vgg16.pth")
    for name in ("vgg19", "resnet50", "resnet101:layer1"):
        with pytest.raises(WeightsError, match=r"up to \w+ in .*vgg16.pth; give --content-weights"):
            load_features(name, tmp_path / "vgg16.pth")
    odd = {**random_state("vgg16"), "pre.weight": torch.zeros(2, 2), "pre.bias": torch.zeros(2)}
    torch.save(odd, tmp_path / "odd.pth")
    with pytest.raises(WeightsError, match="no VGG-16 up to conv1_1"):
        load_features("vgg16:conv1_1", tmp_path / "odd.pth")
    torch.save(nn.Linear(2, 2), tmp_path / "code.pth")
    with pytest.raises(WeightsError, match="holds code"):
        load_features("vgg16", tmp_path / "code.pth")


def test_published_features_are_torchvisions() -> None:
    assert PUBLISHED.keys() == CONTENT.keys()
    for name, published in PUBLISHED.items():
        weights = torchvision.models.get_model_weights(name).IMAGENET1K_V1
        assert published.url == weights.url
        assert published.url.endswith(f"-{published.sha256[:8]}.pth")
        assert published.megabytes == pytest.approx(weights.meta["_file_size"] * 2**20 / 1e6, rel=2e-3)


def test_published_features_are_known_by_the_digits_in_their_names(monkeypatch: pytest.MonkeyPatch) -> None:
    published = PUBLISHED["resnet50"]
    published.path.parent.mkdir(parents=True)
    torch.save(random_state("resnet50"), published.path)
    with pytest.raises(WeightsError, match="not the published ResNet-50; delete it, or give --content-weights FILE"):
        load_features("resnet50", None)
    digest = file_digest(published.path)
    monkeypatch.setattr("toonify.checkpoints.published.file_digest", lambda path: published.sha256 + digest[8:])
    assert load_features("resnet50", None)(noise(1, 3, 32, 32))[0].shape == (1, 512, 4, 4)


def test_without_a_network_one_line_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("toonify.checkpoints.published.reach", lambda url: "no network")
    with pytest.raises(DownloadError) as caught:
        load_features("vgg19", None)
    message = str(caught.value)
    assert PUBLISHED["vgg19"].url in message and "--content-weights FILE" in message and "\n" not in message


@pytest.fixture(scope="module")
def nets() -> Path:
    """The folder with real networks that TOONIFY_TEST_NETS names; without it the test is skipped."""
    folder = os.environ.get("TOONIFY_TEST_NETS")
    if not folder:
        pytest.skip("needs real networks: set TOONIFY_TEST_NETS")
    return Path(folder)


def photo_batch(size: int) -> Tensor:
    paths = sorted(PHOTOS.glob("*.jpg"))
    photos = [np.asarray(Image.open(path).convert("RGB").resize((size, size))) for path in paths]
    return torch.from_numpy(np.stack(photos)).permute(0, 3, 1, 2).float() / 127.5 - 1


@pytest.mark.parametrize("layer", ["relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu4_4"])
def test_the_real_normalized_vgg_has_maps_of_mean_1_on_photos(layer: str, nets: Path) -> None:
    features = load_features(f"vgg19:{layer}", nets / "vgg19_normalised.pth")
    with torch.inference_mode():
        means = features(photo_batch(224))[0].mean((0, 2, 3))
    assert means.mean().item() == pytest.approx(1, abs=0.25)
    assert means.median().item() == pytest.approx(1, abs=0.25)


def test_the_real_vgg_tells_a_changed_photo_from_another_one(nets: Path) -> None:
    photos = photo_batch(128)
    for name, file in (("vgg19", "vgg19_normalised.pth"), ("vgg16", "vgg16_features.pth")):
        features = load_features(name, nets / file)
        with torch.inference_mode():
            (of_photos,) = features(photos)
            changed = (features((photos * 0.9 + 0.05).clamp(-1, 1))[0] - of_photos).abs().mean()
            another = (of_photos.roll(1, 0) - of_photos).abs().mean()
        assert changed < another / 4
