"""The mean and covariance of feature vectors: gathered as they come, saved, read back."""

import io
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from toonify.errors import UsageError, display, one_line
from toonify.metrics.inception import DIMENSIONS
from toonify.pixels.arrays import Floats
from toonify.system.files import write_atomically
from toonify.system.json_data import decode_json

Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class Gaussian:
    """A normal distribution: its mean (d) and a root of its covariance (r x d): covariance = root.T @ root.

    The root serves the distance better than the covariance does: of n < d vectors it has n rows only.
    """

    mean: Doubles
    root: Doubles
    count: int | None = None  # of the vectors that it describes; None: unknown

    @classmethod
    def from_covariance(cls, mean: Doubles, covariance: Doubles, count: int | None) -> Self:
        """From a mean (d) and a symmetric d x d covariance, of whatever rank.

        Raises ValueError if it is none: if some direction would have a negative spread.
        """
        try:
            root = np.asarray(np.linalg.cholesky(covariance, upper=True), np.float64)
        except np.linalg.LinAlgError:  # of too few vectors: some directions have no spread but what rounding leaves
            values, vectors = np.linalg.eigh(covariance)
            if values[0] < -1e-6 * values[-1]:
                raise ValueError("it is no covariance, as some direction has a negative spread") from None
            spread = values > values[-1] * len(values) * np.finfo(np.float64).eps
            root = np.sqrt(values[spread])[:, None] * vectors.T[spread]
        return cls(mean, root, count)

    @property
    def covariance(self) -> Doubles:
        """d x d."""
        return self.root.T @ self.root


class Moments:
    """Gathers vectors in float64, in memory that does not grow with their number.

    Up to as many vectors as they have dimensions are kept; more are folded into sums, taken around the mean of the
    first ones so that nothing cancels.
    """

    def __init__(self, dimensions: int = DIMENSIONS) -> None:
        self.count = 0
        self._kept: list[Doubles] = []
        self._dimensions = dimensions
        self._center: Doubles | None = None
        self._sum = np.zeros(dimensions)
        self._products = np.zeros((0, 0))

    def add(self, rows: Floats) -> None:
        """Take in N x d vectors."""
        self.count += len(rows)
        self._kept.append(rows.astype(np.float64))
        if self.count > self._dimensions:
            self._fold()

    def _fold(self) -> None:
        kept = np.concatenate(self._kept)
        if self._center is None:
            self._center = kept.mean(axis=0)
            self._products = np.zeros((self._dimensions, self._dimensions))
        shifted = kept - self._center
        self._sum += shifted.sum(axis=0)
        self._products += shifted.T @ shifted
        self._kept = []

    def gaussian(self) -> Gaussian:
        """Mean and (unbiased) covariance of all vectors so far. Raises ValueError if there are fewer than two."""
        if self.count < 2:
            raise ValueError("a covariance needs two vectors or more")
        if self._center is None:
            kept = np.concatenate(self._kept)
            mean = kept.mean(axis=0)
            return Gaussian(mean, (kept - mean) / np.sqrt(self.count - 1), self.count)
        offset = self._sum / self.count
        covariance = (self._products - self.count * np.outer(offset, offset)) / (self.count - 1)
        return Gaussian.from_covariance(self._center + offset, covariance, self.count)


def save_statistics(gaussian: Gaussian, target: Path, protocol: dict[str, object], *, overwrite: bool = False) -> None:
    """Write mean and covariance as pytorch-fid does (`mu`, `sigma`), and beside them how they were measured.

    Raises FileExistsError if `target` exists and `overwrite` is false.
    """
    buffer = io.BytesIO()
    made = np.array(json.dumps({**protocol, "count": gaussian.count}))
    np.savez_compressed(buffer, mu=gaussian.mean, sigma=gaussian.covariance, toonify=made)
    write_atomically(target, buffer.getvalue(), overwrite=overwrite)


class Made(msgspec.Struct, frozen=True):
    """How saved statistics were measured; None is unknown."""

    mode: str | None = None
    weights: str | None = None
    count: Annotated[int, msgspec.Meta(ge=2)] | None = None


def read_statistics(path: Path) -> tuple[Doubles, Doubles, Made]:
    """Mean, covariance and how they were measured, as we or pytorch-fid wrote them.

    Raises UsageError if the file is neither.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            mean = _read_array(archive, "mu", (DIMENSIONS,))
            covariance = _read_array(archive, "sigma", (DIMENSIONS, DIMENSIONS))
            made = Made()
            if "toonify.npy" in archive.namelist():
                with archive.open("toonify.npy") as member:
                    made = decode_json(str(np.lib.format.read_array(member, allow_pickle=False)), type=Made)
    except UsageError as error:
        raise UsageError(f"{display(path)}: {error}") from error
    except OSError as error:
        raise UsageError(f"{display(path)} cannot be read: {error.strerror or one_line(error)}") from error
    except Exception as error:  # a damaged archive raises almost anything: zlib.error, RecursionError, MemoryError ...
        raise UsageError(
            f"{display(path)} holds no statistics (mu and sigma, as pytorch-fid writes them), or is damaged"
        ) from error
    if not (np.isfinite(mean).all() and np.isfinite(covariance).all() and np.allclose(covariance, covariance.T)):
        raise UsageError(f"{display(path)} holds no covariance: it is not symmetric and finite")
    return mean, covariance, made


def _read_array(archive: zipfile.ZipFile, name: str, shape: tuple[int, ...]) -> Doubles:
    """An array of real numbers, of which the header is believed only if it has the expected shape."""
    with archive.open(f"{name}.npy") as member:
        version = np.lib.format.read_magic(member)
        read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        found, _, dtype = read_header(member)
    if found != shape:
        raise UsageError(f"not of {DIMENSIONS} features; only those of the last pool are compared")
    if dtype.kind != "f" or dtype.itemsize < 4:
        raise UsageError(f"its {name} is of {dtype}, not of real numbers in single or double precision")
    with archive.open(f"{name}.npy") as member:
        return np.asarray(np.lib.format.read_array(member, allow_pickle=False), np.float64)
