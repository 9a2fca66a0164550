"""Pictures to feature vectors: known ones from the cache, the others decoded while the network runs."""

import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from toonify.errors import ImageError
from toonify.images import read_stored
from toonify.jobs.find import Found
from toonify.metrics.cache import FeatureCache
from toonify.metrics.inception import DIMENSIONS, Inception
from toonify.metrics.protocol import to_inception
from toonify.metrics.settings import Mode
from toonify.pixels.arrays import Floats
from toonify.system.cores import available_cores
from toonify.system.pipeline import run_stages

_VERSION = 2  # of how pictures are decoded for the network: raise it when that changes
_BATCH = 32  # pictures in the network at a time: more is no quicker


@dataclass(frozen=True)
class Batch:
    """Some pictures of a set, measured."""

    vectors: Floats  # N x 2048, in order, of those that could be read
    failed: list[tuple[Path, str]]  # the others, and why


@dataclass
class _Measured:
    """One picture on its way: unreadable, known already, or made ready for the network."""

    path: Path
    digest: bytes = b""
    vector: Floats | None = None
    input: Floats | None = None
    problem: str | None = None


def open_cache(network: Inception, mode: Mode) -> FeatureCache:
    """The user's cache of what this network has measured by this protocol. Raises ToonifyError if it cannot be kept."""
    return FeatureCache(f"inception {network.weights.sha256} {mode} {_VERSION}")


def extract(pictures: Sequence[Found], network: Inception, mode: Mode, cache: FeatureCache | None) -> Iterator[Batch]:
    """Measure pictures and yield their vectors, some at a time, in order. A bad picture is named and left out.

    Memory does not grow with the number of pictures.
    """
    with ThreadPoolExecutor(available_cores()) as pool:

        def read(batch: Sequence[Found]) -> list[_Measured]:
            return list(pool.map(lambda found: _read(found, mode, cache), batch))

        def measure(batch: list[_Measured]) -> list[_Measured]:
            new = [picture for picture in batch if picture.input is not None]
            if new:
                vectors = network(np.stack([picture.input for picture in new if picture.input is not None]))
                for picture, vector in zip(new, vectors, strict=True):
                    picture.vector, picture.input = vector, None
                if cache is not None:
                    cache.keep({picture.digest: picture.vector for picture in new if picture.vector is not None})
            return batch

        batches = (pictures[start : start + _BATCH] for start in range(0, len(pictures), _BATCH))
        for batch in run_stages(batches, [read, measure], on_stop=network.cancel):
            vectors = [picture.vector for picture in batch if picture.vector is not None]
            failed = [(picture.path, picture.problem) for picture in batch if picture.problem is not None]
            yield Batch(np.stack(vectors) if vectors else np.empty((0, DIMENSIONS), np.float32), failed)


def _read(found: Found, mode: Mode, cache: FeatureCache | None) -> _Measured:
    picture = _Measured(found.path, problem=found.problem)
    if picture.problem is not None:
        return picture
    try:
        with found.path.open("rb") as file:
            picture.digest = hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).digest()
            picture.vector = cache.get(picture.digest) if cache is not None else None
            if picture.vector is None:
                file.seek(0)
                picture.input = to_inception(read_stored(file), mode)
    except ImageError as error:
        picture.problem = str(error)
    except OSError as error:
        picture.problem = f"cannot be read: {error.strerror}"
    return picture
