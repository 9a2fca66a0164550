"""A training step from noise as `toonify train` takes it, beside the same step written the textbook way. One run.

    python tests/bench/bench_noise.py [--arch dcgan progan stylegan] [--size 64] [--width 64] [--batch-size 16]

Textbook: the same networks with the same weights in float32, in PyTorch's own layout and of its own layers (upsampling,
then a convolution; a convolution, then pooling; instance norm, then scale and shift). The discriminator learns from
pictures that are drawn for it without a graph, then the generator from others, with the discriminator as it is by then.
The three ways (toonify in float32, in its default precision, textbook) take turns, each in a process of its own, whose
peak memory stands beside the time; of each the least of all steps counts, once warm. No way augments pictures.
"""

import argparse
import json
import subprocess
import sys
import time
from types import MethodType
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from toonify.methods import METHODS
from toonify.methods.batch import Batch
from toonify.methods.noise import NoiseMethod
from toonify.methods.trained import Precision
from toonify.models.equalized import DownConv2d, UpConv2d
from toonify.models.noise import NoiseGenerator
from toonify.models.progan import ProGANDiscriminator
from toonify.models.stylegan import StyledLayer, StyleGANGenerator
from toonify.train.check import peak_memory
from toonify.train.options import Options
from toonify.train.start import choose_precision, tune

STEPS = 4  # timed in each process, after one to warm up


def conv_up(self: UpConv2d, x: Tensor) -> Tensor:
    return F.conv2d(F.interpolate(x, scale_factor=2.0), self.weight * self.scale, self.bias, padding=1)


def conv_down(self: DownConv2d, x: Tensor) -> Tensor:
    return F.avg_pool2d(F.conv2d(x, self.weight * self.scale, self.bias, padding=1), 2)


def blur(x: Tensor) -> Tensor:
    kernel = torch.tensor([1.0, 2.0, 1.0], device=x.device)
    kernel = (kernel[:, None] * kernel / 16).expand(x.shape[1], 1, 3, 3)
    return F.conv2d(x, kernel, padding=1, groups=x.shape[1])


def styled(self: StyledLayer, x: Tensor, w: Tensor, noise: Tensor) -> Tensor:
    if self.conv is not None:
        x = self.conv(x)
        x = blur(x) if self.up else x
    x = F.leaky_relu(x + self.noise * noise + self.bias, 0.2)
    scale, shift = self.affine(w)[:, :, None, None].chunk(2, dim=1)
    return F.instance_norm(x) * (1 + scale) + shift


def plain(network: nn.Module, device: str) -> nn.Module:
    """The network of PyTorch's own layers, in PyTorch's own layout."""
    for module in network.modules():
        for kind, forward in ((UpConv2d, conv_up), (DownConv2d, conv_down), (StyledLayer, styled)):
            if isinstance(module, kind):
                setattr(module, "forward", MethodType(forward, module))  # noqa: B010 - mypy would not have it assigned
    return network.to(device).to(memory_format=torch.contiguous_format).train()


