"""`toonify prepare` as a user meets it: what is kept, what is left out and why, runs that end early, runs again."""

import errno
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from files import snapshot
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from videos import boxed, credits_page, hold, plain, scene, write_video

from toonify.cli import main
from toonify.jobs.find import Found
from toonify.pixels.crops import center_box, cut, random_boxes
from toonify.prepare.manifest import MANIFEST, Options, read_manifest
from toonify.prepare.survey import picture_names
from toonify.prepare.workspace import open_workspace, timestamp
from toonify.system.locks import only_process
from toonify.videos.reader import Frame, Video

SIZE = 64


def prepare(*arguments: Any, kind: str = "photos", size: int = SIZE) -> int:
    return main(["prepare", kind, *map(str, arguments), "--size", str(size)])


def pictures(folder: Path) -> list[str]:
    return [name for name in snapshot(folder) if name != MANIFEST]


def manifest(folder: Path) -> dict[str, Any]:
    return json.loads((folder / MANIFEST).read_bytes())


def left_out(folder: Path) -> Counter[str]:
    return Counter(p.get("left_out", "kept") for source in manifest(folder)["sources"] for p in source["pictures"])


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    (folder / "sub").mkdir(parents=True)
    for number in range(6):
        Image.fromarray(scene(number, 120, 160)).save(folder / f"{number}.png")
    Image.fromarray(scene(6, 160, 120)).save(folder / "sub" / "6.jpg", quality=95)
    return folder


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


# --- stills ---


def test_pictures_become_squares_and_the_manifest_tells_of_each(photos: Path, out: Path, capsys) -> None:
    before = snapshot(photos)
    assert prepare(photos, out) == 0
    assert snapshot(photos) == before
    assert capsys.readouterr().err.splitlines()[-1] == "7 images: 7 kept"
    assert pictures(out) == [*(f"{number}.png" for number in range(6)), "sub/6.png"]
    with Image.open(out / "3.png") as image:
        assert image.mode == "RGB"
        assert np.array_equal(image, cut(scene(3, 120, 160), center_box(120, 160), SIZE))
    told = manifest(out)
    assert told["options"]["kind"] == "photos" and told["counts"] == {"kept": 7}
    (source,) = (source for source in told["sources"] if source["path"].endswith("3.png"))
    (picture,) = source["pictures"]
    assert (picture["width"], picture["height"]) == (160, 120) and len(picture["hash"]) == 16
    assert picture["cuts"] == [{"file": "3.png", "box": [20, 0, 140, 120]}]


def test_what_is_left_out_is_counted_with_its_reason(photos: Path, out: Path, capsys) -> None:
    Image.fromarray(scene(20, 63, 200)).save(photos / "small.png")
    Image.fromarray(plain(90, 100, 100)).save(photos / "gray.png")
    (photos / "broken.jpg").write_bytes((photos / "sub" / "6.jpg").read_bytes()[:700])
    (photos / "text.png").write_bytes(b"no picture")
    Image.fromarray(scene(2, 120, 160)).save(photos / "again.jpg", quality=60)
    Image.fromarray(scene(4, 240, 320)).save(photos / "larger.png")
    with Image.open(photos / "sub" / "6.jpg") as image:
        image.transpose(Image.Transpose.ROTATE_90).convert("CMYK").save(photos / "cmyk.jpg", quality=95)
    assert prepare(photos, out) == 1
    said = capsys.readouterr().err
    assert said.splitlines()[-1] == "14 images: 8 kept, 2 near-duplicates, 1 plain, 1 too small, 2 broken"
    assert "broken.jpg: damaged" in said and "text.png: not a picture" in said
    assert "again.png" not in pictures(out) and "larger.png" in pictures(out) and "4.png" not in pictures(out)
    doubled = {
        Path(source["path"]).name: picture["duplicate_of"]
        for source in manifest(out)["sources"]
        for picture in source["pictures"]
        if picture.get("left_out") == "near-duplicate"
    }
    assert doubled == {"4.png": "larger.png", "again.jpg": "2.png"}


def test_of_equally_large_duplicates_the_sharpest_stays(photos: Path, out: Path) -> None:
    import cv2

    for name, blur in (("a", 3), ("b", 1), ("c", 2)):
        picture = cv2.GaussianBlur(scene(30, 120, 160), (0, 0), blur)
        Image.fromarray(picture).save(photos / f"{name}.png")
    assert prepare(photos, out) == 0
    assert {"a.png", "b.png", "c.png"} & set(pictures(out)) == {"b.png"}


