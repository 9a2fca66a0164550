"""Styles from pictures: AdaIN's equations, what is made of a picture, and what is said of one that cannot serve."""

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from onnx import TensorProto, helper
from PIL import Image
from samples import PHOTOS
from torch import Tensor
from torch.nn import functional

from toonify.checkpoints.hub import cache_folder
from toonify.checkpoints.published import Published
from toonify.checkpoints.tensors import read_tensors
from toonify.drawing import choose_combinations, load_style
from toonify.engines.onnx_runtime import OnnxGenerator
from toonify.errors import DownloadError, StyleError, UsageError
from toonify.models.adain import AdaINConfig, AdaINGenerator, decoder, encoder
from toonify.models.adain_lite import AdaINLiteConfig, AdaINLiteGenerator, initialize_adain_lite, keep_tail_smooth
from toonify.networks.load import load_module
from toonify.pixels.arrays import psnr
from toonify.styles.find import shipped_picture_network
from toonify.system.files import file_digest
from toonify.transfer import PictureOptions, is_picture, networks, style_of_pictures
from toonify.transfer.graph import take_styles
from toonify.transfer.pictures import _batch, _look_at, _shares

PHOTO = sorted(PHOTOS.glob("*.jpg"))[0]


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def features_of(generator: AdaINGenerator, picture: Tensor) -> np.ndarray:
    with torch.inference_mode():
        return generator.encoder(picture)[0].numpy().astype(float)


def adain(content: np.ndarray, style: np.ndarray) -> np.ndarray:
    """Equation 8, for C x h x w arrays."""
    out = np.empty_like(content)
    for channel, (x, y) in enumerate(zip(content, style, strict=True)):
        out[channel] = y.std() * (x - x.mean()) / np.sqrt(x.var() + 1e-5) + y.mean()
    return out


# --- the equations ---


@pytest.fixture(scope="module")
def tiny() -> AdaINGenerator:
    torch.manual_seed(1)
    return AdaINGenerator(AdaINConfig(width=4)).eval()


def test_a_styles_statistics_replace_the_contents(tiny: AdaINGenerator) -> None:
    content, style = noise(1, 3, 48, 64), noise(1, 3, 40, 32, seed=1) ** 3
    tiny.take_styles([style], [1.0])
    with torch.inference_mode():
        drawn = tiny.norm(tiny.encoder(content))[0].numpy()
    # Equation 6 has epsilon in the style's deviation, too, which matters where a channel is all but silent.
    assert np.abs(drawn - adain(features_of(tiny, content), features_of(tiny, style))).max() < 5e-3


def test_several_styles_are_blended_by_their_weights(tiny: AdaINGenerator) -> None:
    content, styles = noise(1, 3, 48, 64), [noise(1, 3, 40, 32, seed=1) ** 3, noise(1, 3, 64, 64, seed=2) / 2]
    alone = []
    with torch.inference_mode():
        for style in styles:
            tiny.take_styles([style], [1.0])
            alone.append(tiny.norm(tiny.encoder(content)))
        tiny.take_styles(styles, [0.7, 0.3])
        blended = tiny.norm(tiny.encoder(content))
    assert (blended - (0.7 * alone[0] + 0.3 * alone[1])).abs().max() < 1e-5  # equation 15


@pytest.mark.parametrize("strength", [0.0, 0.25, 1.0])
def test_strength_goes_from_the_content_to_the_style(tiny: AdaINGenerator, strength: float) -> None:
    content = noise(1, 3, 48, 64)
    tiny.take_styles([noise(1, 3, 40, 32, seed=1)], [1.0])
    some = AdaINGenerator(AdaINConfig(width=4, strength=strength)).eval()
    some.load_state_dict(tiny.state_dict())
    with torch.inference_mode():
        plain = tiny.encoder(content)
        features = strength * tiny.norm(plain) + (1 - strength) * plain  # equation 14
        assert (some(content) - tiny.decoder(features).clamp(0, 1)).abs().max() < 1e-5


# --- the published networks ---


