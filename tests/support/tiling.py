"""A network at once and in tiles, and something to draw that shows the difference."""

from pathlib import Path
from typing import Any

import numpy as np

from toonify.drawing.tiles import TiledNetwork
from toonify.engines.onnx_runtime import OnnxNetwork
from toonify.pixels.arrays import Floats
from toonify.pixels.boxes import Box


def draw_in_tiles(path: Path, batch: Floats, tile: int, **options: Any) -> Floats:
    drawing = np.full_like(batch, np.nan)

    def write(box: Box, part: Floats) -> None:
        drawing[0][:, *box.slices] = part[0]

    def read(box: Box) -> Floats:
        return np.ascontiguousarray(batch[:, :, *box.slices])

    TiledNetwork(path, "cpu").draw(batch.shape[2], batch.shape[3], tile, read, write, **options)
    return drawing


def draw_at_once(path: Path, batch: Floats) -> Floats:
    (drawing,) = OnnxNetwork(path, "cpu").run({"photo": batch}).values()
    return drawing


def photo(height: int, width: int) -> Floats:
    """Something in which each part differs from the others: statistics of a part are not those of the whole."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    waves = np.stack([np.sin(x / 7 + y * x / 900), np.cos(y / 5) * x / width, np.sin((x - y) / 11) + y / height - 0.5])
    noise = np.random.default_rng(1).normal(0, 0.2, waves.shape)
    return np.asarray((waves + noise)[None] / 2, np.float32)
