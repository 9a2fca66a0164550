"""The photos among the files and folders that a user names, and what else lies there; only folders are read."""

import itertools
import os
import stat
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from toonify.errors import UsageError, display
from toonify.images import FORMAT_OF_SUFFIX, RAW_SUFFIXES, VIDEO_SUFFIXES, is_video
from toonify.jobs.note import read_note


@dataclass(frozen=True)
class Found:
    """A photo, and the input folder under which it was found (None: it was named itself)."""

    path: Path
    root: Path | None = None
    problem: str | None = None  # why it cannot be read, where that is known already

    @property
    def is_video(self) -> bool:
        """Whether it is a video: by its name; where that says nothing and the file was named, by its first bytes."""
        suffix = self.path.suffix.lower()
        if suffix in VIDEO_SUFFIXES or suffix in FORMAT_OF_SUFFIX or self.root is not None or self.problem is not None:
            return suffix in VIDEO_SUFFIXES
        return is_video(self.path)


class FoundPhotos(list[Found]):
    """Photos, and how many files of other kinds their folders have."""

    def __init__(self, photos: Iterable[Found] = (), others: Counter[str] | None = None) -> None:
        super().__init__(photos)
        self.others: Counter[str] = Counter() if others is None else others


_PLURALS = {
    "video": "videos",
    "raw file": "raw files",
    "drawing by toonify": "drawings by toonify",
    "hidden picture or folder": "hidden pictures or folders",
    "other file": "other files",
}


def in_words(others: Counter[str], way_to_videos: str = "") -> str:
    """`2 videos, 1 other file`; nothing where there are none. `way_to_videos` says how videos are read, if they are."""
    counts = [(kind, others[kind]) for kind in _PLURALS if others[kind]]
    ways = {"video": f" ({way_to_videos})"} if way_to_videos else {}
    return ", ".join(f"{n} {kind if n == 1 else _PLURALS[kind]}{ways.get(kind, '')}" for kind, n in counts)


def find_photos(
    inputs: Iterable[Path],
    *,
    recursive: bool = True,
    leave_out: Path | None = None,
    drawings: bool = False,
    suffixes: Collection[str] = FORMAT_OF_SUFFIX.keys(),
    way_to_videos: str = "",
) -> FoundPhotos:
    """The photos among files and folders, each once, folders in the order of their names.

    In folders, files with one of the suffixes count, by default those of pictures; hidden files and folders do not, nor
    does the folder `leave_out` (where the drawings go). Links are followed, a loop of folders is walked once. A file
    that is named itself is taken whatever its suffix. Drawings by toonify that lie beside their photo, if that is among
    the inputs, are left out, unless `drawings` asks for them too. Folders that cannot be entered are among the photos,
    with their problem, and so are inputs that cannot be looked at; what else a folder has is counted in `others`. For
    `way_to_videos` see `in_words`.

    Raises UsageError if an input does not exist, or if there is no photo in all of them.
    """
    inputs = list(inputs)
    found: dict[Path, Found] = {}
    others: Counter[str] = Counter()
    folders = {path for path in inputs if os.path.isdir(path)}  # noqa: PTH112 - Path.is_dir raises for a long name
    named = {*suffixes, *VIDEO_SUFFIXES}
    beside = _by_stem(path for path in inputs if path.suffix.lower() in named and path not in folders)
    for path in inputs:
        if path in folders:
            photos: Iterable[Found] = _walk(
                path, others, recursive=recursive, leave_out=leave_out, drawings=drawings, suffixes=suffixes
            )
        elif not is_absent(path):
            # `*.jpg` names last run's drawings together with their photos; named alone, a drawing is an input.
            is_drawing = not drawings and _is_drawing_of_neighbor(path, beside)
            photos = [] if is_drawing else [Found(path, problem=_problem(path))]
        else:
            raise UsageError(f"{display(path)}: no such file or folder")
        for photo in photos:
            found.setdefault(Path(os.path.abspath(photo.path)), photo)  # noqa: PTH100 - resolve() would follow links
    if not found:
        where = ", ".join(display(path) for path in inputs)
        known = " ".join(sorted(suffixes))
        not_read = in_words(others, way_to_videos)
        beside_them = f"; not read: {not_read}" if not_read else ""
        below = "" if recursive else " and not in subfolders"
        raise UsageError(f"no photos in {where}; looked for {known}{below}{beside_them}")
    return FoundPhotos(found.values(), others)


