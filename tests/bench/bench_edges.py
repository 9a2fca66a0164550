"""Edge smoothing as `toonify smooth-edges` does it, beside its definition written out pixel by pixel. One run.

    python tests/bench/bench_edges.py [CARTOONS] [--count 20]

CARTOONS is a folder; without it the sample photos of the repository serve. Every picture is cut to 256 x 256 first, as
for training. Both ways take turns on each picture, so that a busy machine slows both alike; of each the least of three
times counts. Then the whole command runs over the folder, with reading and writing.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

from toonify.images import read_photo
from toonify.jobs.find import find_photos
from toonify.pixels.crops import center_box, cut
from toonify.pixels.edges import smooth_edges

SAMPLES = Path(__file__).parent.parent / "data" / "photos"


def literal(pixels: np.ndarray, kernel: int = 5) -> np.ndarray:
    """For each pixel near an edge and each channel, the weighted mean of the pixels around it."""
    radius = kernel // 2
    edges = cv2.Canny(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), 100, 200)
    mask = cv2.dilate(edges, np.ones((kernel, kernel), np.uint8))
    mirrored = np.pad(pixels, ((radius, radius), (radius, radius), (0, 0)), mode="reflect")
    column = cv2.getGaussianKernel(kernel, 0)
    weights = column * column.T
    smoothed = pixels.copy()
    for y, x in zip(*np.nonzero(mask), strict=True):
        for channel in range(3):
            window = mirrored[y : y + kernel, x : x + kernel, channel]
            smoothed[y, x, channel] = np.rint((weights * window).sum())
    return smoothed


def seconds(function, pixels: np.ndarray) -> tuple[float, np.ndarray]:
    started = time.perf_counter()
    result = function(pixels)
    return time.perf_counter() - started, result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cartoons", type=Path, nargs="?", default=SAMPLES)
    parser.add_argument("--count", type=int, default=20)
    arguments = parser.parse_args()
    found = find_photos([arguments.cartoons], drawings=True)
    chosen = [found[i] for i in np.unique(np.linspace(0, len(found) - 1, arguments.count).astype(int))]
    fast = slow = 0.0
    furthest = 0
    for one in chosen:
        with one.path.open("rb") as file:
            pixels = read_photo(file).pixels
        pixels = cut(pixels, center_box(*pixels.shape[:2]), 256)
        rounds = [(seconds(smooth_edges, pixels), seconds(literal, pixels)) for _ in range(3)]
        fast += min(time for (time, _), _ in rounds)
        slow += min(time for _, (time, _) in rounds)
        (_, smoothed), (_, expected) = rounds[0]
        furthest = max(furthest, int(np.abs(smoothed.astype(int) - expected).max()))
    print(f"{len(chosen)} pictures of 256 x 256, least of three times each")
    print(f"toonify: {1000 * fast / len(chosen):.2f} ms a picture")
    print(f"the definition: {1000 * slow / len(chosen):.0f} ms a picture, {slow / fast:.0f} times as long")
    print(f"they differ by {furthest} of 255 at most")
    with tempfile.TemporaryDirectory() as out:
        command = [sys.executable, "-m", "toonify", "smooth-edges", str(arguments.cartoons), out]
        said = subprocess.run(command, check=True, stderr=subprocess.PIPE, text=True).stderr
    print(f"toonify smooth-edges: {said.splitlines()[-1]}")


if __name__ == "__main__":
    main()
