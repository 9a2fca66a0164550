"""Files that would take too much time or memory, and what is lost of others. Decoders that misbehave are stand-ins."""

import io
import os
import signal
import subprocess
import sys
import threading
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from videos import scene

from toonify.cli import main
from toonify.errors import ImageError
from toonify.images import child, encode_picture, read_photo
from toonify.images.child import decode_apart, kill_decoders
from toonify.images.opened import opening
from toonify.images.tiff_strips import _inflate

# A decoder that never ends, or takes 10 GB, of the files that ask for it.
STAND_IN = """
import time
import toonify.images.read as read
real = read.decode_request
def stand_in(file, **options):
    data = file.read()
    if data.endswith(b"without end"):
        time.sleep(1e6)
    if data.endswith(b"ten gigabytes"):
        bytearray(10 << 30)
    file.seek(0)
    return real(file, **options)
read.decode_request = stand_in
from toonify.images.in_child import serve
serve()
"""


def saved(pixels: np.ndarray, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind, **options)
    return buffer.getvalue()


def read(data: bytes, **options: int) -> np.ndarray:
    return read_photo(io.BytesIO(data), **options).pixels


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child, "_IDLE", [])
    monkeypatch.setattr(child, "_PROGRAM", STAND_IN)
    monkeypatch.setattr(child, "_SECONDS", 3.0)


# --- time and memory ---


