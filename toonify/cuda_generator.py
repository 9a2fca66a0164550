"""A generator on ONNX Runtime's CUDA provider, kept ready for the sizes of picture that a folder has.

What was measured on an H100 decides the shape of it (tests/bench/bench_cuda.py; 1024 x 768, a released generator):

- ONNX Runtime chooses its kernels anew whenever the size of a picture changes, even back to one that it had before:
  60 ms with heuristics and half a second with trials, for a drawing that takes 10 ms. So each size has a session of its
  own, a lane, and a photo goes to the lane of its size.
- Batches of equal pictures are not worth waiting for: at that size eight at once take as long as one after the other,
  and at 512 x 384 an eighth less. Two lanes in two threads overlap what is left.
- float16, channels last, takes 0.6 times as long as TF32, and agrees with float32 to 72 dB.
- Bytes travel, not floats (`pixel_graph`), through page-locked memory that each lane owns: 6 % of a drawing's time.
"""

import threading

import numpy as np

from toonify import pinned
from toonify.arrays import Halves, Pixels
from toonify.pixel_graph import DRAWING, PIXELS
from toonify.runtime import OnnxNetwork

KEPT_PIXELS = 8_000_000  # of all lanes that wait for pictures: a lane keeps half a gigabyte for each megapixel
_Size = tuple[int, ...]  # height and width


class _Lane:
    """A session that has its kernels for pictures of one size, with memory for both ends."""

    def __init__(self, network: OnnxNetwork, size: _Size) -> None:
        self.network = network
        self.size = size
        self._pixels = pinned.empty((1, *size, 3), np.uint8)
        self._drawing = pinned.empty((1, *size, 3), np.float16)
        self._binding = network.bind({PIXELS: self._pixels}, {DRAWING: self._drawing})

    def draw(self, pixels: Pixels) -> Halves:
        self._pixels[0] = pixels
        self.network.run_bound(self._binding)
        drawing: Halves = self._drawing[0].copy()
        return drawing


class CudaGenerator:
    """A generator that takes pixels: `network` is one of `pixel_graph.take_pixels`. Any number of threads may draw.

    Raises DeviceError if the device cannot run it, StyleError if it cannot be read.
    """

    def __init__(self, network: bytes, arithmetic: str, *, device: str = "cuda") -> None:
        self._network = network
        self._spare: OnnxNetwork | None = self._open(device)
        self._lock = threading.Lock()
        self._free: list[_Lane] = []  # the one that was used last comes last
        self._busy: list[_Lane] = []
        self._cancelled = False
        self.engine, self.device = self._spare.engine, device
        self.provider = f"{self._spare.provider}, {arithmetic}"

    def draw(self, pixels: Pixels) -> Halves:
        """Draw H x W x 3 uint8 RGB, whose sides the network takes: the same in float16, mostly in 0..1.

        Raises MemoryError, and InterruptedError after `cancel`.
        """
        try:
            return self._draw(pixels)
        except MemoryError:
            with self._lock:
                waiting, self._free = self._free, []
            if not waiting:
                raise
            del waiting  # what they keep may be enough
            return self._draw(pixels)

    def cancel(self) -> None:
        """End the calls that run in other threads, as soon as the engine can. No other can begin after."""
        with self._lock:
            self._cancelled = True
            for lane in self._busy:
                lane.network.cancel()

    def _draw(self, pixels: Pixels) -> Halves:
        lane = self._take(pixels.shape[:2])
        try:
            drawing = lane.draw(pixels)
        except BaseException:
            self._leave(lane, again=False)
            raise
        self._leave(lane, again=True)
        return drawing

    def _take(self, size: _Size) -> _Lane:
        with self._lock:
            lane = next((each for each in reversed(self._free) if each.size == size), None)
            spare, self._spare = (self._spare, None) if lane is None else (None, self._spare)
            if lane is not None:
                self._free.remove(lane)
        if lane is None:
            lane = _Lane(spare or self._open(self.device), size)
        with self._lock:
            if self._cancelled:
                raise InterruptedError
            self._busy.append(lane)
        return lane

    def _leave(self, lane: _Lane, *, again: bool) -> None:
        """Let a lane wait for a picture of its size; those that have waited longest go where too much is kept."""
        with self._lock:
            self._busy.remove(lane)
            if again:
                self._free.append(lane)
            while len(self._free) > 1 and sum(int(np.prod(each.size)) for each in self._free) > KEPT_PIXELS:
                del self._free[0]

    def _open(self, device: str) -> OnnxNetwork:
        return OnnxNetwork(self._network, device, channels_last=True)
