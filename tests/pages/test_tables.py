"""Tables as text."""

import csv
import io

import pytest

from toonify.pages.tables import csv_text, markdown_table


def test_a_markdown_table_stands_in_line_with_numbers_to_the_right() -> None:
    table = markdown_table(["a", "figure", "b"], [["x|y", "**1.5**", ""], ["longer", "-10", "text"]])
    assert table == [
        "| a      |  figure | b    |",
        "| ------ | ------: | ---- |",
        "| x\\|y   | **1.5** |      |",
        "| longer |     -10 | text |",
    ]


def test_csv_comes_back_as_it_was() -> None:
    rows = [["a", "b"], ['quoted "x", y', "line\nbreak"], [1.25, None]]
    assert list(csv.reader(io.StringIO(csv_text(rows)))) == [["a", "b"], rows[1], ["1.25", ""]]


@pytest.mark.parametrize("text", ["=1+1", "+cmd", "-cmd", "@sum", " =1", "\t=1", "-1+2"])
def test_text_that_a_spreadsheet_would_run_is_escaped_in_csv(text: str) -> None:
    (cell,) = next(csv.reader(io.StringIO(csv_text([[text]]))))
    assert cell == f"'{text}"


@pytest.mark.parametrize("cell", [-1, 2.5, "-1", "+3.5e-2", "-12 %".replace(" ", ""), "a=b", None, "photo.jpg"])
def test_numbers_and_other_text_are_as_they_were_in_csv(cell: object) -> None:
    (found,) = next(csv.reader(io.StringIO(csv_text([[cell, "x"]]))))[:1]
    assert found == ("" if cell is None else str(cell))
