"""Generators on CPUs that draw large frames with exact norms, and small ones as the network is."""

import threading
from collections.abc import Callable
from pathlib import Path

from toonify.engines.engine import Generator
from toonify.pixels.arrays import Floats

# Pixels of a frame over which its norms are summed in two steps (`graphs.exact_norms`). Up to here the gain of the one
# operator is right to 2e-5, and it takes a millisecond less.
LARGE_FRAME = 1 << 20


class LargeFrames:
    """A generator in an ONNX file; `open_source` opens it, or a network in memory, on an engine.

    The network for large frames is opened when the first one comes. Any number of threads may draw.
    """

    def __init__(self, path: Path, open_source: Callable[[Path | bytes], Generator]) -> None:
        self._path, self._open_source = path, open_source
        self._small = open_source(path)
        self._large: Generator | None = None
        self._opening = threading.Lock()
        self._cancelled = False
        self.engine, self.provider, self.device = self._small.engine, self._small.provider, self._small.device

    def __call__(self, batch: Floats) -> Floats:
        """Draw a batch: N x 3 x H x W float32 to the same. Raises InterruptedError if cancelled meanwhile."""
        is_large = batch.shape[2] * batch.shape[3] > LARGE_FRAME
        return (self._for_large_frames() if is_large else self._small)(batch)

    def cancel(self) -> None:
        """End the calls that run in other threads, and all later ones, as soon as the engine can."""
        self._cancelled = True
        for each in (self._small, self._large):
            if each is not None:
                each.cancel()

    def _for_large_frames(self) -> Generator:
        with self._opening:
            if self._large is None:
                from toonify.graphs.exact_norms import with_exact_norms
                from toonify.graphs.format import read_model

                model = with_exact_norms(read_model(self._path))
                self._large = self._small if model is None else self._open_source(model.SerializeToString())
                if self._cancelled:
                    self._large.cancel()
            return self._large
