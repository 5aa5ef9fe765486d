"""From long rows, or from one labelled matrix per study, to a `CorrelationSet`. Names decide, never positions.

What conflicts, or could be misread, is refused.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from replication.errors import ModelError
from replication.models.fit import Array
from replication.models.masem.audit import AuditEntry
from replication.models.masem.correlations import (
    CorrelationSet,
    check_moderators,
    number_at,
    numbers_at,
    pair_indices,
)
from replication.models.options import SampleSizeRule, check_choice

__all__ = [
    "GivenCorrelation",
    "LabelledMatrix",
    "Studies",
    "assemble",
    "correlations_from_matrices",
    "correlations_from_rows",
    "variable_order",
]


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
    """Build a set of correlations from long rows, one correlation per row.

    Parameters
    ----------
    study, n, var_a, var_b, r : one entry per row; rows of one study need not stand together
    absent_a, absent_b : whether the row's study declares its first (second) variable absent, although r is given
    variables : names in the order wanted (by default the order in which they first appear)
    moderators : study-level values, one entry per row, the same in all rows of a study
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
    # Before any cell is placed: two spellings of a variable must not become two columns.
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
    value = number_at(r, f"row {row}: r of {a} with {b} (study {study})")
    if not (math.isnan(value) or -1.0 < value < 1.0):
        raise ModelError(f"row {row}: r = {value:g} of {a} with {b} (study {study}) is not between -1 and 1.")
    return GivenCorrelation(str(study), a, b, value, row)


def variable_order(cells: Sequence[GivenCorrelation], variables: Sequence[str] | None) -> tuple[str, ...]:
    seen = tuple(dict.fromkeys(name for cell in cells for name in (cell.a, cell.b)))
    plain: dict[str, str] = {}
    for name in (*seen, *(variables or ())):
        # "Engagement" and "engagement " would make two variables, each with half of the studies.
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
            # The first row that speaks of the variable is kept, so that a message can name both.
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
        value = number_at(n[cell.row], f"row {cell.row}: n (study {cell.study})")
        if not (math.isfinite(value) and value > 1):
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
        value = number_at(column[cell.row], f"row {cell.row}: {name} (study {cell.study})")
        first = values.setdefault(cell.study, value)
        # NaN differs from itself, but "not known" in two rows is no contradiction.
        if first != value and not (np.isnan(first) and np.isnan(value)):
            raise ModelError(
                f"row {cell.row}: moderator {name!r} is {value:g}, but {first:g} in an earlier row of study "
                f"{cell.study}; a moderator has one value per study."
            )
    return np.array([values[study] for study in studies])


def assemble(
    cells: Sequence[GivenCorrelation], names: tuple[str, ...], absent: set[tuple[str, str]], frame: Studies
) -> CorrelationSet:
    studies = frame.names
    place = {name: i for i, name in enumerate(names)}
    line = {name: i for i, name in enumerate(studies)}
    first, second = pair_indices(len(names))
    # A set: r of x with y is r of y with x, whichever is written first.
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
            # Declared absent although a correlation is given: kept apart, as published data do just that.
            present[i, place[name]] = (cell.study, name) not in absent
    lost = tuple(
        AuditEntry(c.study, f"{c.a}~~{c.b}", "missing-value", False, "the row holds no number for r", row=c.row)
        for c in cells
        if np.isnan(c.r)
    )
    moderators = check_moderators(frame.moderators, len(studies))
    position = np.arange(len(studies))
    return CorrelationSet(studies, names, frame.n, given, present, rows, position, moderators, frame.remarks + lost)


# How far two entries for one correlation may lie apart and still count as the same number.
SAME = 1e-8


class Table(Protocol):
    """What is needed of a labelled table, such as a pandas DataFrame."""

    @property
    def index(self) -> Sequence[object]: ...

    @property
    def columns(self) -> Sequence[object]: ...

    def to_numpy(self) -> NDArray[np.float64]: ...


@dataclass(frozen=True, slots=True, eq=False)
class LabelledMatrix:
    """A correlation matrix `(v, v)` with the names of its variables; NaN where nothing is given."""

    variables: tuple[str, ...]
    values: Array


