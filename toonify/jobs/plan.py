"""Where the picture of each photo goes."""

import os
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import overload

from toonify.errors import UsageError, display
from toonify.images import FORMAT_OF_SUFFIX, FORMATS, VIDEO_SUFFIXES
from toonify.images.formats import FALLBACK, WRITTEN, FormatName, FormatOption, WrittenFormat
from toonify.jobs.find import Found, identity
from toonify.videos.formats import CONTAINER_OF_SUFFIX, CONTAINERS, CodecName, ContainerName, choose_container

_GIF = ".gif"


@dataclass(frozen=True)
class Job:
    """A photo and where its drawing goes."""

    source: Path
    target: Path
    format: WrittenFormat  # of the drawing
    problem: str | None = None


@dataclass(frozen=True)
class ClipJob:
    """A video and where its drawing goes."""

    source: Path
    target: Path
    container: ContainerName  # of the drawing
    problem: str | None = None


AnyJob = Job | ClipJob


def plan_jobs(
    found: list[Found],
    *,
    output: Path | None,
    style: str,
    format: FormatOption = "same",  # noqa: A002
    moving: bool = False,
) -> list[Job]:
    """Give every photo an output path of its own that is no input.

    Without `output`, drawings go beside the inputs: `photos/a.jpg` found in `photos/` to `photos_STYLE/a.jpg`,
    `cat.jpg` to `cat_STYLE.jpg`. With `output`, folders are mirrored into that folder (each under a name of its own
    if there are several), and files go straight into it; an `output` with the suffix of a picture is the file for one
    photo. With `moving`, a GIF that moves stays GIF; else its first frame becomes a picture.

    Raises UsageError if `output` cannot serve.
    """
    is_input = _recognizer(photo.path for photo in found)
    if output is not None and not os.path.isdir(output) and output.suffix.lower() in FORMAT_OF_SUFFIX:  # noqa: PTH112
        return [_job_for_file(found, output, format, is_input, moving=moving)]
    if found:
        _check_folder(output)
    bases = _bases(found, output, style)
    formats: list[WrittenFormat] = []
    suffixes: list[str] = []
    for photo in found:
        suffix = photo.path.suffix
        chosen: WrittenFormat = FORMAT_OF_SUFFIX.get(suffix.lower(), FALLBACK) if format == "same" else format
        if moving and format == "same" and suffix.lower() == _GIF and _moves(photo.path):
            chosen = "gif"
        formats.append(chosen)
        suffixes.append(suffix if suffix.lower() in WRITTEN[chosen].suffixes else WRITTEN[chosen].suffixes[0])
    targets = _targets(found, suffixes, bases, output, style, is_input)
    return [
        Job(photo.path, target, chosen, photo.problem)
        for photo, target, chosen in zip(found, targets, formats, strict=True)
    ]


def plan_clips(found: list[Found], *, output: Path | None, style: str, codec: CodecName) -> list[ClipJob]:
    """Give every video an output path of its own, as `plan_jobs` does for photos, in a container for that codec.

    Raises UsageError if `output` cannot serve.
    """
    is_input = _recognizer(clip.path for clip in found)
    is_file = output is not None and output.suffix.lower() in VIDEO_SUFFIXES | FORMAT_OF_SUFFIX.keys()
    if found and output is not None and is_file and not os.path.isdir(output):  # noqa: PTH112 - as above
        return [_clip_for_file(found, output, codec, is_input)]
    if found:
        _check_folder(output)
    containers = [choose_container(clip.path.suffix, codec) for clip in found]
    suffixes = []
    for clip, container in zip(found, containers, strict=True):
        suffix = clip.path.suffix
        kept = suffix.lower() in CONTAINERS[container].suffixes
        suffixes.append(suffix if kept else CONTAINERS[container].suffixes[0])
    targets = _targets(found, suffixes, _bases(found, output, style), output, style, is_input)
    return [
        ClipJob(clip.path, target, container, clip.problem)
        for clip, target, container in zip(found, targets, containers, strict=True)
    ]


def _check_folder(output: Path | None) -> None:
    """Raise UsageError for an output folder that is a file, or has the name of a video."""
    if output is None or os.path.isdir(output):  # noqa: PTH112 - as above
        return
    if os.path.lexists(output):
        raise UsageError(f"--output {display(output)} is a file; give a folder")
    if output.suffix.lower() in CONTAINER_OF_SUFFIX:
        raise UsageError(f"--output {display(output)} is the name of one video; give a folder, or a picture's name")


