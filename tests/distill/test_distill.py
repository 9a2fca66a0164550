"""`toonify distill`: pairs as convert draws them, a student that comes nearer to its teacher, what is left of it."""

import errno
import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import torch
from files import read_rgb, snapshot
from hypothesis import given
from hypothesis import strategies as st
from training import SIZE, at_step, checkpoint, entries, flags, interrupt, losses, pictures, same
from training import train as run_train
from videos import scene

from toonify import load_style
from toonify.cli import main
from toonify.distill import start
from toonify.distill.options import DistillOptions, parse_sizes
from toonify.distill.targets import Manifest, draw_pairs
from toonify.distill.teacher import choose_teacher, open_teacher
from toonify.errors import UsageError
from toonify.images import encode_picture
from toonify.jobs.find import Found
from toonify.jobs.outcome import Outcome
from toonify.methods.batch import Batch
from toonify.methods.distill import Distill
from toonify.methods.method import StepPart
from toonify.methods.trained import Precision
from toonify.models.contrast import frame_contrast
from toonify.models.lite import LiteConfig, LiteGenerator
from toonify.styles.card import Variant
from toonify.styles.find import find_style
from toonify.styles.frame import framed
from toonify.train.folder import RunFolder
from toonify.train.record import Scores
from toonify.train.samples import Samples, choose_samples, draw_samples

pytestmark = pytest.mark.usefixtures("one_thread")
RUN = Path("runs/small")


EXPORT, LACKS = start.write_network, start.lacks_only_network


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    # Seconds for each run: one test is about it.
    monkeypatch.setattr(start, "write_network", lambda folder: "")
    monkeypatch.setattr(start, "lacks_only_network", lambda prepared: False)


@pytest.fixture
def teacher(tiny_onnx: Path) -> Path:
    """A style that is ready to draw: a checkpoint would be converted anew for each test."""
    return tiny_onnx


@pytest.fixture
def photos() -> Path:
    """Six photos of several sizes, two of them in a folder."""
    folder = Path("photos")
    (folder / "more").mkdir(parents=True)
    for number in range(6):
        height, width = ((96, 128), (48, 64), (70, 61))[number % 3]
        path = folder / ("more" if number > 3 else "") / f"{number}.png"
        path.write_bytes(encode_picture(scene(number, height, width), format="png"))
    return folder


def options(teacher: Path | str, photos: Path, **changed: Any) -> list[str]:
    """A tiny run's."""
    values: dict[str, Any] = {
        "teacher": teacher,
        "photos": photos,
        "output": RUN,
        "width": 8,
        "blocks": 1,
        "deep_blocks": 0,
        "size": SIZE,
        "batch_size": 2,
        "epochs": 2,
        "workers": 0,
        "device": "cpu",
        "precision": "fp32",
        "log_every": 1,
        "eval_metric": "psnr",
    } | changed
    return [word for name, value in values.items() for word in (f"--{name.replace('_', '-')}", str(value))]


def distill(*arguments: Any) -> int:
    return main(["distill", *map(str, arguments)])


def manifest(folder: Path) -> Manifest:
    return msgspec.json.decode((folder / "manifest.json").read_bytes(), type=Manifest)


# Pairs


def test_pairs_are_what_convert_shows(teacher: Path, photos: Path) -> None:
    assert distill(*options(teacher, photos, steps=1)) == 0
    made = manifest(RUN / "pairs")
    assert made.teacher == "tiny (original)" and len(made.pairs) == 6 and made.failed == {}
    style = load_style(str(teacher), output_size="drawn", device="cpu")
    for pair in made.pairs:
        photo, drawing = (read_rgb(RUN / "pairs" / kind / pair.name) for kind in ("photo", "drawing"))
        source = read_rgb(photos / pair.source)
        sketch = style.prepare(source)
        assert np.array_equal(photo, sketch.small) and max(photo.shape) == min(64, max(source.shape))
        assert np.abs(drawing.astype(int) - style(source)).max() <= 1
        assert not np.array_equal(photo, drawing)


