"""Weighted least squares at a given tau2: the one kernel under every estimator, single or in bulk.

Two ideas:

1. Everything carries a leading axis of B data sets, so a single fit is a batch of one and both give the same numbers.
   Shapes: `y, v, counts (B, 1, k)`, `tau2 (B, G)` for G trial values a set, hence `w (B, G, k)`. A first axis of
   length 1 is shared by all sets. `counts` says how often a row is used (bootstrap); 0 leaves it out (subsets).
2. The design is replaced by an orthonormal basis of its columns and `y` by its least-squares residuals, so scale,
   shift and badly scaled moderators cost no digits. With `P = W - W X (X'WX)^-1 X'W` as in the literature,
   `y'Py`, `tr P`, `tr PP` and the like do not depend on the basis.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from replication.models.fit import Array

__all__ = [
    "COLLINEAR",
    "Basis",
    "EffectSets",
    "Weighted",
    "effect_sets",
    "log_likelihood",
    "moments",
    "orthonormal",
    "quadratic_PP",
    "quadratic_PPP",
    "residuals",
    "rss",
    "single_set",
    "stacked_orthonormal",
    "take",
    "trace_P",
    "trace_PP",
    "weighted_at",
    "weighted_with",
]


# A column whose residual after the columns before it is this small (relative to its length) is one of their sums.
COLLINEAR = 1e-10


@dataclass(frozen=True, slots=True, eq=False)
class EffectSets:
    """B data sets of k effects. `start (B, p)` is the least-squares fit already taken out of `y`.

    `basis (B or 1, k, p)` has orthonormal columns; `products (B or 1, k, p * p)` are its row-wise outer products.
    `floor (B, 1)` is the least trial tau2 and `offset (B, 1)`, the least variance in use, the scale it is searched on.
    `weights (B or 1, 1, k)` are the user's, for the coefficients only; None means `1 / (v + tau2)`.
    """

    y: Array
    v: Array
    counts: Array
    basis: Array
    products: Array
    start: Array
    floor: Array
    offset: Array
    weights: Array | None = None

    @property
    def k(self) -> Array:
        """Rows in use per set `(B, 1)`, counting repeats."""
        return np.asarray(self.counts.sum(-1))

    @property
    def p(self) -> int:
        """Number of coefficients."""
        return int(self.basis.shape[-1])

    @property
    def size(self) -> int:
        """Number of data sets B."""
        return max(len(self.y), len(self.v), len(self.counts), len(self.basis))


@dataclass(frozen=True, slots=True, eq=False)
class Basis:
    """Orthonormal `columns (..., k, p)` of designs and `to_beta (..., p, p)`: `beta = to_beta @ gamma`."""

    columns: Array
    to_beta: Array


@dataclass(frozen=True, slots=True, eq=False)
class Weighted:
    """The weighted least-squares fit at `tau2 (B, G)`: weights `w`, `cw` = counts x w, residuals `e (B, G, k)`,

    coefficients on the basis `gamma (B, G, p)`, `A = X'WX` and its inverse `M (B, G, p, p)`.
    """

    w: Array
    cw: Array
    e: Array
    gamma: Array
    A: Array
    M: Array


def effect_sets(
    y: Array, v: Array, basis: Array, counts: Array | None = None, weights: Array | None = None
) -> EffectSets:
    """Build `EffectSets` from `y, v, counts, weights (B or 1, k)` and an orthonormal `basis (B or 1, k, p)`."""
    c = np.ones((1, y.shape[-1])) if counts is None else counts
    products = (basis[..., :, None] * basis[..., None, :]).reshape(*basis.shape[:-1], -1)
    start = y[:, None, :] @ basis
    centred = y - (start @ basis.mT)[:, 0]
    floor, offset = _search_start(centred, v, c)
    user = None if weights is None else weights[:, None]
    return EffectSets(centred[:, None], v[:, None], c[:, None], basis, products, start[:, 0], floor, offset, user)


def _search_start(y: Array, v: Array, counts: Array) -> tuple[Array, Array]:
    """Floor 0 and offset v_min; where v_min is 0, and so the weights at tau2 = 0 infinite, both are a tiny tau2:

    a millionth of the least positive variance (of the mean square of `y`, where there is none).
    """
    used = counts > 0
    least = np.where(used, v, np.inf).min(-1, keepdims=True)
    if (least > 0).all():
        return np.zeros_like(least), least
    positive = np.where(used & (v > 0), v, np.inf).min(-1, keepdims=True)
    square = np.where(used, y * y, 0.0).mean(-1, keepdims=True)
    tiny = 1e-6 * np.where(np.isfinite(positive), positive, np.where(square > 0, square, 1.0))
    return np.where(least > 0, 0.0, tiny), np.where(least > 0, least, tiny)


def orthonormal(x: Array) -> Basis:
    """Orthonormal columns spanning those of `x (k, p)`, which must have full rank."""
    stacked, _ = stacked_orthonormal(x[None])
    return Basis(stacked.columns[0], stacked.to_beta[0])


def stacked_orthonormal(x: Array) -> tuple[Basis, NDArray[np.bool_]]:
    """The same for designs `x (B, k, p)`, and which of them have full rank `(B,)`; the others' basis is arbitrary."""
    lengths = np.sqrt((x * x).sum(-2))
    safe = np.where(lengths > 0, lengths, 1.0)
    if x.shape[-1] == 1:
        return Basis(x / safe[..., None, :], 1.0 / safe[..., None]), lengths[..., 0] > 0
    q, r = np.linalg.qr(x / safe[..., None, :])
    full = np.abs(np.diagonal(r, axis1=-2, axis2=-1)).min(-1) > COLLINEAR
    r = np.where(full[..., None, None], r, np.eye(x.shape[-1]))
    return Basis(np.asarray(q), np.asarray(np.linalg.inv(r) / safe[..., None])), full


