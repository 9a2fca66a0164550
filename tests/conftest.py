"""What the tests share: a photo made on the spot, a tiny style that draws in milliseconds, the real data if named."""

import os
from pathlib import Path

import msgspec
import numpy as np
import pytest
from PIL import Image

from toonify.styles import Card, FileWeights, Variant

PHOTOS = Path(__file__).parent / "data" / "photos"  # small, credited, in the repository


@pytest.fixture(scope="session")
def test_data() -> Path:
    """The folder with real weights and photos that TOONIFY_TEST_DATA names; without it the test is skipped."""
    folder = os.environ.get("TOONIFY_TEST_DATA")
    if not folder:
        pytest.skip("needs real weights and photos: set TOONIFY_TEST_DATA")
    return Path(folder)


@pytest.fixture(autouse=True)
def _own_caches(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes the user's caches, nor asks the network."""
    home = tmp_path_factory.mktemp("hf")
    monkeypatch.setenv("HF_HOME", str(home))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(home / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


@pytest.fixture
def noise() -> np.ndarray:
    """A small photo-like array: 48 x 64 x 3 uint8, the same every time."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((64, 48), Image.Resampling.BICUBIC))


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a training run leaves: a folder with a card and a checkpoint, of a network that draws in milliseconds."""
    import torch

    from toonify.models.cartoongan import CartoonGANConfig, CartoonGANGenerator

    folder = tmp_path_factory.mktemp("run")
    torch.manual_seed(0)
    torch.save(CartoonGANGenerator(CartoonGANConfig(width=4, blocks=1)).state_dict(), folder / "tiny.pth")
    card = Card(
        id="tiny",
        title="A tiny network",
        licence="MIT",
        attribution="the tests",
        source="tests/conftest.py",
        variants={
            "original": Variant(
                weights=FileWeights(file="tiny.pth"),
                architecture="cartoongan",
                config={"width": 4, "blocks": 1},
                multiple=4,
                minimum=8,
                padding=8,
                size=64,
                keep_color=0.5,
            )
        },
    )
    (folder / "tiny.json").write_bytes(msgspec.json.encode(card))
    return folder


@pytest.fixture(scope="session")
def tiny_onnx(tiny_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same style as one ONNX file with its card inside, so that no test but its own pays for the export."""
    from toonify.export import export_onnx
    from toonify.generators import check_photo, load_module
    from toonify.styles import find_style

    path = tmp_path_factory.mktemp("onnx") / "tiny.onnx"
    style = find_style(str(tiny_run))
    photo = check_photo(style.card.variants["original"])
    export_onnx(load_module(style, "original"), style.card, "original", path, photo=photo)
    return path
