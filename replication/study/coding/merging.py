"""From coders' tables to the work's own: what all agree on, what was settled, and everything no coder has.

Coding anew never takes away: rows no coder has (withdrawn ones, too), comments, versions and columns nobody coded stay
as they stand in the work's table. Only a row that was settled as `drop` goes.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from replication.dataset.reading import plain_text
from replication.dataset.schema import TABLES, Table
from replication.errors import UserError
from replication.study.coding.coders import Coders, Rows
from replication.study.coding.comparing import Comparison
from replication.study.coding.same import same_value
from replication.study.tables import read_rows

__all__ = ["Merged", "merged_tables"]

_VERSIONS = ("since", "until")


@dataclass(frozen=True, slots=True)
class Merged:
    """One table ready to write, and what is in it beside the coders' rows.

    `kept` are rows no coder has, `dropped` those settled to go, `comments` the number of comment lines kept.
    """

    table: str
    text: str
    kept: tuple[str, ...]
    dropped: tuple[str, ...]
    comments: int


@dataclass(frozen=True, slots=True)
class _Present:
    """The work's own table as it stands: cells by id, and its lines: an id, or the text of a comment."""

    rows: Rows
    lines: tuple[tuple[str, str], ...]
    header: tuple[str, ...]


def merged_tables(folder: Path, coders: Coders, comparison: Comparison) -> tuple[Merged, ...]:
    """Each double-coded table, ready to write.

    Parameters
    ----------
    folder : the work's folder, with the tables as they stand.
    coders, comparison : what the coders wrote, and their comparison.

    Raises
    ------
    UserError
        while a cell is not settled, a row only some coders have is not decided, or a table cannot be read.
    """
    if comparison.open or comparison.undecided:
        raise UserError(
            f"nothing is written: {len(comparison.open)} disagreements and {len(comparison.undecided)} rows not every "
            f"coder has are open; each stands above with the command that settles it"
        )
    names = sorted({field.table for field in comparison.fields} | {entry.table for entry in comparison.alone})
    return tuple(_merged(folder, coders, comparison, name) for name in names)


def _merged(folder: Path, coders: Coders, comparison: Comparison, name: str) -> Merged:
    table = TABLES[name]
    present = _present(folder / name, table)
    dropped = {entry.row for entry in comparison.alone if entry.table == name and entry.dropped}
    decided = {row: cells for row, cells in _decided(coders, name, present.rows) if row not in dropped}
    kept = [row for row in present.rows if row not in decided and row not in dropped]
    rows: dict[str, Mapping[str, str]] = {row: decided.get(row, present.rows.get(row, {})) for row in (*kept, *decided)}
    lines = [*present.lines, *((row, "") for row in decided if row not in present.rows)]
    text = io.StringIO()
    header = _header(table, rows.values(), present.header)
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    for row, comment in lines:
        if comment:
            text.write(comment)
        elif row in rows:
            writer.writerow([rows[row].get(column, "") for column in header])
    comments = sum(comment.lstrip().startswith("#") for _, comment in lines)
    return Merged(name, text.getvalue(), tuple(kept), tuple(sorted(dropped)), comments)


def _decided(coders: Coders, name: str, present: Rows) -> Iterator[tuple[str, dict[str, str]]]:
    """Each row of the coders with the cells they agree on or that were settled.

    Columns nobody filled are not coded: there, and in the versions, the cell of the work's table stays.
    """
    written = [coders.tables[name][coder] for coder in coders.names(name)]
    coded = {column for rows in written for row in rows.values() for column, cell in row.items() if cell}
    coded |= {column for table, _, column in coders.settled if table == name}
    for row in dict.fromkeys(row for rows in written for row in rows):
        # The first coder's cells: all agree on them but for those that were settled, which follow.
        cells = dict(next(rows[row] for rows in written if row in rows))
        cells |= dict(_settled(coders, name, row, written))
        held = present.get(row, {})
        # Versions belong to the dataset's history and are no business of coders.
        stays = {column: cell for column, cell in held.items() if column in _VERSIONS or column not in coded}
        yield row, cells | stays


def _settled(coders: Coders, name: str, row: str, written: Sequence[Rows]) -> Iterator[tuple[str, str]]:
    """The decisions on cells of a row; one on a cell that all coders now have alike no longer counts."""
    columns = TABLES[name].by_name
    for (table, place, column), decision in coders.settled.items():
        if (table, place) == (name, row) and column in columns:
            cells = [rows[row].get(column, "") for rows in written if row in rows]
            if len(cells) < len(written) or not same_value(columns[column], cells):
                yield column, decision.value


def _header(table: Table, rows: Iterable[Mapping[str, str]], present: Sequence[str]) -> list[str]:
    """Columns that are filled, required or there already, in the order of the codebook."""
    used = {name for row in rows for name, cell in row.items() if cell}
    required = {column.name for column in table.columns if column.required}
    return [name for name in table.by_name if name in used | required | set(present)]


def _present(path: Path, table: Table) -> _Present:
    """The table as it stands, if it is there and whole."""
    if not path.exists():
        return _Present({}, (), ())
    named = [(" ".join(row[name] for name in table.id), row) for row in read_rows(path, table)]
    held = dict(named)
    # Two rows of one id would become one, and nobody would see which had gone.
    if len(held) < len(named):
        raise UserError(f"{path.parent.name}/{path.name} has an id twice; mend this first: every id stands once")
    # read_rows and the lines below go through the same file in the same order.
    ids = iter(held)
    header: tuple[str, ...] = ()
    lines: list[tuple[str, str]] = []
    for record, source in _records(plain_text(path, table)):
        if not record or record[0].lstrip().startswith("#"):
            lines.append(("", source))
        elif not header:
            header = tuple(name.strip() for name in record)
        else:
            lines.append((next(ids), ""))
    return _Present(held, tuple(lines), header)


def _records(text: str) -> Iterator[tuple[list[str], str]]:
    """Each record with its own text; a record may run over several lines."""
    lines = io.StringIO(text, newline="").readlines()
    reader = csv.reader(lines)
    start = 0
    for record in reader:
        source = "".join(lines[start : reader.line_num])
        start = reader.line_num
        yield record, source if source.endswith("\n") else source + "\n"
