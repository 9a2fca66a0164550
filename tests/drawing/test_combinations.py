"""Several styles and looks in one run of `convert`: where their pictures go, and what is said of them."""

import gc
import itertools
import json
import os
import re
import shutil
import weakref
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from files import snapshot
from PIL import Image

from toonify.cli import main
from toonify.convert.batches import plan_batches
from toonify.drawing import choose_combinations
from toonify.drawing.drawer import open_drawer
from toonify.errors import DownloadError, StyleError, UsageError
from toonify.jobs.find import Found
from toonify.styles.card import Card

LOOKS = ("soft", "bold")

pytestmark = pytest.mark.usefixtures("no_faces")


@pytest.fixture
def photos(tmp_path: Path, noise: np.ndarray) -> Path:
    folder = tmp_path / "photos"
    (folder / "sub").mkdir(parents=True)
    Image.fromarray(noise).save(folder / "a.jpg", quality=95)
    Image.fromarray(noise[::-1]).save(folder / "sub" / "b.png")
    return folder


@pytest.fixture(scope="session")
def other_onnx(tiny_onnx: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny style under another name."""
    return renamed(tiny_onnx, "other", tmp_path_factory.mktemp("other"))


def renamed(style: Path, name: str, folder: Path) -> Path:
    from toonify.styles.find import find_style

    path = folder / f"{name}.onnx"
    shutil.copy(style, path)
    card = msgspec.to_builtins(find_style(str(style)).card) | {"id": name}
    card["variants"]["original"]["weights"] = {"from": "file", "file": path.name}
    path.with_suffix(".json").write_bytes(msgspec.json.encode(msgspec.convert(card, Card)))
    return path


@pytest.fixture
def convert(tiny_onnx: Path, other_onnx: Path):
    """Draw in two styles and two looks, or as the arguments say."""

    def run(*arguments: Any, styles: tuple[Path, ...] | None = None, looks: tuple[str, ...] = LOOKS) -> int:
        words = ["convert", *map(str, arguments)]
        for style in styles or (tiny_onnx, other_onnx):
            words += ["-s", str(style)]
        for look in looks:
            words += ["--look", look]
        return main(words)

    return run


def test_a_folder_is_drawn_in_every_style_and_look(photos: Path, convert, capsys, tmp_path: Path) -> None:
    before = snapshot(photos)
    assert convert(photos) == 0
    assert snapshot(photos) == before
    labels = [f"{style}-{look}" for style in ("tiny", "other") for look in LOOKS]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["photos", *(f"photos_{x}" for x in labels)])
    drawn = {label: snapshot(tmp_path / f"photos_{label}") for label in labels}
    assert all(list(each) == ["a.jpg", "sub/b.png"] for each in drawn.values())
    assert drawn["tiny-soft"]["sub/b.png"] != drawn["tiny-bold"]["sub/b.png"]
    said = capsys.readouterr().err.splitlines()
    heads = [line for line in said if " at up to 64 px on " in line]
    assert [line.partition(":")[0] for line in heads] == labels
    assert said[-1].startswith("8 drawn in ") and sum(" drawn in " in line for line in said) == 1


def test_each_picture_is_that_of_a_run_of_its_own(photos: Path, convert, tiny_onnx: Path, tmp_path: Path) -> None:
    assert convert(photos, "-o", tmp_path / "all", "-q") == 0
    for look in LOOKS:
        assert convert(photos, "-o", tmp_path / look, "-q", styles=(tiny_onnx,), looks=(look,)) == 0
        assert snapshot(tmp_path / look) == snapshot(tmp_path / "all" / f"tiny-{look}")


def test_one_style_and_look_stay_as_they_were(photos: Path, convert, tiny_onnx: Path, tmp_path: Path) -> None:
    assert convert(photos, photos / "a.jpg", "-q", styles=(tiny_onnx,), looks=("bold",)) == 0
    assert sorted(snapshot(tmp_path / "photos_tiny")) == ["a.jpg", "sub/b.png"]
    (tmp_path / "cat.jpg").write_bytes((photos / "a.jpg").read_bytes())
    assert convert(tmp_path / "cat.jpg", "-q", styles=(tiny_onnx,), looks=()) == 0
    assert (tmp_path / "cat_tiny.jpg").exists()


def test_a_style_without_a_look_asked_for_has_its_default_in_the_name(photos: Path, convert, tmp_path: Path) -> None:
    assert convert(photos / "a.jpg", "-q", looks=()) == 0
    assert sorted(path.name for path in photos.iterdir()) == ["a.jpg", "a_other-soft.jpg", "a_tiny-soft.jpg", "sub"]
    labels = [each.label for each in choose_combinations(["shinkai", "paprika"], variant="lite")]
    assert labels == ["shinkai-drawn", "paprika-drawn"]
    assert [each.label for each in choose_combinations(["shinkai", "paprika"], variant="lite", raw=True)] == [
        "shinkai-raw",
        "paprika-raw",
    ]


def test_with_an_output_each_combination_has_a_folder_in_it(photos: Path, convert, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert convert(photos / "a.jpg", "-o", out, "-q") == 0
    expected = sorted(f"{style}-{look}/a.jpg" for style in ("tiny", "other") for look in LOOKS)
    assert sorted(snapshot(out)) == expected


def test_a_second_run_skips_and_takes_no_results_for_photos(photos: Path, convert, capsys, tmp_path: Path) -> None:
    inside = photos / "out"
    assert convert(photos, "-o", inside, "-q") == 0
    assert convert(photos / "a.jpg", "-q") == 0  # beside the photo, in the folder that is searched
    before = snapshot(tmp_path)
    assert convert(photos, "-o", inside) == 0
    assert "0 drawn, 8 skipped" in capsys.readouterr().err
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize(
    ("inputs", "output", "named"),
    [
        (["photos"], "photos", "photos/tiny-soft/a.jpg would lie among the photos"),
        (["photos", "photos_tiny-soft"], None, "photos_tiny-soft/a.jpg would lie among the photos"),
        (["photos", "."], None, "photos_tiny-soft/a.jpg would lie among the photos"),
        (["photos/a.jpg"], "out.png", "--output out.png is one file, and 4 pictures are asked for; give a folder"),
        (["photos/a.jpg"], "notes", "--output notes is a file; give a folder"),
        (["-"], None, "- is one picture; give one --style and one --look"),
    ],
)
def test_what_cannot_be_right_is_refused_before_the_work(
    inputs: list[str], output: str | None, named: str, photos: Path, convert, tmp_path: Path, monkeypatch, capsys
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos_tiny-soft").mkdir()
    (tmp_path / "notes").write_text("notes")
    Image.new("RGB", (9, 9)).save(tmp_path / "photos_tiny-soft" / "x.png")
    before = snapshot(tmp_path)
    assert convert(*inputs, *([] if output is None else ["-o", output])) == 2
    err = capsys.readouterr().err
    assert named in err and err.startswith("error: ") and err.count("\n") == 1
    assert snapshot(tmp_path) == before


def test_an_unknown_look_is_refused_by_name(photos: Path, convert, capsys) -> None:
    assert convert(photos, looks=("drawn", "blod")) == 2
    assert capsys.readouterr().err == "error: --look blod: choose soft, drawn, bold\n"


def test_combinations_of_one_name_are_refused(photos: Path, convert, tiny_onnx: Path, tmp_path: Path, capsys) -> None:
    assert convert(photos, styles=(tiny_onnx,), looks=("soft", "soft")) == 2
    assert capsys.readouterr().err == "error: tiny-soft is asked for twice; drop one of them\n"
    twin = Path(shutil.copy(tiny_onnx, tmp_path / "twin.onnx"))
    assert convert(photos, styles=(tiny_onnx, twin)) == 2
    err = capsys.readouterr().err
    assert f"{tiny_onnx} and {twin} are both called tiny" in err and err.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["photos", "twin.onnx"]


def test_pictures_of_two_photos_that_meet_in_one_place_are_refused(tiny_onnx: Path, tmp_path: Path) -> None:
    """cat.jpg in a style called `x_tiny` would be what cat_x.jpg is in `tiny`."""
    styles = [str(tiny_onnx), str(renamed(tiny_onnx, "x_tiny", tmp_path))]
    found = [Found(Path("cat.jpg")), Found(Path("cat_x.jpg"))]
    combinations = choose_combinations(styles, ["soft"])
    with pytest.raises(UsageError, match=r"cat_x_tiny-soft\.jpg would be the place of two pictures"):
        plan_batches(found, combinations, inputs=[], output=None)
    batches = plan_batches(found, combinations, inputs=[], output=Path("out"))
    assert len({job.target for batch in batches for job in batch.jobs}) == 4


def test_a_dry_run_tells_of_every_combination(photos: Path, convert, capsys, tmp_path: Path) -> None:
    assert convert(photos, "--dry-run") == 0
    said = capsys.readouterr().out.splitlines()
    assert len(said) == 8 and all(line.endswith(": would draw") for line in said)
    assert list(tmp_path.iterdir()) == [photos]


def test_a_photo_that_fails_is_named_once_in_each_combination(photos: Path, convert, capsys, tmp_path: Path) -> None:
    (photos / "bad.jpg").write_bytes(b"no photo")
    assert convert(photos) == 1
    said = capsys.readouterr().err.splitlines()
    end = next(place for place, line in enumerate(said) if line.startswith("8 drawn, 4 failed in "))
    folders = [f"photos_{style}-{look}" for style in ("tiny", "other") for look in LOOKS]
    assert [line.partition(": not a picture")[0] for line in said[end + 1 :]] == [
        f"  failed: {photos / 'bad.jpg'} -> {tmp_path / folder / 'bad.jpg'}" for folder in folders
    ]


def test_the_report_tells_of_all_drawings_and_files(photos: Path, convert, tmp_path: Path) -> None:
    (photos / "bad.jpg").write_bytes(b"no photo")
    report = tmp_path / "report.json"
    assert convert(photos, "--report", report, "-q") == 1
    content = json.loads(report.read_text())
    assert set(content) == {"toonify", "drawings", "files"}
    pairs = [(style, look) for style in ("tiny", "other") for look in LOOKS]
    assert [(each["style"], each["look"]) for each in content["drawings"]] == pairs
    for each in content["drawings"]:
        assert (each["variant"], each["device"], each["provider"]) == ("original", "cpu", "CPUExecutionProvider")
        assert (each["options"]["look"] is None) == (each["look"] == "soft") and each["problem"] is None
    files = content["files"]
    assert [(each["style"], each["look"]) for each in files] == [pair for pair in pairs for _ in range(3)]
    assert all(f"photos_{each['style']}-{each['look']}" in each["output"] for each in files)
    assert [each["outcome"] for each in files].count("failed") == 4
    assert convert(photos, "--report", report, "-q") == 1  # an earlier report of several is replaced like any other


def test_the_shards_together_give_the_whole(photos: Path, convert, capsys, tmp_path: Path) -> None:
    assert convert(photos, "-o", tmp_path / "whole", "-q") == 0
    for part in ("2/2", "1/2"):
        assert convert(photos, "-o", tmp_path / "parts", "--shard", part) == 0
        assert capsys.readouterr().err.count(f"shard {part}: 1 of 2 photos") == 1
    assert snapshot(tmp_path / "whole") == snapshot(tmp_path / "parts")
    assert convert(photos, "--shard", "9/9") == 0


def test_a_style_without_a_network_is_named_and_the_others_are_drawn(
    photos: Path, convert, tiny_onnx: Path, capsys, tmp_path: Path
) -> None:
    report = tmp_path / "report.json"
    # Of shinkai the lite variant would do, but another is asked for, which would have to be fetched.
    words = ["convert", str(photos), "-s", "shinkai", "-s", str(tiny_onnx), "--variant", "original"]
    words += ["--look", "soft", "--look", "bold", "--report", str(report)]
    assert main(words) == 3
    said = capsys.readouterr().err.splitlines()
    missing = [line for line in said if line.startswith("not drawn: shinkai-")]
    assert [line.split()[2] for line in missing] == ["shinkai-soft:", "shinkai-bold:"] and "HF_HUB_OFFLINE" in missing[
        0
    ]
    assert said[-3].startswith("4 drawn in ") and [line.strip() for line in said[-2:]] == missing
    assert not list(tmp_path.glob("photos_shinkai*")) and len(list(tmp_path.glob("photos_tiny-*"))) == 2
    drawings = json.loads(report.read_text())["drawings"]
    assert [bool(each["problem"]) for each in drawings] == [True, True, False, False]
    assert drawings[0]["device"] is None


def test_a_style_whose_file_is_missing_is_named_too(
    photos: Path, convert, tiny_onnx: Path, tiny_run: Path, capsys, tmp_path: Path
) -> None:
    broken = tmp_path / "mine.json"
    broken.write_bytes((tiny_run / "tiny.json").read_bytes().replace(b'"id":"tiny"', b'"id":"mine"'))
    assert convert(photos, styles=(broken, tiny_onnx), looks=("soft",)) == 3
    assert "tiny.pth is missing" in (said := capsys.readouterr().err) and "2 drawn in " in said
    assert convert(photos, "--dry-run", styles=(broken, tiny_onnx), looks=("soft",)) == 3
    out, err = capsys.readouterr()
    assert out.count("skipped") == 2 and err.startswith("not drawn: mine-soft: ")
    with pytest.raises(StyleError, match="is missing"):
        choose_combinations([str(broken)])


def test_one_network_is_open_at_a_time(photos: Path, convert, monkeypatch: pytest.MonkeyPatch) -> None:
    real = open_drawer
    opened: list[weakref.ref[Any]] = []
    open_before: list[int] = []

    def opening(*arguments: Any, **options: Any) -> object:
        gc.collect()
        open_before.append(sum(each() is not None for each in opened))
        drawer = real(*arguments, **options)
        opened.append(weakref.ref(drawer))
        return drawer

    monkeypatch.setattr("toonify.drawing.load.open_drawer", opening)
    assert convert(photos, "-q") == 0
    assert open_before == [0] * 4


def test_ctrl_c_between_two_styles_tells_what_is_done(
    photos: Path, convert, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    real, calls = open_drawer, itertools.count()

    def opening(*arguments: Any, **options: Any) -> object:
        if next(calls) == 1:
            raise KeyboardInterrupt
        return real(*arguments, **options)

    monkeypatch.setattr("toonify.drawing.load.open_drawer", opening)
    assert convert(photos) == 130
    assert re.search(
        r"\n2 drawn, interrupted with 6 to go in .*; the same command goes on from here\n", capsys.readouterr().err
    )


def test_a_full_disk_ends_all_of_it(photos: Path, convert, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    import errno

    def write(descriptor: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("toonify.system.files.os.write", write)
    assert convert(photos, "-q") == 3
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "no space left" in error


@pytest.mark.parametrize("known", [True, False])
def test_that_faces_are_not_looked_for_is_said_once(
    known: bool, photos: Path, convert, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    def open_finder() -> None:
        raise DownloadError("no hub")

    monkeypatch.setattr("toonify.drawing.plan.can_find_faces", lambda: not known)
    monkeypatch.setattr("toonify.drawing.load.open_finder", open_finder)
    assert convert(photos, looks=("soft", "drawn", "bold")) == 0
    assert capsys.readouterr().err.count("faces are not looked for") == 1
    assert convert(photos, "--dry-run", looks=("soft", "drawn", "bold")) == 0
    assert "faces" not in capsys.readouterr().err  # nothing would be drawn
    assert convert(photos, "--dry-run", "--overwrite", looks=("soft", "drawn", "bold")) == 0
    assert capsys.readouterr().err.count("faces are not looked for") == known