@pytest.fixture
def real_nets() -> Path:
    folder = os.environ.get("TOONIFY_TEST_NETS")
    if not folder:
        pytest.skip("needs real networks: set TOONIFY_TEST_NETS (CONTRIBUTING.md says to what)")
    return Path(folder)


def test_the_published_decoder_draws_as_an_independent_writing_of_it(real_nets: Path) -> None:
    state = read_tensors(real_nets / "adain_decoder.pth")
    part = decoder().eval()
    part.load_state_dict(state)
    features = 3 * noise(1, 512, 6, 7)
    x = features.numpy()
    for name in ("1", "5", "8", "11", "14", "18", "21", "25", "28"):
        weight, bias = (state[f"{name}.{what}"].numpy().astype(float) for what in ("weight", "bias"))
        padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)), mode="reflect")
        windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))
        x = np.tensordot(windows, weight, axes=((1, 4, 5), (1, 2, 3))).transpose(0, 3, 1, 2) + bias[:, None, None]
        if name != "28":
            x = np.maximum(x, 0)
        if name in ("1", "14", "21"):
            x = x.repeat(2, axis=2).repeat(2, axis=3)
    with torch.inference_mode():
        drawn = part(features).numpy()
    assert psnr(drawn, x.astype(np.float32), peak=1) > 50


def test_the_published_encoder_is_a_normalised_vgg(real_nets: Path) -> None:
    """Its ReLU maps have a mean of about 1 on photos."""
    state = read_tensors(real_nets / "vgg19_normalised.pth")
    part = encoder().eval()
    values = [state["pre.weight"], state["pre.bias"]]
    for place in (0, 2, 5, 7, 10, 12, 14, 16, 19):
        values += [state[f"features.{place}.weight"], state[f"features.{place}.bias"]]
    part.load_state_dict(dict(zip(part.state_dict(), values, strict=True)))
    with Image.open(PHOTO) as image:
        photo = torch.from_numpy(np.array(image.convert("RGB").resize((320, 256)))).permute(2, 0, 1)[None] / 255
    with torch.inference_mode():
        features = part(photo)
    assert features.shape == (1, 512, 32, 40)
    assert 0.3 < float(features.mean()) < 3
    assert float(functional.relu(-features).max()) == 0


# --- from a picture to a style ---


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks of the published sizes with weights of chance, where the published ones are looked for."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr("toonify.checkpoints.hub.cache_folder", lambda: tmp_path / "cache")
    monkeypatch.setattr("toonify.transfer.pictures.cache_folder", lambda: tmp_path / "cache")
    torch.manual_seed(0)
    for name, part in (("ENCODER", encoder()), ("DECODER", decoder())):
        published: Published = getattr(networks, name)
        published.path.parent.mkdir(parents=True, exist_ok=True)
        torch.save(part.state_dict(), published.path)
        monkeypatch.setattr(networks, name, dataclasses.replace(published, sha256=file_digest(published.path)))


def test_a_picture_becomes_a_style_that_draws(weights: None) -> None:
    style = style_of_pictures([PHOTO], PictureOptions(size=96))
    assert style.card.id == PHOTO.stem.lower().replace(" ", "-")
    assert list(style.card.variants) == ["adain"]
    drawn = load_style(style.folder, size=96, output_size="drawn")(Image.open(PHOTO))
    assert max(drawn.size) == 96
    in_tiles = load_style(style.folder, size=96, output_size="drawn", tile=64)(Image.open(PHOTO))
    assert psnr(np.asarray(drawn), np.asarray(in_tiles), peak=255) > 50


