"""The photo that networks are checked on, and its drawing as text, so that a file can carry what it is checked by."""

import base64
import binascii
import io

from toonify.errors import ImageError, StyleError
from toonify.pixels.arrays import Floats, Pixels, to_floats, to_pixels
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


def drawing_as_text(drawing: Floats) -> str:
    """An H x W x 3 RGB drawing in 0..1 as a PNG in base64: rounded to gray levels, which is 59 dB."""
    from toonify.images import encode_picture

    return base64.b64encode(encode_picture(to_pixels(drawing), format="png")).decode()


def drawing_from_text(text: str) -> Floats:
    """The drawing that `drawing_as_text` gave. Raises StyleError if it is none."""
    from toonify.images import read_photo

    try:
        return to_floats(read_photo(io.BytesIO(base64.b64decode(text, validate=True))).pixels)
    except (ImageError, binascii.Error) as error:
        raise StyleError(f"the drawing by which a network is checked is damaged: {error}") from error
