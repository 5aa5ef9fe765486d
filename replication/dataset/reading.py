"""Bytes on disk -> a table of text, or the reasons why not. Nothing here knows what a column means."""

from __future__ import annotations

import csv
import io
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from replication.dataset.problems import Problem, nearest, shown
from replication.dataset.schema import Column, Table
from replication.dataset.spreadsheets import (
    PLAIN,
    Form,
    ambiguous,
    decimal_comma,
    decode,
    grouped_by_point,
    plain_number,
    readings,
    separator_of,
    with_hyphen,
    without_separator_line,
)
from replication.formulas import restored

__all__ = ["DecimalComma", "RawTable", "decided", "plain_text", "read_as_told", "read_bytes", "read_table"]

DecimalComma = Callable[[str, str], bool]
"""Whether the comma of a number such as 5,123 is a decimal comma: asked with its place and the cell."""
_LARGEST_FILE = 200_000_000
_WIDENED = ("number", "printed")  # kinds of column whose decimals a table's form decides


@dataclass(frozen=True, slots=True)
class RawTable:
    """A file as text: `header`, `rows` (each as long as the header) and the line of the file each row starts on."""

    file: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    lines: tuple[int, ...]
    form: Form = PLAIN


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
    decoded = _decoded(content, file)
    if isinstance(decoded, Problem):
        return None, [decoded]
    text, encoding, separator = decoded
    separator = separator or separator_of(text, table)
    problems: list[Problem] = []
    records = _plain_rows(text, separator) or list(_rows_in(text, separator, file, problems))
    if not records:
        problems = problems or [Problem(file, 0, "", "empty-file", "no header", "a header and rows")]
        return None, problems
    (_, header), body = records[0], _filled(records[1:], file, problems)
    header = [name.strip() for name in header]
    problems += _header_problems(file, header, table)
    if not body and not any(problem.rule in ("quotes", "half-written") for problem in problems):
        problems.append(Problem(file, 0, "", "no-rows", "a header only", "at least one row", "fill or delete the file"))
    width = len(header)
    kept = [(line, row) for line, row in body if len(row) == width]
    # A file without a last line end may have been cut off while it was saved.
    cut = not text.endswith(("\n", "\r"))
    problems += [
        _ragged(file, line, row, width, cut and line == body[-1][0]) for line, row in body if len(row) != width
    ]
    if cut and body and len(body[-1][1]) == len(header):
        problems.append(_no_newline(file, body[-1][0]))
    lines = tuple(line for line, _ in kept)
    # Blanks around a cell are invisible in a spreadsheet and would make two words of one.
    # A table repeats a few words over all its rows: each is held once, which is two thirds of the memory of many rows.
    rows = tuple(tuple(map(sys.intern, map(str.strip, row))) for _, row in kept)
    if "'" in text:  # which a guarded cell begins with; few tables hold one
        rows = tuple(tuple(map(restored, row)) for row in rows)
    raw, undecided = decided(RawTable(file, tuple(header), rows, lines, Form(encoding, separator)), table)
    problems += undecided
    if raw.form != PLAIN:
        problems.append(_of_form(file, raw.form))
    return raw, problems


def decided(raw: RawTable, table: Table) -> tuple[RawTable, list[Problem]]:
    """The table with decimal points and hyphens, where its numbers say what its commas are; what nobody can tell."""
    columns = list(map(table.by_name.get, raw.header))
    raw = _with_hyphens(columns, raw)
    if not decimal_comma(columns, raw.rows):
        return raw, []
    problems = list(_grouped(raw.file, columns, raw.rows, raw.lines))
    rows = tuple(_with_points(columns, row) for row in raw.rows)
    return replace(raw, rows=rows, form=replace(raw.form, decimal_comma=True)), problems


def _with_hyphens(columns: Sequence[Column | None], raw: RawTable) -> RawTable:
    """The table with keyboard hyphens in its numbers. What is `printed` stays as it stands there."""
    places = [i for i, column in enumerate(columns) if column is not None and column.kind == "number"]
    # Sound tables hold none: a glance at each cell, and nothing is made anew.
    if all(row[place].isascii() for place in places for row in raw.rows):
        return raw
    rows = tuple(tuple(with_hyphen(cell) if i in places else cell for i, cell in enumerate(row)) for row in raw.rows)
    return raw if rows == raw.rows else replace(raw, rows=rows, form=replace(raw.form, minus_signs=True))


