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
from dataclasses import dataclass, replace
from functools import cache
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from replication.models.fit import Array
from replication.models.multilevel.groups import Codes, rows_by_size
from replication.models.multilevel.likelihood import MultilevelLikelihood
from replication.models.multilevel.structure import Chain

__all__ = ["NestedPeaks", "NestedRows", "climb_all", "climb_from", "climb_near", "nested_rows", "values_at"]

# Newton's error is squared a step: after one this small, relative to the variances, it is below rounding.
SMALL = 1e-7
# A step that is shorter is taken, and nothing asked there: it changes no digit of the information that is handed on.
LAST = 1e-10
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
    """Rows in the order of their clusters: `base (k,)` on the diagonal of V, `products (p, k)` of columns, `terms`.

    There are so many `columns`, in the order in which they are taken off, the one of y last; products as in `_pairs`.
    `order (k,)` is the row of the likelihood at each place; `row` the component of single rows, `components` how many
    there are.
    """

    base: Array
    products: Array
    columns: int
    terms: tuple[_Term, ...]
    order: Codes
    row: int | None
    components: int
    restricted: bool
    unit: float


@dataclass(frozen=True, slots=True, eq=False)
class NestedPeaks:
    """Where F searches ended: `theta (F, q)`, log-likelihood up to a constant `value (F,)`, `information (F, q, q)`."""

    theta: Array
    value: Array
    information: Array
    converged: NDArray[np.bool_]


def nested_rows(likelihood: MultilevelLikelihood, *, turned: bool = False) -> NestedRows | None:
    """The rows of a likelihood in the order of clusters; None where its levels are not nested.

    Where `turned`, rows that V ties stand as the eigenvectors of their block of V, on which it is diagonal: a term less
    to take off at every step. They then count or are left out together.
    """
    structure = likelihood.structure
    if structure.crossed is not None or structure.components == 0:
        return None
    chain = _whole(structure.chains)
    if not _in_turn(chain.terms):
        return None
    terms, base, design, y = chain.terms, chain.base, list(likelihood.x), likelihood.y
    alone = len(design) == 1 and bool(terms) and _proportional(design[0], terms[-1].vector)
    vectors = [term.vector for term in terms]
    if turned and len(terms) > 1 and terms[0].component is None and vectors[0] is not vectors[1]:
        # The column of the levels is one object for all of them: turned once, it stays one.
        base, (levels, y, *design) = _turned(chain, [vectors[1], y, *design])
        terms, vectors = terms[1:], [levels] * (len(terms) - 1)
    # Coarse groups first, so that the groups of every term lie together.
    order = np.lexsort([term.codes for term in chain.terms]) if chain.terms else np.arange(len(base))
    columns, made, before = [], [], np.arange(len(order))
    for at, (term, vector) in enumerate(zip(terms, vectors, strict=True)):
        starts = np.flatnonzero(np.diff(term.codes[order], prepend=-1))
        last = not any(later is vector for later in vectors[at + 1 :])
        # The column of an intercept is that of the levels: it is taken off once more, as a coefficient.
        keeps = last and not (alone and at == len(terms) - 1)
        if last:
            columns.append(vector)
        made.append(_Term(np.searchsorted(before, starts), term.component, term.weight, keeps))
        before = starts
    Z = np.stack([*columns, *([] if alone else design), y])[:, order]
    i, j = _pairs(len(Z))
    return NestedRows(
        base[order], Z[i] * Z[j], len(Z), tuple(made), order, structure.row, structure.components,
        likelihood.restricted, likelihood.unit,
    )  # fmt: skip


def _whole(chains: Sequence[Chain]) -> Chain:
    """The pieces of a chain under each other: groups of none of them reach into another."""
    if len(chains) == 1:
        return chains[0]
    columns = {id(term.vector): at for at, term in enumerate(chains[0].terms)}
    vectors = {at: np.concatenate([chain.terms[at].vector for chain in chains]) for at in columns.values()}
    terms = []
    for at, term in enumerate(chains[0].terms):
        ends = np.cumsum([chain.terms[at].size for chain in chains])
        codes = [chain.terms[at].codes + before for chain, before in zip(chains, [0, *ends[:-1]], strict=True)]
        first = [chain.start + chain.terms[at].first for chain in chains]
        vector = vectors[columns[id(term.vector)]]
        terms.append(replace(term, codes=np.concatenate(codes), size=int(ends[-1]), first=np.concatenate(first),
                             vector=vector))  # fmt: skip
    return Chain(0, chains[-1].stop, np.concatenate([chain.base for chain in chains]), tuple(terms))


