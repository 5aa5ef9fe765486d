"""Log likelihoods of the averaged models, for effects in clusters, at points of their parameters.

Called by `bias_integrals`. Effects are turned so that positive ones are favoured. Three ideas:

1. Effects of a cluster share a random effect and, where their errors correlate, a part of those:
   `y_ij = mu + b_i + w_ij + sqrt(rho v_ij) f_i + sqrt((1 - rho) v_ij) e_ij`. Given b and f they are independent, so
   every inverse and determinant is that of a 2 x 2 matrix.
2. Rows are selected one by one, each with the weight of its own p value. The density of a cluster that was seen is the
   product of its weights times its multivariate normal density, over the expectation of that product under the same
   density. Normalising row by row would be another model: within a cluster the chances to be seen depend on each other.
3. The expectation is an integral over the shared part alone, taken by the trapezoidal rule; given it, the chances of
   the rows multiply. It is two numbers (b and f); one where variances within a cluster are equal, and where a cluster
   has two or three rows, as any such covariance is that of one factor (Spearman 1904). A cluster of one row needs none:
   its chance is a sum of normal tails.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import product
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy import special

from replication.effects.covariance import constant_correlation
from replication.models.bayes.averaging.bias_models import WeightFunction
from replication.models.bayes.exact.model import Axis
from replication.models.bayes.exact.quadrature import gauss_rule
from replication.models.bayes.priors.coefficient import Normal
from replication.models.bayes.priors.positive import Beta, Fixed, PositivePrior
from replication.models.bayes.priors.record import LOG_2PI
from replication.models.fit import Array

__all__ = [
    "ClusteredEffects",
    "Linear",
    "LinearGiven",
    "Selection",
    "arrange",
    "from_score",
    "linear_given",
    "selection_log",
    "summarised",
    "to_score",
]

# Elements worked on at once: arrays that stay in the processor's cache.
CHUNK = 200_000
# Rows of a cluster whose chances are multiplied without logs; each is at least SMALLEST.
GROUP, SMALLEST = 8, 1e-35
# Numbers of rows that may stand for all that are alone in their clusters, and what their sums may differ by.
FEWER, ALIKE = (12, 16, 24, 32, 48, 64), 1e-11
# The trapezoidal rule of a cluster's shared part: its step for a standard normal (error 2e-5), and its ends, in sd.
STEP, END = 1.35, 5.6
# Nodes an axis beyond which the rule is not made finer; what is then missed shows between the two lattices.
MOST_NODES = 400


_Kind = Literal["single", "even", "pair", "triple", "uneven"]
"""Clusters by what the integral over their shared part takes: see `_kinds`."""
_KINDS: tuple[_Kind, ...] = get_args(_Kind)


@dataclass(frozen=True, slots=True, eq=False)
class _Group:
    """Clusters of one kind: positions of their `rows`, and where each cluster `starts`."""

    rows: NDArray[np.intp]
    starts: NDArray[np.intp]
    kind: _Kind


@dataclass(frozen=True, slots=True, eq=False)
class ClusteredEffects:
    """Effects `y (k,)` sorted by cluster, variances `v (k,)`, where clusters `starts (m,)`, correlation of errors."""

    y: Array
    v: Array
    starts: NDArray[np.intp]
    correlation: float
    groups: tuple[_Group, ...]

    @property
    def k(self) -> int:
        """How many effects there are."""
        return len(self.y)

    @property
    def clustered(self) -> bool:
        """Whether any cluster has two effects or more."""
        return len(self.starts) < len(self.y)


def arrange(y: Array, v: Array, clusters: NDArray[np.intp], correlation: float) -> ClusteredEffects:
    """The effects sorted by cluster, whose codes `clusters (k,)` count from 0."""
    order = np.argsort(clusters, kind="stable")
    y, v = y[order], v[order]
    size = np.bincount(clusters)
    size = size[size > 0]
    starts = np.concatenate([[0], np.cumsum(size)[:-1]])
    kinds, groups = _kinds(v, starts, size, correlation), []
    for kind in _KINDS:
        own = kinds == kind
        if own.any():
            rows = np.flatnonzero(np.repeat(own, size))
            groups.append(_Group(rows, np.concatenate([[0], np.cumsum(size[own])[:-1]]), kind))
    return ClusteredEffects(y, v, starts, correlation, tuple(groups))


def _kinds(v: Array, starts: NDArray[np.intp], size: NDArray[np.intp], rho: float) -> NDArray[np.str_]:
    """The kind of every cluster, of variances `v (k,)` sorted by cluster.

    With equal variances, or errors that are not shared, the random effect and the shared error are one variable. Three
    rows are a factor only where no loading is larger than its variable (no Heywood case); this is the condition at the
    largest variance between clusters, which implies it at all others.
    """
    even = (np.maximum.reduceat(v, starts) <= np.minimum.reduceat(v, starts) * (1.0 + 1e-12)) | (rho == 0.0)
    triple = size == 3
    threes = np.sqrt(v[starts[triple][:, None] + np.arange(3)])[..., None]
    triple[triple] = (_beside_common(threes, rho) >= 0.0).all(axis=(1, 2))
    return np.select([size == 1, size == 2, even, triple], ["single", "pair", "even", "triple"], "uneven")


@dataclass(frozen=True, slots=True, eq=False)
class Linear:
    """`y = mu + slope * regressor` with random effects and errors; `effect` None holds mu at 0.

    `tau`, `share` and `slope` are the axes of grids.
    """

    data: ClusteredEffects
    regressor: Array
    effect: Normal | None
    tau: Axis
    share: Axis
    slope: Axis


@dataclass(frozen=True, slots=True, eq=False)
class LinearGiven:
    """The effect given tau, share and slope: `mean, variance (C, a, s, b)`, and the log joint density `log`."""

    mean: Array
    variance: Array
    log: Array


@dataclass(frozen=True, slots=True, eq=False)
class Singles:
    """Rows alone in their clusters, or fewer that stand for them: `v (n,)`, `critical (n, J - 1)`, `times (n,)`."""

    v: Array
    critical: Array
    times: Array


@dataclass(frozen=True, slots=True, eq=False)
class Selection:
    """Normal effects seen with probabilities that depend on their p values.

    `critical (k, J - 1)` are the estimates at the steps, `place (k,)` the interval each estimate lies in (0: the
    smallest p). `effect` None holds mu at 0. Axes are the free ones of effect, tau and share, then the ratios of
    neighbouring weights. `singles` None means the rows themselves.
    """

    data: ClusteredEffects
    critical: Array
    place: NDArray[np.intp]
    function: WeightFunction
    effect: Normal | None
    tau: PositivePrior
    share: PositivePrior
    ratios: tuple[Beta, ...]
    singles: Singles | None = None

    @property
    def outer(self) -> tuple[Normal | PositivePrior, ...]:
        """The priors of the free ones of effect, tau and share."""
        spread = tuple(prior for prior in (self.tau, self.share) if not isinstance(prior, Fixed))
        return spread if self.effect is None else (self.effect, *spread)

    @property
    def axes(self) -> tuple[Normal | PositivePrior, ...]:
        """The priors of what is integrated over."""
        return (*self.outer, *self.ratios)


def from_score(prior: Normal | PositivePrior, x: Array) -> Array:
    """The quantity at standard normal score `x`: whatever its prior, the density of x is normal.

    Neither a boundary nor a heavy tail is left for the quadrature to see.
    """
    if isinstance(prior, Normal):
        return np.asarray(prior.mean + prior.sd * x)
    # each half by its own tail: 1 - 1e-20 is 1
    value, below = np.empty(x.shape), x < 0
    value[below], value[~below] = prior.ppf(special.ndtr(x[below])), prior.isf(special.ndtr(-x[~below]))
    return value


def to_score(prior: Normal | PositivePrior, value: Array) -> Array:
    """The score of a quantity: the inverse of `from_score`."""
    if isinstance(prior, Normal):
        return np.asarray((value - prior.mean) / prior.sd)
    below, above = prior.cdf(value), prior.sf(value)
    return np.where(below < above, special.ndtri(below), -special.ndtri(above))


def _score_density(points: Array) -> Array:
    return np.asarray(-0.5 * ((points**2).sum(axis=1) + points.shape[1] * LOG_2PI))


def _columns(priors: tuple[Normal | PositivePrior, ...], points: Array) -> list[Array]:
    """The value of each prior's quantity `(N,)`; fixed ones take no column of `points`."""
    free = iter(points.T)
    return [np.full(len(points), p.value) if isinstance(p, Fixed) else from_score(p, next(free)) for p in priors]


