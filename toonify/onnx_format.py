"""What an ONNX file of ours is; apart from `export.py`, so that looking one up needs no PyTorch."""

from pathlib import Path
from typing import TYPE_CHECKING

from toonify.errors import StyleError, one_line

if TYPE_CHECKING:
    from onnx import ModelProto

OPSET = 20
EXPORTER = 1  # the way networks are exported: raise it when the result changes, and cached files are made anew
CARD_KEY = "toonify.card"  # of the style card among the file's metadata
PIXELS, PICTURE = "pixels", "picture"  # input and output of a network that takes bytes (`pixel_graph`)


def read_model(path: Path) -> "ModelProto":
    """The network in an ONNX file. Raises StyleError if it cannot be read."""
    import onnx

    try:
        return onnx.load(path)
    except Exception as error:  # protobuf has errors of its own
        raise StyleError(f"{path} is damaged or not an ONNX network: {one_line(error)[:200]}") from error
