"""Files and pictures as tests compare them."""

from pathlib import Path

import numpy as np
from PIL import Image


def snapshot(folder: Path) -> dict[str, bytes]:
    """The bytes of all files in a folder, by path."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def read_rgb(path: Path) -> np.ndarray:
    """A picture file as Pillow reads it: H x W x 3."""
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))
