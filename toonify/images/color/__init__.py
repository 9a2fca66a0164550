"""What a file says of its colors, and its samples as sRGB (IEC 61966-2-1), 8 bits.

A file's colors are one of three things: an `Encoding` (primaries and transfer function), an ICC profile (bytes), or
None, which stands for sRGB.
"""

from toonify.images.color.convert import encoding_to_srgb
from toonify.images.color.encoding import ADOBE_RGB, SRGB, Chromaticities, Encoding, Gamma, from_code_points
from toonify.images.color.icc import code_points_of_profile, image_to_srgb, is_srgb, pixels_to_srgb

__all__ = [
    "ADOBE_RGB",
    "SRGB",
    "Chromaticities",
    "ColorSource",
    "Encoding",
    "Gamma",
    "code_points_of_profile",
    "encoding_to_srgb",
    "from_code_points",
    "image_to_srgb",
    "is_srgb",
    "pixels_to_srgb",
]

ColorSource = Encoding | bytes | None
