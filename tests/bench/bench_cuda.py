"""Ways to run a generator on an NVIDIA GPU, side by side. One run.

    python tests/bench/bench_cuda.py [--style shinkai] [--variant original|lite] [--size 1024x768] [--seconds 2]

Each draws the same photo, from bytes in ordinary memory to a picture there, one after the other and (as `convert` does)
in two threads: ONNX Runtime as `convert` runs it in both precisions, and PyTorch in eager mode and compiled, with the
same conversions on the GPU. dB: how far it agrees with ONNX Runtime in float32. At the end, what a change of size
costs, for sessions that are kept for each size (`cuda_generator`) and for one session: five sizes in turn, and twenty
that come once each. Prints Markdown tables.
"""

import argparse
import functools
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from PIL import Image

from toonify.drawing.open import open_for_drawing
from toonify.drawing.run import draw as draw_at_once
from toonify.engines.cuda_generator import CudaGenerator
from toonify.networks.check_photo import check_pixels
from toonify.networks.load import load_module
from toonify.networks.open import open_generator
from toonify.pixels.arrays import psnr
from toonify.styles.card import Variant
from toonify.styles.find import find_style

Draw = Callable[[np.ndarray], np.ndarray]


def per_second(draw: Draw, pixels: np.ndarray, seconds: float, threads: int) -> float:
    """Drawings a second, warm: each thread has drawn before any is timed, for it may have a session of its own."""
    counts = [0] * threads
    begun = 0.0

    def begin() -> None:
        nonlocal begun
        begun = time.perf_counter()

    warm = threading.Barrier(threads, action=begin)

    def work(number: int) -> None:
        for _ in range(3):
            draw(pixels)
        warm.wait()
        while time.perf_counter() - begun < seconds:
            draw(pixels)
            counts[number] += 1

    workers = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return sum(counts) / (time.perf_counter() - begun)


def in_pytorch(module: Any, variant: Variant, *, half: bool, tf32: bool, compiled: bool) -> Draw:
    """The same with PyTorch: bytes travel there, too."""
    low, high = variant.value_range
    kind = torch.float16 if half else torch.float32
    network = module.to("cuda", kind).to(memory_format=torch.channels_last)
    if compiled:
        network = torch.compile(network)

    def draw(pixels: np.ndarray) -> np.ndarray:
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = tf32
        with torch.inference_mode():
            x = torch.from_numpy(pixels).to("cuda")[None].permute(0, 3, 1, 2).to(kind)
            if variant.channels == "bgr":
                x = x.flip(1)
            x = (x * ((high - low) / 255) + low).contiguous(memory_format=torch.channels_last)
            y = (network(x) - low) / (high - low)
            if variant.channels == "bgr":
                y = y.flip(1)
            return y[0].permute(1, 2, 0).half().cpu().numpy()

    return draw


def main() -> None:
    """Run all and print the tables."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--style", default="shinkai")
    parser.add_argument("--variant", default="original")
    parser.add_argument("--size", default="1024x768")
    parser.add_argument("--seconds", type=float, default=2)
    options = parser.parse_args()
    style = find_style(options.style).variant(options.variant)
    width, height = map(int, options.size.split("x"))
    pixels = np.asarray(Image.fromarray(check_pixels(style.variant)).resize((width, height), Image.Resampling.BICUBIC))

    def on_onnx(precision: Any) -> CudaGenerator:
        opened = open_for_drawing(style, device="cuda", precision=precision)
        assert isinstance(opened, CudaGenerator)
        return opened

    exact, halves = on_onnx("fp32"), on_onnx("fp16")
    floats = open_generator(style, device="cuda")
    name = torch.cuda.get_device_name()
    print(f"{style.card.id} ({options.variant}), {options.size}, {name}; {exact.engine}, PyTorch {torch.__version__}\n")

    def from_floats(photo: np.ndarray) -> np.ndarray:
        return draw_at_once(photo, floats, style.variant, padding=0)

    ways: list[tuple[str, Callable[[], Draw]]] = [
        ("ONNX Runtime, float32, floats travel", lambda: from_floats),
        ("ONNX Runtime, float32 (convert --precision fp32)", lambda: exact.draw),
        ("ONNX Runtime, float16 (convert)", lambda: halves.draw),
    ]
    try:
        module = load_module(style)
    except Exception as error:  # an ONNX file without a module
        print(f"PyTorch is left out: {error}")
    else:
        ways += [
            (title, functools.partial(in_pytorch, module, style.variant, **kinds))
            for title, kinds in {
                "PyTorch eager, float32": {"half": False, "tf32": False, "compiled": False},
                "PyTorch eager, TF32": {"half": False, "tf32": True, "compiled": False},
                "PyTorch eager, float16": {"half": True, "tf32": True, "compiled": False},
                "PyTorch compiled, float16": {"half": True, "tf32": True, "compiled": True},
            }.items()
        ]
    expected = exact.draw(pixels)
    print("| | images/s | in two threads | dB |\n| --- | --- | --- | --- |")
    for title, make in ways:
        draw = make()
        alone = per_second(draw, pixels, options.seconds, 1)
        both = "" if "compiled" in title else f"{per_second(draw, pixels, options.seconds, 2):.1f}"
        print(f"| {title} | {alone:.1f} | {both} | {psnr(draw(pixels), expected, peak=1):.0f} |", flush=True)
    turns = [(768, 1024), (1024, 768), (680, 1024), (1024, 680), (576, 1024)]
    once = [(608 + 16 * number, 1024) for number in range(20)]
    print("\n| images/s | five sizes in turn | twenty sizes, once each |\n| --- | --- | --- |")
    for title, draw in (("a session for each", halves.draw), ("one session", one_session(halves))):
        several_turns(draw, pixels, turns)
        rates = [several_turns(draw, pixels, sizes) for sizes in (4 * turns, once)]
        print(f"| {title} | {rates[0]:.1f} | {rates[1]:.1f} |", flush=True)


def several_turns(draw: Draw, pixels: np.ndarray, sizes: list[tuple[int, int]]) -> float:
    """Drawings a second, of these sizes one after the other."""
    photos = [np.ascontiguousarray(np.resize(pixels, (*size, 3))) for size in sizes]
    begun = time.perf_counter()
    for photo in photos:
        draw(photo)
    return len(photos) / (time.perf_counter() - begun)


def one_session(generator: CudaGenerator) -> Draw:
    """The same network, without a session for each size."""
    network = generator._open("cuda")
    (name,), (drawing,) = network.inputs, network.outputs
    return lambda pixels: network.run({name: pixels[None]})[drawing][0]


if __name__ == "__main__":
    main()
