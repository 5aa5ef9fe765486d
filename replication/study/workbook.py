"""The workbook of a study: one sheet per table, made from the codebook, to be filled in any spreadsheet program.

Every cell is formatted as text: what is typed stays as it is typed, so that .30 keeps its zero and .05-.08 does not
become a date. The words a column may hold are offered as a list, and each header carries its meaning as a note.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from replication.dataset import Problem
from replication.dataset.schema import TABLES, Column, Table, Vocabulary
from replication.study.submission import FIRST_ROW, RECORD_FIELDS, SHEETS, Rows
from replication.study.templates import example_row, usual_columns

if TYPE_CHECKING:
    from openpyxl.cell import Cell
    from openpyxl.workbook import Workbook
    from openpyxl.worksheet.worksheet import Worksheet

__all__ = ["EXAMPLE", "Filled", "workbook_bytes"]

EXAMPLE = "example: "
"""How the first cell of the example row begins: what begins so is no data."""
_LAST_ROW = 1000
_WORDS = "words"
_PASSED = ("since", "until")  # filled in when the workbook is taken over
_STEPS = (
    "How to use this workbook",
    "1. Sheet “work”: who wrote it, and when.",
    "2. Sheet “samples”: one row for each group of people. Sheet “effects”: one row for each correlation.",
    "3. Copy numbers exactly as printed. What is unknown stays empty: an empty cell is not zero.",
    "4. Rest the mouse on a heading to read what belongs below it. Grey rows are examples and do not count.",
    "5. Save, then:  python -m replication.study check {file}",
    "6. When nothing is left to mend:  python -m replication.study take {file}",
)


@dataclass(frozen=True, slots=True)
class Filled:
    """What stands in a workbook beside its headers: the record, rows by table, and messages at their cells."""

    record: Mapping[str, str]
    tables: Mapping[str, Rows] = field(default_factory=dict)
    messages: tuple[Problem, ...] = ()


def workbook_bytes(key: str, filled: Filled, vocabulary: Vocabulary) -> bytes:
    """The workbook of a work, ready to save as KEY.xlsx; messages stand in notes on their cells and in a sheet."""
    from openpyxl import Workbook

    vocabulary = vocabulary.for_coders
    book = Workbook()
    start = book.active
    start.title = "start"
    _write_steps(start, key)
    # First of all, as the other sheets' lists of allowed words refer to these cells.
    lists = _write_words(book, vocabulary)
    sheets = {"work": _write_record(book, filled.record, lists)}
    for name, table in SHEETS.items():
        example = example_row(table, key, "", vocabulary)
        rows = filled.tables.get(table, Rows((), ()))
        sheets[name] = _write_table(book, name, _columns(TABLES[table], rows.rows, vocabulary), example, rows, lists)
    if filled.messages:
        _write_messages(book, sheets, filled.messages)
    # Last in the row of sheets: it is there for the lists and not to be filled in.
    book.move_sheet(_WORDS, len(book.sheetnames))
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()


def _write_steps(sheet: Worksheet, key: str) -> None:
    from openpyxl.styles import Font

    for row, text in enumerate(_STEPS, 1):
        sheet.cell(row, 1, text.format(file=f"{key}.xlsx"))
    sheet["A1"].font = Font(bold=True, size=14)
    sheet.column_dimensions["A"].width = 110
    sheet.protection.sheet = True


def _write_words(book: Workbook, vocabulary: Vocabulary) -> Mapping[str, str]:
    """The word lists, a column each on a hidden sheet, and where each stands: what a list of choices points to."""
    from openpyxl.utils import get_column_letter

    sheet = book.create_sheet(_WORDS)
    places = {}
    lists = {
        **vocabulary.shown_lists,
        "publication": ("article", "book", "phdthesis", "mastersthesis", "techreport", "misc"),
    }
    for number, (name, words) in enumerate(lists.items(), 1):
        letter = get_column_letter(number)
        for row, word in enumerate((name, *words), 1):
            sheet.cell(row, number, word)
        places[name] = f"{_WORDS}!${letter}$2:${letter}${len(words) + 1}"
    sheet.sheet_state = "hidden"
    sheet.protection.sheet = True
    return places


def _write_record(book: Workbook, record: Mapping[str, str], lists: Mapping[str, str]) -> Worksheet:
    from openpyxl.styles import Font, Protection

    sheet = book.create_sheet("work")
    sheet.append(("field", "fill in here", "meaning"))
    for row, (name, meaning) in enumerate(RECORD_FIELDS.items(), 2):
        sheet.cell(row, 1, name).font = Font(bold=True)
        cell = _text_cell(sheet, row, 2, record.get(name, ""))
        cell.protection = Protection(locked=False)
        sheet.cell(row, 3, meaning)
        if name in lists:
            _offer(sheet, lists[name], f"B{row}", exact=True)
    for letter, width in zip("ABC", (14, 70, 70), strict=True):
        sheet.column_dimensions[letter].width = width
    _style_header(sheet, 3)
    return sheet


def _write_table(
    book: Workbook,
    name: str,
    columns: Sequence[Column],
    example: Mapping[str, str],
    rows: Rows,
    lists: Mapping[str, str],
) -> Worksheet:
    from openpyxl.comments import Comment
    from openpyxl.styles import Font, PatternFill, Protection
    from openpyxl.utils import get_column_letter

    sheet = book.create_sheet(name)
    for number, column in enumerate(columns, 1):
        letter = get_column_letter(number)
        sheet.column_dimensions[letter].number_format = "@"
        sheet.column_dimensions[letter].protection = Protection(locked=False)
        sheet.column_dimensions[letter].width = max(12, min(30, len(column.name) + 4))
        head = sheet.cell(1, number, column.name)
        head.comment = Comment(_note(column), "codebook", width=320, height=140)
        said = example.get(column.name, "")
        shown = sheet.cell(2, number, f"{EXAMPLE}{said}" if number == 1 else said)
        shown.font, shown.fill = Font(italic=True, color="777777"), PatternFill("solid", fgColor="EEEEEE")
        span = f"{letter}{FIRST_ROW}:{letter}{_LAST_ROW}"
        if column.vocabulary in lists:
            _offer(sheet, lists[column.vocabulary], span, exact=column.kind == "word")
        elif column.name == "sample_id" and name != "samples":
            _offer(sheet, f"samples!$A${FIRST_ROW}:$A${_LAST_ROW}", span, exact=False)
    for line, row in zip(rows.lines, rows.rows, strict=True):
        for number, column in enumerate(columns, 1):
            if row.get(column.name):
                _text_cell(sheet, line, number, row[column.name]).protection = Protection(locked=False)
    _style_header(sheet, len(columns))
    return sheet


def _columns(table: Table, rows: Sequence[Mapping[str, str]], vocabulary: Vocabulary) -> list[Column]:
    """The columns a coder needs most first, as in the CSV templates, then all others, but those filled in later.

    What somebody filled in is shown, also in a column that the topic leaves out.
    """
    filled = {name for row in rows for name, cell in row.items() if cell}
    usual = usual_columns(table, vocabulary)
    ordered = [*usual, *(name for name in table.by_name if name not in usual)]
    hidden = {*_PASSED, *vocabulary.left_out} - filled
    return [table.by_name[name] for name in ordered if name not in hidden]


def _note(column: Column) -> str:
    must = "Must be filled. " if column.required and column.name not in _PASSED else ""
    choose = " Choose from the list." if column.kind == "word" else ""
    several = " Words of the list, separated by ;" if column.kind == "words" else ""
    return f"{must}{column.meaning[:1].upper()}{column.meaning[1:]}.{choose}{several}".replace("`", "")


def _offer(sheet: Worksheet, source: str, span: str, *, exact: bool) -> None:
    """A list of choices for some cells; where it is not exact, other text is taken too."""
    from openpyxl.worksheet.datavalidation import DataValidation

    choice = DataValidation("list", formula1=source, allow_blank=True, showErrorMessage=exact)
    choice.errorTitle, choice.error = "Not a word of the list", "Choose a word of the list, or leave the cell empty."
    choice.add(span)
    sheet.add_data_validation(choice)


def _text_cell(sheet: Worksheet, row: int, column: int, text: str) -> Cell:
    """A cell that holds text and nothing else: a program that opens it runs no formula and makes no date."""
    cell = sheet.cell(row, column)
    cell.value = text or None
    if text:
        cell.data_type = "s"
    # The quote prefix is Excel's own mark for "text, whatever it looks like".
    cell.number_format, cell.quotePrefix = "@", text.startswith(("=", "+", "-", "@"))
    return cell


def _style_header(sheet: Worksheet, width: int) -> None:
    from openpyxl.styles import Font, PatternFill

    for number in range(1, width + 1):
        cell = sheet.cell(1, number)
        cell.font, cell.fill = Font(bold=True, color="FFFFFF"), PatternFill("solid", fgColor="1F4E79")
    sheet.freeze_panes = "A2"
    sheet.protection.sheet = True
    sheet.protection.formatColumns = sheet.protection.formatRows = sheet.protection.sort = False
    sheet.protection.insertRows = sheet.protection.deleteRows = False


def _write_messages(book: Workbook, sheets: Mapping[str, Worksheet], messages: Iterable[Problem]) -> None:
    """Each message as a coloured note on its cell, and all of them in the sheet `messages`, which comes first."""
    listed = book.create_sheet("messages", 0)
    listed.append(("where", "mend or answer", "found", "expected", "what to do", "rule"))
    at: dict[tuple[str, int, int], list[Problem]] = {}
    for message in messages:
        name = message.file.rpartition("sheet ")[2]
        cells = (message.place, message.severity, message.found, message.expected, message.hint, message.rule)
        row = listed.max_row + 1
        for number, text in enumerate(cells, 1):
            _text_cell(listed, row, number, text)
        if name in sheets:
            place = _place_on(sheets[name], message)
            at.setdefault((name, *place), []).append(message)
    for (name, row, column), found in at.items():
        _annotate(sheets[name], row, column, found)
    for letter, width in zip("ABCDEF", (40, 14, 40, 50, 60, 16), strict=True):
        listed.column_dimensions[letter].width = width
    _style_header(listed, 6)


def _place_on(sheet: Worksheet, message: Problem) -> tuple[int, int]:
    """Row and column of the cell a message is about; its row's first cell, or the header, where it is about more."""
    if sheet.title == "work":
        return max(message.row, 1), 2
    # By the header as it stands: a person may have moved or left out columns.
    names = [cell.value for cell in sheet[1]]
    return max(message.row, 1), names.index(message.column) + 1 if message.column in names else 1


def _annotate(sheet: Worksheet, row: int, column: int, found: Sequence[Problem]) -> None:
    from openpyxl.comments import Comment
    from openpyxl.styles import PatternFill

    color = "F4B6B6" if any(problem.severity == "error" for problem in found) else "FCE8A6"
    cell = sheet.cell(row, column)
    cell.fill = PatternFill("solid", fgColor=color)
    said = (f"expected {p.expected}" + (f" → {p.hint}" if p.hint else "") for p in found)
    # A note is a small window: what does not fit stands in the sheet `messages`.
    cell.comment = Comment("\n\n".join(said)[:2000], "check", width=360, height=160)
