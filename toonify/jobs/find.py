"""The photos among the files and folders that a user names; nothing is read here but folders."""

import itertools
import os
import stat
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from toonify.errors import UsageError, display
from toonify.images import FORMAT_OF_SUFFIX, read_processing_note


@dataclass(frozen=True)
class Found:
    """A photo, and the input folder under which it was found (None: it was named itself)."""

    path: Path
    root: Path | None = None
    problem: str | None = None  # why it cannot be read, where that is known already


def find_photos(
    inputs: Iterable[Path],
    *,
    recursive: bool = True,
    leave_out: Path | None = None,
    drawings: bool = False,
    suffixes: Collection[str] = FORMAT_OF_SUFFIX.keys(),
) -> list[Found]:
    """The photos among files and folders, each once, folders in the order of their names.

    In folders, files with one of the suffixes count, by default those of pictures; hidden files and folders do not, nor
    does the folder `leave_out` (where the drawings go). Links are followed, a loop of folders is walked once. A file
    that is named itself is taken whatever its suffix. Drawings by toonify that lie beside their photo, if that is among
    the inputs, are left out, unless `drawings` asks for them too.

    Raises UsageError if an input does not exist, or if there is no photo in all of them.
    """
    inputs = list(inputs)
    found: dict[Path, Found] = {}
    folders = {path for path in inputs if os.path.isdir(path)}  # noqa: PTH112 - Path.is_dir raises for a long name
    beside = _by_stem(path for path in inputs if path.suffix.lower() in suffixes and path not in folders)
    for path in inputs:
        if path in folders:
            photos: Iterable[Found] = _walk(
                path, recursive=recursive, leave_out=leave_out, drawings=drawings, suffixes=suffixes
            )
        elif os.path.lexists(path):
            # `*.jpg` names last run's drawings together with their photos; named alone, a drawing is an input.
            is_drawing = not drawings and _is_drawing_of_neighbour(path, beside)
            photos = [] if is_drawing else [Found(path, problem=_problem(path))]
        else:
            raise UsageError(f"{display(path)}: no such file or folder")
        for photo in photos:
            found.setdefault(Path(os.path.abspath(photo.path)), photo)  # noqa: PTH100 - resolve() would follow links
    if not found:
        where = ", ".join(display(path) for path in inputs)
        known = " ".join(sorted(suffixes))
        raise UsageError(f"no photos in {where}; looked for {known}" + ("" if recursive else " and not in subfolders"))
    return list(found.values())


def _walk(
    root: Path, *, recursive: bool, leave_out: Path | None, drawings: bool, suffixes: Collection[str]
) -> Iterator[Found]:
    def unreadable(error: OSError) -> None:
        problems.append(Found(Path(error.filename), root, f"cannot be listed: {error.strerror}"))

    problems: list[Found] = []
    seen = {identity(root)}
    for name, folders, files in os.walk(root, followlinks=True, onerror=unreadable):
        folder = Path(name)
        kept = []
        for child in sorted(folders) if recursive else ():
            itself = identity(folder / child)
            if child.startswith(".") or itself in seen:
                continue
            # Looked at anew each time: another process may just have made the folder.
            if leave_out is not None and itself == identity(leave_out):
                continue
            seen.add(itself)
            kept.append(child)
        folders[:] = kept
        photos = [folder / child for child in sorted(files) if not child.startswith(".")]
        photos = [path for path in photos if path.suffix.lower() in suffixes]
        beside = _by_stem(photos)
        for path in photos:
            problem = _problem(path)
            if problem is not None or drawings or not _is_drawing_of_neighbour(path, beside):
                yield Found(path, root, problem)
    yield from problems


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


def _is_drawing_of_neighbour(path: Path, beside: Mapping[tuple[Path, str], Sequence[Path]]) -> bool:
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
    program, _, made = (read_processing_note(path) or "").partition(" ")
    return made.partition(" ")[2].partition("/")[0] if program == "toonify" else None
