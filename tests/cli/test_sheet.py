"""`toonify sheet`: which pictures are on it, where, under which names; and what becomes of it if things go wrong."""

import shutil
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from files import read_rgb
from PIL import ExifTags, Image, ImageFont

from toonify import load_style
from toonify.cli import main
from toonify.drawing import choose_plan
from toonify.images import read_processing_note
from toonify.jobs.find import find_photos
from toonify.pixels.resize import resize
from toonify.pixels.sheet import Cell, _fitted, photo_sheet, photo_span, rows_sheet

CELL = 64

pytestmark = pytest.mark.usefixtures("no_faces")


@pytest.fixture
def sheet(tiny_onnx: Path):
    def run(*arguments: Any, styles: object = tiny_onnx, looks: str | None = None, size: int = CELL) -> int:
        words = ["sheet", *map(str, arguments), "--styles", str(styles), "--size", str(size)]
        return main(words if looks is None else [*words, "--looks", looks])

    return run


def find(sheet: np.ndarray, picture: np.ndarray) -> tuple[int, int]:
    """The one place (top, left) where a picture is on a sheet."""
    height, width = picture.shape[:2]
    windows = np.lib.stride_tricks.sliding_window_view(sheet, (height, width, 3))[:, :, 0]
    (place,) = [
        (top, left)
        for top, left in np.argwhere((sheet[: windows.shape[0], : windows.shape[1]] == picture[0, 0]).all(axis=2))
        if np.array_equal(windows[top, left], picture)
    ]
    return tuple(map(int, place))  # type: ignore[return-value]


def pictures(count: int, height: int = 40, width: int = 60) -> list[np.ndarray]:
    random = np.random.default_rng(1)
    return [random.integers(0, 200, (height, width, 3), dtype=np.uint8) for _ in range(count)]


# --- layout ---


def test_of_two_looks_the_photo_is_as_large_as_two_styles_beside_it() -> None:
    drawings = pictures(8)
    photo = np.full((400, 600, 3), 77, np.uint8)
    styles = [[Cell(drawings[2 * i], f"s{i}", "drawn"), Cell(drawings[2 * i + 1], f"s{i}", "bold")] for i in range(4)]
    sheet = photo_sheet(Cell(photo, "cat.jpg"), styles)
    places = [find(sheet, drawing) for drawing in drawings]
    tops, lefts = zip(*places, strict=True)
    assert lefts == (lefts[0], lefts[1], lefts[0], lefts[1], lefts[4], lefts[5], lefts[0], lefts[1])
    assert lefts[4] < lefts[5] < lefts[0] < lefts[1]
    assert tops[0] == tops[1] < tops[2] == tops[3] < tops[4] == tops[5] == tops[6] == tops[7]
    rows, columns = np.nonzero((sheet == 77).all(axis=2))
    assert (rows.min(), columns.min()) == (tops[0], lefts[4]), "the photo comes first"
    assert columns.max() + 1 == lefts[5] + 60, "as wide as two drawings"
    assert rows.max() < tops[4]


@pytest.mark.parametrize(("styles", "looks"), [(1, 1), (1, 2), (1, 3), (4, 3), (2, 2), (3, 2), (5, 2), (4, 1), (7, 1)])
@pytest.mark.parametrize(("height", "width"), [(40, 60), (60, 40), (9, 9)])
def test_every_picture_is_on_the_sheet_once_and_none_on_another(
    styles: int, looks: int, height: int, width: int
) -> None:
    drawings = pictures(styles * looks, height, width)
    cells = [Cell(drawing, f"style{i}", "drawn") for i, drawing in enumerate(drawings)]
    photo = pictures(1, 3 * height, 3 * width)[0]
    if photo_span(styles, looks) == 1:
        photo = photo[:height, :width] + np.uint8(50)
    groups = [cells[i : i + looks] for i in range(0, len(cells), looks)]
    sheet = photo_sheet(Cell(photo, "cat.jpg"), groups)
    covered = np.zeros(sheet.shape[:2], int)
    for drawing in drawings:
        top, left = find(sheet, drawing)
        covered[top : top + height, left : left + width] += 1
    assert covered.max() == 1 and sheet.shape[2] == 3
    if photo_span(styles, looks) == 1:
        assert find(sheet, photo) <= min(find(sheet, drawing) for drawing in drawings)


