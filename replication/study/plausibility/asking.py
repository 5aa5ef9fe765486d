"""Ask every plausibility question of some works, and lay the recorded answers beside them."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from operator import attrgetter

from replication.dataset import Dataset, Problem
from replication.dataset.problems import nearest, shown
from replication.dataset.records import RecordedAnswer
from replication.study.plausibility.claims import claim_suspicions
from replication.study.plausibility.descriptives import descriptive_suspicions
from replication.study.plausibility.effects import effect_suspicions
from replication.study.plausibility.people import people_suspicions
from replication.study.plausibility.samples import sample_suspicions
from replication.study.plausibility.suspicion import RULES, Suspicion
from replication.study.plausibility.twins import twin_suspicions

__all__ = ["Asked", "ask"]

_PLACE = attrgetter("problem.file", "problem.row", "problem.rule", "rows")

Question = tuple[str, frozenset[str], str]
"""What an answer answers: the rule, all rows, and what was found."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A question with its recorded answer, if there is one."""

    suspicion: Suspicion
    answer: RecordedAnswer | None = None

    @property
    def problem(self) -> Problem:
        """The question as a problem."""
        return self.suspicion.problem


def ask(dataset: Dataset, works: Iterable[str], further: Iterable[Suspicion] = ()) -> tuple[Asked, ...]:
    """Every question about these works, in the order of files and rows, answered or not.

    `further` are questions from elsewhere (double coding), which are answered in the same way.
    """
    keys = frozenset(works)
    asked = itertools.chain(
        effect_suspicions(dataset, keys),
        sample_suspicions(dataset, keys),
        twin_suspicions(dataset, keys),
        people_suspicions(dataset, keys),
        descriptive_suspicions(dataset, keys),
        claim_suspicions(dataset, keys),
        further,
    )
    ordered = sorted(asked, key=_PLACE)
    answers = {work: _by_question(dataset.answers[work]) for work in sorted(keys) if dataset.answers.get(work)}
    return (*(Asked(s, _answer(s, answers)) for s in ordered), *_unneeded(ordered, answers))


def _by_question(answers: Iterable[RecordedAnswer]) -> Mapping[Question, RecordedAnswer]:
    return {(answer.rule, frozenset(answer.rows), answer.found): answer for answer in answers}


def _work(suspicion: Suspicion) -> str:
    return suspicion.problem.file.partition("/")[0]


def _question(suspicion: Suspicion) -> Question:
    return suspicion.problem.rule, frozenset(suspicion.rows), suspicion.asked


def _answer(suspicion: Suspicion, answers: Mapping[str, Mapping[Question, RecordedAnswer]]) -> RecordedAnswer | None:
    """The answer to just this question: the same rule, all of its rows and the same numbers."""
    own = answers.get(_work(suspicion)) if answers else None
    return own.get(_question(suspicion)) if own else None


def _unneeded(asked: list[Suspicion], answers: Mapping[str, Mapping[Question, RecordedAnswer]]) -> Iterator[Asked]:
    """Answers that answer nothing: a rule nobody knows, rows that raise no such question, or other numbers."""
    own = [s for s in asked if _work(s) in answers]
    open_questions = {(_work(s), _question(s)) for s in own}
    found_today = {(_work(s), s.problem.rule, frozenset(s.rows)): s.asked for s in own}
    for work, recorded in answers.items():
        for question, answer in recorded.items():
            if (work, question) not in open_questions:
                yield Asked(_idle(f"{work}/answers.toml", answer, found_today.get((work, *question[:2]), "")))


def _idle(file: str, answer: RecordedAnswer, today: str) -> Suspicion:
    """What is said of an answer that answers nothing; `today` is what the check finds in its rows now."""
    rows = ", ".join(answer.rows)
    if answer.rule not in RULES:
        found, expected, hint = shown(answer.rule), "a rule of the checker", nearest(answer.rule, RULES)
    elif today:
        found, expected = shown(answer.found), f"an answer to what is found today: {today}"
        hint = "the numbers have changed: look them up again, answer anew if they are right, and delete this answer"
    else:
        found, expected = shown(rows), f"all rows of a question {answer.rule} that the check asks"
        hint = "delete the answer"
    problem = Problem(file, 0, answer.rows[0], "answer-unneeded", found, expected, hint, "warning")
    return Suspicion(problem, tuple(answer.rows))
