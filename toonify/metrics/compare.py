"""Sets of pictures against one reference: what `toonify fid` prints."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from toonify.errors import UsageError, display
from toonify.metrics.cache import FeatureCache
from toonify.metrics.distances import frechet_distance, inception_score, kernel_distance, precision_recall
from toonify.metrics.features import Batch, extract
from toonify.metrics.gaussian import Doubles, Gaussian, Moments, read_statistics
from toonify.metrics.inception import DIMENSIONS, Inception
from toonify.metrics.mode import Mode
from toonify.metrics.sets import PictureSet
from toonify.pixels.arrays import Floats
from toonify.version import __version__

Metric = Literal["fid", "kid", "is", "pr"]
FEW = 2048  # pictures: with fewer, the covariance has no full rank and FID is too high by a set's size
_SUBSET = 1000  # pictures in each of KID's subsets, where there are so many


@dataclass(frozen=True)
class Measured:
    """A set, with all that its distances are made of."""

    name: str
    gaussian: Gaussian
    vectors: Floats | None  # N x 2048; None: not kept, as only FID was asked for
    failed: tuple[tuple[Path, str], ...] = ()

    @property
    def count(self) -> int | None:
        """Pictures that were measured; None: the file of statistics does not say."""
        return self.gaussian.count


@dataclass(frozen=True)
class Comparison:
    """The figures of one set against the reference; what was not asked for is None."""

    name: str
    count: int | None  # pictures in the set
    reference_count: int | None
    fid: float | None = None
    kid: float | None = None  # mean over the subsets
    kid_spread: float | None = None  # standard deviation over the subsets
    kid_subset: int | None = None  # pictures in a subset
    inception_score: float | None = None
    inception_score_spread: float | None = None
    precision: float | None = None
    recall: float | None = None


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


_NEEDED: dict[Metric, int] = {"fid": 2, "kid": 2, "is": 10, "pr": 4}  # pictures


def check_set(
    metrics: Sequence[Metric], pictures: PictureSet, count: int, *, kid_subset: int | None, is_reference: bool
) -> None:
    """Raise UsageError if a set of `count` pictures, or one of saved statistics, cannot have a figure asked for."""
    for metric in metrics:
        if metric == "fid" or (metric == "is" and is_reference):  # the score is of the set alone
            continue
        name, without = display(pictures.name), f"drop {metric} from --metrics"
        if pictures.statistics is not None:
            raise UsageError(
                f"{name} holds mean and covariance, and {metric} needs the pictures; give them, or {without}"
            )
        needed = kid_subset if metric == "kid" and kid_subset is not None else _NEEDED[metric]
        if count < needed:
            raise UsageError(f"{name} has {count} pictures, and {metric} needs {needed}; give more, or {without}")


def compare(
    measured: Measured,
    reference: Measured,
    metrics: Sequence[Metric],
    *,
    kid_subset: int | None = None,
    classes: Doubles | None = None,
    seed: int = 2020,
) -> Comparison:
    """The figures of a set against the reference; both were found good by `check_set`.

    `classes` is the network's `classifier`, which the Inception Score needs.
    """
    figures: dict[str, Any] = {}
    a, b = measured.vectors, reference.vectors
    if "fid" in metrics:
        figures["fid"] = frechet_distance(measured.gaussian, reference.gaussian)
    if "kid" in metrics:
        assert a is not None and b is not None  # noqa: S101 - measured with keep_vectors
        subset = _subset(min(len(a), len(b))) if kid_subset is None else kid_subset
        figures["kid"], figures["kid_spread"] = kernel_distance(a, b, subset=subset, seed=seed)
        figures["kid_subset"] = subset
    if "is" in metrics:
        assert a is not None and classes is not None  # noqa: S101 - measured with keep_vectors
        figures["inception_score"], figures["inception_score_spread"] = inception_score(a @ classes.T, seed=seed)
    if "pr" in metrics:
        assert a is not None and b is not None  # noqa: S101 - measured with keep_vectors
        figures["precision"], figures["recall"] = precision_recall(a, b)
    return Comparison(measured.name, measured.count, reference.count, **figures)


def _subset(smaller: int) -> int:
    """The size of KID's subsets: half of a small set, so that subsets differ and their spread says something."""
    return _SUBSET if smaller >= _SUBSET else max(smaller // 2, 2)


def remarks(comparisons: Sequence[Comparison]) -> Iterator[str]:
    """What a reader of the figures should know."""
    counts = [n for one in comparisons for n in (one.count, one.reference_count) if n is not None]
    if counts and min(counts) < FEW and any(one.fid is not None for one in comparisons):
        how = ", which --metrics kid gives" if comparisons[0].kid is None else ""
        better = f"; read KID, which has no such bias, with its spread{how}"
        yield f"fewer than {FEW} pictures: FID is too high, the more so the fewer there are{better}"
    if any(one.count is None or one.reference_count is None for one in comparisons):
        yield "saved statistics that do not say how they were measured are taken as of this protocol"


def record(
    comparisons: Sequence[Comparison], sets: Sequence[Measured], network: Inception, mode: Mode, seed: int
) -> dict[str, object]:
    """All of it for `--json`."""
    return {
        "protocol": {**protocol(network, mode), "seed": seed},
        "runs_on": network.runs_on,  # null: all from the cache
        "reference": {"name": sets[-1].name, "count": sets[-1].count},
        "sets": [{key: value for key, value in asdict(one).items() if value is not None} for one in comparisons],
        "failed": [{"picture": str(path), "reason": reason} for one in sets for path, reason in one.failed],
        "remarks": list(remarks(comparisons)),
    }
