"""The networks are the published ones: held against a second, independent writing of the published architecture."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from toonify.engines.engine import Backend
from toonify.models.cartoongan import CartoonGANConfig, CartoonGANGenerator, rename_released_keys
from toonify.models.layers import ReflectionPad


def published_network(state: Mapping[str, Tensor], x: Tensor) -> Tensor:
    """The released CartoonGAN generator, straight from the keys of its file: functions, float64, no modules of ours."""
    p = {key: value.double() for key, value in state.items()}

    def conv(x: Tensor, name: str, *, stride: int = 1, padding: int = 0, reflect: int = 0) -> Tensor:
        if reflect:
            x = F.pad(x, (reflect,) * 4, mode="reflect")
        return F.conv2d(x, p[f"{name}.weight"], p[f"{name}.bias"], stride=stride, padding=padding)

    def norm(x: Tensor, name: str) -> Tensor:
        mean = x.mean((2, 3), keepdim=True)
        variance = (x - mean).square().mean((2, 3), keepdim=True)
        scale, shift = (p[f"{name}.{part}"][None, :, None, None] for part in ("scale", "shift"))
        return (x - mean) / (variance + 1e-9).sqrt() * scale + shift

    def up(x: Tensor, name: str) -> Tensor:
        return F.conv_transpose2d(x, p[f"{name}.weight"], p[f"{name}.bias"], stride=2, padding=1, output_padding=1)

    x = F.relu(norm(conv(x, "conv01_1", reflect=3), "in01_1"))
    for level in ("02", "03"):
        x = conv(conv(x, f"conv{level}_1", stride=2, padding=1), f"conv{level}_2", padding=1)
        x = F.relu(norm(x, f"in{level}_1"))
    for block in range(4, 12):
        y = F.relu(norm(conv(x, f"conv{block:02}_1", reflect=1), f"in{block:02}_1"))
        x = x + norm(conv(y, f"conv{block:02}_2", reflect=1), f"in{block:02}_2")
    for level, instance in (("01", "12"), ("02", "13")):
        x = conv(up(x, f"deconv{level}_1"), f"deconv{level}_2", padding=1)
        x = F.relu(norm(x, f"in{instance}_1"))
    return torch.tanh(conv(x, "deconv03_1", reflect=3))


def released_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The inverse of `rename_released_keys`, found by trying every released name."""
    layers = ["conv01_1", "conv02_1", "conv02_2", "conv03_1", "conv03_2", "deconv03_1"]
    layers += [f"deconv{i:02}_{j}" for i in (1, 2) for j in (1, 2)]
    layers += [f"conv{i:02}_{j}" for i in range(4, 12) for j in (1, 2)]
    norms = ["in01_1", "in02_1", "in03_1", "in12_1", "in13_1"] + [f"in{i:02}_{j}" for i in range(4, 12) for j in (1, 2)]
    names = [f"{n}.{p}" for n in layers for p in ("weight", "bias")]
    names += [f"{n}.{p}" for n in norms for p in ("scale", "shift")]
    probe = {name: torch.tensor(i) for i, name in enumerate(names)}
    return {names[int(index)]: state[ours] for ours, index in rename_released_keys(probe).items()}


def test_cartoongan_has_the_published_number_of_parameters() -> None:
    assert sum(p.numel() for p in CartoonGANGenerator().parameters()) == 11_129_667


def test_every_released_key_has_its_place() -> None:
    module = CartoonGANGenerator()
    state = module.state_dict()
    assert rename_released_keys(released_names(state)).keys() == state.keys()


def test_a_key_that_no_release_has_is_kept_and_so_named_on_loading() -> None:
    assert list(rename_released_keys({"conv99_1.weight": torch.zeros(1)})) == ["conv99_1.weight"]


@pytest.mark.parametrize("shape", [(1, 3, 16, 24), (2, 3, 8, 8), (1, 3, 20, 8)])
def test_cartoongan_is_the_published_architecture(shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    module = CartoonGANGenerator(CartoonGANConfig(width=4)).double().eval()
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    x = torch.rand(shape, dtype=torch.float64) * 2 - 1
    with torch.inference_mode():
        expected = published_network(released_names(module.state_dict()), x)
        assert torch.allclose(module(x), expected, atol=1e-9)


def test_raw_pixels_are_those_of_the_published_network(test_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from toonify import load_style
    from toonify.pixels.arrays import psnr

    repository = test_data / "hub" / "akiyamasho" / "AnimeBackgroundGAN-Shinkai"
    monkeypatch.setattr("toonify.checkpoints.hub.fetch", lambda weights, **_: repository / weights.file)
    photo = Image.open(test_data / "photos" / "eval" / "28.jpg").crop((100, 100, 260, 228))
    state = torch.load(repository / "shinkai_makoto.pth", weights_only=True)
    x = torch.from_numpy(np.asarray(photo)[..., ::-1].copy()).permute(2, 0, 1)[None].double() / 127.5 - 1
    with torch.inference_mode():
        expected = published_network(state, x)[0].permute(1, 2, 0).numpy()[..., ::-1]
    backends: list[Backend] = ["onnx", "torch"]
    for backend in backends:
        drawn = np.asarray(load_style("shinkai", variant="original", backend=backend, raw=True)(photo))
        assert psnr(drawn / 127.5 - 1, expected, peak=2) > 50, backend


@pytest.mark.parametrize("pad", [1, 3])
def test_reflection_keeps_the_type_under_autocast_and_its_values(pad: int) -> None:
    x = torch.randn(1, 4, 9, 11).bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        padded = ReflectionPad(pad)(x)
        assert torch.nn.ReflectionPad2d(pad)(x).dtype == torch.float32  # what it is for
    assert padded.dtype == torch.bfloat16
    assert torch.equal(padded.float(), torch.nn.ReflectionPad2d(pad)(x.float()))
