"""What the library says on the way, as lines on stderr; on a terminal what takes its time is shown while it does."""

import contextlib
import logging
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress

_LIBRARY = logging.getLogger("toonify")


class _Stderr(logging.Handler):
    """Prints messages as they are, to what is stderr at that moment.

    On a terminal, a record that something `begins` (`toonify.system.waiting`) is shown with the time that it takes, in
    a line of its own that goes when it ends.
    """

    def __init__(self) -> None:
        super().__init__()
        self._waits: list[str] = []
        self._shown: Progress | None = None

    def emit(self, record: logging.LogRecord) -> None:
        wait, line = getattr(record, "wait", None), self.format(record)
        if wait is not None and sys.stderr.isatty():
            if wait == "begins":
                self._waits.append(line)
            elif self._waits:
                self._waits.pop()
            self._show()
            if wait == "begins":
                return
        if record.levelno >= logging.INFO:
            print(line, file=sys.stderr)

    def _show(self) -> None:
        if not self._waits:
            self.stop()
            return
        text = ": ".join(self._waits[-2:])  # the last, and what it is a part of
        if self._shown is None:
            from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

            from toonify.cli.console import Console

            columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
            self._shown = Progress(*columns, console=Console(stderr=True), transient=True)
            self._shown.add_task(text, total=None)
            self._shown.start()
        else:
            self._shown.update(self._shown.task_ids[0], description=text)

    def stop(self) -> None:
        """Show nothing any longer."""
        if self._shown is not None:
            self._shown.stop()
            self._shown = None


@contextlib.contextmanager
def log_to_stderr() -> Iterator[None]:
    """Print what the library does that takes time, and what it warns of, for the length of a command."""
    handler, level = _Stderr(), _LIBRARY.level
    _LIBRARY.addHandler(handler)
    _LIBRARY.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        handler.stop()
        _LIBRARY.removeHandler(handler)
        _LIBRARY.setLevel(level)


def hush(wanted: bool) -> bool:
    """Print warnings only; the callback of --quiet. Downloads show no progress then, either."""
    if wanted:
        _LIBRARY.setLevel(logging.WARNING)
    return wanted
