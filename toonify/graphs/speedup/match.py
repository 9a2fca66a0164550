"""Finding convolutions that can be rewritten, in a graph as PyTorch exports it."""

from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

import numpy as np
from onnx import GraphProto, NodeProto, TensorProto, helper, numpy_helper

from toonify.pixels.arrays import Floats

ELEMENTWISE = ("LeakyRelu", "Relu")

# What ONNX takes an attribute of a convolution for that is not there; the kernel's shape follows from the weights.
_GEOMETRY = {
    "auto_pad": b"NOTSET",
    "dilations": [1, 1],
    "group": 1,
    "output_padding": [0, 0],
    "output_shape": None,
    "pads": [0, 0, 0, 0],
    "strides": [1, 1],
}


class Edge(Enum):
    """What a convolution sees around an image."""

    ZERO = auto()
    REFLECT = auto()


@dataclass(frozen=True)
class Convolution:
    """A convolution of stride 1 that keeps the size: K is odd, and K // 2 pixels of padding are its own or a Pad's."""

    source: str  # what it reads, before the padding
    edge: Edge
    weight: Floats  # O x I x K x K
    bias: Floats  # O


@dataclass(frozen=True)
class Doubling:
    """A 3x3 transposed convolution from H x W to 2H x 2W."""

    source: str
    weight: Floats  # I x O x 3 x 3
    bias: Floats  # O


class Original:
    """The graph that is to be rewritten. Only convolutions with float32 constants for weights are found."""

    def __init__(self, graph: GraphProto) -> None:
        inputs = {value.name for value in graph.input}  # whoever runs the network may replace these
        self._constants = {tensor.name: tensor for tensor in graph.initializer if tensor.name not in inputs}
        self._makers = {name: node for node in graph.node for name in node.output}
        self._readers: dict[str, list[NodeProto | None]] = {value.name: [None] for value in graph.output}
        for node in graph.node:
            for name in node.input:
                self._readers.setdefault(name, []).append(node)

    def convolution(self, node: NodeProto) -> Convolution | None:
        """The node as a Convolution, if it is one."""
        if node.op_type != "Conv" or (parameters := self._parameters(node)) is None:
            return None
        weight, bias = parameters
        margin = weight.shape[2] // 2
        if weight.shape[2:] != (2 * margin + 1, 2 * margin + 1):
            return None
        if _has_geometry(node, pads=[margin] * 4):
            return Convolution(node.input[0], Edge.ZERO, weight, bias)
        pad = self._makers.get(node.input[0])
        if pad is not None and _has_geometry(node) and self._reflects(pad, margin):
            return Convolution(pad.input[0], Edge.REFLECT, weight, bias)
        return None

    def doubling_before(self, convolution: Convolution) -> Doubling | None:
        """The Doubling that a zero-padded 3x3 convolution reads, if nothing else reads it."""
        node = self._makers.get(convolution.source)
        if node is None or convolution.edge is not Edge.ZERO or convolution.weight.shape[2] != 3:
            return None
        return self._doubling(node) if self.only_reader(convolution.source) is not None else None

    def only_reader(self, name: str) -> NodeProto | None:
        """The one node that reads a value; None if there are several, or none, or it is an output of the graph."""
        readers = self._readers.get(name, [])
        return readers[0] if len(readers) == 1 else None

    def has_even_size(self, name: str) -> bool:
        """Whether an image is of even height and width for certain: since a Doubling it has kept its size."""
        while (node := self._makers.get(name)) is not None and self._doubling(node) is None:
            if node.op_type in ("InstanceNormalization", *ELEMENTWISE):
                name = node.input[0]
            elif convolution := self.convolution(node):
                name = convolution.source
            else:
                return False
        return node is not None

    def _doubling(self, node: NodeProto) -> Doubling | None:
        if node.op_type != "ConvTranspose" or (parameters := self._parameters(node)) is None:
            return None
        weight, bias = parameters
        doubles = _has_geometry(node, strides=[2, 2], pads=[1] * 4, output_padding=[1, 1])
        return Doubling(node.input[0], weight, bias) if doubles and weight.shape[2:] == (3, 3) else None

    def _parameters(self, node: NodeProto) -> tuple[Floats, Floats] | None:
        """Weight and bias of a convolution of images, transposed or not."""
        tensors = [self._constants.get(name) for name in node.input[1:]]
        if any(tensor is None or tensor.data_type != TensorProto.FLOAT for tensor in tensors):
            return None
        weight, *biases = (numpy_helper.to_array(tensor) for tensor in tensors if tensor is not None)
        if weight.ndim != 4:
            return None
        outputs = weight.shape[0 if node.op_type == "Conv" else 1]
        return weight, biases[0] if biases else np.zeros(outputs, np.float32)

    def _reflects(self, node: NodeProto, margin: int) -> bool:
        """Whether a node pads images by reflection, by `margin` on all sides."""
        if node.op_type != "Pad" or len(node.input) != 2 or attributes(node).get("mode") != b"reflect":
            return False
        pads = self._constants.get(node.input[1])
        return pads is not None and numpy_helper.to_array(pads).tolist() == [0, 0, margin, margin] * 2


def attributes(node: NodeProto) -> dict[str, Any]:
    """Those that are there, by name."""
    return {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}


def _has_geometry(node: NodeProto, **expected: list[int]) -> bool:
    have = attributes(node)
    return all(have.get(name, default) == expected.get(name, default) for name, default in _GEOMETRY.items())
