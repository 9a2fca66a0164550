"""Ways to bring a drawing up to the size of its photo: how near to the drawing, how crisp, how flat, and how quick.

    python tests/bench/bench_upsample.py [PHOTOS] [--styles shinkai] [--scales 2 4] [--sheet FILE.png]
        [--lpips-weights VGG16 --lpips-weights HEADS]

PHOTOS is a folder; without it the sample photos of the repository serve. Every photo is drawn at its own size, and at
that divided by each scale. Two questions are asked of each way up:

- shrunk: the drawing at full size is made smaller and comes back. Nothing but the way up is between it and the truth.
- drawn: the style draws the smaller photo, as `convert` does. The truth is still what is drawn at full size, whose
  strokes are thinner, so that no way up can reach it.

lpips is measured on the middle (--crop pixels), down is the PSNR of the result made smaller against the drawing that
went up, edges the mean gradient of the 2 % steepest pixels, flat the deviation of what is finer than a Gaussian
(sigma 1.5) where the drawing is flat, halo the mean distance by which pixels leave the range of the drawing around
them; the last three in levels of 255. ns is for each pixel of the result, the least of three times, on one core.
With --sheet, 100 % crops from the middle of each photo at the last scale, drawn.
"""

import argparse
import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from toonify import load_style
from toonify.drawing import Sketch, Style
from toonify.images import read_photo
from toonify.jobs.find import find_photos
from toonify.metrics.lpips import Lpips, find_lpips_weights
from toonify.pixels.arrays import Floats, Pixels, to_floats, to_pixels
from toonify.pixels.color import gray, guided_coefficients, keep_color, saturate
from toonify.pixels.resize import fit_long_side, resize
from toonify.pixels.upsample import upsample

SAMPLES = Path(__file__).parent.parent / "data" / "photos"
Way = Callable[[Floats, Pixels, Pixels], Pixels]  # drawing, small photo, full photo


def interpolate(method: int) -> Way:
    return lambda drawing, small, full: to_pixels(cv2.resize(drawing, full.shape[1::-1], interpolation=method))


def joint_bilateral(drawing: Floats, small: Pixels, full: Pixels) -> Pixels:
    """Kopf et al., Joint Bilateral Upsampling, SIGGRAPH 2007: 5 x 5 pixels, sigma 1 in space and 0.1 in color."""
    guide, target = to_floats(small), to_floats(full)
    center = [(np.arange(n) + 0.5) * m / n - 0.5 for n, m in zip(full.shape[:2], drawing.shape[:2], strict=True)]
    total, weights = np.zeros(full.shape, np.float32), np.full((*full.shape[:2], 1), 1e-12, np.float32)
    nearest = [np.rint(c).astype(int) for c in center]
    for step in itertools.product(range(-2, 3), repeat=2):
        near = [(1e-12 + np.exp(-((c - n - s) ** 2) / 2)) for c, n, s in zip(center, nearest, step, strict=True)]
        y, x = (np.clip(n + s, 0, m - 1) for n, s, m in zip(nearest, step, drawing.shape[:2], strict=True))
        alike = np.exp(-np.square(target - guide[y][:, x]).sum(axis=-1) / (2 * 0.1**2))
        weight = (near[0][:, None] * near[1] * alike).astype(np.float32)[..., None]
        total += weight * drawing[y][:, x]
        weights += weight
    return to_pixels(total / weights)


def guided(drawing: Floats, small: Pixels, full: Pixels) -> Pixels:
    """The local linear model alone: up(drawing) + up(a) * (full - up(small)), bicubic."""
    photo = gray(to_floats(small))
    gain, _ = guided_coefficients(photo, gray(drawing)[..., None], radius=2, eps=4e-3)
    up = (
        cv2.resize(values, full.shape[1::-1], interpolation=cv2.INTER_CUBIC)
        for values in (drawing, np.clip(gain[..., 0], 0, 1), photo)
    )
    base, a, low = up
    return to_pixels(base + (a * (gray(to_floats(full)) - low))[..., None])


WAYS: dict[str, Way] = {
    "Lanczos": interpolate(cv2.INTER_LANCZOS4),
    "bicubic": interpolate(cv2.INTER_CUBIC),
    "joint bilateral": joint_bilateral,
    "guided": guided,
    "convert": upsample,
    "convert --detail 1": lambda drawing, small, full: upsample(drawing, small, full, detail=1),
}


@dataclass(frozen=True)
class Case:
    """A drawing on its way up."""

    drawing: Floats
    small: Pixels
    full: Pixels
    truth: Pixels  # drawn at full size


def drawn(style: Style, photo: Pixels, long_side: int) -> tuple[Floats, Pixels]:
    """A drawing with its colors corrected, as `convert` enlarges it, and the photo at its size."""
    options = style.plan.options
    height, width = photo.shape[:2]
    small = resize(photo, fit_long_side(height, width, long_side))
    drawing = np.asarray(style.draw(Sketch(full=small, small=small)).picture, np.float32)
    colored = keep_color(drawing, to_floats(small), options.keep_color)
    return np.clip(saturate(colored, options.saturation), 0, 1), small


