#!/usr/bin/env python3
"""Pictures in whose styles a network for any picture is trained: from drawings and photos, and drawn by rule.

    python recipes/make_styles.py panels/ photos/ styles/ --count 2400

A third are cut-outs of the drawings at several sizes, half of them in other colors; a third are photos painted with
brush strokes, flattened to a few tones, hatched or screened, in other colors; a third are textures of stripes, cells,
marble, dots and scribbles in palettes of chance. All are 256 x 256 JPEG files. The same arguments make the same files.
"""

import argparse
import math
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

SIDE = 256
Pixels = NDArray[np.uint8]
Random = np.random.Generator


def read(path: Path) -> Pixels:
    """A picture file as H x W x 3 uint8 RGB. Raises OSError."""
    pixels = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR)
    if pixels is None:
        raise OSError(f"{path} cannot be read as a picture")
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), np.uint8)


def cut_out(pixels: Pixels, random: Random) -> Pixels:
    """A square of 256 pixels of a picture at a size of chance, mirrored half of the time."""
    height, width = pixels.shape[:2]
    scale = max(random.uniform(288, 720) / max(height, width), 1.01 * SIDE / min(height, width))
    size = math.ceil(width * scale), math.ceil(height * scale)
    pixels = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC))
    top, left = random.integers(size[1] - SIDE + 1), random.integers(size[0] - SIDE + 1)
    square = pixels[top : top + SIDE, left : left + SIDE]
    return np.ascontiguousarray(square[:, ::-1] if random.random() < 0.5 else square)


def recolored(pixels: Pixels, random: Random) -> Pixels:
    """The same in other colors: hue turned, saturation and lightness changed, sometimes inverted or nearly gray."""
    hsv = cv2.cvtColor(pixels, cv2.COLOR_RGB2HSV).astype(np.float32)
    hsv[..., 0] = (hsv[..., 0] + random.uniform(0, 180)) % 180
    hsv[..., 1] *= random.choice([0.1, 0.6, 1.0, 1.6, 2.2])
    changed = cv2.cvtColor(np.clip(hsv, 0, 255).astype(np.uint8), cv2.COLOR_HSV2RGB).astype(np.float32) / 255
    changed = changed ** random.uniform(0.5, 1.8)
    if random.random() < 0.15:
        changed = 1 - changed
    tint = random.uniform(0.7, 1.0, 3)
    return np.asarray(np.clip(255 * changed * tint, 0, 255), np.uint8)


def palette(random: Random) -> NDArray[np.float32]:
    """Three to six colors that stand in one mood: light and dark ones of two hues and what is near them."""
    count = int(random.integers(3, 7))
    hues = (random.uniform(0, 180) + random.choice([0, 25, 90, 60], count) + random.normal(0, 8, count)) % 180
    values = np.linspace(random.uniform(20, 90), random.uniform(170, 255), count)
    hsv = np.stack([hues, random.uniform(30, 230, count), random.permutation(values)], 1)
    return np.asarray(cv2.cvtColor(hsv[None].astype(np.uint8), cv2.COLOR_HSV2RGB)[0], np.float32)


def noise(random: Random, cells: float) -> NDArray[np.float32]:
    """Smooth noise with about so many cells a side, 256 x 256 in 0..1."""
    side = max(2, round(cells))
    values = random.random((side + 3, side + 3), dtype=np.float32)
    return np.asarray(cv2.resize(values, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC).clip(0, 1), np.float32)


def _stroke(
    picture: Pixels, middle: tuple[int, int], angle: float, reach: float, color: NDArray[np.float64], breadth: int
) -> None:
    """Draw a straight stroke into a picture, so far to both sides of its middle (x, y)."""
    (x, y), dx, dy = middle, reach * math.cos(angle), reach * math.sin(angle)
    start, end = (round(x - dx), round(y - dy)), (round(x + dx), round(y + dy))
    cv2.line(picture, start, end, color.tolist(), breadth, cv2.LINE_AA)


# --- photos as paintings, prints and drawings ---


