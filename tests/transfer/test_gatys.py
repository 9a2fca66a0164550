"""Style transfer by optimization: its equations, an independent writing of it, and how it goes on where it stopped."""

import dataclasses
import itertools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from samples import PHOTOS
from torch import Tensor
from torch.nn import functional
from videos import write_video

from toonify.checkpoints.tensors import read_tensors
from toonify.cli import main
from toonify.drawing import load_style
from toonify.errors import DownloadError, ImageError, StyleError, UsageError
from toonify.networks.load import load_module
from toonify.styles.card import LocatedStyle
from toonify.styles.find import read_card
from toonify.system.files import file_digest
from toonify.transfer import PictureOptions, gatys, style_of_pictures
from toonify.transfer.grams import grams_of
from toonify.transfer.optimizer import GatysConfig, GatysGenerator, sizes_of
from toonify.transfer.vgg import StyleFeatures

PHOTO, PAINTING = sorted(PHOTOS.glob("*.jpg"))[:2]
PLACES = (2, 5, 9, 12, 16, 19, 22, 25, 29, 32, 35, 38, 42)  # of the convolutions in the published file
CHANNELS = (64, 64, 128, 128, 256, 256, 256, 256, 512, 512, 512, 512, 512)


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def random_vgg(width: int = 64) -> dict[str, Tensor]:
    """Weights of chance whose maps have a mean near 1, with fewer channels where `width` is less than 64."""
    generator = torch.Generator().manual_seed(0)
    state = {"0.weight": torch.eye(3)[:, :, None, None].clone(), "0.bias": torch.zeros(3)}
    before = 3
    for place, channels in zip(PLACES, CHANNELS, strict=True):
        after = channels * width // 64
        state[f"{place}.weight"] = torch.randn(after, before, 3, 3, generator=generator) * (2 / 9 / before) ** 0.5
        state[f"{place}.bias"] = 0.1 + torch.zeros(after)
        before = after
    return state


@pytest.fixture(scope="module")
def vgg() -> dict[str, Tensor]:
    """The published weights where there are any, else narrow ones of chance."""
    folder = os.environ.get("TOONIFY_TEST_NETS")
    if not folder:
        return random_vgg(width=16)
    values = iter(read_tensors(Path(folder) / "vgg19_normalised.pth").values())
    names = [f"{place}.{what}" for place in (0, *PLACES) for what in ("weight", "bias")]
    return dict(zip(names, itertools.islice(values, len(names)), strict=True))


# --- the equations ---


def test_a_gram_matrix_has_the_mean_product_of_each_pair_of_maps() -> None:
    maps = noise(1, 3, 4, 5).double()
    found = gatys.gram(maps)
    for i, j in itertools.product(range(3), repeat=2):
        products = [float(maps[0, i, y, x] * maps[0, j, y, x]) for y in range(4) for x in range(5)]
        assert float(found[i, j]) == pytest.approx(sum(products) / 20, abs=1e-12)


def test_losses_are_zero_for_what_they_are_of_and_known_for_constants() -> None:
    maps = noise(1, 3, 4, 5).double()
    assert float(gatys.content_loss(maps, maps)) == 0
    assert float(gatys.content_loss(maps + 2, maps)) == pytest.approx(2)  # half of 2 squared
    grams = [torch.eye(size).double() for size in (2, 3, 4, 5, 6)]
    assert float(gatys.style_loss(grams, grams)) == 0
    assert float(gatys.style_loss([each + 2 for each in grams], grams)) == pytest.approx(1)  # a quarter of 2 squared
    ramp = torch.arange(5.0).expand(1, 3, 4, 5)
    assert float(gatys.total_variation(ramp)) == pytest.approx(1)


def test_the_share_of_the_style_goes_from_nothing_to_all() -> None:
    weights = [gatys.style_weight(strength) for strength in (0, 0.25, 0.5, 1)]
    assert weights[0] == 0 and weights == sorted(weights) and weights[-1] == gatys.STYLE_WEIGHT


TARGET = noise(1, 3, 4, 5, seed=1).double()