def test_a_smaller_distance_drops_less(photos: Path, out: Path, tmp_path: Path) -> None:
    cropped = scene(2, 120, 160)[3:117, 4:156]
    Image.fromarray(cropped).save(photos / "cropped.png")
    prepare(photos, out, "--hash-distance", 16)
    prepare(photos, tmp_path / "strict", "--hash-distance", 0)
    assert len(pictures(out)) == 7 and len(pictures(tmp_path / "strict")) == 8


def test_random_squares_are_the_same_every_time_and_others_with_another_seed(
    photos: Path, out: Path, tmp_path: Path
) -> None:
    assert prepare(photos, out, "--crop", "random:3") == 0
    assert len(pictures(out)) == 21 and "0_1.png" in pictures(out) and "sub/6_3.png" in pictures(out)
    Image.fromarray(scene(40, 120, 160)).save(photos / "00.png")
    assert prepare(photos, tmp_path / "again", "--crop", "random:3", "--workers", 5) == 0
    first, again = snapshot(out), snapshot(tmp_path / "again")
    assert all(again[name] == first[name] for name in pictures(out))
    assert prepare(photos, tmp_path / "other", "--crop", "random:3", "--seed", 1) == 0
    assert all(snapshot(tmp_path / "other")[name] != first[name] for name in pictures(out))
    for source in manifest(out)["sources"]:
        for square in source["pictures"][0]["cuts"]:
            left, top, right, bottom = square["box"]
            assert right - left == bottom - top >= SIZE and min(left, top) >= 0


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 400), st.integers(1, 400), st.integers(16, 300), st.integers(0, 2**32 - 1))
def test_random_squares_lie_in_the_picture_and_enlarge_nothing_needlessly(height, width, size, seed):
    for box in random_boxes(height, width, size, 5, np.random.default_rng(seed)):
        left, top, right, bottom = box.corners
        side = right - left
        assert side == bottom - top and 0 <= left < right <= width and 0 <= top < bottom <= height
        assert side >= min(size, height, width) and side >= min(height, width) // 2


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 400), st.integers(1, 400), st.integers(16, 300), st.integers(1, 16), st.integers(0, 2**32 - 1))
def test_squares_on_a_grid_are_of_one_size_and_begin_on_it(height, width, size, grid, seed):
    random = np.random.default_rng(seed)
    boxes = [*random_boxes(height, width, size, 5, random, grid=grid), center_box(height, width, size, grid=grid)]
    for box in boxes:
        left, top, right, bottom = box.corners
        assert right - left == bottom - top == min(size, height, width)
        assert left % grid == top % grid == 0 and 0 <= left < right <= width and 0 <= top < bottom <= height


def test_small_pictures_can_be_asked_for(photos: Path, out: Path) -> None:
    Image.fromarray(scene(20, 40, 50)).save(photos / "small.png")
    assert prepare(photos, out, "--min-size", 30) == 0
    with Image.open(out / "small.png") as image:
        assert image.size == (SIZE, SIZE)


def test_names_that_meet_get_numbers_and_odd_ones_are_tamed(photos: Path, out: Path) -> None:
    Image.fromarray(scene(30, 100, 100)).save(photos / "0.jpg", quality=95)
    Image.fromarray(scene(31, 100, 100)).save(photos / "0.bmp")
    Image.fromarray(scene(32, 100, 100)).save(photos / "a:b?.png")
    Image.fromarray(scene(33, 100, 100)).save(photos / os.fsdecode(b"caf\xe9.png"))
    Image.fromarray(scene(34, 100, 100)).save(photos / f"{'long' * 60}.png")
    assert prepare(photos, out) == 0
    assert {"0.png", "0_2.png", "0_3.png", "a_b_.png", "caf_.png"} <= set(pictures(out))
    assert len(pictures(out)) == 12


@settings(max_examples=100, deadline=None)
@given(st.text(alphabet=st.characters(blacklist_characters="/\0"), min_size=1, max_size=150))
def test_any_name_becomes_one_that_every_file_system_takes(name):
    (clean,) = picture_names([Found(Path("/in") / f"{name}.png", Path("/in"))])
    assert clean and not set(clean) & set('<>:"/\\|?*\0') and clean.isprintable()
    assert len(clean.encode()) <= 180 and clean == clean.strip(" .")


