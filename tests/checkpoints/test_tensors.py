import json
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from toonify.checkpoints.tensors import fingerprint, read_tensors
from toonify.errors import WeightsError


@pytest.fixture
def state(tiny_run: Path) -> dict[str, torch.Tensor]:
    return read_tensors(tiny_run / "tiny.pth")


def test_a_fingerprint_is_pinned() -> None:
    state = {"b": torch.tensor([1.0, 2.0]), "a": torch.tensor([[0.5]])}
    assert fingerprint(state) == "float32:dc7b647042f7584cab36a4cc69870e63b820964c8898ea425cbab7eff837af49"


def test_a_fingerprint_sees_names_shapes_and_values(state: dict[str, torch.Tensor]) -> None:
    name = next(iter(state))
    changed = dict(state)
    changed[name] = state[name].clone()
    changed[name].view(-1)[0] += 1e-3
    reshaped = {**state, name: state[name].reshape(-1)}
    renamed = {("x" + key if key == name else key): value for key, value in state.items()}
    assert len({fingerprint(s) for s in (state, changed, reshaped, renamed)}) == 4


def test_a_fingerprint_does_not_depend_on_order_or_layout(state: dict[str, torch.Tensor]) -> None:
    other = {key: value.clone() for key, value in reversed(state.items())}
    other = {k: v.contiguous(memory_format=torch.channels_last) if v.ndim == 4 else v for k, v in other.items()}
    assert fingerprint(other) == fingerprint(state)


def test_a_float16_copy_has_the_float16_fingerprint_of_the_original(state: dict[str, torch.Tensor]) -> None:
    copy = {key: value.half() for key, value in state.items()}
    assert fingerprint(copy, "float16") == fingerprint(state, "float16")


@given(st.binary(max_size=400))
@settings(max_examples=50, deadline=None)
def test_garbage_is_refused_in_one_line(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    folder = tmp_path_factory.getbasetemp()
    for suffix in ("pth", "safetensors", "onnx"):
        path = folder / f"garbage.{suffix}"
        path.write_bytes(data)
        with pytest.raises(WeightsError) as caught:
            read_tensors(path)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "entry",
    [
        {"dtype": "F4", "shape": [2], "data_offsets": [0, 1]},
        {"dtype": "F32", "shape": [0, 2**62, 2**62], "data_offsets": [0, 0]},
        {"dtype": "F32", "shape": [0, 2**63], "data_offsets": [0, 0]},
        {"dtype": "F32", "shape": [4], "data_offsets": [0, 2**60]},
    ],
)
def test_odd_headers_of_safetensors_are_refused_in_one_line(entry: dict, tmp_path: Path) -> None:
    header = json.dumps({"weight": entry}).encode()
    path = tmp_path / "odd.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + b"\0" * 16)
    with pytest.raises(WeightsError, match=r"odd\.safetensors is damaged"):
        read_tensors(path)


def test_constants_that_are_no_weights_are_left_aside(tmp_path: Path) -> None:
    weight = onnx.numpy_helper.from_array(np.ones(4, np.float32), "weight")
    text = onnx.helper.make_tensor("words", onnx.TensorProto.STRING, [1], [b"x"])  # type: ignore[list-item]
    graph = onnx.helper.make_graph([], "g", [], [], [weight, text])
    onnx.save(onnx.helper.make_model(graph), tmp_path / "mixed.onnx")
    assert read_tensors(tmp_path / "mixed.onnx").keys() == {"weight"}


def test_an_onnx_network_whose_weights_are_in_another_file_is_refused(tmp_path: Path) -> None:
    """That file could be any of this machine."""
    tensor = onnx.numpy_helper.from_array(np.zeros(4, np.float32), "weight")
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/passwd")
    graph = onnx.helper.make_graph([], "g", [], [], [tensor])
    onnx.save(onnx.helper.make_model(graph), tmp_path / "outside.onnx")
    with pytest.raises(WeightsError, match=r"outside\.onnx keeps its weights in another file"):
        read_tensors(tmp_path / "outside.onnx")


@pytest.mark.parametrize("content", [[1, 2], {"a": 1}, {}, torch.zeros(2)])
def test_a_checkpoint_without_named_tensors_is_refused(content: object, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "odd.pth")
    with pytest.raises(WeightsError, match="does not hold named tensors"):
        read_tensors(tmp_path / "odd.pth")
