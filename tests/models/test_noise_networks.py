"""The networks of generators from noise: held against the papers' tables and formulas written by hand."""

import math
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from toonify.models import ARCHITECTURES
from toonify.models.dcgan import DCGANConfig, DCGANDiscriminator, DCGANGenerator
from toonify.models.equalized import (
    DownConv2d,
    EqualizedConv2d,
    EqualizedLinear,
    UpConv2d,
    minibatch_deviation,
    pixel_norm,
)
from toonify.models.noise import NoiseConfig, NoiseGenerator, grown_channels
from toonify.models.progan import ProGANConfig, ProGANDiscriminator, ProGANGenerator, blur
from toonify.models.stylegan import StyleGANConfig, StyleGANGenerator, adaptive_instance_norm

pytestmark = pytest.mark.usefixtures("one_thread")

FROM_NOISE = [name for name, architecture in ARCHITECTURES.items() if architecture.from_noise]
TINY: dict[str, dict[str, Any]] = {name: {"size": 32, "width": 8} for name in FROM_NOISE}


def build(name: str, **config: Any) -> NoiseGenerator:
    torch.manual_seed(0)
    network = ARCHITECTURES[name].build({**TINY[name], **config})
    assert isinstance(network, NoiseGenerator)
    return network


def count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


# Sizes


def test_networks_have_the_published_number_of_parameters() -> None:
    with torch.device("meta"):
        progan = [ProGANGenerator(ProGANConfig(1024)), ProGANDiscriminator(ProGANConfig(1024))]
        stylegan = StyleGANGenerator(StyleGANConfig(1024))
        grown = StyleGANGenerator(StyleGANConfig(1024, grows=True))
    assert [round(count(network) / 1e6, 1) for network in progan] == [23.1, 23.1]
    assert round(count(stylegan) / 1e6, 1) == 26.2
    assert count(grown) == 26_219_627  # as the authors' program prints it, with layers to RGB at all sides
    assert sum(each.numel() for each in stylegan.mapping_layers.parameters()) == 8 * (512 * 512 + 512)


def test_channels_are_those_of_the_papers_tables() -> None:
    sides = [4, 8, 16, 32, 64, 128, 256, 512, 1024]
    channels = [grown_channels(NoiseConfig(1024), side) for side in sides]
    assert channels == [512, 512, 512, 512, 256, 128, 64, 32, 16]
    with torch.device("meta"):  # DCGAN, figure 1
        generator, discriminator = DCGANGenerator(), DCGANDiscriminator(DCGANConfig())
    shapes = [tuple(m.weight.shape) for m in generator.modules() if isinstance(m, nn.ConvTranspose2d)]
    assert [(i, o) for i, o, *_ in shapes] == [(100, 1024), (1024, 512), (512, 256), (256, 128), (128, 3)]
    assert [kernel for *_, kernel in shapes] == [4, 5, 5, 5, 5]
    assert [m.out_channels for m in discriminator.modules() if isinstance(m, nn.Conv2d)] == [128, 256, 512, 1024, 1]


def test_dcgan_keeps_to_the_papers_guidelines() -> None:
    with torch.device("meta"):
        generator, discriminator = DCGANGenerator(), DCGANDiscriminator(DCGANConfig())
    for network, kind, act in ((generator, nn.ConvTranspose2d, nn.ReLU), (discriminator, nn.Conv2d, nn.LeakyReLU)):
        modules = list(network.modules())
        assert sum(isinstance(each, kind) for each in modules) == 5
        assert sum(isinstance(each, act) for each in modules) == 4
        assert not any(isinstance(each, nn.Linear | nn.MaxPool2d | nn.AvgPool2d) for each in modules)
    assert sum(isinstance(each, nn.BatchNorm2d) for each in generator.modules()) == 4  # all layers but the last
    assert sum(isinstance(each, nn.BatchNorm2d) for each in discriminator.modules()) == 3  # nor the first and last


