"""How near a run has come: test photos drawn as convert draws them, and measured against cartoons."""

from pathlib import Path

from torch import nn

from toonify.discover import Found, find_photos
from toonify.drawing import Look, Style, draw_options
from toonify.errors import ImageError
from toonify.files import write_atomically
from toonify.images import encode_picture
from toonify.metrics.compare import Measured, check_set, compare, measure
from toonify.metrics.features import open_cache
from toonify.metrics.inception import Inception, find_weights
from toonify.metrics.protocol import Mode
from toonify.metrics.sets import PictureSet
from toonify.runtime import TorchGenerator
from toonify.styles import Card, LocatedStyle
from toonify.train.data import read_picture
from toonify.train.options import Options
from toonify.train.samples import evaluating

_MODE: Mode = "legacy"


class Evaluation:
    """Measures FID and KID of a run's drawings. Raises UsageError if there are too few pictures, WeightsError."""

    def __init__(self, options: Options, *, quiet: bool) -> None:
        assert options.eval_photos is not None and options.eval_cartoons is not None  # noqa: S101 - checked
        self._photos = find_photos([Path(options.eval_photos)], drawings=True)
        self._cartoons = PictureSet(
            options.eval_cartoons, tuple(find_photos([Path(options.eval_cartoons)], drawings=True))
        )
        photos = PictureSet(options.eval_photos, tuple(self._photos))
        check_set(["fid", "kid"], photos, len(self._photos), kid_subset=None, is_reference=False)
        check_set(["fid", "kid"], self._cartoons, len(self._cartoons.pictures), kid_subset=None, is_reference=True)
        weights = None if options.eval_weights is None else Path(options.eval_weights)
        self._network = Inception(find_weights(weights, quiet=quiet), quiet=quiet)
        self._reference: Measured | None = None

    def measure(self, network: nn.Module, card: Card, folder: Path, device: str) -> dict[str, float]:
        """Draw the photos into `folder` with a generator (a module) and the card's only variant, and measure them.

        Photos that cannot be read are left out. Raises UsageError if fewer than two are left, OSError.
        """
        drawn = self._draw(network, card, folder, device)
        with open_cache(self._network, _MODE) as cache:
            if self._reference is None:
                self._reference = measure(self._cartoons, self._network, _MODE, cache, keep_vectors=True)
            # Without the cache: these drawings never come again.
            judged = measure(PictureSet("drawings", tuple(drawn)), self._network, _MODE, None, keep_vectors=True)
        found = compare(judged, self._reference, ["fid", "kid"], kid_subset=None, classes=None, seed=2020)
        assert found.fid is not None and found.kid is not None and found.kid_spread is not None  # noqa: S101
        return {"fid": found.fid, "kid": found.kid, "kid_spread": found.kid_spread}

    def _draw(self, network: nn.Module, card: Card, folder: Path, device: str) -> list[Found]:
        ((name, variant),) = card.variants.items()
        look = Look(LocatedStyle(card, folder), name, variant, "", draw_options(variant))
        folder.mkdir(parents=True, exist_ok=True)
        drawn = []
        with evaluating(network):
            style = Style(look, TorchGenerator(network, device))
            for number, photo in enumerate(self._photos):
                try:
                    drawing = style(read_picture(photo.path))
                except ImageError:
                    continue
                path = folder / f"{number:04d}_{photo.path.stem}.png"
                write_atomically(path, encode_picture(drawing, format="png", compression=1), overwrite=True)
                drawn.append(Found(path, folder))
        return drawn
