"""Folders to folders through the command line's own parts, with a network that draws in milliseconds."""

import errno
import gc
import io
import json
import os
import subprocess
import sys
import threading
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from files import snapshot
from PIL import Image

from toonify import load_style
from toonify.cli import main
from toonify.cli.progress import Progress
from toonify.convert.local import Outcome, SaveOptions, _PhotoMemory, draw_stream
from toonify.errors import ImageError
from toonify.images import encode_picture
from toonify.jobs.plan import Job
from toonify.system.pipeline import run_stages

HOSTILE = {
    "empty.jpg": b"",
    "text.jpg": b"this is not a photo",
    "noise.png": bytes(range(256)) * 4,
}


@pytest.fixture
def photos(tmp_path: Path, noise: np.ndarray) -> Path:
    folder = tmp_path / "photos"
    (folder / "sub").mkdir(parents=True)
    Image.fromarray(noise).save(folder / "a.jpg", quality=95)
    Image.fromarray(noise[::-1]).save(folder / "b.png")
    Image.fromarray(noise[:, ::-1]).save(folder / "sub" / "c.webp")
    return folder


@pytest.fixture
def convert(tiny_onnx: Path, monkeypatch: pytest.MonkeyPatch):
    def run(*arguments: Any) -> int:
        return main(["convert", *map(str, arguments), "--style", str(tiny_onnx)])

    return run


def test_a_folder_is_mirrored_and_left_alone(photos: Path, convert) -> None:
    before = snapshot(photos)
    assert convert(photos) == 0
    assert snapshot(photos) == before
    drawn = photos.with_name("photos_tiny")
    assert sorted(snapshot(drawn)) == ["a.jpg", "b.png", "sub/c.webp"]
    for name in before:
        with Image.open(photos / name) as photo, Image.open(drawn / name) as drawing:
            assert drawing.size == photo.size and drawing.format == photo.format


def test_a_second_run_does_nothing_and_a_third_finishes(photos: Path, convert, capsys) -> None:
    convert(photos)
    drawn = photos.with_name("photos_tiny")
    before = snapshot(drawn)
    stamps = [path.stat().st_mtime_ns for path in sorted(drawn.rglob("*"))]
    capsys.readouterr()
    assert convert(photos) == 0
    assert "0 drawn, 3 skipped" in capsys.readouterr().err
    assert stamps == [path.stat().st_mtime_ns for path in sorted(drawn.rglob("*"))]
    (drawn / "b.png").unlink()
    assert convert(photos) == 0
    assert snapshot(drawn) == before


def test_what_was_made_otherwise_is_kept_and_reported(photos: Path, convert, capsys) -> None:
    convert(photos)
    drawn = photos.with_name("photos_tiny")
    before = snapshot(drawn)
    (photos / "a.jpg").write_bytes((photos / "sub" / "c.webp").read_bytes())
    assert convert(photos) == 0
    assert "kept: " in (said := capsys.readouterr().err) and "1 kept" in said and "--overwrite" in said
    assert convert(photos, "--saturation", 0) == 0
    assert snapshot(drawn) == before
    assert convert(photos, "--saturation", 0, "--overwrite") == 0
    after = snapshot(drawn)
    assert all(before[name] != after[name] for name in before)


def test_bad_files_never_stop_a_batch(photos: Path, convert, capsys, tmp_path: Path) -> None:
    for name, content in HOSTILE.items():
        (photos / name).write_bytes(content)
    (photos / "cut.jpg").write_bytes((photos / "a.jpg").read_bytes()[:700])
    (photos / "loop.jpg").symlink_to("loop.jpg")
    (photos / "sub" / "loop").symlink_to(photos)
    os.mkfifo(photos / "pipe.png")
    odd = os.fsdecode(b"caf\xe9.png")
    Image.new("RGB", (9, 9)).save(photos / odd)
    Image.new("L", (60_000, 1)).save(photos / "thin.png")
    report = tmp_path / "report.json"
    assert convert(photos, "--report", report) == 1
    said = capsys.readouterr().err
    records = {Path(record["input"]).name: record for record in json.loads(report.read_text())["files"]}
    failed = {name for name, record in records.items() if record["outcome"] == "failed"}
    assert failed == {*HOSTILE, "cut.jpg", "loop.jpg", "pipe.png"}
    assert all(records[name]["reason"] and f"{name}: " in said for name in failed)
    assert f"5 drawn, {len(failed)} failed" in said and "Traceback" not in said
    drawn = photos.with_name("photos_tiny")
    assert (drawn / odd).exists()
    with Image.open(drawn / "thin.png") as drawing:
        assert drawing.size == (60_000, 1)


