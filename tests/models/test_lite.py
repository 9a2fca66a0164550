"""The small generator: what of the frame it sees, how far it sees, what it begins with."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode
from videos import scene

from toonify.methods.distill import DistillSettings
from toonify.models.contrast import Contrast, frame_contrast
from toonify.models.lite import LiteBranch, LiteConfig, LiteGenerator, fit_lite, initialize_lite
from toonify.pixels.arrays import Pixels
from toonify.styles.frame import framed

pytestmark = pytest.mark.usefixtures("one_thread")
BORDER = {"multiple": 8, "minimum": 8, "padding": 16}  # with which a student draws


def batch(*photos: Pixels) -> Tensor:
    """Photos as a network takes them: N x 3 x H x W in -1..1."""
    return torch.from_numpy(np.stack(photos)).permute(0, 3, 1, 2).float() / 127.5 - 1


# Contrast


def test_contrast_is_the_literal_definition() -> None:
    photo = scene(3, 40, 56)
    values = photo.astype(np.float64) / 127.5 - 1
    mirrored = np.pad(values.mean(2), 1, mode="reflect")
    right, down = mirrored[1:-1, 2:] - mirrored[1:-1, :-2], mirrored[2:, 1:-1] - mirrored[:-2, 1:-1]
    planes = [*values.transpose(2, 0, 1), 4 * right, 4 * down]
    expected = [(plane - plane.mean()) / np.sqrt(plane.var() + 4e-4) / 2 for plane in planes]
    seen = Contrast()(batch(photo))[0].numpy()
    assert np.array_equal(seen[:3], batch(photo)[0])
    assert np.allclose(seen[3:], expected, atol=1e-4)


def test_a_faint_photo_is_seen_as_a_strong_one() -> None:
    strong = batch(scene(1, 48, 64))
    assert strong.std() > 0.3
    seen = Contrast()(strong)[:, 3:]
    faint = Contrast()(0.3 * strong + 0.2)[:, 3:]
    assert torch.nn.functional.cosine_similarity(seen, faint, dim=0).min() > 0.999
    assert (faint.std((2, 3)) > 0.9 * seen.std((2, 3))).all()


def test_a_photo_of_one_color_stays_calm() -> None:
    """A picture has a standard deviation of 0.5. Noise of a gray level has most of it; what rounding leaves, little."""
    noise = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0)) / 127.5
    seen = Contrast()(noise - 0.4)[:, 3:].std((2, 3))
    assert seen[:, :3].max() < 0.2 and seen[:, 3:].max() < 0.45
    assert Contrast()(noise / 12 - 0.4)[:, 3:].std((2, 3)).max() < 0.1
    assert Contrast()(torch.full((1, 3, 8, 8), 0.4))[:, 3:].abs().max() < 1e-4


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 24), st.integers(0, 40), st.booleans(), st.integers(0, 5))
def test_a_part_is_seen_as_in_the_whole(top: int, left: int, mirrored: bool, number: int) -> None:
    photo = scene(number, 48, 64)
    if number == 5:  # a sky
        photo[:] = np.linspace(200, 120, 48, dtype=np.uint8)[:, None, None]
    frame = torch.from_numpy(frame_contrast(photo))[None]
    turned = np.ascontiguousarray(photo[:, ::-1]) if mirrored else photo
    part = turned[top : top + 24, left : left + 24]
    whole = Contrast()(batch(turned))[..., top : top + 24, left : left + 24]
    apart = Contrast()(batch(part), frame) - whole
    assert apart[:, :6].abs().max() < 1e-4
    slopes = apart[:, 6:, 1:-1, 1:-1]  # at its own border a part sees other neighbors
    assert slopes[:, 1].abs().max() < 1e-4
    # To the right the mean is left out, which is little.
    assert slopes[:, 0].abs().max() < 0.15 and slopes[:, 0].std() < 1e-4


def test_what_is_known_of_a_photo_is_of_the_frame_that_is_drawn() -> None:
    photo = scene(4, 45, 67)
    frame = np.pad(photo, ((16, 16 + 3), (16, 16 + 5), (0, 0)), mode="reflect")
    assert np.array_equal(frame_contrast(framed(photo, **BORDER)), frame_contrast(frame))
    seen = Contrast().seen(batch(frame))[0]
    mean, variance = frame_contrast(frame)
    assert np.allclose(mean, [*seen.mean((1, 2))[:3], 0, seen.mean((1, 2))[4]], atol=1e-5)
    assert np.allclose(variance, seen.var((1, 2), correction=0), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("side", [(1, 1), (1, 40), (3, 2)])
def test_the_smallest_photos_have_a_contrast(side: tuple[int, int]) -> None:
    mean, variance = frame_contrast(framed(np.full((*side, 3), 255, np.uint8), **BORDER))
    assert mean.tolist() == [1, 1, 1, 0, 0] and variance.tolist() == [0] * 5


def test_slopes_are_not_rounded_to_bfloat16() -> None:
    photo = batch(scene(2, 32, 32)) * 0.05
    with torch.autocast("cpu", torch.bfloat16):
        seen = Contrast()(photo)
    assert seen.dtype == torch.float32 and torch.equal(seen, Contrast()(photo))


def test_a_student_without_contrast_sees_nothing_of_the_frame() -> None:
    torch.manual_seed(0)
    network = LiteGenerator(LiteConfig(8, 1)).eval()
    photo = batch(scene(0, 32, 32))
    with torch.inference_mode():
        assert torch.equal(network(photo, torch.full((1, 2, 5), 9.0)), network(photo))


@pytest.mark.parametrize(("old", "new"), [(False, True), (True, False), (True, True)])
def test_a_student_begins_with_what_an_older_one_saw(old: bool, new: bool) -> None:
    torch.manual_seed(0)
    older, network = (LiteGenerator(LiteConfig(8, 1, contrast=each)) for each in (old, new))
    fresh = network.head.weight.detach().clone()
    fitted = fit_lite(older, network)
    both = Contrast.channels if old and new else 3
    assert torch.equal(fitted["head.weight"][:, :both], older.head.weight[:, :both])
    assert torch.allclose(fitted["head.weight"][:, both:], 0.1 * fresh[:, both:])
    assert torch.equal(network.head.weight, fresh)
    assert torch.equal(fitted["head.bias"], older.head.bias)


# Reach


@pytest.mark.parametrize(
    ("blocks", "deep_blocks", "contrast"),
    [(1, 0, False), (1, 0, True), (3, 0, True), (1, 1, True), (1, 1, False), (3, 2, True)],
)
def test_the_reach_is_that_of_the_gradient(blocks: int, deep_blocks: int, contrast: bool) -> None:
    """No pixel depends on one beyond it; one nearer by the multiple somewhere does."""
    config = LiteConfig(width=4, blocks=blocks, deep_blocks=deep_blocks, contrast=contrast)
    frame = torch.ones(1, 2, 5, dtype=torch.double)
    torch.manual_seed(0)
    network = LiteGenerator(config).double()
    for parameter in network.parameters():  # positive, so that no gradient cancels out or is cut off by a ReLU
        parameter.data = parameter.data.abs() + 0.01
    side = 2 * config.reach + 32
    farthest = 0
    for place in range(side // 2 - config.multiple, side // 2):  # one of each phase
        x = torch.rand(1, 3, side, side, dtype=torch.double, requires_grad=True)
        network(x, frame)[0, :, place, place].sum().backward()
        seen = x.grad.abs().sum((0, 1)).nonzero()
        farthest = max(farthest, int((seen - place).abs().max()))
    assert config.reach - config.multiple < farthest <= config.reach


def silenced(network: LiteGenerator) -> LiteGenerator:
    """The network as it would be if its branch added nothing."""
    assert isinstance(network.deep, LiteBranch)
    for parameter in network.deep.up.parameters():
        parameter.data.zero_()
    return network


def test_a_student_with_fewer_blocks_keeps_the_outer_ones_and_a_branch_is_fresh() -> None:
    torch.manual_seed(0)
    older, network = LiteGenerator(LiteConfig(8, 6)).eval(), LiteGenerator(LiteConfig(8, 3, 1)).eval()
    fresh = {name: tensor.clone() for name, tensor in network.deep.state_dict().items()}
    network.load_state_dict(fit_lite(older, network))
    assert all(torch.equal(tensor, fresh[name]) for name, tensor in network.deep.state_dict().items())
    older.blocks = torch.nn.Sequential(*(older.blocks[number] for number in (0, 4, 5)))
    older.before = 1
    x = torch.rand(1, 3, 32, 32) * 2 - 1
    with torch.inference_mode():
        assert torch.equal(silenced(network)(x), older(x))


@pytest.mark.parametrize(("older", "newer", "kept"), [(6, 3, (0, 4, 5)), (3, 1, (2,)), (3, 2, (0, 2)), (1, 3, (2,))])
def test_which_blocks_stay(older: int, newer: int, kept: tuple[int, ...]) -> None:
    """At a quarter of the size and at an eighth alike; of a longer one, `kept` are the places of the older's."""
    old, new = (LiteGenerator(LiteConfig(8, count, count)) for count in (older, newer))
    fitted = fit_lite(old, new)
    long, short = (old.state_dict(), fitted) if older > newer else (fitted, old.state_dict())
    for prefix in ("blocks", "deep.blocks"):
        for place, where in enumerate(kept):
            assert torch.equal(short[f"{prefix}.{place}.first.weight"], long[f"{prefix}.{where}.first.weight"])


