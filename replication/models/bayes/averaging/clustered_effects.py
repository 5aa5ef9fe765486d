"""Effects in clusters: what the rows of one share, and the rule that integrates over it.

Effects of a cluster share a random effect and, where their errors correlate, a part of those:
`y_ij = mu + b_i + w_ij + sqrt(rho v_ij) f_i + sqrt((1 - rho) v_ij) e_ij`. Given b and f they are independent. Where
variances within a cluster are equal the two are one variable, and so they are where a cluster has two or three rows, as
any such covariance is that of one factor (Spearman 1904).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy import special

from replication.effects.covariance import constant_correlation
from replication.models.fit import Array

__all__ = ["ClusterGroup", "ClusteredEffects", "SharedPart", "arrange", "factor_rule", "shared_part"]

# The trapezoidal rule of a cluster's shared part: its step for a standard normal (error 2e-5), and its ends, in sd.
STEP, END = 1.35, 5.6
# How steep a product of chances may be on a shared variable for 3, 4, ... nodes of Gauss and Hermite to err by 1e-5.
FLAT = (0.11, 0.21, 0.33, 0.44, 0.54, 0.66)
# Nodes a side beyond which the rule is not made finer; what is then missed shows between the two lattices.
MOST_NODES = 400


_Kind = Literal["single", "even", "pair", "triple", "uneven"]
"""Clusters by what the integral over their shared part takes: see `_kinds`."""
_KINDS: tuple[_Kind, ...] = get_args(_Kind)


@dataclass(frozen=True, slots=True, eq=False)
class ClusterGroup:
    """Clusters of one kind: positions of their `rows`, and where each cluster `starts`."""

    rows: NDArray[np.intp]
    starts: NDArray[np.intp]
    kind: _Kind

    @property
    def layers(self) -> list[NDArray[np.intp]]:
        """The first row of every cluster, the second of those that have one, and so on; the largest clusters first."""
        sizes = np.diff(np.append(self.starts, len(self.rows)))
        order = np.argsort(-sizes, kind="stable")
        return [self.starts[order][sizes[order] > i] + i for i in range(int(sizes.max()))]


@dataclass(frozen=True, slots=True, eq=False)
class ClusteredEffects:
    """Effects `y (k,)` sorted by cluster, variances `v (k,)`, where clusters `starts (m,)`, correlation of errors."""

    y: Array
    v: Array
    starts: NDArray[np.intp]
    correlation: float
    groups: tuple[ClusterGroup, ...]

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
            groups.append(ClusterGroup(rows, np.concatenate([[0], np.cumsum(size[own])[:-1]]), kind))
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
class SharedPart:
    """What rows of a group share at L pairs of variances between and within clusters.

    Residual `sd (L, k)`, `loadings (L, k, factors)` on the shared variables, and how many nodes these need: `counts
    (L, factors)`.
    """

    sd: Array
    loadings: Array
    counts: NDArray[np.intp]


def shared_part(data: ClusteredEffects, group: ClusterGroup, between: Array, within: Array) -> SharedPart:
    """What the rows of a group share where `between, within (L,)` are the variances of random effects."""
    v, rho = data.v[group.rows, None], data.correlation
    if group.kind == "pair":
        sd, loadings = _pairs(v, between, within, rho)
    elif group.kind == "triple":
        sd, loadings = _triples(v, between, within, rho)
    else:
        sd, loadings = np.sqrt((1.0 - rho) * v + within), _loadings(v, group, between, rho)
    # How steep the product of a cluster's normal tails is: loadings over residual sds, added up as squares.
    steep = np.sqrt(np.add.reduceat((loadings / sd[..., None]) ** 2, group.starts, axis=0).max(axis=0))
    return SharedPart(np.ascontiguousarray(sd.T), np.ascontiguousarray(loadings.swapaxes(0, 1)), _counts(steep))


def _counts(steep: Array) -> NDArray[np.intp]:
    """How many nodes a standard normal variable takes on which a product of normal tails is so `steep`."""
    # the bandwidth of such a product is sqrt(1 + steep^2), and the step of the trapezoidal rule follows it
    side = np.minimum(_rounded_up(END / STEP * np.sqrt(1.0 + steep**2)), MOST_NODES)
    few = np.searchsorted([0.0, *FLAT], steep)
    return np.where(steep > FLAT[-1], 2 * side + 1, np.array([1, *range(3, 3 + len(FLAT)), 0])[few]).astype(np.intp)


def _rounded_up(counts: Array) -> Array:
    """Counts at the next of a few sizes, an eighth apart: planes of one size are worked on together."""
    size = 2.0 ** np.ceil(np.log2(counts) - 3.0)
    return np.asarray(np.ceil(counts / size) * size)


def _loadings(v: Array, group: ClusterGroup, between: Array, rho: float) -> Array:
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


@cache
def factor_rule(counts: tuple[int, ...], odd: int) -> tuple[Array, Array]:
    """Nodes `(n, factors)` and weights `(n,)` for standard normal variables, about `counts` nodes for each.

    Few nodes are those of Gauss and Hermite, of which `odd` takes one more; many the trapezoidal rule, which it moves
    by half a step. A variable with one node is held at 0.
    """
    rules = [_hermite_rule(n + odd * (n > 1)) if n <= 2 + len(FLAT) else _trapezoidal_rule(n // 2, odd) for n in counts]
    return np.array(list(product(*(x for x, _ in rules)))), np.prod(list(product(*(w for _, w in rules))), axis=1)


def _hermite_rule(n: int) -> tuple[Array, Array]:
    nodes, weights = special.roots_hermitenorm(n)
    return np.asarray(nodes), np.asarray(weights / weights.sum())


def _trapezoidal_rule(side: int, odd: int) -> tuple[Array, Array]:
    nodes = (np.arange(-side, side + 1) + 0.5 * odd) * (END / side)
    weights = np.exp(-0.5 * nodes**2)
    return np.asarray(nodes), np.asarray(weights / weights.sum())
