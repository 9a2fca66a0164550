"""Networks in 8-bit integers for drawing: whether a variant has one, and how it draws in tiles."""

from typing import TYPE_CHECKING, Literal

from toonify.errors import StyleError
from toonify.networks.check_photo import check_pixels
from toonify.networks.open import check_int8
from toonify.styles.card import StyleVariant

if TYPE_CHECKING:
    from toonify.drawing.tiles import TiledNetwork

DrawnIn = Literal["fp32", "int8"]  # float16 draws what float32 does, but for rounding

_CHECK_TILE = 96  # pixels: the check photo of 288 x 192 in six tiles


def check_has_int8(style: StyleVariant) -> None:
    """Raise StyleError if the card of a variant names no network in 8-bit integers."""
    if style.variant.int8 is None:
        raise StyleError(
            f"--precision int8: {style.label} has no network in 8-bit integers; drop it, or make one with "
            "`toonify export --int8`"
        )


def open_int8_in_tiles(style: StyleVariant) -> "TiledNetwork":
    """The network in 8-bit integers for pictures in tiles, in which it has drawn the check photo as float32 does.

    Raises what `open_int8` does, and TilingError if it cannot be cut.
    """
    from toonify.drawing import run
    from toonify.drawing.tiles import TiledNetwork
    from toonify.graphs.format import read_onnx_metadata

    check_has_int8(style)
    path = style.int8
    assert path is not None  # noqa: S101 - it has been looked for
    opened = TiledNetwork(path, "cpu")
    side = _CHECK_TILE + -_CHECK_TILE % opened.multiple
    drawing = run.draw_in_tiles(check_pixels(style.variant), opened, style.variant, padding=0, tile=side)
    check_int8(style, drawing, read_onnx_metadata(path))
    opened.provider += ", int8"
    return opened
