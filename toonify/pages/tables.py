"""Tables as text: Markdown and CSV."""

import csv
import io
import re
from collections.abc import Sequence

_FORMULAS = ("=", "+", "-", "@", "\t", "\r")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?%?")


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """The lines of a Markdown table, its columns in line for those who read it as text; numbers to the right."""
    cells = [[cell.replace("|", "\\|") for cell in row] for row in [header, *rows]]
    widths = [max(3, *(len(row[i]) for row in cells)) for i in range(len(header))]
    number = [all(row[i].lstrip("*")[:1] in "+-0123456789" for row in cells[1:]) for i in range(len(header))]

    def line(row: Sequence[str]) -> str:
        padded = (
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(row, widths, number, strict=True)
        )
        return f"| {' | '.join(padded)} |"

    rule = (f"{'-' * (width - 1)}:" if right else "-" * width for width, right in zip(widths, number, strict=True))
    return [line(cells[0]), f"| {' | '.join(rule)} |", *map(line, cells[1:])]


def csv_text(rows: Sequence[Sequence[object]]) -> str:
    """CSV with one line a row; None is an empty field.

    Text that a spreadsheet would take for a formula gets an apostrophe before it; numbers stay numbers.
    """
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([_harmless(cell) for cell in row] for row in rows)
    return text.getvalue()


def _harmless(cell: object) -> object:
    if not isinstance(cell, str) or not cell.lstrip().startswith(_FORMULAS) or _NUMBER.fullmatch(cell):
        return cell
    return f"'{cell}"
