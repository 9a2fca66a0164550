"""A survey from plan to tally: balance counted out, figures against closed forms, files that lie, real HTTP."""

import csv
import functools
import http.client
import io
import json
import math
import os
import re
import socket
import threading
import tracemalloc
import xml.etree.ElementTree as ElementTree
import zlib
from base64 import b64decode
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from toonify.cli import main
from toonify.errors import AnswersError, UsageError, display
from toonify.pages.server import Server, is_loopback
from toonify.study.answers import MAX_BYTES, Answer, Answers, checksum, collect_answers, parse_answers
from toonify.study.page import collecting_page, read_plan
from toonify.study.plan import LINE, Key, KeyQuestion, Plan, Showing, make_forms, most_repeats, number_of_forms
from toonify.study.report import as_record, markdown, svg
from toonify.study.serve import Collector, start_server
from toonify.study.tally import chi_square, chi_square_tail, count, fleiss_kappa

Chooser = Callable[[int, int, Showing], int]  # place in the form, question, showing -> candidate


def make_key(questions: int = 5, candidates: int = 3, repeats: int = 2, seed: int = 0) -> Key:
    random = np.random.default_rng(seed)
    makers = [tuple(int(maker) for maker in random.permutation(candidates)) for _ in range(questions)]
    forms = tuple(
        tuple(Showing(s.question, tuple(makers[s.question].index(maker) for maker in s.order)) for s in form)
        for form in make_forms(questions, candidates, repeats, random)
    )
    plan = Plan(f"{seed:016x}", "Which?", candidates, ((4, 3),) * questions, forms)
    made_of = tuple(KeyQuestion(f"{q}.jpg", f"frame{q}.png", makers[q]) for q in range(questions))
    return Key("0", seed, tuple("abcdefghi"[:candidates]), made_of, plan)


def answer(key: Key, person: int, choose: Chooser) -> Answers:
    """The answers of one person who chooses candidates, as the page would write them."""
    token = f"{person:032x}"
    form = key.plan.form_of(token)
    given_answers = tuple(
        Answer(s.question, key.questions[s.question].makers.index(choose(place, s.question, s)), 1500)
        for place, s in enumerate(key.plan.forms[form])
    )
    answers = Answers(1, key.plan.survey, token, form, given_answers, "")
    return msgspec.structs.replace(answers, checksum=checksum(answers))


# The plan


