"""Each averaged model solved: its marginal likelihood and the posteriors of effect, tau, slope and publication weights.

Cells are found with few nodes an axis and used with two more; the difference in the marginal likelihood, in the mean
effect and in the mean weights is the stated error.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from replication.models.bayes.averaging.bias_likelihoods import (
    Linear,
    Selection,
    linear_given,
    publication_weights,
    selection_log,
)
from replication.models.bayes.exact.marginals import Marginal, NormalMixture, Point, panel_density
from replication.models.bayes.exact.model import EDGES, Axis
from replication.models.bayes.exact.quadrature import Cells, adapt, box_cells, grid_nodes, legendre_rule
from replication.models.fit import Array

__all__ = ["BiasSolution", "solve_linear", "solve_selection"]

# Nodes an axis where cells are found, and how many more where they are used: fewer in more dimensions.
NODES = {0: (10, 2), 1: (10, 2), 2: (10, 2), 3: (7, 2), 4: (8, 2), 5: (5, 1)}
# Evaluations of the joint density times effects after which cells are no longer cut; the stated error says so.
MOST_TERMS = 400_000_000


@dataclass(frozen=True, slots=True, eq=False)
class BiasSolution:
    """One model solved. `slope` is None without a regression; `weights (J,)` are posterior means, the first 1."""

    log_mass: float
    error: float
    effect: Marginal
    tau: Marginal
    slope: Marginal | None
    weights: tuple[float, ...]
    points: int


@dataclass(frozen=True, slots=True, eq=False)
class _Posterior:
    """A joint density on resolved cells: `density` is normalised, `amounts` are the probabilities of nodes."""

    nodes: tuple[Array, ...]
    rules: tuple[Array, ...]
    cells: Cells
    density: Array
    amounts: Array
    log_mass: float

    def mean(self, values: Array) -> float:
        """Posterior mean of `values`, which broadcast over the nodes."""
        return float((self.amounts * values).sum())

    def along(self, values: Array, axis: int) -> Array:
        """Per-cell values `(C, n)` of one axis, shaped to broadcast over the nodes."""
        return _along(values, axis, len(self.nodes))

    def series(self, axis: int) -> Array:
        """Legendre series of the marginal density along `axis` on every cell `(C, n)`."""
        d, density = len(self.nodes), self.density
        for i, rule in enumerate(self.rules):
            if i != axis:
                density = density * self.along(rule, i)
        values = density.sum(axis=tuple(1 + i for i in range(d) if i != axis))
        return np.asarray(values @ legendre_rule(values.shape[1]).coefficients.T)


def solve_linear(model: Linear, rtol: float) -> BiasSolution:
    """Integrate tau and slope out of a model without bias, with PET or with PEESE; cells resolved to `rtol`."""
    edges, most = (model.tau.edges, model.slope.edges), MOST_TERMS // len(model.y)
    coarse, fine = _resolve(lambda x: linear_given(model, x).log, edges, rtol, most)
    return _with_error(_linear_solution(model, coarse), _linear_solution(model, fine))


def solve_selection(model: Selection, rtol: float) -> BiasSolution:
    """Integrate effect, tau and publication weights out of a step selection model; cells resolved to `rtol`."""
    effect = np.array([*(-e for e in reversed(EDGES[1:])), *EDGES]) if model.effect is not None else np.zeros(1)
    edges = (effect, model.tau.edges, *[np.array([0.0, 1.0])] * model.critical.shape[1])
    coarse, fine = _resolve(lambda x: selection_log(model, x), edges, rtol, MOST_TERMS // len(model.y))
    return _with_error(_selection_solution(model, coarse), _selection_solution(model, fine))


def _resolve(
    log_joint: Callable[[tuple[Array, ...]], Array], edges: tuple[Array, ...], rtol: float, most: int
) -> tuple[_Posterior, _Posterior]:
    """The joint posterior by a coarse and by a fine rule on the same cells; about `most` evaluations find them."""
    cells = box_cells(edges)
    n, more = NODES[sum(cells.free)]
    if any(cells.free):
        cells = adapt(lambda x: log_joint(x)[:, None], cells, rtol, most, n).cells
    return _posterior(log_joint, cells, n), _posterior(log_joint, cells, n + more)


def _posterior(log_joint: Callable[[tuple[Array, ...]], Array], cells: Cells, n: int) -> _Posterior:
    nodes, rules = grid_nodes(cells, n)
    log = log_joint(nodes)
    peak = float(log.max())
    density = np.exp(log - peak)
    amounts = density
    for i, rule in enumerate(rules):
        amounts = amounts * _along(rule, i, len(rules))
    total = float(amounts.sum())
    return _Posterior(nodes, rules, cells, density / total, amounts / total, peak + float(np.log(total)))


def _along(values: Array, axis: int, d: int) -> Array:
    return values.reshape(len(values), *(values.shape[1] if a == axis else 1 for a in range(d)))


def _linear_solution(model: Linear, p: _Posterior) -> BiasSolution:
    given = linear_given(model, p.nodes)
    weights = p.amounts.ravel()
    keep = weights > 1e-18
    weights, mean, variance = weights[keep], given.mean.ravel()[keep], given.variance.ravel()[keep]
    effect: Marginal = Point(mean=0.0, sd=0.0, reason="no effect in this model")
    if model.effect is not None:
        middle = float((weights * mean).sum())
        sd = float(np.sqrt((weights * (variance + (mean - middle) ** 2)).sum()))
        effect = NormalMixture(mean=middle, sd=sd, weights=weights, centers=mean, sds=np.sqrt(variance))
    slope = _axis_marginal(p, 1, model.slope, len(model.y)) if len(model.slope.edges) > 1 else None
    return BiasSolution(
        p.log_mass, np.nan, effect, _axis_marginal(p, 0, model.tau, len(model.y)), slope, (), p.amounts.size
    )


def _selection_solution(model: Selection, p: _Posterior) -> BiasSolution:
    omega = publication_weights(p.nodes[2:])
    means = tuple(p.mean(omega[:, j][:, None, None]) for j in range(omega.shape[1]))
    tau = _axis_marginal(p, 1, model.tau, len(model.y))
    return BiasSolution(p.log_mass, np.nan, _effect_marginal(model, p), tau, None, (1.0, *means), p.amounts.size)


def _axis_marginal(p: _Posterior, i: int, axis: Axis, k: int) -> Marginal:
    """Posterior of tau or a slope: k effects make its tails lighter than its prior's by k powers."""
    if len(axis.edges) == 1:
        return Point(mean=float(axis.prior.support()[0]), sd=0.0, reason="fixed in this model")
    mean, sd = _moments(p, p.along(axis.sd(p.nodes[i]), i))
    light = axis.prior.tail_index + k > 2.0 or np.isfinite(axis.prior.support()[1])
    reason = "" if light else f"tails fall as x^-{axis.prior.tail_index + k + 1:g}: no sd exists; read the interval"
    ends = p.cells.low[:, i], p.cells.high[:, i]
    return panel_density(*ends, p.series(i), axis.unit, mean=mean, sd=sd if light else np.nan, reason=reason)


def _effect_marginal(model: Selection, p: _Posterior) -> Marginal:
    if model.effect is None:
        return Point(mean=0.0, sd=0.0, reason="no effect in this model")
    values = p.along(model.center + model.unit * np.sinh(p.nodes[0]), 0)
    mean, sd = _moments(p, values)
    low, high = p.cells.low[:, 0], p.cells.high[:, 0]
    return panel_density(low, high, p.series(0), model.unit, mean=mean, sd=sd, shift=model.center)


def _moments(p: _Posterior, values: Array) -> tuple[float, float]:
    mean = p.mean(values)
    return mean, float(np.sqrt(p.mean((values - mean) ** 2)))


def _with_error(coarse: BiasSolution, fine: BiasSolution) -> BiasSolution:
    """The fine solution with the largest difference from the coarse one."""
    gaps = [
        abs(fine.log_mass - coarse.log_mass),
        *(abs(a - b) for a, b in zip(fine.weights, coarse.weights, strict=True)),
    ]
    for one, other in ((fine.effect, coarse.effect), (fine.tau, coarse.tau)):
        if one.sd > 0:
            gaps += [abs(one.mean - other.mean) / one.sd, abs(one.sd - other.sd) / one.sd]
    return replace(fine, error=float(max(gaps)))
