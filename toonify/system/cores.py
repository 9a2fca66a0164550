"""The cores that this process may use."""

import os


def network_threads() -> int:
    """Threads for a network: one for each core, fewer where OMP_NUM_THREADS says so, as for PyTorch."""
    limit = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]
    return min(available_cores(), int(limit)) if limit.isdecimal() and int(limit) else available_cores()


def available_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
