"""Measures what the README says of speed and memory, each figure as a ratio within one run where it can be one.

    python tests/bench/bench_convert.py [--style shinkai] [--variant original] [--skip-network]
        [--megapixels 12 24]

Weights are fetched on first use. Prints a Markdown table. Folders are for bench_folder.py.
"""

import argparse
import importlib.util
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

SAMPLES = Path(__file__).parent.parent / "data" / "photos"


def interleaved(rounds: int, *functions: Callable[[], object]) -> list[float]:
    """Least seconds of each function, run in turns so that a busy machine slows all of them alike."""
    times: list[list[float]] = [[] for _ in functions]
    for function in functions:
        function()
    for _ in range(rounds):
        for function, column in zip(functions, times, strict=True):
            started = time.perf_counter()
            function()
            column.append(time.perf_counter() - started)
    return [min(column) for column in times]


def network_against_eager(style: str, variant: str) -> list[tuple[str, str]]:
    """One 512 x 512 picture: what `convert` runs on the CPU, a plain export of the network, eager PyTorch float32."""
    from toonify.engines.onnx_runtime import OnnxGenerator
    from toonify.engines.pytorch import TorchGenerator
    from toonify.networks.load import load_module
    from toonify.networks.open import open_generator
    from toonify.networks.ready import onnx_file
    from toonify.styles.find import find_style

    located = find_style(style)
    batch = np.random.default_rng(0).uniform(-1, 1, (1, 3, 512, 512)).astype(np.float32)
    fast = open_generator(located.variant(variant), device="cpu")
    plain = OnnxGenerator(onnx_file(located.variant(variant), "cuda"), "cpu")
    eager = TorchGenerator(load_module(located.variant(variant)), "cpu")
    seconds = interleaved(5, *(lambda g=g: g(batch) for g in (fast, plain, eager)))
    return [
        ("512 x 512, convert's network", f"{seconds[0]:.2f} s"),
        ("512 x 512, plain ONNX export", f"{seconds[1]:.2f} s, {seconds[1] / seconds[0]:.2f} times as long"),
        ("512 x 512, PyTorch eager float32", f"{seconds[2]:.2f} s, {seconds[2] / seconds[0]:.2f} times as long"),
    ]


def network_against_openvino(style: str, name: str) -> list[tuple[str, str]]:
    """One 512 x 512 photo: what `convert` runs on the CPU, and OpenVINO in the precisions that the CPU has."""
    if importlib.util.find_spec("openvino") is None:
        return []
    from toonify.engines.openvino import OpenVinoGenerator, native_precision
    from toonify.networks.open import open_generator
    from toonify.networks.ready import onnx_file
    from toonify.pixels.arrays import psnr
    from toonify.styles.find import find_style
    from toonify.styles.frame import to_batch

    chosen = find_style(style).variant(name)
    variant = chosen.variant
    with Image.open(SAMPLES / "colosseum.jpg") as image:
        batch = to_batch(np.asarray(image.convert("RGB").crop((0, 0, 512, 512))), variant)
    fast = open_generator(chosen, device="cpu")
    path = onnx_file(chosen, "cuda")
    others = [OpenVinoGenerator(path, precision) for precision in dict.fromkeys((native_precision(), "f32"))]
    seconds = interleaved(3, *(lambda g=g: g(batch) for g in (fast, *others)))
    low, high = variant.value_range
    expected = fast(batch)
    rows = [("512 x 512 photo, convert's network", f"{seconds[0]:.2f} s")]
    for other, taken in zip(others, seconds[1:], strict=True):
        agreement = psnr(other(batch), expected, peak=high - low)
        what = f"{taken:.2f} s, {taken / seconds[0]:.2f} times as long, agrees to {agreement:.0f} dB"
        rows.append((f"the same on {other.engine}, {other.provider}", what))
    return rows


def from_file_to_file(style: str, variant: str, megapixels: float) -> tuple[str, str]:
    """A JPEG of so many megapixels in a process of its own; larger ones last, for the peak is that of all so far."""
    with tempfile.TemporaryDirectory() as folder:
        big = Path(folder, "big.jpg")
        height = round((megapixels * 1e6 / 1.5) ** 0.5)
        with Image.open(SAMPLES / "colosseum.jpg") as image:
            image.resize((round(1.5 * height), height), Image.Resampling.BICUBIC).save(big)
        command = [sys.executable, "-m", "toonify", "convert", str(big), "--style", style, "--variant", variant]
        started = time.perf_counter()
        subprocess.run([*command, "--quiet"], check=True)
        seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / (1e6 if platform.system() == "Linux" else 1e9)
    return f"{megapixels:g}-megapixel JPEG, start to end", f"{seconds:.1f} s, peak memory {peak:.2f} GB"


def start_up() -> tuple[str, str]:
    """The cost of `--help`."""

    def start(*words: str) -> Callable[[], object]:
        return lambda: subprocess.run([sys.executable, *words], check=True, capture_output=True)

    base, helped = interleaved(9, start("-c", "import typer, rich"), start("-m", "toonify", "--help"))
    return "toonify --help", f"{helped - base:.2f} s more than importing typer and rich"


def main() -> None:
    """Run all and print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--style", default="shinkai")
    parser.add_argument("--variant", default="original")
    parser.add_argument("--skip-network", action="store_true")
    parser.add_argument("--megapixels", type=float, nargs="+", default=[12, 24], help="of the files, in rising order")
    options = parser.parse_args()
    place = options.style, options.variant
    rows = [*(from_file_to_file(*place, megapixels) for megapixels in options.megapixels), start_up()]
    if not options.skip_network:
        rows += network_against_eager(*place)
        rows += network_against_openvino(*place)
    print("| measured | result |\n| --- | --- |")
    for name, value in rows:
        print(f"| {name} | {value} |")


if __name__ == "__main__":
    main()
