"""Feature vectors that were measured before, by the content of the picture: a renamed copy is known again."""

import sqlite3
import threading
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from toonify.checkpoints import hub
from toonify.errors import ToonifyError, display
from toonify.pixels.arrays import Floats


class FeatureCache:
    """A table from a picture's digest to its feature vector, for one network and protocol (`space`).

    8 KB a picture. Threads and processes may share it. Raises ToonifyError if it cannot be kept.
    """

    def __init__(self, space: str, path: Path | None = None) -> None:
        self._space = space
        self._path = path or hub.cache_folder() / "features.sqlite"
        self._lock = threading.Lock()
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._base = sqlite3.connect(self._path, timeout=60, check_same_thread=False)
            with self._base:
                self._base.execute(
                    "CREATE TABLE IF NOT EXISTS features"
                    " (space TEXT, picture BLOB, vector BLOB, PRIMARY KEY (space, picture)) WITHOUT ROWID"
                )
        except (OSError, sqlite3.Error) as error:
            raise self._trouble(error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._base.close()

    def get(self, picture: bytes) -> Floats | None:
        """The vector of a picture, by its digest; None if it is not known."""
        query = "SELECT vector FROM features WHERE space = ? AND picture = ?"
        try:
            with self._lock:
                row = self._base.execute(query, (self._space, picture)).fetchone()
        except sqlite3.Error as error:
            raise self._trouble(error) from error
        return None if row is None else np.frombuffer(row[0], "<f4").astype(np.float32)

    def keep(self, vectors: Mapping[bytes, Floats]) -> None:
        """Add vectors; all of them, or none if the process dies meanwhile."""
        rows = [(self._space, picture, vector.astype("<f4").tobytes()) for picture, vector in vectors.items()]
        try:
            with self._lock, self._base:
                self._base.executemany("INSERT OR REPLACE INTO features VALUES (?, ?, ?)", rows)
        except sqlite3.Error as error:
            raise self._trouble(error) from error

    def _trouble(self, error: Exception) -> ToonifyError:
        return ToonifyError(
            f"features cannot be kept in {display(self._path)} ({error}); "
            "free some space, or delete it, set HF_HOME, or give --no-cache"
        )
