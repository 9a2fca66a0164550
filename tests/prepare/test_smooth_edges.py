"""`toonify smooth-edges` as a user meets it: folders in, folders out, nothing lost."""

import errno
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from files import snapshot
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from toonify.cli import main
from toonify.pixels.crops import center_box, cut
from toonify.pixels.edges import smooth_edges


def smooth(*arguments: Any) -> int:
    return main(["smooth-edges", *map(str, arguments)])


@pytest.fixture
def anime(tmp_path: Path, noise: np.ndarray) -> Path:
    folder = tmp_path / "anime"
    (folder / "sub").mkdir(parents=True)
    Image.fromarray(noise).resize((400, 300)).save(folder / "a.jpg")
    Image.fromarray(noise[::-1]).resize((300, 400)).save(folder / "b.png")
    Image.fromarray(noise[:, ::-1]).resize((256, 256)).save(folder / "sub" / "c.webp")
    return folder


def test_a_folder_is_mirrored_as_png_at_training_size(anime: Path, tmp_path: Path) -> None:
    before = snapshot(anime)
    assert smooth(anime, tmp_path / "out") == 0
    assert snapshot(anime) == before
    assert sorted(snapshot(tmp_path / "out")) == ["a.png", "b.png", "sub/c.png"]
    for name in ("a.jpg", "b.png"):
        with Image.open(anime / name) as image:
            pixels = np.asarray(image.convert("RGB"))
        with Image.open((tmp_path / "out" / name).with_suffix(".png")) as image:
            assert image.format == "PNG" and image.mode == "RGB"
            assert np.array_equal(image, smooth_edges(cut(pixels, center_box(*pixels.shape[:2]), 256)))


def test_the_whole_cartoon_can_be_smoothed_at_its_own_size(anime: Path, tmp_path: Path) -> None:
    assert smooth(anime / "b.png", tmp_path / "out", "--size", "full", "--kernel", 7, "--canny", "10, 20") == 0
    with Image.open(anime / "b.png") as image, Image.open(tmp_path / "out" / "b.png") as smoothed:
        assert np.array_equal(smoothed, smooth_edges(np.asarray(image), kernel=7, canny=(10, 20)))


def test_a_second_run_does_nothing_and_other_options_replace_nothing(anime: Path, tmp_path: Path, capsys) -> None:
    out = tmp_path / "out"
    smooth(anime, out)
    before = snapshot(out)
    capsys.readouterr()
    assert smooth(anime, out) == 0
    assert "0 smoothed, 3 skipped" in capsys.readouterr().err
    for option in (["--kernel", 7], ["--canny", "50,100"], ["--size", "full"], ["--size", 128]):
        assert smooth(anime, out, *option) == 0
        assert "0 smoothed, 3 kept" in capsys.readouterr().err
    assert snapshot(out) == before
    (out / "a.png").unlink()
    assert smooth(anime, out) == 0 and snapshot(out) == before
    assert smooth(anime, out, "--kernel", 7, "--overwrite") == 0
    after = snapshot(out)
    assert all(before[name] != after[name] for name in before)


def test_a_changed_cartoon_is_noticed_whatever_its_date(anime: Path, tmp_path: Path, capsys) -> None:
    smooth(anime, tmp_path / "out")
    dates = (anime / "b.png").stat()
    (anime / "b.png").write_bytes((anime / "sub" / "c.webp").read_bytes())
    os.utime(anime / "b.png", ns=(dates.st_atime_ns, dates.st_mtime_ns))
    capsys.readouterr()
    assert smooth(anime, tmp_path / "out") == 0
    assert "2 skipped, 1 kept" in capsys.readouterr().err


def test_bad_files_never_stop_a_batch(anime: Path, tmp_path: Path, capsys) -> None:
    (anime / "empty.jpg").write_bytes(b"")
    (anime / "text.png").write_bytes(b"no picture")
    (anime / "cut.jpg").write_bytes((anime / "a.jpg").read_bytes()[:900])
    os.mkfifo(anime / "pipe.png")
    with Image.open(anime / "a.jpg") as image:
        image.convert("CMYK").save(anime / "cmyk.jpg")
        image.convert("L").save(anime / "gray.tif")
    Image.new("RGB", (1, 1)).save(anime / "dot.png")
    assert smooth(anime, tmp_path / "out") == 1
    said = capsys.readouterr().err
    assert "6 smoothed, 4 failed" in said and "Traceback" not in said
    assert all(f"{name}: " in said for name in ("empty.jpg", "text.png", "cut.jpg", "pipe.png"))
    assert f"dot.png -> {tmp_path}/out/dot.png (enlarged from 1 x 1)" in said
    for path in (tmp_path / "out").rglob("*.png"):
        with Image.open(path) as image:
            assert image.size == (256, 256)


def test_transparency_is_laid_on_white(anime: Path, tmp_path: Path, capsys) -> None:
    Image.new("RGBA", (300, 300), (0, 0, 0, 0)).save(anime / "clear.png")
    smooth(anime, tmp_path / "out")
    assert "its transparency was laid on white" in capsys.readouterr().err
    with Image.open(tmp_path / "out" / "clear.png") as image:
        assert image.getextrema() == ((255, 255),) * 3


