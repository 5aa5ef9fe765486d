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

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain

import numpy as np
from scipy import linalg

from replication.models.fit import Array
from replication.models.least_squares import Basis, orthonormal
from replication.models.multilevel.groups import Codes, rows_by_size
from replication.models.multilevel.large_clusters import ChainSolver, adjusted
from replication.models.multilevel.working_model import WorkingModel
from replication.models.options import RobustKind

__all__ = [
    "ClusterMoments",
    "cluster_moments",
    "expected_covariance",
    "moments_of_each",
    "satterthwaite_df",
    "true_covariance",
    "weighted_coefficients",
    "wishart_df",
]

# Residual directions with less than this share of a cluster's working covariance are taken up by the coefficients.
NO_RESIDUAL = 1e-12

# Rows of a cluster from which CR2 goes by resolvents: its matrices take n^3, those n times a hundred and fifty.
LARGE = 400
# What the coefficients leave of a direction of such a cluster, below which digits would be lost that way.
LEAST_LEFT = 1e-6

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
    """Of each of r models: `M (r, p, p)`, coefficients `gamma (r, p)`, and `meat (r, p, p)`, `X'W Phi W X`."""

    M: Array
    gamma: Array
    meat: Array


@dataclass(frozen=True, slots=True, eq=False)
class _Batch:
    """b clusters of n rows of one model or several: which model `of (b,)`, ascending, and which cluster `at (b,)`.

    Design `X (b, n, p)`, covariance `Phi (b, n, n)`, its root `L`, `WX (b, n, p)` and the residuals `e (b, n)` of
    ordinary least squares.
    """

    of: Codes
    at: Codes
    X: Array
    Phi: Array
    L: Array
    WX: Array
    e: Array


@dataclass(frozen=True, slots=True, eq=False)
class _Large:
    """One large cluster, number `at` of model `of`: design `X (n, p)`, `WX (n, p)`, residuals `e (n,)`, its `solver`.

    Weights are the inverse of the working covariance, so `Phi W X` is `X`. `by_matrices` gives it as a batch of one.
    """

    of: int
    at: int
    X: Array
    WX: Array
    e: Array
    solver: ChainSolver
    by_matrices: Callable[[], _Batch]


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
    return moments_of_each([model], [codes], kind)[0]


def moments_of_each(
    models: Sequence[WorkingModel], codes: Sequence[Codes], kind: RobustKind
) -> tuple[ClusterMoments, ...]:
    """As `cluster_moments`, of several models with as many coefficients.

    Clusters of one size are worked on together, whichever model they are of: with a hundred rows a model, what they
    take one by one is the interpreter's time.
    """
    bases = [orthonormal(model.x) for model in models]
    starts = [model.y @ basis.columns for model, basis in zip(models, bases, strict=True)]
    batches, large = _batches(models, codes, bases, starts, apart=kind == "CR2")
    bread = _bread(batches, large, len(models), len(starts[0]))
    p, sizes = len(starts[0]), [int(own.max()) + 1 for own in codes]
    first = np.cumsum([0, *sizes])
    scores, G, F = np.empty((first[-1], p)), np.empty((first[-1], p, p)), np.empty((first[-1], 2 * p, p))
    factor = np.array([_small_sample_factor(kind, m, len(own), p) for m, own in zip(sizes, codes, strict=True)])
    matrices = []
    for one in large:
        at, M = first[one.of] + one.at, bread.M[one.of]
        share = _least_share(one, M)
        # The coefficients take up a whole direction, as an indicator of this cluster does: only matrices tell it apart.
        if share < LEAST_LEFT:
            matrices.append(one.by_matrices)
            continue
        a = adjusted(one.solver, one.X, M, share)
        G[at] = M @ (one.X.T @ one.WX) @ M
        scores[at] = a.T @ (one.e - one.X @ bread.gamma[one.of])
        F[at] = np.concatenate([one.X, one.X], axis=1).T @ a
    # One after the other: those of a single cluster may take half a gigabyte.
    for batch in chain(batches, (make() for make in matrices)):
        at = first[batch.of] + batch.at
        left = _residual_shares(batch, bread)
        # CR0 and its multiples need no adjusted residuals, only their variance
        a = batch.WX @ bread.M[batch.of] * factor[batch.of, None, None]
        if kind == "CR2":
            a, G[at] = _bias_reduced(batch, left, a)
        else:
            seen = np.sqrt(left.share)[:, :, None] * (left.E.mT @ (batch.L.mT @ a))
            G[at] = seen.mT @ seen
        residuals = batch.e - np.einsum("bnp,bp->bn", batch.X, bread.gamma[batch.of])
        scores[at] = np.einsum("bnp,bn->bp", a, residuals)
        F[at] = np.concatenate([batch.X, batch.Phi @ batch.WX], axis=2).mT @ a
    found = []
    for i, (basis, start) in enumerate(zip(bases, starts, strict=True)):
        M, own = bread.M[i], slice(first[i], first[i + 1])
        Psi = np.block([[M @ bread.meat[i] @ M, -M], [-M, np.zeros_like(M)]])
        found.append(ClusterMoments(start + bread.gamma[i], basis.to_beta, scores[own], G[own], F[own], Psi))
    return tuple(found)


