"""What goes wrong in a run, told before hours are lost on it."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from toonify.errors import TrainingError

_PATIENCE = 50  # lines of the log in a row for which a discriminator may seem dead
_SETTLED = 200  # steps after which a generator tells photos apart: a fresh one, with batch norm, draws all alike
_SHEETS = 2  # of samples in a row that are alike
_ALIKE = 0.02  # of the photos' own difference, below which drawings are taken for one and the same
_NO_DIFFERENCE = 1e-4  # between the scores of real and drawn pictures, relative to their size
_WON = 1e-3  # loss of a discriminator that is never wrong; of the objectives that are bounded below by 0


class Watch:
    """Sees every line of the log, the drawings of the samples, and what is to be saved."""

    def __init__(
        self,
        objective: str | None,
        *,
        anchors: Sequence[str] = (),
        shortened: bool = False,
        from_noise: bool = False,
    ) -> None:
        """`objective` is that of the discriminators, if there are any.

        `anchors` are the options of the losses that hold a drawing to its photo; `shortened`: less than float32.
        """
        self._alike_what = "the same picture from all latents" if from_noise else "all photos alike"
        self._more = "pictures" if from_noise else "cartoons"
        self._bounded = objective in ("gan", "lsgan", "hinge")
        self._anchors = f"raise {' or '.join(anchors)}, or " if anchors else ""
        self._calmer = f"lower --learning-rate, or give --clip 1{' or --precision fp32' * shortened}, in a new run"
        self._same: dict[str, int] = defaultdict(int)
        self._won: dict[str, int] = defaultdict(int)
        self._alike = 0

    def see_finite(self, step: int, losses: Mapping[str, float], state: Iterable[Tensor] = ()) -> None:
        """Raise TrainingError if a loss, or a number of the networks, is not finite."""
        for name, value in losses.items():
            if not math.isfinite(value):
                raise TrainingError(f"the {_words(name)} is {value} at step {step}; {self._calmer}")
        finite = [tensor.isfinite().all() for tensor in state if tensor.is_floating_point()]
        if finite and not torch.stack(finite).all():
            raise TrainingError(f"the networks hold numbers that are not finite at step {step}; {self._calmer}")

    def see_losses(self, step: int, losses: Mapping[str, float]) -> None:
        """Raise TrainingError if a loss is not finite, or a discriminator has been of no use for long."""
        self.see_finite(step, losses)
        for name, real in losses.items():
            if not name.startswith("score_real"):
                continue
            which = name.removeprefix("score_real")
            drawn = losses[f"score_drawn{which}"]
            same = abs(real - drawn) <= _NO_DIFFERENCE * max(abs(real), abs(drawn), 1e-6)
            self._same[which] = self._same[which] + 1 if same else 0
            won = self._bounded and losses[f"discriminator{which}"] < _WON
            self._won[which] = self._won[which] + 1 if won else 0
            title = f"discriminator{which}".replace("_", " of ", 1).replace("_", " ")
            if self._same[which] >= _PATIENCE:
                raise TrainingError(
                    f"the {title} cannot tell real pictures from drawings any more at step {step} (it says the same "
                    "of both); lower --learning-rate, or choose another --objective, in a new run"
                )
            if self._won[which] >= _PATIENCE:
                raise TrainingError(
                    f"the {title} is never wrong any more at step {step}, so the generator learns nothing from it; "
                    f"give --spectral-norm, a smaller --discriminator-width, or more {self._more}, in a new run"
                )

    def see_drawings(self, step: int, photos: NDArray[np.uint8], drawings: NDArray[np.uint8]) -> None:
        """Raise TrainingError if different photos are drawn alike, and were the last time: N x H x W x 3 each.

        From noise `photos` are real pictures, and drawings differ as these do.
        """
        if step < _SETTLED or len(photos) < 2 or (wanted := _difference(photos)) < 1:
            return
        self._alike = self._alike + 1 if _difference(drawings) < _ALIKE * wanted else 0
        if self._alike >= _SHEETS:
            raise TrainingError(
                f"the generator draws {self._alike_what} at step {step}; {self._anchors}lower --learning-rate, in "
                "a new run"
            )


def _words(name: str) -> str:
    """A loss or score as a sentence has it."""
    words = name.replace("_", " ")
    return words if name.startswith("score") else f"{words} loss"


def _difference(pictures: NDArray[np.uint8]) -> float:
    """How much pictures differ from each other at the same place, in gray levels."""
    return float(pictures.astype(np.float32).std(axis=0).mean())
