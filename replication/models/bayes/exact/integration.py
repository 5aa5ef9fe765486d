"""The standard deviations integrated out: cells resolved, nodes weighted, and the numerical error measured.

Cells are found with 10 nodes an axis and used with 13 (fewer in three and four dimensions). The difference between both
rules in every reported moment and probability is the stated error: that of the coarser one, so the result is better
than it says. While it exceeds what was asked, cells are cut further.

What an exact model is fitted to, and how it is solved: also under a restriction, for Bayes factors.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import partial

import numpy as np

from replication.errors import ModelError
from replication.models.bayes.exact.marginals import Marginal, NormalMixture, Point, panel_density
from replication.models.bayes.exact.model import Conditional, Model, conditional, make_model
from replication.models.bayes.exact.quadrature import Cells, adapt, along, box_cells, grid_nodes, narrow, series_along
from replication.models.bayes.exact.tails import Tails, check_posterior, posterior_tails
from replication.models.bayes.priors.coefficient import CoefficientPrior
from replication.models.bayes.priors.positive import Fixed, PositivePrior
from replication.models.fit import Array
from replication.models.multilevel.groups import Codes
from replication.models.multilevel.structure import BlockV

__all__ = [
    "Accuracy",
    "ExactData",
    "Nodes",
    "Solution",
    "coefficient_marginal",
    "integrate",
    "intercept_only",
    "mixture",
    "sd_marginal",
    "solve",
    "without_coefficient",
    "without_sd",
]

# Nodes an axis where cells are found and where they are used, by the number of sds to integrate over.
RULES = {1: (10, 13), 2: (10, 13), 3: (10, 12), 4: (8, 10)}
# Cells on a second try: a probability P(mu > x) changes over one unit of log tau, also where the density is smooth.
WIDEST = 2.0
# Nodes that carry less than this share are left out of mixtures.
PRUNE = 1e-18
CHECKED = np.array([0.025, 0.5, 0.975])


@dataclass(frozen=True, slots=True)
class Accuracy:
    """The numerical error: largest relative difference between two rules, in the quantity named by `worst`."""

    asked: float
    error: float
    worst: str
    cells: int
    points: int

    @property
    def reached(self) -> bool:
        """Whether the error is within what was asked."""
        return self.error <= self.asked


@dataclass(frozen=True, slots=True, eq=False)
class Nodes:
    """The posterior as a weighted set of normal models, in the user's units.

    `weights (N,)`, sds `within, between (N,)`, coefficients `mean (N, p)`, `covariance (N, p, p)`.
    """

    weights: Array
    within: Array
    between: Array
    mean: Array
    covariance: Array


@dataclass(frozen=True, slots=True, eq=False)
class Solution:
    """Everything the integration found. `log_mass` is the log marginal likelihood, or its like under improper priors.

    `series` holds, per axis, the Legendre series of its marginal density on every cell `(C, n)`.
    """

    model: Model
    tails: Tails
    cells: Cells
    nodes: Nodes
    series: tuple[Array, ...]
    log_mass: float
    accuracy: Accuracy


def integrate(model: Model, tails: Tails, rtol: float) -> Solution:
    """Resolve the posterior of the sds until the stated error is at most `rtol`, or stop and say how far it came."""
    cells = box_cells(tuple(axis.edges for axis in model.axes))
    free = sum(cells.free)
    if free == 0:
        solution = _solve(model, tails, cells, 1)
        return replace(solution, accuracy=Accuracy(rtol, _machine(solution.log_mass), "rounding", 1, 1))
    if free not in RULES:
        raise ModelError(f"{free} sds to integrate over are too many; give coefficients Normal instead of t priors.")
    # cells are found with the coarse rule and used with the fine one: their difference is the error
    few, more = RULES[free]
    # the difference of the rules overstates the error, so a loose first try is usually enough
    for tightness in (1e1, 1e-1, 1e-3):
        grid = adapt(partial(_functions, model, tails, tightness < 1.0), cells, tightness * rtol, n=few)
        if not len(grid.cells.low):
            raise ModelError(_nothing_left(model, tails, cells, few))
        fine, coarse = _solve(model, tails, grid.cells, more), _solve(model, tails, grid.cells, few)
        error, worst = max(_differences(fine, coarse))
        error = max(error, _machine(fine.log_mass), _beyond(model, tails))
        points = len(grid.cells.low) * more**free
        accuracy = Accuracy(rtol, error, worst, len(grid.cells.low), points)
        if accuracy.reached or not grid.complete:
            break
        cells = narrow(grid.cells, WIDEST) if free <= 2 else grid.cells
    return replace(fine, accuracy=accuracy)


def _nothing_left(model: Model, tails: Tails, cells: Cells, n: int) -> str:
    """Why no cell carries anything: numbers that cannot be computed with, or a prior without mass."""
    logs = _functions(model, tails, False, grid_nodes(cells, n)[0])
    if np.isnan(logs).any():
        return "the numbers span too many orders of magnitude; check units of y and V, and scale moderators."
    return "the prior gives no mass to any standard deviation the data allow; use a wider prior."


def _machine(log_mass: float) -> float:
    # what rounding costs in a log of this size, generously
    return 64.0 * float(np.finfo(float).eps) * max(1.0, abs(log_mass))


def _beyond(model: Model, tails: Tails) -> float:
    """Share of the posterior beyond the last edge: it matters only for tails as heavy as `tau^-1.1`."""
    index = min(tails.within, tails.between)
    return 0.0 if not np.isfinite(index) else float(np.exp(-index * max(a.edges[-1] for a in model.axes)))


def _functions(model: Model, tails: Tails, sharp: bool, nodes: tuple[Array, ...]) -> Array:
    """Logs of the functions to resolve: the density, and it times squares whose means exist but hang on far tails.

    `sharp`: also times `sd^-1/2` of every coefficient, for posteriors with a cusp (a row without sampling variance).
    """
    given = conditional(model, nodes)
    logs = [given.log]
    for order, size in _sizes(model, tails, nodes, given):
        # moments hang on tails that the density itself has forgotten; they are resolved beside it
        logs.append(given.log + order * np.log(size))
    if sharp:
        variances = np.diagonal(given.covariance, axis1=-2, axis2=-1)
        # the density of a coefficient goes as 1 / sd at its peak: halfway there shows the cusp to the cells
        logs += [given.log - 0.25 * np.log(v) for v in np.moveaxis(variances, -1, 0)]
    return np.stack(logs, axis=1)


def _sizes(model: Model, tails: Tails, nodes: tuple[Array, ...], given: Conditional) -> list[tuple[float, Array]]:
    out: list[tuple[float, Array]] = []
    for i, index in enumerate((tails.within, tails.between)):
        heavy = np.isfinite(model.axes[i].prior.tail_index)  # also where the data end the tail: it may be far out
        if index > 1.0 and (heavy or index < np.inf) and len(model.axes[i].edges) > 1:
            shape = [len(nodes[i]), *([1] * len(nodes))]
            shape[1 + i] = nodes[i].shape[1]
            out.append((_order(index), (model.axes[i].sd(nodes[i]) / model.units.y).reshape(shape)))
    for j, index in enumerate(tails.coefficients):
        if 1.0 < index < np.inf:
            out.append((_order(float(index)), np.hypot(given.mean[..., j], np.sqrt(given.covariance[..., j, j]))))
    return out


def _order(index: float) -> float:
    return 2.0 if index > 2.0 else 1.0


def _solve(model: Model, tails: Tails, cells: Cells, n: int) -> Solution:
    nodes, weights = grid_nodes(cells, n)
    given = conditional(model, nodes)
    peak = float(given.log.max())
    density = np.exp(given.log - peak)
    amounts = density
    for i, w in enumerate(weights):
        amounts = amounts * along(w, i, len(weights))
    total, slope, p = float(amounts.sum()), model.units.slope, len(model.mean)
    sds = [np.broadcast_to(along(model.axes[i].sd(nodes[i]), i, len(nodes)), density.shape).ravel() for i in range(2)]
    found = Nodes(
        amounts.ravel() / total,
        sds[0],
        sds[1],
        (given.mean.reshape(density.size, p) + model.units.center) * slope,
        given.covariance.reshape(density.size, p, p) * np.outer(slope, slope),
    )
    series = tuple(series_along(density / total, weights, i) for i in range(2))
    nothing = Accuracy(0.0, np.nan, "", 0, 0)
    return Solution(model, tails, cells, _prune(found), series, peak + float(np.log(total)), nothing)


def _prune(nodes: Nodes) -> Nodes:
    """Leave out nodes that carry nothing of the probability, nor of any quantity's first and second moment."""
    coefficients = range(nodes.mean.shape[1])
    sizes = [nodes.within, nodes.between]
    sizes += [np.hypot(nodes.mean[:, j], np.sqrt(nodes.covariance[:, j, j])) for j in coefficients]
    keep = nodes.weights > PRUNE
    for size in sizes:
        for carried in (nodes.weights * size, nodes.weights * size * size):
            # a node far out may carry no probability and yet the second moment
            keep |= carried > 1e3 * PRUNE * carried.sum()
    return Nodes(*(getattr(nodes, f.name)[keep] for f in fields(nodes)))