def read_as_told(raw: RawTable, table: Table, decimal: DecimalComma) -> RawTable:
    """The table with each number such as 5,123 read as somebody says, who is asked once: a table has one style."""
    columns = list(map(table.by_name.get, raw.header))
    kinds = [column.kind if column is not None else "" for column in columns]
    unclear = [
        (line, name, cell)
        for line, row in zip(raw.lines, raw.rows, strict=True)
        for kind, name, cell in zip(kinds, raw.header, row, strict=True)
        if kind in (*_WIDENED, "integer") and ambiguous(cell)
    ]
    if not unclear:
        return raw
    line, name, first = unclear[0]
    commas = decimal(f"{raw.file}, row {line}, column {name}", first)
    # No count of persons has decimals: where commas are decimal commas, such a count stays for the check to refuse.
    read = _WIDENED if commas else (*_WIDENED, "integer")
    rows = tuple(
        tuple(
            readings(cell)[0 if commas else 1] if kind in read and ambiguous(cell) else cell
            for kind, cell in zip(kinds, row, strict=True)
        )
        for row in raw.rows
    )
    return replace(raw, rows=rows)


def plain_text(path: Path, table: Table, decimal: DecimalComma | None = None) -> str:
    """A table as the dataset stores it: UTF-8 with commas and decimal points; comments are kept where they stand.

    The file is one that `read_table` reads; one in the dataset's own form comes back letter by letter. `decimal` is
    asked what nobody can tell from the table; without it such numbers stay as they are.
    """
    raw, _ = read_table(path, path.name, table)
    decoded = _decoded(path.read_bytes(), path.name)
    if raw is None or isinstance(decoded, Problem):
        return ""
    text = decoded[0]
    told = raw if decimal is None else read_as_told(raw, table, decimal)
    # Nothing to do means nothing changed: version control then shows no difference.
    if raw.form == PLAIN and told is raw:
        return text
    raw = told
    rows = dict(zip(raw.lines, raw.rows, strict=True))
    plain = io.StringIO()
    writer = csv.writer(plain, lineterminator="\n")
    writer.writerow(raw.header)
    for line, source in enumerate(io.StringIO(text), 1):
        if line in rows:
            writer.writerow(rows[line])
        elif source.lstrip().startswith("#"):
            plain.write(source.rstrip("\r\n") + "\n")
    return plain.getvalue()


def _with_points(columns: Sequence[Column | None], row: Sequence[str]) -> tuple[str, ...]:
    return tuple(
        plain_number(cell) if column is not None and column.kind in _WIDENED and "," in cell else cell
        for column, cell in zip(columns, row, strict=True)
    )


def _grouped(
    file: str, columns: Sequence[Column | None], rows: Sequence[Sequence[str]], lines: Sequence[int]
) -> Iterator[Problem]:
    """Numbers with a point of thousands, or of decimals, in a table whose decimals have commas: nobody can tell."""
    for line, row in zip(lines, rows, strict=True):
        for column, cell in zip(columns, row, strict=True):
            if column is not None and column.kind in _WIDENED and grouped_by_point(cell):
                expected = f"{cell.replace('.', ',')} or {cell.replace('.', '')}, as decimals have commas here"
                hint = "nobody can tell from the table which is meant: look it up and write one of the two"
                yield Problem(file, line, column.name, "decimal-comma", shown(cell), expected, hint)


def _of_form(file: str, form: Form) -> Problem:
    """What is said of a table that was read though it is not written as the dataset stores tables."""
    told = ["0,31 as 0.31"] * form.decimal_comma + ["−0.31 as -0.31"] * form.minus_signs
    decided = ", for example " + " and ".join(told) if told else ""
    hint = f"it was read{decided}; `python -m replication.study tidy {file.partition('/')[0]}` stores it so"
    return Problem(file, 0, "", "form", str(form), "UTF-8, commas and decimal points, as stored", hint, "warning")


