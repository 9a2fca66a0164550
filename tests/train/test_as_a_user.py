"""Every method of `train` from its command to a picture, as a user goes: train, convert, export, convert."""

from pathlib import Path
from typing import get_args

import pytest
from PIL import Image
from training import flags, noise_flags, train

from toonify.cli import main
from toonify.methods import METHODS, Arch


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


@pytest.mark.parametrize("arch", [arch for arch in get_args(Arch) if not METHODS[arch].from_noise])
def test_every_method_goes_from_its_command_to_a_picture(arch: str, training_data: Path, tmp_path: Path) -> None:
    _goes_all_the_way(training_data, tmp_path, *flags(training_data, arch, epochs=None, init_epochs=None, steps=2))


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
