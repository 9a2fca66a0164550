#!/usr/bin/env bash
# An animated AVIF is two video streams for FFmpeg: the cover picture first, the animation second. So PyAV's
# decode(video=0) gives a film of one frame, without any error. The container's streams.best("video") is the animation,
# and Pillow shows all frames of the same file.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check av==18.1.0 pillow==13.0.0
venv/bin/python - <<'PYTHON'
import av
import PIL
from PIL import Image

print("av", av.__version__, "pillow", PIL.__version__)
first, *others = (Image.new("RGB", (96, 64), (level, level, level)) for level in (30, 120, 220))
first.save("animation.avif", save_all=True, append_images=others, duration=200)
counts = {"Pillow": Image.open("animation.avif").n_frames}
for stream in (0, 1):
    with av.open("animation.avif") as container:
        counts[f"PyAV, video={stream}"] = len(list(container.decode(video=stream)))
with av.open("animation.avif") as container:
    best = container.streams.best("video")
    counts[f"PyAV, the best stream, {best.index}"] = len(list(container.decode(best)))
for name, count in counts.items():
    print(f"{name}: {count} frames")
if list(counts.values())[:3] != [3, 1, 3]:
    raise SystemExit("changed: who sees how many frames")
PYTHON
