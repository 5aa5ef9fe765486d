"""Log likelihoods of the averaged models, for effects in clusters, at points of their parameters.

Called by `bias_integrals`. Effects are turned so that positive ones are favoured. Three ideas:

1. Effects of a cluster share a random effect and a part of their errors (`clustered_effects`). Given these two they are
   independent, so every inverse and determinant is that of a 2 x 2 matrix.
2. Rows are selected one by one, each with the weight of its own p value. The density of a cluster that was seen is the
   product of its weights times its multivariate normal density, over the expectation of that product under the same
   density. Normalising row by row would be another model: within a cluster the chances to be seen depend on each other.
3. The expectation is an integral over the shared part alone; given it, the chances of the rows multiply. A cluster of
   one row needs none: its chance is a sum of normal tails.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy import special

from replication.models.bayes.averaging.bias_models import WeightFunction
from replication.models.bayes.averaging.clustered_effects import (
    ClusteredEffects,
    ClusterGroup,
    SharedPart,
    factor_rule,
    shared_part,
)
from replication.models.bayes.exact.model import Axis
from replication.models.bayes.exact.quadrature import gauss_rule
from replication.models.bayes.priors.coefficient import Normal
from replication.models.bayes.priors.positive import Beta, Fixed, PositivePrior
from replication.models.bayes.priors.record import LOG_2PI
from replication.models.fit import Array

__all__ = [
    "Linear",
    "LinearGiven",
    "Selection",
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


def _rises(omega: Array) -> Array:
    """The weight of the largest p values and how far it rises at each step `(P, J)`.

    A row is seen with probability `omega_J + sum_j (omega_j - omega_(j+1)) P(p < step_j)`: all terms are positive, so
    nothing cancels.
    """
    return np.column_stack([omega[:, -1], -np.diff(np.column_stack([np.ones(len(omega)), omega]), axis=1)])


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


def _trial_points(model: Selection, group: ClusterGroup) -> tuple[list[_Plane], NDArray[np.intp], Array]:
    """Planes, the plane of each point, and the weights `(P, J - 1)` of each point on which sums are compared."""
    unit = float(np.sqrt(np.mean(model.data.y[group.rows] ** 2)))
    means, taus = unit * np.array([-2.0, -1.0, -0.3, 0.0, 0.3, 1.0, 2.0]), unit * np.array([0.0, 0.1, 0.3, 1.0, 3.0])
    at = [_Plane(mean, 0.0, tau**2) for mean, tau in product(means.tolist(), taus.tolist())]
    least, n = np.array([1e-6, 0.01, 0.1, 0.5, 0.9]), model.critical.shape[1]
    weights = least[:, None] ** (np.arange(1, n + 1) / n)
    return at, np.repeat(np.arange(len(at)), len(least)), np.tile(weights, (len(at), 1))


def _log_single_chances(
    model: Selection, group: ClusterGroup, at: list[_Plane], plane: NDArray[np.intp], omega: Array, _: int
) -> Array:
    """Sum over clusters of one row of the log probability to be seen `(P,)`."""
    rows = model.singles or Singles(model.data.v[group.rows], model.critical[group.rows], np.ones(len(group.rows)))
    mean, sd = np.array([p.effect for p in at]), np.sqrt([p.between + p.within + rows.v for p in at])
    below = np.empty((*sd.shape, omega.shape[1]))
    _chances_below(model, mean[:, None, None] / sd[..., None], rows.critical / sd[..., None], np.zeros(()), below)
    falls, size = _rises(omega)[:, 1:], max(1, CHUNK // (len(rows.v) * omega.shape[1]))
    out = np.empty(len(omega))
    for i in range(0, len(omega), size):
        piece = slice(i, i + size)
        chance = np.einsum("pnj,pj->np", below[plane[piece]], falls[piece]) + omega[piece, -1]
        out[piece] = rows.times @ np.log(np.maximum(chance, SMALLEST))
    return out


def _chances_below(model: Selection, mean: Array, critical: Array, shared: Array, out: Array) -> None:
    """P(p < step) of normal estimates whose `mean`, `critical` values and `shared` part are in units of their sd."""
    special.ndtr(np.add(mean - critical, shared, out=out), out=out)
    if model.function.sides == "two":
        out += special.ndtr(-mean - critical - shared)


def _log_chances(
    model: Selection, group: ClusterGroup, at: list[_Plane], plane: NDArray[np.intp], omega: Array, odd: int
) -> Array:
    """Sum over clusters of the log probability that all rows of one are seen `(P,)`."""
    shared, rises, k = _shared_at(model, group, at), _rises(omega), len(group.rows)
    layers, out = group.layers, np.empty(len(omega))
    order = np.concatenate(layers)
    for here, planes, nodes, weights in _pieces(shared, plane, odd, lambda n: k * n):
        seen = _seen(model, group, shared, at, planes, nodes)[:, :, order]
        chance = rises[here] @ seen.reshape(*seen.shape[:2], -1)
        chance = chance.reshape(*here.shape, k, len(weights))
        out[here] = _log_expectations(chance, [len(layer) for layer in layers], weights).sum(axis=2)
    return out


def _log_pair_chances(
    model: Selection, group: ClusterGroup, at: list[_Plane], plane: NDArray[np.intp], omega: Array, odd: int
) -> Array:
    """What `_log_chances` gives, for clusters of two rows.

    The chance that both are seen is bilinear in the weights: what is between them is the same at all points of a plane.
    """
    shared, rises, m = _shared_at(model, group, at), _rises(omega), len(group.rows) // 2
    pairs = (rises[:, :, None] * rises[:, None, :]).reshape(len(rises), -1)
    out = np.empty(len(omega))
    for here, planes, nodes, weights in _pieces(shared, plane, odd, lambda n: m * (n + pairs.shape[1])):
        each = _seen(model, group, shared, at, planes, nodes).transpose(2, 0, 1, 3)
        both = (each[::2] * weights) @ each[1::2].swapaxes(2, 3)
        both = both.transpose(1, 2, 3, 0).reshape(len(planes), -1, m)
        out[here] = np.log(pairs[here] @ both).sum(axis=2)
    return out


_BY_KIND = {"single": _log_single_chances, "pair": _log_pair_chances}


def _pieces(
    shared: SharedPart, plane: NDArray[np.intp], odd: int, elements: Callable[[int], int]
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp], Array, Array]]:
    """Points worked on at once `(L, P)`, the planes `(L,)` they lie in, and the rule for the shared part of these.

    `elements` says how many numbers a point takes with a rule of so many nodes. Planes with equally many nodes are
    worked on together: one by one they are bound by the interpreter. A plane with fewer points than the others of a
    piece has its last one several times.
    """
    for counts in np.unique(shared.counts, axis=0):
        points = np.flatnonzero((shared.counts == counts).all(axis=1)[plane])
        points = points[np.argsort(plane[points], kind="stable")]
        nodes, weights = factor_rule(tuple(counts.tolist()), odd)
        most = max(1, CHUNK // elements(len(weights)))
        starts, sizes = _runs(plane[points], most)
        i = 0
        while i < len(starts):
            some = slice(i, i + max(1, most // int(sizes[i])))
            within = np.minimum(np.arange(sizes[i]), sizes[some, None] - 1)
            here = points[starts[some, None] + within]
            yield here, plane[here[:, 0]], nodes, weights
            i = some.stop


def _runs(planes: NDArray[np.intp], most: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Where runs of equal `planes (P,)`, which are sorted, start and how long they are, the longest first.

    A run longer than `most` is several.
    """
    new = np.flatnonzero(np.append(True, planes[1:] != planes[:-1])[: len(planes)])
    length = np.diff(np.append(new, len(planes)))
    starts = np.concatenate([np.arange(a, a + n, most) for a, n in zip(new.tolist(), length.tolist(), strict=True)])
    sizes = np.diff(np.append(starts, len(planes)))
    order = np.argsort(-sizes, kind="stable")
    return starts[order], sizes[order]