def sd_marginal(solution: Solution, axis: int) -> Marginal:
    """Posterior of tau_w (axis 0) or tau_b (axis 1)."""
    spec, sds = solution.model.axes[axis], (solution.nodes.within, solution.nodes.between)[axis]
    if len(spec.edges) == 1:
        return Point(mean=float(spec.prior.support()[0]), sd=0.0, reason="fixed by the model")
    index = (solution.tails.within, solution.tails.between)[axis]
    mean, sd, reason = _moments(solution.nodes.weights, sds, np.zeros_like(sds), index)
    low, high = solution.cells.low[:, axis], solution.cells.high[:, axis]
    return panel_density(low, high, solution.series[axis], spec.unit, mean=mean, sd=sd, reason=reason)


def mixture(solution: Solution, centers: Array, variances: Array, index: float) -> Marginal:
    """A quantity that is normal given the sds: `centers, variances (N,)`; moments exist below order `index`."""
    weights = solution.nodes.weights
    mean, sd, reason = _moments(weights, centers, variances, index)
    if not np.any(variances > 0):
        return Point(mean=mean, sd=sd, reason="known exactly")
    return NormalMixture(mean=mean, sd=sd, reason=reason, weights=weights, centers=centers, sds=np.sqrt(variances))


def coefficient_marginal(solution: Solution, j: int) -> Marginal:
    """Posterior of coefficient j."""
    nodes = solution.nodes
    return mixture(solution, nodes.mean[:, j], nodes.covariance[:, j, j], float(solution.tails.coefficients[j]))


