"""Measures whether memory stays flat over a large folder: `toonify convert` on 10,000 small photos.

    python tests/bench/bench_memory.py [--count 10000] [--early 500] [--distinct 300]

Photos are JPEGs of 64 x 48 to 200 x 150 pixels, some hundred distinct ones under many names, drawn by a small network
in the real format. The real command runs in a process of its own; its resident memory is read (without what a network
that draws at that moment needs) after the first 500 pictures, every 500 thereafter, and at the end. Prints a Markdown
table.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import msgspec
import numpy as np
import psutil
from PIL import Image

WINDOW = 25  # pictures over which the least memory counts: that between two drawings


def make_photos(folder: Path, count: int, distinct: int) -> None:
    """`count` JPEGs of mixed sizes, of which `distinct` differ; the rest are hard links."""
    rng = np.random.default_rng(0)
    folder.mkdir()
    for i in range(distinct):
        width, height = int(rng.integers(64, 201)), int(rng.integers(48, 151))
        coarse = Image.fromarray(rng.integers(0, 256, (height // 8, width // 8, 3), dtype=np.uint8))
        coarse.resize((width, height), Image.Resampling.BICUBIC).save(folder / f"{i:05}.jpg", quality=90)
    for i in range(distinct, count):
        os.link(folder / f"{i % distinct:05}.jpg", folder / f"{i:05}.jpg")


def make_style(folder: Path) -> Path:
    """A CartoonGAN generator of 4 channels, exported as `toonify export` does it."""
    import torch

    from toonify.models.cartoongan import CartoonGANConfig, CartoonGANGenerator
    from toonify.networks.check_photo import check_photo
    from toonify.networks.export import export_onnx
    from toonify.styles.card import Card, FileWeights, LocatedStyle, Variant

    torch.manual_seed(0)
    variant = Variant(
        weights=FileWeights(file="small.onnx"),
        architecture="cartoongan",
        config={"width": 4, "blocks": 1},
        multiple=4,
        minimum=8,
        padding=8,
        keep_color=0.5,
    )
    card = Card("small", "A small network", "MIT", "the benchmark", "bench_memory.py", {"original": variant})
    network = CartoonGANGenerator(CartoonGANConfig(width=4, blocks=1)).eval()
    path = folder / "small.onnx"
    style = LocatedStyle(card, folder).variant()
    export_onnx(network, style, path, photo=check_photo(variant), for_cpu=True)
    (folder / "small.json").write_bytes(msgspec.json.encode(card))
    return path


def main() -> None:
    """Run the command, read its memory on the way, print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--early", type=int, default=500)
    parser.add_argument("--distinct", type=int, default=300)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_photos(folder / "photos", options.count, options.distinct)
        style = make_style(folder)
        command = [sys.executable, "-m", "toonify", "convert", str(folder / "photos"), "--style", str(style)]
        started = time.perf_counter()
        child = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        process = psutil.Process(child.pid)
        assert child.stderr is not None
        done, said = 0, ""
        levels: dict[int, float] = {}  # pictures done: MB
        for line in child.stderr:
            said = line
            if not line.startswith("drawn: "):
                continue
            done += 1
            mark = -(-done // options.early) * options.early
            if mark - done < WINDOW:
                now = process.memory_info().rss / 1e6
                levels[mark] = min(levels.get(mark, now), now)
        seconds = time.perf_counter() - started
        if child.wait() or not re.match(rf"{options.count} drawn in", said):
            raise SystemExit(f"the run failed: {said}")
    first, last = levels[options.early], levels[max(levels)]
    print("| pictures done | resident memory |\n| --- | --- |")
    for mark in sorted(levels)[:: max(1, len(levels) // 10)]:
        print(f"| {mark} | {levels[mark]:.1f} MB |")
    print(
        f"\nafter {options.early}: {first:.1f} MB; after {done}: {last:.1f} MB, {last / first:.3f} times that; ", end=""
    )
    print(f"most: {max(levels.values()):.1f} MB; {seconds:.0f} s")


if __name__ == "__main__":
    main()