def correlations_from_matrices(
    matrices: Mapping[str, LabelledMatrix | Table] | Sequence[LabelledMatrix | Table],
    n: Mapping[str, float] | Sequence[float],
    *,
    variables: Sequence[str] | None = None,
    moderators: Mapping[str, Sequence[float]] | None = None,
) -> CorrelationSet:
    """Build a set of correlations from one labelled matrix per study.

    Variables are matched by name, so matrices may hold any of them in any order; NaN on the diagonal declares a
    variable absent from the study, NaN elsewhere a correlation that is not given.

    Parameters
    ----------
    matrices : a `LabelledMatrix` or pandas DataFrame a study; keys are the names of the studies (else 1, 2, ...)
    n : sample size of each study, by the same keys or in the same order
    variables : names in the order wanted (by default the order in which they first appear)
    moderators : study-level values in the order of the matrices

    Raises
    ------
    ModelError
        a matrix without names, whose rows and columns are named differently or in another order, that is not
        symmetric, has a diagonal other than 1 or NaN, or a correlation outside (-1, 1).

    >>> one = LabelledMatrix(("x", "y"), np.array([[1, 0.3], [0.3, 1]]))
    >>> two = LabelledMatrix(("y", "x"), np.array([[1, 0.4], [0.4, 1]]))
    >>> correlations_from_matrices([one, two], [50, 80]).given.tolist()
    [[0.3], [0.4]]
    """
    named = matrices if isinstance(matrices, Mapping) else {str(i + 1): m for i, m in enumerate(matrices)}
    if not named:
        raise ModelError("no matrices are given; at least one study is needed.")
    sizes = _matching_sizes(named, n)
    cells: list[GivenCorrelation] = []
    absent: set[tuple[str, str]] = set()
    order: dict[str, None] = {}
    for study, matrix in named.items():
        labelled = _labelled(matrix, study)
        order.update(dict.fromkeys(labelled.variables))
        cells += _matrix_cells(labelled, study)
        absent |= {
            (study, name) for name, d in zip(labelled.variables, np.diag(labelled.values), strict=True) if np.isnan(d)
        }
    names = variable_order(cells, variables if variables is not None else tuple(order))
    return assemble(cells, names, absent, Studies(tuple(named), sizes, moderators or {}))


def _matching_sizes(matrices: Mapping[str, object], n: Mapping[str, float] | Sequence[float]) -> Array:
    if isinstance(n, Mapping):
        lacking = [study for study in matrices if study not in n]
        if lacking:
            raise ModelError(f"no sample size is given for {', '.join(lacking)}.")
        sizes = np.array([number_at(n[study], f"study {study}: n") for study in matrices])
    else:
        if len(n) != len(matrices):
            raise ModelError(f"there are {len(matrices)} matrices, but {len(n)} sample sizes.")
        sizes = np.array([number_at(value, f"study {study}: n") for study, value in zip(matrices, n, strict=True)])
    for study, value in zip(matrices, sizes, strict=True):
        if not (math.isfinite(value) and value > 1):
            raise ModelError(f"study {study}: n = {value:g} is not a sample size above 1.")
    return sizes


def _labelled(matrix: object, study: str) -> LabelledMatrix:
    if isinstance(matrix, LabelledMatrix):
        labels, cells = tuple(matrix.variables), matrix.values
    # By what it offers and not by its class, so that nothing here has to import pandas.
    elif hasattr(matrix, "index") and hasattr(matrix, "columns") and hasattr(matrix, "to_numpy"):
        labels, cells = tuple(matrix.columns), matrix.to_numpy()
        # Not sorted into agreement: rows in another order are more often a slip than a style.
        if tuple(matrix.index) != labels:
            raise ModelError(
                f"study {study}: rows are named {list(matrix.index)!r}, columns {list(labels)!r}; give both the same "
                "names in the same order."
            )
    else:
        raise ModelError(
            f"study {study}: a {type(matrix).__name__} has no names of variables; pass a LabelledMatrix or a DataFrame."
        )
    if not all(isinstance(name, str) and name.strip() for name in labels) or len(set(labels)) != len(labels):
        raise ModelError(f"study {study}: the variables are named {list(labels)!r}; give each a name of its own.")
    if np.shape(cells) != (len(labels), len(labels)):
        raise ModelError(f"study {study}: the matrix has shape {np.shape(cells)} for {len(labels)} variables.")
    values = numbers_at(cells, lambda at: f"study {study}: {labels[at[0]]} with {labels[at[1]]}")
    _check_matrix(LabelledMatrix(labels, values), study)
    return LabelledMatrix(labels, values)


def _check_matrix(matrix: LabelledMatrix, study: str) -> None:
    values, names = matrix.values, matrix.variables
    diagonal = np.diag(values)
    odd = np.flatnonzero(~np.isnan(diagonal) & (np.abs(diagonal - 1.0) > SAME))
    if len(odd):
        raise ModelError(
            f"study {study}: the diagonal entry of {names[odd[0]]} is {diagonal[odd[0]]:g}; a correlation matrix has 1 "
            "there, or NaN for a variable the study did not measure."
        )
    first, second = np.nonzero(np.abs(values - values.T) > SAME)
    if len(first):
        a, b = first[0], second[0]
        raise ModelError(
            f"study {study}: {names[a]} with {names[b]} is {values[a, b]:g} above and {values[b, a]:g} below the "
            "diagonal; correct the matrix."
        )


def _matrix_cells(matrix: LabelledMatrix, study: str) -> list[GivenCorrelation]:
    cells: list[GivenCorrelation] = []
    first, second = pair_indices(len(matrix.variables))
    for i, j in zip(first, second, strict=True):
        # Printed matrices often hold one triangle only; where both are there they were found equal.
        value = matrix.values[i, j] if np.isfinite(matrix.values[i, j]) else matrix.values[j, i]
        if np.isnan(value):
            continue
        name = (matrix.variables[i], matrix.variables[j])
        # Exactly 1 is refused too: two such variables are one, and the matrix has no inverse.
        if not -1.0 < value < 1.0:
            raise ModelError(f"study {study}: r = {value:g} of {name[0]} with {name[1]} is not between -1 and 1.")
        cells.append(GivenCorrelation(study, *name, float(value), -1))
    return cells
