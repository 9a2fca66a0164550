"""The table of a study about styles: how near they come to cartoons, and how much of the photos they keep.

With few pictures FID is too high, the more so the fewer there are, so figures can only be compared where counts are
equal. Therefore all rows of photos and styles are made of the same photos, those that every style has drawn, and
compared with the same cartoons. KID has no such bias.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from toonify.engines.engine import Device
from toonify.errors import ToonifyError, UsageError, display
from toonify.evaluate.candidates import Candidate, Drawn, draw_candidate, measure_speeds
from toonify.evaluate.contents import Content, Sample, compare_contents
from toonify.jobs.find import Found
from toonify.metrics.cache import FeatureCache
from toonify.metrics.compare import compare
from toonify.metrics.content import EDGE_THRESHOLDS, EDGE_TOLERANCE
from toonify.metrics.distances import frechet_distance
from toonify.metrics.gaussian import Moments
from toonify.metrics.inception import Inception
from toonify.metrics.lpips import Lpips
from toonify.metrics.measure import Measured, measure, protocol
from toonify.metrics.sets import PictureSet
from toonify.metrics.settings import LONG_SIDE, Mode
from toonify.metrics.table import CONTENT_METRICS, Setup, standard_metrics

Bar = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]  # title, files to go; advanced by files
_FEWEST_CARTOONS = 4  # of which half is a set


@dataclass(frozen=True)
class Yardstick:
    """What is measured with."""

    network: Inception
    mode: Mode = "legacy"
    cache: FeatureCache | None = None
    lpips: Lpips | None = None
    seed: int = 2020  # of KID's subsets, and of how cartoons are parted

    def protocol(self) -> dict[str, object]:
        """What two evaluations must have in common to be compared."""
        return {
            **protocol(self.network, self.mode),
            "seed": self.seed,
            "content_long_side": LONG_SIDE,
            "edge_thresholds": list(EDGE_THRESHOLDS),
            "edge_tolerance": EDGE_TOLERANCE,
            "lpips_weights": None if self.lpips is None else list(self.lpips.weights.sha256),
        }


@dataclass(frozen=True)
class Row:
    """The figures of one set of pictures."""

    name: str
    kind: Literal["photos", "candidate", "cartoons"]
    count: int  # pictures in the set
    reference_count: int  # cartoons that it is compared with
    figures: dict[str, float]  # by name: those of the standard metrics to the cartoons, and of the content, means over
    # the photos; without "fid_to_photos" where counts differ from the other rows', so that it would say nothing
    megapixels_per_second: float | None = None
    failed: int | None = None  # photos of which there is no picture; they count for no row
    runs_on: str | None = None


@dataclass(frozen=True)
class Evaluation:
    """All that was found out."""

    photos: str  # as the user named them
    cartoons: str
    rows: tuple[Row, ...]  # the untouched photos, the styles, the cartoons among themselves
    samples: tuple[Sample, ...]  # the photos that count
    failed: tuple[tuple[Path, str], ...]  # photos and cartoons that do not, and why
    protocol: dict[str, object]
    runs_on: dict[str, str | None]  # by network; None: all came from the cache
    remarks: tuple[str, ...]

    @property
    def candidates(self) -> tuple[Row, ...]:
        """The rows of the styles."""
        return tuple(row for row in self.rows if row.kind == "candidate")


def no_bar(title: str, total: int) -> AbstractContextManager[Callable[[int], None]]:
    """Show no progress."""
    return nullcontext(lambda count: None)


def evaluate(
    photos: PictureSet,
    cartoons: PictureSet,
    candidates: Sequence[Candidate],
    folder: Path,
    yardstick: Yardstick,
    *,
    device: Device = "auto",
    bar: Bar = no_bar,
) -> Evaluation:
    """Draw the photos in every style, into `folder`/NAME, and measure what there is.

    What `folder` has from an earlier run is used again. Raises UsageError if there are too few cartoons, ToonifyError
    if less than two photos have a picture in every style, and what drawing and measuring do.
    """
    if yardstick.lpips is not None:
        yardstick.lpips.prepare()  # what is wrong with its weights comes out before minutes of drawing
    reference = _measure(cartoons, yardstick, bar)
    if len(reference.kept_vectors) < _FEWEST_CARTOONS:
        raise UsageError(
            f"--cartoons {display(cartoons.name)}: {reference.count} pictures can be read, and half against half "
            f"needs {_FEWEST_CARTOONS}"
        )
    drawn = {candidate.name: _draw(candidate, photos, folder, bar, device=device) for candidate in candidates}
    speeds = measure_speeds(candidates, _readable(drawn), device=device)
    problems = {name: dict(one.failed) for name, one in drawn.items()}
    complete = [photo for photo in photos.pictures if all(photo.path in one.pictures for one in drawn.values())]
    samples = []
    with bar("comparing photos with their pictures", len(complete)) as advance:
        for sample in compare_contents(complete, {name: d.pictures for name, d in drawn.items()}, yardstick.lpips):
            advance(1)
            for name, problem in sample.problems.items():
                problems[name][sample.photo.path] = problem
            if not sample.problems:
                samples.append(sample)
    left_out = list(_left_out(photos.pictures, problems))
    if len(samples) < 2:
        reason = f"; {display(left_out[0][0])}: {left_out[0][1]}" if left_out else ""
        raise ToonifyError(f"{len(samples)} photos have a picture in every style, and two are needed{reason}")

    originals = _measure(PictureSet(photos.name, tuple(sample.photo for sample in samples)), yardstick, bar, whole=True)
    untouched = {
        name: metric.untouched
        for name, metric in CONTENT_METRICS.items()
        if metric.compute is not None or yardstick.lpips is not None
    }
    rows = [_row("photos, untouched", "photos", originals, reference, yardstick, {"fid_to_photos": 0.0} | untouched)]
    for name, one in drawn.items():
        pictures = PictureSet(name, tuple(Found(sample.pictures[name]) for sample in samples))
        measured = _measure(pictures, yardstick, bar, whole=True)
        rows.append(
            _row(
                name,
                "candidate",
                measured,
                reference,
                yardstick,
                {"fid_to_photos": frechet_distance(measured.gaussian, originals.gaussian)}
                | _mean([sample.content[name] for sample in samples]),
                megapixels_per_second=speeds.get(name),
                failed=len(problems[name]),
                runs_on=one.runs_on,
            )
        )
    networks = {"Inception": yardstick.network.runs_on}
    if yardstick.lpips is not None:
        networks["LPIPS"] = yardstick.lpips.runs_on
    return Evaluation(
        photos=photos.name,
        cartoons=cartoons.name,
        rows=(*rows, *_cartoon_rows(reference, originals, yardstick)),
        samples=tuple(samples),
        failed=(*left_out, *reference.failed),
        protocol=yardstick.protocol(),
        runs_on=networks,
        remarks=tuple(_remarks(list(drawn), samples, len(photos.pictures))),
    )


def _readable(drawn: Mapping[str, Drawn]) -> list[Path]:
    """The photos that a style has drawn."""
    return list(dict.fromkeys(photo for one in drawn.values() if one.runs_on for photo in one.pictures))


def _draw(candidate: Candidate, photos: PictureSet, folder: Path, bar: Bar, *, device: Device) -> Drawn:
    with bar(f"drawing in {candidate.name}", len(photos.pictures)) as advance:
        return draw_candidate(
            candidate,
            photos.pictures,
            folder,
            device=device,
            on_outcome=lambda _: advance(1),
        )


def _measure(pictures: PictureSet, yardstick: Yardstick, bar: Bar, *, whole: bool = False) -> Measured:
    """Features of a set. With `whole`, a file that was readable a moment ago and is not any more ends it all."""
    with bar(f"measuring {pictures.name}", len(pictures.pictures)) as advance:
        measured = measure(
            pictures,
            yardstick.network,
            yardstick.mode,
            yardstick.cache,
            keep_vectors=True,
            on_batch=lambda batch: advance(len(batch.vectors) + len(batch.failed)),
        )
    if whole and measured.failed:
        path, reason = measured.failed[0]
        raise ToonifyError(f"{display(path)} has changed meanwhile: {reason}")
    return measured


def _row(
    name: str,
    kind: Literal["photos", "candidate", "cartoons"],
    measured: Measured,
    reference: Measured,
    yardstick: Yardstick,
    more: dict[str, float],
    **others: Any,
) -> Row:
    found = compare(measured, reference, standard_metrics(), Setup(yardstick.seed))
    counts = len(measured.kept_vectors), len(reference.kept_vectors)
    return Row(name, kind, *counts, found.figures | more, **others)


def _cartoon_rows(reference: Measured, originals: Measured, yardstick: Yardstick) -> list[Row]:
    """What a perfect style would get: cartoons against other cartoons, parted by the seed.

    Once as many as there are photos, so that FID is as biased as the styles' (if enough are left to compare with),
    once half against half.
    """
    vectors = reference.kept_vectors
    order = np.random.default_rng(yardstick.seed).permutation(len(vectors))
    count, rows = len(originals.kept_vectors), []

    def part(chosen: NDArray[np.intp]) -> Measured:
        moments = Moments()
        moments.add(vectors[chosen])
        return Measured(reference.name, moments.gaussian(), vectors[chosen])

    if len(vectors) >= 2 * count:
        some, others = part(order[:count]), part(order[count:])
        to_photos = frechet_distance(some.gaussian, originals.gaussian)
        name = f"cartoons, {count} against the others"
        rows.append(_row(name, "cartoons", some, others, yardstick, {"fid_to_photos": to_photos}))
    half = len(vectors) // 2
    halves = part(order[:half]), part(order[half:])
    return [*rows, _row("cartoons, half against half", "cartoons", *halves, yardstick, {})]


def _mean(contents: Sequence[Content]) -> dict[str, float]:
    return {name: float(np.mean([one[name] for one in contents])) for name in contents[0]}


def _left_out(photos: Sequence[Found], problems: dict[str, dict[Path, str]]) -> list[tuple[Path, str]]:
    """The photos that some style has no picture of, and why; what is wrong with the photo itself is said once."""
    left_out = []
    for photo in photos:
        reasons = {name: found[photo.path] for name, found in problems.items() if photo.path in found}
        for reason in dict.fromkeys(reasons.values()):
            names = [name for name, one in reasons.items() if one == reason]
            whose = "" if len(names) == len(problems) else f"{', '.join(names)}: "
            left_out.append((photo.path, whose + reason))
    return left_out


def _remarks(names: Sequence[str], samples: Sequence[Sample], photos: int) -> list[str]:
    remarks = []
    if len(samples) < photos:
        remarks.append(
            f"{photos - len(samples)} of {photos} photos count for no row, as not every style has a picture of them"
        )
    for name in names:
        count = sum(name in sample.stretched for sample in samples)
        if count:
            remarks.append(f"{name}: {count} pictures have other proportions than their photos and were stretched")
    return remarks
