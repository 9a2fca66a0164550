"""The work on a clip that is done already: kept beside the output until that is whole, so that nothing is lost."""

import contextlib
import hashlib
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from filelock import FileLock, Timeout

from toonify.drawing.moving.sequence import Held, Seen
from toonify.errors import ImageError
from toonify.system.files import write_atomically
from toonify.videos.encoder import Packet, Stream

_DIGEST = 32  # bytes of SHA-256, before what a part holds
_DAMAGE = (msgspec.DecodeError, ValueError, OSError)


@dataclass
class Progress:
    """How far a clip is drawn, and what is carried on to the next part."""

    stream: Stream | None = None  # None: nothing is drawn
    shown: tuple[int, int] = (0, 0)  # width and height of the source as it is shown
    frames: int = 0  # pictures in the parts
    repeated: int = 0  # of these, as the one before
    depth: int = 0  # the `reordering` of the packets
    seen: Seen | None = None
    notes: list[str] = field(default_factory=list)
    held: Held = field(default_factory=Held)


class Parts:
    """A folder of parts. One process at a time works in it.

    A part is written before anything that follows it is begun, and counts from the moment at which it has its name: a
    process that is killed loses the part that it works on, and no other.
    """

    def __init__(self, target: Path, recipe: str) -> None:
        """The parts of a file that is to be at `target`; those that were made by another recipe are removed.

        Raises ImageError if another process works on the same file, OSError.
        """
        self._folder = target.with_name(f".{target.name}.parts")
        self._folder.mkdir(exist_ok=True)
        self._lock = FileLock(self._folder / "lock", timeout=0)
        try:
            self._lock.acquire()
        except Timeout as error:
            raise ImageError("another toonify is drawing it; wait for that one, or give another output") from error
        noted = self._folder / "recipe"
        if not noted.exists() or noted.read_bytes() != recipe.encode():
            for path in [*self._folder.glob("part-*"), *self._folder.glob("state-*")]:
                path.unlink()
            write_atomically(noted, recipe.encode(), overwrite=True)
        self._count = self._whole()

    def _whole(self) -> int:
        """How many whole parts there are without a gap; what lies behind them is removed."""
        count = 0
        while self._read(count) is not None:
            count += 1
        kept = {"lock", "recipe", self._state(count).name, *(self._part(number).name for number in range(count))}
        for path in self._folder.iterdir():
            if path.name not in kept:
                path.unlink(missing_ok=True)
        return count

    def load(self) -> Progress:
        """What is done. Begins anew if it cannot be read."""
        if not self._count:
            return Progress()
        try:
            return msgspec.msgpack.decode(self._state(self._count).read_bytes(), type=Progress, dec_hook=_from_plain)
        except _DAMAGE:
            self._count = 0
            self._whole()
            return Progress()

    def add(self, packets: Sequence[Packet], progress: Progress) -> None:
        """Keep a further part, and what the next one begins with. Raises OSError."""
        state = msgspec.msgpack.encode(progress, enc_hook=_to_plain)
        write_atomically(self._state(self._count + 1), state, overwrite=True)
        data = msgspec.msgpack.encode(packets)
        write_atomically(self._part(self._count), _digest(data) + data, overwrite=True)
        self._count += 1
        self._state(self._count - 1).unlink(missing_ok=True)

    def packets(self) -> Iterator[Packet]:
        """The packets of all parts, one part in memory at a time. Raises ImageError if one was spoilt meanwhile."""
        for number in range(self._count):
            data = self._read(number)
            if data is None:
                raise ImageError("a part that was drawn is spoilt; run the same command again, which draws it anew")
            yield from msgspec.msgpack.decode(data, type=list[Packet])

    def _read(self, number: int) -> bytes | None:
        """What a part holds; None where there is none, or one that is spoilt."""
        try:
            data = self._part(number).read_bytes()
        except OSError:
            return None
        digest, content = data[:_DIGEST], data[_DIGEST:]
        return content if digest == _digest(content) else None

    @property
    def whole(self) -> Path:
        """Where the whole file is put together."""
        return self._folder / "whole"

    def remove(self) -> None:
        """Remove the folder: what was made of it is in its place."""
        self._lock.release()
        shutil.rmtree(self._folder, ignore_errors=True)

    def leave(self) -> None:
        """Keep the parts for the next time; an empty folder goes."""
        self._lock.release()
        if not self._count:
            with contextlib.suppress(OSError):
                shutil.rmtree(self._folder)

    def _part(self, number: int) -> Path:
        return self._folder / f"part-{number:06}"

    def _state(self, number: int) -> Path:
        return self._folder / f"state-{number:06}"


def parts_folder_exists(target: Path) -> bool:
    """Whether a clip that is to be at `target` is partly drawn."""
    return os.path.isdir(target.with_name(f".{target.name}.parts"))  # noqa: PTH112 - it bears names that are too long


def _digest(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def _to_plain(value: Any) -> Any:
    """What MessagePack has no type for, in plain values."""
    if isinstance(value, np.ndarray):
        return [value.dtype.str, value.shape, np.ascontiguousarray(value).tobytes()]
    if isinstance(value, Fraction):
        return str(value)
    raise NotImplementedError(f"{type(value).__name__} cannot be kept")


def _from_plain(kind: Any, value: Any) -> Any:
    if kind is Fraction:
        return Fraction(value)
    name, shape, data = value
    if name not in ("|u1", "<f4"):
        raise ValueError(f"no such array: {name}")
    return np.frombuffer(bytearray(data), np.dtype(name)).reshape(shape)
