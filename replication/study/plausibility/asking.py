"""Ask every plausibility question of some works, and lay the recorded answers beside them."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from replication.dataset import Dataset, Problem
from replication.dataset.problems import nearest, shown
from replication.dataset.records import RecordedAnswer
from replication.study.plausibility.claims import claim_suspicions
from replication.study.plausibility.descriptives import descriptive_suspicions
from replication.study.plausibility.effects import effect_suspicions
from replication.study.plausibility.samples import sample_suspicions
from replication.study.plausibility.suspicion import RULES, Suspicion

__all__ = ["Asked", "ask"]


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
        descriptive_suspicions(dataset, keys),
        claim_suspicions(dataset, keys),
        further,
    )
    ordered = sorted(asked, key=lambda s: (s.problem.file, s.problem.row, s.problem.rule, s.rows))
    answers = {work: dataset.answers.get(work, ()) for work in sorted(keys)}
    return (*(Asked(s, _answer(s, answers)) for s in ordered), *_unneeded(ordered, answers))


def _answer(suspicion: Suspicion, answers: Mapping[str, tuple[RecordedAnswer, ...]]) -> RecordedAnswer | None:
    work = suspicion.problem.file.partition("/")[0]
    for answer in answers.get(work, ()):
        if answer.rule == suspicion.problem.rule and set(suspicion.rows) & set(answer.rows):
            return answer
    return None


def _unneeded(asked: list[Suspicion], answers: Mapping[str, tuple[RecordedAnswer, ...]]) -> Iterator[Asked]:
    """Answers that answer nothing: a rule nobody knows, or a row that raises no such question."""
    open_rows = {(s.problem.file.partition("/")[0], s.problem.rule, row) for s in asked for row in s.rows}
    for work, recorded in answers.items():
        file = f"{work}/answers.toml"
        for answer in recorded:
            for row in answer.rows:
                if (work, answer.rule, row) in open_rows:
                    continue
                known = answer.rule in RULES
                hint = "delete the answer" if known else nearest(answer.rule, RULES)
                expected = f"a row that raises the question {answer.rule}" if known else "a rule of the checker"
                found = shown(row if known else answer.rule)
                problem = Problem(file, 0, row, "answer-unneeded", found, expected, hint, "warning")
                yield Asked(Suspicion(problem, (row,)))
