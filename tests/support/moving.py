"""Moving pictures made on the spot: by Pillow, and block by block where Pillow cannot make them."""

import io
import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

PALETTE = bytes([255, 0, 0, 0, 255, 0, 0, 0, 255, 255, 255, 255])  # red, green, blue, white
RED, GREEN, BLUE, WHITE = ((255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255))


def gif_frame(
    indices: Sequence[Sequence[int]],
    *,
    left: int = 0,
    top: int = 0,
    delay: int = 10,
    disposal: int = 0,
    clear: int | None = None,
) -> bytes:
    """One frame of a GIF: rows of indices into the palette, packed without compression (codes of 3 bits)."""
    flat = [index for row in indices for index in row]
    codes = []
    for place, index in enumerate(flat):
        if place % 2 == 0:  # before the table of codes grows
            codes.append(4)
        codes.append(index)
    codes.append(5)
    bits = sum(code << 3 * place for place, code in enumerate(codes))
    packed = bits.to_bytes((3 * len(codes) + 7) // 8, "little")
    blocks = b"".join(
        bytes([len(part)]) + part for part in (packed[at : at + 255] for at in range(0, len(packed), 255))
    )
    control = struct.pack("<BBBBHBB", 0x21, 0xF9, 4, disposal << 2 | (clear is not None), delay, clear or 0, 0)
    descriptor = struct.pack("<BHHHHB", 0x2C, left, top, len(indices[0]), len(indices), 0)
    return control + descriptor + b"\2" + blocks + b"\0"


def gif_of(*frames: bytes, width: int = 4, height: int = 2, loops: int | None = None, end: bytes = b";") -> bytes:
    """A GIF of frames, with the palette."""
    head = b"GIF89a" + struct.pack("<HHBBB", width, height, 0x81, 0, 0) + PALETTE
    if loops is not None:
        head += b"\x21\xff\x0bNETSCAPE2.0\3\1" + loops.to_bytes(2, "little") + b"\0"
    return head + b"".join(frames) + end


def rows(index: int, width: int = 4, height: int = 2) -> list[list[int]]:
    """Rows of one index."""
    return [[index] * width for _ in range(height)]


def sliding(count: int, height: int = 40, width: int = 60) -> list[np.ndarray]:
    """Frames of a smooth ground over which a square slides, H x W x 3 each."""
    y, x = np.mgrid[:height, :width]
    ground = np.stack([60 + 2 * x, 40 + 3 * y, 90 + x + y], axis=2).clip(0, 255).astype(np.uint8)
    frames = []
    for number in range(count):
        frame = ground.copy()
        frame[8:24, 3 * number : 3 * number + 16] = (220, 30, 40)
        frames.append(frame)
    return frames


def save_moving(path: Path, frames: Sequence[np.ndarray], **options: object) -> Path:
    """Frames as a moving picture by Pillow, by the suffix of its name."""
    images = [Image.fromarray(frame) for frame in frames]
    images[0].save(path, save_all=True, append_images=images[1:], **options)
    return path


def shown_by_pillow(data: bytes) -> list[np.ndarray]:
    """The frames as Pillow, and the library below it, lays them together: H x W x 4 each."""
    with Image.open(io.BytesIO(data)) as image:
        found = []
        for number in range(getattr(image, "n_frames", 1)):
            image.seek(number)
            found.append(np.array(image.convert("RGBA")))
        return found
