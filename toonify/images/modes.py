"""Any mode that Pillow decodes to, as sRGB pixels and transparency."""

import numpy as np
import numpy.typing as npt
from PIL import Image, TiffImagePlugin

from toonify.errors import ImageError
from toonify.images.color import ColorSource, Encoding, encoding_to_srgb, image_to_srgb, pixels_to_srgb
from toonify.images.color.convert import to_8_bits
from toonify.pixels.arrays import Pixels, to_floats, to_pixels


def deepest_white(image: Image.Image) -> tuple[int, bool]:
    """The largest value of more than 8 bits of gray, and whether it stands for black (TIFF 6.0, WhiteIsZero)."""
    if not isinstance(image, TiffImagePlugin.TiffImageFile):
        return 65_535, False
    bits = image.tag_v2.get(TiffImagePlugin.BITSPERSAMPLE, (16,))[0]
    return (1 << min(bits, 16)) - 1, image.tag_v2.get(TiffImagePlugin.PHOTOMETRIC_INTERPRETATION) == 0


def _gray_of_16_bits(image: Image.Image, white: tuple[int, bool]) -> tuple[npt.NDArray[np.uint16], Pixels | None]:
    """Gray scaled to all of 16 bits, and transparency where a shade stands for it (PNG)."""
    gray = np.asarray(image)
    most, inverted = white
    if gray.min() < 0 or gray.max() > most:
        raise ImageError("32-bit integer pictures have no defined white; convert it to 16 bit first")
    clear = image.info.get("transparency")
    alpha = None if clear is None else np.where(gray == clear, 0, 255).astype(np.uint8)
    scaled = ((gray.astype(np.uint32) * 65_535 + most // 2) // most).astype(np.uint16)
    return 65_535 - scaled if inverted else scaled, None if alpha is None or alpha.all() else alpha


def to_srgb(
    image: Image.Image, white: tuple[int, bool], color: ColorSource, notes: list[str]
) -> tuple[Pixels, Pixels | None]:
    """Any mode that Pillow decodes to, as sRGB pixels and transparency; `white` is of more than 8 bits of gray."""
    if image.mode == "F":
        raise ImageError("32-bit floating-point pictures have no defined white; convert it to 16 bit first")
    alpha = None
    if image.mode.startswith("I"):
        gray, alpha = _gray_of_16_bits(image, white)
        if isinstance(color, Encoding):
            return samples_to_srgb(np.repeat(gray[..., None], 3, axis=2), alpha, color, notes)
        image = Image.fromarray(to_8_bits(gray))
    elif image.mode == "YCbCr":  # a profile is of what it stands for
        image = image.convert("RGB")
    elif image.mode == "La":
        colors, weight = np.asarray(image)[..., 0], np.asarray(image)[..., 1]
        if colors.any() and not weight.any():  # nothing shines without weight: it was never filled in
            image = Image.fromarray(np.ascontiguousarray(colors))
        else:
            image = image.convert("LA")  # Pillow has no other way from it
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        alpha = np.array(rgba.getchannel("A"))
        image = image.convert("L") if image.mode in ("L", "LA") else rgba.convert("RGB")
        if alpha.min() == 255:
            alpha = None
    elif image.mode in ("P", "1", "PA"):
        image = image.convert("RGB")
    if isinstance(color, bytes) and image.mode in ("RGB", "L", "CMYK", "LAB"):
        image = image_to_srgb(image, color, notes)
    pixels = np.asarray(image if image.mode == "RGB" else image.convert("RGB"))
    if isinstance(color, Encoding):
        pixels = encoding_to_srgb(pixels, color, notes)
    return _without_garbage(pixels, alpha)


def samples_to_srgb(
    samples: Pixels | npt.NDArray[np.uint16], alpha: Pixels | None, color: ColorSource, notes: list[str]
) -> tuple[Pixels, Pixels | None]:
    """H x W x 3 samples (RGB, 8 or 16 bits) and their transparency, as sRGB pixels and transparency."""
    if isinstance(color, Encoding):
        pixels = encoding_to_srgb(samples, color, notes)
    else:
        pixels = to_8_bits(samples)
        if color is not None:
            pixels = pixels_to_srgb(pixels, color, notes)
    return _without_garbage(pixels, None if alpha is None or alpha.min() == 255 else alpha)


def _without_garbage(pixels: Pixels, alpha: Pixels | None) -> tuple[Pixels, Pixels | None]:
    """What lies under full transparency is often garbage; it must not tint the drawing of what can be seen."""
    if alpha is not None and alpha.any():
        pixels = pixels.copy()
        pixels[alpha == 0] = pixels[alpha > 0].mean(axis=0).round()
    return pixels, alpha


def on_white(pixels: Pixels, alpha: Pixels) -> Pixels:
    """Pixels with their transparency laid on white."""
    weight = to_floats(alpha)[..., None]
    return to_pixels(to_floats(pixels) * weight + (1 - weight))
