"""Many nested likelihoods climbed at once, by Newton steps with exact second derivatives.

Called by `multilevel`: the starts of one fit, and the fits that leave a cluster out, differ in their variances or in
the rows that count, and in nothing else. One such fit costs what the interpreter takes to reach numpy some thousand
times; hundreds of them together cost hardly more.

Two ideas:

1. All that a nested likelihood needs of its rows are sums of products of few columns: those that terms of the
   covariance load on, the design and y. Every term takes one rank off them (Sherman & Morrison 1950), group by group,
   from the finest groups to the coarsest; at the end every column of the design is taken off in the same way, which
   profiles its coefficient out.
2. The sums are carried with their first and second derivatives in the variances (second-order forward
   differentiation), each variance from the level on where it enters. So steps are those of Newton, and a dozen do.

Sums lose digits where variances dwarf sampling variances. So nothing here is a result: `multilevel` takes a peak only
after the careful likelihood has found it to be one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from replication.models.fit import Array
from replication.models.multilevel.groups import Codes
from replication.models.multilevel.likelihood import MultilevelLikelihood

__all__ = ["NestedPeaks", "NestedRows", "climb_all", "climb_from", "climb_near", "nested_rows", "values_at"]

# Newton's error is squared a step: after one this small, relative to the variances, it is below rounding.
SMALL = 1e-7
MOST_STEPS = 100
# Nearer to a peak than this, relative to the variances, a search that is below it ends on it.
CLOSE = 1e-2
# Numbers per array: what a processor keeps near.
MOST = 200_000


@dataclass(frozen=True, slots=True, eq=False)
class _Term:
    """A term of the covariance: `starts (m,)` of its groups among those of the term before, and the `column` it takes.

    `component` is None where the multiple is the known `weight`; `last` says that no later term takes the column.
    """

    starts: Codes
    component: int | None
    weight: float
    last: bool


@dataclass(frozen=True, slots=True, eq=False)
class NestedRows:
    """Rows in the order of their clusters: `base (k,)` on the diagonal of V, `products (d, d, k)` of columns, `terms`.

    The columns stand in the order in which they are taken off. `order (k,)` is the row of the likelihood at each place;
    `row` the component of single rows, `components` how many there are, `design` how many columns profile coefficients.
    """

    base: Array
    products: Array
    terms: tuple[_Term, ...]
    order: Codes
    row: int | None
    components: int
    design: int
    restricted: bool
    unit: float


@dataclass(frozen=True, slots=True, eq=False)
class NestedPeaks:
    """Where F searches ended: `theta (F, q)`, log-likelihood up to a constant `value (F,)`, `information (F, q, q)`."""

    theta: Array
    value: Array
    information: Array
    converged: NDArray[np.bool_]


def nested_rows(likelihood: MultilevelLikelihood) -> NestedRows | None:
    """The rows of a likelihood in the order of clusters; None where its levels are not nested or its rows too many."""
    structure = likelihood.structure
    if structure.crossed is not None or len(structure.chains) != 1 or structure.components == 0:
        return None
    chain = structure.chains[0]
    # Coarse groups first, so that the groups of every term lie together.
    codes = [term.codes for term in chain.terms]
    order = np.lexsort(codes) if codes else np.arange(len(chain.base))
    alone = len(likelihood.x) == 1 and bool(codes) and _proportional(likelihood.x[0], chain.terms[-1].vector)
    columns, terms, before = [], [], np.arange(len(order))
    for at, term in enumerate(chain.terms):
        groups = term.codes[order]
        starts = np.flatnonzero(np.diff(groups, prepend=-1))
        last = not any(later.vector is term.vector for later in chain.terms[at + 1 :])
        # The column of an intercept is that of the levels: it is taken off once more, as a coefficient.
        keeps = last and not (alone and at == len(chain.terms) - 1)
        if last:
            columns.append(term.vector)
        terms.append(_Term(np.searchsorted(before, starts), term.component, term.weight, keeps))
        before = starts
    if not _in_turn(chain.terms):
        return None
    columns += [likelihood.y] if alone else [*likelihood.x, likelihood.y]
    Z = np.stack(columns)[:, order]
    products = np.ascontiguousarray(Z[:, None] * Z[None])
    return NestedRows(
        chain.base[order], products, tuple(terms), order, structure.row, structure.components, len(likelihood.x),
        likelihood.restricted, likelihood.unit,
    )  # fmt: skip


def _proportional(a: Array, b: Array) -> bool:
    return bool(np.abs(a * b[0] - b * a[0]).max() <= 1e-14 * abs(a[0] * b[0]))


def _in_turn(terms: Sequence[object]) -> bool:
    """Whether terms that load on one column follow each other, so that columns are taken off in turn."""
    vectors = [id(term.vector) for term in terms]  # type: ignore[attr-defined]
    return [v for i, v in enumerate(vectors) if i == 0 or v != vectors[i - 1]] == list(dict.fromkeys(vectors))


# A quantity with its derivatives in the variances 0 .. q - 1 is an array with a leading axis: the value; then for each
# variance j its slope and the second derivatives (0, j) .. (j, j). A further variance only adds to the end.
def _places(q: int) -> tuple[Codes, Codes, Codes, Codes]:
    """Places of the slopes `(q,)`, of the second derivatives, and the slopes `i`, `j` that each belongs to."""
    slopes = np.array([1 + j * (j + 3) // 2 for j in range(q)], dtype=np.intp)
    pairs = [(i, j) for j in range(q) for i in range(j + 1)]
    curves = np.array([slopes[j] + 1 + i for i, j in pairs], dtype=np.intp)
    first, second = (np.array([slopes[pair[at]] for pair in pairs], dtype=np.intp) for at in (0, 1))
    return slopes, curves, first, second


_PLACES = [_places(q) for q in range(12)]


def _size(q: int) -> int:
    return 1 + q * (q + 3) // 2


def _product(a: Array, b: Array, q: int) -> Array:
    out = a * b[:1]
    out += a[:1] * b
    out[0] *= 0.5
    if q:
        _, curves, i, j = _PLACES[q]
        cross = a[i] * b[j]
        cross += a[j] * b[i]
        out[curves] += cross
    return out


def _logarithm_and_inverse(a: Array, q: int) -> tuple[Array, Array]:
    inverse = 1.0 / a[0]
    slope = a * inverse
    logarithm, reciprocal = slope.copy(), slope * -inverse
    logarithm[0], reciprocal[0] = np.log(a[0]), inverse
    if q:
        _, curves, i, j = _PLACES[q]
        squares = slope[i] * slope[j]
        logarithm[curves] -= squares
        squares *= 2.0 * inverse
        reciprocal[curves] += squares
    return logarithm, reciprocal


def _times_variance(a: Array, theta: Array, q: int) -> Array:
    """`a` times the last of q variances; `a` has no derivatives in it yet, or has them."""
    slopes, curves, i, _ = _PLACES[q]
    out = a * theta
    out[slopes[-1]] += a[0]
    own = curves[-q:]
    out[own] += a[i[-q:]]
    out[own[-1]] += a[slopes[-1]]
    return out


def _grown(a: Array, q: int) -> Array:
    """Room for the derivatives in one more variance, the q-th."""
    out = np.zeros((_size(q), *a.shape[1:]))
    out[: len(a)] = a
    return out


def _take_off(A: Array, weight: float | Array | None, q: int, *, variance: bool, drop: bool) -> tuple[Array, Array]:
    """The products `(., d, d, ...)` less what the first column explains, and the log of what its group gains.

    `weight` multiplies the term; None stands for an infinite one, which profiles a coefficient out.
    """
    own = A[:, 0, 0]
    if weight is None:
        log, factor = _logarithm_and_inverse(own, q)
    else:
        gain = _times_variance(own, np.asarray(weight), q) if variance else own * weight
        gain[0] += 1.0
        log, inverse = _logarithm_and_inverse(gain, q)
        factor = _times_variance(inverse, np.asarray(weight), q) if variance else inverse * weight
    first = 1 if drop else 0
    column = A[:, 0, first:]
    scaled = _product(column, factor[:, None], q)
    return A[:, first:, first:] - _product(scaled[:, :, None], column[:, None], q), log


def _likelihoods(rows: NestedRows, theta: Array, present: Array | None) -> tuple[Array, Array, Array]:
    """Log-likelihood up to a constant `(F,)`, gradient `(F, q)` and observed information `(F, q, q)` at `theta (F, q)`.

    `present (F, k)` is 1 where a row counts and 0 where it is left out, in the order of `rows`.
    """
    half, entered = _profiled(rows, theta, present, derivatives=True)
    slopes, curves, i, j = _PLACES[len(entered)]
    gradient, information = np.empty(theta.shape), np.empty((*theta.shape, theta.shape[1]))
    gradient[:, entered] = half[slopes].T
    owner = {int(place): component for place, component in zip(slopes, entered, strict=True)}
    for curve, a, b in zip(curves, i, j, strict=True):
        information[:, owner[int(a)], owner[int(b)]] = information[:, owner[int(b)], owner[int(a)]] = -half[curve]
    return half[0], gradient, information


def _profiled(rows: NestedRows, theta: Array, present: Array | None, *, derivatives: bool) -> tuple[Array, list[int]]:
    """The log-likelihood with its derivatives `(., F)`, and the variances they are in; without them, value alone."""
    A, L, entered = _over_rows(rows, theta, present, derivatives=derivatives)
    q = len(entered)
    for term in rows.terms:
        A = np.add.reduceat(A, term.starts, axis=-1)
        weight: float | Array = term.weight if term.component is None else theta[:, term.component, None]
        if derivatives and term.component is not None:
            entered.append(term.component)
            A, L = _grown(A, len(entered)), _grown(L, len(entered))
        # A variance that enters here has its derivatives begin here.
        enters = len(entered) > q
        q = len(entered)
        A, log = _take_off(A, weight, q, variance=enters, drop=term.last)
        L += log.sum(axis=-1)
    A = A.sum(axis=-1)
    for _ in range(rows.design):
        A, log = _take_off(A, None, q, variance=False, drop=True)
        if rows.restricted:
            L += log
    return -0.5 * (L + A[:, 0, 0]), entered


def _over_rows(
    rows: NestedRows, theta: Array, present: Array | None, *, derivatives: bool
) -> tuple[Array, Array, list[int]]:
    """The weighed products of each row `(., d, d, F, k)`, the log determinant so far `(., F)`, and what has entered."""
    known = rows.row is None or not derivatives
    total = rows.base + (0.0 if rows.row is None else theta[:, rows.row, None])
    weight = np.broadcast_to(1.0 / total, (len(theta), len(rows.base)))
    log = np.broadcast_to(np.log(total), weight.shape)
    if present is not None:
        weight, log = weight * present, log * present
    parts, logs = [weight], [log.sum(axis=-1)]
    if not known:
        square = weight**2
        parts += [-square, 2.0 * square * weight]
        logs += [weight.sum(axis=-1), -square.sum(axis=-1)]
    A = np.stack(parts)[:, None, None] * rows.products[None, :, :, None]
    return A, np.stack(logs), [] if rows.row is None or not derivatives else [rows.row]


def _in_pieces(rows: NestedRows, theta: Array, present: Array | None) -> tuple[Array, Array, Array]:
    many = max(1, MOST // max(1, rows.products.size))
    cuts = range(0, len(theta), many)
    # Far from a peak sums may overflow or lose their sign: such a point is no progress, and the step is halved.
    with np.errstate(all="ignore"):
        if len(theta) <= many:
            return _likelihoods(rows, theta, present)
        seen = [None if present is None else present[c : c + many] for c in cuts]
        parts = [_likelihoods(rows, theta[c : c + many], who) for c, who in zip(cuts, seen, strict=True)]
    value, gradient, information = zip(*parts, strict=True)
    return np.concatenate(value), np.concatenate(gradient), np.concatenate(information)


def values_at(rows: NestedRows, theta: Array, present: Array | None = None) -> Array:
    """The log-likelihoods `(F,)`, up to a constant, at `theta (F, q)`."""
    many = max(1, MOST // rows.products.size)
    values = []
    with np.errstate(all="ignore"):
        for c in range(0, len(theta), many):
            who = None if present is None else present[c : c + many]
            values.append(_profiled(rows, theta[c : c + many], who, derivatives=False)[0][0])
    return np.concatenate(values)


def climb_all(rows: NestedRows, starts: Array, allowed: NDArray[np.bool_], present: Array | None = None) -> NestedPeaks:
    """Climb from each of `starts (F, q)`; variances not `allowed (q,)` stay as they are.

    `present (F, k)` says which rows count, in the order of the likelihood; None means all.
    """
    seen = None if present is None else np.asarray(present[:, rows.order], dtype=float)
    theta = starts.astype(float)
    F, q = theta.shape
    value, gradient, information = _in_pieces(rows, theta, seen)
    gave_up = ~(np.isfinite(value) & np.isfinite(gradient).all(axis=1) & np.isfinite(information).all(axis=(1, 2)))
    done, length, step = np.zeros(F, dtype=bool), np.ones(F), np.zeros((F, q))
    step[~gave_up] = _newton_steps(theta[~gave_up], gradient[~gave_up], information[~gave_up], allowed)
    for _ in range(MOST_STEPS):
        done |= ~gave_up & ~(np.abs(step).max(axis=1) > 0.0)
        at = np.flatnonzero(~done & ~gave_up)
        if not len(at):
            break
        ahead = np.maximum(theta[at] + length[at, None] * step[at], 0.0)
        found, slope, curve = _in_pieces(rows, ahead, None if seen is None else seen[at])
        # Rounding of the likelihood itself; without it the last steps would be halved away.
        higher = (found >= value[at] - 1e-13 * (np.abs(value[at]) + 1.0)) & np.isfinite(curve).all(axis=(1, 2))
        moved = np.abs((ahead - theta[at]) / (theta[at] + 1e-3 * rows.unit)).max(axis=1)
        up = at[higher]
        theta[up], value[up], gradient[up], information[up] = ahead[higher], found[higher], slope[higher], curve[higher]
        length[up], done[up] = 1.0, (moved < SMALL)[higher]
        step[up] = _newton_steps(theta[up], gradient[up], information[up], allowed)
        length[at[~higher]] *= 0.5
        gave_up |= length < 1e-12
        if present is None:
            _join_found(theta, value, information, done, rows.unit)
    return NestedPeaks(theta, value, information, done)


def _join_found(theta: Array, value: Array, information: Array, done: NDArray[np.bool_], unit: float) -> None:
    """Let searches of the same rows end that have come close to a peak another one has found: they go where it is."""
    for at in np.flatnonzero(done):
        apart = np.abs((theta - theta[at]) / (theta[at] + 1e-3 * unit)).max(axis=1)
        close = (apart < CLOSE) & ~done & (value <= value[at])
        theta[close], value[close], information[close], done[close] = theta[at], value[at], information[at], True


def climb_from(rows: NestedRows, near: Array, starts: Array, present: Array) -> NestedPeaks:
    """For each of the sets of rows `present (F, k)`, the highest peak reached from `near (q,)` and `starts (s, q)`.

    Where the search from `near` ends within the range of all variances and above every start, the others are spared:
    a peak on an edge may hide a higher one inside.
    """
    F, allowed = len(present), np.ones(len(near), dtype=bool)
    found = climb_all(rows, np.tile(near, (F, 1)), allowed, present)
    sure = found.converged & (found.theta > 0.0).all(axis=1)
    s = len(starts)
    below = values_at(rows, np.repeat(starts, F, axis=0), np.tile(present[:, rows.order], (s, 1))).reshape(s, F)
    sure &= (below <= found.value).all(axis=0)
    left = np.flatnonzero(~sure)
    if not len(left):
        return found
    n = len(left)
    others = climb_all(rows, np.repeat(starts, n, axis=0), allowed, np.tile(present[left], (s, 1)))
    for each in range(s):
        other = slice(each * n, (each + 1) * n)
        here = found.value[left]
        # Equal peaks are one peak reached twice; the first is kept, so that results do not flip by rounding.
        higher = ~(others.value[other] <= here + 1e-9 * (np.abs(here) + 1.0)) | ~found.converged[left]
        at = left[higher]
        found.theta[at], found.value[at], found.information[at], found.converged[at] = (
            others.theta[other][higher], others.value[other][higher], others.information[other][higher],
            others.converged[other][higher],
        )  # fmt: skip
    return found


def climb_near(rows: NestedRows, near: Array, starts: Array) -> NestedPeaks:
    """The peak reached from `near (q,)`, alone where it may be trusted as in `climb_from`; else those of all starts."""
    allowed = np.ones(len(near), dtype=bool)
    # From an edge the search most likely ends on it, where it would not be trusted alone.
    if (near == 0.0).any():
        return climb_all(rows, np.concatenate([near[None], starts]), allowed)
    found = climb_all(rows, near[None], allowed)
    if found.converged[0] and (found.theta[0] > 0.0).all() and (values_at(rows, starts) <= found.value[0]).all():
        return found
    return climb_all(rows, np.concatenate([found.theta, starts]), allowed)


def _newton_steps(theta: Array, gradient: Array, information: Array, allowed: NDArray[np.bool_]) -> Array:
    """For each search the step `(F, q)` to the top of its quadratic model, no variance going below 0.

    A variance on 0 whose slope points further down stays there (Bertsekas 1982). If the top lies past an edge, every
    choice of variances to put at 0 is tried, fewest first.
    """
    F, q = theta.shape
    free = allowed & ((theta > 0.0) | (gradient > 0.0))
    inner = _inner_steps(theta, gradient, information, free)
    if inner is not None:
        return inner
    curved = _climbing(information, free)
    best, height, settled = np.zeros((F, q)), np.zeros(F), ~free.any(axis=1)
    for size in range(q + 1):
        for held in combinations(range(q), size):
            chosen = np.zeros(q, dtype=bool)
            chosen[list(held)] = True
            step = np.where(chosen & free, -theta, 0.0)
            moving = free & ~chosen
            slope = np.where(moving, gradient - (curved @ step[:, :, None])[:, :, 0], 0.0)
            both = moving[:, :, None] & moving[:, None, :]
            matrix = np.where(both, curved, np.eye(q))
            step = np.where(moving, np.linalg.solve(matrix, slope[:, :, None])[:, :, 0], step)
            gain = (gradient * step).sum(axis=1) - 0.5 * np.einsum("fi,fij,fj->f", step, curved, step)
            better = (theta + step >= 0.0).all(axis=1) & (gain > height) & ~settled & (free | ~chosen).all(axis=1)
            best[better], height[better] = step[better], gain[better]
        settled |= height > 0.0
        if settled.all():
            break
    return best


def _inner_steps(theta: Array, gradient: Array, information: Array, free: NDArray[np.bool_]) -> Array | None:
    """Newton's steps `(F, q)`, if each search has its top ahead and within the range of its `free (F, q)` variances.

    None where one has not.
    """
    # Near a peak every step is of this kind, and looking for edges would take as long as the likelihood.
    if not free.all():
        information = np.where(free[:, :, None] & free[:, None, :], information, np.eye(free.shape[1]))
        gradient = np.where(free, gradient, 0.0)
    try:
        np.linalg.cholesky(information)
        # Rounding lets a root through whose matrix cannot be solved for: flat ahead, too.
        step = np.asarray(np.linalg.solve(information, gradient[:, :, None])[:, :, 0])
    except np.linalg.LinAlgError:
        return None
    return step if (theta + step >= 0.0).all() else None


def _climbing(information: Array, free: NDArray[np.bool_]) -> Array:
    """The information among free variances; where it has no peak ahead, with its eigenvalues turned positive."""
    q = information.shape[1]
    both = free[:, :, None] & free[:, None, :]
    curved = np.where(both, information, 0.0)
    scale = np.sqrt(np.maximum(np.abs(np.diagonal(curved, axis1=1, axis2=2)), 1e-300))
    even = np.where(both, curved / (scale[:, :, None] * scale[:, None, :]), np.eye(q))
    values, vectors = np.linalg.eigh(even)
    bad = values[:, 0] <= 1e-10
    if bad.any():
        turned = np.maximum(np.abs(values[bad]), 1e-3)
        again = (vectors[bad] * turned[:, None, :]) @ vectors[bad].swapaxes(1, 2)
        curved[bad] = np.where(both[bad], again * (scale[bad][:, :, None] * scale[bad][:, None, :]), 0.0)
    return curved