@pytest.mark.parametrize(
    "loss",
    [
        lambda x: gatys.content_loss(x, TARGET),
        lambda x: gatys.style_loss([gatys.gram(x)] * 5, [gatys.gram(TARGET)] * 5),
        gatys.total_variation,
    ],
    ids=["content", "style", "total variation"],
)
def test_the_gradient_of_each_loss_is_that_of_finite_differences(loss: Callable[[Tensor], Tensor]) -> None:
    x = noise(1, 3, 4, 5).double().requires_grad_()
    loss(x).backward()
    assert x.grad is not None
    with torch.no_grad():
        for place in itertools.product(range(3), range(4), range(5)):
            step = torch.zeros_like(x)
            step[0][place] = 1e-5
            slope = float(loss(x + step) - loss(x - step)) / 2e-5
            assert float(x.grad[0][place]) == pytest.approx(slope, rel=1e-6, abs=1e-9)


def test_the_gradient_of_the_whole_goes_through_the_network() -> None:
    network = StyleFeatures(random_vgg(width=4), torch.float32).double()
    network.dtype = torch.float64
    photo, style = noise(1, 3, 32, 32).double(), noise(1, 3, 32, 32, seed=2).double()
    content, grams = network(photo).content, [gatys.gram(maps) for maps in network(style).style]

    def total(x: Tensor) -> Tensor:
        return gatys.losses(x, network(x), content, grams, 10.0).total

    x = noise(1, 3, 32, 32, seed=3).double().requires_grad_()
    total(x).backward()
    assert x.grad is not None
    along = noise(1, 3, 32, 32, seed=4).double() - 0.5
    with torch.no_grad():
        slope = float(total(x + 1e-7 * along) - total(x - 1e-7 * along)) / 2e-7
    assert float((x.grad * along).sum()) == pytest.approx(slope, rel=1e-5)


# --- the same, written plainly ---


def plain_losses(picture: Tensor, photo: Tensor, painting: Tensor, vgg: dict[str, Tensor], steps: int) -> list[float]:
    """Gatys' method as a textbook has it, with the same weights of the losses: its loss before each step."""

    def maps_of(x: Tensor) -> list[Tensor]:
        x = functional.conv2d(x, vgg["0.weight"], vgg["0.bias"])
        maps = []
        for number, place in enumerate(PLACES):
            if number in (2, 4, 8, 12):
                x = functional.avg_pool2d(x, 2, 2)
            x = torch.relu(functional.conv2d(x, vgg[f"{place}.weight"], vgg[f"{place}.bias"], padding=1))
            maps.append(x)
        return maps

    def correlations(x: Tensor) -> Tensor:
        flat = x.reshape(x.shape[1], -1)
        return torch.mm(flat, flat.t()) / flat.shape[1]

    layers = (0, 2, 4, 8, 12)
    with torch.no_grad():
        target = maps_of(photo)[9]
        wanted = {layer: correlations(maps_of(painting)[layer]) for layer in layers}
    x = picture.clone().requires_grad_()
    optimizer = torch.optim.LBFGS([x], max_iter=1, history_size=20, tolerance_grad=0, tolerance_change=0)
    history: list[float] = []

    def closure() -> Tensor:
        optimizer.zero_grad()
        maps = maps_of(x)
        loss = 0.5 * functional.mse_loss(maps[9], target)
        for layer, share in zip(layers, (0.03, 0.09, 0.29, 0.29, 0.3), strict=True):
            loss = loss + gatys.STYLE_WEIGHT * share / 4 * functional.mse_loss(correlations(maps[layer]), wanted[layer])
        dx, dy = x[..., 1:] - x[..., :-1], x[:, :, 1:] - x[:, :, :-1]
        loss = loss + gatys.SMOOTHNESS * ((dx**2).mean() + (dy**2).mean())
        loss.backward()
        history.append(float(loss.detach()))
        return loss

    for _ in range(steps):
        optimizer.step(closure)
    return history


