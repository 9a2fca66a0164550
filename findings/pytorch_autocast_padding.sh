#!/usr/bin/env bash
# Under torch.autocast("cpu", dtype=torch.bfloat16), padding by reflection or replication returns float32, padding by a
# constant or around the edges bfloat16. A generator that pads by reflection, as most style networks do, has its widest
# activations in twice the memory that autocast seems to promise. On Linux x86-64, PyPI's wheel brings CUDA: 5 GB.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check torch==2.14.1 numpy==2.4.6
venv/bin/python - <<'PYTHON'
import torch
from torch.nn import functional

print("torch", torch.__version__)
picture = torch.zeros(1, 3, 16, 16, dtype=torch.bfloat16)
found = {}
with torch.autocast("cpu", dtype=torch.bfloat16):
    for mode in ("reflect", "replicate", "constant", "circular"):
        found[mode] = functional.pad(picture, (3, 3, 3, 3), mode=mode).dtype
        print(f"{mode}: {found[mode]}")
wide = {mode for mode, dtype in found.items() if dtype == torch.float32}
if wide != {"reflect", "replicate"}:
    raise SystemExit("changed: which paddings autocast makes wide")
PYTHON
