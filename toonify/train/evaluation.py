"""How near a run has come: test photos drawn as convert draws them, or pictures from noise, measured."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from torch import nn

from toonify.drawing import Style, draw_options
from toonify.errors import ImageError, UsageError, display
from toonify.generate.draw import draw_seeds
from toonify.images import encode_picture
from toonify.jobs.find import Found
from toonify.metrics.compare import compare
from toonify.metrics.features import open_cache
from toonify.metrics.inception import Inception, find_weights
from toonify.metrics.measure import Measured, measure
from toonify.metrics.sets import PictureSet
from toonify.metrics.settings import Mode
from toonify.metrics.table import figures_of, standard_metrics
from toonify.models.noise import NoiseGenerator
from toonify.pixels.arrays import Pixels
from toonify.styles.card import Card, LocatedStyle
from toonify.system.files import write_atomically
from toonify.train.options import Options
from toonify.train.pictures import find_pictures, read_picture
from toonify.train.samples import evaluating

_MODE: Mode = "legacy"
_FEWEST = 2  # pictures that FID and KID can be had of
_MOST = 10_000  # pictures that are drawn from noise


@dataclass(frozen=True)
class Verdict:
    """What an evaluation came to."""

    scores: dict[str, float]
    problems: list[str]  # the pictures that were left out, and why


class Evaluation(Protocol):
    """Measures what a run's generator draws. Call `open` before `measure`."""

    photos: tuple[Found, ...]  # that are drawn

    def open(self) -> None:
        """Fetch what it needs."""

    def measure(self, network: nn.Module, card: Card, folder: Path, device: str) -> Verdict:
        """Measure a generator (a module) with the card's only variant; `folder` takes drawings.

        Raises UsageError if too few pictures can be read, OSError.
        """

    def rank(self, scores: Mapping[str, float]) -> float:
        """What decides which checkpoint is best: the lowest."""


class Distances:
    """An `Evaluation` by FID and KID of drawings to a reference.

    Raises UsageError if there are too few pictures, WeightsError if a file of weights is not there.
    """

    photos: tuple[Found, ...]

    def __init__(self, options: Options, flag: str, name: str) -> None:
        """`flag` is the option that names the reference."""
        self._reference_set = PictureSet(name, checked_pictures(flag, name))
        self._weights = None if options.eval_weights is None else Path(options.eval_weights)
        if self._weights is not None and not self._weights.is_file():
            raise UsageError(
                f"--eval-weights {display(self._weights)}: no such file; leave it out to fetch the network"
            )
        self._metric = options.eval_metric
        self._network: Inception | None = None
        self._reference: Measured | None = None

    def open(self) -> None:
        """Make the network ready, which may fetch it. Raises DownloadError, WeightsError, ExportError."""
        self._network = Inception(find_weights(self._weights))

    def rank(self, scores: Mapping[str, float]) -> float:
        """FID or KID."""
        return scores[self._metric]

    def measure(self, network: nn.Module, card: Card, folder: Path, device: str) -> Verdict:
        """Draw into `folder` with a generator (a module) and the card's only variant, and measure the drawings.

        Raises UsageError if fewer than two pictures can be read, OSError.
        """
        assert self._network is not None  # noqa: S101 - opened
        folder.mkdir(parents=True, exist_ok=True)
        drawn, problems = self.draw(network, card, folder, device)
        if self._reference is None:
            with open_cache(self._network, _MODE) as cache:
                self._reference = measure(self._reference_set, self._network, _MODE, cache, keep_vectors=True)
            problems += [f"{display(path)}: {reason}" for path, reason in self._reference.failed]
        # Without the cache: these drawings never come again.
        judged = measure(PictureSet("drawings", tuple(drawn)), self._network, _MODE, None, keep_vectors=True)
        metrics = standard_metrics()
        found = compare(judged, self._reference, metrics).figures
        untold = {figure.name for figure in figures_of(metrics) if not figure.in_evaluations}
        return Verdict({name: value for name, value in found.items() if name not in untold}, problems)

    def draw(self, network: nn.Module, card: Card, folder: Path, device: str) -> tuple[list[Found], list[str]]:
        """The drawings that are measured, in `folder`, and what was left out, and why."""
        raise NotImplementedError


class PhotoDistances(Distances):
    """Of drawings of photos to cartoons. Raises what `Distances` does."""

    def __init__(self, options: Options) -> None:
        assert options.eval_photos is not None and options.eval_cartoons is not None  # noqa: S101 - checked
        self.photos = checked_pictures("--eval-photos", options.eval_photos)
        super().__init__(options, "--eval-cartoons", options.eval_cartoons)

    def draw(self, network: nn.Module, card: Card, folder: Path, device: str) -> tuple[list[Found], list[str]]:
        """The photos, drawn as convert draws them."""
        trained = LocatedStyle(card, folder).variant()
        drawn: list[Found] = []
        problems: list[str] = []
        with evaluating(network):
            options = draw_options(trained.variant)
            style = Style.of_network(network, trained, options, device=device)
            for number, photo in enumerate(self.photos):
                try:
                    drawing = style(read_picture(photo))
                except ImageError as error:
                    problems.append(f"{display(photo.path)}: {error}")
                    continue
                except MemoryError:
                    problems.append(f"{display(photo.path)}: not enough memory to draw it; lower --draw-size")
                    continue
                drawn.append(_written(drawing, folder, f"{number:05d}_{photo.path.stem[:40]}.png"))
        if len(drawn) < _FEWEST:
            raise UsageError(f"{len(drawn)} of --eval-photos can be drawn, and two are needed; {problems[0]}")
        return drawn, problems


class NoiseDistances(Distances):
    """Of pictures from noise to pictures, as many as there are, by seeds from 0 on. Raises what `Distances` does."""

    photos: tuple[Found, ...] = ()

    def __init__(self, options: Options) -> None:
        assert options.eval_pictures is not None  # noqa: S101 - checked
        super().__init__(options, "--eval-pictures", options.eval_pictures)
        self._count = min(len(self._reference_set.pictures), _MOST)

    def draw(self, network: nn.Module, card: Card, folder: Path, device: str) -> tuple[list[Found], list[str]]:
        """The pictures of the first seeds."""
        assert isinstance(network, NoiseGenerator)  # noqa: S101
        with evaluating(network):
            pictures = draw_seeds(network, range(self._count), device=device)
            return [_written(one, folder, f"seed{seed}.png") for seed, one in enumerate(pictures)], []


def checked_pictures(flag: str, name: str) -> tuple[Found, ...]:
    """The pictures of a folder of which distances can be had. Raises UsageError."""
    pictures = find_pictures(name, flag)
    if len(pictures) < _FEWEST:
        raise UsageError(f"{flag} {display(name)} has {len(pictures)} picture; give {_FEWEST} or more")
    return pictures


def _written(drawing: Pixels, folder: Path, name: str) -> Found:
    path = folder / name
    write_atomically(path, encode_picture(drawing, format="png", compression=1), overwrite=True)
    return Found(path, folder)