@pytest.mark.parametrize("start", ["photo", "noise"])
def test_the_loss_falls_as_that_of_a_plain_writing(vgg: dict[str, Tensor], start: str) -> None:
    steps, network = 12, StyleFeatures(vgg)
    photo, painting = picture_of(PHOTO), picture_of(PAINTING)
    begin = photo if start == "photo" else noise(*photo.shape, seed=5)
    grams = [gatys.gram(maps) for maps in network(painting).style]
    found: list[float] = []
    gatys.optimize(
        begin,
        photo,
        grams,
        network,
        steps=steps,
        weight=gatys.STYLE_WEIGHT,
        on_step=lambda done, losses: found.append(losses.total.item()),
    )
    expected = plain_losses(begin, photo, painting, vgg, steps)
    assert found == pytest.approx(expected, rel=0.01)
    assert found[-1] < found[0] / 2


def picture_of(path: Path, width: int = 64, height: int = 48) -> Tensor:
    with Image.open(path) as image:
        pixels = np.array(image.convert("RGB").resize((width, height)))
    return torch.from_numpy(pixels).permute(2, 0, 1)[None].contiguous() / 255


def test_bfloat16_brings_the_loss_as_far_down_as_float32(vgg: dict[str, Tensor]) -> None:
    photo, exact, ends = picture_of(PHOTO), StyleFeatures(vgg), []
    content, grams = exact(photo).content, [gatys.gram(maps) for maps in exact(picture_of(PAINTING)).style]
    for dtype in (torch.float32, torch.bfloat16):
        drawn = gatys.optimize(photo, photo, grams, StyleFeatures(vgg, dtype), steps=20, weight=gatys.STYLE_WEIGHT)
        ends.append(float(gatys.losses(drawn, exact(drawn), content, grams, gatys.STYLE_WEIGHT).total))
    assert ends[1] < 1.15 * ends[0]


def test_a_photo_as_its_own_style_stays_as_it_is(vgg: dict[str, Tensor], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gatys, "SMOOTHNESS", 0.0)
    photo, network = picture_of(PHOTO), StyleFeatures(vgg)
    grams = [gatys.gram(maps) for maps in network(photo).style]
    drawn = gatys.optimize(photo, photo, grams, network, steps=3, weight=100)
    assert (drawn - photo).abs().max() < 1e-3


def test_what_is_no_number_ends_it() -> None:
    network, photo = StyleFeatures(random_vgg(width=4)), noise(1, 3, 32, 32)
    grams = [torch.full_like(gatys.gram(maps), float("nan")) for maps in network(photo).style]
    with pytest.raises(FloatingPointError, match="nan after 1 steps"):
        gatys.optimize(photo, photo, grams, network, steps=3, weight=1)


# --- several sizes ---


def test_large_pictures_are_drawn_from_coarse_to_fine() -> None:
    assert sizes_of(240, 320) == [(240, 320)]
    assert sizes_of(368, 528) == [(368, 528), (192, 256)]
    assert sizes_of(1536, 2048) == [(1536, 2048), (768, 1024), (384, 512)]
    assert sizes_of(32, 1024) == [(32, 1024), (32, 512), (32, 256)]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("toonify.transfer.pictures.cache_folder", lambda: tmp_path / "cache")
    monkeypatch.setattr("toonify.transfer.optimizer.cache_folder", lambda: tmp_path / "cache")
    return tmp_path / "cache"


def generator_of(config: GatysConfig) -> GatysGenerator:
    network = StyleFeatures(random_vgg(width=4))
    state = grams_of([picture_of(PAINTING)], [1.0], network)
    grams = [[each for name, each in state.items() if name.startswith(f"{level}.")] for level in range(3)]
    return GatysGenerator(network, grams, config, "cpu", f"{config}")


def test_an_interrupted_picture_is_gone_on_with_and_is_the_same(cache: Path) -> None:
    photo = picture_of(PHOTO, 512, 32).numpy()
    config = GatysConfig(steps=3, start="noise", seed=1)
    whole = generator_of(config)(photo)
    assert not list((cache / "unfinished").iterdir())
    stopped = generator_of(config)
    with pytest.raises(InterruptedError):  # at the second size
        stopped(photo, on_share=lambda share: stopped.cancel() if share > 0.5 else None)
    assert len(list((cache / "unfinished").iterdir())) == 1
    shares: list[float] = []
    assert np.array_equal(generator_of(config)(photo, on_share=shares.append), whole)
    assert len(shares) == 3 and shares[-1] == 1  # of the second size alone
    assert not list((cache / "unfinished").iterdir())


