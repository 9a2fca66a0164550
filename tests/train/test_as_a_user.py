"""Every method of `train` from its command to a picture, as a user goes: train, convert, export, convert."""

from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from PIL import Image
from training import flags, noise_flags, train

from toonify.cli import main
from toonify.methods import METHODS, Arch
from toonify.pixels.arrays import psnr


def _goes_all_the_way(data: Path, folder: Path, *options: str) -> None:
    """Two steps, then a photo of odd sides drawn by the run and by the ONNX file that is exported from it."""
    run, photo = folder / "mine", folder / "odd.png"
    with Image.open(next((data / "photos").iterdir())) as image:
        image.resize((61, 43)).save(photo)
    assert train(*options, "--output", run) == 0
    assert main(["export", str(run), str(folder / "mine.onnx")]) == 0
    for style, name in ((run, "a.png"), (folder / "mine.onnx", "b.png")):
        assert main(["convert", str(photo), "-s", str(style), "-o", str(folder / name)]) == 0
        with Image.open(folder / name) as drawing:
            assert drawing.size == (61, 43)


FROM_PHOTOS = [arch for arch in get_args(Arch) if not METHODS[arch].from_noise and not METHODS[arch].from_pictures]


@pytest.mark.parametrize("arch", FROM_PHOTOS)
def test_every_method_goes_from_its_command_to_a_picture(arch: str, training_data: Path, tmp_path: Path) -> None:
    _goes_all_the_way(training_data, tmp_path, *flags(training_data, arch, epochs=None, init_epochs=None, steps=2))


@pytest.mark.parametrize("arch", [arch for arch in get_args(Arch) if METHODS[arch].from_pictures])
def test_every_method_from_pictures_goes_from_its_command_to_a_picture(
    arch: str, training_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two steps, samples, a resumed run; then a photo in the style of a picture, by the run and by a file of it."""
    monkeypatch.setattr("toonify.checkpoints.hub.cache_folder", lambda: tmp_path / "cache")
    monkeypatch.setattr("toonify.transfer.pictures.cache_folder", lambda: tmp_path / "cache")
    run, photo, picture = tmp_path / "mine", tmp_path / "odd.png", next((training_data / "cartoons").iterdir())
    with Image.open(next((training_data / "photos").iterdir())) as image:
        image.resize((61, 43)).save(photo)
    options = flags(training_data, arch, epochs=None, steps=2, sample_every=1)
    assert train(*options, "--dry-run", "--output", run) == 0 and not run.exists()
    assert train(*options, "--output", run) == 0
    assert f"convert PHOTOS --style PICTURE --style-network {run}" in capsys.readouterr().err
    sheets = [Image.open(path).size for path in sorted((run / "samples").iterdir())]
    assert len(set(sheets)) == 1 and len(sheets) == 3 and sheets[0][1] > 3 * 32  # photo, picture, drawing
    assert train("--resume", "last", "--output", run, "--steps", 3) == 0
    drawn = ["convert", str(photo), "-s", str(picture), "--style-network", str(run)]
    assert main([*drawn, "-o", str(tmp_path / "a.png")]) == 0
    with Image.open(tmp_path / "a.png") as drawing:
        assert drawing.size == (61, 43)
    again = train(*options, "--start-from", run, "--output", tmp_path / "next")
    assert again == 0
    packed = tmp_path / "mine.onnx"
    assert main(["export", str(run), str(packed)]) == 0
    alike = ["convert", str(photo), "-s", str(picture), "--style-network", str(packed), "-o", str(tmp_path / "b.png")]
    assert main(alike) == 0
    with Image.open(tmp_path / "a.png") as one, Image.open(tmp_path / "b.png") as other:
        assert psnr(np.asarray(one), np.asarray(other), peak=255) > 45
    capsys.readouterr()
    for command, said in (
        (["convert", str(photo), "-s", str(run), "-o", "x.png"], "type --style PICTURE --style-network"),
        (["export", str(run), str(tmp_path / "small.onnx"), "--fp16"], "--fp16 is for networks that draw photos"),
        ([*drawn, "--variant", "lite", "-o", "x.png"], "has no variant 'lite'; choose --variant last"),
        (["convert", str(photo), "-s", str(picture), "--style-network", "shinkai"], "does not draw in the styles of"),
        (["convert", str(photo), "-s", "shinkai", "--style-network", str(run)], "are for a --style that is a picture"),
        (["train", *options, "--eval-photos", str(run), "--eval-cartoons", str(run)], "--eval-photos is not for adain"),
    ):
        assert main(command) == 2
        assert said in " ".join(capsys.readouterr().err.split())
    assert main(["styles", "show", str(run)]) == 0
    assert "convert PHOTO --style PICTURE --style-network" in capsys.readouterr().out


def test_pix2pix_goes_all_the_way_at_its_own_depth(training_data: Path, tmp_path: Path) -> None:
    few = {"epochs": None, "steps": 2, "depth": 8, "size": 256}
    _goes_all_the_way(training_data, tmp_path, *flags(training_data, "pix2pix", **few))


@pytest.mark.parametrize("arch", [arch for arch in get_args(Arch) if METHODS[arch].from_noise])
def test_every_method_from_noise_goes_from_its_command_to_pictures(
    arch: str, training_data: Path, tmp_path: Path
) -> None:
    run = tmp_path / "mine"
    whole = {"grow_epochs": 0} if arch == "progan" else {}  # or it would have 4 pixels so far
    assert train(*noise_flags(training_data, arch, **whole), "--output", run) == 0
    assert main(["generate", str(run), "--number", "2", "--seed", "7", "-o", str(tmp_path / "out")]) == 0
    for seed in (7, 8):
        with Image.open(tmp_path / "out" / f"seed{seed}.png") as picture:
            assert picture.size == (32, 32)
    assert main(["export", str(run), str(tmp_path / "mine.onnx")]) == 0
