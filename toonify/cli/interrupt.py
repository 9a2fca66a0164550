"""Ctrl-C ends a command within two seconds, whatever its threads are doing.

Python hears a signal between two of its own steps, and a command waits for its threads; a decoder or a network may
keep both busy for longer. So a thread watches, too. Training has a handler of its own, which saves a checkpoint.
"""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator

from toonify.system.files import remove_own_parts

_SECONDS = 1.0  # that a command has to end by itself
_EXIT_CODE = 130


@contextlib.contextmanager
def ended_by_ctrl_c() -> Iterator[None]:
    """Within, Ctrl-C raises KeyboardInterrupt as ever, and a little later ends the process if it is still there.

    What is half written is removed. Does nothing outside the main thread, and on Windows, whose pipes cannot be
    watched.
    """
    if threading.current_thread() is not threading.main_thread() or sys.platform == "win32":
        yield
        return
    hears, tells = os.pipe()
    os.set_blocking(tells, False)
    before = signal.set_wakeup_fd(tells, warn_on_full_buffer=False)
    ended = threading.Event()
    watcher = threading.Thread(target=_watch, args=(hears, ended), daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        signal.set_wakeup_fd(before)
        os.close(tells)  # the watcher reads the end of the pipe
        watcher.join()
        os.close(hears)


def _watch(pipe: int, ended: threading.Event) -> None:
    while heard := os.read(pipe, 1):
        if heard[0] != signal.SIGINT or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
            continue
        _kill_decoders()
        if ended.wait(_SECONDS):
            return
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            _end()


def _kill_decoders() -> None:
    if (child := sys.modules.get("toonify.images.child")) is not None:  # else there are none
        child.kill_decoders()


def _end() -> None:
    _kill_decoders()
    remove_own_parts()
    with contextlib.suppress(OSError, ValueError):
        os.write(2, (b"\x1b[?25h" if os.isatty(2) else b"") + b"interrupted\n")  # a live table hides the cursor
    os._exit(_EXIT_CODE)
