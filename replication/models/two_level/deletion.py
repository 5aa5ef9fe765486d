"""All leave-one-out fits of many effects by (restricted) likelihood, in time that grows with k and not with its square.

Called by `influence`. Two ideas:

1. Whatever a fit needs at a tau2 are sums over rows: of `w^r`, `w^r y^2`, `w^r y x`, `w^r x x'`, `w = 1 / (v + tau2)`,
   r up to 3. Without row i they are the sums over all rows less one term.
2. Every deletion has a tau2 of its own. The sums are smooth functions of `log(tau2 + least variance)`, analytic within
   pi of the real axis, so a polynomial through a dozen values per cell of the search grid has all digits: only these
   values are sums over all rows.

The search for tau2 is that of `tau2`: every fall of the balance through 0 on the grid is a peak, and the highest wins.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from replication.models.fit import Array
from replication.models.least_squares import EffectSets, orthonormal, single_set
from replication.models.options import TestMethod
from replication.models.two_level.batch import BatchFits
from replication.models.two_level.tau2 import GRID_STEP, falling_roots, search_grid

__all__ = ["deleted_fits", "variances_at"]

# Chebyshev nodes a cell of the search grid: the polynomial's error falls about 25-fold with each.
NODES = 13
# Sums without a row must keep this share of themselves: less, and the difference has lost too many digits.
LEFT = 1e-3
POWERS = 3
LOG_2PI = float(np.log(2.0 * np.pi))


@dataclass(frozen=True, slots=True, eq=False)
class _Sums:
    """Sums over rows, each with n deletions (or tau2 values) along its first axis, for the powers 1 to 3 of w.

    `T (n, 3)` of w, `s (n, 3)` of w y^2, `h (n, 3, p)` of w y x, `G (n, 3, p, p)` of w x x', and `log (n,)` of log w.
    """

    T: Array
    s: Array
    h: Array
    G: Array
    log: Array


@dataclass(frozen=True, slots=True, eq=False)
class _State:
    """Weighted least squares made of sums, and what the score needs, n times.

    `b (n, p)`, `B (n, p, p)` the inverse of X'WX, `rss` y'Py, `PP` y'PPy, `PPP` y'PPPy, `trace` tr P and `rise` tr PP.
    """

    b: Array
    B: Array
    rss: Array
    PP: Array
    PPP: Array
    trace: Array
    rise: Array


@dataclass(frozen=True, slots=True, eq=False)
class _Rows:
    """Effects `y (k,)` on an orthonormal `x (k, p)`, and the products of both, a column each."""

    y: Array
    v: Array
    x: Array
    products: Array
    pairs: tuple[NDArray[np.intp], NDArray[np.intp]]

    def sums(self, weighted: Array) -> _Sums:
        """Sums from `weighted (n, 3, 1 + products)`, the last of the first column beside it: see `_totals`."""
        n, p = len(weighted), self.x.shape[1]
        square = np.empty((n, POWERS, p + 1, p + 1))
        i, j = self.pairs
        square[:, :, i, j] = square[:, :, j, i] = weighted[:, :, 2:]
        return _Sums(
            weighted[:, :, 0], square[:, :, 0, 0], square[:, :, 0, 1:], square[:, :, 1:, 1:], weighted[:, 0, 1]
        )


def deleted_fits(y: Array, v: Array, x: Array, *, restricted: bool, test: TestMethod) -> BatchFits | None:
    """Refits without each of the k effects, by ML or REML; None where single effects carry too much for differences.

    `y, v (k,)`, variances above 0, design `x (k, p)`; `test` scales the covariance as in `fit_random_effects`.
    """
    basis = orthonormal(x)
    sets = single_set(y, v, basis)
    rows = _rows(sets)
    grid = search_grid(_with_fewer(sets))[0]
    # Effects that are equal, or as good as equal, leave no tau2 to search for: a grid without cells.
    cells = np.diff(np.log(grid + sets.offset[0, 0]))
    if len(cells) == 0 or cells.min() <= 0.0:
        return None
    whole = _totals(rows, grid)
    own = np.stack([_own(rows, np.full(len(rows.y), t)) for t in grid])
    if not _enough_left(whole, own, rows):
        return None
    tau2, converged = _tau2(rows, grid, sets.offset[0, 0], whole, own, restricted)
    k, p = rows.x.shape
    at = _deleted(rows, _between(rows, grid, float(sets.offset[0, 0]), tau2), tau2)
    state, start = _solve(at), sets.start[0]
    information = state.rise if restricted else at.T[:, 1]
    df = float(k - 1 - p)
    scale = _scale(at, state, start, df, test)
    none = _solve(_deleted(rows, whole[np.zeros(k, dtype=np.intp)], np.zeros(k)))
    typical = df / none.trace
    return BatchFits(
        beta=(start + state.b) @ basis.to_beta.T,
        vcov=scale[:, None, None] * (basis.to_beta @ state.B @ basis.to_beta.T),
        tau2=tau2,
        tau2_se=np.sqrt(2.0 / information),
        Q=none.rss,
        I2=100.0 * tau2 / (tau2 + typical),
        H2=1.0 + tau2 / typical,
        loglik=_log_likelihood(rows, k, at, state, restricted=restricted),
        scale=scale,
        df=np.full(k, np.inf if test == "z" else df),
        k=np.full(k, k - 1.0),
        defined=np.ones(k, dtype=bool),
        converged=converged,
    )


def variances_at(v: Array, x: Array, tau2: Array) -> Array:
    """Diagonals `(n, p)` of `(X'WX)^-1` over all rows, for weights `1 / (v + tau2)` at each of `tau2 (n,)`."""
    basis = orthonormal(x)
    rows = _rows(single_set(np.zeros_like(v), v, basis))
    offset = float(v.min())
    low, high = np.log(tau2.min() + offset), np.log(tau2.max() + offset)
    cells = max(1, int((high - low) / GRID_STEP) + 1)
    grid = np.exp(low + (max(high - low, GRID_STEP) / cells) * np.arange(cells + 1)) - offset
    inverse = np.linalg.inv(rows.sums(_between(rows, grid, offset, tau2)).G[:, 0])
    return np.asarray(np.vecdot(basis.to_beta @ inverse, basis.to_beta))


def _rows(sets: EffectSets) -> _Rows:
    y, v, x = sets.y[0, 0], sets.v[0, 0], np.ascontiguousarray(sets.columns[0].T)
    columns = np.column_stack([y, x])
    pairs = np.triu_indices(columns.shape[1])
    return _Rows(y, v, x, columns[:, pairs[0]] * columns[:, pairs[1]], pairs)


def _with_fewer(sets: EffectSets) -> EffectSets:
    """The set with all its squares but one degree of freedom fewer: its search grid reaches over those of deletions."""
    k = sets.y.shape[-1]
    share = (k - 1.0) / k
    return EffectSets(
        sets.y / np.sqrt(share),
        sets.v,
        np.full((1, 1, k), share),
        sets.columns,
        sets.start,
        sets.floor,
        sets.offset,
    )


def _totals(rows: _Rows, tau2: Array) -> Array:
    """Sums over all rows at `tau2 (n,)`: `(n, 3, 2 + products)` of w^r, log w, and w^r times every product."""
    out = np.empty((len(tau2), POWERS, 2 + rows.products.shape[1]))
    for i, t in enumerate(tau2.tolist()):
        w = 1.0 / (rows.v + t)
        powers = np.stack([w, w * w, w * w * w])
        out[i, :, 0], out[i, :, 1] = powers.sum(axis=1), np.log(w).sum()
        out[i, :, 2:] = powers @ rows.products
    return out


def _own(rows: _Rows, tau2: Array) -> Array:
    """The term of each row in its own sums, at a `tau2 (k,)` each: `(k, 3, 2 + products)`."""
    w = 1.0 / (rows.v + tau2)
    powers = np.stack([w, w * w, w * w * w], axis=1)
    log = np.broadcast_to(np.log(w)[:, None], powers.shape)
    return np.concatenate([np.stack([powers, log], axis=2), powers[:, :, None] * rows.products[:, None, :]], axis=2)


def _deleted(rows: _Rows, totals: Array, tau2: Array) -> _Sums:
    return rows.sums(totals - _own(rows, tau2))


def _enough_left(whole: Array, own: Array, rows: _Rows) -> bool:
    """Whether no row holds so much of any sum of weights, or of a coefficient, that little is left without it."""
    left = 1.0 - own[:, :, :, 0] / whole[:, None, :, 0]
    information = rows.sums(whole).G[:, 0]
    w = own[:, :, 0, 0]
    leverage = w * np.einsum("kp,gpq,kq->gk", rows.x, np.linalg.inv(information), rows.x)
    return bool(left.min() > LEFT and leverage.max() < 1.0 - LEFT)


def _between(rows: _Rows, grid: Array, offset: float, tau2: Array) -> Array:
    """Sums over all rows at `tau2 (n,)`, by polynomials in `log(tau2 + offset)` within the cells of `grid`."""
    edges = np.log(grid + offset)
    u = np.log(tau2 + offset)
    cell = np.clip(np.searchsorted(edges, u, side="right") - 1, 0, len(grid) - 2)
    angles = (2.0 * np.arange(NODES) + 1.0) * np.pi / (2.0 * NODES)
    nodes, signs = np.cos(angles), (-1.0) ** np.arange(NODES) * np.sin(angles)
    out = np.empty((len(tau2), POWERS, 2 + rows.products.shape[1]))
    for c in np.unique(cell).tolist():
        here = cell == c
        middle, half = (edges[c] + edges[c + 1]) / 2.0, (edges[c + 1] - edges[c]) / 2.0
        values = _totals(rows, np.exp(middle + half * nodes) - offset)
        # the barycentric formula (Berrut & Trefethen 2004); a tau2 on a node is moved by a rounding error
        away = (u[here] - middle)[:, None] / half - nodes
        share = signs / np.where(away == 0.0, 1e-300, away)
        share /= share.sum(axis=1, keepdims=True)
        out[here] = (share @ values.reshape(NODES, -1)).reshape(-1, *values.shape[1:])
    return out


def _solve(at: _Sums) -> _State:
    B = np.asarray(np.linalg.inv(at.G[:, 0]), dtype=np.float64)
    b = np.matvec(B, at.h[:, 0])
    squares = at.s - 2.0 * np.vecdot(at.h, b[:, None]) + np.vecdot(b[:, None], np.matvec(at.G, b[:, None]))
    BG = B[:, None] @ at.G
    rest = at.h[:, 1] - np.matvec(at.G[:, 1], b)
    trace = np.trace(BG, axis1=2, axis2=3)
    return _State(
        b,
        B,
        squares[:, 0],
        squares[:, 1],
        squares[:, 2] - np.vecdot(rest, np.matvec(B, rest)),
        at.T[:, 0] - trace[:, 1],
        at.T[:, 1] - 2.0 * trace[:, 2] + np.einsum("nij,nji->n", BG[:, 1], BG[:, 1]),
    )


def _balance(at: _Sums, *, restricted: bool) -> tuple[Array, Array]:
    """`1 - tr P / y'PPy` and its slope in tau2, `tr W` in place of `tr P` for ML; see `tau2`."""
    state = _solve(at)
    trace, rise = (state.trace, state.rise) if restricted else (at.T[:, 0], at.T[:, 1])
    return 1.0 - trace / state.PP, (rise * state.PP - 2.0 * trace * state.PPP) / state.PP**2


def _tau2(
    rows: _Rows, grid: Array, offset: float, whole: Array, own: Array, restricted: bool
) -> tuple[Array, NDArray[np.bool_]]:
    """The tau2 of every deletion `(k,)`, and whether its search settled."""
    k = len(rows.y)
    balance = np.stack([_balance(rows.sums(w - o), restricted=restricted)[0] for w, o in zip(whole, own, strict=True)])
    cell, row = np.nonzero((balance[:-1] > 0) & (balance[1:] <= 0))
    low, high = grid[cell][:, None], grid[cell + 1][:, None]
    taken = _taken(rows, row)

    def function(tau2: Array) -> tuple[Array, Array]:
        t = tau2[:, 0]
        value, slope = _balance(_deleted(taken, _between(rows, grid, offset, t), t), restricted=restricted)
        return value[:, None], slope[:, None]

    ends = balance[cell, row][:, None], balance[cell + 1, row][:, None]
    start = low + (high - low) * ends[0] / (ends[0] - ends[1])
    roots = falling_roots(function, low, high, offset=np.full_like(low, offset), start=start)
    at_floor = np.flatnonzero(balance[0] <= 0)
    owner = np.concatenate([at_floor, row])
    value = np.concatenate([np.zeros(len(at_floor)), roots.value[:, 0]])
    settled = np.concatenate([np.ones(len(at_floor), dtype=bool), roots.converged[:, 0]])
    candidates = _taken(rows, owner)
    at = _deleted(candidates, _between(rows, grid, offset, value), value)
    height = _log_likelihood(candidates, k, at, _solve(at), restricted=restricted)
    # sorted by deletion, then by height: the first of each is its highest peak
    order = np.lexsort((-height, owner))
    best = order[np.searchsorted(owner[order], np.arange(k))]
    return value[best], settled[best]


def _taken(rows: _Rows, index: NDArray[np.intp]) -> _Rows:
    return _Rows(rows.y[index], rows.v[index], rows.x[index], rows.products[index], rows.pairs)


def _log_likelihood(rows: _Rows, k: int, at: _Sums, state: _State, *, restricted: bool) -> Array:
    """The log-likelihood of deletions of `rows` among k, restricted with the determinant of their own design."""
    n, p = k - 1, rows.x.shape[1]
    value = -0.5 * ((n - p if restricted else n) * LOG_2PI - at.log + state.rss)
    if not restricted:
        return np.asarray(value)
    # the basis is orthonormal over all rows: without one, the determinant of X'X is 1 less its leverage there
    design = np.log1p(-np.vecdot(rows.x, rows.x))
    return np.asarray(value + 0.5 * (np.linalg.slogdet(state.B)[1] + design))


def _scale(at: _Sums, state: _State, start: Array, df: float, test: TestMethod) -> Array:
    """Knapp & Hartung's factor: see `random_effects`; exactly 0 where all effects lie on the model but for rounding."""
    if test not in ("knha", "adhoc"):
        return np.ones(len(state.rss))
    raw = at.s[:, 0] + 2.0 * at.h[:, 0] @ start + np.vecdot(start, np.matvec(at.G[:, 0], start))
    rounding = (16.0 * np.finfo(float).eps) ** 2 * raw
    scale = np.where(state.rss <= rounding, 0.0, state.rss) / df
    return np.asarray(scale if test == "knha" else np.maximum(scale, 1.0))
