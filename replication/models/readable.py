"""Results as a person reads them: named numbers in lines, tables of coefficients, large arrays by their size.

A frozen dataclass prints everything it holds, which for a posterior is 11,000 lines. Results derive from `Readable`
and are declared with `repr=False`; whole precision stays in the fields.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

__all__ = ["Readable", "in_columns", "in_one_line"]

# So many entries of an array, a tuple or a table are shown; the rest is counted.
SHOWN = 6
ROWS = 20

# Records within records within records are named only.
DEPTH = 2


class Readable:
    """Prints a frozen dataclass as lines of `name value`.

    >>> from dataclasses import dataclass
    >>> @dataclass(frozen=True, slots=True, repr=False)
    ... class Test(Readable):
    ...     z: float
    ...     evidence: bool
    >>> Test(2.0 / 3.0, True)
    Test
      z         0.666667
      evidence  True
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return "\n".join([type(self).__name__, *(f"  {line}" for line in self._lines(0))])

    def _lines(self, depth: int) -> Iterator[str]:
        """What stands below the name; a result with a table of its own overrides it."""
        yield from _named(_shown_fields(self), depth)


def in_columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows of cells as lines: the first column to the left, the others to the right.

    >>> in_columns([("", "se"), ("age", "0.1")])
    ['      se', 'age  0.1']
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join([row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))]).rstrip()
        for row in rows
    ]


def in_one_line(text: str) -> str:
    """A text of several lines, such as a path model, as one.

    >>> in_one_line("m ~ x\\ny ~ m")
    'm ~ x; y ~ m'
    """
    return "; ".join(text.splitlines())


def _shown_fields(record: Any) -> Iterator[tuple[str, Any]]:
    for field in fields(record):
        if field.repr:
            yield field.name, getattr(record, field.name)


def _named(values: Iterator[tuple[str, Any]], depth: int) -> Iterator[str]:
    """Lines `name value`; what needs several lines stands indented below its name."""
    said = [(name, lines) for name, value in values if (lines := _said(value, depth))]
    width = max((len(name) for name, lines in said if len(lines) == 1), default=0)
    for name, lines in said:
        if len(lines) == 1:
            yield f"{name.ljust(width)}  {lines[0]}"
        else:
            yield name
            yield from (f"  {line}" for line in lines)


def _said(value: Any, depth: int) -> list[str]:
    """The lines of one value; none for what is not there."""
    if value is None or (isinstance(value, str | tuple | Mapping) and not value):
        return []
    if isinstance(value, tuple):
        return _tuple(value)
    if isinstance(value, np.ndarray):
        return [_array(value)]
    if isinstance(value, Mapping):
        return [", ".join(f"{name} {_plain(each)}" for name, each in value.items())]
    short = _interval(value)
    if short or depth == DEPTH or not is_dataclass(value):
        return [short or _plain(value)]
    return list(value._lines(depth + 1) if isinstance(value, Readable) else _named(_shown_fields(value), depth + 1))


def _plain(value: Any) -> str:
    if isinstance(value, str | bool | np.bool_):
        return in_one_line(str(value))
    if isinstance(value, float | np.floating):
        return "-" if np.isnan(value) else f"{value:.6g}"
    if isinstance(value, int | np.integer):
        return str(value)
    return type(value).__name__


def _array(value: np.ndarray[Any, Any]) -> str:
    if value.ndim == 1 and len(value) <= SHOWN:
        return ", ".join(_plain(each) for each in value.tolist())
    if value.ndim == 1:
        return f"{len(value)} values: {', '.join(_plain(each) for each in value[:3].tolist())}, ..."
    return f"array of {' x '.join(map(str, value.shape))}"


def _tuple(value: tuple[Any, ...]) -> list[str]:
    if all(is_dataclass(each) for each in value):
        return _table(value)
    first = ", ".join(_plain(each) for each in value[:SHOWN])
    return [first if len(value) <= SHOWN else f"{first}, ... ({len(value)} in all)"]


def _table(records: tuple[Any, ...]) -> list[str]:
    """Records of one kind as a table of what fits a cell; notes, whose cells are sentences, a line each."""
    cells = [{name: cell for name, value in _shown_fields(each) if (cell := _cell(value))} for each in records]
    names = list(dict.fromkeys(name for row in cells for name in row))
    rest = [f"... and {len(records) - ROWS} more"] if len(records) > ROWS else []
    if any(len(cell) > 40 for row in cells[:ROWS] for cell in row.values()):
        return [": ".join(row.values()) for row in cells[:ROWS]] + rest
    if not names:
        return [f"{len(records)} of {type(records[0]).__name__}"]
    return in_columns([names, *([row.get(name, "-") for name in names] for row in cells[:ROWS])]) + rest


def _cell(value: Any) -> str:
    if isinstance(value, str | bool | int | float | np.generic):
        return "" if isinstance(value, float) and np.isnan(value) else _plain(value)
    # Without its reason: a table has no room for it.
    return _interval(value).partition(" (")[0].replace("[-, -]", "")


def _interval(value: Any) -> str:
    """`[low, high]` of an interval, with the reason where an end is open; nothing of anything else."""
    low, high = getattr(value, "low", None), getattr(value, "high", None)
    if not (isinstance(low, float) and isinstance(high, float)):
        return ""
    reason = getattr(value, "reason", "")
    return f"[{_plain(low)}, {_plain(high)}]" + (f" ({reason})" if reason else "")
