"""A network whose deep layers calculate in 8-bit integers, for CPUs.

Static quantization after training (Jacob et al., CVPR 2018, section 2), by ONNX Runtime's own tool, as
QuantizeLinear/DequantizeLinear pairs; docs/lab-notes.md has the measurements behind these choices:

- What works at more than a quarter of the frame's side stays in float32, and so do norms. These layers are few and
  cheap, and their errors reach the picture undiminished.
- Activations are unsigned bytes, one scale a tensor; weights are signed, one scale an output channel, in 7 bits: on
  x86 processors without VNNI the kernels add two products in 16 bits, which 8-bit weights overflow.
- The range of an activation is the mean of the extremes that groups of photos reach.
"""

import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from toonify.errors import ExportError, TilingError, one_line
from toonify.graphs.anatomy import NORM, Anatomy, Step, dissect
from toonify.pixels.arrays import Floats

GROUP = 4  # photos whose extremes count together
_COARSE = 4  # pixels of the photo to an element, along each axis, from which on layers are quantized


def quantize(model: onnx.ModelProto, photos: Iterable[Floats]) -> onnx.ModelProto:
    """The network in integers where it bears them; `model` is left alone. Inputs, outputs and metadata stay.

    `photos` are 1 x 3 x H x W float32 inputs of one size, as the network takes them, several times `GROUP`: the ranges
    of activations are measured on them. Raises ExportError if the graph is not understood or has nothing to quantize.
    """
    from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Groups(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self._photos = iter(photos)

        def get_next(self) -> dict[str, Any] | None:
            group = [photo for _, photo in zip(range(GROUP), self._photos, strict=False)]
            return {anatomy.photo: np.concatenate(group)} if group else None

    named = _with_names(model)
    try:
        anatomy = dissect(named.graph)
    except TilingError as error:
        raise ExportError(f"the network cannot be quantized: {error}") from error
    coarse = {step.node.name for step in anatomy.steps.values() if _is_coarse(step, anatomy)}
    if not coarse:
        raise ExportError("the network has nothing to quantize: no layer works at a quarter of the frame's side")
    with tempfile.TemporaryDirectory() as folder:
        plain, ready, made = (Path(folder, name) for name in ("plain.onnx", "ready.onnx", "int8.onnx"))
        onnx.save(named, plain)
        try:
            # The quantizer wants the shapes of all values; to fuse operators first would rename the nodes.
            quant_pre_process(plain, ready, skip_optimization=True, skip_symbolic_shape=True)
            quantize_static(
                ready,
                made,
                Groups(),
                per_channel=True,
                reduce_range=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                nodes_to_quantize=sorted(coarse),
                calibration_providers=["CPUExecutionProvider"],
                extra_options={"CalibMovingAverage": True},
            )
        except Exception as error:  # it raises almost anything
            raise ExportError(f"ONNX Runtime cannot quantize the network: {one_line(error)[:200]}") from error
        quantized = onnx.load(made)
    del quantized.metadata_props[:]
    quantized.metadata_props.extend(model.metadata_props)
    return quantized


def _with_names(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy in which every node has a name of its own: by it the quantizer is told which to take."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    for number, node in enumerate(copy.graph.node):
        node.name = f"node_{number}"
    return copy


def _is_coarse(step: Step, anatomy: Anatomy) -> bool:
    """Whether a step reads or makes what has few enough elements, and is no norm."""
    units = [anatomy.value(name).unit for name in (step.name, *step.sources)]
    return max(units) >= _COARSE and step.node.op_type != NORM
