"""A workbook somebody filled in -> a `Submission`. The file is a stranger's: it is weighed before it is opened.

A workbook is a zip archive of XML files. Nothing of it runs here: formulas are text, macros and links to other files
are said and left alone. What a spreadsheet has made of a number (a date, a number without its last zero) is said at its
cell, because it cannot be told from the value any more.
"""

from __future__ import annotations

import datetime
import io
import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from replication.dataset import Problem
from replication.dataset.problems import nearest, shown
from replication.dataset.schema import TABLES, Table
from replication.dataset.spreadsheets import spreadsheet_hint
from replication.errors import UserError
from replication.study.submission import RECORD_FIELDS, SHEETS, Rows, Submission, sheet_name
from replication.study.workbook import EXAMPLE

if TYPE_CHECKING:
    from openpyxl.cell.read_only import ReadOnlyCell
    from openpyxl.worksheet._read_only import ReadOnlyWorksheet

__all__ = ["read_workbook"]

_LARGEST_FILE = 20_000_000
_LARGEST_CONTENT = 60_000_000  # bytes of all parts, unpacked
_MOST_PACKED = 200  # times that a part may be smaller than its content: plain sheets reach about 20
_MOST_PARTS = 2000
_MOST_ROWS, _MOST_COLUMNS = 100_000, 200
_OURS = ("start", "words", "messages", "work", *SHEETS)
_ELSEWHERE = ("xl/externalLinks/", "xl/connections.xml", "xl/queryTables/", "xl/embeddings/")
"""Parts by which a workbook draws on something else than its own cells."""
_PROGRAMS = ("xl/macrosheets/", "xl/activeX/")
_DECIMALS = re.compile(r"0(?:\.(0+))?(%?)")
_AS_PRINTED = ("value", "printed", "mean", "sd", "ci_low", "ci_high", "p")  # whose last zero says how exact they are
_PIECE = 1 << 20
_LISTED = 8  # hidden rows or columns that a message names
_TRUE = ("1", "true")


@dataclass(slots=True)
class _Found:
    """What is being collected while a workbook is read; local to one reading."""

    file: str
    record: dict[str, str] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)
    tables: dict[str, Rows] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def say(self, sheet: str, row: int, column: str, rule: str, found: str, expected: str, hint: str) -> None:
        """An error at a place of a sheet."""
        self.problems.append(Problem(sheet_name(self.file, sheet), row, column, rule, found, expected, hint))

    def ask(self, sheet: str, row: int, column: str, rule: str, found: str, expected: str, hint: str) -> None:
        """The same as a question."""
        place = sheet_name(self.file, sheet)
        self.problems.append(Problem(place, row, column, rule, found, expected, hint, "warning"))


def read_workbook(path: Path) -> Submission:
    """The study in a workbook, with everything that is wrong with the workbook itself.

    Raises
    ------
    UserError
        when the file is no workbook, or one that nobody would fill in by hand (a zip bomb, a million rows).
    """
    found = _Found(path.name)
    _weigh(path, found)
    from openpyxl import load_workbook

    try:
        # from memory: whatever goes wrong, no file stays open
        book = load_workbook(io.BytesIO(path.read_bytes()), read_only=True, data_only=False, keep_links=False)
        with zipfile.ZipFile(path) as archive:
            for sheet in book.worksheets:
                header = _read_sheet(sheet, found)
                if header:
                    _say_hidden(sheet, archive, header, found)
    except UserError:
        raise
    except Exception as error:  # whatever a damaged archive makes the library stumble over
        raise UserError(
            f"{path.name} cannot be read as a workbook ({type(error).__name__}: {' '.join(str(error).split())[:120]}); "
            f"open it in a spreadsheet program and save it as .xlsx"
        ) from error
    return Submission(found.file, found.record, found.tables, tuple(found.problems), found.lines)


def _weigh(path: Path, found: _Found) -> None:
    """Refuse what is no archive, unpacks to too much or declares XML entities; say macros and links to other files."""
    try:
        size = path.stat().st_size
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}); give the path of a workbook") from error
    if size > _LARGEST_FILE:
        raise UserError(f"{path.name} has {size} bytes; expected a workbook of at most {_LARGEST_FILE // 10**6} MB")
    if not zipfile.is_zipfile(path):
        raise UserError(
            f"{path.name} is no .xlsx workbook (an old .xls, an encrypted file, or another kind); open it in a "
            f"spreadsheet program and save it as .xlsx"
        )
    with zipfile.ZipFile(path) as archive:
        parts = archive.infolist()
        packed = max((part.file_size / max(part.compress_size, 1) for part in parts), default=0)
        if len(parts) > _MOST_PARTS or sum(p.file_size for p in parts) > _LARGEST_CONTENT or packed > _MOST_PACKED:
            raise UserError(f"{path.name} unpacks to more than anybody types; expected a workbook filled in by hand")
        if "xl/workbook.xml" not in archive.namelist():
            raise UserError(f"{path.name} is an archive, but no .xlsx workbook; save it as .xlsx and try again")
        for part in parts:
            _refuse_entities(archive, part, path.name)
        _say_parts([part.filename for part in parts], found)


