"""Reading and writing a work's tables as text, per row, with the columns in the order of the codebook."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from replication.dataset import format_problems
from replication.dataset.folder import WORK_TABLES
from replication.dataset.reading import DecimalComma, plain_text, read_table
from replication.dataset.schema import TABLES, Table
from replication.errors import UserError
from replication.writing import exclusive, write_atomic, write_together

__all__ = ["add_rows", "quoted", "read_rows", "rows_as_csv", "tidied", "with_rows", "write_bytes", "write_rows"]


def read_rows(path: Path, table: Table) -> list[dict[str, str]]:
    """The rows of a table that is there and whole; an absent file or one with a header only has none.

    Raises
    ------
    UserError
        with every problem, when the file cannot be read.
    """
    if not path.exists():
        return []
    raw, problems = read_table(path, f"{path.parent.name}/{path.name}", table)
    # A table of a header alone is a good start and no error for who adds the first row.
    errors = [problem for problem in problems if problem.severity == "error" and problem.rule != "no-rows"]
    if raw is None or errors:
        raise UserError(f"mend this first, then try again:\n{format_problems(errors)}")
    return [dict(zip(raw.header, row, strict=True)) for row in raw.rows]


def rows_as_csv(table: Table, rows: Sequence[Mapping[str, str]], header: Iterable[str] = ()) -> str:
    """Rows as CSV: required columns, those of `header` and those that are filled, in the order of the codebook."""
    filled = {name for row in rows for name, cell in row.items() if cell}
    wanted = filled | set(header) | {column.name for column in table.columns if column.required}
    names = [name for name in table.by_name if name in wanted]
    return _lines(names, [dict(zip(names, names, strict=True)), *rows])


def add_rows(path: Path, table: Table, rows: Sequence[Mapping[str, str]]) -> None:
    """Add rows to a table, which is written whole or not at all; called by who holds the dataset's lock."""
    write_atomic(path, with_rows(path, table, rows))


def with_rows(path: Path, table: Table, rows: Sequence[Mapping[str, str]]) -> str:
    """The text of a table with further rows.

    What is there stays as it is, comments too, where its header has the columns needed; else the text is made anew with
    more columns.
    """
    present = read_rows(path, table)
    header = _header(path, table)
    # Lines are appended where possible: a rewritten file shows as changed from top to bottom.
    if header and {name for row in rows for name, cell in row.items() if cell} <= set(header):
        text = plain_text(path, table)
        return text + ("" if text.endswith("\n") else "\n") + _lines(header, rows)
    return rows_as_csv(table, [*present, *rows], header)


def tidied(folder: Path, decimal: DecimalComma | None = None) -> tuple[str, ...]:
    """Store each table of a work in the dataset's own form, all or none; the names of those that were in another.

    `decimal` is asked whether 5,123 has a decimal comma where its table does not tell; without it such cells stay.
    """
    with exclusive(folder.parent):
        changed = {}
        for name in WORK_TABLES:
            path = folder / name
            if path.exists():
                read_rows(path, TABLES[name])  # says what is to be mended first
                text = plain_text(path, TABLES[name], decimal)
                if text.encode() not in (path.read_bytes(), path.read_bytes().removeprefix(b"\xef\xbb\xbf")):
                    changed[f"{folder.name}/{name}"] = text
        if changed:
            write_together(folder.parent, changed)
    return tuple(name.partition("/")[2] for name in changed)


def write_bytes(path: Path, content: bytes) -> None:
    """Write a whole file or nothing.

    Raises
    ------
    UserError
        when it cannot be written there.
    """
    try:
        write_atomic(path, content)
    except OSError as error:
        raise UserError(f"{path} cannot be written ({error.strerror}); is it open in a spreadsheet program?") from error


def write_rows(path: Path, table: Table, rows: Sequence[Mapping[str, str]]) -> None:
    """Write a table anew, whole or not at all, with the columns it has and those the rows fill."""
    write_atomic(path, rows_as_csv(table, rows, _header(path, table)))


def _header(path: Path, table: Table) -> list[str]:
    if not path.exists():
        return []
    raw, _ = read_table(path, path.name, table)
    return list(raw.header) if raw is not None else []


def _lines(header: Sequence[str], rows: Sequence[Mapping[str, str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([row.get(name, "") for name in header] for row in rows)
    return text.getvalue()


def quoted(text: str) -> str:
    """A string in quotes, with what TOML reads otherwise escaped.

    >>> quoted('a "word"')
    '"a \\\\"word\\\\""'
    """
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
