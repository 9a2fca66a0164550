from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnxruntime import InferenceSession
from torch import nn

from toonify.engines.onnx_runtime import OnnxGenerator
from toonify.engines.pytorch import TorchGenerator
from toonify.errors import ExportError
from toonify.graphs.format import CARD_KEY, read_onnx_metadata
from toonify.models.ugatit import UGATITConfig, UGATITGenerator
from toonify.networks.check_photo import check_photo
from toonify.networks.export import _to_onnx, export_onnx
from toonify.networks.load import load_module
from toonify.pixels.arrays import psnr
from toonify.styles.card import LocatedStyle
from toonify.styles.find import find_style, parse_card, shipped_folder


@pytest.fixture
def style(tiny_run: Path) -> LocatedStyle:
    return find_style(str(tiny_run))


def test_psnr_has_its_closed_form() -> None:
    a = np.zeros((4, 4), np.float32)
    assert psnr(a, a + 0.1, peak=1) == pytest.approx(20, abs=1e-4)
    assert psnr(a, a, peak=1) == float("inf")


@pytest.mark.parametrize("shape", [(1, 8, 8), (1, 8, 100), (3, 64, 36), (1, 8, 2000)])
def test_batch_height_and_width_are_free(shape: tuple[int, int, int], tiny_onnx: Path, style: LocatedStyle) -> None:
    n, height, width = shape
    batch = np.random.default_rng(1).uniform(-1, 1, (n, 3, height, width)).astype(np.float32)
    expected = TorchGenerator(load_module(style.variant("original")), "cpu")(batch)
    assert psnr(OnnxGenerator(tiny_onnx, "cpu")(batch), expected, peak=2) > 80


def test_instance_norms_stay_native_and_the_card_is_inside(tiny_onnx: Path) -> None:
    operators = [node.op_type for node in onnx.load(tiny_onnx).graph.node]
    assert operators.count("InstanceNormalization") == 7
    assert parse_card(read_onnx_metadata(tiny_onnx)[CARD_KEY], "inside").id == "tiny"


def test_fp16_halves_the_weights_and_still_draws(style: LocatedStyle, tmp_path: Path, tiny_onnx: Path) -> None:
    photo = check_photo(style.card.variants["original"])
    agreement = export_onnx(
        load_module(style.variant("original")),
        style.variant("original"),
        tmp_path / "half.onnx",
        photo=photo,
        fp16=True,
    )
    assert 40 <= agreement < 100
    types = {tensor.data_type for tensor in onnx.load(tmp_path / "half.onnx").graph.initializer if len(tensor.dims) > 1}
    assert types == {onnx.TensorProto.FLOAT16}


def test_fp16_takes_networks_that_use_a_constant_twice() -> None:
    torch.manual_seed(0)
    network = UGATITGenerator(UGATITConfig(width=4, blocks=1, light=True)).eval()  # it has two Resizes
    photo = torch.rand(1, 3, 32, 48) * 2 - 1
    half = InferenceSession(_to_onnx(network, 4, {}, fp16=True, for_cpu=False), providers=["CPUExecutionProvider"])
    (drawn,) = half.run(None, {"photo": photo.numpy()})
    with torch.inference_mode():
        assert psnr(drawn, network(photo).numpy(), peak=2) > 40


class Unfaithful(nn.Module):
    """Draws something else once it is exported."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * (0.5 if torch.compiler.is_exporting() else 1.0)


def test_a_network_that_draws_something_else_is_not_written(style: LocatedStyle, tmp_path: Path) -> None:
    target = tmp_path / "x.onnx"
    with pytest.raises(ExportError, match="agrees with PyTorch to"):
        export_onnx(Unfaithful(), style.variant("original"), target, photo=check_photo(style.card.variants["original"]))
    assert list(tmp_path.iterdir()) == []


def test_an_existing_file_is_not_replaced_unasked(style: LocatedStyle, tmp_path: Path) -> None:
    target = tmp_path / "x.onnx"
    target.write_text("mine")
    photo = check_photo(style.card.variants["original"])
    with pytest.raises(FileExistsError):
        export_onnx(load_module(style.variant("original")), style.variant("original"), target, photo=photo)
    assert target.read_text() == "mine"


def test_an_exported_network_does_not_tell_of_the_machine(tiny_onnx: Path) -> None:
    """PyTorch's exporter writes a stack trace into each node."""
    for path in (tiny_onnx, shipped_folder() / "pictures-lite.onnx"):
        data = path.read_bytes()
        assert b"site-packages" not in data and b"models/" not in data
