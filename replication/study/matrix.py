"""A correlation matrix as an article prints it, pasted as text -> the pairs of its triangle and what stands beside it.

Read are: lower, upper and whole triangles; a header with M, SD, alpha and n before or after the columns of numbers;
stars; dashes, 1 or a reliability on the diagonal; tabs, several spaces, semicolons or bars between cells. Whether a
comma is a decimal comma is decided by the table, as in every other table. What does not fit is refused: a number is
never put in a place that the text does not give it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from replication.dataset.problems import nearest, shown
from replication.dataset.reading import DecimalComma
from replication.dataset.schema import Vocabulary, printed
from replication.dataset.spreadsheets import ambiguous, decimal_comma, plain_number, readings
from replication.errors import UserError
from replication.printed import MINUS_SIGNS, parse_printed

__all__ = ["Matrix", "Variable", "descriptive_rows", "effect_rows", "read_matrix", "read_variables"]

_STATISTICS = {
    **dict.fromkeys(("m", "mean", "means", "mw", "gj.snitt", "gjennomsnitt", "mittelwert"), "mean"),
    **dict.fromkeys(("sd", "s.d.", "s.d", "std", "std.dev.", "sa"), "sd"),
    **dict.fromkeys(("α", "alpha", "reliability", "ω", "omega"), "reliability"),
    **dict.fromkeys(("n",), "n"),
}
_NUMBER = re.compile(r"[-+−–‐‑]?(?:\d+[.,]?\d*|[.,]\d+)(?:[*†‡§]+|[a-d](?=$))?")
_DIAGONAL = re.compile(r"[-−–—‐‑]{1,3}|1(?:[.,]0+)?|\((?:\d*[.,]\d+|\d+)\)")
_NUMBERED = re.compile(r"^\s*\(?(\d{1,2})[.)]?\s+(?=\D)|^\s*\(?(\d{1,2})[.)](?=\S)")
_COLUMN = re.compile(r"\(?(\d{1,2})[.)]?")
_MARKS = re.compile(r"[*†‡§]+|(?<=\d)[a-d]$")
# "n.s." behind a number is a mark as stars are; as a cell of its own it would end the row's numbers.
_NOT_SIGNIFICANT = re.compile(r"(?<=\d) *\(?n\.? ?s\.?\)?(?!\w)", re.IGNORECASE)
_DECIMAL = re.compile(r"(?<![\w.,])[-+]?\d*[.,]\d+(?![\w.])")
_LARGEST, _MOST = 100_000, 60
_ROUNDING = 0.005  # a correlation of two decimals is off by this much at most


@dataclass(frozen=True, slots=True)
class Matrix:
    """Labels, correlations as printed by pair (first index below second), and statistics by variable and name."""

    labels: tuple[str, ...]
    pairs: Mapping[tuple[int, int], str]
    beside: Mapping[tuple[int, str], str]
    decimal_commas: bool

    @property
    def impossible(self) -> bool:
        """Whether no data of complete cases can have these correlations, whatever their rounding."""
        k = len(self.labels)
        # Of an incomplete matrix the missing cells could still make it possible.
        if len(self.pairs) < k * (k - 1) // 2:
            return False
        r = np.eye(k)
        for (i, j), text in self.pairs.items():
            r[i, j] = r[j, i] = parse_printed(text).value
        # Rounding errors of at most .005 a cell move no eigenvalue by more than k - 1 times that (Gershgorin).
        return float(np.linalg.eigvalsh(r)[0]) < -(k - 1) * _ROUNDING

    @property
    def gaps(self) -> str:
        """How many pairs have no number, in words; empty where every pair has one."""
        whole = len(self.labels) * (len(self.labels) - 1) // 2
        return f" of {whole} pairs; the others are empty in the table" if len(self.pairs) < whole else ""


@dataclass(frozen=True, slots=True)
class Variable:
    """What a variable of the matrix is in the dataset's words; None of them where it is left out."""

    construct: str
    measure: str
    informant: str


