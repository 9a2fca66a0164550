"""Times reading pictures of 12 megapixels in this checkout against another one's, in turns.

    git worktree add ../before v0.1.0
    python tests/bench/bench_read.py ../before [--rounds 6] [--reads 4] [--megapixels 12] [PICTURE ...]

The pictures are one of the repository's samples, enlarged, as JPEG, PNG and HEIC with and without a profile, and those
that are named. Each round reads all of them in a process of its own, each several times; the best time of all rounds
counts. Processor time is that of the process and of those that it starts to decode in; a reader in a process of its own
waits for it, so that the time on the clock is what a user waits.
"""

import argparse
import io
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pillow_heif
from bench_folder import SAMPLES, enlarged
from PIL import Image, ImageCms

HERE = Path(__file__).parents[2]
# Runs in the checkouts' own code, of whichever age.
PROGRAM = """
import json, sys, time
from pathlib import Path
from toonify.images import picture_size, read_photo
try:
    import psutil
    def ticks():
        own = psutil.Process()
        return sum(sum(each.cpu_times()[:2]) for each in [own, *own.children(recursive=True)])
except ImportError:
    ticks = time.process_time
taken = []
for path in sys.argv[2:]:
    times = []
    for _ in range(int(sys.argv[1])):
        cpu, clock = ticks(), time.perf_counter()
        with open(path, "rb") as file:
            picture_size(file)
            file.seek(0)
            photo = read_photo(file)
        times.append((time.perf_counter() - clock, ticks() - cpu))
    taken.append([min(each[0] for each in times), min(each[1] for each in times)])
print(json.dumps(taken))
"""


def make_pictures(folder: Path, megapixels: float) -> list[Path]:
    """One photo in the kinds that phones, cameras and painters' programs write."""
    enlarged(SAMPLES, folder, 1, megapixels)
    (first,) = folder.iterdir()
    with Image.open(first) as opened:
        photo = opened.convert("RGB")
    first.unlink()
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "Maker", 6
    kinds: dict[str, dict[str, object]] = {
        "plain.jpg": {"quality": 92},
        "profile_and_exif.jpg": {"quality": 92, "icc_profile": profile, "exif": exif},
        "progressive.jpg": {"quality": 92, "progressive": True},
        "plain.png": {"compress_level": 6},
        "profile.png": {"compress_level": 6, "icc_profile": profile},
    }
    for name, options in kinds.items():
        photo.save(folder / name, **options)
    for name, icc in {"plain.heic": None, "profile.heic": profile}.items():
        file = io.BytesIO()
        pillow_heif.from_pillow(photo).save(file, quality=80, **({} if icc is None else {"icc_profile": icc}))
        (folder / name).write_bytes(file.getvalue())
    return sorted(folder.iterdir())


def read(checkout: Path, pictures: list[Path], reads: int) -> list[tuple[float, float]]:
    """The best seconds on the clock, and of processors, for each picture."""
    command = [sys.executable, "-c", PROGRAM, str(reads), *map(str, pictures)]
    done = subprocess.run(
        command, env=os.environ | {"PYTHONPATH": str(checkout)}, cwd=checkout, capture_output=True, text=True
    )
    if done.returncode:
        sys.exit(done.stderr)
    return [(clock, cpu) for clock, cpu in json.loads(done.stdout)]


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("other", type=Path)
    parser.add_argument("pictures", nargs="*", type=Path)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--reads", type=int, default=4)
    parser.add_argument("--megapixels", type=float, default=12)
    options = parser.parse_args()
    checkouts = [HERE, options.other.resolve()]
    with tempfile.TemporaryDirectory() as name:
        pictures = [*make_pictures(Path(name), options.megapixels), *(path.resolve() for path in options.pictures)]
        taken: dict[Path, list[list[tuple[float, float]]]] = {checkout: [] for checkout in checkouts}
        for turn in range(options.rounds):
            for checkout in checkouts[:: 1 if turn % 2 else -1]:
                taken[checkout].append(read(checkout, pictures, options.reads))
        print("| picture | here, ms | there, ms | ratio | of processor time |\n| --- | --- | --- | --- | --- |")
        for place, path in enumerate(pictures):
            (clock, cpu), (clock_there, cpu_there) = (
                tuple(min(each[place][kind] for each in taken[checkout]) for kind in (0, 1)) for checkout in checkouts
            )
            print(
                f"| {path.name} | {1000 * clock:.1f} | {1000 * clock_there:.1f} | {clock / clock_there:.3f} "
                f"| {cpu / max(cpu_there, 0.001):.3f} |"
            )


if __name__ == "__main__":
    main()
