#!/usr/bin/env bash
# ONNX Runtime's InstanceNormalization on CPUs sums each channel in float32, all pixels in a row. So the gain depends on
# the picture's size: it is exact for small pictures, and off by some 6e-4 at 16 megapixels, far more than float32's
# 1e-7. Networks that draw whole photos should be compared at full size, not on 256 x 256 pixels.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check onnxruntime==1.31.1 onnx==1.23.2 numpy==2.4.6
venv/bin/python - <<'PYTHON'
import numpy as np
import onnxruntime
from onnx import TensorProto, helper

node = helper.make_node("InstanceNormalization", ["x", "scale", "bias"], ["y"], epsilon=1e-5)
inputs = [
    helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 1, None, None]),
    helper.make_tensor_value_info("scale", TensorProto.FLOAT, [1]),
    helper.make_tensor_value_info("bias", TensorProto.FLOAT, [1]),
]
graph = helper.make_graph([node], "norm", inputs, [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)])
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])

print("onnxruntime", onnxruntime.__version__)
errors = {}
for side in (256, 1024, 4096):
    x = np.random.default_rng(0).standard_normal((1, 1, side, side)).astype(np.float32)
    (y,) = session.run(None, {"x": x, "scale": np.ones(1, np.float32), "bias": np.zeros(1, np.float32)})
    exact = (x - x.mean(dtype=np.float64)) / np.sqrt(x.var(dtype=np.float64) + 1e-5)
    gain = float((y * exact).sum(dtype=np.float64) / (exact * exact).sum(dtype=np.float64))
    errors[side] = abs(gain - 1)
    print(f"{side} x {side}: gain {gain:.7f} of the exact one")
if not (errors[256] < 1e-5 and errors[4096] > 1e-4):
    raise SystemExit("changed: the gain no longer depends on the size")
PYTHON
