"""Pictures of shapes, made here."""

import numpy as np

from toonify.pixels.resize import fit_long_side, resize


def photo(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Shapes with sharp edges over a soft background, and some grain."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width].astype(np.float32) / max(height, width)
    values = np.stack([0.4 + 0.3 * np.sin(3 * y + k) * np.cos(2 * x) for k in range(3)], axis=-1)
    for k in range(6):
        center, color = rng.random(2), rng.random(3)
        values[(y - center[0]) ** 2 + (x - center[1]) ** 2 < (0.05 + 0.02 * k) ** 2] = color
    values += rng.normal(0, 0.01, values.shape)
    return np.rint(255 * values.clip(0, 1)).astype(np.uint8)


def shrink(pixels: np.ndarray, long_side: int) -> np.ndarray:
    return resize(pixels, fit_long_side(pixels.shape[0], pixels.shape[1], long_side))
