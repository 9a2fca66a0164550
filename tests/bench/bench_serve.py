"""How long somebody waits at the page of `toonify serve`, and how much memory it takes.

Medians over repeats, by a client without a browser: from the first byte of a 12-megapixel JPEG to the first preview of
each style; from a control's change to its preview at 768 pixels; and the process' memory over many photos.

    python tests/bench/bench_serve.py
"""

import argparse
import statistics
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))
from served import Client, serving

from toonify.serve.studio import Studio
from toonify.system.cores import network_threads

PHOTO = Path(__file__).parents[1] / "data/photos/colosseum.jpg"
LOOKS = ("soft", "drawn", "bold")
CHANGES: tuple[tuple[str, tuple[Any, ...]], ...] = (
    ("lines", (0.3, 0.5, 0.65)),
    ("flat", (0.2, 0.4, 0.6)),
    ("keep_color", (0.25, 0.5, 0.75)),
    ("saturation", (0.5, 1.5, 2.0)),
    ("strength", (0.5, 0.8, 1.4)),
    ("look", ("soft", "bold", "soft")),
    ("size", (640, 704, 736)),
)


def make_photo(folder: Path, number: int, size: tuple[int, int]) -> Path:
    """A photo that none before was."""
    path = folder / f"photo-{number}.jpg"
    with Image.open(PHOTO) as opened:
        opened.convert("RGB").rotate(number / 7).resize(size, Image.Resampling.BICUBIC).save(path, quality=92)
    return path


def drop(client: Client, photo: Path, styles: list[str]) -> tuple[dict[str, float], float]:
    """Seconds from the drop to the first preview of each style, and to every style and look."""
    began = time.perf_counter()
    path = f"/api/photos/{client.drop(photo)['id']}/drawing"
    seconds = {}

    def ask(style: str, look: str | None) -> float:
        query = {"style": style, "side": 768, "rank": 1} | ({} if look is None else {"look": look})
        assert client.get(path, **query).status == 200
        return time.perf_counter() - began

    with ThreadPoolExecutor(3) as pool:  # as many as the page has under way
        first = {style: pool.submit(ask, style, None) for style in styles}
        others = [pool.submit(ask, style, look) for style in styles for look in LOOKS]
        seconds = {style: each.result() for style, each in first.items()}
        last = max(each.result() for each in others)
    return seconds, last


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--photos", type=int, default=500, help="over which memory is watched")
    parser.add_argument("--size", type=int, nargs=2, default=(4000, 3000), help="of the photos, in pixels")
    options = parser.parse_args()
    size = tuple(options.size)
    process = psutil.Process()
    with tempfile.TemporaryDirectory() as name, serving(studio=Studio()) as server:
        folder = Path(name)
        server.studio.open_all()
        client = Client(server.listening.port)
        client.open()
        styles = [style["id"] for style in client.get("/api/schema").json["styles"]]
        drop(client, make_photo(folder, 0, size), styles)  # everything has been used once
        firsts: dict[str, list[float]] = {style: [] for style in styles}
        slowest, everything = [], []
        for number in range(1, options.repeats + 1):
            seconds, last = drop(client, make_photo(folder, number, size), styles)
            for style in styles:
                firsts[style].append(seconds[style])
            slowest.append(max(seconds.values()))
            everything.append(last)
        print(f"{network_threads()} cores, photos of {size[0]} x {size[1]}, medians of {options.repeats}")
        for style in styles:
            print(f"drop to first preview, {style}: {statistics.median(firsts[style]):.2f} s")
        print(f"drop to all four styles: {statistics.median(slowest):.2f} s")
        print(f"drop to every style and look: {statistics.median(everything):.2f} s")
        photo = client.get("/api/photos").json["photos"][-1]["id"]
        for option, values in CHANGES:
            took = []
            for number in range(options.repeats):
                value = values[number % len(values)]
                query: dict[str, Any] = {option: value}
                # Another value each time, of which nothing is kept.
                if option == "look":
                    query["strength"] = 1 + 0.001 * (number + 1)
                else:
                    query[option] += 2 * number if option == "size" else 0.001 * number
                began = time.perf_counter()
                answer = client.get(f"/api/photos/{photo}/drawing", style="shinkai", side=768, rank=0, **query)
                assert answer.status == 200, answer.body
                took.append(time.perf_counter() - began)
            print(f"change of {option}: {statistics.median(took):.2f} s")
        if options.photos:
            watch_memory(client, server.studio, folder, options.photos, process, styles)


def watch_memory(
    client: Client, studio: Studio, folder: Path, count: int, process: psutil.Process, styles: list[str]
) -> None:
    """Drop many photos, draw each in one style, and tell how much memory the process has after each tenth of them."""
    for number in range(count):
        photo = make_photo(folder, 100 + number, (1600, 1200))
        path = f"/api/photos/{client.drop(photo)['id']}/drawing"
        photo.unlink()
        assert client.get(path, style=styles[number % len(styles)], side=768, rank=1).status == 200
        if (number + 1) % max(1, count // 10) == 0:
            resident, kept = process.memory_info().rss / 1e6, studio.kept_bytes / 1e6
            print(f"after {number + 1} photos: {resident:.0f} MB resident, {kept:.0f} MB of previews kept", flush=True)


if __name__ == "__main__":
    main()
