"""The engines beside ONNX Runtime's own CPU and CUDA: what they draw, what they say of themselves, what they refuse."""

import importlib.util
import re
import threading
import time
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from PIL import Image

from toonify import load_style
from toonify.cli import main
from toonify.engines import accelerators
from toonify.engines.accelerators import ACCELERATORS, Accelerator
from toonify.engines.choose import choose_device
from toonify.engines.onnx_runtime import OnnxGenerator
from toonify.engines.openvino import OpenVinoGenerator, native_precision
from toonify.errors import DeviceError, StyleError
from toonify.pixels.arrays import psnr

HERE = Accelerator(("CPUExecutionProvider",), "gpu/ane/cpu", "type it")
needs_openvino = pytest.mark.skipif(
    importlib.util.find_spec("openvino") is None, reason="needs OpenVINO: pip install -e '.[dev]'"
)


def batch(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(height).uniform(-1, 1, (1, 3, height, width)).astype(np.float32)


@pytest.fixture
def one_accelerator(monkeypatch: pytest.MonkeyPatch) -> None:
    """CoreML, played by the provider that is on every machine."""
    monkeypatch.setitem(ACCELERATORS, "coreml", HERE)


@needs_openvino
@pytest.mark.parametrize(("precision", "agreement"), [("f32", 60), (None, 35)])
def test_openvino_draws_what_onnx_runtime_draws_at_any_size(precision: str, agreement: float, tiny_onnx: Path) -> None:
    drawn, expected = OpenVinoGenerator(tiny_onnx, precision), OnnxGenerator(tiny_onnx, "cpu")
    for size in [(64, 96), (96, 64), (8, 8), (64, 96), (32, 200)]:
        drawing = drawn(batch(*size))
        assert drawing.dtype == np.float32
        assert psnr(drawing, expected(batch(*size)), peak=2) > agreement


@needs_openvino
def test_a_drawing_is_left_alone_by_the_next(tiny_onnx: Path) -> None:
    generator = OpenVinoGenerator(tiny_onnx)
    first = generator(batch(32, 32))
    before = first.copy()
    generator(-batch(32, 32))
    assert np.array_equal(first, before)


@needs_openvino
def test_openvino_says_the_precision_that_runs(tiny_onnx: Path) -> None:
    assert OpenVinoGenerator(tiny_onnx, "f32").provider == "CPU f32"
    exact = OpenVinoGenerator(tiny_onnx, "f32")(batch(64, 64))
    native = OpenVinoGenerator(tiny_onnx)
    assert native.provider == f"CPU {native_precision()}" and native.device == "cpu"
    rounded = psnr(native(batch(64, 64)), exact, peak=2) < 80  # bf16 cannot agree better, float32 cannot agree worse
    assert rounded is (native.provider == "CPU bf16")


@needs_openvino
def test_convert_names_openvino_in_its_first_line_and_in_the_report(
    tiny_onnx: Path, noise: np.ndarray, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.fromarray(noise).save(tmp_path / "cat.png")
    words = [str(tmp_path / "cat.png"), "--style", str(tiny_onnx), "--report", str(tmp_path / "report.json")]
    assert main(["convert", *words, "--backend", "openvino"]) == 0
    said = capsys.readouterr().err
    assert re.search(rf"on cpu, OpenVINO 20\d\d\.\d+\.\d+, CPU {native_precision()}\n", said)
    report = (tmp_path / "report.json").read_text()
    assert "OpenVINO 20" in report and f"CPU {native_precision()}" in report
    drawing = np.asarray(Image.open(tmp_path / "cat_tiny.png"), int)
    assert np.abs(drawing - load_style(str(tiny_onnx))(noise)).mean() < 2


@needs_openvino
def test_openvino_ends_a_drawing_when_it_is_cancelled(tiny_onnx: Path) -> None:
    generator = OpenVinoGenerator(tiny_onnx)
    large = batch(2048, 2048)
    started = time.perf_counter()
    timer = threading.Timer(0.05, generator.cancel)
    timer.start()
    with pytest.raises(InterruptedError):
        while time.perf_counter() - started < 60:
            generator(large)
    timer.join()
    with pytest.raises(InterruptedError):
        generator(batch(8, 8))


@needs_openvino
def test_a_file_that_openvino_cannot_read_is_named(tmp_path: Path) -> None:
    path = tmp_path / "broken.onnx"
    path.write_bytes(b"\x08\x0a")
    with pytest.raises(StyleError, match=r"broken\.onnx is no network that OpenVINO reads") as caught:
        OpenVinoGenerator(path)
    assert "\n" not in str(caught.value)


@needs_openvino
def test_openvino_where_there_is_no_memory_says_so(tiny_onnx: Path) -> None:
    class Full:
        def start_async(self, inputs: object) -> None:
            raise RuntimeError("[CPU] Convolution node: Failed to allocate 536870912 bytes of memory")

    generator = OpenVinoGenerator(tiny_onnx)
    generator._request = Full()
    with pytest.raises(MemoryError):
        generator(batch(8, 8))


def test_openvino_that_is_not_installed_is_refused_before_anything_is_fetched(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(DeviceError, match=r'^--backend openvino cannot run: .*pip install ".+\[openvino\]"'):
        load_style("shinkai", backend="openvino")


@pytest.mark.parametrize("backend", ["openvino", "coreml", "directml"])
def test_cuda_is_for_other_engines(backend: str, tiny_onnx: Path) -> None:
    with pytest.raises(DeviceError, match=f"--backend {backend} does not run on cuda; drop --device cuda"):
        load_style(str(tiny_onnx), backend=backend, device="cuda")


@pytest.mark.parametrize("backend", ACCELERATORS)
def test_an_accelerator_that_is_not_here_names_what_to_install(
    backend: str, tiny_onnx: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: ["CPUExecutionProvider"])
    with pytest.raises(DeviceError, match=f"--backend {backend} cannot run: .*pip install ") as caught:
        load_style(str(tiny_onnx), backend=backend)
    assert "\n" not in str(caught.value) and ACCELERATORS[backend].providers[0] in str(caught.value)


def test_tensorrt_needs_cuda_and_its_own_libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: ["TensorrtExecutionProvider"])
    monkeypatch.setattr("toonify.engines.cuda.missing_for_onnx", lambda: "no driver")
    assert "needs CUDA" in accelerators.missing("tensorrt")
    monkeypatch.setattr("toonify.engines.cuda.missing_for_onnx", lambda: None)
    monkeypatch.setattr("toonify.engines.cuda.missing_library", lambda provider: f"lib{provider}.so: no such file")
    assert "libtensorrt.so" in accelerators.missing("tensorrt") and "pip install" in accelerators.missing("tensorrt")
    monkeypatch.setattr("toonify.engines.cuda.missing_library", lambda provider: None)
    assert accelerators.missing("tensorrt") is None
    assert choose_device("cuda", "tensorrt") == choose_device("auto", "tensorrt") == "tensorrt"


@pytest.mark.filterwarnings("ignore:Duplicate provider")
def test_an_accelerator_draws_and_says_how_much_of_the_network_is_its_own(
    one_accelerator: None, tiny_onnx: Path, noise: np.ndarray
) -> None:
    style = load_style(str(tiny_onnx), backend="coreml")
    assert np.abs(style(noise).astype(int) - load_style(str(tiny_onnx))(noise)).max() <= 1
    assert style.engine.device == "gpu/ane/cpu"
    provider, _, share = style.engine.provider.partition(" (")
    taken, _, all_of_them = share.removesuffix(" operators)").partition(" of ")
    assert provider == "CPUExecutionProvider" and int(taken) == int(all_of_them) > 5


@pytest.mark.filterwarnings("ignore:Duplicate provider")
@pytest.mark.parametrize("backend", [pytest.param("openvino", marks=needs_openvino), "coreml"])
def test_other_engines_take_the_plain_network(
    backend: str, one_accelerator: None, tiny_onnx: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    monkeypatch.setattr("toonify.networks.ready.onnx_file", lambda style, device: asked.append(device) or tiny_onnx)
    load_style("shinkai", backend=backend)
    assert asked == ["cuda"]


@pytest.mark.filterwarnings("ignore:Specified provider")
@pytest.mark.parametrize("backend", ["coreml", "directml"])
def test_a_session_that_falls_back_to_the_cpu_is_an_error(
    backend: str, tiny_onnx: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("toonify.engines.accelerators.missing", lambda backend: None)
    if ACCELERATORS[backend].providers[0] in onnxruntime.get_available_providers():
        pytest.skip("this machine has it")
    with pytest.raises(DeviceError, match=f"^--backend {backend} cannot run: ONNX Runtime takes CPUExecutionProvider"):
        load_style(str(tiny_onnx), backend=backend)


@pytest.mark.filterwarnings("ignore:Duplicate provider")
def test_an_accelerator_that_takes_no_operator_is_an_error(
    one_accelerator: None, tiny_onnx: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "onnxruntime.InferenceSession.get_provider_graph_assignment_info", lambda self: [], raising=False
    )
    with pytest.raises(DeviceError, match="takes no operator of this network; drop --backend coreml"):
        load_style(str(tiny_onnx), backend="coreml")


def test_doctor_says_what_each_backend_would_run_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    absent = {"openvino", "directml", "tensorrt"}
    monkeypatch.setattr("toonify.engines.accelerators.missing", lambda name: "no" if name in absent else None)
    main(["doctor"])
    (line,) = (line for line in capsys.readouterr().out.splitlines() if "backends" in line)
    assert "onnx on c" in line and "torch on c" in line and "coreml on gpu/ane/cpu" in line
    assert "not openvino, directml, tensorrt: " in line
