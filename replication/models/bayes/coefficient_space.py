"""Coefficients sampled in units of their own uncertainty: `beta = centre + root raw`.

The sampler then sees numbers near 0 with sds near 1, whatever the scale of data and moderators. The map is linear, so
the posterior is unchanged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from replication.models.bayes.coefficient_priors import CoefficientPrior, Normal
from replication.models.bayes.pymc_priors import add_coefficient_priors
from replication.models.fit import Array

__all__ = ["CoefficientSpace", "Spread", "coefficient_space", "spread_beyond_error"]


@dataclass(frozen=True, slots=True, eq=False)
class CoefficientSpace:
    """A point `centre (p,)` and a lower root `root (p, p)` of a rough posterior covariance."""

    centre: Array
    root: Array

    def add(self, priors: Sequence[CoefficientPrior]) -> Any:
        """The coefficients `(p,)` as a PyMC variable with their priors."""
        import pymc as pm
        import pytensor.tensor as pt

        raw = pm.Flat("raw", shape=len(self.centre))
        scale = np.diag(self.root)
        if np.array_equal(self.root, np.diag(scale)):  # one mean a cell: no product of matrices to compile
            beta = self.centre + scale * raw
        else:
            beta = self.centre + (pt.as_tensor(self.root) * raw).sum(axis=1)
        add_coefficient_priors(beta, priors)
        return beta

    def read(self, values: Mapping[str, Array]) -> Array:
        """Draws of the coefficients `(chains, draws, p)`."""
        return np.asarray(self.centre + values["raw"] @ self.root.T)


def coefficient_space(y: Array, variance: Array, X: Array, priors: Sequence[CoefficientPrior]) -> CoefficientSpace:
    """Weighted least squares with `variance (k,)` (sampling error and heterogeneity), and normal priors as data."""
    weighted = X / variance[:, None]
    precision = weighted.T @ X
    target = weighted.T @ y
    for j, prior in enumerate(priors):
        if isinstance(prior, Normal):
            precision[j, j] += prior.sd**-2
            target[j] += prior.mean * prior.sd**-2
    covariance = np.linalg.inv(precision)
    return CoefficientSpace(covariance @ target, np.asarray(np.linalg.cholesky((covariance + covariance.T) / 2.0)))


@dataclass(frozen=True, slots=True)
class Spread:
    """A rough sd of true effects, and whether a model without any is anywhere near possible."""

    sd: float
    zero_is_near: bool


def spread_beyond_error(y: Array, v: Array, X: Array) -> Spread:
    """Method of moments on least-squares residuals; `sd` is never below half of the sampling errors.

    Zero is near unless the sd is over ten times the sampling error of all but as many effects as there are
    coefficients: there the log density at sd 0 is lower by hundreds, a wall that a sampler must not run into.
    """
    k, p = X.shape
    residual = y - X @ np.linalg.lstsq(X, y)[0]
    excess = float(residual @ residual) / max(k - p, 1) - float(v.mean())
    sd = float(np.sqrt(max(excess, 0.25 * float(v.mean()), np.finfo(float).tiny)))
    return Spread(sd, bool(sd**2 <= 100.0 * np.sort(v)[min(p, k - 1)]))
