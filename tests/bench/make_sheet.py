"""Makes a contact sheet: each photo beside its drawings, a style a column. The README's picture is made by it.

python tests/bench/make_sheet.py tests/data/sheet.jpg tests/data/photos --styles shinkai hayao
python tests/bench/make_sheet.py sheet.png photos/ --styles shinkai --with-raw --width 640
"""

import argparse
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from toonify import load_style
from toonify.discover import find_photos
from toonify.images import read_photo


def main() -> None:
    """Draw, lay out and write."""
    parser = argparse.ArgumentParser()
    parser.add_argument("sheet", type=Path)
    parser.add_argument("photos", type=Path, nargs="+")
    parser.add_argument("--styles", nargs="+", default=["shinkai", "hayao"])
    parser.add_argument("--with-raw", action="store_true", help="a column more for each style: the network alone")
    parser.add_argument("--width", type=int, default=480, help="of a cell, in pixels")
    options = parser.parse_args()
    columns = []
    for name in options.styles:
        if options.with_raw:
            columns.append(load_style(name, raw=True))
        columns.append(load_style(name))
    rows = []
    for found in find_photos(options.photos):
        with found.path.open("rb") as file:
            photo = read_photo(file).pixels
        cells = [photo, *(style(photo) for style in columns)]
        height = round(options.width * photo.shape[0] / photo.shape[1])
        cells = [cv2.resize(cell, (options.width, height), interpolation=cv2.INTER_AREA) for cell in cells]
        rows.append(np.hstack(cells))
    Image.fromarray(np.vstack(rows)).save(options.sheet, quality=88)


if __name__ == "__main__":
    main()
