"""What the library says on the way, as lines on stderr."""

import contextlib
import logging
import sys
from collections.abc import Iterator

_LIBRARY = logging.getLogger("toonify")


class _Stderr(logging.Handler):
    """Prints messages as they are, to what is stderr at that moment."""

    def emit(self, record: logging.LogRecord) -> None:
        print(self.format(record), file=sys.stderr)


@contextlib.contextmanager
def log_to_stderr() -> Iterator[None]:
    """Print what the library does that takes time, and what it warns of, for the length of a command."""
    handler, level = _Stderr(), _LIBRARY.level
    _LIBRARY.addHandler(handler)
    _LIBRARY.setLevel(logging.INFO)
    try:
        yield
    finally:
        _LIBRARY.removeHandler(handler)
        _LIBRARY.setLevel(level)


def hush(wanted: bool) -> bool:
    """Print warnings only; the callback of --quiet. Downloads show no progress then, either."""
    if wanted:
        _LIBRARY.setLevel(logging.WARNING)
    return wanted
