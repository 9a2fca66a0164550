"""What an ONNX file of ours is; apart from the exporter, so that to look one up takes no PyTorch."""

from pathlib import Path
from typing import TYPE_CHECKING

from toonify.errors import StyleError, one_line
from toonify.graphs.bounds import refuse_absurd

if TYPE_CHECKING:
    from onnx import ModelProto

OPSET = 20
EXPORTER = 1  # the way networks are exported: raise it when the result changes, and cached files are made anew
CARD_KEY = "toonify.card"  # of the style card among the file's metadata
CHECK_KEY = "toonify.check-drawing"  # of an int8 network: what the float32 network draws of the check photo
PIXELS, PICTURE = "pixels", "picture"  # input and output of a network that takes bytes (`pixel_graph`)


def read_model(path: Path) -> "ModelProto":
    """The network in an ONNX file. Raises StyleError if it cannot be read."""
    import onnx

    try:
        return onnx.load(path)
    except Exception as error:  # protobuf has errors of its own
        raise StyleError(f"{path} is damaged or not an ONNX network: {one_line(error)[:200]}") from error


def read_onnx_metadata(path: Path) -> dict[str, str]:
    """The metadata that an ONNX file carries. Raises StyleError if it cannot be read.

    ONNX Runtime reads it, which draws the picture later: to import onnx as well would take longer.
    """
    import onnxruntime as ort

    refuse_absurd(path)
    ort.set_default_logger_severity(4)
    options = ort.SessionOptions()
    options.log_severity_level = 4  # what goes wrong comes back as an exception; the rest is noise
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL  # nothing is run
    try:
        session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors have no public base class
        raise StyleError(f"{path} is damaged or not an ONNX network: {one_line(error)[:200]}") from error
    return dict(session.get_modelmeta().custom_metadata_map)


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