def read_matrix(text: str, decimal: DecimalComma | None = None) -> Matrix:
    """The matrix in a text; `decimal` is asked, once, what a number such as 5,123 is where the table does not tell.

    Raises
    ------
    UserError
        when it has no triangle of numbers, a row has more or fewer than its place in the triangle asks for, or has a
        word among them; when a number has two readings and nobody is there to ask.

    >>> read_matrix("1 Closeness -\\n2 Conflict -.35** -\\n3 Engagement .41 -.22 -").pairs[0, 1]
    '-.35'
    """
    if len(text) > _LARGEST:
        raise UserError(f"the text has {len(text)} letters; paste one table of at most {_MOST} variables")
    text = _NOT_SIGNIFICANT.sub("", text)
    lines = [line.translate(MINUS_SIGNS) if _DIAGONAL.search(line) is None else line for line in text.splitlines()]
    lines = [line.rstrip() for line in lines if line.strip()]
    before, after, body, width = _header(lines)
    rows = _kept([_row(line, width) for line in body], len(before) + len(after))
    if not 2 <= len(rows) <= _MOST:
        raise UserError(f"found {len(rows)} rows with numbers; expected 2 to {_MOST}, a line for each variable")
    comma = decimal_comma([printed("r", "")], [[_plain(cell)] for _, cells in rows for cell in cells])
    if decimal is not None and not comma:
        rows = _as_told(rows, decimal)
    split = [_split(row, before, after) for row in rows]
    upper = all(len(middle) == len(rows) - 1 - i for i, (middle, _) in enumerate(split))
    pairs: dict[tuple[int, int], str] = {}
    beside: dict[tuple[int, str], str] = {}
    for i, (middle, statistics) in enumerate(split):
        beside |= {(i, name): _said(cell, comma) for name, cell in statistics.items()}
        for j, cell in _across(i, rows[i][0], middle, len(rows), upper=upper).items():
            _add_pair(pairs, (min(i, j), max(i, j)), _said(cell, comma), rows[i][0])
    if len(pairs) < len(rows) * (len(rows) - 1) // 2:
        _refuse_cut_rows([label for label, _ in rows])
    return Matrix(tuple(label or f"variable {i + 1}" for i, (label, _) in enumerate(rows)), pairs, beside, comma)


def _refuse_cut_rows(labels: Sequence[str]) -> None:
    """Of a matrix with gaps: a label with a decimal in it ends in a word that stood among the numbers of its row."""
    for i, label in enumerate(labels, 1):
        if _DECIMAL.search(label):
            word = shown(label.split()[-1])
            raise UserError(f"row {i}: {word} stands among the numbers; expected numbers alone, write them without it")


def _kept(rows: list[tuple[str, list[str]]], statistics: int) -> list[tuple[str, list[str]]]:
    """The rows with numbers, and a first or last one without where the triangle next to it asks for one."""
    numbered = [row for row in rows if row[1]]
    if len(numbered) < 1:
        return numbered
    one = statistics + 1
    undivided = not any(_DIAGONAL.fullmatch(cell) for _, cells in numbered for cell in cells)
    filled = [sum(cell != "" for cell in row[1]) for row in (numbered[0], numbered[-1])]
    if undivided and not rows[0][1] and filled[0] == one:
        return [rows[0], *numbered]
    if undivided and not rows[-1][1] and filled[1] == one:
        return [*numbered, rows[-1]]
    return numbered


def _as_told(rows: list[tuple[str, list[str]]], decimal: DecimalComma) -> list[tuple[str, list[str]]]:
    """The rows with each number of two readings read as somebody says of the first of them."""
    first = next(((label, text) for label, cells in rows for text in map(_plain, cells) if ambiguous(text)), None)
    if first is None:
        return rows
    reading = 0 if decimal(f"the matrix, {shown(first[0])}", first[1]) else 1
    return [
        (label, [readings(_plain(cell))[reading] if ambiguous(_plain(cell)) else cell for cell in cells])
        for label, cells in rows
    ]