def painted(pixels: Pixels, random: Random) -> Pixels:
    """Brush strokes along the edges of a photo, from broad ones to fine ones (after Hertzmann, SIGGRAPH 1998)."""
    broadest = int(random.integers(5, 15))
    canvas = np.full_like(pixels, pixels.mean((0, 1)))
    jitter = random.uniform(4, 28)
    for radius in (broadest, max(2, broadest // 2), max(1, broadest // 4)):
        seen = cv2.GaussianBlur(pixels, (0, 0), radius)
        gray = cv2.cvtColor(seen, cv2.COLOR_RGB2GRAY).astype(np.float32)
        dx, dy = cv2.Sobel(gray, cv2.CV_32F, 1, 0), cv2.Sobel(gray, cv2.CV_32F, 0, 1)
        wrong = np.abs(canvas.astype(np.int16) - seen).sum(2)
        for y, x in random.integers(0, SIDE, (round(1.2 * (SIDE / radius) ** 2 / 2), 2)):
            if radius < broadest and wrong[y, x] < 40:
                continue
            angle = math.atan2(dx[y, x], -dy[y, x]) + random.normal(0, 0.3)
            reach = radius * random.uniform(1, 3)
            color = np.clip(seen[y, x] + random.normal(0, jitter, 3), 0, 255)
            _stroke(canvas, (x, y), angle, reach, color, 2 * radius - 1)
    return canvas


def flattened(pixels: Pixels, random: Random) -> Pixels:
    """Flat tones with dark outlines, or without."""
    for _ in range(3):
        pixels = np.asarray(cv2.bilateralFilter(pixels, 7, 40, 7), np.uint8)
    steps = int(random.integers(3, 8))
    toned = np.rint(pixels / 255 * steps) / steps * 255
    if random.random() < 0.6:
        gray = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).astype(np.float32)
        edge = cv2.GaussianBlur(gray, (0, 0), 1.0) - cv2.GaussianBlur(gray, (0, 0), 1.6)
        toned *= np.clip(1 + edge / random.uniform(2, 6), 0.1, 1)[..., None]
    return np.asarray(toned, np.uint8)


def hatched(pixels: Pixels, random: Random) -> Pixels:
    """Dark strokes in several directions, more of them where a photo is darker, on paper of one color."""
    gray = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255
    ys, xs = np.mgrid[:SIDE, :SIDE].astype(np.float32)
    ys, xs = ys + 6 * noise(random, 6), xs + 6 * noise(random, 6)
    period = random.uniform(4, 11)
    ink = np.zeros((SIDE, SIDE), np.float32)
    for level, angle in zip((0.75, 0.5, 0.28), random.uniform(0, math.pi, 3), strict=True):
        wave = np.sin(2 * math.pi * (xs * math.cos(angle) + ys * math.sin(angle)) / period)
        ink = np.maximum(ink, np.clip(2 * wave - 0.6, 0, 1) * np.clip((level - gray) * 5, 0, 1))
    paper, pen = sorted(palette(random)[:2], key=lambda color: -float(color.sum()))
    tinted = 0.5 * paper + 0.5 * pixels if random.random() < 0.4 else paper
    return np.asarray(tinted * (1 - ink[..., None]) + pen * ink[..., None], np.uint8)


def screened(pixels: Pixels, random: Random) -> Pixels:
    """A halftone screen of round dots for each color."""
    period = random.uniform(4, 9)
    ys, xs = np.mgrid[:SIDE, :SIDE].astype(np.float32)
    out = np.empty((SIDE, SIDE, 3), np.float32)
    for channel, angle in enumerate((0.26, 1.31, 0.78)):
        u, v = xs * math.cos(angle) + ys * math.sin(angle), ys * math.cos(angle) - xs * math.sin(angle)
        screen = (np.cos(2 * math.pi * u / period) + np.cos(2 * math.pi * v / period)) / 4 + 0.5
        out[..., channel] = np.clip((pixels[..., channel] / 255 - 1 + screen) * 4 + 0.5, 0, 1)
    return np.asarray(255 * out, np.uint8)


# --- textures ---


def _colored(values: NDArray[np.float32], random: Random, *, hard: bool) -> Pixels:
    """Values in 0..1 as colors of a palette, in steps or blended."""
    colors = palette(random)
    place = values.clip(0, 1) * (len(colors) - 1)
    if hard:
        return np.asarray(colors[np.rint(place).astype(int)], np.uint8)
    low = np.floor(place).astype(int).clip(0, len(colors) - 2)
    part = (place - low)[..., None]
    return np.asarray(colors[low] * (1 - part) + colors[low + 1] * part, np.uint8)


def stripes(random: Random) -> Pixels:
    """Straight or wavy stripes."""
    ys, xs = np.mgrid[:SIDE, :SIDE].astype(np.float32)
    angle, bend = random.uniform(0, math.pi), random.choice([0, 20, 60])
    along = xs * math.cos(angle) + ys * math.sin(angle) + bend * noise(random, random.uniform(2, 8))
    wave = 0.5 + 0.5 * np.sin(2 * math.pi * along / random.uniform(6, 50))
    return _colored(wave, random, hard=random.random() < 0.5)


def marble(random: Random) -> Pixels:
    """Noise of several octaves, bent by noise, as marbled paper or clouds."""
    base = sum(noise(random, cells) / 2**octave for octave, cells in enumerate((4, 9, 20, 44)))
    values = np.asarray(base, np.float32) / 1.9
    if random.random() < 0.6:
        values = 0.5 + 0.5 * np.sin(2 * math.pi * values * random.uniform(2, 8))
    return _colored(values, random, hard=random.random() < 0.4)


def cells(random: Random) -> Pixels:
    """Cells around points of chance, as a mosaic or stained glass, often with dark joints."""
    count = int(random.integers(30, 500))
    points = random.uniform(0, SIDE, (count, 2)).astype(np.float32)
    labels = np.full((SIDE, SIDE), 255, np.uint8)
    places = np.clip(points.round().astype(int), 0, SIDE - 1)
    labels[places[:, 1], places[:, 0]] = 0
    distance, cell = cv2.distanceTransformWithLabels(labels, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    colors = palette(random)
    count = int(cell.max()) + 1
    own = colors[random.integers(len(colors), size=count)] + random.normal(0, 14, (count, 3))
    picture = own[cell]
    if random.random() < 0.6:
        joint = cv2.morphologyEx(cell.astype(np.float32), cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > 0
        picture[joint] = colors.min(0) * 0.4
    if random.random() < 0.3:
        picture += 2 * distance[..., None]
    return np.asarray(np.clip(picture, 0, 255), np.uint8)


def dots(random: Random) -> Pixels:
    """Dots or short dashes of many colors on a ground, as pointillists set them."""
    colors = palette(random)
    picture = np.full((SIDE, SIDE, 3), colors[0], np.float32).astype(np.uint8)
    radius, dash = int(random.integers(2, 9)), random.choice([0, 1.5, 4])
    turn = noise(random, random.uniform(2, 6)) * 2 * math.pi
    for y, x in random.integers(0, SIDE, (round(3 * (SIDE / radius) ** 2 / 4), 2)):
        color = np.clip(colors[random.integers(len(colors))] + random.normal(0, 15, 3), 0, 255)
        _stroke(picture, (x, y), turn[y, x], dash * radius, color, 2 * radius - 1)
    return picture


def scribbles(random: Random) -> Pixels:
    """Curls of lines of one breadth on paper."""
    colors = palette(random)
    picture = np.full((SIDE, SIDE, 3), colors[-1], np.float32).astype(np.uint8)
    breadth = int(random.integers(1, 5))
    for _ in range(int(random.integers(20, 90))):
        turns = np.cumsum(np.cumsum(random.normal(0, 0.25, 60)) * 0.3 + random.uniform(0, 0.4))
        steps = random.uniform(3, 7) * np.stack([np.cos(turns), np.sin(turns)], 1)
        line = (random.uniform(0, SIDE, 2) + np.cumsum(steps, 0)).round().astype(np.int32)
        color = colors[random.integers(len(colors) - 1)].tolist()
        cv2.polylines(picture, [line], isClosed=False, color=color, thickness=breadth, lineType=cv2.LINE_AA)
    return picture


TEXTURES: Sequence[Callable[[Random], Pixels]] = (stripes, marble, cells, dots, scribbles)
MANNERS: Sequence[Callable[[Pixels, Random], Pixels]] = (painted, painted, painted, flattened, hatched, screened)


def make(number: int, drawings: Sequence[Path], photos: Sequence[Path], seed: int) -> Pixels:
    """The picture of a number: 256 x 256 x 3 uint8 RGB."""
    random = np.random.default_rng([seed, number])
    kind, own = number % 3, number // 3
    if kind == 0:
        pixels = cut_out(read(drawings[own % len(drawings)]), random)
        return recolored(pixels, random) if random.random() < 0.5 else pixels
    if kind == 1:
        pixels = cut_out(read(photos[own % len(photos)]), random)
        if random.random() < 0.7:
            pixels = recolored(pixels, random)
        return MANNERS[own % len(MANNERS)](pixels, random)
    return TEXTURES[own % len(TEXTURES)](random)


def main() -> None:
    """Make the pictures that the arguments ask for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("drawings", "photos", "output"):
        parser.add_argument(name, type=Path, help="a folder")
    parser.add_argument("--count", type=int, default=2400)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    folders = [
        sorted(path for path in folder.iterdir() if path.suffix.lower() in {".jpg", ".jpeg", ".png", ".webp"})
        for folder in (options.drawings, options.photos)
    ]
    if not all(folders):
        parser.error("drawings and photos: a folder has no .jpg, .png or .webp in it")
    options.output.mkdir(parents=True, exist_ok=True)
    for number in range(options.count):
        path = options.output / f"{number:05d}.jpg"
        if path.exists():
            continue
        pixels = make(number, *folders, options.seed)
        _, data = cv2.imencode(".jpg", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 92])
        path.write_bytes(data.tobytes())


if __name__ == "__main__":
    main()
