"""Networks that would take far more than a generator does are refused before they are opened."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import NodeProto, TensorProto, helper

from toonify.cli import main
from toonify.errors import StyleError
from toonify.graphs import bounds
from toonify.graphs.bounds import refuse_absurd
from toonify.graphs.format import CARD_KEY
from toonify.images import encode_picture
from toonify.styles.find import find_style

CARD = {"id": "odd", "title": "odd", "license": "MIT", "attribution": "", "source": ""}


def write(
    path: Path, nodes: list[NodeProto], *constants: TensorProto, functions: tuple[onnx.FunctionProto, ...] = ()
) -> Path:
    sides: list[str | int] = ["N", 3, "H", "W"]
    shown, drawn = (helper.make_tensor_value_info(name, TensorProto.FLOAT, sides) for name in ("x", "y"))
    graph = helper.make_graph(nodes, "g", [shown], [drawn], initializer=list(constants))
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8, functions=list(functions))
    variant = {"weights": {"from": "file", "file": path.name}, "architecture": "lite"}
    entry = model.metadata_props.add()
    entry.key, entry.value = CARD_KEY, json.dumps({**CARD, "variants": {"one": variant}})
    path.write_bytes(model.SerializeToString())
    return path


def counts(name: str, *values: int) -> TensorProto:
    return helper.make_tensor(name, TensorProto.INT64, [len(values)], values)


def function(name: str, *calls: str) -> onnx.FunctionProto:
    places = ["x", *(f"t{number}" for number in range(1, len(calls))), "y"]
    own = "" if calls[0] == "Identity" else "own"
    nodes = [
        helper.make_node(call, [a], [b], domain=own) for call, a, b in zip(calls, places[:-1], places[1:], strict=True)
    ]
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    return helper.make_function("own", name, ["x"], ["y"], nodes, opsets)


def test_generators_pass(tmp_path: Path, tiny_onnx: Path) -> None:
    refuse_absurd(tiny_onnx)
    refuse_absurd(write(tmp_path / "a.onnx", [helper.make_node("Identity", ["x"], ["y"])]))
    for path in (Path(__file__).parents[2] / "weights").glob("*.onnx"):
        refuse_absurd(path)


def test_a_constant_of_very_many_numbers_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nodes = [
        helper.make_node("ConstantOfShape", ["sides"], ["large"]),
        helper.make_node("ReduceSum", ["large"], ["sum"]),
        helper.make_node("Add", ["x", "sum"], ["y"]),
    ]
    path = write(tmp_path / "a.onnx", nodes, counts("sides", 300, 200))
    assert find_style(str(path)).card.id == "odd"
    monkeypatch.setattr(bounds, "_MOST_VALUES_PER_PIXEL", 10)
    bounds._look.cache_clear()
    with pytest.raises(StyleError, match="for a picture of 4096 pixels it makes 60000 numbers at a time"):
        find_style(str(path))


def test_functions_that_write_out_to_very_many_operators_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    functions = (function("f0", "Identity", "Identity"), function("f1", "f0", "f0"), function("f2", "f1", "f1"))
    call = helper.make_node("f2", ["x"], ["y"], domain="own")
    path = write(tmp_path / "a.onnx", [call], functions=functions)
    refuse_absurd(path)
    monkeypatch.setattr(bounds, "_MOST_NODES", 14)
    bounds._look.cache_clear()
    with pytest.raises(StyleError, match="more than 14 operators"):
        find_style(str(path))


def test_a_loop_is_refused(tmp_path: Path) -> None:
    body_in = [
        helper.make_tensor_value_info("i", TensorProto.INT64, []),
        helper.make_tensor_value_info("c", TensorProto.BOOL, []),
        helper.make_tensor_value_info("v", TensorProto.FLOAT, None),
    ]
    body_out = [
        helper.make_tensor_value_info("c1", TensorProto.BOOL, []),
        helper.make_tensor_value_info("w", TensorProto.FLOAT, None),
    ]
    body = helper.make_graph(
        [helper.make_node("Identity", ["c"], ["c1"]), helper.make_node("Identity", ["v"], ["w"])],
        "b",
        body_in,
        body_out,
    )
    loop = helper.make_node("Loop", ["n", "", "x"], ["y"], body=body)
    with pytest.raises(StyleError, match=r"it loops \(Loop\)"):
        find_style(str(write(tmp_path / "a.onnx", [loop], helper.make_tensor("n", TensorProto.INT64, [], [3]))))


@pytest.mark.parametrize(
    "node",
    [
        helper.make_node("ReduceMean", ["x"], ["y"], axes=[1]),
        helper.make_node("AveragePool", ["x"], ["y"], kernel_shape=[2, 2], strides=[2, 2]),
    ],
    ids=["one channel", "half the size"],
)
def test_a_network_that_makes_another_size_is_named(
    node: NodeProto, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path / "odd.onnx", [node])
    photo = tmp_path / "photo.png"
    photo.write_bytes(encode_picture(np.zeros((32, 48, 3), np.uint8), format="png"))
    assert main(["convert", str(photo), "--style", str(path), "--quiet", "--device", "cpu"]) != 0
    said = capsys.readouterr().err
    assert "the network is no generator: from 1 x 3 x 32 x 48 it makes" in said and "unexpected" not in said