def test_each_photo_has_a_row_and_columns_are_straight() -> None:
    wide, high = pictures(3), pictures(3, 60, 40)
    sheet = rows_sheet([[Cell(each, "a") for each in row] for row in (wide, high)])
    first, second = ([find(sheet, picture) for picture in row] for row in (wide, high))
    assert len({top for top, _ in first}) == len({top for top, _ in second}) == 1 and first[0][0] < second[0][0]
    assert [left for _, left in first] == [left for _, left in second]


def test_every_picture_has_a_name_below_it() -> None:
    drawings = pictures(2, 200, 300)
    sheet = rows_sheet([[Cell(drawings[0], "shinkai", "bold"), Cell(drawings[1], "")]])
    (top, left), (_, other) = (find(sheet, drawing) for drawing in drawings)
    below = sheet[top + 200 :]
    named = below[:, left : left + 300].min(axis=2) < 100
    assert named.any() and not (below[:, other : other + 300].min(axis=2) < 100).any()
    rows, columns = np.nonzero(named)
    assert columns.min() < 4, "it begins where the picture does"
    assert rows.max() - rows.min() >= 10, "and can be read"


def test_long_names_are_cut_and_letters_that_the_font_lacks_are_replaced() -> None:
    font = ImageFont.load_default(20)
    assert _fitted("cat.jpg", font, 400) == "cat.jpg"
    assert _fitted("夜 cat.jpg", font, 400) == "? cat.jpg"
    cut = _fitted("a" * 300, font, 100)
    assert cut.endswith("...") and 80 < font.getlength(cut) <= 100
    one, two = pictures(2)
    sheet = rows_sheet([[Cell(one, "x" * 200), Cell(two, "y" * 200)]])
    assert find(sheet, two)[1] - find(sheet, one)[1] == 60 + 8, "names of photos widen no column"


# --- the command ---


def test_a_sheet_shows_the_photo_and_each_style_and_look(
    photo: Path, sheet, noise: np.ndarray, tiny_onnx: Path, capsys
) -> None:
    before = photo.read_bytes()
    assert sheet(photo, looks="soft,drawn,bold") == 0
    said = capsys.readouterr()
    assert said.out == f"{photo.with_name('cat_sheet.png')}\n" and photo.read_bytes() == before
    lines = said.err.splitlines()
    assert lines[0].startswith("tiny (original) on cpu") and len(lines) == 4
    assert [line.split(" (")[0] for line in lines[1:]] == [
        f"drawn: {photo} in tiny-{look}" for look in ("soft", "drawn", "bold")
    ]
    shown = read_rgb(photo.with_name("cat_sheet.png"))
    places = [find(shown, noise)]
    places += [
        find(shown, load_style(str(tiny_onnx), device="cpu", look=look)(noise)) for look in ("soft", "drawn", "bold")
    ]
    assert len({top for top, _ in places}) == 1 and [left for _, left in places] == sorted(left for _, left in places)


def test_by_default_it_shows_all_styles_that_come_with_toonify_drawn_and_bold(
    photo: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["sheet", str(photo), "--variant", "lite"]) == 0
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("drawn: ")]
    names = [line.split(" in ")[1].split(" (")[0] for line in lines]
    expected = [f"{style}-{look}" for style in ("hayao", "hosoda", "paprika", "shinkai") for look in ("drawn", "bold")]
    assert names == expected


def test_drawings_are_made_at_the_styles_own_size_and_reduced(tmp_path: Path, tiny_onnx: Path, sheet) -> None:
    large = resize(np.random.default_rng(0).integers(0, 256, (9, 16, 3), dtype=np.uint8), (450, 800))
    Image.fromarray(large).save(tmp_path / "large.png")
    style = load_style(str(tiny_onnx), device="cpu")
    assert style.plan.options.size == 64
    assert sheet(tmp_path / "large.png", looks="soft", size=64) == 0
    find(read_rgb(tmp_path / "large_sheet.png"), style(resize(large, (36, 64))))
    assert sheet(tmp_path / "large.png", "--overwrite", looks="soft", size=160) == 0
    find(read_rgb(tmp_path / "large_sheet.png"), style(resize(large, (90, 160))))


