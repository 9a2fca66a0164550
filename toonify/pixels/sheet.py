"""A contact sheet: pictures in rows and columns, each with its name below it."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from toonify.pixels.arrays import Pixels
from toonify.pixels.layout import placed
from toonify.pixels.resize import resize

_INK, _PALE_INK = (28, 28, 30), (128, 128, 133)
_SMALLEST_TEXT, _LARGEST_TEXT = 13, 40  # pixels


@dataclass(frozen=True)
class Cell:
    """A picture and its name."""

    picture: Pixels  # H x W x 3
    name: str
    more: str = ""  # of the name, in a paler ink


@dataclass(frozen=True)
class _Item:
    """A cell in its place. A picture that spans two rows and columns is brought to the size that fits into them."""

    cell: Cell
    row: int
    column: int
    span: int = 1


def rows_sheet(rows: Sequence[Sequence[Cell]]) -> Pixels:
    """One row below the other: H x W x 3. Columns are as wide as the widest picture in them, rows as high."""
    return _sheet([_Item(cell, i, j) for i, row in enumerate(rows) for j, cell in enumerate(row)])


def photo_sheet(photo: Cell, styles: Sequence[Sequence[Cell]]) -> Pixels:
    """A photo and what became of it: H x W x 3. `styles`: the drawings of each style, as many of each.

    The photo comes first, and the drawings of a style stand beside each other. Of two looks, two styles stand in a row,
    and the photo is as large as two styles, which stand to its right; of one look, the sheet is about as wide as high.
    Otherwise each style has a row, and the photo stands before the first.
    """
    looks, span = len(styles[0]), photo_span(len(styles), len(styles[0]))
    if looks > span:
        free = [(row, 1) for row in range(len(styles))]
    else:
        across = 2 if span == 2 else max(2, round((1 + len(styles)) ** 0.5))  # styles in a row
        places = [(row, style) for row in range(span + len(styles)) for style in range(across)]
        free = [(row, style * looks) for row, style in places if row >= span or style > 0]
    items = [
        _Item(cell, row, column + j)
        for style, (row, column) in zip(styles, free, strict=False)
        for j, cell in enumerate(style)
    ]
    return _sheet([_Item(photo, 0, 0, span), *items])


def photo_span(styles: int, looks: int) -> int:
    """How many drawings wide and high the photo of a `photo_sheet` is: 1 or 2."""
    return 2 if looks == 2 and styles >= 2 else 1


def _sheet(items: Sequence[_Item]) -> Pixels:
    """Cells at their places on white, with their names."""
    single = [item for item in items if item.span == 1]
    long_side = max(max(item.cell.picture.shape[:2]) for item in single)
    font = _font(min(max(round(long_side / 22), _SMALLEST_TEXT), _LARGEST_TEXT))
    ascent, descent = font.getmetrics()
    gap, below = max(8, round(long_side / 28)), max(4, round(ascent / 3))  # between cells; between picture and name
    caption = below + ascent + descent
    rows, columns = (1 + max(getattr(item, axis) + item.span - 1 for item in items) for axis in ("row", "column"))
    heights, widths = [0] * rows, [0] * columns
    for item in single:
        height, width = item.cell.picture.shape[:2]
        heights[item.row] = max(heights[item.row], height)
        # Names of photos may be as long as they like.
        named = round(font.getlength(f"{item.cell.name} {item.cell.more}")) if item.cell.more else 0
        widths[item.column] = max(widths[item.column], width, named)
    tops = np.cumsum([gap, *(height + caption + gap for height in heights)]).tolist()
    lefts = np.cumsum([gap, *(width + gap for width in widths)]).tolist()
    places, names = [], []
    for item in items:
        top, left = tops[item.row], lefts[item.column]
        bottom, right = tops[item.row + item.span] - gap - caption, lefts[item.column + item.span] - gap
        picture = item.cell.picture
        if item.span > 1:
            height, width = picture.shape[:2]
            scale = min((bottom - top) / height, (right - left) / width)
            picture = resize(picture, (max(1, round(scale * height)), max(1, round(scale * width))))
        places.append((picture, top, left))
        names.append((item.cell, left, top + picture.shape[0] + below + ascent, right - left))
    sheet = Image.fromarray(placed(places, size=(tops[-1], lefts[-1])))
    pen = ImageDraw.Draw(sheet)
    for cell, left, baseline, width in names:
        name = _fitted(cell.name, font, width)
        pen.text((left, baseline), name, fill=_INK, font=font, anchor="ls")
        indent = round(font.getlength(f"{name} "))
        pen.text((left + indent, baseline), cell.more, fill=_PALE_INK, font=font, anchor="ls")
    return np.asarray(sheet)


@functools.cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    """The font that comes with Pillow, `size` pixels high. It has the letters of English, and few others."""
    font = ImageFont.load_default(size)
    assert isinstance(font, ImageFont.FreeTypeFont)  # noqa: S101 - Pillow's wheels are built with FreeType
    return font


def _fitted(name: str, font: ImageFont.FreeTypeFont, width: int) -> str:
    """A name in letters that the font has, cut where it is wider than `width` pixels."""
    missing = bytes(font.getmask("\uffff"))
    shown = "".join("?" if bytes(font.getmask(letter)) == missing else letter for letter in name)
    if font.getlength(shown) <= width:
        return shown
    while shown and font.getlength(f"{shown}...") > width:
        shown = shown[:-1]
    return f"{shown}..."
