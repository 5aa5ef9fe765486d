"""What an analysis declares and what it returns: plain, frozen, JSON-ready records.

Three ideas:

1. An `Analysis` is a file under `analyses/` that declares one question and a function from a `Context` to `Findings`.
2. `Findings` hold numbers, never prose with numbers in it: a sentence is a key and named values, and the report turns
   it into English or Norwegian. So text cannot drift from results.
3. `Outcome` is findings plus verdicts plus digest: what `reports/` stores as JSON, and all that pages are made from.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Literal, Protocol

import numpy as np

from replication.claims import Answer, Check
from replication.dataset import Dataset, Exclusion

__all__ = [
    "Analysis",
    "Context",
    "Estimate",
    "Figure",
    "Findings",
    "Kind",
    "Outcome",
    "Sentence",
    "Store",
    "Table",
    "plain",
]

Kind = Literal["reproduction", "finding", "simulated"]
Cell = str | float | int | bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """One number of ours with all that is needed to judge it.

    `metric` names the scale of value, interval and prediction ("r", "z", "beta", "tau2", ...). NaN means: not defined
    or not asked for. `rows` are the ids of the effects it rests on; `method` every choice by name.
    """

    id: str
    label: str
    metric: str
    value: float
    low: float = math.nan
    high: float = math.nan
    se: float = math.nan
    p: float = math.nan
    prediction_low: float = math.nan
    prediction_high: float = math.nan
    tau2: float = math.nan
    tau2_low: float = math.nan
    tau2_high: float = math.nan
    I2: float = math.nan
    k: int = 0
    samples: int = 0
    n: float = math.nan
    level: float = 0.95
    group: str = ""
    method: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    rows: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table of results. Cells are text, numbers or None (does not apply); `links` names the id behind each row."""

    id: str
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    links: tuple[str, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """The data of a figure, as columns of equal length, and settings. The report knows how to draw each `kind`."""

    id: str
    kind: str
    title: str
    columns: Mapping[str, Sequence[Cell]]
    settings: Mapping[str, Cell] = field(default_factory=dict)
    note: str = ""


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence of the report: the key of its template and the values to fill in. It holds no wording itself."""

    key: str
    values: Mapping[str, Cell] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What an analysis function returns. `answers` are by claim id."""

    answers: Mapping[str, Answer] = field(default_factory=dict)
    estimates: tuple[Estimate, ...] = ()
    tables: tuple[Table, ...] = ()
    figures: tuple[Figure, ...] = ()
    sentences: tuple[Sentence, ...] = ()
    exclusions: tuple[Exclusion, ...] = ()


class Store(Protocol):
    """Where slow results are kept by content, so that the same draws are not drawn twice."""

    def get(self, name: str, key: str) -> object | None:
        """The stored result, or None."""

    def put(self, name: str, key: str, result: object) -> None:
        """Keep a JSON-ready result."""


@dataclass(frozen=True, slots=True)
class Context:
    """What an analysis is given: the dataset, the seed of every random number, and a store for slow results."""

    data: Dataset
    seed: int = 2024
    store: Store | None = None

    def remember(self, name: str, key: str, compute: Callable[[], object]) -> object:
        """The stored JSON-ready result under `name` and `key` (a digest of all it depends on), computed if new."""
        found = self.store.get(name, key) if self.store else None
        if found is None:
            found = plain(compute())
            if self.store:
                self.store.put(name, key, found)
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysis:
    """One question. `claims` are the works whose claims it answers; `slow` ones are run first, in their own process.

    `quick` gives the estimates alone, in a second or two, for the preview of a change.
    """

    id: str
    title: str
    question: str
    run: Callable[[Context], Findings]
    kind: Kind = "reproduction"
    claims: tuple[str, ...] = ()
    slow: bool = False
    quick: Callable[[Context], Findings] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One analysis, run: everything a page needs. `digest` identifies data, code and analysis it was made from."""

    id: str
    kind: Kind
    title: str
    question: str
    digest: str
    checks: tuple[Check, ...]
    estimates: tuple[Estimate, ...]
    tables: tuple[Table, ...]
    figures: tuple[Figure, ...]
    sentences: tuple[Sentence, ...]
    exclusions: tuple[Exclusion, ...]


def plain(value: object) -> object:
    """Records, arrays and mappings as dicts, lists, numbers and text; NaN and infinities become None.

    >>> plain(Sentence("k", {"x": float("nan")}))
    {'key': 'k', 'values': {'x': None}}
    """
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value is None or isinstance(value, str | bool | int | float):
        return value
    raise TypeError(f"{type(value).__name__} has no place in an outcome")
