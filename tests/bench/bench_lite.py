"""The student of `toonify distill` beside the generator that it learns from: speed, size and cost. One run.

    python tests/bench/bench_lite.py [--size 1024x768] [--threads 1] [--rounds 3]

Both run as `convert` runs them on a CPU (ONNX Runtime, float32; the large one's graph rewritten by `speedup`), with
random weights: they cost what trained ones do. They take turns, and of each the least time counts. Operations are
those of convolutions in a 256 x 256 picture: multiplications, in thousands a pixel, which is GMAC a megapixel.
Prints a Markdown table.
"""

import argparse
import os
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from toonify.engines.onnx_runtime import OnnxGenerator
from toonify.methods.distill import DistillSettings
from toonify.models import ARCHITECTURES
from toonify.networks.export import export_onnx
from toonify.styles.card import Card, FileWeights, LocatedStyle, Variant

PUBLISHED = {"AnimeGANv3": 1.02, "White-box Cartoonization": 1.46, "AnimeGANv2": 2.14}  # million parameters
CONFIGS = {"lite": asdict(DistillSettings().config), "cartoongan": {}}


def variant_of(architecture: str) -> Variant:
    config = CONFIGS[architecture]
    return Variant(weights=FileWeights(""), architecture=architecture, config=config, multiple=8, minimum=8)


def build(architecture: str) -> nn.Module:
    return ARCHITECTURES[architecture].build(CONFIGS[architecture]).eval()


def cost(network: nn.Module) -> tuple[float, float]:
    """Millions of parameters, and GMAC a megapixel."""
    side = 256
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        network(torch.zeros(1, 3, side, side))
    multiplications = counter.get_total_flops() / 2
    return sum(each.numel() for each in network.parameters()) / 1e6, multiplications / side**2 / 1e3


def open_network(architecture: str, folder: Path) -> tuple[OnnxGenerator, int]:
    """The network as `convert` runs it, and the bytes of its file as `export` writes it."""
    torch.manual_seed(0)
    network = build(architecture)
    card = Card(
        id="random", title="-", license="-", attribution="-", source="-", variants={"x": variant_of(architecture)}
    )
    style = LocatedStyle(card, folder).variant()
    photo = np.random.default_rng(0).uniform(-1, 1, (1, 3, 64, 96)).astype(np.float32)
    plain, quick = folder / f"{architecture}.onnx", folder / f"{architecture}-cpu.onnx"
    export_onnx(network, style, plain, photo=photo)
    export_onnx(network, style, quick, photo=photo, for_cpu=True)
    return OnnxGenerator(quick, "cpu"), plain.stat().st_size


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", default="1024x768", help="width x height of the picture")
    parser.add_argument("--threads", type=int, help="cores that take part; default: all")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    if arguments.threads is not None:
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: arguments.threads])
    width, height = map(int, arguments.size.split("x"))
    picture = np.random.default_rng(0).uniform(-1, 1, (1, 3, height, width)).astype(np.float32)
    names = {"lite": "lite", "cartoongan": "original (CartoonGAN)"}
    seconds = dict.fromkeys(names, float("inf"))
    with tempfile.TemporaryDirectory() as folder:
        opened = {name: open_network(name, Path(folder)) for name in names}
    for generator, _ in opened.values():
        generator(picture)
    for _ in range(arguments.rounds):
        for name, (generator, _) in opened.items():
            started = time.perf_counter()
            generator(picture)
            seconds[name] = min(seconds[name], time.perf_counter() - started)
    cores = len(os.sched_getaffinity(0))
    print(f"{width} x {height}, {cores} core{'s' * (cores > 1)}\n")
    print(
        "| network | parameters | GMAC/megapixel | file | megapixels/s | speed |\n| --- | --- | --- | --- | --- | --- |"
    )
    for name, title in names.items():
        parameters, gmac = cost(build(name))
        rate = width * height / 1e6 / seconds[name]
        print(
            f"| {title} | {parameters:.2f} M | {gmac:.1f} | {opened[name][1] / 1e6:.1f} MB | {rate:.3f} | "
            f"{seconds['cartoongan'] / seconds[name]:.1f} |"
        )
    for title, parameters in PUBLISHED.items():
        print(f"| {title}, as published | {parameters:.2f} M | | | | |")


if __name__ == "__main__":
    main()
