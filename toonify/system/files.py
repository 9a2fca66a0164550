"""Outputs appear whole or not at all, and replace nothing unless asked to."""

import contextlib
import errno
import hashlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from toonify.errors import StyleError, WeightsError, display

# What systems say that have no hard links or no nameless files: FAT, network mounts through FUSE (ENOSYS), old kernels.
_UNSUPPORTED = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EISDIR, errno.EINVAL, errno.ENOENT}
_PARTS: set[Path] = set()  # that this process is writing


def write_atomically(target: Path, data: bytes, *, overwrite: bool = False) -> None:
    """Write `data` to a file that no one can see half-written, even if the process or the machine dies.

    Where the system has nameless files (Linux), nothing at all is left behind by a process that is killed; elsewhere,
    and for a moment when it replaces a file, a hidden `.toonify-*.part` may be.

    Raises FileExistsError if `target` exists and `overwrite` is false, even if it appeared this very moment; OSError
    as the system gives it (no space, read-only, name too long).
    """
    if not overwrite:
        _create(target, data)
        return
    part = _part_beside(target)
    try:
        _create(part, data)
        part.replace(target)
    finally:
        _drop(part)


@contextlib.contextmanager
def replacing(target: Path) -> Iterator[BinaryIO]:
    """A file to be written that takes the place of `target` once it is whole, for what is large.

    A process that is killed meanwhile leaves a hidden `.toonify-*.part`; `remove_parts` removes it. Raises OSError.
    """
    part = _part_beside(target)
    try:
        with part.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(target)
    finally:
        _drop(part)


def put_in_place(part: Path, target: Path, *, overwrite: bool = False) -> None:
    """Give a whole file its name, `part` being on the same disk; without `overwrite` it may keep its other name, too.

    Raises FileExistsError if `target` exists and `overwrite` is false, OSError.
    """
    if overwrite:
        part.replace(target)
        return
    try:
        os.link(part, target)  # unlike a rename, it fails if the name is taken
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
        if os.path.lexists(target):  # no hard links here, as on FAT
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target)) from None
        part.rename(target)


def is_plain_name(name: str) -> bool:
    """Whether a name that somebody else has written is a path below a folder, and can be shown and typed."""
    parts = name.replace("\\", "/").split("/")
    return name.isprintable() and not {"", ".", ".."} & set(parts) and ":" not in parts[0]


def below(folder: Path, name: str) -> Path:
    """The path of a name, which somebody else has written, below a folder. Raises StyleError if it leads elsewhere."""
    if not is_plain_name(name):
        raise StyleError(f"{display(name)!r} is no name of a file below {display(folder)}")
    return folder / name


def file_digest(path: Path) -> str:
    """SHA-256 of a file, 64 hex digits. Raises WeightsError if it cannot be read."""
    if path.exists() and not path.is_file():  # to open a pipe would wait for ever
        raise WeightsError(f"{display(path)} is no file; give the file of weights")
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise WeightsError(f"{display(path)} cannot be read: {error.strerror}") from error


def remove_own_parts() -> None:
    """Remove what this process has half-written, before it ends without its threads."""
    for part in list(_PARTS):
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


def remove_parts(folder: Path) -> None:
    """Remove what killed processes have left half-written in a folder that no other process writes to."""
    for part in folder.glob(".toonify-*.part"):
        part.unlink(missing_ok=True)


def _create(path: Path, data: bytes) -> None:
    """Make a whole file under a name that must be free."""
    if hasattr(os, "O_TMPFILE") and _create_nameless(path, data):
        return
    part = _part_beside(path)
    try:
        with part.open("xb", buffering=0) as file:
            _write_through(file.fileno(), data)
        put_in_place(part, path)
    finally:
        _drop(part)


def _create_nameless(path: Path, data: bytes) -> bool:
    """Write a file without a name, then give it its name; False where the file system cannot do that."""
    folder = os.open(path.parent, os.O_DIRECTORY | os.O_RDONLY)
    try:
        descriptor = os.open(path.parent, os.O_TMPFILE | os.O_WRONLY, 0o666)
        with os.fdopen(descriptor, "wb", buffering=0) as file:
            _write_through(file.fileno(), data)
            os.link(f"/proc/self/fd/{file.fileno()}", path.name, dst_dir_fd=folder, follow_symlinks=True)
    except OSError as error:
        if error.errno in _UNSUPPORTED:
            return False
        raise
    finally:
        os.close(folder)
    return True


def _part_beside(path: Path) -> Path:
    part = path.parent / f".toonify-{secrets.token_hex(6)}.part"
    _PARTS.add(part)
    return part


def _drop(part: Path) -> None:
    part.unlink(missing_ok=True)
    _PARTS.discard(part)


def _write_through(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
    os.fsync(descriptor)
