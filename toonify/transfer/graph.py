"""A network for pictures as an ONNX graph takes a style: without PyTorch, in a fraction of a second."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from toonify.errors import StyleError
from toonify.pixels.arrays import Floats

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

_NORM = "InstanceNormalization"


def take_styles(model: "ModelProto", pictures: Sequence[Floats], shares: Sequence[float], strength: float) -> None:
    """Write the styles of pictures, 1 x 3 x H x W of any sizes, into a network's instance norms; the shares sum to 1.

    A norm's scale and shift become the pictures' standard deviation and mean of what it normalizes (equation 8 of
    AdaIN), blended where there are several (equation 15). `strength` is alpha of equation 14: below 1 the features that
    went into the norm are mixed with what comes out. Raises StyleError if the network has no place for a style.
    """
    from onnx import numpy_helper

    norms = [node for node in model.graph.node if node.op_type == _NORM]
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    if not norms or any(name not in constants for node in norms for name in node.input[1:]):
        raise StyleError("the network has no norms that a style could be written into")
    found = [_statistics(model, norms, picture) for picture in pictures]
    for place, node in enumerate(norms):
        for which, name in enumerate(node.input[1:]):  # scale, then shift
            blended = sum(share * each[place][which] for share, each in zip(shares, found, strict=True))
            constants[name].CopyFrom(numpy_helper.from_array(np.asarray(blended, np.float32), name))
    if strength != 1:
        for node in norms:
            _mix(model, node, strength)


def _statistics(model: "ModelProto", norms: "Sequence[NodeProto]", picture: Floats) -> list[tuple[Floats, Floats]]:
    """Standard deviation and mean of each channel of what goes into each norm, with the norm's epsilon (equation 6)."""
    import onnxruntime as ort
    from onnx import TensorProto, helper

    probe = type(model)()
    probe.CopyFrom(model)
    photo = model.graph.input[0].name
    wanted = [node.input[0] for node in norms if node.input[0] != photo]
    del probe.graph.output[:]
    probe.graph.output.extend(helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in wanted)
    options = ort.SessionOptions()
    options.log_severity_level = 4
    session = ort.InferenceSession(probe.SerializeToString(), options, providers=["CPUExecutionProvider"])
    maps = dict(zip(wanted, session.run(wanted, {photo: picture}), strict=True)) | {photo: picture}
    found = []
    for node in norms:
        values = np.asarray(maps[node.input[0]][0], np.float64).reshape(maps[node.input[0]].shape[1], -1)
        epsilon = next((each.f for each in node.attribute if each.name == "epsilon"), 1e-5)
        found.append((np.sqrt(values.var(1) + epsilon), values.mean(1)))
    return found


def _mix(model: "ModelProto", norm: "NodeProto", strength: float) -> None:
    """Blend what comes out of a norm with what went into it."""
    from onnx import helper, numpy_helper

    name = norm.output[0]
    styled, terms = f"{name}_styled", []
    place = list(model.graph.node).index(norm) + 1
    for term, source, share in (("style", styled, strength), ("content", norm.input[0], 1 - strength)):
        factor = f"{name}_share_of_{term}"
        model.graph.initializer.append(numpy_helper.from_array(np.asarray(share, np.float32), factor))
        terms.append(f"{name}_{term}")
        model.graph.node.insert(place, helper.make_node("Mul", [source, factor], [terms[-1]]))
    norm.output[0] = styled
    model.graph.node.insert(place + 2, helper.make_node("Add", terms, [name]))
