import itertools
import threading
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from PIL import Image

from toonify import load_style
from toonify.cli import main
from toonify.drawing import drawer
from toonify.drawing.drawer import Drawer, Tile
from toonify.drawing.tiles.tiled import TiledNetwork
from toonify.errors import ImageError, StyleError, TilingError, UsageError
from toonify.pixels.arrays import Floats
from toonify.pixels.boxes import Box
from toonify.styles.card import FileWeights, Variant

PHOTO = np.random.default_rng(0).integers(0, 256, (150, 210, 3), dtype=np.uint8)


class Negative:
    """A generator that draws the negative, and has memory for so many pixels at once."""

    engine = provider = "a test"

    def __init__(self, pixels: int, device: str = "cpu") -> None:
        self.pixels = pixels
        self.device = device

    def __call__(self, batch: Floats) -> Floats:
        if batch.shape[2] * batch.shape[3] > self.pixels:
            raise MemoryError
        return -batch

    def cancel(self) -> None:
        pass


class NegativeInTiles(TiledNetwork):
    """The same tile by tile."""

    multiple = 4
    bytes_per_pixel = 1000

    def __init__(self, pixels: int) -> None:
        self.pixels = pixels
        self.sides: list[int] = []

    def draw(self, height: int, width: int, tile: int, read: Callable, write: Callable, **_: Any) -> None:
        self.sides.append(tile)
        for box in Box(0, 0, height, width).tiles(tile):
            batch = read(box)
            if batch.shape[2] * batch.shape[3] > self.pixels:
                raise MemoryError
            write(box, -batch)


