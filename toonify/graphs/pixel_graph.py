"""A generator's ONNX graph that takes and gives pixels: what a card says of them becomes part of the graph.

A GPU brings bytes to a network's value range in no time, and only a quarter as many of them have to travel to it.
"""

from typing import Literal

from onnx import ModelProto, TensorProto, helper

from toonify.graphs.builder import GraphBuilder
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
    low, high = value_range
    before, after = GraphBuilder(f"{PIXELS}/"), GraphBuilder(f"{PICTURE}/")

    def number(builder: GraphBuilder, value: float) -> str:
        return builder.halves(value) if halves else builder.floats(value)

    def in_order(builder: GraphBuilder, x: str) -> str:
        return builder.op("Gather", x, builder.ints(_BACKWARD), axis=3) if channels == "bgr" else x

    x = before.op("Transpose", in_order(before, PIXELS), perm=[0, 3, 1, 2])
    x = before.op("Cast", x, to=TensorProto.FLOAT16 if halves else TensorProto.FLOAT)
    x = before.op("Mul", x, number(before, (high - low) / 255))
    before.write(photo, "Add", x, number(before, low))
    x = after.op("Sub", drawing, number(after, low))
    x = after.op("Mul", x, number(after, 1 / (high - low)))
    x = in_order(after, after.op("Transpose", x, perm=[0, 2, 3, 1]))
    after.write(PICTURE, "Cast", x, to=TensorProto.FLOAT16)

    nodes = [*before.nodes, *graph.node, *after.nodes]
    graph.initializer.extend([*before.constants, *after.constants])
    del graph.node[:], graph.input[:], graph.output[:]
    graph.node.extend(nodes)
    sides: list[str | int | None] = ["batch", "height", "width", 3]
    graph.input.append(helper.make_tensor_value_info(PIXELS, TensorProto.UINT8, sides))
    graph.output.append(helper.make_tensor_value_info(PICTURE, TensorProto.FLOAT16, sides))
    return model


def _copy(model: ModelProto) -> ModelProto:
    copy = ModelProto()
    copy.CopyFrom(model)
    return copy
