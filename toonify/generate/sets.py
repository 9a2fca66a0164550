"""The pictures of a generator as a set that can be measured."""

from collections.abc import Callable

from toonify.engines.engine import Device
from toonify.generate.draw import draw_seeds
from toonify.generate.files import write_pictures
from toonify.generate.open import open_variant
from toonify.metrics.sets import PictureSet
from toonify.styles.card import LocatedStyle


def draw_set(
    generator: LocatedStyle,
    pictures: PictureSet,
    *,
    device: Device = "auto",
    on_picture: Callable[[float], None] = lambda count: None,
) -> None:
    """Draw the pictures of a set. Raises UsageError, StyleError, DeviceError, OSError."""
    opened = open_variant(generator.variant(), device=device)
    paths = [found.path for found in pictures.pictures]
    paths[0].parent.mkdir(parents=True)
    drawn = draw_seeds(opened.network, range(len(paths)), device=opened.device)
    write_pictures(paths, drawn, overwrite=False, on_picture=on_picture)
