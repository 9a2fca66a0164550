"""What draws on CUDA, on the CPU: the same graph and the same sessions on another provider."""

import shutil
import threading
import time
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from PIL import Image
from samples import PHOTOS

from toonify import load_style
from toonify.cli import main
from toonify.drawing import run
from toonify.drawing.drawer import Tile
from toonify.drawing.open import open_exact
from toonify.drawing.tiles import TiledNetwork
from toonify.drawing.tiles.plan import Sweep
from toonify.drawing.tiles.segment import segment
from toonify.engines import cuda_generator
from toonify.engines.cuda_generator import CudaGenerator
from toonify.engines.engine import Device, Precision
from toonify.engines.onnx_runtime import OnnxGenerator, OnnxNetwork
from toonify.errors import DeviceError, StyleError, UsageError
from toonify.graphs.pixel_graph import take_pixels
from toonify.networks.cache import cached_onnx
from toonify.pixels.arrays import Floats, Halves, Pixels, psnr
from toonify.styles.card import FileWeights, StyleVariant, Variant
from toonify.styles.find import find_style


def photo(height: int = 48, width: int = 64, seed: int = 0) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def variant(**fields: Any) -> Variant:
    return Variant(weights=FileWeights(""), architecture="cartoongan", multiple=4, minimum=8, **fields)


def on_cpu(path: Path, chosen: Variant, *, halves: bool = False) -> CudaGenerator:
    model = take_pixels(onnx.load(path), channels=chosen.channels, value_range=chosen.value_range, halves=halves)
    onnx.checker.check_model(model)
    return CudaGenerator(model.SerializeToString(), "float16" if halves else "float32", device="cpu")


@pytest.mark.parametrize(
    "fields",
    [{}, {"channels": "bgr"}, {"value_range": (0.0, 1.0)}, {"channels": "bgr", "value_range": (0.0, 255.0)}],
)
@pytest.mark.parametrize("padding", [0, 13])
def test_pixels_in_and_out_are_what_the_card_says(fields: dict[str, Any], padding: int, tiny_onnx: Path) -> None:
    chosen, pixels = variant(**fields), photo(45, 61)
    expected = run.draw(pixels, OnnxGenerator(tiny_onnx, "cpu"), chosen, padding=padding)
    drawn = run.draw(pixels, on_cpu(tiny_onnx, chosen), chosen, padding=padding)
    assert drawn.dtype == np.float16 and drawn.shape == pixels.shape
    assert np.abs(drawn.astype(np.float32) - expected).max() < 1e-3 * max(1, np.abs(expected).max())


def test_the_network_itself_is_left_as_it_was(tiny_onnx: Path) -> None:
    model = onnx.load(tiny_onnx)
    before = model.SerializeToString()
    take_pixels(model, channels="rgb", value_range=(-1, 1), halves=False)
    take_pixels(model, channels="rgb", value_range=(-1, 1), halves=True)
    assert model.SerializeToString() == before


def test_halves_are_drawn_nearly_alike(tiny_onnx: Path) -> None:
    chosen, pixels = variant(channels="bgr"), photo()
    model = take_pixels(onnx.load(tiny_onnx), channels=chosen.channels, value_range=chosen.value_range, halves=True)
    kinds = {tensor.data_type for tensor in model.graph.initializer}
    assert onnx.TensorProto.FLOAT16 in kinds and onnx.TensorProto.FLOAT not in kinds
    exact, halved = (on_cpu(tiny_onnx, chosen, halves=halves) for halves in (False, True))
    assert psnr(halved.draw(pixels), exact.draw(pixels), peak=1) > 50
    assert exact.provider == "CPUExecutionProvider, float32" and halved.provider == "CPUExecutionProvider, float16"


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """The sessions that were opened, as they come."""
    sessions: list[object] = []

    class Counted(OnnxNetwork):
        def __init__(self, source: bytes, device: str, *, channels_last: bool = False) -> None:
            super().__init__(source, device, channels_last=channels_last)
            sessions.append(self)

    monkeypatch.setattr(cuda_generator, "OnnxNetwork", Counted)
    return sessions


