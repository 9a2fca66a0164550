"""Where the picture of each photo goes."""

import os
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from toonify.errors import UsageError, display
from toonify.images import FORMAT_OF_SUFFIX, FORMATS
from toonify.images.formats import FALLBACK, FormatName, FormatOption
from toonify.jobs.find import Found, identity


@dataclass(frozen=True)
class Job:
    """A photo and where its drawing goes."""

    source: Path
    target: Path
    format: FormatName  # of the drawing
    problem: str | None = None


def plan_jobs(found: list[Found], *, output: Path | None, style: str, format: FormatOption = "same") -> list[Job]:  # noqa: A002
    """Give every photo an output path of its own that is no input.

    Without `output`, drawings go beside the inputs: `photos/a.jpg` found in `photos/` to `photos_STYLE/a.jpg`,
    `cat.jpg` to `cat_STYLE.jpg`. With `output`, folders are mirrored into that folder (each under a name of its own
    if there are several), and files go straight into it; an `output` with the suffix of a picture is the file for one
    photo.

    Raises UsageError if `output` cannot serve.
    """
    is_input = _recognizer(photo.path for photo in found)
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
        elif path_key(target) in taken:
            stem = f"{stem}_{photo.path.suffix[1:].lower()}"
        target = target.with_name(stem + target.suffix)
        number = 2
        while path_key(target) in taken or is_input(target):
            target = target.with_name(f"{stem}_{number}{target.suffix}")
            number += 1
        taken.add(path_key(target))
        jobs[i] = Job(photo.path, target, chosen, photo.problem)
    return [jobs[i] for i in range(len(found))]


def _job_for_file(found: list[Found], output: Path, format: FormatOption, is_input: Callable[[Path], bool]) -> Job:  # noqa: A002
    """The job where `--output` is a file."""
    name, suffix = display(output), output.suffix.lower()
    chosen = FORMAT_OF_SUFFIX[suffix]
    if len(found) > 1 or found[0].root is not None:
        raise UsageError(f"--output {name} is one file, and there may be more photos; give a folder")
    if suffix not in FORMATS[chosen].suffixes:
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
        while path_key(output / name) in {path_key(other) for other in bases.values()}:
            name = f"{base}_{number}"
            number += 1
        bases[root] = output / name
    return bases


def _wanted(
    photo: Found,
    bases: dict[Path, Path],
    output: Path | None,
    style: str,
    format: FormatOption,  # noqa: A002
) -> tuple[Path, FormatName]:
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
    chosen = FORMAT_OF_SUFFIX.get(suffix.lower(), FALLBACK) if format == "same" else format
    if suffix.lower() not in FORMATS[chosen].suffixes:
        suffix = FORMATS[chosen].suffixes[0]
    return folder / (stem + suffix), chosen


def _recognizer(photos: Iterable[Path]) -> Callable[[Path], bool]:
    """Tells whether a path is one of the photos: by name, or because a link makes two names one file."""
    photos = list(photos)
    keys = {path_key(photo) for photo in photos}
    identities = {identity(photo) for photo in photos} - {None}
    return lambda path: path_key(path) in keys or identity(path) in identities


def check_output_folder(output: Path, inputs: Iterable[Path]) -> None:
    """Raise UsageError unless OUT can be a folder of its own: no file, no name of a picture, none of the inputs."""
    is_folder = os.path.isdir(output)  # noqa: PTH112 - as above
    if not is_folder and (output.suffix.lower() in FORMAT_OF_SUFFIX or os.path.lexists(output)):
        raise UsageError(f"OUT {display(output)}: give a folder")
    for path in inputs:
        if path_key(path) == path_key(output) or (identity(path) == identity(output) is not None):
            raise UsageError(f"OUT {display(output)} is an input; give a folder of its own")


def check_output_file(output: Path, photos: Iterable[Path], *, overwrite: bool) -> FormatName:
    """The format of a picture that is to be written to `output`.

    Raises UsageError if its name is that of no format, if it is one of the photos, or if something is there already
    that it may not, or cannot, replace.
    """
    name, suffix = display(output), output.suffix.lower()
    known = FORMAT_OF_SUFFIX.get(suffix)
    if known is None or suffix not in FORMATS[known].suffixes:
        endings = ", ".join(each.suffixes[0] for each in FORMATS.values())
        raise UsageError(f"--output {name}: give the name of a picture, which ends in one of {endings}")
    if _recognizer(photos)(output):
        raise UsageError(f"--output {name} is one of the photos; give another name")
    if os.path.isdir(output):  # noqa: PTH112 - as above
        raise UsageError(f"--output {name} is a folder; give another name")
    if os.path.lexists(output) and not overwrite:
        raise UsageError(f"{name} is there already; --overwrite replaces it, --output FILE gives another name")
    return known


def target_among_photos(jobs: Iterable[Job], inputs: Iterable[Path], *, output: Path | None) -> Path | None:
    """The first picture that would lie where a later search in `inputs` takes it for a photo; None if none would.

    Pictures may lie outside of all input folders, in a folder `output` inside one (it is left out of the search), or
    beside their photo under its name and more (they are recognized).
    """

    @cache
    def real(folder: Path) -> Path:
        return Path(os.path.realpath(folder))

    roots = [real(path) for path in inputs if os.path.isdir(path)]  # noqa: PTH112 - as above
    left_out = real(output) if output is not None else Path()

    @cache
    def is_searched(folder: Path) -> bool:
        above = {folder, *folder.parents}
        # The search leaves out a folder that it comes upon, but not one with which it begins.
        return any(root in above and not (left_out in above and root in left_out.parents) for root in roots)

    for job in jobs:
        folder, beside = real(job.target.parent), real(job.source.parent)
        if folder == beside and job.target.stem.startswith(f"{job.source.stem}_"):
            continue
        if is_searched(folder):
            return job.target
    return None


def default_output(root: Path, style: str) -> Path:
    """The folder beside an input folder: `photos/` to `photos_STYLE`. Raises UsageError for a drive's root."""
    whole = root.resolve()
    if not whole.name:
        raise UsageError(f"{root}: there is no place beside it; give --output DIR")
    # As the user wrote it, where that has a name: `photos`, not `/home/me/photos`.
    named = root if root.name not in ("", "..") else whole
    return named.with_name(f"{named.name}_{style}")


def path_key(path: Path) -> str:
    """Equal for two paths that some file system takes for one: absolute, composed, without regard to case."""
    return unicodedata.normalize("NFC", os.path.abspath(path)).casefold()  # noqa: PTH100 - as above