def textbook(method: NoiseMethod, device: str):
    generator, discriminator = plain(method.generator, device), plain(method.discriminators.network, device)
    assert isinstance(generator, NoiseGenerator)
    if isinstance(discriminator, ProGANDiscriminator):
        vars(sys.modules[ProGANDiscriminator.__module__])["blur"] = blur
    settings = method.settings
    betas = (settings.beta1, method.beta2 or 0.999)
    of_generator, of_discriminator = (
        torch.optim.Adam(network.parameters(), lr=settings.learning_rate, betas=betas)
        for network in (generator, discriminator)
    )
    wasserstein = settings.objective == "wgan-gp"

    def draw(count: int) -> Tensor:
        if not isinstance(generator, StyleGANGenerator):
            return generator(torch.randn(count, generator.latent_size, device=device))
        first, second = (generator.mapping(torch.randn(count, generator.latent_size, device=device)) for _ in range(2))
        layers = len(generator.layer_sides)
        cut = int(torch.randint(1, layers, ())) if torch.rand(()) < 0.9 else layers
        w = torch.stack([first] * cut + [second] * (layers - cut), dim=1)
        return generator.synthesis(w)

    def step(batch: Batch) -> None:
        real = batch.cartoon.detach().requires_grad_(settings.r1 > 0)
        with torch.no_grad():
            drawn = draw(len(real))
        of_real, of_drawn = discriminator(real), discriminator(drawn)
        if wasserstein:
            mix = torch.rand(len(real), 1, 1, 1, device=device)
            between = (mix * real + (1 - mix) * drawn).requires_grad_()
            (slope,) = torch.autograd.grad(discriminator(between).sum(), between, create_graph=True)
            penalty = 10 * (slope.flatten(1).norm(dim=1) - 1).square().mean()
            loss = of_drawn.mean() - of_real.mean() + penalty + 0.001 * of_real.square().mean()
        else:
            loss = F.softplus(-of_real).mean() + F.softplus(of_drawn).mean()
        if settings.r1:
            (slope,) = torch.autograd.grad(of_real.sum(), real, create_graph=True)
            loss = loss + settings.r1 / 2 * slope.square().sum((1, 2, 3)).mean()
        of_discriminator.zero_grad()
        loss.backward()
        of_discriminator.step()

        scores = discriminator(draw(len(real)))
        loss = -scores.mean() if wasserstein else F.softplus(-scores).mean()
        of_generator.zero_grad()
        loss.backward()
        of_generator.step()

    return step


def measure(way: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """Seconds of the quickest step, and bytes of memory at the peak."""
    torch.manual_seed(0)
    arch, width = arguments.arch[0], arguments.width
    made: Any = METHODS[arch].settings_type
    precision = choose_precision(Options(arch=arch, device=arguments.device))
    if way != "default":
        precision = Precision(precision.device)
    growth = {} if arch == "dcgan" else {"grow_epochs": 0}
    settings = made(size=arguments.size, width=width, discriminator_width=width, ema=0.0, augment=False, **growth)
    method = METHODS[arch](settings, precision)
    pictures = torch.rand(arguments.batch_size, 3, arguments.size, arguments.size) * 2 - 1
    if way == "textbook":
        batch = Batch(pictures.to(precision.device), pictures.to(precision.device))
        step = textbook(method, precision.device)
    else:
        tune(precision.device)
        batch = Batch(pictures, pictures).to(precision.device)
        step = lambda batch: method.step(batch, method.phases[-1].name, 0)  # noqa: E731
    times = []
    for _ in range(1 + STEPS):
        started = time.perf_counter()
        step(batch)
        if precision.device == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - started)
    return {"seconds": min(times[1:]), "memory": peak_memory(precision.device), "precision": precision.name}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arches = ["dcgan", "progan", "stylegan"]
    parser.add_argument("--arch", nargs="+", choices=arches, default=arches)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(measure(arguments.measure, arguments)))
        return
    print(f"{arguments.batch_size} pictures of {arguments.size} x {arguments.size}, width {arguments.width}")
    for arch in arguments.arch:
        found: dict[str, list[dict[str, Any]]] = {"float32": [], "default": [], "textbook": []}
        for _ in range(arguments.rounds):
            for way, results in found.items():
                command = [sys.executable, __file__, "--measure", way, "--arch", arch, "--size", arguments.size]
                command += ["--width", arguments.width, "--batch-size", arguments.batch_size]
                command += ["--device", arguments.device]
                done = subprocess.run([*map(str, command)], check=True, stdout=subprocess.PIPE)
                results.append(json.loads(done.stdout))
        seconds = {way: min(each["seconds"] for each in results) for way, results in found.items()}
        memory = {way: min(each["memory"] for each in results) / 1e9 for way, results in found.items()}
        told = [f"textbook {seconds['textbook']:.3f} s and {memory['textbook']:.2f} GB"]
        for way in ("float32", "default"):
            quicker = seconds["textbook"] / seconds[way]
            name = found[way][0]["precision"]
            told.append(f"toonify in {name} {seconds[way]:.3f} s, {quicker:.2f} times as fast, {memory[way]:.2f} GB")
        print(f"{arch}: {'; '.join(told)}")


if __name__ == "__main__":
    main()