def _between_within(tau: Array, share: Array) -> tuple[Array, Array]:
    """Variances between and within clusters: `share` of tau2 lies between them."""
    return share * tau**2, (1.0 - share) * tau**2


# --- the multivariate normal density of clusters --------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class _Gram:
    """`log_det (N,)` of the covariance, and `products (N, 1 + q, 1 + q)` of ones and q columns under its inverse."""

    log_det: Array
    products: Array


def _gram(data: ClusteredEffects, between: Array, within: Array, columns: Array) -> _Gram:
    """Products of ones and `columns (k, q)` under the inverse covariance at every `between, within (N,)` variance."""
    step = max(1, CHUNK // (data.k * (2 + columns.shape[1]) ** 2))
    parts = [
        _gram_part(data, between[i : i + step, None], within[i : i + step, None], columns)
        for i in range(0, len(between), step)
    ]
    return _Gram(np.concatenate([p.log_det for p in parts]), np.concatenate([p.products for p in parts]))


def _gram_part(data: ClusteredEffects, between: Array, within: Array, columns: Array) -> _Gram:
    k, n = len(columns), 1 + columns.shape[1]
    ones = np.column_stack([np.ones(k), columns])
    if not data.clustered:
        variance = data.v + between + within
        outer = (ones[:, :, None] * ones[:, None, :]).reshape(k, n * n)
        return _Gram(np.log(variance).sum(axis=1), (1.0 / variance @ outer).reshape(-1, n, n))
    rho = data.correlation
    D = (1.0 - rho) * data.v + within
    Z = np.column_stack([np.sqrt(data.v), ones])
    outer = (Z[:, :, None] * Z[:, None, :]).reshape(k, -1)
    sums = np.add.reduceat(outer / D[:, :, None], data.starts, axis=1).reshape(len(D), -1, n + 1, n + 1)
    # The shared error first, then the random effect: each step adds one variable, its pivot a sum of positive terms.
    g = 1.0 + rho * sums[..., 0, 0]
    part = sums[..., 1:, 1:] - rho * sums[..., 1:, :1] * sums[..., :1, 1:] / g[..., None, None]
    h = 1.0 + between * part[..., 0, 0]
    products = part - (between / h)[..., None, None] * part[..., :, :1] * part[..., :1, :]
    # With ones the difference has a closed form; taken as a difference it has no digits where tau is large.
    products[..., 0, :] = part[..., 0, :] / h[..., None]
    products[..., :, 0] = products[..., 0, :]
    return _Gram(np.log(D).sum(axis=1) + np.log(g).sum(axis=1) + np.log(h).sum(axis=1), products.sum(axis=1))


def linear_given(model: Linear, nodes: tuple[Array, ...]) -> LinearGiven:
    """The linear family on grids `tau (C, a)` by `share (C, s)` by `slope (C, b)`, the effect integrated out."""
    tau, share = (axis.sd(x) for axis, x in zip((model.tau, model.share), nodes, strict=False))
    slope = model.slope.sd(nodes[2])[:, None, None, :]
    between, within = _between_within(tau[:, :, None], share[:, None, :])
    y, k, shape = model.data.y, model.data.k, (*between.shape, 1)
    # centred where the effect will be: sums of squares then keep their digits
    center = float(np.average(y, weights=1.0 / model.data.v)) if model.effect is not None else 0.0
    columns = np.column_stack([y - center, model.regressor])
    gram = _gram(model.data, between.ravel(), within.ravel(), columns)
    A, y1, x1, yy, yx, xx = (gram.products[:, i, j].reshape(shape) for i in range(3) for j in range(i, 3))
    quad, first = yy - 2.0 * slope * yx + slope**2 * xx, y1 - slope * x1
    if model.effect is None:
        mean, variance, scale = np.zeros_like(quad), np.zeros_like(quad), np.zeros(())
    else:
        p, prior = model.effect.sd**-2.0, model.effect.mean - center
        variance = 1.0 / (A + p) + np.zeros_like(quad)
        mean = center + variance * (first + p * prior)
        quad = np.maximum(quad - first**2 / A, 0.0) + A * p / (A + p) * (first / A - prior) ** 2
        scale = np.log1p(A / p)
    log = -0.5 * (k * LOG_2PI + gram.log_det.reshape(shape) + scale + quad)
    priors = [axis.log_prior(x) for axis, x in zip((model.tau, model.share, model.slope), nodes, strict=True)]
    return LinearGiven(
        mean, variance, log + priors[0][:, :, None, None] + priors[1][:, None, :, None] + priors[2][:, None, None, :]
    )


# --- selection ------------------------------------------------------------------------------------------------------


def publication_weights(model: Selection, points: Array) -> Array:
    """Weights of every interval but the first `(N, J - 1)`."""
    ratios = [from_score(prior, x) for prior, x in zip(model.ratios, points.T[-len(model.ratios) :], strict=True)]
    return np.asarray(np.cumprod(np.stack(ratios, axis=1), axis=1))


def selection_log(model: Selection, points: Array, odd: int) -> Array:
    """Log joint density of the selection family at `points (N, d)`.

    `odd` (0 or 1) moves the nodes of the integrals over shared parts by half a step: two lattices that differ in it
    show also the error of these.
    """
    # Points of a plane share effect, tau and share, and with them every normal tail.
    planes, plane = _planes(points[:, : len(model.outer)])
    mean = np.zeros(len(planes)) if model.effect is None else from_score(model.effect, planes[:, 0])
    between, within = _between_within(*_columns((model.tau, model.share), planes[:, int(model.effect is not None) :]))
    gram = _gram(model.data, between, within, model.data.y[:, None])
    quad = gram.products[:, 1, 1] - 2.0 * mean * gram.products[:, 0, 1] + mean**2 * gram.products[:, 0, 0]
    normal = -0.5 * (model.data.k * LOG_2PI + gram.log_det + quad)
    omega = np.maximum(publication_weights(model, points), SMALLEST)
    counts = np.array([(model.place == j + 1).sum() for j in range(omega.shape[1])])
    log = normal[plane] + np.log(omega) @ counts + _score_density(points)
    at = [_Plane(*numbers) for numbers in np.column_stack([mean, between, within]).tolist()]
    for group in model.data.groups:
        log -= _BY_KIND.get(group.kind, _log_chances)(model, group, at, plane, omega, odd)
    return np.asarray(log)


def _planes(outer: Array) -> tuple[Array, NDArray[np.intp]]:
    """The distinct rows of `outer (N, o)` and which of them each row is."""
    if not outer.shape[1]:
        return np.zeros((1, 0)), np.zeros(len(outer), dtype=np.intp)
    # sorted column by column: `np.unique` of whole rows takes several times as long
    order = np.lexsort(outer.T)
    rows = outer[order]
    new = np.append(True, (rows[1:] != rows[:-1]).any(axis=1))
    plane = np.empty(len(outer), dtype=np.intp)
    plane[order] = np.cumsum(new) - 1
    return rows[new], plane


@dataclass(frozen=True, slots=True)
class _Plane:
    """What every point of a plane has in common: the effect, and the variances between and within clusters."""

    effect: float
    between: float
    within: float


def _falls(omega: Array) -> Array:
    """How far the weight falls at each step `(P, J - 1)`.

    A row is seen with probability `omega_J + sum_j (omega_j - omega_(j+1)) P(p < step_j)`: all terms are positive, so
    nothing cancels.
    """
    return np.asarray(-np.diff(np.column_stack([np.ones(len(omega)), omega]), axis=1))


def summarised(model: Selection) -> Selection:
    """The model with a few rows in the place of all that are alone in their clusters, where they give the same sums.

    The log chance of such a row is a smooth function of its log variance, so the sum over hundreds of rows is that over
    the nodes of a Gauss rule. How many it takes is tried out on means, taus and weights far beyond those of the data.
    """
    group = next((g for g in model.data.groups if g.kind == "single"), None)
    if group is None or len(group.rows) <= FEWER[0]:
        return model
    at, plane, omega = _trial_points(model, group)
    exact = _log_single_chances(model, group, at, plane, omega, 0)
    v = model.data.v[group.rows]
    steps = model.critical[group.rows[0]] / np.sqrt(v[0])
    for n in FEWER:
        if 2 * n > len(v):
            break
        nodes, times = gauss_rule(np.log(v), n)
        singles = Singles(np.exp(nodes), np.exp(nodes / 2.0)[:, None] * steps, times)
        fewer = replace(model, singles=singles)
        if np.abs(_log_single_chances(fewer, group, at, plane, omega, 0) - exact).max() < ALIKE * len(v):
            return fewer
    return model


def _trial_points(model: Selection, group: _Group) -> tuple[list[_Plane], NDArray[np.intp], Array]:
    """Planes, the plane of each point, and the weights `(P, J - 1)` of each point on which sums are compared."""
    unit = float(np.sqrt(np.mean(model.data.y[group.rows] ** 2)))
    means, taus = unit * np.array([-2.0, -1.0, -0.3, 0.0, 0.3, 1.0, 2.0]), unit * np.array([0.0, 0.1, 0.3, 1.0, 3.0])
    at = [_Plane(mean, 0.0, tau**2) for mean, tau in product(means.tolist(), taus.tolist())]
    least, n = np.array([1e-6, 0.01, 0.1, 0.5, 0.9]), model.critical.shape[1]
    weights = least[:, None] ** (np.arange(1, n + 1) / n)
    return at, np.repeat(np.arange(len(at)), len(least)), np.tile(weights, (len(at), 1))


def _log_single_chances(
    model: Selection, group: _Group, at: list[_Plane], plane: NDArray[np.intp], omega: Array, _: int
) -> Array:
    """Sum over clusters of one row of the log probability to be seen `(P,)`."""
    rows = model.singles or Singles(model.data.v[group.rows], model.critical[group.rows], np.ones(len(group.rows)))
    mean, sd = np.array([p.effect for p in at])[:, None], np.sqrt([p.between + p.within + rows.v for p in at])
    below = _below(model, mean, rows.critical, sd)
    falls, size = _falls(omega), max(1, CHUNK // (len(rows.v) * omega.shape[1]))
    out = np.empty(len(omega))
    for i in range(0, len(omega), size):
        piece = slice(i, i + size)
        chance = np.einsum("pnj,pj->np", below[plane[piece]], falls[piece]) + omega[piece, -1]
        out[piece] = rows.times @ np.log(np.maximum(chance, SMALLEST))
    return out


def _below(model: Selection, mean: Array, critical: Array, sd: Array) -> Array:
    """P(p < step_j) of normal estimates: `mean, sd (..., n)` against `critical (n, J - 1)` or broadcast with it."""
    below = special.ndtr((mean[..., None] - critical) / sd[..., None])
    if model.function.sides == "two":
        below += special.ndtr((-mean[..., None] - critical) / sd[..., None])
    return np.asarray(below)


def _log_chances(
    model: Selection, group: _Group, at: list[_Plane], plane: NDArray[np.intp], omega: Array, odd: int
) -> Array:
    """Sum over clusters of the log probability that all rows of one are seen `(P,)`."""
    shared, falls, k = _shared_parts(model, group, at), _falls(omega), len(group.rows)
    out = np.empty(len(omega))
    for here, planes, index, nodes, weights in _pieces(shared, plane, odd, lambda n: k * n * falls.shape[1]):
        below = _tails(model, group, shared, planes, nodes)
        chance = np.broadcast_to(omega[here, -1, None], (k, len(here), len(weights))).copy()
        for j in range(falls.shape[1]):
            chance += np.ascontiguousarray(below[..., j])[:, index] * falls[here, j, None]
        out[here] = _log_expectations(np.maximum(chance, SMALLEST), group.starts, weights).sum(axis=0)
    return out


def _log_pair_chances(
    model: Selection, group: _Group, at: list[_Plane], plane: NDArray[np.intp], omega: Array, odd: int
) -> Array:
    """What `_log_chances` gives, for clusters of two rows.

    The chance that both are seen is bilinear in the weights: what is between them is the same at all points of a plane.
    """
    shared, k = _shared_parts(model, group, at), len(group.rows)
    rises = np.column_stack([omega[:, -1], _falls(omega)])
    pairs = (rises[:, :, None] * rises[:, None, :]).reshape(len(rises), -1, 1)
    out = np.empty(len(omega))
    for here, planes, index, nodes, weights in _pieces(shared, plane, odd, lambda n: k * max(n, pairs.shape[1] // 2)):
        below = _tails(model, group, shared, planes, nodes)
        # (2 m, L, n, J): 1 and the chances below the steps, beside the weights they are multiplied with
        each = np.concatenate([np.ones((*below.shape[:3], 1)), below], axis=3)
        both = (each[::2] * weights[:, None]).swapaxes(2, 3) @ each[1::2]
        both = np.ascontiguousarray(both.swapaxes(0, 1)).reshape(len(planes), k // 2, -1)
        out[here] = np.log((both[index] @ pairs[here])[..., 0]).sum(axis=1)
    return out


_BY_KIND = {"single": _log_single_chances, "pair": _log_pair_chances}


def _pieces(
    shared: _Shared, plane: NDArray[np.intp], odd: int, elements: Callable[[int], int]
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp], Array, Array]]:
    """Points worked on at once, their planes, the place of each one's plane among these, and the rule for both.

    `elements` says how many numbers a point takes with a rule of so many nodes. Planes with equally many nodes are
    worked on together: one by one they are bound by the interpreter.
    """
    for counts in np.unique(shared.counts, axis=0):
        points = np.flatnonzero((shared.counts == counts).all(axis=1)[plane])
        points = points[np.argsort(plane[points], kind="stable")]
        nodes, weights = _factor_rule(counts.tolist(), odd)
        size = max(1, CHUNK // elements(len(weights)))
        for i in range(0, len(points), size):
            here = points[i : i + size]
            yield here, *np.unique(plane[here], return_inverse=True), nodes, weights


def _log_expectations(chance: Array, starts: NDArray[np.intp], weights: Array) -> Array:
    """Log of the mean over nodes of each cluster's product of chances `(m, P)`, from `chance (k, P, n)`."""
    if np.diff(np.append(starts, len(chance))).max() <= GROUP:
        return np.asarray(np.log(np.multiply.reduceat(chance, starts, axis=0) @ weights))
    # a product of many small chances would leave the range of floating point
    logs = np.add.reduceat(np.log(chance), starts, axis=0)
    top = logs.max(axis=2, keepdims=True)
    return np.asarray(np.log(np.exp(logs - top) @ weights) + top[..., 0])


@dataclass(frozen=True, slots=True, eq=False)
class _Shared:
    """What rows of a group share at L planes.

    `mean (L,)`, residual `sd (k, L)`, `loadings (k, L, factors)` on the shared variables, and how many nodes a side
    these need: `counts (L, factors)`.
    """

    mean: Array
    sd: Array
    loadings: Array
    counts: NDArray[np.intp]


def _shared_parts(model: Selection, group: _Group, at: list[_Plane]) -> _Shared:
    v, rho = model.data.v[group.rows, None], model.data.correlation
    between, within = np.array([p.between for p in at]), np.array([p.within for p in at])
    if group.kind == "pair":
        sd, loadings = _pairs(v, between, within, rho)
    elif group.kind == "triple":
        sd, loadings = _triples(v, between, within, rho)
    else:
        sd, loadings = np.sqrt((1.0 - rho) * v + within), _loadings(v, group, between, rho)
    # sums of squared loadings over residual variances: a product of normal tails that steep has bandwidth
    # sqrt(1 + squares), and the step of the rule follows it
    squares = np.add.reduceat((loadings / sd[..., None]) ** 2, group.starts, axis=0).max(axis=0)
    counts = np.minimum(_rounded_up(END / STEP * np.sqrt(1.0 + squares)), MOST_NODES)
    return _Shared(np.array([p.effect for p in at]), sd, loadings, np.where(squares > 0, counts, 0).astype(np.intp))


def _rounded_up(counts: Array) -> Array:
    """Counts at the next of a few sizes, an eighth apart: planes of one size are worked on together."""
    size = 2.0 ** np.ceil(np.log2(counts) - 3.0)
    return np.asarray(np.ceil(counts / size) * size)


def _tails(model: Selection, group: _Group, shared: _Shared, planes: NDArray[np.intp], nodes: Array) -> Array:
    """P(p < step) of every row given the shared part at its nodes `(k, L, n, J - 1)`, at the `planes (L,)`."""
    mean = shared.mean[planes, None] + shared.loadings[:, planes] @ nodes.T
    return _below(model, mean, model.critical[group.rows][:, None, None, :], shared.sd[:, planes, None])


def _loadings(v: Array, group: _Group, between: Array, rho: float) -> Array:
    """How strongly rows with variances `v (k, 1)` hang on the shared variables `(k, L, factors)`, the strongest first.

    `between (L,)` are variances of the random effect.
    """
    if group.kind == "even":
        return np.sqrt(between + rho * v)[..., None]
    a, b = np.broadcast_arrays(np.sqrt(between), np.sqrt(rho * v))
    aa, ab, bb = (np.add.reduceat(x, group.starts, axis=0) for x in (a * a, a * b, b * b))
    # Turned to principal axes: nearly equal variances leave nearly nothing for the second one.
    size = np.diff(np.append(group.starts, len(v)))
    turn = np.repeat(0.5 * np.arctan2(2.0 * ab, aa - bb), size, axis=0)
    return np.stack([np.cos(turn) * a + np.sin(turn) * b, np.cos(turn) * b - np.sin(turn) * a], axis=-1)


def _pairs(v: Array, between: Array, within: Array, rho: float) -> tuple[Array, Array]:
    """Residual `sd (k, L)` and `loadings (k, L, 1)` of clusters of two rows on one factor, equally strong on both."""
    first, second = v.reshape(-1, 2, 1).swapaxes(0, 1)
    error = constant_correlation(v.reshape(-1, 2), rho)[:, 0, 1, None]
    total = v + between + within
    spread = np.sqrt(total[::2] * total[1::2])
    # The determinant as a sum of positive terms: as a difference it has no digits where rows are nearly one.
    apart = (1.0 - rho**2) * first * second + between * (first + second - 2.0 * error)
    apart += within * (first + second + 2.0 * between + within)
    share = (error + between) / spread
    rest = apart / (spread**2 * (1.0 + share))
    return np.sqrt(total * np.repeat(rest, 2, axis=0)), np.sqrt(total * np.repeat(share, 2, axis=0))[..., None]


def _triples(v: Array, between: Array, within: Array, rho: float) -> tuple[Array, Array]:
    """Residual `sd (k, L)` and `loadings (k, L, 1)` of clusters of three rows on one factor, by Spearman's triads."""
    own = np.sqrt(v).reshape(-1, 3, 1)
    left, right = np.roll(own, -1, axis=1), np.roll(own, 1, axis=1)
    beside = rho * left * right + between
    loadings = np.sqrt((rho * own * left + between) * (rho * own * right + between) / beside)
    # What a triad leaves, with the terms that cancel taken out.
    rest = (rho * (1.0 - rho) * own**2 * left * right + between * _beside_common(own, rho)) / beside
    return np.sqrt(within + rest.reshape(len(v), -1)), loadings.reshape(len(v), -1, 1)


def _beside_common(se: Array, rho: float) -> Array:
    """How much of a row's error in a cluster of three, `se (m, 3, 1)`, no factor takes up as tau grows, per row."""
    left, right = np.roll(se, -1, axis=1), np.roll(se, 1, axis=1)
    return np.asarray(se**2 - rho * se * (left + right) + rho * left * right)


def _factor_rule(counts: list[int], odd: int) -> tuple[Array, Array]:
    """Nodes `(n, factors)` and weights `(n,)` for standard normal variables, `counts` nodes a side of each.

    The trapezoidal rule; a variable without nodes is held at 0. `odd` moves the nodes by half a step.
    """
    axes = [(np.arange(-n, n + 1) + 0.5 * odd) * (END / n) if n else np.zeros(1) for n in counts]
    nodes = np.array(list(product(*axes)))
    weights = np.exp(-0.5 * (nodes**2).sum(axis=1))
    return nodes, weights / weights.sum()
