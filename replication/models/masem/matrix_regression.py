"""Regression from a correlation matrix: standardised coefficients of one variable on others.

Called by `replication.matrix_regression`. Two cases, by what is known of the matrix: its sample size (one study: exact
normal theory, t tests), or the covariance of its correlations (a pooled matrix: delta method, z tests).
Source: Becker & Wu (2007) for the second; Cohen, Cohen, West & Aiken (2003) for the first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from replication.errors import ModelError
from replication.models.fit import Array, Fit
from replication.models.prepare import as_numbers, check_level, is_number
from replication.models.probability import chi2_sf, f_sf

__all__ = ["MatrixData", "fit_matrix_regression"]


@dataclass(frozen=True, slots=True, eq=False)
class MatrixData:
    """What was fitted: the matrix `R (q, q)`, its variables, R2, and the test that all coefficients are 0.

    `statistic` is F on `df` = (p, n - p - 1), or chi-square on (p, inf).
    """

    R: Array
    variables: tuple[str, ...]
    R2: float
    statistic: float
    df: tuple[float, float]
    p: float


def fit_matrix_regression(
    R: ArrayLike,
    variables: Sequence[str],
    outcome: str,
    predictors: Sequence[str],
    *,
    n: float | None = None,
    V: ArrayLike | None = None,
    level: float = 0.95,
) -> Fit:
    """Standardised coefficients of `outcome` on `predictors`.

    Parameters
    ----------
    R : (q, q) correlation matrix of the variables
    variables : q names
    n : persons behind the whole matrix (one study); or
    V : covariance of the q(q-1)/2 correlations below the diagonal, column by column (r21, r31, ..., r32, ...)

    Raises `ModelError` for a matrix that is none of correlations, unknown names, and predictors that say the same.

    >>> R = [[1, 0.5, 0.3], [0.5, 1, 0.4], [0.3, 0.4, 1]]
    >>> fit = fit_matrix_regression(R, ["y", "a", "b"], "y", ["a", "b"], n=100)
    >>> fit.beta.round(4).tolist(), fit.se.round(4).tolist()
    ([0.4524, 0.119], [0.0952, 0.0952])
    """
    matrix, names = _checked(R, variables), tuple(map(str, variables))
    level = check_level(level)
    y, x = _places(names, outcome, predictors)
    if (n is None) == (V is None):
        raise ModelError("pass either n (one study's matrix) or V (the covariance of pooled correlations).")
    inside = matrix[np.ix_(x, x)]
    # Before the inverse, which rounding may give for a singular matrix as well.
    if np.linalg.eigvalsh(inside)[0] < 1e-10:
        raise ModelError(f"the correlations of {', '.join(predictors)} leave no room: one follows from the others.")
    inverse: Array = np.asarray(np.linalg.inv(inside), dtype=float)
    beta: Array = np.asarray(inverse @ matrix[x, y], dtype=float)
    R2, p = float(matrix[x, y] @ beta), len(x)
    if n is not None:
        vcov, df = _of_one_study(n, inverse, R2, p)
        # The F of the whole regression needs R2 and two degrees of freedom, no data.
        statistic = R2 / p / ((1.0 - R2) / df)
        test = (statistic, (float(p), df), float(f_sf(statistic, p, df)))
    else:
        vcov, df = _of_pooled(V, matrix, (y, x), inverse, beta), np.inf
        # Wald, as a pool of several studies has no residual variance to compare with.
        statistic = float(beta @ np.linalg.solve(vcov, beta))
        test = (statistic, (float(p), np.inf), float(chi2_sf(statistic, p)))
    return Fit(
        method={"model": "regression from a correlation matrix", "vcov": "n" if n is not None else "delta method"},
        names=tuple(map(str, predictors)),
        beta=np.asarray(beta),
        vcov=vcov,
        df=np.full(p, df),
        components=(),
        loglik=float("nan"),
        k=len(names) * (len(names) - 1) // 2,
        level=level,
        data=MatrixData(matrix, names, R2, *test),
    )


def _checked(R: ArrayLike, variables: Sequence[str]) -> Array:
    matrix = as_numbers(R, "R")
    q = len(variables)
    if matrix.shape != (q, q):
        raise ModelError(f"R has shape {matrix.shape}; pass ({q}, {q}), a row and a column for each of the variables.")
    if not np.isfinite(matrix).all() or np.abs(matrix - matrix.T).max() > 1e-8:
        raise ModelError("R is not symmetric or has missing cells; pass the whole matrix.")
    if np.abs(np.diag(matrix) - 1.0).max() > 1e-8 or np.abs(matrix).max() > 1.0 + 1e-8:
        raise ModelError("R is no correlation matrix: ones on the diagonal and nothing beyond -1 to 1.")
    return matrix


def _places(names: tuple[str, ...], outcome: str, predictors: Sequence[str]) -> tuple[int, list[int]]:
    for name in (outcome, *predictors):
        if name not in names:
            raise ModelError(f"no variable {name!r} in the matrix; it has {', '.join(names)}.")
    if not predictors or outcome in predictors or len(set(predictors)) < len(predictors):
        raise ModelError("name at least one predictor, each once, and not the outcome itself.")
    return names.index(outcome), [names.index(name) for name in predictors]


def _of_one_study(n: float, inverse: Array, R2: float, p: int) -> tuple[Array, float]:
    """The covariance of standardised coefficients, the sds taken as known, and its degrees of freedom."""
    if not is_number(n) or not n - p - 1 > 0:
        raise ModelError(f"n={n!r} leaves no degrees of freedom for {p} predictors; pass the number of persons.")
    df = float(n) - p - 1.0
    return np.asarray((1.0 - R2) / df * inverse), df


def _of_pooled(V: ArrayLike | None, R: Array, places: tuple[int, list[int]], inverse: Array, beta: Array) -> Array:
    """The covariance of beta by the delta method.

    A correlation with the outcome moves beta by its column of the inverse, one between predictors by what the other's
    coefficient takes over.
    """
    covariance = as_numbers(V if V is not None else [], "V")
    rows, columns = np.tril_indices(len(R), -1)
    order = np.lexsort((rows, columns))  # column by column, as correlations are stacked
    pairs = list(zip(rows[order].tolist(), columns[order].tolist(), strict=True))
    if covariance.shape != (len(pairs), len(pairs)):
        raise ModelError(f"V has shape {covariance.shape}; pass ({len(pairs)}, {len(pairs)}), a row per correlation.")
    y, x = places
    jacobian = np.zeros((len(x), len(pairs)))
    for column, (i, j) in enumerate(pairs):
        if y in (i, j):
            other = j if i == y else i
            if other in x:
                jacobian[:, column] = inverse[:, x.index(other)]
        elif i in x and j in x:
            a, b = x.index(i), x.index(j)
            # Symmetric in a and b: one correlation stands in two cells of the matrix.
            jacobian[:, column] = -(inverse[:, a] * beta[b] + inverse[:, b] * beta[a])
    return np.asarray(jacobian @ covariance @ jacobian.T)
