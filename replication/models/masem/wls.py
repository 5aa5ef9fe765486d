"""Weighted least squares of implied to pooled correlations, for one group or several that may share parameters.

Chi-square is `sum_g (s_g - r_g)' U_g (s_g - r_g)`, with U the inverse of the covariance of the pooled correlations
(Cheung & Chan 2005, equation 11). Derivatives are exact.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from replication.errors import ModelError
from replication.models.fit import Array
from replication.models.masem.newton import Evaluation, Minimum, minimize
from replication.models.masem.ram import Implied, Structure
from replication.models.masem.sampling_covariance import PooledCorrelations

__all__ = ["Group", "WeightedLeastSquares", "best_minimum", "group", "start_values"]

# Where searches begin: loadings of factors, regressions, covariances. Factor models can have several valleys.
STARTS = ((0.5, 0.1, 0.0), (0.3, 0.3, 0.3), (0.8, 0.2, 0.2))


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """One group of a weighted least squares fit of a path model.

    One group: its pooled correlations, the weight matrix `u (p, p)`, its model, and `select (own q, all q)`, which maps
    the parameters of all groups to its own.
    """

    pooled: PooledCorrelations
    u: Array
    structure: Structure
    select: Array

    def implied(self, thetas: Array) -> Implied | None:
        """What the model implies at each of `thetas (n, q)`."""
        return self.structure.implied(self.structure.fixed + thetas @ self.chain.T)

    @property
    def chain(self) -> Array:
        """How the cells of the model move with the parameters of all groups `(cells, q)`."""
        return np.asarray(self.structure.parameter @ self.select)


def group(pooled: PooledCorrelations, structure: Structure, select: Array) -> Group:
    """A group with the inverse of its covariance, or a `ModelError` when it has none."""
    try:
        np.linalg.cholesky(pooled.vcov)
        # the Cholesky factor only asks whether vcov is a covariance at all; inv alone would not tell
        u = np.asarray(np.linalg.inv(pooled.vcov), dtype=np.float64)
    except np.linalg.LinAlgError:
        raise ModelError(
            "the covariance of the pooled correlations is not positive definite, so stage 2 has no weights. Look at "
            "the notes of stage 1: pairs held by too few studies, or variances on their bound.",
            partial=pooled,
        ) from None
    return Group(pooled, u, structure, select)


@dataclass(frozen=True, slots=True, eq=False)
class WeightedLeastSquares:
    """Chi-square over the parameters of all groups `(q,)`."""

    groups: tuple[Group, ...]

    def evaluate(self, theta: Array) -> Evaluation:
        return self.evaluate_each(theta[None])[0]

    def evaluate_each(self, thetas: Array) -> list[Evaluation]:
        """The function at each of `thetas (n, q)`."""
        n, size = thetas.shape
        value, gradient = np.zeros(n), np.zeros((n, size))
        hessian, expected = np.zeros((n, size, size)), np.zeros((n, size, size))
        for one in self.groups:
            at = one.implied(thetas)
            if at is None or not np.isfinite(at.r).all():
                # One point at which the model implies nothing must not stop the others.
                return [Evaluation.undefined(size)] if n == 1 else [self.evaluate(theta) for theta in thetas]
            jacobian = at.jacobian @ one.chain
            residual = one.pooled.r - at.r
            weighted = residual @ one.u
            value += (residual * weighted).sum(axis=1)
            gradient -= 2.0 * (weighted[:, None] @ jacobian)[:, 0]
            gauss_newton = 2.0 * jacobian.transpose(0, 2, 1) @ one.u @ jacobian
            expected += gauss_newton
            # Gauss-Newton alone would do for the estimates; standard errors use the observed second derivatives.
            hessian += gauss_newton - 2.0 * one.chain.T @ one.structure.curvature(at, weighted) @ one.chain
        return [Evaluation(float(v), g, h, e) for v, g, h, e in zip(value, gradient, hessian, expected, strict=True)]


def start_values(structure: Structure, latent: Sequence[str], values: tuple[float, float, float]) -> Array:
    """Start values `(q,)`: of loadings, of other arrows, and of covariances."""
    loading, arrow, covariance = values
    # Loadings of 0 would leave a factor without any indicator, where the slope is 0 in all directions.
    factors = np.isin(np.array(structure.variables), list(latent))
    is_loading = structure.arrow & factors[structure.source] & ~factors[structure.to]
    cells = np.where(is_loading, loading, np.where(structure.arrow, arrow, covariance))
    return np.asarray((structure.parameter * cells[:, None]).max(axis=0, initial=0.0))


def best_minimum(objective: WeightedLeastSquares, starts: Sequence[Array], latent: Sequence[str] = ()) -> Minimum:
    """The lowest of the minima reached from several starts; without factors the first proper one will do."""
    found: list[Minimum] = []
    for start in starts:
        if not np.isfinite(objective.evaluate(start).value):
            continue
        found.append(minimize(objective, start))
        # without factors the surface has one valley in practice; a proper minimum ends the search
        if not latent and found[-1].converged and np.linalg.eigvalsh(found[-1].at.hessian)[0] > 0:
            break
    if not found:
        raise ModelError(
            "the model implies no correlations at any start value (a loop of paths that feeds on itself?)."
        )
    # a minimum that was reached goes before a lower point where the search gave up
    return min(found, key=lambda minimum: (not minimum.converged, minimum.at.value))
