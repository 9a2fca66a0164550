"""Picture files to arrays and back. Everywhere else a photo is an upright H x W x 3 uint8 array in sRGB."""

from toonify.images.formats import DEFAULT_MAX_PIXELS, DEFAULT_QUALITY, FORMAT_OF_SUFFIX, SUFFIXES_OF_FORMAT
from toonify.images.read import (
    Photo,
    check_measurable,
    opaque,
    photo_from_image,
    picture_size,
    read_photo,
    read_processing_note,
    read_stored,
)
from toonify.images.write import encode_picture

__all__ = [
    "DEFAULT_MAX_PIXELS",
    "DEFAULT_QUALITY",
    "FORMAT_OF_SUFFIX",
    "SUFFIXES_OF_FORMAT",
    "Photo",
    "check_measurable",
    "encode_picture",
    "opaque",
    "photo_from_image",
    "picture_size",
    "read_photo",
    "read_processing_note",
    "read_stored",
]