@pytest.mark.parametrize("name", FROM_NOISE)
@pytest.mark.parametrize("size", [32, 64, 128])
def test_pictures_have_the_side_that_the_config_says(name: str, size: int) -> None:
    network = build(name, size=size).eval()
    with torch.inference_mode():
        drawn = network(torch.randn(3, network.latent_size))
    assert drawn.shape == (3, 3, size, size) and torch.isfinite(drawn).all()
    assert not torch.allclose(drawn[0], drawn[1])


@pytest.mark.parametrize("size", [4, 48, 63])
def test_a_config_of_another_size_is_none(size: int) -> None:
    with pytest.raises(ValueError, match=f"size {size} is no power of two"):
        NoiseConfig(size)


@pytest.mark.parametrize("name", FROM_NOISE)
def test_layers_are_all_tensors_but_those_of_the_mapping(name: str) -> None:
    network = build(name)
    prefixes = tuple(prefix for _, prefix in network.layers())
    rest = {key.partition(".")[0] for key in network.state_dict() if not key.startswith(prefixes)}
    assert rest <= {"mapping_layers", "mean_w"}
    assert {side for side, _ in network.layers()} == {4, 8, 16, 32}


# Layers by hand


def test_equalized_layers_scale_unit_weights_by_hes_constant() -> None:
    torch.manual_seed(0)
    conv, linear = EqualizedConv2d(32, 48, 3), EqualizedLinear(200, 300)
    for weight in (conv.weight, linear.weight):
        assert weight.std().item() == pytest.approx(1, abs=0.02)
    assert conv.scale == pytest.approx(math.sqrt(2 / (32 * 9))) and linear.scale == pytest.approx(math.sqrt(2 / 200))
    x = torch.randn(2, 32, 5, 5)
    assert torch.allclose(conv(x), F.conv2d(x, conv.weight * math.sqrt(2 / 288), padding=1), atol=1e-6)


def test_a_layer_at_a_hundredth_of_the_rate_draws_the_same_and_moves_a_hundredth_as_far() -> None:
    torch.manual_seed(0)
    fast = EqualizedLinear(50, 60)
    slow = EqualizedLinear(50, 60, rate=0.01)
    slow.weight.data = fast.weight.data * 100
    x = torch.randn(8, 50)
    assert torch.allclose(fast(x), slow(x), atol=1e-5)
    before = fast(x).detach()
    moved = []
    for layer in (fast, slow):
        optimizer = torch.optim.Adam(layer.parameters(), lr=0.001, betas=(0.0, 0.99))
        layer(x).sum().backward()
        optimizer.step()
        moved.append((layer(x) - before).abs().mean().item())
    assert moved[1] / moved[0] == pytest.approx(0.01, rel=0.01)


def test_sampling_in_one_with_a_convolution_is_sampling_beside_it() -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 3, 6, 10, dtype=torch.float64)
    up, down = UpConv2d(3, 5).double(), DownConv2d(3, 5).double()
    nn.init.normal_(up.bias)
    larger = F.conv2d(F.interpolate(x, scale_factor=2.0), up.weight * up.scale, up.bias, padding=1)
    smaller = F.avg_pool2d(F.conv2d(x, down.weight * down.scale, down.bias, padding=1), 2)
    assert torch.allclose(up(x), larger) and torch.allclose(down(x), smaller)


def test_the_blur_is_a_binomial_filter() -> None:
    x = torch.rand(2, 3, 7, 9, dtype=torch.float64)
    kernel = torch.tensor([1.0, 2, 1], dtype=torch.float64)
    kernel = (kernel[:, None] * kernel / 16).expand(3, 1, 3, 3)
    assert torch.allclose(blur(x), F.conv2d(x, kernel, padding=1, groups=3))