def test_a_student_with_more_blocks_draws_as_before_if_the_new_ones_add_nothing() -> None:
    torch.manual_seed(0)
    older, network = LiteGenerator(LiteConfig(8, 3, 1)).eval(), LiteGenerator(LiteConfig(8, 6, 3)).eval()
    for parameter in [*network.blocks.parameters(), *network.deep.parameters()]:
        parameter.data.zero_()
    network.load_state_dict(fit_lite(older, network))
    x = torch.rand(1, 3, 32, 32) * 2 - 1
    with torch.inference_mode():
        assert torch.allclose(network(x), older(x), atol=1e-6)


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 4), st.integers(0, 4), st.integers(0, 1), st.booleans())
def test_a_tile_with_its_reach_around_it_is_drawn_as_in_the_whole(
    top: int, left: int, deep: int, contrast: bool
) -> None:
    """If it is told of the contrast of the whole."""
    config = LiteConfig(width=4, blocks=1, deep_blocks=deep, contrast=contrast)
    torch.manual_seed(0)
    network = LiteGenerator(config).eval()
    reach, tile = config.reach, 16
    side = 2 * reach + tile + 32
    x = torch.rand(1, 3, side, side) * 2 - 1
    y, x0 = 8 * top, 8 * left
    seen = Contrast().seen(x)
    frame = torch.stack([seen.mean((2, 3)), seen.var((2, 3), correction=0)], 1)
    with torch.inference_mode():
        whole = network(x)[..., y + reach : y + reach + tile, x0 + reach : x0 + reach + tile]
        alone = network(x[..., y : y + tile + 2 * reach, x0 : x0 + tile + 2 * reach], frame)
    inner = alone[..., reach : reach + whole.shape[-2], reach : reach + whole.shape[-1]]
    assert torch.allclose(whole, inner, atol=1e-5)


def test_the_student_is_small() -> None:
    network = LiteGenerator(DistillSettings().config)
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        network(torch.zeros(1, 3, 64, 64))
    multiplications = counter.get_total_flops() / 2 / 64**2
    parameters = sum(parameter.numel() for parameter in network.parameters())
    assert (round(parameters / 1e6, 2), round(multiplications / 1e3, 1)) == (0.85, 30.1)  # as its doc says


def test_a_fresh_student_draws_nearly_the_photo() -> None:
    torch.manual_seed(0)
    network = LiteGenerator(DistillSettings().config)
    initialize_lite(network)
    x = batch(scene(0, 64, 64))
    with torch.inference_mode():
        assert 0 < (network(x) - x).abs().mean() < 0.15
