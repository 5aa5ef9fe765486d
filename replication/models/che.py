"""The correlated and hierarchical effects (CHE) model with cluster-robust inference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

from replication.models.block_covariance import BlockV
from replication.models.fit import Fit
from replication.models.levels import factor_arrays
from replication.models.literals import LikelihoodMethod
from replication.models.multilevel import fit_multilevel
from replication.models.robust import robust

__all__ = ["fit_che"]


def fit_che(
    y: ArrayLike,
    v: ArrayLike,
    clusters: Mapping[str, ArrayLike] | ArrayLike,
    rho: float,
    x: ArrayLike | None = None,
    *,
    method: LikelihoodMethod = "REML",
    level: float = 0.95,
    names: Sequence[str] | None = None,
) -> Fit:
    """Effects of one sample share an assumed correlation `rho` of their sampling errors and a random effect; CR2 tests.

    Parameters
    ----------
    y, v : (k,) effects and their sampling variances
    clusters : (k,) labels, outermost first; sampling errors correlate within the innermost, the clusters of the robust
        covariance are the outermost
    rho : assumed correlation of sampling errors; nobody knows it, so compare several (0.4, 0.6, 0.8)
    x, method, level, names : as in `fit_multilevel`

    Source: Pustejovsky & Tipton (2022).

    >>> y, v = [0.1, 0.3, 0.5, 0.9, 0.2, 0.4], [0.01, 0.02, 0.03, 0.01, 0.02, 0.02]
    >>> fit = fit_che(y, v, [1, 1, 2, 2, 3, 3], rho=0.6)
    >>> round(float(fit.beta[0]), 6), round(float(fit.se[0]), 6)
    (0.409056, 0.16808)
    """
    factors = factor_arrays(clusters, len(np.atleast_1d(np.asarray(y, dtype=object))))
    innermost = list(factors.values())[-1]
    V = BlockV.constant_correlation(v, innermost, rho)
    return robust(fit_multilevel(y, V, clusters, x, method=method, level=level, names=names), "CR2")
