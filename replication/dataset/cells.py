"""Cells against their columns: rules made from `schema.py`, every failure as a `Problem`, and the typed cells."""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import filterfalse
from typing import cast

from replication.dataset.columns import Cells, Columns, Deferred
from replication.dataset.letters import has_hidden
from replication.dataset.problems import SHOWN, Problem, nearest, shown
from replication.dataset.reading import RawTable
from replication.dataset.schema import Column, Table, Vocabulary
from replication.dataset.spreadsheets import (
    TYPESET_MINUS,
    ambiguous,
    date_hint,
    mended_text,
    readings,
    spreadsheet_hint,
)
from replication.errors import UserError
from replication.formulas import is_command
from replication.printed import parse_printed

__all__ = ["VERSION", "Stack", "check_cells", "stack", "typed", "typed_rows"]

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)
# ASCII: Python's \d and float() take digits of every script, which other programs read as text.
_INTEGER = re.compile(r"\d{1,15}", re.ASCII)
_KEY = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,79}")
VERSION = re.compile(r"\d{1,4}\.\d{1,4}\.\d{1,4}", re.ASCII)
_COMMA = re.compile(r"[+-]?\d*,\d+", re.ASCII)
_MINUS = re.compile(TYPESET_MINUS)
_EMPTY_WORDS = {"na", "nan", "n/a", "null", "none", "-", ".", "?", "missing", "inf", "-inf", "unknown", "n.r.", "nr"}
_LONGEST_CELL = 20_000
_SHORT = re.compile(rf".{{0,{_LONGEST_CELL}}}", re.DOTALL)
_LARGEST = {False: 1e12, True: 1e10}  # of numbers, and of counts: more persons than there are, more studies than ever
_AS_PRINTED = ("as_printed", "test", "df", "p", "items")  # texts of numbers, of which spreadsheets make dates


@dataclass(frozen=True, slots=True)
class _Rule:
    """A named test of a filled cell with what it expects and a hint for a cell that fails.

    What a test returns is true for a sound cell: the method of a pattern serves as it is, so that a hundred thousand
    ids pass without a call of Python.
    """

    name: str
    expected: str
    test: Callable[[str], object]
    hint: Callable[[str], str]


@dataclass(frozen=True, slots=True, eq=False)
class Stack:
    """All files of one kind under each other: `cells` holds the text of each column (None where a file lacks it).

    `distinct` are the different cells of each column: they repeat a few words over thousands of rows. `files` are the
    names, `bounds` where each begins and ends, `lines` the line of its file of each row.
    """

    table: Table
    cells: Mapping[str, list[str | None]]
    distinct: Mapping[str, frozenset[str | None]]
    files: tuple[str, ...]
    bounds: tuple[tuple[int, int], ...]
    lines: tuple[int, ...]

    def place(self, row: int) -> tuple[str, int]:
        """File and line of a row."""
        # Empty files have bounds of no width; by their ends the search passes over them.
        number = bisect_right(self.bounds, row, key=lambda bound: bound[1])
        return self.files[number], self.lines[row]


def stack(raws: Sequence[RawTable], table: Table) -> Stack:
    """The files of one kind under each other, so that every different cell of a column is looked at once."""
    columns: dict[str, list[str | None]] = {column.name: [] for column in table.columns}
    held = {name for raw in raws for name in raw.header}
    bounds: list[tuple[int, int]] = []
    lines: list[int] = []
    for raw in raws:
        start = len(lines)
        lines += raw.lines
        bounds.append((start, len(lines)))
        cells = list(zip(*raw.rows, strict=True)) if raw.rows else [()] * len(raw.header)
        times = Counter(raw.header)
        # Which of two columns of one name is meant nobody knows; the header's check says so, and none is read.
        single = {name: cells[i] for i, name in enumerate(raw.header) if times[name] == 1}
        for name in held & columns.keys():
            columns[name].extend(single.get(name, (None,) * len(raw.lines)))
    columns |= dict.fromkeys(columns.keys() - held, [None] * len(lines))
    distinct = Deferred(columns, lambda name: frozenset(columns[name]) if name in held else frozenset((None,)))
    return Stack(table, columns, distinct, tuple(raw.file for raw in raws), tuple(bounds), tuple(lines))


def check_cells(stacked: Stack, vocabulary: Vocabulary) -> list[Problem]:
    """Every cell that breaks a rule of its column, and every id that stands twice in one file."""
    problems = _duplicates(stacked)
    for column in stacked.table.columns:
        problems += _broken_rules(stacked, column, _rules(column, vocabulary))
    return problems