def test_sizes_come_in_turn_and_never_enlarge(teacher: Path, photos: Path) -> None:
    assert distill(*options(teacher, photos, steps=1, sizes="64,96")) == 0
    made = manifest(RUN / "pairs")
    assert [pair.size for pair in made.pairs] == [64, 96] * 3
    for pair in made.pairs:
        longest = max(read_rgb(photos / pair.source).shape[:2])
        assert max(read_rgb(RUN / "pairs" / "drawing" / pair.name).shape[:2]) == min(longest, pair.size)


def test_a_run_killed_before_its_first_checkpoint_begins_again_by_the_same_command(
    teacher: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def killed(*_arguments: object) -> None:
        raise Killed

    assert distill(*options(teacher, photos, output="runs/whole"), "--quiet") == 0
    for part in ("make", "save"):
        with monkeypatch.context() as patch:
            patch.setattr(RunFolder, part, killed)
            with pytest.raises(Killed):
                distill(*options(teacher, photos), "--quiet")
    assert distill(*options(teacher, photos), "--quiet") == 0
    assert same(checkpoint(Path("runs/whole"))["method"], checkpoint(RUN)["method"])


def test_a_photo_that_cannot_be_read_is_named_and_left_out(
    teacher: Path, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (photos / "broken.png").write_bytes(b"no picture")
    assert distill(*options(teacher, photos, steps=1), "--quiet") == 0
    assert "failed: photos/broken.png: not a picture" in capsys.readouterr().err
    made = manifest(RUN / "pairs")
    assert list(made.failed) == ["broken.png"] and len(made.pairs) == 6
    assert (photos / "broken.png").read_bytes() == b"no picture"


def test_no_photo_at_all_is_an_error(teacher: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("bad").mkdir()
    Path("bad/a.png").write_bytes(b"no picture")
    assert distill(*options(teacher, Path("bad"))) == 2
    assert "--photos bad: none of its pictures can be read" in capsys.readouterr().err
    assert not RUN.exists()


def test_an_interrupted_drawing_goes_on(
    teacher: Path, photos: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def cut_off(*arguments: Any):
        for number, outcome in enumerate(draw_pairs(*arguments)):
            if number == 2:
                raise KeyboardInterrupt
            yield outcome

    with monkeypatch.context() as patch:
        patch.setattr("toonify.distill.start.draw_pairs", cut_off)
        assert distill(*options(teacher, photos, steps=1)) == 130
    there = snapshot(RUN)
    assert not (RUN / "pairs" / "manifest.json").exists()
    assert 2 <= sum("drawing" in name for name in there) < 6

    outcomes: list[Outcome] = []

    def watching(*arguments: Any):
        for outcome in draw_pairs(*arguments):
            outcomes.append(outcome)
            yield outcome

    monkeypatch.setattr("toonify.distill.start.draw_pairs", watching)
    assert distill(*options(teacher, photos, steps=1)) == 0
    results = [outcome.result for outcome in outcomes]
    assert results.count("drawn") + results.count("skipped") == 6 and results.count("skipped") >= 2
    assert {name: data for name, data in snapshot(RUN).items() if name in there} == there


def test_a_run_among_its_photos_draws_none_of_its_drawings(teacher: Path, photos: Path) -> None:
    run = photos / "small"
    (run / "pairs" / "photo").mkdir(parents=True)
    shutil.copy(photos / "0.png", run / "pairs" / "photo" / "0.png")  # as a run leaves it that was interrupted
    shutil.copy(photos / "0.png", run / "pairs" / "photo" / "left.png")
    assert distill(*options(teacher, photos, output=run, steps=1)) == 0
    told = manifest(run / "pairs")
    assert len(told.pairs) + len(told.failed) == 6


@pytest.mark.skipif(os.name == "nt" or sys.platform == "darwin", reason="names there are Unicode")
def test_a_name_that_no_list_can_hold_is_named(teacher: Path, photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copy(photos / "0.png", photos / os.fsdecode(b"caf\xe9.png"))
    assert distill(*options(teacher, photos, steps=1)) == 0
    assert "failed: photos/caf?.png: its name is not UTF-8" in capsys.readouterr().err
    told = manifest(RUN / "pairs")
    assert len(told.pairs) == 6 and list(told.failed) == ["caf?.png"]


def test_a_run_that_goes_on_may_be_judged_by_lpips(teacher: Path, photos: Path, lpips_files: list[Path]) -> None:
    weights = [word for path in lpips_files for word in ("--lpips-weights", path)]
    assert distill(*options(teacher, photos, epochs=1, eval_photos=photos / "more", eval_every=1)) == 0
    assert distill("--resume", "last", "--output", RUN, "--epochs", 2, "--eval-metric", "lpips", *weights) == 0
    best = checkpoint(RUN)["best"]
    assert best["step"] == 6 and "lpips" in best["scores"]


def test_pairs_of_another_teacher_are_drawn_anew_and_other_files_are_left_alone(
    teacher: Path, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert distill(*options(teacher, photos, steps=1)) == 0
    name = manifest(RUN / "pairs").pairs[0].name
    for other in set(RUN.iterdir()) - {RUN / "pairs"}:  # as if it had been interrupted before the first step
        shutil.rmtree(other) if other.is_dir() else other.unlink()
    before = (RUN / "pairs" / "drawing" / name).read_bytes()
    of_mine = RUN / "pairs" / "drawing" / manifest(RUN / "pairs").pairs[1].name
    of_mine.write_bytes(encode_picture(scene(99, 8, 8), format="png"))
    mine = of_mine.read_bytes()
    assert distill(*options(teacher, photos, steps=1, sizes="64,64")) == 0  # the same, in other words
    assert (RUN / "pairs" / "drawing" / name).read_bytes() == before
    assert of_mine.read_bytes() == mine and len(manifest(RUN / "pairs").failed) == 1
    assert "is another picture; give another --output" in capsys.readouterr().err


def test_the_teacher_is_run_in_the_faster_way_that_agrees(tiny_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = choose_teacher(str(tiny_run))
    bf16 = Precision("cpu", torch.bfloat16)
    teacher = open_teacher(plan, bf16, device="cpu")
    assert "dB between them" in teacher.remark and "bf16" in teacher.remark
    monkeypatch.setattr("toonify.distill.teacher.MIN_PSNR", 1e9)
    teacher = open_teacher(plan, bf16, device="cpu")
    assert teacher.generator.engine.startswith("ONNX Runtime") and teacher.remark.endswith("the first draws")


def test_a_teacher_is_no_student_if_it_has_another_variant(tmp_path: Path) -> None:
    shinkai = find_style("shinkai").card
    lite = msgspec.structs.replace(shinkai.variants["original"], architecture="lite")
    card = msgspec.structs.replace(shinkai, variants={"lite": lite, **shinkai.variants})
    (tmp_path / "two.json").write_bytes(msgspec.json.encode(card))
    assert choose_teacher(str(tmp_path / "two.json")).style.name == "original"


# Runs


def test_a_student_comes_nearer_to_its_teacher_and_is_a_style(
    teacher: Path, photos: Path, training_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = options(teacher, photos, epochs=40, learning_rate=0.003, ema=0.9, eval_photos=photos / "more", eval_every=20)
    content = ["--content", "vgg19:conv1_2", "--content-weights", training_data / "vgg.pth", "--content-weight", 0.1]
    own = ["--license", "CC0-1.0", "--attribution", "photos by the tests", "--id", "tiny-lite"]
    assert distill(*run, *content, *own) == 0
    said = capsys.readouterr().err
    assert "drawings of --photos: 6" in said and "finished: 120 steps" in said and "PSNR of the photo" in said
    found = losses(RUN)
    assert found[1].keys() == {"l1", "gradient", "content"}
    assert all(found[120][name] < found[1][name] for name in found[1])
    first, last = (entry.evaluation for entry in entries(RUN) if isinstance(entry, Scores))
    assert last["psnr"] > first["psnr"] and last["psnr"] > last["psnr_photo"] == first["psnr_photo"]

    card = find_style(str(RUN)).card
    ((name, variant),) = card.variants.items()
    assert (card.id, name, card.license) == ("tiny-lite", "lite", "CC0-1.0")
    assert (
        card.attribution == "the tests; photos by the tests" and "Distilled by toonify from tiny" in card.license_note
    )
    assert variant == Variant(
        weights=variant.weights,
        architecture="lite",
        config={"width": 8, "blocks": 1, "deep_blocks": 0, "contrast": True},
        multiple=4,
        minimum=4,
        padding=variant.padding,
        size=64,
        bytes_per_pixel=variant.bytes_per_pixel,
        training=variant.training,
    )
    training = variant.training
    assert training is not None and training.method == "distill" and training.teacher == "tiny (original)"
    assert training.scores == last and training.pictures == {"photos": 6} and training.steps == 120
    assert training.options.keys().isdisjoint({"teacher", "photos", "output", "eval_photos", "content_weights"})

    sheet = read_rgb(pictures(RUN / "samples")[-1])  # photo, target and student, one below the other
    assert sheet.shape[0] > 3 * 250
    assert main(["convert", str(photos), "--style", str(RUN), "--output", "out", "--quiet", "--device", "cpu"]) == 0
    assert len(list(Path("out").rglob("*.png"))) == 6
    drawing, photo = read_rgb(Path("out/1.png")), read_rgb(photos / "1.png")
    assert drawing.shape == photo.shape and not np.array_equal(drawing, photo)


def test_lpips_may_be_a_loss(teacher: Path, photos: Path, lpips_files: list[Path]) -> None:
    weights = [word for path in lpips_files for word in ("--lpips-weights", path)]
    alone = {"lpips_weight": 1, "l1_weight": 0, "gradient_weight": 0, "learning_rate": 0.01}
    assert distill(*options(teacher, photos, epochs=6, **alone), *weights) == 0
    found = losses(RUN)
    assert found[1].keys() == {"l1", "gradient", "lpips"}
    first, last = (sum(found[step]["lpips"] for step in steps) for steps in (range(1, 7), range(13, 19)))
    assert last < first
    training = find_style(str(RUN)).card.variants["lite"].training
    assert training is not None and training.options["lpips_weight"] == 1 and "lpips_weights" not in training.options


def test_a_run_that_was_stopped_goes_on_bit_for_bit(
    teacher: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, cut = Path("runs/whole"), Path("runs/cut")
    assert distill(*options(teacher, photos, output=whole, eval_photos=photos / "more")) == 0
    with monkeypatch.context() as patch:
        at_step(patch, 3, interrupt)
        assert distill(*options(teacher, photos, output=cut, eval_photos=photos / "more")) == 130
    shutil.rmtree(photos)  # what is drawn is drawn
    assert distill("--resume", "last", "--output", cut, "--quiet") == 0
    assert same(checkpoint(whole)["method"], checkpoint(cut)["method"])
    assert losses(whole) == losses(cut)


def test_a_resumed_run_keeps_the_weights_of_its_judge(
    teacher: Path, photos: Path, lpips_files: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    heads = tmp_path / "heads.pth"
    shutil.copyfile(lpips_files[1], heads)
    weights = ["--lpips-weights", lpips_files[0], "--lpips-weights", heads]
    assert distill(*options(teacher, photos, lpips_weight=1, steps=1), *weights) == 0
    go_on = ["--resume", "last", "--output", RUN, "--steps", 2, "--quiet"]
    others = {name: 2 * tensor for name, tensor in torch.load(heads, weights_only=True).items()}
    torch.save(others, heads)
    assert distill(*go_on) == 2
    assert "--lpips-weights: the run was trained with other weights; give those" in capsys.readouterr().err
    heads.unlink()
    assert distill(*go_on) == 2
    assert "heads.pth: no such file; give where it lies now" in capsys.readouterr().err
    assert distill(*go_on, "--lpips-weights", lpips_files[0], "--lpips-weights", lpips_files[1]) == 0


def test_a_resumed_run_keeps_its_teacher_and_photos(
    teacher: Path, photos: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert distill(*options(teacher, photos, steps=2)) == 0
    for name, value in (("--photos", "other"), ("--sizes", "96"), ("--teacher", "shinkai")):
        assert distill("--resume", "last", "--output", RUN, name, value) == 2
        assert f"a run that goes on cannot take {name} {value}" in capsys.readouterr().err
    assert distill("--resume", "last", "--output", RUN) == 2
    assert "is finished (2 steps)" in capsys.readouterr().err
    assert distill("--resume", "last", "--output", RUN, "--steps", 3, "--quiet") == 0
    assert distill(*options(teacher, photos)) == 2
    assert "has a run or other files in it; go on with --resume last" in capsys.readouterr().err


def test_crops_and_samples_are_parts_of_the_frame_that_is_drawn(
    teacher: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They know its contrast, and crops lie on the grid of the student's stride, on which strokes depend."""
    frames: list[np.ndarray] = []
    crops: list[np.ndarray] = []
    add_gradients, draw = Distill.add_gradients, draw_samples

    def adding(self: Distill, batch: Batch, part: StepPart) -> dict[str, torch.Tensor]:
        assert batch.frame is not None
        frames.extend(batch.frame.numpy())
        crops.extend(((batch.photo + 1) * 127.5).round().byte().permute(0, 2, 3, 1).numpy())
        return add_gradients(self, batch, part)

    def drawing(network: torch.nn.Module, samples: Samples, device: str) -> np.ndarray:
        assert samples.frames is not None
        frames.extend(samples.frames)
        return draw(network, samples, device)

    monkeypatch.setattr(Distill, "add_gradients", adding)
    monkeypatch.setattr("toonify.train.loop.draw_samples", drawing)
    assert distill(*options(teacher, photos, epochs=1)) == 0
    drawn = [read_rgb(RUN / "pairs" / "photo" / pair.name) for pair in manifest(RUN / "pairs").pairs]
    known = {frame_contrast(framed(photo, multiple=4, minimum=4, padding=16)).tobytes() for photo in drawn}
    assert len(frames) > 6 and {frame.tobytes() for frame in frames} == known and len(known) == 6
    on_grid = {
        part.tobytes()
        for whole in drawn
        for top in range(0, whole.shape[0], 4)
        for left in range(0, whole.shape[1], 4)
        for part in (whole[top : top + SIZE, left : left + SIZE], whole[top : top + SIZE, left + SIZE : left : -1])
    }
    assert len(crops) == 6 and {crop.tobytes() for crop in crops} <= on_grid


def test_a_sample_is_drawn_as_in_the_whole(photos: Path) -> None:
    torch.manual_seed(0)
    network = LiteGenerator(LiteConfig(8, 1, contrast=True)).eval()
    found = (Found(photos / "0.png"),)
    whole = read_rgb(found[0].path).copy()
    for measure, alike in ((frame_contrast, True), (None, False)):
        samples = choose_samples(found, 64, grid=4, measure=measure)
        (drawn,) = draw_samples(network, samples, "cpu")
        expected = draw_samples(network, Samples(whole[None]), "cpu")[0, 16:80, 32:96]
        inner = np.s_[20:-20, 20:-20]
        assert (np.abs(drawn[inner].astype(int) - expected[inner]).max() <= 1) == alike


def test_a_run_of_train_can_teach(training_data: Path, photos: Path) -> None:
    assert run_train(*flags(training_data, "cyclegan", output="runs/own", steps=1), "--quiet") == 0
    assert distill(*options("runs/own", photos, steps=1), "--quiet") == 0
    card = find_style(str(RUN)).card
    assert card.variants["lite"].training.teacher == "own (last)"
    assert card.variants["lite"].size == find_style("runs/own").card.variants["last"].size


def test_an_onnx_network_can_teach_and_the_student_becomes_one(
    tiny_onnx: Path, photos: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(start, "write_network", EXPORT)
    assert distill(*options(tiny_onnx, photos, steps=1)) == 0
    assert "runs/small/small-lite.onnx: 0.0 MB, agrees with PyTorch to 1" in capsys.readouterr().err
    assert manifest(RUN / "pairs").drawn_with.startswith("ONNX Runtime")
    for style in (RUN, RUN / "small-lite.onnx"):
        out = Path(f"{style.name}.png")
        assert main(["convert", str(photos / "0.png"), "--style", str(style), "--output", str(out), "--quiet"]) == 0
    assert np.abs(read_rgb(Path("small.png")).astype(int) - read_rgb(Path("small-lite.onnx.png"))).max() <= 1
    # One that was killed before its network was whole gets it, and is finished then.
    monkeypatch.setattr(start, "lacks_only_network", LACKS)
    network = (RUN / "small-lite.onnx").read_bytes()
    (RUN / "small-lite.onnx").unlink()
    assert distill("--resume", "last", "--output", RUN) == 0
    assert "small-lite.onnx: 0.0 MB, agrees with PyTorch" in capsys.readouterr().err
    assert len((RUN / "small-lite.onnx").read_bytes()) == len(network)
    assert distill("--resume", "last", "--output", RUN) == 2
    assert "is finished (1 steps)" in capsys.readouterr().err
    # Also where its network is all that is left of it.
    # A run that is called as a shipped style is itself.
    next_run = options(tiny_onnx, photos, output="shinkai", start_from=RUN / "small-lite.onnx", steps=1)
    assert distill(*next_run) == 0
    said = capsys.readouterr().err
    assert "begins with the weights of small-lite.onnx (lite)" in said and "--style ./shinkai\n" in said
    assert find_style("shinkai/shinkai-lite.onnx").card.variants["lite"].config == {
        "width": 8,
        "blocks": 1,
        "deep_blocks": 0,
        "contrast": True,
    }


def test_a_student_may_be_left_in_integers_too(
    teacher: Path, photos: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(start, "write_network", EXPORT)
    assert distill(*options(teacher, photos, steps=1), "--quantize") == 2
    assert "--quantize measures ranges on 16 photos or more; --photos has 6" in capsys.readouterr().err
    for number in range(10, 20):
        (photos / f"{number}.png").write_bytes(encode_picture(scene(number, 64, 64), format="png"))
    assert distill(*options(teacher, photos, steps=1), "--quantize") == 0
    said = capsys.readouterr().err
    assert "runs/small/small-lite-int8.onnx: " in said and "agrees with float32 to " in said
    int8 = find_style(str(RUN)).card.variants["lite"].int8
    assert int8 is not None and (int8.file, int8.photos) == ("small-lite-int8.onnx", 16) and int8.psnr >= 45
    style = load_style(str(RUN), device="cpu", precision="int8")
    assert style.engine.provider.endswith("int8")
    photo = read_rgb(photos / "0.png")
    alone = load_style(str(RUN / int8.file), device="cpu")
    assert np.array_equal(alone(photo), style(photo))


def test_a_network_that_cannot_be_written_leaves_the_run_as_it_is(
    teacher: Path, photos: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(folder: RunFolder) -> str:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(start, "write_network", fails)
    assert distill(*options(teacher, photos, steps=1)) == 1
    finished, tried, error = capsys.readouterr().err.splitlines()[-3:]
    assert finished.startswith("finished: 1 steps") and tried.endswith("--style runs/small")
    assert error.startswith("error: runs/small/small-lite.onnx could not be written: ")
    assert error.endswith("; `toonify export runs/small runs/small/small-lite.onnx` makes it")
    assert find_style(str(RUN)).card.id == "small"


def test_a_student_may_begin_with_anothers_weights(
    teacher: Path, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert distill(*options(teacher, photos, output="runs/first", epochs=30, learning_rate=0.003, ema=0)) == 0
    after = losses(Path("runs/first"))
    assert distill(*options(teacher, photos, start_from="runs/first", steps=2)) == 0
    assert "begins with the weights of first (lite)" in capsys.readouterr().err
    assert losses(RUN)[1]["l1"] < 0.9 * after[1]["l1"]
    grown = options(teacher, photos, output="runs/grown", start_from="runs/first", blocks=2, deep_blocks=1, steps=2)
    assert distill(*grown) == 0
    assert losses(Path("runs/grown"))[1]["l1"] < 0.9 * after[1]["l1"]
    local = options(teacher, photos, output="runs/local", start_from="runs/first", steps=1)
    assert distill(*local, "--no-contrast") == 0
    assert find_style("runs/local").card.variants["lite"].config["contrast"] is False
    assert distill(*options(teacher, photos, output="runs/c", start_from="runs/first", width=4)) == 2
    assert "--start-from runs/first has --width 8; give the same" in capsys.readouterr().err
    assert distill(*options(teacher, photos, output="runs/c", start_from=teacher)) == 2
    assert "it has no lite generator; give a style or run with one" in capsys.readouterr().err


def test_a_dry_run_tells_all_and_writes_nothing(
    teacher: Path, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = snapshot(Path())
    assert distill(*options(teacher, photos, eval_photos=photos / "more"), "--dry-run") == 0
    said = capsys.readouterr().err
    assert snapshot(Path()) == before and not RUN.exists()
    for part in (
        "teacher: tiny (original), which draws at up to 64 px",
        "photos: 6 in photos",
        "eval-photos: 2 in photos/more",
        "epochs of 3 steps: distillation 2; 6 steps of 2",
        "8 drawings take at most about",
        "a trial step took",
    ):
        assert part in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--output", "x"], "--teacher is missing; give a style, the folder of a run or an ONNX file"),
        (["--teacher", "shinkai"], "--output is missing; give the run's folder, such as runs/NAME"),
        (["--teacher", "nobody", "--output", "x"], "no such style"),
        (["--teacher", "shinkai", "--output", "x"], "--photos data/photo: no such folder"),
        (["--teacher", "shinkai", "--output", "x", "--sizes", "big"], "--sizes big: give long sides from 64 to 8192"),
        (["--teacher", "shinkai", "--output", "x", "--content", "vgg19"], "--content is for --content-weight"),
        (
            ["--teacher", "shinkai", "--output", "x", "--lpips-weights", "y"],
            "--lpips-weights is for --eval-photos and --lpips-weight",
        ),
        (["--teacher", "shinkai", "--output", "x", "--arch", "lite"], "--arch"),
        (["--resume", "last"], "--resume last: of which run?"),
    ],
)
def test_what_cannot_be_right_is_one_line(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert distill(*arguments) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1 and not Path("x").exists()


def test_networks_are_looked_at_before_anything_is_drawn(
    teacher: Path, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for changed, said in (
        ({"size": 50}, "--size 50: the student needs a multiple of 4, at least 16"),
        ({"content_weight": 1, "content_weights": "gone.pth"}, "gone.pth"),
        ({"batch_size": 9}, "--batch-size 9: photos has 6 pictures"),
        ({"eval_photos": photos, "lpips_weights": "gone.pth"}, "--lpips-weights gone.pth: no such file"),
    ):
        assert distill(*options(teacher, photos, **changed), "--quiet") in (2, 3)
        assert said in capsys.readouterr().err and not RUN.exists()


@given(st.text(max_size=12))
def test_sizes_are_taken_or_refused_in_one_line(text: str) -> None:
    try:
        assert all(64 <= size <= 8192 for size in parse_sizes(text))
    except UsageError as error:
        assert str(error).startswith("--sizes ")


def test_options_are_in_config_files_too(teacher: Path, photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = [f"{word[2:]} = {json.dumps(value)}" for word, value in _pairwise(options(teacher, photos, steps=1))]
    Path("a.toml").write_text("\n".join(lines), encoding="utf-8")
    assert distill("--config", "a.toml", "--quiet") == 0
    Path("b.toml").write_text('techer = "shinkai"\n', encoding="utf-8")
    assert distill("--config", "b.toml") == 2
    assert "--config b.toml: techer is no option of distill (is it teacher?)" in capsys.readouterr().err
    assert DistillOptions.changeable.isdisjoint({"teacher", "photos", "sizes", "size", "eval_photos"})


def _pairwise(words: list[str]) -> list[tuple[str, str]]:
    return list(zip(words[::2], words[1::2], strict=True))


@pytest.mark.parametrize(
    ("run", "file"), [("lite", "lite.onnx"), ("sky-lite", "sky-lite.onnx"), ("sky", "sky-lite.onnx")]
)
def test_the_network_of_a_run_says_lite_once(run: str, file: str) -> None:
    from toonify.distill.start import network_file
    from toonify.train.folder import RunFolder

    assert network_file(RunFolder(Path("runs", run))) == Path("runs", run, file)
