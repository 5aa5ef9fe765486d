"""The working model behind a fit, as cluster-robust inference needs it: covariance blocks, weights, what ties rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse
from scipy.sparse import csgraph

from replication.errors import ModelError
from replication.models.fit import Array, Fit
from replication.models.multilevel.groups import Codes, Level, group_codes, refines
from replication.models.multilevel.large_clusters import ChainSolver, chain_solver
from replication.models.multilevel.multilevel import MultilevelData
from replication.models.multilevel.multivariate import MultivariateData
from replication.models.multilevel.structure import BlockV
from replication.models.prepare import EffectData, list_rows

__all__ = ["Tie", "WorkingModel", "cluster_codes", "take_weights", "working_model"]


@dataclass(frozen=True, slots=True, eq=False)
class Tie:
    """Rows of one group `codes (k,)` correlate under the working model."""

    name: str
    codes: Codes


@dataclass(frozen=True, slots=True, eq=False)
class WorkingModel:
    """What a robust covariance takes from a fit: the model that need not be right.

    `y (k,)`, `x (k, p)`, dense working covariances `covariance(rows (b, n)) -> (b, n, n)`, `weights (k,)` or `(k, k)`
    (None: the inverse of the covariance) and the `ties` between rows. `rows` are the positions of the k effects in the
    arrays the fit was given; `clusters (k,)` is the grouping to use unless told otherwise. `solver(rows (n,))` inverts
    the covariance of one large cluster without a matrix of its rows, where there is a way.
    """

    y: Array
    x: Array
    covariance: Callable[[NDArray[np.intp]], Array]
    weights: Array | None
    ties: tuple[Tie, ...]
    rows: Codes
    clusters: Codes | None
    solver: Callable[[Codes], ChainSolver | None] | None = None


def working_model(fit: Fit, weights: ArrayLike | None = None) -> WorkingModel:
    """The working model of a random-effects or multilevel fit, with other `weights (k,)` or `(k, k)` if given."""
    data = fit.data
    given = None if weights is None else _given_weights(weights, fit.k)
    if isinstance(data, MultilevelData):
        return _of_multilevel(data, given)
    if isinstance(data, MultivariateData):
        return _of_multivariate(data, given)
    if isinstance(data, EffectData):
        return _of_random_effects(data, float(np.nansum([c.estimate for c in fit.components])), given)
    raise ModelError(
        "robust inference needs a fit of fit_random_effects or fit_multilevel; "
        f"this one carries {type(data).__name__}. Pass the model's own fit, not one already made robust."
    )


def cluster_codes(model: WorkingModel, clusters: ArrayLike | None) -> Codes:
    """Cluster numbers `(k,)`; `clusters` labels the effects used, or all rows the fit was given.

    Raises `ModelError` for a wrong length, a missing label, fewer than two clusters, or clusters that the working
    model ties together.
    """
    codes = model.clusters if clusters is None else _aligned(model, clusters)
    if codes is None:
        raise ModelError("the factors cross, so there is no natural cluster; pass clusters with independent groups.")
    # One cluster leaves no spread of scores between clusters to estimate a variance from.
    if codes.max(initial=-1) < 1:
        raise ModelError("all effects are in one cluster; cluster-robust inference needs at least two, better ten.")
    for tie in model.ties:
        # The sandwich takes clusters for independent: a tie across them would be counted as no covariance at all.
        if not refines(tie.codes, codes):
            raise ModelError(
                f"rows of different clusters share {tie.name} in the working model; use clusters that hold "
                f"{tie.name} whole, or fit a model without it."
            )
    return codes


def take_weights(weights: Array, rows: NDArray[np.intp]) -> Array:
    """The weights of the `rows (n,)` among themselves, of a vector or a matrix."""
    return weights[rows] if weights.ndim == 1 else weights[np.ix_(rows, rows)]


def _given_weights(weights: ArrayLike, k: int) -> Array:
    array = np.asarray(weights, dtype=float)
    if array.ndim == 2:
        return _given_matrix(array, k)
    if array.shape != (k,) or not (np.isfinite(array) & (array >= 0)).all():
        raise ModelError(f"weights must be {k} numbers of 0 or more, one per effect used; found shape {array.shape}.")
    return array


def _given_matrix(W: Array, k: int) -> Array:
    if W.shape != (k, k) or not np.isfinite(W).all() or not np.allclose(W, W.T, rtol=1e-10, atol=0.0):
        raise ModelError(
            f"a matrix of weights is symmetric and finite, {k} by {k} for the effects used; found shape {W.shape}."
        )
    values = np.linalg.eigvalsh(W)
    if not (values[-1] > 0 and values[0] >= -1e-10 * values[-1]):
        raise ModelError(
            f"the matrix of weights has the eigenvalue {values[0]:.3g}; weights are a positive semi-definite matrix, "
            "such as the inverse of a covariance."
        )
    return 0.5 * (W + W.T)


def _weight_ties(weights: Array | None) -> tuple[Tie, ...]:
    """Rows that a matrix of weights joins: a cluster must hold them together, as its score needs all of them."""
    if weights is None or weights.ndim == 1:
        return ()
    codes = csgraph.connected_components(sparse.csr_array(weights != 0.0), directed=False)[1]
    return (Tie("a block of the matrix of weights", codes.astype(np.intp)),)


def _of_multilevel(data: MultilevelData, weights: Array | None) -> WorkingModel:
    V, levels, theta = data.V, data.levels, data.theta

    def covariance(rows: NDArray[np.intp]) -> Array:
        blocks = V.sub_blocks(rows)
        for level, variance in zip(levels, theta, strict=True):
            codes = level.codes[rows]
            blocks = blocks + variance * (codes[:, :, None] == codes[:, None, :])
        return np.asarray(blocks)

    e = data.effects
    chosen = e.weights if weights is None else weights
    ties = _ties(V, levels, len(e.y)) + _weight_ties(chosen)
    outer = levels[0].codes
    # Crossed factors have no natural cluster: the user has to say what is independent.
    natural = outer if all(refines(tie.codes, outer) for tie in ties) else None
    rows, solver = np.asarray(e.rows, dtype=np.intp), partial(chain_solver, V, levels, theta)
    return WorkingModel(e.y, e.x, covariance, chosen, ties, rows, natural, solver)


def _of_multivariate(data: MultivariateData, weights: Array | None) -> WorkingModel:
    """Studies are the natural clusters, unless a level or a covariance ties them to each other."""
    e, k = data.effects, len(data.effects.y)
    chosen = e.weights if weights is None else weights
    ties = [Tie("study", data.outer), *_weight_ties(chosen)]
    ties += [
        # Known correlations (a phylogeny) tie every group to every other, hence all rows to one.
        Tie(level.name, level.codes if level.known is None else np.zeros(k, dtype=np.intp))
        for level in data.levels
    ]
    if data.V.codes is not None and not data.V.is_diagonal:
        ties.append(Tie("sampling error", data.V.codes))
    natural = data.outer if all(refines(tie.codes, data.outer) for tie in ties) else None
    rows = np.asarray(e.rows, dtype=np.intp)
    return WorkingModel(e.y, e.x, data.covariance, chosen, tuple(ties), rows, natural)


def _ties(V: BlockV, levels: tuple[Level, ...], k: int) -> tuple[Tie, ...]:
    # A level of single rows ties nothing to anything else.
    ties = [Tie(level.name, level.codes) for level in levels if level.size < k]
    if V.codes is not None and not V.is_diagonal:
        ties.append(Tie("sampling error", V.codes))
    return tuple(ties)


def _of_random_effects(data: EffectData, tau2: float, weights: Array | None) -> WorkingModel:
    def covariance(rows: NDArray[np.intp]) -> Array:
        total = data.v[rows] + tau2
        return np.asarray(total[:, :, None] * np.eye(rows.shape[1]))

    k = len(data.y)
    chosen = data.weights if weights is None else weights
    rows, ties = np.asarray(data.rows, dtype=np.intp), _weight_ties(chosen)
    return WorkingModel(data.y, data.x, covariance, chosen, ties, rows, np.arange(k))


def _aligned(model: WorkingModel, clusters: ArrayLike) -> Codes:
    labels = np.asarray(clusters)
    k, last = len(model.y), int(model.rows.max(initial=-1))
    if labels.ndim != 1 or (len(labels) != k and len(labels) <= last):
        raise ModelError(f"clusters has shape {labels.shape}; pass one label for each of the {k} effects.")
    # Labels may come for all rows the fit was given: those of rows it left out are passed over.
    used = labels if len(labels) == k else labels[model.rows]
    codes = group_codes(used, k, "clusters")
    if (codes < 0).any():
        missing = model.rows[codes < 0].tolist()
        raise ModelError(f"clusters has no label in {list_rows(missing)}; label the rows or leave them out of the fit.")
    return codes
