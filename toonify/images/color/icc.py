"""ICC profiles, through Little CMS: by their curves and primaries, never by their names."""

import functools
import io
import struct

import numpy as np
from PIL import Image, ImageCms

from toonify.pixels.arrays import Pixels

_SAME = 1  # level by which a profile's colors may differ from sRGB's and still be taken for them
_FAILURES = (ImageCms.PyCMSError, OSError, ValueError, TypeError)
BROKEN = "its color profile is broken and was not applied"


@functools.lru_cache(maxsize=32)
def is_srgb(profile: bytes) -> bool:
    """Whether a profile of RGB gives sRGB's colors, so that nothing is to be converted. A broken one does not."""
    try:
        if _space(profile) != "RGB":
            return False
        probe = _probe()
        converted = _transformed(Image.fromarray(probe), profile)
    except _FAILURES:
        return False
    return int(np.abs(np.asarray(converted, np.int16) - probe).max()) <= _SAME


def _probe() -> Pixels:
    """1 x N x 3: all grays, and a lattice of 9 levels in each channel."""
    levels = np.linspace(0, 255, 9).round().astype(np.uint8)
    lattice = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(-1, 3)
    grays = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)
    return np.concatenate([grays, lattice])[None]


def code_points_of_profile(profile: bytes) -> tuple[int, int] | None:
    """Primaries and transfer function of H.273 that a profile names itself (ICC.1:2022, cicpTag); None without."""
    count = min(int.from_bytes(profile[128:132]), 100)
    for place in range(132, 132 + 12 * count, 12):
        tag, offset, size = (
            profile[place : place + 4],
            *struct.unpack(">II", profile[place + 4 : place + 12].ljust(8, b"\0")),
        )
        if tag == b"cicp" and size >= 12 and profile[offset : offset + 4] == b"cicp":
            return profile[offset + 8], profile[offset + 9]
    return None


def pixels_to_srgb(pixels: Pixels, profile: bytes, notes: list[str]) -> Pixels:
    """RGB pixels as sRGB; a broken profile is put in `notes`."""
    if is_srgb(profile):
        return pixels  # what Pillow takes and gives would be copies
    return np.asarray(image_to_srgb(Image.fromarray(pixels), profile, notes, in_place=True))


def image_to_srgb(image: Image.Image, profile: bytes, notes: list[str], *, in_place: bool = False) -> Image.Image:
    """An image in RGB, L, CMYK or LAB as RGB in sRGB; one whose profile is broken as it is, which is put in `notes`.

    `in_place`: an image in RGB may itself be changed, which saves memory.
    """
    try:
        if image.mode == "L" and _space(profile) == "RGB":
            image = image.convert("RGB")  # some programs tag gray pictures so
        if image.mode == "RGB" and is_srgb(profile):
            return image
        return _transformed(image, profile, in_place and image.mode == "RGB")
    except _FAILURES:
        notes.append(BROKEN)
        return image


def _space(profile: bytes) -> str:
    return _opened(profile).profile.xcolor_space.strip()


def _opened(profile: bytes) -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(io.BytesIO(profile))


def _transformed(image: Image.Image, profile: bytes, in_place: bool = False) -> Image.Image:
    converted = ImageCms.profileToProfile(
        image,
        _opened(profile),
        ImageCms.createProfile("sRGB"),
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
        outputMode="RGB",
        inPlace=in_place,
        flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )
    return image if converted is None else converted