def _filled(records: list[tuple[int, list[str]]], file: str, problems: list[Problem]) -> list[tuple[int, list[str]]]:
    """The rows that hold something; one of empty cells alone, as spreadsheets leave them behind, is said once."""
    filled = [record for record in records if record[1][0].strip() or "".join(record[1]).strip()]
    if len(filled) < len(records):
        empty = [line for line, row in records if not "".join(row).strip()]
        found = "a row of empty cells" if len(empty) == 1 else f"{len(empty)} rows of empty cells, this the first"
        problems.append(Problem(file, empty[0], "", "empty-row", found, "rows that say something", "delete them"))
    return filled


def _decoded(content: bytes, file: str) -> tuple[str, str, str] | Problem:
    """The text, its encoding, and the separator that Excel's first line names ("" where there is none)."""
    try:
        text, encoding = decode(content)
    except UnicodeDecodeError as error:
        row = content[: error.start].count(b"\n") + 1
        at = content[error.start : error.start + 1].hex().upper()
        found = f"the byte 0x{at}, which is not {error.encoding.upper()}"
        return Problem(file, row, "", "encoding", found, "UTF-8 text", "save the file as CSV UTF-8")
    if "\x00" in text:
        row = text[: text.index("\x00")].count("\n") + 1
        return Problem(file, row, "", "encoding", "a NUL character", "text", "the file is damaged or not a CSV")
    text, separator = without_separator_line(text)
    return text, encoding, separator


def _plain_rows(text: str, separator: str) -> list[tuple[int, list[str]]]:
    """Rows with their line, of a text without comments whose rows are its lines; [] where it may be another."""
    if "#" in text:
        return []
    reader = _reader(text, separator)
    try:
        rows = list(reader)
    except csv.Error:
        return []
    # A quoted cell may span lines; where none does, rows and lines are equally many.
    return [(line, row) for line, row in enumerate(rows, 1) if row] if len(rows) == reader.line_num else []


def _rows_in(text: str, separator: str, file: str, problems: list[Problem]) -> Iterator[tuple[int, list[str]]]:
    """Rows with the line they start on, without comments. A row of data that begins with # is said, or is a row.

    A comment is a line that begins with `# `. A row whose id begins with # (as Covidence writes them, or #REF!) stays
    a row, and its id is refused like any other.
    """
    width, passed = 0, []
    for line, record in _records(text, separator, file, problems):
        first = record[0].lstrip()
        if not first.startswith("#"):
            width = width or len(record)
            yield line, record
            continue
        filled = sum(bool(cell.strip()) for cell in record)
        # Only after the header: comments above it may be of any form.
        if width and filled > 1 and " " not in first.lstrip("#").strip():  # comments are sentences
            if not first.startswith("# "):
                yield line, record
            elif filled > width // 3:
                passed.append(line)
    if passed:
        found = f"{len(passed)} row{'s' if len(passed) > 1 else ''} with # in front that look like data"
        hint = "take the # away where they are rows; delete them where they are not"
        problems.append(Problem(file, passed[0], "", "commented-row", found, "rows without #", hint, "warning"))


def _records(text: str, separator: str, file: str, problems: list[Problem]) -> Iterator[tuple[int, list[str]]]:
    """Rows and comments that are not empty, with the line they start on; a broken quote ends it."""
    reader = _reader(text, separator)
    start = 1
    try:
        for record in reader:
            if record:
                yield start, record
            # A quoted cell may span lines: records are not lines, and messages name the line.
            start = reader.line_num + 1
    except csv.Error as error:
        end = "unexpected end" in str(error)
        found = "a quote that is never closed" if end else "a quote in the middle of a cell"
        hint = "the file may be half-written" if end else 'double the quote ("") or remove it'
        problems.append(Problem(file, start, "", "half-written" if end else "quotes", found, "balanced quotes", hint))


def _reader(text: str, separator: str) -> Any:
    # The csv module's own limit of 131 072 letters would raise an error of its own; cells are measured later.
    csv.field_size_limit(_LARGEST_FILE)
    return csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)


def _header_problems(file: str, header: list[str], table: Table) -> list[Problem]:
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