def _broken_rules(stacked: Stack, column: Column, rules: Sequence[_Rule]) -> Iterator[Problem]:
    """What is wrong with the cells of one column. None, where a file lacks the column, is said of its header."""
    name, cells = column.name, stacked.cells[column.name]
    bad = _bad_cells(stacked.distinct[name], column, rules)
    hinted: Counter[str] = Counter()
    for row, cell in enumerate(cells) if bad else ():
        if cell is None or cell not in bad:
            continue
        file, line = stacked.place(row)
        for rule in bad[cell]:
            hinted[rule.name] += 1
            # Looking for the nearest word is slow, and hints beyond those printed would never be seen.
            hint = rule.hint(cell) if hinted[rule.name] <= SHOWN else ""
            yield Problem(file, line, name, rule.name, shown(cell), rule.expected, hint)


def _bad_cells(distinct: frozenset[str | None], column: Column, rules: Sequence[_Rule]) -> dict[str, list[_Rule]]:
    """The cells that break a rule, each with all it breaks; an empty one breaks none but that it must be filled."""
    filled = [cell for cell in distinct if cell]
    bad: dict[str, list[_Rule]] = {}
    for rule in rules:
        for cell in filterfalse(rule.test, filled):
            bad.setdefault(cell, []).append(rule)
    if column.required and "" in distinct:
        bad[""] = [_Rule("empty-cell", column.meaning, bool, lambda _: "this cell must be filled")]
    return bad


def typed(stacked: Stack, whole: Columns) -> dict[str, Columns]:
    """Each file's table, of `whole`, the `typed_rows` of them all."""
    parts = zip(stacked.files, stacked.bounds, strict=True)
    return {file: whole.between(start, end) for file, (start, end) in parts}


def typed_rows(stacked: Stack) -> Columns:
    """All rows with their line: numbers as floats (empty is NaN), everything else text; what a file lacks is empty.

    Cells that are no numbers become NaN; the caller has the problem that says so. With no file it is an empty table of
    the right columns.
    """
    numbers = frozenset(c.name for c in stacked.table.columns if c.kind in ("number", "integer"))

    def made(name: str) -> Cells:
        if name == "line":
            return list(stacked.lines)
        # Messages quote the cell as it was typed: .30 read as a float would come back as 0.3.
        text = "value" if name == "value_text" else name
        cells = stacked.cells[text]
        if name in numbers:
            return _as_numbers(cells, stacked.distinct[name])
        # The very list where no file lacks the column: of half a million rows a copy of each is noticed.
        return [cell or "" for cell in cells] if None in stacked.distinct[text] else cast("Cells", cells)

    names = [*stacked.cells]
    if "value" in names:
        names.insert(names.index("value") + 1, "value_text")
    return Columns(Deferred(("line", *names), made), numbers)


def _as_numbers(cells: Sequence[str | None], distinct: frozenset[str | None]) -> list[float]:
    # float() alone would take nan, 1_000 and digits of other scripts.
    values = {cell: float(cell) if cell and _NUMBER.fullmatch(cell) else math.nan for cell in (*distinct, "")}
    return [values[cell] for cell in cells]


def _duplicates(stacked: Stack) -> list[Problem]:
    names = stacked.table.id
    ids = list(zip(*(stacked.cells[name] for name in names), strict=True))
    problems: list[Problem] = []
    for file, (start, end) in zip(stacked.files, stacked.bounds, strict=True):
        if len(set(ids[start:end])) == end - start:
            continue  # the usual case, told without going through the rows
        first: dict[tuple[str | None, ...], int] = {}
        for line, parts in zip(stacked.lines[start:end], ids[start:end], strict=True):
            # A file without the id column is said once, not once a row.
            if None in parts:
                continue
            if parts in first and any(parts):
                hint = f"row {first[parts]} has it already"
                found = shown(" / ".join(part or "" for part in parts))
                problems.append(Problem(file, line, names[-1], "duplicate-id", found, "each id once", hint))
            first.setdefault(parts, line)
    return problems


def _rules(column: Column, vocabulary: Vocabulary) -> list[_Rule]:
    rules = [_Rule("too-long", f"at most {_LONGEST_CELL} letters", _SHORT.fullmatch, _nothing)]
    if column.kind in {"number", "integer"}:
        rules += _number_rules(column)
    elif column.kind == "printed":
        rules.append(_Rule("printed", "a number as printed, e.g. -.32 or 15%", _is_printed, _number_hint))
        expected = f"a size that exists: at most {_LARGEST[False]:g}"
        rules.append(_Rule("size", expected, _is_of_a_size, _range_hint))
    elif column.kind == "key":
        expected = "an id of letters, digits, _ - or ., starting with a letter"
        rules.append(_Rule("key", expected, _KEY.fullmatch, _key_hint))
    elif column.kind == "version":
        rules.append(_Rule("version", "a version such as 1.0.0", VERSION.fullmatch, _version_hint))
    elif column.kind in ("word", "words"):
        rules.append(_word_rule(column, vocabulary))
    else:
        rules.append(_Rule("formula", "text, not a spreadsheet formula", _no_formula, _formula_hint))
        rules.append(_Rule("control", "text without hidden characters", _is_plain, _hidden_hint))
        rules.append(_Rule("mojibake", "letters as they are written", _is_whole, _whole_hint))
        if column.name in _AS_PRINTED:
            rules.append(_Rule("date", "what the source prints, not a date", lambda c: not date_hint(c), date_hint))
    return rules


