"""Photos, references and candidates' pictures to a survey: a page to publish and a key to keep."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from toonify.errors import ImageError, ToonifyError, UsageError, describe, display
from toonify.evaluate.candidates import Drawn
from toonify.images import Photo
from toonify.jobs.find import Found
from toonify.pages.embed import page_jpeg, read_picture, same_shape
from toonify.study.page import PAGE_NAME, render_page
from toonify.study.plan import (
    DEFAULT_QUESTIONS,
    DEFAULT_REPEATS,
    LINE,
    MAX_CANDIDATES,
    MAX_TITLE,
    MIN_CANDIDATES,
    Key,
    KeyQuestion,
    Plan,
    Showing,
    make_forms,
    most_repeats,
)
from toonify.system.files import replacing, write_atomically
from toonify.version import __version__

_LONG_SIDE = 640  # of pictures in the page
_QUALITY = 85


@dataclass(frozen=True)
class Survey:
    """A survey that is ready to be written."""

    page: str
    key: Key
    pictures: int
    failed: list[tuple[Path, str]]  # photos and references that could not take part, and why
    notes: list[str]


@dataclass(frozen=True)
class _Question:
    photo: Found
    shape: tuple[int, int]  # height, width
    pictures: list[bytes]  # by candidate


def key_path(output: Path) -> Path:
    """Where the key of the survey in `output` lies: beside the folder, which is published."""
    return _beside(output, ".key.json")


def pictures_folder(output: Path) -> Path:
    """Where candidates draw for the survey in `output`, so that a second build finds what is drawn."""
    return _beside(output, ".pictures")


def answers_folder(output: Path) -> Path:
    """Where answers to the survey in `output` are collected unless another folder is named."""
    return _beside(output, ".answers")


def _beside(output: Path, suffix: str) -> Path:
    named = output if output.name not in ("", "..") else output.resolve()
    if not named.name:
        raise UsageError(f"--output {display(output)}: there is no place beside it; give a folder")
    return named.with_name(named.name + suffix)


def check_title(title: str) -> None:
    """Raise UsageError unless `title` can stand over a page and a tally."""
    if not title.strip():
        raise UsageError("--title is empty; give some words, or leave it out")
    if len(title) > MAX_TITLE:
        raise UsageError(f"--title has {len(title)} characters; give {MAX_TITLE} at most")
    if not re.search(LINE, title):
        raise UsageError("--title has control characters, line breaks or bytes that are no UTF-8; give plain words")


def check_output(output: Path, *, overwrite: bool) -> None:
    """Raise UsageError unless a survey can be written to the folder `output`."""
    key, page = key_path(output), output / PAGE_NAME
    if output.exists() and not output.is_dir():
        raise UsageError(f"--output {display(output)} is a file; give a folder")
    there = [path for path in (key, page) if path.exists()]
    if there and not overwrite:
        raise UsageError(
            f"{display(there[0])} is there already, and answers to it cannot be read without its key; "
            "give another --output, or --overwrite"
        )
    strangers = sorted(path.name for path in output.iterdir()) if output.is_dir() and page not in there else []
    if strangers:
        raise UsageError(
            f"--output {display(output)} holds other things ({display(strangers[0])}), and all of it would be "
            "published; give an empty folder"
        )


def choose_numbers(photos: int, candidates: int, questions: int | None, repeats: int | None) -> tuple[int, int]:
    """How many questions and repeats a survey has; None: the usual number, or what there can be.

    Raises UsageError if the numbers do not go together.
    """
    if not MIN_CANDIDATES <= candidates <= MAX_CANDIDATES:
        raise UsageError(
            f"a question compares {MIN_CANDIDATES} to {MAX_CANDIDATES} styles, and {candidates} were given"
        )
    if questions is None:
        questions = min(DEFAULT_QUESTIONS, photos)
    if questions > photos:
        raise UsageError(f"--questions {questions} is more than there are photos ({photos}); lower it, or give more")
    if repeats is None:
        repeats = min(DEFAULT_REPEATS, most_repeats(questions))
    if repeats > most_repeats(questions):
        raise UsageError(f"--repeats {repeats} is over half of {questions} questions; give {most_repeats(questions)}")
    return questions, repeats


def make_survey(
    photos: Sequence[Found],
    references: Sequence[Found],
    drawings: Mapping[str, Drawn],
    *,
    title: str,
    repeats: int,
    seed: int,
    random: np.random.Generator,
) -> Survey:
    """A question for every photo that all candidates have drawn, paired with references by chance.

    `drawings` has the candidates' pictures by their names, `seed` is what `random` was made from. All pictures are
    encoded alike and carry no metadata. Where photos fail, repeats are cut to what the rest allows.

    Raises ToonifyError if nothing is left to ask about or to compare with.
    """
    failed: list[tuple[Path, str]] = []
    misshapen = dict.fromkeys(drawings, 0)
    questions = []
    for photo in photos:
        try:
            questions.append(_read_question(photo, drawings, misshapen))
        except ImageError as error:
            failed.append((photo.path, str(error)))
    if not questions:
        raise ToonifyError(f"no photo has a picture by every candidate: {display(failed[0][0])}: {failed[0][1]}")
    paired = _pair_references(references, len(questions), failed, random)

    count = len(drawings)
    # makers[q][j]: the candidate who made picture j of question q; its inverse brings orders to pictures' numbers.
    makers = [[int(maker) for maker in random.permutation(count)] for _ in questions]
    forms = tuple(
        tuple(Showing(s.question, tuple(makers[s.question].index(maker) for maker in s.order)) for s in form)
        for form in make_forms(len(questions), count, min(repeats, most_repeats(len(questions))), random)
    )
    pictures = []
    for number, (question, (_, reference)) in enumerate(zip(questions, paired, strict=True)):
        pictures.append((f"q{number}r", reference))
        pictures += [(f"q{number}p{j}", question.pictures[maker]) for j, maker in enumerate(makers[number])]
    plan = Plan(
        survey="0" * 16,
        title=title,
        candidates=count,
        shapes=tuple((question.shape[1], question.shape[0]) for question in questions),
        forms=forms,
    )
    digest = hashlib.sha256(msgspec.json.encode(plan))
    for _, data in pictures:
        digest.update(data)
    plan = msgspec.structs.replace(plan, survey=digest.hexdigest()[:16])
    key = Key(
        toonify=__version__,
        seed=seed,
        plan=plan,
        candidates=tuple(display(name) for name in drawings),
        questions=tuple(
            KeyQuestion(_name(question.photo), _name(found), tuple(made))
            for question, (found, _), made in zip(questions, paired, makers, strict=True)
        ),
    )
    notes = [
        f"{name}: {count} of its pictures have another shape than the photo and are shown with margins"
        for name, count in misshapen.items()
        if count
    ]
    return Survey(render_page(plan, pictures), key, len(pictures), failed, notes)


def write_survey(survey: Survey, output: Path, *, overwrite: bool) -> Path:
    """Write key and page, and return the page's path. Raises ToonifyError if they cannot be written.

    A page without its key is worth nothing: of a new survey the key comes first, and an old one's is replaced only
    when the new page is there as a whole.
    """
    page = output / PAGE_NAME
    key = msgspec.json.encode(survey.key) + b"\n"
    try:
        output.mkdir(parents=True, exist_ok=True)
        if overwrite:
            with replacing(page) as file:
                file.write(survey.page.encode())
                file.flush()  # so that a full disk is noticed before
                write_atomically(key_path(output), key, overwrite=True)
        else:
            write_atomically(key_path(output), key)
            write_atomically(page, survey.page.encode())
    except OSError as error:
        raise ToonifyError(f"--output {display(output)} cannot be written: {describe(error)}") from error
    return page


def _read_question(photo: Found, drawings: Mapping[str, Drawn], misshapen: dict[str, int]) -> _Question:
    """Raises ImageError if the photo or a picture of it is missing or cannot be read."""
    if photo.problem is not None:
        raise ImageError(photo.problem)
    shape = read_picture(photo.path).pixels.shape
    pictures, strange = [], []
    for name, drawn in drawings.items():
        if photo.path not in drawn.pictures:
            raise ImageError(f"{name}: {dict(drawn.failed).get(photo.path, 'no picture of it')}")
        try:
            picture = read_picture(drawn.pictures[photo.path])
        except ImageError as error:
            raise ImageError(f"{name}: {display(drawn.pictures[photo.path])}: {error}") from error
        if not same_shape(picture.pixels.shape, shape):
            strange.append(name)
        pictures.append(_encode(picture, shape))
    for name in strange:
        misshapen[name] += 1
    return _Question(photo, (shape[0], shape[1]), pictures)


def _pair_references(
    references: Sequence[Found], count: int, failed: list[tuple[Path, str]], random: np.random.Generator
) -> list[tuple[Found, bytes]]:
    """As many references as there are questions, each used equally often, up to one."""
    good: list[tuple[Found, bytes]] = []
    for i in random.permutation(len(references)):
        found = references[i]
        if len(good) == count:
            break
        try:
            if found.problem is not None:
                raise ImageError(found.problem)
            good.append((found, _encode(read_picture(found.path))))
        except ImageError as error:
            failed.append((found.path, str(error)))
    if not good:
        raise ToonifyError(f"no reference can be read: {display(failed[-1][0])}: {failed[-1][1]}")
    return [good[i % len(good)] for i in range(count)]


def _encode(picture: Photo, shape: tuple[int, ...] | None = None) -> bytes:
    return page_jpeg(picture, long_side=_LONG_SIDE, quality=_QUALITY, shape=shape)


def _name(found: Found) -> str:
    return display(found.path.relative_to(found.root) if found.root else found.path.name)
