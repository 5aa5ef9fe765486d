"""Weighted least squares at a given tau2: the one kernel under every estimator, single or in bulk.

Three ideas:

1. Everything carries a leading axis of B data sets, so a single fit is a batch of one and both give the same numbers.
   Shapes: `y, v, counts (B, 1, k)`, `tau2 (B, G)` for G trial values a set, hence `w (B, G, k)`. A first axis of
   length 1 is shared by all sets. `counts` says how often a row is used (bootstrap); 0 leaves it out (subsets).
2. With `U` an orthonormal basis of the columns of `W^1/2 X`, the matrix `P = W - W X (X'WX)^-1 X'W` of the literature
   is `W^1/2 (I - UU') W^1/2`, so `y'Py`, `tr P`, `tr PP` and the like need no inverse and lose few digits, also where
   weights differ by many powers of ten. `y` is replaced by its least-squares residuals, so a shift costs none either.
3. Where there is but one column these are a few sums over rows (`OneColumn`), and where there is but one data set too,
   plain numbers (`OneMean`): calls on arrays of a few rows cost more than what they compute.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from replication.models.fit import Array

__all__ = [
    "CANCELLED",
    "COLLINEAR",
    "Basis",
    "Coefficients",
    "EffectSets",
    "OneColumn",
    "OneMean",
    "OneMeanSums",
    "Weighted",
    "coefficients",
    "cross",
    "effect_sets",
    "log_likelihood",
    "one_column",
    "orthonormal",
    "quadratic_PP",
    "quadratic_PPP",
    "raw_effects",
    "rss",
    "single_set",
    "span",
    "stacked_orthonormal",
    "sum_of_squares",
    "take",
    "trace_P",
    "trace_PP",
    "weighted_at",
    "weighted_with",
]

# A column whose residual after the columns before it is this small (relative to its length) is one of their sums.
COLLINEAR = 1e-10

# From so many coefficients on, matrix products cost less than one vector operation per coefficient.
MANY = 8
# Weights that differ by less than this factor cost one pass of Cholesky no more than two of sixteen digits.
ALIKE = 100.0
# Departure from orthogonality after one pass above which a second no longer repairs it.
LOST = 1e-4
# Variances and sums of squares from here to its inverse have a cube that is a float.
TINY = 1e-60
# A sum this small beside its terms has lost too many digits to be taken as a difference.
CANCELLED = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class EffectSets:
    """B data sets of k effects. `start (B, p)` is the least-squares fit already taken out of `y`.

    `columns (B or 1, p, k)` are the orthonormal columns of the design. `floor (B, 1)` is the least trial tau2 and
    `offset (B, 1)`, the least variance in use, the scale it is searched on. `weights (B or 1, 1, k)` are the user's,
    for the coefficients only; None means `1 / (v + tau2)`. `alone` is the quicker kernel of a single data set.
    """

    y: Array
    v: Array
    counts: Array
    columns: Array
    start: Array
    floor: Array
    offset: Array
    weights: Array | None = None
    alone: OneMean | None = None

    @property
    def k(self) -> Array:
        """Rows in use per set `(B, 1)`, counting repeats."""
        return np.asarray(self.counts.sum(-1))

    @property
    def p(self) -> int:
        """Number of coefficients."""
        return int(self.columns.shape[-2])

    @property
    def size(self) -> int:
        """Number of data sets B."""
        return max(len(self.y), len(self.v), len(self.counts), len(self.columns))


class OneMeanSums(NamedTuple):
    """All that estimators of one data set with one coefficient need at a tau2; letters as in `OneColumn`.

    A named tuple, as one is made at every trial value: a frozen dataclass would take longer than the sums in it.

    `gamma` is the coefficient on the basis, `information` is `x'Wx`, `square` is `y'Wy`; `trace` and `trace_ww` are
    `tr W` and `tr WW`, `trace_p` and `trace_pp` are `tr P` and `tr PP`.
    """

    gamma: float
    information: float
    square: float
    rss: float
    PP: float
    PPP: float
    trace: float
    trace_ww: float
    trace_p: float
    trace_pp: float


@dataclass(frozen=True, slots=True, eq=False)
class OneMean:
    """A single data set with one coefficient, most fits there are: `v (k,)` and the `products (k, 4)` 1, xx, xy, yy.

    One product of powers of the weights with these holds every sum; the arrays with leading axes would take several
    times as long in calls alone. The sums are differences, so this is only for variances within a factor ALIKE: as y
    is least-squares residuals, `y'PPy` then is no less than a ten-thousandth of its terms.
    """

    v: Array
    products: Array

    def at(self, tau2: list[float]) -> list[OneMeanSums]:
        """The sums at each `tau2`."""
        w = 1.0 / (self.v + np.array(tau2)[:, None])
        ww, products = w * w, self.products
        first, second, third = (w @ products).tolist(), (ww @ products).tolist(), (ww * w @ products).tolist()
        return [_one_mean_sums(*rows) for rows in zip(first, second, third, strict=True)]


def _one_mean_sums(first: list[float], second: list[float], third: list[float]) -> OneMeanSums:
    """From the sums of the products weighted by W, WW and WWW."""
    (w, xwx, xwy, ywy), (w2, xw2x, xw2y, yw2y), (_, xw3x, xw3y, yw3y) = first, second, third
    m, share = xwy / xwx, xw2x / xwx
    PP = yw2y - m * (2.0 * xw2y - m * xw2x)
    # x'WPy is 0, x'WWPy is not
    PPP = yw3y - m * (2.0 * xw3y - m * xw3x) - (xw2y - m * xw2x) ** 2 / xwx
    return OneMeanSums(m, xwx, ywy, ywy - m * xwy, PP, PPP, w, w2, w - share, w2 - 2.0 * xw3x / xwx + share * share)


def _one_mean(y: Array, v: Array, x: Array) -> OneMean | None:
    """The quick kernel of one data set, None where its differences would lose digits or leave the range of floats."""
    least, most = float(v.min()), float(v.max())
    if len(y) == 1 or not (least > TINY and most < min(ALIKE * least, 1.0 / TINY)):
        return None
    if not float(np.abs(y).max()) < TINY**-0.5:
        return None
    products = np.empty((4, len(y)))
    products[0] = 1.0
    np.multiply(x, x, out=products[1])
    np.multiply(x, y, out=products[2])
    np.multiply(y, y, out=products[3])
    squares = float(products[3].sum())
    # residuals that still lean on the column are rounding: equal effects leave such
    if not squares > TINY or float(products[2].sum()) ** 2 > CANCELLED * squares:
        return None
    return OneMean(v, products.T)


@dataclass(frozen=True, slots=True, eq=False)
class Basis:
    """Orthonormal `columns (..., k, p)` of designs and `to_beta (..., p, p)`: `beta = to_beta @ gamma`."""

    columns: Array
    to_beta: Array


@dataclass(frozen=True, slots=True, eq=False)
class Weighted:
    """The weighted least-squares fit with weights `w (B, G, k)`, every row scaled by the root of `counts * w`.

    `z (B, G, k)` are the scaled effects, `e` their residuals, `U (B, G, p, k)` the orthonormal columns
    of the scaled design, `h (B, G, k)` its leverages and `logdet (B, G)` the log determinant of `X'WX`.
    """

    w: Array
    z: Array
    e: Array
    U: Array
    h: Array
    logdet: Array


@dataclass(frozen=True, slots=True, eq=False)
class Coefficients:
    """On the basis: `gamma (B, G, p)` and `inverse (B, G, p, p)`, that of the triangle `R` with `W^1/2 X = UR`."""

    gamma: Array
    inverse: Array

    @property
    def cov(self) -> Array:
        """`(X'WX)^-1 (B, G, p, p)`."""
        return np.asarray(self.inverse @ self.inverse.mT)


def effect_sets(
    y: Array, v: Array, basis: Array, counts: Array | None = None, weights: Array | None = None
) -> EffectSets:
    """Build `EffectSets` from `y, v, counts, weights (B or 1, k)` and an orthonormal `basis (B or 1, k, p)`."""
    c = np.ones((1, y.shape[-1])) if counts is None else counts
    one = len(basis) == 1  # a design in common: one product for all sets instead of one a set
    start = (y @ basis[0])[:, None] if one else y[:, None, :] @ basis
    # an offset of 1e6 would eat ten digits of every sum of squares
    centred = start[:, 0] @ basis[0].T if one else (start @ basis.mT)[:, 0]
    np.subtract(y, centred, out=centred)
    if counts is not None and (v == 0).any():
        v = np.where(c > 0, v, 1.0)  # a row not in use must not weigh infinitely
    floor, offset = _search_start(centred, v, counts)
    user = None if weights is None else weights[:, None]
    columns = np.ascontiguousarray(basis.mT)
    single = counts is None and columns.shape[-2] == len(columns) == len(centred) == len(v) == 1
    alone = _one_mean(centred[0], v[0], columns[0, 0]) if single else None
    return EffectSets(centred[:, None], v[:, None], c[:, None], columns, start[:, 0], floor, offset, user, alone)


def _search_start(y: Array, v: Array, counts: Array | None) -> tuple[Array, Array]:
    """The lowest tau2 that is searched, and the offset added to it, per data set.

    Usually 0 and the smallest sampling variance. Where that variance is 0 the weights at tau2 = 0 would be infinite, so
    both are a tiny tau2: a millionth of the least positive variance (of the mean square of `y`, where there is none).
    """
    used = np.ones((1, 1), dtype=bool) if counts is None else counts > 0
    least = (v if counts is None else np.where(used, v, np.inf)).min(-1, keepdims=True)
    if (least > 0).all():
        return np.zeros(least.shape), least
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


def raw_effects(sets: EffectSets) -> Array:
    """`y` as it came `(B, 1, k)`, before least squares."""
    return np.asarray(sets.y + sets.start[:, None] @ sets.columns)


def sum_of_squares(sets: EffectSets) -> Array:
    """`sum y^2 (B, 1)` after least squares: no less than the residual sum of squares, whatever the counts."""
    return np.asarray(np.vecdot(sets.counts * sets.y, sets.y))


def take(sets: EffectSets, index: NDArray[np.intp]) -> EffectSets:
    """The data sets at `index`, in that order; a shared axis stays shared."""

    def pick(array: Array) -> Array:
        return array if len(array) == 1 else array[index]

    return EffectSets(
        pick(sets.y),
        pick(sets.v),
        pick(sets.counts),
        pick(sets.columns),
        pick(sets.start),
        pick(sets.floor),
        pick(sets.offset),
        None if sets.weights is None else pick(sets.weights),
    )


def weighted_with(sets: EffectSets, w: Array) -> Weighted:
    """Fit every set with the weights `w (B, G, k)`."""
    used = w if (sets.counts == 1.0).all() else w * sets.counts
    root = np.sqrt(used)
    if sets.p == 1:
        return _weighted_column(sets, w, root)
    rows, z = root[..., None, :] * sets.columns[:, None], root * sets.y
    if sets.p >= MANY:
        # orthonormal columns under weights that differ little are nearly orthogonal: one pass of Cholesky is enough
        U, logdet = _span_by_cholesky(rows, alike=bool((used.max(-1) < ALIKE * used.min(-1)).all()))
        e = _without_span(U, _without_span(U, z))  # twice is orthogonal to rounding
        return Weighted(w, z, e, U, np.asarray(np.einsum("...pk,...pk->...k", U, U)), logdet)
    U, logdet = span(rows)
    e = z
    for j in range(sets.p):
        u = U[..., j, :]
        e = e - u * np.vecdot(u, e)[..., None]
    return Weighted(w, z, e, U, np.asarray((U * U).sum(-2)), logdet)


def _weighted_column(sets: EffectSets, w: Array, root: Array) -> Weighted:
    """`weighted_with` for a single column, in half the passes over the rows."""
    u = root * sets.columns
    square = np.vecdot(u, u)
    u *= (1.0 / np.sqrt(square))[..., None]
    z = root * sets.y
    e = u * np.vecdot(u, z)[..., None]
    np.subtract(z, e, out=e)
    return Weighted(w, z, e, u[..., None, :], u * u, np.log(square))


def _without_span(Q: Array, z: Array) -> Array:
    """What is left of `z (..., k)` without its part in the span of the rows of `Q (..., p, k)`."""
    return np.asarray(z - np.matvec(Q.mT, np.matvec(Q, z)))


def weighted_at(sets: EffectSets, tau2: Array) -> Weighted:
    """Fit every set at `tau2 (B, G)` with weights `1 / (v + tau2)`."""
    return weighted_with(sets, 1.0 / (sets.v + tau2[..., None]))


def span(rows: Array) -> tuple[Array, Array]:
    """Orthonormal rows that span `rows (..., p, k)`, and the log determinant `(...)` of their products.

    Gram and Schmidt's method, each row cleared twice of those before it: then it is orthogonal to rounding.
    """
    U = np.empty_like(rows)
    logdet = np.zeros(())
    for j in range(rows.shape[-2]):
        u = rows[..., j, :]
        for before in 2 * list(range(j)):
            u = u - U[..., before, :] * np.vecdot(U[..., before, :], u)[..., None]
        square = np.vecdot(u, u)
        U[..., j, :] = u * (1.0 / np.sqrt(square))[..., None]
        logdet = logdet + np.log(square)
    return U, np.asarray(logdet)


def _span_by_cholesky(rows: Array, *, alike: bool) -> tuple[Array, Array]:
    """The same by the Cholesky factor of the products, twice, which leaves rounding (Yamamoto et al. 2015).

    `alike` says that one pass will do. Where weights differ so much that the products lose the smaller directions, by
    Householder reflections instead.
    """
    try:
        first, one = _orthogonalised(rows)
        if alike:
            return first, np.asarray(2.0 * _log_diagonal(one))
        Q, two = _orthogonalised(first)
    except np.linalg.LinAlgError:
        return _span_by_householder(rows)
    spread = np.abs(np.diagonal(two, axis1=-2, axis2=-1) - 1.0)
    if not (spread < LOST).all():  # the first pass left more than its square root of rounding
        return _span_by_householder(rows)
    return Q, np.asarray(2.0 * (_log_diagonal(one) + _log_diagonal(two)))


def _orthogonalised(A: Array) -> tuple[Array, Array]:
    """`L^-1 A` and L for rows `A (..., p, k)` with `A A' = L L'`."""
    L = np.linalg.cholesky(A @ A.mT)
    return np.asarray(np.linalg.inv(L) @ A), np.asarray(L)


def _log_diagonal(L: Array) -> Array:
    return np.asarray(np.log(np.abs(np.diagonal(L, axis1=-2, axis2=-1))).sum(-1))


def _span_by_householder(A: Array) -> tuple[Array, Array]:
    q, r = np.linalg.qr(A.mT)
    return np.ascontiguousarray(q.mT), np.asarray(2.0 * _log_diagonal(r))


def coefficients(sets: EffectSets, fit: Weighted) -> Coefficients:
    """Coefficients on the basis. `R` is `U'W^1/2 X`."""
    if sets.p == 1:
        inverse = np.exp(-0.5 * fit.logdet)[..., None]
        return Coefficients(inverse * np.vecdot(fit.U[..., 0, :], fit.z)[..., None], inverse[..., None])
    root = np.sqrt(fit.w * sets.counts)
    R = np.triu(fit.U @ (root[..., None, :] * sets.columns[:, None]).mT)
    inverse = np.asarray(np.linalg.inv(R), dtype=np.float64)
    return Coefficients(np.matvec(inverse, np.matvec(fit.U, fit.z)), inverse)


def cross(fit: Weighted, d: Array) -> Array:
    """`U'DU (B, G, p, p)` for a diagonal `D = diag(d)`."""
    return np.asarray((fit.U * np.expand_dims(d, -2)) @ fit.U.mT)


@dataclass(frozen=True, slots=True, eq=False)
class OneColumn:
    """What the score of a model with one coefficient is made of, each `(B, G)`.

    `PP` is `y'PPy`; `sums` are `tr W` and `tr WW`, `shares` what the column x takes of them: `x'WWx / x'Wx` and
    `x'WWWx / x'Wx`, so that `tr P = tr W - shares[0]`. With `powers=3` also `PPP`, that is `y'PPPy`. `cancelled` is
    True where one weight so outweighs the others that such differences have no digits.
    """

    PP: Array
    PPP: Array
    sums: tuple[Array, Array]
    shares: tuple[Array, Array]
    cancelled: bool


def one_column(sets: EffectSets, tau2: Array, *, powers: int = 2) -> OneColumn:
    """The sums at `tau2 (B, G)` in a third of the passes over the rows that `weighted_at` takes, for a single column.

    `Py = W (y - x m)` with m the weighted mean on the column x.
    """
    x, y, counts = sets.columns, sets.y, sets.counts
    level = bool((x == x[..., :1]).all())  # an intercept, whose length falls out of every ratio below
    w = sets.v + tau2[..., None]
    np.divide(1.0, w, out=w)
    c = w if (counts == 1.0).all() else w * counts
    trace = _row_sums(c)
    information = trace if level else np.vecdot(c, x * x)
    m = (np.vecdot(c, y if level else x * y) / information)[..., None]
    f = y - (m if level else m * x)
    f *= w
    fc = f if c is w else f * counts
    PP, nothing = np.asarray(np.vecdot(f, fc)), np.zeros(())
    ww = w * c
    total = _row_sums(ww) if level or powers > 2 else nothing
    share = (total if level else np.vecdot(ww, x * x)) / information
    if powers < 3:
        return OneColumn(PP, nothing, (trace, nothing), (share, nothing), False)
    ww *= w
    second = (_row_sums(ww) if level else np.vecdot(ww, x * x)) / information
    # x'WPy is 0 but for rounding, so one power of W less would leave nothing to subtract
    fcw = fc * w
    PPP = np.vecdot(fcw, f) - (_row_sums(fcw) if level else np.vecdot(fcw, x)) ** 2 / information
    cancelled = not (total - 2.0 * second + share**2 > CANCELLED * total).all()
    return OneColumn(PP, np.asarray(PPP), (trace, total), (share, second), cancelled)


def _row_sums(a: Array) -> Array:
    """Sums over the last axis as one product with ones: several times quicker than `sum(-1)` on short rows."""
    k = a.shape[-1]
    return np.asarray((a.reshape(-1, k) @ np.ones(k)).reshape(a.shape[:-1]))


def rss(fit: Weighted) -> Array:
    """`y'Py (B, G)`: the weighted residual sum of squares, Cochran's Q at tau2 = 0."""
    return np.asarray(np.vecdot(fit.e, fit.e))


