"""-2 log likelihood of correlations that vary between studies, with its exact first and second derivatives.

The model of study i: `y_i ~ N(mu_i(theta), V_i + T)` over the correlations it holds, `V_i` known sampling covariance,
`T` covariance between studies. Notation: `W_i = (V_i + T)^-1` with zeros for what the study lacks, `u_i = W_i (y_i -
mu_i)`. Missing cells are padded by a unit block, which adds nothing to any sum, so all studies go through one batch.

Where the likelihood of random effects is highest, for each structure of the covariance T between studies.

Variances alone are searched over themselves, with a floor. An unrestricted T is searched over its Cholesky factor,
`T = L L'`, so that it stays a covariance matrix; the result is handed back in the cells of T.

The variances (and covariances) between studies as components of a fit, and on the log scale.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import special

from replication.models.fit import Array, Component, ComponentKind, Interval
from replication.models.masem.newton import (
    Evaluation,
    Minimum,
    MinimumCovariance,
    covariance_of_minimum,
    covariance_on_edge,
    minimize,
)
from replication.models.options import BoundRule, Tau2Structure

__all__ = [
    "TAU2_FLOOR",
    "LogTau2",
    "Mean",
    "MeanModel",
    "RandomEffectsLikelihood",
    "SaturatedMean",
    "Tau2Cells",
    "cell_names",
    "estimate_covariance",
    "log_tau2",
    "search_likelihood",
    "tau2_cells",
    "variance_components",
]


@dataclass(frozen=True, slots=True, eq=False)
class Mean:
    """Expected correlations `mu (k, p)` at m mean parameters, with their `jacobian (k, p, m)` and `curvature`.

    No jacobian stands for the identity: each correlation is its own parameter. `curvature` gives the second derivatives
    `(m, m)` of `sum weights * mu` for `weights (k, p)`.
    """

    mu: Array
    jacobian: Array | None
    curvature: Callable[[Array], Array]


class MeanModel(Protocol):
    """How expected correlations follow from the mean parameters `theta (m,)`."""

    @property
    def size(self) -> int: ...

    def mean(self, theta: Array) -> Mean | None:
        """The expected correlations at `theta`, or None where they do not exist."""


@dataclass(frozen=True, slots=True)
class SaturatedMean:
    """Each of p correlations has its own mean, the same in all k studies."""

    k: int
    size: int

    def mean(self, theta: Array) -> Mean:
        mu = np.broadcast_to(theta, (self.k, self.size))
        return Mean(mu, None, lambda weights: np.zeros((self.size, self.size)))


@dataclass(frozen=True, slots=True, eq=False)
class Tau2Cells:
    """The free cells of `T (p, p)`: rows `a (q,)`, columns `b (q,)`; `a == b` are variances."""

    a: NDArray[np.int_]
    b: NDArray[np.int_]

    def matrix(self, tau2: Array, p: int) -> Array:
        """`T (p, p)` with these cells set, all others 0."""
        t = np.zeros((p, p))
        t[self.a, self.b] = tau2
        t[self.b, self.a] = tau2
        return t

    @property
    def half(self) -> Array:
        """1/2 for a variance, 1 for a covariance: the derivative of T is `half * (E_ab + E_ba)`."""
        return np.where(self.a == self.b, 0.5, 1.0)


def tau2_cells(free: NDArray[np.bool_], covariances: bool) -> Tau2Cells:
    """The variances of the pairs that are `free (p,)`, then (if asked for) the covariances among them."""
    places = np.flatnonzero(free)
    if not covariances:
        return Tau2Cells(places, places)
    row, column = np.tril_indices(len(places), -1)
    return Tau2Cells(np.concatenate([places, places[row]]), np.concatenate([places, places[column]]))


@dataclass(frozen=True, slots=True, eq=False)
class RandomEffectsLikelihood:
    """-2 log likelihood over `(theta (m,), tau2 (q,))` given `y (k, p)`, `used (k, p)`, `v (k, p, p)`."""

    y: Array
    used: NDArray[np.bool_]
    v: Array
    means: MeanModel
    cells: Tau2Cells
    _held: Array = field(init=False, repr=False)
    _known: Array = field(init=False, repr=False)

    def __post_init__(self) -> None:
        both = self.used[:, :, None] & self.used[:, None, :]
        # The same at every point: 1 for cells that a study holds, and V with the unit block of those that it lacks,
        # which has log determinant 0 and takes part in no product.
        object.__setattr__(self, "_held", both.astype(float))
        object.__setattr__(self, "_known", np.where(both, self.v, np.eye(self.used.shape[1])))

    def evaluate(self, parameters: Array) -> Evaluation:
        size = self.means.size
        theta, tau2 = parameters[:size], parameters[size:]
        mean = self.means.mean(theta)
        if mean is None:
            return Evaluation.undefined(len(parameters))
        weights = self._weights(tau2)
        if weights is None:
            return Evaluation.undefined(len(parameters))
        w, log_determinants = weights
        e = np.where(self.used, self.y - mean.mu, 0.0)
        u = np.matmul(w, e[:, :, None])[:, :, 0]
        value = log_determinants + float(np.sum(u * e)) + self.used.sum() * np.log(2 * np.pi)
        return self._derivatives(value, mean, w, u)

    def _weights(self, tau2: Array) -> tuple[Array, float] | None:
        covariance = self._known + self._held * self.cells.matrix(tau2, self.used.shape[1])
        try:
            factor = np.linalg.cholesky(covariance)
        except np.linalg.LinAlgError:
            return None
        log_determinants = 2.0 * float(np.log(np.diagonal(factor, axis1=1, axis2=2)).sum())
        return self._held * np.linalg.inv(covariance), log_determinants

    def _derivatives(self, value: float, mean: Mean, w: Array, u: Array) -> Evaluation:
        j, a, b = mean.jacobian, self.cells.a, self.cells.b
        half = self.cells.half
        # D_r u for every cell r at once: the derivative of T has two entries, or one on the diagonal.
        wu = half * (w[:, :, a] * u[:, None, b] + w[:, :, b] * u[:, None, a])
        by_theta = -2.0 * _pull_back(j, u)
        by_tau2 = 2.0 * half * (w[:, a, b] - u[:, a] * u[:, b]).sum(axis=0)
        theta_theta = 2.0 * _pull_back(j, w if j is None else np.matmul(w, j))
        theta_tau2 = 2.0 * _pull_back(j, wu)
        trace, quadratic = _tau2_products(w, u, self.cells)
        # the mean's own curvature is what tells the exact Hessian from Fisher's information
        curved = theta_theta - 2.0 * mean.curvature(u)
        return Evaluation(
            value,
            np.concatenate([by_theta, by_tau2]),
            _in_blocks(curved, theta_tau2, 2.0 * quadratic - trace),
            _in_blocks(theta_theta, np.zeros_like(theta_tau2), trace),
        )


def _in_blocks(first: Array, between: Array, second: Array) -> Array:
    """The symmetric matrix of blocks `(m, m)`, `(m, q)` and `(q, q)`."""
    # A search asks for two of these a step, and np.block takes as long as all else that is in them.
    m = len(first)
    whole = np.empty((m + len(second), m + len(second)))
    whole[:m, :m], whole[m:, m:] = first, second
    whole[:m, m:], whole[m:, :m] = between, between.T
    return whole


def _pull_back(jacobian: Array | None, values: Array) -> Array:
    """`sum_i J_i' values_i` for `jacobian (k, p, m)` and `values (k, p, ...)`."""
    if jacobian is None:
        return np.asarray(values.sum(axis=0))
    return np.asarray(np.tensordot(jacobian, values, axes=([0, 1], [0, 1])))


def _tau2_products(w: Array, u: Array, cells: Tau2Cells) -> tuple[Array, Array]:
    """`sum_i tr(W D_r W D_s)` and `sum_i u' D_r W D_s u`, both `(q, q)`, for the derivatives D of T."""
    a, b = cells.a, cells.b
    # variances only, the usual case: squares of cells instead of four-index products
    if a is b or np.array_equal(a, b):
        waa, ua = w[:, a[:, None], a], u[:, a]
        return (waa**2).sum(axis=0), (ua[:, :, None] * waa * ua[:, None, :]).sum(axis=0)
    p = w.shape[1]
    # summing over studies first turns q x q x k products into one p2 x p2 matrix
    flat = w.reshape(len(w), p * p)
    ww = flat.T @ flat
    uw = (u[:, :, None] * u[:, None, :]).reshape(len(u), p * p).T @ flat
    a, b, c, d = a[:, None], b[:, None], a[None, :], b[None, :]
    trace = 2.0 * (ww[a * p + d, b * p + c] + ww[a * p + c, b * p + d])
    quadratic = (
        uw[a * p + c, b * p + d] + uw[a * p + d, b * p + c] + uw[b * p + c, a * p + d] + uw[b * p + d, a * p + c]
    )
    both = np.outer(cells.half, cells.half)
    return both * trace, both * quadratic


# A variance between studies is not searched below this (as in metaSEM); far below any sampling variance of an r.
TAU2_FLOOR = 1e-10

# Smallest over largest eigenvalue of T below which T counts as being on the edge of the covariance matrices.
EDGE = 1e-6


def search_likelihood(likelihood: RandomEffectsLikelihood, theta: Array, variances: Array) -> Minimum:
    """The minimum of -2 log likelihood from means `theta (m,)` and `variances` of the free pairs."""
    cells = likelihood.cells
    # More cells than variances: there are covariances, and a floor for each cell no longer keeps T a covariance matrix.
    if len(cells.a) > len(variances):
        return _search_factor(likelihood, theta, variances)
    lower = np.concatenate([np.full(len(theta), -np.inf), np.full(len(variances), TAU2_FLOOR)])
    return minimize(likelihood, np.concatenate([theta, variances]), lower)


@dataclass(frozen=True, slots=True, eq=False)
class _Factored:
    """The likelihood over `(theta, L)`, the lower triangle of L in the order of the cells of T."""

    likelihood: RandomEffectsLikelihood
    size: int
    places: Array

    def tau2(self, factor: Array) -> Array:
        lower, cells = self._triangle(factor), self._cells()
        t = lower @ lower.T
        return np.asarray(t[cells.a, cells.b])

    def evaluate(self, parameters: Array) -> Evaluation:
        theta, factor = parameters[: self.size], parameters[self.size :]
        at = self.likelihood.evaluate(np.concatenate([theta, self.tau2(factor)]))
        if not np.isfinite(at.value):
            return at
        chain = np.eye(len(parameters))
        chain[self.size :, self.size :] = self._jacobian(factor)
        hessian = chain.T @ at.hessian @ chain
        # T is quadratic in L, so the chain rule has a second term.
        hessian[self.size :, self.size :] += self._curvature(at.gradient[self.size :])
        return Evaluation(at.value, chain.T @ at.gradient, hessian, chain.T @ at.expected @ chain)

    def _cells(self) -> Tau2Cells:
        """Cells of T by position among the free pairs."""
        position = {int(place): i for i, place in enumerate(self.places)}
        cells = self.likelihood.cells
        return Tau2Cells(np.array([position[a] for a in cells.a]), np.array([position[b] for b in cells.b]))

    def _triangle(self, factor: Array) -> Array:
        cells = self._cells()
        lower = np.zeros((len(self.places), len(self.places)))
        lower[cells.a, cells.b] = factor
        return lower

    def _jacobian(self, factor: Array) -> Array:
        """Derivatives of the cells of T (rows) in the cells of L (columns): `dT_ab = L_bc (m = a) + L_ac (m = b)`."""
        cells, lower = self._cells(), self._triangle(factor)
        a, b, m, c = cells.a[:, None], cells.b[:, None], cells.a[None, :], cells.b[None, :]
        return np.where(a == m, lower[b, c], 0.0) + np.where(b == m, lower[a, c], 0.0)

    def _curvature(self, gradient: Array) -> Array:
        cells = self._cells()
        g = np.zeros((len(self.places), len(self.places)))
        g[cells.a, cells.b] = gradient
        g = g + g.T
        same_column = cells.b[:, None] == cells.b[None, :]
        return np.where(same_column, g[cells.a[:, None], cells.a[None, :]], 0.0)


def _search_factor(likelihood: RandomEffectsLikelihood, theta: Array, variances: Array) -> Minimum:
    cells = likelihood.cells
    problem = _Factored(likelihood, len(theta), cells.a[cells.a == cells.b])
    factor = np.zeros(len(cells.a))
    # a diagonal start: T is the moment estimate of each variance, nothing correlated
    factor[cells.a == cells.b] = np.sqrt(variances)
    found = minimize(problem, np.concatenate([theta, factor]))
    tau2 = problem.tau2(found.theta[len(theta) :])
    point = np.concatenate([found.theta[: len(theta)], tau2])
    t = cells.matrix(tau2, likelihood.used.shape[1])[np.ix_(problem.places, problem.places)]
    eigenvalues = np.linalg.eigvalsh(t)
    held = np.zeros(len(point), dtype=bool)
    # a singular T has no interior neighbourhood: its cells cannot have Wald errors
    held[len(theta) :] = eigenvalues[0] < EDGE * eigenvalues[-1]
    return Minimum(point, likelihood.evaluate(point), held, found.converged, found.steps)


@dataclass(frozen=True, slots=True, eq=False)
class LogTau2:
    """log tau2 `(p,)` with its standard error by the delta method; NaN for a pair without a variance of its own."""

    estimate: Array
    se: Array


def cell_names(pairs: Sequence[str], cells: Tau2Cells) -> tuple[str, ...]:
    """A variance has the name of its pair, a covariance those of two pairs."""
    return tuple(pairs[a] if a == b else f"{pairs[b]}, {pairs[a]}" for a, b in zip(cells.a, cells.b, strict=True))


def estimate_covariance(
    minimum: Minimum, names: Sequence[str], structure: Tau2Structure, at_bound: BoundRule = "held", needed: int = 0
) -> MinimumCovariance:
    """The covariance of means and tau2 together, for each structure of tau2."""
    if structure == "symmetric":
        return covariance_on_edge(minimum, "tau2 as a whole")
    return covariance_of_minimum(minimum, names, at_bound, needed)


def variance_components(
    names: Sequence[str], minimum: Minimum, vcov: Array, level: float, *, log_scale: bool = False
) -> tuple[Component, ...]:
    """The last parameters as components, with Wald intervals (those of variances on the log scale, if asked)."""
    size = len(minimum.theta) - len(names)
    crit = float(special.ndtri(0.5 + level / 2.0))
    found = []
    for i, name in enumerate(names, start=size):
        estimate, variance = float(minimum.theta[i]), vcov[i, i]
        se = float(np.sqrt(variance)) if variance > 0 else float("nan")
        # A comma stands in the name of a covariance, which may be negative and has no logarithm.
        kind: ComponentKind = "covariance" if "," in name else "variance"
        make = _log_interval if log_scale and kind == "variance" else _wald_interval
        found.append(Component(name, estimate, se, make(estimate, se, crit, level), bool(minimum.held[i]), kind))
    return tuple(found)


def _wald_interval(estimate: float, se: float, crit: float, level: float) -> Interval:
    reason = "" if np.isfinite(se) else "no standard error on the bound"
    return Interval(estimate - crit * se, estimate + crit * se, level, "wald", reason)


def _log_interval(estimate: float, se: float, crit: float, level: float) -> Interval:
    """Ends `exp(log tau2 -+ crit se(log tau2))`: never below zero."""
    with np.errstate(over="ignore"):
        # se(log tau2) = se(tau2) / tau2 by the delta method
        reach = float(np.exp(np.float64(crit * se / estimate)))
    reason = "" if np.isfinite(se) else "no standard error on the bound"
    return Interval(estimate / reach, estimate * reach, level, "wald, log scale", reason)


def log_tau2(cells: Tau2Cells, minimum: Minimum, vcov: Array, p: int) -> LogTau2:
    """Variances on the log scale, for all p pairs."""
    size = len(minimum.theta) - len(cells.a)
    estimate, se = np.full(p, np.nan), np.full(p, np.nan)
    for i, (a, b) in enumerate(zip(cells.a, cells.b, strict=True), start=size):
        if a == b:
            estimate[a] = np.log(minimum.theta[i])
            se[a] = np.sqrt(vcov[i, i]) / minimum.theta[i] if vcov[i, i] > 0 else np.nan
    return LogTau2(estimate, se)
