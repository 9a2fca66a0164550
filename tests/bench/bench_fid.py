"""`toonify fid` beside pytorch-fid: rate, agreement, the second call, and memory. One run, on the same pictures.

    python tests/bench/bench_fid.py PHOTOS --weights pt_inception-2015-12-05.pth [--count 1000]

PHOTOS is a folder of at least COUNT photos. Their middles are cut to 256 x 256 and halved into two sets, because
pytorch-fid takes pictures of one size only; the larger set is the one that is timed. Needs `pip install '.[dev]'`.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

PYTORCH_FID = """
import os, sys, numpy, scipy.linalg, torch
import pytorch_fid.inception, pytorch_fid.fid_score as fid
pytorch_fid.inception.load_state_dict_from_url = lambda *_, **__: torch.load(sys.argv[1], weights_only=True)
sqrtm = scipy.linalg.sqrtm
fid.linalg.sqrtm = lambda matrix, disp=True: (sqrtm(matrix), 0)  # newer SciPy has no `disp`
workers = len(os.sched_getaffinity(0))
print(fid.calculate_fid_given_paths(sys.argv[2:4], 50, "cpu", 2048, num_workers=workers))
"""


def run(command: list[str], environment: dict[str, str]) -> tuple[str, float, float]:
    """Standard output, seconds, and peak resident memory in MB of a command."""
    started = time.perf_counter()
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stderr is not None
    out, errors = process.stdout.read(), process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    if status:
        sys.exit(f"{command[:4]} failed:\n{errors[-2000:]}")
    return out, seconds, usage.ru_maxrss / 1024


def cut(photos: list[Path], folder: Path) -> None:
    folder.mkdir()
    for number, path in enumerate(photos):
        with Image.open(path) as image:
            picture = image.convert("RGB")
        side = min(picture.size)
        left, top = (picture.width - side) // 2, (picture.height - side) // 2
        picture = picture.crop((left, top, left + side, top + side)).resize((256, 256), Image.Resampling.LANCZOS)
        picture.save(folder / f"{number:05}.png")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", type=Path)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--count", type=int, default=1000)
    arguments = parser.parse_args()
    photos = sorted(path for path in arguments.photos.rglob("*.jpg"))
    if len(photos) < arguments.count:
        sys.exit(f"{arguments.photos} has {len(photos)} photos (*.jpg), not {arguments.count}")
    chosen = [photos[i] for i in np.linspace(0, len(photos) - 1, arguments.count).astype(int)]

    with tempfile.TemporaryDirectory() as scratch:
        work = Path(scratch)
        cut(chosen[: len(chosen) // 2], work / "a")
        cut(chosen[len(chosen) // 2 :], work / "b")
        cut(chosen[:100], work / "few")
        environment = {**os.environ, "HF_HOME": str(work / "cache")}
        weights = str(arguments.weights.resolve())
        sets = [str(work / "a"), str(work / "b")]
        ours = [sys.executable, "-m", "toonify", "fid", *sets, "--weights", weights, "--mode", "pytorch", "--json"]
        # The network is converted once for good; that is not part of the rate, and told apart.
        few = [*ours[:4], str(work / "few"), str(work / "few"), *ours[6:], "--metrics", "fid", "--no-cache"]
        _, with_conversion, _ = run(few, environment)
        _, without, few_memory = run(few, environment)
        print(f"converting the network, once: {with_conversion - without:.1f} s", flush=True)

        out, first, memory = run([*ours, "--metrics", "fid"], environment)
        fid = json.loads(out)["sets"][0]["fid"]
        print(
            f"toonify fid, {arguments.count} pictures: {first:.1f} s, {arguments.count / first:.2f} pictures/s, "
            f"peak memory {memory:.0f} MB ({few_memory:.0f} MB for 200)",
            flush=True,
        )
        out, second, _ = run([*ours, "--metrics", "fid"], environment)
        assert json.loads(out)["sets"][0]["fid"] == fid
        print(f"second call, from the cache: {second:.2f} s", flush=True)
        _, second_kid, _ = run([*ours, "--metrics", "fid,kid,pr"], environment)
        print(f"second call with KID, precision and recall: {second_kid:.2f} s", flush=True)
        out, theirs, memory = run([sys.executable, "-W", "ignore", "-c", PYTORCH_FID, weights, *sets], environment)
        their_fid = float(out.split()[-1])
        print(
            f"pytorch-fid: {theirs:.1f} s, {arguments.count / theirs:.2f} pictures/s, peak memory {memory:.0f} MB "
            "(its workers not counted)"
        )
        print(f"toonify's rate is {theirs / first:.2f} times pytorch-fid's")
        print(f"FID {fid:.6f} and {their_fid:.6f}: they differ by {abs(fid / their_fid - 1):.1e}")


if __name__ == "__main__":
    main()
