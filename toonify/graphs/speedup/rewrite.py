"""The walk over a network's graph: which nodes are rewritten, and how they hand images to each other."""

import onnx
from onnx import NodeProto

from toonify.graphs.builder import GraphBuilder
from toonify.graphs.speedup.match import ELEMENTWISE, Convolution, Edge, Original, attributes
from toonify.graphs.speedup.operators import (
    add,
    add_bias,
    convolve,
    convolve_to_few,
    double,
    elementwise,
    instance_norm,
)
from toonify.graphs.speedup.rows import Rows, from_image, to_image
from toonify.pixels.arrays import Floats

PREFIX = "speedup/"  # of the names of all values that are written here
_MIN_OPSET = 13
_FEW = 4  # channels


def speed_up(model: onnx.ModelProto, *, tile: int = 6, min_products: int = 1 << 15) -> onnx.ModelProto:
    """The same network, faster on CPUs under ONNX Runtime; the package's docstring says what changes and why.

    Inputs, outputs and metadata stay as they are, and so do nodes that it does not know. A model with an opset below
    13 or with subgraphs, or that this function has returned, is returned as it is. `model` is left alone.

    Args:
        model: a network with its weights inside.
        tile: m of Winograd's F(m x m, 3 x 3): 2, 4 or 6. The larger, the faster and the less exact.
        min_products: 3x3 convolutions with fewer pairs of an input and an output channel stay as they are: to
            transform the images would cost more time than it saves.
    """
    if not _is_rewritable(model):
        new = onnx.ModelProto()
        new.CopyFrom(model)
        return new
    walk = _Walk(Original(model.graph), tile, min_products)
    for node in model.graph.node:
        walk.visit(node)
    for output in model.graph.output:
        walk.keep_name(output.name)
    return walk.graph.replacing_graph_of(model)


def _is_rewritable(model: onnx.ModelProto) -> bool:
    opset = next((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), 0)
    nodes = model.graph.node
    has_subgraphs = any(entry.HasField("g") or entry.graphs for node in nodes for entry in node.attribute)
    is_rewritten = any(name.startswith(PREFIX) for node in nodes for name in node.output)
    return opset >= _MIN_OPSET and not has_subgraphs and not is_rewritten


class _Walk:
    """Writes a new graph while it visits the original's nodes in their order.

    It writes nodes that nobody reads in the end (a Pad before a convolution that pads by itself); those are for the
    caller to leave out.
    """

    def __init__(self, original: Original, tile: int, min_products: int) -> None:
        self.graph = GraphBuilder(PREFIX)
        self._original = original
        self._tile = tile
        self._min_products = min_products
        self._values: dict[str, Rows | str] = {}  # what became of the original's values, if they are not as they were

    def visit(self, node: NodeProto) -> None:
        """Write what does the node's work."""
        value = self._rewrite(node)
        if value is None:
            self.graph.copy(node, [self._image(name) for name in node.input])
        else:
            self._values[node.output[0]] = value

    def keep_name(self, output: str) -> None:
        """See to it that an output of the original exists, as an image and under its own name."""
        if output in self._values:
            self.graph.rename(self._image(output), output)

    def _rewrite(self, node: NodeProto) -> Rows | str | None:
        """What becomes of the node's output; None if the node stays as it is."""
        if convolution := self._original.convolution(node):
            return self._convolution(node, convolution)
        rows = [value for name in node.input if isinstance(value := self._values.get(name), Rows)]
        if not rows:
            return None
        if node.op_type == "InstanceNormalization":
            scale, shift = self._image(node.input[1]), self._image(node.input[2])
            return instance_norm(self.graph, rows[0], scale, shift, attributes(node).get("epsilon", 1e-5))
        if node.op_type in ELEMENTWISE:
            return elementwise(self.graph, rows[0], node.op_type, attributes(node))
        if node.op_type == "Add" and len(rows) == 2 and _are_alike(*rows):
            return add(self.graph, *rows)
        return None

    def _convolution(self, node: NodeProto, it: Convolution) -> Rows | str | None:
        outputs, inputs, kernel, _ = it.weight.shape
        doubling = self._original.doubling_before(it)
        if doubling and 4 * outputs * doubling.weight.shape[0] >= self._min_products:
            rows = self._rows(doubling.source, doubling.weight.shape[0])
            return self._with_bias(node, *double(self.graph, rows, doubling, it, self._tile))
        if kernel == 3 and outputs * inputs >= self._min_products:
            rows = self._rows(it.source, inputs)
            return self._with_bias(node, convolve(self.graph, rows, it.weight, it.edge, self._tile), it.bias)
        if outputs <= _FEW and self._original.has_even_size(it.source):
            return self._convolution_to_few(node, it)
        return None

    def _with_bias(self, node: NodeProto, rows: Rows, bias: Floats) -> Rows:
        reader = self._original.only_reader(node.output[0])
        if reader is not None and reader.op_type == "InstanceNormalization":
            return rows  # it would subtract the bias again
        return add_bias(self.graph, rows, bias)

    def _convolution_to_few(self, node: NodeProto, it: Convolution) -> str:
        source, margin = self._values.get(it.source), it.weight.shape[2] // 2
        if it.edge is Edge.REFLECT and isinstance(source, Rows):
            image, margin = to_image(self.graph, source, margin=margin), 0
        elif it.edge is Edge.REFLECT:
            image, margin = self._image(node.input[0]), 0
        else:
            image = self._image(it.source)
        return convolve_to_few(self.graph, image, it.weight, it.bias, padding=margin)

    def _rows(self, name: str, channels: int) -> Rows:
        value = self._values.get(name, name)
        return value if isinstance(value, Rows) else from_image(self.graph, value, channels)

    def _image(self, name: str) -> str:
        """A value as the original has it: N x C x H x W, if it is an image."""
        value = self._values.get(name, name)
        return to_image(self.graph, value) if isinstance(value, Rows) else value


def _are_alike(a: Rows, b: Rows) -> bool:
    return a.layout == b.layout and a.channels == b.channels
