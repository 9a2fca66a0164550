"""Writing an ONNX graph node by node."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

Slices = tuple[slice, slice]  # part of an image: y and x, without steps


class GraphBuilder:
    """Nodes in the order in which they run, and constants; values are known by name.

    What is asked for twice, with the same inputs, is written once and has one name. So nobody needs to remember what
    has been computed already, and values with the same name are the same. `prefix` begins the names of all values
    that are written here, but for those that are given one.
    """

    def __init__(self, prefix: str) -> None:
        self.nodes: list[NodeProto] = []
        self.constants: list[TensorProto] = []
        self._prefix = prefix
        self._written: dict[tuple[object, ...], str] = {}

    def op(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """Write a node with one output; returns the output's name."""
        key = (kind, inputs, repr(sorted(attributes.items())))
        if key not in self._written:
            self._written[key] = f"{self._prefix}{kind}_{len(self._written)}"
            self.write(self._written[key], kind, *inputs, **attributes)
        return self._written[key]

    def write(self, name: str, kind: str, *inputs: str, **attributes: Any) -> None:
        """Write a node whose one output has the name that it must have."""
        self.nodes.append(helper.make_node(kind, inputs, [name], name=name, **attributes))

    def ints(self, values: ArrayLike) -> str:
        """An int64 constant."""
        return self._constant(np.asarray(values, np.int64))

    def floats(self, values: ArrayLike) -> str:
        """A float32 constant."""
        return self._constant(np.asarray(values, np.float32))

    def halves(self, values: ArrayLike) -> str:
        """A float16 constant."""
        return self._constant(np.asarray(values, np.float16))

    def _constant(self, array: NDArray[np.generic]) -> str:
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._written:
            name = self._written[key] = f"{self._prefix}constant_{len(self._written)}"
            self.constants.append(numpy_helper.from_array(array, name))
        return self._written[key]

    def reshape(self, x: str, *shape: int) -> str:
        """As in ONNX: 0 keeps a dimension, -1 takes what is left."""
        return self.op("Reshape", x, self.ints(shape))

    def times(self, x: str, factor: int) -> str:
        """An int64 value times a number."""
        return self.op("Mul", x, self.ints([factor]))

    def up_to(self, count: str) -> str:
        """0, 1, ... count - 1, where `count` is an int64 vector of length 1."""
        return self.op("Range", self.ints(0), self.op("Squeeze", count), self.ints(1))

    def crop(self, x: str, part: Slices, *, axis: int) -> str:
        """A part of two axes of x, of which `axis` is the first."""
        starts = [side.start or 0 for side in part]
        stops = [np.iinfo(np.int64).max if side.stop is None else side.stop for side in part]
        return self.op("Slice", x, self.ints(starts), self.ints(stops), self.ints([axis, axis + 1]))

    def copy(self, node: NodeProto, inputs: Iterable[str]) -> None:
        """Write a node of another graph as it is, but for the names of its inputs."""
        copied = NodeProto()
        copied.CopyFrom(node)
        copied.input[:] = inputs
        self.nodes.append(copied)

    def rename(self, x: str, name: str) -> None:
        """Let a value be known by another name too."""
        self.nodes.append(helper.make_node("Identity", [x], [name], name=f"{self._prefix}{name}"))

    def needed_for(self, outputs: Iterable[str]) -> tuple[list[NodeProto], set[str]]:
        """The nodes without which `outputs` could not be computed, in order, and the names of all that they read."""
        needed, nodes = set(outputs), []
        for node in reversed(self.nodes):
            if any(name and name in needed for name in node.output):
                nodes.append(node)
                needed.update(node.input)
        return nodes[::-1], needed

    def replacing_graph_of(self, model: ModelProto) -> ModelProto:
        """A copy of a model that computes its outputs by what is written here; `model` is left alone.

        Nodes and constants that nobody needs in the end are left out.
        """
        new = ModelProto()
        new.CopyFrom(model)
        nodes, needed = self.needed_for(output.name for output in model.graph.output)
        constants = [tensor for tensor in (*model.graph.initializer, *self.constants) if tensor.name in needed]
        for field in ("node", "initializer", "value_info"):
            new.graph.ClearField(field)
        new.graph.node.extend(nodes)
        new.graph.initializer.extend(constants)
        return new
