"""Which analyses a correction touches: what was withdrawn or entered since the released dataset, and who asks for it.

An analysis may name a claim or row by its id, answer for the claims of a work, or rest on rows of it (read from the
last report, where there is one). The check says so before anything is run, so that a coder knows what to look at.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from replication.dataset import Dataset
from replication.dataset.row_versions import version_numbers
from replication.dataset.schema import TABLES
from replication.stored import outcome_paths, read_outcome

__all__ = ["Touched", "touched_analyses", "touched_lines"]

_ID = re.compile(r"[\w.-]+")
_NAMED_TABLES = ("claims.csv", "effects.csv", "samples.csv")


@dataclass(frozen=True, slots=True)
class Touched:
    """One withdrawn row: its successor (empty where it has none) and the analyses that name it or rest on it."""

    table: str
    row: str
    successor: str
    analyses: tuple[str, ...]


def touched_analyses(
    dataset: Dataset, works: frozenset[str], released: str, analyses: Path, report: Path
) -> tuple[Touched, ...]:
    """The rows of these works that were withdrawn after a release, each with the analyses it touches.

    Parameters
    ----------
    dataset : as read, with its withdrawn rows.
    works : the works that are checked; all where it is empty.
    released : the dataset version of the last release; empty where nothing was released yet.
    analyses : the folder with the files of analyses.
    report : the folder of the last report, whose outcomes say which rows each estimate rests on.
    """
    # Whole ids only: smith2024-1 is a part of smith2024-12.
    named = {
        path.stem: frozenset(_ID.findall(path.read_text(encoding="utf-8"))) for path in sorted(analyses.rglob("*.py"))
    }
    rests = _rows_by_analysis(report)
    found = []
    for table in _NAMED_TABLES:
        for row, successor, work in _withdrawn(dataset, table, works, released):
            touched = {name for name, ids in named.items() if name == work or row in ids}
            touched |= {name for name, rows in rests.items() if row in rows}
            found.append(Touched(table, row, successor, tuple(sorted(touched))))
    return tuple(found)


def touched_lines(found: tuple[Touched, ...]) -> Iterator[str]:
    """What the check says of them, a line per row."""
    for one in found:
        now = f"{one.successor} takes its place" if one.successor else "nothing takes its place: name it in replaced_by"
        asked = ", ".join(one.analyses) or "no analysis names it"
        yield f"{one.table}, {one.row} is withdrawn, {now}; touches: {asked}"


def _withdrawn(dataset: Dataset, table: str, works: frozenset[str], released: str) -> Iterator[tuple[str, str, str]]:
    """Id, successor and work of each row that leaves after the released version."""
    last = version_numbers(released) if released else ()
    gone = dataset.columns(table, withdrawn=True).rows(TABLES[table].id[-1], "replaced_by", "work", "until")
    for row, successor, work, until in gone:
        if (work in works or not works) and version_numbers(until) > last:
            yield row, successor, work


def _rows_by_analysis(report: Path) -> Mapping[str, frozenset[str]]:
    """The rows the estimates of each analysis rest on, as the last report has them; none where there is no report."""
    found = {}
    for name, path in outcome_paths(report).items():
        try:
            outcome = read_outcome(path)
            found[name] = frozenset(row for estimate in outcome["estimates"] for row in estimate["rows"])
        except (OSError, EOFError, zlib.error, ValueError, KeyError, TypeError):
            continue  # a damaged report is said where it is read for its numbers
    return found
