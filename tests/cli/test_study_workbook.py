"""A study in a workbook: made, filled, checked with messages in their cells, taken over; and hostile workbooks."""

from __future__ import annotations

import datetime
import zipfile
from collections.abc import Mapping
from pathlib import Path

import openpyxl
import pytest

from replication.dataset import load_dataset
from replication.dataset.schema import FOR_ANALYSES, TABLES
from replication.study.new import next_version
from replication.study.submission import SHEETS
from tests.cli.conftest import Command
from tests.data.small import Small

SAMPLE = {"sample_id": "smith2024_s1", "n": "120", "unit": "student", "country": "Norway"}
EFFECT = {
    "var_a": "positive", "var_b": "engagement", "statistic": "r", "value": ".30", "n": "118",
    "informant_a": "student", "informant_b": "teacher", "source": "doi:10/x", "locator": "Table 2", "reading": "table",
}  # fmt: skip
WORDS = ("--author", "Smith, Ann", "--title", "A thing", "--year", "2024")


@pytest.fixture(scope="module")
def empty() -> dict[str, bytes]:
    """The workbook as the command makes it, kept for all tests: making it takes longer than any of them."""
    return {}


@pytest.fixture
def book(
    study: Command, small: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, empty: dict[str, bytes]
) -> Path:
    """A new, empty workbook smith2024.xlsx."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "smith2024.xlsx"
    if not empty:
        assert study("new", "smith2024", "--xlsx", "--data", small.root, *WORDS).code == 0
        empty[path.name] = path.read_bytes()
    path.write_bytes(empty[path.name])
    return path


def fill(path: Path, sheet: str, *rows: Mapping[str, object]) -> None:
    """Rows into a sheet below its example, as a spreadsheet program would."""
    book = openpyxl.load_workbook(path)
    heads = [cell.value for cell in book[sheet][1]]
    for line, row in enumerate(rows, 3):
        for name, value in row.items():
            book[sheet].cell(line, heads.index(name) + 1, value)
    book.save(path)


def filled(path: Path, effect: Mapping[str, object] = EFFECT) -> Path:
    fill(path, "samples", SAMPLE)
    fill(path, "effects", effect)
    return path


def test_from_new_to_taken_without_a_csv(study: Command, small: Small, book: Path) -> None:
    data = ("--data", small.root)
    filled(book)
    assert study("check", book, *data).out == "smith2024.xlsx: nothing to mend.\n"
    assert study("take", book, *data).code == 0
    effects = load_dataset(small.root).effects
    (row,) = effects[effects["work"] == "smith2024"].to_dict("records")
    assert (row["effect_id"], row["sample_id"], row["value_text"]) == ("smith2024-001", "smith2024_s1", ".30")
    assert (row["since"], row["locator"]) == (next_version(load_dataset(small.root).version), "Table 2")
    assert "title  = {A thing}" in (small.root / "references.bib").read_text(encoding="utf-8")
    again = study("take", book, *data)
    assert again.code == 1 and "--replace" in again.err
    fill(book, "effects", EFFECT | {"value": ".31"})
    assert study("take", book, "--replace", *data).code == 0
    assert ".31" in (small.root / "smith2024" / "effects.csv").read_text(encoding="utf-8")


def test_questions_of_a_workbook_are_answered_once_it_is_taken(study: Command, small: Small, book: Path) -> None:
    """`answer` works on the folder that `take` makes: before that, no command of it is offered."""
    data = ("--data", small.root)
    filled(book, EFFECT | {"value": "-.30"})
    said = study("check", book, *data).out
    assert f"study take {book} --data {small.root}" in said and "study answer" not in said
    assert study("take", book, *data).code == 0
    assert "study answer smith2024 sign smith2024-001" in study("check", "smith2024", *data).out


def test_a_released_work_is_not_replaced(study: Command, small: Small, book: Path) -> None:
    filled(book)
    fill(book, "work")
    sheet = openpyxl.load_workbook(book)
    sheet["work"]["B2"] = "alpha2020"
    sheet["samples"]["A3"] = "alpha2020_s1"
    sheet.save(book)
    before = (small.root / "alpha2020" / "effects.csv").read_bytes()
    said = study("take", book, "--replace", "--data", small.root)
    assert said.code == 1 and "part of a released version" in said.err
    assert (small.root / "alpha2020" / "effects.csv").read_bytes() == before


def test_the_workbook_has_every_column_its_words_and_its_meaning(book: Path) -> None:
    made = openpyxl.load_workbook(book)
    for sheet, table in SHEETS.items():
        heads = {cell.value: cell for cell in made[sheet][1]}
        assert set(heads) == set(TABLES[table].by_name) - {"since", "until", *FOR_ANALYSES}
        assert all(cell.comment and cell.protection.locked for cell in heads.values())
        offered = {validation.formula1 for validation in made[sheet].data_validations.dataValidation}
        lists = {c.vocabulary for c in TABLES[table].columns if c.vocabulary and c.name not in FOR_ANALYSES}
        assert len(offered) >= len(lists)
    assert made["words"].sheet_state == "hidden"
    assert made["effects"].column_dimensions["F"].number_format == "@", "typed text stays text"


def test_each_message_stands_in_its_cell(study: Command, small: Small, book: Path) -> None:
    filled(book, EFFECT | {"var_b": "engagment", "p": "<.0001"})
    said = study("check", book, "--data", small.root)
    assert said.code == 1
    assert 'smith2024.xlsx, sheet effects, row 3, column var_b: found "engagment"' in said.out
    copy = openpyxl.load_workbook(book.with_name("smith2024.checked.xlsx"))
    sheet = copy["effects"]
    heads = [cell.value for cell in sheet[1]]
    cell = sheet.cell(3, heads.index("var_b") + 1)
    assert cell.value == "engagment" and 'did you mean "engagement"?' in cell.comment.text
    assert cell.fill.fgColor.rgb.endswith("F4B6B6")
    assert sheet.cell(3, heads.index("value") + 1).comment is None
    assert copy.sheetnames[0] == "messages" and copy["messages"].max_row >= 2


CELLS: dict[str, tuple[str, object, str]] = {
    "a date": ("value", datetime.datetime(2024, 8, 5), "typed was probably 5.8, 5-8 or 5/8"),
    "a formula": ("value", "=0.1+0.2", "expected what the source prints, not a formula"),
    "true": ("value", True, "type the number that is printed"),
    "a decimal comma": ("n", "0,5", "a decimal comma?"),
    "two readings": ("value", "5,123", 'write "5.123" or "5123"'),
    "signs": ("value", "####", "column was too narrow"),
    "a time": ("value", datetime.time(3, 5), "a date or time"),
    "an error": ("value", "#REF!", "formula pointed nowhere"),
    "one decimal of a number": ("value", 0.3, "if the source prints more decimals (.30)"),
}


@pytest.mark.parametrize("kind", CELLS)
def test_what_a_spreadsheet_makes_of_a_cell_is_said_there(study: Command, small: Small, book: Path, kind: str) -> None:
    column, value, expected = CELLS[kind]
    filled(book, EFFECT | {column: value})
    said = study("check", book, "--data", small.root)
    (line,) = [line for line in said.out.splitlines() if expected in line]
    assert line.startswith(f"smith2024.xlsx, sheet effects, row 3, column {column}: ")


def test_a_number_keeps_the_decimals_its_cell_shows(study: Command, small: Small, book: Path) -> None:
    filled(book, EFFECT | {"value": 0.3})
    made = openpyxl.load_workbook(book)
    heads = [cell.value for cell in made["effects"][1]]
    made["effects"].cell(3, heads.index("value") + 1).number_format = "0.00"
    made.save(book)
    assert study("take", book, "--data", small.root).code == 0
    assert ",0.30," in (small.root / "smith2024" / "effects.csv").read_text(encoding="utf-8")


def test_decimal_commas_are_decided_per_sheet(study: Command, small: Small, book: Path) -> None:
    filled(book, EFFECT | {"value": "0,30", "ci_low": "0,127", "ci_high": "0,455"})
    assert study("take", book, "--data", small.root).code == 0
    assert load_dataset(small.root).effects.query("work == 'smith2024'")["ci_low"].tolist() == [0.127]


def changed(path: Path, name: str, content: bytes) -> None:
    """Another part in the archive, as a program that makes traps would put it there."""
    with zipfile.ZipFile(path) as archive:
        parts = {part: archive.read(part) for part in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for part, text in (parts | {name: content}).items():
            archive.writestr(part, text)


TRAPS: dict[str, tuple[str, bytes, str]] = {
    "a macro": ("xl/vbaProject.bin", b"x", "nothing of it was run"),
    "a link to another file": ("xl/externalLinks/externalLink1.xml", b"<x/>", "no other file was opened"),
    "an old macro sheet": ("xl/macrosheets/sheet1.xml", b"<x/>", "nothing of it was run"),
    "a control that runs code": ("xl/activeX/activeX1.bin", b"x", "nothing of it was run"),
    "a connection to a database": ("xl/connections.xml", b"<connections/>", "no other file was opened"),
    "a zip bomb": ("xl/worksheets/sheet99.xml", b"0" * 30_000_000, "unpacks to more than anybody types"),
    "entities": ("xl/styles.xml", b'<!DOCTYPE x [<!ENTITY a "a">]><x>&a;</x>', "declares XML entities"),
    "a broken part": ("xl/workbook.xml", b"<workbook", "save it as .xlsx"),
    "half a file": ("", b"", "no .xlsx workbook"),
}


@pytest.mark.parametrize("kind", TRAPS)
def test_a_trap_is_a_line(study: Command, small: Small, book: Path, kind: str) -> None:
    name, content, expected = TRAPS[kind]
    filled(book)
    if name:
        changed(book, name, content)
    else:
        book.write_bytes(book.read_bytes()[:2000])
    before = sorted(path for path in small.root.iterdir() if path.name != ".lock")
    said = study("take", book, "--data", small.root)
    assert said.code == 1 and expected in said.err and "Traceback" not in said.err
    assert sorted(path for path in small.root.iterdir() if path.name != ".lock") == before


def test_a_second_sheet_of_one_name_takes_no_row_away(study: Command, small: Small, book: Path) -> None:
    filled(book)
    made = openpyxl.load_workbook(book)
    made.create_sheet("Effects ")  # spreadsheet programs tell it from "effects"
    made.save(book)
    said = study("take", book, "--data", small.root)
    assert said.code == 1 and "one sheet effects [sheet-twice]" in said.err and "no rows" not in said.err


def test_a_formula_of_several_cells_is_shown_as_it_was_typed(study: Command, small: Small, book: Path) -> None:
    filled(book, {**EFFECT, "value": openpyxl.worksheet.formula.ArrayFormula("A3:A3", "=SUM(1)")})
    assert 'column value: found "=SUM(1)"; expected what' in study("check", book, "--data", small.root).out


def test_hidden_rows_and_columns_are_read_and_said(study: Command, small: Small, book: Path) -> None:
    """As a filter or a coder leaves them: three rows of which two cannot be seen, and a column of numbers."""
    filled(book)
    fill(book, "effects", EFFECT, EFFECT | {"var_b": "achievement"}, EFFECT | {"var_b": "belonging"})
    assert "hidden" not in study("check", book, "--data", small.root).out
    made = openpyxl.load_workbook(book)
    effects, work = made["effects"], made["work"]
    effects.row_dimensions[2].hidden = True  # the example, which is not read
    effects.row_dimensions[4].hidden = effects.row_dimensions[5].hidden = True
    heads = {str(cell.value): cell.column_letter for cell in effects[1]}
    effects.column_dimensions[heads["n"]].hidden = True
    effects.column_dimensions[heads["note"]].hidden = True  # nothing stands there
    work.row_dimensions[next(cell.row for cell in work["A"] if cell.value == "title")].hidden = True
    made.save(book)
    said = study("check", book, "--data", small.root)
    assert "2 hidden rows (4, 5)" in said.out and "1 hidden column (n)" in said.out, said.out
    assert "sheet work, row" in said.out and said.out.count("hidden row") == 2 and said.code == 0
    assert study("take", book, "--data", small.root).code == 0
    assert len(load_dataset(small.root).effects.query("work == 'smith2024'")) == 3


def test_other_and_hidden_sheets_are_said(study: Command, small: Small, book: Path) -> None:
    filled(book)
    made = openpyxl.load_workbook(book)
    made.create_sheet("my notes").append(("a", "b"))
    made["effects"].sheet_state = "hidden"
    made.save(book)
    said = study("check", book, "--data", small.root)
    assert said.code == 0
    assert "found a sheet of another name" in said.out and "found a hidden sheet" in said.out


def test_a_cell_at_the_far_end_does_not_take_memory(study: Command, small: Small, book: Path) -> None:
    filled(book)
    made = openpyxl.load_workbook(book)
    made["effects"]["XFD300"] = "here"
    made.save(book)
    said = study("check", book, "--data", small.root)
    assert said.code == 1 and "more than 100000 rows or 200 columns" in said.err


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("gone.xlsx", "is no file"),
        ("old.xls", "save it as .xlsx"),
        ("sheet.csv", "is neither .xlsx nor .json"),
        ("book.ods", "(LibreOffice: File, Save As, Excel"),
    ],
)
def test_another_file_is_refused(study: Command, small: Small, tmp_path: Path, name: str, expected: str) -> None:
    if name != "gone.xlsx":
        (tmp_path / name).write_bytes(b"\xd0\xcf\x11\xe0")
    said = study("check", tmp_path / name, "--data", small.root)
    assert said.code == 1 and expected in said.err


def test_an_empty_workbook_is_not_taken(study: Command, small: Small, book: Path) -> None:
    said = study("take", book, "--data", small.root)
    assert said.code == 1 and "has no rows yet" in said.err
    assert not (small.root / "smith2024").exists()
