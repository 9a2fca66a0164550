"""--start-from: a run whose generator begins with another style's weights."""

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import torch
from training import flags, losses, notes, train

from toonify.models.cartoongan import CartoonGANConfig, CartoonGANGenerator
from toonify.networks.load import load_module
from toonify.styles.card import Card, FileWeights, Variant
from toonify.styles.find import find_style
from toonify.train.begin import start_names, turned_round

RUN = Path("runs/tiny")


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def style(folder: Path, *, channels: str = "rgb", seed: int = 1, **config: Any) -> CartoonGANGenerator:
    """A style whose generator has the layers of the tests' runs, with weights of its own."""
    torch.manual_seed(seed)
    network = CartoonGANGenerator(CartoonGANConfig(width=4, **config))
    folder.mkdir()
    torch.save(network.state_dict(), folder / "net.pth")
    variant = Variant(
        weights=FileWeights("net.pth"),
        architecture="cartoongan",
        config={"width": 4, **config},
        multiple=4,
        minimum=8,
        channels=channels,
    )
    card = Card(id="mine", title="-", license="MIT", attribution="-", source="-", variants={"first": variant})
    (folder / "mine.json").write_bytes(msgspec.json.encode(card))
    return network.eval()


@pytest.mark.parametrize("channels", ["rgb", "bgr"])
def test_a_run_begins_with_what_a_style_draws(
    channels: str, training_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    begun = style(tmp_path / "mine", channels=channels, blocks=1, norm="instance")
    options = {"blocks": 1, "norm": "instance", "learning_rate": 1e-12, "init_epochs": None, "content_weight": 1}
    assert train(*flags(training_data, start_from=tmp_path / "mine", output=RUN, **options)) == 0
    assert "begins with the weights of mine (first)" in capsys.readouterr().err
    card = find_style(str(RUN)).card
    assert "It began with the weights of mine, whose license counts, too." in card.license_note
    assert str(tmp_path) not in msgspec.json.encode(card).decode()
    assert "adversarial" in losses(RUN)[1]  # no initialization, unless it is asked for
    photo = torch.from_numpy(np.random.default_rng(0).uniform(-1, 1, (1, 3, 32, 48)).astype(np.float32))
    trained = load_module(find_style(str(RUN)).variant("auto"))
    with torch.inference_mode():
        drawn = trained(photo)
        expected = begun(photo.flip(1)).flip(1) if channels == "bgr" else begun(photo)
    assert (drawn - expected).abs().max() < 1e-3  # the norms' eps is another
    assert not notes(RUN)


def test_a_run_begins_with_the_mean_of_several(
    training_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    begun = [style(tmp_path / name, seed=seed, blocks=1, norm="instance") for seed, name in enumerate(("one", "two"))]
    options = {"blocks": 1, "norm": "instance", "learning_rate": 1e-12, "steps": 1}
    both = f"{tmp_path / 'one'}, {tmp_path / 'two'}"
    assert train(*flags(training_data, start_from=both, output=RUN, **options)) == 0
    assert "begins with the mean of the weights of one (first) and two (first)" in capsys.readouterr().err
    assert "It began with the weights of one and two, whose license counts" in find_style(str(RUN)).card.license_note
    kept = load_module(find_style(str(RUN)).variant("auto")).state_dict()
    one, two = (network.state_dict() for network in begun)
    for key in one:
        assert torch.allclose(kept[key], (one[key] + two[key]) / 2, atol=1e-6), key


def test_names_are_separated_by_commas_but_a_path_may_have_one(tmp_path: Path) -> None:
    (tmp_path / "a,b").mkdir()
    assert start_names("a, b,c") == ["a", "b", "c"]
    assert start_names(str(tmp_path / "a,b")) == [str(tmp_path / "a,b")]


def test_turning_colors_round_twice_gives_the_network_back() -> None:
    state = CartoonGANGenerator(CartoonGANConfig(width=4, blocks=1)).state_dict()
    once = turned_round(state)
    assert sum(not torch.equal(once[key], state[key]) for key in state) == 3  # first and last kernels, last bias
    assert all(torch.equal(tensor, state[key]) for key, tensor in turned_round(once).items())


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"blocks": 2, "norm": "batch"}, "mine has --blocks 2 and --norm batch; give the same"),
        ({"blocks": 1, "activation": "leaky"}, "mine has activation leaky; give the same"),
    ],
)
def test_other_layers_are_refused(
    config: dict[str, Any], message: str, training_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    style(tmp_path / "mine", **config)
    options = {"blocks": 1, "norm": "instance", "start_from": tmp_path / "mine"}
    assert train(*flags(training_data, output=RUN, **options)) == 2
    assert message in capsys.readouterr().err
    assert train(*flags(training_data, output=RUN, start_from="nobody")) != 0
    assert not RUN.exists()


def test_a_method_with_other_generators_is_refused(
    training_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    style(tmp_path / "mine", blocks=1)
    assert train(*flags(training_data, "cyclegan", output=RUN, start_from=tmp_path / "mine")) == 2
    assert "it has no cyclegan generator; give a style or run with one" in capsys.readouterr().err


def test_a_run_that_goes_on_keeps_its_own_weights(training_data: Path, tmp_path: Path) -> None:
    style(tmp_path / "mine", blocks=1, norm="instance")
    options = {"blocks": 1, "norm": "instance", "start_from": tmp_path / "mine", "init_epochs": 0}
    assert train(*flags(training_data, output="runs/whole", steps=4, **options)) == 0
    assert train(*flags(training_data, output=RUN, steps=2, **options)) == 0
    assert train("--resume", "last", "--output", RUN, "--steps", 4) == 0
    whole, parts = (load_module(find_style(str(run)).variant("auto")).state_dict() for run in (Path("runs/whole"), RUN))
    assert all(torch.equal(whole[key], parts[key]) for key in whole)