def test_several_folders_keep_apart(photos: Path, out: Path, tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    Image.fromarray(scene(50, 100, 100)).save(tmp_path / "more" / "0.png")
    Image.fromarray(scene(51, 100, 100)).save(tmp_path / "single.png")
    assert prepare(photos, tmp_path / "more", tmp_path / "single.png", out) == 0
    assert {"photos/0.png", "photos/sub/6.png", "more/0.png", "single.png"} <= set(pictures(out))


def test_one_image_is_enough(photos: Path, out: Path) -> None:
    assert prepare(photos / "0.png", out) == 0
    assert pictures(out) == ["0.png"]


def test_where_nothing_is_left_that_is_said(photos: Path, out: Path, capsys) -> None:
    assert prepare(photos, out, size=512) == 1
    said = capsys.readouterr().err
    assert "7 images: 0 kept, 7 too small" in said and "nothing is left" in said


# --- runs again ---


def test_a_second_run_does_nothing(photos: Path, out: Path, capsys, monkeypatch) -> None:
    prepare(photos, out)
    before = snapshot(out)
    capsys.readouterr()
    monkeypatch.setattr("toonify.prepare.survey.read_photo", lambda *_, **__: pytest.fail("read again"))
    assert prepare(photos, out) == 0
    assert capsys.readouterr().err == "7 images: 7 kept (7 looked at before)\n"
    assert snapshot(out) == before


def test_what_is_new_is_added_and_nothing_that_is_there_goes(photos: Path, out: Path, capsys) -> None:
    prepare(photos, out)
    before = snapshot(out)
    Image.fromarray(scene(2, 480, 640)).save(photos / "larger.png")
    Image.fromarray(scene(60, 120, 160)).save(photos / "new.png")
    (photos / "1.png").unlink()
    capsys.readouterr()
    assert prepare(photos, out) == 0
    assert "9 images: 8 kept, 1 near-duplicate (6 looked at before)" in capsys.readouterr().err
    after = snapshot(out)
    del before[MANIFEST]
    assert before.items() <= after.items() and set(after) - set(before) == {"new.png", MANIFEST}


def test_what_was_thrown_out_by_hand_stays_out(photos: Path, out: Path) -> None:
    prepare(photos, out)
    (out / "2.png").unlink()
    assert prepare(photos, out) == 0
    assert "2.png" not in pictures(out)


def test_a_file_that_was_broken_gets_another_chance(photos: Path, out: Path) -> None:
    good = (photos / "3.png").read_bytes()
    (photos / "3.png").write_bytes(good[:200])
    assert prepare(photos, out) == 1 and prepare(photos, out) == 1
    (photos / "3.png").write_bytes(good)
    assert prepare(photos, out) == 0
    assert "3.png" in pictures(out) and len(manifest(out)["sources"]) == 7


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--crop", "random:2"], "--crop center, not --crop random:2"),
        (["--min-size", "20"], "--min-size 64, not --min-size 20"),
        (["--every", "2"], "no --every, not --every 2"),
        (["--seed", "7"], "--seed 0, not --seed 7"),
        (["--hash-distance", "2"], "--hash-distance 6, not --hash-distance 2"),
    ],
)
def test_other_options_are_refused_unless_asked_to_overwrite(
    options: list[str], named: str, photos: Path, out: Path, capsys
) -> None:
    prepare(photos, out)
    before = snapshot(out)
    capsys.readouterr()
    assert prepare(photos, out, *options) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and named in said and "--overwrite" in said
    assert snapshot(out) == before


def test_photos_and_cartoons_do_not_mix(photos: Path, out: Path, capsys) -> None:
    prepare(photos, out)
    assert prepare(photos, out, kind="cartoons") == 2
    assert "was made with photos, not cartoons" in capsys.readouterr().err


def test_overwrite_replaces_what_prepare_has_made_and_nothing_else(photos: Path, out: Path) -> None:
    prepare(photos, out)
    (out / "mine.png").write_bytes(b"mine")
    (out / "sub" / "notes.txt").write_text("mine")
    assert prepare(photos, out, "--crop", "random:2", "--overwrite") == 0
    squares = [f"{number}_{n}.png" for number in [*range(6), "sub/6"] for n in (1, 2)]
    assert pictures(out) == sorted([*squares, "mine.png", "sub/notes.txt"])
    assert (out / "mine.png").read_bytes() == b"mine"
    assert prepare(photos, out, "--crop", "random:2") == 0


