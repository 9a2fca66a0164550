#!/usr/bin/env bash
# Players take HD video that does not say its color matrix for BT.709. FFmpeg's scaler, and with it PyAV's
# to_ndarray(format="rgb24") and OpenCV's VideoCapture, take it for BT.601 at any size: a pure conversion error of more
# than ten levels in saturated colors, the same for a whole film, so that nothing looks broken.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check av==18.1.0 numpy==2.4.6 opencv-python-headless==5.0.0.93
venv/bin/python - <<'PYTHON'
import av
import cv2
import numpy as np
from av.video.reformatter import Colorspace

COLOR = 200, 40, 60
print("av", av.__version__, "opencv", cv2.__version__)
seen = {}
for tag in (None, Colorspace.ITU709):
    with av.open("film.mp4", "w") as file:
        stream = file.add_stream("libx264", rate=25, options={"crf": "1"})
        stream.width, stream.height, stream.pix_fmt = 1920, 1080, "yuv420p"
        if tag is not None:
            stream.codec_context.colorspace = tag
        rgb = av.VideoFrame.from_ndarray(np.full((1080, 1920, 3), COLOR, np.uint8), format="rgb24")
        file.mux(stream.encode(rgb.reformat(format="yuv420p", dst_colorspace=Colorspace.ITU709)))
        file.mux(stream.encode())
    with av.open("film.mp4") as file:
        by_av = next(file.decode(video=0)).to_ndarray(format="rgb24")[540, 960]
    by_opencv = cv2.VideoCapture("film.mp4").read()[1][540, 960, ::-1]
    for name, pixel in (("PyAV", by_av), ("OpenCV", by_opencv)):
        seen[name, tag is not None] = np.abs(pixel.astype(int) - COLOR).max()
        print(f"{name}, {'tagged BT.709' if tag else 'untagged'}: {pixel.tolist()} for {list(COLOR)}")
if not all(error <= 3 if tagged else error > 10 for (_, tagged), error in seen.items()):
    raise SystemExit("changed: the matrix that untagged HD video is taken for")
PYTHON
