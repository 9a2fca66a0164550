"""Tables as text."""

import csv
import io

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