def _targets(
    found: list[Found],
    suffixes: list[str],
    bases: dict[Path, Path],
    output: Path | None,
    style: str,
    is_input: Callable[[Path], bool],
) -> list[Path]:
    """An output path for each file, with the suffix that is wanted, which is no other's and no input."""
    wanted = [_wanted(each, bases, output, style, suffix) for each, suffix in zip(found, suffixes, strict=True)]
    taken: set[str] = set()
    targets: dict[int, Path] = {}
    # A photo whose name need not change has the first right to it.
    for i in sorted(range(len(found)), key=lambda i: wanted[i].name != found[i].path.name):
        photo, target = found[i], wanted[i]
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
        targets[i] = target
    return [targets[i] for i in range(len(found))]


def _job_for_file(
    found: list[Found],
    output: Path,
    format: FormatOption,  # noqa: A002
    is_input: Callable[[Path], bool],
    *,
    moving: bool,
) -> Job:
    """The job where `--output` is a file."""
    name, suffix = display(output), output.suffix.lower()
    chosen: WrittenFormat = "gif" if moving and suffix == _GIF else FORMAT_OF_SUFFIX[suffix]
    if len(found) > 1 or found[0].root is not None:
        raise UsageError(f"--output {name} is one file, and there may be more photos; give a folder")
    if suffix not in WRITTEN[chosen].suffixes:
        raise UsageError(f"--output {name}: {suffix} is not written; choose {chosen}")
    if format not in ("same", chosen):
        raise UsageError(f"--output {name} and --format {format} do not agree; drop one of them")
    if is_input(output):
        raise UsageError(f"--output {name} is the photo itself; give another name")
    return Job(found[0].path, output, chosen, found[0].problem)


def _clip_for_file(found: list[Found], output: Path, codec: CodecName, is_input: Callable[[Path], bool]) -> ClipJob:
    """The job where `--output` is a file, for a video."""
    name, suffix = display(output), output.suffix.lower()
    container = CONTAINER_OF_SUFFIX.get(suffix)
    if container is None:
        known = ", ".join(CONTAINER_OF_SUFFIX)
        raise UsageError(f"--output {name}: a video is not written in {suffix}; give {known}, or a folder")
    if len(found) > 1 or found[0].root is not None:
        raise UsageError(f"--output {name} is one file, and there may be more videos; give a folder")
    if codec not in CONTAINERS[container].codecs:
        fitting = next(each for each, other in CONTAINERS.items() if codec in other.codecs)
        others = ", ".join(CONTAINERS[container].codecs)
        raise UsageError(f"--output {name} does not hold {codec}; give --codec {others}, or a name in .{fitting}")
    if is_input(output):
        raise UsageError(f"--output {name} is the video itself; give another name")
    return ClipJob(found[0].path, output, container, found[0].problem)


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


def _wanted(photo: Found, bases: dict[Path, Path], output: Path | None, style: str, suffix: str) -> Path:
    """The output path that a file would have if it were alone."""
    path = photo.path
    stem = path.stem
    if photo.root is not None:
        below = path.relative_to(photo.root)  # "." where the folder itself cannot be listed
        folder = bases[photo.root] / below.parent
    elif output is not None:
        folder = output
    else:
        folder, stem = path.parent, f"{stem}_{style}"
    return folder / (stem + suffix)


def _moves(path: Path) -> bool:
    from toonify.images.moving import moves

    try:
        with path.open("rb") as file:
            return moves(file)
    except OSError:  # which is said where it is read
        return False


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


@overload
def check_output_file(output: Path, photos: Iterable[Path], *, overwrite: bool) -> FormatName: ...
@overload
def check_output_file(output: Path, photos: Iterable[Path], *, overwrite: bool, moving: bool) -> WrittenFormat: ...
def check_output_file(output: Path, photos: Iterable[Path], *, overwrite: bool, moving: bool = False) -> WrittenFormat:
    """The format of a picture that is to be written to `output`; with `moving` it may be GIF.

    Raises UsageError if its name is that of no format, if it is one of the photos, or if something is there already
    that it may not, or cannot, replace.
    """
    name, suffix = display(output), output.suffix.lower()
    known: WrittenFormat | None = "gif" if moving and suffix == _GIF else FORMAT_OF_SUFFIX.get(suffix)
    if known is None or suffix not in WRITTEN[known].suffixes:
        endings = ", ".join(each.suffixes[0] for each in FORMATS.values())
        raise UsageError(f"--output {name}: give the name of a picture, which ends in one of {endings}")
    if _recognizer(photos)(output):
        raise UsageError(f"--output {name} is one of the photos; give another name")
    if os.path.isdir(output):  # noqa: PTH112 - as above
        raise UsageError(f"--output {name} is a folder; give another name")
    if os.path.lexists(output) and not overwrite:
        raise UsageError(f"{name} is there already; --overwrite replaces it, --output FILE gives another name")
    return known


def target_among_photos(jobs: Iterable[AnyJob], inputs: Iterable[Path], *, output: Path | None) -> Path | None:
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
