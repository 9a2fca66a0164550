"""What draws by optimization: several sizes one after the other, told as it goes on, and gone on with later."""

import hashlib
import io
import logging
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from toonify.checkpoints.hub import cache_folder
from toonify.pixels.arrays import Floats
from toonify.system.files import write_atomically
from toonify.transfer import gatys
from toonify.transfer.grams import LEVELS, resized
from toonify.transfer.vgg import StyleFeatures

_log = logging.getLogger(__name__)

_MULTIPLE = 16  # of height and width: four poolings
_COARSEST = 256  # pixels: a longer side that is at least this is worth a size of its own below it
_SECONDS_PER_LINE = 10.0
_KEPT_DAYS = 14  # of what nobody has gone on with

OnShare = Callable[[float], None]


@dataclass(frozen=True)
class GatysConfig:
    """How a picture is optimized: what a card's `config` says.

    `steps` of L-BFGS at each size, from the `start`: the photo, or noise by a `seed`. `strength`: see `style_weight`.
    """

    steps: int = 100
    start: Literal["photo", "noise"] = "photo"
    seed: int = 0
    strength: float = 1.0


class GatysGenerator:
    """Draws one picture at a time: 1 x 3 x H x W float32 RGB in 0..1 to the same; H and W are multiples of 16.

    `grams` are the Gram matrices of the style at each level: those of a picture at its full size first, then at half of
    it, and so on. Any number of threads may draw.
    """

    def __init__(
        self, network: StyleFeatures, grams: Sequence[Sequence[Tensor]], config: GatysConfig, device: str, digest: str
    ) -> None:
        """`device` is "cpu" or "cuda"; `digest` tells the style and the config from all others."""
        self._network = network.to(device)
        self._grams = [[each.to(device) for each in level] for level in grams]
        self._config = config
        self._digest = digest
        self._cancelled = threading.Event()
        self.engine = f"PyTorch {torch.__version__}"
        precision = str(network.dtype).removeprefix("torch.")
        self.provider = f"optimization in {precision}, {config.steps} steps at each size from {config.start}"
        self.device = device

    def __call__(self, batch: Floats, *, on_share: OnShare = lambda share: None) -> Floats:
        """Draw. Raises MemoryError, InterruptedError after `cancel`, FloatingPointError.

        `on_share` is told how much is done, 0..1. A size that is finished is kept in the cache until the picture is: an
        interrupted picture is gone on with from there, and is the same that it would have been.
        """
        try:
            drawing = self._draw(torch.from_numpy(batch).to(self.device), on_share)
        except torch.OutOfMemoryError as error:
            raise MemoryError from error
        result: Floats = drawing.clamp(0, 1).cpu().numpy()
        return result

    def cancel(self) -> None:
        """End the drawing that runs in another thread, after its present step, and all later ones."""
        self._cancelled.set()

    def _draw(self, photo: Tensor, on_share: OnShare) -> Tensor:
        sizes = sizes_of(*photo.shape[2:])[: len(self._grams)]
        photos = [photo if level == 0 else resized(photo, size) for level, size in enumerate(sizes)]
        work = [height * width for height, width in sizes]
        shares = [(sum(work[level + 1 :]) / sum(work), work[level] / sum(work)) for level in range(len(sizes))]
        kept = _Kept(self._digest, photo)
        picture: Tensor | None = None
        for level in reversed(range(len(sizes))):
            if (found := kept.read(level, photos[level])) is not None:
                picture = found
                _log.info("going on from %d x %d, which was finished before", *reversed(sizes[level]))
                continue
            start = self._start(photos, level, picture)
            tell = _Teller(sizes[level], self._config.steps, on_share, *shares[level])

            def on_step(done: int, found: gatys.Losses, tell: _Teller = tell) -> None:
                if self._cancelled.is_set():
                    raise InterruptedError
                tell(done, found)

            picture = gatys.optimize(
                start,
                photos[level],
                self._grams[level],
                self._network,
                steps=self._config.steps,
                weight=gatys.style_weight(self._config.strength),
                on_step=on_step,
            )
            if level:
                kept.write(level, picture)
        kept.remove()
        assert picture is not None  # noqa: S101 - there is a size
        return picture

    def _start(self, photos: Sequence[Tensor], level: int, coarse: Tensor | None) -> Tensor:
        """What a size begins with: the size below it, enlarged; from the photo with the photo's own fine detail."""
        photo = photos[level]
        if coarse is None:
            if self._config.start == "photo":
                return photo
            generator = torch.Generator().manual_seed(self._config.seed)
            return torch.rand(photo.shape, generator=generator).to(photo.device)
        if self._config.start == "photo":
            return photo + _enlarged(coarse - photos[level + 1], photo)
        return _enlarged(coarse, photo)


