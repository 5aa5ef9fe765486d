"""From long rows to a `CorrelationSet`. Names decide; what conflicts is refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from replication.errors import ModelError
from replication.models.fit import Array
from replication.models.literals import SampleSizeRule, check_choice
from replication.models.masem.audit import AuditEntry
from replication.models.masem.correlations import CorrelationSet, check_moderators, pair_indices

__all__ = ["GivenCorrelation", "Studies", "assemble", "correlations_from_rows", "variable_order"]


@dataclass(frozen=True, slots=True)
class GivenCorrelation:
    """One correlation as given: its study, its two variables, its input row (-1: none)."""

    study: str
    a: str
    b: str
    r: float
    row: int


@dataclass(frozen=True, slots=True, eq=False)
class Studies:
    """What is known of the studies as such."""

    names: tuple[str, ...]
    n: Array
    moderators: Mapping[str, ArrayLike]
    remarks: tuple[AuditEntry, ...] = ()


def correlations_from_rows(
    study: Sequence[object],
    n: Sequence[float],
    var_a: Sequence[str],
    var_b: Sequence[str],
    r: Sequence[float],
    *,
    absent_a: Sequence[bool] | None = None,
    absent_b: Sequence[bool] | None = None,
    variables: Sequence[str] | None = None,
    moderators: Mapping[str, Sequence[float]] | None = None,
    sample_size: SampleSizeRule = "same",
) -> CorrelationSet:
    """Build a set of correlations from long rows, one correlation a row.

    Parameters
    ----------
    study, n, var_a, var_b, r : one entry a row; rows of one study need not stand together
    absent_a, absent_b : whether the row's study declares its first (second) variable absent, although r is given
    variables : names in the order wanted (by default the order in which they first appear)
    moderators : study-level values, one entry a row, the same in all rows of a study
    sample_size : "same" refuses studies whose rows differ in n; "smallest" takes the smallest, with an audit entry

    Raises
    ------
    ModelError
        columns of unequal length, an empty name, a correlation outside (-1, 1), a pair given twice in a study,
        flags, sample sizes or moderators that contradict each other; rows are named, counted from 0.

    >>> data = correlations_from_rows([1, 1, 2], [50, 50, 80], ["x", "x", "x"], ["y", "z", "y"], [0.3, 0.2, 0.4])
    >>> data.pairs, data.studies_per_pair.tolist()
    (('x~~y', 'x~~z', 'y~~z'), [2, 1, 0])
    """
    check_choice(sample_size, SampleSizeRule, "sample_size")
    count = len(study)
    columns = {"n": n, "var_a": var_a, "var_b": var_b, "r": r, "absent_a": absent_a, "absent_b": absent_b}
    for name, column in {**columns, **(moderators or {})}.items():
        if column is not None and len(column) != count:
            raise ModelError(f"column {name!r} has {len(column)} rows, but 'study' has {count}.")
    cells = [_cell(i, study[i], var_a[i], var_b[i], r[i]) for i in range(count)]
    if not cells:
        raise ModelError("no rows are given; at least one correlation is needed.")
    names = variable_order(cells, variables)
    studies = tuple(dict.fromkeys(cell.study for cell in cells))
    absent = _absent(cells, absent_a, absent_b)
    sizes, remarks = _sample_sizes(cells, n, studies, sample_size)
    values = {key: _constant(cells, column, studies, key) for key, column in (moderators or {}).items()}
    return assemble(cells, names, absent, Studies(studies, sizes, values, tuple(remarks)))


def _cell(row: int, study: object, a: str, b: str, r: float) -> GivenCorrelation:
    if study is None or str(study).strip() in {"", "nan"}:
        raise ModelError(f"row {row}: the study has no name ({study!r}); give every study one.")
    for name in (a, b):
        if not isinstance(name, str) or not name.strip():
            raise ModelError(f"row {row}: a variable has no name ({name!r}); give every variable its name.")
    if a == b:
        raise ModelError(f"row {row}: {a!r} is paired with itself; a correlation needs two variables.")
    value = float(r)
    if (np.isfinite(value) and not -1.0 < value < 1.0) or np.isinf(value):
        raise ModelError(f"row {row}: r = {value:g} of {a} with {b} (study {study}) is not between -1 and 1.")
    return GivenCorrelation(str(study), a, b, value, row)


def variable_order(cells: Sequence[GivenCorrelation], variables: Sequence[str] | None) -> tuple[str, ...]:
    seen = tuple(dict.fromkeys(name for cell in cells for name in (cell.a, cell.b)))
    plain: dict[str, str] = {}
    for name in (*seen, *(variables or ())):
        other = plain.setdefault(name.strip().casefold(), name)
        if other != name:
            raise ModelError(f"{other!r} and {name!r} differ only in case or blanks; call one variable by one name.")
    if variables is None:
        return seen
    if sorted(set(variables)) != sorted(variables) or set(seen) - set(variables):
        raise ModelError(
            f"variables={list(variables)!r} must name each variable once and all that occur: "
            f"{', '.join(map(repr, seen))}."
        )
    return tuple(variables)


def _absent(
    cells: Sequence[GivenCorrelation], absent_a: Sequence[bool] | None, absent_b: Sequence[bool] | None
) -> set[tuple[str, str]]:
    declared: dict[tuple[str, str], tuple[bool, int]] = {}
    for cell in cells:
        for name, column in ((cell.a, absent_a), (cell.b, absent_b)):
            flag = bool(column[cell.row]) if column is not None else False
            before = declared.setdefault((cell.study, name), (flag, cell.row))
            if before[0] != flag:
                raise ModelError(
                    f"study {cell.study}: {name} is declared absent in one of rows {before[1]} and {cell.row} and "
                    "present in the other; a variable is absent from a whole study or not at all."
                )
    return {key for key, (flag, _) in declared.items() if flag}


def _sample_sizes(
    cells: Sequence[GivenCorrelation], n: Sequence[float], studies: Sequence[str], rule: SampleSizeRule
) -> tuple[Array, list[AuditEntry]]:
    sizes: dict[str, list[float]] = {name: [] for name in studies}
    for cell in cells:
        value = float(n[cell.row])
        if not (np.isfinite(value) and value > 1):
            raise ModelError(f"row {cell.row}: n = {n[cell.row]!r} (study {cell.study}) is not a sample size above 1.")
        sizes[cell.study].append(value)
    remarks = []
    for name, values in sizes.items():
        low, high = min(values), max(values)
        if low == high:
            continue
        if rule == "same":
            raise ModelError(
                f"study {name}: n runs from {low:g} to {high:g} in its rows. A study has one n: correct it, or pass "
                "sample_size='smallest' to take the smallest."
            )
        reason = f"n runs from {low:g} to {high:g} over its correlations; the smallest is taken"
        remarks.append(AuditEntry(name, "", "sample-size", True, reason))
    return np.array([min(values) for values in sizes.values()]), remarks


def _constant(cells: Sequence[GivenCorrelation], column: Sequence[float], studies: Sequence[str], name: str) -> Array:
    values: dict[str, float] = {}
    for cell in cells:
        value = float(column[cell.row])
        first = values.setdefault(cell.study, value)
        if first != value and not (np.isnan(first) and np.isnan(value)):
            raise ModelError(
                f"row {cell.row}: moderator {name!r} is {value:g}, but {first:g} in an earlier row of study "
                f"{cell.study}; a moderator has one value a study."
            )
    return np.array([values[study] for study in studies])


def assemble(
    cells: Sequence[GivenCorrelation], names: tuple[str, ...], absent: set[tuple[str, str]], frame: Studies
) -> CorrelationSet:
    studies = frame.names
    place = {name: i for i, name in enumerate(names)}
    line = {name: i for i, name in enumerate(studies)}
    first, second = pair_indices(len(names))
    column = {frozenset((i, j)): p for p, (i, j) in enumerate(zip(first, second, strict=True))}
    given = np.full((len(studies), len(first)), np.nan)
    rows = np.full(given.shape, -1)
    present = np.zeros((len(studies), len(names)), dtype=bool)
    for cell in cells:
        i, p = line[cell.study], column[frozenset((place[cell.a], place[cell.b]))]
        if rows[i, p] >= 0:
            raise ModelError(
                f"study {cell.study}: {cell.a} with {cell.b} is given in rows {rows[i, p]} and {cell.row}; keep one."
            )
        given[i, p], rows[i, p] = cell.r, cell.row
        for name in (cell.a, cell.b):
            present[i, place[name]] = (cell.study, name) not in absent
    lost = tuple(
        AuditEntry(c.study, f"{c.a}~~{c.b}", "missing-value", False, "the row holds no number for r", row=c.row)
        for c in cells
        if np.isnan(c.r)
    )
    moderators = check_moderators(frame.moderators, len(studies))
    position = np.arange(len(studies))
    return CorrelationSet(studies, names, frame.n, given, present, rows, position, moderators, frame.remarks + lost)
