"""The coders' files of a work: `coders/<name>/effects.csv` and the like, and `coders/settled.csv`.

They have the columns of the dataset's own tables and are checked by the same rules.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from replication.dataset import Problem
from replication.dataset.cells import check_cells, stack
from replication.dataset.problems import nearest, shown
from replication.dataset.reading import RawTable, read_table
from replication.dataset.schema import SETTLED, TABLES, Table, Vocabulary

__all__ = ["CODED_TABLES", "DROP", "KEEP", "PRESENCE", "Coders", "Rows", "Settled", "read_coders"]

CODED_TABLES = ("samples.csv", "effects.csv", "measures.csv", "descriptives.csv", "claims.csv", "directions.csv")
PRESENCE, KEEP, DROP = "row", "keep", "drop"
"""How `settled.csv` says whether a row belongs that not every coder has: the column `row`, as `keep` or `drop`."""
Rows = Mapping[str, Mapping[str, str]]
"""Rows of one table by id; cells as text by column."""


@dataclass(frozen=True, slots=True)
class Settled:
    """What was decided about one cell, by whom and why."""

    value: str
    who: str
    why: str


@dataclass(frozen=True, slots=True)
class Coders:
    """What each coder wrote, by table and coder, the line of each row, and what was settled since.

    `settled` is by table, row and column; `renamed` by table and coder: ids that became another coder's.
    """

    work: str
    tables: Mapping[str, Mapping[str, Rows]]
    lines: Mapping[tuple[str, str, str], int]
    settled: Mapping[tuple[str, str, str], Settled]
    renamed: Mapping[tuple[str, str], Mapping[str, str]] = field(default_factory=dict)

    def names(self, table: str) -> tuple[str, ...]:
        """Who coded this table, in alphabetical order."""
        return tuple(sorted(self.tables.get(table, {})))


def read_coders(folder: Path, vocabulary: Vocabulary) -> tuple[Coders, list[Problem]]:
    """Everything under `<work>/coders`, and every problem in it. A work without that folder has no coders."""
    root = folder / "coders"
    problems: list[Problem] = []
    tables: dict[str, dict[str, Rows]] = {}
    lines: dict[tuple[str, str, str], int] = {}
    for name, path in _coder_files(root, folder.name, problems):
        coder, table = path.parent.name, TABLES[path.name]
        raw = _checked(path, name, table, vocabulary, problems)
        if raw is not None:
            rows = _by_id(raw, table)
            tables.setdefault(table.name, {})[coder] = rows
            lines |= {(table.name, coder, row): line for row, line in zip(rows, raw.lines, strict=False)}
    settled = _settled(root, folder.name, vocabulary, problems)
    return Coders(folder.name, tables, lines, settled), problems


def _coder_files(root: Path, work: str, problems: list[Problem]) -> Iterator[tuple[str, Path]]:
    """Each coder's tables with their names in messages; anything else in the folder is a problem."""
    # Sorted: who counts as the first coder must not hang on the file system.
    for item in sorted(root.iterdir()) if root.is_dir() and not root.is_symlink() else ():
        file = f"{work}/coders/{item.name}"
        if item.name.startswith(".") or item.name == SETTLED.name:
            continue
        if item.is_symlink() or not item.is_dir():
            expected = "a folder with the coder's name, or settled.csv"
            problems.append(Problem(file, 0, "", "unknown-file", shown(item.name), expected, "move it there"))
            continue
        for path in sorted(item.iterdir()):
            if path.name in CODED_TABLES:
                yield f"{file}/{path.name}", path
            elif not path.name.startswith("."):
                found, hint = shown(path.name), nearest(path.name, CODED_TABLES)
                problems.append(Problem(f"{file}/{path.name}", 0, "", "unknown-file", found, "a coder's table", hint))


def _checked(path: Path, name: str, table: Table, vocabulary: Vocabulary, problems: list[Problem]) -> RawTable | None:
    raw, found = read_table(path, name, table)
    if raw is not None:
        found += check_cells(stack([raw], table), vocabulary)
    problems += found
    # Half a table compared would show rows as missing that are only unreadable.
    return None if any(problem.severity == "error" for problem in found) else raw


def _by_id(raw: RawTable, table: Table) -> dict[str, dict[str, str]]:
    rows = [dict(zip(raw.header, cells, strict=True)) for cells in raw.rows]
    return {" ".join(row[name] for name in table.id): row for row in rows}


def _settled(
    root: Path, work: str, vocabulary: Vocabulary, problems: list[Problem]
) -> dict[tuple[str, str, str], Settled]:
    path = root / SETTLED.name
    if not (path.exists() or path.is_symlink()):
        return {}
    file = f"{work}/coders/{SETTLED.name}"
    raw = _checked(path, file, SETTLED, vocabulary, problems)
    rows = _by_id(raw, SETTLED).values() if raw else ()
    for line, row in zip(raw.lines if raw else (), rows, strict=False):
        decided = row.get("settled", "")
        if row["column"] == PRESENCE and decided not in (KEEP, DROP):
            hint = nearest(decided, (KEEP, DROP))
            problems.append(Problem(file, line, "settled", "word", shown(decided), f"{KEEP} or {DROP}", hint))
    return {
        (row["table"], row["row"], row["column"]): Settled(row.get("settled", ""), row["who"], row["why"])
        for row in rows
    }
