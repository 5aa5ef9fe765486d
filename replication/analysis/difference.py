"""Two states of the dataset, one analysis: which rows differ, which numbers and verdicts change, and which work did it.

Used by the preview of a new work and by comparisons of dataset versions.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields

import pandas as pd

from replication.analysis.outcome import Estimate, Figure, Outcome, Text
from replication.dataset import Dataset

__all__ = ["Difference", "EstimateChange", "RowChange", "Step", "VerdictChange", "compare", "row_changes", "steps"]

_SAME = 1e-9
# A figure of more steps than this cannot be read; the rest is one step, and says how many works it holds.
_MOST_STEPS = 12
_NUMBERS = tuple(field.name for field in fields(Estimate) if field.type in ("float", "int"))


@dataclass(frozen=True, slots=True)
class EstimateChange:
    """An estimate before and after; None where it does not exist."""

    id: str
    label: Text
    before: Estimate | None
    after: Estimate | None

    @property
    def moved(self) -> float:
        """By how much the value moved; NaN where one of the two is missing."""
        return math.nan if self.before is None or self.after is None else self.after.value - self.before.value


@dataclass(frozen=True, slots=True)
class VerdictChange:
    """A claim whose verdict is another one than before; empty where the claim was not there."""

    claim: str
    quantity: str
    before: str
    after: str
    reason: str


@dataclass(frozen=True, slots=True)
class RowChange:
    """An effect row that is in one state only, or holds another value or n."""

    row: str
    work: str
    change: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Step:
    """The estimate after the rows of one more work have come in (or gone)."""

    work: str
    rows: int
    value: float
    moved: float


@dataclass(frozen=True, slots=True)
class Difference:
    """What differs between two outcomes of one analysis. `figures` are those of the later one that have new rows."""

    analysis: str
    title: Text
    estimates: tuple[EstimateChange, ...]
    verdicts: tuple[VerdictChange, ...]
    figures: tuple[Figure, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.estimates or self.verdicts)


def compare(before: Outcome | None, after: Outcome | None, rows: Sequence[RowChange] = ()) -> Difference:
    """The estimates and verdicts that differ. An outcome that could not be had is None.

    Parameters
    ----------
    before, after : outcomes of the same analysis; at least one.
    rows : the rows that changed, to be marked in the figures.
    """
    known = after or before
    assert known is not None
    old, new = _estimates(before), _estimates(after)
    changes = [_change(name, old.get(name), new.get(name)) for name in dict.fromkeys((*old, *new))]
    marked = {change.row for change in rows if change.change != "gone"}
    # Rows that are gone are in no figure of the later state.
    figures = tuple(_marked(f, marked) for f in (after.figures if after else ()) if _shows(f, marked))
    estimates = tuple(change for change in changes if change is not None)
    return Difference(known.id, known.title, estimates, _verdicts(before, after), figures)


def row_changes(before: Dataset, after: Dataset) -> tuple[RowChange, ...]:
    """The effect rows that came, went, or hold another value or n, in the order of the later state."""
    old, new = _cells(before.effects), _cells(after.effects)
    changes = []
    # In the order of the later state; rows that are gone come at the end.
    for row in dict.fromkeys((*new, *old)):
        if row not in old:
            changes.append(RowChange(row, new[row][0], "new", "", new[row][1]))
        elif row not in new:
            changes.append(RowChange(row, old[row][0], "gone", old[row][1], ""))
        elif old[row][1] != new[row][1]:
            changes.append(RowChange(row, new[row][0], "changed", old[row][1], new[row][1]))
    return tuple(changes)


def steps(
    before: Dataset,
    after: Dataset,
    values: Callable[[Dataset], Mapping[str, float]],
    changes: Sequence[RowChange],
) -> dict[str, tuple[Step, ...]]:
    """What moved each estimate: works come in one after the other, in the order of the dataset; the moves add up.

    Parameters
    ----------
    before, after : the two states.
    values : estimates by id on any state.
    changes : the rows to bring in (or take out), from `row_changes`. Beyond twelve works the last step is the rest.
    """
    works = list(dict.fromkeys(change.work for change in changes))
    first, rest = works[: _MOST_STEPS - 1], works[_MOST_STEPS - 1 :]
    ids = (set(before.effects["effect_id"]), set(after.effects["effect_id"]))
    gone = before.effects[~before.effects["effect_id"].isin(ids[1])]
    done: set[str] = set()
    last = values(before)
    found: dict[str, list[Step]] = {name: [] for name in last}
    for group in [*([work] for work in first), *([rest] if rest else [])]:
        # cumulative, so that the moves of all works add up to the whole difference
        done |= set(group)
        came = {c.row for c in changes if c.work in done and c.change != "gone"}
        now = values(after.with_effects((ids[0] & ids[1]) | came, gone[~gone["work"].isin(done)]))
        label = group[0] if len(group) == 1 else f"{len(group)} further works"
        size = sum(change.work in group for change in changes)
        for name in found.keys() & now.keys():
            if abs(now[name] - last.get(name, math.nan)) > _SAME:
                found[name].append(Step(label, size, now[name], now[name] - last[name]))
        last = {**last, **now}
    return {name: tuple(taken) for name, taken in found.items()}


def _estimates(outcome: Outcome | None) -> Mapping[str, Estimate]:
    return {} if outcome is None else {estimate.id: estimate for estimate in outcome.estimates}


def _change(name: str, before: Estimate | None, after: Estimate | None) -> EstimateChange | None:
    if before is not None and after is not None and _alike(before, after):
        return None
    known = after or before
    assert known is not None
    return EstimateChange(name, known.label, before, after)


def _alike(a: Estimate, b: Estimate) -> bool:
    """Whether two estimates agree in every number they carry, not in their value alone."""
    # NaN differs from itself, so two undefined numbers need a test of their own.
    pairs = ((getattr(a, name), getattr(b, name)) for name in _NUMBERS)
    return all(x == y or abs(x - y) < _SAME or (math.isnan(x) and math.isnan(y)) for x, y in pairs)


def _verdicts(before: Outcome | None, after: Outcome | None) -> tuple[VerdictChange, ...]:
    old = {check.claim.id: check for check in before.checks} if before else {}
    new = {check.claim.id: check for check in after.checks} if after else {}
    changes = []
    for claim in dict.fromkeys((*old, *new)):
        was, now = old.get(claim), new.get(claim)
        known = now or was
        assert known is not None
        if (was.verdict if was else "") != (now.verdict if now else ""):
            verdicts = (was.verdict if was else "", now.verdict if now else "")
            changes.append(VerdictChange(claim, known.claim.quantity, *verdicts, known.reason))
    return tuple(changes)


def _shows(figure: Figure, rows: set[str]) -> bool:
    # Of all figures only the forest has a mark for a row, so only there a new one can be shown.
    return figure.kind == "forest" and any(str(row) in rows for row in figure.columns.get("row", ()))


def _marked(figure: Figure, rows: set[str]) -> Figure:
    """The figure with a column that marks the changed rows."""
    new = ["yes" if str(row) in rows else "" for row in figure.columns["row"]]
    columns = {**figure.columns, "new": new}
    return Figure(
        id=figure.id, kind=figure.kind, title=figure.title, columns=columns, settings=figure.settings, note=figure.note
    )


def _cells(effects: pd.DataFrame) -> dict[str, tuple[str, str]]:
    columns = (effects[name].tolist() for name in ("effect_id", "work", "statistic", "value_text", "n"))
    return {
        row: (work, f"{statistic} {value}, n {n:g}") for row, work, statistic, value, n in zip(*columns, strict=True)
    }