def test_overwrite_does_not_touch_a_file_that_took_a_name(photos: Path, out: Path) -> None:
    prepare(photos, out)
    (out / "0_1.png").write_bytes(b"mine")
    assert prepare(photos, out, "--crop", "random:2", "--overwrite") == 0
    assert (out / "0_1.png").read_bytes() == b"mine" and "0_2_2.png" in pictures(out)


@pytest.mark.parametrize("content", ["cat.jpg", "deep/cat.jpg"])
def test_a_folder_of_something_else_is_refused_even_with_overwrite(
    content: str, photos: Path, out: Path, capsys
) -> None:
    (out / content).parent.mkdir(parents=True)
    (out / content).write_bytes(b"mine")
    for flags in ([], ["--overwrite"]):
        assert prepare(photos, out, *flags) == 2
        assert "has other files in it" in capsys.readouterr().err
    assert list(snapshot(out)) == [content]


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b"\xff\xfe", b'{"toonify": 1, "sources": []}'])
def test_a_manifest_that_cannot_be_understood_is_named(content: bytes, photos: Path, out: Path, capsys) -> None:
    out.mkdir()
    (out / MANIFEST).write_bytes(content)
    assert prepare(photos, out) == 2
    assert "manifest.json cannot be understood" in capsys.readouterr().err
    assert snapshot(out) == {MANIFEST: content}


@pytest.mark.parametrize("name", ["../precious.txt", "sub/../../precious.txt", "{there}", "", "."])
def test_a_manifest_names_no_file_outside_its_folder(name: str, photos: Path, out: Path, capsys) -> None:
    precious = out.parent / "precious.txt"
    precious.write_text("mine")
    prepare(photos, out)
    told = manifest(out)
    told["sources"][0]["pictures"][0]["cuts"][0]["file"] = name.format(there=precious)
    (out / MANIFEST).write_text(json.dumps(told))
    assert prepare(photos, out, "--crop", "random:2", "--overwrite") == 2
    assert "is not below the folder" in capsys.readouterr().err
    assert precious.read_text() == "mine"


@pytest.mark.parametrize("plan", [{"moves": {"../precious.txt": "a.png"}}, {"remove": ["../precious.txt"]}])
def test_a_plan_neither(plan: dict[str, Any], photos: Path, out: Path, capsys) -> None:
    precious = out.parent / "precious.txt"
    precious.write_text("mine")
    prepare(photos, out)
    (out / ".toonify-prepare").mkdir()
    whole = {"manifest": manifest(out), "moves": {}, "remove": [], **plan}
    (out / ".toonify-prepare" / "plan.json").write_text(json.dumps(whole))
    assert prepare(photos, out) == 2
    assert "plan.json cannot be understood" in capsys.readouterr().err
    assert precious.read_text() == "mine" and not (out / "a.png").exists()


def test_a_folder_that_is_called_as_a_picture_is_in_nobodys_way(photos: Path, out: Path) -> None:
    shutil.copy(photos / "0.png", photos / "trip.jpg")
    (photos / "trip.PNG").mkdir()
    Image.fromarray(scene(40, 100, 100)).save(photos / "trip.PNG" / "x.jpg", quality=95)
    assert prepare(photos, out, "--hash-distance", 0) == 0
    assert {"trip.PNG_/x.png"} <= set(pictures(out)) and prepare(photos, out, "--hash-distance", 0) == 0


def test_two_runs_into_one_folder_keep_apart(photos: Path, out: Path, capsys) -> None:
    with only_process(out, "busy"):
        assert prepare(photos, out) == 2
    assert "is being prepared by another process" in capsys.readouterr().err and not out.exists()
    assert prepare(photos, out) == 0


# --- runs that end early ---


