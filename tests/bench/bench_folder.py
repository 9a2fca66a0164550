"""Measures the stages of `toonify convert` alone, and how well they overlap on whole folders.

    python tests/bench/bench_folder.py [PHOTOS] [--style shinkai] [--variant original] [--size N|full]
        [--megapixels 12] [--count 8] [--backend onnx] [--device cpu|cuda]

PHOTOS is a folder; without it the sample photos of the repository serve. The second folder has `--count` of them,
enlarged to `--megapixels`. Prints a Markdown table: megapixels of photos a second in each stage by itself, on one
photo at a time, and of the whole command; and the shares of its time in which the network runs and the cores are busy.
"""

import argparse
import io
import os
import tempfile
import time
from collections import defaultdict
from pathlib import Path

from PIL import Image

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as `toonify convert` does, before NumPy is loaded

SAMPLES = Path(__file__).parent.parent / "data" / "photos"


def enlarged(photos: Path, folder: Path, count: int, megapixels: float) -> None:
    """Fill a folder with photos of so many megapixels."""
    files = sorted(path for path in photos.iterdir() if path.suffix.lower() in (".jpg", ".jpeg", ".png"))
    for number in range(count):
        with Image.open(files[number % len(files)]) as image:
            factor = (megapixels * 1e6 / (image.width * image.height)) ** 0.5
            size = round(image.width * factor), round(image.height * factor)
            large = image.convert("RGB").resize(size, Image.Resampling.BICUBIC)
        large.save(folder / f"{number:02}.jpg", quality=92)


def measure(title: str, photos: Path, options: argparse.Namespace) -> str:
    """A row of the table."""
    from toonify.convert.local import SaveOptions, convert
    from toonify.drawing import load_style
    from toonify.errors import ImageError
    from toonify.images import encode_picture, read_photo
    from toonify.jobs.find import find_photos
    from toonify.jobs.plan import plan_jobs
    from toonify.system.cores import available_cores

    size = options.size if options.size in (None, "full") else int(options.size)
    loaded = load_style(
        options.style, variant=options.variant, size=size, device=options.device, backend=options.backend
    )
    seconds: dict[str, float] = defaultdict(float)
    pixels = 0

    def timed(name: str, function, *inputs, **options):
        started = time.perf_counter()
        result = function(*inputs, **options)
        seconds[name] += time.perf_counter() - started
        return result

    for found in find_photos([photos]):
        try:
            photo = timed("decode", read_photo, io.BytesIO(found.path.read_bytes()), enough=loaded.enough)
        except ImageError:
            continue
        sketch = timed("decode", loaded.prepare, photo.pixels)
        drawing = timed("network", loaded.draw, sketch)
        result = timed("finish", loaded.finish, sketch, drawing)
        timed("encode", encode_picture, result, format="jpg")
        pixels += photo.stored_size[0] * photo.stored_size[1]
    with tempfile.TemporaryDirectory() as out:
        jobs = plan_jobs(find_photos([photos]), output=Path(out), style=loaded.plan.style.card.id)
        started, used = time.perf_counter(), time.process_time()
        outcomes = list(convert(jobs, loaded, SaveOptions()))
        wall, used = time.perf_counter() - started, time.process_time() - used
    drawn = [outcome for outcome in outcomes if outcome.result == "drawn"]
    share = sum(outcome.network_seconds for outcome in drawn) / wall
    rates = [f"{pixels / 1e6 / seconds[name]:.2f}" for name in ("decode", "network", "finish", "encode")]
    busy = used / wall / available_cores()
    return f"| {len(drawn)} {title} | {' | '.join(rates)} | {pixels / 1e6 / wall:.2f} | {share:.0%} | {busy:.0%} |"


def main() -> None:
    """Run all and print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("photos", type=Path, nargs="?", default=SAMPLES)
    parser.add_argument("--style", default="shinkai")
    parser.add_argument("--variant", default="original")
    parser.add_argument("--size", help="long side at which the style is drawn, or full; default: the style's")
    parser.add_argument("--megapixels", type=float, default=12)
    parser.add_argument("--count", type=int, default=8)
    parser.add_argument("--backend", default="onnx")
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    print("| megapixels/s | decode | network | finish | encode | all together | network runs | cores busy |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    print(measure("photos", options.photos, options), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        enlarged(options.photos, Path(folder), options.count, options.megapixels)
        title = f"photos of {options.megapixels:g} megapixels"
        print(measure(title, Path(folder), options))


if __name__ == "__main__":
    main()