def _turned(chain: Chain, columns: Sequence[Array]) -> tuple[Array, list[Array]]:
    """The diagonal of V `(k,)` and `columns`, on the eigenvectors of each group of the first term of a chain."""
    known, base, made = chain.terms[0], chain.base.copy(), np.stack(columns)
    for rows in rows_by_size(known.codes):
        own = known.vector[rows]
        if rows.shape[1] == 1:
            base[rows] += known.weight * own**2
            continue
        blocks = known.weight * own[:, :, None] * own[:, None] + chain.base[rows][:, :, None] * np.eye(rows.shape[1])
        base[rows], vectors = np.linalg.eigh(blocks)
        made[:, rows] = (made[:, rows][..., None, :] @ vectors)[..., 0, :]
    return base, list(made)


def _proportional(a: Array, b: Array) -> bool:
    return bool(np.abs(a * b[0] - b * a[0]).max() <= 1e-14 * abs(a[0] * b[0]))


def _in_turn(terms: Sequence[object]) -> bool:
    """Whether terms that load on one column follow each other, so that columns are taken off in turn."""
    vectors = [id(term.vector) for term in terms]  # type: ignore[attr-defined]
    return [v for i, v in enumerate(vectors) if i == 0 or v != vectors[i - 1]] == list(dict.fromkeys(vectors))


# A quantity with its derivatives in q variances is an array with two leading axes of 1 + q: the value at (0, 0), its
# slope in variance j at (0, j) and (j, 0), its second derivatives at (i, j). Both halves are held, since slices cost
# the interpreter less than picking the distinct ones; a further variance adds a row and a column at the end.
def _product(a: Array, b: Array) -> Array:
    """The product of two quantities; `a` has the shape of both, or what `b` lacks is broadcast."""
    out: Array = a * b[0, 0]
    out += a[0, 0] * b
    out[0, 0] *= 0.5
    if len(a) > 1:
        cross = a[0, 1:, None] * b[0, None, 1:]
        out[1:, 1:] += cross
        out[1:, 1:] += cross.swapaxes(0, 1)
    return out


def _logarithm_and_inverse(a: Array) -> tuple[Array, Array]:
    inverse = 1.0 / a[0, 0]
    ratio = a * inverse
    squares = ratio[0, :, None] * ratio[0, None]
    # Squares of slopes are what second derivatives get; the rest of both results is linear in the ratio.
    squares[0, 1:] = squares[1:, 0] = 0.0
    logarithm = ratio - squares
    logarithm[0, 0] = np.log(a[0, 0])
    squares *= 2.0
    squares -= ratio
    squares *= inverse
    return logarithm, squares


def _times_variance(a: Array, theta: Array, *, enters: bool) -> Array:
    """`a` times a known weight, or times the last of its variances where that `enters`."""
    out = a * theta
    if enters:
        out[-1] += a[0]
        out[:, -1] += a[0]
    return out


def _grown(a: Array) -> Array:
    """Room for the derivatives in one more variance."""
    q = len(a)
    out = np.zeros((q + 1, q + 1, *a.shape[2:]))
    out[:q, :q] = a
    return out


def _take_off(A: Array, d: int, weight: Array | None, *, enters: bool, drop: bool) -> tuple[Array, Array]:
    """The products `(., ., p, N)` of d columns less what the first one explains, and the log of what its group gains.

    The products stand as in `_pairs`: those of the first column come first. `weight` multiplies the term; None stands
    for an infinite one, which profiles a coefficient out.
    """
    gain = A[:, :, 0]
    if weight is not None:
        gain = _times_variance(gain, weight, enters=enters)
        gain[0, 0] += 1.0
    log, inverse = _logarithm_and_inverse(gain)
    column, first = A[:, :, :d], 1 if drop else 0
    # With e the first product and a another of its row, a - a w e / (1 + w e) = a / (1 + w e).
    left = _product(column[:, :, first:], inverse[:, :, None])
    i, j = _pairs(d - 1)
    taken = _product(left[:, :, i + (1 - first)], column[:, :, j + 1])
    if weight is not None:
        taken = _times_variance(taken, weight, enters=enters)
    rest = A[:, :, d:] - taken
    return rest if drop else np.concatenate([left, rest], axis=2), log


