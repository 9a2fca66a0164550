"""A set of pictures, measured: all that its distances to other sets are made of."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from toonify.errors import UsageError, display
from toonify.metrics.cache import FeatureCache
from toonify.metrics.features import Batch, extract
from toonify.metrics.gaussian import Gaussian, Moments, read_statistics
from toonify.metrics.inception import DIMENSIONS, Inception
from toonify.metrics.sets import PictureSet
from toonify.metrics.settings import Mode
from toonify.pixels.arrays import Floats
from toonify.version import __version__


@dataclass(frozen=True)
class Measured:
    """A set, with all that its distances are made of."""

    name: str
    gaussian: Gaussian
    vectors: Floats | None  # N x 2048; None: not kept, as only FID was asked for
    failed: tuple[tuple[Path, str], ...] = ()

    @property
    def kept_vectors(self) -> Floats:
        """The features of each picture, of a set that was measured with `keep_vectors`."""
        assert self.vectors is not None  # noqa: S101 - `check_set` has refused saved statistics
        return self.vectors

    @property
    def count(self) -> int | None:
        """Pictures that were measured; None: the file of statistics does not say."""
        return self.gaussian.count


def protocol(network: Inception, mode: Mode) -> dict[str, object]:
    """What two figures must have in common to be compared."""
    return {
        "mode": mode,
        "weights": network.weights.sha256,
        "features": "Inception-v3, last pool",
        "pictures": "RGB as stored, upright by EXIF",
        "toonify": __version__,
    }


def measure(
    pictures: PictureSet,
    network: Inception,
    mode: Mode,
    cache: FeatureCache | None,
    *,
    keep_vectors: bool,
    on_batch: Callable[[Batch], None] = lambda batch: None,
) -> Measured:
    """Measure the pictures of a set. With `keep_vectors` memory grows by 8 KB a picture; without, it does not grow.

    Raises UsageError if fewer than two pictures can be read.
    """
    moments = Moments()
    kept = np.empty((len(pictures.pictures) if keep_vectors else 0, DIMENSIONS), np.float32)
    failed: list[tuple[Path, str]] = []
    for batch in extract(pictures.pictures, network, mode, cache):
        if keep_vectors:
            kept[moments.count : moments.count + len(batch.vectors)] = batch.vectors
        moments.add(batch.vectors)
        failed += batch.failed
        on_batch(batch)
    if moments.count < 2:
        reason = f"; {display(failed[0][0])}: {failed[0][1]}" if failed else ""
        raise UsageError(f"{display(pictures.name)} has {moments.count} readable pictures, and two are needed{reason}")
    vectors = kept[: moments.count] if keep_vectors else None
    return Measured(pictures.name, moments.gaussian(), vectors, tuple(failed))


def load_statistics(path: Path, network: Inception, mode: Mode) -> Measured:
    """A set from its saved statistics. Raises UsageError if they are damaged or of another protocol."""
    mean, covariance, made = read_statistics(path)
    ours = protocol(network, mode)
    for key, theirs in (("mode", made.mode), ("weights", made.weights)):
        if theirs is not None and theirs != ours[key]:
            raise UsageError(
                f"{display(path)} was measured with {key} {display(theirs)}, not {ours[key]}: they cannot be compared"
            )
    try:
        return Measured(str(path), Gaussian.from_covariance(mean, covariance, made.count), None)
    except ValueError as error:
        raise UsageError(f"{display(path)}: {error}") from error
