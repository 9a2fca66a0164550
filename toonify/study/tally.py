"""Answers to figures: votes, strengths with intervals, agreement between people, attention, and balance of positions.

A vote is the answer to a question when it was first shown; repeats check attention and are no votes.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from toonify.errors import UsageError
from toonify.study.answers import Answers
from toonify.study.plan import Key

Counts = NDArray[np.int64]

_DRAWN_AT_ONCE = 1 << 20  # people, over the resamplings of a block: 8 MB


@dataclass(frozen=True)
class Person:
    """One visitor's answers, with the key applied."""

    token: str
    form: int
    votes: tuple[int, ...]  # by question: the candidate
    positions: tuple[int, ...]  # by question: where it stood
    repeats: int
    agreed: int  # of the repeats, answered as before
    seconds: float  # with questions on screen

    @property
    def attention(self) -> float | None:
        """The share of repeats that were answered as before."""
        return self.agreed / self.repeats if self.repeats else None


@dataclass(frozen=True)
class Strength:
    """How a candidate did."""

    name: str
    votes: int
    strength: float  # strengths add up to 1: the chance of being chosen among all
    interval: tuple[float, float] | None  # 95 %; None for a single person, and where all resamplings are equal

    def log_strength(self, candidates: int) -> float | None:
        """Natural logarithm of the strength over chance's 1 / candidates; None where there are no votes.

        The difference of two is the log-odds that one is chosen over the other.
        """
        return math.log(self.strength * candidates) if self.votes else None


@dataclass(frozen=True)
class Tally:
    """All that a survey's answers say."""

    key: Key
    people: tuple[Person, ...]  # who is counted
    left_out: tuple[Person, ...]  # whose attention is under the least asked for
    wins: Counts  # questions x candidates
    strengths: tuple[Strength, ...]  # by candidate
    positions: Counts  # votes by position
    position_statistic: float  # chi-square of the votes by position against equal shares
    position_p: float
    kappa: float | None  # Fleiss'; None for a single person, and where one candidate has all votes
    agreement: float | None  # the chance that two people give the same answer to a question
    attention: float | None  # the share of all repeats that were answered as before


def count(
    key: Key, answers: Sequence[Answers], *, min_attention: float | None = None, bootstrap: int = 1000, seed: int = 0
) -> Tally:
    """Count the answers of people, each there once, to the survey of `key`.

    `bootstrap` is the number of resamplings of people behind the intervals. Raises UsageError if `min_attention` is
    asked of a survey without repeats, or leaves nobody.
    """
    everyone = [_person(key, one) for one in answers]
    if min_attention is not None and any(person.attention is None for person in everyone):
        raise UsageError("--min-attention: this survey repeats no question; build one with --repeats")
    least = 0.0 if min_attention is None else min_attention
    people = [person for person in everyone if person.attention is None or person.attention >= least]
    left_out = [person for person in everyone if person not in people]
    if not people:
        raise UsageError(f"--min-attention {least:g} leaves out all {len(left_out)} people; lower it")
    candidates = len(key.candidates)
    votes = np.array([person.votes for person in people])  # people x questions
    by_person = _occurrences(votes, candidates)  # people x candidates
    wins = _occurrences(votes.T, candidates)
    positions = _occurrences(np.array([person.positions for person in people]), candidates).sum(axis=0)
    statistic = chi_square(positions)
    kappa, agreement = fleiss_kappa(wins)
    repeats = sum(person.repeats for person in people)
    return Tally(
        key=key,
        people=tuple(people),
        left_out=tuple(left_out),
        wins=wins,
        strengths=_strengths(key.candidates, by_person, bootstrap, np.random.default_rng(seed)),
        positions=positions,
        position_statistic=statistic,
        position_p=chi_square_tail(statistic, candidates - 1),
        kappa=kappa,
        agreement=agreement,
        attention=sum(person.agreed for person in people) / repeats if repeats else None,
    )


