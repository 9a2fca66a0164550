"""A training step as `toonify train` takes it, beside the same step written the textbook way. One run.

    python tests/bench/bench_train.py [--arch cartoongan cyclegan] [--size 256] [--batch-size 2] [--device cpu|cuda]

Textbook: the same networks in float32 with PyTorch's own layers and layout; the generator draws once for the
discriminator's update and once more for its own; gradients flow wherever they like. Both ways take turns, each in a
process of its own, whose peak memory stands beside the time; of each the least of all steps counts, once warm.
CartoonGAN's content network has random weights: they cost what trained ones do.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from toonify.methods import METHODS
from toonify.methods.adversarial import ADVERSARIAL
from toonify.methods.batch import Batch
from toonify.methods.cartoongan import CartoonGAN
from toonify.methods.cyclegan import CycleGAN
from toonify.methods.method import Method
from toonify.methods.trained import Precision
from toonify.models.layers import InstanceNorm
from toonify.train.check import peak_memory
from toonify.train.options import Options
from toonify.train.start import choose_precision, tune

STEPS = 2  # timed in each process, after one to warm up


def content_weights(folder: Path) -> str:
    from torchvision.models import vgg19

    torch.save(vgg19(weights=None).features.state_dict(prefix="features."), folder / "vgg19.pth")
    return str(folder / "vgg19.pth")


def plain(network: nn.Module, device: str) -> nn.Module:
    """The network with PyTorch's own instance norms, in PyTorch's own layout."""
    for module in network.modules():
        for name, child in module.named_children():
            if isinstance(child, InstanceNorm):
                own = nn.InstanceNorm2d(child.num_features, eps=child.eps, affine=child.affine)
                own.load_state_dict(child.state_dict())
                setattr(module, name, own)
    return network.to(device).to(memory_format=torch.contiguous_format).train()


def textbook_cartoongan(method: Method, device: str):
    generator = plain(method.generator, device)
    assert isinstance(method, CartoonGAN)
    discriminator = plain(method.discriminators.network, device)
    features = plain(method.features, device).eval()
    of_generator = torch.optim.Adam(generator.parameters(), lr=2e-4, betas=(0.5, 0.999))
    of_discriminator = torch.optim.Adam(discriminator.parameters(), lr=2e-4, betas=(0.5, 0.999))
    bce = nn.BCEWithLogitsLoss()

    def says(scores, target):
        return bce(scores, torch.full_like(scores, target))

    def step(batch: Batch) -> None:
        drawn = generator(batch.photo).detach()
        loss = says(discriminator(batch.cartoon), 1) + says(discriminator(batch.smooth), 0)
        loss = loss + says(discriminator(drawn), 0)
        of_discriminator.zero_grad()
        loss.backward()
        of_discriminator.step()

        drawn = generator(batch.photo)
        maps = zip(features(drawn), features(batch.photo), strict=True)
        loss = says(discriminator(drawn), 1) + 10 * sum(F.l1_loss(one, other) for one, other in maps)
        of_generator.zero_grad()
        loss.backward()
        of_generator.step()

    return step


def textbook_cyclegan(method: Method, device: str):
    assert isinstance(method, CycleGAN)
    to_cartoon, to_photo = (plain(method.generators.member(number), device) for number in (0, 1))
    cartoon_discriminator, photo_discriminator = (
        plain(method.discriminators.member(number), device) for number in (0, 1)
    )
    of_generators = torch.optim.Adam([*to_cartoon.parameters(), *to_photo.parameters()], lr=2e-4, betas=(0.5, 0.999))
    of_discriminators = torch.optim.Adam(
        [*cartoon_discriminator.parameters(), *photo_discriminator.parameters()], lr=2e-4, betas=(0.5, 0.999)
    )

    def says(scores, target):
        return F.mse_loss(scores, torch.full_like(scores, target))

    def step(batch: Batch) -> None:
        cartoon, photo = to_cartoon(batch.photo), to_photo(batch.cartoon)
        loss = says(cartoon_discriminator(cartoon), 1) + says(photo_discriminator(photo), 1)
        loss = loss + 10 * (F.l1_loss(to_photo(cartoon), batch.photo) + F.l1_loss(to_cartoon(photo), batch.cartoon))
        same = F.l1_loss(to_cartoon(batch.cartoon), batch.cartoon) + F.l1_loss(to_photo(batch.photo), batch.photo)
        of_generators.zero_grad()
        (loss + 5 * same).backward()
        of_generators.step()

        of_discriminators.zero_grad()
        for discriminator, real, drawn in (
            (cartoon_discriminator, batch.cartoon, cartoon),
            (photo_discriminator, batch.photo, photo),
        ):
            ((says(discriminator(real), 1) + says(discriminator(drawn.detach()), 0)) / 2).backward()
        of_discriminators.step()

    return step


TEXTBOOK = {"cartoongan": textbook_cartoongan, "cyclegan": textbook_cyclegan}


def measure(way: str, arch: str, size: int, batch_size: int, device: str) -> dict[str, Any]:
    """Seconds of the quickest step, and bytes of memory at the peak."""
    torch.manual_seed(0)
    made: Any = METHODS[arch].settings_type
    precision = choose_precision(Options(arch=arch, device=device))
    with tempfile.TemporaryDirectory() as folder:
        settings = made(norm="instance", init_epochs=0, content_weights=content_weights(Path(folder)))
        method = METHODS[arch](settings, precision if way == "toonify" else Precision(precision.device))
    pictures = [torch.rand(batch_size, 3, size, size) * 2 - 1 for _ in range(3)]
    if way == "toonify":
        tune(precision.device)
        batch = Batch(*pictures).to(precision.device)
        batch = batch if settings.edge_promoting else Batch(batch.photo, batch.cartoon)
        step = lambda batch: method.step(batch, ADVERSARIAL, 0)  # noqa: E731
    else:
        batch = Batch(*(each.to(precision.device) for each in pictures))
        step = TEXTBOOK[arch](method, precision.device)
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
    parser.add_argument("--arch", nargs="+", choices=list(TEXTBOOK), default=list(TEXTBOOK))
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--batch-size", type=int, default=2)
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    size, batch_size, device = arguments.size, arguments.batch_size, arguments.device
    if arguments.measure:
        print(json.dumps(measure(arguments.measure, arguments.arch[0], size, batch_size, device)))
        return
    print(f"{batch_size} pictures of {size} x {size}, networks of the papers' sizes with instance norm")
    for arch in arguments.arch:
        found: dict[str, list[dict[str, float]]] = {"toonify": [], "textbook": []}
        for _ in range(arguments.rounds):
            for way, results in found.items():
                command = [sys.executable, __file__, "--measure", way, "--arch", arch, "--size", str(size)]
                command += ["--batch-size", str(batch_size), "--device", device]
                results.append(json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout))
        seconds = {way: min(each["seconds"] for each in results) for way, results in found.items()}
        memory = {way: min(each["memory"] for each in results) / 1e9 for way, results in found.items()}
        print(
            f"{arch}: {seconds['toonify']:.2f} s a step in {found['toonify'][0]['precision']} and "
            f"{memory['toonify']:.2f} GB; textbook, fp32: {seconds['textbook']:.2f} s, "
            f"{seconds['textbook'] / seconds['toonify']:.2f} times as long, {memory['textbook']:.2f} GB"
        )


if __name__ == "__main__":
    main()
