"""Instance norms that measure a large frame as exactly as a small one.

ONNX Runtime and OpenVINO compute an InstanceNormalization on CPUs with one long sum in float32 for each channel. Of
24 megapixels its gain is off by 0.12 % (ONNX Runtime) or 0.04 % (OpenVINO), and what should be 0 in a uniform picture
by 0.3. Sums of rows, and then of these sums, are as long as a side of the picture only: right to 1e-6. Small pictures
are normalized faster by the one operator.
"""

import onnx
from onnx import GraphProto, NodeProto, numpy_helper

from toonify.graphs.builder import GraphBuilder
from toonify.graphs.speedup.match import attributes

PREFIX = "exact/"  # of the names of all values that are written here
_NORM, _MEAN = "InstanceNormalization", "ReduceMean"


def with_exact_norms(model: onnx.ModelProto) -> onnx.ModelProto | None:
    """The same network with its means over images, and the norms that need them, in sums along one axis at a time.

    Known are InstanceNormalization of N x C x H x W, group norm with one group as PyTorch exports it (an
    InstanceNormalization of what was reshaped to N x 1 x CHW), and ReduceMean over several axes. None for a network
    without any of these. `model` is left alone.
    """
    walk = _Walk(model.graph)
    for node in model.graph.node:
        walk.visit(node)
    if not walk.has_written:
        return None
    return walk.graph.replacing_graph_of(model)


class _Walk:
    """Writes a new graph while it visits the original's nodes in their order."""

    def __init__(self, original: GraphProto) -> None:
        self.graph = GraphBuilder(PREFIX)
        self.has_written = False
        self._makers = {name: node for node in original.node for name in node.output}
        self._constants = {tensor.name: tensor for tensor in original.initializer}

    def visit(self, node: NodeProto) -> None:
        """Write what does the node's work."""
        is_done = (node.op_type == _NORM and self._norm(node)) or (node.op_type == _MEAN and self._reduce(node))
        if is_done:
            self.has_written = True
        else:
            self.graph.copy(node, node.input)

    def _norm(self, node: NodeProto) -> bool:
        source, axes = node.input[0], [3, 2]  # rows, then columns
        reshape = self._makers.get(source)
        if reshape is not None and reshape.op_type == "Reshape":
            if self._ints(reshape.input[1]) != [0, 1, -1]:
                return False
            source, axes = reshape.input[0], [3, 2, 1]
        scale, shift = (self.graph.reshape(name, -1, 1, 1) for name in node.input[1:])
        centered = self.graph.op("Sub", source, self._mean(source, axes))
        variance = self._mean(self.graph.op("Mul", centered, centered), axes)
        eps = self.graph.floats(attributes(node).get("epsilon", 1e-5))
        deviation = self.graph.op("Sqrt", self.graph.op("Add", variance, eps))
        scaled = self.graph.op("Mul", centered, self.graph.op("Div", scale, deviation))
        if source == node.input[0]:
            self.graph.write(node.output[0], "Add", scaled, shift)
        else:
            shifted = self.graph.op("Add", scaled, shift)
            self.graph.write(node.output[0], "Reshape", shifted, self.graph.ints([0, 1, -1]))
        return True

    def _reduce(self, node: NodeProto) -> bool:
        axes = self._ints(node.input[1]) if len(node.input) == 2 else None
        if axes is None or len(axes) < 2:
            return False
        mean = self._mean(node.input[0], sorted(axes, reverse=True))
        if attributes(node).get("keepdims", 1):
            self.graph.rename(mean, node.output[0])
        else:
            self.graph.write(node.output[0], "Squeeze", mean, self.graph.ints(axes))
        return True

    def _mean(self, x: str, axes: list[int]) -> str:
        """Over some axes, which stay with a length of 1: one after the other."""
        for axis in axes:
            x = self.graph.op(_MEAN, x, self.graph.ints([axis]), keepdims=1)
        return x

    def _ints(self, name: str) -> list[int] | None:
        """The numbers of a constant; None for a value that is none."""
        tensor = self._constants.get(name)
        return None if tensor is None else [int(number) for number in numpy_helper.to_array(tensor).ravel()]
