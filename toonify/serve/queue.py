"""Work that people wait for, the most urgent first, in a few threads."""

import heapq
import itertools
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any


class FullError(Exception):
    """More is waiting than anybody would wait for."""


class WorkQueue:
    """Runs functions in threads: the lowest rank first, and of one rank what was asked for first.

    A future that is cancelled before its turn is never run.
    """

    def __init__(self, threads: int, most: int = 4096) -> None:
        """`most`: how much may wait."""
        self._most = most
        self._waiting: list[tuple[int, int, Future[Any], Callable[[], Any]]] = []
        self._numbers = itertools.count()
        self._changed = threading.Condition()
        self._closed = False
        self._threads = [threading.Thread(target=self._work, name="drawing", daemon=True) for _ in range(threads)]
        for thread in self._threads:
            thread.start()

    def submit(self, rank: int, function: Callable[[], Any]) -> "Future[Any]":
        """Let a function run when its turn comes. Raises FullError."""
        future: Future[Any] = Future()
        with self._changed:
            if self._closed or len(self._waiting) >= self._most:
                raise FullError
            heapq.heappush(self._waiting, (rank, next(self._numbers), future, function))
            self._changed.notify()
        return future

    def close(self) -> None:
        """Drop what waits, and wait for what is under way."""
        with self._changed:
            self._closed = True
            for _, _, future, _ in self._waiting:
                future.cancel()
            self._waiting.clear()
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._waiting and not self._closed:
                    self._changed.wait()
                if not self._waiting:
                    return
                _, _, future, function = heapq.heappop(self._waiting)
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(function())
            except BaseException as error:
                future.set_exception(error)
            del future, function  # or they would hold a picture until the next turn