def _refuse_entities(archive: zipfile.ZipFile, part: zipfile.ZipInfo, name: str) -> None:
    """Entities let a short XML file grow without end, or read other files; no spreadsheet program writes any."""
    if not part.filename.endswith((".xml", ".rels", ".vml")):
        return
    try:
        with archive.open(part) as stream:
            head = stream.read(_PIECE)
    except (zipfile.BadZipFile, RuntimeError, OSError, EOFError, NotImplementedError) as error:
        raise UserError(f"{name} is damaged or encrypted ({error}); save it again as .xlsx") from error
    if b"<!ENTITY" in head or b"<!DOCTYPE" in head:
        raise UserError(f"{name} declares XML entities in {part.filename}, which no spreadsheet program writes")


def _say_parts(names: list[str], found: _Found) -> None:
    if any(name.endswith("vbaProject.bin") or name.startswith(_PROGRAMS) for name in names):
        hint = "nothing of it was run; save the workbook as .xlsx, without macros"
        found.say("start", 0, "", "macro", "a macro", "a workbook without programs", hint)
    if any(name.startswith(_ELSEWHERE) for name in names):
        hint = "no other file was opened; type the numbers themselves, or paste them as values"
        found.say("start", 0, "", "external-link", "a link to another file", "a workbook that stands alone", hint)


def _read_sheet(sheet: ReadOnlyWorksheet, found: _Found) -> Sequence[str]:
    """Read what a sheet holds; gives the headings of its columns, none where it is not read."""
    name = sheet.title.strip().lower()
    sheet.reset_dimensions()  # a file may claim to be a million rows; what is there counts
    rows = sheet.iter_rows()
    if name == "work":
        _read_record(rows, found)
        return ("field", "value")
    if name in SHEETS and SHEETS[name] in found.tables:
        hint = "move all rows to one of them and delete the other; what stands in the later one was not read"
        found.say(name, 0, "", "sheet-twice", f"the sheet {shown(sheet.title)}, too", f"one sheet {name}", hint)
    elif name in SHEETS:
        return _read_table(name, TABLES[SHEETS[name]], rows, found)
    elif name not in _OURS and any(cell.value is not None for row in rows for cell in row):
        hidden = "a hidden sheet" if sheet.sheet_state != "visible" else "a sheet"
        hint = f"{nearest(name, SHEETS)}; what stands there is not read"
        found.ask(shown(sheet.title), 0, "", "unknown-sheet", f"{hidden} of another name", "the sheets as made", hint)
    return ()


def _say_hidden(sheet: ReadOnlyWorksheet, archive: zipfile.ZipFile, header: Sequence[str], found: _Found) -> None:
    """What cannot be seen of a sheet is read like the rest, and that it was is said.

    To leave it out would be a guess: a filter hides rows that are meant, and drafts are hidden, too.
    """
    name = sheet.title.strip().lower()
    if sheet.sheet_state != "visible":
        found.ask(name, 0, "", "hidden-sheet", "a hidden sheet", "sheets one can see", "it was read; unhide it")
    hidden = _hidden(archive, sheet._worksheet_path)
    kept = found.tables.get(SHEETS.get(name, ""), Rows((), tuple(found.lines.values())))
    rows = [str(line) for line in kept.lines if line in hidden.rows]
    filled = {column for row in kept.rows for column, text in row.items() if text} or set(header)
    columns = [column for i, column in enumerate(header, 1) if i in hidden.columns and column in filled]
    for kind, places in (("row", rows), ("column", columns)):
        if places:
            what = f"{len(places)} hidden {kind}{'s' if len(places) > 1 else ''}"
            listed = ", ".join(places[:_LISTED]) + (", …" if len(places) > _LISTED else "")
            hint = "read like the others: show them, take a filter off, and delete what does not belong there"
            line = int(rows[0]) if kind == "row" else 1
            found.ask(name, line, "", f"hidden-{kind}s", f"{what} ({listed})", f"{kind}s one can see", hint)


@dataclass(frozen=True, slots=True)
class _Hidden:
    """The numbers of a sheet's hidden rows and columns, from 1."""

    rows: frozenset[int]
    columns: frozenset[int]


def _hidden(archive: zipfile.ZipFile, part: str) -> _Hidden:
    """What is hidden in a sheet, read from its part: the library passes over it where it keeps no whole sheet."""
    from openpyxl.xml.functions import iterparse

    rows: set[int] = set()
    columns: set[int] = set()
    line = 0
    with archive.open(part) as stream:
        for _, element in iterparse(stream):
            tag = element.tag.rpartition("}")[2]
            if tag == "col" and element.get("hidden") in _TRUE:
                first, last = int(element.get("min", "1")), int(element.get("max", "1"))
                columns |= set(range(first, min(last, _MOST_COLUMNS) + 1))
            elif tag == "row":
                line = int(element.get("r") or line + 1)
                if element.get("hidden") in _TRUE:
                    rows.add(line)
                element.clear()  # or every cell of the sheet stays in memory
    return _Hidden(frozenset(rows), frozenset(columns))


