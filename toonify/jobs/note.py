"""What pictures and videos say of their making: how a rerun knows what is done, and what else is in a place.

A note is `toonify VERSION MAKER recipe:DIGEST`, and since 0.2.0 ` source:DIGEST {OPTIONS}` after it: the first digest
is of source, steps and options together, the second of the source alone; the options are JSON, by the flags that they
are typed with. Paths are not in it.
"""

import hashlib
import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from io import BufferedIOBase
from pathlib import Path
from types import MappingProxyType
from typing import Any

from toonify.images import VIDEO_SUFFIXES, read_processing_note
from toonify.version import __version__

_NOTE = re.compile(r"toonify (\S+) (\S+) recipe:([0-9a-f]{16})(?: source:([0-9a-f]{16}) (\{.*\}))?")


@dataclass(frozen=True)
class Recipe:
    """How a picture is made, apart from its source. It makes a rerun know what is done, whatever the files' dates."""

    maker: str  # for the reader
    version: int  # of the steps: raise it when they change, and pictures count as made otherwise
    options: list[Any]  # JSON; the same options must give the same text in later versions of toonify, too
    flags: Mapping[str, Any] = field(default_factory=dict)  # the options for the reader: plain values by what is typed


@dataclass(frozen=True)
class Note:
    """A note that was read."""

    maker: str
    recipe: str
    source: str | None  # None: by toonify 0.1.0
    flags: Mapping[str, Any] | None


def making_notes(file: BufferedIOBase, *recipes: Recipe) -> list[str]:
    """What a picture would say of its making (toonify:ProcessingSoftware in XMP) by each recipe.

    The first is the one to write; the others are what earlier versions of toonify wrote for the same picture. Reads
    the file, and leaves it at its beginning.
    """
    file.seek(0)
    source = hashlib.file_digest(file, "sha256").hexdigest()
    file.seek(0)
    notes = []
    for recipe in recipes:
        digest = hashlib.sha256(json.dumps([recipe.version, source, *recipe.options]).encode()).hexdigest()[:16]
        note = f"toonify {__version__} {recipe.maker} recipe:{digest}"
        if recipe.flags:
            note += f" source:{source[:16]} {json.dumps(recipe.flags, separators=(',', ':'))}"
        notes.append(note)
    return notes


def read_note(path: Path) -> str | None:
    """What a picture or video says of its making; None for one that says nothing, and for any other file."""
    if path.suffix.lower() in VIDEO_SUFFIXES:
        from toonify.videos.mux import read_note as read_note_of_video

        return read_note_of_video(path)
    return read_processing_note(path)


def parse_note(text: str | None) -> Note | None:
    """Read a note; None for what is none, of a picture of somebody else's."""
    match = _NOTE.fullmatch(text or "")
    if match is None:
        return None
    try:
        flags = None if match[5] is None else json.loads(match[5])
    except (ValueError, RecursionError):
        return None
    return Note(match[2], match[3], match[4], flags)


def with_flag(note: str, flag: str, value: Any) -> str:
    """A note that says one thing more for the reader; the same note where that is None."""
    found = parse_note(note)
    if value is None or found is None or found.flags is None:
        return note
    return note[: note.index(" {")] + " " + json.dumps({**found.flags, flag: value}, separators=(",", ":"))


def is_made_by(note: str | None, notes: Sequence[str]) -> bool:
    """Whether the note of a picture is one of `making_notes`, by whichever version of toonify."""
    found = parse_note(note)
    wanted = {(each.maker, each.recipe) for each in map(parse_note, notes) if each is not None}
    return found is not None and (found.maker, found.recipe) in wanted


def what_is_there(
    note: str | None,
    expected: str,
    follows: Mapping[str, Collection[str]] = MappingProxyType({}),
    formerly: Mapping[str, Any] = MappingProxyType({}),
) -> str:
    """What a picture is that is in the place of another, whose note would be `expected`.

    `follows`: the flags that are not worth a word where the one before them differs. `formerly`: the values of flags
    that older notes do not have.
    """
    found, wanted = parse_note(note), parse_note(expected)
    if found is None or wanted is None:
        return "another file is in its place"
    if found.source is None or found.flags is None or wanted.flags is None:
        return "a picture is in its place that toonify made from another file or with other options"
    if found.source != wanted.source:
        return "a picture is in its place that toonify made from another file"
    there = {**formerly, **found.flags}
    differing = [flag for flag, value in wanted.flags.items() if there.get(flag) != value]
    for flag in [*differing]:
        if flag in differing:
            differing = [other for other in differing if other not in follows.get(flag, ())]
    if not differing:
        return "it was made in the same way by an earlier toonify"
    told = (f"{flag} {_plain(there.get(flag))} there, {_plain(wanted.flags[flag])} now" for flag in differing)
    return f"it was made from the same file with other options ({'; '.join(told)})"


def _plain(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)
