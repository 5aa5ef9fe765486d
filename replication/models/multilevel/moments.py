"""What cluster-robust inference is made of, cluster by cluster.

With `W` the weights, `Phi` the working covariance, `M = (X'WX)^-1` and `H = X M X'W`, the robust covariance of the
coefficients is `sum_i s_i s_i'` with scores `s_i = a_i' e_i`, `a_i = A_i W_i X_i M`. CR2 chooses the symmetric `A_i`
that solves `A_i Omega_i A_i = Phi_i`, where `Omega_i` is the covariance of the residuals of cluster i under the
working model, so that the robust covariance is exactly unbiased there (Bell & McCaffrey 2002; Tipton 2015;
Pustejovsky & Tipton 2018):

    A_i = L (L' Omega_i L)^(-1/2) L',   Phi_i = L L'.

Under the working model the scores have covariances `E s_i s_j' = [i = j] U_i + F_i' Psi F_j` with

    U_i = a_i' Phi_i a_i,   F_i = (X_i, Phi_i W_i X_i)' a_i,   Psi = (M X'W Phi W X M, -M; -M, 0),

a sum of low rank, from which every degree of freedom follows without an m x m matrix. `G_i = E s_i s_i'` is held for
itself: where one cluster outweighs the others, `U_i` and its low-rank part cancel to the last digit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from replication.models.fit import Array
from replication.models.least_squares import orthonormal
from replication.models.multilevel.groups import Codes, rows_by_size
from replication.models.multilevel.working_model import WorkingModel
from replication.models.options import RobustKind

__all__ = [
    "ClusterMoments",
    "cluster_moments",
    "expected_covariance",
    "satterthwaite_df",
    "true_covariance",
    "weighted_coefficients",
    "wishart_df",
]

# Residual directions with less than this share of a cluster's working covariance are taken up by the coefficients.
NO_RESIDUAL = 1e-12

# Up to this many clusters pairs of scores are summed one by one; beyond, all pairs at once minus those of a cluster
# with itself, and one by one for up to `LEADERS` clusters whose own share is too large to be subtracted.
PAIRWISE, LEADERS, LARGE_SHARE = 200, 50, 1e-4


@dataclass(frozen=True, slots=True, eq=False)
class ClusterMoments:
    """What each cluster contributes to a robust covariance.

    Coefficients `gamma (p,)` on an orthonormal basis (`beta = to_beta @ gamma`), scores `(m, p)`, and `G (m, p, p)`, `F
    (m, 2p, p)`, `Psi (2p, 2p)` as above.
    """

    gamma: Array
    to_beta: Array
    scores: Array
    G: Array
    F: Array
    Psi: Array

    @property
    def vcov(self) -> Array:
        """The robust covariance `(p, p)` of the coefficients beta."""
        sum_of_squares = self.scores.T @ self.scores
        return np.asarray(self.to_beta @ sum_of_squares @ self.to_beta.T)


@dataclass(frozen=True, slots=True, eq=False)
class _Bread:
    M: Array
    gamma: Array
    meat: Array


@dataclass(frozen=True, slots=True, eq=False)
class _Batch:
    """b clusters of n rows: design `X (b, n, p)`, covariance `Phi (b, n, n)`, its root `L` and `WX (b, n, p)`."""

    X: Array
    Phi: Array
    L: Array
    WX: Array


@dataclass(frozen=True, slots=True, eq=False)
class _Residuals:
    """The adjusted residual space of a batch of clusters.

    `Omega_i = L E diag(share) E' L'`: orthonormal directions `E (b, n, n)`, and what the coefficients leave of each
    `(b, n)`, 0 where they leave nothing.
    """

    E: Array
    share: Array


def cluster_moments(model: WorkingModel, codes: Codes, kind: RobustKind) -> ClusterMoments:
    """Scores and their moments under the working model, by clusters `codes (k,)`."""
    basis = orthonormal(model.x)
    Q = basis.columns
    start = model.y @ Q
    # the residuals of ordinary least squares keep their digits where y has a large common offset
    y = model.y - Q @ start
    batches = [(rows, _batch(model, Q, rows)) for rows in rows_by_size(codes)]
    bread = _bread(batches, y, Q.shape[1])
    residuals = y - Q @ bread.gamma
    m, p = int(codes.max()) + 1, Q.shape[1]
    scores, G, F = np.empty((m, p)), np.empty((m, p, p)), np.empty((m, 2 * p, p))
    factor = _small_sample_factor(kind, m, len(y), p)
    for rows, batch in batches:
        at = codes[rows[:, 0]]
        left = _residual_shares(batch, bread)
        # CR0 and its multiples need no adjusted residuals, only their variance
        a = batch.WX @ bread.M * factor
        if kind == "CR2":
            a, G[at] = _bias_reduced(batch, left, a)
        else:
            seen = np.sqrt(left.share)[:, :, None] * (left.E.mT @ (batch.L.mT @ a))
            G[at] = seen.mT @ seen
        scores[at] = np.einsum("bnp,bn->bp", a, residuals[rows])
        F[at] = np.concatenate([batch.X, batch.Phi @ batch.WX], axis=2).mT @ a
    M = bread.M
    Psi = np.block([[M @ bread.meat @ M, -M], [-M, np.zeros_like(M)]])
    return ClusterMoments(start + bread.gamma, basis.to_beta, scores, G, F, Psi)


def weighted_coefficients(model: WorkingModel, codes: Codes) -> tuple[Array, Array]:
    """Coefficients `(p,)` in the weights of the model, and their covariance `(p, p)` if the working model is right.

    `M X'Wy` and `M X'W Phi W X M`; no group of the working model may reach over two clusters `codes (k,)`.
    """
    basis = orthonormal(model.x)
    start = model.y @ basis.columns
    batches = [(rows, _batch(model, basis.columns, rows)) for rows in rows_by_size(codes)]
    bread = _bread(batches, model.y - basis.columns @ start, basis.columns.shape[1])
    T = basis.to_beta
    return T @ (start + bread.gamma), T @ bread.M @ bread.meat @ bread.M @ T.T


def expected_covariance(moments: ClusterMoments, C: Array) -> Array:
    """The robust covariance of `C beta` expected under the working model `(q, q)`, `C (q, p)`."""
    T = (C @ moments.to_beta).T
    return np.asarray(T.T @ moments.G.sum(0) @ T)


def true_covariance(moments: ClusterMoments) -> Array:
    """The covariance `(p, p)` of the coefficients beta under the working model."""
    p = len(moments.gamma)
    return np.asarray(moments.to_beta @ moments.Psi[:p, :p] @ moments.to_beta.T)


def satterthwaite_df(moments: ClusterMoments, C: Array) -> Array:
    """Degrees of freedom `(q,)` of each row of `C beta`: `2 (E V)^2 / Var V` under the working model, `C (q, p)`.

    Source: Satterthwaite (1946); Pustejovsky & Tipton (2018).
    """
    return np.array([_one_df(moments, row) for row in C @ moments.to_beta])


def wishart_df(moments: ClusterMoments, C: Array) -> float:
    """Degrees of freedom eta of the Wishart distribution closest to the robust covariance of `C beta`, `C (q, p)`.

    Source: Tipton & Pustejovsky (2015), the HTZ test: eta = q (q + 1) / sum of the variances of the entries of the
    covariance after it is scaled to have expectation I.
    """
    T = (C @ moments.to_beta).T
    values, vectors = np.linalg.eigh(expected_covariance(moments, C))
    # the robust covariance of these combinations is singular by design: no F test of all of them
    if values[0] <= 0:
        return float("nan")
    T = T @ (vectors / np.sqrt(values)) @ vectors.T
    q = T.shape[1]
    own, pairs = T.T @ moments.G @ T, _cross_products(moments.F @ T, moments.Psi)
    total = float((np.trace(own, axis1=1, axis2=2) ** 2).sum() + np.einsum("mij,mji->", own, own)) + pairs
    return q * (q + 1) / total if total > 0 else float("nan")


def _one_df(moments: ClusterMoments, t: Array) -> float:
    own = np.einsum("i,mij,j->m", t, moments.G, t)
    spread = float((own**2).sum()) + 0.5 * _cross_products(moments.F @ t[:, None], moments.Psi)
    return float(own.sum()) ** 2 / spread if spread > 0 else float("nan")


def _cross_products(F: Array, Psi: Array) -> float:
    """The sum over pairs of different clusters of `tr(S)^2 + tr(S S)`, `S = E s_i s_j' = F_i' Psi F_j (q, q)`."""
    m = len(F)
    if m <= PAIRWISE:
        apart = ~np.eye(m, dtype=bool)
        return float(_pair_sizes(F, F, Psi)[apart].sum())
    own = _self_sizes(F, Psi)
    # a cluster that dominates would be subtracted from itself with all digits lost
    leaders = np.argsort(own)[-LEADERS:]
    leaders = leaders[own[leaders] > LARGE_SHARE * own.sum()]
    rest = np.setdiff1d(np.arange(m), leaders)
    sizes = _pair_sizes(F[leaders], F, Psi)
    between = 2.0 * float(sizes[:, rest].sum()) + float(sizes[:, leaders].sum() - own[leaders].sum())
    return between + _all_pairs(F[rest], Psi) - float(own[rest].sum())


def _pair_sizes(F: Array, other: Array, Psi: Array) -> Array:
    """`tr(S)^2 + tr(S S)` for every pair `(m, n)` of clusters."""
    S = np.einsum("mai,naj->mnij", F, np.einsum("ab,nbj->naj", Psi, other))
    return np.asarray(np.einsum("mnii->mn", S) ** 2 + np.einsum("mnij,mnji->mn", S, S))


def _self_sizes(F: Array, Psi: Array) -> Array:
    S = np.einsum("mai,ab,mbj->mij", F, Psi, F)
    return np.asarray(np.einsum("mii->m", S) ** 2 + np.einsum("mij,mji->m", S, S))


def _all_pairs(F: Array, Psi: Array) -> float:
    """The same summed over all pairs at once, a cluster with itself among them, by the low rank of S."""
    PF = np.einsum("ab,ibjc->iajc", Psi, np.einsum("mai,mbj->iajb", F, F))
    return float(np.einsum("iajb,jbia->", PF, PF) + np.einsum("iajb,iajb->", PF, PF.transpose(0, 3, 2, 1)))


def _small_sample_factor(kind: RobustKind, m: int, k: int, p: int) -> float:
    if kind == "CR1":
        return float(np.sqrt(m / (m - 1)))
    if kind == "CR1p":
        return float(np.sqrt(m / (m - p))) if m > p else float("nan")
    if kind == "CR1S":
        return float(np.sqrt(m * (k - 1) / ((m - 1) * (k - p)))) if k > p else float("nan")
    return 1.0


def _batch(model: WorkingModel, Q: Array, rows: NDArray[np.intp]) -> _Batch:
    X, Phi = Q[rows], model.covariance(rows)
    weights = model.weights
    WX = np.linalg.solve(Phi, X) if weights is None else weights[rows][:, :, None] * X
    return _Batch(X, Phi, np.asarray(np.linalg.cholesky(Phi), dtype=float), np.asarray(WX, dtype=float))


def _bread(batches: Sequence[tuple[NDArray[np.intp], _Batch]], y: Array, p: int) -> _Bread:
    A, b, meat = np.zeros((p, p)), np.zeros(p), np.zeros((p, p))
    for rows, batch in batches:
        A += np.einsum("bni,bnj->ij", batch.X, batch.WX)
        b += np.einsum("bni,bn->i", batch.WX, y[rows])
        meat += np.einsum("bni,bnj->ij", batch.WX, batch.Phi @ batch.WX)
    M = np.asarray(np.linalg.inv(A), dtype=float)
    return _Bread(M, M @ b, meat)


def _residual_shares(batch: _Batch, bread: _Bread) -> _Residuals:
    """What the coefficients leave of every direction of the clusters, relative to their working covariance.

    `Omega = L (I - K) L'`: the cut and the eigenvalues are those of `I - K`, so that variances of any scale in one
    cluster keep their directions.
    """
    Z, T = np.linalg.solve(batch.L, batch.X), np.linalg.solve(batch.L, batch.Phi @ batch.WX)
    cross = Z @ bread.M @ T.mT
    left = np.eye(Z.shape[1]) - cross - cross.mT + Z @ (bread.M @ bread.meat @ bread.M) @ Z.mT
    share, E = np.linalg.eigh(left)
    return _Residuals(E, np.where(share > NO_RESIDUAL * share[:, -1:], share, 0.0))


def _bias_reduced(batch: _Batch, left: _Residuals, a: Array) -> tuple[Array, Array]:
    """`A_i W_i X_i M` with the CR2 adjustment `A_i`, and the expected products `G_i` of the scores.

    `L' Omega L = R R'` with `R = L'L E diag(root share)`: singular values of R keep the digits that eigenvalues of the
    product, on a squared scale, would lose.
    """
    Lt = batch.L.mT
    R = (Lt @ batch.L) @ (left.E * np.sqrt(left.share)[:, None, :])
    vectors, values = np.linalg.svd(R)[:2]
    kept = np.arange(values.shape[1]) < (left.share > 0).sum(axis=1, keepdims=True)
    root = np.where(kept, 1.0 / np.where(kept, values, 1.0), 0.0)
    inner = vectors.mT @ (Lt @ a)
    seen = np.where(kept[:, :, None], inner, 0.0)
    return np.asarray(batch.L @ (vectors @ (root[:, :, None] * inner))), np.asarray(seen.mT @ seen)
