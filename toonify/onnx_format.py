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


def to_halves(model: "ModelProto", *, keep_io_types: bool = False) -> "ModelProto":
    """The network with float16 weights and arithmetic where the operators bear it; with `keep_io_types` not outside."""
    from onnxruntime.transformers.float16 import convert_float_to_float16

    model = convert_float_to_float16(model, keep_io_types=keep_io_types)
    made: set[str] = set()
    nodes = []
    for node in model.graph.node:  # the converter casts the scales that two Resizes share twice, to the same name
        if not made.issuperset(node.output):
            nodes.append(type(node).FromString(node.SerializeToString()))
        made.update(node.output)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return model
