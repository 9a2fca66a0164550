"""What draws on CUDA, on the CPU: the same graph, the same lanes, other memory."""

import threading
import time
from pathlib import Path

import numpy as np
import onnx
import pytest

from toonify import cuda_generator, network, pinned
from toonify.arrays import Floats, Pixels, psnr
from toonify.cuda_generator import CudaGenerator
from toonify.pixel_graph import take_pixels
from toonify.runtime import OnnxGenerator
from toonify.styles import FileWeights, Variant


def photo(height: int = 48, width: int = 64, seed: int = 0) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def variant(**fields: object) -> Variant:
    return Variant(weights=FileWeights(""), architecture="cartoongan", multiple=4, minimum=8, **fields)  # type: ignore[arg-type]


def on_cpu(path: Path, chosen: Variant, *, halves: bool = False) -> CudaGenerator:
    model = take_pixels(onnx.load(path), chosen, halves=halves)
    onnx.checker.check_model(model)
    return CudaGenerator(model.SerializeToString(), "float16" if halves else "float32", device="cpu")


@pytest.mark.parametrize(
    "fields",
    [{}, {"channels": "bgr"}, {"value_range": (0.0, 1.0)}, {"channels": "bgr", "value_range": (0.0, 255.0)}],
)
@pytest.mark.parametrize("padding", [0, 13])
def test_pixels_in_and_out_are_what_the_card_says(fields: dict[str, object], padding: int, tiny_onnx: Path) -> None:
    chosen, pixels = variant(**fields), photo(45, 61)
    expected = network.draw(pixels, OnnxGenerator(tiny_onnx, "cpu"), chosen, padding=padding)
    drawn = network.draw(pixels, on_cpu(tiny_onnx, chosen), chosen, padding=padding)
    assert drawn.dtype == np.float16 and drawn.shape == pixels.shape
    assert np.abs(drawn.astype(np.float32) - expected).max() < 1e-3 * max(1, np.abs(expected).max())


def test_the_network_itself_is_left_as_it_was(tiny_onnx: Path) -> None:
    model = onnx.load(tiny_onnx)
    before = model.SerializeToString()
    take_pixels(model, variant(), halves=False)
    take_pixels(model, variant(), halves=True)
    assert model.SerializeToString() == before


def test_halves_are_drawn_nearly_alike(tiny_onnx: Path) -> None:
    chosen, pixels = variant(channels="bgr"), photo()
    model = take_pixels(onnx.load(tiny_onnx), chosen, halves=True)
    kinds = {tensor.data_type for tensor in model.graph.initializer}
    assert onnx.TensorProto.FLOAT16 in kinds and onnx.TensorProto.FLOAT not in kinds
    exact, halved = (on_cpu(tiny_onnx, chosen, halves=halves) for halves in (False, True))
    assert psnr(halved.draw(pixels), exact.draw(pixels), peak=1) > 50
    assert exact.provider == "CPUExecutionProvider, float32" and halved.provider == "CPUExecutionProvider, float16"


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """The sessions that were opened, as they come."""
    sessions: list[object] = []

    class Counted(cuda_generator.OnnxNetwork):
        def __init__(self, source: bytes, device: str, *, channels_last: bool = False) -> None:
            super().__init__(source, device, channels_last=channels_last)
            sessions.append(self)

    monkeypatch.setattr(cuda_generator, "OnnxNetwork", Counted)
    return sessions


def test_each_size_has_a_lane_that_is_used_again(tiny_onnx: Path, opened: list[object]) -> None:
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


def test_lanes_beyond_what_may_be_kept_go(
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


def test_threads_have_lanes_of_their_own(tiny_onnx: Path) -> None:
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


def test_without_memory_the_lanes_that_wait_make_room_once(tiny_onnx: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    generator = on_cpu(tiny_onnx, variant())
    expected = generator.draw(photo())
    real, left = cuda_generator.OnnxNetwork.run_bound, [1]

    def run_bound(self: cuda_generator.OnnxNetwork, binding: object) -> None:
        if left[0]:
            left[0] -= 1
            raise MemoryError
        real(self, binding)

    monkeypatch.setattr(cuda_generator.OnnxNetwork, "run_bound", run_bound)
    generator.draw(photo(32, 32))  # the lane of the first photo goes
    assert np.array_equal(generator.draw(photo()), expected)
    left[0] = 3
    with pytest.raises(MemoryError):
        generator.draw(photo())
    left[0] = 0
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


class Driver:
    """A stand-in for NVIDIA's driver that gives memory of its own."""

    def __init__(self, *, full: bool = False) -> None:
        self.full = full
        self.given: dict[int, object] = {}

    def cuDeviceGet(self, device: object, number: int) -> int:  # noqa: N802
        return 0

    cuDevicePrimaryCtxRetain = cuDeviceGet  # noqa: N815

    def cuCtxPushCurrent_v2(self, context: object) -> int:  # noqa: N802
        return 0

    cuCtxPopCurrent_v2 = cuCtxPushCurrent_v2  # noqa: N815

    def cuMemHostAlloc(self, address: object, size: object, flags: int) -> int:  # noqa: N802
        if self.full:
            return 2
        buffer = np.zeros(size.value, np.uint8)  # type: ignore[attr-defined]
        self.given[buffer.ctypes.data] = buffer
        address._obj.value = buffer.ctypes.data  # type: ignore[attr-defined]
        return 0

    def cuMemFreeHost(self, address: object) -> int:  # noqa: N802
        del self.given[address.value]  # type: ignore[attr-defined]
        return 0


def test_page_locked_memory_lives_as_long_as_its_array(monkeypatch: pytest.MonkeyPatch) -> None:
    driver = Driver()
    monkeypatch.setattr(pinned, "_driver", lambda: driver)
    array = pinned.empty((3, 5), np.float16)
    array[:] = 7
    part = array[1:]
    (buffer,) = driver.given.values()
    assert buffer.nbytes == 30 and np.array_equal(buffer.view(np.float16), np.full(15, 7, np.float16))  # type: ignore[attr-defined]
    del array, buffer
    assert len(driver.given) == 1 and part.sum() == 70
    del part
    assert not driver.given


@pytest.mark.parametrize("driver", [None, Driver(full=True)])
def test_without_page_locked_memory_there_is_ordinary(driver: Driver | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pinned, "_driver", lambda: driver)
    array = pinned.empty((2, 0, 3), np.uint8)
    assert array.shape == (2, 0, 3)
    array = pinned.empty((2, 3), np.float32)
    array[:] = 1
    assert array.dtype == np.float32 and array.sum() == 6