@cache
def _pairs(d: int) -> tuple[Codes, Codes]:
    """Which columns each product is of, `(p,)` and `(p,)`: 00, 01, .., 11, 12, .. of d columns."""
    i, j = np.triu_indices(d)
    return i, j


def _likelihoods(rows: NestedRows, theta: Array, present: Array | None) -> tuple[Array, Array, Array]:
    """Log-likelihood up to a constant `(F,)`, gradient `(F, q)` and observed information `(F, q, q)` at `theta (F, q)`.

    `present (F, k)` is 1 where a row counts and 0 where it is left out, in the order of `rows`.
    """
    half, entered = _profiled(rows, theta, present, derivatives=True)
    order = np.argsort(entered) + 1  # each variance enters once
    return half[0, 0], half[0, order].T, -half[order[:, None], order].transpose(2, 0, 1)


def _profiled(rows: NestedRows, theta: Array, present: Array | None, *, derivatives: bool) -> tuple[Array, list[int]]:
    """The log-likelihood with its derivatives `(., ., F)`, and the variances they are in; without them, value alone."""
    A, L, entered = _over_rows(rows, theta, present, derivatives=derivatives)
    F, d = len(theta), rows.columns
    for at, term in enumerate(rows.terms):
        if at:
            A = _summed(A, term.starts, F)
        weight = np.asarray(term.weight)
        # A variance that enters here has its derivatives begin here.
        enters = derivatives and term.component is not None
        if term.component is not None:
            weight = np.repeat(theta[:, term.component], len(term.starts))
        if enters:
            assert term.component is not None
            entered.append(term.component)
            A, L = _grown(A), _grown(L)
        A, log = _take_off(A, d, weight, enters=enters, drop=term.last)
        d -= term.last
        L += log.reshape(*L.shape, -1).sum(axis=-1)
    A = A.reshape(*A.shape[:-1], F, -1).sum(axis=-1)
    for left in range(d, 1, -1):
        A, log = _take_off(A, left, None, enters=False, drop=True)
        if rows.restricted:
            L += log
    return -0.5 * (L + A[:, :, 0]), entered


