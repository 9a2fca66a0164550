#!/usr/bin/env bash
# Pillow writes other AVIF bytes with one thread than with several, at the same settings. By default it takes as many
# threads as the process may use cores, so the same picture gives another file in a container with one core: hashes of
# AVIF files cannot be compared between machines unless max_threads is given.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check numpy==2.4.6 pillow==13.0.0
venv/bin/python - <<'PYTHON'
import hashlib
import io

import numpy as np
import PIL
from PIL import Image, features

noise = np.random.default_rng(0).integers(0, 256, (15, 20, 3), dtype=np.uint8)
picture = Image.fromarray(noise).resize((600, 450), Image.Resampling.BICUBIC)
print("pillow", PIL.__version__, "libavif", features.version("avif"))
digests = {}
for threads in (1, 2):
    file = io.BytesIO()
    picture.save(file, "AVIF", quality=60, max_threads=threads)
    digests[threads] = hashlib.sha256(file.getvalue()).hexdigest()
    print(f"max_threads={threads}: {len(file.getvalue())} bytes, SHA-256 {digests[threads][:12]}")
if digests[1] == digests[2]:
    raise SystemExit("changed: the bytes are the same")
PYTHON