def test_the_network_draws_a_photo_once_for_all_looks(photo: Path, sheet, monkeypatch: pytest.MonkeyPatch) -> None:
    from toonify.drawing.drawer import Drawer

    real, drawn = Drawer.draw, []
    monkeypatch.setattr(
        Drawer, "draw", lambda self, pixels, **options: drawn.append(1) or real(self, pixels, **options)
    )
    assert sheet(photo, looks="soft,drawn,bold") == 0 and len(drawn) == 1


def test_several_photos_have_a_row_each_and_bad_ones_are_named(
    photo: Path, sheet, noise: np.ndarray, tmp_path: Path, capsys
) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    shutil.copy(photo, folder / "a.png")
    Image.fromarray(noise[::-1]).save(folder / "b.png")
    (folder / "bad.jpg").write_bytes(b"no photo")
    assert sheet(folder, "--quiet") == 1
    said = capsys.readouterr()
    assert said.out == "" and said.err.count("\n") == 1
    assert said.err.startswith(f"failed: {folder / 'bad.jpg'}: not a picture")
    shown = read_rgb(tmp_path / "photos_sheet.png")
    (first, left), (second, also_left) = find(shown, noise), find(shown, noise[::-1])
    assert first < second and left == also_left


def test_nothing_is_written_if_no_photo_can_be_shown(tmp_path: Path, sheet, capsys) -> None:
    (tmp_path / "bad.jpg").write_bytes(b"no photo")
    assert sheet(tmp_path / "bad.jpg") == 1
    assert capsys.readouterr().err.startswith("failed: ")
    assert [path.name for path in tmp_path.iterdir()] == ["bad.jpg"]


def test_of_a_large_folder_the_first_twelve_are_shown_and_named(tmp_path: Path, sheet, noise, capsys) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    for i in range(14):
        Image.fromarray(np.roll(noise, i, axis=1)).save(folder / f"{i:02}.png")
    assert sheet(folder, looks="soft") == 0
    first, *_ = capsys.readouterr().err.splitlines()
    assert first == f"12 of 14 photos: {', '.join(str(folder / f'{i:02}.png') for i in range(12))}"
    shown = read_rgb(tmp_path / "photos_sheet.png")
    find(shown, np.roll(noise, 11, axis=1))
    with pytest.raises(ValueError, match="not enough values"):
        find(shown, np.roll(noise, 12, axis=1))


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["{photo}", "-o", "{photo}", "--overwrite"], "cat.png is one of the photos; give another name"),
        (["{photo}", "-o", "{folder}/x.gif"], "give the name of a picture, which ends in one of .jpg, .png"),
        (["{photo}", "-o", "{folder}"], "give the name of a picture"),
        (["{photo}", "-o", "{folder}/old.png"], "old.png is there already; --overwrite replaces it"),
        (["{photo}", "-o", "{folder}/dir.png", "--overwrite"], "dir.png is a folder; give another name"),
        (["{photo}", "--looks", "drawn,blod"], "--look blod: choose soft, drawn, bold"),
        (["{photo}", "--looks", "drawn,"], "--looks drawn,: give names with a comma between them"),
        (["{photo}", "--looks", "bold,bold"], "tiny-bold is asked for twice"),
        (["{photo}", "--styles", "shinkai,shinkia"], "shinkia: no such style"),
        (["{photo}", "--size", "8"], "--size"),
        (["{folder}/gone.jpg"], "gone.jpg: no such file or folder"),
        (["-"], "-: no such file or folder"),
    ],
)
def test_a_command_line_that_cannot_be_right_is_one_line_and_code_2(
    words: list[str], named: str, photo: Path, tiny_onnx: Path, tmp_path: Path, capsys
) -> None:
    (tmp_path / "old.png").write_bytes(b"old")
    (tmp_path / "dir.png").mkdir()
    before = sorted(tmp_path.iterdir())
    words = [word.format(photo=photo, folder=tmp_path) for word in words]
    assert main(["sheet", *words, *([] if "--styles" in words else ["--styles", str(tiny_onnx)])]) == 2
    said = capsys.readouterr()
    assert said.out == "" and said.err.startswith("error: ") and said.err.count("\n") == 1 and named in said.err
    assert sorted(tmp_path.iterdir()) == before and (tmp_path / "old.png").read_bytes() == b"old"


