"""What cluster-robust inference is made of, cluster by cluster.

With `W` the weights, `Phi` the working covariance, `M = (X'WX)^-1` and `H = X M X'W`, the robust covariance of the
coefficients is `sum_i s_i s_i'` with scores `s_i = a_i' e_i`, `a_i = A_i W_i X_i M`. CR2 chooses the symmetric `A_i`
that solves `A_i Omega_i A_i = Phi_i`, where `Omega_i` is the covariance of the residuals of cluster i under the
working model, so that the robust covariance is exactly unbiased there (Bell & McCaffrey 2002; Tipton 2015;
Pustejovsky & Tipton 2018):

    A_i = L (L' Omega_i L)^(-1/2) L',   Phi_i = L L'.

Under the working model the scores have covariances `E s_i s_j' = [i = j] U_i + F_i' Psi F_j` with

    U_i = a_i' Phi_i a_i,   F_i = (X_i, Phi_i W_i X_i)' a_i,   Psi = (M X'W Phi W X M, -M; -M, 0),

a sum of low rank, from which every degree of freedom follows without an m x m matrix.
"""

from __future__ import annotations

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
    "wishart_df",
]

# Residual directions with less than this share of a cluster's variance are taken up by the coefficients.
NO_RESIDUAL = 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class ClusterMoments:
    """Coefficients `gamma (p,)` on an orthonormal basis (`beta = to_beta @ gamma`), scores `(m, p)`, and `U (m, p, p)`,

    `F (m, 2p, p)`, `Psi (2p, 2p)` as above.
    """

    gamma: Array
    to_beta: Array
    scores: Array
    U: Array
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
    """b clusters of n rows: design `X (b, n, p)`, covariance `Phi (b, n, n)` and `WX (b, n, p)`."""

    X: Array
    Phi: Array
    WX: Array


def cluster_moments(model: WorkingModel, codes: Codes, kind: RobustKind) -> ClusterMoments:
    """Scores and their moments under the working model, by clusters `codes (k,)`."""
    basis = orthonormal(model.x)
    Q = basis.columns
    start = model.y @ Q
    y = model.y - Q @ start
    bread = _bread(model, Q, y, codes)
    residuals = y - Q @ bread.gamma
    m, p = int(codes.max()) + 1, Q.shape[1]
    scores, U, F = np.empty((m, p)), np.empty((m, p, p)), np.empty((m, 2 * p, p))
    factor = _small_sample_factor(kind, m, len(y), p)
    for rows in rows_by_size(codes):
        batch = _batch(model, Q, rows)
        a = batch.WX @ bread.M * factor
        if kind == "CR2":
            a = _bias_reduced(batch, bread, a)
        at = codes[rows[:, 0]]
        scores[at] = np.einsum("bnp,bn->bp", a, residuals[rows])
        U[at] = a.swapaxes(1, 2) @ batch.Phi @ a
        F[at] = np.concatenate([batch.X, batch.Phi @ batch.WX], axis=2).swapaxes(1, 2) @ a
    M = bread.M
    Psi = np.block([[M @ bread.meat @ M, -M], [-M, np.zeros_like(M)]])
    return ClusterMoments(start + bread.gamma, basis.to_beta, scores, U, F, Psi)


def expected_covariance(moments: ClusterMoments, C: Array) -> Array:
    """The robust covariance of `C beta` expected under the working model `(q, q)`, `C (q, p)`."""
    T = (C @ moments.to_beta).T
    F = moments.F @ T
    return np.asarray(T.T @ moments.U.sum(0) @ T + np.einsum("mai,ab,mbj->ij", F, moments.Psi, F))


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
    if values[0] <= 0:
        return float("nan")
    T = T @ (vectors / np.sqrt(values)) @ vectors.T
    q = T.shape[1]
    U, F = T.T @ moments.U @ T, moments.F @ T
    own = np.einsum("mai,ab,mbj->mij", F, moments.Psi, F)
    outer = np.einsum("mai,mbj->iajb", F, F)
    PF = np.einsum("ab,ibjc->iajc", moments.Psi, outer)
    trace_squared = np.einsum("mii,mjj->", U, U) + 2.0 * np.einsum("mii,mjj->", U, own)
    trace_squared += np.einsum("iajb,jbia->", PF, PF)
    squared_trace = np.einsum("mij,mji->", U, U) + 2.0 * np.einsum("mij,mji->", U, own)
    squared_trace += np.einsum("iajb,iajb->", PF, PF.transpose(0, 3, 2, 1))
    total = float(trace_squared + squared_trace)
    return q * (q + 1) / total if total > 0 else float("nan")


def _one_df(moments: ClusterMoments, t: Array) -> float:
    u, f = np.einsum("i,mij,j->m", t, moments.U, t), moments.F @ t
    own = np.einsum("ma,ab,mb->m", f, moments.Psi, f)
    PS = moments.Psi @ (f.T @ f)
    expected = float((u + own).sum())
    spread = float((u * u + 2.0 * u * own).sum() + (PS * PS.T).sum())
    return expected**2 / spread if spread > 0 else float("nan")


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
    return _Batch(X, Phi, np.asarray(WX, dtype=float))


def _bread(model: WorkingModel, Q: Array, y: Array, codes: Codes) -> _Bread:
    p = Q.shape[1]
    A, b, meat = np.zeros((p, p)), np.zeros(p), np.zeros((p, p))
    for rows in rows_by_size(codes):
        batch = _batch(model, Q, rows)
        A += np.einsum("bni,bnj->ij", batch.X, batch.WX)
        b += np.einsum("bni,bn->i", batch.WX, y[rows])
        meat += np.einsum("bni,bnj->ij", batch.WX, batch.Phi @ batch.WX)
    M = np.asarray(np.linalg.inv(A), dtype=float)
    return _Bread(M, M @ b, meat)


def _bias_reduced(batch: _Batch, bread: _Bread, a: Array) -> Array:
    """`A_i W_i X_i M` with the CR2 adjustment `A_i`."""
    XM = batch.X @ bread.M
    Y = batch.Phi @ batch.WX
    cross = XM @ Y.swapaxes(1, 2)
    Omega = batch.Phi - cross - cross.swapaxes(1, 2) + XM @ bread.meat @ XM.swapaxes(1, 2)
    L = np.linalg.cholesky(batch.Phi)
    Lt = L.swapaxes(1, 2)
    values, vectors = np.linalg.eigh(Lt @ Omega @ L)
    kept = values > NO_RESIDUAL * np.abs(values[:, -1:])
    root = np.where(kept, 1.0 / np.sqrt(np.where(kept, values, 1.0)), 0.0)
    inner = vectors.swapaxes(1, 2) @ (Lt @ a)
    return np.asarray(L @ (vectors @ (root[:, :, None] * inner)))
