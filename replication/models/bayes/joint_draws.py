"""Independent joint draws of an exact posterior, as arrays.

They are drawn without a chain, in three steps:

1. A node of the quadrature is drawn by its weight, and a point evenly from the node's own part of its cell. The weights
   of a Gauss-Legendre or midpoint rule cut a cell into such parts, one around each node, so the point is drawn from a
   density that is the posterior's at the node and flat around it.
2. The point is kept with a chance proportional to the posterior there over the posterior at the node (rejection, its
   bound the largest ratio among the points proposed): what is kept has the posterior's own density.
3. Given the standard deviations the coefficients are normal, with the mean and covariance computed at the point.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from replication.errors import ModelError
from replication.models.bayes.exact.model import Axis, conditional
from replication.models.bayes.exact.nested import SDS, NestedPosterior
from replication.models.bayes.exact.posterior import ExactPosterior
from replication.models.bayes.exact.quadrature import along, grid_nodes
from replication.models.fit import Array
from replication.models.readable import Readable

__all__ = ["CHAINS", "EXACTLY", "JointDraws", "draw_exact"]

# Independent draws are cut into as many parts, so that arviz's R-hat and effective sizes have chains to compare.
CHAINS = 4
EXACTLY = "independent draws of the exact posterior"
"""How draws of exact posteriors come about, wherever they are saved."""
# Points proposed for each draw wanted (on two axes most are kept, on three one in three), and how often more are
# proposed before giving up.
SPARE, SPARE_NESTED, ROUNDS = 1.5, 5.0, 6


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class JointDraws(Readable):
    """Draws by name `(n,)`, each position one draw of all quantities, and the share of proposed points `kept`."""

    values: Mapping[str, Array]
    kept: float


# The coefficients given the sds at nodes, one `(C, n_a)` an axis: log joint density, mean and covariance on the grid.
_Given = Callable[[tuple[Array, ...]], tuple[Array, Array, Array]]


@dataclass(frozen=True, slots=True, eq=False)
class _Source:
    """What is drawn from: axes with the names of their sds, a `rule` of quadrature on them, coefficients given sds.

    An axis that is no sd of the model has an empty name. `rule` holds nodes and weights of each axis, `(C, n_a)`. The
    coefficients of `given` are turned into those of `names` by `(beta + center) * slope`. `spare` points are proposed
    for each draw wanted.
    """

    axes: tuple[tuple[str, Axis], ...]
    rule: tuple[tuple[Array, ...], tuple[Array, ...]]
    given: _Given
    names: tuple[str, ...]
    center: Array
    slope: Array
    spare: float


@dataclass(frozen=True, slots=True, eq=False)
class _Points:
    """Points on the axes `(m, d)`, the log of posterior over proposal `(m,)`, and the coefficients given them."""

    at: Array
    log_ratio: Array
    mean: Array
    covariance: Array


def draw_exact(posterior: ExactPosterior | NestedPosterior, size: int, rng: np.random.Generator) -> JointDraws:
    """Independent joint draws of the standard deviations and coefficients of an exact posterior.

    Parameters
    ----------
    posterior : of two, three or (effects in samples in countries) four levels, with Normal or t priors of coefficients
    size : draws wanted
    rng : the generator, whose seed belongs to the record

    A standard deviation whose prior is `Fixed` is the same in every draw.

    Raises `ModelError` for a size below 1.

    >>> from replication.models.bayes import exact_two_level
    >>> from replication.models.bayes import HalfNormal, Normal
    >>> y, v = [0.1, 0.3, 0.5], [0.01, 0.02, 0.01]
    >>> found = draw_exact(
    ...     exact_two_level(y, v, tau=HalfNormal(0.3), coefficients=[Normal(0, 1)]), 2000, np.random.default_rng(1)
    ... )
    >>> sorted(found.values), round(float(found.values["intercept"].mean()), 2)
    (['intercept', 'tau'], 0.29)
    """
    if size < 1:
        raise ModelError(f"draws={size!r} must be 1 or more.")
    source = _nested(posterior) if isinstance(posterior, NestedPosterior) else _exact(posterior)
    points, kept = _accepted(source, size, rng)
    root = np.linalg.cholesky(points.covariance)
    normal = points.mean + np.einsum("npq,nq->np", root, rng.standard_normal(points.mean.shape))
    values = {name: axis.sd(points.at[:, i]) for i, (name, axis) in enumerate(source.axes) if name}
    values |= dict(zip(source.names, ((normal + source.center) * source.slope).T, strict=True))
    return JointDraws(values, kept)


def _exact(posterior: ExactPosterior) -> _Source:
    """What a posterior of two or three levels is drawn from; the axis that mixes a t prior is no sd of it."""
    solution = posterior.solution
    model = solution.model
    names = {posterior._axis(name): name for name in posterior.sds}

    def given(nodes: tuple[Array, ...]) -> tuple[Array, Array, Array]:
        found = conditional(model, nodes)
        return found.log, found.mean, found.covariance

    axes = tuple((names.get(i, ""), axis) for i, axis in enumerate(model.axes))
    # A series has as many terms as the rule has nodes; a fixed axis has one of each.
    rule = grid_nodes(solution.cells, max(series.shape[1] for series in solution.series))
    return _Source(axes, rule, given, posterior.names, model.units.center, model.units.slope, SPARE)


def _nested(posterior: NestedPosterior) -> _Source:
    """What a posterior of three variances is drawn from."""
    p = len(posterior.names)
    axes = tuple(zip(SDS, posterior.data.axes, strict=True))
    # Flat around the nodes of the thin rule one point in ten would be kept, around halves of their parts one in three.
    halves = [_halves(x, w) for x, w in zip(*posterior.thin, strict=True)]
    rule = tuple(x for x, _ in halves), tuple(w for _, w in halves)
    return _Source(axes, rule, posterior.given, posterior.names, np.zeros(p), np.ones(p), SPARE_NESTED)


def _accepted(source: _Source, size: int, rng: np.random.Generator) -> tuple[_Points, float]:
    """`size` points with the posterior's density, and the share of those proposed that were kept."""
    wanted = int(source.spare * size) + 10
    for _ in range(ROUNDS):
        found = _propose(source, wanted, rng)
        keep = np.flatnonzero(rng.uniform(size=wanted) < np.exp(found.log_ratio - found.log_ratio.max()))
        if len(keep) >= size:
            parts = (part[keep[:size]] for part in (found.at, found.log_ratio, found.mean, found.covariance))
            return _Points(*parts), len(keep) / wanted
        # All anew: the bound is the largest ratio seen, and joining rounds of two bounds would favour one of them.
        wanted *= 2
    raise ModelError(f"only {len(keep)} of {wanted} points could be kept; ask for fewer draws.")


