"""`toonify evaluate`, whole: real photos and a network that draws in milliseconds, with a stand-in for Inception."""

import csv
import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from PIL import Image
from samples import PHOTOS

from toonify.cli import main
from toonify.evaluate.contents import Sample
from toonify.evaluate.evaluation import Row
from toonify.evaluate.page import shown
from toonify.evaluate.report import _COLUMNS
from toonify.metrics.inception import Weights

DIMENSIONS = 2048


class FakeInception:
    """Stands in for Inception: means over a grid, and a fixed random mixture of them."""

    calls = 0

    def __init__(self, weights: Weights, *, device: str = "auto") -> None:
        self.weights = weights
        self.runs_on: str | None = None
        self._mixture = np.random.default_rng(0).normal(size=(13 * 13 * 3, DIMENSIONS)).astype(np.float32)

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        type(self).calls += 1
        self.runs_on = "cpu, a stand-in"
        grid = batch.reshape(len(batch), 3, 13, 23, 13, 23).mean(axis=(3, 5)).reshape(len(batch), -1)
        return np.maximum(grid @ self._mixture, 0) / 10

    def prepare(self) -> None:
        """There is nothing to convert."""

    def cancel(self) -> None:
        pass


class FakeLpips:
    """Stands in for LPIPS: the mean difference."""

    def __init__(self, weights: Any, *, device: str = "auto") -> None:
        self.weights = weights
        self.runs_on = "cpu, a stand-in"

    def prepare(self) -> None:
        pass

    def cancel(self) -> None:
        pass

    def distance(self, photo: np.ndarray, picture: np.ndarray) -> float:
        return float(np.abs(photo.astype(int) - picture).mean() / 255)


@pytest.fixture(autouse=True)
def _stand_ins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("toonify.metrics.inception.Inception", FakeInception)
    monkeypatch.setattr(
        "toonify.metrics.inception.find_weights", lambda path: Weights(path or Path("fake.pth"), "f" * 64)
    )
    monkeypatch.setattr("toonify.metrics.lpips.Lpips", FakeLpips)


