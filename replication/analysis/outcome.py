"""What an analysis declares and what it returns: plain, frozen, JSON-ready records.

Four ideas:

1. An `Analysis` is a file under `analyses/` that declares one question and a function from a `Context` to `Findings`.
2. `Findings` hold numbers, never prose with numbers in it: a sentence is a key and named values, and the report turns
   it into English or Norwegian. So text cannot drift from results.
3. Nothing is guessed afterwards: a number in a sentence carries the reference it leads to (`Number`), and every item of
   a finding carries the section of its page it stands in. What lacks one is refused when the analysis is run.
4. `Outcome` is findings plus verdicts plus digest: what `reports/` stores as JSON, and all that pages are made from.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from functools import cache
from typing import Literal, Protocol, TypeVar, get_args

import numpy as np

from replication.claims import Answer, Check
from replication.dataset import Dataset, Exclusion, Reads
from replication.labels import Cell, Label, Text, of, several, within

__all__ = [
    "SECTIONS",
    "About",
    "Analysis",
    "Cell",
    "Context",
    "Draws",
    "Estimate",
    "Figure",
    "Findings",
    "Kind",
    "Label",
    "Number",
    "Outcome",
    "Ref",
    "RefKind",
    "Section",
    "Sentence",
    "Store",
    "Table",
    "TableKind",
    "Text",
    "numbers",
    "of",
    "placed",
    "plain",
    "refs",
    "several",
    "within",
]

Kind = Literal["reproduction", "finding", "simulated"]

RefKind = Literal["estimate", "claim", "row", "table", "figure", "work", "page"]
"""What a number can lead to: something of an outcome, a claim, a row of the dataset (an effect, a sample, a direction),
a work, or a page of the report by its name (for counts of the whole dataset)."""

Section = Literal[
    "",
    "answer",
    "sure",
    "cause",
    "change",
    "bodies",
    "explore",
    "published",
    "known",
    "new",
    "update",
    "prediction",
    "drivers",
    "bias",
    "confounding",
    "robustness",
    "bayes",
    "levels",
    "directions",
    "school",
    "flow",
    "care",
    "more",
]
"""The sections of a finding's page in their order; empty for items of a reproduction, whose page has but one place."""

SECTIONS: tuple[Section, ...] = tuple(section for section in get_args(Section) if section)


TableKind = Literal["", "published", "update", "entering", "pooled-rows"]
"""What a table is to the report, where a page is made of it: printed numbers, what new samples move, from the
published rows to all, rows to choose."""


@dataclass(frozen=True, slots=True)
class About:
    """The research question something is about: its id, and the label readers know it by."""

    question: str
    label: Text


@dataclass(frozen=True, slots=True)
class Ref:
    """Where a number leads: the kind of thing behind it, and its id.

    The id of an estimate, table or figure is looked up in the outcome that says it; `analysis/id` names another's.
    """

    kind: RefKind
    id: str


