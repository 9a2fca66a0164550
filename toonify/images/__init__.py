"""Picture files to arrays and back. Everywhere else a photo is an upright H x W x 3 uint8 array in sRGB.

What reads and writes is imported when it is first asked for: the help of the command line needs `formats.py` alone.
"""

import importlib
from typing import TYPE_CHECKING, Any

from toonify.images.formats import DEFAULT_MAX_PIXELS, FORMAT_OF_SUFFIX, FORMATS, RAW_SUFFIXES, VIDEO_SUFFIXES

if TYPE_CHECKING:
    from toonify.images.metadata import Metadata
    from toonify.images.other_kinds import is_video
    from toonify.images.read import (
        Photo,
        check_measurable,
        is_picture,
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
    "FORMATS",
    "FORMAT_OF_SUFFIX",
    "RAW_SUFFIXES",
    "VIDEO_SUFFIXES",
    "Metadata",
    "Photo",
    "check_measurable",
    "encode_picture",
    "is_picture",
    "is_video",
    "opaque",
    "photo_from_image",
    "picture_size",
    "read_photo",
    "read_processing_note",
    "read_stored",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = {"encode_picture": "write", "Metadata": "metadata", "is_video": "other_kinds"}.get(name, "read")
    return getattr(importlib.import_module(f"{__name__}.{module}"), name)
