"""The photo that networks are checked on."""

from toonify.pixels.arrays import Floats, Pixels
from toonify.styles.card import Variant
from toonify.styles.find import shipped_folder
from toonify.styles.frame import framed, to_batch


def check_photo(variant: Variant) -> Floats:
    """The photo that exported networks are checked on, as the variant takes it: 1 x 3 x H x W float32."""
    return to_batch(check_pixels(variant), variant)


def check_pixels(variant: Variant) -> Pixels:
    """The same as pixels: H x W x 3 RGB, reflected to the right and below to sides that the variant takes."""
    from toonify.images import read_photo

    with (shipped_folder() / "check-photo.jpg").open("rb") as file:
        pixels = read_photo(file).pixels
    return framed(pixels, multiple=variant.multiple, minimum=variant.minimum, padding=0)
