"""The check of one work or of all: the dataset's own rules, plausibility, and double coding."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from replication import paths
from replication.dataset import Dataset, Problem, check_dataset
from replication.dataset.problems import in_order, nearest, printable, shown
from replication.errors import UserError
from replication.report.menu import make_menu, unlisted_findings
from replication.study.coding.coders import read_coders
from replication.study.plausibility import Query, RaisedQuery, ask
from replication.study.plausibility.coded import coding_queries

__all__ = ["CheckReport", "check_study", "work_folder"]


_LISTED = 3  # files named in a line
_NOT_ASKED = Problem(
    "the dataset",
    0,
    "",
    "not-asked",
    "problems that keep it from being read, so plausibility and double coding were not checked",
    "a dataset that can be read",
    "mend what stands above, then check again",
)
"""Said where a check could not run: silence would pass for a pass."""


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What a check found: problems to mend, and questions with their answers.

    `readable` is the dataset as far as it could be read, for who has more to say of it: reading takes most of a check.
    """

    title: str
    version: str
    works: int
    problems: tuple[Problem, ...]
    queries: tuple[RaisedQuery, ...]
    readable: Dataset | None = None

    @property
    def errors(self) -> tuple[Problem, ...]:
        """What must be mended: errors, and impossible values nobody has answered for."""
        found = [p for p in self.problems if p.severity == "error"]
        return (*found, *(a.problem for a in self.queries if a.problem.severity == "error" and a.answer is None))

    @property
    def questions(self) -> tuple[Problem, ...]:
        """What must be mended or answered before others use it: warnings and unanswered questions."""
        found = [p for p in self.problems if p.severity == "warning"]
        return (*found, *(a.problem for a in self.queries if a.problem.severity == "warning" and a.answer is None))

    @property
    def answered(self) -> tuple[RaisedQuery, ...]:
        """Questions with a recorded answer."""
        return tuple(a for a in self.queries if a.answer is not None)

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
    problems = [*(p for p in checked.problems if not work or _concerns(p, work)), *_beside(checked.problems, work)]
    readable = checked.readable
    if readable is None:
        return CheckReport(work or "the dataset", "", 0, (*problems, _NOT_ASKED), ())
    works = [work] if work else sorted(readable.works)
    further: list[Query] = []
    in_coding: list[Problem] = []
    for key in works:
        # Coders' files are no part of the dataset, so its own check has not seen them.
        coders, found = read_coders(root / key, readable.vocabulary)
        in_coding += found
        further += coding_queries(root / key, coders)
    menu = make_menu(paths.analyses_dir(), article=True)
    ordered = in_order([*problems, *in_coding, *unlisted_findings(readable.statements, menu)])
    asked = ask(readable, works, further)
    return CheckReport(work or "the dataset", readable.version, len(works), tuple(ordered), asked, readable)


def _beside(problems: Sequence[Problem], work: str) -> list[Problem]:
    """Errors in other works, in a line: a check that had too little to compare with is not a pass."""
    files = sorted({p.file for p in problems if work and p.severity == "error" and not _concerns(p, work)})
    if not files:
        return []
    listed = ", ".join(printable(file) for file in files[:_LISTED]) + (" …" if len(files) > _LISTED else "")
    found = f"errors in {listed}, so {work} could not be compared with everything and no analysis runs"
    hint = "mend them first: python -m replication.study check"
    return [Problem(files[0], 0, "", "not-compared", found, "a dataset without errors", hint)]


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
        # There and back: what was made is then counted among the old objects, and not walked at once for being new.
        gc.freeze()
        gc.unfreeze()
        if running:
            gc.enable()


def _concerns(problem: Problem, work: str) -> bool:
    return (
        problem.file.startswith(f"{work}/")
        or (problem.file == "references.bib" and (problem.severity == "error" or problem.column in ("", work)))
        or "/" not in problem.file.removeprefix("article/")  # of the dataset itself, which every check rests on
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
