"""One process at a time in a folder that two would spoil for each other."""

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from toonify.errors import UsageError


@contextlib.contextmanager
def only_process(folder: Path, refusal: str) -> Iterator[None]:
    """Keep other processes of this machine out of `folder` meanwhile. Raises UsageError (`refusal`) if one is there.

    The lock lies in the system's folder for temporary files, so that none is left in the user's, and ends with the
    process. Where there can be no locks, processes are not kept apart.
    """
    digest = hashlib.sha256(os.fsencode(os.path.realpath(folder))).hexdigest()[:16]
    lock = FileLock(Path(tempfile.gettempdir()) / f"toonify-{digest}.lock", timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise UsageError(refusal) from error
    except (OSError, NotImplementedError):
        pass
    try:
        yield
    finally:
        lock.release()
