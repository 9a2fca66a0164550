"""Times `toonify convert` of this checkout against another one's, in turns: a photo, a folder, and memory.

    git worktree add ../before v0.1.0
    python tests/bench/bench_against.py ../before [--style shinkai] [--rounds 5] [--count 16] [-- --look drawn]

The photos are the repository's samples, enlarged to 12 megapixels. What follows -- is for this checkout alone. Each
command runs in a process of its own, from start to file; the best time and the largest memory of all rounds count.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench_folder import SAMPLES, enlarged

HERE = Path(__file__).parents[2]


def run(checkout: Path, photos: Path, out: Path, options: list[str]) -> tuple[float, float]:
    """Seconds, and megabytes at most, of one command."""
    command = [sys.executable, "-m", "toonify", "convert", str(photos), "-o", str(out), "--quiet", "--overwrite"]
    started = time.perf_counter()
    # In the checkout's folder: -m looks there first.
    process = subprocess.Popen([*command, *options], env=os.environ | {"PYTHONPATH": str(checkout)}, cwd=checkout)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{' '.join(command)} failed")
    return time.perf_counter() - started, usage.ru_maxrss / (1024 if sys.platform == "linux" else 1 << 20)


def main() -> None:
    """Print a table."""
    arguments, _, ours = _split(sys.argv[1:])
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("other", type=Path)
    parser.add_argument("--style", default="shinkai")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--count", type=int, default=16)
    parser.add_argument("--megapixels", type=float, default=12)
    options = parser.parse_args(arguments)
    drawn_with = ["--style", options.style, "--variant", "lite"]
    with tempfile.TemporaryDirectory() as name:
        photos = Path(name) / "photos"
        photos.mkdir()
        enlarged(SAMPLES, photos, options.count, options.megapixels)
        print(f"| {options.megapixels:g} megapixels | here | there | ratio |\n| --- | --- | --- | --- |")
        for what, source in (("one photo, s", photos / "00.jpg"), (f"folder of {options.count}, s", photos)):
            taken: dict[Path, list[tuple[float, float]]] = {HERE: [], options.other.resolve(): []}
            for _ in range(options.rounds):
                for checkout, times in taken.items():
                    target = Path(name) / "out" / (source.name if source.is_file() else "all")
                    times.append(run(checkout, source, target, drawn_with + (ours if checkout == HERE else [])))
            for title, place, best in ((what, 0, min), ("of it, MB at most", 1, max)):
                here, there = (best(each[place] for each in times) for times in taken.values())
                print(f"| {title} | {here:.2f} | {there:.2f} | {here / there:.2f} |", flush=True)


def _split(words: list[str]) -> tuple[list[str], str, list[str]]:
    place = words.index("--") if "--" in words else len(words)
    return words[:place], "--", words[place + 1 :]


if __name__ == "__main__":
    main()
