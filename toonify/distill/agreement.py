"""How near a student has come to its teacher on photos that it never learns from."""

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from torch import nn

from toonify.distill.options import DistillOptions
from toonify.drawing import Style, draw_options
from toonify.errors import DownloadError, ImageError, UsageError, display
from toonify.images import encode_picture
from toonify.jobs.find import Found
from toonify.metrics.lpips import Lpips, find_lpips_weights
from toonify.pixels.arrays import Pixels, psnr
from toonify.pixels.resize import resize
from toonify.styles.card import Card, LocatedStyle
from toonify.system.files import write_atomically
from toonify.train.evaluation import Verdict
from toonify.train.pictures import Folders, read_picture
from toonify.train.samples import evaluating

_LEAST = 16  # pixels that LPIPS needs on a side


class Agreement:
    """An `Evaluation` by PSNR and LPIPS of the student's drawings to the teacher's, means over the photos.

    Beside them stand those of the untouched photos (`psnr_photo`, `lpips_photo`): what a student that draws nothing
    would get.
    """

    def __init__(self, options: DistillOptions, held_out: Folders) -> None:
        self.photos: tuple[Found, ...] = held_out.photos.pictures
        self._drawings = held_out.cartoons.pictures
        self._metric = options.eval_metric
        self._weights = [Path(path) for path in options.lpips_weights or ()]
        for_loss = bool(options.lpips_weight)  # then files are given for that in any case
        self._with_lpips = self._metric == "lpips" or (bool(self._weights) and not for_loss)
        self._lpips: Lpips | None = None
        self._of_photos: dict[Path, dict[str, float]] = {}

    def open(self) -> None:
        """Fetch LPIPS' network, if it is wanted. Raises DownloadError, WeightsError."""
        if self._with_lpips:
            try:
                weights = find_lpips_weights(self._weights)
            except DownloadError as error:
                raise DownloadError(f"{error}; or do without, with --eval-metric psnr") from error
            self._lpips = Lpips(weights, device="auto")
            self._lpips.prepare()

    def measure(self, network: nn.Module, card: Card, folder: Path, device: str) -> Verdict:
        """Draw the photos into `folder` and compare them with the teacher's drawings. Raises UsageError, OSError."""
        trained = LocatedStyle(card, folder).variant()
        # At the size of the pair: it has been brought there already.
        folder.mkdir(parents=True, exist_ok=True)
        found: list[dict[str, float]] = []
        problems: list[str] = []
        with evaluating(network):
            options = draw_options(trained.variant, size="full")
            style = Style.of_network(network, trained, options, device=device)
            for number, (photo, drawing) in enumerate(zip(self.photos, self._drawings, strict=True)):
                try:
                    pixels, wanted = read_picture(photo), read_picture(drawing)
                except ImageError as error:
                    problems.append(f"{display(photo.path)}: {error}")
                    continue
                drawn = style(pixels)
                path = folder / f"{number:05d}_{photo.path.stem[:40]}.png"
                write_atomically(path, encode_picture(drawn, format="png", compression=1), overwrite=True)
                if photo.path not in self._of_photos:
                    of_photo = self._compare(pixels, wanted)
                    self._of_photos[photo.path] = {f"{name}_photo": value for name, value in of_photo.items()}
                found.append(self._compare(drawn, wanted) | self._of_photos[photo.path])
        if not found:
            raise UsageError(f"none of --eval-photos can be compared; the first: {problems[0]}")
        return Verdict({name: float(np.mean([each[name] for each in found])) for name in found[0]}, problems)

    def rank(self, scores: Mapping[str, float]) -> float:
        """LPIPS, or PSNR upside down."""
        return scores.get("lpips", math.inf) if self._metric == "lpips" else -scores["psnr"]

    def _compare(self, picture: Pixels, wanted: Pixels) -> dict[str, float]:
        scores = {"psnr": _psnr(picture, wanted)}
        if self._lpips is not None:
            height, width = (max(side, _LEAST) for side in wanted.shape[:2])
            scores["lpips"] = self._lpips.distance(resize(picture, (height, width)), resize(wanted, (height, width)))
        return scores


def _psnr(picture: Pixels, wanted: Pixels) -> float:
    """Peak signal-to-noise ratio in dB; of equal pictures 100, so that a mean stays finite."""
    return min(100.0, psnr(picture, wanted, peak=255))
