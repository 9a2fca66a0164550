"""What a sweep keeps for the next ones: activations in float16, in memory or, when they are large, on the disk."""

import errno
import os
import tempfile
from typing import BinaryIO

import numpy as np

from toonify.errors import ImageError, no_space
from toonify.pixels.arrays import Halves


class Store:
    """An image H x W x C in float16, of which parts are written and read."""

    def __init__(self, height: int, width: int, channels: int, values: Halves | None = None) -> None:
        self._values: Halves = np.empty((height, width, channels), np.float16) if values is None else values

    @staticmethod
    def size(height: int, width: int, channels: int) -> int:
        """The bytes that it takes."""
        return 2 * height * width * channels

    def write(self, top: int, left: int, part: Halves) -> None:
        """Put `part`, h x w x C, in its place."""
        self._values[top : top + part.shape[0], left : left + part.shape[1]] = part

    def read(self, top: int, left: int, height: int, width: int) -> Halves:
        """A part of the image as an array of its own: height x width x C."""
        return self._values[top : top + height, left : left + width].copy()

    def close(self) -> Halves | None:
        """Give the space back; the array that it was in, if it is of use to another."""
        return self._values


class FileStore(Store):
    """The same in a nameless file, which the system removes with the process, however that ends.

    Not mapped into memory: mapped pages would count as the process's own. Raises ImageError if the disk is full.
    """

    def __init__(self, height: int, width: int, channels: int) -> None:
        self._shape = height, width, channels
        self._file: BinaryIO = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115
        try:
            self._reserve(self.size(height, width, channels))
        except OSError as error:
            self._file.close()
            raise _full(error) from error

    def _reserve(self, size: int) -> None:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(self._file.fileno(), 0, size)
        else:
            self._file.truncate(size)

    def write(self, top: int, left: int, part: Halves) -> None:
        """Put `part`, h x w x C, in its place."""
        for row, values in enumerate(part):
            view = np.ascontiguousarray(values).reshape(-1).view(np.uint8).data
            try:
                self._seek(top + row, left)
                while view:
                    view = view[self._file.write(view) :]
            except OSError as error:
                raise _full(error) from error

    def read(self, top: int, left: int, height: int, width: int) -> Halves:
        """A part of the image as an array of its own: height x width x C."""
        part = np.empty((height, width, self._shape[2]), np.float16)
        for row, values in enumerate(part):
            self._seek(top + row, left)
            view = values.reshape(-1).view(np.uint8).data
            while view:
                view = view[self._file.readinto(view) :]  # type: ignore[attr-defined]
        return part

    def _seek(self, row: int, column: int) -> None:
        _, width, channels = self._shape
        self._file.seek(2 * channels * (row * width + column))

    def close(self) -> None:
        """Give the space back."""
        self._file.close()


def _full(error: OSError) -> ImageError:
    if no_space(error) or error.errno == errno.EFBIG:
        where = tempfile.gettempdir()
        return ImageError(
            f"no space for its activations in {where}; set TMPDIR to a larger disk, or draw it with --size"
        )
    return ImageError(f"its activations cannot be written: {error.strerror}")


class Stores:
    """The stores of one picture; those that fit into `memory` bytes together are in memory, the rest on the disk."""

    def __init__(self, memory: int) -> None:
        self._left = memory
        self._stores: dict[str, Store] = {}
        # Arrays of closed stores: the next ones are of the same size, and fresh memory has to be cleared first.
        self._spare: list[Halves] = []

    def open(self, name: str, height: int, width: int, channels: int) -> Store:
        """A new store."""
        self._stores[name] = self._new(height, width, channels)
        return self._stores[name]

    def _new(self, height: int, width: int, channels: int) -> Store:
        for place, values in enumerate(self._spare):
            if values.shape == (height, width, channels):
                return Store(height, width, channels, self._spare.pop(place))
        self._left += sum(values.nbytes for values in self._spare)
        self._spare.clear()
        size = Store.size(height, width, channels)
        if size > self._left:
            return FileStore(height, width, channels)
        self._left -= size
        return Store(height, width, channels)

    @property
    def names(self) -> set[str]:
        """Of the stores that are open."""
        return {*self._stores}

    def __getitem__(self, name: str) -> Store:
        return self._stores[name]

    def close(self, name: str) -> None:
        """Give back a store that nobody reads any more."""
        values = self._stores.pop(name).close()
        if values is not None:
            self._spare.append(values)

    def close_all(self) -> None:
        """Give back all of them."""
        for name in [*self._stores]:
            self.close(name)
        self._spare.clear()
