"""Sets of pictures against one reference: what `toonify fid` prints."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from toonify.errors import UsageError, display
from toonify.metrics.inception import Inception
from toonify.metrics.measure import Measured, protocol
from toonify.metrics.sets import PictureSet
from toonify.metrics.settings import Mode
from toonify.metrics.table import SET_METRICS, Setup

_DEFAULT_SETUP = Setup()
FEW = 2048  # pictures: with fewer, the covariance has no full rank and FID is too high by a set's size


@dataclass(frozen=True)
class Comparison:
    """The figures of one set against the reference; what was not asked for is None."""

    name: str
    count: int | None  # pictures in the set
    reference_count: int | None
    figures: dict[str, float]  # of the metrics that were asked for, by name


def check_set(metrics: Sequence[str], pictures: PictureSet, count: int, setup: Setup, *, is_reference: bool) -> None:
    """Raise UsageError if a set of `count` pictures, or one of saved statistics, cannot have a figure asked for."""
    for name in metrics:
        metric = SET_METRICS[name]
        if not metric.vectors or (is_reference and not metric.of_reference):
            continue
        called, without = display(pictures.name), f"take {name} out of --metrics"
        title = " and ".join(figure.title for figure in metric.figures if figure.better is not None)
        if pictures.statistics is not None:
            raise UsageError(
                f"{called} holds mean and covariance, too little for {title}; give the pictures, or {without}"
            )
        needed = metric.needed(setup)
        if count < needed:
            raise UsageError(
                f"{called} has {count} pictures, too few for {title} (at least {needed}); give more, or {without}"
            )


def compare(
    measured: Measured, reference: Measured, metrics: Sequence[str], setup: Setup = _DEFAULT_SETUP
) -> Comparison:
    """The figures of a set against the reference by `metrics`, keys of SET_METRICS.

    Both sets were found good by `check_set`.
    """
    figures: dict[str, float] = {}
    for name, metric in SET_METRICS.items():
        if name in metrics:
            figures |= metric.compute(measured, reference, setup)
    return Comparison(measured.name, measured.count, reference.count, figures)


def remarks(comparisons: Sequence[Comparison]) -> Iterator[str]:
    """What a reader of the figures should know."""
    counts = [n for one in comparisons for n in (one.count, one.reference_count) if n is not None]
    if counts and min(counts) < FEW and any("fid" in one.figures for one in comparisons):
        how = ", which --metrics kid gives" if "kid" not in comparisons[0].figures else ""
        better = f"; read KID, which has no such bias, with its standard deviation{how}"
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
        "sets": [_told(one) for one in comparisons],
        "failed": [{"picture": str(path), "reason": reason} for one in sets for path, reason in one.failed],
        "remarks": list(remarks(comparisons)),
    }


def _told(comparison: Comparison) -> dict[str, object]:
    counts = {"count": comparison.count, "reference_count": comparison.reference_count}
    known = {key: value for key, value in counts.items() if value is not None}
    return {"name": comparison.name, **known, **comparison.figures}
