"""Whether a variant is drawn in 8-bit integers: on CPUs, where that is asked for, or where it is right and quicker."""

from typing import TYPE_CHECKING, Literal

from toonify.engines.choose import choose_device
from toonify.engines.cpu import has_dot_products
from toonify.engines.engine import Backend, Device, Precision
from toonify.errors import DeviceError, StyleError, UsageError
from toonify.networks.check_photo import check_pixels
from toonify.networks.open import check_int8
from toonify.styles.card import StyleVariant

if TYPE_CHECKING:
    from toonify.drawing.tiles import TiledNetwork

DrawnIn = Literal["fp32", "int8"]  # float16 draws what float32 does, but for rounding

_CHECK_TILE = 96  # pixels: the check photo of 288 x 192 in six tiles


def wants_int8(style: StyleVariant, *, backend: Backend, device: Device, precision: Precision) -> bool:
    """Whether integers are to draw, if they turn out to draw rightly; no file is opened.

    "int8" takes them on any CPU; "auto" where the card has them, the network runs on the CPU and this has dot products
    of bytes. Raises StyleError, UsageError or DeviceError if what was asked for cannot be.
    """
    if style.only_int8 and precision in ("fp32", "fp16"):
        raise UsageError(
            f"--precision {precision}: {style.label} is in 8-bit integers alone; drop it, or name the style that it "
            "was made from"
        )
    if precision == "int8":
        check_has_int8(style)
    if style.variant.int8 is None or precision not in ("auto", "int8") or backend != "onnx":
        return False
    if precision == "int8" or style.only_int8:
        if device == "cuda":
            raise DeviceError(f"8-bit integers are for CPUs: to draw {style.label} in them, type --device cpu")
        return True
    return has_dot_products() and choose_device(device, backend) == "cpu"


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
