"""What a generator's graph is made of: how large its values are, how far they see, and what they need of the whole.

It knows the operators that convolutional generators are exported to. An operator that it does not know may see the
whole frame, so such a network is not cut into tiles.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from onnx import GraphProto, NodeProto, TensorProto, numpy_helper

from toonify.errors import TilingError
from toonify.graphs.speedup.match import attributes

NORM = "InstanceNormalization"


@dataclass(frozen=True)
class Value:
    """An image inside a network: N x channels x H / unit x W / unit, for a photo of H x W."""

    channels: int
    unit: int  # pixels of the photo to each of its elements, along each axis
    level: int = 0  # how many instance norms, one after the other, are before it
    margin: int = 0  # elements of padding around it

    @property
    def density(self) -> float:
        """Numbers for each pixel of the photo."""
        return self.channels / self.unit**2


@dataclass(frozen=True)
class Step:
    """A node, the value that it makes, and what it makes it from."""

    node: NodeProto
    name: str
    value: Value
    sources: tuple[str, ...]  # the images among its inputs
    radius: int = 0  # pixels of the photo around its own that a pixel depends on, in its sources


@dataclass(frozen=True)
class Anatomy:
    """A network's steps in order, from `photo` to `drawing`, and its constants."""

    photo: str
    drawing: str
    steps: dict[str, Step]  # by the name of what they make
    constants: Mapping[str, TensorProto]
    decoded: Mapping[str, NodeProto]  # the DequantizeLinear nodes that make constants of integers, by what they make

    @property
    def multiple(self) -> int:
        """Of which the sides of a tile must be, in pixels."""
        return max(step.value.unit for step in self.steps.values())

    def value(self, name: str) -> Value:
        """The photo, or what a step makes."""
        return Value(channels=3, unit=1) if name == self.photo else self.steps[name].value


def dissect(graph: GraphProto) -> Anatomy:
    """The anatomy of a network with one input, photos N x 3 x H x W, and one output of the same size.

    Raises TilingError where tiles cannot give what the whole frame does.
    """
    constants = {tensor.name: tensor for tensor in graph.initializer}
    photos = [value.name for value in graph.input if value.name not in constants]
    if len(photos) != 1 or len(graph.output) != 1:
        raise TilingError("it has several inputs or outputs")
    decoded: dict[str, NodeProto] = {}
    anatomy = Anatomy(photos[0], graph.output[0].name, {}, constants, decoded)
    for node in graph.node:
        if node.op_type == "Constant" and "value" in (found := attributes(node)):
            tensor = TensorProto()
            tensor.CopyFrom(found["value"])
            tensor.name = node.output[0]
            constants[tensor.name] = tensor
            continue
        if node.op_type == "DequantizeLinear" and all(name in constants for name in node.input):
            # Of weights that are kept as integers; of what it makes, only the shape is asked for.
            shape = constants[node.input[0]].dims
            constants[node.output[0]] = TensorProto(dims=shape, data_type=TensorProto.FLOAT, name=node.output[0])
            decoded[node.output[0]] = node
            continue
        step = _step(node, anatomy)
        anatomy.steps[step.name] = step
    final = anatomy.steps.get(anatomy.drawing)
    if final is None or (final.value.unit, final.value.margin) != (1, 0):
        raise TilingError("its drawing is not of the photo's size")
    return anatomy


def _step(node: NodeProto, anatomy: Anatomy) -> Step:
    kind = node.op_type
    if kind not in _READERS or node.domain not in ("", "ai.onnx") or len(node.output) != 1:
        raise TilingError(f"its {kind} may depend on the whole frame")
    sources = tuple(name for name in node.input if name == anatomy.photo or name in anatomy.steps)
    others = [name for name in node.input if name and name not in sources]
    if not sources or any(name not in anatomy.constants for name in others):
        raise TilingError(f"the inputs of its {kind} are not understood")
    values = [anatomy.value(name) for name in sources]
    alike = replace(values[0], level=max(value.level for value in values))
    value, radius = _READERS[kind](node, alike, values, anatomy)
    return Step(node, node.output[0], value, sources, radius)


Reader = Callable[[NodeProto, Value, list[Value], Anatomy], tuple[Value, int]]


