"""`convert --config FILE`: options from a file, as if they were typed; what is typed wins."""

from pathlib import Path

import pytest
from PIL import Image

from toonify.cli import main


@pytest.fixture
def photo(tmp_path: Path, noise) -> Path:
    path = tmp_path / "cat.png"
    Image.fromarray(noise).save(path)
    return path


def test_options_come_from_a_file_and_what_is_typed_wins(photo: Path, tiny_onnx: Path, tmp_path: Path) -> None:
    config = tmp_path / "mine.toml"
    config.write_text(
        f'style = "{tiny_onnx}"\noutput-size = 32\nstrength = 0.5\nbefore_after = true\nformat = "JPEG"\n'
    )
    assert main(["convert", str(photo), "--config", str(config), "-o", str(tmp_path / "out")]) == 0
    with Image.open(tmp_path / "out" / "cat.jpg") as picture:
        assert picture.format == "JPEG" and picture.width > 64
    assert (
        main(["convert", str(photo), "--config", str(config), "-o", str(tmp_path / "a.jpg"), "--output-size", "48"])
        == 0
    )
    with Image.open(tmp_path / "a.jpg") as picture:
        assert picture.height == 36


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ('styles = "shinkai"', "styles is no option of convert (is it style?)"),
        ('style = "shinkai"\nlines = "many"', "--lines"),
        ('style = "shinkai"\nraw = 3', "raw 3: give true or false"),
        ('style = "shinkai"\nsize = true', "size True: give a value"),
        ('style = "shinkai"\nsize = [1, 2]', "size: give one value"),
        ('config = "other.toml"', "config is no option"),
        ("style =", "mine.toml"),
    ],
)
def test_a_file_that_cannot_be_right_is_one_line(text: str, named: str, photo: Path, tmp_path: Path, capsys) -> None:
    config = tmp_path / "mine.toml"
    config.write_text(text)
    assert main(["convert", str(photo), "--config", str(config)]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and named in said


def test_a_file_that_is_not_there_is_named(photo: Path, capsys) -> None:
    assert main(["convert", str(photo), "--config", "gone.toml"]) == 2
    assert capsys.readouterr().err == "error: --config gone.toml: No such file or directory\n"