def _header(lines: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...], Sequence[str], int]:
    """The statistics named before and after the numbered columns, the lines below the header, and its cells."""
    # A caption may stand above the header; further down a line of names is a row.
    for place, line in enumerate(lines[:3]):
        cells = _cells(line)
        named = [(i, _STATISTICS[cell.lower()]) for i, cell in enumerate(cells) if cell.lower() in _STATISTICS]
        numbered = [i for i, cell in enumerate(cells) if _COLUMN.fullmatch(cell)]
        if len(named) + len(numbered) > 1 and not any(re.search(r"[.,]\d", cell) for cell in cells):
            first = numbered[0] if numbered else len(cells)
            before = tuple(name for i, name in named if i < first)
            after = tuple(name for i, name in named if i > first)
            return before, after, lines[place + 1 :], len(cells)
    return (), (), lines, 0


def _cells(line: str) -> list[str]:
    """The cells of a line: by the strongest mark that it has, whose empty cells count, runs of spaces last."""
    for mark in ("\t", "|", ";"):
        if mark in line:
            return [cell.strip() for cell in line.split(mark)]
    return line.split()


def _row(line: str, width: int) -> tuple[str, list[str]]:
    """Label and numbers of a line, with empty cells where its columns have none; its running number is neither."""
    cells = _cells(_NUMBERED.sub("", line, count=1))
    # From the right: labels may hold numbers ("Grade 7 closeness"), the cells behind them no words.
    first = len(cells)
    while first and (cells[first - 1] == "" or _is_number(cells[first - 1])):
        first -= 1
    if "\t" in line or "|" in line or ";" in line:
        cells += [""] * (width - len(cells))  # what a program left away at the end of a line
    numbers = cells[first:]
    return " ".join(cell for cell in cells[:first] if cell), numbers if any(numbers) else []


def _is_number(cell: str) -> bool:
    return _NUMBER.fullmatch(cell) is not None or _DIAGONAL.fullmatch(cell) is not None


