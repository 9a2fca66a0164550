"""LPIPS beside torch-fidelity's, as a measure and as a loss."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image
from torch import nn

from toonify.checkpoints.published import VGG16
from toonify.errors import DownloadError, WeightsError
from toonify.methods.losses import lpips_loss
from toonify.metrics import lpips as lpips_module
from toonify.metrics.lpips import Lpips, convert_lpips, find_lpips_weights, read_lpips

CHANNELS = (64, 128, 256, 512, 512)


@pytest.fixture(scope="module")
def _converted(lpips_files: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("lpips") / "lpips.onnx"
    convert_lpips(lpips_files, path)
    return path


@pytest.fixture
def lpips(lpips_files: list[Path], _converted: Path) -> Lpips:
    """The measure, with its network in the test's own cache already."""
    network = Lpips(find_lpips_weights(lpips_files), device="cpu")
    network._path.parent.mkdir(parents=True, exist_ok=True)
    os.link(_converted, network._path)
    return network


@pytest.fixture(scope="module")
def reference(lpips_files: list[Path]) -> Callable[[np.ndarray, np.ndarray], float]:
    """torch-fidelity's own LPIPS with these weights."""
    from torch_fidelity import sample_similarity_lpips as theirs

    features, heads = (torch.load(path, weights_only=True) for path in lpips_files)
    with torch.device("meta"):  # no time for a classifier that nobody uses
        network = torchvision.models.vgg16(weights=None)
    plain = {name.removeprefix("features."): tensor for name, tensor in features.items()}
    network.features.load_state_dict(plain, assign=True)
    renamed = {f"lin{i}.model.1.weight": heads[f"lin{i}.weight"] for i in range(len(CHANNELS))}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(theirs, "load_state_dict_from_url", lambda *_, **__: renamed)
        patch.setattr(theirs, "torchvision_load_pretrained_vgg16", lambda: network)
        measure = theirs.SampleSimilarityLPIPS("lpips-vgg16")

    def distance(one: np.ndarray, other: np.ndarray) -> float:
        batches = (torch.from_numpy(np.ascontiguousarray(p.transpose(2, 0, 1)))[None] for p in (one, other))
        with torch.inference_mode():
            return float(measure(*batches))

    return distance


def picture(seed: int, height: int, width: int) -> np.ndarray:
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))


@pytest.mark.parametrize("size", [(16, 16), (64, 48), (75, 131)])
def test_it_agrees_with_torch_fidelity(
    size: tuple[int, int], lpips: Lpips, reference: Callable[[np.ndarray, np.ndarray], float]
) -> None:
    one, other = picture(1, *size), picture(2, *size)
    expected = reference(one, other)
    assert expected > 0.05
    assert lpips.distance(one, other) == pytest.approx(expected, rel=1e-4)
    assert lpips.distance(one, 255 - one) == pytest.approx(reference(one, 255 - one), rel=1e-4)


def test_equal_pictures_are_at_0_and_it_is_symmetric(lpips: Lpips) -> None:
    one, other = picture(1, 40, 56), picture(2, 40, 56)
    assert lpips.distance(one, one) == 0
    assert lpips.distance(one, other) == pytest.approx(lpips.distance(other, one), rel=1e-5)


def test_a_batch_is_measured_pair_by_pair(lpips: Lpips) -> None:
    pictures = [picture(seed, 32, 48).astype(np.float32).transpose(2, 0, 1) / 127.5 - 1 for seed in range(6)]
    pairs = np.stack(pictures).reshape(3, 2, 3, 32, 48)
    together = lpips(pairs)
    assert together.shape == (3,)
    alone = [float(lpips(pair[None])[0]) for pair in pairs]
    assert together == pytest.approx(alone, rel=1e-4)
    assert lpips.runs_on is not None and lpips.runs_on.startswith("cpu, ONNX Runtime")


def test_the_loss_is_the_mean_of_the_measure_and_only_what_was_drawn_gets_a_gradient(
    lpips_files: list[Path], lpips: Lpips
) -> None:
    ones, others = (
        np.stack([picture(seed, 32, 48) for seed in seeds]).astype(np.float32).transpose(0, 3, 1, 2) / 127.5 - 1
        for seeds in ((1, 2), (3, 4))
    )
    drawn, wanted = (torch.from_numpy(each.copy()).requires_grad_() for each in (ones, others))
    network = read_lpips(lpips_files).requires_grad_(False)
    loss = lpips_loss(network, drawn, wanted)
    assert float(loss.detach()) == pytest.approx(float(lpips(np.stack([ones, others], axis=1)).mean()), rel=1e-4)
    loss.backward()
    assert drawn.grad is not None and float(drawn.grad.abs().sum()) > 0 and wanted.grad is None
    with torch.autocast("cpu", torch.bfloat16):
        assert float(lpips_loss(network, drawn, wanted).detach()) == pytest.approx(float(loss.detach()), rel=0.05)


