"""From one labelled matrix a study to a `CorrelationSet`. Names decide; a matrix that could be misread is refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from replication.errors import ModelError
from replication.models.fit import Array
from replication.models.masem.building import GivenCorrelation, Studies, assemble, variable_order
from replication.models.masem.correlations import CorrelationSet, pair_indices

__all__ = ["LabelledMatrix", "correlations_from_matrices"]

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
    """Build a set of correlations from one labelled matrix a study.

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
        sizes = np.array([float(n[study]) for study in matrices])
    else:
        sizes = np.array([float(value) for value in n])
        if len(sizes) != len(matrices):
            raise ModelError(f"there are {len(matrices)} matrices, but {len(sizes)} sample sizes.")
    for study, value in zip(matrices, sizes, strict=True):
        if not (np.isfinite(value) and value > 1):
            raise ModelError(f"study {study}: n = {value:g} is not a sample size above 1.")
    return sizes


def _labelled(matrix: object, study: str) -> LabelledMatrix:
    if isinstance(matrix, LabelledMatrix):
        labels, values = tuple(matrix.variables), np.asarray(matrix.values, dtype=float)
    elif hasattr(matrix, "index") and hasattr(matrix, "columns") and hasattr(matrix, "to_numpy"):
        labels, values = tuple(matrix.columns), np.asarray(matrix.to_numpy(), dtype=float)
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
    if values.shape != (len(labels), len(labels)):
        raise ModelError(f"study {study}: the matrix has shape {values.shape} for {len(labels)} variables.")
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
        value = matrix.values[i, j] if np.isfinite(matrix.values[i, j]) else matrix.values[j, i]
        if np.isnan(value):
            continue
        name = (matrix.variables[i], matrix.variables[j])
        if not -1.0 < value < 1.0:
            raise ModelError(f"study {study}: r = {value:g} of {name[0]} with {name[1]} is not between -1 and 1.")
        cells.append(GivenCorrelation(study, *name, float(value), -1))
    return cells
