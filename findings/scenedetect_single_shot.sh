#!/usr/bin/env bash
# PySceneDetect's detect() returns the scenes of a video, but an empty list where no cut is found, not one scene that
# covers all. Whoever takes a frame of every scene gets none of a video of one shot. (start_in_scene=True changes it.)
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check scenedetect-headless==0.7.2 av==18.1.0 \
  numpy==2.4.6 opencv-python-headless==5.0.0.93
venv/bin/python - <<'PYTHON'
import av
import numpy as np
import scenedetect

print("scenedetect", scenedetect.__version__)
noise = np.random.default_rng(0)
shots = [np.kron(noise.integers(0, 256, (8, 12, 3), dtype=np.uint8), np.ones((16, 16, 1), np.uint8)) for _ in range(2)]
counts = []
for number in (1, 2):
    with av.open("film.mp4", "w") as file:
        stream = file.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 192, 128, "yuv420p"
        for shot in shots[:number]:
            for _ in range(50):
                file.mux(stream.encode(av.VideoFrame.from_ndarray(shot, format="rgb24")))
        file.mux(stream.encode())
    for detector in (scenedetect.ContentDetector, scenedetect.AdaptiveDetector):
        counts.append(len(scenedetect.detect("film.mp4", detector())))
        print(f"{detector.__name__}: {counts[-1]} scenes in a video of {number} shots")
if counts != [0, 0, 2, 2]:
    raise SystemExit("changed: what a video without cuts gives")
PYTHON
