"""Stopping a run from outside, with a checkpoint."""

import contextlib
import logging
import signal
import threading
from collections.abc import Iterator

from toonify.system import distributed

_log = logging.getLogger(__name__)


class Stop:
    """Whether a stop is asked for."""

    asked = False


@contextlib.contextmanager
def stop_requests() -> Iterator[Stop]:
    """Ctrl-C and SIGTERM ask for a stop after the step; a second one stops at once."""
    stop = Stop()
    before = {}

    def ask(number: int, _frame: object) -> None:
        if stop.asked:
            raise KeyboardInterrupt
        stop.asked = True
        if distributed.rank() == 0:  # in a thread: here the signal may have come in the middle of another line
            line = "stopping after this step, with a checkpoint; again: at once, without"
            threading.Thread(target=_log.warning, args=(line,)).start()

    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(ValueError):  # not the main thread: whoever started us hears signals
            before[number] = signal.signal(number, ask)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
