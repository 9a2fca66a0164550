"""From the inputs that a user names to pairs of photo and output path; nothing is read or written here but folders."""

import os
import stat
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from toonify.errors import UsageError
from toonify.images import FORMAT_OF_SUFFIX, SUFFIXES_OF_FORMAT, read_processing_note


@dataclass(frozen=True)
class Found:
    """A photo, and the input folder under which it was found (None: it was named itself)."""

    path: Path
    root: Path | None = None
    problem: str | None = None  # why it cannot be read, where that is known already


@dataclass(frozen=True)
class Job:
    """A photo and where its drawing goes."""

    source: Path
    target: Path
    format: str  # of the drawing: a key of SUFFIXES_OF_FORMAT
    problem: str | None = None


def find_photos(inputs: Iterable[Path], *, recursive: bool = True, leave_out: Path | None = None) -> list[Found]:
    """The photos among files and folders, each once, folders in the order of their names.

    In folders, files with the suffix of a picture count; hidden files and folders do not, nor does the folder
    `leave_out` (where the drawings go). Links are followed, a loop of folders is walked once. A file that is named
    itself is taken whatever its suffix. Drawings by toonify are left out where their photo is an input, too.

    Raises UsageError if an input does not exist, or if there is no photo in all of them.
    """
    inputs = list(inputs)
    found: dict[Path, Found] = {}
    named = {(path.parent, path.stem) for path in inputs}
    for path in inputs:
        if os.path.isdir(path):  # noqa: PTH112 - Path.is_dir raises for a name that is too long
            photos: Iterable[Found] = _walk(path, recursive=recursive, leave_out=leave_out)
        elif os.path.lexists(path):
            # `*.jpg` names last run's drawings together with their photos; named alone, a drawing is an input.
            stems = {stem for folder, stem in named if folder == path.parent}
            photos = [] if _is_drawing_of_neighbour(path, stems) else [Found(path, problem=_problem(path))]
        else:
            raise UsageError(f"{display(path)}: no such file or folder")
        for photo in photos:
            found.setdefault(Path(os.path.abspath(photo.path)), photo)  # noqa: PTH100 - resolve() would follow links
    if not found:
        where = ", ".join(display(path) for path in inputs)
        known = " ".join(sorted(FORMAT_OF_SUFFIX))
        raise UsageError(f"no photos in {where}; looked for {known}" + ("" if recursive else " and not in subfolders"))
    return list(found.values())


def _walk(root: Path, *, recursive: bool, leave_out: Path | None) -> Iterator[Found]:
    def unreadable(error: OSError) -> None:
        problems.append(Found(Path(error.filename), root, f"cannot be listed: {error.strerror}"))

    problems: list[Found] = []
    skipped = _identity(leave_out) if leave_out is not None else None
    seen = {_identity(root)}
    for name, folders, files in os.walk(root, followlinks=True, onerror=unreadable):
        folder = Path(name)
        kept = []
        for child in sorted(folders) if recursive else ():
            identity = _identity(folder / child)
            if child.startswith(".") or identity in seen or identity == skipped:
                continue
            seen.add(identity)
            kept.append(child)
        folders[:] = kept
        photos = [folder / child for child in sorted(files) if not child.startswith(".")]
        photos = [path for path in photos if path.suffix.lower() in FORMAT_OF_SUFFIX]
        stems = {path.stem for path in photos}
        for path in photos:
            problem = _problem(path)
            if problem is not None or not _is_drawing_of_neighbour(path, stems):
                yield Found(path, root, problem)
    yield from problems


def _identity(path: Path) -> tuple[int, int] | None:
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


def _is_drawing_of_neighbour(path: Path, stems: set[str]) -> bool:
    """Whether `cat_shinkai.jpg` beside `cat.jpg` is toonify's own work, which the next run must not draw again."""
    stem = path.stem
    named_after = any(stem[:i] in stems for i, char in enumerate(stem) if char == "_")
    return named_after and (read_processing_note(path) or "").startswith("toonify ")


