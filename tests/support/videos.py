"""Tiny videos, made on the spot."""

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

WIDTH, HEIGHT, FPS = 192, 128, 12


def scene(seed: int, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """A picture with a look of its own: soft blotches of color, a few shapes."""
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 256, (5, 7, 3), dtype=np.uint8)
    picture = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    for _ in range(4):
        center = tuple(int(value) for value in random.integers(0, (width, height)))
        color = tuple(int(value) for value in random.integers(0, 256, 3))
        cv2.circle(picture, center, int(random.integers(height // 12, height // 4 + 1)), color, -1)
    return picture


def plain(level: int, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    return np.full((height, width, 3), level, np.uint8)


def credits_page(
    lines: int = 6,
    height: int = 360,
    width: int = 640,
    ink: tuple[int, ...] = (230, 230, 230),
    paper: tuple[int, ...] = (0, 0, 0),
) -> np.ndarray:
    names = ["Directed by", "Jane Example", "Key Animation", "P. Pepper   C. Carrot", "Music", "The Band of Nowhere"]
    size = height / 22
    page = Image.new("RGB", (width, height), paper)
    draw = ImageDraw.Draw(page)
    font = ImageFont.load_default(size)
    for number in range(lines):
        where = width / 2, height / 2 + (number - lines / 2) * 1.7 * size
        draw.text(where, names[number % len(names)], ink, font, anchor="mm")
    return np.asarray(page)


def boxed(picture: np.ndarray, bar: int) -> np.ndarray:
    """Black bars above and below."""
    return np.pad(picture, ((bar, bar), (0, 0), (0, 0)))


def hold(picture: np.ndarray, seconds: float) -> list[np.ndarray]:
    return [picture] * round(seconds * FPS)


def write_video(
    path: Path,
    frames: Iterable[np.ndarray],
    *,
    fps: int = FPS,
    codec: str = "libx264",
    container: dict[str, str] | None = None,
    aspect: Fraction | None = None,
    **options: str,
) -> Path:
    frames = list(frames)
    options = {"crf": "12", "preset": "veryfast", **options} if codec == "libx264" else options
    with av.open(str(path), "w", container_options=container or {}) as file:
        stream = file.add_stream(codec, rate=fps, options=options)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        if aspect is not None:
            stream.codec_context.sample_aspect_ratio = aspect
        for frame in frames:
            file.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")))
        file.mux(stream.encode())
    return path
