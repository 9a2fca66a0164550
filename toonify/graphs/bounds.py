"""Networks that other people made, looked at before they are opened: a small file can ask for any amount of memory.

Source: ONNX's specification of its intermediate representation, version 10 (graphs, functions, sparse tensors).
"""

import functools
import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toonify.errors import StyleError, display

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto

_SIDE = 64  # pixels, at which sizes are looked at where the network leaves them open
_MOST_VALUES_PER_PIXEL = 4096  # in one tensor: a generator has a few hundred channels
_MOST_NODES = 100_000  # with all functions written out
_ENDLESS = frozenset({"Loop", "Scan"})  # how often they go round, data decides


def refuse_absurd(path: Path) -> None:
    """Raise StyleError for a network that loops, or asks for far more memory than a generator of its size of picture.

    A file that cannot be read is left to whoever opens it.
    """
    if path.is_file():
        status = path.stat()
        _look(path, status.st_mtime_ns, status.st_size)


@functools.lru_cache(maxsize=16)
def _look(path: Path, _changed: int, _size: int) -> None:
    import onnx

    try:
        model = onnx.load(path, load_external_data=False)
    except Exception:  # protobuf has errors of its own; ONNX Runtime says what is wrong
        return
    what = f"{display(path)} is no generator that is run"
    nodes = [*_nodes(model.graph), *(node for function in model.functions for node in _all(function.node))]
    if loops := _ENDLESS.intersection(node.op_type for node in nodes):
        raise StyleError(f"{what}: it loops ({', '.join(sorted(loops))})")
    if _written_out(model) > _MOST_NODES:
        raise StyleError(f"{what}: it has more than {_MOST_NODES} operators")
    if model.graph.sparse_initializer or any(_is_sparse(node) for node in nodes):
        raise StyleError(f"{what}: its weights are sparse")
    pixels = _open_sides(model)
    try:
        inferred = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    except Exception:  # of a network that is wrong in itself
        return
    for value in (*inferred.value_info, *inferred.output):
        count = math.prod(size.dim_value or 1 for size in value.type.tensor_type.shape.dim)
        if count > _MOST_VALUES_PER_PIXEL * pixels:
            raise StyleError(f"{what}: for a picture of {pixels} pixels it makes {count} numbers at a time")


def _open_sides(model: "ModelProto") -> int:
    """Give the input's open sizes a value, and return how many pixels it has then."""
    pixels = _SIDE * _SIDE
    constants = {one.name for one in model.graph.initializer}
    for value in model.graph.input:
        dimensions = value.type.tensor_type.shape.dim
        if value.name in constants or len(dimensions) != 4:
            continue
        for place, dimension in enumerate(dimensions):
            if not dimension.HasField("dim_value"):
                dimension.dim_value = _SIDE if place > 1 else 3 if place else 1
        pixels = max(pixels, dimensions[2].dim_value * dimensions[3].dim_value)
    for value in model.graph.output:  # what is said of them may be said of other sizes
        value.type.tensor_type.ClearField("shape")
    del model.graph.value_info[:]
    return pixels


def _nodes(graph: "GraphProto") -> "Iterator[NodeProto]":
    yield from _all(graph.node)


def _all(nodes: "Iterable[NodeProto]") -> "Iterator[NodeProto]":
    """Nodes, and those of the graphs within them."""
    for node in nodes:
        yield node
        for attribute in node.attribute:
            for graph in (*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])):
                yield from _nodes(graph)


def _is_sparse(node: "NodeProto") -> bool:
    return any(attribute.HasField("sparse_tensor") or attribute.sparse_tensors for attribute in node.attribute)


def _written_out(model: "ModelProto") -> int:
    """How many nodes a network has where each function stands in its place; endless where one calls itself."""
    functions: dict[tuple[str, str], Any] = {(each.domain, each.name): each for each in model.functions}
    counts: dict[tuple[str, str], float] = {}

    def count(nodes: "Iterable[NodeProto]") -> float:
        return sum(1 + of_function((node.domain, node.op_type)) for node in _all(nodes))

    def of_function(name: tuple[str, str]) -> float:
        if name not in functions:
            return 0
        if name not in counts:
            counts[name] = math.inf  # met again while it is counted: it calls itself
            counts[name] = count(functions[name].node)
        return counts[name]

    total = count(model.graph.node)
    return _MOST_NODES + 1 if total > _MOST_NODES else int(total)
