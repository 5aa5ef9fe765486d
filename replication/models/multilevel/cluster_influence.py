"""How much each cluster pulls on a multilevel fit: Baujat's plot and deletion diagnostics, a whole cluster at a time.

Deleting single effects of a sample says little: its other effects carry the same persons and pull the same way. So the
unit of deletion is the cluster (Viechtbauer & Cheung 2010 for the measures; Baujat et al. 2002 for the plot).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from replication.models.fit import Array, Fit
from replication.models.multilevel.groups import Codes, first_rows, group_codes
from replication.models.multilevel.multilevel import MultilevelData, likelihood_of
from replication.models.multilevel.results import LeftOut, leave_one_cluster_out, multilevel_data
from replication.models.multilevel.structure import rotate, rotate_back
from replication.models.readable import Readable

__all__ = ["ClusterInfluence", "cluster_influence"]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ClusterInfluence(Readable):
    """Diagnostics of the m clusters of the outermost level, `(m,)` unless said otherwise.

    heterogeneity   share of the cluster in the generalised Q: r' M^-1 r over its rows; adds up to the whole
    influence       squared change of the mean of its rows without it, over the variance it has then (Baujat)
    change          (m, p) coefficients less those without the cluster
    cook            squared change of all coefficients in their covariance
    influential     Cook's distance beyond the median of chi-square(p), the rule of Viechtbauer & Cheung
    reasons         why a cluster could not be left out; its numbers are NaN
    """

    labels: tuple[str, ...]
    heterogeneity: Array
    influence: Array
    change: Array
    cook: Array
    influential: NDArray[np.bool_]
    reasons: tuple[str, ...]


def cluster_influence(
    fit: Fit, clusters: ArrayLike | None = None, left_out: Sequence[LeftOut] | None = None
) -> ClusterInfluence:
    """Diagnostics of every cluster of a multilevel fit, robust or not.

    `clusters (k,)` labels the effects used, such as their samples; by default the outermost level. `left_out` are the
    fits without each, for who has them: what `leave_one_cluster_out` gives for the same clusters.

    With one effect per cluster they are those of `baujat` and `influence`.

    >>> from replication.models.multilevel.multilevel import fit_multilevel
    >>> fit = fit_multilevel([0.1, 0.3, 0.5, 0.9, 0.2], [0.01, 0.02, 0.03, 0.01, 0.02], ["A", "A", "B", "C", "C"])
    >>> found = cluster_influence(fit)
    >>> found.labels, found.heterogeneity.round(2).tolist()
    (('A', 'B', 'C'), [0.97, 0.08, 2.73])
    """
    data = multilevel_data(fit)
    codes, labels = _groups(data, clusters)
    m, p = len(labels), len(fit.beta)
    change, cook, influence = np.full((m, p), np.nan), np.full(m, np.nan), np.full(m, np.nan)
    left_out = leave_one_cluster_out(fit, codes) if left_out is None else left_out
    for c, left in enumerate(left_out):
        if left.fit is None:
            continue
        # The mean row of a cluster stands for it; with an intercept alone this is the pooled mean itself.
        x = data.effects.x[codes == c].mean(axis=0)
        change[c] = fit.beta - left.fit.beta
        cook[c] = change[c] @ np.linalg.solve(fit.vcov, change[c])
        influence[c] = float(x @ change[c]) ** 2 / float(x @ left.fit.vcov @ x)
    return ClusterInfluence(
        labels=labels,
        heterogeneity=np.asarray(np.bincount(codes, _quadratic_form(fit), m), dtype=float),
        influence=influence,
        change=change,
        cook=cook,
        # A Cook distance is a Mahalanobis distance of the coefficients: the usual mark is the median of chi-square.
        influential=special.chdtr(p, np.nan_to_num(cook)) > 0.5,
        reasons=tuple(left.reason for left in left_out),
    )


def _groups(data: MultilevelData, clusters: ArrayLike | None) -> tuple[Codes, tuple[str, ...]]:
    """Numbers `(k,)` and names `(m,)` of the clusters."""
    if clusters is None:
        return data.levels[0].codes, data.levels[0].labels
    codes = group_codes(clusters, len(data.effects.y), "clusters")
    first = first_rows(codes, int(codes.max()) + 1)
    return codes, tuple(str(label) for label in np.asarray(clusters)[first])


def _quadratic_form(fit: Fit) -> Array:
    """Each row's part `(k,)` of `r' M^-1 r`, r the residuals from the coefficients and M the marginal covariance."""
    data = multilevel_data(fit)
    likelihood = likelihood_of(data)
    inverse = likelihood.solve(data.theta / likelihood.scale**2).inverse
    residuals = data.effects.y - data.effects.x @ fit.beta
    # In the rotated coordinates the inverse is diagonal plus low rank; the k by k matrix is never formed.
    weighed = rotate_back(likelihood.structure, inverse.apply(rotate(likelihood.structure, residuals)[None])[0])
    return np.asarray(residuals * weighed / likelihood.scale**2)
