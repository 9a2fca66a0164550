"""From the inputs that a user names to pairs of photo and output path; nothing is read or written here but folders."""

import itertools
import os
import stat
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from toonify.errors import UsageError, display
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
    seen = {_identity(root)}
    for name, folders, files in os.walk(root, followlinks=True, onerror=unreadable):
        folder = Path(name)
        kept = []
        for child in sorted(folders) if recursive else ():
            identity = _identity(folder / child)
            if child.startswith(".") or identity in seen:
                continue
            # Looked at anew each time: another process may just have made the folder.
            if leave_out is not None and identity == _identity(leave_out):
                continue
            seen.add(identity)
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


def plan_jobs(found: list[Found], *, output: Path | None, style: str, format: str = "same") -> list[Job]:  # noqa: A002
    """Give every photo an output path of its own that is no input.

    Without `output`, drawings go beside the inputs: `photos/a.jpg` found in `photos/` to `photos_STYLE/a.jpg`,
    `cat.jpg` to `cat_STYLE.jpg`. With `output`, folders are mirrored into that folder (each under a name of its own
    if there are several), and files go straight into it; an `output` with the suffix of a picture is the file for one
    photo.

    Raises UsageError if `output` cannot serve.
    """
    is_input = _recogniser(photo.path for photo in found)
    is_folder = output is not None and os.path.isdir(output)  # noqa: PTH112 - as above
    if output is not None and not is_folder:
        if output.suffix.lower() in FORMAT_OF_SUFFIX:
            return [_job_for_file(found, output, format, is_input)]
        if os.path.lexists(output):
            raise UsageError(f"--output {display(output)} is a file; give a folder")
    bases = _bases(found, output, style)
    wanted = [_wanted(photo, bases, output, style, format) for photo in found]
    taken: set[str] = set()
    jobs: dict[int, Job] = {}
    # A photo whose name need not change has the first right to it.
    for i in sorted(range(len(found)), key=lambda i: wanted[i][0].name != found[i].path.name):
        photo, (target, chosen) = found[i], wanted[i]
        stem = target.stem
        if is_input(target):
            stem = f"{stem}_{style}"
        elif _key(target) in taken:
            stem = f"{stem}_{photo.path.suffix[1:].lower()}"
        target = target.with_name(stem + target.suffix)
        number = 2
        while _key(target) in taken or is_input(target):
            target = target.with_name(f"{stem}_{number}{target.suffix}")
            number += 1
        taken.add(_key(target))
        jobs[i] = Job(photo.path, target, chosen, photo.problem)
    return [jobs[i] for i in range(len(found))]


def _job_for_file(found: list[Found], output: Path, format: str, is_input: Callable[[Path], bool]) -> Job:  # noqa: A002
    """The job where `--output` is a file."""
    name, suffix = display(output), output.suffix.lower()
    chosen = FORMAT_OF_SUFFIX[suffix]
    if len(found) > 1 or found[0].root is not None:
        raise UsageError(f"--output {name} is one file, and there may be more photos; give a folder")
    if suffix not in SUFFIXES_OF_FORMAT[chosen]:
        raise UsageError(f"--output {name}: {suffix} is not written; choose {chosen}")
    if format not in ("same", chosen):
        raise UsageError(f"--output {name} and --format {format} do not agree; drop one of them")
    if is_input(output):
        raise UsageError(f"--output {name} is the photo itself; give another name")
    return Job(found[0].path, output, chosen, found[0].problem)


def _bases(found: list[Found], output: Path | None, style: str) -> dict[Path, Path]:
    """The folder that mirrors each input folder."""
    roots = list(dict.fromkeys(photo.root for photo in found if photo.root is not None))
    if output is None:
        return {root: default_output(root, style) for root in roots}
    if len(roots) <= 1:
        return dict.fromkeys(roots, output)
    bases: dict[Path, Path] = {}
    for root in roots:
        name = base = root.resolve().name
        number = 2
        while _key(output / name) in {_key(other) for other in bases.values()}:
            name = f"{base}_{number}"
            number += 1
        bases[root] = output / name
    return bases


def _wanted(
    photo: Found,
    bases: dict[Path, Path],
    output: Path | None,
    style: str,
    format: str,  # noqa: A002
) -> tuple[Path, str]:
    """The output path that a photo would have if it were alone, and its format."""
    path = photo.path
    stem, suffix = path.stem, path.suffix
    if photo.root is not None:
        below = path.relative_to(photo.root)  # "." where the folder itself cannot be listed
        folder = bases[photo.root] / below.parent
    elif output is not None:
        folder = output
    else:
        folder, stem = path.parent, f"{stem}_{style}"
    chosen = FORMAT_OF_SUFFIX.get(suffix.lower(), "png") if format == "same" else format
    if suffix.lower() not in SUFFIXES_OF_FORMAT[chosen]:
        suffix = SUFFIXES_OF_FORMAT[chosen][0]
    return folder / (stem + suffix), chosen


def _recogniser(photos: Iterable[Path]) -> Callable[[Path], bool]:
    """Tells whether a path is one of the photos: by name, or because a link makes two names one file."""
    photos = list(photos)
    keys = {_key(photo) for photo in photos}
    identities = {_identity(photo) for photo in photos} - {None}
    return lambda path: _key(path) in keys or _identity(path) in identities


def check_output_folder(output: Path, inputs: Iterable[Path]) -> None:
    """Raise UsageError unless OUT can be a folder of its own: no file, no name of a picture, none of the inputs."""
    is_folder = os.path.isdir(output)  # noqa: PTH112 - as above
    if not is_folder and (output.suffix.lower() in FORMAT_OF_SUFFIX or os.path.lexists(output)):
        raise UsageError(f"OUT {display(output)}: give a folder")
    for path in inputs:
        if _key(path) == _key(output) or (_identity(path) == _identity(output) is not None):
            raise UsageError(f"OUT {display(output)} is an input; give a folder of its own")


def default_output(root: Path, style: str) -> Path:
    """The folder beside an input folder: `photos/` to `photos_STYLE`. Raises UsageError for a drive's root."""
    whole = root.resolve()
    if not whole.name:
        raise UsageError(f"{root}: there is no place beside it; give --output DIR")
    # As the user wrote it, where that has a name: `photos`, not `/home/me/photos`.
    named = root if root.name not in ("", "..") else whole
    return named.with_name(f"{named.name}_{style}")


def _key(path: Path) -> str:
    """Equal for two paths that some file system takes for one: absolute, composed, without regard to case."""
    return unicodedata.normalize("NFC", os.path.abspath(path)).casefold()  # noqa: PTH100 - as above
