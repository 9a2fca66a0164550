"""toonify: photos into anime pictures, on your own machine.

from toonify import load_style

shinkai = load_style("shinkai")
drawing = shinkai(photo)  # a PIL image, or an H x W x 3 uint8 array; the same comes back
"""

import os
from typing import TYPE_CHECKING, Any

from toonify.version import __version__

# ONNX Runtime sends its maker what it runs and on what, and keeps a number for the machine in the user's cache, unless
# this is set before it is first imported; whoever wants that sets it to 0. Nothing is uploaded by toonify.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
# The hub's client asks for a list of coding agents before its first download, and tells the hub which of them runs, and
# PyTorch's version, unless this is set before it is first imported.
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")

if TYPE_CHECKING:
    from toonify.drawing import Style, load_style

__all__ = ["Style", "__version__", "load_style"]


def __dir__() -> list[str]:
    """The public names, whether they have been imported yet or not."""
    return sorted(__all__)


def __getattr__(name: str) -> Any:
    """Import what is heavy on first use, so that `toonify --help` stays quick."""
    if name in ("Style", "load_style"):
        from toonify import drawing

        return getattr(drawing, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
