"""Pictures from noise as a user draws them: by seed, on a sheet, on a walk, mixed, swapped, of a photo."""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnxruntime
import pytest
import torch
from PIL import Image
from training import noise_flags, train

from toonify.cli import main
from toonify.errors import StyleError, UsageError
from toonify.generate.draw import draw_seeds, to_pictures
from toonify.generate.export import export_generator, inputs_of
from toonify.generate.mix import mix, parse_mix
from toonify.generate.open import open_noise, styles_of
from toonify.generate.project import project
from toonify.generate.seeds import latents_of, noise_of
from toonify.generate.swap import swap_layers
from toonify.generate.walk import arc, parse_walk, walk
from toonify.metrics.lpips import read_lpips
from toonify.pixels.arrays import psnr
from toonify.styles.card import Card
from toonify.styles.find import find_style
from toonify.videos.reader import Video

pytestmark = pytest.mark.usefixtures("one_thread")
ARCHES = ["dcgan", "progan", "stylegan"]


@pytest.fixture(scope="session")
def runs(training_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of each method, and two that began with the weights of stylegan's."""
    folder = tmp_path_factory.mktemp("runs")
    for arch in ARCHES:
        grown = {} if arch == "dcgan" else {"grow_epochs": 0}
        assert train(*noise_flags(training_data, arch, **grown, seed=3, output=folder / arch)) == 0
    begun = {"start_from": folder / "stylegan", "learning_rate": 0.01}
    for name, seed in (("photo", 1), ("toon", 2)):
        assert train(*noise_flags(training_data, "stylegan", **begun, seed=seed, output=folder / name)) == 0
    return folder


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    yield


def said(capsys: pytest.CaptureFixture[str], *arguments: Any, code: int = 2) -> str:
    """The one line that a command line is refused with."""
    capsys.readouterr()
    assert main([str(each) for each in arguments]) == code
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1
    return err.removeprefix("error: ").strip()


def read(path: str | Path) -> np.ndarray[Any, Any]:
    with Image.open(path) as image:
        assert image.mode == "RGB"
        return np.asarray(image)


# Seeds


def test_latents_follow_from_the_seed_for_ever() -> None:
    assert latents_of([5, 2**32 - 1], 2).ravel().tolist() == [
        -0.9474506974220276,
        0.1129719689488411,
        0.6403854489326477,
        -0.3158780038356781,
    ]
    assert np.array_equal(latents_of([9, 5], 4)[1], latents_of([5], 8)[0, :4])
    assert not np.array_equal(latents_of([5], 4), noise_of([5], 4))


# Pictures


@pytest.mark.parametrize("arch", ARCHES)
def test_a_picture_is_its_seeds_whatever_is_drawn_beside_it(arch: str, runs: Path) -> None:
    opened = open_noise(str(runs / arch), device="cpu")
    alone = [next(draw_seeds(opened.network, [seed])) for seed in range(5)]
    again = [next(draw_seeds(opened.network, [seed])) for seed in range(5)]
    assert all(np.array_equal(one, other) for one, other in zip(alone, again, strict=True))
    assert not np.array_equal(alone[0], alone[1])
    for batch in (2, 5):
        together = draw_seeds(opened.network, range(5), batch=batch)
        for one, other in zip(alone, together, strict=True):
            assert np.abs(one.astype(int) - other).max() <= 1


def test_pictures_are_named_by_their_seeds(runs: Path) -> None:
    assert main(["generate", str(runs / "stylegan"), "--number", "3", "--seed", "41", "--quiet"]) == 0
    assert sorted(path.name for path in Path("generated").iterdir()) == ["seed41.png", "seed42.png", "seed43.png"]
    opened = open_noise(str(runs / "stylegan"), device="cpu")
    assert np.array_equal(read("generated/seed42.png"), list(draw_seeds(opened.network, [41, 42, 43]))[1])


def test_a_grid_is_one_sheet(runs: Path) -> None:
    assert main(["generate", str(runs / "progan"), "--grid", "3x2", "-o", "out"]) == 0
    sheet = read("out/seed0-grid3x2.png")
    assert sheet.shape == (2 * 32 + 2, 3 * 32 + 2 * 2, 3)
    assert [path.name for path in Path("out").iterdir()] == ["seed0-grid3x2.png"]
    opened = open_noise(str(runs / "progan"), device="cpu")
    assert np.array_equal(sheet[34:, 34:66], list(draw_seeds(opened.network, range(6)))[4])


def test_a_truncation_of_0_draws_the_mean_picture(runs: Path) -> None:
    opened = open_noise(str(runs / "stylegan"), device="cpu")
    network = styles_of(opened, "")
    for layer in network.styled:
        layer.noise.zero_()
    one, other = draw_seeds(network, [1, 2], truncation=0.0)
    assert np.abs(one.astype(int) - other).max() <= 1
    one, other = draw_seeds(network, [1, 2], truncation=0.7)
    assert np.abs(one.astype(int) - other).max() > 1


def test_a_walk_begins_and_ends_with_the_pictures_of_its_seeds(runs: Path) -> None:
    for arch in ARCHES:
        opened = open_noise(str(runs / arch), device="cpu")
        if opened.styled is not None:
            for layer in opened.styled.styled:
                layer.noise.zero_()
        first, middle, last = (next(draw_seeds(opened.network, [seed])) for seed in (4, 5, 6))
        frames = list(walk(opened, [4, 5, 6], 5))
        for frame, wanted in zip(frames[::2], (first, middle, last), strict=True):
            assert np.abs(frame.astype(int) - wanted).max() <= 1, arch
        assert not np.array_equal(frames[1], first)
    assert main(["generate", str(runs / "dcgan"), "--walk", "4,5,6", "--frames", "5", "-o", "w"]) == 0
    assert sorted(path.name for path in Path("w").iterdir()) == [f"frame{n:05d}.png" for n in range(5)]


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".webm"])
def test_a_walk_as_a_video_shows_its_frames(suffix: str, runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["generate", str(runs / "stylegan"), "--walk", "4,5", "--frames", "7", "-o", f"out/walk{suffix}"]
    assert main(command) == 0
    assert "there already" in said(capsys, *command) and main([*command, "--overwrite"]) == 0
    frames = list(walk(open_noise(str(runs / "stylegan"), device="cpu"), [4, 5], 7))
    with Video(Path(f"out/walk{suffix}")) as video:
        shown = [frame.pixels() for frame in video.frames()]
        assert video.rate == 30
    assert len(shown) == 7 and [path.name for path in Path("out").iterdir()] == [f"walk{suffix}"]
    # Colors have a quarter of the pixels in a video, and these are noise; so gray values are compared.
    gray = [[each.astype(np.float32).mean(2) for each in pictures] for pictures in (shown, frames)]
    agreements = np.array([[psnr(one, other, peak=255) for other in gray[1]] for one in gray[0]])
    assert agreements.diagonal().min() > 22 and (np.abs(agreements.argmax(1) - range(7)) <= 1).all()


def test_an_arc_keeps_the_length_of_latents() -> None:
    ends = np.array([[3.0, 0.0], [0.0, 3.0]], np.float32)
    assert np.allclose(
        arc(ends, np.array([0.0, 1 / 3, 0.5, 1.0])),
        3 * np.array([[1, 0], [np.cos(np.pi / 6), 0.5], [np.sqrt(0.5), np.sqrt(0.5)], [0, 1]]),
        atol=1e-6,
    )
    assert np.allclose(arc(np.stack([ends[0], ends[0]]), np.array([0.5])), ends[:1])


def test_mixed_layers_have_the_styles_of_their_seeds(runs: Path) -> None:
    opened = open_noise(str(runs / "stylegan"), device="cpu")
    whole = next(draw_seeds(opened.network, [6]))
    assert np.abs(mix(opened, {"coarse": 6, "middle": 6}, 6).astype(int) - whole).max() <= 1
    network = styles_of(opened, "")
    w = network.mapping(torch.from_numpy(latents_of([1, 2], 8)))
    layers = torch.stack([w[0]] * 4 + [w[1]] * 4)[None]  # 4 and 8 pixels, then 16 and 32
    noise = torch.from_numpy(noise_of([6], network.noise_size))
    (expected,) = to_pictures(network.synthesis(layers, noise))
    assert np.abs(mix(opened, {"coarse": 1, "middle": 2}, 6).astype(int) - expected).max() <= 1
    assert main(["generate", str(runs / "stylegan"), "--mix", "middle=2,coarse=1", "--seed", "6", "-o", "m"]) == 0
    assert np.abs(read("m/mix-middle2-coarse1-seed6.png").astype(int) - expected).max() <= 1


# Layers exchanged


@pytest.mark.parametrize("arch", ARCHES)
def test_fine_layers_are_the_others_and_all_else_is_as_it_was(arch: str, runs: Path) -> None:
    photo, toon = (open_noise(str(runs / arch), device="cpu").network for _ in range(2))
    for tensor in [*toon.parameters(), *toon.buffers()]:
        tensor.data = torch.zeros_like(tensor)
    swapped = swap_layers(photo, toon, 16)
    fine = tuple(name for side, name in photo.layers() if side >= 16)
    for name, tensor in photo.state_dict().items():
        wanted = torch.zeros_like(tensor) if name.startswith(fine) else tensor
        assert torch.equal(swapped[name], wanted), name
    assert any(name.startswith(fine) for name in swapped) and not all(name.startswith(fine) for name in swapped)
    with pytest.raises(UsageError, match="--from 4: layers begin at 8, 16, 32 px; give one of these"):
        swap_layers(photo, toon, 4)


def test_swapped_layers_of_runs_with_one_ancestor_draw(runs: Path, lpips_files: list[Path]) -> None:
    for photo, toon in (("photo", "toon"), ("stylegan", "toon"), ("photo", "stylegan")):
        target = f"{photo}-{toon}"
        assert main(["swap-layers", str(runs / photo), str(runs / toon), "--from", "16", "-o", target]) == 0
        assert main(["generate", target, "--number", "1", "-o", f"{target}/out"]) == 0
        mixed, *plain = (next(draw_seeds(open_noise(str(each)).network, [0])) for each in (target, runs / photo))
        assert not np.array_equal(mixed, plain[0])
        assert np.array_equal(next(draw_seeds(open_noise(target, "photo").network, [0])), plain[0])
    Image.fromarray(np.full((40, 50, 3), 90, np.uint8)).save("gray.png")
    weights = [word for path in lpips_files for word in ("--lpips-weights", str(path))]
    command = ["generate", "photo-toon", "--project", "gray.png", "--project-steps", "2", *weights, "-o", "p"]
    assert main(command) == 0
    assert sorted(path.name for path in Path("p").iterdir()) == ["gray-found.png", "gray.png"]


def test_a_projection_comes_nearer_to_its_photo(runs: Path, lpips_files: list[Path]) -> None:
    network = styles_of(open_noise(str(runs / "stylegan"), device="cpu"), "")
    lpips = read_lpips(lpips_files).requires_grad_(False)
    torch.manual_seed(0)
    wanted = next(draw_seeds(network, [11]))
    noise = torch.from_numpy(noise_of([11], network.noise_size))
    left = [project(network, wanted, lpips, seed=11, steps=steps)[1] for steps in (1, 40)]
    assert left[1] < 0.7 * left[0]
    w, _ = project(network, wanted, lpips, seed=11, steps=40)
    (found,) = to_pictures(network.synthesis(w, noise))
    (mean,) = to_pictures(network.synthesis(network.mean_w.expand(1, 8, -1), noise))
    distance = [np.abs(each.astype(float) - wanted).mean() for each in (found, mean)]
    assert distance[0] < distance[1]


# Export


@pytest.mark.parametrize("arch", ARCHES)
def test_an_exported_generator_draws_what_it_drew(arch: str, runs: Path) -> None:
    style = open_noise(str(runs / arch), device="cpu").style
    assert export_generator(style, Path("g.onnx")) >= 80
    session = onnxruntime.InferenceSession("g.onnx", providers=["CPUExecutionProvider"])
    network = open_noise(str(runs / arch), device="cpu").network
    names = [each.name for each in session.get_inputs()]
    assert names == (["latent", "noise", "truncation"] if arch == "stylegan" else ["latent"])
    for seeds in ((4,), (1, 2, 3, 9)):  # any number at once
        given = inputs_of(network, seeds, truncation=0.7)
        (drawn,) = session.run(None, given)
        truncation = 0.7 if arch == "stylegan" else None
        for picture, expected in zip(
            to_pictures(torch.from_numpy(drawn)), draw_seeds(network, seeds, truncation=truncation), strict=True
        ):
            assert np.abs(picture.astype(int) - expected).max() <= 1
    with pytest.raises(FileExistsError):
        export_generator(style, Path("g.onnx"))
    with pytest.raises(UsageError, match="is for other programs; give the folder of the run"):
        open_noise("g.onnx")


# What is refused


def test_what_cannot_be_drawn_is_one_line(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    style = str(runs / "stylegan")
    for arguments, line in (
        (["--truncation", "-0.1"], "--truncation -0.1: give a number from 0, the mean picture, to 2"),
        (["--truncation", "2.1"], "--truncation 2.1: give a number from 0, the mean picture, to 2"),
        (["--truncation", "nan"], "--truncation nan: give a number from 0, the mean picture, to 2"),
        (["--mix", "fine=3"], "--mix fine=3: stylegan draws 32 px and has no layers from 64 px on; drop it"),
        (["--mix", "corse=3"], "--mix corse=3: give a seed for layers, such as coarse=1,middle=2,fine=3"),
        (["--walk", "1"], "--walk 1: give two seeds or more with commas, such as 1,2,3"),
        (["--frames", "9"], "--frames is for --walk; give that, or drop it"),
        (["--grid", "4"], "--grid 4: give columns and rows, such as 4x4, each up to 100"),
        (["--grid", "2x2", "--mix", "coarse=1"], "--grid and --mix draw different things; give one of them"),
        (["--grid", "2x2", "--number", "4"], "--number is for pictures one by one; drop it, or --grid"),
        (
            ["--walk", "1,2", "-o", "walk.avi"],
            "--output walk.avi: give a folder, or a video that ends in .mp4, .m4v, .mov, .mkv, .webm",
        ),
        (["--variant", "best"], "style stylegan has no variant 'best'; choose --variant last"),
        (["--project", "gone.png"], "--project gone.png: No such file or directory"),
    ):
        assert said(capsys, "generate", style, *arguments) == line
    line = "--truncation is for stylegan, which has styles; dcgan is a dcgan, so drop it"
    assert said(capsys, "generate", runs / "dcgan", "--truncation", "0.5") == line
    assert not list(Path().iterdir())


def test_pictures_that_are_there_are_replaced_only_if_asked(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["generate", runs / "dcgan", "--number", "2", "-o", "out"]
    Path("out").mkdir()
    Path("out/seed1.png").write_bytes(b"mine")
    assert said(capsys, *command) == "out/seed1.png is there already; give another --output, or --overwrite"
    assert Path("out/seed1.png").read_bytes() == b"mine" and not Path("out/seed0.png").exists()
    assert main([*map(str, command), "--overwrite"]) == 0
    assert read("out/seed1.png").shape == (32, 32, 3)


def test_generators_from_noise_draw_no_photos_and_the_other_way_round(
    runs: Path, tiny_run: Path, photo: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    style = str(runs / "stylegan")
    line = f"{style} draws pictures from noise (stylegan), no photos; type `toonify generate {style}`, or give a style"
    assert said(capsys, "convert", photo, "--style", style, "-o", "out") == line
    assert said(capsys, "sheet", photo, "--styles", style, "-o", "out.png") == line
    with pytest.raises(UsageError, match="draws pictures from noise"):
        find_style(style)
    assert said(capsys, "generate", tiny_run).startswith(
        f"{tiny_run} draws photos, nothing from noise; give the folder"
    )
    assert said(capsys, "export", style, "a.onnx", "--fp16") == "--fp16 is for networks that draw photos; drop it"


def test_pickles_of_others_are_refused_by_name(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for command in (["generate", "ffhq.pkl"], ["swap-layers", "ffhq.PKL", runs / "toon", "--from", "16", "-o", "x"]):
        assert "a pickle (.pkl) is code, which toonify does not run; give a run's folder" in said(capsys, *command)


def test_runs_that_have_no_ancestor_in_common_are_refused(
    runs: Path, training_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(*noise_flags(training_data, "stylegan", seed=9, output="stranger")) == 0
    assert said(capsys, "swap-layers", "stranger", runs / "toon", "--from", "16", "-o", "x") == (
        "stranger and toon did not begin with the same weights; train one with --start-from the other"
    )
    assert said(capsys, "swap-layers", runs / "progan", runs / "toon", "--from", "16", "-o", "x") == (
        "progan and toon have other layers; train one with --start-from the other"
    )
    command = ["swap-layers", runs / "photo", runs / "toon", "-o", "x", "--from"]
    assert said(capsys, *command, "12") == "--from 12: layers begin at 8, 16, 32 px; give one of these"
    assert not Path("x").exists()
    Path("x").mkdir()
    Path("x/mine.txt").touch()
    assert said(capsys, *command, "16") == "--output x is there already; give another name"


def test_weights_that_are_not_those_of_the_card_are_refused(runs: Path) -> None:
    shutil.copytree(runs / "dcgan", "copy")
    card = json.loads(Path("copy/dcgan.json").read_text())
    card["variants"]["last"]["weights"]["fingerprint"] = "float32:" + "0" * 64
    Path("copy/dcgan.json").write_text(json.dumps(card))
    with pytest.raises(StyleError, match="holds other weights than the style's"):
        open_noise("copy")


def test_a_card_says_that_it_draws_from_noise_and_from_whom_it_descends(runs: Path) -> None:
    cards = {
        name: msgspec.json.decode((runs / name / f"{name}.json").read_bytes(), type=Card)
        for name in ("stylegan", "photo", "toon")
    }
    variants = {name: card.variants["last"] for name, card in cards.items()}
    assert {variant.input for variant in variants.values()} == {"noise"}
    lines = {name: each.training.ancestors for name, each in variants.items() if each.training is not None}
    ancestor = variants["stylegan"].weights.fingerprint
    assert lines == {"stylegan": [], "photo": [ancestor], "toon": [ancestor]}


# Measured


def test_fid_draws_a_run(runs: Path, training_data: Path, inception: Path, capsys: pytest.CaptureFixture[str]) -> None:
    reference = os.fspath(training_data / "photos")
    command = ["fid", str(runs / "dcgan"), reference, "--weights", str(inception), "--json", "--metrics", "fid"]
    assert main([*command, "--number", "6"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [(one["name"], one["count"]) for one in told["sets"]] == [(str(runs / "dcgan"), 6)]
    assert main(["generate", str(runs / "dcgan"), "--number", "6", "-o", "six"]) == 0
    capsys.readouterr()
    assert main(["fid", "six", *command[2:]]) == 0
    assert json.loads(capsys.readouterr().out)["sets"][0]["fid"] == told["sets"][0]["fid"]
    assert said(capsys, "fid", "six", reference, "--number", "6").startswith("--number is for generators from noise")


def test_parsing_walks_and_mixes() -> None:
    assert parse_walk("1, 2,3") == [1, 2, 3] and parse_mix("fine=3, coarse=1") == {"fine": 3, "coarse": 1}
    for text in ("", "1,", "a,b", "1,-2", f"1,{2**32}"):
        with pytest.raises(UsageError):
            parse_walk(text)
    for text in ("", "coarse", "coarse=", "coarse=1,coarse=2", "coarse=x"):
        with pytest.raises(UsageError):
            parse_mix(text)
