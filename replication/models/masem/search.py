"""Where the likelihood of random effects is highest, for each structure of the covariance T between studies.

Variances alone are searched over themselves, with a floor. An unrestricted T is searched over its Cholesky factor,
`T = L L'`, so that it stays a covariance matrix; the result is handed back in the cells of T.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from replication.models.fit import Array
from replication.models.masem.likelihood import RandomEffectsLikelihood, Tau2Cells
from replication.models.masem.newton import Evaluation, Minimum, minimize

__all__ = ["TAU2_FLOOR", "search_likelihood"]

# A variance between studies is not searched below this (as in metaSEM); far below any sampling variance of an r.
TAU2_FLOOR = 1e-10

# Smallest over largest eigenvalue of T below which T counts as being on the edge of the covariance matrices.
EDGE = 1e-6


def search_likelihood(likelihood: RandomEffectsLikelihood, theta: Array, variances: Array) -> Minimum:
    """The minimum of -2 log likelihood from means `theta (m,)` and `variances` of the free pairs."""
    cells = likelihood.cells
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
    factor[cells.a == cells.b] = np.sqrt(variances)
    found = minimize(problem, np.concatenate([theta, factor]))
    tau2 = problem.tau2(found.theta[len(theta) :])
    point = np.concatenate([found.theta[: len(theta)], tau2])
    t = cells.matrix(tau2, likelihood.used.shape[1])[np.ix_(problem.places, problem.places)]
    eigenvalues = np.linalg.eigvalsh(t)
    held = np.zeros(len(point), dtype=bool)
    held[len(theta) :] = eigenvalues[0] < EDGE * eigenvalues[-1]
    return Minimum(point, likelihood.evaluate(point), held, found.converged, found.steps)
