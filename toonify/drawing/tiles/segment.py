"""A sweep as a network of its own, whose norms are told their means and variances."""

from typing import Any

import numpy as np
import onnx
from numpy.typing import ArrayLike, NDArray
from onnx import NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

from toonify.drawing.tiles.anatomy import NORM, Anatomy, Step
from toonify.drawing.tiles.plan import Sweep
from toonify.graphs.speedup.match import attributes
from toonify.pixels.arrays import Floats

KEPT, GAIN, SHIFT, FIRST, LAST, MEAN, SPREAD = "kept:", "gain:", "shift:", "first:", "last:", "mean:", "spread:"


def segment(model: onnx.ModelProto, anatomy: Anatomy, sweep: Sweep) -> onnx.ModelProto:
    """The network of a sweep over the pictures of `model`, whose anatomy is known.

    Its inputs: the photo's tile as the network takes it; or `kept:V`, 1 x h x w x C float16, a part of a value V; for
    each norm N `gain:N` and `shift:N`, 1 x C x 1 x 1; and `first:U` and `last:U`, two numbers each (y, x): the part of
    images with unit U that lies inside the tile. Its outputs, of that part: `kept:V` as above (the drawing is
    1 x 3 x h x w float32), `mean:V` and `spread:V`, C numbers each: the mean, the sum of squared differences from it.
    """
    return _Segment(model, anatomy, sweep).model


class _Segment:
    def __init__(self, model: onnx.ModelProto, anatomy: Anatomy, sweep: Sweep) -> None:
        self._anatomy = anatomy
        self._nodes: list[NodeProto] = []
        self._constants: dict[str, TensorProto] = {}
        self._inputs: dict[str, ValueInfoProto] = {}
        self._outputs: list[ValueInfoProto] = []
        for name in sweep.reads:
            self._read(name)
        for step in sweep.steps:
            self._take(step)
        for name in dict.fromkeys([*sweep.keeps, *sweep.measures]):
            inside = self._inside(name)
            if name in sweep.keeps:
                self._keep(name, inside)
            if name in sweep.measures:
                self._measure(name, inside)
        graph = helper.make_graph(
            self._nodes, "segment", list(self._inputs.values()), self._outputs, list(self._constants.values())
        )
        self.model = helper.make_model(graph, opset_imports=model.opset_import, ir_version=model.ir_version)

    def _read(self, name: str) -> None:
        channels = self._anatomy.value(name).channels
        if name == self._anatomy.photo:
            self._input(name, TensorProto.FLOAT, [1, channels, None, None])
            return
        self._input(f"{KEPT}{name}", TensorProto.FLOAT16, [1, None, None, channels])
        long = self._op("Cast", f"{KEPT}{name}", to=TensorProto.FLOAT)
        self._write("Transpose", [long], name, perm=[0, 3, 1, 2])

    def _take(self, step: Step) -> None:
        node = step.node
        if node.op_type != NORM:
            self._nodes.append(node)
            for name in node.input:
                if name in self._anatomy.constants:
                    self._constants[name] = self._anatomy.constants[name]
            return
        for what in (GAIN, SHIFT):
            self._input(f"{what}{step.name}", TensorProto.FLOAT, [1, step.value.channels, 1, 1])
        scaled = self._op("Mul", node.input[0], f"{GAIN}{step.name}")
        self._write("Add", [scaled, f"{SHIFT}{step.name}"], step.name)

    def _inside(self, name: str) -> str:
        unit = self._anatomy.value(name).unit
        for what in (FIRST, LAST):
            self._input(f"{what}{unit}", TensorProto.INT64, [2])
        turned = self._op("Transpose", name, perm=[0, 2, 3, 1])  # the order that `speed_up` works in, too
        return self._op("Slice", turned, f"{FIRST}{unit}", f"{LAST}{unit}", self._ints("axes:image", [1, 2]))

    def _keep(self, name: str, inside: str) -> None:
        channels = self._anatomy.value(name).channels
        if name == self._anatomy.drawing:
            self._write("Transpose", [inside], f"{KEPT}{name}", perm=[0, 3, 1, 2])
            self._output(f"{KEPT}{name}", TensorProto.FLOAT, [1, channels, None, None])
            return
        self._write("Cast", [inside], f"{KEPT}{name}", to=TensorProto.FLOAT16)
        self._output(f"{KEPT}{name}", TensorProto.FLOAT16, [1, None, None, channels])

    def _measure(self, name: str, inside: str) -> None:
        channels = self._anatomy.value(name).channels
        axes = self._ints("axes:places", [0, 1, 2])
        mean = self._op("ReduceMean", inside, axes, keepdims=1)
        centred = self._op("Sub", inside, mean)
        self._write("Reshape", [mean, self._ints("shape:vector", [-1])], f"{MEAN}{name}")
        squares = self._op("Mul", centred, centred)  # ReduceSumSquare takes ten times as long
        self._write("ReduceSum", [squares, axes], f"{SPREAD}{name}", keepdims=0)
        for what in (MEAN, SPREAD):
            self._output(f"{what}{name}", TensorProto.FLOAT, [channels])

    def _op(self, kind: str, *inputs: str, **options: Any) -> str:
        name = f"segment:{kind}_{len(self._nodes)}"
        self._write(kind, list(inputs), name, **options)
        return name

    def _write(self, kind: str, inputs: list[str], output: str, **options: Any) -> None:
        self._nodes.append(helper.make_node(kind, inputs, [output], name=f"make {output}", **options))

    def _ints(self, name: str, values: ArrayLike) -> str:
        self._constants[name] = numpy_helper.from_array(np.asarray(values, np.int64), name)
        return name

    def _input(self, name: str, kind: int, shape: list[int | None]) -> None:
        self._inputs[name] = helper.make_tensor_value_info(name, kind, shape)

    def _output(self, name: str, kind: int, shape: list[int | None]) -> None:
        self._outputs.append(helper.make_tensor_value_info(name, kind, shape))


def affine(
    step: Step, anatomy: Anatomy, mean: NDArray[np.float64], variance: NDArray[np.float64]
) -> tuple[Floats, Floats]:
    """An instance norm with known statistics as x * gain + shift: two arrays 1 x C x 1 x 1."""
    scale, bias = (numpy_helper.to_array(anatomy.constants[name]).astype(np.float64) for name in step.node.input[1:3])
    gain = scale / np.sqrt(variance + attributes(step.node).get("epsilon", 1e-5))
    shift = bias - mean * gain
    return gain.astype(np.float32)[None, :, None, None], shift.astype(np.float32)[None, :, None, None]
