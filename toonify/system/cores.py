"""The cores that this process may use."""

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

_Item = TypeVar("_Item")


def network_threads() -> int:
    """Threads for a network: one for each core, fewer where OMP_NUM_THREADS says so, as for PyTorch."""
    limit = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]
    return min(available_cores(), int(limit)) if limit.isdecimal() and int(limit) else available_cores()


def available_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def in_threads(work: Callable[[_Item], object], items: Iterable[_Item], threads: int | None = None) -> None:
    """Do work for each of the items, in so many threads at once; None: one for each core.

    It is for what NumPy and OpenCV do. What the work raises is raised.
    """
    if threads == 1:
        for item in items:
            work(item)
        return
    with ThreadPoolExecutor(threads or network_threads()) as pool:
        for _ in pool.map(work, items):
            pass