def _number_rules(column: Column) -> list[_Rule]:
    whole = column.kind == "integer"
    form = _INTEGER if whole else _NUMBER
    kind = "a whole number without separators" if whole else "a number with a decimal point"
    rules = [_Rule(column.kind, kind, form.fullmatch, _integer_hint if whole else _number_hint)]
    most = _LARGEST[whole]
    of_a_size = partial(_in_range, form, -most, most)
    rules.append(_Rule("size", f"a size that exists: at most {most:g}", of_a_size, _range_hint))
    low, high = column.low, column.high
    if low is not None or high is not None:
        expected = f"between {low:g} and {high:g}" if low is not None and high is not None else f"at least {low:g}"
        rules.append(_Rule("range", expected, partial(_in_range, form, low, high), _range_hint))
    return rules


def _word_rule(column: Column, vocabulary: Vocabulary) -> _Rule:
    known = vocabulary.words(column.vocabulary)
    expected = f"a word of the vocabulary [{column.vocabulary}]"
    if column.kind == "word":
        return _Rule("word", expected, frozenset(known).__contains__, partial(nearest, words=known))

    def all_known(cell: str) -> bool:
        return all(part.partition("=")[0] in known for part in cell.split(";"))

    def hint(cell: str) -> str:
        bad = next(part for part in cell.split(";") if part.partition("=")[0] not in known)
        return nearest(bad, known)

    return _Rule("word", expected + ", separated by ;", all_known, hint)


def _in_range(form: re.Pattern[str], low: float | None, high: float | None, cell: str) -> bool:
    if not form.fullmatch(cell):
        return True  # said by the rule before
    value = float(cell)
    return (low is None or value >= low) and (high is None or value <= high) and math.isfinite(value)


def _is_printed(cell: str) -> bool:
    try:
        parse_printed(cell)
    except UserError:
        return False
    return True


def _is_of_a_size(cell: str) -> bool:
    try:
        return abs(parse_printed(cell).value) <= _LARGEST[False]
    except UserError:
        return True  # said by the rule before


def _no_formula(cell: str) -> bool:
    return not is_command(cell)


def _nothing(_: str) -> str:
    return ""


def _formula_hint(_: str) -> str:
    return "a spreadsheet would run this cell; begin it with another character"


def _is_plain(cell: str) -> bool:
    return not has_hidden(cell)


def _is_whole(cell: str) -> bool:
    return mended_text(cell) == cell


def _whole_hint(cell: str) -> str:
    return f"the file went through a wrong encoding: it was probably {shown(mended_text(cell))}"


def _hidden_hint(_: str) -> str:
    return "delete the hidden character (it is shown as <U+…>), or type the text again"


def _key_hint(_: str) -> str:
    return "such as smith2024_s1; no spaces"


def _version_hint(_: str) -> str:
    return "write three numbers with dots, 1.1.0"


def _range_hint(_: str) -> str:
    return "look the number up again: is the decimal point in its place?"


def _integer_hint(cell: str) -> str:
    if hint := spreadsheet_hint(cell):
        return hint
    digits = re.sub(r"[,.\s\u00a0\u202f'’]", "", cell)
    grouped = re.fullmatch(r"\d{1,3}([,.\s\u00a0\u202f'’]\d{3})+", cell, re.ASCII)
    return f'write "{digits}"' if grouped else _number_hint(cell)


def _number_hint(cell: str) -> str:
    # The order matters: the first hint that fits is the most likely slip.
    if cell.strip().lower() in _EMPTY_WORDS:
        return "leave the cell empty when the number is unknown"
    if cell.strip().lower() in ("ns", "n.s.", "n. s."):
        return "not significant is no number: leave the cell empty and write it into note"
    if _MINUS.search(cell):
        plain = _MINUS.sub("-", cell)
        return f'the minus sign is a typographic one; write "{plain}" with the hyphen of the keyboard'
    if hint := spreadsheet_hint(cell):
        return hint
    return _comma_hint(cell) or "only the number: no unit, stars or spaces"


def _comma_hint(cell: str) -> str:
    if ambiguous(cell):
        return 'decimal comma or thousands? write "{}" or "{}"'.format(*readings(cell))
    if _COMMA.fullmatch(cell):
        return f'a decimal comma? write "{cell.replace(",", ".")}"'
    return ""
