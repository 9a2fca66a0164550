#!/usr/bin/env bash
# OpenCV 5.0.0: `remap` takes both coordinates in one array of two channels, and then, by its documentation, an empty one
# as the second map. Given numpy's empty array it draws something else with INTER_NEAREST and INTER_LINEAR, without a
# word, and the right picture with INTER_CUBIC; with None it is right in all three. OpenCV 4.13.0 is right with both.
# Seen on x86-64: an identity map changes pixels by up to 255 levels.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
cat >look.py <<'PYTHON'
import sys

import cv2
import numpy as np

picture = np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)
identity = np.stack(np.meshgrid(np.arange(50), np.arange(40)), axis=2).astype(np.float32)
seen = []
for name in ("INTER_NEAREST", "INTER_LINEAR", "INTER_CUBIC"):
    for second in (None, np.empty(0, np.float32)):
        drawn = cv2.remap(picture, identity, second, getattr(cv2, name))
        worst = int(np.abs(drawn.astype(int) - picture).max())
        print(f"opencv {cv2.__version__}, {name}, second map {'None' if second is None else 'empty'}: off by {worst}")
        seen.append(worst > 0)
if seen != [value == "1" for value in sys.argv[1]]:
    raise SystemExit("changed: other maps are drawn wrongly")
PYTHON
for pair in 5.0.0.93:010100 4.13.0.92:000000; do
  python3 -m venv "venv${pair%%:*}"
  "venv${pair%%:*}/bin/pip" install --quiet --disable-pip-version-check numpy==2.4.6 "opencv-python-headless==${pair%%:*}"
  "venv${pair%%:*}/bin/python" look.py "${pair##*:}"
done
