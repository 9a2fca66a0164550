"""The student of `toonify distill` beside the generator that it learns from: speed, size and cost. One run.

    python tests/bench/bench_lite.py [--size 1024x768] [--threads 1] [--rounds 3] [--peers FILE...]

Both run as `convert` runs them on a CPU (ONNX Runtime, float32; the large one's graph rewritten by `speedup`), with
random weights: they cost what trained ones do. They take turns, and of each the least time counts. Operations are
those of convolutions in a 256 x 256 picture: multiplications, in thousands a pixel, which is GMAC a megapixel.
Prints a Markdown table.

A second table has shinkai's shipped networks, in float32 and in 8-bit integers, and the networks of others that
`--peers` names: .onnx, or .tflite (`pip install ai-edge-litert`, which is LiteRT with XNNPACK). They are not in this
repository: their makers publish them (github.com/TachibanaYoshino/AnimeGANv3, TFLite conversions of White-box
Cartoonization at github.com/margaretmz/Cartoonizer-with-TFLite). All take turns at 512 x 512 pixels.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from onnxruntime import InferenceSession
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from toonify.engines.onnx_runtime import OnnxGenerator, OnnxNetwork
from toonify.methods.distill import DistillSettings
from toonify.models import ARCHITECTURES
from toonify.networks.export import export_onnx
from toonify.styles.card import Card, FileWeights, LocatedStyle, Variant
from toonify.styles.find import shipped_folder

SIDE = 512  # of the second table's picture
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


def shipped(name: str) -> Callable[[], object]:
    """A call of shinkai's network in a file that ships."""
    return on_onnx_runtime(shipped_folder() / f"shinkai-{name}.onnx")


def on_onnx_runtime(path: Path) -> Callable[[], object]:
    """A call of a network in an ONNX file, on a picture of N x 3 x H x W or N x H x W x 3, as it takes it."""
    network = OnnxNetwork(path, "cpu")
    (given,) = InferenceSession(path, providers=["CPUExecutionProvider"]).get_inputs()
    shape = (1, SIDE, SIDE, 3) if given.shape[-1] == 3 else (1, 3, SIDE, SIDE)
    picture = np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)
    return lambda: network.run({given.name: picture})


def on_litert(path: Path) -> Callable[[], object]:
    """A call of a network in a TFLite file, with XNNPACK on all cores."""
    from ai_edge_litert.interpreter import Interpreter  # type: ignore[import-not-found]

    network = Interpreter(os.fspath(path), num_threads=len(os.sched_getaffinity(0)))
    (given,) = network.get_input_details()
    network.resize_tensor_input(given["index"], [1, SIDE, SIDE, 3])
    network.allocate_tensors()
    picture = np.random.default_rng(0).uniform(-1, 1, (1, SIDE, SIDE, 3))
    network.set_tensor(given["index"], picture.astype(given["dtype"]))
    invoke: Callable[[], object] = network.invoke
    return invoke


def beside_peers(peers: list[Path], rounds: int) -> None:
    """The second table."""
    calls = {"shinkai lite, int8": shipped("lite-int8"), "shinkai lite, float32": shipped("lite")}
    calls |= {path.stem: (on_litert if path.suffix == ".tflite" else on_onnx_runtime)(path) for path in peers}
    seconds = dict.fromkeys(calls, float("inf"))
    for call in calls.values():
        call()
    for _ in range(rounds):
        for name, call in calls.items():
            started = time.perf_counter()
            call()
            seconds[name] = min(seconds[name], time.perf_counter() - started)
    print(f"\n| {SIDE} x {SIDE} | ms | times lite in int8 |\n| --- | --- | --- |")
    for name, each in seconds.items():
        print(f"| {name} | {each * 1e3:.1f} | {each / seconds['shinkai lite, int8']:.2f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", default="1024x768", help="width x height of the picture")
    parser.add_argument("--threads", type=int, help="cores that take part; default: all")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peers", type=Path, nargs="*", default=[], help="networks of others: .onnx, .tflite")
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
    beside_peers(arguments.peers, arguments.rounds)


if __name__ == "__main__":
    main()
