"""Mean and covariance: gathered piece by piece as if at once, saved as pytorch-fid saves them, refused where wrong."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from toonify.errors import UsageError
from toonify.metrics.gaussian import Gaussian, Made, Moments, read_statistics, save_statistics


def gathered(rows: np.ndarray, step: int) -> Moments:
    moments = Moments(rows.shape[1])
    for start in range(0, len(rows), step):
        moments.add(rows[start : start + step])
    return moments


@pytest.mark.parametrize("count", [2, 7, 8, 9, 200])
@pytest.mark.parametrize("step", [1, 3, 64])
def test_the_pieces_do_not_matter(count: int, step: int) -> None:
    rows = np.random.default_rng(count).normal(5, [1, 2, 3, 4, 0.1, 10, 1e-3, 0], (count, 8)).astype(np.float32)
    gaussian = gathered(rows, step).gaussian()
    wide = rows.astype(np.float64)
    assert gaussian.count == count
    np.testing.assert_allclose(gaussian.mean, wide.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(gaussian.covariance, np.cov(wide, rowvar=False), atol=1e-10)


def test_nothing_cancels_far_from_the_origin() -> None:
    rows = np.random.default_rng(0).normal(1e4, 1e-2, (500, 4)).astype(np.float32)
    expected = np.cov(rows.astype(np.float64), rowvar=False)
    np.testing.assert_allclose(gathered(rows, 32).gaussian().covariance, expected, rtol=1e-6, atol=1e-12)


def test_memory_does_not_grow_with_the_count() -> None:
    moments = gathered(np.ones((5000, 16), np.float32), 50)
    held = sum(rows.nbytes for rows in moments._kept) + moments._products.nbytes + moments._sum.nbytes
    assert held <= 16 * 16 * 8 + 16 * 8 + 50 * 16 * 8


@pytest.mark.parametrize("count", [0, 1])
def test_one_vector_has_no_covariance(count: int) -> None:
    with pytest.raises(ValueError, match="two vectors"):
        gathered(np.ones((count, 4), np.float32), 1).gaussian()


@pytest.fixture
def rows() -> np.ndarray:
    return np.random.default_rng(1).normal(size=(30, 2048)).astype(np.float32)


@pytest.mark.parametrize("count", [5, 400])  # singular, and of full rank
def test_a_root_is_found_for_any_covariance(count: int) -> None:
    covariance = np.cov(np.random.default_rng(2).normal(size=(count, 64)), rowvar=False)
    gaussian = Gaussian.from_covariance(np.zeros(64), covariance, None)
    assert len(gaussian.root) == min(count - 1, 64)
    np.testing.assert_allclose(gaussian.covariance, covariance, atol=1e-12)


def test_statistics_are_in_pytorch_fids_layout_and_come_back(rows: np.ndarray, tmp_path: Path) -> None:
    gaussian = gathered(rows, 10).gaussian()
    save_statistics(gaussian, tmp_path / "s.npz", {"mode": "clean"})
    with np.load(tmp_path / "s.npz") as archive:  # as pytorch-fid reads it
        np.testing.assert_allclose(archive["mu"][:], rows.astype(np.float64).mean(axis=0))
        np.testing.assert_allclose(archive["sigma"][:], np.cov(rows.astype(np.float64), rowvar=False), atol=1e-12)
    mean, covariance, made = read_statistics(tmp_path / "s.npz")
    assert made == Made(mode="clean", count=30)
    np.testing.assert_allclose(mean, gaussian.mean)
    np.testing.assert_allclose(covariance, gaussian.covariance)


def test_statistics_of_pytorch_fid_are_read(rows: np.ndarray, tmp_path: Path) -> None:
    expected = np.cov(rows, rowvar=False)
    np.savez(tmp_path / "s.npz", mu=rows.mean(axis=0), sigma=expected)
    mean, covariance, made = read_statistics(tmp_path / "s.npz")
    assert made == Made()
    np.testing.assert_array_equal(mean, rows.mean(axis=0))
    np.testing.assert_array_equal(covariance, expected)


def test_statistics_are_not_replaced_unasked(rows: np.ndarray, tmp_path: Path) -> None:
    (tmp_path / "s.npz").write_bytes(b"mine")
    with pytest.raises(FileExistsError):
        save_statistics(gathered(rows, 10).gaussian(), tmp_path / "s.npz", {})
    assert (tmp_path / "s.npz").read_bytes() == b"mine"


class Evil:
    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.write_text, (Path("evil"), "ran")


def _array() -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.zeros(3))
    return buffer.getvalue()


def _with_header(rows: int) -> bytes:
    header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': ({rows},), }}".ljust(117) + "\n"
    array = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("mu.npy", array)
        archive.writestr("sigma.npy", array)
    return buffer.getvalue()


def _flipped() -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, mu=np.random.default_rng(0).normal(size=2048), sigma=ZERO)
    data = bytearray(buffer.getvalue())
    for place in range(2000, 2100):
        data[place] ^= 0xFF
    return bytes(data)


ZERO = np.zeros((2048, 2048))
HOSTILE = {
    "no numbers": lambda path: np.savez(path, mu=np.full(2048, np.nan), sigma=ZERO),
    "of other features": lambda path: np.savez(path, mu=np.zeros(64), sigma=np.zeros((64, 64))),
    "not symmetric": lambda path: np.savez(path, mu=np.zeros(2048), sigma=np.triu(np.ones((2048, 2048)))),
    "without sigma": lambda path: np.savez(path, mu=np.zeros(2048)),
    "with objects": lambda path: np.savez(path, mu=np.array([Evil()], dtype=object), sigma=ZERO),
    "of words": lambda path: np.savez(path, mu=np.array(["a"] * 2048), sigma=ZERO),
    "not an archive": lambda path: path.write_bytes(b"PK\x03\x04 no"),
    "empty": lambda path: path.write_bytes(b""),
    "an array alone": lambda path: path.write_bytes(_array()),
    "a damaged remark": lambda path: np.savez(path, mu=np.zeros(2048), sigma=ZERO, toonify=np.array("{")),
    "a remark without a bottom": lambda path: np.savez(path, mu=np.zeros(2048), sigma=ZERO, toonify="[" * 100_000),
    "a remark of something else": lambda path: np.savez(path, mu=np.zeros(2048), sigma=ZERO, toonify="[1]"),
    "a count that is none": lambda path: np.savez(path, mu=np.zeros(2048), sigma=ZERO, toonify='{"count": -5}'),
    "of complex numbers": lambda path: np.savez(path, mu=np.zeros(2048), sigma=ZERO * 1j),
    "of few bits": lambda path: np.savez(path, mu=np.zeros(2048), sigma=ZERO.astype(np.float16)),
    "with a header that lies": lambda path: path.write_bytes(_with_header(10**11)),
    "with flipped bits": lambda path: path.write_bytes(_flipped()),
    "a folder": lambda path: path.mkdir(),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_statistics_that_are_none_are_refused_in_one_line(
    what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    HOSTILE[what](tmp_path / "s.npz")
    with pytest.raises(UsageError) as caught:
        read_statistics(tmp_path / "s.npz")
    assert "\n" not in str(caught.value) and "s.npz" in str(caught.value)
    assert not (tmp_path / "evil").exists()


def test_what_is_no_covariance_is_refused() -> None:
    covariance = np.diag([3.0, 2.0, -1.0])
    with pytest.raises(ValueError, match="negative spread"):
        Gaussian.from_covariance(np.zeros(3), covariance, None)