def weighted_coefficients(model: WorkingModel, codes: Codes) -> tuple[Array, Array]:
    """Coefficients `(p,)` in the weights of the model, and their covariance `(p, p)` if the working model is right.

    `M X'Wy` and `M X'W Phi W X M`; no group of the working model may reach over two clusters `codes (k,)`.
    """
    basis = orthonormal(model.x)
    start = model.y @ basis.columns
    bread = _bread(*_batches([model], [codes], [basis], [start], apart=False), 1, len(start))
    M, T = bread.M[0], basis.to_beta
    return T @ (start + bread.gamma[0]), T @ M @ bread.meat[0] @ M @ T.T


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
    # Scaled to have expectation I, the entries of the covariance can be counted against a Wishart matrix.
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
    # The variances of the scores: their sum is E V, their squares the first part of Var V.
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
    # Multiples of CR0 by other counts: of clusters, of clusters less coefficients, or as Stata has it, of rows as
    # well.
    if kind == "CR1":
        return float(np.sqrt(m / (m - 1)))
    if kind == "CR1p":
        return float(np.sqrt(m / (m - p))) if m > p else float("nan")
    if kind == "CR1S":
        return float(np.sqrt(m * (k - 1) / ((m - 1) * (k - p)))) if k > p else float("nan")
    return 1.0


def _batches(
    models: Sequence[WorkingModel],
    codes: Sequence[Codes],
    bases: Sequence[Basis],
    starts: Sequence[Array],
    *,
    apart: bool,
) -> tuple[list[_Batch], list[_Large]]:
    """The clusters of all models by their size; those of one model as `rows_by_size` cuts them to fit in memory.

    With `apart` large clusters come by themselves, where they can be inverted without a matrix of their rows.
    """
    pieces: dict[tuple[int, int], list[tuple[int, Codes]]] = {}
    large: list[_Large] = []
    # the residuals of ordinary least squares keep their digits where y has a large common offset
    e = [m.y - basis.columns @ start for m, basis, start in zip(models, bases, starts, strict=True)]
    make = partial(_batch, models, codes, bases, e)
    for i, own in enumerate(codes):
        seen: dict[int, int] = {}
        for rows in rows_by_size(own):
            n = rows.shape[1]
            found = [_as_large(models[i], cluster) for cluster in rows] if apart and n > LARGE else [None] * len(rows)
            for cluster, solver in zip(rows, found, strict=True):
                if solver is not None:
                    X, by_matrices = bases[i].columns[cluster], partial(make, [(i, cluster[None])])
                    WX = np.real(solver.solve(0.0, X))
                    large.append(_Large(i, int(own[cluster[0]]), X, WX, e[i][cluster], solver, by_matrices))
            left = rows[[solver is None for solver in found]]
            if len(left):
                seen[n] = seen.get(n, -1) + 1
                pieces.setdefault((n, seen[n]), []).append((i, left))
    return [make(piece) for piece in pieces.values()], large


def _as_large(model: WorkingModel, rows: Codes) -> ChainSolver | None:
    """What inverts the covariance of a large cluster without matrices; None where only they serve."""
    # Other weights than the inverse covariance leave more than a matrix of low rank.
    return None if model.solver is None or model.weights is not None else model.solver(rows)


def _least_share(one: _Large, M: Array) -> float:
    """The least that the coefficients leave of a direction of the cluster, relative to its working covariance."""
    root = np.linalg.cholesky(M)
    return float(1.0 - np.linalg.eigvalsh(root.T @ (one.X.T @ one.WX) @ root)[-1])


def _batch(
    models: Sequence[WorkingModel],
    codes: Sequence[Codes],
    bases: Sequence[Basis],
    e: Sequence[Array],
    piece: Sequence[tuple[int, Codes]],
) -> _Batch:
    """The clusters of a `piece`: the rows `(b, n)` of each model that has any of this size."""
    X = np.concatenate([bases[i].columns[rows] for i, rows in piece])
    Phi = np.concatenate([models[i].covariance(rows) for i, rows in piece])
    given = [(models[i].weights, rows) for i, rows in piece]
    weights = [_of_clusters(own, rows) for own, rows in given if own is not None]
    WX = np.concatenate(weights) @ X if weights else np.linalg.solve(Phi, X)
    return _Batch(
        of=np.repeat([i for i, _ in piece], [len(rows) for _, rows in piece]),
        at=np.concatenate([codes[i][rows[:, 0]] for i, rows in piece]),
        X=X,
        Phi=Phi,
        L=np.asarray(np.linalg.cholesky(Phi), dtype=float),
        WX=np.asarray(WX, dtype=float),
        e=np.concatenate([e[i][rows] for i, rows in piece]),
    )


