#!/usr/bin/env bash
# Bicubic resizing is thought to keep straight gradients straight, and Pillow's does. OpenCV's INTER_CUBIC does not: its
# kernel has a = -0.75, Pillow's -0.5, the one value for which ramps come out exact. A gradient enlarged four times has
# ripples of 0.04 of the step between two pixels, which contour and edge filters after it can see.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check numpy==2.4.6 opencv-python-headless==5.0.0.93 pillow==13.0.0
venv/bin/python - <<'PYTHON'
import cv2
import numpy as np
import PIL
from PIL import Image

ramp = np.tile(np.arange(32, dtype=np.float32), (8, 1))
size = 128, 32
straight = (np.arange(128) + 0.5) / 4 - 0.5
results = {
    f"opencv {cv2.__version__}": cv2.resize(ramp, size, interpolation=cv2.INTER_CUBIC),
    f"pillow {PIL.__version__}": np.asarray(Image.fromarray(ramp).resize(size, Image.Resampling.BICUBIC)),
}
errors = {}
for name, enlarged in results.items():
    errors[name] = float(np.abs(enlarged[16] - straight)[16:-16].max())  # away from the borders
    print(f"{name}: at most {errors[name]:.4f} from the straight line, of 1 between two pixels")
opencv, pillow = errors.values()
if not (opencv > 0.03 and pillow < 1e-4):
    raise SystemExit("changed: which bicubic keeps a ramp")
PYTHON
