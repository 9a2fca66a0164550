"""A network that draws a picture tile by tile, and gives what it would give for the whole frame."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from toonify.drawing.tiles.plan import Sweep, plan_sweeps
from toonify.drawing.tiles.segment import FIRST, GAIN, KEPT, LAST, MEAN, SHIFT, SPREAD, affine, segment
from toonify.drawing.tiles.statistics import Statistics
from toonify.drawing.tiles.store import Stores
from toonify.engines.onnx_runtime import Array, OnnxNetwork
from toonify.graphs.anatomy import NORM, dissect
from toonify.graphs.format import read_model
from toonify.pixels.arrays import Floats
from toonify.pixels.boxes import Box
from toonify.system.pipeline import run_stages

KEPT_IN_MEMORY = 256_000_000  # bytes of activations; those on the disk are in the system's cache while it has room


ReadTile = Callable[[Box], Floats]  # a part of the photo as the network takes it: 1 x 3 x h x w
WriteTile = Callable[[Box, Floats], None]  # takes that part of the drawing
OnShare = Callable[[float], None]  # is told how much is done, 0..1


class TiledNetwork:
    """A network in an ONNX file as PyTorch exports it, cut at its norms.

    A network without norms takes one sweep over the picture, with a halo as wide as it sees; one with norms takes a
    sweep more for each of them. Raises StyleError if the file cannot be read, TilingError if tiles cannot give what the
    whole frame does, DeviceError if the device cannot run.
    """

    def __init__(self, path: Path, device: str) -> None:
        self._model = read_model(path)
        self._anatomy = dissect(self._model.graph)
        self.sweeps = plan_sweeps(self._anatomy)
        self._units = {1, *(step.value.unit for step in self._anatomy.steps.values())}
        self.device = device
        self._network: OnnxNetwork | None = None  # of the sweep that is under way
        self._cancelled = False
        first = self._open(self.sweeps[0])  # which shows that the device can run it
        self.engine = first.engine
        self.provider = first.provider if device == "cpu" else f"{first.provider}, float32"

    @property
    def multiple(self) -> int:
        """Of which the sides of pictures and tiles must be, in pixels."""
        return self._anatomy.multiple

    @property
    def bytes_per_pixel(self) -> int:
        """Of memory that drawing a tile takes, about: its densest values in float32, and as much to work with."""
        return round(2 * 4 * max(sweep.density for sweep in self.sweeps))

    def draw(
        self,
        height: int,
        width: int,
        tile: int,
        read: ReadTile,
        write: WriteTile,
        *,
        memory: int = KEPT_IN_MEMORY,
        on_share: OnShare | None = None,
    ) -> None:
        """Draw a picture of height x width in tiles of tile x tile pixels, all of them multiples of `multiple`.

        Activations beyond `memory` bytes are kept on the disk. `on_share` is told after each tile of each sweep which
        share of all is done. Raises InterruptedError after `cancel`, MemoryError, and
        ImageError if the disk is full.
        """
        frame = Box(0, 0, height, width)
        stores, known = Stores(memory), dict[str, Floats]()
        try:
            for number, sweep in enumerate(self.sweeps):
                for name in sweep.keeps:
                    if name != self._anatomy.drawing:
                        value = self._anatomy.value(name)
                        stores.open(name, height // value.unit, width // value.unit, value.channels)
                self._network = self._open(sweep)
                done = _part_of(on_share, number, len(self.sweeps))
                tiles = list(frame.tiles(tile))
                known |= self._affine(self._sweep(sweep, tiles, frame, known, read, write, stores, done))
                later = {name for each in self.sweeps[number + 1 :] for name in each.reads}
                for name in stores.names - later:
                    stores.close(name)
        finally:
            self._network = None
            stores.close_all()

    def _sweep(
        self,
        sweep: Sweep,
        tiles: list[Box],
        frame: Box,
        known: dict[str, Floats],
        read: ReadTile,
        write: WriteTile,
        stores: Stores,
        on_share: OnShare,
    ) -> dict[str, Statistics]:
        """Run the sweep's network over all tiles, and return what it has measured of the whole frame.

        Tiles ahead are read and one behind is written meanwhile, which keeps a core busy that would wait.
        """
        network = self._network
        assert network is not None  # noqa: S101 - `draw` has opened it
        measured = {name: Statistics() for name in sweep.measures}

        def take(box: Box) -> tuple[Box, dict[str, Array]]:
            outer = box.widened(sweep.halo).common(frame)
            return box, known | self._places(box, outer) | self._read(sweep, outer, read, stores)

        def run(taken: tuple[Box, dict[str, Array]]) -> tuple[Box, dict[str, Array]]:
            box, inputs = taken
            return box, self._run(network, inputs, last=box is tiles[-1])

        def keep(run: tuple[Box, dict[str, Array]]) -> None:
            box, made = run
            self._write(sweep, box, made, write, stores)
            for name, statistics in measured.items():
                high, wide = box.at(self._anatomy.value(name).unit).size
                statistics.add(high * wide, made[f"{MEAN}{name}"], made[f"{SPREAD}{name}"])

        for number, _ in enumerate(run_stages(tiles, [take, run, keep]), start=1):
            on_share(number / len(tiles))
        return measured

    def cancel(self) -> None:
        """End the `draw` that runs in another thread, as soon as the engine can. No other can begin after."""
        self._cancelled = True
        if (network := self._network) is not None:
            network.cancel()

    def _run(self, network: OnnxNetwork, inputs: dict[str, Array], *, last: bool) -> dict[str, Array]:
        if self._cancelled:
            raise InterruptedError
        return network.run({name: inputs[name] for name in network.inputs}, last=last)

    def _open(self, sweep: Sweep) -> OnnxNetwork:
        # Each time anew, which takes 50 ms: all of them together would hold more than a gigabyte.
        self._network = None
        model = segment(self._model, self._anatomy, sweep)
        if self.device == "cpu":
            from toonify.graphs.speedup import speed_up

            model = speed_up(model)
        return OnnxNetwork(model.SerializeToString(), self.device)

    def _places(self, box: Box, outer: Box) -> dict[str, Array]:
        """Where the tile lies in what was read for it, for images of each unit."""
        places: dict[str, Array] = {}
        for unit in self._units:
            inside = box.relative_to(outer).at(unit)
            places[f"{FIRST}{unit}"] = np.array([inside.top, inside.left])
            places[f"{LAST}{unit}"] = np.array([inside.bottom, inside.right])
        return places

    def _read(self, sweep: Sweep, outer: Box, read: ReadTile, stores: Stores) -> dict[str, Array]:
        inputs: dict[str, Array] = {}
        for name in sweep.reads:
            if name == self._anatomy.photo:
                inputs[name] = read(outer)
            else:
                part = outer.at(self._anatomy.value(name).unit)
                inputs[f"{KEPT}{name}"] = stores[name].read(part.top, part.left, *part.size)[None]
        return inputs

    def _write(self, sweep: Sweep, box: Box, made: dict[str, Array], write: WriteTile, stores: Stores) -> None:
        for name in sweep.keeps:
            if name == self._anatomy.drawing:
                write(box, made[f"{KEPT}{name}"])
            else:
                part = box.at(self._anatomy.value(name).unit)
                stores[name].write(part.top, part.left, made[f"{KEPT}{name}"][0])

    def _affine(self, measured: dict[str, Statistics]) -> dict[str, Floats]:
        """What the norms that read measured values are told."""
        known: dict[str, Floats] = {}
        for step in self._anatomy.steps.values():
            if step.node.op_type == NORM and step.sources[0] in measured:
                statistics = measured[step.sources[0]]
                gain, shift = affine(step, self._anatomy, statistics.mean, statistics.variance)
                known |= {f"{GAIN}{step.name}": gain, f"{SHIFT}{step.name}": shift}
        return known


def _part_of(on_share: OnShare | None, number: int, count: int) -> OnShare:
    """What is told the share of the part `number` of `count` alike, and tells that of the whole."""
    if on_share is None:
        return lambda share: None
    return lambda share: on_share((number + share) / count)
