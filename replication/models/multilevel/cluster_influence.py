"""How much each cluster pulls on a multilevel fit: Baujat's plot and deletion diagnostics, a whole cluster at a time.

Deleting single effects of a sample says little: its other effects carry the same persons and pull the same way. So the
unit of deletion is the cluster (Viechtbauer & Cheung 2010 for the measures; Baujat et al. 2002 for the plot).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse, special

from replication.models.fit import Array, Fit
from replication.models.multilevel.groups import Codes, first_rows, group_codes, rows_by_size
from replication.models.multilevel.inverse import Inverse
from replication.models.multilevel.multilevel import MultilevelData, likelihood_of
from replication.models.multilevel.results import LeftOut, leave_one_cluster_out, multilevel_data
from replication.models.multilevel.structure import rotate, rotate_back
from replication.models.readable import Readable

__all__ = ["ClusterInfluence", "ClusterPull", "cluster_influence", "cluster_pull"]

NOT_REFITTED = "not refitted"
# Columns that go through the inverse at a time: what a processor keeps near, whatever the largest group is.
COLUMNS = 64


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


@dataclass(frozen=True, slots=True, eq=False)
class ClusterPull:
    """How each of m clusters pulls on a fit whose variances are held: nothing is fitted again.

    heterogeneity   (m,) share of the cluster in the generalised Q, as in `ClusterInfluence`
    change          (m, p) coefficients less those without the cluster, at the variances of the whole fit
    """

    labels: tuple[str, ...]
    heterogeneity: Array
    change: Array


def cluster_influence(
    fit: Fit, clusters: ArrayLike | None = None, left_out: Sequence[LeftOut] | None = None
) -> ClusterInfluence:
    """Diagnostics of every cluster of a multilevel fit, robust or not.

    `clusters (k,)` labels the effects used, such as their samples; by default the outermost level. `left_out` are the
    fits without each, for who has them: what `leave_one_cluster_out` gives for the same clusters, or for some of them;
    what deleting shows is NaN for the others.

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
    if left_out is None:
        left_out = [replace(left, label=labels[c]) for c, left in enumerate(leave_one_cluster_out(fit, codes))]
    at, reasons = {label: c for c, label in enumerate(labels)}, [NOT_REFITTED] * m
    for left in left_out:
        c = at[left.label]
        reasons[c] = left.reason
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
        reasons=tuple(reasons),
    )


def cluster_pull(fit: Fit, clusters: ArrayLike | None = None) -> ClusterPull:
    """How far each cluster moves the coefficients while the variances are held, by one formula for all of them.

    It says in what order hundreds of clusters are worth a fit without each; `clusters` as for `cluster_influence`. With
    `P = M^-1 - M^-1 X (X' M^-1 X)^-1 X' M^-1`, leaving out the rows S moves the coefficients by
    `(X' M^-1 X)^-1 X' M^-1_S (P_SS)^-1 (P y)_S` (Haslett 1999).

    >>> from replication.models.multilevel.multilevel import fit_multilevel
    >>> fit = fit_multilevel([0.1, 0.3, 0.5, 0.9, 0.2], [0.01, 0.02, 0.03, 0.01, 0.02], ["A", "A", "B", "C", "C"])
    >>> cluster_pull(fit).change[:, 0].round(4).tolist()
    [-0.1437, 0.0215, 0.1139]
    """
    data = multilevel_data(fit)
    codes, labels = _groups(data, clusters)
    likelihood = likelihood_of(data)
    structure, solution = likelihood.structure, likelihood.solve(data.theta / likelihood.scale**2)
    # In the coordinates of the rows, where what is left out are whole rows.
    Wx = np.stack([rotate_back(structure, row) for row in solution.Wx]).T
    Py = rotate_back(structure, solution.Py)
    change, batches = np.empty((len(labels), len(fit.beta))), rows_by_size(codes)
    for rows, own in zip(batches, _inverse_within(data, solution.inverse, batches), strict=True):
        P = own - Wx[rows] @ solution.M @ Wx[rows].mT
        gone = np.linalg.solve(P, Py[rows][:, :, None])
        moved = (solution.M @ (Wx[rows].mT @ gone))[:, :, 0]
        change[codes[rows[:, 0]]] = likelihood.scale * moved @ likelihood.basis.to_beta.T
    heterogeneity = np.asarray(np.bincount(codes, _quadratic_form(fit), len(labels)), dtype=float)
    return ClusterPull(labels, heterogeneity, change)


def _inverse_within(data: MultilevelData, inverse: Inverse, batches: Sequence[Codes]) -> list[Array]:
    """For each batch of clusters, given by rows `(m, n)`, the blocks `(m, n, n)` of `M^-1` within clusters."""
    structure, blocks, k = inverse.structure, _independent(data), len(data.effects.y)
    # The place of each row among the rows of its block.
    order = np.argsort(blocks, kind="stable")
    place = np.empty(k, dtype=np.intp)
    place[order] = np.arange(k) - np.searchsorted(blocks[order], blocks[order])
    found = [np.empty((*rows.shape, rows.shape[1])) for rows in batches]
    for first in range(0, int(place.max()) + 1, COLUMNS):
        # One unit vector asks for a row of every block at once: nothing reaches from one block into another.
        here = np.flatnonzero((place >= first) & (place < first + COLUMNS))
        unit = np.zeros((k, COLUMNS))
        unit[here, place[here] - first] = 1.0
        columns = rotate_back(structure, inverse.apply(np.ascontiguousarray(rotate(structure, unit).T)).T)
        for rows, own in zip(batches, found, strict=True):
            cluster, j = np.nonzero((place[rows] >= first) & (place[rows] < first + COLUMNS))
            own[cluster, :, j] = columns[rows[cluster], (place[rows[cluster, j]] - first)[:, None]]
    return found


def _independent(data: MultilevelData) -> Codes:
    """The block `(k,)` of each row: rows of different blocks share no random effect and no sampling error."""
    k = len(data.effects.y)
    groups = [level.codes for level in data.levels] + ([] if data.V.codes is None else [data.V.codes])
    first = np.cumsum([k, *(int(codes.max()) + 1 for codes in groups)])
    # Rows and groups as one graph, an edge from every row to each of its groups.
    ends = np.concatenate([codes + at for codes, at in zip(groups, first, strict=False)])
    edges = sparse.coo_array((np.ones(len(ends)), (np.tile(np.arange(k), len(groups)), ends)), shape=(first[-1],) * 2)
    return np.asarray(sparse.csgraph.connected_components(edges, directed=False)[1][:k], dtype=np.intp)


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
