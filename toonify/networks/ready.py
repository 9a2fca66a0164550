"""The ONNX network of a style: its own file, or one converted from its checkpoint, once."""

import contextlib
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from filelock import FileLock

from toonify.errors import StyleError, TilingError
from toonify.graphs.bounds import refuse_absurd
from toonify.networks.cache import cached_onnx
from toonify.networks.check_photo import check_photo
from toonify.networks.load import load_module
from toonify.styles.card import StyleVariant
from toonify.system.waiting import waiting

_log = logging.getLogger(__name__)

_Made = TypeVar("_Made")


def onnx_file(style: StyleVariant, device: str) -> Path:
    """The ONNX network of a variant: its own file, or what was converted for `device` from its checkpoint, once."""
    if style.onnx is not None:
        refuse_absurd_of(style, style.onnx)
        return style.onnx
    path = cached_onnx(style, device)
    if not path.exists():
        with _one_at_a_time(path):
            if not path.exists():  # another process was first
                _convert(style, device, path)
    return path


def refuse_absurd_of(style: StyleVariant, path: Path) -> None:
    """`refuse_absurd` of a style's network, unless it comes with toonify. Raises StyleError."""
    if not style.ships:
        refuse_absurd(path)


def from_onnx_file(style: StyleVariant, device: str, use: Callable[[Path], _Made]) -> _Made:
    """What `use` makes of the file that `onnx_file` gives.

    `use` raises StyleError if it cannot read the file, TilingError if it can read it but not cut it into tiles. If it
    cannot read a network that was converted here, the file was damaged on disk, and is converted once more.
    """
    path = onnx_file(style, device)
    try:
        if style.ships and style.onnx is not None:  # it is small: there is nothing to wait for
            return use(path)
        with waiting(_log, f"opening {style.label}"):
            return use(path)
    except TilingError:
        raise
    except StyleError:
        if path != cached_onnx(style, device):
            raise
    path.unlink(missing_ok=True)
    return use(onnx_file(style, device))


def _convert(style: StyleVariant, device: str, path: Path) -> None:
    from toonify.networks.export import export_onnx

    module = load_module(style)
    what = style.label if device == "cpu" else f"{style.label}, in tiles,"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with waiting(_log, f"preparing {what} for this machine, once", done=f"prepared {style.label}"):
            export_onnx(module, style, path, photo=check_photo(style.variant), for_cpu=device == "cpu")
    except FileExistsError:
        pass  # another process was first, where there are no locks
    except OSError as error:
        raise StyleError(f"cannot keep the converted network {path}: {error.strerror}; set HF_HOME") from error


@contextlib.contextmanager
def _one_at_a_time(path: Path) -> Iterator[None]:
    """Let one process make `path` while others wait: each would take all cores and a gigabyte.

    Where the file system has no locks they all make it, and the first one's stays.
    """
    lock = FileLock(path.with_suffix(".lock"))
    with contextlib.suppress(OSError, NotImplementedError):
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()