def test_the_report_has_a_record_for_each_file(photos: Path, convert, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    convert(photos, "--report", report)
    content = json.loads(report.read_text())
    assert content["provider"] == "CPUExecutionProvider"
    record = content["files"][0]
    assert record["input"].endswith("photos/a.jpg") and record["output"].endswith("photos_tiny/a.jpg")
    assert (record["width"], record["height"], record["outcome"]) == (64, 48, "drawn")
    assert 0 < record["network_seconds"] <= record["seconds"]
    assert convert(photos, "--report", report) == 0
    assert {r["outcome"] for r in json.loads(report.read_text())["files"]} == {"skipped"}


def test_a_report_replaces_nothing_but_a_report(photos: Path, convert) -> None:
    before = snapshot(photos)
    assert convert(photos, "--report", photos / "a.jpg") == 2
    assert snapshot(photos) == before


def test_formats_that_meet_on_one_name_get_different_ones(photos: Path, convert) -> None:
    Image.new("RGB", (8, 8)).save(photos / "a.png")
    assert convert(photos, "--format", "jpg") == 0
    assert sorted(snapshot(photos.with_name("photos_tiny"))) == ["a.jpg", "a_png.jpg", "b.jpg", "sub/c.jpg"]


@pytest.mark.parametrize("format", ["jpg", "png", "webp", "avif", "tiff"])
def test_every_format_is_written(format: str, photos: Path, convert, tmp_path: Path) -> None:  # noqa: A002
    assert convert(photos / "a.jpg", "--format", format, "--output", tmp_path / "out") == 0
    (path,) = (tmp_path / "out").iterdir()
    with Image.open(path) as drawing:
        assert drawing.format == {"jpg": "JPEG"}.get(format, format.upper())


def test_a_file_lands_beside_itself_under_a_new_name(photos: Path, convert) -> None:
    before = (photos / "a.jpg").read_bytes()
    assert convert(photos / "a.jpg") == 0
    assert (photos / "a_tiny.jpg").exists() and (photos / "a.jpg").read_bytes() == before


def test_an_output_that_is_the_input_folder_harms_nothing(photos: Path, convert, capsys) -> None:
    before = snapshot(photos)
    assert convert(photos, "--output", photos, "--overwrite") == 0
    after = snapshot(photos)
    assert before.items() <= after.items()
    assert sorted(after) == sorted([*before, "a_tiny.jpg", "b_tiny.png", "sub/c_tiny.webp"])
    assert convert(photos, "--output", photos) == 0
    assert snapshot(photos) == after and "3 skipped" in capsys.readouterr().err


def test_a_dry_run_touches_nothing(photos: Path, convert, capsys, tmp_path: Path) -> None:
    before = snapshot(tmp_path)
    assert convert(photos, "--dry-run") == 0
    said = capsys.readouterr().out
    assert said.count("would draw") == 3 and "photos_tiny" in said
    assert snapshot(tmp_path) == before and not photos.with_name("photos_tiny").exists()


def test_a_dry_run_fails_with_what_it_names(photos: Path, convert, capsys) -> None:
    (photos / "gone.jpg").symlink_to(photos / "nowhere.jpg")
    assert convert(photos, "--dry-run") == 1
    said = capsys.readouterr().out
    assert said.count("would draw") == 3 and said.count("failed (cannot be opened: No such file or directory)") == 1


def test_a_link_to_the_photos_does_not_make_them_outputs(photos: Path, convert, tmp_path: Path) -> None:
    before = snapshot(photos)
    (tmp_path / "link").symlink_to(photos)
    assert convert(tmp_path / "link", "--output", photos, "--overwrite") == 0
    (tmp_path / "link.jpg").symlink_to(photos / "a.jpg")
    assert convert(tmp_path / "link.jpg", "--output", photos / "a.jpg", "--overwrite") == 2
    assert before.items() <= snapshot(photos).items()


def test_other_weights_are_another_style(photos: Path, tiny_run: Path, tiny_onnx: Path, tmp_path: Path) -> None:
    import onnx

    style = tmp_path / "s.onnx"
    style.write_bytes(tiny_onnx.read_bytes())
    arguments = ["convert", str(photos / "a.jpg"), "--style", str(style), "--report", str(tmp_path / "r.json")]

    def outcome() -> str:
        assert main(arguments) == 0
        return json.loads((tmp_path / "r.json").read_text())["files"][0]["outcome"]

    assert [outcome(), outcome()] == ["drawn", "skipped"]
    moved = style.rename(tmp_path / "t.onnx")
    arguments[3] = str(moved)
    assert outcome() == "skipped"
    model = onnx.load(moved)
    model.graph.initializer[0].raw_data = bytes(len(model.graph.initializer[0].raw_data))
    onnx.save(model, moved)
    assert outcome() == "kept"


def test_a_pipe_in_the_place_of_an_output_does_not_hang(photos: Path, convert, capsys) -> None:
    drawn = photos.with_name("photos_tiny")
    drawn.mkdir()
    os.mkfifo(drawn / "a.jpg")
    os.mkfifo(photos / "b_x.png")
    assert convert(photos) == 1
    assert "2 drawn, 1 kept, 1 failed" in capsys.readouterr().err


@pytest.mark.parametrize("place", ["gone/r.json", "photos", "a_list.json"])
def test_a_report_that_cannot_be_written_is_said_before_the_work(
    place: str, photos: Path, convert, tmp_path: Path
) -> None:
    (tmp_path / "a_list.json").write_text('["toonify", "files"]')
    assert convert(photos, "--report", tmp_path / place) == 2
    assert not photos.with_name("photos_tiny").exists()
    assert (tmp_path / "a_list.json").read_text() == '["toonify", "files"]'


def test_names_come_through(photos: Path, convert, tmp_path: Path, capsys) -> None:
    names = ["夜\u3000空.png", "Shot\u202fPM.png", "[red]x.png", "t_12:100:30.png", "tab\there.png"]
    for name in names:
        Image.new("RGB", (9, 9)).save(photos / "sub" / name)
    assert convert(photos / "sub", "--report", tmp_path / "r.json") == 0
    said = capsys.readouterr().err
    assert all(name in said for name in names[:4]) and "tab?here.png" in said
    files = json.loads((tmp_path / "r.json").read_text())["files"]
    assert {Path(record["input"]).name for record in files} == {*names, "c.webp"}


def test_what_is_lost_is_said(photos: Path, convert, capsys) -> None:
    Image.new("RGBA", (9, 9), (255, 0, 0, 100)).save(photos / "clear.png")
    frames = [Image.new("RGB", (9, 9), color) for color in ("red", "green", "blue")]
    frames[0].save(photos / "moving.gif", save_all=True, append_images=frames[1:])
    assert convert(photos, "--format", "jpg", "--first-frame") == 0
    said = capsys.readouterr().err
    assert "its transparency was laid on white" in said and "first of 3 frames" in said


def test_a_name_that_is_too_long_does_not_end_a_dry_run(photos: Path, convert, capsys) -> None:
    long = photos / ("x" * 251 + ".jpg")
    long.write_bytes((photos / "a.jpg").read_bytes())
    assert convert(photos / "a.jpg", long, "--dry-run") == 0
    said = capsys.readouterr().out
    assert said.count("would draw") == 2 and said.count("\n") == 2


def test_memory_is_counted_at_the_larger_of_photo_and_result(tiny_onnx: Path) -> None:
    style = load_style(str(tiny_onnx), output_size=640)
    assert style.sizes(75, 100) == ((48, 64), (480, 640))
    assert load_style(str(tiny_onnx), output_size="drawn").sizes(100, 75) == ((64, 48), (64, 48))
    assert load_style(str(tiny_onnx)).sizes(30, 40) == ((30, 40), (30, 40))
    memory = _PhotoMemory(10**9, style)
    job = Job(Path("a.png"), Path("b.png"), "png")
    memory.take(job, io.BytesIO(encode_picture(np.zeros((75, 100, 3), np.uint8), format="png")))
    assert memory._taken[job] == 12 * 480 * 640


def test_a_dry_run_tells_what_would_be_replaced(photos: Path, convert, capsys) -> None:
    convert(photos / "a.jpg")
    capsys.readouterr()
    assert convert(photos / "a.jpg", "--dry-run", "--overwrite") == 0
    assert "would replace" in capsys.readouterr().out


def test_quiet_prints_nothing_but_errors(photos: Path, convert, capsys) -> None:
    assert convert(photos, "--quiet") == 0
    assert capsys.readouterr() == ("", "")
    (photos / "bad.jpg").write_bytes(b"")
    assert convert(photos, "--quiet") == 1
    assert "bad.jpg" in capsys.readouterr().err


def test_metadata_is_kept_or_stripped(photos: Path, convert, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "Maker", 6
    with Image.open(photos / "a.jpg") as image:
        image.save(photos / "turned.jpg", exif=exif)
    convert(photos / "turned.jpg", "-o", tmp_path / "kept.jpg")
    convert(photos / "turned.jpg", "-o", tmp_path / "bare.jpg", "--strip-metadata")
    with Image.open(tmp_path / "kept.jpg") as kept, Image.open(tmp_path / "bare.jpg") as bare:
        assert kept.size == (48, 64) and kept.getexif()[0x010F] == "Maker" and kept.getexif()[0x0112] == 1
        assert set(bare.getexif()) == set() and b"toonify:ProcessingSoftware" in bare.info["xmp"]


def test_a_bomb_is_refused_and_the_flag_raises_the_limit(photos: Path, convert, capsys, tmp_path: Path) -> None:
    assert convert(photos / "a.jpg", "--max-megapixels", 0.002) == 1
    assert "--max-megapixels 1" in capsys.readouterr().err
    assert convert(photos / "a.jpg", "--max-megapixels", 1) == 0


def test_ctrl_c_leaves_whole_pictures_and_the_rerun_the_rest(
    photos: Path, tiny_onnx: Path, noise: np.ndarray, convert
) -> None:
    from toonify.convert.local import SaveOptions
    from toonify.convert.local import convert as run
    from toonify.drawing import load_style
    from toonify.jobs.find import find_photos
    from toonify.jobs.plan import plan_jobs

    for i in range(20):
        Image.fromarray(np.roll(noise, i, axis=1)).save(photos / f"{i:02}.png")
    jobs = plan_jobs(find_photos([photos]), output=None, style="tiny")
    threads = threading.active_count()
    outcomes = run(jobs, load_style(str(tiny_onnx)), SaveOptions())
    next(outcomes)
    with pytest.raises(KeyboardInterrupt):
        outcomes.throw(KeyboardInterrupt)
    assert threading.active_count() == threads
    drawn = photos.with_name("photos_tiny")
    done = snapshot(drawn)
    assert 1 <= len(done) < 23 and not [name for name in done if ".toonify-" in name]
    for path in (path for path in drawn.rglob("*") if path.is_file()):
        with Image.open(path) as image:
            image.load()
    assert convert(photos) == 0
    assert len(snapshot(drawn)) == 23


def test_memory_does_not_grow_with_the_number_of_photos(photos: Path, tiny_onnx: Path, tmp_path: Path) -> None:
    from toonify.convert.local import SaveOptions
    from toonify.convert.local import convert as run
    from toonify.drawing import load_style
    from toonify.jobs.find import find_photos
    from toonify.jobs.plan import plan_jobs

    early, late = 50, 250
    for i in range(late):
        os.link(photos / "a.jpg", photos / "sub" / f"{i:03}.jpg")
    jobs = plan_jobs(find_photos([photos / "sub"]), output=tmp_path / "out", style="tiny")
    outcomes, held = [], {}
    tracemalloc.start()
    try:
        for outcome in run(jobs, load_style(str(tiny_onnx)), SaveOptions()):
            outcomes.append(outcome)  # as the command does for its summary
            if len(outcomes) in (early, late):
                gc.collect()
                held[len(outcomes)] = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    one_photo = 48 * 64 * 3  # bytes; an array that is kept of each would be as large or larger
    assert held[late] - held[early] < (late - early) * one_photo / 3


def test_a_large_photo_for_a_small_drawing_is_told_at_its_own_size(tiny_onnx: Path, tmp_path: Path) -> None:
    from toonify.convert.local import SaveOptions, convert
    from toonify.drawing import load_style
    from toonify.jobs.find import find_photos
    from toonify.jobs.plan import plan_jobs

    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (10, 16, 3), dtype=np.uint8)).resize((960, 600))
    image.save(tmp_path / "large.jpg", quality=95)
    jobs = plan_jobs(find_photos([tmp_path / "large.jpg"]), output=tmp_path / "out", style="tiny")
    style = load_style(str(tiny_onnx), device="cpu", output_size="drawn")
    (outcome,) = convert(jobs, style, SaveOptions())
    assert (outcome.width, outcome.height) == (960, 600)
    drawn = np.asarray(Image.open(outcome.target), int)
    assert drawn.shape == (40, 64, 3)
    assert (
        np.abs(drawn - style(np.asarray(Image.open(tmp_path / "large.jpg")))).mean() < 10
    )  # of 255: the network is of random weights, which magnify a little