def test_where_nothing_is_seen_the_loss_has_a_gradient_all_the_same(lpips_files: list[Path]) -> None:
    """A length of 0 has no slope; units that no picture wakes must not make NaN of one."""
    network = read_lpips(lpips_files).requires_grad_(False)
    for layer in network.layers:
        if isinstance(layer, nn.Conv2d) and layer.bias is not None:
            layer.bias.data.fill_(-100)
    drawn = torch.zeros(1, 3, 16, 16, requires_grad=True)
    lpips_loss(network, drawn, torch.ones(1, 3, 16, 16)).backward()
    assert drawn.grad is not None and bool(drawn.grad.isfinite().all())


def test_the_published_names_serve_as_well(lpips_files: list[Path], tmp_path: Path) -> None:
    """torchvision's file has a classifier besides, torch-fidelity's names the heads otherwise."""
    features, heads = (torch.load(path, weights_only=True) for path in lpips_files)
    torch.save({**features, "classifier.0.bias": torch.zeros(3)}, tmp_path / "vgg16.pth")
    renamed = {name.replace(".weight", ".model.1.weight"): tensor for name, tensor in heads.items()}
    torch.save(renamed, tmp_path / "heads.pth")
    torch.save({**features, **renamed}, tmp_path / "both.pth")
    pairs = torch.rand(1, 2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected = read_lpips(lpips_files)(pairs)
        assert torch.equal(read_lpips([tmp_path / "vgg16.pth", tmp_path / "heads.pth"])(pairs), expected)
        assert torch.equal(read_lpips([tmp_path / "heads.pth", tmp_path / "vgg16.pth"])(pairs), expected)
        assert torch.equal(read_lpips([tmp_path / "both.pth"])(pairs), expected)


def test_files_without_the_network_are_refused(lpips_files: list[Path], tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"no heads of LPIPS .* in .*; give --lpips-weights for both files"):
        read_lpips([lpips_files[0]])
    with pytest.raises(WeightsError, match="no VGG-16"):
        read_lpips([lpips_files[1]])
    alex = {f"lin{i}.weight": torch.zeros(1, count, 1, 1) for i, count in enumerate((64, 192, 384, 256, 256))}
    torch.save(alex, tmp_path / "alex.pth")
    with pytest.raises(WeightsError, match="no heads of LPIPS"):
        read_lpips([lpips_files[0], tmp_path / "alex.pth"])
    torch.save(nn.Linear(2, 2), tmp_path / "code.pth")
    with pytest.raises(WeightsError, match="holds code"):
        read_lpips([tmp_path / "code.pth"])


def test_other_weights_are_another_network(lpips_files: list[Path], tmp_path: Path) -> None:
    (tmp_path / "copy.pth").write_bytes(lpips_files[1].read_bytes())
    (tmp_path / "other.pth").write_bytes(lpips_files[1].read_bytes() + b" ")
    ours = Lpips(find_lpips_weights(lpips_files))._path
    assert Lpips(find_lpips_weights([lpips_files[0], tmp_path / "copy.pth"]))._path == ours
    assert Lpips(find_lpips_weights([lpips_files[0], tmp_path / "other.pth"]))._path != ours


def test_without_a_network_one_line_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("toonify.checkpoints.published.reach", lambda url: "no network")
    with pytest.raises(DownloadError) as caught:
        find_lpips_weights([])
    message = str(caught.value)
    assert VGG16.url in message and "--lpips-weights FILE" in message and "\n" not in message


def test_the_published_files_are_named_by_their_digests() -> None:
    published = (VGG16, lpips_module.HEADS)
    weights = lpips_module.LpipsWeights((Path("a"), Path("b")), tuple(one.sha256 for one in published))
    assert str(weights).startswith("as published (sha256 397923af, a78928a0")
    assert "mine.pth" in str(lpips_module.LpipsWeights((Path("mine.pth"),), ("0" * 64,)))
    assert published[0].url.endswith(f"-{published[0].sha256[:8]}.pth")