def run_and_stop(photos: Path, out: Path, monkeypatch, *, after: int, error: type[BaseException]) -> int:
    """A run in which cutting the square number `after` raises `error`."""
    done = 0

    def interrupted(*arguments: Any, **options: Any) -> np.ndarray:
        nonlocal done
        done += 1
        if done > after:
            raise error
        return cut(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr("toonify.prepare.survey.cut", interrupted)
        return prepare(photos, out, "--workers", 1)


def test_ctrl_c_shows_nothing_half_done_and_the_next_run_goes_on(
    photos: Path, out: Path, tmp_path: Path, monkeypatch, capsys
) -> None:
    prepare(photos, tmp_path / "whole")
    capsys.readouterr()
    assert run_and_stop(photos, out, monkeypatch, after=4, error=KeyboardInterrupt) == 130
    assert "interrupted with 3 to go; the same command goes on from here" in capsys.readouterr().err
    assert [path.name for path in out.iterdir()] == [".toonify-prepare"]
    assert prepare(photos, out) == 0
    assert "(4 looked at before)" in capsys.readouterr().err
    assert snapshot(out) == snapshot(tmp_path / "whole")


def test_an_unfinished_run_with_other_options_is_refused_or_replaced(
    photos: Path, out: Path, monkeypatch, capsys
) -> None:
    run_and_stop(photos, out, monkeypatch, after=4, error=KeyboardInterrupt)
    capsys.readouterr()
    assert prepare(photos, out, "--seed", 3) == 2
    assert "was made with --seed 0, not --seed 3" in capsys.readouterr().err
    assert prepare(photos, out, "--seed", 3, "--overwrite") == 0
    assert "7 images: 7 kept\n" in capsys.readouterr().err


def test_an_interrupted_overwrite_keeps_the_old_pictures_and_goes_on(
    photos: Path, out: Path, tmp_path: Path, monkeypatch, capsys
) -> None:
    prepare(photos, out, "--crop", "random:2")
    before = snapshot(out)
    done = iter(range(100))

    def interrupted(*arguments: Any) -> np.ndarray:
        if next(done) == 3:
            raise KeyboardInterrupt
        return cut(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr("toonify.prepare.survey.cut", interrupted)
        assert prepare(photos, out, "--overwrite", "--workers", 1) == 130
    assert before.items() <= snapshot(out).items()
    capsys.readouterr()
    assert prepare(photos, out, "--overwrite") == 0
    assert "(3 looked at before)" in capsys.readouterr().err
    prepare(photos, tmp_path / "whole")
    assert snapshot(out) == snapshot(tmp_path / "whole")


@pytest.mark.parametrize("cut_off", [1, 7, 200])
def test_a_journal_that_was_cut_off_costs_no_more_than_its_end(
    cut_off: int, photos: Path, out: Path, tmp_path: Path, monkeypatch
) -> None:
    run_and_stop(photos, out, monkeypatch, after=5, error=KeyboardInterrupt)
    journal = out / ".toonify-prepare" / "journal.jsonl"
    journal.write_bytes(journal.read_bytes()[:-cut_off])
    assert prepare(photos, out) == 0
    prepare(photos, tmp_path / "whole")
    assert snapshot(out) == snapshot(tmp_path / "whole")


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=60))
def test_a_journal_of_anything_is_no_obstacle(content: bytes, tmp_path: Path) -> None:
    folder = tmp_path / "any"
    shutil.rmtree(folder, ignore_errors=True)
    (folder / ".toonify-prepare").mkdir(parents=True)
    (folder / ".toonify-prepare" / "journal.jsonl").write_bytes(content)
    workspace = open_workspace(folder, Options("photos"))
    assert workspace.entries == [] and workspace.settled == ()


