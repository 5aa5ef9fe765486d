"""Questions from double coding: cells nobody has settled, rows only some have, and tables that say something else."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from replication.dataset.problems import shown
from replication.dataset.reading import read_table
from replication.dataset.schema import TABLES, Column
from replication.errors import UserError
from replication.study.coding.coders import Coders
from replication.study.coding.comparing import Comparison, compare_coders
from replication.study.coding.matching import matched
from replication.study.coding.same import same_value
from replication.study.coding.settling import settle_command
from replication.study.plausibility.query import Place, Query

__all__ = ["coding_queries"]


@dataclass(frozen=True, slots=True)
class _Held:
    """A row of the work's own table: its line, and its cells as text."""

    line: int
    cells: Mapping[str, str]


def coding_queries(folder: Path, coders: Coders) -> Iterator[Query]:
    """Every question about a work's double coding; none where no table was coded by two.

    Parameters
    ----------
    folder : the work's folder.
    coders : what each coder wrote there.
    """
    if not any(len(coders.names(table)) > 1 for table in coders.tables):
        return
    coders = matched(coders)
    comparison = compare_coders(coders)
    yield from _unsettled(coders, comparison)
    yield from _alone(coders, comparison)
    for table in sorted({field.table for field in comparison.fields}):
        columns = [field.column for field in comparison.fields if field.table == table]
        yield from _not_as_coded(folder, coders, table, columns)


def _unsettled(coders: Coders, comparison: Comparison) -> Iterator[Query]:
    for entry in comparison.open:
        place = _place(coders, entry.table, coders.names(entry.table)[0], entry.row)
        found = "; ".join(f"{name} {shown(value)}" for name, value in entry.values.items())
        command = settle_command(coders.work, entry.table, entry.row, entry.column)
        expected, hint = "one value, or a decision with its reason", f"look it up together, then: {command}"
        yield Query.about(place, entry.column, "coders-differ", found, expected, hint)


def _alone(coders: Coders, comparison: Comparison) -> Iterator[Query]:
    for entry in comparison.undecided:
        missing = [name for name in coders.names(entry.table) if name not in entry.having]
        found = f"{shown(entry.row)} only with {', '.join(entry.having)}"
        command = settle_command(coders.work, entry.table, entry.row, "row", "keep")
        expected, hint = f"the row with {', '.join(missing)}, too", f"overlooked, or no row? {command} (or drop)"
        place = _place(coders, entry.table, entry.having[0], entry.row)
        yield Query.about(place, "", "coded-alone", found, expected, hint)


def _place(coders: Coders, table: str, name: str, row: str) -> Place:
    return Place(f"{coders.work}/coders/{name}/{table}", coders.lines.get((table, name, row), 0), row)


def _not_as_coded(folder: Path, coders: Coders, table: str, columns: Sequence[Column]) -> Iterator[Query]:
    """Cells of the work's own table that are not what all coders have, or what was settled."""
    held = _own_rows(folder, table)
    first, *others = (coders.tables[table][name] for name in coders.names(table))
    for row, column in itertools.product((row for row in first if row in held), columns):
        if not all(row in other for other in others):
            continue
        coded = [rows[row].get(column.name, "") for rows in (first, *others)]
        settled = coders.settled.get((table, row, column.name))
        agreed = same_value(column, coded)
        if settled is None and not agreed:
            continue  # asked already
        value, how = (coded[0], "coded by all") if agreed or settled is None else (settled.value, "settled")
        own = held[row].cells.get(column.name, "")
        if not _same(column, own, value):
            place = Place(f"{coders.work}/{table}", held[row].line, row)
            hint = f"python -m replication.study agree {coders.work} --write takes over what was coded and settled"
            yield Query.about(place, column.name, "not-as-coded", shown(own), f"{shown(value)}, as {how}", hint)


def _own_rows(folder: Path, table: str) -> Mapping[str, _Held]:
    """The work's own rows by id, as they are written; what cannot be read is said by the dataset checker."""
    if not (folder / table).exists():
        return {}
    raw, _ = read_table(folder / table, f"{folder.name}/{table}", TABLES[table])
    if raw is None or not set(TABLES[table].id) <= set(raw.header):
        return {}
    rows = ((line, dict(zip(raw.header, cells, strict=True))) for line, cells in zip(raw.lines, raw.rows, strict=True))
    return {" ".join(cells[name] for name in TABLES[table].id): _Held(line, cells) for line, cells in rows}


def _same(column: Column, held: str, value: str) -> bool:
    try:
        return same_value(column, [held, value])
    except (ValueError, UserError):
        return True  # not readable: the dataset checker says so
