"""ONNX Runtime's real CUDA provider, on a CUDA that computes nothing (`cuda_stub`)."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import cuda_stub
import msgspec
import pytest
from samples import PHOTOS

from toonify.styles.card import Card, FileWeights, Variant

SETUP = """
import ctypes, gc, json, sys
import numpy as np
import onnx
import toonify.engines.cuda
toonify.engines.cuda.missing_for_onnx = lambda: None  # it would look for the real libraries
cuda = ctypes.CDLL("libcudart.so.13")
cuda.stubUsed.restype = ctypes.c_long
cuda.stubLimit.argtypes = [ctypes.c_long]
def megabytes(): return cuda.stubUsed() / 1e6
"""
WITHOUT_CONVOLUTIONS = """
from onnx import parser
from toonify.engines.cuda_generator import CudaGenerator
from toonify.graphs.pixel_graph import take_pixels
model = parser.parse_model('''<ir_version: 10, opset_import: ["": 20]>
net (float[N,3,H,W] photo) => (float[N,3,H,W] drawing) {
  a = SpaceToDepth <blocksize=2> (photo)
  b = Tanh(a)
  c = Add(a, b)
  d = Concat <axis=1> (a, b, c, b, c)
  e = Tanh(d)
  f = Concat <axis=1> (e, d, e)
  g = Tanh(f)
  first = Constant <value_ints=[0]> ()
  last = Constant <value_ints=[12]> ()
  axis = Constant <value_ints=[1]> ()
  h = Slice(g, first, last, axis)
  drawing = DepthToSpace <blocksize=2> (h)
}''')
def opened():
    taking = take_pixels(model, channels="rgb", value_range=(-1, 1), halves=True)
    return CudaGenerator(taking.SerializeToString(), "float16")
def black(height, width):
    return np.zeros((height, width, 3), np.uint8)
"""


@pytest.fixture(scope="module")
def stub(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if (why := cuda_stub.missing()) is not None:
        pytest.skip(why)
    folder = tmp_path_factory.mktemp("cuda")
    cuda_stub.build(folder)
    return folder


def run(stub: Path, code: str, *arguments: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", SETUP + code, *map(str, arguments)]
    return subprocess.run(
        command, env={**os.environ, "LD_LIBRARY_PATH": str(stub)}, capture_output=True, text=True, timeout=120
    )


def answer(stub: Path, code: str, *arguments: Any) -> Any:
    """What the code prints as JSON."""
    done = run(stub, code, *arguments)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_cuda_takes_all_of_a_style_and_copies_nothing_on_the_way(stub: Path, tiny_onnx: Path, tmp_path: Path) -> None:
    """As it draws at once, in both precisions, and in tiles: a network with instance norms, and lite."""
    code = """
from pathlib import Path
import onnxruntime as ort
from toonify.graphs.pixel_graph import take_pixels
from toonify.engines.onnx_runtime import _providers
from toonify.networks.ready import onnx_file
from toonify.graphs.format import read_model
from toonify.styles.find import find_style
from toonify.graphs.anatomy import dissect
from toonify.drawing.tiles.plan import plan_sweeps
from toonify.drawing.tiles.segment import segment
placed = {}
def place(title, model, channels_last):
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.optimized_model_filepath = sys.argv[1]
    options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    session = ort.InferenceSession(
        model.SerializeToString(), options, providers=_providers("cuda", channels_last=channels_last), enable_fallback=0
    )
    counts = {part.ep_name: 0 for part in session.get_provider_graph_assignment_info()}
    for part in session.get_provider_graph_assignment_info():
        counts[part.ep_name] += len(part.get_nodes())
    copies = sum(node.op_type.startswith("Memcpy") for node in onnx.load(sys.argv[1]).graph.node)
    placed[title] = [sorted(counts), copies]
for name, kind in (("shinkai", "lite"), (sys.argv[2], "original")):
    style = find_style(name).variant(kind)
    variant = style.variant
    model = read_model(onnx_file(style, "cuda"))
    for halves in (False, True):
        taking = take_pixels(model, channels=variant.channels, value_range=variant.value_range, halves=halves)
        place(f"{kind}, halves {halves}", taking, True)
    anatomy = dissect(model.graph)
    for number, sweep in enumerate(plan_sweeps(anatomy)):
        place(f"{kind}, sweep {number}", segment(model, anatomy, sweep), False)