def _split(row: tuple[str, list[str]], before: Sequence[str], after: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """The cells of a row that are correlations or its diagonal, and its statistics by name."""
    label, cells = row
    if cells and len(cells) < len(before) + len(after):
        raise UserError(f"{shown(label)} has {len(cells)} numbers; expected {', '.join((*before, *after))} and its row")
    end = len(cells) - len(after)
    middle = [cell for cell in cells[len(before) : end] if cell]
    named = zip((*before, *after), (*cells[: len(before)], *cells[end:]), strict=False)
    statistics = {name: cell for name, cell in named if cell}
    inside = next((cell for cell in middle if cell.startswith("(")), "")
    return middle, statistics | ({"reliability": inside.strip("()")} if inside else {})


def _across(i: int, label: str, middle: Sequence[str], k: int, *, upper: bool) -> dict[int, str]:
    """The correlations of row `i` by the variable they are with."""
    diagonal = next((place for place, cell in enumerate(middle) if _DIAGONAL.fullmatch(cell)), None)
    if diagonal is None:
        left, right = ([], middle) if upper else (middle, [])
    else:
        left, right = middle[:diagonal], middle[diagonal + 1 :]
    if len(left) not in (0, i) or len(right) not in (0, k - 1 - i):
        raise UserError(
            f"row {i + 1}, {shown(label)}: found {len(middle)} numbers; expected {i} of a lower triangle or "
            f"{k - 1 - i} of an upper one, with or without its diagonal; does the header name every column beside the "
            f"matrix (M, SD, α, n)?"
        )
    return dict(enumerate(left)) | {i + 1 + place: cell for place, cell in enumerate(right)}


def _plain(cell: str) -> str:
    return _MARKS.sub("", cell.translate(MINUS_SIGNS)).strip("()")


def _said(cell: str, comma: bool) -> str:
    text = _plain(cell)
    if comma:
        return plain_number(text)
    if ambiguous(text):
        raise UserError(
            "found {}: {} with a decimal comma, {} with a comma of thousands; write one of the two".format(
                text, *readings(text)
            )
        )
    return text.replace(",", ".") if re.fullmatch(r"[-+]?0?,\d+", text) else text


def _add_pair(pairs: dict[tuple[int, int], str], pair: tuple[int, int], text: str, label: str) -> None:
    value = parse_printed(text).value
    if not -1 <= value <= 1:
        raise UserError(f"row {pair[1] + 1}, {shown(label)}: found {text}; expected a correlation between -1 and 1")
    known = pairs.setdefault(pair, text)
    if parse_printed(known).value != value:
        raise UserError(f"variables {pair[0] + 1} and {pair[1] + 1} have {known} and {text}; expected one matrix")


def read_variables(text: str, matrix: Matrix, vocabulary: Vocabulary) -> tuple[Variable | None, ...]:
    """What each variable is: `construct=measure@informant` with commas between, `-` for one to leave out.

    Raises
    ------
    UserError
        when there are more or fewer than the matrix has, or a word is not known.
    """
    parts = [part.strip() for part in text.split(",")]
    if len(parts) != len(matrix.labels):
        listed = "; ".join(f"{i + 1} {label}" for i, label in enumerate(matrix.labels))
        raise UserError(f"found {len(parts)} variables; expected {len(matrix.labels)}, in the order of: {listed}")
    return tuple(None if part == "-" else _variable(part, vocabulary) for part in parts)


def _variable(part: str, vocabulary: Vocabulary) -> Variable:
    construct, _, rest = part.partition("=")
    measure, _, informant = rest.partition("@")
    variable = Variable(construct.strip(), measure.strip(), informant.strip())
    for word, words in ((variable.construct, "construct"), (variable.informant, "informant")):
        if (word or words == "construct") and word not in vocabulary.words(words):
            raise UserError(f"{shown(part)}: {words} {shown(word)}: {nearest(word, vocabulary.words(words))}")
    return variable


def effect_rows(
    matrix: Matrix, variables: Sequence[Variable | None], common: Mapping[str, str], vocabulary: Vocabulary
) -> list[dict[str, str]]:
    """A row of `effects.csv` for each pair of variables that are kept; `common` are the cells all of them share."""
    rows = []
    for (i, j), text in sorted(matrix.pairs.items()):
        a, b = variables[i], variables[j]
        if a is None or b is None:
            continue
        sides = [vocabulary.constructs[variable.construct].side for variable in (a, b)]
        # The exposure first, as in all other rows: then nobody has to ask for both orders.
        if sides == ["outcome", "exposure"]:
            a, b = b, a
        flag = vocabulary.pair_flag(a.construct, b.construct)
        rows.append(
            dict(common)
            | {"var_a": a.construct, "var_b": b.construct, "statistic": "r", "value": text, "flags": flag}
            | {"measure_a": a.measure, "measure_b": b.measure, "informant_a": a.informant, "informant_b": b.informant}
        )
    return rows


def descriptive_rows(
    matrix: Matrix, variables: Sequence[Variable | None], common: Mapping[str, str]
) -> list[dict[str, str]]:
    """A row of `descriptives.csv` for each variable that has a mean, a standard deviation or a reliability."""
    rows = []
    for i, variable in enumerate(variables):
        names = ("n", "mean", "sd", "reliability")
        said = {name: matrix.beside[i, name] for name in names if (i, name) in matrix.beside}
        if variable is not None and set(said) - {"n"}:
            measure = variable.measure or matrix.labels[i]
            rows.append({**common, **said, "variable": variable.construct, "measure": measure})
    return rows
