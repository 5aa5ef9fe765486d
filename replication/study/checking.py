"""The check of one work or of all: the dataset's own rules, plausibility, and double coding."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from replication.dataset import Problem, check_dataset
from replication.dataset.problems import in_order, nearest, shown
from replication.errors import UserError
from replication.study.coding.coders import read_coders
from replication.study.plausibility import Asked, Query, ask
from replication.study.plausibility.coded import coding_queries

__all__ = ["CheckReport", "check_study", "work_folder"]


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What a check found: problems to mend, and questions with their answers."""

    title: str
    version: str
    works: int
    problems: tuple[Problem, ...]
    asked: tuple[Asked, ...]

    @property
    def errors(self) -> tuple[Problem, ...]:
        """What must be mended: errors, and impossible values nobody has answered for."""
        found = [p for p in self.problems if p.severity == "error"]
        return (*found, *(a.problem for a in self.asked if a.problem.severity == "error" and a.answer is None))

    @property
    def questions(self) -> tuple[Problem, ...]:
        """What must be mended or answered before others use it: warnings and unanswered questions."""
        found = [p for p in self.problems if p.severity == "warning"]
        return (*found, *(a.problem for a in self.asked if a.problem.severity == "warning" and a.answer is None))

    @property
    def answered(self) -> tuple[Asked, ...]:
        """Questions with a recorded answer."""
        return tuple(a for a in self.asked if a.answer is not None)

    @property
    def summary(self) -> str:
        """The result in a sentence."""
        if not self.errors and not self.questions:
            kept = f" ({_count(len(self.answered), 'answered question')} on record)" if self.answered else ""
            return f"{self.title}: nothing to mend{kept}."
        errors = _count(len(self.errors), "problem") + " to mend"
        questions = _count(len(self.questions), "question") + " to answer"
        return f"{self.title}: {errors}, {questions}."


def check_study(root: Path, work: str = "") -> CheckReport:
    """Check one work against the dataset, or the whole dataset.

    Raises
    ------
    UserError
        when there is no such work.
    """
    if work:
        work_folder(root, work)
    with _collector_resting():
        return _checked(root, work)


def _checked(root: Path, work: str) -> CheckReport:
    checked = check_dataset(root, [work] if work else None)
    problems = [p for p in checked.problems if not work or _concerns(p, work)]
    readable = checked.readable
    if readable is None:
        return CheckReport(work or "the dataset", "", 0, tuple(problems), ())
    works = [work] if work else sorted(readable.works)
    further: list[Query] = []
    in_coding: list[Problem] = []
    for key in works:
        coders, found = read_coders(root / key, readable.vocabulary)
        in_coding += found
        further += coding_queries(root / key, coders)
    ordered = in_order([*problems, *in_coding]) if in_coding else problems  # the dataset's are in order already
    asked = ask(readable, works, further)
    return CheckReport(work or "the dataset", readable.version, len(works), tuple(ordered), asked)


def work_folder(root: Path, work: str) -> Path:
    """The folder of a work.

    Raises
    ------
    UserError
        when there is none; the message names the nearest work.
    """
    folders = [path.name for path in root.iterdir() if (path / "work.toml").exists()] if root.is_dir() else []
    path = root / work
    if "/" in work or "\\" in work or work in ("", ".", "..") or not path.is_dir():
        hint = nearest(work, folders)
        raise UserError(f"no work {shown(work)} in {root}: {hint}; for a new one: python -m replication.study new KEY")
    return path


@contextmanager
def _collector_resting() -> Iterator[None]:
    """A check makes many small objects without a cycle; Python's collector would walk them again and again."""
    running = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if running:
            gc.enable()


def _concerns(problem: Problem, work: str) -> bool:
    return (
        problem.file.startswith(f"{work}/")
        or (problem.file == "references.bib" and problem.column in ("", work))
        or problem.file in ("vocabulary.toml", "VERSION")
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
