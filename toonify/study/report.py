"""A tally for readers: Markdown, JSON, CSV, and a plot as SVG."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from toonify.errors import ToonifyError, UsageError, describe, display
from toonify.pages.dot_chart import Dot, dot_chart
from toonify.pages.tables import csv_text, markdown_table
from toonify.study.answers import Collected
from toonify.study.tally import Strength, Tally
from toonify.system.files import write_atomically

_FEW = 10  # people; bootstrap intervals of fewer are too narrow
_NAMES = ("tally.md", "tally.json", "tally.csv", "questions.csv", "tally.svg")


def check_report(folder: Path, answers: Sequence[Path], *, overwrite: bool) -> None:
    """Raise UsageError unless a report on what is in `answers` can be written to `folder`."""
    if folder.resolve() in [(path if path.is_dir() else path.parent).resolve() for path in answers]:
        raise UsageError(f"--output {display(folder)} holds the answers, and the next tally would read this one there")
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"--output {display(folder)} is a file; give a folder")
    there = [folder / name for name in _NAMES if (folder / name).exists()]
    if there and not overwrite:
        raise UsageError(f"{display(there[0])} is there already; give another --output, or --overwrite")


def write_report(folder: Path, tally: Tally, collected: Collected, *, overwrite: bool) -> list[Path]:
    """Write all forms of the tally into `folder`. Raises ToonifyError if they cannot be written."""
    texts = (
        markdown(tally),
        json.dumps(as_record(tally, collected), indent=1, ensure_ascii=False) + "\n",
        csv_text([_header(tally), *_rows(tally)]),
        csv_text(_question_rows(tally)),
        svg(tally),
    )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in zip(_NAMES, texts, strict=True):
            write_atomically(folder / name, text.encode(), overwrite=overwrite)
    except OSError as error:
        raise ToonifyError(f"--output {display(folder)} cannot be written: {describe(error)}") from error
    return [folder / name for name in _NAMES]


def markdown(tally: Tally) -> str:
    """The tally as Markdown that reads as well on a terminal."""
    plan, people = tally.key.plan, len(tally.people)
    lines = [
        f"# {plan.title}",
        "",
        f"Survey {plan.survey}: {_many(people, 'person', 'people')}, {_many(plan.questions, 'question')}, "
        f"{people * plan.questions} votes.",
    ]
    if tally.left_out:
        tokens = ", ".join(person.token[:8] for person in tally.left_out)
        lines.append(f"Left out for too little attention: {_many(len(tally.left_out), 'person', 'people')} ({tokens}).")
    rows = [
        [
            one.name,
            str(one.votes),
            f"{one.strength:.3f}",
            "-" if one.interval is None else f"{one.interval[0]:.3f} to {one.interval[1]:.3f}",
            "-" if (log := one.log_strength(plan.candidates)) is None else f"{log:+.2f}",
        ]
        for one in ranked(tally)
    ]
    lines += ["", *markdown_table(["candidate", "votes", "strength", "95 % interval", "log strength"], rows), ""]
    lines += [
        "Strength: the chance of being chosen among all candidates (Luce's model; Bradley-Terry for two). Its "
        f"logarithm is relative to chance, 1/{plan.candidates}.",
        *_about_intervals(tally),
        "",
    ]
    if tally.agreement is not None:
        kappa = "undefined, as one candidate has all votes" if tally.kappa is None else f"{tally.kappa:.3f}"
        lines.append(
            f"- Agreement between people: Fleiss' kappa {kappa} (1 is full agreement, 0 chance); "
            f"two people agree on {tally.agreement:.0%} of the questions."
        )
    if tally.attention is not None:
        lines.append(
            f"- Attention: {tally.attention:.0%} of the repeats were answered as before "
            f"(chance alone: {1 / plan.candidates:.0%})."
        )
    lines.append(
        f"- Positions: {', '.join(str(votes) for votes in tally.positions)} votes from first to last; "
        f"chi-square {tally.position_statistic:.2f}, {plan.candidates - 1} degrees of freedom, "
        f"p = {tally.position_p:.2g}."
    )
    header, *questions = _question_rows(tally)
    lines += ["", "## Wins per question", "", *markdown_table(header, questions)]
    return "\n".join(lines) + "\n"


def _about_intervals(tally: Tally) -> list[str]:
    people = len(tally.people)
    if people == 1:
        return ["One person gives no interval and no agreement."]
    lines = ["Intervals: bootstrap over people."]
    if people < _FEW:
        lines.append(f"From fewer than {_FEW} people, as here, they are too narrow.")
    if any(one.interval is None for one in tally.strengths):
        lines.append("There is none (-) where everybody gave a candidate the same number of votes.")
    return lines


def as_record(tally: Tally, collected: Collected) -> dict[str, Any]:
    """The tally, and what became of the files, as plain values for JSON."""
    return {
        "toonify": tally.key.toonify,
        "survey": tally.key.plan.survey,
        "title": tally.key.plan.title,
        "votes": int(tally.wins.sum()),
        "candidates": [
            {
                "name": one.name,
                "votes": one.votes,
                "strength": one.strength,
                "interval": one.interval,
                "log_strength": one.log_strength(len(tally.strengths)),
            }
            for one in tally.strengths
        ],
        "questions": [
            {"photo": question.photo, "reference": question.reference, "wins": wins}
            for question, wins in zip(tally.key.questions, tally.wins.tolist(), strict=True)
        ],
        "kappa": tally.kappa,
        "agreement": tally.agreement,
        "attention": tally.attention,
        "positions": {
            "votes": tally.positions.tolist(),
            "chi_square": tally.position_statistic,
            "p": tally.position_p,
        },
        "people": [
            {
                "token": person.token,
                "form": person.form,
                "attention": person.attention,
                "seconds": round(person.seconds, 1),
                "counted": person in tally.people,
            }
            for person in (*tally.people, *tally.left_out)
        ],
        "refused": [{"file": display(path), "reason": reason} for path, reason in collected.refused],
        "duplicates": [{"file": display(path), "of": display(other)} for path, other in collected.duplicates],
    }


def svg(tally: Tally) -> str:
    """The strengths with their intervals and votes, the strongest on top; the dashed line is chance."""
    rows = ranked(tally)
    interval = ", 95 % interval over people" if any(one.interval for one in rows) else ""
    people = _many(len(tally.people), "person", "people")
    return dot_chart(
        tally.key.plan.title,
        [Dot(one.name, one.strength, one.interval, _many(one.votes, "vote")) for one in rows],
        reference=1 / len(rows),
        reference_name="chance",
        caption=f"strength: chance of being chosen{interval}; {people}, {_many(tally.key.plan.questions, 'question')}",
    )


def ranked(tally: Tally) -> list[Strength]:
    """The candidates from the strongest to the weakest."""
    return sorted(tally.strengths, key=lambda one: -one.strength)


def _header(tally: Tally) -> list[str]:
    return ["candidate", "votes", "strength", "low", "high", "log_strength"]


def _rows(tally: Tally) -> list[list[object]]:
    return [
        [one.name, one.votes, one.strength, *(one.interval or ("", "")), one.log_strength(len(tally.strengths))]
        for one in tally.strengths
    ]


def _question_rows(tally: Tally) -> list[list[str]]:
    header = ["question", "photo", "reference", *tally.key.candidates]
    rows = zip(tally.key.questions, tally.wins.tolist(), strict=True)
    return [
        header,
        *(
            [str(number), question.photo, question.reference, *map(str, wins)]
            for number, (question, wins) in enumerate(rows, start=1)
        ),
    ]


def _many(count: int, one: str, several: str | None = None) -> str:
    return f"{count} {one if count == 1 else several or one + 's'}"
