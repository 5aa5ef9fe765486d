"""The numbers of estimates and result tables as text: which are shown, and how."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from replication.report.numbers import is_number
from replication.report.words import Words

__all__ = ["PRINTED", "column_kind", "estimate_cells", "facts", "filled", "kinds", "numeric", "rest"]

PRINTED = re.compile(r"[<>≤≥]?\s*[-−+]?(\d[\d,]*)?\.?\d+\s*%?")
"""A number as printed somewhere."""

_FACTS = (
    ("I2", "analysis.I2", "percent"),
    ("se", "analysis.se", "measure"),
    ("p", "analysis.p", "p"),
    ("k", "analysis.k", "count"),
    ("samples", "analysis.samples", "count"),
    ("n", "analysis.n", "count"),
    ("level", "analysis.level", "share"),
)


def rest(words: Words, estimate: Mapping[str, Any]) -> list[str]:
    """What stands beside the value of an estimate: interval, prediction, tau2, I2, k, n; empty where undefined."""
    metric = estimate["metric"]
    numbers = ((estimate["tau2"], "measure"), (estimate["I2"], "percent"))
    counts = (estimate["k"] or None, estimate["n"] or None)
    return [
        words.interval(estimate["low"], estimate["high"], metric),
        words.interval(estimate["prediction_low"], estimate["prediction_high"], metric),
        *("" if value is None else words.number(value, kind) for value, kind in numbers),
        *("" if count is None else words.number(count, "count") for count in counts),
    ]


def estimate_cells(words: Words, estimates: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[list[str]]]:
    """The heads and cells beside the values of several estimates, without the columns that none of them fills."""
    heads = [
        words.say("table.interval"),
        words.say("table.prediction"),
        "τ²",
        "I²",
        words.say("table.k"),
        words.say("table.n"),
    ]
    rows = [rest(words, estimate) for estimate in estimates]
    kept = [i for i in range(len(heads)) if any(row[i] for row in rows)]
    return [heads[i] for i in kept], [[row[i] for i in kept] for row in rows]


def filled(table: Mapping[str, Any]) -> list[int]:
    """The columns of a result table that hold something; an empty one would only push the others off a phone."""
    return [i for i in range(len(table["columns"])) if any(row[i] not in (None, "") for row in table["rows"])]


def facts(words: Words, estimate: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Every defined number of an estimate but its value and interval, with its name."""
    metric = estimate["metric"]
    prediction = words.interval(estimate["prediction_low"], estimate["prediction_high"], metric)
    tau2 = "" if estimate["tau2"] is None else words.number(estimate["tau2"], "measure")
    spread = words.numerals.between(estimate["tau2_low"], estimate["tau2_high"], "measure")
    found = [
        (words.say("analysis.group"), words.label(estimate["group"])),
        (words.say("analysis.prediction"), prediction),
        ("τ²", f"{tau2} {spread}".strip()),
    ]
    for name, label, kind in _FACTS:
        value = estimate[name]
        found.append((words.say(label), words.number(value, kind) if value else ""))
    return [(name, text) for name, text in found if text]


def kinds(table: Mapping[str, Any]) -> list[str]:
    """How the numbers of each column of a result table are shown; empty for columns of text."""
    names = table["columns"]
    return [column_kind(name, [row[i] for row in table["rows"]]) for i, name in enumerate(names)]


def numeric(kinds: Sequence[str], columns: Sequence[int]) -> str:
    """The classes of a result table that set its columns of numbers to the right, for these columns in order.

    On the table and not on each cell: there are tens of thousands. `site.css` knows the first sixteen columns.

    >>> numeric(["", "fine", "", "count"], [0, 1, 3])
    ' right-2 right-3'
    """
    return "".join(f" right-{place}" for place, i in enumerate(columns, start=1) if kinds[i])


def _is_text(cell: object) -> bool:
    return not PRINTED.fullmatch(cell) if isinstance(cell, str) else isinstance(cell, Mapping)


def column_kind(name: str, cells: Sequence[object]) -> str:
    """How the numbers of a column are shown: one rule for the whole column, so that they stand under each other."""
    numbers = [float(cell) for cell in cells if isinstance(cell, int | float) and is_number(cell)]
    # A column with words in it is text, though some of its cells may look like numbers.
    if not numbers or any(_is_text(cell) for cell in cells):
        return ""
    if name in ("p", "p_of_equality"):
        return "p"
    if all(x.is_integer() for x in numbers):
        return "count"
    smallest = min(abs(x) for x in numbers if x != 0)
    return "fine" if max(map(abs, numbers)) < 100 and smallest >= 0.0005 else "measure"