def _of_clusters(weights: Array, rows: Codes) -> Array:
    """The weights of the rows `(b, n)` of clusters as matrices `(b, n, n)`."""
    if weights.ndim == 2:
        return np.asarray(weights[rows[:, :, None], rows[:, None, :]])
    return np.asarray(weights[rows][:, :, None] * np.eye(rows.shape[1]))


def _bread(batches: Sequence[_Batch], large: Sequence[_Large], models: int, p: int) -> _Bread:
    A, b, meat = np.zeros((models, p, p)), np.zeros((models, p)), np.zeros((models, p, p))
    for batch in batches:
        starts = np.flatnonzero(np.diff(batch.of, prepend=-1))
        of = batch.of[starts]
        A[of] += np.add.reduceat(batch.X.mT @ batch.WX, starts)
        b[of] += np.add.reduceat(np.einsum("bni,bn->bi", batch.WX, batch.e), starts)
        meat[of] += np.add.reduceat(batch.WX.mT @ (batch.Phi @ batch.WX), starts)
    for one in large:
        own = one.X.T @ one.WX
        A[one.of] += own
        b[one.of] += one.WX.T @ one.e
        meat[one.of] += own
    # On an orthonormal basis A is well conditioned, whatever units the moderators came in.
    M = np.asarray(np.linalg.inv(A), dtype=float)
    return _Bread(M, np.einsum("rij,rj->ri", M, b), meat)


def _residual_shares(batch: _Batch, bread: _Bread) -> _Residuals:
    """What the coefficients leave of every direction of the clusters, relative to their working covariance.

    `Omega = L (I - K) L'`: the cut and the eigenvalues are those of `I - K`, so that variances of any scale in one
    cluster keep their directions.
    """
    Z, T = np.linalg.solve(batch.L, batch.X), np.linalg.solve(batch.L, batch.Phi @ batch.WX)
    cross = Z @ bread.M[batch.of] @ T.mT
    # With the inverse of the working covariance as weights this term and one of the two crosses cancel; other weights
    # keep all three.
    both = (bread.M @ bread.meat @ bread.M)[batch.of]
    # In place, as are few sums here: of a cluster of thousands of rows each matrix is tens of megabytes.
    left = np.eye(Z.shape[1]) - cross
    left -= cross.mT
    del cross
    left += Z @ both @ Z.mT
    share, E = np.linalg.eigh(left)
    return _Residuals(E, np.where(share > NO_RESIDUAL * share[:, -1:], share, 0.0))


def _bias_reduced(batch: _Batch, left: _Residuals, a: Array) -> tuple[Array, Array]:
    """`A_i W_i X_i M` with the CR2 adjustment `A_i`, and the expected products `G_i` of the scores.

    `L' Omega L = R R'` with `R = L'L E diag(root share)`: singular values of R keep the digits that eigenvalues of the
    product, on a squared scale, would lose.
    """
    Lt = batch.L.mT
    vectors, values = _singular(lambda: (Lt @ batch.L) @ (left.E * np.sqrt(left.share)[:, None, :]))
    kept = np.arange(values.shape[1]) < (left.share > 0).sum(axis=1, keepdims=True)
    root = np.where(kept, 1.0 / np.where(kept, values, 1.0), 0.0)
    inner = vectors.mT @ (Lt @ a)
    seen = np.where(kept[:, :, None], inner, 0.0)
    return np.asarray(batch.L @ (vectors @ (root[:, :, None] * inner))), np.asarray(seen.mT @ seen)


def _singular(products: Callable[[], Array]) -> tuple[Array, Array]:
    """Left singular vectors and singular values of a stack of square matrices, made when it is asked for."""
    R = products()
    try:
        if len(R) == 1 and R.shape[1] > LARGE:
            # Three matrices fewer at once than by numpy; transposed it is read, and overwritten, where it stands.
            _, values, turned = linalg.svd(R[0].T, overwrite_a=True, check_finite=False)
            return turned.T[None], values[None]
        return np.linalg.svd(R)[:2]
    except np.linalg.LinAlgError:  # LAPACK's quick way gives up now and then; its older one does not
        found = [linalg.svd(one, lapack_driver="gesvd")[:2] for one in products()]
        return np.stack([vectors for vectors, _ in found]), np.stack([values for _, values in found])
