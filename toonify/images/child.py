"""Decoding in a process of its own: a decoder that dies there costs one file, and is stopped if it never ends.

Small files of usual kinds never come here. `in_child.py` is what runs there.
"""

import atexit
import contextlib
import mmap
import os
import signal
import subprocess
import sys
import threading
import weakref
from dataclasses import dataclass
from typing import IO, Any

import numpy as np

from toonify.errors import ImageError
from toonify.images.messages import receive, send
from toonify.pixels.arrays import Pixels
from toonify.system.memory import available_memory

_SECONDS, _SECONDS_PER_MEGAPIXEL = 10.0, 0.5
_BYTES, _BYTES_PER_PIXEL = 4 << 30, 48  # of address space
_PROGRAM = "from toonify.images.in_child import serve; serve()"


@dataclass(frozen=True)
class Decoded:
    """What came back: arrays, and the rest as plain values."""

    pixels: Pixels
    alpha: Pixels | None
    values: dict[str, Any]


class _Worker:
    """A child process that waits for requests."""

    def __init__(self) -> None:
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
            "OMP_NUM_THREADS": "1",
            "MALLOC_ARENA_MAX": "2",  # glibc takes 64 MB of addresses for each
        }
        self._process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
        )
        assert self._process.stdin is not None and self._process.stdout is not None  # noqa: S101
        self._stdin, self._stdout = self._process.stdin, self._process.stdout
        for pipe in (self._stdin, self._stdout):
            _widen(pipe)
        _ALL.add(self)

    def ask(self, head: dict[str, Any], data: bytes, seconds: float) -> tuple[dict[str, Any], bytearray]:
        """The answer to a request. Raises ImageError if the child dies of it or takes too long."""
        late = threading.Event()

        def stop() -> None:
            late.set()
            self._process.kill()

        timer = threading.Timer(seconds, stop)
        timer.start()
        try:
            send(self._stdin, head, data)
            answer = receive(self._stdout)
        except OSError:
            answer = None
        finally:
            timer.cancel()
        if answer is None:
            self.close()
            if late.is_set():
                raise ImageError(f"its decoder took more than {seconds:.0f} s and was stopped; convert it to PNG first")
            raise ImageError(f"its decoder died ({_cause(self._process.returncode)}); convert it to PNG first")
        return answer

    def shares_memory(self) -> bool:
        """Whether arrays may come back in memory that both have, which saves to write and to read them (Linux)."""
        return hasattr(os, "memfd_create") and os.access(f"/proc/{self._process.pid}/fd", os.R_OK | os.X_OK)

    def memory(self, place: int) -> mmap.mmap:
        """What the child holds in memory that both have, by its number there, until it is asked again.

        Raises ImageError if the child is gone.
        """
        try:
            number = os.open(f"/proc/{self._process.pid}/fd/{place}", os.O_RDWR)
        except OSError as error:
            raise ImageError(f"its decoder died ({error.strerror}); convert it to PNG first") from error
        try:
            return mmap.mmap(number, 0)
        finally:
            os.close(number)

    def is_alive(self) -> bool:
        """Whether the child waits for requests."""
        return self._process.poll() is None

    def kill(self) -> None:
        """Stop what the child does, from another thread, too: whoever waits for it gets an ImageError."""
        self._process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(1)

    def close(self) -> None:
        """End the child."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._stdin, self._stdout):
            with contextlib.suppress(OSError):
                pipe.close()


_IDLE: list[_Worker] = []
_ALL: "weakref.WeakSet[_Worker]" = weakref.WeakSet()


def decode_apart(data: bytes, megapixels: float, **options: Any) -> Decoded:
    """Decode a file's bytes by `decode_request` in a child process, with limits that grow with its size.

    Raises ImageError: what the child says of the file, or that it has died, or took too long.
    """
    worker = _idle() or _Worker()
    most = _BYTES + int(_BYTES_PER_PIXEL * megapixels * 1e6)
    limit = min(most, max(_BYTES, available_memory()))
    head = {"bytes": limit, "shared": worker.shares_memory(), "options": options}
    values, data_back = worker.ask(head, data, _SECONDS + _SECONDS_PER_MEGAPIXEL * megapixels)
    arrays = data_back if (place := values.pop("memory", None)) is None else worker.memory(place)
    _IDLE.append(worker)
    if "error" in values:
        raise ImageError(values["error"])
    height, width = values.pop("size")
    count = height * width * 3
    pixels = np.frombuffer(arrays, np.uint8, count).reshape(height, width, 3)
    alpha = np.frombuffer(arrays, np.uint8, -1, count).reshape(height, width) if values.pop("alpha") else None
    return Decoded(pixels, alpha, values)


def _idle() -> _Worker | None:
    """A child process that waits; one that was killed meanwhile is nobody's fault, and left."""
    while True:
        try:
            worker = _IDLE.pop()  # one step, also for several threads
        except IndexError:
            return None
        if worker.is_alive():
            return worker
        worker.close()


def kill_decoders() -> None:
    """Stop all child processes, whatever they do."""
    for worker in list(_ALL):
        worker.kill()


@atexit.register
def _end_idle() -> None:
    while _IDLE:
        _IDLE.pop().close()


def _cause(code: int | None) -> str:
    try:
        return signal.Signals(-(code or 0)).name
    except ValueError:
        return f"exit code {code}"


def _widen(pipe: IO[bytes]) -> None:
    """Let more than 64 KB wait in a pipe, where the system can (Linux): a picture of 12 megapixels is 36 MB."""
    with contextlib.suppress(ImportError, AttributeError, OSError):
        import fcntl

        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, 1 << 20)