print(json.dumps(placed))
"""
    placed = answer(stub, code, tmp_path / "optimized.onnx", tiny_onnx)
    assert isinstance(placed, dict) and len(placed) > 8
    assert {title: where for title, where in placed.items() if where != [["CUDAExecutionProvider"], 0]} == {}


def test_a_session_takes_what_its_picture_needs(stub: Path) -> None:
    code = """
generator = opened()
generator.draw(black(1600, 1600))
first = megabytes()
generator.draw(black(1600, 1600))
print(json.dumps([first, megabytes()]))
"""
    first, second = answer(stub, WITHOUT_CONVOLUTIONS + code)
    densest = 1600 * 1600 / 4 * 180 * 2 / 1e6  # MB: float16, 180 channels at half the size
    assert densest < first < 4 * densest and second == first


def test_when_the_gpu_is_full_what_has_failed_is_freed_before_the_next_try(stub: Path) -> None:
    code = """
def needed(size):
    generator = opened()
    generator.draw(black(*size))
    return megabytes()
small, large = (1200, 1200), (1600, 1600)
alone = needed(large)
gc.collect()
assert megabytes() == 0
generator = opened()
generator.draw(black(*small))
cuda.stubLimit(int(1.05e6 * alone))  # not enough for both
print(json.dumps([alone, megabytes(), generator.draw(black(*large)).shape]))
"""
    alone, small, shape = answer(stub, WITHOUT_CONVOLUTIONS + code)
    assert small > 0.1 * alone and shape == [1600, 1600, 3]


def test_a_gpu_that_is_full_from_the_beginning_is_named(stub: Path) -> None:
    code = """
from toonify.errors import DeviceError
from toonify.networks.ready import onnx_file
from toonify.engines.onnx_runtime import OnnxNetwork
from toonify.styles.find import find_style
path = onnx_file(find_style("shinkai").variant("lite"), "cuda")
cuda.stubLimit(100_000)
try:
    OnnxNetwork(path, "cuda")
except DeviceError as error:
    print(json.dumps(str(error)))
"""
    said = answer(stub, code)
    assert isinstance(said, str)
    assert said.startswith("--device cuda cannot run: its memory is full (Failed to allocate memory for requested ")


@pytest.mark.parametrize(("tile", "said"), [("auto", "in float32 it draws"), ("64", "in tiles it draws")])
def test_a_gpu_that_draws_nothing_is_left_aside_in_a_line(tile: str, said: str, stub: Path, tmp_path: Path) -> None:
    code = """
from onnx import parser
from toonify.cli import main
model = parser.parse_model('<ir_version: 10, opset_import: ["": 20]> '
                           'net (float[N,3,H,W] photo) => (float[N,3,H,W] drawing) { drawing = Tanh(photo) }')
onnx.save(model, sys.argv[1])
sys.exit(main(["convert", *sys.argv[2:], "--size", "128"]))
"""
    weights = FileWeights(file="soft.onnx")
    variant = Variant(weights=weights, architecture="cartoongan", multiple=4, minimum=8, size=128)
    card = Card(id="soft", title="Soft", license="CC0", attribution="", source="", variants={"original": variant})
    (tmp_path / "soft.json").write_bytes(msgspec.json.encode(card))
    photo = PHOTOS / "periwinkle.jpg"
    options = [tmp_path / "soft.onnx", photo, "--style", tmp_path / "soft.json", "--tile", tile]
    done = run(stub, code, *options, "--output", tmp_path / "drawn.jpg")
    assert done.returncode == 0 and (tmp_path / "drawn.jpg").is_file(), done.stderr
    left, runs_on, *_ = done.stderr.splitlines()
    assert left.startswith("CUDA is not used") and f"CUDA does not suit soft (original): {said} the check photo" in left
    assert "at up to 128 px on cpu, ONNX Runtime" in runs_on
    done = run(stub, code, *options, "--output", tmp_path / "again.jpg", "--device", "cuda")
    assert done.returncode == 3 and not (tmp_path / "again.jpg").exists()
    assert done.stderr.startswith("error: CUDA does not suit soft (original): ") and done.stderr.count("\n") == 1
