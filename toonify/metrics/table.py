"""The metrics: what each needs, how it is computed, and how its figures are told. A new metric is an entry here.

The arithmetic is in `distances.py` and `content.py`. It is imported when it first runs, because the command line reads
this table for its help.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from toonify.metrics.settings import LONG_SIDE

if TYPE_CHECKING:
    from toonify.metrics.gaussian import Doubles
    from toonify.metrics.inception import Weights
    from toonify.metrics.measure import Measured
    from toonify.pixels.arrays import Pixels

Direction = Literal["lower", "higher", None]  # where a figure gets better; None: neither end is good in itself
SPREAD = "_spread"  # ends the name of a standard deviation


@dataclass(frozen=True)
class Figure:
    """A number that a metric gives, and how it is told."""

    name: str  # in JSON, CSV and records; its standard deviation is `name` + SPREAD
    title: str
    digits: int  # after the point in tables; `toonify fid` shows two more
    better: Direction = None
    explanation: str = ""
    has_spread: bool = False
    in_evaluations: bool = True  # whether `evaluate` and `train` have a column of it


@dataclass(frozen=True)
class Setup:
    """What the figures of a set depend on beside the pictures."""

    seed: int = 2020
    kid_subset: int | None = None  # pictures in a subset; None: 1000, or half of a small set
    weights: "Weights | None" = None  # of Inception

    @cached_property
    def classes(self) -> "Doubles":
        """The network's `classifier`. Raises WeightsError if its file has none."""
        from toonify.metrics.inception import classifier

        assert self.weights is not None  # noqa: S101 - whoever asks for the Inception Score has them
        return classifier(self.weights)


@dataclass(frozen=True)
class SetMetric:
    """How far a set of pictures is from a reference."""

    figures: tuple[Figure, ...]
    compute: "Callable[[Measured, Measured, Setup], dict[str, float]]"  # the set and the reference to figures by name
    needed: Callable[[Setup], int]  # pictures in each set
    vectors: bool = True  # whether it needs each picture's features; saved statistics are mean and covariance only
    of_reference: bool = True  # whether it depends on the reference
    standard: bool = False  # measured by `evaluate` and `train`, and by `fid` without --metrics
    prepare: Callable[[Setup], object] = lambda setup: None  # raises what is wrong before minutes of measuring


@dataclass(frozen=True)
class ContentMetric:
    """How much of a photo is left in a picture of it."""

    figure: Figure
    untouched: float  # what the photo itself gets
    compute: "Callable[[Pixels, Pixels], float] | None" = None  # photo and picture of one size; None: a network's work


def _fid(measured: "Measured", reference: "Measured", setup: Setup) -> dict[str, float]:
    from toonify.metrics.distances import frechet_distance

    return {"fid": frechet_distance(measured.gaussian, reference.gaussian)}


def _kid(measured: "Measured", reference: "Measured", setup: Setup) -> dict[str, float]:
    from toonify.metrics.distances import kernel_distance, subset_size

    a, b = measured.kept_vectors, reference.kept_vectors
    subset = setup.kid_subset or subset_size(min(len(a), len(b)))
    mean, deviation = kernel_distance(a, b, subset=subset, seed=setup.seed)
    return {"kid": mean, f"kid{SPREAD}": deviation, "kid_subset": subset}


def _inception_score(measured: "Measured", reference: "Measured", setup: Setup) -> dict[str, float]:
    from toonify.metrics.distances import inception_score

    mean, deviation = inception_score(measured.kept_vectors @ setup.classes.T, seed=setup.seed)
    return {"inception_score": mean, f"inception_score{SPREAD}": deviation}


def _precision_recall(measured: "Measured", reference: "Measured", setup: Setup) -> dict[str, float]:
    from toonify.metrics.distances import precision_recall

    precision, recall = precision_recall(measured.kept_vectors, reference.kept_vectors)
    return {"precision": precision, "recall": recall}


def _ssim(photo: "Pixels", picture: "Pixels") -> float:
    from toonify.metrics.content import ssim

    return ssim(photo, picture)


def _edges(photo: "Pixels", picture: "Pixels") -> float:
    from toonify.metrics.content import edge_agreement

    return edge_agreement(photo, picture)


SET_METRICS: dict[str, SetMetric] = {
    "fid": SetMetric(
        (
            Figure(
                "fid",
                "FID",
                2,
                "lower",
                "Fréchet distance of Inception's features to those of the cartoons. With few pictures it is too high, "
                "the more so the fewer there are",
            ),
        ),
        _fid,
        needed=lambda setup: 2,
        vectors=False,
        standard=True,
    ),
    "kid": SetMetric(
        (
            Figure(
                "kid",
                "KID",
                4,
                "lower",
                "kernel distance of the same features to the cartoons, mean ± standard deviation over 100 subsets. It "
                "has no such bias (so it may be below 0), and the whole column can be compared; differences within the "
                "deviation say little",
                has_spread=True,
            ),
            Figure("kid_subset", "subset", 0, in_evaluations=False),
        ),
        _kid,
        needed=lambda setup: setup.kid_subset or 2,
        standard=True,
    ),
    "is": SetMetric(
        (Figure("inception_score", "Inception Score", 2, "higher", has_spread=True),),
        _inception_score,
        needed=lambda setup: 10,
        of_reference=False,
        prepare=lambda setup: setup.classes,
    ),
    "pr": SetMetric(
        (Figure("precision", "precision", 2, "higher"), Figure("recall", "recall", 2, "higher")),
        _precision_recall,
        needed=lambda setup: 4,
    ),
}

CONTENT_METRICS: dict[str, ContentMetric] = {
    metric.figure.name: metric
    for metric in (
        ContentMetric(
            Figure(
                "ssim",
                "SSIM",
                3,
                "higher",
                f"structural similarity of a picture to its photo, in gray and {LONG_SIDE} pixels long; 1 is the photo",
            ),
            untouched=1.0,
            compute=_ssim,
        ),
        ContentMetric(
            Figure(
                "edges",
                "edges",
                3,
                "higher",
                "how well the edges of a picture and its photo agree (F1 of Canny's edges within 2 pixels); 1 is the "
                "photo",
            ),
            untouched=1.0,
            compute=_edges,
        ),
        ContentMetric(
            Figure(
                "lpips",
                "LPIPS",
                3,
                "lower",
                "how different a picture looks from its photo to VGG-16; 0 is the photo",
            ),
            untouched=0.0,
        ),
    )
}

_OTHERS = (  # of what is measured in one place only
    Figure(
        "fid_to_photos",
        "FID to photos",
        2,
        None,
        "how far the pictures have moved away from the photos. A style has to, so neither end is good in itself",
    ),
    Figure("psnr", "PSNR", 2, "higher"),
    Figure("psnr_photo", "PSNR of the photo", 2),
    Figure("lpips_photo", "LPIPS of the photo", 3),
)
FIGURES: dict[str, Figure] = {
    figure.name: figure
    for figure in (
        *(figure for metric in SET_METRICS.values() for figure in metric.figures),
        *(metric.figure for metric in CONTENT_METRICS.values()),
        *_OTHERS,
    )
}


def standard_metrics(*, saved: bool = False) -> list[str]:
    """The set metrics that are measured if none is asked for; of those, the ones that saved statistics serve."""
    return [name for name, metric in SET_METRICS.items() if metric.standard and not (saved and metric.vectors)]


def figures_of(metrics: Sequence[str]) -> list[Figure]:
    """The figures that set metrics give, in the order of the table."""
    return [figure for name, metric in SET_METRICS.items() if name in metrics for figure in metric.figures]
