"""The small generators that ship: what they draw, that they need nothing but their file, and what their cards say."""

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import numpy as np
import pytest
from PIL import Image
from samples import DRAWN, PHOTOS

from toonify import load_style
from toonify.graphs.format import CARD_KEY, read_onnx_metadata
from toonify.networks.load import load_module
from toonify.networks.verify import verify_weights
from toonify.pixels.arrays import psnr
from toonify.pixels.resize import resize
from toonify.styles.card import FileWeights
from toonify.styles.find import parse_card, shipped_folder, shipped_styles

PHOTO_OF = {"shinkai": "colosseum", "hayao": "casa-mila", "hosoda": "singapore", "paprika": "periwinkle"}


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def middle(picture: np.ndarray, side: int = 256) -> np.ndarray:
    top, left = ((length - side) // 2 for length in picture.shape[:2])
    return picture[top : top + side, left : left + side]


@pytest.mark.parametrize("name", PHOTO_OF)
def test_a_student_draws_much_nearer_to_its_teacher_than_the_photo_is(name: str) -> None:
    photo, wanted = pixels(PHOTOS / f"{PHOTO_OF[name]}.jpg"), pixels(DRAWN / f"{name}.jpg")
    drawn = load_style(name, variant="lite", device="cpu", look="soft", output_size="drawn")(photo)
    small = resize(photo, drawn.shape[:2])
    assert psnr(middle(drawn), wanted, peak=255) > psnr(middle(small), wanted, peak=255) + 1.5


@pytest.mark.parametrize("name", PHOTO_OF)
def test_a_students_card_is_in_its_file_and_says_how_it_came_about(name: str) -> None:
    style = shipped_styles()[name]
    lite = style.card.variants["lite"]
    assert isinstance(lite.weights, FileWeights) and lite.weights.is_onnx
    path = style.folder / lite.weights.file
    assert path.stat().st_size <= 4_000_000
    assert verify_weights(style.variant("lite")) == "the network opens and draws, in 8-bit integers, too"
    inside = parse_card(read_onnx_metadata(path)[CARD_KEY], str(path))
    assert msgspec.structs.replace(inside.variants["lite"], weights=lite.weights, int8=lite.int8) == lite
    training = lite.training
    assert training is not None
    assert (training.method, training.teacher) == ("distill", f"{name} (original)")
    assert training.pictures["photos"] > 0 and training.steps > 0 and training.hours > 0
    assert training.scores["psnr"] > training.scores["psnr_photo"]
    assert training.scores["lpips"] < training.scores["lpips_photo"]


def test_the_readme_of_the_weights_has_the_figures_of_the_cards() -> None:
    text = (shipped_folder() / "README.md").read_text()
    for name in PHOTO_OF:
        training = shipped_styles()[name].card.variants["lite"].training
        assert training is not None
        scores = training.scores
        row = (
            f"| {name} | {scores['psnr_photo']:.2f} dB | {scores['psnr']:.2f} dB | {scores['lpips_photo']:.3f} | "
            f"{scores['lpips']:.3f} | {scores['lpips'] / scores['lpips_photo']:.2f} |"
        )
        assert row in text


def test_pytorch_draws_what_the_file_draws() -> None:
    """Its weights are in there by their names, so that it can be exported anew and another student begin with it."""
    photo = pixels(PHOTOS / "casa-mila.jpg")[:200, :300]
    as_it_is, torch = (
        load_style("shinkai", variant="lite", device="cpu", **options)(photo)
        for options in ({"precision": "fp32"}, {"backend": "torch"})
    )
    assert np.abs(as_it_is.astype(int) - torch).max() <= 1


@pytest.mark.parametrize("name", PHOTO_OF)
def test_every_student_is_smaller_than_what_others_published(name: str) -> None:
    network = load_module(shipped_styles()[name].variant("lite"))
    assert sum(each.numel() for each in network.parameters()) < 850_000  # AnimeGANv3 has 1.02 million


@pytest.mark.parametrize("look", ["soft", "drawn"])
def test_tiles_are_the_whole(look: str) -> None:
    photo = np.tile(pixels(PHOTOS / "singapore.jpg"), (2, 2, 1))
    options = {"variant": "lite", "device": "cpu", "size": "full", "look": look, "faces": "off", "precision": "fp32"}
    whole, tiled = (load_style("hayao", **options, tile=tile)(photo) for tile in ("off", 512))
    difference = np.abs(whole.astype(int) - tiled)
    # Tiles come in float16. The finish is steep in places: a step of an eighth of a level may decide about an edge.
    assert np.quantile(difference, 0.999) <= 1
    assert difference.max() <= (1 if look == "soft" else 40)


def test_a_first_run_needs_no_network_no_cache_and_no_torch(tmp_path: Path) -> None:
    environment = os.environ | {"HF_HOME": str(tmp_path / "hf"), "HF_ENDPOINT": "http://127.0.0.1:9"}
    environment.pop("HF_HUB_OFFLINE", None)
    code = "import sys; from toonify.cli import main; code = main(); assert 'torch' not in sys.modules; sys.exit(code)"
    command = [sys.executable, "-c", code, "convert", str(PHOTOS), "--style", "shinkai", "--variant", "lite"]
    run = subprocess.run([*command, "--output", str(tmp_path / "out")], env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert "\nshinkai (lite), look drawn, at up to 768 px on " in run.stderr
    assert run.stderr.startswith("faces are not looked for: ")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {path.name for path in PHOTOS.glob("*.jpg")}
    assert not (tmp_path / "hf").exists()