def _walk(
    root: Path,
    others: Counter[str],
    *,
    recursive: bool,
    leave_out: Path | None,
    drawings: bool,
    suffixes: Collection[str],
) -> Iterator[Found]:
    def unreadable(error: OSError) -> None:
        problems.append(Found(Path(error.filename), root, f"cannot be listed: {error.strerror}"))

    problems: list[Found] = []
    seen = {identity(root)}
    for name, folders, files in os.walk(root, followlinks=True, onerror=unreadable):
        folder = Path(name)
        kept = []
        for child in sorted(folders) if recursive else ():
            if child.startswith("."):
                others["hidden picture or folder"] += 1
                continue
            itself = identity(folder / child)
            if itself is None:
                problems.append(Found(folder / child, root, _problem(folder / child)))
                continue
            if itself in seen:
                continue
            # Looked at anew each time: another process may just have made the folder.
            if leave_out is not None and itself == identity(leave_out):
                continue
            seen.add(itself)
            kept.append(child)
        folders[:] = kept
        photos = []
        for child in sorted(files):
            if (kind := _other_kind(child, suffixes)) is None:
                photos.append(folder / child)
            elif kind:
                others[kind] += 1
        beside = _by_stem(photos)
        for path in photos:
            problem = _problem(path)
            if problem is not None or drawings or not _is_drawing_of_neighbor(path, beside):
                yield Found(path, root, problem)
            else:
                others["drawing by toonify"] += 1
    yield from problems


def _other_kind(name: str, suffixes: Collection[str]) -> str | None:
    """What a file in a folder is that is not to be read; nothing of hidden files that are no pictures."""
    suffix = Path(name).suffix.lower()
    if name.startswith("."):
        return "hidden picture or folder" if suffix in suffixes else ""
    if suffix in suffixes:
        return None
    return "video" if suffix in VIDEO_SUFFIXES else "raw file" if suffix in RAW_SUFFIXES else "other file"


def is_absent(path: Path) -> bool:
    """Whether nothing is at a path; False where that cannot be told, as in a folder that may not be entered."""
    return not os.path.lexists(path) and hidden_by(path) is None


def hidden_by(path: Path) -> str | None:
    """Why nothing can be seen at a path though something may be there, in the system's words; None where it can."""
    try:
        path.lstat()
    except PermissionError as error:
        return error.strerror
    except OSError:
        return None
    return None


def identity(path: Path) -> tuple[int, int] | None:
    """Device and number of what is there, the same for all its names; None if nothing can be seen there."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _problem(path: Path) -> str | None:
    try:
        mode = path.stat().st_mode
    except OSError as error:
        return f"cannot be opened: {error.strerror}"
    return None if stat.S_ISREG(mode) else "not a regular file"


def _by_stem(paths: Iterable[Path]) -> dict[tuple[Path, str], list[Path]]:
    """Paths by their folder and stem."""
    stems: dict[tuple[Path, str], list[Path]] = defaultdict(list)
    for path in paths:
        stems[path.parent, path.stem].append(path)
    return stems


def _is_drawing_of_neighbor(path: Path, beside: Mapping[tuple[Path, str], Sequence[Path]]) -> bool:
    """Whether `cat_shinkai.jpg` (or `cat.jpg`) beside `cat.png` is our own work, not to be drawn again.

    `beside`: see `_by_stem`. Beside drawings alone it is a drawing of one of them only if it is named after its
    own style: `cat_2.jpg` may lie beside `cat.jpg` because two photos had that name.
    """
    stem = path.stem
    prefixes = [stem, *(stem[:i] for i, char in enumerate(stem) if char == "_")]
    others = {
        prefix: [other for other in beside.get((path.parent, prefix), ()) if other != path] for prefix in prefixes
    }
    if not any(others.values()) or (style := _style_of_drawing(path)) is None:
        return False
    if any(_style_of_drawing(other) is None for other in itertools.chain(*others.values())):
        return True
    return any(found and stem.removeprefix(prefix).startswith(f"_{style}") for prefix, found in others.items())


def _style_of_drawing(path: Path) -> str | None:
    """The style of one of our drawings, by what it says of its making; None for any other picture."""
    program, _, made = (read_note(path) or "").partition(" ")
    return made.partition(" ")[2].partition("/")[0] if program == "toonify" else None
