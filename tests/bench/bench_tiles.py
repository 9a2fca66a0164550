"""Measures drawing in tiles against drawing at once: agreement, time and memory, each in a process of its own.

    python tests/bench/bench_tiles.py [PHOTOS] [--megapixels 6] [--styles shinkai hayao] [--variant original]
        [--tile 512] [--huge 0]

Photos are laid side by side, each enlarged to a megapixel, until there are enough; PHOTOS is a folder of them, and
without it the sample photos of the repository serve. `--huge 100` also converts a file of 100 megapixels, from the
command line, at `--size full`. Prints a Markdown table.
"""

import argparse
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

SAMPLES = Path(__file__).parent.parent / "data" / "photos"


def mosaic(photos: Path, megapixels: float) -> Image.Image:
    """A picture of 3:2 made of photos."""
    height = round((megapixels * 1e6 / 1.5) ** 0.5)
    width = round(1.5 * height)
    rows, columns = (max(1, round(side / scale)) for side, scale in ((height, 800), (width, 1200)))
    files = sorted(path for path in photos.iterdir() if path.suffix.lower() in (".jpg", ".png"))
    picture = Image.new("RGB", (width, height))
    for place in range(rows * columns):
        y, x = divmod(place, columns)
        box = (x * width // columns, y * height // rows, (x + 1) * width // columns, (y + 1) * height // rows)
        with Image.open(files[place % len(files)]) as image:
            part = image.convert("RGB").resize((box[2] - box[0], box[3] - box[1]), Image.Resampling.BICUBIC)
        picture.paste(part, box[:2])
    return picture


def draw_alone(style: str, variant: str, picture: Path, tile: str, target: Path) -> None:
    """Draw one picture at its full size, and print seconds, processor seconds and peak memory; for a child process."""
    from toonify import load_style

    sides = tile if tile == "off" else int(tile)
    loaded = load_style(style, variant=variant, size="full", device="cpu", tile=sides)
    sketch = loaded.prepare(np.asarray(Image.open(picture)))
    started, worked = time.perf_counter(), time.process_time()
    drawing = loaded.draw(sketch)
    seconds, work = time.perf_counter() - started, time.process_time() - worked
    np.save(target, np.asarray(drawing.picture, np.float32))
    print(seconds, work, peak_memory(resource.RUSAGE_SELF))


def peak_memory(whose: int) -> float:
    """The most memory that was resident, in GB."""
    return resource.getrusage(whose).ru_maxrss / (1e6 if platform.system() == "Linux" else 1e9)


def tiles_against_whole(style: str, variant: str, picture: Path, tile: int, folder: Path) -> list[str]:
    """A row of the table."""
    small = folder / "small.png"
    with Image.open(picture) as image:
        image.crop((0, 0, 128, 128)).save(small)

    def draw(what: Path, how: str, target: Path) -> list[float]:
        words = ["--draw", style, variant, str(what), how, str(target)]
        child = subprocess.run([sys.executable, __file__, *words], check=True, capture_output=True, text=True)
        return [float(word) for word in child.stdout.split()]

    results, drawings = [], []
    for how in ("off", str(tile)):
        target = folder / f"{Path(style).name}-{how}.npy"
        draw(small, how, target)  # a network that was never used before is converted, which takes memory, too
        results.append(draw(picture, how, target))
        drawings.append(np.load(target, mmap_mode="r"))
    differences = [a.astype(np.float64) - b for a, b in zip(*drawings, strict=True)]  # rows
    error = np.mean([np.mean(difference**2) for difference in differences])
    largest = 255 * max(np.abs(difference).max() for difference in differences)
    (at_once, work, memory), (in_tiles, tiled_work, tiled_memory) = results
    return [
        style,
        f"{-10 * np.log10(error):.1f} dB, at most {largest:.2f}/255",
        f"{at_once:.1f} s",
        f"{in_tiles:.1f} s, {in_tiles / at_once:.2f} times as long",
        f"{tiled_work / work:.2f} times",
        f"{memory:.2f} GB",
        f"{tiled_memory:.2f} GB",
    ]


def convert_huge(style: str, variant: str, photos: Path, megapixels: float, folder: Path) -> str:
    """A picture of so many megapixels from file to file."""
    source, target = folder / "huge.jpg", folder / "huge-drawn.jpg"
    child = [sys.executable, __file__, str(photos), "--make", str(megapixels), str(source)]
    subprocess.run(child, check=True)  # in a process of its own, whose memory is gone after
    command = [sys.executable, "-m", "toonify", "convert", str(source), "--style", style, "--variant", variant]
    started = time.perf_counter()
    process = subprocess.Popen([*command, "--size", "full", "--quiet", "--output", str(target)])
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"convert failed with {status}")
    seconds = time.perf_counter() - started
    memory = usage.ru_maxrss / (1e6 if platform.system() == "Linux" else 1e9)
    with Image.open(target) as drawn:
        size = f"{drawn.width} x {drawn.height}"
    return f"{style}, {size} from file to file at --size full: {seconds / 60:.1f} minutes, peak memory {memory:.2f} GB"


def main() -> None:
    """Run all and print the table."""
    Image.MAX_IMAGE_PIXELS = None
    parser = argparse.ArgumentParser()
    parser.add_argument("photos", type=Path, nargs="?", default=SAMPLES)
    parser.add_argument("--megapixels", type=float, default=6)
    parser.add_argument("--styles", nargs="+", default=["shinkai", "hayao"])
    parser.add_argument("--variant", default="original")
    parser.add_argument("--tile", type=int, default=512)
    parser.add_argument("--huge", type=float, default=0, help="megapixels of the file; 0: none")
    parser.add_argument("--draw", nargs=5, help=argparse.SUPPRESS)
    parser.add_argument("--make", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.draw:
        style, variant, picture, tile, target = options.draw
        draw_alone(style, variant, Path(picture), tile, Path(target))
        return
    if options.make:
        mosaic(options.photos, float(options.make[0])).save(options.make[1], quality=92)
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        picture = folder / "picture.png"
        mosaic(options.photos, options.megapixels).save(picture, compress_level=1)
        rows = [tiles_against_whole(style, options.variant, picture, options.tile, folder) for style in options.styles]
        size = Image.open(picture).size
        print(f"{size[0]} x {size[1]} pixels, tiles of {options.tile}\n")
        print("| style | agreement | at once | in tiles | processor time | memory at once | memory in tiles |")
        print("| --- | --- | --- | --- | --- | --- | --- |")
        for row in rows:
            print(f"| {' | '.join(row)} |")
        if options.huge:
            print(f"\n{convert_huge(options.styles[0], options.variant, options.photos, options.huge, folder)}")


if __name__ == "__main__":
    main()
