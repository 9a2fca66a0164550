import os
import pickle
from pathlib import Path

import msgspec
import pytest
import safetensors.torch
import torch

from toonify.checkpoints.tensors import fingerprint, read_tensors
from toonify.errors import StyleError, WeightsError
from toonify.networks.checkpoint import load_generator
from toonify.styles.card import FileWeights, HubWeights, Variant
from toonify.styles.find import find_style


@pytest.fixture
def variant(tiny_run: Path) -> Variant:
    return find_style(str(tiny_run)).card.variants["original"]


@pytest.fixture
def state(tiny_run: Path) -> dict[str, torch.Tensor]:
    return read_tensors(tiny_run / "tiny.pth")


def test_swapped_weights_are_caught(tiny_run: Path, variant: Variant) -> None:
    pinned = msgspec.structs.replace(variant, weights=FileWeights("tiny.pth", fingerprint="float32:" + "0" * 64))
    with pytest.raises(WeightsError, match="other weights than the style"):
        load_generator(tiny_run / "tiny.pth", pinned)


def test_code_in_a_checkpoint_is_refused_and_not_run(tmp_path: Path, variant: Variant) -> None:
    trace = tmp_path / "it-ran"

    class Payload:
        def __reduce__(self) -> tuple:
            return os.mkdir, (str(trace),)

    torch.save({"weight": Payload()}, tmp_path / "evil.pth")
    (tmp_path / "plain.pth").write_bytes(pickle.dumps(Payload(), protocol=2))
    for name in ("evil.pth", "plain.pth"):
        with pytest.raises(WeightsError, match=rf"{name} holds code"):
            load_generator(tmp_path / name, variant)
    assert not trace.exists()


@pytest.fixture(params=["pth", "safetensors", "onnx"])
def weights(
    request: pytest.FixtureRequest, state: dict[str, torch.Tensor], tiny_run: Path, tiny_onnx: Path, tmp_path: Path
) -> Path:
    """The weights of the tiny network in a file of each kind."""
    if request.param == "safetensors":
        safetensors.torch.save_file(state, tmp_path / "tiny.safetensors")
        return tmp_path / "tiny.safetensors"
    return tiny_onnx if request.param == "onnx" else tiny_run / "tiny.pth"


@pytest.mark.parametrize("weights", ["pth", "safetensors"], indirect=True)  # of ONNX only a student's: test_shipped.py
def test_weights_are_the_same_whatever_they_come_in(
    weights: Path, state: dict[str, torch.Tensor], variant: Variant
) -> None:
    loaded = load_generator(weights, variant).state_dict()
    assert fingerprint(loaded) == fingerprint(state)


@pytest.mark.parametrize("keep", [0.0, 0.1, 0.5, 0.99])
def test_truncated_weights_are_named(keep: float, weights: Path, tmp_path: Path, variant: Variant) -> None:
    data = weights.read_bytes()
    path = tmp_path / f"half{weights.suffix}"
    path.write_bytes(data[: int(len(data) * keep)])
    with pytest.raises(
        WeightsError, match=rf"half\{weights.suffix} (is damaged|does not hold named tensors)"
    ) as caught:
        load_generator(path, variant)
    assert "\n" not in str(caught.value)


def test_an_onnx_network_from_the_hub_is_held_to_its_pin(tiny_onnx: Path, variant: Variant) -> None:
    pinned = HubWeights("owner/name", "tiny.onnx", fingerprint="float32:" + "0" * 64, megabytes=0.1)
    with pytest.raises(WeightsError, match="other weights than the style"):
        load_generator(tiny_onnx, msgspec.structs.replace(variant, weights=pinned))


def test_weights_of_another_network_do_not_load(tmp_path: Path, variant: Variant) -> None:
    torch.save({"head.1.weight": torch.zeros(4, 3, 7, 7)}, tmp_path / "other.pth")
    with pytest.raises(WeightsError, match="does not fit the architecture cartoongan"):
        load_generator(tmp_path / "other.pth", variant)


def test_an_unknown_architecture_lists_the_known_ones(tiny_run: Path, variant: Variant) -> None:
    with pytest.raises(StyleError, match="cartoongan"):
        load_generator(tiny_run / "tiny.pth", msgspec.structs.replace(variant, architecture="vit"))


def test_an_unknown_config_field_is_refused(tiny_run: Path, variant: Variant) -> None:
    with pytest.raises(StyleError, match="depth"):
        load_generator(tiny_run / "tiny.pth", msgspec.structs.replace(variant, config={"depth": 2}))