@pytest.fixture
def work(tmp_path: Path, tiny_onnx: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with `photos` (6) and `anime` (15), the style `tiny.onnx`, and `same`: the photos as they are."""
    monkeypatch.chdir(tmp_path)
    sources = [Image.open(path).convert("RGB") for path in sorted(PHOTOS.glob("*.jpg"))]
    random = np.random.default_rng(0)
    for name, count, size in (("photos", 6, (96, 64)), ("anime", 15, (80, 80))):
        Path(name).mkdir()
        for number in range(count):
            source = sources[number % len(sources)]
            left, top = (int(random.integers(0, extent - 320)) for extent in source.size)
            part = source.crop((left, top, left + 320, top + 320)).resize(size)
            part = part.quantize(6).convert("RGB") if name == "anime" else part
            part.save(f"{name}/{number}.png")
    shutil.copy(tiny_onnx, "tiny.onnx")
    shutil.copytree("photos", "same")
    return tmp_path


def run(*arguments: str | Path) -> int:
    return main(["evaluate", "--photos", "photos", "--cartoons", "anime", *map(str, arguments)])


def rows(output: str = "evaluation") -> dict[str, dict[str, Any]]:
    return {row["name"]: row for row in json.loads(Path(output, "evaluation.json").read_text())["rows"]}


def snapshot(*folders: str) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for f in folders for path in sorted(Path(f).rglob("*")) if path.is_file()}


@pytest.mark.usefixtures("work")
def test_the_table_has_a_row_for_each_style_and_anchors_around_them(capsys: pytest.CaptureFixture[str]) -> None:
    before = snapshot("photos", "anime", "same")
    assert run("tiny.onnx", "same", "--lpips", "--lpips-weights", PHOTOS / "CREDITS.md") == 0
    assert snapshot("photos", "anime", "same") == before
    found = rows()
    assert list(found) == [
        "photos, untouched",
        "tiny",
        "same",
        "cartoons, 6 against the others",
        "cartoons, half against half",
    ]
    assert [(row["count"], row["cartoons"]) for row in found.values()] == [(6, 15), (6, 15), (6, 15), (6, 9), (7, 8)]
    untouched, tiny, same = (found[name] for name in ("photos, untouched", "tiny", "same"))
    for name in ("fid", "kid", "kid_spread"):
        assert same[name] == pytest.approx(untouched[name], rel=1e-6)
        assert tiny[name] != pytest.approx(untouched[name], rel=1e-3)
    assert same["fid_to_photos"] == pytest.approx(0, abs=1e-5) and untouched["fid_to_photos"] == 0
    for row in (untouched, same):
        assert (row["ssim"], row["edges"], row["lpips"]) == (pytest.approx(1), 1, 0)
    assert tiny["fid_to_photos"] > 0.01 and 0 < tiny["ssim"] < 1 and tiny["lpips"] > 0
    assert tiny["megapixels_per_second"] > 0 and same["megapixels_per_second"] is None
    assert tiny["runs_on"].startswith("cpu, ONNX Runtime") and same["runs_on"] is None
    assert (tiny["failed"], same["failed"], untouched["failed"]) == (0, 0, None)
    assert sorted(path.name for path in Path("evaluation/pictures/tiny").iterdir()) == [f"{i}.png" for i in range(6)]
    said = capsys.readouterr().out
    assert "6 photos (photos) drawn in tiny and same, against 15 cartoons (anime)" in said
    assert "Compare FID where counts are equal" in said and "Inception and LPIPS ran on cpu, a stand-in" in said


@pytest.mark.usefixtures("work")
def test_figures_are_those_of_toonify_fid(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("tiny.onnx") == 0
    capsys.readouterr()
    assert main(["fid", "evaluation/pictures/tiny", "photos", "anime", "--json"]) == 0
    drawn, photos = json.loads(capsys.readouterr().out)["sets"]
    assert main(["fid", "evaluation/pictures/tiny", "photos", "--json", "--metrics", "fid"]) == 0
    (to_photos,) = json.loads(capsys.readouterr().out)["sets"]
    found = rows()
    for name in ("fid", "kid", "kid_spread"):
        assert found["tiny"][name] == pytest.approx(drawn[name], rel=1e-9)
        assert found["photos, untouched"][name] == pytest.approx(photos[name], rel=1e-9)
    assert found["tiny"]["fid_to_photos"] == pytest.approx(to_photos["fid"], rel=1e-9)


@pytest.mark.usefixtures("work")
def test_the_files_say_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("tiny.onnx", "same") == 0
    printed = capsys.readouterr().out
    found = rows()
    with Path("evaluation/evaluation.csv").open(newline="", encoding="utf-8") as file:
        sheet = {row["name"]: row for row in csv.DictReader(file)}
    markdown = Path("evaluation/evaluation.md").read_text()
    page = Path("evaluation/index.html").read_text()
    assert list(sheet) == list(found)
    for name, row in found.items():
        for field in ("fid", "kid", "kid_spread", "fid_to_photos", "ssim", "edges", "megapixels_per_second"):
            assert sheet[name][field] == ("" if row[field] is None else repr(row[field]))
        for text in (printed, markdown, page):
            assert f"{row['fid']:.2f}" in text and f"{row['kid']:.4f} ± {row['kid_spread']:.4f}" in text
    assert "| tiny " in markdown and "| 6 : 15 |" in markdown and "LPIPS" not in markdown + page
    record = json.loads(Path("evaluation/evaluation.json").read_text())
    assert record["protocol"]["mode"] == "legacy" and record["protocol"]["seed"] == 2020
    assert len(record["photos"]) == 6 and record["failed"] == []
    pictures = record["photos"][0]["pictures"]
    mean = np.mean([photo["pictures"]["tiny"]["ssim"] for photo in record["photos"]])
    assert pictures["tiny"]["picture"] == "evaluation/pictures/tiny/0.png" and mean == pytest.approx(
        found["tiny"]["ssim"]
    )


@pytest.mark.usefixtures("work")
def test_a_rerun_draws_and_measures_nothing_and_updates_its_files(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("tiny.onnx") == 0
    drawn = snapshot("evaluation/pictures")
    stamps = [path.stat().st_mtime_ns for path in sorted(Path("evaluation/pictures").rglob("*"))]
    first = rows()
    Path("evaluation/evaluation.md").write_text("cut short")
    monkeypatch.setattr(FakeInception, "__call__", None)
    assert run("tiny.onnx", "--show", 2) == 0
    assert snapshot("evaluation/pictures") == drawn
    assert [path.stat().st_mtime_ns for path in sorted(Path("evaluation/pictures").rglob("*"))] == stamps
    assert {name: row["fid"] for name, row in rows().items()} == pytest.approx(
        {name: row["fid"] for name, row in first.items()}
    )
    assert "tiny" in Path("evaluation/evaluation.md").read_text()
    assert Path("evaluation/index.html").read_text().count("<article") == 2
    assert "what Inception measured is all from the cache" in capsys.readouterr().out


@pytest.mark.usefixtures("work")
def test_nothing_else_is_replaced_unless_asked(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("tiny.onnx") == 0
    before = snapshot("evaluation")
    for other in (["same"], ["tiny.onnx", "--seed", 1], ["tiny.onnx", "--mode", "clean"]):
        assert run(*other) == 2
        assert "--output evaluation holds another evaluation; give another folder, or --overwrite" in (
            capsys.readouterr().err
        )
    assert snapshot("evaluation") == before
    assert run("same", "--overwrite") == 0
    assert "same" in rows() and "tiny" not in rows()
    Path("mine").mkdir()
    Path("mine/index.html").write_text("my own page")
    assert run("tiny.onnx", "--output", "mine") == 2
    assert "--output mine holds index.html already" in capsys.readouterr().err
    assert snapshot("mine") == {"mine/index.html": b"my own page"}
    Path("mine/evaluation.json").write_text('{"toonify": "1", "rows": 3}')
    assert run("tiny.onnx", "--output", "mine") == 2


@pytest.mark.usefixtures("work")
def test_a_run_that_was_trained_further_is_drawn_anew(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("tiny.onnx") == 0
    first = rows()["tiny"]["fid"]
    network = onnx.load("tiny.onnx")
    weights = network.graph.initializer[0]
    weights.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(weights) * 1.5, weights.name))
    onnx.save(network, "tiny.onnx")
    assert run("tiny.onnx") == 0
    assert rows()["tiny"]["fid"] != first
    # What is not toonify's own stays as it is, and its photo counts for no row.
    stranger = min(Path("evaluation/pictures/tiny").iterdir())
    stranger.write_bytes(b"my own")
    capsys.readouterr()
    assert run("tiny.onnx") == 1
    assert "another file is in its place" in capsys.readouterr().err
    assert stranger.read_bytes() == b"my own"


@pytest.mark.usefixtures("work")
def test_only_photos_that_every_style_has_count(capsys: pytest.CaptureFixture[str]) -> None:
    Path("same/1.png").unlink()
    Path("same/3.png").write_bytes(b"no picture")
    Path("photos/bad.png").write_bytes(b"no photo")
    Path("anime/bad.png").write_bytes(b"no cartoon")
    assert run("tiny.onnx", "same") == 1
    found = rows()
    assert [row["count"] for row in found.values()] == [4, 4, 4, 4, 7]
    assert [row["failed"] for row in found.values()] == [None, 1, 3, None, None]
    failed = [line for line in capsys.readouterr().err.splitlines() if line.startswith("failed: ")]
    assert failed == [
        "failed: photos/1.png: same: no picture of that name in same",
        "failed: photos/3.png: same: not a picture, or of a kind that is not read",
        "failed: photos/bad.png: tiny: not a picture, or of a kind that is not read",
        "failed: photos/bad.png: same: no picture of that name in same",
        "failed: anime/bad.png: not a picture, or of a kind that is not read",
    ]
    markdown = Path("evaluation/evaluation.md").read_text()
    assert "3 of 7 photos count for no row" in markdown and "4 files could not be used" in markdown
    assert len(json.loads(Path("evaluation/evaluation.json").read_text())["failed"]) == 5


@pytest.mark.usefixtures("work")
def test_photos_that_share_a_name_get_their_own_pictures(capsys: pytest.CaptureFixture[str]) -> None:
    for folder in ("photos", "same"):  # as `convert` names what it makes of 1.png and 1.bmp
        Image.open("photos/2.png").save(f"{folder}/1{'.bmp' if folder == 'photos' else '_bmp.png'}")
    Path("same/report.json").write_text('{"toonify": "0.1.0"}')  # no style card
    assert run("same") == 0
    assert rows()["same"]["count"] == 7 and rows()["same"]["ssim"] == 1
    Path("same/1_bmp.png").unlink()
    capsys.readouterr()
    assert run("same") == 1
    failed = [line for line in capsys.readouterr().err.splitlines() if line.startswith("failed: ")]
    assert failed == [f"failed: photos/1.{s}: 2 photos have the name of its picture in same; rename one of them"
                      for s in ("bmp", "png")]  # fmt: skip


@pytest.mark.usefixtures("work")
def test_a_photo_that_cannot_be_measured_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    Image.fromarray(np.arange(96 * 64, dtype=np.uint16).reshape(64, 96)).save("photos/deep.png")
    assert run("tiny.onnx") == 1
    assert "failed: photos/deep.png: more than 8 bits of gray" in capsys.readouterr().err
    assert rows()["tiny"]["count"] == 6


@pytest.mark.usefixtures("work")
def test_a_photo_that_is_bad_for_all_is_named_once(capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree("same", "other")
    for name in ("photos", "same", "other"):
        Path(name, "bad.png").write_bytes(b"no photo")
    assert run("same", "other") == 1
    said = capsys.readouterr().err
    assert said.count("failed: ") == 1 and "photos/bad.png: not a picture" in said


@pytest.mark.usefixtures("work")
def test_pictures_of_other_proportions_are_stretched_and_told_of() -> None:
    for path in Path("same").iterdir():
        with Image.open(path) as image:
            image.resize((256, 256)).save(path)
    assert run("same") == 0
    assert rows()["same"]["ssim"] > 0.9
    assert "same: 6 pictures have other proportions" in Path("evaluation/evaluation.md").read_text()


@pytest.mark.usefixtures("work")
def test_cartoons_are_parted_by_the_seed() -> None:
    found = []
    for number, seed in enumerate((1, 1, 2)):
        assert run("same", "--seed", seed, "--output", f"out{number}") == 0
        found.append(rows(f"out{number}"))
    half = "cartoons, half against half"
    assert found[0][half] == found[1][half] and found[0][half]["fid"] != found[2][half]["fid"]
    assert found[0]["same"]["fid"] == found[2]["same"]["fid"]


@pytest.mark.usefixtures("work")
def test_few_cartoons_have_no_row_of_equal_counts() -> None:
    for number in range(11, 15):
        Path(f"anime/{number}.png").unlink()
    assert run("same") == 0
    assert list(rows()) == ["photos, untouched", "same", "cartoons, half against half"]


@pytest.mark.usefixtures("work")
def test_names_cannot_smuggle_anything_into_the_page() -> None:
    hostile = '<img src=x onerror="alert(1)">|$title'
    Path("photos/0.png").rename(f"photos/{hostile}.png")
    shutil.copytree("photos", "<b>bold|style")
    assert run("<b>bold|style") == 0
    page = Path("evaluation/index.html").read_text()
    body = page[page.index("<body>") :]
    assert "<b>bold" not in page and "<img src=x" not in page
    assert "&lt;b&gt;bold|style" in body and "|$title.png" in body
    assert "bold\\|style" in Path("evaluation/evaluation.md").read_text()


@pytest.mark.usefixtures("work")
def test_the_page_is_one_file_that_asks_nobody() -> None:
    assert run("tiny.onnx", "same", "--show", 3) == 0
    page = Path("evaluation/index.html").read_text()
    assert re.findall(r"""(?:src|href|action)="(?!data:)""", page) == []
    assert "url(" not in page and "@import" not in page and "http:" not in page and "https:" not in page
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)
    assert policy is not None and policy[1].startswith("default-src 'none'; img-src data:; style-src 'sha256-")
    assert page.count('src="data:image/jpeg;base64,') == 3 * 3
    assert "3 of the 6 photos, evenly spread over the set" in page


