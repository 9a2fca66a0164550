"""Norms of large frames: gain and mean against float64, and which frames get them."""

from functools import partial
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
import torch.nn.functional as F
from onnx import TensorProto, helper, numpy_helper

from toonify.drawing.tiles.plan import plan_sweeps
from toonify.drawing.tiles.segment import MEAN, SPREAD, segment
from toonify.engines.large_frames import LARGE_FRAME, LargeFrames
from toonify.engines.onnx_runtime import OnnxGenerator, OnnxNetwork
from toonify.graphs.anatomy import dissect
from toonify.graphs.exact_norms import with_exact_norms
from toonify.models import ARCHITECTURES
from toonify.networks.export import to_onnx

EPS = 4e-4


@pytest.fixture
def norm(tmp_path: Path) -> Path:
    """A network that is one instance norm of one channel, with a scale of 0.5."""
    constants = [numpy_helper.from_array(np.full(1, value, np.float32), name) for name, value in (("s", 0.5), ("b", 0))]
    node = helper.make_node("InstanceNormalization", ["x", "s", "b"], ["y"], epsilon=EPS)
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 1, None, None]) for name in "xy"]
    graph = helper.make_graph([node], "norm", ends[:1], ends[1:], constants)
    path = tmp_path / "norm.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), path)
    return path


def opened(path: Path) -> LargeFrames:
    return LargeFrames(path, partial(OnnxGenerator, device="cpu"))


def test_at_24_megapixels_gain_and_mean_are_those_of_float64(norm: Path) -> None:
    x = np.random.default_rng(0).normal(0.3, 0.3, (1, 1, 4000, 6000)).astype(np.float32)
    y = opened(norm)(x).astype(np.float64)
    exact = x.astype(np.float64)
    gain = (y * (exact - exact.mean())).mean() / exact.var()
    assert gain == pytest.approx(0.5 / np.sqrt(exact.var() + EPS), rel=1e-5)
    assert y.mean() == pytest.approx(0, abs=1e-5)


def test_a_uniform_frame_of_24_megapixels_stays_at_zero(norm: Path) -> None:
    y = opened(norm)(np.full((1, 1, 4000, 6000), 0.7654321, np.float32))
    assert np.abs(y).max() < 1e-3  # a 400th of a level of a picture


def test_small_frames_are_drawn_by_the_network_as_it_is(norm: Path) -> None:
    generator, plain = opened(norm), OnnxGenerator(norm, "cpu")
    x = np.random.default_rng(0).normal(0.3, 0.3, (1, 1, 1024, 1025)).astype(np.float32)
    assert x.size == LARGE_FRAME + 1024
    small, large = x[..., :-1].copy(), x
    assert np.array_equal(generator(small), plain(small)) and not np.array_equal(generator(large), plain(large))


def test_a_cancelled_generator_draws_nothing_more_at_any_size(norm: Path) -> None:
    generator = opened(norm)
    generator.cancel()
    for side in (64, 1025):
        with pytest.raises(InterruptedError):
            generator(np.zeros((1, 1, side, side), np.float32))


def test_a_network_without_norms_is_opened_once(tmp_path: Path) -> None:
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 1, None, None]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "relu", ends[:1], ends[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    assert with_exact_norms(model) is None
    path = tmp_path / "relu.onnx"
    onnx.save(model, path)
    assert opened(path)(np.ones((1, 1, 1025, 1025), np.float32)).min() == 1


CONFIGS = {
    "lite": {"width": 8, "blocks": 1, "contrast": True},
    "adain_lite": {"width": 8, "blocks": 1},
    "cyclegan": {"width": 8, "blocks": 1},
    "ugatit": {"width": 8, "blocks": 1, "light": True},
}


@pytest.mark.parametrize("name", CONFIGS)
def test_a_generator_draws_the_same_with_exact_norms(name: str) -> None:
    torch.manual_seed(0)
    network = ARCHITECTURES[name].build(CONFIGS[name]).eval()
    photo = torch.rand(2, 3, 32, 40) * 2 - 1
    sides = {0: torch.export.Dim("n"), 2: 8 * torch.export.Dim("h"), 3: 8 * torch.export.Dim("w")}
    model = with_exact_norms(to_onnx(network, {"photo": photo}, {"photo": sides}, output="drawing"))
    assert model is not None
    assert not [node for node in model.graph.node if node.op_type == "InstanceNormalization"]
    drawn = OnnxGenerator(model.SerializeToString(), "cpu")(photo.numpy())
    with torch.inference_mode():
        np.testing.assert_allclose(drawn, network(photo).numpy(), atol=2e-5)


def test_a_large_tile_is_measured_as_in_float64() -> None:
    channels, side = 3, 2048

    class Norm(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return F.instance_norm(F.relu(x), weight=torch.ones(channels), bias=torch.zeros(channels))

    sides = {2: torch.export.Dim("h"), 3: torch.export.Dim("w")}
    model = to_onnx(Norm(), {"photo": torch.zeros(1, channels, 8, 9)}, {"photo": sides}, output="drawing")
    anatomy = dissect(model.graph)
    sweep = plan_sweeps(anatomy)[0]
    network = OnnxNetwork(segment(model, anatomy, sweep).SerializeToString(), "cpu")
    x = np.abs(np.random.default_rng(0).normal(0.3, 0.3, (1, channels, side, side))).astype(np.float32)
    places = {"first:1": np.array([0, 0]), "last:1": np.array([side, side])}
    made = network.run({name: {"photo": x, **places}[name] for name in network.inputs})
    exact = x[0].astype(np.float64)
    (measured,) = sweep.measures
    np.testing.assert_allclose(made[f"{MEAN}{measured}"], exact.mean((1, 2)), rtol=1e-5)
    np.testing.assert_allclose(made[f"{SPREAD}{measured}"] / side**2, exact.var((1, 2)), rtol=1e-5)
