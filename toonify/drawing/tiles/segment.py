"""A sweep as a network of its own, whose norms are told their means and variances."""

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, ValueInfoProto, helper, numpy_helper

from toonify.drawing.tiles.plan import Sweep
from toonify.graphs.anatomy import NORM, Anatomy, Step
from toonify.graphs.builder import GraphBuilder
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
        self._graph = GraphBuilder("segment/")
        self._copied: dict[str, TensorProto] = {}  # constants of the network itself
        self._decoded: set[str] = set()  # those that are made of integers
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
        constants = [*self._copied.values(), *self._graph.constants]
        graph = helper.make_graph(self._graph.nodes, "segment", list(self._inputs.values()), self._outputs, constants)
        self.model = helper.make_model(graph, opset_imports=model.opset_import, ir_version=model.ir_version)

    def _read(self, name: str) -> None:
        channels = self._anatomy.value(name).channels
        if name == self._anatomy.photo:
            self._input(name, TensorProto.FLOAT, [1, channels, None, None])
            return
        self._input(f"{KEPT}{name}", TensorProto.FLOAT16, [1, None, None, channels])
        long = self._graph.op("Cast", f"{KEPT}{name}", to=TensorProto.FLOAT)
        self._graph.write(name, "Transpose", long, perm=[0, 3, 1, 2])

    def _take(self, step: Step) -> None:
        node = step.node
        if node.op_type != NORM:
            for name in node.input:
                if name in self._anatomy.constants:
                    self._take_constant(name)
            self._graph.copy(node, node.input)
            return
        for what in (GAIN, SHIFT):
            self._input(f"{what}{step.name}", TensorProto.FLOAT, [1, step.value.channels, 1, 1])
        scaled = self._graph.op("Mul", node.input[0], f"{GAIN}{step.name}")
        self._graph.write(step.name, "Add", scaled, f"{SHIFT}{step.name}")

    def _take_constant(self, name: str) -> None:
        node = self._anatomy.decoded.get(name)
        if node is None:
            self._copied[name] = self._anatomy.constants[name]
        elif name not in self._decoded:
            self._decoded.add(name)
            for part in node.input:
                self._take_constant(part)
            self._graph.copy(node, node.input)

    def _inside(self, name: str) -> str:
        unit = self._anatomy.value(name).unit
        for what in (FIRST, LAST):
            self._input(f"{what}{unit}", TensorProto.INT64, [2])
        turned = self._graph.op("Transpose", name, perm=[0, 2, 3, 1])  # the order that `speed_up` works in, too
        return self._graph.op("Slice", turned, f"{FIRST}{unit}", f"{LAST}{unit}", self._graph.ints([1, 2]))

    def _keep(self, name: str, inside: str) -> None:
        channels = self._anatomy.value(name).channels
        if name == self._anatomy.drawing:
            self._graph.write(f"{KEPT}{name}", "Transpose", inside, perm=[0, 3, 1, 2])
            self._output(f"{KEPT}{name}", TensorProto.FLOAT, [1, channels, None, None])
            return
        self._graph.write(f"{KEPT}{name}", "Cast", inside, to=TensorProto.FLOAT16)
        self._output(f"{KEPT}{name}", TensorProto.FLOAT16, [1, None, None, channels])

    def _measure(self, name: str, inside: str) -> None:
        channels = self._anatomy.value(name).channels
        # Rows first, then the sums of rows: one long sum in float32 would be off by the thousandth part in large tiles.
        rows, rest = self._graph.ints([2]), self._graph.ints([0, 1, 2])
        mean = self._graph.op("ReduceMean", self._graph.op("ReduceMean", inside, rows, keepdims=1), rest, keepdims=1)
        centered = self._graph.op("Sub", inside, mean)
        self._graph.write(f"{MEAN}{name}", "Reshape", mean, self._graph.ints([-1]))
        squares = self._graph.op("Mul", centered, centered)  # ReduceSumSquare takes ten times as long
        sums = self._graph.op("ReduceSum", squares, rows, keepdims=1)
        self._graph.write(f"{SPREAD}{name}", "ReduceSum", sums, rest, keepdims=0)
        for what in (MEAN, SPREAD):
            self._output(f"{what}{name}", TensorProto.FLOAT, [channels])

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
