"""Files of named tensors, trusted with nothing."""

import hashlib
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

import onnx
import safetensors.torch
import torch
from torch import Tensor

from toonify.errors import WeightsError


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read a file of named tensors: safetensors (.safetensors), the constants of a network (.onnx), else a checkpoint
    of PyTorch that holds nothing else.

    Raises WeightsError if the file is damaged, holds code, or holds something other than tensors.
    """
    load = {".safetensors": _load_safetensors, ".onnx": _load_onnx}.get(path.suffix.lower(), _load)
    try:
        with path.open("rb") as file:
            state = load(file, path)
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error.strerror}") from error
    if not isinstance(state, dict) or not state or not all(isinstance(value, Tensor) for value in state.values()):
        raise WeightsError(f"{path} does not hold named tensors; give the state_dict of a generator")
    return state


def _load(file: BinaryIO, path: Path) -> object:
    try:
        return torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if "GLOBAL" in str(error):  # the unpickler met the name of something that it would have to run
            raise WeightsError(f"{path} holds code, not only tensors; it was not run, do not trust it") from error
        raise WeightsError(f"{path} is damaged or holds more than tensors; nothing of it was run") from error
    except Exception as error:  # torch raises almost anything on a damaged file, OSError among it
        raise WeightsError(f"{path} is damaged or not a checkpoint") from error


def _load_safetensors(file: BinaryIO, path: Path) -> object:
    try:
        return safetensors.torch.load(file.read())
    except Exception as error:  # a header may say almost anything
        raise WeightsError(f"{path} is damaged or not of safetensors") from error


_ONNX_WEIGHTS = {onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.DOUBLE}  # other constants are none


def _load_onnx(file: BinaryIO, path: Path) -> object:
    damaged = f"{path} is damaged or not an ONNX network"
    try:
        constants = onnx.load_model(file, load_external_data=False).graph.initializer
    except Exception as error:  # protobuf raises almost anything on a damaged file
        raise WeightsError(damaged) from error
    if any(onnx.external_data_helper.uses_external_data(one) for one in constants):  # it may be any file there is
        raise WeightsError(f"{path} keeps its weights in another file; give a network that holds them")
    weights = [one for one in constants if one.data_type in _ONNX_WEIGHTS]
    try:
        return {one.name: torch.from_numpy(onnx.numpy_helper.to_array(one).copy()) for one in weights}
    except Exception as error:  # and so does NumPy
        raise WeightsError(damaged) from error


PRECISIONS = {"float32": torch.float32, "float16": torch.float16}


def fingerprint(state: Mapping[str, Tensor], precision: str = "float32") -> str:
    """A digest of names, shapes and values, whatever the file they came in: "float32:<64 hex digits>".

    `precision` is the type that values are rounded to first. "float16" serves where only a float16 copy of published
    float32 weights was at hand: rounding makes the two alike.
    """
    dtype = PRECISIONS[precision]
    digest = hashlib.sha256()
    for name in sorted(state):
        tensor = state[name].detach().to("cpu", dtype).contiguous()
        digest.update(f"{name}{tuple(tensor.shape)}".encode())
        digest.update(tensor.numpy().astype(tensor.numpy().dtype.newbyteorder("<")).tobytes())
    return f"{precision}:{digest.hexdigest()}"
