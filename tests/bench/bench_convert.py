"""Measures what the README says of speed and memory, each figure as a ratio within one run where it can be one.

    python tests/bench/bench_convert.py [PHOTOS] [--style shinkai] [--skip-folder]

PHOTOS is a folder; without it the sample photos of the repository serve. Weights are fetched on first use. Prints a
Markdown table.
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


def network_against_eager(style: str) -> list[tuple[str, str]]:
    """One 512 x 512 picture: what `convert` runs on the CPU, a plain export of the network, eager PyTorch float32."""
    from toonify.generators import load_module, onnx_file, open_generator
    from toonify.runtime import OnnxGenerator, TorchGenerator
    from toonify.styles import find_style

    located = find_style(style)
    batch = np.random.default_rng(0).uniform(-1, 1, (1, 3, 512, 512)).astype(np.float32)
    fast = open_generator(located, "auto", device="cpu")
    plain = OnnxGenerator(onnx_file(located, "auto", "cuda"), "cpu")
    eager = TorchGenerator(load_module(located, "auto"), "cpu")
    seconds = interleaved(5, *(lambda g=g: g(batch) for g in (fast, plain, eager)))
    return [
        ("512 x 512, convert's network", f"{seconds[0]:.2f} s"),
        ("512 x 512, plain ONNX export", f"{seconds[1]:.2f} s, {seconds[1] / seconds[0]:.2f} times as long"),
        ("512 x 512, PyTorch eager float32", f"{seconds[2]:.2f} s, {seconds[2] / seconds[0]:.2f} times as long"),
    ]


def network_against_openvino(style: str) -> list[tuple[str, str]]:
    """One 512 x 512 photo: what `convert` runs on the CPU, and OpenVINO in the precisions that the CPU has."""
    if importlib.util.find_spec("openvino") is None:
        return []
    from toonify.export import psnr
    from toonify.generators import onnx_file, open_generator
    from toonify.network import to_batch
    from toonify.openvino import OpenVinoGenerator, native_precision
    from toonify.styles import find_style

    located = find_style(style)
    _, variant = located.variant("auto")
    with Image.open(SAMPLES / "colosseum.jpg") as image:
        batch = to_batch(np.asarray(image.convert("RGB").crop((0, 0, 512, 512))), variant)
    fast = open_generator(located, "auto", device="cpu")
    path = onnx_file(located, "auto", "cuda")
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


def folder_against_network(style: str, photos: Path) -> list[tuple[str, str]]:
    """A folder's wall time against the sum of its network time, measured alone."""
    from toonify.convert import SaveOptions, convert
    from toonify.discover import find_photos, plan_jobs
    from toonify.drawing import load_style
    from toonify.errors import ImageError
    from toonify.images import read_photo

    loaded = load_style(style, device="cpu")
    sketches = []
    for found in find_photos([photos]):
        with found.path.open("rb") as file:
            try:
                sketches.append(loaded.prepare(read_photo(file).pixels))
            except ImageError:
                continue
    alone = 0.0
    with tempfile.TemporaryDirectory() as folder:
        jobs = plan_jobs(find_photos([photos]), output=Path(folder), style=loaded.look.style.card.id)
        started = time.perf_counter()
        outcomes = list(convert(jobs, loaded, SaveOptions()))
        wall = time.perf_counter() - started
    for sketch in sketches:
        started = time.perf_counter()
        loaded.draw(sketch)
        alone += time.perf_counter() - started
    drawn = [outcome for outcome in outcomes if outcome.result == "drawn"]
    megapixels = sum(outcome.width * outcome.height for outcome in drawn) / 1e6
    overlapped = sum(outcome.network_seconds for outcome in drawn)
    return [
        (f"folder of {len(drawn)} photos, wall time", f"{wall:.1f} s, {megapixels / wall:.2f} megapixels/s"),
        ("its network time, measured alone", f"{alone:.1f} s; wall time is {wall / alone:.2f} times that"),
        ("share of the run in which the network works", f"{overlapped / wall:.0%}"),
    ]


def memory_and_start(style: str) -> list[tuple[str, str]]:
    """A 24-megapixel JPEG in a process of its own, and the cost of `--help`."""
    with tempfile.TemporaryDirectory() as folder:
        big = Path(folder, "big.jpg")
        with Image.open(next(SAMPLES.glob("*.jpg"))) as image:
            image.resize((6000, 4000), Image.Resampling.BICUBIC).save(big)
        command = [sys.executable, "-m", "toonify", "convert", str(big), "--style", style, "--quiet"]
        started = time.perf_counter()
        subprocess.run(command, check=True)
        seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / (1e6 if platform.system() == "Linux" else 1e9)

    def start(*words: str) -> Callable[[], object]:
        return lambda: subprocess.run([sys.executable, *words], check=True, capture_output=True)

    base, helped = interleaved(9, start("-c", "import typer, rich"), start("-m", "toonify", "--help"))
    return [
        ("24-megapixel JPEG, start to end", f"{seconds:.1f} s, peak memory {peak:.2f} GB"),
        ("toonify --help", f"{helped - base:.2f} s more than importing typer and rich"),
    ]


def main() -> None:
    """Run all and print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("photos", type=Path, nargs="?", default=SAMPLES)
    parser.add_argument("--style", default="shinkai")
    parser.add_argument("--skip-folder", action="store_true")
    options = parser.parse_args()
    rows = memory_and_start(options.style)  # first: the peak counts all children
    rows += network_against_eager(options.style)
    rows += network_against_openvino(options.style)
    if not options.skip_folder:
        rows += folder_against_network(options.style, options.photos)
    print("| measured | result |\n| --- | --- |")
    for name, value in rows:
        print(f"| {name} | {value} |")


if __name__ == "__main__":
    main()