def test_a_sheet_is_replaced_only_if_asked(photo: Path, sheet) -> None:
    target = photo.with_name("cat_sheet.png")
    assert sheet(photo, "-q") == 0
    before = target.read_bytes()
    assert sheet(photo, "-q", looks="soft") == 2 and target.read_bytes() == before
    assert sheet(photo, "-q", "--overwrite", looks="soft") == 0 and target.read_bytes() != before


@pytest.mark.parametrize("suffix", ["jpg", "webp", "avif", "tiff"])
def test_every_format_is_written_and_folders_are_made(suffix: str, photo: Path, sheet, tmp_path: Path) -> None:
    target = tmp_path / "new" / f"sheet.{suffix}"
    assert sheet(photo, "-o", target, "-q") == 0
    with Image.open(target) as image:
        assert image.format == {"jpg": "JPEG"}.get(suffix, suffix.upper())


def test_a_sheet_beside_its_photo_is_no_photo(photo: Path, sheet, tmp_path: Path) -> None:
    assert sheet(photo, "-q") == 0
    note = read_processing_note(photo.with_name("cat_sheet.png"))
    assert note is not None and note.startswith("toonify ") and note.endswith(" sheet")
    assert [found.path for found in find_photos([tmp_path])] == [photo]


def test_photos_come_as_convert_reads_them(noise: np.ndarray, tmp_path: Path, sheet) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    Image.fromarray(noise).save(tmp_path / "turned.png", exif=exif)
    assert sheet(tmp_path / "turned.png", "-q") == 0
    find(read_rgb(tmp_path / "turned_sheet.png"), np.rot90(noise, -1))
    clear = np.dstack([noise, np.zeros(noise.shape[:2], np.uint8)])
    clear[:, :8, 3] = 255
    Image.fromarray(clear).save(tmp_path / "clear.png")
    assert sheet(tmp_path / "clear.png", "-q") == 0
    shown = read_rgb(tmp_path / "clear_sheet.png")
    white = np.full((48, 56, 3), 255, np.uint8)
    left = find(shown, noise[:, :8])[1]
    assert np.array_equal(shown[8 : 8 + 48, left + 8 : left + 64], white)
    assert sheet(tmp_path / "turned.png", "-q", "--max-megapixels", "0.001", "--overwrite") == 1


def test_a_style_without_a_network_is_named_and_the_others_are_drawn(photo: Path, sheet, tiny_onnx, capsys) -> None:
    assert sheet(photo, "--variant", "original", "-q", styles=f"shinkai,{tiny_onnx}", looks="soft,bold") == 3
    said = capsys.readouterr().err.splitlines()
    assert [line.split()[2] for line in said] == ["shinkai-soft:", "shinkai-bold:"]
    assert photo.with_name("cat_sheet.png").exists()
    assert sheet(photo, "--variant", "original", "--overwrite", styles="shinkai,hayao") == 3
    photo.with_name("cat_sheet.png").unlink()
    assert sheet(photo, "--variant", "original", styles="shinkai,hayao") == 3
    assert not photo.with_name("cat_sheet.png").exists()


def test_ctrl_c_leaves_nothing(photo: Path, sheet, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    def interrupted(*arguments: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("toonify.drawing.style.Style.draw", interrupted)
    assert sheet(photo, "-q") == 130
    assert capsys.readouterr().err == "interrupted\n" and not photo.with_name("cat_sheet.png").exists()


def test_looks_are_finished_as_the_variant_that_draws_wants_it(tiny_run: Path, tmp_path: Path) -> None:
    """Where another variant draws in the place of the preferred one, its own options count."""
    card = msgspec.json.decode((tiny_run / "tiny.json").read_bytes())
    shutil.copy(tiny_run / "tiny.pth", tmp_path)
    (tmp_path / "tiny.json").write_bytes(msgspec.json.encode(card))
    plan = choose_plan(str(tmp_path / "tiny.json"))
    assert plan.for_variant("original") is plan
    with pytest.raises(KeyError):
        plan.for_variant("lite")
    shipped = choose_plan("shinkai", variant="lite")
    instead = choose_plan("shinkai", variant="original")
    both = type(instead)(instead.style, instead.options, shipped)
    assert both.for_variant("lite") is shipped and both.for_variant("original") is both
