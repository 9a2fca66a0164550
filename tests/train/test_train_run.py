"""Runs from start to end and on from checkpoints: the loop, what it leaves, and that it goes on bit for bit."""

import errno
import functools
import json
import os
import re
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import torch
from files import snapshot
from PIL import Image
from training import (
    SIZE,
    at_step,
    checkpoint,
    entries,
    flags,
    interrupt,
    load,
    losses,
    notes,
    same,
    steps_saved,
    train,
)

from toonify.checkpoints.tensors import read_tensors
from toonify.cli import main
from toonify.methods.cartoongan import CartoonGAN
from toonify.methods.method import Method
from toonify.methods.pool import ImagePool
from toonify.styles.find import find_style
from toonify.train.folder import RunFolder
from toonify.train.record import Losses, Scores

pytestmark = pytest.mark.usefixtures("one_thread")
RUN = Path("runs/x")


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


# --- what a run leaves ---


@pytest.fixture(scope="module")
def finished(training_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of cartoongan that came to its end: 2 steps of initialization, 4 after it."""
    folder = tmp_path_factory.mktemp("finished") / "my Style"
    options = flags(training_data, output=folder, sample_every=3, save_every=2, seed=5, title="My style")
    assert train(*options, "--license", "CC-BY-4.0", "--attribution", "me") == 0
    return folder


def test_a_run_leaves_samples_log_page_and_checkpoints(finished: Path) -> None:
    assert steps_saved(finished) == [4, 6]
    assert [path.name for path in sorted((finished / "samples").iterdir())] == [
        "step-00000000.png",
        "step-00000003.png",
        "step-00000006.png",
    ]
    with Image.open(finished / "samples" / "step-00000006.png") as sheet:
        assert sheet.format == "PNG" and sheet.width > 4 * SIZE
    log = [entry for entry in entries(finished) if isinstance(entry, Losses)]
    assert [(e.step, e.epoch, e.phase) for e in log] == [
        (1, 1, "initialization"),
        (2, 1, "initialization"),
        (3, 2, "adversarial"),
        (4, 2, "adversarial"),
        (5, 3, "adversarial"),
        (6, 3, "adversarial"),
    ]
    assert set(log[0].losses) == {"content"}
    assert set(log[-1].losses) == {"content", "adversarial", "discriminator", "score_real", "score_drawn"}
    assert 0 < log[0].seconds < log[-1].seconds and all(entry.images_per_second > 0 for entry in log)
    assert len(list((finished / "tensorboard").iterdir())) == 1
    page = (finished / "index.html").read_text()
    assert "finished, 6 of 6 steps" in page and "cartoongan" in page and page.count("data:image/jpeg") >= 3
    assert not list(finished.rglob(".toonify*"))


def test_the_samples_are_the_same_photos_every_time(finished: Path) -> None:
    first, last = (np.asarray(Image.open(finished / "samples" / f"step-0000000{step}.png")) for step in (0, 6))
    # An untrained network draws gray; the photos above the drawings stay.
    assert first.shape == last.shape and np.array_equal(first[:SIZE], last[:SIZE])
    assert not np.array_equal(first, last)


def test_what_is_left_is_a_style(finished: Path, training_data: Path, tmp_path: Path) -> None:
    (card,) = (json.loads(path.read_bytes()) for path in finished.glob("*.json"))
    assert card["id"] == "my-style" and card["title"] == "My style"
    assert card["license"] == "CC-BY-4.0" and card["attribution"] == "me"
    assert card["license_note"] == "Trained by toonify from 7 photos, 5 cartoons."
    training = card["variants"]["last"]["training"]
    assert training["method"] == "cartoongan" and training["seed"] == 5
    assert (training["steps"], training["epochs"]) == (6, 3)
    assert training["pictures"] == {"photos": 7, "cartoons": 5}
    assert training["versions"].keys() == {"toonify", "torch", "python"}
    assert training["options"]["width"] == 4
    assert str(training_data.parent) not in json.dumps(card)  # nobody who gets the style need know
    photo = training_data / "photos" / "0.png"
    assert main(["convert", str(photo), "--style", str(finished), "--output", str(tmp_path / "out"), "-q"]) == 0
    (drawing,) = (tmp_path / "out").iterdir()
    with Image.open(drawing) as image:
        assert image.size == (64, 48)
    assert main(["styles", "verify", str(finished)]) == 0


def test_without_a_license_the_card_says_on_what_it_depends(training_data: Path) -> None:
    assert train(*flags(training_data, steps=1)) == 0
    card = find_style("runs/cartoongan").card
    assert card.license == "NOASSERTION" and "depends on the license of these pictures" in card.license_note


def test_the_folder_is_a_style_at_every_checkpoint(training_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = []

    def draws() -> None:
        drawn.append(main(["styles", "verify", str(RUN)]))

    for step in (2, 4):
        at_step(monkeypatch, step, draws)
    assert train(*flags(training_data, output=RUN, keep=1)) == 0
    assert drawn == [0, 0] and steps_saved(RUN) == [6]
    assert [path.name for path in RUN.glob("last-*")] == ["last-00000006.safetensors"]


def test_the_moving_average_is_what_is_kept(training_data: Path) -> None:
    assert train(*flags(training_data, output=RUN, ema=0.5)) == 0
    generator = checkpoint(RUN)["method"]["generator"]
    kept = read_tensors(RUN / "last-00000006.safetensors")
    assert all(torch.equal(kept[name], generator["average"][f"module.{name}"]) for name in kept)
    assert not all(torch.equal(kept[name], generator["network"][name]) for name in kept)


@pytest.mark.parametrize("arch", ["cyclegan", "ugatit", "pix2pix", "cartoongan-improved"])
def test_every_method_can_be_trained(training_data: Path, arch: str) -> None:
    assert train(*flags(training_data, arch, output=RUN, steps=2)) == 0
    assert find_style(str(RUN)).card.variants["last"].training.method == arch


def test_same_seed_same_run_and_another_seed_another(training_data: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        assert train(*flags(training_data, output=name, seed=seed, steps=3)) == 0
    a, b, c = (checkpoint(Path(name))["method"] for name in "abc")
    assert same(a, b) and not same(a, c)
    assert losses(Path("a")) == losses(Path("b")) != losses(Path("c"))


def test_parts_do_not_change_the_result(training_data: Path) -> None:
    options = {"norm": "instance", "steps": 4, "batch_size": 4}
    assert train(*flags(training_data, output="whole", **options)) == 0
    assert train(*flags(training_data, output="parts", **options, accumulate=3)) == 0
    whole, parts = losses(Path("whole")), losses(Path("parts"))
    assert list(whole) == list(parts) == [1, 2, 3]
    for step in whole:
        assert parts[step] == pytest.approx(whole[step], rel=1e-3)


def test_a_line_of_the_log_is_the_mean_of_its_steps(training_data: Path) -> None:
    assert train(*flags(training_data, output="each", init_epochs=0, epochs=3)) == 0
    assert train(*flags(training_data, output="some", init_epochs=0, epochs=3, log_every=4)) == 0
    each, some = losses(Path("each")), losses(Path("some"))
    assert list(some) == [4, 6]
    for name, value in some[4].items():
        assert value == pytest.approx(np.mean([each[step][name] for step in (1, 2, 3, 4)]), rel=1e-6)


def test_a_line_of_the_log_is_of_one_phase(training_data: Path) -> None:
    assert train(*flags(training_data, output=RUN, log_every=100)) == 0
    assert list(losses(RUN)) == [2, 6]


def test_gradients_are_clipped(training_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limits = []
    clip = torch.nn.utils.clip_grad_norm_
    monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", lambda p, limit: (limits.append(limit), clip(p, limit))[1])
    assert train(*flags(training_data, output=RUN, clip=0.5, steps=1)) == 0
    assert limits and set(limits) == {0.5}


# --- going on ---


BITWISE = {
    "cartoongan": {"ema": 0.9, "clip": 1, "accumulate": 2},
    "cyclegan": {"schedule": "cosine", "edge_promoting": True},
    "pix2pix": {},
}


@pytest.mark.parametrize("arch", BITWISE)
def test_a_run_that_goes_on_is_the_same_bit_for_bit(
    training_data: Path, arch: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("toonify.methods.cyclegan.ImagePool", functools.partial(ImagePool, 3))  # full after 2 steps
    options = functools.partial(flags, training_data, arch, **BITWISE[arch])
    assert train(*options(output="whole", steps=4)) == 0
    assert train(*options(output="halves", steps=2)) == 0
    assert train("--resume", "last", "--output", "halves", "--steps", 4) == 0
    whole, halves = checkpoint(Path("whole")), checkpoint(Path("halves"))
    assert whole["step"] == halves["step"] == 4
    assert same(whole["method"], halves["method"])
    assert same(whole["processes"][0]["random"], halves["processes"][0]["random"])
    assert same(whole["processes"][0]["own"], halves["processes"][0]["own"])
    assert losses(Path("whole")) == losses(Path("halves"))


@pytest.mark.parametrize("which", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_saves_first_and_the_run_goes_on_from_there(
    training_data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], which: signal.Signals
) -> None:
    options = functools.partial(flags, training_data, log_every=3, save_every=100)
    assert train(*options(output="whole")) == 0
    with monkeypatch.context() as patch:
        at_step(patch, 3, lambda: interrupt(which))
        capsys.readouterr()
        assert train(*options(output="stopped")) == 130
    said = capsys.readouterr().err
    assert "stopping after this step" in said and said.endswith("interrupted\n")
    assert "saved: step 4 of 6; to go on: toonify train --resume last --output stopped\n" in said
    assert steps_saved(Path("stopped")) == [4]
    assert "interrupted, 4 of 6 steps" in Path("stopped/index.html").read_text()
    assert main(["styles", "verify", "stopped"]) == 0
    assert train("--resume", "last", "--output", "stopped") == 0
    assert "goes on from step 4 of 6" in capsys.readouterr().err
    assert same(checkpoint(Path("whole"))["method"], checkpoint(Path("stopped"))["method"])
    assert losses(Path("whole")) == losses(Path("stopped"))  # though the stop came within a line of the log


def test_a_second_ctrl_c_does_not_wait(
    training_data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def twice() -> None:
        interrupt()
        interrupt()

    at_step(monkeypatch, 3, twice)
    before = signal.getsignal(signal.SIGINT)
    assert train(*flags(training_data, output=RUN)) == 130
    assert "saved: step 2 of 6; to go on: " in capsys.readouterr().err, "not the step that it had come to"
    assert steps_saved(RUN) == [2] and signal.getsignal(signal.SIGINT) is before


def test_an_older_checkpoint_takes_the_run_back(training_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = functools.partial(flags, training_data, keep=9, sample_every=2)
    assert train(*options(output=RUN)) == 0
    whole, log = checkpoint(RUN), losses(RUN)
    assert steps_saved(RUN) == [2, 4, 6]
    assert train("--resume", RUN / "checkpoints" / "step-00000002.pt", "--epochs", 1) == 0
    assert steps_saved(RUN) == [2, 4]  # the one of step 6 is of a course that was left
    assert list(losses(RUN)) == [1, 2, 3, 4] and "4 of 4 steps" in (RUN / "index.html").read_text()
    assert train("--resume", "last", "--output", RUN, "--epochs", 2) == 0
    assert same(checkpoint(RUN)["method"], whole["method"]) and losses(RUN) == log


def test_a_run_can_go_on_in_another_folder(training_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train(*flags(training_data, output="first")) == 0
    shutil.copy("first/checkpoints/step-00000004.pt", "kept.pt")
    before = snapshot(Path("first"))
    assert train("--resume", "kept.pt") == 2
    assert "say where it goes on with --output" in capsys.readouterr().err
    assert train("--resume", "kept.pt", "--output", "second") == 0
    assert list(losses(Path("second"))) == [5, 6]
    assert same(checkpoint(Path("second"))["method"], checkpoint(Path("first"))["method"])
    assert snapshot(Path("first")) == before


def test_a_moved_run_with_moved_pictures_goes_on(training_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(training_data, "data")
    assert train(*flags(Path("data"), output="old", steps=2)) == 0
    Path("data").rename("elsewhere")
    Path("old").rename("new name")
    assert train("--resume", "last", "--output", "new name", "--steps", 4) == 2
    assert "--photos data/photos: no such folder" in capsys.readouterr().err
    moved: tuple[str, ...] = ("--photos", "elsewhere/photos", "--cartoons", "elsewhere/cartoons")
    assert train("--resume", "last", "--output", "new name", "--steps", 4, *moved) == 3
    assert "vgg.pth cannot be read" in capsys.readouterr().err
    moved = (*moved, "--content-weights", "elsewhere/vgg.pth")
    assert train("--resume", "last", "--output", "new name", "--steps", 4, *moved) == 0
    assert "other pictures" not in capsys.readouterr().err
    assert len(list(Path("new name").glob("*.json"))) == 1 and find_style("new name").card.id == "new-name"


def test_other_pictures_or_weights_are_noticed(training_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(training_data, "data")
    assert train(*flags(Path("data"), output=RUN, steps=2)) == 0
    resume = ("--resume", "last", "--output", RUN, "--steps", 4)
    assert train(*resume, "--photos", "data/pairs", "--cartoons", "data/photos") == 2
    assert "the pictures of --cartoons are others" in capsys.readouterr().err
    state = torch.load("data/vgg.pth", weights_only=True)
    torch.save({name: tensor + 1 for name, tensor in state.items()}, "other.pth")
    assert train(*resume, "--content-weights", "other.pth") == 2
    assert "trained with other weights" in capsys.readouterr().err
    shutil.copy("data/photos/0.png", "data/photos/more.png")
    assert train(*resume) == 0
    assert "the folders have other pictures than before" in capsys.readouterr().err


def test_another_number_of_threads_is_told(training_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Gradients of weights are sums over threads, so that their last digits depend on how many there are."""
    assert train(*flags(training_data, output=RUN, steps=1)) == 0
    threads = torch.get_num_threads()
    torch.set_num_threads(threads + 1)
    try:
        assert train("--resume", "last", "--output", RUN, "--steps", 2) == 0
        told = f"saved with {threads} threads, goes on with {threads + 1}"
        assert told in capsys.readouterr().err
        assert train("--resume", "last", "--output", RUN, "--steps", 3) == 0
        assert "threads" not in capsys.readouterr().err
    finally:
        torch.set_num_threads(threads)


def test_a_finished_run_is_not_overwritten(
    finished: Path, training_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = snapshot(finished)
    assert train(*flags(training_data, output=finished)) == 2
    assert "has a run or other files in it; go on with --resume last, or give another name" in capsys.readouterr().err
    assert train("--resume", "last", "--output", finished) == 2
    assert "is finished (6 steps); raise --epochs to train on" in capsys.readouterr().err
    assert snapshot(finished) == before


def test_a_folder_with_other_things_is_refused(training_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    RUN.mkdir(parents=True)
    (RUN / "thesis.txt").write_text("years of work")
    assert train(*flags(training_data, output=RUN)) == 2
    assert "--output runs/x has a run or other files in it; give another name" in capsys.readouterr().err
    assert train(*flags(training_data, output=RUN / "thesis.txt")) == 2
    assert "is a file; give a folder" in capsys.readouterr().err
    assert snapshot(RUN) == {"thesis.txt": b"years of work"}
    (RUN / "thesis.txt").unlink()
    assert train(*flags(training_data, output=RUN, steps=1)) == 0  # an empty folder is as good as none


def test_a_run_that_could_not_start_leaves_nothing_in_the_way(training_data: Path) -> None:
    assert train(*flags(training_data, output=RUN, content_weights="gone.pth")) == 3
    assert not RUN.exists()
    assert train(*flags(training_data, output=RUN, steps=1)) == 0


# --- checkpoints that are no good ---


def test_a_checkpoint_of_another_run_is_refused(training_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train(*flags(training_data, output="a", steps=2)) == 0
    assert train(*flags(training_data, output="b", steps=2, seed=1)) == 0
    before = snapshot(Path("b"))
    assert train("--resume", "a/checkpoints/step-00000002.pt", "--output", "b", "--steps", 3) == 2
    assert "b has other files in it, and a/checkpoints/step-00000002.pt is not of it" in capsys.readouterr().err
    assert train("--resume", "a/checkpoints/step-00000002.pt", "--arch", "cyclegan") == 2
    assert "--arch cyclegan (it has cartoongan)" in capsys.readouterr().err
    assert snapshot(Path("b")) == before


def test_a_damaged_checkpoint_is_named_and_an_older_one_serves(
    training_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(*flags(training_data, output=RUN)) == 0
    last = RUN / "checkpoints" / "step-00000006.pt"
    whole, good = checkpoint(RUN), last.read_bytes()
    capsys.readouterr()
    for bad in (good[:1000], good[: len(good) // 2], b"", b"garbage" * 100):
        last.write_bytes(bad)
        assert train("--resume", "last", "--output", RUN, "--epochs", 3) == 2
        said = capsys.readouterr().err
        assert "step-00000006.pt: damaged, or no checkpoint of a run; name an older one" in said
        assert said.count("\n") == 1
    assert train("--resume", RUN / "checkpoints" / "step-00000004.pt") == 0
    assert same(checkpoint(RUN)["method"], whole["method"])


@pytest.mark.parametrize("damage", ["no checkpoint", "weights of another size", "no weights", "unknown option"])
def test_a_file_that_is_no_checkpoint_of_the_run_is_one_line(
    training_data: Path, capsys: pytest.CaptureFixture[str], damage: str
) -> None:
    assert train(*flags(training_data, output=RUN, steps=1)) == 0
    path = RUN / "checkpoints" / "step-00000001.pt"
    state = load(path)
    match damage:
        case "no checkpoint":
            state = {"weight": torch.zeros(3)}
        case "weights of another size":
            network = state["method"]["generator"]["network"]
            network[next(iter(network))] = torch.zeros(1)
        case "no weights":
            del state["method"]["generator"]
        case "unknown option":
            state["options"]["wdth"] = 4
    torch.save(state, path)
    capsys.readouterr()
    assert train("--resume", "last", "--output", RUN, "--steps", 2) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("error: ") and "--resume" in said


def test_a_checkpoint_runs_no_code(training_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, ...]:
            return Path.touch, (Path("sprung"),)

    torch.save({"format": 1, "options": Trap()}, "trap.pt")
    assert train("--resume", "trap.pt", "--output", RUN) == 2
    assert "damaged, or no checkpoint" in capsys.readouterr().err and not Path("sprung").exists()


# --- the disk ---


def test_a_full_disk_at_a_checkpoint_stops_the_run_and_the_one_before_serves(
    training_data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(*flags(training_data, output="whole")) == 0
    write = torch.save

    def full(state: dict[str, Any], file: object) -> None:
        if state.get("step") == 4:
            raise OSError(errno.ENOSPC, "No space left on device")
        write(state, file)

    with monkeypatch.context() as patch:
        patch.setattr(torch, "save", full)
        capsys.readouterr()
        assert train(*flags(training_data, output=RUN)) == 1
    said = capsys.readouterr().err.splitlines()
    assert said[-1] == (
        "error: runs/x cannot be written at step 4: no space left; see to that, then go on from step-00000002 with "
        "--resume last"
    )
    assert steps_saved(RUN) == [2] and main(["styles", "verify", str(RUN)]) == 0
    assert notes(RUN)[-1].startswith("stopped: runs/x cannot be written at step 4")
    assert not list(RUN.rglob(".toonify*"))
    assert train("--resume", "last", "--output", RUN) == 0
    assert same(checkpoint(RUN)["method"], checkpoint(Path("whole"))["method"])


def test_pytorchs_own_error_of_a_full_disk_is_told_like_any_other(
    training_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, before[1]))
    try:
        assert train(*flags(training_data, output=RUN)) == 1
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("error: runs/x cannot be written at step 2: File too large")
    assert said.endswith("type the same command again: there is no checkpoint")


@pytest.mark.parametrize("what", ["write_sheet", "render_page"])
def test_a_sheet_or_page_that_cannot_be_written_stops_the_run_in_one_line(
    training_data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], what: str
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    def spoil() -> None:
        monkeypatch.setattr(f"toonify.train.loop.{what}", full)

    at_step(monkeypatch, 3, spoil)
    assert train(*flags(training_data, output=RUN, sample_every=4)) == 1
    assert "runs/x cannot be written at step 4: no space left" in capsys.readouterr().err.splitlines()[-1]
    assert set(steps_saved(RUN)) >= {2}


def test_a_killed_run_leaves_no_part_behind_for_ever(training_data: Path) -> None:
    assert train(*flags(training_data, output=RUN, steps=2)) == 0
    for folder in (RUN, RUN / "checkpoints", RUN / "samples"):
        (folder / ".toonify-000000000000.part").write_bytes(b"half a file")
    assert train("--resume", "last", "--output", RUN, "--steps", 3) == 0
    assert not list(RUN.rglob(".toonify*"))


def test_files_of_the_users_own_do_not_upset_a_run(training_data: Path) -> None:
    assert train(*flags(training_data, output=RUN, steps=2, keep=1)) == 0
    for name in ("checkpoints/step-00000001-good.pt", "samples/step-00000000 copy.png", "checkpoints/mine.pt"):
        (RUN / name).write_bytes(b"mine")
    assert train("--resume", "last", "--output", RUN, "--steps", 4) == 0
    assert sorted(path.name for path in (RUN / "checkpoints").iterdir()) == [
        "mine.pt",
        "step-00000001-good.pt",
        "step-00000004.pt",
    ]


def test_a_run_among_its_photos_takes_none_of_its_sheets(training_data: Path) -> None:
    shutil.copytree(training_data / "photos", "photos")
    run = Path("photos/run")
    assert train(*flags(training_data, photos="photos", output=run, steps=2, sample_every=1)) == 0
    assert train("--resume", "last", "--output", run, "--steps", 4) == 0
    assert list(run.rglob("*.png")) and not notes(run)
    assert find_style(str(run)).card.variants["last"].training.pictures["photos"] == 7


def test_a_file_of_the_users_own_is_not_taken_for_the_card(
    training_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = RUN / "notes.json"
    at_step(monkeypatch, 1, lambda: mine.write_text('{"mine": 1}') and None)
    assert train(*flags(training_data, output=RUN, steps=4)) == 0
    assert mine.read_text() == '{"mine": 1}'
    assert main(["styles", "verify", str(RUN)]) == 0


@pytest.mark.skipif(os.name == "nt" or sys.platform == "darwin", reason="names there are Unicode")
def test_a_folder_may_be_called_anything(training_data: Path) -> None:
    name = os.fsdecode(b"runs/\xff\xe9t")
    assert train(*flags(training_data, output=name, steps=1)) == 0
    assert find_style(name).card.title == "??t"


def test_smoothed_pictures_that_come_later_are_not_the_runs(training_data: Path) -> None:
    options = flags(training_data, output=RUN, steps=2)
    assert train(*options) == 0
    shutil.copytree(training_data / "cartoons", "data/smooth")
    assert train("--resume", "last", "--output", RUN, "--steps", 3) == 0
    assert not notes(RUN)


def test_one_process_trains_in_a_folder(training_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train(*flags(training_data, output=RUN, steps=1)) == 0
    before = snapshot(RUN)
    with RunFolder(RUN).reserved():
        assert train("--resume", "last", "--output", RUN, "--steps", 2) == 2
    assert "runs/x: another process trains there" in capsys.readouterr().err and snapshot(RUN) == before


def test_samples_that_cannot_be_read_are_refused(training_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("shown").mkdir()
    (Path("shown") / "0.png").write_bytes(b"no picture")
    assert train(*flags(training_data, output=RUN, sample_photos="shown")) == 2
    assert "--sample-photos shown: none of its pictures can be read" in capsys.readouterr().err


# --- processes ---


def test_a_reader_that_dies_stops_the_run_in_one_line(
    training_data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = set(psutil.Process().children())

    def end_reader() -> None:
        (reader,) = set(psutil.Process().children()) - before
        reader.kill()
        time.sleep(5)  # PyTorch's error comes in between

    at_step(monkeypatch, 3, end_reader)
    assert train(*flags(training_data, output=RUN, workers=1)) == 1
    assert capsys.readouterr().err.splitlines()[-1] == (
        "error: a process that reads pictures has ended, perhaps for want of memory; go on with --resume last and "
        "fewer --workers than 1"
    )
    assert steps_saved(RUN) == [2]


# --- memory ---


def out_of_memory(patch: pytest.MonkeyPatch, error: type[Exception], message: str, *, parts: int) -> None:
    """Steps that run out of memory unless a batch goes through the networks in so many parts."""
    add_gradients = CartoonGAN.add_gradients

    def adding(self: CartoonGAN, batch: Any, part: Any) -> object:
        if part.share > 1 / parts:
            raise error(message)
        return add_gradients(self, batch, part)

    patch.setattr(CartoonGAN, "add_gradients", adding)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (torch.OutOfMemoryError, "CUDA out of memory. Tried to allocate 2 GiB"),
        (RuntimeError, "[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory: you tried"),
        (MemoryError, ""),
    ],
)
def test_with_too_little_memory_a_batch_goes_in_parts(
    training_data: Path, monkeypatch: pytest.MonkeyPatch, error: type[Exception], message: str
) -> None:
    out_of_memory(monkeypatch, error, message, parts=4)
    assert train(*flags(training_data, output=RUN, batch_size=4, epochs=1)) == 0
    assert notes(RUN) == [
        f"not enough memory: from here on a batch goes through the networks in {parts} parts" for parts in (2, 4)
    ]
    assert checkpoint(RUN)["parts"] == 4
    assert train("--resume", "last", "--output", RUN, "--epochs", 2) == 0
    assert len(notes(RUN)) == 2  # a run that goes on does not try its luck again


def test_with_too_little_memory_for_one_picture_the_run_stops(
    training_data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    at_step(monkeypatch, 3, lambda: out_of_memory(monkeypatch, torch.OutOfMemoryError, "CUDA out of memory", parts=9))
    assert train(*flags(training_data, output=RUN)) == 1
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("error: not enough memory for step 3; lower --size, --width or --batch-size")
    assert steps_saved(RUN) == [2]


def test_other_errors_are_not_taken_for_memory(training_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out_of_memory(monkeypatch, RuntimeError, "sizes do not match", parts=2)
    assert train(*flags(training_data, output=RUN)) == 3
    assert not steps_saved(RUN)


# --- what goes wrong while networks learn ---


def spoil(patch: pytest.MonkeyPatch, number: int, *, loss: float = float("nan"), weights: bool = False) -> None:
    """From step `number` on (from 0), a loss or the weights are not what they should be."""
    step = Method.step

    def spoilt(self: Method, batch: object, phase: str, now: int, **options: Any) -> dict[str, torch.Tensor]:
        losses = step(self, batch, phase, now, **options)
        if now >= number and weights:
            with torch.no_grad():
                next(self.generator.parameters()).fill_(loss)
        elif now >= number:
            losses["content"] = torch.tensor(loss)
        return losses

    patch.setattr(Method, "step", spoilt)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("log_every", [1, 100])
def test_a_loss_that_is_not_finite_stops_the_run_and_is_not_saved(
    training_data: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    value: float,
    log_every: int,
) -> None:
    spoil(monkeypatch, 2, loss=value)
    assert train(*flags(training_data, output=RUN, log_every=log_every)) == 1
    said = capsys.readouterr().err.splitlines()[-1]
    assert re.fullmatch(
        rf"error: the content loss is {value} at step [34]; lower --learning-rate, or give --clip 1, in a new run", said
    )
    assert steps_saved(RUN) == [2]
    assert main(["styles", "verify", str(RUN)]) == 0
    assert "stopped: the content loss" in (RUN / "index.html").read_text()


def test_weights_that_are_not_finite_are_not_saved(
    training_data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    spoil(monkeypatch, 3, weights=True)
    assert train(*flags(training_data, output=RUN)) == 1
    assert "the networks hold numbers that are not finite at step 4" in capsys.readouterr().err
    assert steps_saved(RUN) == [2]


def test_a_collapsed_generator_stops_the_run(
    training_data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("toonify.train.watch._SETTLED", 1)
    spoil(monkeypatch, 0, loss=0.0, weights=True)
    assert train(*flags(training_data, output=RUN, sample_every=2, norm="instance")) == 1
    said = capsys.readouterr().err.splitlines()[-1]
    assert said == (
        "error: the generator draws all photos alike at step 4; raise --content-weight, or lower --learning-rate, in "
        "a new run"
    )
    assert steps_saved(RUN) == [2]


@pytest.mark.parametrize("dead", ["says the same", "never wrong"])
def test_a_dead_discriminator_stops_the_run(
    training_data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], dead: str
) -> None:
    monkeypatch.setattr("toonify.train.watch._PATIENCE", 3)
    step = Method.step

    def dying(self: Method, *arguments: Any, **options: Any) -> dict[str, torch.Tensor]:
        losses = step(self, *arguments, **options)
        change = {"score_real": 0.5, "score_drawn": 0.5} if dead == "says the same" else {"discriminator": 1e-6}
        return losses | {name: torch.tensor(value) for name, value in change.items()}

    monkeypatch.setattr(Method, "step", dying)
    assert train(*flags(training_data, output=RUN, init_epochs=0)) == 1
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("error: the discriminator") and dead in said and "at step 3" in said
    assert steps_saved(RUN) == [2]


# --- evaluation ---


def test_the_best_checkpoint_is_kept_beside_the_last(
    training_data: Path, inception: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from toonify.train.evaluation import Distances, Verdict

    kids = iter([0.3, 0.1, 0.2, 0.05])
    measured: list[Any] = []
    measure = Distances.measure

    def measuring(self: Distances, *arguments: Any) -> Verdict:
        if not measured:  # which takes seconds
            measured.append(measure(self, *arguments).scores)
        return Verdict(measured[0] | {"kid": next(kids)}, [])

    monkeypatch.setattr(Distances, "measure", measuring)
    evaluated = {"eval_photos": training_data / "photos", "eval_cartoons": training_data / "cartoons"}
    options = flags(training_data, output=RUN, eval_weights=inception, eval_every=1, keep=1, draw_size=48, **evaluated)
    assert train(*options) == 0
    assert measured[0].keys() == {"fid", "kid", "kid_spread"} and all(np.isfinite(list(measured[0].values())))
    assert steps_saved(RUN) == [6] and load(RUN / "checkpoints" / "best.pt")["step"] == 4
    variants = find_style(str(RUN)).card.variants
    assert list(variants) == ["best", "last"]
    assert variants["best"].training.scores["kid"] == 0.1 and variants["best"].training.steps == 4
    assert variants["last"].training.scores["kid"] == 0.2 and variants["last"].training.steps == 6
    assert len(list((RUN / "evaluation").iterdir())) == 7
    scores = [(one.step, one.evaluation["kid"]) for one in entries(RUN) if isinstance(one, Scores)]
    assert scores == [(2, 0.3), (4, 0.1), (6, 0.2)]
    assert "KID 0.1000" in capsys.readouterr().err
    assert checkpoint(RUN)["best"]["step"] == 4
    # It goes on, and what was best then is still to be beaten.
    assert train("--resume", "last", "--output", RUN, "--epochs", 3) == 0
    assert load(RUN / "checkpoints" / "best.pt")["step"] == 8
    assert main(["export", str(RUN), "best.onnx", "--variant", "best"]) == 0


@pytest.fixture
def judged(training_data: Path, inception: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """The options of a run whose evaluations, after every second step, say what is given."""
    from toonify.train.evaluation import Distances, Verdict

    def options(*kids: float) -> list[str]:
        said = iter(kids)
        verdict = {"fid": 1.0, "kid_spread": 0.0}
        monkeypatch.setattr(Distances, "measure", lambda *_: Verdict(verdict | {"kid": next(said)}, []))
        evaluated = {"eval_photos": training_data / "photos", "eval_cartoons": training_data / "cartoons"}
        return flags(training_data, output=RUN, eval_weights=inception, eval_every=1, init_epochs=0, **evaluated)

    return options


def test_a_best_that_could_not_be_saved_is_found_again(
    judged: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    write, saved = torch.save, []

    def full(state: dict[str, Any], file: object) -> None:
        saved.append(state.get("step"))
        if saved.count(4) == 1 and state.get("step") == 4:
            raise OSError(errno.ENOSPC, "No space left on device")
        write(state, file)

    options = judged(0.3, 0.1, 0.1)
    monkeypatch.setattr(torch, "save", full)
    assert train(*options) == 1
    assert train("--resume", "last", "--output", RUN) == 0
    assert checkpoint(RUN)["best"]["step"] == load(RUN / "checkpoints" / "best.pt")["step"] == 4
    assert find_style(str(RUN)).card.variants["best"].training.steps == 4


def test_what_was_best_on_other_pictures_is_not_to_be_beaten(
    judged: Callable[..., list[str]], training_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(*judged(0.1, 0.2, 0.4)) == 0
    assert load(RUN / "checkpoints" / "best.pt")["step"] == 2
    others = ["--eval-cartoons", training_data / "pairs"]
    assert train("--resume", "last", "--output", RUN, "--epochs", 3, *others) == 0
    assert load(RUN / "checkpoints" / "best.pt")["step"] == 6
    assert "evaluated otherwise than before, so the best is sought anew" in capsys.readouterr().err


def test_an_evaluation_that_fails_does_not_end_the_run(
    training_data: Path, inception: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(training_data / "photos", "judged")
    for path in sorted(Path("judged").iterdir())[2:]:
        path.unlink()
    (Path("judged") / "0.png").write_bytes(b"no picture")
    evaluated = {"eval_photos": "judged", "eval_cartoons": training_data / "cartoons"}
    options = flags(training_data, output=RUN, eval_weights=inception, eval_every=1, epochs=1, **evaluated)
    assert train(*options) == 0
    assert notes(RUN) == [
        "not evaluated: 1 of --eval-photos can be drawn, and two are needed; judged/0.png: not a picture, or of a kind "
        "that is not read"
    ]
    assert list(find_style(str(RUN)).card.variants) == ["last"]


class _Killed(BaseException):
    """What stands for a kill: nothing catches it."""


@pytest.mark.parametrize("name", ["write_style", "save_best", "save"])
def test_a_run_killed_before_its_first_checkpoint_begins_again_by_the_same_command(
    name: str, training_data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(*flags(training_data, output="runs/whole", steps=2), "--quiet") == 0
    written = getattr(RunFolder, name)

    def killed(self: RunFolder, *arguments: object) -> None:
        if name == "write_style":
            written(self, *arguments)
        raise _Killed

    command = flags(training_data, output="runs/killed", steps=2)
    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, "save" if name == "save_best" else name, killed)
        with pytest.raises(_Killed):
            train(*command, "--quiet")
    assert train("--resume", "last", "--output", "runs/killed") == 2
    assert "the command that began the run begins it again" in capsys.readouterr().err
    assert train(*command, "--quiet") == 0
    assert same(checkpoint(Path("runs/whole"))["method"], checkpoint(Path("runs/killed"))["method"])
    assert not (Path("runs/killed/checkpoints") / "nothing-saved-yet").exists()


def test_a_finished_run_without_its_checkpoints_is_not_begun_again(
    training_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = flags(training_data, output="runs/x", steps=2)
    assert train(*command, "--quiet") == 0
    for path in Path("runs/x/checkpoints").iterdir():
        path.unlink()
    before = snapshot(Path("runs/x"))
    assert train(*command, "--quiet") == 2
    assert "has a run or other files in it" in capsys.readouterr().err and snapshot(Path("runs/x")) == before
