"""The correlated and hierarchical effects (CHE) model with cluster-robust inference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

from replication.models.block_covariance import BlockV
from replication.models.fit import Fit
from replication.models.grouping import Codes, group_codes
from replication.models.levels import build_levels, factor_arrays
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
    V = BlockV.constant_correlation(v, _samples(clusters, len(np.atleast_1d(np.asarray(y)))), rho)
    return robust(fit_multilevel(y, V, clusters, x, method=method, level=level, names=names), "CR2")


def _samples(clusters: Mapping[str, ArrayLike] | ArrayLike, k: int) -> Codes:
    """Numbers of the innermost groups within their parents; a row without a label, left out later, is on its own."""
    codes = {name: group_codes(labels, k, name) for name, labels in factor_arrays(clusters, k).items()}
    missing = np.any([part < 0 for part in codes.values()], axis=0)
    innermost = build_levels(codes, k, "nested", None)[-1].codes
    return np.where(missing, k + np.arange(k), innermost)
