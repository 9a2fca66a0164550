#!/usr/bin/env bash
# cv2.remap and warpAffine in OpenCV 4 round every position to 1/32 of a pixel, although the maps and the pictures are
# float32: a shift by 0.01 pixels does nothing. OpenCV 5 takes linear and cubic positions as they are, but
# Lanczos's still in steps of 1/32. So flow fields and sub-pixel registration give other results after the upgrade.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check numpy==2.4.6 opencv-python-headless==4.14.0.94
python3 -m venv venv5
venv5/bin/pip install --quiet --disable-pip-version-check numpy==2.4.6 opencv-python-headless==5.0.0.93
cat >shift.py <<'PYTHON'
import cv2
import numpy as np

ramp = np.tile(np.arange(64, dtype=np.float32), (16, 1))
x, y = np.meshgrid(np.arange(64, dtype=np.float32), np.arange(16, dtype=np.float32))
print("opencv", cv2.__version__)
shifts = np.arange(100) / 1000  # pixels
is_rounded = {}
for name in ("LINEAR", "CUBIC", "LANCZOS4"):
    flags = getattr(cv2, f"INTER_{name}")
    matrices = [np.array([[1, 0, -shift], [0, 1, 0]]) for shift in shifts]
    moved = {
        "remap": [cv2.remap(ramp, x + np.float32(shift), y, flags) for shift in shifts],
        "warpAffine": [cv2.warpAffine(ramp, matrix, (64, 16), flags=flags) for matrix in matrices],
    }
    for function, pictures in moved.items():
        count = len({round(float(picture[8, 32]), 4) for picture in pictures})
        print(f"{function} {name}: 100 shifts from 0 to 0.099 pixels give {count} different values")
        is_rounded[function, name] = count < 10
newer = cv2.__version__.startswith("5.")
if any(rounded != (not newer or name == "LANCZOS4") for (_, name), rounded in is_rounded.items()):
    raise SystemExit("changed: which interpolations round positions")
PYTHON
venv/bin/python shift.py
venv5/bin/python shift.py