def plan_jobs(found: list[Found], *, output: Path | None, style: str, format: str = "same") -> list[Job]:  # noqa: A002
    """Give every photo an output path of its own that is no input.

    Without `output`, drawings go beside the inputs: `photos/a.jpg` found in `photos/` to `photos_STYLE/a.jpg`,
    `cat.jpg` to `cat_STYLE.jpg`. With `output`, folders are mirrored into that folder (each under its own name if
    there are several), and files go straight into it; an `output` with the suffix of a picture is the file for one
    photo.

    Raises UsageError if `output` cannot serve.
    """
    is_folder = output is not None and os.path.isdir(output)  # noqa: PTH112 - as above
    as_file = output is not None and output.suffix.lower() in FORMAT_OF_SUFFIX and not is_folder
    if output is not None and as_file and (len(found) > 1 or found[0].root is not None):
        raise UsageError(f"--output {display(output)} is one file, and there may be more photos; give a folder")
    if output is not None and os.path.lexists(output) and not is_folder and not as_file:
        raise UsageError(f"--output {display(output)} is a file; give a folder")
    several_roots = len({photo.root for photo in found if photo.root is not None}) > 1

    def wanted(photo: Found) -> tuple[Path, str]:
        folder, stem, suffix = _place(photo, output, style, several_roots)
        chosen = FORMAT_OF_SUFFIX.get(suffix.lower(), "png") if format == "same" else format
        if suffix.lower() not in SUFFIXES_OF_FORMAT[chosen]:
            suffix = SUFFIXES_OF_FORMAT[chosen][0]
        return folder / (stem + suffix), chosen

    inputs = {_key(photo.path) for photo in found}
    taken: set[str] = set()
    jobs: dict[int, Job] = {}
    # A photo whose name need not change has the first right to it.
    order = sorted(range(len(found)), key=lambda i: wanted(found[i])[0].name != found[i].path.name)
    for i in order:
        photo = found[i]
        if as_file:
            assert output is not None  # noqa: S101
            target, chosen = output, FORMAT_OF_SUFFIX[output.suffix.lower()]
            if output.suffix.lower() not in SUFFIXES_OF_FORMAT[chosen]:
                raise UsageError(f"--output {display(output)}: {output.suffix} is not written; choose {chosen}")
            if format not in ("same", chosen):
                raise UsageError(f"--output {display(output)} and --format {format} do not agree; drop one of them")
            if _key(target) in inputs:
                raise UsageError(f"--output {display(output)} is the photo itself; give another name")
        else:
            target, chosen = wanted(photo)
            stem = target.stem
            if _key(target) in inputs:
                stem = f"{stem}_{style}"
            elif _key(target) in taken:
                stem = f"{stem}_{photo.path.suffix[1:].lower()}"
            target = target.with_name(stem + target.suffix)
            number = 2
            while _key(target) in taken or _key(target) in inputs:
                target = target.with_name(f"{stem}_{number}{target.suffix}")
                number += 1
        taken.add(_key(target))
        jobs[i] = Job(photo.path, target, chosen, photo.problem)
    return [jobs[i] for i in range(len(found))]


def default_output(root: Path, style: str) -> Path:
    """The folder beside an input folder: `photos/` to `photos_STYLE`. Raises UsageError for a drive's root."""
    whole = root.resolve()
    if not whole.name:
        raise UsageError(f"{root}: there is no place beside it; give --output DIR")
    # As the user wrote it, where that has a name: `photos`, not `/home/me/photos`.
    named = root if root.name not in ("", "..") else whole
    return named.with_name(f"{named.name}_{style}")


def _place(photo: Found, output: Path | None, style: str, several_roots: bool) -> tuple[Path, str, str]:
    """Folder, stem and suffix that a drawing would have in the photo's own format."""
    path = photo.path
    if photo.root is None:
        if output is None:
            return path.parent, f"{path.stem}_{style}", path.suffix
        return output, path.stem, path.suffix
    if output is None:
        base = default_output(photo.root, style)
    else:
        base = output / photo.root.resolve().name if several_roots else output
    return base / path.parent.relative_to(photo.root), path.stem, path.suffix


def _key(path: Path) -> str:
    """Equal for two paths that some file system takes for one: absolute, composed, without regard to case."""
    return unicodedata.normalize("NFC", os.path.abspath(path)).casefold()  # noqa: PTH100 - as above


def display(path: Path | str) -> str:
    """A path as it can be printed anywhere: what is no UTF-8 or would steer a terminal is shown as a question mark."""
    text = os.fsencode(path).decode("utf-8", "replace")
    return "".join(char if char.isprintable() and char != "\ufffd" else "?" for char in text)