def test_what_is_kept_and_damaged_is_drawn_anew(cache: Path) -> None:
    photo, config = picture_of(PHOTO, 512, 32).numpy(), GatysConfig(steps=2)
    whole = generator_of(config)(photo)
    stopped = generator_of(config)
    with pytest.raises(InterruptedError):
        stopped(photo, on_share=lambda share: stopped.cancel() if share > 0.5 else None)
    (kept,) = (cache / "unfinished").iterdir()
    kept.write_bytes(kept.read_bytes()[:200])
    assert np.array_equal(generator_of(config)(photo), whole)


def test_noise_is_another_with_another_seed(cache: Path) -> None:
    photo = picture_of(PHOTO, 32, 32).numpy()
    first, again, other = (generator_of(GatysConfig(steps=2, start="noise", seed=seed))(photo) for seed in (0, 0, 1))
    assert np.array_equal(first, again) and not np.array_equal(first, other)


# --- as a style ---


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    """Narrow weights of chance where the published ones are looked for."""
    from toonify.transfer import networks

    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    path = networks.ENCODER.path
    path.parent.mkdir(parents=True)
    torch.save(random_vgg(width=4), path)
    monkeypatch.setattr("toonify.transfer.vgg.ENCODER", dataclasses.replace(networks.ENCODER, sha256=file_digest(path)))


def test_pictures_are_blended_by_the_mean_of_their_gram_matrices() -> None:
    network, pictures = StyleFeatures(random_vgg(width=4)), [picture_of(PHOTO), picture_of(PAINTING, 80, 64)]
    alone = [grams_of([picture], [1.0], network) for picture in pictures]
    for name, blended in grams_of(pictures, [0.7, 0.3], network).items():
        assert torch.allclose(blended, 0.7 * alone[0][name] + 0.3 * alone[1][name], rtol=1e-4)


def test_a_style_that_is_too_large_for_the_memory_says_what_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("toonify.transfer.grams.available_memory", lambda: 1000)
    with pytest.raises(StyleError, match="give a smaller --style-size"):
        grams_of([picture_of(PHOTO)], [1.0], StyleFeatures(random_vgg(width=4)))


def test_a_style_for_optimization_draws_and_is_another_for_other_options(weights: None) -> None:
    options = PictureOptions(size=64, steps=2)
    style = style_of_pictures([PAINTING], options, "gatys")
    assert list(style.card.variants) == ["gatys"]
    drawn = load_style(style.folder, size=64, output_size="drawn")(Image.open(PHOTO))
    assert max(drawn.size) == 64
    for other in ({"steps": 3}, {"start": "noise"}, {"seed": 1}, {"strength": 0.5}):
        changed = dataclasses.replace(options, **other)
        assert style_of_pictures([PAINTING], changed, "gatys").folder != style.folder


def test_a_photo_too_large_for_the_memory_says_at_which_size_it_would_do(
    weights: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = style_of_pictures([PAINTING], PictureOptions(size=64, steps=1), "gatys").folder
    drawn = load_style(folder, size="full")
    monkeypatch.setattr("toonify.drawing.drawer.available_memory", lambda: 10_000_000)
    with pytest.raises(ImageError, match=r"draw it smaller, with --size \d+"):
        drawn(Image.new("RGB", (4000, 3000)))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"steps": 0}, "--steps 0: give a number from 1"),
        ({"seed": -1}, "--seed -1: give a number from 0"),
        ({"start": "chance"}, "--start-from chance: choose photo or noise"),
    ],
)
def test_options_that_cannot_be_are_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        style_of_pictures([PAINTING], PictureOptions(**options), "gatys")


