"""How drawings are written."""

from dataclasses import dataclass

from toonify.images import DEFAULT_MAX_PIXELS


@dataclass(frozen=True)
class SaveOptions:
    """How drawings are written."""

    quality: int | None = None  # 1..100; None: what suits the format
    strip_metadata: bool = False
    overwrite: bool = False
    before_after: bool = False  # the photo beside its drawing, in one picture
    max_pixels: int = DEFAULT_MAX_PIXELS  # of a photo, or a frame; larger ones are refused
    moving: bool = False  # all frames of what moves are drawn; else the first