def test_a_style_is_made_once_and_another_for_other_pixels_or_options(weights: None, tmp_path: Path) -> None:
    first = style_of_pictures([PHOTO], PictureOptions(size=96))
    made = (first.folder / "style.safetensors").stat().st_mtime_ns
    assert style_of_pictures([PHOTO], PictureOptions(size=96)).folder == first.folder
    assert (first.folder / "style.safetensors").stat().st_mtime_ns == made
    copy = tmp_path / "other name.jpg"
    copy.write_bytes(PHOTO.read_bytes())
    assert style_of_pictures([copy], PictureOptions(size=96)).variant().digest == first.variant().digest
    for options in (PictureOptions(size=64), PictureOptions(size=96, strength=0.5)):
        assert style_of_pictures([PHOTO], options).folder != first.folder
    crop = tmp_path / "crop.png"
    with Image.open(PHOTO) as image:
        image.crop((0, 0, image.width // 2, image.height)).save(crop)
    assert style_of_pictures([crop], PictureOptions(size=96)).variant().digest != first.variant().digest


def test_a_picture_does_not_take_the_name_of_a_style_that_ships(weights: None, tmp_path: Path) -> None:
    named = tmp_path / "Paprika.jpg"
    named.write_bytes(PHOTO.read_bytes())
    assert style_of_pictures([named], PictureOptions(size=64)).card.id == "paprika-picture"


def test_weights_are_shares_of_their_sum(weights: None, tmp_path: Path) -> None:
    other = tmp_path / "other.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)).save(other)
    blends = [PictureOptions(size=64, weights=shares) for shares in ((7.0, 3.0), (0.7, 0.3), (1.0, 0.0))]
    a, b, c = (style_of_pictures([PHOTO, other], options) for options in blends)
    assert a.folder == b.folder
    assert c.variant().digest == style_of_pictures([PHOTO], PictureOptions(size=64)).variant().digest
    assert a.variant().digest != c.variant().digest


def test_choosing_takes_pictures_among_its_styles(weights: None, tmp_path: Path) -> None:
    found = choose_combinations(["shinkai", str(PHOTO)], faces="off")
    assert [each.plan.style.name for each in found] == ["lite", "adain"]
    assert found[1].look == "soft"
    (blend,) = choose_combinations([str(PHOTO)] * 2, pictures=PictureOptions(weights=(1.0, 1.0)), faces="off")
    assert blend.plan.style.name == "adain"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (PictureOptions(strength=1.5), "--style-strength 1.5: give a number from 0 to 1"),
        (PictureOptions(size=8), "--style-size 8: give 32 pixels or more"),
        (PictureOptions(weights=(1.0, 2.0)), "--style-weight is given 2 times for 1 pictures"),
        (PictureOptions(weights=(0.0,)), "one of them more"),
        (PictureOptions(weights=(-1.0,)), "one of them more"),
        (PictureOptions(weights=(float("nan"),)), "one of them more"),
    ],
)
def test_options_that_cannot_be_are_refused(options: PictureOptions, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        style_of_pictures([PHOTO], options)


def test_options_of_pictures_without_a_picture_are_refused() -> None:
    with pytest.raises(UsageError, match="are for a --style that is a picture"):
        choose_combinations(["shinkai"], pictures=PictureOptions(size=64))
    with pytest.raises(UsageError, match="blends pictures, and shinkai is none"):
        choose_combinations(["shinkai"], pictures=PictureOptions(weights=(1.0,)))


def test_a_picture_that_cannot_serve_is_named(tmp_path: Path) -> None:
    broken, small, plain = (tmp_path / name for name in ("broken.jpg", "small.png", "plain.png"))
    broken.write_bytes(PHOTO.read_bytes()[:2000])
    Image.new("RGB", (200, 20)).save(small)
    Image.new("RGB", (200, 200), (10, 200, 30)).save(plain)
    for path, said in ((broken, "cannot be read as a picture"), (small, "200 x 20 pixels"), (plain, "one color")):
        with pytest.raises(StyleError, match=said) as caught:
            style_of_pictures([path])
        assert path.name in str(caught.value)
        assert "\n" not in str(caught.value)


def test_without_its_networks_the_line_says_what_to_fetch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("toonify.transfer.pictures.cache_folder", lambda: tmp_path / "cache")
    monkeypatch.setattr("toonify.checkpoints.published.reach", lambda url: "no network")
    with pytest.raises(DownloadError, match=r"save it as \S+vgg_normalised\.pth; .*save it as \S+decoder\.pth$"):
        style_of_pictures([PHOTO], variant="adain")
    assert not (tmp_path / "cache").exists()


def test_without_its_networks_auto_takes_the_one_that_ships_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("toonify.transfer.pictures.cache_folder", lambda: tmp_path / "cache")
    monkeypatch.setattr("toonify.checkpoints.published.reach", lambda url: "no network")
    style = style_of_pictures([PHOTO], PictureOptions(size=96))
    assert list(style.card.variants) == ["lite"]
    (record,) = caplog.records
    assert "are not here and cannot be fetched, so lite draws" in record.message and "\n" not in record.message
    caplog.clear()
    style_of_pictures([PHOTO], PictureOptions(size=96), "lite")
    assert not caplog.records
    with pytest.raises(UsageError, match=r"has no variant 'original'; choose --variant adain, lite or gatys$"):
        style_of_pictures([PHOTO], variant="original")


# --- the small network ---


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("toonify.checkpoints.hub.cache_folder", lambda: tmp_path / "cache")
    monkeypatch.setattr("toonify.transfer.pictures.cache_folder", lambda: tmp_path / "cache")
    return tmp_path / "cache"


def lite_maps(network: AdaINLiteGenerator, picture: Tensor) -> list[np.ndarray]:
    """What the norms see of a picture: itself, and what each stage of the encoder makes of that."""
    maps = [picture]
    with torch.inference_mode():
        for stage in network.encoder:
            maps.append(stage(maps[-1]))
    return [each[0].numpy().astype(float) for each in maps]


def test_the_small_network_replaces_statistics_at_four_depths() -> None:
    torch.manual_seed(0)
    network = AdaINLiteGenerator(AdaINLiteConfig(width=4, blocks=1)).eval()
    initialize_adain_lite(network)
    content, style = 2 * noise(1, 3, 48, 64) - 1, 2 * noise(1, 3, 40, 32, seed=1) ** 3 - 1
    network.take_styles([style], [1.0])
    for norm, x, y in zip(network.norms, lite_maps(network, content), lite_maps(network, style), strict=True):
        with torch.inference_mode():
            styled = norm(torch.from_numpy(x[None]).float())[0].numpy()
        assert np.abs(styled - adain(x, y)).max() < 5e-3
    with torch.inference_mode():  # pictures that are given and the style that was taken are one
        given, taken = network(content, style), network(content)
    assert (given - taken).abs().max() < 1e-4


def test_a_fresh_small_network_draws_the_photo_in_the_pictures_colors() -> None:
    torch.manual_seed(0)
    network = AdaINLiteGenerator().eval()
    initialize_adain_lite(network)
    content, style = noise(1, 3, 64, 64) - 0.5, noise(1, 3, 64, 64, seed=1) / 2
    with torch.inference_mode():
        drawn = network(content, style)
    assert psnr(drawn.numpy(), adain(content[0].numpy(), style[0].numpy())[None].astype(np.float32), peak=2) > 25


def test_its_last_layer_is_a_convolution_of_doubled_pixels() -> None:
    """So that no checkerboard can be learned: what is flat before it is flat behind it."""
    torch.manual_seed(0)
    network = AdaINLiteGenerator(AdaINLiteConfig(width=4, blocks=1))
    flat = torch.ones(1, 4, 8, 8) * torch.tensor([0.3, -1, 2, 0.5])[:, None, None]
    with torch.inference_mode():
        assert network.tail(flat).std(dim=(2, 3)).max() > 1e-2  # as PyTorch makes it
        keep_tail_smooth(network)
        assert network.tail(flat).std(dim=(2, 3)).max() < 1e-6
        kernel = network.tail[1].weight.clone()
        keep_tail_smooth(network)
        assert torch.allclose(network.tail[1].weight, kernel, atol=1e-6)


@pytest.mark.parametrize(
    "options", [PictureOptions(size=96), PictureOptions(size=96, strength=0.25), PictureOptions(96, weights=(3.0, 1.0))]
)
def test_the_file_that_ships_takes_a_style_as_its_module_does(
    options: PictureOptions, cache: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 96, 3), np.uint8)).save(other)
    paths = [PHOTO, other][: len(options.weights) or 1]
    style = style_of_pictures(paths, options, "lite").variant()
    assert style.name == "lite" and style.onnx is not None
    module = load_module(shipped_picture_network().variant())
    assert isinstance(module, AdaINLiteGenerator)
    module.strength = options.strength
    seen = [2 * torch.from_numpy(_batch(_look_at(path, options.size))) - 1 for path in paths]
    module.take_styles(seen, _shares(options, len(paths)))
    photo = 2 * noise(1, 3, 64, 96) - 1
    drawn = OnnxGenerator(style.onnx, "cpu")(photo.numpy())
    with torch.inference_mode():
        assert psnr(drawn, module(photo).numpy(), peak=2) > 80
        assert psnr(load_module(style)(photo).numpy(), module(photo).numpy(), peak=2) > 80


