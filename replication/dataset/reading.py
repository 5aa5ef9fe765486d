"""Bytes on disk -> a table of text, or the reasons why not. Nothing here knows what a column means."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from replication.dataset.problems import Problem, nearest, shown
from replication.dataset.schema import Table

__all__ = ["RawTable", "read_bytes", "read_table"]

_LARGEST_FILE = 200_000_000
_LARGEST_CELL = 20_000
_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars"}


@dataclass(frozen=True, slots=True)
class RawTable:
    """A file as text: `header`, `rows` (each as long as the header) and the line of the file each row starts on."""

    file: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    lines: tuple[int, ...]


def read_bytes(path: Path, file: str) -> bytes | Problem:
    """The file's bytes, or the problem that it is a link, not a file, empty, too large or not readable."""
    if path.is_symlink():
        return Problem(file, 0, "", "link", "a symbolic link", "a real file", "copy the file here instead of linking")
    if not path.is_file():
        return Problem(file, 0, "", "not-a-file", "a folder or special file", "a text file", "move it away")
    try:
        if path.stat().st_size > _LARGEST_FILE:
            return Problem(file, 0, "", "too-large", f"{path.stat().st_size} bytes", "at most 200 MB", "split the file")
        content = path.read_bytes()
    except OSError as error:
        reason = error.strerror or "unreadable"
        return Problem(file, 0, "", "unreadable", reason, "a readable file", "check the file's rights")
    if not content.strip():
        expected = "a header and rows" if file.endswith(".csv") else "what belongs in it"
        return Problem(file, 0, "", "empty-file", "an empty file", expected, "fill it, or restore its last version")
    return content


def read_table(path: Path, file: str, table: Table) -> tuple[RawTable | None, list[Problem]]:
    """Read one CSV file against the columns of `table`.

    Parameters
    ----------
    path : where it is.
    file : its name in messages, relative to the dataset.
    table : which columns it may and must have.

    Returns
    -------
    The table with the rows that have the right number of cells (None when nothing can be read), and every problem.
    """
    content = read_bytes(path, file)
    if isinstance(content, Problem):
        return None, [content]
    decoded = _decode(content, file)
    if isinstance(decoded, Problem):
        return None, [decoded]
    problems: list[Problem] = []
    records = list(_records(decoded, file, problems))
    if not records:
        problems = problems or [Problem(file, 0, "", "empty-file", "no header", "a header and rows")]
        return None, problems
    (_, header), body = records[0], _filled(records[1:], file, problems)
    header = [name.strip() for name in header]
    problems += _header_problems(file, header, table)
    if not body and not any(problem.rule in ("quotes", "half-written") for problem in problems):
        problems.append(Problem(file, 0, "", "no-rows", "a header only", "at least one row", "fill or delete the file"))
    kept = [(line, row) for line, row in body if len(row) == len(header)]
    cut = not decoded.endswith(("\n", "\r"))
    problems += [
        _ragged(file, line, row, len(header), cut and line == body[-1][0])
        for line, row in body
        if len(row) != len(header)
    ]
    if cut and body and len(body[-1][1]) == len(header):
        problems.append(_no_newline(file, body[-1][0]))
    rows = tuple(tuple(cell.strip() for cell in row) for _, row in kept)
    return RawTable(file, tuple(header), rows, tuple(line for line, _ in kept)), problems


def _filled(records: list[tuple[int, list[str]]], file: str, problems: list[Problem]) -> list[tuple[int, list[str]]]:
    """The rows that hold something; one of empty cells alone, as spreadsheets leave them behind, is said once."""
    empty = [line for line, row in records if not any(cell.strip() for cell in row)]
    if empty:
        found = "a row of empty cells" if len(empty) == 1 else f"{len(empty)} rows of empty cells, this the first"
        problems.append(Problem(file, empty[0], "", "empty-row", found, "rows that say something", "delete them"))
    return [record for record in records if any(cell.strip() for cell in record[1])]


def _decode(content: bytes, file: str) -> str | Problem:
    hint = "save the file as CSV UTF-8"
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return Problem(file, 1, "", "encoding", "UTF-16 text", "UTF-8 text", hint)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        row = content[: error.start].count(b"\n") + 1
        found = f"the byte 0x{content[error.start]:02X}, which is not UTF-8"
        return Problem(file, row, "", "encoding", found, "UTF-8 text", hint)
    if "\x00" in text:
        row = text[: text.index("\x00")].count("\n") + 1
        return Problem(file, row, "", "encoding", "a NUL character", "text", "the file is damaged or not a CSV")
    return text


def _records(text: str, file: str, problems: list[Problem]) -> Iterator[tuple[int, list[str]]]:
    """Rows with the line they start on, without comments (first cell begins with #); a broken quote ends it."""
    csv.field_size_limit(_LARGEST_FILE)
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    start = 1
    try:
        for record in reader:
            if record and not record[0].lstrip().startswith("#"):
                yield start, record
            start = reader.line_num + 1
    except csv.Error as error:
        end = "unexpected end" in str(error)
        found = "a quote that is never closed" if end else "a quote in the middle of a cell"
        hint = "the file may be half-written" if end else 'double the quote ("") or remove it'
        problems.append(Problem(file, start, "", "half-written" if end else "quotes", found, "balanced quotes", hint))


def _header_problems(file: str, header: list[str], table: Table) -> list[Problem]:
    if len(header) == 1:
        for mark, name in _SEPARATORS.items():
            if mark in header[0]:
                hint = "export with comma as the separator (in a spreadsheet: CSV UTF-8, comma delimited)"
                return [Problem(file, 1, "", "separator", f"columns separated by {name}", "commas", hint)]
    known = table.by_name
    problems = []
    for name, times in Counter(header).items():
        if not name:
            found = "a column without a name" if times == 1 else f"{times} columns without a name"
            problems.append(
                Problem(
                    file, 1, "", "unknown-column", found, "named columns", "delete them (a spreadsheet's leftovers)"
                )
            )
            continue
        if times > 1:
            found = f"the column {times} times"
            problems.append(Problem(file, 1, name, "duplicate-column", found, "once", "delete the others"))
        if name not in known:
            problems.append(
                Problem(
                    file,
                    1,
                    name,
                    "unknown-column",
                    shown(name),
                    f"a column of {table.name}",
                    nearest(name, known),
                )
            )
    for name, column in known.items():
        if column.required and name not in header:
            problems.append(
                Problem(
                    file, 1, name, "missing-column", "no such column", f"the column {name}", f"add it: {column.meaning}"
                )
            )
    return problems


def _ragged(file: str, line: int, row: list[str], width: int, last_and_cut: bool) -> Problem:
    found = f"{len(row)} cells"
    if last_and_cut and len(row) < width:
        return Problem(
            file,
            line,
            "",
            "half-written",
            f"{found} and no line end",
            f"{width} cells",
            "the file was cut off: save it again",
        )
    hint = (
        "put text with commas in double quotes, and write numbers with a decimal point"
        if len(row) > width
        else "fill the row up with empty cells"
    )
    return Problem(file, line, "", "cells", found, f"{width} cells, as in the header", hint)


def _no_newline(file: str, line: int) -> Problem:
    return Problem(
        file,
        line,
        "",
        "no-line-end",
        "no line end after the last row",
        "a line end",
        "check that the last row is whole and that none is missing below it; then end it with a line break",
    )
