"""One correlation matrix behind several samples, each with its own standard deviations (Cheung & Chan 2005).

Sample i has the model covariance `D_i P_i D_i` over the variables it holds: `P_i` cells of the common correlation
matrix, `D_i` free standard deviations. With `delta = 1 / diag(D)` its -2 log likelihood is, up to a constant,
`n (log|P| - 2 sum log delta + delta' (P^-1 * R) delta)`, convex in delta. Each delta depends on its own sample only,
so it is solved for at every P, and the search runs over the common correlations alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from replication.models.fit import Array
from replication.models.masem.correlations import pair_indices, symmetric
from replication.models.masem.newton import Evaluation

__all__ = ["CommonCorrelation"]


@dataclass(frozen=True, slots=True, eq=False)
class CommonCorrelation:
    """-2 log likelihood of common correlations `(p,)` against that of free matrices: `R (k, v, v)` with unit rows for

    variables a study lacks, `held (k, v)` the variables it holds, `weight (k,)` its sample size.
    """

    matrices: Array
    held: NDArray[np.bool_]
    weight: Array

    def evaluate(self, correlations: Array) -> Evaluation:
        size = len(correlations)
        both = self.held[:, :, None] & self.held[:, None, :]
        p = np.where(both, symmetric(correlations), np.eye(self.held.shape[1]))
        try:
            factor = np.linalg.cholesky(p)
        except np.linalg.LinAlgError:
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
        delta = 1.0 / np.sqrt(np.diagonal(m, axis1=1, axis2=2))
        for _ in range(100):
            slope = np.matmul(m, delta[:, :, None])[:, :, 0] - 1.0 / delta
            curve = m + np.eye(m.shape[1]) / (delta**2)[:, None, :]
            move = np.linalg.solve(curve, slope[:, :, None])[:, :, 0]
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
