"""Which row took a withdrawn row's place: the chains of `replaced_by`, checked and followed both ways.

A number that was misread is never overwritten. The old row gets an `until` and names its successor; the successor
enters under a new id. So an analysis that names the old id goes on working (it follows the chain forwards), and one
that names the new id can still be run on an earlier version of the dataset (it follows the chain back).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from replication.dataset.columns import Columns
from replication.dataset.problems import Problem, nearest, shown
from replication.dataset.row_versions import version_numbers
from replication.dataset.schema import TABLES

__all__ = ["Successors", "check_successors"]


@dataclass(frozen=True, slots=True)
class Successors:
    """The successor of each withdrawn row that names one, by id, and the predecessors of each successor."""

    successor: Mapping[str, str] = field(default_factory=dict)
    predecessors: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def of(cls, withdrawn: Columns, column: str) -> Successors:
        """The chains among the withdrawn rows of a table whose ids stand in `column`; none where no row names one."""
        if "replaced_by" not in withdrawn:
            return cls()
        successor = {old: new for old, new in withdrawn.rows(column, "replaced_by") if new}
        predecessors: dict[str, list[str]] = {}
        for old, new in successor.items():
            predecessors.setdefault(new, []).append(old)
        return cls(successor, {new: tuple(old) for new, old in predecessors.items()})

    def living(self, row: str, alive: Collection[str]) -> str | None:
        """The id among `alive` that stands for `row`: itself, else its nearest living successor, else predecessor.

        Parameters
        ----------
        row : an id as an analysis names it, of any version.
        alive : the ids that count in the version at hand.

        >>> chain = Successors({"a": "b"}, {"b": ("a",)})
        >>> chain.living("a", {"b"}), chain.living("b", {"a"}), chain.living("c", {"a"})
        ('b', 'a', None)
        """
        if row in alive:
            return row
        return next((name for name in (*self._onwards(row), *self._back(row)) if name in alive), None)

    def _onwards(self, row: str) -> Iterator[str]:
        seen = {row}  # a circle is an error of the data, but must not hang whoever looks before the check has spoken
        while (row := self.successor.get(row, "")) and row not in seen:
            seen.add(row)
            yield row

    def _back(self, row: str) -> Iterator[str]:
        """All rows the row came from, nearest first; where two were merged, in the order of the dataset."""
        seen, level = {row}, [row]
        while level:
            level = [old for name in level for old in self.predecessors.get(name, ()) if old not in seen]
            seen.update(level)
            yield from level


def check_successors(files: Mapping[str, Columns], table: str) -> list[Problem]:
    """Successors exist in the same kind of table, lead round in no circle, and leave no version without the row.

    Parameters
    ----------
    files : the rows of one kind of table by file; only versions that are versions.
    table : the kind, e.g. "claims.csv".
    """
    if not any("replaced_by" in rows and any(rows["replaced_by"]) for rows in files.values()):
        return []  # the usual case, told without going through the rows
    known: dict[tuple[str, ...], _Life] = {}
    for rows in files.values():
        known.update(_lives(rows, table))
    ids = [key[-1] for key in known]
    problems = []
    for file, rows in files.items():
        replaced = rows.where(rows["replaced_by"])
        for line, (key, life) in zip(replaced["line"], _lives(replaced, table), strict=True):
            found = _successor_problem(key, life, known, ids)
            problems += [Problem(file, line, *found)] if found else []
    return problems


_Life = tuple[str, str, str]
"""The versions in which a row came and went, and the row that took its place; each may be empty."""

_Found = tuple[str, str, str, str, str]


def _successor_problem(
    key: tuple[str, ...], life: _Life, known: Mapping[tuple[str, ...], _Life], ids: Collection[str]
) -> _Found | None:
    """Column, rule, found, expected and hint of what is wrong with one successor, if anything is."""
    since, until, replaced_by = life
    new, found = (*key[:-1], replaced_by), shown(replaced_by)
    if not until:
        expected = "an until beside it: the version in which this row was replaced"
        return "until", "successor", '""', expected, "a row that still counts has no successor; fill until"
    if new not in known:
        return "replaced_by", "unknown-row", found, f"an id of {_table_of(key)}", nearest(replaced_by, ids)
    if _leads_back(key, known):
        return "replaced_by", "circle", found, "a successor that does not lead back here", "which row is the newer one?"
    entered = known[new][0]
    # Equal is fine: a row may be entered and replaced within one version in the making.
    if since and entered and version_numbers(entered) < version_numbers(since):
        expected = f"a successor that entered in {since} or later"
        return "replaced_by", "older", f"{found}, since {entered}", expected, "are the two rows the wrong way round?"
    if entered and version_numbers(entered) > version_numbers(until):
        expected = f"a successor that entered by {until}, when this row left"
        hint = "no version may be without the row: make until and the successor's since the same version"
        return "replaced_by", "gap", f"{found}, since {entered}", expected, hint
    return None


def _table_of(key: tuple[str, ...]) -> str:
    return "this table" if len(key) == 1 else "this table, with the same first columns"


def _leads_back(key: tuple[str, ...], known: Mapping[tuple[str, ...], _Life]) -> bool:
    at, seen = key, set()
    while at in known and known[at][2] and at not in seen:
        seen.add(at)
        # `replaced_by` names the last part of an id of several columns, the others stay.
        at = (*at[:-1], known[at][2])
    return at in seen


def _lives(rows: Columns, table: str) -> Iterator[tuple[tuple[str, ...], _Life]]:
    """Key and versions of each row; measures and descriptives are told apart by their work as well."""
    names = list(TABLES[table].id)
    keyed = ["work", *names] if len(names) > 1 and "work" in rows else names
    return zip(rows.rows(*keyed), rows.rows("since", "until", "replaced_by"), strict=True)