VARIANT = Variant(weights=FileWeights(file=""), architecture="", multiple=4, minimum=8, bytes_per_pixel=1000)


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Sets the memory that is free, in bytes."""
    return lambda count: monkeypatch.setattr(drawer, "available_memory", lambda: int(count))


def draw(tile: Tile, *, at_once: int = 10**9, in_tiles: int = 10**9, device: str = "cpu") -> list[int]:
    """Draw the photo, check that it is its negative, and return the sides of the tiles that were tried."""
    tiled = NegativeInTiles(in_tiles)
    drawing = Drawer(Negative(at_once, device), VARIANT, padding=7, tile=tile, open_tiled=lambda: tiled).draw(PHOTO)
    assert np.abs(drawing - (1 - PHOTO / 255)).max() < 1e-3
    return tiled.sides


def test_auto_draws_at_once_while_memory_is_plentiful(free: Callable[[float], None]) -> None:
    free(1e9)
    assert draw("auto") == []


def test_auto_takes_tiles_that_fit_where_memory_is_short(free: Callable[[float], None]) -> None:
    free(100e6)
    assert draw("auto") == [128]  # 4 times 128 x 128 pixels of 1000 bytes are less than that, of 192 x 192 more
    free(1e6)
    assert draw("auto") == [64]


def test_a_number_is_taken_as_it_is_but_for_the_networks_multiple(free: Callable[[float], None]) -> None:
    free(1e12)
    assert draw(96) == [96]
    assert draw(97) == [100]


def test_where_memory_runs_out_tiles_are_tried_and_then_smaller_ones(free: Callable[[float], None]) -> None:
    free(1e9)
    assert draw("auto", at_once=0) == [448]
    assert draw("auto", at_once=0, in_tiles=120 * 120) == [448, 224, 112]
    assert draw(300, in_tiles=80 * 80) == [300, 152, 76]


def test_who_watches_is_shown_tiles_where_a_call_would_take_long(
    free: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """At 1 ms a pixel the photo would take half a minute, and 30 pixels of it show that."""
    free(1e9)
    monkeypatch.setattr(drawer, "_WORTH_A_PROBE", 1)
    monkeypatch.setattr(drawer, "_PROBE", 6)
    clock = itertools.count(step=0.036)  # seconds between two looks at it, whatever is drawn meanwhile
    monkeypatch.setattr("time.perf_counter", lambda: next(clock))
    tiled, shares = NegativeInTiles(10**9), list[float]()
    network = Drawer(Negative(10**9), VARIANT, padding=7, tile="auto", open_tiled=lambda: tiled)
    network.draw(PHOTO)
    assert tiled.sides == [] and network._pace is not None
    network._pace = None
    network.draw(PHOTO, on_share=shares.append)
    assert len(tiled.sides) == 1 and shares == [1]
    network._pace = 1e-9
    network.draw(PHOTO, on_share=shares.append)
    assert len(tiled.sides) == 1  # it would be quick at once


def test_a_gpu_says_itself_when_its_memory_is_full(free: Callable[[float], None]) -> None:
    free(1e6)
    assert draw("auto", device="cuda") == []
    assert draw("auto", at_once=0, device="cuda") == [64]


def test_what_is_too_large_for_the_kernels_of_a_gpu_begins_in_tiles(
    free: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    free(1e9)
    monkeypatch.setattr(drawer, "_LARGEST_ON_GPU", 164 * 224)
    assert draw("auto", device="cuda") == []
    monkeypatch.setattr(drawer, "_LARGEST_ON_GPU", 164 * 224 - 1)
    assert draw("auto", device="cuda") == [448]
    with pytest.raises(ImageError, match=r"224 x 164 is more than a GPU draws at once .*; drop --tile off, or"):
        draw("off", device="cuda")


class Held:
    """What a drawing that fails has taken."""


def test_what_has_failed_is_gone_before_the_next_is_tried(free: Callable[[float], None]) -> None:
    free(1e9)
    taken: list[weakref.ref[Held]] = []

    class Failing(Negative):
        def __call__(self, batch: Floats) -> Floats:
            held = Held()
            taken.append(weakref.ref(held))
            raise MemoryError

    def open_tiled() -> TiledNetwork:
        assert [each() for each in taken] == [None]
        return NegativeInTiles(10**9)

    Drawer(Failing(0, "cuda"), VARIANT, padding=7, tile="auto", open_tiled=open_tiled).draw(PHOTO)
    assert len(taken) == 1


def test_two_that_run_out_of_memory_together_open_one_network_for_tiles(free: Callable[[float], None]) -> None:
    free(1e9)
    opened: list[TiledNetwork] = []

    def open_tiled() -> TiledNetwork:
        time.sleep(0.1)
        opened.append(NegativeInTiles(10**9))
        return opened[-1]

    both = Drawer(Negative(0, "cuda"), VARIANT, padding=7, tile="auto", open_tiled=open_tiled)
    threads = [threading.Thread(target=both.draw, args=(PHOTO,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(opened) == 1


def test_float16_in_tiles_is_refused(tiny_onnx: Path) -> None:
    with pytest.raises(UsageError, match=r"--tile 64 draws in float32; drop it, or --precision fp16"):
        load_style(str(tiny_onnx), tile=64, precision="fp16")


@pytest.mark.parametrize("tile", ["auto", 256])
def test_where_there_is_no_memory_for_the_smallest_tile_that_is_the_end(
    tile: Tile, free: Callable[[float], None]
) -> None:
    free(1e9)
    with pytest.raises(MemoryError):
        draw(tile, at_once=0, in_tiles=0)


def test_off_draws_at_once_or_refuses_with_a_size_that_fits(free: Callable[[float], None]) -> None:
    free(45e6)
    assert draw("off") == []
    free(30e6)
    with pytest.raises(
        ImageError, match=r"at 224 x 164 at once needs about .* GB .*; draw it smaller, with --size 128$"
    ):
        draw("off")


def test_a_network_that_cannot_be_cut(free: Callable[[float], None], monkeypatch: pytest.MonkeyPatch) -> None:
    def open_tiled() -> TiledNetwork:
        raise TilingError("its ReduceMean may depend on the whole frame")

    def make(tile: Tile) -> Drawer:
        return Drawer(Negative(10**9), VARIANT, padding=7, tile=tile, open_tiled=open_tiled)

    free(100e6)  # less than is good for others, and yet enough
    assert np.abs(make("auto").draw(PHOTO) - (1 - PHOTO / 255)).max() < 1e-3
    free(30e6)
    with pytest.raises(ImageError, match=r"ReduceMean may depend on the whole frame\); draw it smaller, with --size"):
        make("auto").draw(PHOTO)
    with pytest.raises(StyleError, match=r"^--tile 64: .*ReduceMean.*; type --tile off$"):
        make(64)
    free(100e6)
    on_gpu = Drawer(Negative(10**9, "cuda"), VARIANT, padding=7, tile="auto", open_tiled=open_tiled)
    monkeypatch.setattr(drawer, "_LARGEST_ON_GPU", 100)
    assert np.abs(on_gpu.draw(PHOTO) - (1 - PHOTO / 255)).max() < 1e-3  # its own errors are the best that can be had
    full = Drawer(Negative(10), VARIANT, padding=7, tile="auto", open_tiled=open_tiled)
    with pytest.raises(MemoryError, match="not enough at once, and not in tiles: its ReduceMean"):
        full.draw(PHOTO)  # memory that was free is no longer


@pytest.mark.parametrize("tile", [1, 63, 4097])
def test_tiles_of_no_use_are_refused(tile: int, tiny_onnx: Path) -> None:
    with pytest.raises(UsageError, match=rf"--tile {tile}: give a side from 64 to 4096"):
        load_style(str(tiny_onnx), tile=tile)


@pytest.mark.parametrize("backend", ["torch", "openvino", "coreml"])
def test_tiles_are_for_onnx_runtime(backend: str, tiny_run: Path) -> None:
    with pytest.raises(UsageError, match=f"--backend {backend}"):
        load_style(str(tiny_run), tile=64, backend=backend)


@pytest.mark.parametrize("size", [(150, 210), (2, 3), (1, 200), (130, 3), (64, 64)])
@pytest.mark.parametrize("raw", [False, True])
def test_a_style_draws_the_same_in_tiles(size: tuple[int, int], raw: bool, tiny_onnx: Path) -> None:
    photo = PHOTO[: size[0], : size[1]]
    whole, tiled = (load_style(str(tiny_onnx), size="full", raw=raw, tile=tile)(photo) for tile in ("off", 64))
    assert np.abs(whole.astype(int) - tiled).max() <= 1


def test_a_checkpoint_draws_the_same_in_tiles_as_an_onnx_file(tiny_run: Path, tiny_onnx: Path) -> None:
    drawings = [load_style(str(style), size="full", tile=64)(PHOTO) for style in (tiny_run, tiny_onnx)]
    assert np.array_equal(*drawings)


def test_a_style_of_unknown_hunger_is_taken_for_a_hungry_one(free: Callable[[float], None]) -> None:
    free(100e6)
    tiled = NegativeInTiles(10**9)
    variant = msgspec.structs.replace(VARIANT, bytes_per_pixel=None)
    Drawer(Negative(10**9), variant, padding=0, tile="auto", open_tiled=lambda: tiled).draw(PHOTO)
    assert tiled.sides == [128]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--tile", "many"], "--tile many: give a number of pixels, such as 512, or auto, or off"),
        (["--tile", "8"], "--tile 8: give a side from 64 to 4096 pixels, or auto, or off"),
        (["--size", "huge"], "--size huge: give a number of pixels, such as 1024, or full"),
        (["--output-size", "-3"], "--output-size -3: give a number of pixels, such as 2048, or same, or drawn"),
    ],
)
def test_a_size_that_is_none_is_refused_on_one_line(
    words: list[str], said: str, tiny_onnx: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photo = tmp_path / "a.png"
    Image.fromarray(PHOTO).save(photo)
    assert main(["convert", str(photo), "--style", str(tiny_onnx), *words]) == 2
    assert capsys.readouterr().err == f"error: {said}\n"


def test_convert_draws_the_same_files_in_tiles(tiny_onnx: Path, tmp_path: Path) -> None:
    photo = tmp_path / "a.png"
    Image.fromarray(PHOTO).save(photo)
    for tile in ("off", "64"):
        command = ["convert", str(photo), "--style", str(tiny_onnx), "--size", "full", "--tile", tile]
        assert main([*command, "--output", str(tmp_path / f"{tile}.png"), "--quiet"]) == 0
    whole, tiled = (np.asarray(Image.open(tmp_path / f"{tile}.png"), int) for tile in ("off", "64"))
    assert np.abs(whole - tiled).max() <= 1
