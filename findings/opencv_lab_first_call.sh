#!/usr/bin/env bash
# OpenCV 5.0.0: the first conversion to or from CIELAB in a process takes tens of milliseconds, even of one float32
# pixel of linear light, for it makes the tables of the 8-bit conversion, too. All later ones take microseconds. To HLS,
# XYZ and YCrCb there is no such wait. Seen on x86-64: 69 ms, then 1 microsecond.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check numpy==2.4.6 opencv-python-headless==5.0.0.93
venv/bin/python - <<'PYTHON'
import time

import cv2
import numpy as np

pixel = np.full((1, 1, 3), 0.5, np.float32)


def milliseconds(conversion):
    start = time.perf_counter()
    cv2.cvtColor(pixel, conversion)
    return 1e3 * (time.perf_counter() - start)


others = max(milliseconds(getattr(cv2, f"COLOR_RGB2{space}")) for space in ("HLS", "XYZ", "YCrCb"))
first = milliseconds(cv2.COLOR_LRGB2Lab)
later = min(milliseconds(cv2.COLOR_LRGB2Lab) for _ in range(20))
print("opencv", cv2.__version__)
print(f"the first conversion to HLS, XYZ or YCrCb takes at most {others:.2f} ms")
print(f"the first one to CIELAB takes {first:.1f} ms, a later one {later:.4f} ms")
if first < 100 * later or first < 10 * others:
    raise SystemExit("changed: the first conversion to CIELAB does not take long")
PYTHON
