#!/usr/bin/env bash
# ONNX Runtime's run option memory.enable_memory_arena_shrinkage gives memory back after a run, but never the arena's
# first chunk. With the default growth, a first run on a large input makes the first chunk large, and then nothing at
# all is given back. A tiny run before the large one makes the same option work. Without an arena, it is an error.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check onnxruntime==1.31.1 onnx==1.23.2 numpy==2.4.6 psutil==7.2.2
cat >shrink.py <<'PYTHON'
import sys

import numpy as np
import onnxruntime
import psutil
from onnx import TensorProto, helper

nodes = [
    helper.make_node("Neg", ["x"], ["negative"]),
    helper.make_node("Exp", ["negative"], ["powers"]),
    helper.make_node("ReduceMean", ["powers"], ["y"], keepdims=0),
]
x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n"])
graph = helper.make_graph(nodes, "chain", [x], [helper.make_tensor_value_info("y", TensorProto.FLOAT, [])])
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10).SerializeToString()
options = onnxruntime.SessionOptions()
options.enable_cpu_mem_arena = sys.argv[1] == "arena"
session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
shrink = onnxruntime.RunOptions()
shrink.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
process = psutil.Process()
before = process.memory_info().rss
for mebibytes in map(int, sys.argv[2:]):
    session.run(None, {"x": np.zeros(mebibytes << 18, np.float32)}, shrink)
print((process.memory_info().rss - before) >> 20)
PYTHON
echo "onnxruntime $(venv/bin/python -c 'import onnxruntime; print(onnxruntime.__version__)')"
alone=$(venv/bin/python shrink.py arena 64)
warmed=$(venv/bin/python shrink.py arena 1 64)
echo "kept after a run on 64 MiB, shrunk: $alone MiB"
echo "kept after runs on 1 MiB and on 64 MiB, both shrunk: $warmed MiB"
if venv/bin/python shrink.py none 1 2>error; then
  echo "changed: a session without an arena takes the option" >&2
  exit 1
fi
echo "without an arena: $(tail -n 1 error)"
if ((alone < 60 || warmed > 30)); then
  echo "changed: what shrinking gives back" >&2
  exit 1
fi