def test_pixel_norm_gives_every_place_a_mean_square_of_one() -> None:
    x = torch.tensor([[3.0, 4.0], [0.5, 0.0]])
    root = math.sqrt(12.5)
    assert torch.allclose(pixel_norm(x), torch.tensor([[3 / root, 4 / root], [math.sqrt(2), 0]]), atol=1e-6)
    maps = pixel_norm(torch.randn(2, 5, 3, 3))
    assert torch.allclose(maps.square().mean(1), torch.ones(2, 3, 3), atol=1e-5)


def test_the_minibatchs_deviation_is_a_map_more() -> None:
    x = torch.zeros(4, 2, 2, 2)
    x[:, 0, 0, 0] = torch.tensor([1.0, 3.0, 5.0, 7.0])  # of deviation sqrt(5), in one of eight values
    y = minibatch_deviation(x)
    assert y.shape == (4, 3, 2, 2) and torch.equal(y[:, :2], x)
    small = math.sqrt(1e-8)
    assert y[:, 2].flatten().tolist() == pytest.approx([(math.sqrt(5) + 7 * small) / 8] * 16, rel=1e-5)
    # Eight pictures are two groups of four, of every other one.
    two = minibatch_deviation(torch.cat([x[:1], x[:1], x[1:2], x[:1], x[2:3], x[:1], x[3:], x[:1]]))
    assert two[0::2, 2].max().item() == pytest.approx(y[0, 2, 0, 0].item()) and two[1::2, 2].max() < 1e-3


@pytest.mark.parametrize(("count", "group"), [(1, 1), (2, 2), (3, 3), (6, 3), (5, 1)])
def test_groups_are_the_largest_that_divide_the_batch(count: int, group: int) -> None:
    x = torch.arange(count, dtype=torch.float32).view(count, 1, 1, 1)
    numbers = x.reshape(group, -1).numpy()
    expected = np.tile(np.sqrt(numbers.var(axis=0) + 1e-8), group)
    assert np.allclose(minibatch_deviation(x)[:, 1, 0, 0].numpy(), expected)


@pytest.mark.parametrize("training", [True, False])
def test_adaptive_instance_norm_is_equation_1(training: bool) -> None:
    torch.manual_seed(0)
    x = torch.randn(3, 4, 5, 6) * 3 + 1
    scale, shift = torch.randn(3, 4), torch.randn(3, 4)
    mean, deviation = x.mean((2, 3), keepdim=True), (x.var((2, 3), correction=0, keepdim=True) + 1e-5).sqrt()
    expected = scale[:, :, None, None] * (x - mean) / deviation + shift[:, :, None, None]
    assert torch.allclose(adaptive_instance_norm(x, scale, shift, training=training), expected, atol=1e-5)


# Whole networks by hand


def test_progan_is_table_2() -> None:
    network = build("progan", size=8).double()
    assert isinstance(network, ProGANGenerator)
    state = network.state_dict()
    z = torch.randn(2, 8, dtype=torch.float64)

    def norm(x: Tensor) -> Tensor:
        return x / (x.square().mean(1, keepdim=True) + 1e-8).sqrt()

    def conv(x: Tensor, name: str, gain: float = 2.0) -> Tensor:
        kernel = state[f"{name}.weight"]
        return F.conv2d(
            x, kernel * math.sqrt(gain / kernel[0].numel()), state[f"{name}.bias"], padding=kernel.shape[-1] // 2
        )

    x = F.linear(norm(z), state["first.weight"] * math.sqrt(2) / 4 / math.sqrt(8), state["first.bias"])
    x = norm(F.leaky_relu(x.view(2, 8, 4, 4), 0.2))
    x = before = norm(F.leaky_relu(conv(x, "blocks.0.0"), 0.2))
    x = norm(F.leaky_relu(conv(F.interpolate(x, scale_factor=2), "blocks.1.0"), 0.2))
    x = norm(F.leaky_relu(conv(x, "blocks.1.1"), 0.2))
    whole = conv(x, "to_rgb.8", 1.0)
    assert torch.allclose(network(z), whole, atol=1e-5)
    network.level = 2.25
    coarse = F.interpolate(conv(before, "to_rgb.4", 1.0), scale_factor=2)
    assert torch.allclose(network(z), 0.75 * coarse + 0.25 * whole, atol=1e-5)
    network.level = 2.0
    assert torch.allclose(network(z), conv(before, "to_rgb.4", 1.0), atol=1e-5)