def test_options_of_the_optimizer_are_for_it_alone() -> None:
    with pytest.raises(UsageError, match="--steps is for --variant gatys"):
        style_of_pictures([PAINTING], PictureOptions(steps=7))
    with pytest.raises(UsageError, match="choose --variant adain, lite or gatys"):
        style_of_pictures([PAINTING], variant="other")


def test_without_its_network_the_line_says_what_to_fetch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("toonify.checkpoints.published.reach", lambda url: "no network")
    with pytest.raises(DownloadError, match=r"save it as \S+vgg_normalised\.pth$"):
        style_of_pictures([PAINTING], variant="gatys")
    assert not cache.exists()


def test_a_picture_that_cannot_serve_is_named(tmp_path: Path) -> None:
    broken, small, plain = (tmp_path / name for name in ("broken.jpg", "small.png", "plain.png"))
    broken.write_bytes(PHOTO.read_bytes()[:2000])
    Image.new("RGB", (200, 20)).save(small)
    Image.new("RGB", (200, 200), (10, 200, 30)).save(plain)
    for path, said in ((broken, "cannot be read as a picture"), (small, "200 x 20 pixels"), (plain, "one color")):
        with pytest.raises(StyleError, match=said):
            style_of_pictures([path], variant="gatys")


# --- as a command ---


@pytest.fixture
def convert(weights: None, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """The command with a painting as style: its exit code, and what it says."""

    def run(*arguments: object) -> tuple[int, str]:
        options = ["--variant", "gatys", "--style", PAINTING, "--style-size", 64, "--device", "cpu"]
        code = main(["convert", *map(str, [*arguments, *options])])
        return code, capsys.readouterr().err

    return run


Convert = Callable[..., tuple[int, str]]


def test_convert_says_what_runs_and_knows_what_it_has_drawn(convert: Convert, tmp_path: Path) -> None:
    photo, out = tmp_path / "photo.jpg", tmp_path / "out.png"
    photo.write_bytes(PHOTO.read_bytes())
    options = [photo, "--output", out, "--size", 64]
    code, said = convert(*options, "--steps", 2)
    assert code == 0, said
    (first,) = [line for line in said.splitlines() if " on cpu, PyTorch" in line]
    assert "(gatys)" in first and "2 steps at each size from photo" in first
    assert "step 2 of 2: loss" in said
    with Image.open(out) as result, Image.open(photo) as source:
        assert result.size == source.size
    assert "skipped" in convert(*options, "--steps", 2)[1]
    assert "--steps 2 there, 3 now" in convert(*options, "--steps", 3)[1]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--backend", "onnx"], "runs on PyTorch; drop --backend onnx"),
        (["--precision", "int8"], "drop --precision int8"),
        (["--precision", "fp16"], "drop --precision fp16"),
        (["--tile", "512"], "draws no tiles; drop --tile 512"),
        (["--ray", "local"], "drop --ray"),
    ],
)
def test_what_is_for_networks_is_refused_in_one_line(convert: Convert, options: list[str], said: str) -> None:
    code, lines = convert(PHOTO, "--steps", 1, *options)
    assert code == 2
    (line,) = lines.strip().splitlines()
    assert said in line


def test_what_moves_is_refused_with_a_way_out(convert: Convert, tmp_path: Path) -> None:
    moving = tmp_path / "moving.webp"
    frames = [Image.new("RGB", (40, 40), color) for color in ("red", "blue")]
    frames[0].save(moving, save_all=True, append_images=frames[1:], duration=100)
    code, said = convert(moving, "--steps", 1)
    assert code == 1
    assert "it moves, and --variant gatys draws still pictures; add --first-frame" in said
    clip = write_video(tmp_path / "clip.mp4", [np.zeros((48, 64, 3), np.uint8)] * 3)
    code, said = convert(clip, "--steps", 1)
    assert code == 2 and "choose another --variant for videos" in said


def test_export_says_that_there_is_no_network(weights: None) -> None:
    folder = style_of_pictures([PAINTING], PictureOptions(size=64, steps=1), "gatys").folder
    with pytest.raises(StyleError, match="holds no network: its style is drawn by optimization"):
        load_module(LocatedStyle(read_card(folder / "style.json"), folder).variant())
