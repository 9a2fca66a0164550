"""What a survey shows to whom, as data: all chance is drawn when the survey is built, and none of it in the browser.

A survey has *forms*, each a complete sequence of showings. A visitor's random token picks the form, so the tally knows
exactly what everyone was shown. In a question the pictures are numbered 0, 1, ... in an order that is shuffled for each
question alone: the published plan does not say which pictures of two questions have the same maker. The key does.
(Neither is it a cipher: every form is balanced, and who solves for that can find out.)
"""

from typing import Annotated

import msgspec
import numpy as np

MIN_CANDIDATES, MAX_CANDIDATES = 2, 9  # the keys 1 to 9 choose
DEFAULT_QUESTIONS, DEFAULT_REPEATS = 24, 3
_LEAST_FORMS = 24

SurveyId = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{16}\Z")]
Token = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{32}\Z")]
Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]  # what JavaScript can count
Side = Annotated[int, msgspec.Meta(ge=1)]
MAX_TITLE = 200  # characters
# Text that can be printed anywhere: no control characters, line breaks, surrogates, or marks that turn a line round.
LINE = r"^[^\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]*\Z"
Line = Annotated[str, msgspec.Meta(pattern=LINE)]
Title = Annotated[str, msgspec.Meta(pattern=LINE, min_length=1, max_length=MAX_TITLE)]


class Showing(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """A question as one form shows it."""

    question: Count
    order: tuple[Count, ...]  # the numbers of its pictures, from the first position to the last


_Row = tuple[list[tuple[int, ...]], int]  # a Latin square, and the place of a row in it
Form = tuple[Showing, ...]  # a question that comes a second time is a repeat: it checks attention and is no vote


class Plan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the page and the tally must know; it is published, and names nobody."""

    survey: SurveyId
    title: Title
    candidates: Annotated[int, msgspec.Meta(ge=MIN_CANDIDATES, le=MAX_CANDIDATES)]
    shapes: Annotated[tuple[tuple[Side, Side], ...], msgspec.Meta(min_length=1)]  # width, height of questions' pictures
    forms: Annotated[tuple[Form, ...], msgspec.Meta(min_length=1)]

    def __post_init__(self) -> None:
        everyone = list(range(self.candidates))
        for form in self.forms:
            if len(form) != len(self.forms[0]) or {showing.question for showing in form} != set(range(self.questions)):
                raise ValueError("a form does not show every question")
            if any(sorted(showing.order) != everyone for showing in form):
                raise ValueError("a form does not show every picture of a question")

    @property
    def questions(self) -> int:
        """How many questions are voted on."""
        return len(self.shapes)

    def form_of(self, token: str) -> int:
        """The form that a visitor's token picks; page.js does the same."""
        return int(token, 16) % len(self.forms)


class KeyQuestion(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a question was made of."""

    photo: Line
    reference: Line
    makers: tuple[Count, ...]  # of its pictures: indices into the key's candidates


class Key(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whose pictures they are. Not to be published while people answer."""

    toonify: Line  # the version that built the survey
    seed: Count
    candidates: tuple[Line, ...]
    questions: tuple[KeyQuestion, ...]
    plan: Plan

    def __post_init__(self) -> None:
        everyone = list(range(self.plan.candidates))
        if len(self.candidates) != len(everyone) or len(self.questions) != self.plan.questions:
            raise ValueError("the key and its plan do not agree")
        if any(sorted(question.makers) != everyone for question in self.questions):
            raise ValueError("a question has not one picture of every candidate")


def number_of_forms(candidates: int) -> int:
    """The least number from 24 on that holds pairs of forms and groups of as many forms as there are candidates."""
    return -(-_LEAST_FORMS // (2 * candidates)) * 2 * candidates


def most_repeats(questions: int) -> int:
    """How many questions can come a second time, well after the first."""
    return questions // 2


def make_forms(questions: int, candidates: int, repeats: int, random: np.random.Generator) -> tuple[Form, ...]:
    """Draw the forms; orders are of candidates here, not yet of pictures' numbers.

    Counting the showings that are voted on (the first of each question), every candidate stands in every position
    equally often, up to one, in each form; exactly equally often for each question over all forms. The forms come in
    pairs that ask in opposite order. A form asks `repeats` questions of its first half once more, a third of the
    questions later where there are so many and never next to the first time, with every candidate in another position.

    `repeats` is no more than `most_repeats`.
    """
    count = number_of_forms(candidates)
    sequences: list[list[int]] = []
    while len(sequences) < count:
        sequence = [int(question) for question in random.permutation(questions)]
        sequences += [sequence, sequence[::-1]]
    times_repeated = [0] * questions
    forms: list[Form] = []
    while len(forms) < count:
        # In a group of forms each question has a row of a Latin square, and the next row in the next form.
        rows: dict[int, _Row] = {}
        shuffled = [int(question) for question in random.permutation(questions)]
        for start in range(0, questions, candidates):
            square = _latin_square(candidates, random)
            for row, question in enumerate(shuffled[start : start + candidates]):
                rows[question] = square, row
        for _ in range(candidates):
            sequence = sequences[len(forms)]
            pool = [int(question) for question in random.permutation(sequence[: (questions + 1) // 2])]
            repeated = sorted(pool, key=lambda question: times_repeated[question])[:repeats]
            for question in repeated:
                times_repeated[question] += 1
            forms.append(_form(sequence, repeated, rows, random))
            rows = {question: (square, (row + 1) % candidates) for question, (square, row) in rows.items()}
    return tuple(forms)


def _form(
    sequence: list[int],
    repeated: list[int],
    rows: dict[int, _Row],
    random: np.random.Generator,
) -> Form:
    """The showings of one form: the sequence, with the repeats let in."""
    least_gap = max(1, len(sequence) // 3)
    again: dict[int, list[Showing]] = {place: [] for place in range(len(sequence))}
    for question in repeated:
        square, row = rows[question]
        other = (row + int(random.integers(1, len(square)))) % len(square)
        place = int(random.integers(sequence.index(question) + least_gap, len(sequence)))
        again[place].append(Showing(question, square[other]))
    form: list[Showing] = []
    for place, question in enumerate(sequence):
        square, row = rows[question]
        form += [Showing(question, square[row]), *again[place]]
    return tuple(form)


def _latin_square(size: int, random: np.random.Generator) -> list[tuple[int, ...]]:
    """Rows in which everyone stands once, and once in each column over all rows; neighbors vary from draw to draw."""
    symbols, columns = random.permutation(size), random.permutation(size)
    return [tuple(int(symbol) for symbol in symbols[(columns + row) % size]) for row in range(size)]
