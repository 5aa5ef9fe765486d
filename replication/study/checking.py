"""The check of one work or of all: the dataset's own rules, plausibility, and double coding."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from replication.dataset import Dataset, Problem, check_dataset
from replication.dataset.problems import in_order, nearest, shown
from replication.errors import UserError
from replication.study.coding.comparing import Comparison, compare_coders
from replication.study.coding.reading import Coders, read_coders
from replication.study.plausibility import Asked, Suspicion, ask
from replication.study.plausibility.suspicion import Place

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
    checked = check_dataset(root, [work] if work else None)
    problems = [p for p in checked.problems if not work or _concerns(p, work)]
    readable = checked.readable
    if readable is None:
        return CheckReport(work or "the dataset", "", 0, tuple(problems), ())
    works = [work] if work else sorted(readable.works)
    further: list[Suspicion] = []
    for key in works:
        coders, found = read_coders(root / key, readable.vocabulary)
        problems += found
        further += _coded(coders, readable)
    asked = ask(readable, works, further)
    return CheckReport(work or "the dataset", readable.version, len(works), tuple(in_order(problems)), asked)


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


def _concerns(problem: Problem, work: str) -> bool:
    return (
        problem.file.startswith(f"{work}/")
        or (problem.file == "references.bib" and problem.column in ("", work))
        or problem.file in ("vocabulary.toml", "VERSION")
    )


def _coded(coders: Coders, dataset: Dataset) -> Iterator[Suspicion]:
    """Questions from double coding: cells nobody has settled, and cells of the work's table that say otherwise."""
    if not any(len(coders.names(table)) > 1 for table in coders.tables):
        return
    comparison = compare_coders(coders)
    for entry in comparison.open:
        first = coders.names(entry.table)[0]
        line = coders.lines.get((entry.table, first, entry.row), 0)
        place = Place(f"{coders.work}/coders/{first}/{entry.table}", line, entry.row)
        found = "; ".join(f"{name} {shown(value)}" for name, value in entry.values.items())
        command = f"python -m replication.study settle {coders.work} {entry.row} {entry.column} VALUE"
        expected, hint = "one value, or a decision with its reason", f"look it up together, then: {command}"
        yield Suspicion.about(place, entry.column, "coders-differ", found, expected, hint)
    yield from _not_as_coded(coders, comparison, dataset)


def _not_as_coded(coders: Coders, comparison: Comparison, dataset: Dataset) -> Iterator[Suspicion]:
    settled = {
        (d.row, d.column): d.settled.value
        for d in comparison.disagreements
        if d.settled is not None and d.table == "effects.csv"
    }
    rows = dataset.effects[dataset.effects["work"] == coders.work]
    held = {str(row["effect_id"]): row for row in rows.to_dict("records")}
    for (row, column), value in settled.items():
        cell = str(held.get(row, {}).get(column, value))
        if not _same(cell, value):
            place = Place(f"{coders.work}/effects.csv", int(held[row]["line"]), row)
            hint = f"python -m replication.study agree {coders.work} --write takes over what was settled"
            yield Suspicion.about(place, column, "not-as-coded", shown(cell), f"{shown(value)}, as settled", hint)


def _same(held: str, value: str) -> bool:
    try:
        return float(held) == float(value)
    except ValueError:
        return held == value


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
