"""What the tests share: a photo made on the spot, a tiny style that draws in milliseconds, the real data if named."""

import io
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import msgspec
import numpy as np
import pytest
from filelock import FileLock
from PIL import Image

from toonify.styles.card import Card, FileWeights, Variant

hypothesis.settings.register_profile("repeatable", derandomize=True)  # the same examples whenever a test runs
hypothesis.settings.load_profile("repeatable")


# Two processes run the tests (`-n 2`) and inherit this: with a thread for each core in both, they would wait for each
# other, and take a tenth longer.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A shell's background jobs ignore SIGINT, and so would all that they start: tests of Ctrl-C would wait for ever.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def test_data() -> Path:
    """The folder with real weights and photos that TOONIFY_TEST_DATA names; without it the test is skipped."""
    folder = os.environ.get("TOONIFY_TEST_DATA")
    if not folder:
        pytest.skip("needs real weights and photos: set TOONIFY_TEST_DATA (CONTRIBUTING.md says to what)")
    return Path(folder)


@pytest.fixture(scope="session")
def inception_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """FID's Inception network: the real one where TOONIFY_TEST_NETS names a folder that has it, else random weights."""
    folder = os.environ.get("TOONIFY_TEST_NETS")
    if folder:
        return Path(folder, "pt_inception-2015-12-05.pth")
    import torch
    from torch import nn
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    nothing = io.BytesIO()
    torch.save({}, nothing)
    nothing.seek(0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nn.Module, "load_state_dict", lambda *_, **__: None)
        network = FeatureExtractorInceptionV3("random", ["2048"], feature_extractor_weights_path=nothing)
    torch.manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)
    path = tmp_path_factory.mktemp("nets") / "inception.pth"
    torch.save(network.state_dict(), path)
    return path


@pytest.fixture(scope="session")
def _converted_inception(inception_weights: Path, tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """The network in ONNX, converted once for all tests: it takes a while.

    Processes that test side by side share it, where it is of the same weights: random ones are each process' own.
    """
    from toonify.metrics.inception import convert_inception

    folder = tmp_path_factory.getbasetemp()
    if worker_id != "master" and "TOONIFY_TEST_NETS" in os.environ:
        folder = folder.parent  # of the processes' own folders
    path = folder / "inception.onnx"
    with FileLock(path.with_suffix(".lock")):
        if not path.exists():
            convert_inception(inception_weights, path)
    return path


@pytest.fixture
def inception(inception_weights: Path, _converted_inception: Path) -> Path:
    """The file of weights, with the converted network in the test's cache already."""
    from toonify.metrics.inception import converted_path, find_weights

    path = converted_path(find_weights(inception_weights))
    path.parent.mkdir(parents=True, exist_ok=True)
    os.link(_converted_inception, path)
    return inception_weights


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """A headless Chromium, driven by Playwright; without one the test is skipped."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install playwright")
    names = ("chromium", "chromium-browser", "google-chrome")
    path = next(filter(None, map(shutil.which, names)), None)
    if path is None:
        pytest.skip(f"needs a browser on PATH: {' or '.join(names)}")
    playwright.expect.set_options(timeout=30_000)  # on a machine that has other work, too
    with playwright.sync_playwright() as running:
        # Chromium's sandbox refuses to run as root, as in containers; it sees nothing here but our own pages.
        started = running.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture(autouse=True)
def _own_caches(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes the user's caches, nor asks the network."""
    home = tmp_path_factory.mktemp("hf")
    monkeypatch.setenv("HF_HOME", str(home))
    monkeypatch.setenv("TORCH_HOME", str(home / "torch"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(home / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


@pytest.fixture
def rng() -> np.random.Generator:
    """Random numbers, the same in each test."""
    return np.random.default_rng(0)


@pytest.fixture
def noise() -> np.ndarray:
    """A small photo-like array: 48 x 64 x 3 uint8, the same every time."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((64, 48), Image.Resampling.BICUBIC))


@pytest.fixture
def photo(tmp_path: Path, noise: np.ndarray) -> Path:
    """`noise` as a file, cat.png."""
    Image.fromarray(noise).save(tmp_path / "cat.png")
    return tmp_path / "cat.png"


@pytest.fixture
def no_faces(monkeypatch: pytest.MonkeyPatch) -> None:
    """No face is found, and no warning says that none can be."""
    monkeypatch.setattr("toonify.drawing.plan.can_find_faces", lambda: True)
    monkeypatch.setattr("toonify.drawing.load.open_finder", lambda: lambda pixels: [])


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
        license="MIT",
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
    from toonify.networks.check_photo import check_photo
    from toonify.networks.export import export_onnx
    from toonify.networks.load import load_module
    from toonify.styles.find import find_style

    path = tmp_path_factory.mktemp("onnx") / "tiny.onnx"
    style = find_style(str(tiny_run))
    photo = check_photo(style.card.variants["original"])
    export_onnx(load_module(style.variant("original")), style.variant("original"), path, photo=photo)
    return path


@pytest.fixture(scope="session")
def training_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What tiny networks are trained on; tests that spoil pictures work on a copy."""
    from training import make_data

    return make_data(tmp_path_factory.mktemp("training"))


@pytest.fixture(scope="session")
def lpips_files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """VGG-16's convolutions and LPIPS' heads: the real ones where TOONIFY_TEST_NETS names them, else random ones."""
    import torch
    import torchvision

    folder = os.environ.get("TOONIFY_TEST_NETS")
    if folder:
        return [Path(folder, "vgg16_features.pth"), Path(folder, "lpips_vgg16_lin.pth")]
    made = tmp_path_factory.mktemp("nets")
    random = torch.Generator().manual_seed(0)
    with torch.device("meta"):
        layers = torchvision.models.vgg16(weights=None).features.state_dict()
    features: dict[str, torch.Tensor] = {}
    for name, tensor in layers.items():
        fan_in = tensor[0].numel() if tensor.dim() == 4 else 100
        features[f"features.{name}"] = torch.randn(tensor.shape, generator=random) * (2 / fan_in) ** 0.5
    channels = (64, 128, 256, 512, 512)
    heads = {f"lin{i}.weight": torch.rand(1, count, 1, 1, generator=random) for i, count in enumerate(channels)}
    torch.save(features, made / "vgg16.pth")
    torch.save(heads, made / "heads.pth")
    return [made / "vgg16.pth", made / "heads.pth"]


@pytest.fixture(scope="session")
def yunet_file() -> Path:
    """The network that finds faces, where TOONIFY_TEST_NETS names a folder that has it; else the test is skipped."""
    from toonify.drawing.yunet import WEIGHTS

    folder = os.environ.get("TOONIFY_TEST_NETS")
    if not folder:
        pytest.skip("needs real networks: set TOONIFY_TEST_NETS (CONTRIBUTING.md says to what)")
    path = Path(folder, WEIGHTS.file)
    if not path.exists():
        pytest.skip("needs the network that finds faces: python tests/support/fetch_yunet.py $TOONIFY_TEST_NETS")
    return path


@pytest.fixture
def one_thread() -> Iterator[None]:
    """PyTorch and OpenCV on one core: more do not help tiny networks, and a process that forks must have no others."""
    import cv2
    import torch

    before = torch.get_num_threads(), cv2.getNumThreads()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    yield
    torch.set_num_threads(before[0])
    cv2.setNumThreads(before[1])
