"""Any mode and colour space that Pillow decodes to, as sRGB pixels and transparency."""

import io

import numpy as np
from PIL import Image, ImageCms, TiffImagePlugin

from toonify.errors import ImageError
from toonify.pixels.arrays import Pixels, to_floats, to_pixels


def deepest_white(image: Image.Image) -> tuple[int, bool]:
    """The largest value of more than 8 bits of grey, and whether it stands for black (TIFF 6.0, WhiteIsZero)."""
    if not isinstance(image, TiffImagePlugin.TiffImageFile):
        return 65_535, False
    bits = image.tag_v2.get(TiffImagePlugin.BITSPERSAMPLE, (16,))[0]
    return (1 << min(bits, 16)) - 1, image.tag_v2.get(TiffImagePlugin.PHOTOMETRIC_INTERPRETATION) == 0


def _grey_of_16_bits(image: Image.Image, white: tuple[int, bool]) -> tuple[Image.Image, Pixels | None]:
    """Grey of 8 bits, which Pillow's own conversion would clip, and transparency where a shade stands for it (PNG)."""
    grey = np.asarray(image)
    most, inverted = white
    if grey.min() < 0 or grey.max() > most:
        raise ImageError("32-bit integer pictures have no defined white; convert it to 16 bit first")
    clear = image.info.get("transparency")
    alpha = None if clear is None else np.where(grey == clear, 0, 255).astype(np.uint8)
    scaled = ((grey.astype(np.uint32) * 255 + most // 2) // most).astype(np.uint8)
    return Image.fromarray(255 - scaled if inverted else scaled), None if alpha is None or alpha.all() else alpha


def to_srgb(image: Image.Image, white: tuple[int, bool], notes: list[str]) -> tuple[Pixels, Pixels | None]:
    """Any mode that Pillow decodes to, as sRGB pixels and transparency; `white` is of more than 8 bits of grey."""
    icc = image.info.get("icc_profile")
    if image.mode == "F":
        raise ImageError("32-bit floating-point pictures have no defined white; convert it to 16 bit first")
    alpha = None
    if image.mode.startswith("I"):
        image, alpha = _grey_of_16_bits(image, white)
    elif image.mode == "YCbCr":  # a profile is of what it stands for
        image = image.convert("RGB")
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        alpha = np.array(rgba.getchannel("A"))
        image = image.convert("L") if image.mode in ("L", "LA", "La") else rgba.convert("RGB")
        if alpha.min() == 255:
            alpha = None
    elif image.mode in ("P", "1", "PA"):
        image = image.convert("RGB")
    if icc and image.mode in ("RGB", "L", "CMYK", "LAB"):
        image = _through_profile(image, icc, notes)
    pixels = np.asarray(image if image.mode == "RGB" else image.convert("RGB"))
    if alpha is not None and alpha.any():
        # What lies under full transparency is often garbage; it must not tint the drawing of what can be seen.
        pixels = pixels.copy()
        pixels[alpha == 0] = pixels[alpha > 0].mean(axis=0).round()
    return pixels, alpha


def pixels_to_srgb(pixels: Pixels, icc: bytes, notes: list[str]) -> Pixels:
    """RGB pixels as sRGB, through the profile that they have with them; a broken one is put in `notes`."""
    if _names_srgb(icc):
        return pixels  # what Pillow takes and gives would be copies
    return np.asarray(_through_profile(Image.fromarray(pixels), icc, notes))


def _names_srgb(icc: bytes) -> bool:
    """Whether a profile says that it is sRGB, so that nothing is to be converted. A broken one does not."""
    try:
        return ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(icc))).startswith("sRGB")
    except (ImageCms.PyCMSError, OSError, ValueError):
        return False


def _through_profile(image: Image.Image, icc: bytes, notes: list[str]) -> Image.Image:
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
        if image.mode == "L" and profile.profile.xcolor_space.strip() == "RGB":
            image = image.convert("RGB")  # some programs tag grey pictures so
        if image.mode == "RGB" and _names_srgb(icc):
            return image
        converted = ImageCms.profileToProfile(
            image,
            profile,
            ImageCms.createProfile("sRGB"),
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
            outputMode="RGB",
            flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
    except (ImageCms.PyCMSError, OSError, ValueError):
        notes.append("its colour profile is broken and was left aside")
        return image
    assert converted is not None  # only inPlace=True returns None  # noqa: S101
    return converted


def on_white(pixels: Pixels, alpha: Pixels) -> Pixels:
    """Pixels with their transparency laid on white."""
    weight = to_floats(alpha)[..., None]
    return to_pixels(to_floats(pixels) * weight + (1 - weight))
