"""A visitor's answers: a small JSON file, believed only where it fits the survey in every particular.

The checks catch what is damaged, cut off, edited by hand, of another survey, or sent twice. They do not catch somebody
who reads the page's source and makes up a whole consistent file: the page has no secret that such a person would lack.
Who collects on a machine of their own (`toonify study serve`), or knows whom they asked, can judge that.
"""

import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from toonify.errors import AnswersError, display
from toonify.study.plan import Count, Plan, SurveyId, Token
from toonify.system.json_data import decode_json

MAX_BYTES = 65_536
_DAY = 86_400_000


class Answer(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """What was chosen in one showing."""

    question: Count
    choice: Count  # the number of a picture
    milliseconds: Annotated[int, msgspec.Meta(ge=0, le=_DAY)]  # that the question was on screen


class Answers(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All answers of one visitor, in the order of their form. The page writes the fields in this order."""

    format: Literal[1]
    survey: SurveyId
    token: Token  # random, drawn by the page; says nothing of the visitor
    form: Count
    answers: tuple[Answer, ...]
    checksum: str


def checksum(answers: Answers) -> str:
    """CRC-32, in hex, of the compact JSON of all other fields; page.js computes the same."""
    fields = msgspec.structs.asdict(answers)
    del fields["checksum"]
    return f"{zlib.crc32(msgspec.json.encode(fields)):08x}"


def parse_answers(data: bytes, plan: Plan) -> Answers:
    """Answers from JSON. Raises AnswersError unless they are whole and answer exactly what the visitor was shown."""
    if len(data) > MAX_BYTES:
        raise AnswersError(f"over {MAX_BYTES} bytes, which no answers are")
    try:
        answers = decode_json(data, type=Answers)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        # It may quote names from the file, which are whatever somebody wrote there.
        raise AnswersError(f"no answers, or cut off: {display(str(error))[:200]}") from error
    if answers.survey != plan.survey:
        raise AnswersError(f"of another survey ({answers.survey}, not {plan.survey})")
    if answers.checksum != checksum(answers):
        raise AnswersError("its checksum does not fit: it was changed or damaged")
    if answers.form != plan.form_of(answers.token):
        raise AnswersError("its form is not that of its token")
    form = plan.forms[answers.form]
    if [answer.question for answer in answers.answers] != [showing.question for showing in form]:
        raise AnswersError("it does not answer the questions of its form, each in its turn")
    if any(answer.choice >= plan.candidates for answer in answers.answers):
        raise AnswersError("it chooses a picture that was not shown")
    return answers


def read_answers(path: Path, plan: Plan) -> Answers:
    """Answers from a file. Raises AnswersError as `parse_answers` does, and if the file cannot be read."""
    try:
        if not path.is_file():  # to open a pipe would wait for ever
            raise AnswersError("not a regular file")
        with path.open("rb") as file:
            return parse_answers(file.read(MAX_BYTES + 1), plan)
    except OSError as error:
        raise AnswersError(f"cannot be read: {error.strerror}") from error


@dataclass
class Collected:
    """What a number of files came to."""

    answers: list[Answers] = field(default_factory=list)  # each visitor once
    refused: list[tuple[Path, str]] = field(default_factory=list)  # and why
    duplicates: list[tuple[Path, Path]] = field(default_factory=list)  # a file, and the one that says the same


def collect_answers(paths: Iterable[Path], plan: Plan) -> Collected:
    """Read many files; the same answers count once.

    Files that give different answers for one token are all refused: nothing tells which of them is true.
    """
    collected = Collected()
    by_token: dict[str, list[tuple[Path, Answers]]] = {}
    for path in paths:
        try:
            answers = read_answers(path, plan)
        except AnswersError as error:
            collected.refused.append((path, str(error)))
        else:
            by_token.setdefault(answers.token, []).append((path, answers))
    for same in by_token.values():
        first, answers = same[0]
        others = [path for path, other in same if other != answers]
        if others:
            collected.refused += [
                (
                    path,
                    f"one visitor, different answers: see {display((others[0] if other == answers else first).name)}",
                )
                for path, other in same
            ]
            continue
        collected.answers.append(answers)
        collected.duplicates += [(path, first) for path, _ in same[1:]]
    return collected