def single_set(y: Array, v: Array, basis: Basis, weights: Array | None = None) -> EffectSets:
    """One data set `y, v, weights (k,)` as a batch of one."""
    return effect_sets(y[None], v[None], basis.columns[None], weights=None if weights is None else weights[None])


def take(sets: EffectSets, index: NDArray[np.intp]) -> EffectSets:
    """The data sets at `index`, in that order; a shared axis stays shared."""

    def pick(array: Array) -> Array:
        return array if len(array) == 1 else array[index]

    return EffectSets(
        pick(sets.y),
        pick(sets.v),
        pick(sets.counts),
        pick(sets.basis),
        pick(sets.products),
        pick(sets.start),
        pick(sets.floor),
        pick(sets.offset),
        None if sets.weights is None else pick(sets.weights),
    )


def moments(sets: EffectSets, weights: Array) -> Array:
    """`sum_i weights_i x_i x_i'` as `(B, G, p, p)` for `weights (B, G, k)`."""
    p = sets.p
    return np.asarray(_project(weights, sets.products)).reshape(*weights.shape[:-1], p, p)


def _project(values: Array, basis: Array) -> Array:
    """`values (B, G, k) @ basis (B or 1, k, m)`: one matrix product where the basis is shared."""
    if len(basis) == 1:
        flat = values.reshape(-1, values.shape[-1]) @ basis[0]
        return np.asarray(flat.reshape(*values.shape[:-1], basis.shape[-1]))
    return np.asarray(values @ basis)


def _inverse(A: Array) -> Array:
    """Inverse of symmetric `A (..., p, p)`, written out for p of 1 and 2."""
    if A.shape[-1] == 1:
        return np.asarray(1.0 / A)
    if A.shape[-1] > 2:
        return np.asarray(np.linalg.inv(A), dtype=np.float64)
    a, b, d = A[..., 0, 0], A[..., 0, 1], A[..., 1, 1]
    return np.stack([d, -b, -b, a], axis=-1).reshape(A.shape) / (a * d - b * b)[..., None, None]


def weighted_with(sets: EffectSets, w: Array) -> Weighted:
    """Fit every set with the weights `w (B, G, k)`."""
    cw = w * sets.counts
    A = moments(sets, cw)
    M = _inverse(A)
    gamma = np.vecmat(_project(cw * sets.y, sets.basis), M)
    return Weighted(w, cw, residuals(sets, gamma), gamma, A, M)


def residuals(sets: EffectSets, gamma: Array) -> Array:
    """Residuals `(B, G, k)` of the coefficients `gamma (B, G, p)`."""
    return np.asarray(sets.y - gamma @ sets.basis.mT)


def weighted_at(sets: EffectSets, tau2: Array) -> Weighted:
    """Fit every set at `tau2 (B, G)` with weights `1 / (v + tau2)`."""
    return weighted_with(sets, 1.0 / (sets.v + tau2[..., None]))


def rss(fit: Weighted) -> Array:
    """`y'Py (B, G)`: the weighted residual sum of squares, Cochran's Q at tau2 = 0."""
    return np.asarray(np.vecdot(fit.cw * fit.e, fit.e))


def trace_P(sets: EffectSets, fit: Weighted, d: Array | float = 1.0) -> Array:  # noqa: N802
    """`tr PD (B, G)` for a diagonal `D = diag(d)`, the identity by default."""
    wd = fit.cw * d
    return np.asarray(wd.sum(-1) - _frobenius(fit.M, moments(sets, wd * fit.w)))


def trace_PP(sets: EffectSets, fit: Weighted, d: Array | float = 1.0) -> Array:  # noqa: N802
    """`tr PDPD (B, G)` for a diagonal `D = diag(d)`, the identity by default."""
    wd = fit.w * d
    c1 = fit.cw * wd
    c2 = c1 * d
    M2 = fit.M @ moments(sets, c1)
    return np.asarray(c2.sum(-1) - 2.0 * _frobenius(fit.M, moments(sets, c2 * fit.w)) + _frobenius(M2, M2.mT))


def _frobenius(A: Array, B: Array) -> Array:
    """`sum_ij A_ij B_ij`, the trace of `A'B`."""
    return np.asarray((A * B)[..., 0, 0] if A.shape[-1] == 1 else (A * B).sum((-1, -2)))


def quadratic_PP(fit: Weighted) -> Array:  # noqa: N802
    """`y'PPy (B, G)`: minus the slope of `y'Py` in tau2."""
    return np.asarray(np.vecdot(fit.cw * fit.e, fit.w * fit.e))


def quadratic_PPP(sets: EffectSets, fit: Weighted) -> Array:  # noqa: N802
    """`y'PPPy (B, G)`: minus half the slope of `y'PPy` in tau2."""
    u = fit.w * fit.e
    cwu = fit.cw * u
    z = _project(cwu, sets.basis)
    return np.asarray(np.vecdot(cwu, u) - np.vecdot(z, np.vecmat(z, fit.M)))


def log_likelihood(sets: EffectSets, fit: Weighted, *, restricted: bool) -> Array:
    """Normal log-likelihood `(B, G)`, restricted or not, up to the term `0.5 log det X'X` (0 on the basis used)."""
    df = sets.k - sets.p if restricted else sets.k
    with np.errstate(divide="ignore"):
        value = -0.5 * (df * np.log(2.0 * np.pi) - (sets.counts * np.log(fit.w)).sum(-1) + rss(fit))
    return np.asarray(value - 0.5 * np.linalg.slogdet(fit.A)[1] if restricted else value)