def test_each_size_has_a_session_that_is_used_again(tiny_onnx: Path, opened: list[object]) -> None:
    generator = on_cpu(tiny_onnx, variant())
    photos = [photo(48, 64, 1), photo(64, 48, 2), photo(48, 64, 3)]
    first = [generator.draw(each) for each in photos]
    assert len(opened) == 2
    again = [generator.draw(each) for each in photos]
    assert len(opened) == 2
    assert all(np.array_equal(one, other) for one, other in zip(first, again, strict=True))
    assert not np.array_equal(first[0], first[2])


def test_a_drawing_is_the_callers_own(tiny_onnx: Path) -> None:
    generator = on_cpu(tiny_onnx, variant())
    first = generator.draw(photo(seed=1))
    kept = first.copy()
    generator.draw(photo(seed=2))
    assert np.array_equal(first, kept)


def test_sessions_beyond_what_may_be_kept_go(
    tiny_onnx: Path, opened: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cuda_generator, "KEPT_PIXELS", 2 * 48 * 64)
    generator = on_cpu(tiny_onnx, variant())
    sizes = [(48, 64), (64, 48), (32, 96)]
    for size in sizes:
        generator.draw(photo(*size))
    assert len(opened) == 3
    generator.draw(photo(*sizes[2]))
    generator.draw(photo(*sizes[1]))
    assert len(opened) == 3  # the two that were used last
    generator.draw(photo(*sizes[0]))
    assert len(opened) == 4