def _moments(weights: Array, centers: Array, variances: Array, index: float) -> tuple[float, float, str]:
    falls = f"tails fall as x^-{index + 1:g}"
    if index <= 1.0:
        return np.nan, np.nan, f"{falls}: no mean and no sd exist; read the median and the interval"
    mean = float((weights * centers).sum())
    if index <= 2.0:
        return mean, np.nan, f"{falls}: no sd exists; read the interval"
    return mean, float(np.sqrt((weights * (variances + (centers - mean) ** 2)).sum())), ""


def _differences(fine: Solution, coarse: Solution) -> list[tuple[float, str]]:
    """Relative differences of the marginal likelihood, and of moments and probabilities of every marginal."""
    axes = [axis for axis in range(2) if len(fine.model.axes[axis].edges) > 1]
    names = [f"{fine.model.axes[axis].name} sd" for axis in axes]
    pairs = [(sd_marginal(fine, axis), sd_marginal(coarse, axis)) for axis in axes]
    for j in range(len(fine.model.mean)):
        names.append(f"coefficient {j}")
        pairs.append((coefficient_marginal(fine, j), coefficient_marginal(coarse, j)))
    distances = [_distance(*pair) for pair in pairs]
    return [(abs(fine.log_mass - coarse.log_mass), "marginal likelihood"), *zip(distances, names, strict=True)]


def _distance(fine: Marginal, coarse: Marginal) -> float:
    """Largest of: difference in mean and sd relative to their size, in probability at three quantiles, in quantiles."""
    at = fine.ppf(CHECKED)
    shift = np.abs(coarse.cdf(at) - fine.cdf(at))
    density = fine.pdf(at)
    with np.errstate(divide="ignore", invalid="ignore"):
        # an error in probability, turned into one of the quantile relative to the interval's width
        moved = shift / (density * np.maximum(np.abs(at), at[2] - at[0]))
    size = np.nanmax([abs(fine.mean), fine.sd, at[2] - at[0]])
    moments = [abs(fine.mean - coarse.mean) / size, abs(fine.sd - coarse.sd) / size]
    return float(np.nanmax([*shift, *moved, *moments]))


@dataclass(frozen=True, slots=True, eq=False)
class ExactData:
    """Effects `y (k,)`, their covariance `V`, design `x (k, p)`, cluster codes `(k,)` or None, and all priors.

    `names (p,)` are those of the coefficients; `rows (k,)` are positions in the arrays as they were passed.
    """

    y: Array
    V: BlockV
    x: Array
    names: tuple[str, ...]
    cluster: Codes | None
    within: PositivePrior
    between: PositivePrior
    priors: tuple[CoefficientPrior, ...]
    rows: tuple[int, ...]


def solve(data: ExactData, rtol: float) -> Solution:
    """Integrate the posterior; a `ModelError` says why when there is none."""
    model = make_model(data.y, data.V, data.x, data.cluster, sds=(data.within, data.between), priors=data.priors)
    check_posterior(model, data.rows, data.names)
    return integrate(model, posterior_tails(model, data.priors), rtol)


def without_coefficient(data: ExactData, j: int, value: float) -> ExactData:
    """The same data with coefficient j held at `value`."""
    left = [i for i in range(len(data.names)) if i != j]
    return replace(
        data,
        # a coefficient held at a value is an offset: the rest of the model is unchanged
        y=data.y - value * data.x[:, j],
        x=data.x[:, left],
        names=tuple(data.names[i] for i in left),
        priors=tuple(data.priors[i] for i in left),
    )


def without_sd(data: ExactData, axis: int) -> ExactData:
    """The same data with tau_w (axis 0) or tau_b (axis 1) held at 0."""
    none = Fixed(0.0)
    return replace(data, within=none) if axis == 0 else replace(data, between=none)


def intercept_only(x: Array) -> bool:
    """Whether the design is a column of ones."""
    return x.shape[1] == 1 and bool(np.all(x == 1.0))