def trace_P(sets: EffectSets, fit: Weighted, d: Array | float = 1.0) -> Array:  # noqa: N802
    """`tr PD (B, G)` for a diagonal `D = diag(d)`, the identity by default."""
    return np.asarray(np.vecdot(fit.w * d, sets.counts - fit.h))


def trace_PP(sets: EffectSets, fit: Weighted, d: Array | float = 1.0) -> Array:  # noqa: N802
    """`tr PDPD (B, G)` for a diagonal `D = diag(d)`, the identity by default."""
    wd = fit.w if isinstance(d, float) and d == 1.0 else fit.w * d
    square = wd * wd
    top = np.vecdot(square, sets.counts)
    total = top - 2.0 * np.vecdot(square, fit.h)
    if sets.p >= MANY:
        total += (cross(fit, wd) ** 2).sum((-2, -1))
    else:
        for i in range(sets.p):
            scaled = fit.U[..., i, :] * wd
            total += np.vecdot(scaled, fit.U[..., i, :]) ** 2
            for j in range(i):
                total += 2.0 * np.vecdot(scaled, fit.U[..., j, :]) ** 2
    for b, g in np.argwhere(~(total > CANCELLED * top)):
        total[b, g] = _trace_PP_by_pairs(sets, fit, wd, int(b), int(g))
    return np.asarray(total)


