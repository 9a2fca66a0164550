"""What was made and may be wanted again, up to so many bytes."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any


class Cache:
    """Makes each thing once, even if several threads want it, and drops what was not wanted for longest.

    What is larger than the whole limit is made, and not kept.
    """

    def __init__(self, limit: int) -> None:
        """`limit`: bytes."""
        self._limit = limit
        self._kept: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()
        self._used = 0
        self._lock = threading.Lock()
        self._making: dict[Hashable, threading.Lock] = {}

    @property
    def used(self) -> int:
        """Bytes that are kept."""
        return self._used

    def get(self, key: Hashable, make: Callable[[], Any], size: Callable[[Any], int]) -> Any:
        """What is kept under the key, or what `make` returns; `size` tells its bytes. Raises what `make` does."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key][0]
            making = self._making.setdefault(key, threading.Lock())
        with making:
            with self._lock:
                if key in self._kept:  # by the thread that was waited for
                    return self._kept[key][0]
            try:
                value = make()
                with self._lock:
                    self._keep(key, value, size(value))
            finally:
                with self._lock:
                    self._making.pop(key, None)
        return value

    def forget(self, belongs: Callable[[Hashable], bool]) -> None:
        """Drop what is kept under the keys that `belongs` says."""
        with self._lock:
            for key in [key for key in self._kept if belongs(key)]:
                self._used -= self._kept.pop(key)[1]

    def _keep(self, key: Hashable, value: Any, size: int) -> None:
        if size > self._limit:
            return
        self._kept[key] = value, size
        self._used += size
        while self._used > self._limit:
            self._used -= self._kept.popitem(last=False)[1][1]
