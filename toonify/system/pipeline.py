"""Work in threads: stages that work at the same time, with short queues between them, or one step in many threads."""

import queue
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

_END = object()
Queue = queue.Queue[Any]
Stage = Callable[[Any], Any]  # one step of the work: takes what the stage before it returned


@dataclass(frozen=True)
class _Raised:
    error: BaseException


def run_stages(
    items: Iterable[Any],
    stages: list[Stage],
    *,
    workers: list[int] | None = None,
    depth: int = 1,
    on_stop: Callable[[], None] = lambda: None,
) -> Generator[Any]:
    """Pass each item through all stages and yield the results, in order.

    `workers` are the threads of each stage, one if not given. At most `depth` items wait between two stages, so that
    memory does not grow with the number of items. When the iterator is closed early (or an exception such as
    KeyboardInterrupt ends the loop over it), `on_stop` is called, what is under way in the stages is finished, what
    waits is dropped, and the threads end. An exception in a stage does the same and comes out here.
    """
    stop = threading.Event()
    counts = [1] * len(stages) if workers is None else workers
    queues = [Queue(depth) for _ in range(len(stages) + 1)]
    threads = [threading.Thread(target=_feed, args=(enumerate(items), queues[0], stop))]
    for stage, count, inlet, outlet in zip(stages, counts, queues, queues[1:], strict=False):
        ends = _Ends(count)
        for _ in range(count):
            threads.append(threading.Thread(target=_work, args=(stage, inlet, outlet, stop, ends)))
    for thread in threads:
        thread.start()
    finished = False
    early: dict[int, Any] = {}  # what has overtaken others
    number = 0
    try:
        while (item := _get(queues[-1], stop)) is not _END:
            if isinstance(item, _Raised):
                error, item = item.error, None
                try:
                    raise error
                finally:
                    del error  # it knows this frame: what is held in a circle stays, with all the memory of a network
            place, result = item
            early[place] = result
            while number in early:
                yield early.pop(number)
                number += 1
        finished = True
    finally:
        if not finished:
            stop.set()
            on_stop()
        for thread in threads:
            thread.join()


def run_parallel(
    items: Iterable[Any], function: Stage, *, workers: int, on_stop: Callable[[], None] = lambda: None
) -> Generator[Any]:
    """Pass each item through `function`, in `workers` threads, and yield the results in the order of the items.

    No more than twice as many items as threads are under way. When the iterator is closed early (or an exception such
    as KeyboardInterrupt ends the loop over it), `on_stop` is called, what is under way is finished, what waits is
    dropped, and the threads end. An exception in `function` does the same and comes out here.
    """
    finished = False
    waiting: deque[Future[Any]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) == 2 * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
            finished = True
        finally:
            if not finished:
                on_stop()
            for future in waiting:
                future.cancel()


def _feed(items: Iterable[Any], outlet: Queue, stop: threading.Event) -> None:
    try:
        for item in items:
            if not _put(outlet, item, stop):
                break
    except BaseException as error:
        _put(outlet, _Raised(error), stop)
    _put(outlet, _END, stop)


def _work(stage: Stage, inlet: Queue, outlet: Queue, stop: threading.Event, ends: "_Ends") -> None:
    while (item := _get(inlet, stop)) is not _END:
        if not isinstance(item, _Raised):
            number, value = item
            try:
                item = number, stage(value)
            except BaseException as error:
                item = _Raised(error)
        raised = isinstance(item, _Raised)
        _put(outlet, item, stop)
        if raised:
            item = None  # or the error and this frame would hold each other
            break  # what waits behind it would be work for nothing
    # The last of a stage's workers ends the next stage, the others each other.
    _put(outlet if ends.count() else inlet, _END, stop)


class _Ends:
    """Counts the workers of a stage that have ended."""

    def __init__(self, workers: int) -> None:
        self._left = workers
        self._lock = threading.Lock()

    def count(self) -> bool:
        """Count one more; whether it was the last."""
        with self._lock:
            self._left -= 1
            return self._left == 0


def _get(source: Queue, stop: threading.Event) -> Any:
    """The next item, or the end once the work is stopped. It wakes up now and then: Ctrl-C needs that on Windows."""
    while not stop.is_set():
        try:
            return source.get(timeout=0.2)
        except queue.Empty:
            continue
    return _END


def _put(target: Queue, item: Any, stop: threading.Event) -> bool:
    """Hand an item on; False, and the item is dropped, once the work is stopped."""
    while not stop.is_set():
        try:
            target.put(item, timeout=0.2)
        except queue.Full:
            continue
        return True
    return False
