"""Ask every plausibility question of some works, and lay the recorded answers beside them."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from operator import attrgetter

from replication.dataset import Dataset, Problem
from replication.dataset.problems import nearest, shown
from replication.dataset.records import RecordedAnswer
from replication.study.plausibility.descriptives import descriptive_queries
from replication.study.plausibility.duplicates import duplicate_queries
from replication.study.plausibility.effects import effect_queries
from replication.study.plausibility.new_rows import new_row_queries
from replication.study.plausibility.printed_intervals import claim_queries
from replication.study.plausibility.query import RULES, Query
from replication.study.plausibility.samples import people_queries, sample_queries

__all__ = ["RaisedQuery", "ask"]

_PLACE = attrgetter("problem.file", "problem.row", "problem.rule", "rows")

Question = tuple[str, frozenset[str], str]
"""What an answer answers: the rule, all rows, and what was found."""


@dataclass(frozen=True, slots=True)
class RaisedQuery:
    """A question with its recorded answer, if there is one."""

    query: Query
    answer: RecordedAnswer | None = None

    @property
    def problem(self) -> Problem:
        """The question as a problem."""
        return self.query.problem


def ask(dataset: Dataset, works: Iterable[str], further: Iterable[Query] = ()) -> tuple[RaisedQuery, ...]:
    """Every question about these works, in the order of files and rows, answered or not.

    `further` are questions from elsewhere (double coding), which are answered in the same way.
    """
    keys = frozenset(works)
    asked = itertools.chain(
        effect_queries(dataset, keys),
        sample_queries(dataset, keys),
        duplicate_queries(dataset, keys),
        people_queries(dataset, keys),
        descriptive_queries(dataset, keys),
        claim_queries(dataset, keys),
        new_row_queries(dataset, keys),
        further,
    )
    # By file and row, so that a coder mends one table from top to bottom.
    ordered = sorted(asked, key=_PLACE)
    answers = {work: _by_question(dataset.answers[work]) for work in sorted(keys) if dataset.answers.get(work)}
    return (*(RaisedQuery(s, _answer(s, answers)) for s in ordered), *_unneeded(ordered, answers))


def _by_question(answers: Iterable[RecordedAnswer]) -> Mapping[Question, RecordedAnswer]:
    # `found` is part of the key: an answer given to other numbers must not silence today's question.
    return {(answer.rule, frozenset(answer.rows), answer.found): answer for answer in answers}


def _work(query: Query) -> str:
    return query.problem.file.partition("/")[0]


def _question(query: Query) -> Question:
    return query.problem.rule, frozenset(query.rows), query.text


def _answer(query: Query, answers: Mapping[str, Mapping[Question, RecordedAnswer]]) -> RecordedAnswer | None:
    """The answer to just this question: the same rule, all of its rows and the same numbers."""
    own = answers.get(_work(query)) if answers else None
    return own.get(_question(query)) if own else None


def _unneeded(asked: list[Query], answers: Mapping[str, Mapping[Question, RecordedAnswer]]) -> Iterator[RaisedQuery]:
    """Stale recorded answers: of an unknown rule, of rows that raise no such query, or of other numbers."""
    own = [s for s in asked if _work(s) in answers]
    open_questions = {(_work(s), _question(s)) for s in own}
    found_today = {(_work(s), s.problem.rule, frozenset(s.rows)): s.text for s in own}
    for work, recorded in answers.items():
        for question, answer in recorded.items():
            if (work, question) not in open_questions:
                yield RaisedQuery(_idle(f"{work}/answers.toml", answer, found_today.get((work, *question[:2]), "")))


def _idle(file: str, answer: RecordedAnswer, today: str) -> Query:
    """The problem of a stale recorded answer; `today` is what the check finds in its rows now."""
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
    return Query(problem, tuple(answer.rows))
