"""Coders side by side: which rows only one of them has, which cells differ, and what has been settled."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from replication.dataset.schema import TABLES, Column
from replication.errors import UserError
from replication.study.coding.coders import CODED_TABLES, DROP, KEEP, PRESENCE, Coders, Rows, Settled
from replication.study.coding.same import same_value

__all__ = ["Alone", "Comparison", "Disagreement", "FieldPairs", "compare_coders"]

_NOT_CODED = ("since", "until")


@dataclass(frozen=True, slots=True)
class Disagreement:
    """One cell on which coders differ; `settled` is None while nobody has decided."""

    table: str
    row: str
    column: str
    values: Mapping[str, str]
    settled: Settled | None


@dataclass(frozen=True, slots=True)
class Alone:
    """A row that not every coder has: who has it, and whether it belongs (`settled` is None while undecided)."""

    table: str
    row: str
    having: tuple[str, ...]
    settled: Settled | None

    @property
    def kept(self) -> bool:
        """Whether it was decided that the row belongs."""
        return self.settled is not None and self.settled.value == KEEP

    @property
    def dropped(self) -> bool:
        """Whether it was decided that the row does not belong."""
        return self.settled is not None and self.settled.value == DROP


@dataclass(frozen=True, slots=True)
class FieldPairs:
    """One column of one table, for the rows all coders have: each coder's cells, in the same order of rows."""

    table: str
    column: Column
    coders: tuple[str, ...]
    cells: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """The coders of a work side by side; `alone` are rows that not every coder has."""

    work: str
    fields: tuple[FieldPairs, ...]
    disagreements: tuple[Disagreement, ...]
    alone: tuple[Alone, ...]
    renamed: Mapping[tuple[str, str], Mapping[str, str]] = field(default_factory=dict)
    """By table and coder: ids of rows that were matched by what they say, and the id under which they are compared."""

    @property
    def open(self) -> tuple[Disagreement, ...]:
        """The disagreements nobody has settled."""
        return tuple(d for d in self.disagreements if d.settled is None)

    @property
    def undecided(self) -> tuple[Alone, ...]:
        """The rows not every coder has, of which nobody has said whether they belong."""
        return tuple(entry for entry in self.alone if entry.settled is None)


def compare_coders(coders: Coders) -> Comparison:
    """Compare all coders of each table, cell by cell; rows that say the same have the same id by now.

    Raises
    ------
    UserError
        when no table was coded by at least two.
    """
    tables = [table for table in CODED_TABLES if len(coders.names(table)) > 1]
    if not tables:
        raise UserError(
            f"no table of {coders.work} was coded by two people; put their files in {coders.work}/coders/<name>/"
        )
    fields = [field for table in tables for field in _fields(coders, table)]
    alone = [entry for table in tables for entry in _alone(coders, table)]
    # A row that was kept is compared among those who have it; one still undecided may not belong at all.
    kept = {(entry.table, entry.row): entry.having for entry in alone if entry.kept}
    differing = [entry for table in tables for entry in _disagreements(coders, table, kept)]
    return Comparison(coders.work, tuple(fields), tuple(differing), tuple(alone), coders.renamed)


def _shared(coders: Coders, table: str) -> list[str]:
    """The rows every coder has, in the first one's order."""
    first, *others = (coders.tables[table][name] for name in coders.names(table))
    return [row for row in first if all(row in other for other in others)]


def _columns(coders: Coders, table: str) -> Iterator[Column]:
    """The columns that are coded: not the id, not the versions, filled by somebody."""
    written = list(coders.tables[table].values())
    for column in TABLES[table].columns:
        if column.name in TABLES[table].id or column.name in _NOT_CODED:
            continue
        # Columns nobody filled would agree in every row and make agreement look better than it is.
        if any(row.get(column.name, "") for rows in written for row in rows.values()):
            yield column


def _fields(coders: Coders, table: str) -> Iterator[FieldPairs]:
    names, rows = coders.names(table), _shared(coders, table)
    for column in _columns(coders, table):
        written = [[_cell(coders.tables[table][name], row, column) for row in rows] for name in names]
        # The same for cells: two empty ones are no agreement about anything.
        filled = [any(cells) for cells in zip(*written, strict=True)]
        cells = tuple(tuple(cell for cell, keep in zip(own, filled, strict=True) if keep) for own in written)
        if cells[0]:
            yield FieldPairs(table, column, names, cells)


def _disagreements(
    coders: Coders, table: str, kept: Mapping[tuple[str, str], tuple[str, ...]]
) -> Iterator[Disagreement]:
    """Cells that differ: in rows all coders have, and in rows to keep among those who have them."""
    everybody = coders.names(table)
    columns = list(_columns(coders, table))
    rows = dict.fromkeys(_shared(coders, table), everybody)
    rows |= {row: having for (name, row), having in kept.items() if name == table}
    for row, names in rows.items():
        for column in columns:
            values = {name: _cell(coders.tables[table][name], row, column) for name in names}
            if not same_value(column, list(values.values())):
                # Shown with its decision: what was settled stays to be seen as having been a disagreement.
                settled = coders.settled.get((table, row, column.name))
                yield Disagreement(table, row, column.name, values, settled)


def _alone(coders: Coders, table: str) -> Iterator[Alone]:
    written = coders.tables[table]
    for row in dict.fromkeys(row for rows in written.values() for row in rows):
        having = tuple(name for name in coders.names(table) if row in written[name])
        if len(having) < len(written):
            yield Alone(table, row, having, coders.settled.get((table, row, PRESENCE)))


def _cell(rows: Rows, row: str, column: Column) -> str:
    return rows[row].get(column.name, "")
