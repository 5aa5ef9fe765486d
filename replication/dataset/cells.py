"""Cells against their columns: pandera declarations made from `columns.py`, and every failure as a `Problem`."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from replication.dataset.columns import Column, Table
from replication.dataset.problems import Problem, nearest, shown
from replication.dataset.reading import RawTable
from replication.dataset.vocabulary import Vocabulary
from replication.errors import UserError
from replication.printed import parse_printed

if TYPE_CHECKING:
    import pandera.pandas as pa

__all__ = ["check_cells", "schema_for", "typed"]

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?")
_INTEGER = re.compile(r"\d{1,15}")
_KEY = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,79}")
_COMMA = re.compile(r"[+-]?\d*,\d+")
_EMPTY_WORDS = {"na", "nan", "n/a", "null", "none", "-", ".", "?", "missing", "inf", "-inf"}
_LONGEST_CELL = 20_000


@dataclass(frozen=True, slots=True)
class _Rule:
    """A named test of one cell with what it expects and a hint for a cell that fails."""

    name: str
    expected: str
    test: Callable[[str], bool]
    hint: Callable[[str], str]


def schema_for(table: Table, vocabulary: Vocabulary) -> pa.DataFrameSchema:
    """The pandera schema of one kind of file. Cells are text; None stands where a file lacks the column."""
    import pandera.pandas as pa

    columns = {}
    for column in table.columns:
        checks = [
            pa.Check(partial(_hold, rule), name=rule.name, error=rule.name) for rule in _rules(column, vocabulary)
        ]
        columns[column.name] = pa.Column(object, checks, nullable=True, required=False)
    return pa.DataFrameSchema(columns, strict=False)


def check_cells(raws: Sequence[RawTable], table: Table, vocabulary: Vocabulary) -> list[Problem]:
    """Every cell that breaks a rule of its column, and every id that stands twice in one file.

    All files of one kind are checked in one go: pandera's cost is per call, not per cell.
    """
    import pandera.errors

    frames = [_frame(raw) for raw in raws]
    problems = [found for raw, frame in zip(raws, frames, strict=True) for found in _duplicates(raw, frame, table)]
    frame = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()
    frame = frame.astype(object).where(frame.notna(), None)
    places = [(raw.file, line) for raw in raws for line in raw.lines]
    try:
        schema_for(table, vocabulary).validate(frame, lazy=True)
    except pandera.errors.SchemaErrors as errors:
        rules = {(c.name, r.name): r for c in table.columns for r in _rules(c, vocabulary)}
        cases = errors.failure_cases
        for column, check, cell, index in zip(
            cases["column"], cases["check"], cases["failure_case"], cases["index"], strict=True
        ):
            rule, (file, line) = rules[column, check], places[int(index)]
            problems.append(Problem(file, line, column, rule.name, shown(cell), rule.expected, rule.hint(str(cell))))
    return problems


def typed(raw: RawTable, table: Table) -> pd.DataFrame:
    """The table with numbers as floats (empty is NaN) and everything else as text; columns a file lacks are empty."""
    frame = _frame(raw)
    for column in table.columns:
        if column.name not in frame:
            frame[column.name] = ""
        if column.kind in ("number", "integer"):
            cells = frame[column.name]
            if column.name == "value":
                frame["value_text"] = cells
            frame[column.name] = pd.to_numeric(cells.where(cells != "", np.nan)).astype(float)
    names = [c.name for c in table.columns] + (["value_text"] if "value_text" in frame else [])
    frame = frame[names]
    frame.insert(0, "line", list(raw.lines))
    return frame.reset_index(drop=True)


def _frame(raw: RawTable) -> pd.DataFrame:
    header = [name for name in dict.fromkeys(raw.header) if raw.header.count(name) == 1]
    places = [raw.header.index(name) for name in header]
    data = {name: [row[place] for row in raw.rows] for name, place in zip(header, places, strict=True)}
    return pd.DataFrame(data, dtype=object)


def _duplicates(raw: RawTable, frame: pd.DataFrame, table: Table) -> list[Problem]:
    if any(name not in frame for name in table.id):
        return []
    problems: list[Problem] = []
    first: dict[tuple[str, ...], int] = {}
    ids = zip(*(frame[name] for name in table.id), strict=True)
    for line, parts in zip(raw.lines, ids, strict=True):
        if parts in first and any(parts):
            hint = f"row {first[parts]} has it already"
            found = shown(" / ".join(parts))
            problems.append(Problem(raw.file, line, table.id[-1], "duplicate-id", found, "each id once", hint))
        first.setdefault(parts, line)
    return problems


def _hold(rule: _Rule, cells: pd.Series[str]) -> pd.Series[bool]:
    """The rule on a whole column, computed once for each different cell."""
    return cells.map({cell: cell is None or rule.test(cell) for cell in cells.unique()}).astype(bool)


def _rules(column: Column, vocabulary: Vocabulary) -> list[_Rule]:
    rules = [_Rule("too-long", f"at most {_LONGEST_CELL} letters", lambda c: len(c) <= _LONGEST_CELL, _nothing)]
    if column.required:
        rules.append(_Rule("empty-cell", column.meaning, bool, lambda _: "this cell must be filled"))
    if column.kind in {"number", "integer"}:
        rules += _number_rules(column)
    elif column.kind == "printed":
        rules.append(_Rule("printed", "a number as printed, e.g. -.32 or 15%", _optional(_is_printed), _number_hint))
    elif column.kind == "key":
        rules.append(
            _Rule("key", "an id of letters, digits, _ - or ., starting with a letter", _optional(_full(_KEY)), _nothing)
        )
    elif column.kind in ("word", "words"):
        rules.append(_word_rule(column, vocabulary))
    else:
        rules.append(_Rule("formula", "text, not a spreadsheet formula", _no_formula, _formula_hint))
    return rules


def _number_rules(column: Column) -> list[_Rule]:
    whole = column.kind == "integer"
    form = _INTEGER if whole else _NUMBER
    kind = "a whole number without separators" if whole else "a number with a decimal point"
    rules = [_Rule(column.kind, kind, _optional(_full(form)), _number_hint)]
    low, high = column.low, column.high
    if low is not None or high is not None:
        expected = f"between {low:g} and {high:g}" if low is not None and high is not None else f"at least {low:g}"
        rules.append(_Rule("range", expected, _optional(partial(_in_range, form, low, high)), _nothing))
    return rules


def _word_rule(column: Column, vocabulary: Vocabulary) -> _Rule:
    known = vocabulary.words(column.vocabulary)
    expected = f"a word of the vocabulary [{column.vocabulary}]"
    if column.kind == "word":
        return _Rule("word", expected, _optional(known.__contains__), partial(nearest, words=known))

    def all_known(cell: str) -> bool:
        return all(part.partition("=")[0] in known for part in cell.split(";"))

    def hint(cell: str) -> str:
        bad = next(part for part in cell.split(";") if part.partition("=")[0] not in known)
        return nearest(bad, known)

    return _Rule("word", expected + ", separated by ;", _optional(all_known), hint)


def _optional(test: Callable[[str], bool]) -> Callable[[str], bool]:
    return lambda cell: cell == "" or test(cell)


def _full(pattern: re.Pattern[str]) -> Callable[[str], bool]:
    return lambda cell: pattern.fullmatch(cell) is not None


def _in_range(form: re.Pattern[str], low: float | None, high: float | None, cell: str) -> bool:
    if not form.fullmatch(cell):
        return True  # said by the rule before
    value = float(cell)
    return (low is None or value >= low) and (high is None or value <= high) and np.isfinite(value).item()


def _is_printed(cell: str) -> bool:
    try:
        parse_printed(cell)
    except UserError:
        return False
    return True


def _no_formula(cell: str) -> bool:
    return not cell.startswith(("=", "@", "\t", "\r"))


def _nothing(_: str) -> str:
    return ""


def _formula_hint(_: str) -> str:
    return "a spreadsheet would run this cell; begin it with another character"


def _number_hint(cell: str) -> str:
    if cell.strip().lower() in _EMPTY_WORDS:
        return "leave the cell empty when the number is unknown"
    if _COMMA.fullmatch(cell):
        return f'decimal comma or thousands? write "{cell.replace(",", ".")}" or "{cell.replace(",", "")}"'
    return "only the number: no unit, stars or spaces"