@dataclass(frozen=True, slots=True)
class Number:
    """A number in a sentence, with what stands behind it."""

    value: float | int | None
    ref: Ref


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """One number of ours with all that is needed to judge it.

    `metric` names the scale of value, interval and prediction ("r", "z", "beta", "tau2", ...). NaN means: not defined
    or not asked for. `rows` are the ids of the effects it rests on; `method` every choice by name.
    """

    id: str
    label: Text
    metric: str
    value: float
    section: Section = ""
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
    group: Text = ""
    method: Mapping[str, Text] = field(default_factory=dict)
    notes: tuple[Text, ...] = ()
    rows: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table of results. Cells are text, numbers or None (does not apply); `links` say what stands behind each row."""

    id: str
    title: Text
    columns: tuple[Text, ...]
    rows: tuple[tuple[Cell, ...], ...]
    section: Section = ""
    # Fields and not parts of the id or the title, so that both can be worded anew without a page losing its table.
    kind: TableKind = ""
    about: About | None = None
    # Empty, or one per row: None where nothing stands behind a row.
    links: tuple[Ref | None, ...] = ()
    note: Text = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """The data of a figure, as columns of equal length, and settings. The report knows how to draw each `kind`."""

    id: str
    kind: str
    title: Text
    columns: Mapping[str, Sequence[Cell]]
    section: Section = ""
    settings: Mapping[str, Cell] = field(default_factory=dict)
    note: Text = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draws:
    """Joint draws of a posterior, for the editor's bundle alone: `columns` by quantity, one chain behind the other.

    Every column has `chains` parts of equal length. `method` says by name how they were drawn, from which priors.
    """

    id: str
    chains: int
    columns: Mapping[str, Sequence[float]]
    method: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence of the report: the key of its template and the values to fill in. It holds no wording itself.

    Every number among the values is a `Number`; text (ids of questions, works, claims, words) stands as it is.
    """

    key: str
    values: Mapping[str, Cell | Number] = field(default_factory=dict)
    section: Section = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What an analysis function returns. `answers` are by claim id."""

    # By claim and not by estimate: a claim may be checked, or be impossible to compute, without any estimate.
    answers: Mapping[str, Answer] = field(default_factory=dict)
    estimates: tuple[Estimate, ...] = ()
    tables: tuple[Table, ...] = ()
    figures: tuple[Figure, ...] = ()
    sentences: tuple[Sentence, ...] = ()
    exclusions: tuple[Exclusion, ...] = ()
    draws: tuple[Draws, ...] = ()


Placed = TypeVar("Placed", Estimate, Table, Figure, Sentence)


def placed(section: Section, items: Iterable[Placed]) -> tuple[Placed, ...]:
    """The items, all in this section of a finding's page.

    >>> [s.section for s in placed("answer", [Sentence("k")])]
    ['answer']
    """
    return tuple(replace(item, section=section) for item in items)


def numbers(values: Mapping[str, float | int | None], ref: Ref) -> dict[str, Number]:
    """Several numbers of a sentence that lead to the same place.

    >>> numbers({"r": 0.3}, Ref("claim", "a-1"))["r"].value
    0.3
    """
    return {name: Number(value, ref) for name, value in values.items()}


def refs(kind: RefKind, names: Iterable[object]) -> tuple[Ref | None, ...]:
    """References of one kind, as the rows of a table have them; None for an empty id.

    >>> refs("claim", ["a-1", ""])
    (Ref(kind='claim', id='a-1'), None)
    """
    return tuple(Ref(kind, str(name)) if name else None for name in names)


EVERY_SLOW_RESULT = "*"
"""In `Context.postpones`: whatever the name."""


class Store(Protocol):
    """Where slow results are kept by content, so that the same draws are not drawn twice."""

    def get(self, name: str, key: str) -> object | None:
        """The stored result, or None."""

    def put(self, name: str, key: str, result: object) -> None:
        """Keep a JSON-ready result."""


@dataclass(frozen=True, slots=True)
class Context:
    """What an analysis is given: the dataset, the seed of every random number, and a store for slow results.

    `postpones` names slow results that are not computed where nobody has kept them (`EVERY_SLOW_RESULT`: none is);
    `postponed` are those that were asked for and not had. `parts` is what the parts of the analysis give, by name.
    """

    data: Dataset
    seed: int = 2024
    store: Store | None = None
    postpones: Collection[str] = ()
    # Written down here and not by who asked: no analysis can forget to say what it lacks.
    postponed: list[str] = field(default_factory=list, compare=False)
    parts: Mapping[str, object] = field(default_factory=dict, compare=False)

    def remember(self, name: str, key: str, compute: Callable[[], object]) -> object:
        """The stored JSON-ready result under `name` and `key` (a digest of all it depends on), computed if new.

        None where it is new and this run postpones it: what needs it says that it is missing.
        """
        # Plain data also when nothing is stored: a first run must see what a second one reads back.
        found = self.store.get(name, key) if self.store else None
        if found is None and (name in self.postpones or EVERY_SLOW_RESULT in self.postpones):
            if name not in self.postponed:
                self.postponed.append(name)
        elif found is None:
            found = plain(compute())
            if self.store:
                self.store.put(name, key, found)
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysis:
    """One question. `claims` are the works whose claims it answers; `slow` ones sample, and are run first.

    `long` ones take seconds, and are run before the others: one of them begun last would leave all cores but one idle.
    `quick` gives the estimates alone, in a second or two, for the preview of a change; `plans` are the questions of a
    finding (`evidence.finding.QuestionPlan`), by which a preview knows what a new row can touch. It is given what it
    `reads` of the dataset and nothing else, so that its results stand as long as that does; everything by default.
    `parts` take long and need nothing of one another, so each may be computed in a process of its own; `run` finds what
    they give in `Context.parts`.
    """

    id: str
    title: Text
    question: Text
    run: Callable[[Context], Findings]
    kind: Kind = "reproduction"
    claims: tuple[str, ...] = ()
    slow: bool = False
    long: bool = False
    quick: Callable[[Context], Findings] | None = None
    # `object`, because plans belong to `evidence`, which imports this module.
    plans: tuple[object, ...] = ()
    reads: Reads = field(default_factory=Reads)
    parts: Mapping[str, Callable[[Context], object]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One analysis, run: everything a page needs. `digest` identifies data, code and analysis it was made from.

    `postponed` names the slow results that it lacks, and that a run with sampling computes.
    """

    id: str
    kind: Kind
    title: Text
    question: Text
    digest: str
    checks: tuple[Check, ...]
    estimates: tuple[Estimate, ...]
    tables: tuple[Table, ...]
    figures: tuple[Figure, ...]
    sentences: tuple[Sentence, ...]
    exclusions: tuple[Exclusion, ...]
    draws: tuple[Draws, ...] = ()
    postponed: tuple[str, ...] = ()


_AS_THEY_ARE = frozenset({str, int, bool, type(None)})


@cache
def _field_names(kind: type) -> tuple[str, ...]:
    return tuple(f.name for f in fields(kind))


def plain(value: object) -> object:
    """Records, arrays and mappings as dicts, lists, numbers and text; NaN and infinities become None.

    >>> plain(Sentence("k", {"x": Number(float("nan"), Ref("estimate", "e"))}, "answer"))
    {'key': 'k', 'values': {'x': {'value': None, 'ref': {'kind': 'estimate', 'id': 'e'}}}, 'section': 'answer'}
    """
    if isinstance(value, float):
        # JSON has no NaN: what some programs write in its place others cannot read.
        return float(value) if math.isfinite(value) else None
    # Asked for by the type alone first: an outcome holds tens of thousands of numbers and words.
    if type(value) in _AS_THEY_ARE or (isinstance(value, str | int) and not isinstance(value, np.generic)):
        return value
    # tolist gives Python numbers: JSON knows no numpy types.
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, list | tuple):
        # Most cells of a table or figure are what they become: no call for each.
        return [
            item if type(item) in _AS_THEY_ARE or (type(item) is float and math.isfinite(item)) else plain(item)
            for item in value
        ]
    if is_dataclass(value) and not isinstance(value, type):
        return {name: plain(getattr(value, name)) for name in _field_names(type(value))}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    raise TypeError(f"{type(value).__name__} has no place in an outcome")
