"""Makes a contact sheet: each photo beside its drawings. The README's pictures are made by it.

python tests/bench/make_sheet.py sheet.png photos/ --styles shinkai hayao
python tests/bench/make_sheet.py sheet.png photos/ --styles shinkai --variants lite original --with-raw --width 640
python tests/bench/make_sheet.py tests/data/sheet.jpg tests/data/photos --in-turn \\
    --styles shinkai hayao hosoda paprika --variants lite original
"""

import argparse
from itertools import chain
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from toonify import load_style
from toonify.drawing import Style
from toonify.images import read_photo
from toonify.jobs.find import find_photos
from toonify.pixels.arrays import Pixels


def row(photo: Pixels, styles: list[Style], width: int) -> Pixels:
    """A photo and its drawings, side by side."""
    height = round(width * photo.shape[0] / photo.shape[1])
    cells = [photo, *(style(photo) for style in styles)]
    return np.hstack([cv2.resize(cell, (width, height), interpolation=cv2.INTER_AREA) for cell in cells])


def main() -> None:
    """Draw, lay out and write."""
    parser = argparse.ArgumentParser()
    parser.add_argument("sheet", type=Path)
    parser.add_argument("photos", type=Path, nargs="+")
    parser.add_argument("--styles", nargs="+", default=["shinkai", "hayao"])
    parser.add_argument("--variants", nargs="+", default=["original"])
    parser.add_argument("--in-turn", action="store_true", help="draw the n-th photo in the n-th style alone")
    parser.add_argument("--with-raw", action="store_true", help="a column more for each style: the network alone")
    parser.add_argument("--width", type=int, default=480, help="of a cell, in pixels")
    options = parser.parse_args()
    loaded = [
        [
            load_style(name, variant=variant, raw=raw)
            for variant in options.variants
            for raw in ([True, False] if options.with_raw else [False])
        ]
        for name in options.styles
    ]
    rows = []
    for number, found in enumerate(find_photos(options.photos)):
        with found.path.open("rb") as file:
            photo = read_photo(file).pixels
        in_turn = loaded[number % len(loaded)]
        rows.append(row(photo, in_turn if options.in_turn else list(chain.from_iterable(loaded)), options.width))
    Image.fromarray(np.vstack(rows)).save(options.sheet, quality=88)


if __name__ == "__main__":
    main()
