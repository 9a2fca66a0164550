"""The same files through the tools of the field and through ours: the same features, so the same figures.

Whole runs of both, on a thousand pictures, are in tests/bench/bench_fid.py.
"""

import io
import os
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from samples import PHOTOS

from toonify.metrics.distances import frechet_distance
from toonify.metrics.features import extract
from toonify.metrics.gaussian import Gaussian, Moments
from toonify.metrics.inception import Inception, find_weights
from toonify.metrics.protocol import to_inception
from toonify.metrics.sets import find_set
from toonify.metrics.settings import Mode


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Pictures of several sizes, formats and color modes, which the tools take one by one only."""
    large, wide, gray, palette = (Image.open(path) for path in sorted(PHOTOS.glob("*.jpg")))
    large.save(tmp_path / "large.jpg")
    wide.resize((290, 80)).save(tmp_path / "wide.png")
    gray.resize((120, 320)).convert("L").save(tmp_path / "gray.jpg", quality=95)
    palette.quantize(64).resize((299, 299)).save(tmp_path / "palette.png")
    return tmp_path


def ours(folder: Path, inception: Path, mode: Mode) -> np.ndarray:
    network = Inception(find_weights(inception), device="cpu")
    return np.concatenate([batch.vectors for batch in extract(find_set(str(folder)).pictures, network, mode, None)])


def test_features_are_pytorch_fids(folder: Path, inception: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = pytest.importorskip("pytorch_fid.inception")
    from pytorch_fid.fid_score import get_activations  # type: ignore[import-untyped]

    monkeypatch.setattr(module, "load_state_dict_from_url", lambda *_, **__: torch.load(inception, weights_only=True))
    theirs = get_activations(sorted(folder.iterdir()), module.InceptionV3(), batch_size=1, num_workers=0)
    np.testing.assert_allclose(ours(folder, inception, "pytorch"), theirs, atol=1e-3 * theirs.std())


def test_features_are_torch_fidelitys(folder: Path, inception: Path) -> None:
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    network = FeatureExtractorInceptionV3("theirs", ["2048"], feature_extractor_weights_path=str(inception))
    theirs = []
    for path in sorted(folder.iterdir()):
        with Image.open(path) as image:
            pixels = np.array(image.convert("RGB")).transpose(2, 0, 1)[None]
        theirs.append(network(torch.from_numpy(pixels))[0].numpy())
    expected = np.concatenate(theirs)
    np.testing.assert_allclose(ours(folder, inception, "legacy"), expected, atol=1e-3 * expected.std())


def test_features_are_clean_fids(folder: Path, inception: Path) -> None:
    resize = pytest.importorskip("cleanfid.resize").build_resizer("clean")
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    trusted = io.BytesIO(inception.read_bytes())
    layers = list(FeatureExtractorInceptionV3("theirs", ["2048"], feature_extractor_weights_path=trusted).children())
    network = torch.nn.Sequential(*layers[:-1], torch.nn.Flatten())  # clean-fid's own file of weights is this network
    theirs = []
    for path in sorted(folder.iterdir()):
        with Image.open(path) as image:
            resized = resize(np.array(image.convert("RGB")))
        theirs.append(network(torch.from_numpy(((resized - 128) / 128).transpose(2, 0, 1)[None])).numpy())
    expected = np.concatenate(theirs)
    np.testing.assert_allclose(ours(folder, inception, "clean"), expected, atol=1e-3 * expected.std())


@pytest.mark.parametrize("count", [40, 500])  # of a singular covariance, and of one of full rank
def test_the_distance_is_pytorch_fids(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    fid_score = pytest.importorskip("pytorch_fid.fid_score")
    sqrtm = fid_score.linalg.sqrtm
    # Newer SciPy has no `disp`, by which pytorch-fid asks for an error estimate beside the root.
    monkeypatch.setattr(fid_score.linalg, "sqrtm", lambda matrix, disp=True: matrix_root(sqrtm, matrix, disp))
    rng = np.random.default_rng(count)
    a, b = rng.normal(0.4, 0.3, (count, 64)), rng.normal(0.5, 0.4, (count, 64)) @ rng.normal(0, 0.2, (64, 64))
    moments = [(rows.mean(axis=0), np.cov(rows, rowvar=False)) for rows in (a, b)]
    theirs = fid_score.calculate_frechet_distance(*moments[0], *moments[1])
    ours = [Gaussian.from_covariance(mean, covariance, count) for mean, covariance in moments]
    assert frechet_distance(*ours) == pytest.approx(theirs, rel=1e-5)


def matrix_root(sqrtm: object, matrix: np.ndarray, disp: bool) -> object:
    return sqrtm(matrix) if disp else (sqrtm(matrix), 0)


DISTURBANCES = {  # Heusel et al. 2017, figure 3
    "blur": lambda photo, level, rng: cv2.GaussianBlur(photo, (0, 0), 1.5 * level),
    "noise": lambda photo, level, rng: np.clip(photo + rng.normal(0, 25 * level, photo.shape), 0, 255).astype(np.uint8),
    "black boxes": lambda photo, level, rng: with_boxes(photo, level, rng),
    "salt and pepper": lambda photo, level, rng: with_salt_and_pepper(photo, 0.04 * level, rng),
}


def with_boxes(photo: np.ndarray, level: int, rng: np.random.Generator) -> np.ndarray:
    boxed = photo.copy()
    side = int(0.2 * level * photo.shape[0])
    for _ in range(3):
        y, x = (int(rng.integers(0, extent - side)) for extent in photo.shape[:2])
        boxed[y : y + side, x : x + side] = 0
    return boxed


def with_salt_and_pepper(photo: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    spotted, chance = photo.copy(), rng.random(photo.shape[:2])
    spotted[chance < share / 2], spotted[chance > 1 - share / 2] = 0, 255
    return spotted


def gaussian(pictures: list[np.ndarray], network: Inception) -> Gaussian:
    moments = Moments()
    moments.add(network(np.stack([to_inception(picture, "legacy") for picture in pictures])))
    return moments.gaussian()


@pytest.mark.skipif("TOONIFY_TEST_NETS" not in os.environ, reason="needs the real network: set TOONIFY_TEST_NETS")
def test_growing_disturbances_raise_the_figure(test_data: Path, inception: Path) -> None:
    network = Inception(find_weights(inception), device="cpu")
    photos = []
    for path in sorted((test_data / "photos" / "eval").iterdir())[::8]:
        with Image.open(path) as image:
            photos.append(np.array(image.convert("RGB").resize((384, 256))))
    undisturbed = gaussian(photos, network)
    for name, disturb in DISTURBANCES.items():
        rng = np.random.default_rng(0)
        disturbed = ([disturb(photo, level, rng) for photo in photos] for level in (1, 2, 3))
        weak, medium, strong = (frechet_distance(gaussian(pictures, network), undisturbed) for pictures in disturbed)
        assert 0 < weak < medium < strong, name