def sizes_of(height: int, width: int) -> list[tuple[int, int]]:
    """The heights and widths at which a picture is drawn, its own first: multiples of 16."""
    sizes = [(height, width)]
    while len(sizes) < LEVELS and max(sizes[-1]) >= 2 * _COARSEST:
        shrink = 2 ** len(sizes)
        sizes.append((_multiple(height / shrink), _multiple(width / shrink)))
    return sizes


def _multiple(side: float) -> int:
    return max(2, round(side / _MULTIPLE)) * _MULTIPLE


def _enlarged(picture: Tensor, like: Tensor) -> Tensor:
    return functional.interpolate(picture, size=tuple(like.shape[2:]), mode="bicubic")


class _Teller:
    """Logs the loss now and then, and tells how much is done: from `before` on, `part` of the whole at this size."""

    def __init__(self, size: tuple[int, int], steps: int, on_share: OnShare, before: float, part: float) -> None:
        self._size, self._steps, self._on_share = size, steps, on_share
        self._before, self._part = before, part
        self._told = time.monotonic()

    def __call__(self, done: int, found: gatys.Losses) -> None:
        self._on_share(self._before + self._part * done / self._steps)
        if done < self._steps and time.monotonic() < self._told + _SECONDS_PER_LINE:
            return
        self._told = time.monotonic()
        height, width = self._size
        parts = found.total.item(), found.content.item(), found.style.item()
        _log.info(
            "%d x %d, step %d of %d: loss %.4g (content %.4g, style %.4g)", width, height, done, self._steps, *parts
        )


class _Kept:
    """The finished sizes of one picture in the cache. What cannot be kept or read is drawn anew."""

    def __init__(self, digest: str, photo: Tensor) -> None:
        content = hashlib.sha256(photo.cpu().numpy().tobytes() + f"{tuple(photo.shape)}".encode())
        key = hashlib.sha256(f"{digest} {content.hexdigest()}".encode()).hexdigest()[:24]
        self._folder = cache_folder() / "unfinished"
        self._key = key

    def _path(self, level: int) -> Path:
        return self._folder / f"{self._key}-{level}.npy"

    def read(self, level: int, like: Tensor) -> Tensor | None:
        """The picture of a level, with the shape of `like`; None if it is not there."""
        if level == 0:
            return None
        try:
            found = np.load(self._path(level), allow_pickle=False)
        except (OSError, ValueError, EOFError):
            return None
        if found.shape != tuple(like.shape) or found.dtype != np.float32 or not np.isfinite(found).all():
            return None
        return torch.from_numpy(found).to(like.device)

    def write(self, level: int, picture: Tensor) -> None:
        data = io.BytesIO()
        np.save(data, picture.cpu().numpy())
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            for path in self._folder.glob("*.npy"):
                if time.time() - path.stat().st_mtime > _KEPT_DAYS * 86_400:
                    path.unlink(missing_ok=True)
            write_atomically(self._path(level), data.getvalue(), overwrite=True)
        except OSError as error:
            _log.warning("what is finished cannot be kept for an interrupted run: %s", error.strerror)

    def remove(self) -> None:
        for level in range(1, LEVELS):
            with suppress(OSError):
                self._path(level).unlink(missing_ok=True)
