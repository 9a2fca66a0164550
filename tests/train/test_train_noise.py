"""Runs of generators from noise: begun, measured, resumed, begun with another's weights, watched, and refused."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from processes import in_both
from training import at_step, checkpoint, interrupt, load, losses, noise_flags, notes, same, train

from toonify.cli import main
from toonify.errors import TrainingError
from toonify.methods import METHODS
from toonify.methods.batch import Batch
from toonify.methods.trained import Precision
from toonify.system import distributed
from toonify.train.options import make_options
from toonify.train.record import Scores
from toonify.train.record import read as read_log
from toonify.train.settings import method_settings
from toonify.train.start import outline
from toonify.train.watch import Watch

pytestmark = pytest.mark.usefixtures("one_thread")
ARCHES = [arch for arch, method in METHODS.items() if method.from_noise]
RUN = Path("runs/x")


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def refused(capsys: pytest.CaptureFixture[str], *arguments: Any) -> str:
    capsys.readouterr()
    assert train(*arguments) == 2
    said = capsys.readouterr()
    assert said.out == "" and said.err.count("\n") == 1 and not Path("runs").exists()
    return said.err.removeprefix("error: ").strip()


@pytest.mark.parametrize("arch", ARCHES)
def test_a_run_shows_what_its_seeds_draw_and_says_what_to_type_next(
    arch: str, training_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(*noise_flags(training_data, arch, output=RUN)) == 0
    said = capsys.readouterr().err
    assert "pictures: 7 in" in said and "try it: toonify generate runs/x --grid 4x4" in said
    with Image.open(RUN / "samples" / "step-00000002.png") as sheet:
        assert sheet.size == (8 * 34 - 2, 4 * 34 - 2)
    assert (RUN / "index.html").is_file() and losses(RUN).keys() == {1, 2}
    card = json.loads((RUN / "x.json").read_text())
    assert card["source"] == f"toonify train --arch {arch}" and "Trained by toonify from 7 pictures." in str(card)
    assert card["variants"]["last"]["training"]["pictures"] == {"pictures": 7}


def test_a_growing_run_that_is_stopped_and_goes_on_ends_bit_for_bit_as_one_that_was_not(
    training_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped in the middle of a fade-in, and once more after the change of resolution."""
    grown = {"grow_epochs": 1, "epochs": 1, "batch_size": 2, "ema": 0.5}
    whole = noise_flags(training_data, "progan", **grown, output="whole", steps=14)
    assert train(*whole) == 0
    parts = noise_flags(training_data, "progan", **grown, output="parts", steps=14)
    for number, arguments in ((4, parts), (9, ["--resume", "last", "--output", "parts"])):
        with monkeypatch.context() as patch:
            at_step(patch, number, interrupt)
            assert train(*arguments) == 130
    assert train("--resume", "last", "--output", "parts") == 0
    one, other = (checkpoint(Path(name)) for name in ("whole", "parts"))
    assert same(one["method"], other["method"]) and one["step"] == other["step"] == 14
    assert losses(Path("whole"))[14] == losses(Path("parts"))[14]


def test_pictures_of_all_modes_come_to_rgb(training_data: Path) -> None:
    Path("mixed").mkdir()
    with Image.open(next((training_data / "photos").iterdir())) as picture:
        for mode, suffix in (
            ("L", "png"),
            ("RGBA", "png"),
            ("P", "png"),
            ("CMYK", "jpg"),
            ("1", "png"),
            ("I;16", "png"),
        ):
            source = picture.convert("L") if mode == "I;16" else picture
            source.convert(mode).save(f"mixed/{mode.replace(';', '')}.{suffix}")
    assert train(*noise_flags(training_data, "dcgan", pictures="mixed", batch_size=6, output=RUN)) == 0
    assert notes(RUN) == []  # no picture was skipped


@pytest.mark.parametrize("arch", ARCHES)
def test_a_run_is_measured_by_what_it_draws(arch: str, training_data: Path, inception: Path) -> None:
    asked = {"eval_pictures": training_data / "photos", "eval_weights": inception, "eval_every": 1, "epochs": 1}
    assert train(*noise_flags(training_data, arch, **asked, steps=3, output=RUN)) == 0
    scores = [entry for entry in read_log(RUN / "metrics.jsonl") if isinstance(entry, Scores)]
    assert scores and {"fid", "kid"} <= scores[-1].evaluation.keys()
    assert sorted(path.name for path in (RUN / "evaluation").iterdir()) == [f"seed{seed}.png" for seed in range(7)]
    assert list(json.loads((RUN / "x.json").read_text())["variants"]) == ["best", "last"]