def test_stylegan_is_figure_1() -> None:
    network = build("stylegan", size=8).double().eval()
    for parameter in network.parameters():
        nn.init.normal_(parameter)
    state = network.state_dict()
    z, noise = torch.randn(2, 8, dtype=torch.float64), torch.randn(2, 2 * 16 + 2 * 64, dtype=torch.float64)
    w = z / (z.square().mean(1, keepdim=True) + 1e-8).sqrt()
    for number in range(8):
        weight, bias = (state[f"mapping_layers.{number}.{kind}"] for kind in ("weight", "bias"))
        w = F.leaky_relu(F.linear(w, weight * math.sqrt(2 / 8) * 0.01, bias * 0.01), 0.2)
    x = state["constant"].expand(2, -1, -1, -1)
    maps = torch.split(noise, [16, 16, 64, 64], dim=1)
    binomial = torch.tensor([1.0, 2, 1], dtype=torch.float64)
    binomial = (binomial[:, None] * binomial / 16).expand(8, 1, 3, 3)
    for number, side in enumerate((4, 4, 8, 8)):
        name = f"styled.{number}"
        if number == 2:
            x = F.interpolate(x, scale_factor=2)
        if number:
            x = F.conv2d(x, state[f"{name}.conv.weight"] * math.sqrt(2 / 72), padding=1)
        if number == 2:
            x = F.conv2d(x, binomial, padding=1, groups=8)
        x = F.leaky_relu(x + state[f"{name}.noise"] * maps[number].view(2, 1, side, side) + state[f"{name}.bias"], 0.2)
        affine = F.linear(w, state[f"{name}.affine.weight"] / math.sqrt(8), state[f"{name}.affine.bias"])
        scale, shift = (part[:, :, None, None] for part in affine.chunk(2, 1))
        mean, variance = x.mean((2, 3), keepdim=True), x.var((2, 3), correction=0, keepdim=True)
        x = (1 + scale) * (x - mean) / (variance + 1e-5).sqrt() + shift
    kernel = state["to_rgb.8.weight"]
    assert torch.allclose(network(z, noise), F.conv2d(x, kernel / math.sqrt(8), state["to_rgb.8.bias"]), atol=1e-6)


def test_truncation_leads_styles_to_their_mean() -> None:
    network = build("stylegan").eval()
    assert isinstance(network, StyleGANGenerator)
    nn.init.normal_(network.mean_w)
    z, noise = torch.randn(2, 8), torch.randn(1, network.noise_size).expand(2, -1)
    with torch.inference_mode():
        whole = network(z, noise)
        assert torch.allclose(network(z, noise, torch.ones(1)), whole, atol=1e-5)
        mean = network(z, noise, torch.zeros(1))
        assert torch.allclose(mean[0], mean[1], atol=1e-5)  # whatever the latent
        w = network.mapping(z)
        half = network.synthesis((0.5 * w + 0.5 * network.mean_w)[:, None].expand(-1, 8, -1), noise)
        assert torch.allclose(network(z, noise, torch.full((1,), 0.5)), half, atol=1e-4)


def test_a_discriminator_sees_how_different_a_minibatch_is() -> None:
    torch.manual_seed(0)
    network = ProGANDiscriminator(NoiseConfig(32, 8), smooth=True, grows=False)
    x = torch.rand(1, 3, 32, 32) * 2 - 1
    alone, alike = network(x), network(x.expand(4, -1, -1, -1))
    mixed = network(torch.cat([x, torch.rand(3, 3, 32, 32)]))
    assert torch.allclose(alone, alike[:1], atol=1e-4) and not torch.allclose(alone, mixed[:1], atol=1e-4)