def test_files_of_one_name_get_different_ones(anime: Path, tmp_path: Path) -> None:
    Image.new("RGB", (300, 300)).save(anime / "a.bmp")
    assert smooth(anime, tmp_path / "out") == 0
    assert len(snapshot(tmp_path / "out")) == 4


def test_an_output_inside_the_input_is_not_read_again(anime: Path, capsys) -> None:
    assert smooth(anime, anime / "smooth") == 0
    assert smooth(anime, anime / "smooth") == 0
    assert "0 smoothed, 3 skipped" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["{anime}", "{out}", "--kernel", "4"], "--kernel 4: give an odd number from 3 to 31"),
        (["{anime}", "{out}", "--kernel", "big"], "--kernel"),
        (["{anime}", "{out}", "--canny", "200,100"], "--canny 200,100"),
        (["{anime}", "{out}", "--canny", "100"], "--canny 100: give two whole numbers"),
        (["{anime}", "{out}", "--canny", "-1,5"], "--canny -1,5"),
        (["{anime}", "{out}", "--size", "0"], "--size 0: give a side of 16 to 8192 pixels, or full"),
        (["{anime}", "{out}", "--size", "huge"], "--size huge"),
        (["{anime}", "{out}", "--workers", "0"], "--workers"),
        (["{anime}"], "OUT"),
        (["{anime}", "{anime}"], "is an input"),
        (["{anime}/a.jpg", "{anime}/b.png"], "give a folder"),
        (["{anime}", "{out}/new.png"], "give a folder"),
        (["{out}/gone", "{out}/x"], "no such file or folder"),
        (["{empty}", "{out}"], "no photos in"),
    ],
)
def test_a_command_line_that_cannot_be_right_is_one_line_and_code_2(
    arguments: list[str], named: str, anime: Path, tmp_path: Path, capsys
) -> None:
    (tmp_path / "empty").mkdir()
    before = snapshot(anime)
    places = {"anime": anime, "out": tmp_path / "out", "empty": tmp_path / "empty"}
    assert smooth(*(argument.format(**places) for argument in arguments)) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and said.startswith("error: ") and named in said
    assert snapshot(anime) == before and not (tmp_path / "out").exists()


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(canny=st.text(max_size=8), size=st.text(alphabet="0123456789-full", max_size=5))
def test_whatever_is_typed_is_understood_or_refused(canny: str, size: str, tmp_path: Path) -> None:
    assert smooth(tmp_path / "gone", tmp_path / "out", f"--canny={canny}", f"--size={size}") == 2


def test_a_full_disk_is_named_and_leaves_nothing_behind(anime: Path, tmp_path: Path, monkeypatch, capsys) -> None:
    def full(*_: Any) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("toonify.system.files.os.write", full)
    assert smooth(anime, tmp_path / "out") == 3
    summary, error = capsys.readouterr().err.splitlines()
    assert summary.startswith("0 smoothed, ended with 3 to go in ") and summary.endswith("goes on from here")
    assert error.startswith("error: ") and "no space left on the device; free some" in error
    monkeypatch.undo()
    assert snapshot(tmp_path / "out") == {}
    assert smooth(anime, tmp_path / "out") == 0


def test_ctrl_c_leaves_whole_pictures_and_the_rerun_the_rest(
    anime: Path, tmp_path: Path, noise: np.ndarray, monkeypatch, capsys
) -> None:
    from toonify.prepare import smooth_edges as module

    for number in range(20):
        Image.fromarray(np.roll(noise, number, 1)).resize((300, 260)).save(anime / f"{number:02}.png")
    done = 0

    def interrupted(*arguments: Any, **options: Any) -> np.ndarray:
        nonlocal done
        done += 1
        if done == 6:
            raise KeyboardInterrupt
        return smooth_edges(*arguments, **options)

    monkeypatch.setattr(module, "smooth_edges", interrupted)
    assert smooth(anime, tmp_path / "out") == 130
    assert "the same command goes on from here" in capsys.readouterr().err
    left = snapshot(tmp_path / "out")
    assert 1 <= len(left) < 23 and not [name for name in left if ".toonify" in name]
    monkeypatch.undo()
    assert smooth(anime, tmp_path / "out") == 0
    after = snapshot(tmp_path / "out")
    assert len(after) == 23 and left.items() <= after.items()


def test_any_number_of_workers_makes_the_same(anime: Path, tmp_path: Path) -> None:
    for workers in (1, 7):
        assert smooth(anime, tmp_path / str(workers), "--workers", workers, "--quiet") == 0
    assert snapshot(tmp_path / "1") == snapshot(tmp_path / "7")


def test_neither_torch_nor_onnx_is_imported(anime: Path, tmp_path: Path) -> None:
    script = (
        "import sys; from toonify.cli import main; code = main(sys.argv[1:]);"
        "heavy = sorted({'torch', 'torchvision', 'onnx', 'onnxruntime', 'av'} & set(sys.modules));"
        "sys.exit(f'imported {heavy}' if heavy else code)"
    )
    command = [sys.executable, "-c", script, "smooth-edges", anime, tmp_path / "out"]
    done = subprocess.run(command, capture_output=True)
    assert done.returncode == 0, done.stderr
