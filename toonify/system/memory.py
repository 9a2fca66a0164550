"""The machine's memory: how much is free, and giving back what is not needed."""

import contextlib
import ctypes
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # of malloc.h


def available_memory() -> int:
    """Bytes that can be had without pushing anything else out: of the machine, or of the container's or job's share."""
    return min([int(psutil.virtual_memory().available), *_left_in_groups()])


def _left_in_groups(proc: Path = Path("/proc/self/cgroup"), groups: Path = Path("/sys/fs/cgroup")) -> Iterator[int]:
    """What is left of the limits of this process' control groups (Linux: containers, batch jobs, services).

    The kernel ends who goes over one, however much memory the machine has. A group's limit holds for those below it,
    too. Version 2 has one tree of groups, version 1 a tree for memory. In a container the tree may begin at its own
    group, whatever the process is told of its name.
    """
    try:
        lines = [line.split(":", 2) for line in proc.read_text().splitlines()]
    except OSError:
        return
    for _number, kinds, name in lines:
        if not kinds:
            root, limit, used, cache = groups, "memory.max", "memory.current", "inactive_file"
        elif "memory" in kinds.split(","):
            root, limit, used = groups / "memory", "memory.limit_in_bytes", "memory.usage_in_bytes"
            cache = "total_inactive_file"
        else:
            continue
        group = root / name.strip("/")
        for folder in (group, *group.parents)[: len(group.parts) - len(root.parts) + 1]:
            with contextlib.suppress(OSError, ValueError):  # no such group here, or one without a limit ("max")
                most, now = (int((folder / file).read_text()) for file in (limit, used))
                statistics = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
                yield max(0, most - now + int(statistics.get(cache, 0)))


def ran_out(error: BaseException) -> bool:
    """Whether an error says that there was not enough memory: Python's own, or OpenCV's."""
    if isinstance(error, MemoryError):
        return True  # before anything is imported, which takes some

    import cv2

    return isinstance(error, cv2.error) and getattr(error, "code", None) == cv2.Error.StsNoMem


class Allowance:
    """Lets so much be in use at a time: who needs more than is left waits, unless nothing is in use."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._used = 0
        self._closed = False
        self._changed = threading.Condition()

    def take(self, amount: int) -> None:
        """Take a part, once it is free. Raises InterruptedError if `close` is called meanwhile, or was before."""
        with self._changed:
            while not self._closed and self._used and self._used + amount > self._total:
                self._changed.wait(0.2)  # it wakes up now and then: Ctrl-C needs that on Windows
            if self._closed:
                raise InterruptedError
            self._used += amount

    def give_back(self, amount: int) -> None:
        """Give a part back."""
        with self._changed:
            self._used -= amount
            self._changed.notify_all()

    def close(self) -> None:
        """Let nobody wait any longer."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()


def give_back_freed_memory() -> None:
    """Return to the system what was used and freed: glibc would keep hundreds of megabytes of it.

    Loading a network frees 300 MB, decoding a photo of 24 megapixels 250 MB. Takes a few milliseconds.
    """
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):  # another C library
            ctypes.CDLL(None).malloc_trim(0)


def keep_freed_memory() -> None:
    """Let the process keep what it frees, for the next step takes as much again.

    glibc gives large pieces back to the system at once, and fresh pages cost as much time as the arithmetic on them:
    each has to be cleared first. For training, on CPUs.
    """
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            libc = ctypes.CDLL(None)
            libc.mallopt(_M_MMAP_MAX, 0)
            libc.mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