def test_the_small_network_takes_no_pytorch_and_draws_tiles_as_the_whole(cache: Path, tmp_path: Path) -> None:
    style = style_of_pictures([PHOTO], PictureOptions(size=96), "lite")
    drawn, in_tiles = (
        load_style(style.folder, size=160, output_size="drawn", tile=tile, device="cpu")(Image.open(PHOTO))
        for tile in ("off", 64)
    )
    assert psnr(np.asarray(drawn), np.asarray(in_tiles), peak=255) > 55  # bytes: a rounding here and there
    script = (
        "import sys; from pathlib import Path; from toonify.transfer import style_of_pictures;"
        f"style_of_pictures([Path({str(PHOTO)!r})], variant='lite'); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], env={**os.environ, "HF_HOME": str(tmp_path)}).returncode == 0


@pytest.mark.parametrize(("photo", "picture"), [("colosseum", "singapore"), ("casa-mila", "periwinkle")])
def test_the_small_network_brings_real_photos_to_a_pictures_statistics(photo: str, picture: str, cache: Path) -> None:
    """Where the photo's structure stays: nearer to the picture's colors, alike in light and dark."""
    style = style_of_pictures([PHOTOS / f"{picture}.jpg"], variant="lite")
    drawn = np.asarray(load_style(style.folder, output_size="drawn", device="cpu")(Image.open(PHOTOS / f"{photo}.jpg")))
    before, wanted = (
        np.asarray(Image.open(PHOTOS / f"{name}.jpg").convert("RGB").resize(drawn.shape[1::-1]), float)
        for name in (photo, picture)
    )
    far, near = (np.abs(each.mean((0, 1)) - wanted.mean((0, 1))).mean() for each in (before, drawn))
    assert near < 0.5 * far
    assert np.corrcoef(drawn.mean(2).ravel(), before.mean(2).ravel())[0, 1] > 0.6


def test_the_file_that_ships_says_what_it_learned_from() -> None:
    style = shipped_picture_network()
    path = style.folder / "pictures-lite.onnx"
    assert path.stat().st_size <= 4_000_000
    variant = style.variant().variant
    assert (variant.architecture, variant.input, variant.padding) == ("adain_lite", "pictures", 0)
    assert style.card.license == "CC-BY-4.0" and "David Revoy" in style.card.attribution
    training = variant.training
    assert training is not None and training.method == "adain-lite"
    assert training.pictures["photos"] > 0 and training.steps > 0 and training.ancestors


def test_a_network_without_norms_has_no_place_for_a_style() -> None:
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3, None, None]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "relu", ends[:1], ends[1:])
    with pytest.raises(StyleError, match="no norms that a style could be written into"):
        take_styles(helper.make_model(graph), [np.zeros((1, 3, 8, 8), np.float32)], [1.0], 1.0)


def test_pictures_are_told_from_cards_and_networks_by_their_content(tmp_path: Path) -> None:
    card = tmp_path / "card.jpg"
    card.write_text('  {"id": "a"}')
    assert is_picture(str(PHOTO))
    assert not is_picture(str(card))
    assert not is_picture(str(tmp_path))
    assert not is_picture(str(tmp_path / "missing.jpg"))
    assert not is_picture("shinkai.onnx")
    assert cache_folder().name == "toonify"
