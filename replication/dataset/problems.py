"""A problem in the data, in a coder's words: file, row, column, what was found, what was expected, what to do."""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass
from operator import attrgetter
from typing import Literal

__all__ = ["SHOWN", "Problem", "Severity", "format_problems", "in_order", "nearest", "printable", "shown"]

Severity = Literal["error", "warning"]
SHOWN = 200
"""How many problems are printed; the rest are counted, and need no hint."""

_LONGEST = 60


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing wrong at one place. `row` is the line in the file (the header is line 1), 0 for the whole file."""

    file: str
    row: int
    column: str
    rule: str
    found: str
    expected: str
    hint: str = ""
    severity: Severity = "error"

    @property
    def place(self) -> str:
        """File, row and column, as a reader would look them up."""
        row = f", row {self.row}" if self.row else ""
        word = {".toml": "field", ".bib": "entry"}.get(self.file[self.file.rfind(".") :], "column")
        column = f", {word} {printable(self.column)}" if self.column else ""
        return f"{printable(self.file)}{row}{column}"

    def __str__(self) -> str:
        found = f"found {self.found}; " if self.found else ""
        hint = f" → {self.hint}" if self.hint else ""
        mark = "" if self.severity == "error" else "warning: "
        return f"{self.place}: {mark}{found}expected {self.expected} [{self.rule}]{hint}"


def shown(value: object) -> str:
    """A value from a file, safe to print: quoted, cut to 60 characters, hidden characters and odd spaces made visible.

    >>> shown("a" * 80)[-14:]
    '… (80 letters)'
    >>> shown("1\\u202e2")
    '"1<U+202E>2"'
    """
    text = _text(value)
    if len(text) <= _LONGEST and text.isprintable():
        return f'"{text}"'
    cut = text[:_LONGEST]
    hidden = {c for c in cut if c != " " and unicodedata.category(c)[0] in "CZ"}
    safe = cut.translate({ord(c): f"<U+{ord(c):04X}>" for c in hidden})
    return f'"{safe}"' if len(text) <= _LONGEST else f'"{safe}"… ({len(text)} letters)'


def printable(text: str) -> str:
    """A file or column name, safe to print: as it is where it is plain, else as `shown` shows it."""
    return text if len(text) <= 3 * _LONGEST and text.isprintable() else shown(text)


def _text(value: object) -> str:
    try:
        return "" if value is None else str(value)
    except RecursionError:
        return "values nested too deeply"


def nearest(word: str, words: Iterable[str]) -> str:
    """A hint naming the closest allowed word, or all of them when none is close.

    >>> nearest("engagment", ["engagement", "achievement"])
    'did you mean "engagement"?'
    """
    # Sets come in another order in every process: the same words must give the same hint.
    known = [name for name in (sorted(words) if isinstance(words, Set) else words) if name]
    if not known:
        return "remove it"
    # Cut first: the time of the search grows with the square of the length.
    close = difflib.get_close_matches(word[:_LONGEST], known, n=1, cutoff=0.6)
    if close:
        return f'did you mean "{printable(close[0])}"?'
    listed = ", ".join(printable(name) for name in known[:12]) + (", …" if len(known) > 12 else "")
    return f"use one of: {listed}"


def in_order(problems: Iterable[Problem]) -> list[Problem]:
    """Each problem once, by file, row and column."""
    # A set: two checks may come upon the same thing.
    return sorted(set(problems), key=attrgetter("file", "row", "column", "rule", "found", "expected", "hint"))


def format_problems(problems: Sequence[Problem], limit: int = SHOWN) -> str:
    """All problems, one per line, the first `limit` in full and the count of the rest."""
    ordered = in_order(problems)
    lines = [str(p) for p in ordered[:limit]]
    if len(ordered) > limit:
        lines.append(f"… and {len(ordered) - limit} more problems; mend these and run again")
    return "\n".join(lines)
