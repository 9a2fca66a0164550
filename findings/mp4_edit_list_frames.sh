#!/usr/bin/env bash
# A clip trimmed without encoding anew keeps the frames before its start, and an edit list that hides them. PyAV's
# stream.frames and OpenCV's CAP_PROP_FRAME_COUNT count what is stored, but decoding gives only what is shown, and the
# duration is that of what is shown. Frame rates and progress taken from the count are wrong without a warning.
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

STORED, HIDDEN, RATE = 50, 30, 25
print("av", av.__version__, "opencv", cv2.__version__)
with av.open("trimmed.mp4", "w") as file:
    stream = file.add_stream("libx264", rate=RATE, options={"g": "250", "bf": "0"})
    stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
    frames = (np.full((64, 96, 3), 5 * number, np.uint8) for number in range(STORED))
    packets = [packet for frame in frames for packet in stream.encode(av.VideoFrame.from_ndarray(frame))]
    for packet in [*packets, *stream.encode()]:
        shift = round(HIDDEN / RATE / packet.time_base)
        packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
        file.mux(packet)
with av.open("trimmed.mp4") as file:
    stream = file.streams.video[0]
    told, seconds = stream.frames, float(stream.duration * stream.time_base)
    shown = len(list(file.decode(stream)))
capture = cv2.VideoCapture("trimmed.mp4")
opencv_told, opencv_shown = int(capture.get(cv2.CAP_PROP_FRAME_COUNT)), 0
while capture.read()[0]:
    opencv_shown += 1
print(f"PyAV: stream.frames {told}, decoded {shown}, duration {seconds} s")
print(f"OpenCV: CAP_PROP_FRAME_COUNT {opencv_told}, read {opencv_shown}")
if (told, shown, opencv_told, opencv_shown) != (STORED, STORED - HIDDEN, STORED, STORED - HIDDEN):
    raise SystemExit("changed: what the counts say")
PYTHON
