"""A generator on ONNX Runtime's CUDA provider, kept ready for the sizes of picture that a folder has.

docs/lab-notes.md has the measurements behind its shape:

- Each size of picture has a session of its own: whenever the size changes, ONNX Runtime chooses its kernels anew, which
  takes longer than a drawing.
- Pictures do not wait for others to fill a batch, which would save nothing. Two sessions in two threads overlap.
- The network runs in float16, channels last.
- Bytes travel, not floats (`pixel_graph`), in ordinary memory. With page-locked memory pictures came out half drawn.
"""

import contextlib
import threading

import numpy as np

from toonify.engines.onnx_runtime import OnnxNetwork
from toonify.errors import DeviceError
from toonify.graphs.format import PICTURE, PIXELS
from toonify.pixels.arrays import Halves, Pixels

KEPT_PIXELS = 8_000_000  # of all sessions that wait for pictures: one keeps half a gigabyte for each megapixel
_Size = tuple[int, ...]  # height and width


class CudaGenerator:
    """A generator that takes pixels: `network` is one of `pixel_graph.take_pixels`. Any number of threads may draw.

    Raises DeviceError if the device cannot run it, StyleError if it cannot be read.
    """

    def __init__(self, network: bytes, arithmetic: str, *, device: str = "cuda") -> None:
        self._network = network
        self._spare: OnnxNetwork | None = self._open(device)
        self._lock = threading.Lock()
        self._free: list[tuple[_Size, OnnxNetwork]] = []  # the one that was used last comes last
        self._busy: list[OnnxNetwork] = []
        self._cancelled = False
        self.engine, self.device = self._spare.engine, device
        self.provider = f"{self._spare.provider}, {arithmetic}"

    def draw(self, pixels: Pixels) -> Halves:
        """Draw H x W x 3 uint8 RGB, whose sides the network takes: the same in float16, mostly in 0..1.

        Raises MemoryError, and InterruptedError after `cancel`.
        """
        with contextlib.suppress(MemoryError):
            return self._draw(pixels)
        # Not while the error is handled, which holds the session that has failed, and its memory.
        with self._lock:
            waiting, self._free = self._free, []
        del waiting  # what they keep may be enough
        return self._draw(pixels)

    def cancel(self) -> None:
        """End the calls that run in other threads, as soon as the engine can. No other can begin after."""
        with self._lock:
            self._cancelled = True
            for network in self._busy:
                network.cancel()

    def _draw(self, pixels: Pixels) -> Halves:
        size = pixels.shape[:2]
        network = self._take(size)
        good = False
        try:
            drawing: Halves = network.run({PIXELS: pixels[None]}, last=False)[PICTURE][0]
            good = True
        finally:
            self._leave(network, size, again=good)
        return drawing

    def _take(self, size: _Size) -> OnnxNetwork:
        """A session that nobody else uses: the one of this size that was used last, or a new one."""
        with self._lock:
            found = next((each for each in reversed(self._free) if each[0] == size), None)
            if found is not None:
                self._free.remove(found)
                network: OnnxNetwork | None = found[1]
            else:
                network, self._spare = self._spare, None
        if network is None:
            try:
                network = self._open(self.device)
            except DeviceError as error:  # the first one could be opened, so that it is for want of memory
                raise MemoryError from error
        with self._lock:
            if self._cancelled:
                raise InterruptedError
            self._busy.append(network)
        return network

    def _leave(self, network: OnnxNetwork, size: _Size, *, again: bool) -> None:
        """Let a session wait for a picture of its size; those that have waited longest go where too much is kept."""
        too_many = []
        with self._lock:
            self._busy.remove(network)
            if again:
                self._free.append((size, network))
            while len(self._free) > 1 and sum(int(np.prod(each)) for each, _ in self._free) > KEPT_PIXELS:
                too_many.append(self._free.pop(0))
        del too_many  # the lock is free again: to give their memory back takes a while

    def _open(self, device: str) -> OnnxNetwork:
        return OnnxNetwork(self._network, device, channels_last=True)
