"""What a picture says of its making, and what is said of one that is in the way."""

import io
from typing import Any

import pytest

from toonify.jobs.note import Recipe, is_made_by, making_notes, parse_note, what_is_there

OLD = "toonify 0.1.0 cat/lite recipe:0123456789abcdef"


def note(content: bytes = b"a photo", version: int = 1, **flags: Any) -> str:
    told = {f"--{name}": value for name, value in flags.items()}
    return making_notes(io.BytesIO(content), Recipe("cat/lite", version, [sorted(flags.items())], told))[0]


def test_a_note_is_read_as_it_was_written() -> None:
    found = parse_note(note(size=64, raw=False))
    assert found is not None and found.flags == {"--size": 64, "--raw": False} and found.maker == "cat/lite"


def test_the_note_of_the_first_version_is_read() -> None:
    found = parse_note(OLD)
    assert found is not None and (found.recipe, found.source, found.flags) == ("0123456789abcdef", None, None)


@pytest.mark.parametrize(
    "text", [None, "", "GIMP 2.10", "toonify", OLD + " more", OLD + " source:0123456789abcdef {1}"]
)
def test_what_is_no_note_of_ours_is_none(text: str | None) -> None:
    assert parse_note(text) is None and not is_made_by(text, [OLD])


@pytest.mark.parametrize(
    ("there", "said"),
    [
        (None, "another file is in its place"),
        (OLD, "a picture is in its place that toonify made from another file or with other options"),
        (note(b"another", size=64), "a picture is in its place that toonify made from another file"),
        (note(size=64, strength=1.0, version=2), "it was made in the same way by an earlier toonify"),
        (
            note(size=32, strength=0.5),
            "it was made from the same file with other options (--size 32 there, 64 now; --strength 0.5 there, 1 now)",
        ),
    ],
)
def test_what_is_in_the_place_of_a_picture_is_named(there: str | None, said: str) -> None:
    assert what_is_there(there, note(size=64, strength=1.0)) == said


def test_what_follows_from_another_flag_is_not_named() -> None:
    said = what_is_there(
        note(look="soft", lines=0.0, size=8), note(look="bold", lines=1.0, size=9), {"--look": {"--lines"}}
    )
    assert "--look soft there, bold now" in said and "--size" in said and "--lines" not in said
