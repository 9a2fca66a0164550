"""Features are known again by content, in other processes too; a cache that cannot be kept is an error, not a loss."""

import threading
from pathlib import Path

import numpy as np
import pytest

from toonify.errors import ToonifyError
from toonify.metrics.cache import FeatureCache


def test_what_was_kept_comes_back_exactly(tmp_path: Path) -> None:
    vector = np.random.default_rng(0).normal(size=2048).astype(np.float32)
    with FeatureCache("a", tmp_path / "f.sqlite") as cache:
        assert cache.get(b"1") is None
        cache.keep({b"1": vector, b"2": 2 * vector})
    with FeatureCache("a", tmp_path / "f.sqlite") as cache:
        np.testing.assert_array_equal(cache.get(b"1"), vector)
        np.testing.assert_array_equal(cache.get(b"2"), 2 * vector)
        assert cache.get(b"3") is None


def test_another_network_or_protocol_knows_nothing_of_it(tmp_path: Path) -> None:
    with FeatureCache("a", tmp_path / "f.sqlite") as a, FeatureCache("b", tmp_path / "f.sqlite") as b:
        a.keep({b"1": np.ones(4, np.float32)})
        assert b.get(b"1") is None


def test_threads_and_connections_share_it(tmp_path: Path) -> None:
    def fill(number: int) -> None:
        with FeatureCache("a", tmp_path / "f.sqlite") as cache:
            for i in range(20):
                cache.keep({bytes([number, i]): np.full(8, number, np.float32)})

    threads = [threading.Thread(target=fill, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with FeatureCache("a", tmp_path / "f.sqlite") as cache:
        assert all(cache.get(bytes([n, i])) is not None for n in range(6) for i in range(20))


def test_a_damaged_file_is_named_with_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "f.sqlite").write_bytes(b"no data base" * 1000)
    with pytest.raises(ToonifyError, match=r"f\.sqlite.*--no-cache"):
        FeatureCache("a", tmp_path / "f.sqlite")


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ToonifyError, match="--no-cache"):
        FeatureCache("a", tmp_path / "file" / "f.sqlite")