@pytest.mark.usefixtures("work")
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "STYLE"),
        (["tini"], "tini"),
        (["tiny.onnx", "tiny.onnx"], "two candidates are called tiny"),
        (["tiny.onnx", "--photos", "photos/0.png"], "--photos photos/0.png is one photo"),
        (["tiny.onnx", "--photos", "nowhere"], "nowhere: no such file"),
        (["tiny.onnx", "--cartoons", "anime/0.png"], "anime/0.png has one picture"),
        (["tiny.onnx", "--cartoons", "few"], "--cartoons few: 3 pictures can be read, and half against half needs 4"),
        (["tiny.onnx", "--cartoons", "all.npz"], "--cartoons all.npz holds statistics"),
        (["tiny.onnx", "--lpips-weights", "a.pth"], "add --lpips"),
        (["tiny.onnx", "--output", "tiny.onnx"], "--output tiny.onnx is a file"),
        (["tiny.onnx", "--output", "anime/evaluation"], "--output anime/evaluation lies among the cartoons"),
        (["tiny.onnx", "--cartoons", "evaluation/pictures"], "--output evaluation lies among the cartoons"),
        (["tiny.onnx", "--show", "0"], "--show"),
        (["tiny.onnx", "--mode", "best"], "'best' is not one of"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(
    arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("few").mkdir()
    for number in range(3):
        shutil.copy(f"anime/{number}.png", "few")
    shutil.copytree("anime", "evaluation/pictures")
    Path("all.npz").write_bytes(b"")
    before = snapshot(".")
    assert run(*arguments, "--quiet") == 2
    said = capsys.readouterr()
    assert says in said.err and said.err.count("\n") == 1 and said.out == ""
    assert snapshot(".") == before


@pytest.mark.usefixtures("work")
def test_drawings_among_the_photos_are_no_photos() -> None:
    """An evaluation in the folder of the photos does not measure itself the next day."""
    assert run("tiny.onnx", "--output", "photos") == 0
    assert run("tiny.onnx", "--output", "photos") == 0
    assert rows("photos")["tiny"]["count"] == 6


def row(name: str, kind: str = "candidate", speed: float | None = None, **figures: float) -> Row:
    plain = {"fid": 1.0, "kid": 1.0, "kid_spread": 0.1, "kid_subset": 2, "ssim": 0.5, "edges": 0.5}
    return Row(name, kind, 5, 9, {**plain, **figures}, megapixels_per_second=speed)


def test_the_best_style_of_a_column_is_marked() -> None:
    columns = {column.title: column for column in _COLUMNS}
    rows = (
        row("photos", "photos", fid=0.1, ssim=1, edges=1),
        row("a", fid=7.004, kid=0.3, fid_to_photos=2.0, ssim=0.7, edges=0.1),
        row("b", fid=7.001, kid=0.2, fid_to_photos=3.0, ssim=0.6, edges=0.2, speed=2.0),
        row("c", fid=9.0, kid=0.4, fid_to_photos=1.0, ssim=0.5, edges=0.05),
    )
    assert columns["FID"].best(rows) == {"a", "b"}  # what is printed alike is equally good
    assert columns["KID"].best(rows) == {"b"}
    assert columns["SSIM"].best(rows) == {"a"} and columns["edges"].best(rows) == {"b"}
    assert columns["FID to photos"].best(rows) == set()  # neither end is good
    assert columns["LPIPS"].best(rows) == set() and columns["MP/s"].best(rows) == set()
    assert columns["FID"].best(rows[:2]) == set()  # nothing to choose from
    assert columns["FID"].best(rows[:3]) == set()  # all alike


@pytest.mark.parametrize(
    ("total", "count", "expected"),
    [(3, 12, [0, 1, 2]), (12, 12, [*range(12)]), (10, 1, [0]), (11, 3, [0, 5, 10]), (38, 12, None)],
)
def test_the_photos_on_the_page_are_spread_over_the_set(total: int, count: int, expected: list[int] | None) -> None:
    samples = [Sample(photo=number, pictures={}) for number in range(total)]
    numbers: list[Any] = [sample.photo for sample in shown(samples, count)]
    assert len(numbers) == min(total, count)
    if expected is not None:
        assert numbers == expected
    steps = np.diff(np.array(numbers, int))
    assert numbers[0] == 0 and (len(steps) == 0 or (numbers[-1] == total - 1 and steps.max() - steps.min() <= 1))
