"""Residuals and leverages of single rows under any working model, and how much moderators blur each other.

Deletion of whole clusters is in `influence.py`; here nothing is refitted.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from replication.errors import ModelError
from replication.models.fit import Array, Fit
from replication.models.multilevel.groups import Codes, rows_by_size
from replication.models.multilevel.robust import before_robust
from replication.models.multilevel.working_model import WorkingModel, working_model
from replication.models.readable import Readable

__all__ = ["RowDiagnostics", "row_diagnostics", "variance_inflation"]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class RowDiagnostics(Readable):
    """Of the k rows used, each `(k,)`: `fitted` mean, `residual`, its `se` under the model, `standardised`, and `hat`.

    `hat` is the leverage, the share of a row's own effect in its fitted mean; it sums to p.
    """

    rows: tuple[int, ...]
    fitted: Array
    residual: Array
    se: Array
    standardised: Array
    hat: Array


def row_diagnostics(fit: Fit) -> RowDiagnostics:
    """Internally standardised residuals and leverages of a two-level, multilevel or multivariate fit.

    With `M` the marginal covariance and `H = X (X'M^-1 X)^-1 X'M^-1`, residuals have covariance `M - H M`; metafor's
    `rstandard` and `hatvalues`. A robust fit has those of its working model.

    >>> from replication.models.multilevel.multilevel import fit_multilevel
    >>> fit = fit_multilevel([0.1, 0.3, 0.5, 0.9, 0.2], [0.01, 0.02, 0.03, 0.01, 0.02], [1, 1, 2, 2, 3])
    >>> row_diagnostics(fit).standardised.round(3).tolist()
    [-1.006, -0.291, 0.35, 1.787, -0.62]
    """
    base = before_robust(fit)
    model = working_model(base)
    if model.weights is not None:
        raise ModelError("the fit has weights of its own; leverages are defined here for inverse-variance weights.")
    k, p = model.x.shape
    information, hat_part, own = np.zeros((p, p)), np.empty((k, p)), np.empty(k)
    for rows in rows_by_size(_blocks(model)):
        M, X = model.covariance(rows), model.x[rows]
        WX = np.linalg.solve(M, X)
        information += np.einsum("bnp,bnq->pq", X, WX)
        hat_part[rows] = WX
        own[rows] = np.diagonal(M, axis1=1, axis2=2)
    B = np.linalg.inv(information)
    fitted = model.x @ base.beta
    residual = model.y - fitted
    variance = own - np.einsum("kp,pq,kq->k", model.x, B, model.x)
    # a row that determines a coefficient alone lies on the model: no residual, and nothing to divide by
    se = np.sqrt(np.where(variance > 1e-12 * own, variance, np.nan))
    hat = np.einsum("kp,pq,kq->k", model.x, B, hat_part)
    return RowDiagnostics(tuple(int(i) for i in model.rows), fitted, residual, se, residual / se, hat)


def variance_inflation(fit: Fit) -> dict[str, float]:
    """By what factor correlation with the other moderators inflates the variance of each coefficient but the intercept.

    The diagonal of the inverse of the correlation matrix of the coefficients (Fox & Monette 1992; metafor's `vif`).

    >>> from replication.models.two_level.random_effects import fit_random_effects
    >>> x = [[1, 0, 0.1], [1, 1, 0.8], [1, 2, 2.3], [1, 3, 2.8], [1, 1, 1.1]]
    >>> fit = fit_random_effects([0.1, 0.2, 0.3, 0.5, 0.1], [0.01] * 5, x, method="EE", test="z")
    >>> {name: round(value, 2) for name, value in variance_inflation(fit).items()}
    {'x1': 27.74, 'x2': 27.74}
    """
    others = [j for j, name in enumerate(fit.names) if name != "intercept"]
    if len(others) < 2:
        raise ModelError("variance inflation compares two moderators or more; the fit has fewer.")
    V = fit.vcov[np.ix_(others, others)]
    scale = np.sqrt(np.diag(V))
    inflation = np.diag(np.linalg.inv(V / np.outer(scale, scale)))
    return {fit.names[j]: float(value) for j, value in zip(others, inflation, strict=True)}


def _blocks(model: WorkingModel) -> Codes:
    """Groups of rows with nothing between them: the natural clusters, all rows where factors cross."""
    return np.zeros(len(model.y), dtype=np.intp) if model.clusters is None else model.clusters
