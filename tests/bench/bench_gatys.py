"""A step of style transfer by optimization: the textbook's loop beside `toonify.transfer`. One run.

    python tests/bench/bench_gatys.py [--size 512] [--steps 3] [--rounds 3] [--threads N] [--weights vgg_normalised.pth]

The textbook's loop is that of most tutorials: the layers one after the other in float32 as NumPy orders them, maps and
Gram matrices as new tensors, and torch.optim.LBFGS with its default history of 100. Both have the same losses, network
and picture. They take turns, and of each the least time counts; both calculate with the same number of threads.
Weights are of chance unless a file is given: a step takes as long with any. Prints a Markdown table.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from toonify.checkpoints.tensors import read_tensors
from toonify.transfer import gatys
from toonify.transfer.vgg import StyleFeatures

PLACES = (2, 5, 9, 12, 16, 19, 22, 25, 29, 32, 35, 38, 42)  # of the convolutions in the published file
CHANNELS = (64, 64, 128, 128, 256, 256, 256, 256, 512, 512, 512, 512, 512)
POOLED, CONTENT, STYLE = (2, 4, 8, 12), 9, (0, 2, 4, 8, 12)


def random_weights() -> dict[str, Tensor]:
    """Weights of chance in the published shapes."""
    generator = torch.Generator().manual_seed(0)
    state = {"0.weight": torch.eye(3)[:, :, None, None].clone(), "0.bias": torch.zeros(3)}
    before = 3
    for place, channels in zip(PLACES, CHANNELS, strict=True):
        weight = torch.randn(channels, before, 3, 3, generator=generator)
        state[f"{place}.weight"] = weight * (2 / 9 / before) ** 0.5
        state[f"{place}.bias"] = torch.zeros(channels)
        before = channels
    return state


def textbook(picture: Tensor, photo: Tensor, style: Tensor, state: dict[str, Tensor], steps: int) -> None:
    """The loop of most tutorials."""

    def maps_of(x: Tensor) -> list[Tensor]:
        x = functional.conv2d(x, state["0.weight"], state["0.bias"])
        maps = []
        for number, place in enumerate(PLACES):
            if number in POOLED:
                x = functional.avg_pool2d(x, 2)
            x = torch.relu(functional.conv2d(x, state[f"{place}.weight"], state[f"{place}.bias"], padding=1))
            maps.append(x)
        return maps

    def gram(x: Tensor) -> Tensor:
        flat = x.view(x.shape[1], -1)
        return torch.mm(flat, flat.t()) / flat.shape[1]

    content = maps_of(photo)[CONTENT].detach()
    targets = {layer: gram(maps_of(style)[layer]).detach() for layer in STYLE}
    x = picture.clone().requires_grad_()
    optimizer = torch.optim.LBFGS([x], max_iter=steps, tolerance_grad=0, tolerance_change=0)

    def closure() -> Tensor:
        optimizer.zero_grad()
        maps = maps_of(x)
        loss = functional.mse_loss(maps[CONTENT], content) / 2
        for layer, share in zip(STYLE, gatys.LAYER_WEIGHTS, strict=True):
            loss = loss + gatys.STYLE_WEIGHT * share / 4 * functional.mse_loss(gram(maps[layer]), targets[layer])
        loss = loss + gatys.SMOOTHNESS * ((x[..., 1:] - x[..., :-1]) ** 2).mean()
        loss = loss + gatys.SMOOTHNESS * ((x[..., 1:, :] - x[..., :-1, :]) ** 2).mean()
        loss.backward()
        return loss

    optimizer.step(closure)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--weights", type=Path)
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    state = random_weights() if chosen.weights is None else read_tensors(chosen.weights)
    photo, style = torch.rand(2, 1, 3, chosen.size, chosen.size)
    networks = {name: StyleFeatures(state, getattr(torch, name)) for name in ("float32", "bfloat16")}
    with torch.no_grad():
        grams = [gatys.gram(maps) for maps in networks["float32"](style).style]

    def ours(name: str) -> Callable[[int], object]:
        network = networks[name]
        return lambda steps: gatys.optimize(photo, photo, grams, network, steps=steps, weight=gatys.STYLE_WEIGHT)

    runs: dict[str, Callable[[int], object]] = {
        "textbook, float32": lambda steps: textbook(photo, photo, style, state, steps),
        "toonify, float32": ours("float32"),
        "toonify, bfloat16": ours("bfloat16"),
    }
    best = dict.fromkeys(runs, float("inf"))
    for _ in range(chosen.rounds):
        for name, run in runs.items():
            times = []
            for steps in (1, 1 + chosen.steps):  # what comes before the first step is in both
                started = time.perf_counter()
                run(steps)
                times.append(time.perf_counter() - started)
            best[name] = min(best[name], max(times[1] - times[0], 1e-9) / chosen.steps)
    first = best["textbook, float32"]
    print(f"A step at {chosen.size} x {chosen.size} on {chosen.threads} threads, PyTorch {torch.__version__}\n")
    print("| loop | seconds | times as fast |\n| --- | --- | --- |")
    for name, seconds in best.items():
        print(f"| {name} | {seconds:.2f} | {first / seconds:.2f} |")


if __name__ == "__main__":
    main()
