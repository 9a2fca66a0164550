"""A generator's ONNX graph that takes and gives pixels: what a card says of them becomes part of the graph.

A GPU brings bytes to a network's value range in no time, and only a quarter as many of them have to travel to it.
"""

from typing import Any, Literal

import numpy as np
from onnx import ModelProto, TensorProto, helper, numpy_helper

from toonify.graphs.format import PICTURE, PIXELS, to_halves

_BACKWARD = 2, 1, 0  # of the channels: RGB to BGR, and back


def take_pixels(
    model: ModelProto, *, channels: Literal["rgb", "bgr"], value_range: tuple[float, float], halves: bool
) -> ModelProto:
    """The network with N x H x W x 3 uint8 RGB for its input and N x H x W x 3 float16 RGB, mostly in 0..1, for output.

    `channels` and `value_range` are what the card says of the network's own input and output. With `halves` its weights
    and arithmetic are float16, too, where the operators bear it.
    """
    model = _copy(model)
    if halves:
        model = to_halves(model)
    graph = model.graph
    weights = {tensor.name for tensor in graph.initializer}  # old files name them among the inputs, too
    (photo,), (drawing,) = (
        [value.name for value in values if value.name not in weights] for values in (graph.input, graph.output)
    )
    scalar = np.float16 if halves else np.float32
    kind = TensorProto.FLOAT16 if halves else TensorProto.FLOAT
    low, high = value_range

    def constant(name: str, value: Any) -> str:
        graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    swaps = channels == "bgr"
    order = [constant("pixels_order", np.array(_BACKWARD))] if swaps else []
    before = _Chain(PIXELS)
    if swaps:
        before.add("Gather", *order, axis=3)
    before.add("Transpose", perm=[0, 3, 1, 2])
    before.add("Cast", to=kind)
    before.add("Mul", constant("pixels_step", scalar((high - low) / 255)))
    before.add("Add", constant("pixels_low", scalar(low)))
    after = _Chain(drawing)
    after.add("Sub", constant("picture_low", scalar(low)))
    after.add("Mul", constant("picture_step", scalar(1 / (high - low))))
    after.add("Transpose", perm=[0, 2, 3, 1])
    if swaps:
        after.add("Gather", *order, axis=3)
    after.add("Cast", to=TensorProto.FLOAT16)

    nodes = [*before.ending_in(photo), *graph.node, *after.ending_in(PICTURE)]
    del graph.node[:], graph.input[:], graph.output[:]
    graph.node.extend(nodes)
    sides: list[str | int | None] = ["batch", "height", "width", 3]
    graph.input.append(helper.make_tensor_value_info(PIXELS, TensorProto.UINT8, sides))
    graph.output.append(helper.make_tensor_value_info(PICTURE, TensorProto.FLOAT16, sides))
    return model


class _Chain:
    """Nodes of one main input each, one after the other."""

    def __init__(self, first: str) -> None:
        self._first = self._last = first
        self._nodes: list[Any] = []

    def add(self, operator: str, *more_inputs: str, **attributes: Any) -> None:
        name = f"{self._first}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(operator, [self._last, *more_inputs], [name], name=name, **attributes))
        self._last = name

    def ending_in(self, name: str) -> list[Any]:
        """The nodes, of which the last gives `name`."""
        self._nodes[-1].output[0] = name
        return self._nodes


def _copy(model: ModelProto) -> ModelProto:
    copy = ModelProto()
    copy.CopyFrom(model)
    return copy
