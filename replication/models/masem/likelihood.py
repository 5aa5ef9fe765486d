"""-2 log likelihood of correlations that vary between studies, with its exact first and second derivatives.

The model of study i: `y_i ~ N(mu_i(theta), V_i + T)` over the correlations it holds, `V_i` known sampling covariance,
`T` covariance between studies. Notation: `W_i = (V_i + T)^-1` with zeros for what the study lacks, `u_i = W_i (y_i -
mu_i)`. Missing cells are padded by a unit block, which adds nothing to any sum, so all studies go through one batch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from replication.models.fit import Array
from replication.models.masem.newton import Evaluation

__all__ = ["Mean", "MeanModel", "RandomEffectsLikelihood", "SaturatedMean", "Tau2Cells", "tau2_cells"]


@dataclass(frozen=True, slots=True, eq=False)
class Mean:
    """Expected correlations `mu (k, p)` and their `jacobian (k, p, m)` in the m mean parameters.

    None stands for the identity: each correlation is its own parameter.
    """

    mu: Array
    jacobian: Array | None


class MeanModel(Protocol):
    """How expected correlations follow from the mean parameters `theta (m,)`."""

    @property
    def size(self) -> int: ...

    def mean(self, theta: Array) -> Mean | None:
        """The expected correlations at `theta`, or None where they do not exist."""

    def curvature(self, theta: Array, weights: Array) -> Array:
        """Second derivatives `(m, m)` of `sum weights * mu`, `weights (k, p)`."""


@dataclass(frozen=True, slots=True)
class SaturatedMean:
    """Each of p correlations has its own mean, the same in all k studies."""

    k: int
    size: int

    def mean(self, theta: Array) -> Mean:
        return Mean(np.broadcast_to(theta, (self.k, self.size)), None)

    def curvature(self, theta: Array, weights: Array) -> Array:
        return np.zeros((self.size, self.size))


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

    def evaluate(self, parameters: Array) -> Evaluation:
        size = self.means.size
        theta, tau2 = parameters[:size], parameters[size:]
        mean = self.means.mean(theta)
        if mean is None:
            return _undefined(len(parameters))
        weights = self._weights(tau2)
        if weights is None:
            return _undefined(len(parameters))
        w, log_determinants = weights
        e = np.where(self.used, self.y - mean.mu, 0.0)
        u = np.matmul(w, e[:, :, None])[:, :, 0]
        value = log_determinants + float(np.sum(u * e)) + self.used.sum() * np.log(2 * np.pi)
        return self._derivatives(value, theta, mean, w, u)

    def _weights(self, tau2: Array) -> tuple[Array, float] | None:
        both = self.used[:, :, None] & self.used[:, None, :]
        p = self.used.shape[1]
        covariance = np.where(both, self.v + self.cells.matrix(tau2, p), np.eye(p))
        try:
            factor = np.linalg.cholesky(covariance)
        except np.linalg.LinAlgError:
            return None
        log_determinants = 2.0 * float(np.log(np.diagonal(factor, axis1=1, axis2=2)).sum())
        return np.where(both, np.linalg.inv(covariance), 0.0), log_determinants

    def _derivatives(self, value: float, theta: Array, mean: Mean, w: Array, u: Array) -> Evaluation:
        j, a, b = mean.jacobian, self.cells.a, self.cells.b
        half = self.cells.half
        wu = half * (w[:, :, a] * u[:, None, b] + w[:, :, b] * u[:, None, a])
        by_theta = -2.0 * _pull_back(j, u)
        by_tau2 = 2.0 * half * (w[:, a, b] - u[:, a] * u[:, b]).sum(axis=0)
        theta_theta = 2.0 * _pull_back(j, w if j is None else np.matmul(w, j))
        theta_tau2 = 2.0 * _pull_back(j, wu)
        trace, quadratic = _tau2_products(w, u, self.cells)
        curved = theta_theta - 2.0 * self.means.curvature(theta, u)
        return Evaluation(
            value,
            np.concatenate([by_theta, by_tau2]),
            np.block([[curved, theta_tau2], [theta_tau2.T, 2.0 * quadratic - trace]]),
            np.block([[theta_theta, np.zeros_like(theta_tau2)], [np.zeros_like(theta_tau2.T), trace]]),
        )


def _pull_back(jacobian: Array | None, values: Array) -> Array:
    """`sum_i J_i' values_i` for `jacobian (k, p, m)` and `values (k, p, ...)`."""
    if jacobian is None:
        return np.asarray(values.sum(axis=0))
    return np.asarray(np.tensordot(jacobian, values, axes=([0, 1], [0, 1])))


def _tau2_products(w: Array, u: Array, cells: Tau2Cells) -> tuple[Array, Array]:
    """`sum_i tr(W D_r W D_s)` and `sum_i u' D_r W D_s u`, both `(q, q)`, for the derivatives D of T."""
    a, b = cells.a, cells.b
    if np.array_equal(a, b):
        waa, ua = w[:, a[:, None], a], u[:, a]
        return (waa**2).sum(axis=0), (ua[:, :, None] * waa * ua[:, None, :]).sum(axis=0)
    p = w.shape[1]
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


def _undefined(size: int) -> Evaluation:
    nothing = np.zeros((size, size))
    return Evaluation(float("inf"), np.zeros(size), nothing, nothing)