def _person(key: Key, answers: Answers) -> Person:
    votes: dict[int, int] = {}
    positions: dict[int, int] = {}
    repeats = agreed = 0
    for answer, showing in zip(answers.answers, key.plan.forms[answers.form], strict=True):
        maker = key.questions[answer.question].makers[answer.choice]
        if answer.question in votes:
            repeats += 1
            agreed += votes[answer.question] == maker
        else:
            votes[answer.question] = maker
            positions[answer.question] = showing.order.index(answer.choice)
    return Person(
        answers.token,
        answers.form,
        tuple(votes[question] for question in range(key.plan.questions)),
        tuple(positions[question] for question in range(key.plan.questions)),
        repeats,
        agreed,
        sum(answer.milliseconds for answer in answers.answers) / 1000,
    )


def _occurrences(values: Counts, kinds: int) -> Counts:
    """How often each of 0 .. kinds - 1 is in each row."""
    return np.stack([(values == kind).sum(axis=1) for kind in range(kinds)], axis=1)


def _strengths(
    names: Sequence[str], votes: Counts, resamplings: int, random: np.random.Generator
) -> tuple[Strength, ...]:
    """Strengths in Luce's choice model, where i is chosen from a set with the probability s_i / sum of the set's s.

    For two candidates that is Bradley and Terry's model. Every question shows all candidates, and then the likelihood
    has its maximum in closed form, at the shares of votes. (Hunter's MM algorithm, Annals of Statistics 32, 2004,
    section 5, which serves where the sets differ, is there after one step; and the Bradley-Terry fit to "the chosen
    one beats each of the others" has the same maximum.)

    Intervals are the 2.5 and 97.5 percentiles over resamplings of people, not of votes: a person's answers depend on
    each other. Where a candidate has no votes (or all) no resampling would differ. Then the interval reaches to where
    that would happen by chance in 5 % of studies, if each person brought no more than one independent vote; that is
    wide on purpose. Where everybody gave a candidate the same number of votes in between, no resampling differs either,
    and there is no interval.

    votes: people x candidates.
    """
    people = len(votes)
    totals = votes.sum(axis=0)
    shares = totals / totals.sum()
    if people == 1:
        return tuple(Strength(*one, interval=None) for one in zip(names, totals.tolist(), shares.tolist(), strict=True))
    block = max(1, _DRAWN_AT_ONCE // people)
    resampled = np.concatenate(
        [
            random.multinomial(people, np.full(people, 1 / people), size=min(block, resamplings - start)) @ votes
            for start in range(0, resamplings, block)
        ]
    )
    low, high = np.percentile(resampled, [2.5, 97.5], axis=0) / totals.sum()
    margin = 1 - 0.05 ** (1 / people)
    high[shares == 0] = margin
    low[shares == 1] = 1 - margin
    ends = zip(low.tolist(), high.tolist(), strict=True)
    intervals = [(lowest, highest) if lowest < highest else None for lowest, highest in ends]
    return tuple(Strength(*one) for one in zip(names, totals.tolist(), shares.tolist(), intervals, strict=True))


def fleiss_kappa(counts: Counts) -> tuple[float | None, float | None]:
    """Fleiss' kappa (Psychological Bulletin 76, 1971) and the mean agreement of pairs of raters.

    counts: subjects x categories, how many raters put a subject in a category; every subject has all raters. 1 is full
    agreement, 0 what chance gives. None for a single rater; kappa is None where all ratings are of one category.
    """
    raters = int(counts[0].sum())
    if raters < 2:
        return None, None
    agreement = float(((counts * (counts - 1)).sum(axis=1) / (raters * (raters - 1))).mean())
    shares = counts.sum(axis=0) / counts.sum()
    by_chance = float((shares**2).sum())
    return (None if shares.max() == 1 else (agreement - by_chance) / (1 - by_chance)), agreement


def chi_square(counts: Counts) -> float:
    """Pearson's statistic of counts against equal shares."""
    expected = counts.sum() / len(counts)
    return float(((counts - expected) ** 2 / expected).sum())


def chi_square_tail(statistic: float, degrees: int) -> float:
    """The probability that a chi-square variable is over `statistic`: its finite series (Abramowitz, Stegun 26.4)."""
    half = statistic / 2
    if degrees % 2 == 0:
        terms = [half**i / math.factorial(i) for i in range(degrees // 2)]
        return math.exp(-half) * sum(terms)
    terms = [half ** (i + 0.5) / math.gamma(i + 1.5) for i in range((degrees - 1) // 2)]
    return math.erfc(math.sqrt(half)) + math.exp(-half) * sum(terms)
