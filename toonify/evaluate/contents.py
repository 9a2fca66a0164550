"""How much of the photos is left in the pictures: every photo beside what each candidate has made of it."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from toonify.errors import ImageError, display
from toonify.jobs.find import Found
from toonify.metrics.content import to_one_size
from toonify.metrics.lpips import Lpips
from toonify.metrics.table import CONTENT_METRICS
from toonify.pages.embed import read_picture, same_shape
from toonify.pixels.arrays import Pixels
from toonify.system.cores import available_cores
from toonify.system.pipeline import run_stages

Content = Mapping[str, float]  # figures by name, of CONTENT_METRICS


@dataclass(frozen=True)
class Sample:
    """A photo beside the pictures of it, by candidate."""

    photo: Found
    pictures: dict[str, Path]
    content: dict[str, Content] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)  # why a candidate's picture cannot be compared
    stretched: tuple[str, ...] = ()  # candidates whose picture has other proportions than the photo

    @property
    def name(self) -> str:
        """The photo's path below the folder that was named."""
        photo = self.photo
        return display(photo.path.relative_to(photo.root) if photo.root else photo.path.name)


@dataclass(frozen=True)
class _Pair:
    """A photo and a picture of it at one size, with what is known of them without a network."""

    photo: Pixels
    picture: Pixels
    figures: dict[str, float]
    stretched: bool


def compare_contents(
    photos: Sequence[Found], pictures: Mapping[str, Mapping[Path, Path]], lpips: Lpips | None
) -> Iterator[Sample]:
    """Compare photos with their pictures, by candidate, and yield them in order. A bad file is a problem of its sample.

    Memory does not grow with the number of photos. Raises what opening LPIPS' network does.
    """
    with ThreadPoolExecutor(available_cores()) as pool:

        def read(photo: Found) -> tuple[Sample, dict[str, _Pair]]:
            sample = Sample(photo, {name: drawn[photo.path] for name, drawn in pictures.items()})
            try:
                original = read_picture(photo.path, measurable=True).pixels
            except ImageError as error:
                return Sample(photo, sample.pictures, problems=dict.fromkeys(pictures, str(error))), {}
            compared = dict(
                zip(
                    sample.pictures, pool.map(lambda path: _pair(original, path), sample.pictures.values()), strict=True
                )
            )
            pairs = {name: pair for name, pair in compared.items() if isinstance(pair, _Pair)}
            problems = {name: problem for name, problem in compared.items() if isinstance(problem, str)}
            stretched = tuple(name for name, pair in pairs.items() if pair.stretched)
            return Sample(photo, sample.pictures, problems=problems, stretched=stretched), pairs

        def measure(read: tuple[Sample, dict[str, _Pair]]) -> Sample:
            sample, pairs = read
            for name, pair in pairs.items():
                if lpips is not None:
                    pair.figures["lpips"] = lpips.distance(pair.photo, pair.picture)
                sample.content[name] = pair.figures
            return sample

        yield from run_stages(photos, [read, measure], on_stop=lambda: None if lpips is None else lpips.cancel())


def _pair(original: Pixels, path: Path) -> _Pair | str:
    """A photo and its picture, compared; a text says why they cannot be."""
    try:
        drawing = read_picture(path, measurable=True).pixels
        photo, picture = to_one_size(original, drawing)
    except ImageError as error:
        return str(error)
    stretched = not same_shape(drawing.shape, original.shape)
    figures = {
        name: metric.compute(photo, picture) for name, metric in CONTENT_METRICS.items() if metric.compute is not None
    }
    return _Pair(photo, picture, figures, stretched)