def _log_expectations(chance: Array, layers: list[int], weights: Array) -> Array:
    """Log of the mean over nodes of each cluster's product of chances `(..., m)`, from `chance (..., k, n)`.

    `layers` says how many clusters have a first row, a second and so on, in which order rows come. `chance` is used up.
    """
    # a product of many small chances would leave the range of floating point
    logs = len(layers) > GROUP
    terms = np.log(chance, out=chance) if logs else chance
    product, at = terms[..., : layers[0], :], layers[0]
    combine = np.add if logs else np.multiply
    for n in layers[1:]:
        combine(product[..., :n, :], terms[..., at : at + n, :], out=product[..., :n, :])
        at += n
    if not logs:
        return np.asarray(np.log(product @ weights))
    top = product.max(axis=-1, keepdims=True)
    return np.asarray(np.log(np.exp(product - top) @ weights) + top[..., 0])


def _shared_at(model: Selection, group: ClusterGroup, at: list[_Plane]) -> SharedPart:
    return shared_part(model.data, group, np.array([p.between for p in at]), np.array([p.within for p in at]))


def _seen(
    model: Selection, group: ClusterGroup, shared: SharedPart, at: list[_Plane], planes: NDArray[np.intp], nodes: Array
) -> Array:
    """What the weights of `_rises` are multiplied with, given the shared part: `(L, J, k, n)`, at the `planes (L,)`.

    1 and P(p < step) of every row.
    """
    sd = shared.sd[planes, None]
    part = (shared.loadings[planes] @ nodes.T)[:, None] / sd[..., None]
    critical = model.critical[group.rows].T / sd
    seen = np.ones((len(planes), 1 + critical.shape[1], *part.shape[2:]))
    mean = np.array([at[i].effect for i in planes.tolist()])[:, None, None, None] / sd[..., None]
    _chances_below(model, mean, critical[..., None], part, seen[:, 1:])
    return seen
