"""One correlation matrix behind several samples, each with its own standard deviations (Cheung & Chan 2005).

Sample i has the model covariance `D_i P_i D_i` over the variables it holds: `P_i` cells of the common correlation
matrix, `D_i` free standard deviations. With `delta = 1 / diag(D)` its -2 log likelihood is, up to a constant,
`n (log|P| - 2 sum log delta + delta' (P^-1 * R) delta)`, convex in delta. Each delta depends on its own sample only,
so it is solved for at every P, and the search runs over the common correlations alone.

Stage 1 with fixed effects: one correlation matrix behind all studies, by multigroup maximum likelihood.

Every study must hold a complete, positive definite matrix of the variables it uses. Where a study lacks single
correlations between variables it holds, the variable with most of them missing is left out, and the result says so.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from replication.errors import ModelError
from replication.models.fit import Array, Fit, Note
from replication.models.masem.audit import DEFINITE, Audit, complete_block, pair_indices
from replication.models.masem.correlations import CorrelationSet, symmetric
from replication.models.masem.fit_indices import FitIndices, Misfit, Rmsea, fit_indices, srmr
from replication.models.masem.newton import Evaluation, Minimum, covariance_of_minimum, minimize
from replication.models.masem.sampling_covariance import PooledCorrelations
from replication.models.masem.stage1 import heterogeneity
from replication.models.prepare import check_level
from replication.models.readable import Readable

__all__ = ["CommonCorrelation", "FixedPool", "fit_stage1_fixed"]


@dataclass(frozen=True, slots=True, eq=False)
class CommonCorrelation:
    """The likelihood of one common correlation matrix behind several samples.

    -2 log likelihood of common correlations `(p,)` against that of free matrices: `R (k, v, v)` with unit rows for
    variables a study lacks, `held (k, v)` the variables it holds, `weight (k,)` its sample size.
    """

    matrices: Array
    held: NDArray[np.bool_]
    weight: Array

    def evaluate(self, correlations: Array) -> Evaluation:
        size = len(correlations)
        both = self.held[:, :, None] & self.held[:, None, :]
        # Ones for what a study lacks: its determinant and inverse are then those of what it holds.
        p = np.where(both, symmetric(correlations), np.eye(self.held.shape[1]))
        try:
            factor = np.linalg.cholesky(p)
        except np.linalg.LinAlgError:
            # Outside the correlation matrices there is no likelihood: infinity turns the search back.
            return Evaluation(float("inf"), np.zeros(size), np.eye(size), np.eye(size))
        w = np.linalg.inv(p)
        delta = self._scales(w)
        log_p = 2.0 * np.log(np.diagonal(factor, axis1=1, axis2=2)).sum(axis=1)
        misfit = log_p - 2.0 * np.log(delta).sum(axis=1)
        value = float(self.weight @ (misfit - np.linalg.slogdet(self.matrices)[1]))
        return self._derivatives(value, np.where(both, w, 0.0), delta)

    def _scales(self, w: Array) -> Array:
        """The best delta `(k, v)` at P: the root of `(W * R) delta = 1 / delta`, by Newton steps."""
        m = w * self.matrices
        # The solution where variables are uncorrelated; the function is convex, so any start above 0 leads home.
        delta = 1.0 / np.sqrt(np.diagonal(m, axis1=1, axis2=2))
        for _ in range(100):
            slope = np.matmul(m, delta[:, :, None])[:, :, 0] - 1.0 / delta
            curve = m + np.eye(m.shape[1]) / (delta**2)[:, None, :]
            move = np.linalg.solve(curve, slope[:, :, None])[:, :, 0]
            # A step may take nine tenths of any delta at most: they stay above 0.
            shrink = np.minimum(1.0, 0.9 / np.maximum((move / delta).max(axis=1), 1e-300))
            delta = delta - shrink[:, None] * move
            if np.max(np.abs(slope * delta)) < 1e-13:
                break
        return np.asarray(delta)

    def _derivatives(self, value: float, w: Array, delta: Array) -> Evaluation:
        a, b = pair_indices(w.shape[1])
        s = self.matrices * delta[:, None, :]
        z = delta[:, :, None] * s
        y = np.matmul(np.matmul(w, z), w)
        gradient = 2.0 * self.weight @ (w[:, a, b] - y[:, a, b])
        by_p = _second_by_correlations(w, y, a, b)
        cross = _second_by_scales(w, s, a, b)
        curve = 2.0 * (w * self.matrices + np.eye(w.shape[1]) / (delta**2)[:, None, :])
        # The deltas follow P to their best values; what their moving takes off the curvature is this term.
        profiled = by_p - np.matmul(cross, np.linalg.solve(curve, cross.transpose(0, 2, 1)))
        hessian = np.tensordot(self.weight, profiled, axes=1)
        return Evaluation(value, gradient, hessian, np.tensordot(self.weight, _expected(w, a, b), axes=1))


def _second_by_correlations(w: Array, y: Array, a: NDArray[np.int_], b: NDArray[np.int_]) -> Array:
    a1, b1, c, d = a[:, None], b[:, None], a[None, :], b[None, :]

    def crossed(left: Array, right: Array) -> Array:
        return np.asarray(left[:, a1, c] * right[:, d, b1] + left[:, a1, d] * right[:, c, b1])

    return -2.0 * crossed(w, w) + 2.0 * (crossed(w, y) + crossed(y, w))


def _second_by_scales(w: Array, s: Array, a: NDArray[np.int_], b: NDArray[np.int_]) -> Array:
    """Derivative of the slope in each correlation by each delta: `-2 (W dZ W)_ab`, `Z = delta R delta`."""
    ws = np.matmul(s, w).transpose(0, 2, 1)
    return np.asarray(-2.0 * (w[:, a, :] * ws[:, b, :] + ws[:, a, :] * w[:, b, :]))


def _expected(w: Array, a: NDArray[np.int_], b: NDArray[np.int_]) -> Array:
    a1, b1, c, d = a[:, None], b[:, None], a[None, :], b[None, :]
    return np.asarray(w[:, a1, c] * w[:, d, b1] + w[:, a1, d] * w[:, c, b1])


Held = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class FixedPool(Readable):
    """Correlations pooled as one common matrix: `fit` holds them, `indices` test whether it fits all studies."""

    fit: Fit
    data: CorrelationSet = field(repr=False)
    minimum: Minimum = field(repr=False)
    indices: FitIndices
    audit: Audit

    @property
    def matrix(self) -> Array:
        """The pooled correlation matrix `(v, v)`."""
        return symmetric(self.fit.beta)

    @property
    def pooled(self) -> PooledCorrelations:
        """What stage 2 needs."""
        n = float(self.data.n.sum())
        return PooledCorrelations(self.data.variables, self.fit.beta, self.fit.vcov, n, self.audit, self.fit.notes)


def fit_stage1_fixed(data: CorrelationSet, *, level: float = 0.95) -> FixedPool:
    """Pool correlations as one common matrix (stage 1 of fixed-effects MASEM) and test whether it fits all studies.

    Raises
    ------
    ModelError
        a pair no study holds in a complete matrix, or a study whose matrix is not positive definite.

    Source: Cheung & Chan (2005), Psychological Methods 10; standard errors by the observed information.
    """
    check_level(level)
    held, notes = _complete_variables(data)
    used = held[:, pair_indices(len(data.variables))[0]] & held[:, pair_indices(len(data.variables))[1]]
    empty = [pair for pair, count in zip(data.pairs, used.sum(axis=0), strict=True) if count == 0]
    if empty:
        raise ModelError(
            f"no study holds {', '.join(empty)} within a complete matrix; leave a variable out with data.subset([...])."
        )
    matrices = symmetric(np.where(used, data.given, 0.0))
    _require_definite(data, matrices)
    minimum = minimize(CommonCorrelation(matrices, held, data.n), _start(data, used))
    indices = _indices(data, matrices, used, minimum.theta, minimum.at.value + _offset(data.n, held))
    notes = [*notes, _offset_note(indices.chi2, minimum.at.value)]
    return _describe(data, minimum, indices, tuple(notes), level)


def _describe(
    data: CorrelationSet, minimum: Minimum, indices: FitIndices, notes: tuple[Note, ...], level: float
) -> FixedPool:
    """The pooled fit of a minimum: estimates, standard errors, fit indices, notes."""
    covariance = covariance_of_minimum(minimum, data.pairs)
    audit = data.audit
    fit = Fit(
        method={"model": "fixed effects on correlation matrices, stage 1", "estimator": "ML", "test": "z"},
        names=data.pairs,
        beta=minimum.theta,
        vcov=covariance.vcov,
        df=np.full(len(minimum.theta), np.inf),
        components=(),
        loglik=float("nan"),
        k=indices.baseline_df,
        clusters=len(data.studies),
        level=level,
        heterogeneity=heterogeneity(indices.chi2, indices.df),
        notes=(*notes, *covariance.notes, *audit.notes),
        data=data,
    )
    return FixedPool(fit, data, minimum, indices, audit)


def _complete_variables(data: CorrelationSet) -> tuple[Held, list[Note]]:
    """Which variables `(k, v)` of each study form a complete matrix."""
    held = np.zeros((len(data.studies), len(data.variables)), dtype=bool)
    rows: list[int] = []
    lost: list[str] = []
    first, second = pair_indices(len(data.variables))
    used = data.used
    for i, study in enumerate(data.studies):
        held[i, complete_block(data.variables, used[i])] = True
        for p in np.flatnonzero(used[i] & ~(held[i, first] & held[i, second])):
            # Correlation by correlation, as a variable that goes takes others with it.
            lost.append(f"{data.pairs[p]} of study {study}")
            rows.append(int(data.rows[i, p]))
    if not lost:
        return held, []
    shown = ", ".join(lost[:5]) + (f" and {len(lost) - 5} more" if len(lost) > 5 else "")
    message = f"fixed effects need complete matrices; left out for lack of their neighbours: {shown}."
    return held, [Note("excluded-rows", message, tuple(sorted(rows)))]


def _require_definite(data: CorrelationSet, matrices: Array) -> None:
    smallest = np.linalg.eigvalsh(matrices)[:, 0]
    bad = [f"{data.studies[i]} ({smallest[i]:.2g})" for i in np.flatnonzero(smallest <= DEFINITE)]
    if bad:
        raise ModelError(
            f"the correlation matrix of study {', '.join(bad)} is not positive definite (smallest eigenvalue in "
            "parentheses), so fixed effects have no likelihood for it; correct it, or leave the study out "
            "with data.select."
        )


def _start(data: CorrelationSet, used: Held) -> Array:
    """The n-weighted mean correlations, drawn towards 0 until they form a positive definite matrix."""
    mean = (data.n @ np.where(used, data.given, 0.0)) / (data.n @ used)
    # Means over different studies need not form a correlation matrix; towards 0 they always do in the end.
    while np.linalg.eigvalsh(symmetric(mean))[0] < 0.05:
        mean = 0.9 * mean
    return np.asarray(mean)


def _offset(n: Array, held: Held) -> float:
    """What OpenMx's chi-square differs by from the likelihood ratio: its saturated model is not scaled by (n-1)/n."""
    return float(held.sum(axis=1) @ (1.0 + n * np.log1p(-1.0 / n)))


def _offset_note(chi2: float, ratio: float) -> Note:
    message = (
        f"chi-square is {chi2:.4f}, as metaSEM prints it; the likelihood ratio itself is {ratio:.4f} (OpenMx scales "
        "the matrices by (n - 1) / n in the model, but not in the saturated model it is compared with)."
    )
    return Note("chi-square-convention", message)


def _indices(data: CorrelationSet, matrices: Array, used: Held, r: Array, chi2: float) -> FitIndices:
    n, k = float(data.n.sum()), len(data.studies)
    baseline = float(-data.n @ np.linalg.slogdet(matrices)[1])
    cells = int(used.sum())
    residuals = np.array([srmr(data.given[i, used[i]], r[used[i]]) for i in range(k)])
    counted = used.any(axis=1)
    # A study of which no correlation was used has no residual to weigh.
    weight = np.where(counted, data.n - 1, 0.0)
    residual = float(np.nansum(weight * np.where(counted, residuals, 0.0)) / weight.sum())
    how = Rmsea(divisor=n - 1, interval_divisor=n - k, groups=k)
    return fit_indices(Misfit(n, chi2, cells - len(r), baseline, cells, residual), how)