def _pointwise(node: NodeProto, value: Value, values: list[Value], anatomy: Anatomy) -> tuple[Value, int]:
    for name in node.input:
        if name in anatomy.constants and not _is_per_channel(anatomy.constants[name]):
            raise TilingError(f"its {node.op_type} knows places in the frame")
    if any((other.unit, other.margin) != (value.unit, value.margin) for other in values):
        raise TilingError(f"its {node.op_type} joins images of several sizes")
    return replace(value, channels=max(other.channels for other in values)), 0


def _is_per_channel(tensor: TensorProto) -> bool:
    """Whether a constant says the same everywhere in an image: it has one number, or one to a channel."""
    shape = list(tensor.dims)
    if len(shape) <= 1:
        return len(shape) == 0 or shape[0] == 1
    return all(side == 1 for side in shape[-2:])


def _quantization(node: NodeProto, value: Value, values: list[Value], anatomy: Anatomy) -> tuple[Value, int]:
    if any(anatomy.constants[name].dims for name in node.input[1:]):
        raise TilingError(f"its {node.op_type} has several scales")
    return value, 0  # every number by itself


def _of_channels(node: NodeProto, value: Value, values: list[Value], anatomy: Anatomy) -> tuple[Value, int]:
    return value, 0  # its constants are vectors of channels


def _norm(node: NodeProto, value: Value, values: list[Value], anatomy: Anatomy) -> tuple[Value, int]:
    if value.margin:
        raise TilingError("it normalizes what is padded")
    return replace(value, level=value.level + 1), 0


def _concat(node: NodeProto, value: Value, values: list[Value], anatomy: Anatomy) -> tuple[Value, int]:
    value, radius = _pointwise(node, value, values, anatomy)
    if attributes(node).get("axis") != 1 or len(values) != len(node.input):
        raise TilingError("its Concat joins other things than channels")
    return replace(value, channels=sum(other.channels for other in values)), radius


def _pad(node: NodeProto, value: Value, values: list[Value], anatomy: Anatomy) -> tuple[Value, int]:
    pads = _ints(node, 1, anatomy)
    margin = pads[2] if len(pads) == 8 else -1
    if margin < 0 or pads != [0, 0, margin, margin] * 2 or len(node.input) > 3:
        raise TilingError("its Pad is not the same on all sides")
    # What a reflection brings in lies as far inside as it does outside, so that no more is seen than without it.
    return replace(value, margin=value.margin + margin), 0