def test_threads_have_sessions_of_their_own(tiny_onnx: Path) -> None:
    generator = on_cpu(tiny_onnx, variant())
    photos = [photo(48 + 4 * (seed % 3), 64, seed) for seed in range(24)]
    expected = [generator.draw(each) for each in photos]
    found: dict[int, Floats] = {}

    def draw(first: int) -> None:
        for place in range(first, len(photos), 4):
            found[place] = generator.draw(photos[place])  # type: ignore[assignment]

    threads = [threading.Thread(target=draw, args=(first,)) for first in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(np.array_equal(found[place], each) for place, each in enumerate(expected))


def test_without_memory_the_sessions_that_wait_make_room_once(tiny_onnx: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    generator = on_cpu(tiny_onnx, variant())
    expected = generator.draw(photo())
    real, left = OnnxNetwork.run, [1]

    def run(self: OnnxNetwork, inputs: dict[str, Pixels], *, last: bool = True) -> object:
        if left[0]:
            left[0] -= 1
            raise MemoryError
        return real(self, inputs, last=last)

    monkeypatch.setattr(OnnxNetwork, "run", run)
    generator.draw(photo(32, 32))  # the session of the first photo goes
    assert np.array_equal(generator.draw(photo()), expected)
    left[0] = 3
    with pytest.raises(MemoryError):
        generator.draw(photo())
    left[0] = 0
    assert np.array_equal(generator.draw(photo()), expected)


def test_what_has_failed_is_gone_before_it_is_tried_again(tiny_onnx: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    generator = on_cpu(tiny_onnx, variant())
    real = OnnxNetwork.run
    failed: list[weakref.ref[OnnxNetwork]] = []

    def run(self: OnnxNetwork, inputs: dict[str, Pixels], *, last: bool = True) -> object:
        if not failed:
            failed.append(weakref.ref(self))
            raise MemoryError
        assert failed[0]() is None
        return real(self, inputs, last=last)

    monkeypatch.setattr(OnnxNetwork, "run", run)
    assert generator.draw(photo()).shape == (48, 64, 3)


def test_a_session_that_cannot_be_opened_any_more_is_for_want_of_memory(
    tiny_onnx: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = on_cpu(tiny_onnx, variant())
    expected = generator.draw(photo())
    real, left = CudaGenerator._open, [1]

    def opening(self: CudaGenerator, device: str) -> OnnxNetwork:
        if left[0]:
            left[0] -= 1
            raise DeviceError("out of memory")
        return real(self, device)

    monkeypatch.setattr(CudaGenerator, "_open", opening)
    assert generator.draw(photo(32, 32)).shape == (32, 32, 3)  # once the session that waits has gone
    left[0] = 2
    with pytest.raises(MemoryError):
        generator.draw(photo())
    assert np.array_equal(generator.draw(photo()), expected)


def test_cancel_ends_what_runs_and_all_that_would_begin(tiny_onnx: Path) -> None:
    generator = on_cpu(tiny_onnx, variant())
    ended = threading.Event()

    def draw() -> None:
        with pytest.raises(InterruptedError):
            while True:
                generator.draw(photo(256, 256))
        ended.set()

    thread = threading.Thread(target=draw)
    thread.start()
    time.sleep(0.2)
    generator.cancel()
    thread.join(20)
    assert ended.is_set()
    with pytest.raises(InterruptedError):
        generator.draw(photo())


@pytest.fixture
def as_if_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine whose CUDA is the CPU."""

    class OnCpu(CudaGenerator):
        def __init__(self, data: bytes, arithmetic: str) -> None:
            super().__init__(data, arithmetic, device="cpu")
            self.device = "cuda"

        def _open(self, device: str) -> OnnxNetwork:
            return super()._open("cpu")

    class InTilesOnCpu(TiledNetwork):
        def _open(self, sweep: Sweep) -> OnnxNetwork:
            model = segment(self._model, self._anatomy, sweep)  # as CUDA gets it
            return OnnxNetwork(model.SerializeToString(), "cpu")

    monkeypatch.setattr("toonify.drawing.tiles.TiledNetwork", InTilesOnCpu)
    monkeypatch.setattr("toonify.drawing.open.CudaGenerator", OnCpu)
    monkeypatch.setattr(
        "toonify.drawing.open.choose_device", lambda device, backend: "cpu" if device == "cpu" else "cuda"
    )


def spoil(monkeypatch: pytest.MonkeyPatch, *arithmetics: str) -> None:
    """Let the device draw blanks in these kinds of numbers."""
    real = CudaGenerator.draw

    def draw(self: CudaGenerator, pixels: Pixels) -> object:
        drawn = real(self, pixels)
        return drawn * np.float16(0) if self.provider.endswith(arithmetics) else drawn

    monkeypatch.setattr(CudaGenerator, "draw", draw)


@pytest.mark.usefixtures("as_if_cuda")
@pytest.mark.parametrize(
    ("precision", "spoilt", "found"),
    [
        ("auto", (), "float16"),
        ("fp16", (), "float16"),
        ("fp32", (), "float32"),
        ("auto", ("float16",), "float32"),
        ("fp32", ("float16",), "float32"),
    ],
)
def test_what_draws_on_cuda_has_drawn_as_the_cpu_does(
    precision: Precision, spoilt: tuple[str, ...], found: str, tiny_onnx: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = load_style(str(tiny_onnx), device="cpu")(photo())
    spoil(monkeypatch, *spoilt)
    style = load_style(str(tiny_onnx), precision=precision)
    assert str(style).endswith(f"on cuda, {style.engine.engine}, CPUExecutionProvider, {found}")
    assert psnr(style(photo()), expected, peak=255) > 50


@pytest.mark.usefixtures("as_if_cuda")
def test_a_device_that_draws_otherwise_is_left_aside(
    tiny_onnx: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    expected = load_style(str(tiny_onnx), device="cpu")(photo())
    spoil(monkeypatch, "float16", "float32")
    style = load_style(str(tiny_onnx))
    assert style.engine.device == "cpu" and np.array_equal(style(photo()), expected)
    said = "\n".join(caplog.messages)
    assert "CUDA is not used" in said and "dB from the CPU's drawing" in said and "\n" not in said
    for precision in ("auto", "fp32", "fp16"):
        with pytest.raises(DeviceError, match=r"does not suit .*; drop it, or type --device cpu"):
            load_style(str(tiny_onnx), device="cuda", precision=precision)
    with pytest.raises(DeviceError, match="--precision fp16 does not suit"):  # what was asked for is not passed over
        load_style(str(tiny_onnx), precision="fp16")


@pytest.mark.usefixtures("as_if_cuda")
@pytest.mark.parametrize("late", ["half drawn", "of the drawing before"])
def test_a_device_whose_drawings_are_read_too_early_is_left_aside(
    late: str, tiny_onnx: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As page-locked memory was seen to be on a GPU, whose first drawing was whole."""
    real, before = CudaGenerator.draw, dict[int, Halves]()

    def draw(self: CudaGenerator, pixels: Pixels) -> Halves:
        drawn = real(self, pixels)
        result = drawn.copy()
        if late == "half drawn" and before:
            result[len(result) // 2 :] = 0
        elif id(self) in before:
            result = before[id(self)]
        before[id(self)] = drawn
        return result

    monkeypatch.setattr(CudaGenerator, "draw", draw)
    assert load_style(str(tiny_onnx)).engine.device == "cpu"
    assert "dB from the CPU's drawing" in "\n".join(caplog.messages)


@pytest.mark.usefixtures("as_if_cuda")
def test_float32_is_tried_where_float16_cannot_even_be_opened(tiny_onnx: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = CudaGenerator.__init__

    def opening(self: CudaGenerator, data: bytes, arithmetic: str, **options: Any) -> None:
        if arithmetic == "float16":
            raise StyleError("the network is damaged or not an ONNX network: Type parameter (T) of Optype (Mul)")
        real(self, data, arithmetic, **options)

    monkeypatch.setattr(CudaGenerator, "__init__", opening)
    assert str(load_style(str(tiny_onnx), device="cuda")).endswith("float32")
    with pytest.raises(DeviceError, match=r"--precision fp16 does not suit .* in float16: .*Type parameter"):
        load_style(str(tiny_onnx), device="cuda", precision="fp16")


@pytest.mark.usefixtures("as_if_cuda")
@pytest.mark.parametrize("tile", ["auto", 64])
@pytest.mark.parametrize("device", ["cuda", "cpu"])
def test_a_network_that_the_disk_has_spoilt_is_made_anew(
    device: Device, tile: Tile, tiny_run: Path, tiny_onnx: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Path] = []

    def convert(style: StyleVariant, device: str, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(tiny_onnx, path)  # the same network, exported once for all tests
        made.append(path)

    monkeypatch.setattr("toonify.networks.ready._convert", convert)
    style = find_style(str(tiny_run)).variant()
    expected = load_style(str(tiny_onnx), device="cpu")(photo())
    for kind in ("cpu", "cuda"):
        path = cached_onnx(style, kind)
        convert(style, kind, path)
        path.write_bytes(path.read_bytes()[:-1000])
    made.clear()
    drawn = load_style(str(tiny_run), device=device, tile=tile)(photo())
    assert psnr(drawn, expected, peak=255) > 50
    assert [path.name.split("-")[2] for path in made] == ["cuda" if device == "cuda" or tile == 64 else "cpu"]


@pytest.mark.parametrize("factor", [1, 0.5])
def test_a_teacher_on_cuda_draws_as_the_cpu_does_or_is_left_aside(
    factor: float, tiny_onnx: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class OnGpu(OnnxGenerator):
        def __call__(self, batch: Floats) -> Floats:
            return super().__call__(batch) * np.float32(factor)

    def opening(style: StyleVariant, *, device: Device = "auto") -> OnnxGenerator:
        opened = OnnxGenerator(tiny_onnx, "cpu") if device == "cpu" else OnGpu(tiny_onnx, "cpu")
        opened.device = "cpu" if device == "cpu" else "cuda"
        return opened

    monkeypatch.setattr("toonify.drawing.open.open_generator", opening)
    style = find_style(str(tiny_onnx)).variant()
    assert open_exact(style).device == ("cuda" if factor == 1 else "cpu")
    said = "\n".join(caplog.messages)
    if factor == 1:
        assert said == ""
        return
    assert said.startswith("CUDA is not used: it draws the check photo") and "\n" not in said
    with pytest.raises(DeviceError, match=r"CUDA: it draws .* dB from the CPU's drawing; type --device cpu"):
        open_exact(style, device="cuda")


@pytest.mark.usefixtures("as_if_cuda")
def test_tiles_on_cuda_are_those_of_the_cpu(tiny_onnx: Path) -> None:
    expected = load_style(str(tiny_onnx), device="cpu", size="full")(photo(150, 210))
    style = load_style(str(tiny_onnx), device="cuda", size="full", tile=64)
    assert style.engine.device == "cuda"
    assert psnr(style(photo(150, 210)), expected, peak=255) > 50


@pytest.mark.usefixtures("as_if_cuda")
@pytest.mark.parametrize("fault", ["blank", "an error", "no memory"])
def test_a_device_that_draws_tiles_otherwise_is_left_aside(
    fault: str, tiny_onnx: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    expected = load_style(str(tiny_onnx), device="cpu", size="full", tile=64)(photo(150, 210))
    real = TiledNetwork._run

    def run(self: TiledNetwork, *args: Any, **options: Any) -> dict[str, Any]:
        if self.device == "cuda" and fault != "blank":
            raise MemoryError if fault == "no memory" else RuntimeError("CUDNN_STATUS_NOT_SUPPORTED")
        made = real(self, *args, **options)
        return {name: value * value.dtype.type(0) if self.device == "cuda" else value for name, value in made.items()}

    monkeypatch.setattr(TiledNetwork, "_run", run)
    style = load_style(str(tiny_onnx), size="full", tile=64)
    assert style.engine.device == "cpu" and np.array_equal(style(photo(150, 210)), expected)
    said = "\n".join(caplog.messages)
    assert said.startswith("CUDA is not used for tiles: CUDA does not suit") and "\n" not in said
    with pytest.raises(DeviceError, match=r"does not suit .* in tiles.*; type --device cpu"):
        load_style(str(tiny_onnx), device="cuda", tile=64)


@pytest.mark.usefixtures("as_if_cuda")
def test_a_photo_too_large_for_the_gpu_goes_to_the_cpu_where_the_gpu_has_no_tiles_for_it(
    tiny_onnx: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    expected = load_style(str(tiny_onnx), device="cpu", size="full")(photo(150, 210))
    real_draw, real_run = CudaGenerator.draw, TiledNetwork._run

    def draw(self: CudaGenerator, pixels: Pixels) -> Halves:
        if pixels.size > 200 * 300 * 3:
            raise MemoryError
        return real_draw(self, pixels)

    def run(self: TiledNetwork, *args: Any, **options: Any) -> dict[str, Any]:
        if self.device == "cuda":
            raise MemoryError
        return real_run(self, *args, **options)

    monkeypatch.setattr(CudaGenerator, "draw", draw)
    monkeypatch.setattr(TiledNetwork, "_run", run)
    style = load_style(str(tiny_onnx), size="full")
    assert style.engine.device == "cuda"
    large = np.ascontiguousarray(np.tile(photo(150, 210), (2, 2, 1)))
    whole = load_style(str(tiny_onnx), device="cpu", size="full", tile="off")(large)
    assert np.abs(style(large).astype(int) - whole).max() <= 1
    assert "CUDA is not used for tiles" in "\n".join(caplog.messages)
    assert psnr(style(photo(150, 210)), expected, peak=255) > 50


def test_a_precision_that_cannot_be_had_is_refused(tiny_onnx: Path) -> None:
    with pytest.raises(DeviceError, match="--precision fp16 is for ONNX Runtime on CUDA"):
        load_style(str(tiny_onnx), precision="fp16", device="cpu")
    with pytest.raises(UsageError, match="--precision fp32 is for --backend onnx; drop it, or --backend torch"):
        load_style(str(tiny_onnx), precision="fp32", backend="torch")


@pytest.mark.usefixtures("as_if_cuda")
def test_a_folder_is_drawn_on_cuda_as_on_the_cpu(
    tiny_onnx: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for path in sorted(PHOTOS.glob("*.jpg")):
        shutil.copy(path, photos)
    options = ["--style", str(tiny_onnx), "--size", "256", "--format", "png"]
    assert main(["convert", str(photos), *options, "--output", str(tmp_path / "gpu")]) == 0
    assert "cuda" in capsys.readouterr().err
    assert main(["convert", str(photos), *options, "--output", str(tmp_path / "cpu"), "--device", "cpu"]) == 0
    names = sorted(path.name for path in (tmp_path / "cpu").iterdir())
    assert len(names) == 4
    for name in names:
        one, other = (np.asarray(Image.open(tmp_path / place / name)) for place in ("gpu", "cpu"))
        assert psnr(one, other, peak=255) > 50