def test_a_run_that_begins_with_anothers_weights_draws_the_same_at_first(
    training_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(*noise_flags(training_data, "stylegan", output="first")) == 0
    begun = noise_flags(training_data, "stylegan", start_from="first", output="second", seed=5, steps=1)
    capsys.readouterr()
    assert train(*begun) == 0
    said = capsys.readouterr().err
    assert "begins with the weights of first (last)" in said and "begins with its discriminator, too" in said
    last, first = (
        Path(name) / "samples" / file
        for name, file in (("first", "step-00000002.png"), ("second", "step-00000000.png"))
    )
    with Image.open(last) as one, Image.open(first) as other:
        assert np.abs(np.asarray(one).astype(int) - np.asarray(other)).max() <= 1
    assert checkpoint(Path("second"))["ancestors"] == [
        json.loads(Path("first/first.json").read_text())["variants"]["last"]["weights"]["fingerprint"]
    ]
    for path in Path("first/checkpoints").iterdir():
        path.unlink()
    again = noise_flags(training_data, "stylegan", start_from="first", output="third", steps=1)
    assert train(*again) == 0
    assert "begins with a fresh discriminator" in capsys.readouterr().err


def test_a_run_of_full_size_begins_with_the_weights_of_a_grown_one(
    training_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    grown = {"grow_epochs": 1, "epochs": 1, "steps": 20, "output": "grown"}
    assert train(*noise_flags(training_data, "progan", **grown)) == 0
    whole = {"grow_epochs": 0, "start_from": "grown", "output": "whole", "steps": 1}
    assert train(*noise_flags(training_data, "progan", **whole)) == 0
    assert "begins with its discriminator, too" in capsys.readouterr().err
    assert main(["swap-layers", "grown", "whole", "--from", "16", "-o", "both"]) == 0
    assert main(["generate", "both", "--number", "1", "-o", "out"]) == 0


def test_few_pictures_are_augmented_unless_it_is_said_otherwise(
    training_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def augments(**options: Any) -> object:
        given = {"arch": "dcgan", "pictures": str(training_data / "photos"), "batch_size": 2, **options}
        return getattr(outline(make_options(given)).settings, "augment", None)

    assert augments() is True and augments(augment=False) is False
    monkeypatch.setattr("toonify.train.start.FEW", 7)
    assert augments() is False and augments(augment=True) is True


def test_a_generator_that_draws_one_picture_is_stopped() -> None:
    watch = Watch("gan", from_noise=True)
    real = np.random.default_rng(0).integers(0, 255, (8, 16, 16, 3)).astype(np.uint8)
    same_always = np.repeat(real[:1], 32, axis=0)
    watch.see_drawings(300, real, same_always)
    with pytest.raises(TrainingError, match="the generator draws the same picture from all latents at step 400"):
        watch.see_drawings(400, real, same_always)


@pytest.mark.parametrize(
    ("arch", "changed", "said"),
    [
        (
            "dcgan",
            {"pictures": "three", "batch_size": 128},
            "--batch-size 128: three has 3 pictures; add some, or give",
        ),
        ("stylegan", {"size": 48}, "--size 48: give a power of two from 32 to 1024"),
        ("progan", {"size": 2048}, "--size 2048: give a power of two from 32 to 1024"),
        ("dcgan", {"pictures": "gone"}, "--pictures gone: no such folder"),
        ("dcgan", {"photos": "three"}, "--photos is not for dcgan; it learns from --pictures alone"),
        ("dcgan", {"eval_cartoons": "three"}, "--eval-cartoons is not for dcgan; it learns from --pictures alone"),
        ("dcgan", {"draw_size": 64}, "--draw-size is not for dcgan; it learns from --pictures alone"),
        ("dcgan", {"eval_every": 3}, "--eval-every is for --eval-pictures; give it, or drop it"),
        ("dcgan", {"grow_epochs": 3}, "--grow-epochs is not for dcgan; it is for progan, stylegan"),
        ("dcgan", {"content_weight": 3}, "--content-weight is not for dcgan; it is for cartoongan"),
        ("stylegan", {"start_from": "shinkai"}, "shinkai draws photos, nothing from noise; give the folder of a run"),
        ("stylegan", {"start_from": "ffhq.pkl"}, "ffhq.pkl: a pickle (.pkl) is code, which toonify does not run"),
    ],
)
def test_what_cannot_be_trained_is_one_line(
    arch: str, changed: dict[str, Any], said: str, training_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("three").mkdir()
    for number in range(3):
        Image.new("RGB", (40, 40), (number, 0, 0)).save(f"three/{number}.png")
    assert said in refused(capsys, *noise_flags(training_data, arch, **changed), "--quiet")


def test_pictures_are_not_for_methods_that_draw_photos(capsys: pytest.CaptureFixture[str]) -> None:
    line = "--pictures is not for cyclegan; it learns from --photos and --cartoons"
    assert refused(capsys, "--arch", "cyclegan", "--pictures", "x") == line
    line = "--pictures is missing; give the folder of pictures that are to be drawn like"
    assert refused(capsys, "--arch", "stylegan") == line


def _two_steps(rank: int) -> tuple[float, float]:
    distributed.start("cpu")
    try:
        options = {"arch": "stylegan", "size": 32, "width": 8, "discriminator_width": 8, "augment": False}
        torch.manual_seed(0)
        method = METHODS["stylegan"](method_settings(make_options(options)), Precision("cpu"))
        torch.manual_seed(rank + 1)
        real = torch.rand(2, 3, 32, 32) * 2 - 1
        for number in range(2):
            method.step(Batch(real, real), method.phases[-1].name, number)
        return tuple(
            sum(tensor.double().abs().sum().item() for tensor in trained.network.state_dict().values())
            for trained in method.trained.values()
        )
    finally:
        distributed.stop()


def test_two_processes_with_latents_of_their_own_keep_the_same_weights() -> None:
    one, other = in_both(_two_steps)
    assert one is not None and one == other


def test_a_checkpoint_of_a_run_from_noise_holds_what_its_card_says(training_data: Path) -> None:
    assert train(*noise_flags(training_data, "progan", grow_epochs=1, epochs=1, steps=5, output=RUN)) == 0
    variant = json.loads((RUN / "x.json").read_text())["variants"]["last"]
    assert variant["config"] == {"size": 32, "width": 8, "level": pytest.approx(2 + 1 / 3), "grows": True}
    assert load(RUN / "checkpoints" / "step-00000005.pt")["options"]["size"] == 32
    assert main(["generate", str(RUN), "--number", "1", "-o", "out"]) == 0
    with Image.open("out/seed0.png") as picture:
        assert picture.size == (8, 8)  # as far as it has grown
