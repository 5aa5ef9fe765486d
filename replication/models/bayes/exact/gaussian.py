"""y given the standard deviations: coefficients and effects integrated out, for whole grids of them at once.

The model is `y = X beta + Z b + w + e` with `b ~ N(0, tau_b^2)` per cluster, `w ~ N(0, tau_w^2)` per row and known
`Cov(e) = V`, block-diagonal by cluster. Two ideas:

1. Each block of V is rotated onto its eigenvectors once. Then `V + tau_w^2 I` is diagonal for every tau_w, and a
   cluster adds one rank: `tau_b^2 u u'`, with u the rotated column of ones. Any V costs what a diagonal one costs.
2. Sums over rows depend on tau_w alone. What is left per (tau_w, tau_b) are m clusters with a precision g, a mean and
   a design row each; residual sums are sums of squares, so nothing cancels.

Shapes: R grids, `tau_w (R, a)`, `tau_b (R, b)`; results `(R, a, b, ...)`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from replication.errors import ModelError
from replication.models.fit import Array
from replication.models.multilevel.groups import Codes, rows_by_size
from replication.models.multilevel.structure import BlockV
from replication.models.prepare import list_rows

__all__ = [
    "Blocks",
    "Effects",
    "Likelihood",
    "effect_moments",
    "equilibrated",
    "full_rank",
    "likelihood",
    "make_blocks",
]


@dataclass(frozen=True, slots=True, eq=False)
class Blocks:
    """Data in rotated coordinates, rows sorted by cluster: `y (k,)`, `x (k, p)`, `u (k,)`, eigenvalues `lam (k,)`.

    `starts (m,)` is the first row of each cluster, `order (k,)` the row of the input at each place. `turns` holds, for
    blocks of each size, their rows `(b, n)` and eigenvectors `(b, n, n)`; empty where V is diagonal. `full_rank`: the
    columns of x are independent.
    """

    y: Array
    x: Array
    u: Array
    lam: Array
    starts: Codes
    order: Codes
    turns: tuple[tuple[Codes, Array], ...]
    full_rank: bool

    @property
    def cluster(self) -> Codes:
        """Cluster of each row `(k,)`."""
        sizes = np.diff(np.append(self.starts, len(self.y)))
        return np.repeat(np.arange(len(self.starts)), sizes)


@dataclass(frozen=True, slots=True, eq=False)
class Likelihood:
    """What the data say at given standard deviations, effects and coefficients integrated out.

    What the data say at given sds: generalised least squares `beta (..., p)`, its precision `A (..., p, p)`, the
    residual sum of squares `rss (...)` and `logdet (...)` of the covariance of y.
    """

    beta: Array
    A: Array
    rss: Array
    logdet: Array


@dataclass(frozen=True, slots=True, eq=False)
class Effects:
    """Moments of the true effects given the sds: `mean (N, k)`, `variance (N, k)`."""

    mean: Array
    variance: Array


@dataclass(frozen=True, slots=True, eq=False)
class _Rows:
    """Sums over the rows of each cluster at `tau_w`, flattened to `(N, ...)`.

    Precision `s (N, m)`, means `y (N, m)` and `x (N, m, p)`; sums of squares within clusters `yy (N,)`, `xy (N, p)`,
    `xx (N, p, p)`; `logdet (N,)`.
    """

    s: Array
    y: Array
    x: Array
    yy: Array
    xy: Array
    xx: Array
    logdet: Array


def make_blocks(y: Array, V: BlockV, x: Array, cluster: Codes | None) -> Blocks:
    """Sort by cluster and rotate every block of V onto its eigenvectors.

    `cluster (k,)` holds codes 0..m-1, and V links rows of one cluster only; None makes each rotated row a cluster.
    """
    k = len(y)
    codes = np.arange(k) if cluster is None else cluster
    # Stable, so that rows of a cluster keep the order of the input and results do not hang on the sort.
    order = np.argsort(codes, kind="stable")
    starts = np.flatnonzero(np.diff(codes[order], prepend=-1))
    y, x, u, lam, sorted_v = y[order].copy(), x[order].copy(), np.ones(k), V.variances[order].copy(), V.take(order)
    turns = []
    if not V.is_diagonal:
        groups = sorted_v.codes if cluster is None else codes[order]
        for rows in rows_by_size(np.asarray(groups)):
            lam[rows], q = _eigen(sorted_v.sub_blocks(rows), order[rows])
            y[rows], x[rows] = (q.swapaxes(1, 2) @ y[rows][..., None])[..., 0], q.swapaxes(1, 2) @ x[rows]
            if cluster is not None:
                u[rows] = q.sum(axis=1)
            turns.append((rows, q))
    return Blocks(y, x, u, lam, starts, order, tuple(turns), full_rank(x))


def full_rank(x: Array) -> bool:
    """Whether the columns of `x (k, p)` are independent."""
    return x.shape[1] == 0 or bool(np.linalg.matrix_rank(x) == x.shape[1])


def _eigen(blocks: Array, rows: Codes) -> tuple[Array, Array]:
    """Eigenvalues `(b, n)` and eigenvectors `(b, n, n)` of blocks; those that are no covariance are refused by row."""
    values, vectors = np.linalg.eigh(blocks)
    # A covariance that is just semidefinite has eigenvalues a rounding below 0: these are taken for 0, no others.
    bad = values[:, 0] < -1e-10 * np.maximum(values[:, -1], 0.0)
    if bad.any():
        at = int(np.argmax(bad))
        raise ModelError(
            f"the sampling covariance of {list_rows(rows[at].tolist())} is not positive semidefinite "
            f"(smallest eigenvalue {values[at, 0]:.3g}); check the correlations it was built from."
        )
    return np.maximum(values, 0.0), vectors


def likelihood(blocks: Blocks, tau_w: Array, tau_b: Array) -> Likelihood:
    """Generalised least squares on the grid `tau_w (R, a)` by `tau_b (R, b)`; results `(R, a, b, ...)`."""
    R, a, b, p = len(tau_w), tau_w.shape[1], tau_b.shape[1], blocks.x.shape[1]
    rows = _row_sums(blocks, tau_w.reshape(-1))
    between = np.repeat(tau_b, a, axis=0)[:, :, None] ** 2
    # By 1 + tau_b^2 s and its log1p, a cluster without spread between costs no digits.
    shrink = between * rows.s[:, None, :]
    g = rows.s[:, None, :] / (1.0 + shrink)
    logdet = rows.logdet[:, None] + np.log1p(shrink).sum(axis=-1)
    A = rows.xx[:, None] + _outer_sums(g, rows.x)
    beta = _least_squares(rows, g, A, full=blocks.full_rank)
    rss = _within(rows, beta) + (g * _residuals(rows, beta) ** 2).sum(axis=-1)
    shape = (R, a, b)
    return Likelihood(beta.reshape(*shape, p), A.reshape(*shape, p, p), rss.reshape(shape), logdet.reshape(shape))


def _row_sums(blocks: Blocks, tau_w: Array) -> _Rows:
    """The sums over rows for flat `tau_w (N,)`."""
    d = blocks.lam + tau_w[:, None] ** 2
    # A known effect (V = 0) at tau_w = 0 has infinite weight, which is no mistake.
    with np.errstate(divide="ignore"):
        w = 1.0 / d
    logdet = np.log(d).sum(axis=1)
    N, p = len(tau_w), blocks.x.shape[1]
    # Each row its own cluster: nothing to sum within, as in the two-level model.
    if len(blocks.starts) == len(blocks.y):
        x = np.broadcast_to(blocks.x / blocks.u[:, None], (N, *blocks.x.shape))
        y = np.broadcast_to(blocks.y / blocks.u, w.shape)
        return _Rows(w * blocks.u**2, y, x, np.zeros(N), np.zeros((N, p)), np.zeros((N, p, p)), logdet)
    return _cluster_sums(blocks, w, logdet)


def _cluster_sums(blocks: Blocks, w: Array, logdet: Array) -> _Rows:
    starts, cluster, u = blocks.starts, blocks.cluster, blocks.u
    wu = w * u
    s = np.add.reduceat(wu * u, starts, axis=1)
    y = np.add.reduceat(wu * blocks.y, starts, axis=1) / s
    x = np.add.reduceat(wu[:, :, None] * blocks.x, starts, axis=1) / s[:, :, None]
    # Deviations from the mean of the cluster first, squares after: a common offset of y then cancels exactly.
    ey = blocks.y - u * y[:, cluster]
    ex = blocks.x - u[:, None] * x[:, cluster]
    wex = w[:, :, None] * ex
    return _Rows(s, y, x, (w * ey**2).sum(1), (wex * ey[:, :, None]).sum(1), wex.swapaxes(1, 2) @ ex, logdet)


def _outer_sums(g: Array, x: Array) -> Array:
    """`sum_c g_c x_c x_c'` for `g (N, b, m)`, `x (N, m, p)`: `(N, b, p, p)`."""
    p = x.shape[-1]
    products = (x[..., :, None] * x[..., None, :]).reshape(*x.shape[:-1], p * p)
    return _weighted(g, products).reshape(*g.shape[:-1], p, p)


def _weighted(g: Array, x: Array) -> Array:
    """`sum_c g_c x_c` for `g (N, b, m)`, `x (N, m, q)`: `(N, b, q)`; without BLAS where its products would be thin."""
    return np.asarray((g.swapaxes(1, 2) * x).sum(axis=1)[:, None] if g.shape[1] == 1 else g @ x)


def _residuals(rows: _Rows, beta: Array) -> Array:
    """Cluster means minus their fitted values `(N, b, m)`."""
    if beta.shape[-1] == 1:
        return np.asarray(rows.y[:, None, :] - beta * rows.x[:, None, :, 0])
    return np.asarray(rows.y[:, None, :] - beta @ rows.x.swapaxes(1, 2))


def _least_squares(rows: _Rows, g: Array, A: Array, *, full: bool) -> Array:
    """Generalised least squares `(N, b, p)`, with one step of refinement: weights may differ by orders of magnitude."""
    beta = _solve(A, rows.xy[:, None] + _weighted(g * rows.y[:, None], rows.x), full=full)
    # one coefficient, the usual case: a division, no matrix
    if A.shape[-1] == 1:
        return beta
    gradient = (
        rows.xy[:, None] - (rows.xx[:, None] @ beta[..., None])[..., 0] + _weighted(g * _residuals(rows, beta), rows.x)
    )
    return np.asarray(beta + _solve(A, gradient, full=full))


def _within(rows: _Rows, beta: Array) -> Array:
    """Residual sum of squares within clusters `(N, b)`."""
    curve = ((rows.xx[:, None] @ beta[..., None])[..., 0] * beta).sum(-1)
    # a sum of squares that rounding took below 0 is 0
    return np.asarray(np.maximum(rows.yy[:, None] - 2.0 * (beta * rows.xy[:, None]).sum(-1) + curve, 0.0))


def _solve(A: Array, b: Array, *, full: bool) -> Array:
    """`A^-1 b`; the shortest solution where columns of the design depend on each other."""
    if not full:
        return np.asarray((np.linalg.pinv(A, rcond=1e-10, hermitian=True) @ b[..., None])[..., 0])
    if A.shape[-1] == 1:
        return np.asarray(b / A[..., 0])
    # columns of very different length would cost half the digits
    even, root = equilibrated(A)
    return np.asarray(np.linalg.solve(even, (b / root)[..., None])[..., 0] / root)


def equilibrated(A: Array) -> tuple[Array, Array]:
    """`A (..., p, p)` scaled to a diagonal of 1, and the roots `(..., p)` it was divided by on both sides.

    Coefficients of very different precision (calendar years beside an intercept, far out along tau) keep their digits.
    """
    diagonal = np.diagonal(A, axis1=-2, axis2=-1)
    root = np.sqrt(np.where(diagonal > 0.0, diagonal, 1.0))
    return A / root[..., :, None] / root[..., None, :], root


def effect_moments(blocks: Blocks, tau_w: Array, tau_b: Array, beta: Array, covariance: Array) -> Effects:
    """True effects given `N` pairs of sds: shrunken means and variances, in the order of the input.

    `tau_w, tau_b (N,)`; `beta (N, p)` and `covariance (N, p, p)` are the moments of the coefficients.
    """
    lam, cluster, starts = blocks.lam, blocks.cluster, blocks.starts
    d = lam + tau_w[:, None] ** 2
    w, share = 1.0 / d, lam / d
    wu = w * blocks.u
    g = tau_b[:, None] ** 2 / (1.0 + tau_b[:, None] ** 2 * np.add.reduceat(wu * blocks.u, starts, axis=1))

    def shrink(values: Array) -> Array:
        """`V Sigma^-1 values` for values (N, k)."""
        return np.asarray(share * (values - blocks.u * (g * np.add.reduceat(wu * values, starts, axis=1))[:, cluster]))

    mean = blocks.y - shrink(blocks.y - beta @ blocks.x.T)
    columns = [shrink(np.broadcast_to(column, d.shape)) for column in blocks.x.T]
    pull = np.stack(columns, axis=-1) if columns else np.zeros((*d.shape, 0))
    own, shared = lam * tau_w[:, None] ** 2 * w, share * blocks.u
    mean, shared, own = _turn(blocks, mean), _turn(blocks, shared), _turn(blocks, own, squared=True)
    pull = np.stack([_turn(blocks, pull[..., j]) for j in range(pull.shape[-1])], axis=-1) if columns else pull
    variance = own + g[:, cluster] * shared**2 + ((pull @ covariance) * pull).sum(-1)
    # rows were sorted by cluster; the caller gets them back in the order passed
    back = np.argsort(blocks.order)
    return Effects(mean[:, back], variance[:, back])


def _turn(blocks: Blocks, values: Array, *, squared: bool = False) -> Array:
    """Columns of `values (N, k)` out of the rotated coordinates; `squared` moves variances instead."""
    out = values.copy()
    for rows, q in blocks.turns:
        out[:, rows] = np.einsum("nbj,bij->nbi", values[:, rows], q**2 if squared else q)
    return out