@pytest.mark.parametrize("moved", [0, 3, 7])
def test_a_run_that_died_while_it_moved_its_pictures_is_finished_by_the_next(
    moved: int, photos: Path, out: Path, tmp_path: Path, monkeypatch
) -> None:
    replace = Path.replace
    done = iter(range(100))

    def dies(path: Path, target: Path) -> Path:
        if path.suffix == ".png" and next(done) == moved:
            raise KeyboardInterrupt
        if target.name == MANIFEST:
            raise KeyboardInterrupt
        return replace(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", dies)
        assert prepare(photos, out) == 130
    assert len(pictures(out)) > moved
    assert prepare(photos, out) == 0
    prepare(photos, tmp_path / "whole")
    assert snapshot(out) == snapshot(tmp_path / "whole")


def test_a_full_disk_ends_the_run_in_one_line_and_the_next_goes_on(
    photos: Path, out: Path, tmp_path: Path, monkeypatch, capsys
) -> None:
    write, done = os.write, iter(range(100))

    def full(descriptor: int, data: bytes) -> int:
        if next(done) >= 3:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(descriptor, data)

    with monkeypatch.context() as patch:
        patch.setattr("toonify.system.files.os.write", full)
        assert prepare(photos, out, "--workers", 1) == 3
    said = capsys.readouterr().err
    assert said.startswith("error: OUT cannot be written: no space left on the device; free some")
    assert said.count("\n") == 1
    assert prepare(photos, out) == 0
    assert "looked at before" in capsys.readouterr().err
    prepare(photos, tmp_path / "whole")
    assert snapshot(out) == snapshot(tmp_path / "whole")


def test_what_nobody_thought_of_costs_one_file(photos: Path, out: Path, monkeypatch, capsys) -> None:
    from toonify.images import Photo, opaque

    def fails(photo: Photo) -> np.ndarray:
        if photo.pixels.shape[0] == 160:
            raise ZeroDivisionError("surprise")
        return opaque(photo)

    monkeypatch.setattr("toonify.prepare.survey.opaque", fails)
    assert prepare(photos, out) == 1
    assert "sub/6.jpg: unexpected ZeroDivisionError: surprise; --debug shows where" in capsys.readouterr().err
    assert len(pictures(out)) == 6


# --- videos ---


@pytest.fixture
def film(tmp_path: Path) -> Path:
    """Six shots with bars above and below; black, white and credits in between."""
    height = 96
    shots = [hold(scene(70 + seed, height), 1.5) for seed in range(6)]
    page = credits_page(6, height * 2, 384)[::2, ::2]
    frames = [
        *hold(plain(0, height), 1),
        *(frame for shot in shots[:3] for frame in shot),
        *hold(plain(255, height), 1),
        *(frame for shot in shots[3:] for frame in shot),
        *hold(page, 2),
        *hold(plain(0, height), 1),
    ]
    path = tmp_path / "film.mp4"
    return write_video(path, [boxed(frame, 16) for frame in frames], container={"movflags": "faststart"}, g="12")


def test_a_film_gives_one_frame_of_each_shot_without_bars_or_credits(film: Path, out: Path, capsys) -> None:
    before = film.read_bytes()
    assert prepare(film, out, kind="cartoons") == 0
    assert film.read_bytes() == before
    said = capsys.readouterr().err.splitlines()
    assert said[0].startswith(f"{film}: ") and "inside its bars" in said[0]
    counts = left_out(out)
    assert counts["kept"] == 6 and set(counts) == {"kept", "black", "white", "credits"}
    assert f"{sum(counts.values())} frames of 1 video: 6 kept" in said[1] and "1 with credits" in said[1]
    for number, name in enumerate(pictures(out)):
        with Image.open(out / name) as image:
            expected = cut(scene(70 + number, 96), center_box(96, 192), SIZE)
            assert np.abs(np.asarray(image).astype(int) - expected).mean() < 12
    (source,) = manifest(out)["sources"]
    left, top, right, bottom = source["inside_bars"]
    assert (left, right) == (0, 192) and 16 <= top <= 20 and 108 <= bottom <= 112
    kept = [picture for picture in source["pictures"] if "left_out" not in picture]
    for picture, start in zip(kept, [1, 2.5, 4, 6.5, 8, 9.5], strict=True):
        assert start + 0.25 <= picture["seconds"] <= start + 1.25
        (square,) = picture["cuts"]
        assert square["file"] == f"film_{timestamp(picture['seconds'])}.png"
        assert top <= square["box"][1] < square["box"][3] <= bottom


def test_frames_every_so_many_seconds(film: Path, out: Path) -> None:
    assert prepare(film, out, "--every", 3) == 0
    (source,) = manifest(out)["sources"]
    assert [picture["seconds"] for picture in source["pictures"]] == [0, 3, 6, 9, 12]


def test_frames_of_two_films_that_look_alike_are_kept_once(film: Path, out: Path, tmp_path: Path, capsys) -> None:
    again = write_video(
        tmp_path / "again.mkv", [f for seed in (71, 74, 9) for f in hold(scene(seed, 96), 1.5)], crf="25"
    )
    assert prepare(film, again, out) == 0
    assert left_out(out)["near-duplicate"] == 2 and left_out(out)["kept"] == 7
    assert "frames of 2 videos: 7 kept, 2 near-duplicates" in capsys.readouterr().err


def test_a_film_that_is_damaged_gives_what_is_there_and_is_named(film: Path, photos: Path, out: Path, capsys) -> None:
    film.write_bytes(film.read_bytes()[: film.stat().st_size * 2 // 3])
    assert prepare(film, photos, out) == 1
    said = capsys.readouterr().err
    assert "film.mp4: damaged: " in said
    assert "7 images and " in said and "broken" not in said
    assert len([name for name in pictures(out) if "film_" in name]) >= 2
    capsys.readouterr()
    assert prepare(film, photos, out) == 1
    assert "film.mp4: damaged: " in capsys.readouterr().err


def test_a_folder_may_hold_films_and_what_is_none(film: Path, photos: Path, out: Path, capsys) -> None:
    (photos / "sub" / "none.mkv").write_bytes(b"no film")
    film.rename(photos / "sub" / "film.mp4")
    assert prepare(photos, out) == 1
    said = capsys.readouterr().err
    assert "none.mkv: not a video that can be read" in said and "1 broken" in said
    assert len(pictures(out)) == 7 + 6 and all(name.startswith("sub/") for name in pictures(out) if "film" in name)


@pytest.mark.skipif(sys.platform == "win32", reason="sends a signal to a thread")
def test_ctrl_c_does_not_wait_for_the_end_of_a_film(film: Path, out: Path, monkeypatch) -> None:
    main_thread, endless = threading.main_thread().ident, itertools.count()

    def frames(video: Video) -> Iterator[Frame]:
        (frame,) = itertools.islice(video.key_frames(1), 1)
        for number in endless:
            if number == 20:
                signal.pthread_kill(main_thread, signal.SIGINT)
            yield Frame(0.1, frame._frame, video)

    monkeypatch.setattr(Video, "frames", frames)
    monkeypatch.setattr("toonify.prepare.survey.find_bars", lambda samples: None)
    assert prepare(film, out) == 130
    assert next(endless) > 20


# --- the command line ---


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["drawings", "{photos}", "{out}"], "drawings"),
        (["photos", "{photos}"], "IN"),
        (["photos", "{photos}", "{out}", "--size", "8"], "--size"),
        (["photos", "{photos}", "{out}", "--crop", "random"], "--crop random: give center, or random:N"),
        (["photos", "{photos}", "{out}", "--crop", "random:0"], "--crop random:0"),
        (["photos", "{photos}", "{out}", "--crop", "left"], "--crop left"),
        (["photos", "{photos}", "{out}", "--every", "0"], "--every"),
        (["photos", "{photos}", "{out}", "--hash-distance", "17"], "--hash-distance"),
        (["photos", "{photos}", "{photos}"], "is an input"),
        (["photos", "{photos}/0.png", "{photos}/1.png"], "give a folder"),
        (["photos", "gone", "{out}"], "gone: no such file or folder"),
        (["photos", "{empty}", "{out}"], "no photos in"),
    ],
)
def test_a_command_line_that_cannot_be_right_is_one_line_and_code_2(
    arguments: list[str], named: str, photos: Path, out: Path, tmp_path: Path, capsys
) -> None:
    (tmp_path / "empty").mkdir()
    before = snapshot(photos)
    places = {"photos": photos, "out": out, "empty": tmp_path / "empty"}
    assert main(["prepare", *(argument.format(**places) for argument in arguments)]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and said.startswith("error: ") and named in said
    assert snapshot(photos) == before and not out.exists()


def test_an_output_inside_the_input_is_not_read_again(photos: Path, capsys) -> None:
    assert prepare(photos, photos / "squares") == 0
    assert prepare(photos, photos / "squares") == 0
    assert "7 images: 7 kept (7 looked at before)" in capsys.readouterr().err


def test_what_prepare_makes_smooth_edges_and_others_take(photos: Path, out: Path, tmp_path: Path) -> None:
    prepare(photos, out)
    assert main(["smooth-edges", str(out), str(tmp_path / "smooth"), "--size", str(SIZE)]) == 0
    assert pictures(tmp_path / "smooth") == pictures(out)
    assert read_manifest(out).files == set(pictures(out))


def test_torch_is_not_imported(photos: Path, out: Path) -> None:
    script = (
        "import sys; from toonify.cli import main; code = main(sys.argv[1:]);"
        "heavy = sorted({'torch', 'torchvision', 'onnx', 'onnxruntime'} & set(sys.modules));"
        "sys.exit(f'imported {heavy}' if heavy else code)"
    )
    command = [sys.executable, "-c", script, "prepare", "photos", photos, out, "--size", str(SIZE)]
    done = subprocess.run(command, capture_output=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("seconds", "said"), [(0, "00-00-00-000"), (754.5669, "00-12-34-567"), (3599.9996, "01-00-00-000")]
)
def test_times_in_names(seconds: float, said: str) -> None:
    assert timestamp(seconds) == said