def test_photos_wait_for_memory_and_all_are_drawn(
    tiny_onnx: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from toonify.convert.local import SaveOptions, convert
    from toonify.drawing import load_style
    from toonify.jobs.find import find_photos
    from toonify.jobs.plan import plan_jobs

    monkeypatch.setattr("toonify.convert.local.available_memory", lambda: 1)  # then each goes alone
    monkeypatch.setattr("toonify.convert.local.network_threads", lambda: 16)
    for number in range(12):
        Image.new("RGB", (40 + number, 30)).save(tmp_path / f"{number:02}.jpg")
    (tmp_path / "05.jpg").write_bytes(b"no picture")
    jobs = plan_jobs(find_photos([tmp_path]), output=tmp_path / "out", style="tiny")
    outcomes = list(convert(jobs, load_style(str(tiny_onnx), device="cpu"), SaveOptions()))
    assert [outcome.source.name for outcome in outcomes] == [f"{number:02}.jpg" for number in range(12)]
    assert [outcome.result for outcome in outcomes] == ["drawn"] * 5 + ["failed"] + ["drawn"] * 6


def test_a_stream_without_memory_says_so(photos: Path, tiny_onnx: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    style = load_style(str(tiny_onnx))

    def draw(sketch: object) -> None:
        raise MemoryError("bad allocation")

    monkeypatch.setattr(style, "draw", draw)
    with pytest.raises(ImageError, match="not enough memory; make it smaller with --size"):
        draw_stream(io.BytesIO((photos / "a.jpg").read_bytes()), style, SaveOptions(), "same")


def test_a_full_disk_ends_the_run_and_the_same_command_goes_on(
    photos: Path, convert, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    real, left = os.write, [1]

    def write(descriptor: int, data: bytes) -> int:
        if not left[0]:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        left[0] -= 1
        return real(descriptor, data)

    out, report = tmp_path / "out", tmp_path / "report.json"
    monkeypatch.setattr("toonify.system.files.os.write", write)
    assert convert(photos, "--output", out, "--quiet") == 3
    assert len(snapshot(out)) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1
    assert str(out) in error and "no space left on the device; free some, then run the same command again" in error
    monkeypatch.undo()
    assert convert(photos, "--output", out, "--report", report) == 0
    outcomes = sorted(record["outcome"] for record in json.loads(report.read_text())["files"])
    assert outcomes == ["drawn", "drawn", "skipped"]


@pytest.mark.parametrize("overwrite", [[], ["--overwrite"]])
def test_a_folder_in_the_place_of_a_picture_is_named(
    overwrite: list[str], photos: Path, convert, tmp_path: Path, capsys
) -> None:
    (tmp_path / "out" / "a.jpg").mkdir(parents=True)
    assert convert(photos, "--output", tmp_path / "out", *overwrite) == 1
    said = capsys.readouterr().err
    assert "2 drawn, 1 failed" in said and "a.jpg: a folder is in the place of its picture" in said
    assert not list((tmp_path / "out" / "a.jpg").iterdir())


@pytest.mark.parametrize("backend", ["onnx", "openvino"])
def test_nothing_is_kept_of_the_machine_and_nothing_sent(
    backend: str, photos: Path, tiny_onnx: Path, tmp_path: Path
) -> None:
    """Engines would keep a number for the machine in the user's folder, and a queue of what they send."""
    if backend == "openvino":
        pytest.importorskip("openvino", reason="needs OpenVINO: pip install -e '.[dev]'")
    home, temporary = tmp_path / "home", tmp_path / "temporary"
    home.mkdir()
    temporary.mkdir()
    keep = {key: value for key, value in os.environ.items() if not key.startswith(("ORT_", "XDG_", "HF_"))}
    command = [sys.executable, "-m", "toonify", "convert", str(photos), "--style", str(tiny_onnx)]
    command += ["--device", "cpu", "--backend", backend]
    subprocess.run(command, env={**keep, "HOME": str(home), "TMPDIR": str(temporary)}, check=True, capture_output=True)
    assert snapshot(home) == {} and snapshot(temporary) == {}


def test_a_batch_is_closed_wherever_ctrl_c_comes() -> None:
    """Also while its last outcome is shown, when nothing of the batch is running: its threads would wait for ever."""

    class Interrupted(Progress):
        def show(self, outcome: Outcome) -> None:
            raise KeyboardInterrupt

    job = Job(Path("a.png"), Path("b.png"), "png")
    before = threading.active_count()
    progress = Interrupted(9, quiet=True, debug=False)
    outcomes = progress.follow(run_stages(range(9), [lambda _: Outcome(job.source, job.target, "drawn")]))
    assert threading.active_count() == before
    assert len(outcomes) == 1 and progress.exit_code() == 130