def figures(way: Way, case: Case, network: Lpips | None, crop: int) -> list[float]:
    """In the order of the table's columns."""
    seconds: list[float] = []
    while len(seconds) < 3 and sum(seconds) < 1:  # joint bilateral is slow
        started = time.perf_counter()
        result = way(case.drawing, case.small, case.full)
        seconds.append(time.perf_counter() - started)
    height, width = result.shape[:2]
    top, left = max(0, (height - crop) // 2), max(0, (width - crop) // 2)
    middle = np.s_[top : top + crop, left : left + crop]
    values = to_floats(result)
    down = cv2.resize(values, case.drawing.shape[1::-1], interpolation=cv2.INTER_AREA)
    lines = cv2.GaussianBlur(gray(values), (0, 0), 1.5)
    window = np.ones((5, 5), np.uint8)
    luma = gray(case.drawing)
    plain = (cv2.dilate(luma, window) - cv2.erode(luma, window) < 0.05).astype(np.uint8)
    flat = cv2.resize(plain, (width, height), interpolation=cv2.INTER_NEAREST) > 0
    low, high = (
        cv2.resize(extreme(case.drawing, np.ones((3, 3), np.uint8)), (width, height), interpolation=cv2.INTER_LINEAR)
        for extreme in (cv2.erode, cv2.dilate)
    )
    return [
        np.nan if network is None else network.distance(result[middle], case.truth[middle]),
        -10 * np.log10(np.square(down - case.drawing).mean() + 1e-12),
        steepness(result),
        255 * (gray(values) - lines)[flat].std() if flat.any() else np.nan,
        255 * np.maximum(np.maximum(values - high, low - values), 0).mean(),
        1e9 * min(seconds) / (height * width),
    ]


def steepness(pixels: Pixels) -> float:
    luma = gray(to_floats(pixels)) * np.float32(255 / 8)
    gradient = np.hypot(cv2.Sobel(luma, cv2.CV_32F, 1, 0), cv2.Sobel(luma, cv2.CV_32F, 0, 1)).ravel()
    return float(np.sort(gradient)[int(0.98 * len(gradient)) :].mean())


def sheet_row(case: Case, side: int = 240) -> Pixels:
    """Photo, all ways, drawn at full size: crops from the middle, not scaled."""
    pictures = [case.full, *(way(case.drawing, case.small, case.full) for way in WAYS.values()), case.truth]
    top, left = (max(0, (n - side) // 2) for n in case.full.shape[:2])
    cells = [picture[top : top + side, left : left + side] for picture in pictures]
    return np.hstack([np.pad(c, ((0, side + 4 - c.shape[0]), (0, side + 4 - c.shape[1]), (0, 0))) for c in cells])


def main() -> None:
    """Draw, bring up, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", type=Path, nargs="*", default=[SAMPLES])
    parser.add_argument("--styles", nargs="+", default=["shinkai"])
    parser.add_argument("--scales", type=float, nargs="+", default=[2, 4])
    parser.add_argument("--crop", type=int, default=384, help="side of what LPIPS is measured on, in pixels")
    parser.add_argument("--lpips-weights", type=Path, action="append", default=[])
    parser.add_argument("--skip-lpips", action="store_true")
    parser.add_argument("--sheet", type=Path)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    network = None if options.skip_lpips else Lpips(find_lpips_weights(options.lpips_weights), device="cpu")
    measured: dict[tuple[str, float, str], list[list[float]]] = {}
    truths, rows = [], []
    for name, found in itertools.product(options.styles, find_photos(options.photos)):
        style = load_style(name, variant="original", device="cpu")
        with found.path.open("rb") as file:
            photo = read_photo(file).pixels
        truth, _ = drawn(style, photo, max(photo.shape))
        truths.append(steepness(to_pixels(truth)))
        for scale in options.scales:
            drawing, small = drawn(style, photo, round(max(photo.shape) / scale))
            shrunk = np.asarray(cv2.resize(truth, small.shape[1::-1], interpolation=cv2.INTER_AREA), np.float32)
            for question, start in (("shrunk", shrunk), ("drawn", drawing)):
                case = Case(start, small, photo, to_pixels(truth))
                for title, way in WAYS.items():
                    row = figures(way, case, network, options.crop)
                    measured.setdefault((question, scale, title), []).append(row)
        rows.append(sheet_row(case))
    if options.sheet is not None:
        Image.fromarray(np.vstack(rows)).save(options.sheet)
    print(f"{len(rows)} drawings; at full size their edges are {np.mean(truths):.1f}\n")
    print("| question | scale | way up | lpips | down, dB | edges | flat | halo | ns |")
    print("| --- | ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for question, scale, title in sorted(measured, key=lambda key: (key[0] == "drawn", key[1])):
        mean = np.nanmean(measured[question, scale, title], axis=0)
        cells = [f"{value:.{digits}f}" for value, digits in zip(mean, (4, 1, 1, 2, 2, 0), strict=True)]
        print(f"| {question} | {scale:g} | {title} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
