"""Whose photos are whose: each visitor has a private folder, ids that nobody can guess, and limits."""

import contextlib
import re
import secrets
import shutil
import tempfile
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from toonify.errors import ImageError, display
from toonify.images import FORMAT_OF_SUFFIX, picture_size
from toonify.images.formats import DEFAULT_MAX_PIXELS
from toonify.jobs.outcome import open_source
from toonify.serve.studio import Source

MOST_VISITORS = 256
MOST_PHOTOS = 2000  # of a visitor
MOST_BYTES = 300 << 20  # of a photo
MOST_STORED = 20 << 30  # bytes of a visitor's photos
_SPARE = 1 << 30  # bytes of the disk that are left to others
_LONGEST_NAME = 120
KEPT_SECONDS = 1800.0  # a visitor who is away for longer, without a page open, has nothing left here


class RefusedError(Exception):
    """Something is not taken; `str` is the line that says why."""


@dataclass(frozen=True)
class ServedPhoto:
    """A photo that a visitor sees: dropped by that visitor, or of the folder that is served."""

    id: str
    name: str  # as its owner calls it; never a path of this machine
    path: Path
    width: int  # as it lies in the file, in pixels
    height: int
    bytes: int
    problem: str | None = None  # why it cannot be drawn, where that is known
    is_of_folder: bool = False

    @property
    def source(self) -> Source:
        """What the studio draws."""
        return Source(self.id, self.path)

    def record(self) -> dict[str, object]:
        """What the page is told."""
        return {
            "id": self.id,
            "name": self.name,
            "width": self.width,
            "height": self.height,
            "bytes": self.bytes,
            "problem": self.problem,
            "folder": self.is_of_folder,
        }


@dataclass
class Visitor:
    """Somebody with a browser."""

    id: str
    holds_key: bool = False  # came by the address with the token
    folder: Path | None = None  # of what was dropped; made when it is needed
    photos: OrderedDict[str, ServedPhoto] = field(default_factory=OrderedDict)
    pages: int = 0  # open pages that listen
    changes: int = 0  # of the photos
    seen: float = field(default_factory=time.monotonic)
    stored: int = 0  # bytes


class Visitors:
    """All visitors, and the temporary folder with what they dropped. As a context, it is emptied at the end."""

    def __init__(self, on_gone: Callable[[Visitor], None] = lambda visitor: None) -> None:
        """`on_gone` is told of each visitor that is forgotten."""
        self._root = Path(tempfile.mkdtemp(prefix="toonify-serve-"))  # 0700: nobody else reads it
        self._by_id: OrderedDict[str, Visitor] = OrderedDict()
        self._lock = threading.Lock()
        self._on_gone = on_gone

    def __enter__(self) -> "Visitors":
        return self

    def __exit__(self, *_: object) -> None:
        for visitor in list(self._by_id.values()):
            self._forget(visitor)
        shutil.rmtree(self._root, ignore_errors=True)

    @property
    def root(self) -> Path:
        """The temporary folder."""
        return self._root

    def find(self, visitor_id: str | None) -> Visitor | None:
        """The visitor with a cookie's id."""
        with self._lock:
            visitor = self._by_id.get(visitor_id or "")
            if visitor is not None:
                visitor.seen = time.monotonic()
                self._by_id.move_to_end(visitor.id)
            return visitor

    def welcome(self) -> Visitor:
        """A new visitor; who has nothing here and was not seen for longest makes room. Raises RefusedError."""
        with self._lock:
            if len(self._by_id) >= MOST_VISITORS:
                idle = next((each for each in self._by_id.values() if not each.photos and not each.pages), None)
                if idle is None:
                    raise RefusedError("too many visitors at once; try again later")
                del self._by_id[idle.id]
            visitor = Visitor(secrets.token_urlsafe(24))
            self._by_id[visitor.id] = visitor
            return visitor

    def sweep(self) -> None:
        """Forget who has gone for good."""
        limit = time.monotonic() - KEPT_SECONDS
        for visitor in list(self._by_id.values()):
            if not visitor.pages and visitor.seen < limit:
                self._forget(visitor)

    def begin(self, visitor: Visitor, name: str, size: int | None) -> Path:
        """Where a photo that is coming in goes. Raises RefusedError if there is no room for it."""
        if len(visitor.photos) >= MOST_PHOTOS:
            raise RefusedError(f"more than {MOST_PHOTOS} photos at once; remove some, or draw the folder with convert")
        if size is not None and size > MOST_BYTES:
            raise RefusedError(f"more than {MOST_BYTES >> 20} MB, which no photo needs")
        if visitor.stored + (size or 0) > MOST_STORED or shutil.disk_usage(self._root).free < _SPARE + (size or 0):
            raise RefusedError("there is no room for more photos; remove some")
        if visitor.folder is None:
            visitor.folder = self._root / secrets.token_hex(8)
            visitor.folder.mkdir(mode=0o700)
        # The name is ours but for a suffix from our own table: what the visitor calls it leads nowhere.
        suffix = Path(clean_name(name)).suffix.lower()
        return visitor.folder / (secrets.token_hex(12) + (suffix if suffix in FORMAT_OF_SUFFIX else ""))

    def add(self, visitor: Visitor, path: Path, name: str) -> ServedPhoto:
        """A photo whose file has come in whole. If it is none, it says so as its problem."""
        size = path.stat().st_size
        photo = examine_photo(secrets.token_urlsafe(12), clean_name(name), path, size)
        visitor.photos[photo.id] = photo
        visitor.changes += 1
        visitor.stored += size
        return photo

    def remove(self, visitor: Visitor, photo_id: str) -> bool:
        """Remove a photo that the visitor dropped; whether there was one."""
        photo = visitor.photos.pop(photo_id, None)
        if photo is None:
            return False
        visitor.stored -= photo.bytes
        visitor.changes += 1
        with contextlib.suppress(OSError):
            photo.path.unlink()
        return True

    def _forget(self, visitor: Visitor) -> None:
        with self._lock:
            self._by_id.pop(visitor.id, None)
        self._on_gone(visitor)
        if visitor.folder is not None:
            shutil.rmtree(visitor.folder, ignore_errors=True)


def examine_photo(photo_id: str, name: str, path: Path, size: int, *, is_of_folder: bool = False) -> ServedPhoto:
    """A photo by what its head says; what is no picture, or a bomb, has its problem."""
    width = height = 0
    problem = None
    try:
        if size == 0:
            raise ImageError("an empty file")
        with open_source(path) as file:
            width, height = picture_size(file)
        if width * height > DEFAULT_MAX_PIXELS:
            problem = f"{width} x {height} pixels are more than {DEFAULT_MAX_PIXELS / 1e6:g} megapixels"
    except ImageError as error:
        problem = str(error)
    except Exception:  # a head that no reader was made for
        problem = "not a picture that can be read"
    return ServedPhoto(photo_id, name, path, width, height, size, problem, is_of_folder)


def clean_name(name: str) -> str:
    """The last part of a name that a browser gave, as it can be shown and downloaded anywhere."""
    last = re.split(r"[/\\]", name)[-1]
    shown = re.sub(r'[<>:"|?*\x00-\x1f]', "_", display(last.encode("utf-8", "replace"))).strip(" .")
    suffix = Path(shown).suffix[:12]
    return (Path(shown).stem[: _LONGEST_NAME - len(suffix)] + suffix) or "photo"