@pytest.mark.usefixtures("stand_in")
def test_a_decoder_that_never_ends_and_one_that_takes_ten_gigabytes_cost_two_files_of_thirty(
    tiny_onnx: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(30):
        more = {11: b"without end", 17: b"ten gigabytes"}.get(number, b"")
        (folder / f"{number:02}.tif").write_bytes(saved(scene(number, 32, 48), "TIFF", compression="tiff_lzw") + more)
    out = tmp_path / "out"
    assert main(["convert", str(folder), "-o", str(out), "--style", str(tiny_onnx), "--quiet"]) == 1
    said = capsys.readouterr().err.splitlines()
    assert len(list(out.iterdir())) == 28
    failed = {line for line in said if line.startswith("failed: ")}
    assert len(failed) == 2
    assert any("11.tif: its decoder took more than 3 s and was stopped" in line for line in failed)
    assert any("17.tif: not enough memory to decode it" in line for line in failed)


@pytest.mark.usefixtures("stand_in")
def test_a_decoder_is_stopped_when_the_command_is() -> None:
    data = saved(scene(0, 32, 48), "TIFF", compression="tiff_lzw") + b"without end"
    killer = threading.Timer(0.5, kill_decoders)
    killer.start()
    with pytest.raises(ImageError, match="its decoder"):
        decode_apart(data, 60.0, kind="photo", enough=None)
    killer.join()  # it kills those of other tests, too


@pytest.mark.parametrize("kind", ["HEIF", "AVIF"])
def test_a_picture_decoded_in_a_process_of_its_own_is_the_same(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from toonify.images import read as module
    from toonify.images.child import Decoded

    def here(data: bytes, megapixels: float, **options: object) -> Decoded:
        return module.decode_request(io.BytesIO(data), **options)

    data = saved(np.dstack([scene(3, 70, 90), np.full((70, 90), 120, np.uint8)]), kind)
    apart = read_photo(io.BytesIO(data))
    monkeypatch.setattr(module, "decode_apart", here)
    same = read_photo(io.BytesIO(data))
    assert np.array_equal(apart.pixels, same.pixels) and apart.stored_size == (70, 90)
    assert apart.alpha is not None and same.alpha is not None and np.array_equal(apart.alpha, same.alpha)
    assert apart.pixels.flags.writeable


def test_a_large_jpeg_is_decoded_smaller_there_too() -> None:
    pixels = np.asarray(Image.fromarray(scene(1, 600, 800)).resize((8000, 6000)))
    photo = read_photo(io.BytesIO(saved(pixels, "JPEG", quality=30)), enough=1000)
    assert photo.pixels.shape == (750, 1000, 3) and photo.stored_size == (6000, 8000)


@pytest.mark.parametrize(
    ("mode", "kind", "options"), [("1", "PNG", {}), ("RGB", "WEBP", {"lossless": True, "method": 0})]
)
def test_a_file_that_claims_far_more_pixels_than_its_bytes_hold_is_named(
    mode: str, kind: str, options: dict[str, object]
) -> None:
    buffer = io.BytesIO()
    Image.new(mode, (6000, 6000)).save(buffer, kind, **options)
    with pytest.raises(ImageError, match=r"6000 x 6000 in \d+ bytes is no photo.*--max-megapixels 360$"):
        read(buffer.getvalue())
    assert read(buffer.getvalue(), max_pixels=360_000_000).shape == (6000, 6000, 3)


def test_a_jpeg_whose_scans_go_over_very_many_pixels_is_decoded_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    def is_apart(**options: object) -> bool:
        with opening(io.BytesIO(saved(scene(0, 400, 500), "JPEG", **options))) as opened:
            return opened.is_unusual

    assert not is_apart(progressive=True)
    monkeypatch.setattr("toonify.images.opened._MOST_SCANNED", 1_000_000)
    assert is_apart(progressive=True) and not is_apart()


# --- Ctrl-C ---

_COMMAND = """
import sys, threading, time
from pathlib import Path
from toonify.cli import main
from toonify.convert import local
def busy(*args, **options):
    Path("busy").touch()
    time.sleep(1e6)
local.read_photo = busy
sys.exit(main(["convert", "photo.png", "--output", "out", "--style", sys.argv[1], "--quiet"]))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no SIGINT to one process")
def test_one_ctrl_c_ends_a_command_whose_thread_does_not_listen(tiny_onnx: Path, tmp_path: Path) -> None:
    (tmp_path / "photo.png").write_bytes(encode_picture(scene(0, 32, 48), format="png"))
    root = str(Path(__file__).parents[2])
    process = subprocess.Popen(
        [sys.executable, "-c", _COMMAND, str(tiny_onnx)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": root},
        stderr=subprocess.PIPE,
        text=True,
    )
    while not (tmp_path / "busy").exists():
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130 and said == "interrupted\n"
    assert not list((tmp_path / "out").rglob("*"))


# --- what is lost ---


def without(data: bytes, start: int, count: int) -> bytes:
    """The file with zeros in the place of some of its data."""
    return data[:start] + bytes(count) + data[start + count :]


@pytest.mark.parametrize("name", ["webp", "avif"])
def test_a_short_run_of_zeros_is_damage_where_none_is_written(name: str) -> None:
    data = saved(scene(5, 240, 320), name.upper(), quality=95)
    read(data)
    with pytest.raises(ImageError, match="damaged"):
        read(without(data, len(data) // 2, 140))


@pytest.mark.parametrize("place", [0.3, 0.6, 0.9])
def test_packbits_of_another_length_are_damage(place: float) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (120, 160, 3), np.uint8)
    data = saved(noise, "TIFF", compression="packbits")
    assert np.array_equal(read(data), noise)
    with pytest.raises(ImageError, match="damaged"):
        read(without(data, int(len(data) * place), 512))


def test_packbits_of_flat_pictures_are_whole() -> None:
    for pixels in (np.zeros((50, 70, 3), np.uint8), np.full((51, 71), 255, np.uint8), scene(2, 33, 37)):
        for compression in ("packbits", "tiff_adobe_deflate", "tiff_lzw"):
            assert read(saved(pixels, "TIFF", compression=compression)).shape[:2] == pixels.shape[:2]


def test_deflate_without_an_end_is_damage() -> None:
    packed = zlib.compress(bytes(100_000))
    _inflate(packed)
    with pytest.raises(zlib.error):
        _inflate(packed[:-8])


@pytest.mark.parametrize("seed", range(8))
def test_zeros_between_restart_markers_are_damage(seed: int) -> None:
    data = saved(scene(seed, 240, 320), "JPEG", quality=90, restart_marker_rows=1)
    start = np.random.default_rng(seed).integers(len(data) // 3, len(data) - 1200)
    with pytest.raises(ImageError, match="damaged"):
        read(without(data, int(start), 1024))


def test_a_child_that_was_killed_while_it_waited_costs_no_file() -> None:
    data = saved(np.dstack([scene(3, 70, 90), np.full((70, 90), 120, np.uint8)]), "HEIF")
    first = read_photo(io.BytesIO(data))
    kill_decoders()
    assert np.array_equal(read_photo(io.BytesIO(data)).pixels, first.pixels)