def _read_record(rows: Iterator[tuple[ReadOnlyCell, ...]], found: _Found) -> None:
    for line, cells in enumerate(rows, 1):
        name = str(cells[0].value or "").strip() if cells else ""
        if name in RECORD_FIELDS and len(cells) > 1:
            found.record[name] = _text("work", line, name, cells[1], found)
            found.lines[name] = line


def _read_table(name: str, table: Table, rows: Iterator[tuple[ReadOnlyCell, ...]], found: _Found) -> list[str]:
    """Collect the rows of a table; gives the headings of its columns."""
    header = [str(cell.value or "").strip() for cell in next(rows, ())][:_MOST_COLUMNS]
    _check_header(name, table, header, found)
    kept: list[Mapping[str, str]] = []
    lines: list[int] = []
    for line, cells in enumerate(rows, 2):
        if all(cell.value is None for cell in cells):
            continue
        if line > _MOST_ROWS or len(cells) > _MOST_COLUMNS:
            raise UserError(
                f"{sheet_name(found.file, name)} has more than {_MOST_ROWS} rows or {_MOST_COLUMNS} columns; "
                f"delete what is empty and save it again"
            )
        first = str(cells[0].value or "") if cells else ""
        if first.startswith(EXAMPLE):
            continue
        pairs = [(column, cell) for column, cell in zip(header, cells, strict=False) if cell.value is not None]
        row = {column: _text(name, line, column, cell, found) for column, cell in pairs if column in table.by_name}
        for column, cell in pairs:
            if not column:
                hint = "move it below a heading, or delete it"
                found.say(name, line, "", "no-heading", shown(cell.value), "cells below a heading", hint)
        if any(row.values()):
            kept.append(row)
            lines.append(line)
    found.tables[table.name] = Rows(tuple(kept), tuple(lines))
    return header


def _check_header(name: str, table: Table, header: list[str], found: _Found) -> None:
    for column in header:
        if column and column not in table.by_name:
            hint = nearest(column, table.by_name)
            found.say(name, 1, "", "unknown-column", shown(column), f"a column of {table.name}", hint)
        elif column and header.count(column) > 1:
            found.say(name, 1, column, "duplicate-column", f"the column {column} twice", "once", "delete the other")


def _text(sheet: str, line: int, column: str, cell: ReadOnlyCell, found: _Found) -> str:
    """A cell as text; what a spreadsheet has made of it is said at its place."""
    value = cell.value
    if value is None:
        return ""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return _number(sheet, line, column, cell, found)
    made = _made_by_spreadsheet(cell)
    if made is not None:
        found.say(sheet, line, column, *made)
        return ""
    return " ".join(str(value).split())


def _made_by_spreadsheet(cell: ReadOnlyCell) -> tuple[str, str, str, str] | None:
    """Rule, found, expected and hint of a cell that holds no longer what was typed, or never held text; else None."""
    value = cell.value
    if isinstance(value, (datetime.datetime, datetime.date, datetime.time, datetime.timedelta)):
        hint = spreadsheet_hint(str(value)) or "a spreadsheet made a date or time of it: format the cell as text first"
        return "date", shown(value), "what the source prints, not a date", hint
    if isinstance(value, bool):
        hint = "type the number that is printed, or yes or no where that is asked"
        return "boolean", str(value).upper(), "what the source prints, not a truth value", hint
    if cell.data_type == "f":
        text = str(getattr(value, "text", None) or value)  # a formula of several cells is an object
        return "formula", shown(text), "what the source prints, not a formula", "type the number itself"
    if cell.data_type == "e":
        return "error-value", shown(value), "a value", spreadsheet_hint(str(value))
    return None


def _number(sheet: str, line: int, column: str, cell: ReadOnlyCell, found: _Found) -> str:
    """A number typed as a number: with the decimals its cell shows; else as it is, and its end is asked for."""
    value, form = float(cell.value), str(cell.number_format)
    match = _DECIMALS.fullmatch(form)
    if match:
        decimals, percent = len(match[1] or ""), match[2]
        shown_value = f"{value * (100 if percent else 1):.{decimals}f}{percent}"
        if abs(float(shown_value.rstrip("%")) / (100 if percent else 1) - value) <= 1e-9 * max(1.0, abs(value)):
            return shown_value
    text = f"{value:.15g}"
    if sheet in SHEETS and column in _AS_PRINTED and len(text.partition(".")[2]) == 1:
        hint = "if the source prints more decimals (.30), format the cell as text and type them; else leave it"
        found.ask(sheet, line, column, "last-zero", text, "all decimals as printed", hint)
    return text