def _propose(source: _Source, m: int, rng: np.random.Generator) -> _Points:
    """Points drawn by the weights of the nodes and evenly around each."""
    nodes, weights = source.rule
    log = source.given(nodes)[0]
    d, amounts = len(nodes), np.exp(log - log.max())
    for axis, w in enumerate(weights):
        amounts = amounts * along(w, axis, d)
    chosen = rng.choice(amounts.size, size=m, p=(amounts / amounts.sum()).ravel())
    cell, *places = np.unravel_index(chosen, amounts.shape)
    points = np.empty((m, d))
    for axis, (x, w) in enumerate(zip(nodes, weights, strict=True)):
        low, high = _parts(x, w)
        points[:, axis] = rng.uniform(low[cell, places[axis]], high[cell, places[axis]])
    reached, mean, covariance = source.given(tuple(column[:, None] for column in points.T))
    p = len(source.names)
    return _Points(points, reached.ravel() - log.ravel()[chosen], mean.reshape(m, p), covariance.reshape(m, p, p))


def _halves(nodes: Array, weights: Array) -> tuple[Array, Array]:
    """Nodes `(C, 2 n)` in the middles of both halves of each node's part, and their widths; a fixed axis as it is."""
    if nodes.shape[1] == 1:
        return nodes, weights
    low, high = _parts(nodes, weights)
    shape = (len(nodes), 2 * nodes.shape[1])
    middles = np.stack([0.75 * low + 0.25 * high, 0.25 * low + 0.75 * high], axis=2)
    return middles.reshape(shape), np.repeat(0.5 * weights, 2, axis=1)


def _parts(nodes: Array, weights: Array) -> tuple[Array, Array]:
    """Ends `(C, n)` of the part around each node of an axis; a fixed axis has one node and no width."""
    if nodes.shape[1] == 1:
        return nodes, nodes
    # Every rule here lies evenly about the middle of its cell, and its weights fill it.
    start = 0.5 * (nodes[:, :1] + nodes[:, -1:] - weights.sum(axis=1, keepdims=True))
    high = start + np.cumsum(weights, axis=1)
    return high - weights, high
