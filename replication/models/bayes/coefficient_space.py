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

__all__ = ["CoefficientSpace", "coefficient_space", "spread_beyond_error"]


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


def spread_beyond_error(y: Array, v: Array, X: Array) -> float:
    """A rough sd of true effects (method of moments on least-squares residuals), never below a tenth of the errors."""
    residual = y - X @ np.linalg.lstsq(X, y)[0]
    free = max(len(y) - X.shape[1], 1)
    excess = float(residual @ residual) / free - float(v.mean())
    return float(np.sqrt(max(excess, 0.01 * float(v.mean()))))