def _summed(A: Array, starts: Codes, F: int) -> Array:
    """Sums over the groups that begin at `starts (m,)` of each of F searches, which stand one after the other."""
    if F > 1:
        starts = (np.arange(F)[:, None] * (A.shape[-1] // F) + starts).ravel()
    return np.asarray(np.add.reduceat(A, starts, axis=-1))


# Where the value, slope and second derivative in one variance stand.
_FIRST = np.array([[0, 1], [1, 2]])


def _over_rows(
    rows: NestedRows, theta: Array, present: Array | None, *, derivatives: bool
) -> tuple[Array, Array, list[int]]:
    """The weighed products, summed over the groups of the first term `(., ., p, F m)`; as one where there is none.

    With them the log determinant so far `(., ., F)`, and the variance that has entered.
    """
    total = rows.base + (np.zeros((len(theta), 1)) if rows.row is None else theta[:, rows.row, None])
    weight, log = 1.0 / total, np.log(total)
    if present is not None:
        weight, log = weight * present, log * present
    parts, logs = [weight], [log.sum(axis=-1)]
    enters = derivatives and rows.row is not None
    if enters:
        square = weight * weight
        parts += [-square, 2.0 * square * weight]
        logs += [weight.sum(axis=-1), -square.sum(axis=-1)]
    # Rows outnumber their groups: each product of columns and each derivative is summed once. From here on groups of
    # all searches share an axis, as long loops are what numpy is quick at.
    weighed = np.array(parts)[:, None] * rows.products[:, None]
    starts = rows.terms[0].starts if rows.terms else np.zeros(1, dtype=np.intp)
    sums = _summed(weighed.reshape(*weighed.shape[:2], -1), starts, len(theta))
    at = _FIRST if enters else _FIRST[:1, :1]
    return sums[at], np.array(logs)[at], [rows.row] if enters and rows.row is not None else []


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
            values.append(_profiled(rows, theta[c : c + many], who, derivatives=False)[0][0, 0])
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
        arrived = ~done & ~gave_up & ~((np.abs(step) / (theta + 1e-3 * rows.unit)).max(axis=1) > LAST)
        theta[arrived] += step[arrived]
        done |= arrived
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
    free = allowed & ((theta > 0.0) | (gradient > 0.0))
    best, curved = _inner_steps(gradient, information, free)
    at = np.flatnonzero(~(theta + best >= 0.0).all(axis=1))
    if len(at):
        # Levels that cannot be told apart may pass for a peak by rounding; a part of them is exactly flat.
        best[at] = _edge_steps(theta[at], gradient[at], _climbing(curved[at]), free[at])
    return best


def _edge_steps(theta: Array, gradient: Array, curved: Array, free: NDArray[np.bool_]) -> Array:
    """The steps `(F, q)` of searches some of whose `free (F, q)` variances have to go to 0."""
    F, q = theta.shape
    best, left = np.zeros((F, q)), np.arange(F)
    for size in range(1, q + 1):
        held = np.array([[i in chosen for i in range(q)] for chosen in combinations(range(q), size)])[:, None]
        step, gain = _held_steps(theta[left], gradient[left], curved[left], free[left], held)
        choice, each = gain.argmax(axis=0), np.arange(len(left))
        found = gain[choice, each] > 0.0
        best[left[found]] = step[choice[found], each[found]]
        left = left[~found]
        if not len(left):
            break
    return best


def _held_steps(
    theta: Array, gradient: Array, curved: Array, free: NDArray[np.bool_], held: NDArray[np.bool_]
) -> tuple[Array, Array]:
    """The steps `(C, F, q)` with the variances of each choice `held (C, 1, q)` put at 0, and what each gains `(C, F)`.

    The gain of a step that is not allowed is 0.
    """
    moving = free & ~held
    to_edge = np.where(held & free, -theta, 0.0)
    slope = np.where(moving, gradient - (curved @ to_edge[..., None])[..., 0], 0.0)
    matrix = np.where(moving[..., :, None] & moving[..., None, :], curved, np.eye(theta.shape[1]))
    step = np.where(moving, np.linalg.solve(matrix, slope[..., None])[..., 0], to_edge)
    gain = (gradient * step).sum(axis=-1) - 0.5 * (step * (curved @ step[..., None])[..., 0]).sum(axis=-1)
    allowed = (theta + step >= 0.0).all(axis=-1) & (free | ~held).all(axis=-1)
    return step, np.where(allowed, gain, 0.0)


def _inner_steps(gradient: Array, information: Array, free: NDArray[np.bool_]) -> tuple[Array, Array]:
    """Newton's steps `(F, q)` in the `free (F, q)` variances, whatever their range, and the curvatures they rest on.

    The curvatures are the information, turned positive where that has no peak ahead, and 1 on the diagonal elsewhere.
    """
    if not free.all():
        information = np.where(free[:, :, None] & free[:, None, :], information, np.eye(free.shape[1]))
        gradient = np.where(free, gradient, 0.0)
    try:
        # Near a peak all have it ahead, and eigenvalues would take as long as the likelihood.
        np.linalg.cholesky(information)
        # Rounding lets a root through whose matrix cannot be solved for: flat ahead, too.
        return np.asarray(np.linalg.solve(information, gradient[:, :, None])[:, :, 0]), information
    except np.linalg.LinAlgError:
        curved = _climbing(information)
        return np.asarray(np.linalg.solve(curved, gradient[:, :, None])[:, :, 0]), curved


def _climbing(information: Array) -> Array:
    """The information; where it has no peak ahead, with its eigenvalues turned positive."""
    scale = np.sqrt(np.maximum(np.abs(np.diagonal(information, axis1=1, axis2=2)), 1e-300))
    both = scale[:, :, None] * scale[:, None, :]
    values, vectors = np.linalg.eigh(information / both)
    bad = values[:, 0] <= 1e-10
    curved = information.copy()
    turned = np.maximum(np.abs(values[bad]), 1e-3)
    curved[bad] = ((vectors[bad] * turned[:, None, :]) @ vectors[bad].swapaxes(1, 2)) * both[bad]
    return curved