@settings(max_examples=60, deadline=None)
@given(
    questions=st.integers(1, 30),
    candidates=st.integers(2, 6),
    share=st.floats(0, 1),
    seed=st.integers(0, 2**32),
)
def test_a_plan_is_balanced(questions: int, candidates: int, share: float, seed: int) -> None:
    repeats = int(share * most_repeats(questions))
    forms = make_forms(questions, candidates, repeats, np.random.default_rng(seed))
    assert len(forms) == number_of_forms(candidates) >= 24 and len(forms) % (2 * candidates) == 0
    by_question: Counter[tuple[int, int, int]] = Counter()
    places = np.zeros(questions)
    for form in forms:
        assert len(form) == questions + repeats
        firsts: dict[int, Showing] = {}
        times: Counter[int] = Counter()
        for place, showing in enumerate(form):
            assert sorted(showing.order) == list(range(candidates))
            times[showing.question] += 1
            if showing.question not in firsts:
                firsts[showing.question] = showing
                continue
            # A repeat has everybody in another place, and comes after at least one other question.
            before = firsts[showing.question]
            assert all(now != then for now, then in zip(showing.order, before.order, strict=True))
            assert form[place - 1].question != showing.question
        assert set(firsts) == set(range(questions)) and max(times.values()) <= 2
        positions = Counter((c, p) for showing in firsts.values() for p, c in enumerate(showing.order))
        each = [positions[c, p] for c in range(candidates) for p in range(candidates)]
        assert max(each) - min(each) <= 1 and min(each) >= questions // candidates
        by_question.update((q, c, p) for q, showing in firsts.items() for p, c in enumerate(showing.order))
        for place, question in enumerate(firsts):
            places[question] += place
    # Over all forms: each question shows everybody in each position equally often, and comes in the middle on average.
    assert len(by_question) == questions * candidates**2
    assert set(by_question.values()) == {len(forms) // candidates}
    np.testing.assert_allclose(places / len(forms), (questions - 1) / 2)


@pytest.mark.parametrize("questions", [9, 24, 25])
def test_repeats_come_much_later_and_are_spread_over_the_questions(questions: int) -> None:
    forms = make_forms(questions, 3, 3, np.random.default_rng(1))
    repeated: Counter[int] = Counter()
    for form in forms:
        places: dict[int, int] = {}
        for place, showing in enumerate(form):
            if showing.question in places:
                repeated[showing.question] += 1
                assert place - places[showing.question] > questions // 3
            else:
                places[showing.question] = place
    expected = len(forms) * 3 / questions
    assert all(abs(repeated[q] - expected) <= 2 for q in range(questions))


def test_forms_differ_and_neighbors_vary() -> None:
    forms = make_forms(24, 4, 3, np.random.default_rng(2))
    assert len({tuple(showing.question for showing in form) for form in forms}) == len(forms)
    neighbors = Counter(pair for form in forms for showing in form for pair in pairwise(showing.order))
    average = sum(neighbors.values()) / 12
    assert len(neighbors) == 12 and max(neighbors.values()) < 1.3 * average


def test_the_token_picks_every_form_equally_often() -> None:
    plan = make_key().plan
    assert Counter(plan.form_of(f"{token:032x}") for token in range(10 * len(plan.forms))) == dict.fromkeys(
        range(len(plan.forms)), 10
    )


@pytest.mark.parametrize(
    "change",
    [
        {"forms": [[[0, [0, 1]], [0, [1, 0]]]]},
        {"forms": [[[0, [0, 0]], [1, [0, 1]]]]},
        {"forms": [[[0, [0, 1]], [1, [0, 1]]], [[0, [0, 1]], [1, [0, 1]], [1, [1, 0]]]]},
        {"forms": []},
        {"shapes": []},
        {"candidates": 1},
        {"survey": "0" * 16 + "\n"},
        {"tracker": True},
        {"title": "red \x1b[31m"},
        {"title": "two\nlines"},
        {"title": "x" * 201},
        {"title": ""},
    ],
)
def test_a_plan_that_is_no_plan_is_refused(change: dict) -> None:
    forms = [[[0, [0, 1]], [1, [0, 1]]]]
    plan = {
        "survey": "0" * 16,
        "title": "One? Très bien\u00a0!",
        "candidates": 2,
        "shapes": [[4, 3]] * 2,
        "forms": forms,
    }
    msgspec.convert(plan, Plan)
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(plan | change, Plan)


def test_a_line_is_what_can_be_printed_as_it_is() -> None:
    for code in range(0x10000):
        char = chr(code)
        printable = code == 0xFFFD or (not 0xD800 <= code < 0xE000 and display(char) == char)
        assert bool(re.search(LINE, f"a{char}")) == printable, hex(code)


# Answers


def sealed(fields: dict) -> bytes:
    """A file with a checksum that fits, as somebody would make it who forges with care."""
    fields = {key: value for key, value in fields.items() if key != "checksum"}
    text = json.dumps(fields, separators=(",", ":"))
    return json.dumps({**fields, "checksum": f"{zlib.crc32(text.encode()):08x}"}).encode()


def plain(answers: Answers) -> dict:
    return json.loads(msgspec.json.encode(answers))


KEY = make_key()
GOOD = answer(KEY, 5, lambda place, question, showing: question % 3)


def test_good_answers_are_read_whatever_their_whitespace() -> None:
    assert parse_answers(msgspec.json.encode(GOOD), KEY.plan) == GOOD
    assert parse_answers(json.dumps(plain(GOOD), indent=4).encode(), KEY.plan) == GOOD


def _swapped(fields: dict) -> list:
    return [fields["answers"][1], fields["answers"][0], *fields["answers"][2:]]


@pytest.mark.parametrize(
    ("forge", "reason"),
    [
        (lambda f: {**f, "form": f["form"] + 1}, "form"),
        (lambda f: {**f, "token": f"{6:032x}"}, "form"),
        (lambda f: {**f, "token": "../../etc/passwd"}, "token"),
        (lambda f: {**f, "token": f["token"] + "\n"}, "token"),
        (lambda f: {**f, "token": f["token"].upper() + "F"}, "token"),
        (lambda f: {**f, "survey": "f" * 16}, "another survey"),
        (lambda f: {**f, "format": 2}, "format"),
        (lambda f: {**f, "name": "Eve"}, "name"),
        (lambda f: {**f, "\x1b[31m\n" + "x" * 9000: "Eve"}, "?[31m?xxx"),
        (lambda f: {key: value for key, value in f.items() if key != "form"}, "form"),
        (lambda f: {**f, "answers": f["answers"][:-1]}, "each in its turn"),
        (lambda f: {**f, "answers": [*f["answers"], f["answers"][0]]}, "each in its turn"),
        (lambda f: {**f, "answers": _swapped(f)}, "each in its turn"),
        (lambda f: {**f, "answers": []}, "each in its turn"),
        (lambda f: {**f, "answers": [[q, 3, ms] for q, _, ms in f["answers"]]}, "not shown"),
        (lambda f: {**f, "answers": [[q, -1, ms] for q, _, ms in f["answers"]]}, ">= 0"),
        (lambda f: {**f, "answers": [[q, None, ms] for q, _, ms in f["answers"]]}, "int"),
        (lambda f: {**f, "answers": [[q, c + 0.5, ms] for q, c, ms in f["answers"]]}, "int"),
        (lambda f: {**f, "answers": [[q, c, -1] for q, c, _ in f["answers"]]}, ">= 0"),
        (lambda f: {**f, "answers": [[q, c, 10**12] for q, c, _ in f["answers"]]}, "<="),
        (lambda f: {**f, "answers": [[q, c] for q, c, _ in f["answers"]]}, "length"),
        (lambda f: {**f, "answers": [[q, c, ms, 1] for q, c, ms in f["answers"]]}, "length"),
    ],
)
def test_forged_answers_are_refused_even_with_the_right_checksum(forge: Callable[[dict], dict], reason: str) -> None:
    assert parse_answers(sealed(plain(GOOD)), KEY.plan) == GOOD
    with pytest.raises(AnswersError, match=re.escape(reason)) as caught:
        parse_answers(sealed(forge(plain(GOOD))), KEY.plan)
    assert "\n" not in str(caught.value) and "\x1b" not in str(caught.value) and len(str(caught.value)) < 300


def test_a_clumsy_edit_is_noticed() -> None:
    fields = plain(GOOD)
    fields["answers"][0][1] = (fields["answers"][0][1] + 1) % 3
    with pytest.raises(AnswersError, match="changed or damaged"):
        parse_answers(json.dumps(fields).encode(), KEY.plan)


def test_no_truncation_is_taken_for_answers() -> None:
    data = msgspec.json.encode(GOOD)
    for length in range(len(data)):
        with pytest.raises(AnswersError):
            parse_answers(data[:length], KEY.plan)


@settings(max_examples=200, deadline=None)
@given(place=st.integers(0, 10_000), byte=st.integers(0, 255))
def test_a_changed_byte_is_refused_or_changes_nothing(place: int, byte: int) -> None:
    data = bytearray(msgspec.json.encode(GOOD))
    data[place % len(data)] = byte
    with suppress(AnswersError):
        assert parse_answers(bytes(data), KEY.plan) == GOOD


@pytest.mark.parametrize("data", [b"", b"null", b"[]", b"{}", b"\xff\xfe", b"[" * 60_000, b'{"a":' * 10_000, b"1" * 99])
def test_what_is_no_answers_at_all_is_refused(data: bytes) -> None:
    with pytest.raises(AnswersError):
        parse_answers(data, KEY.plan)


def test_files_are_counted_once_or_refused_with_a_reason(tmp_path: Path) -> None:
    other = answer(KEY, 6, lambda place, question, showing: 0)
    liar = answer(KEY, 7, lambda place, question, showing: 0)
    files = {
        "a.json": msgspec.json.encode(GOOD),
        "a (1).json": json.dumps(plain(GOOD), indent=1).encode(),
        "b.json": msgspec.json.encode(other),
        "liar.json": msgspec.json.encode(liar),
        "liar2.json": msgspec.json.encode(answer(KEY, 7, lambda place, question, showing: 1)),
        "cut.json": msgspec.json.encode(GOOD)[:-9],
        "large.json": b" " * MAX_BYTES + msgspec.json.encode(GOOD),
    }
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    os.mkfifo(tmp_path / "pipe.json")
    (tmp_path / "folder.json").mkdir()
    collected = collect_answers(sorted(tmp_path.iterdir()), KEY.plan)
    assert [one.token for one in collected.answers] == [GOOD.token, other.token]
    assert [(path.name, of.name) for path, of in collected.duplicates] == [("a.json", "a (1).json")]
    refused = {path.name: reason for path, reason in collected.refused}
    assert set(refused) == {"liar.json", "liar2.json", "cut.json", "large.json", "pipe.json", "folder.json"}
    assert "liar2.json" in refused["liar.json"] and "liar.json" in refused["liar2.json"]
    assert str(MAX_BYTES) in refused["large.json"] and "regular file" in refused["pipe.json"]


# The tally


def shares(key: Key, votes: dict[int, int]) -> list[Answers]:
    """People who choose one candidate throughout: so many for each."""
    chosen = [candidate for candidate, people in votes.items() for _ in range(people)]
    return [answer(key, person, lambda *_, c=candidate: c) for person, candidate in enumerate(chosen)]


def test_strengths_of_two_are_their_log_odds() -> None:
    tally = count(make_key(candidates=2), shares(make_key(candidates=2), {0: 9, 1: 4}))
    first, second = tally.strengths
    assert first.log_strength(2) - second.log_strength(2) == pytest.approx(math.log(9 / 4))
    assert (first.strength, second.strength) == pytest.approx((9 / 13, 4 / 13))


def test_strengths_are_those_of_hunters_algorithm_and_of_bradley_and_terrys_pairs() -> None:
    random = np.random.default_rng(3)
    key = make_key(questions=7, candidates=4)
    people = [answer(key, person, lambda *_: int(random.choice(4, p=[0.4, 0.3, 0.2, 0.1]))) for person in range(20)]
    tally = count(key, people)
    votes = np.array([one.votes for one in tally.strengths])
    found = np.array([one.strength for one in tally.strengths])

    choices = np.repeat(np.arange(4), votes)
    luce = np.ones(4)
    for _ in range(50):  # Hunter (2004), for first choices from sets; here every set is everybody
        luce = votes / sum(1 / luce.sum() for _ in choices)
        luce /= luce.sum()
    np.testing.assert_allclose(found, luce)

    beaten = np.tile(votes[:, None], 4)  # the chosen one beats each of the others once
    np.fill_diagonal(beaten, 0)
    pairs = np.ones(4) / 4
    for _ in range(500):
        meetings = (beaten + beaten.T) / (pairs[:, None] + pairs)
        np.fill_diagonal(meetings, 0)
        pairs = beaten.sum(axis=1) / meetings.sum(axis=1)
        pairs /= pairs.sum()
    np.testing.assert_allclose(found, pairs, rtol=1e-6)


def test_intervals_are_over_people_not_votes() -> None:
    key = make_key(questions=20, candidates=2)
    tally = count(key, shares(key, {0: 20, 1: 20}), bootstrap=5000)
    interval = tally.strengths[0].interval
    assert interval is not None
    low, high = interval
    # 40 people, each of one mind in 20 questions: the spread of 40 coins, not of 800
    assert (low, high) == pytest.approx(
        (0.5 - 1.96 * math.sqrt(0.25 / 40), 0.5 + 1.96 * math.sqrt(0.25 / 40)), abs=0.03
    )


def test_known_strengths_are_recovered_and_intervals_cover_them() -> None:
    truth = np.array([0.5, 0.3, 0.2])
    key = make_key(questions=12, candidates=3)
    random = np.random.default_rng(4)
    covered = 0
    for _ in range(60):
        tastes = [random.dirichlet(truth * 8) for _ in range(30)]  # people differ, and truth is their mean
        people = [
            answer(key, person, lambda *_, taste=taste: int(random.choice(3, p=taste)))
            for person, taste in enumerate(tastes)
        ]
        for one, true in zip(count(key, people, bootstrap=300).strengths, truth, strict=True):
            covered += one.interval[0] <= true <= one.interval[1]
            assert abs(one.strength - true) < 0.2
    assert 0.88 <= covered / 180 <= 0.99


def test_a_candidate_without_votes_has_a_bounded_interval() -> None:
    key = make_key(candidates=3)
    tally = count(key, shares(key, {0: 10}))
    first, second, third = tally.strengths
    bound = 1 - 0.05 ** (1 / 10)
    assert (first.strength, second.strength) == (1, 0)
    assert first.interval == pytest.approx((1 - bound, 1)) and second.interval == pytest.approx((0, bound))
    assert third.log_strength(3) is None and first.log_strength(3) == pytest.approx(math.log(3))
    assert tally.kappa is None and tally.agreement == 1


def test_people_who_answer_alike_give_no_interval() -> None:
    key = make_key(questions=4, candidates=3)
    tally = count(key, [answer(key, person, lambda place, question, showing: question == 3) for person in range(6)])
    first, second, third = tally.strengths
    assert (first.strength, second.strength) == (0.75, 0.25) and first.interval is None is second.interval
    assert third.interval == pytest.approx((0, 1 - 0.05 ** (1 / 6)))  # none at all: bounded, as ever
    text = markdown(tally)
    assert re.search(r"\| +0\.750 \| +- \|", text) and "the same number of votes" in text
    assert 'r="6"' in svg(tally) and "None" not in svg(tally)
    record = as_record(tally, collect_answers([], key.plan))
    assert [one["interval"] is None for one in record["candidates"]] == [True, True, False]


@pytest.mark.parametrize(("people", "few"), [(1, False), (2, True), (9, True), (10, False)])
def test_intervals_of_few_people_carry_a_remark(people: int, few: bool) -> None:
    text = markdown(count(KEY, shares(KEY, {0: people // 2, 1: people - people // 2})))
    assert ("too narrow" in text) == few and ("One person" in text) == (people == 1)


def test_many_resamplings_of_many_people_are_drawn_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    key = make_key(questions=1, candidates=2, repeats=0)
    everybody = shares(key, {0: 60, 1: 60})
    tracemalloc.start()
    try:
        whole = count(key, everybody, bootstrap=30_000, seed=1).strengths
        assert tracemalloc.get_traced_memory()[1] < 20e6  # 120 x 30,000 x 8 bytes are 29 MB
    finally:
        tracemalloc.stop()
    monkeypatch.setattr("toonify.study.tally._DRAWN_AT_ONCE", 7000)
    assert count(key, everybody, bootstrap=30_000, seed=1).strengths == whole


def test_one_person_has_votes_and_no_intervals() -> None:
    tally = count(KEY, [GOOD])
    assert [one.votes for one in tally.strengths] == [2, 2, 1]
    assert all(one.interval is None for one in tally.strengths)
    assert tally.kappa is None and tally.agreement is None
    assert "nan" not in markdown(tally).lower() and "nan" not in svg(tally).lower()


def _chosen(person: int, place: int, question: int, showing: object) -> int:
    return (person * question) % 3


def test_the_same_seed_gives_the_same_tally() -> None:
    people = [answer(KEY, person, functools.partial(_chosen, person)) for person in range(30)]
    first, again, other = (count(KEY, people, bootstrap=100, seed=seed).strengths for seed in (1, 1, 2))
    assert first == again != other


def test_repeats_are_no_votes_and_tell_attention() -> None:
    key = make_key(questions=8, candidates=3, repeats=4)

    def careless(place: int, question: int, showing: Showing) -> int:
        return key.questions[question].makers[showing.order[0]]  # always the first position

    tally = count(key, [answer(key, 1, lambda place, question, showing: question % 3), answer(key, 2, careless)])
    assert tally.wins.sum() == sum(one.votes for one in tally.strengths) == 16
    assert [(person.agreed, person.repeats) for person in tally.people] == [(4, 4), (0, 4)]
    assert tally.attention == 0.5
    assert tally.positions[0] >= 8
    kept = count(key, [answer(key, 1, lambda *_: 0), answer(key, 2, careless)], min_attention=0.5)
    assert [person.token for person in kept.left_out] == [f"{2:032x}"] and kept.wins.sum() == 8
    assert "Left out" in markdown(kept) and f"{2:032x}"[:8] in markdown(kept)


def test_wins_are_counted_for_the_makers_through_the_key() -> None:
    key = make_key(questions=6, candidates=4, repeats=0)
    wanted = [3, 1, 2, 0, 3, 3]
    tally = count(key, [answer(key, person, lambda place, question, showing: wanted[question]) for person in range(9)])
    assert tally.wins.tolist() == [[9 if c == w else 0 for c in range(4)] for w in wanted]
    assert tally.kappa == pytest.approx(1)


def test_who_always_takes_the_first_position_favors_nobody() -> None:
    key = make_key(questions=24, candidates=3, repeats=3)
    forms = len(key.plan.forms)
    people = [
        answer(key, person, lambda place, question, showing: key.questions[question].makers[showing.order[0]])
        for person in range(forms)
    ]
    tally = count(key, people)
    assert {one.votes for one in tally.strengths} == {forms * 24 // 3}
    assert all(set(row) == {forms // 3} for row in tally.wins.tolist())
    assert tally.positions.tolist() == [forms * 24, 0, 0] and tally.position_p < 1e-6 and tally.attention == 0


def test_min_attention_that_leaves_nobody_or_has_no_repeats_is_refused() -> None:
    key = make_key(repeats=0)
    with pytest.raises(UsageError, match="repeats no question"):
        count(key, [answer(key, 1, lambda *_: 0)], min_attention=0.5)
    key = make_key(repeats=2)
    careless = answer(key, 1, lambda place, question, showing: key.questions[question].makers[showing.order[0]])
    with pytest.raises(UsageError, match="leaves out all 1"):
        count(key, [careless], min_attention=0.5)


FLEISS_1971 = np.array(
    [
        [0, 0, 0, 0, 14],
        [0, 2, 6, 4, 2],
        [0, 0, 3, 5, 6],
        [0, 3, 9, 2, 0],
        [2, 2, 8, 1, 1],
        [7, 7, 0, 0, 0],
        [3, 2, 6, 3, 0],
        [2, 5, 3, 2, 2],
        [6, 5, 2, 1, 0],
        [0, 2, 2, 3, 7],
    ]
)


def test_kappa_of_known_tables() -> None:
    kappa, agreement = fleiss_kappa(FLEISS_1971)
    assert (kappa, agreement) == pytest.approx((0.20993, 0.37802), abs=1e-5)
    assert fleiss_kappa(np.array([[5, 0], [0, 5], [5, 0]])) == pytest.approx((1, 1))
    assert fleiss_kappa(np.array([[1, 1], [1, 1]])) == pytest.approx((-1, 0))  # two who never agree


def test_chi_square_tails_are_those_of_the_tables() -> None:
    for degrees, critical in [(1, 3.841), (2, 5.991), (3, 7.815), (4, 9.488), (5, 11.070), (7, 14.067), (8, 15.507)]:
        assert chi_square_tail(critical, degrees) == pytest.approx(0.05, abs=5e-5)
        assert chi_square_tail(0, degrees) == pytest.approx(1)
    assert chi_square(np.array([10, 20, 30])) == pytest.approx(10)


# Reports


def test_the_report_is_the_tally_in_all_its_forms() -> None:
    key = make_key(questions=4, candidates=3)
    key = msgspec.structs.replace(key, candidates=("a|b", "<script>", "c & d\uffff"))  # a file's name may have that
    tally = count(key, shares(key, {0: 3, 1: 1}))
    text = markdown(tally)
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert all(len(re.split(r"(?<!\\)\|", row)) == (7 if i < 5 else 8) for i, row in enumerate(rows))
    assert "0.750" in text and "16 votes" in text and "kappa" in text
    plot = ElementTree.fromstring(svg(tally))  # noqa: S314 - our own
    words = [element.text for element in plot.iter("{http://www.w3.org/2000/svg}text")]
    assert {"a|b", "<script>", "c & d\ufffd", "12 votes", "chance"} <= set(words)
    assert words.index("a|b") < words.index("<script>") < words.index("c & d\ufffd")  # by strength
    record = json.loads(json.dumps(as_record(tally, collect_answers([], key.plan)), allow_nan=False))
    assert [one["votes"] for one in record["candidates"]] == [12, 4, 0]
    assert [question["wins"] for question in record["questions"]] == [[3, 1, 0]] * 4


# Building, and the command line


@pytest.fixture
def material(tmp_path: Path, noise: np.ndarray) -> Path:
    """Photos, references, and two folders of finished pictures with telling names, dates and sizes."""
    exif = Image.Exif()
    exif[0x010F], exif[0x0131] = "CameraMaker", "secretstyle 1.0"
    for i in range(5):
        photo = np.roll(noise, 5 * i, axis=1)
        for folder, shown, suffix in [
            ("photos", photo, "jpg"),
            ("frames", photo[::-1, :40], "png"),
            ("secretstyle", photo // 2, "jpg"),
            ("othersecret", 255 - photo, "png"),
        ]:
            (tmp_path / folder).mkdir(exist_ok=True)
            Image.fromarray(shown).save(tmp_path / folder / f"holiday{i}.{suffix}", exif=exif, comment=b"secretstyle")
    return tmp_path


def build(material: Path, *more: Any, styles: tuple[str, ...] = ("secretstyle", "othersecret")) -> int:
    arguments = ["--photos", material / "photos", "--reference", material / "frames", "--output", material / "survey"]
    return main(["study", "build", *[str(material / style) for style in styles], *map(str, [*arguments, *more])])


def read_survey(material: Path) -> tuple[str, Key]:
    page = (material / "survey" / "index.html").read_text(encoding="utf-8")
    return page, msgspec.json.decode((material / "survey.key.json").read_bytes(), type=Key)


def pictures_of(page: str) -> dict[str, Image.Image]:
    blocks = re.findall(r'<script type="text/plain" id="(q\d+(?:r|p\d+))">([^<]*)</script>', page)
    return {name: Image.open(io.BytesIO(b64decode(data))) for name, data in blocks}


def test_a_survey_tells_nobody_whose_pictures_it_shows(material: Path, capsys: pytest.CaptureFixture[str]) -> None:
    title = "A </script><b> & $title with connect-src 'none'"
    assert build(material, "--title", title) == 0
    said = capsys.readouterr().err
    assert "questions 5, repeats 2, pictures 15" in said and "survey.key.json" in said and "MB" in said
    assert [path.name for path in (material / "survey").iterdir()] == ["index.html"]
    page, key = read_survey(material)
    for word in ("secret", "holiday", "CameraMaker", str(material), "http:", "https:"):
        assert word not in page and word not in page.replace("\\", "")
    assert "A &lt;/script&gt;&lt;b&gt; &amp; $title" in page and "</script><b>" not in page
    assert key.candidates == ("secretstyle", "othersecret")
    assert read_plan(page, Path("page")) == key.plan and key.plan.title == title
    served = collecting_page(page)
    assert read_plan(page, Path("page")).title == title and "connect-src 'self'" in served.partition("<title>")[0]
    assert title in served.replace("\\u003c", "<")
    pictures = pictures_of(page)
    assert len(pictures) == 15
    for picture in pictures.values():
        assert picture.format == "JPEG" and not picture.getexif() and set(picture.info) <= {
            "jfif", "jfif_version", "jfif_unit", "jfif_density"
        }  # fmt: skip
    # The key is right: a dark picture is by the one who halves, an inverted one by the other.
    for number, question in enumerate(key.questions):
        with Image.open(material / "photos" / question.photo) as photo:
            mean = np.asarray(photo).mean()
        for j, maker in enumerate(question.makers):
            shown = pictures[f"q{number}p{j}"]
            assert shown.size == (64, 48) == key.plan.shapes[number]
            assert np.asarray(shown).mean() == pytest.approx([mean / 2, 255 - mean][maker], abs=4)
        assert pictures[f"q{number}r"].size == (40, 48)
    assert len({question.photo for question in key.questions}) == 5
    assert len({question.reference for question in key.questions}) == 5


def test_the_seed_decides_everything_and_is_new_each_time(material: Path) -> None:
    assert build(material, "--seed", 5) == 0
    page, key = read_survey(material)
    assert build(material, "--overwrite", "--seed", 5) == 0
    assert read_survey(material) == (page, key) and key.seed == 5
    assert build(material, "--overwrite") == 0
    other, other_key = read_survey(material)
    assert other_key.seed != 5 and other_key.plan.survey != key.plan.survey and other != page


def test_a_key_is_not_lost_by_building_again(material: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert build(material) == 0
    before = read_survey(material)
    assert build(material) == 2
    assert "--overwrite" in capsys.readouterr().err and read_survey(material) == before


def test_a_key_is_not_lost_where_the_new_page_cannot_be_written(
    material: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    resource = pytest.importorskip("resource")
    assert build(material) == 0
    page, before = read_survey(material)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(page) // 2, limits[1]))
    try:
        code = build(material, "--overwrite")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert code == 3 and "cannot be written" in capsys.readouterr().err
    assert read_survey(material) == (page, before)


def test_a_folder_with_other_things_is_not_published(material: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(
        ["study", "build", str(material / "secretstyle"), str(material / "othersecret"), "--photos",
         str(material / "photos"), "--reference", str(material / "frames"), "--output", str(material)]
    ) == 2  # fmt: skip
    assert "published" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "named"),
    [
        (["--questions", 6], "--questions 6"),
        (["--questions", 4, "--repeats", 3], "--repeats 3"),
        (["--questions", 0], "--questions"),
        (["--title", "\udcff"], "--title"),
        (["--title", "\ud800"], "--title"),
        (["--title", "red \x1b[31m"], "--title"),
        (["--title", "two\nlines"], "--title"),
        (["--title", "turned \u202e round"], "--title"),
        (["--title", ""], "--title is empty"),
        (["--title", " \t"], "--title is empty"),
        (["--title", "x" * 201], "--title has 201"),
    ],
)
def test_numbers_and_titles_that_cannot_be_right_are_refused(
    more: list, named: str, material: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert build(material, *more) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and named in said and not (material / "survey").exists()


def test_one_candidate_is_no_comparison(material: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert build(material, styles=("secretstyle",)) == 2
    assert "2 to 9" in capsys.readouterr().err


def test_photos_that_fail_are_named_and_the_rest_is_asked(material: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (material / "secretstyle" / "holiday1.jpg").unlink()
    (material / "othersecret" / "holiday2.png").write_bytes(b"no picture")
    (material / "photos" / "holiday3.jpg").write_bytes(b"no photo")
    for i in range(4):
        (material / "frames" / f"holiday{i}.png").write_bytes(b"no frame")
    assert build(material) == 1
    said = capsys.readouterr().err
    assert said.count("failed: ") == 3 + 4 and "questions 2, repeats 1" in said
    assert all(f"holiday{i}." in said for i in range(4))
    page, key = read_survey(material)
    assert {question.photo for question in key.questions} == {"holiday0.jpg", "holiday4.jpg"}
    assert len(pictures_of(page)) == 6


def test_nothing_left_to_ask_is_an_error(material: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path in (material / "frames").iterdir():
        path.write_bytes(b"")
    assert build(material) == 3
    assert "no reference can be read" in capsys.readouterr().err and not (material / "survey").exists()


def test_large_pictures_shrink_and_a_rounded_size_leaves_no_margin(
    material: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for folder, size in [("photos", (1281, 957)), ("secretstyle", (1280, 956)), ("othersecret", (256, 256))]:
        for path in (material / folder).iterdir():
            Image.new("RGB", size, "red").save(path)
    assert build(material) == 0
    page, key = read_survey(material)
    pictures = pictures_of(page)
    for number, question in enumerate(key.questions):
        sizes = {maker: pictures[f"q{number}p{j}"].size for j, maker in enumerate(question.makers)}
        assert sizes == {0: (640, 478), 1: (256, 256)}
    assert "othersecret: 5 of its pictures" in capsys.readouterr().err


def test_references_are_used_equally_often(material: Path) -> None:
    for i in (2, 3, 4):
        (material / "frames" / f"holiday{i}.png").unlink()
    assert build(material) == 0
    used = Counter(question.reference for question in read_survey(material)[1].questions)
    assert sorted(used.values()) == [2, 3]


def test_a_style_draws_and_a_second_build_skips_what_is_drawn(
    material: Path, tiny_onnx: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [
        "study", "build", str(tiny_onnx), str(material / "secretstyle"), "--photos", str(material / "photos"),
        "--reference", str(material / "frames"), "--output", str(material / "survey"), "--questions", "3",
    ]  # fmt: skip
    assert main([*arguments, "--seed", "1"]) == 0
    drawn = sorted((material / "survey.pictures").rglob("*.png"))
    assert len(drawn) == 3
    stamps = [path.stat().st_mtime_ns for path in drawn]
    assert main([*arguments, "--seed", "1", "--overwrite"]) == 0
    assert [path.stat().st_mtime_ns for path in drawn] == stamps
    assert "failed" not in capsys.readouterr().err


def test_a_photo_that_a_style_cannot_draw_is_named_once(
    material: Path, tiny_onnx: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (material / "photos" / "holiday1.jpg").write_bytes(b"no photo")
    assert build(material, styles=(str(tiny_onnx), "secretstyle")) == 1
    said = capsys.readouterr().err
    assert said.count("failed: ") == said.count("holiday1") == 1 and said.count("drawn: ") == 4


def test_what_was_drawn_for_a_survey_is_no_photo_of_the_next(
    material: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    earlier = material / "photos" / "survey.pictures" / "style"
    earlier.mkdir(parents=True)
    Image.new("RGB", (9, 9)).save(earlier / "drawn.png")
    assert build(material, "--output", material / "photos" / "survey", "--questions", 6) == 2
    assert "there are photos (5)" in capsys.readouterr().err


def test_answers_come_back_as_a_tally(material: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert build(material) == 0
    _, key = read_survey(material)
    folder = material / "answers"
    folder.mkdir()
    for person in range(6):
        one = answer(key, person, lambda *_, c=int(person < 2): c)
        (folder / f"{person}.json").write_bytes(msgspec.json.encode(one))
    (folder / "copy.json").write_bytes((folder / "5.json").read_bytes())
    capsys.readouterr()
    assert main(["study", "tally", str(folder)]) == 0
    said = capsys.readouterr()
    assert "6 people, 5 questions, 30 votes" in said.out and "counted once" in said.err
    assert re.search(r"\| secretstyle +\| +20 \| +0\.667 \|", said.out)
    report = material / "report"
    (folder / "cut.json").write_bytes((folder / "1.json").read_bytes()[:-5])
    assert main(["study", "tally", str(folder), "--output", str(report), "--min-attention", "0.5"]) == 1
    said = capsys.readouterr()
    assert "refused: " in said.err and "cut.json" in said.err and "counted 6, duplicates 1, refused 1" in said.err
    assert (report / "tally.md").read_text() == said.out
    record = json.loads((report / "tally.json").read_text())
    assert {one["name"]: one["votes"] for one in record["candidates"]} == {"secretstyle": 20, "othersecret": 10}
    assert [Path(one["file"]).name for one in record["refused"]] == ["cut.json"]
    table = list(csv.DictReader((report / "tally.csv").read_text().splitlines()))
    assert [row["votes"] for row in table] == ["20", "10"] and float(table[0]["low"]) <= 2 / 3 <= float(
        table[0]["high"]
    )
    questions = list(csv.DictReader((report / "questions.csv").read_text().splitlines()))
    assert len(questions) == 5 and all(row["secretstyle"] == "4" for row in questions)
    ElementTree.parse(report / "tally.svg")  # noqa: S314 - our own
    assert main(["study", "tally", str(folder), "--output", str(report)]) == 2
    assert main(["study", "tally", str(folder), "--output", str(report), "--overwrite"]) == 1


def test_files_that_are_named_outright_are_read_whatever_their_names(
    material: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert build(material) == 0
    _, key = read_survey(material)
    folder, key_file = material / "answers", material / "survey.key.json"
    folder.mkdir()
    for person, name in enumerate(["ok.json", ".hidden.json", "as.key.json", ".bad.json"]):
        (folder / name).write_bytes(msgspec.json.encode(answer(key, person, lambda *_: 0)))
    (folder / ".bad.json").write_bytes(b"{")
    assert main(["study", "tally", str(folder), "--key", str(key_file)]) == 0
    assert "1 person," in capsys.readouterr().out
    named = [str(path) for path in sorted(folder.iterdir())]
    assert main(["study", "tally", *named, str(key_file), "--key", str(key_file)]) == 1
    said = capsys.readouterr()
    assert "3 people," in said.out and "counted 3, duplicates 0, refused 2" in said.err
    assert "refused: " in said.err and ".bad.json: no answers" in said.err and "survey.key.json: no answers" in said.err


@pytest.mark.parametrize(
    "forged",
    [
        b'{"\\u001b[31m\\n' + b"x" * 9000 + b'": 1}',
        b'{"a":' * 100_000,
        b"[" * 100_000,
        b'{"plan": {"forms": ' + b"[" * 100_000,
        b"\xff\xfe",
        msgspec.json.encode(msgspec.structs.replace(make_key(), candidates=("a", "b\x1b[31m", "c"))),
        msgspec.json.encode(
            msgspec.structs.replace(make_key(), plan=msgspec.structs.replace(make_key().plan, title="\n"))
        ),
    ],
    ids=["names", "objects", "arrays", "deep", "binary", "candidate", "title"],
)
def test_a_forged_key_or_survey_is_refused_in_one_line(
    forged: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key, page, one = tmp_path / "forged.key.json", tmp_path / "index.html", tmp_path / "1.json"
    key.write_bytes(forged)
    one.write_bytes(msgspec.json.encode(GOOD))
    marks = b"data-collects=\"no\" connect-src 'none'"
    page.write_bytes(marks + b'<script type="application/json" id="plan">' + forged + b"</script>")
    for arguments in (["tally", one, "--key", key], ["serve", page, "--answers", tmp_path / "answers"]):
        assert main(["study", *map(str, arguments)]) == 2
        said = capsys.readouterr().err
        assert said.count("\n") == 1 and "\x1b" not in said and len(said) < 500
        assert "no key of a survey" in said or "no survey by" in said


def test_a_pipe_is_waited_for_by_nobody(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pipe, one = tmp_path / "pipe", tmp_path / "1.json"
    os.mkfifo(pipe)
    one.write_bytes(msgspec.json.encode(GOOD))
    for arguments in (["tally", one, "--key", pipe], ["serve", pipe]):
        assert main(["study", *map(str, arguments)]) == 2
        assert "pipe is not a regular file" in capsys.readouterr().err


def test_a_key_that_is_too_deep_for_the_parser_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def deep(*_: Any, **__: Any) -> None:
        raise RecursionError("maximum recursion depth exceeded")

    for name in ("1.json", "a.key.json"):
        (tmp_path / name).write_bytes(b"{}")
    monkeypatch.setattr("msgspec.json.decode", deep)
    assert main(["study", "tally", str(tmp_path)]) == 2
    assert "no key of a survey: it is nested too deeply" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["tally", "gone"], "gone: No such"),
        (["tally", "{empty}"], "no answers"),
        (["tally", "{answers}"], "--key"),
        (["tally", "{answers}", "--key", "gone.key.json"], "gone.key.json"),
        (["tally", "{answers}", "--key", "{answers}/1.json"], "no key of a survey"),
        (["tally", "{answers}", "--key", "{key}", "--output", "{answers}"], "holds the answers"),
        (["tally", "{answers}/1.json", "--key", "{key}", "--output", "{answers}"], "holds the answers"),
        (["tally", "{answers}/1.json", "--key", "{key}", "--output", "{empty}/../answers"], "holds the answers"),
        (["tally", "{answers}", "--key", "{key}", "--bootstrap", "1"], "--bootstrap"),
        (["tally", "{answers}", "--key", "{key}", "--min-attention", "2"], "--min-attention"),
        (["serve", "gone"], "study build"),
        (["serve", "{key}"], "no survey"),
        (["serve", "{survey}", "--answers", "{survey}/answers"], "published"),
        (["serve", "{survey}", "--answers", "{key}"], "--answers"),
        (["serve", "{survey}", "--port", "70000"], "--port"),
        (["serve", "{survey}", "--host", "203.0.113.1"], "--host 203.0.113.1"),
        (["serve", "{survey}", "--host", ""], "--host is empty"),
        (["serve", "{survey}", "--host", "é..x"], "--host é..x is no address"),
        (["serve", "{survey}", "--host", "x" * 70], "is no address"),
        (["serve", "{survey}", "--host", "\udcff"], "--host ? is no address"),
        (["serve", "{survey}", "--host", "[::1]"], "--host [::1] is no address"),
    ],
)
def test_a_command_line_that_cannot_be_right(
    arguments: list[str],
    named: str,
    material: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert build(material) == 0
    away = material / "away" / "deep"
    (away / "answers").mkdir(parents=True)
    (away / "empty").mkdir()
    (away / "answers" / "1.json").write_bytes(msgspec.json.encode(GOOD))
    monkeypatch.chdir(away)
    capsys.readouterr()
    places = {
        "empty": away / "empty",
        "answers": away / "answers",
        "key": material / "survey.key.json",
        "survey": material / "survey",
    }
    assert main(["study", *[argument.format(**places) for argument in arguments]]) == 2
    said = capsys.readouterr()
    assert said.err.count("\n") == 1 and named in said.err and said.out == ""
    assert [path.name for path in (material / "survey").iterdir()] == ["index.html"]


def test_answers_to_another_survey_are_all_refused(material: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert build(material) == 0
    (material / "1.json").write_bytes(msgspec.json.encode(GOOD))
    assert main(["study", "tally", str(material / "1.json"), "--key", str(material / "survey.key.json")]) == 1
    said = capsys.readouterr().err
    assert "another survey" in said and "nothing is left to count" in said


# The collector


@pytest.fixture
def server(material: Path) -> Iterator[tuple[Server, Key, Path]]:
    assert build(material) == 0
    _, key = read_survey(material)
    folder = material / "collected"
    with start_server(Collector(material / "survey", folder, lambda line: None), "127.0.0.1", 0) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield running, key, folder
        running.shutdown()
        thread.join()


def ask(server: Server, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, bytes, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    if body is not None:
        named = {"Content-Type": "application/json", **named}
    try:
        connection.request(method, path, body, named)
        reply = connection.getresponse()
        return reply.status, reply.read(), reply.headers
    finally:
        connection.close()


def test_the_collector_shows_the_page_and_keeps_answers(server: tuple[Server, Key, Path], material: Path) -> None:
    running, key, folder = server
    status, page, headers = ask(running, "GET", "/")
    assert status == 200 and headers["Content-Type"].startswith("text/html")
    assert page.decode() == collecting_page((material / "survey" / "index.html").read_text())
    assert b"connect-src 'self'" in page and b'data-collects="yes"' in page
    assert ask(running, "HEAD", "/")[:2] == (200, b"")
    one = msgspec.json.encode(answer(key, 1, lambda *_: 0))
    assert ask(running, "POST", "/answers", one)[0] == 201
    stored = folder / f"{1:032x}.json"
    assert [*folder.iterdir()] == [stored] and stored.read_bytes() == one
    assert ask(running, "POST", "/answers", one)[0] == 200
    other = msgspec.json.encode(answer(key, 1, lambda *_: 1))
    assert ask(running, "POST", "/answers", other)[0] == 409
    assert [*folder.iterdir()] == [stored] and stored.read_bytes() == one
    assert ask(running, "POST", "/answers", msgspec.json.encode(answer(key, 2, lambda *_: 1)))[0] == 201
    assert len(collect_answers(folder.iterdir(), key.plan).answers) == 2


def test_sixty_at_once_are_all_kept_and_each_once(server: tuple[Server, Key, Path]) -> None:
    running, key, folder = server
    bodies = [msgspec.json.encode(answer(key, person % 20, lambda *_: 0)) for person in range(60)]
    with ThreadPoolExecutor(len(bodies)) as pool:
        statuses = list(pool.map(lambda body: ask(running, "POST", "/answers", body)[0], bodies))
    assert Counter(statuses) == {201: 20, 200: 40} and len([*folder.iterdir()]) == 20


@pytest.mark.parametrize(
    ("method", "path", "body", "headers", "status"),
    [
        ("GET", "/answers", None, {}, 405),
        ("GET", "/survey.key.json", None, {}, 404),
        ("GET", "/../survey.key.json", None, {}, 404),
        ("GET", "//x", None, {}, 404),
        ("GET", "/?x", None, {}, 404),
        ("POST", "/", b"{}", {}, 405),
        ("POST", "/answers/../x", b"{}", {}, 404),
        ("PUT", "/answers", b"{}", {}, 405),
        ("DELETE", "/answers", None, {}, 405),
        ("OPTIONS", "/answers", None, {}, 405),
        ("POST", "/answers", b"{}", {}, 400),
        ("POST", "/answers", b"", {}, 400),
        ("POST", "/answers", b"x" * (MAX_BYTES + 1), {}, 413),
        ("POST", "/answers", b"x" * 3_000_000, {}, 413),
        ("POST", "/answers", b"{}", {"Content_Length": "-2"}, 400),
        ("POST", "/answers", b"{}", {"Content_Length": "²"}, 400),
        ("POST", "/answers", b"{}", {"Content_Length": "9" * 5000}, 400),
        ("POST", "/answers", b"{}", {"Content_Type": "text/plain"}, 415),
        ("POST", "/answers", b"{}", {"Origin": "https://example.com"}, 403),
        ("POST", "/answers", b"{}", {"Origin": "null"}, 403),
        ("POST", "/answers", b"{}", {"Host": "example.com"}, 421),
        ("GET", "/", None, {"Host": "example.com"}, 421),
        ("GET", "/", None, {"Host": "127.0.0.1.example.com"}, 421),
        ("GET", "/", None, {"Host": "127.0.0.1:1"}, 421),
        ("GET", "/", None, {"Host": "["}, 421),
        ("GET", "/", None, {"Host": ""}, 421),
    ],
)
def test_the_collector_refuses_everything_else(
    method: str,
    path: str,
    body: bytes | None,
    headers: dict[str, str],
    status: int,
    server: tuple[Server, Key, Path],
) -> None:
    running, _, folder = server
    if "Content_Length" in headers:
        headers = {**headers, "Content_Length": headers["Content_Length"].encode().decode("latin-1")}
    try:
        assert ask(running, method, path, body, **headers)[0] == status
    except (BrokenPipeError, ConnectionResetError):
        # Who sends megabytes, or a head that is none, may be cut off before the reply.
        assert body is not None and (len(body) > 1_000_000 or "Content_Length" in headers)
    assert [*folder.iterdir()] == []
    assert ask(running, "GET", "/")[0] == 200


def test_other_names_of_this_machine_are_fine(server: tuple[Server, Key, Path]) -> None:
    running, key, _ = server
    for name in ("localhost", "127.0.0.1", "[::1]"):
        host = f"{name}:{running.server_port}"
        assert ask(running, "GET", "/", Host=host)[0] == 200
        body = msgspec.json.encode(answer(key, 3, lambda *_: 0))
        assert ask(running, "POST", "/answers", body, Host=host, Origin=f"http://{host}")[0] in (200, 201)


def test_a_slow_or_broken_client_holds_nothing_up(
    server: tuple[Server, Key, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    running, _, folder = server
    monkeypatch.setattr("toonify.pages.server.REQUEST_SECONDS", 0.2)
    head = b"POST /answers HTTP/1.1\r\nHost: localhost:%d\r\nContent-Type: application/json\r\n" % running.server_port
    for sent in (b"", b"GET", head, head + b"Content-Length: 100\r\n\r\n{"):
        with socket.create_connection(("127.0.0.1", running.server_port), timeout=10) as client:
            client.sendall(sent)
            assert ask(running, "GET", "/")[0] == 200  # others are served meanwhile
            while client.recv(1000):  # the deadline ends it
                pass
    with socket.create_connection(("127.0.0.1", running.server_port)) as client:
        client.sendall(head + b"Content-Length: 100\r\n\r\n{")  # and gone
    assert ask(running, "GET", "/")[0] == 200 and [*folder.iterdir()] == []


def test_a_full_disk_is_told_and_nothing_half_is_left(
    server: tuple[Server, Key, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    running, key, folder = server

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("toonify.study.serve.write_atomically", full)
    status, reply, _ = ask(running, "POST", "/answers", msgspec.json.encode(answer(key, 1, lambda *_: 0)))
    assert status == 500 and b"No space left" in reply and [*folder.iterdir()] == []


def test_a_taken_port_is_said(server: tuple[Server, Key, Path], material: Path) -> None:
    with pytest.raises(UsageError, match=f"--port {server[0].server_port} is taken"):
        start_server(
            Collector(material / "survey", material / "more", lambda line: None), "127.0.0.1", server[0].server_port
        )


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("127.0.0.1", True), ("127.8.8.8", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("::", False)],  # noqa: S104
)
def test_what_is_loopback(host: str, loopback: bool) -> None:
    assert is_loopback(host) == loopback


@pytest.mark.parametrize(
    ("host", "loopback", "shown"),
    [
        ("127.1", True, "127.1"),
        ("LOCALHOST", True, "LOCALHOST"),
        ("0.0.0.0", False, "THIS-MACHINE"),  # noqa: S104
        ("0", False, "THIS-MACHINE"),
    ],
)
def test_what_is_bound_decides_who_may_ask_and_what_to_type(
    host: str, loopback: bool, shown: str, material: Path
) -> None:
    assert build(material) == 0
    with start_server(Collector(material / "survey", material / "more", lambda line: None), host, 0) as running:
        assert (running.listening.is_loopback, running.address) == (loopback, f"http://{shown}:{running.server_port}/")
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        port = running.server_port
        asked = {
            name: ask(running, "GET", "/", Host=f"{name}:{port}")[0] for name in (host, "127.0.0.1", "example.com")
        }
        running.shutdown()
        thread.join()
    assert list(asked.values()) == [200, 200, 421 if loopback else 200]


def test_serve_says_where_it_listens_and_ctrl_c_ends_it(
    material: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert build(material) == 0

    def interrupt(server: Server) -> None:
        assert server.listening.socket.getsockname() == ("127.0.0.1", server.server_port)
        raise KeyboardInterrupt

    monkeypatch.setattr(Server, "serve_forever", interrupt)
    assert main(["study", "serve", str(material / "survey"), "--port", "0"]) == 130
    said = capsys.readouterr()
    assert re.search(r"http://127\.0\.0\.1:\d+/", said.out) and "only this machine" in said.out
    assert (material / "survey.answers").is_dir() and "warning" not in said.err and "0 collected" in said.err
    assert main(["study", "serve", str(material / "survey" / "index.html"), "--port", "0"]) == 130
    monkeypatch.setattr(Server, "serve_forever", lambda server: None)
    assert main(["study", "serve", str(material / "survey"), "--port", "0", "--host", "0.0.0.0"]) == 0  # noqa: S104
    said = capsys.readouterr()
    assert "warning: --host 0.0.0.0" in said.err
    assert re.search(r"http://THIS-MACHINE:\d+/", said.out) and "http://0.0.0.0" not in said.out