def _trace_PP_by_pairs(sets: EffectSets, fit: Weighted, wd: Array, b: int, g: int) -> float:  # noqa: N802
    """The same summed over all pairs of rows, which stays exact where one weight dwarfs the others."""
    # weights shared by all sets leave one basis, whatever `wd` is
    U, h = fit.U[b % len(fit.U), g], fit.h[b % len(fit.h), g]
    counts, weights = sets.counts[b % len(sets.counts), 0], wd[b % len(wd), g]
    pairs = (U.T @ U) ** 2
    np.fill_diagonal(pairs, (1.0 - h) ** 2 + np.maximum(counts - 1.0, 0.0))
    pairs[:, counts == 0] = 0.0
    return float(weights @ pairs @ weights)


def quadratic_PP(fit: Weighted) -> Array:  # noqa: N802
    """`y'PPy (B, G)`: minus the slope of `y'Py` in tau2."""
    return np.asarray(np.vecdot(fit.w * fit.e, fit.e))


def quadratic_PPP(fit: Weighted) -> Array:  # noqa: N802
    """`y'PPPy (B, G)`: minus half the slope of `y'PPy` in tau2."""
    f = fit.w * fit.e
    return np.asarray(np.vecdot(f, f) - (np.matvec(fit.U, f) ** 2).sum(-1))


def log_likelihood(sets: EffectSets, fit: Weighted, *, restricted: bool) -> Array:
    """Normal log-likelihood `(B, G)`, restricted or not, without the term `0.5 log det X'X`."""
    df = sets.k - sets.p if restricted else sets.k
    value = -0.5 * (df * np.log(2.0 * np.pi) - np.vecdot(sets.counts, np.log(fit.w)) + rss(fit))
    return np.asarray(value - 0.5 * fit.logdet if restricted else value)
