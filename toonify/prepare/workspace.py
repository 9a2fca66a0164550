"""The folder that is made: nothing in it is seen before it is decided on, and an interrupted run goes on.

While pictures are looked at, squares and a journal gather in a hidden folder inside. At the end near-duplicates are
found, names are given, and the plan of it all is written down; then files are moved to their places, and the manifest
is written. Whenever the run ends, the next one takes up the journal or the plan.
"""

import contextlib
import os
import secrets
import shutil
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from toonify.errors import ToonifyError, UsageError, describe, display, one_line
from toonify.prepare.hashing import find_duplicates
from toonify.prepare.manifest import (
    MANIFEST,
    Cut,
    Manifest,
    Options,
    Picture,
    Source,
    check_below,
    count,
    encode_manifest,
    read_manifest,
)
from toonify.system.files import write_atomically
from toonify.system.json_data import decode_json
from toonify.version import __version__

_WORK, _JOURNAL, _PLAN = ".toonify-prepare", "journal.jsonl", "plan.json"


class _Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The first line of the journal."""

    options: Options
    anew: bool  # what the folder has of an earlier run is replaced at the end


class _Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Each further line of the journal."""

    source: Source  # its cuts name files in the hidden folder
    name: str  # of its pictures, below the folder and without suffix


class _Plan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is left to do once everything is decided."""

    manifest: Manifest
    moves: dict[str, str]  # from the hidden folder to the folder
    remove: list[str]  # pictures of the manifest that is replaced

    def __post_init__(self) -> None:
        for name in (*self.moves, *self.moves.values(), *self.remove):
            check_below(name)


@dataclass
class Workspace:
    """A folder that is being prepared; `open_workspace` opens it."""

    folder: Path
    options: Options
    anew: bool
    settled: tuple[Source, ...]  # of the earlier manifest: their pictures are in place and stay there
    entries: list[_Entry] = field(default_factory=list)  # what was looked at since then

    def known(self) -> dict[str, Source]:
        """What needs not be looked at again, by sha256."""
        return {source.sha256: source for source in (*self.settled, *(entry.source for entry in self.entries))}

    def store(self, data: bytes) -> str:
        """Put a square into the hidden folder and return its name there. Raises ToonifyError."""
        name = f"{secrets.token_hex(8)}.png"
        with _writing():
            work = _make_work(self.folder)
            write_atomically(work / name, data)
        return name

    def add(self, source: Source, name: str) -> None:
        """Note a source that was looked at; `name` is that of its pictures. Raises ToonifyError."""
        entry = _Entry(source, name)
        with _writing(), (_make_work(self.folder) / _JOURNAL).open("ab") as file:
            if file.tell() == 0:
                file.write(msgspec.json.encode(_Header(self.options, self.anew)) + b"\n")
            file.write(msgspec.json.encode(entry) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        self.entries.append(entry)

    def finish(self) -> Manifest:
        """Drop near-duplicates, move the others to their places and write the manifest. Raises ToonifyError.

        Of near-duplicates the largest stays, of equally large ones the sharpest; but what is in place already stays in
        any case.
        """
        earlier = read_manifest(self.folder)
        if not self.entries and earlier is not None:
            return earlier
        replaced = earlier.files if earlier is not None and self.anew else set()
        sources, moves = self._decide(replaced)
        manifest = Manifest(__version__, self.options, count(sources), sources)
        with _writing():
            plan = _Plan(manifest, moves, sorted(replaced - manifest.files))
            write_atomically(_make_work(self.folder) / _PLAN, msgspec.json.encode(plan), overwrite=True)
            _carry_out(self.folder)
        return manifest

    def _decide(self, replaced: set[str]) -> tuple[tuple[Source, ...], dict[str, str]]:
        """All sources as the manifest tells them, and the moves that make it true."""
        settled = [picture for source in self.settled for picture in source.pictures if picture.cuts]
        pictures = {
            (number, place): picture
            for number, entry in enumerate(self.entries)
            for place, picture in enumerate(entry.source.pictures)
            if picture.left_out is None
        }
        ranked = sorted(pictures, key=lambda key: pictures[key].rank)
        hashes = [int(picture.hash or "0", 16) for picture in (*settled, *(pictures[key] for key in ranked))]
        duplicates = find_duplicates(hashes, self.options.hash_distance)
        of = dict(zip(ranked, duplicates[len(settled) :], strict=True))

        names = _Names(self.folder, {cut.file for picture in settled for cut in picture.cuts}, replaced)
        cuts = {
            key: names.give(self.entries[key[0]].name, picture) for key, picture in pictures.items() if of[key] is None
        }
        moves = {old.file: new.file for key in cuts for old, new in zip(pictures[key].cuts, cuts[key], strict=True)}
        files = [picture.cuts[0].file for picture in settled]
        files += [cuts[key][0].file if key in cuts else "" for key in ranked]
        for key, other in of.items():
            if other is None:
                pictures[key] = msgspec.structs.replace(pictures[key], cuts=cuts[key])
            else:
                pictures[key] = msgspec.structs.replace(
                    pictures[key], left_out="near-duplicate", duplicate_of=files[other], cuts=()
                )
        looked_at = [
            msgspec.structs.replace(
                entry.source,
                pictures=tuple(pictures.get((i, n), picture) for n, picture in enumerate(entry.source.pictures)),
            )
            for i, entry in enumerate(self.entries)
        ]
        return (*self.settled, *looked_at), moves


def open_workspace(folder: Path, options: Options, *, overwrite: bool = False) -> Workspace:
    """Take up what `folder` has of an earlier run, or a folder that is not there or empty.

    With `overwrite`, the pictures that the earlier run made are replaced at the end; others are never touched. Raises
    UsageError if the folder was made by something else, or with other options; ToonifyError.
    """
    if (folder / _WORK / _PLAN).is_file():  # all but the last moves was done
        with _writing():
            _carry_out(folder)
    earlier = read_manifest(folder)
    journal = folder / _WORK / _JOURNAL
    unfinished, entries = _read_journal(journal) if journal.is_file() else (None, [])
    if overwrite and unfinished is not None and unfinished != _Header(options, anew=True):
        shutil.rmtree(folder / _WORK)
        unfinished, entries = None, []
    if earlier is None and unfinished is None and folder.is_dir() and any(p.name != _WORK for p in folder.iterdir()):
        raise UsageError(f"OUT {display(folder)} has other files in it; give an empty folder, or one that is not there")
    anew = unfinished.anew if unfinished is not None else overwrite
    for made in (unfinished, None if anew else earlier):
        if made is not None and made.options != options:
            raise UsageError(_difference(folder, made.options, options))
    # What could not be read gets another chance.
    settled = () if anew or earlier is None else tuple(source for source in earlier.sources if not source.is_broken)
    return Workspace(folder, options, anew, settled, [entry for entry in entries if not entry.source.is_broken])


def _read_journal(path: Path) -> tuple[_Header | None, list[_Entry]]:
    """What is whole in a journal; what a run that was killed left behind it is cut off."""
    header, entries, length = None, [], 0
    with path.open("rb") as file:
        for line in file:
            try:
                if header is None:
                    header = decode_json(line, type=_Header)
                else:
                    entries.append(decode_json(line, type=_Entry))
            except msgspec.MsgspecError:
                break
            length += len(line)
    os.truncate(path, length)
    return header, entries


def _difference(folder: Path, made: Options, options: Options) -> str:
    theirs, ours = made.flags(), options.flags()
    differing = [name for name in theirs if getattr(made, name) != getattr(options, name)]
    return (
        f"OUT {display(folder)} was made with {', '.join(theirs[name] for name in differing)}, not "
        f"{', '.join(ours[name] for name in differing)}; give another folder, or --overwrite to replace it"
    )


def _carry_out(folder: Path) -> None:
    """Do what the plan says; what is done already is left alone. Raises UsageError if it cannot be understood."""
    work = folder / _WORK
    try:
        plan = decode_json((work / _PLAN).read_bytes(), type=_Plan)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        path = display(work / _PLAN)
        raise UsageError(f"{path} cannot be understood: {one_line(error)}; give another folder") from error
    for old, new in plan.moves.items():
        if (work / old).exists():
            (folder / new).parent.mkdir(parents=True, exist_ok=True)
            (work / old).replace(folder / new)
    for name in plan.remove:
        (folder / name).unlink(missing_ok=True)
    write_atomically(folder / MANIFEST, encode_manifest(plan.manifest), overwrite=True)
    shutil.rmtree(work)


class _Names:
    """Gives pictures names that are free."""

    def __init__(self, folder: Path, taken: set[str], replaced: set[str]) -> None:
        self._folder = folder
        self._taken = {_key(name) for name in taken}
        self._replaced = replaced

    def give(self, name: str, picture: Picture) -> tuple[Cut, ...]:
        """The picture's cuts with the names that they get: NAME[_TIME][_2][_1].png."""
        if picture.seconds is not None:
            name = f"{name}_{timestamp(picture.seconds)}"
        number = 1
        while True:
            stem = name if number == 1 else f"{name}_{number}"
            many = len(picture.cuts) > 1
            files = [f"{stem}_{i}.png" if many else f"{stem}.png" for i in range(1, len(picture.cuts) + 1)]
            if all(self._is_free(file) for file in files):
                break
            number += 1
        self._taken.update(map(_key, files))
        return tuple(Cut(file, cut.box) for file, cut in zip(files, picture.cuts, strict=True))

    def _is_free(self, name: str) -> bool:
        there = os.path.lexists(self._folder / name) and name not in self._replaced
        return not there and _key(name) not in self._taken


def timestamp(seconds: float) -> str:
    """Seconds as they can stand in a file's name: 00-12-34-567."""
    milliseconds = round(seconds * 1000)
    minutes, milliseconds = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}-{minutes:02}-{milliseconds // 1000:02}-{milliseconds % 1000:03}"


def _key(name: str) -> str:
    """Equal for names that some file system takes for one."""
    return unicodedata.normalize("NFC", name).casefold()


def _make_work(folder: Path) -> Path:
    work = folder / _WORK
    work.mkdir(parents=True, exist_ok=True)
    return work


@contextlib.contextmanager
def _writing() -> Iterator[None]:
    """What goes wrong with writing here ends the run; the pictures are not to blame."""
    try:
        yield
    except OSError as error:
        raise ToonifyError(f"OUT cannot be written: {describe(error)}") from error