def _convolution(node: NodeProto, value: Value, values: list[Value], anatomy: Anatomy) -> tuple[Value, int]:
    weight = _weight(node, anatomy)
    stride, before, after, reach = _geometry(node, weight)
    channels = weight.dims[0]
    if stride == 1:
        left, right = value.margin + before - reach // 2, value.margin + after - (reach - reach // 2)
        if left != right or left < 0:
            raise TilingError("its Conv changes the size")
        return replace(value, channels=channels, margin=left), (reach - reach // 2) * value.unit
    before, after = before + value.margin, after + value.margin  # a Pad before it is as good as its own
    if not -stride <= before + after - reach - 1 <= -1:
        raise TilingError("its Conv changes the size by more than its stride")
    radius = max(before, reach - before - (stride - 1)) * value.unit
    return replace(value, channels=channels, unit=value.unit * stride, margin=0), radius


def _transposed(node: NodeProto, value: Value, values: list[Value], anatomy: Anatomy) -> tuple[Value, int]:
    weight = _weight(node, anatomy)
    stride, before, after, reach = _geometry(node, weight)
    more = attributes(node).get("output_padding", [0, 0])
    grows = reach + 1 - before - after + more[0] == stride and more[0] == more[-1]
    if value.margin or not grows or value.unit % stride:
        raise TilingError("its ConvTranspose changes the size by more than its stride")
    unit = value.unit // stride
    channels = weight.dims[1] * attributes(node).get("group", 1)
    return replace(value, channels=channels, unit=unit), max(before + stride - 1, reach - before) * unit


def _max_pool(node: NodeProto, value: Value, values: list[Value], anatomy: Anatomy) -> tuple[Value, int]:
    found = attributes(node)
    sides = found.get("kernel_shape", [])
    side = sides[0] if sides else 0
    blocks = len(sides) == 2 and [*sides, *found.get("strides", [1, 1])] == [side] * 4
    if value.margin or not blocks or any(found.get("pads", [])) or set(found.get("dilations", [1])) != {1}:
        raise TilingError("its MaxPool is not over blocks side by side")
    return replace(value, unit=value.unit * side), 0


def _weight(node: NodeProto, anatomy: Anatomy) -> TensorProto:
    weight = anatomy.constants.get(node.input[1])
    if weight is None or len(weight.dims) != 4:
        raise TilingError(f"the weights of its {node.op_type} are computed")
    return weight


def _geometry(node: NodeProto, weight: TensorProto) -> tuple[int, int, int, int]:
    """Stride, padding before and after, and the kernel's extent less one; the same along both axes."""
    found = attributes(node)
    if found.get("auto_pad", b"NOTSET") != b"NOTSET" or "output_shape" in found:
        raise TilingError(f"its {node.op_type} pads by itself")
    strides, dilations = found.get("strides", [1, 1]), found.get("dilations", [1, 1])
    pads = found.get("pads", [0, 0, 0, 0])
    reaches = [dilation * (side - 1) for dilation, side in zip(dilations, weight.dims[2:], strict=True)]
    if strides[0] != strides[1] or reaches[0] != reaches[1] or pads[:2] != [pads[0]] * 2 or pads[2:] != [pads[2]] * 2:
        raise TilingError(f"its {node.op_type} is not the same along both axes")
    return strides[0], pads[0], pads[2], reaches[0]


def _depth_to_space(node: NodeProto, value: Value, values: list[Value], anatomy: Anatomy) -> tuple[Value, int]:
    side = attributes(node)["blocksize"]
    if value.margin or value.unit % side:
        raise TilingError("its DepthToSpace draws larger than the photo")
    return replace(value, channels=value.channels // side**2, unit=value.unit // side), 0


def _space_to_depth(node: NodeProto, value: Value, values: list[Value], anatomy: Anatomy) -> tuple[Value, int]:
    side = attributes(node)["blocksize"]
    if value.margin:
        raise TilingError("its SpaceToDepth reads what is padded")
    return replace(value, channels=value.channels * side**2, unit=value.unit * side), 0


def _resize(node: NodeProto, value: Value, values: list[Value], anatomy: Anatomy) -> tuple[Value, int]:
    scales = numpy_helper.to_array(anatomy.constants[node.input[2]]).tolist() if len(node.input) == 3 else []
    times = int(scales[2]) if len(scales) == 4 else 0
    if value.margin or scales != [1, 1, times, times] or times < 1 or value.unit % times:
        raise TilingError("its Resize is not by a whole factor")
    if attributes(node).get("mode", b"nearest") not in (b"nearest", b"linear"):
        raise TilingError("its Resize is neither nearest nor linear")
    return replace(value, unit=value.unit // times), value.unit


def _ints(node: NodeProto, place: int, anatomy: Anatomy) -> list[int]:
    tensor = anatomy.constants.get(node.input[place]) if len(node.input) > place else None
    return [] if tensor is None else [int(number) for number in numpy_helper.to_array(tensor).ravel()]


_READERS: dict[str, Reader] = {
    **dict.fromkeys(("Abs", "Clip", "Elu", "Identity", "LeakyRelu", "Neg", "Relu", "Sigmoid", "Tanh"), _pointwise),
    **dict.fromkeys(("Add", "Div", "Max", "Min", "Mul", "Pow", "Sub"), _pointwise),
    **dict.fromkeys(("BatchNormalization", "PRelu"), _of_channels),
    NORM: _norm,
    "Concat": _concat,
    "Conv": _convolution,
    "ConvTranspose": _transposed,
    "DepthToSpace": _depth_to_space,
    **dict.fromkeys(("DequantizeLinear", "QuantizeLinear"), _quantization),
    "MaxPool": _max_pool,
    "Pad": _pad,
    "Resize": _resize,
    "SpaceToDepth": _space_to_depth,
}
