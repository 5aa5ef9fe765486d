"""Which rows of two coders are the same row: by what they say, not by the number somebody gave them.

The first coder's ids stand. Samples are matched first, by what they are; then the rows of the other tables, each pair
of rows getting points for what it has in common, and the pairing with most points in all being taken (the assignment
problem, Kuhn 1955). The two sides of a correlation may be swapped. Rows that have too little in common stay alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from replication.dataset.schema import TABLES, Column
from replication.study.coding.coders import Coders, Rows
from replication.study.coding.same import same_value

__all__ = ["matched"]

_POINTS: Mapping[str, Mapping[str, float]] = {
    "samples.csv": {"n": 3, "country": 1, "unit": 1, "label": 2, "age_mean": 2, "school_level": 1, "grade": 1},
    "effects.csv": {
        "sample_id": 2, "var_a": 3, "var_b": 3, "value": 3, "statistic": 1, "n": 1, "measure_a": 2, "measure_b": 2,
        "informant_a": 1, "informant_b": 1, "time_a": 1, "time_b": 1,
    },
    "claims.csv": {"quantity": 3, "subgroup": 2, "statistic": 1, "printed": 3, "k": 1, "n": 1, "locator": 1},
    "directions.csv": {"association": 3, "predictor_construct": 1, "outcome_domain": 1, "direction": 1, "level": 1},
}  # fmt: skip
_SAME_ID = 0.5  # decides between rows that say the same
_ENOUGH = 0.55  # of the points that two rows could have, each counted where one of them is filled
_SIDES = tuple(name.removesuffix("_a") for name in TABLES["effects.csv"].by_name if name.endswith("_a"))
_MOST = 250_000  # pairs of rows that are compared; larger tables are matched by their ids


def matched(coders: Coders) -> Coders:
    """The coders with every row under the id that the first coder of its table gave it.

    Rows whose two sides are swapped are turned; `renamed` says of each other coder which ids became which.
    """
    tables = {name: dict(written) for name, written in coders.tables.items()}
    lines = dict(coders.lines)
    renamed: dict[tuple[str, str], Mapping[str, str]] = {}
    samples: dict[str, Mapping[str, str]] = {}
    # Effects are matched by their sample among other things, so samples need their common names first.
    for name in ("samples.csv", *(table for table in tables if table != "samples.csv")):
        if name not in tables:
            continue
        first, *others = coders.names(name)
        tables[name] = {coder: _with_samples(rows, samples.get(coder, {})) for coder, rows in tables[name].items()}
        for coder in others if name in _POINTS else ():
            names, turned = _pairing(name, tables[name][first], tables[name][coder])
            tables[name][coder] = _renamed(name, tables[name][coder], names, turned)
            lines |= {(name, coder, new): coders.lines.get((name, coder, old), 0) for old, new in names.items()}
            changed = {old: new for old, new in names.items() if old != new}
            renamed |= {(name, coder): changed} if changed else {}
            if name == "samples.csv":
                samples[coder] = changed
    return replace(coders, tables=tables, lines=lines, renamed=renamed)


def _with_samples(rows: Rows, names: Mapping[str, str]) -> Rows:
    """Rows that name their sample as the first coder does; ids made of the sample's name follow."""
    if not names:
        return rows
    kept = {}
    for row, cells in rows.items():
        sample = cells.get("sample_id", "")
        own = row.replace(sample, names[sample], 1) if sample in names and row.startswith(f"{sample} ") else row
        kept[own] = {**cells, "sample_id": names.get(sample, sample)} if sample else cells
    return kept


def _pairing(table: str, first: Rows, other: Rows) -> tuple[dict[str, str], set[str]]:
    """New ids of the other coder's rows, and which of them have their sides swapped."""
    from scipy import optimize  # a fifth of a second that every check would wait for, though few works have coders

    if not first or not other or len(first) * len(other) > _MOST:
        return {row: row for row in other}, set()
    mine, theirs = list(first), list(other)
    straight = _points(table, first, other, swapped=False)
    swapped = _points(table, first, other, swapped=True) if table == "effects.csv" else straight
    best = np.maximum(straight, swapped)
    names: dict[str, str] = {}
    turned: set[str] = set()
    # All pairs at once: row by row, an early pair could take the partner that a later one fits far better.
    for i, j in zip(*optimize.linear_sum_assignment(best, maximize=True), strict=True):
        if best[i, j] >= _ENOUGH:
            names[theirs[j]] = mine[i]
            turned |= {theirs[j]} if swapped[i, j] > straight[i, j] else set()
    return _complete(names, mine, theirs), turned


def _complete(names: dict[str, str], mine: Sequence[str], theirs: Sequence[str]) -> dict[str, str]:
    """The rest: under their own id where it is free, else under one of their own that nobody has."""
    taken = set(names.values())
    for row in theirs:
        if row not in names:
            new = row
            while new in taken or (new != row and new in mine):
                new += "x"
            names[row] = new
            taken.add(new)
    return names


def _points(
    table: str, first: Rows, other: Rows, *, swapped: bool
) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """The share of its possible points that each pair of rows has, and a little more where the id is the same."""
    points = np.zeros((len(first), len(other)))
    possible = np.zeros_like(points)
    for name, worth in _POINTS[table].items():
        column = TABLES[table].by_name[name]
        mine = [cells.get(name, "") for cells in first.values()]
        theirs = [cells.get(_other_side(name) if swapped else name, "") for cells in other.values()]
        filled = np.array([[bool(a or b) for b in theirs] for a in mine])
        points += worth * _alike(column, mine, theirs)
        # Cells both left empty say nothing for or against: they must not lower the share.
        possible += worth * filled
    same = np.array([[a == b for b in other] for a in first])
    return np.asarray((points + _SAME_ID * same) / np.maximum(possible + _SAME_ID, 1.0))


def _alike(
    column: Column, mine: Sequence[str], theirs: Sequence[str]
) -> np.ndarray[tuple[int, int], np.dtype[np.bool_]]:
    return np.array([[bool(a and b) and same_value(column, (a, b)) for b in theirs] for a in mine])


def _other_side(name: str) -> str:
    base, _, side = name.rpartition("_")
    return f"{base}_{'b' if side == 'a' else 'a'}" if base in _SIDES and side in ("a", "b") else name


def _renamed(table: str, rows: Rows, names: Mapping[str, str], turned: set[str]) -> Rows:
    identity = TABLES[table].id[0]
    return {names[row]: {**_turned(cells, row in turned), identity: names[row]} for row, cells in rows.items()}


def _turned(cells: Mapping[str, str], swap: bool) -> dict[str, str]:
    return dict(_swapped(cells)) if swap else dict(cells)


def _swapped(cells: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    return ((_other_side(name), cell) for name, cell in cells.items())
