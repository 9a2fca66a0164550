"""What takes its time, told through the log: as it begins, and how long it took."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

Wait = Literal["begins", "ends"]  # the `wait` of a log record


@contextmanager
def waiting(log: logging.Logger, what: str, *, done: str = "") -> Iterator[None]:
    """Log `what` now, and `done` with its seconds when it is; without `done` at the level DEBUG, for whoever watches.

    The records have an attribute `wait`, by which a program can show that something is going on in between.
    """
    level = logging.INFO if done else logging.DEBUG
    log.log(level, "%s", what, extra=_mark("begins"))
    started = time.perf_counter()
    try:
        yield
    except BaseException:
        log.debug("", extra=_mark("ends"))
        raise
    if done:
        log.info("%s in %.0f s", done, time.perf_counter() - started, extra=_mark("ends"))
    else:
        log.debug("", extra=_mark("ends"))


def _mark(wait: Wait) -> dict[str, Any]:
    return {"wait": wait}
