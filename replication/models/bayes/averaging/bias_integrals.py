"""Each averaged model solved: its marginal likelihood and the posteriors of effect, tau, share and publication weights.

Two ways, by what a model has to integrate over:

- the linear family (no bias, PET, PEESE; tau, share and slope) on cells, as the exact models are: its priors have heavy
  tails and its posteriors sharp ends. Cells are found with few nodes an axis and used with two more; the difference is
  the stated error.
- the selection family (effect, tau, share and up to three weights: too many for cells) on two interleaved lattices of
  prior scores (`lattice`). The answer is the mean of both; what they differ by states the error.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy import interpolate, special

from replication.models.bayes.averaging.bias_likelihoods import (
    Linear,
    LinearGiven,
    Selection,
    from_score,
    linear_given,
    publication_weights,
    selection_log,
    to_score,
)
from replication.models.bayes.averaging.lattice import LatticeSum, Layout, lattice_sums, unseen_share
from replication.models.bayes.exact.marginals import Marginal, NormalMixture, Point, panel_density
from replication.models.bayes.exact.quadrature import (
    Cells,
    adapt,
    along,
    box_cells,
    grid_nodes,
    legendre_rule,
    series_along,
)
from replication.models.bayes.priors.coefficient import Normal
from replication.models.bayes.priors.positive import Fixed, PositivePrior
from replication.models.bayes.priors.record import LOG_2PI
from replication.models.fit import Array

__all__ = ["FINER", "TWICE", "BiasSolution", "Fineness", "difference", "rounding", "solve_linear", "solve_selection"]

# Nodes an axis where cells are found, and how many more where they are used: fewer in more dimensions.
NODES = {0: (10, 2), 1: (10, 2), 2: (10, 2), 3: (8, 2)}
# Nodes of the polynomials that carry a marginal density from one lattice plane to the next.
PANEL = 10
# What both lattices together miss, from what they differ by: the nearest waves that pass unseen through both are
# sqrt(2) times as short as those that pass through one, and a smooth density holds exponentially less of these (TWICE:
# there are more of them). Over 36 models of four effects at four steps the true error was at most 0.6 times this.
TWICE, BEYOND = 2.0, float(np.sqrt(2.0))
# How much shorter steps are at every further attempt.
FINER = 0.75
# What is left outside the lattice, as a share of the error asked for.
OUTSIDE = 1e-2
# Points times effects of one lattice after which a model is given up, with words.
MOST_TERMS = 400_000_000


@dataclass(frozen=True, slots=True)
class Fineness:
    """How exact a model is to be solved: the error asked for, and how often it was missed so far (-1: rougher)."""

    rtol: float
    attempt: int = 0

    def step(self, d: int) -> float:
        """The lattice's step in standard deviations, over `d` parameters.

        Where the posterior is normal, one lattice misses `2 d exp(-2 pi^2 / h^2)` of it; what needs another attempt is
        not normal.

        >>> round(Fineness(1e-3).step(2), 2)
        1.71
        """
        apart = (min(self.rtol, 0.1) / TWICE) ** (1.0 / BEYOND)
        return float(np.pi * np.sqrt(2.0 / np.log(2.0 * d / apart)) * FINER**self.attempt)

    def cut(self, d: int) -> float:
        """How far below the peak the lattice reaches: beyond lies little of a normal density in `d` dimensions."""
        return float(special.chdtri(d, OUTSIDE * self.rtol)) / 2.0 + self.attempt


@dataclass(frozen=True, slots=True, eq=False)
class BiasSolution:
    """One model solved: its log marginal likelihood with the error, and its posteriors.

    `weights (J,)` are posterior means, the first 1; `share` is the posterior mean of the part of tau2 between clusters,
    NaN where there is none.
    """

    log_mass: float
    error: float
    effect: Marginal
    tau: Marginal
    share: float
    weights: tuple[float, ...]
    points: int


@dataclass(frozen=True, slots=True, eq=False)
class _Posterior:
    """Two lattices as one: `points (N, d)` with probabilities `amounts (N,)`."""

    lattices: tuple[LatticeSum, LatticeSum]
    points: Array
    amounts: Array
    log_mass: float

    @property
    def split(self) -> int:
        """Where the second lattice begins."""
        return len(self.lattices[0].points)

    def means(self, values: Array) -> tuple[float, float, float]:
        """The mean of `values (N,)` over both lattices, and over each of them."""
        first, second = slice(0, self.split), slice(self.split, None)
        parts = [float((self.amounts[s] * values[s]).sum() / self.amounts[s].sum()) for s in (first, second)]
        return float((self.amounts * values).sum()), parts[0], parts[1]


def solve_linear(model: Linear, fine: Fineness) -> BiasSolution:
    """Integrate tau, share and slope out of a model without bias, with PET or with PEESE."""
    axes = (model.tau, model.share, model.slope)
    cells = box_cells(tuple(axis.edges for axis in axes))
    n, more = NODES[sum(cells.free)]
    if any(cells.free):
        rtol, most = fine.rtol * 0.1**fine.attempt, MOST_TERMS // model.data.k
        cells = adapt(lambda x: linear_given(model, x).log[:, None], cells, rtol, most, n).cells
    coarse, good = (_on_cells(model, cells, nodes) for nodes in (n, n + more))
    return replace(good, error=difference(good, coarse))


def rounding(solution: BiasSolution) -> float:
    """What rounding costs in a log of this size, generously."""
    return 64.0 * float(np.finfo(float).eps) * max(1.0, abs(solution.log_mass))


def difference(fine: BiasSolution, coarse: BiasSolution) -> float:
    """The largest difference of two solutions: an error of the coarse one, so a generous one of the fine one."""
    gaps = [rounding(fine), abs(coarse.log_mass - fine.log_mass)]
    gaps += [abs(a - b) for a, b in zip(fine.weights, coarse.weights, strict=True)]
    for one, other in ((fine.effect, coarse.effect), (fine.tau, coarse.tau)):
        if one.sd > 0:
            gaps += [abs(one.mean - other.mean) / one.sd, abs(one.sd - other.sd) / one.sd]
    return float(max(gaps))


def _on_cells(model: Linear, cells: Cells, n: int) -> BiasSolution:
    """The linear family by a product rule with `n` nodes an axis on every cell."""
    nodes, rules = grid_nodes(cells, n)
    given = linear_given(model, nodes)
    peak = float(given.log.max())
    density = np.exp(given.log - peak)
    amounts = density
    for i, rule in enumerate(rules):
        amounts = amounts * along(rule, i, 3)
    total = float(amounts.sum())
    amounts = amounts / total
    tau: Marginal = Point(mean=float(model.tau.prior.support()[0]), sd=0.0, reason="fixed in this model")
    if cells.free[0]:
        values = along(model.tau.sd(nodes[0]), 0, 3)
        middle = float((amounts * values).sum())
        sd = float(np.sqrt((amounts * (values - middle) ** 2).sum()))
        no_sd = _no_sd(model.tau.prior, len(model.data.starts))
        series = series_along(density / total, rules, 0)
        tau = panel_density(cells.low[:, 0], cells.high[:, 0], series, model.tau.unit, mean=middle,
                            sd=np.nan if no_sd else sd, reason=no_sd)  # fmt: skip
    share = float((amounts * along(model.share.sd(nodes[1]), 1, 3)).sum()) if cells.free[1] else float("nan")
    effect = _mixture(model, given, amounts)
    return BiasSolution(peak + float(np.log(total)), np.nan, effect, tau, share, (), amounts.size)


def _mixture(model: Linear, given: LinearGiven, amounts: Array) -> Marginal:
    """The effect of the linear family: normal given the rest."""
    if model.effect is None:
        return Point(mean=0.0, sd=0.0, reason="no effect in this model")
    weights, mean, variance = amounts.ravel(), given.mean.ravel(), given.variance.ravel()
    middle = float((weights * mean).sum())
    sd = float(np.sqrt((weights * (variance + (mean - middle) ** 2)).sum()))
    keep = weights > 1e-18
    return NormalMixture(mean=middle, sd=sd, weights=weights[keep], centers=mean[keep], sds=np.sqrt(variance[keep]))


def solve_selection(model: Selection, fine: Fineness) -> BiasSolution:
    """Integrate effect, tau, share and publication weights out of a step selection model."""
    m = len(model.data.starts)

    def densities(points: Array, odd: int) -> Array:
        return _with_moments(selection_log(model, points, odd), points, model.axes, m)

    aligned = (model.effect is not None) + (not isinstance(model.tau, Fixed))
    posterior = _posterior(densities, model.axes, Layout(aligned, len(model.outer)), fine, model.data.k)
    omega = publication_weights(model, posterior.points)
    means = [posterior.means(column) for column in omega.T]
    effect: Marginal = Point(mean=0.0, sd=0.0, reason="no effect in this model")
    gaps: list[float] = [abs(a - b) for _, a, b in means]
    if model.effect is not None:
        effect, more = _axis_marginal(model.effect, posterior, 0, "")
        gaps += more
    tau: Marginal = Point(mean=0.0, sd=0.0, reason="fixed in this model")
    if isinstance(model.tau, Fixed):
        tau = replace(tau, mean=model.tau.value)
    else:
        tau, more = _axis_marginal(model.tau, posterior, aligned - 1, _no_sd(model.tau, m))
        gaps += more
    share = float("nan")
    if not isinstance(model.share, Fixed):
        # its axis comes right after the aligned ones
        share = posterior.means(from_score(model.share, posterior.points[:, aligned]))[0]
    apart = abs(posterior.lattices[0].log_mass - posterior.lattices[1].log_mass)
    apart = float(max([apart, *(g for g in gaps if np.isfinite(g))]))
    error = max(min(apart, TWICE * apart**BEYOND), unseen_share(posterior.lattices))
    weights = (1.0, *(mean for mean, _, _ in means))
    return BiasSolution(posterior.log_mass, error, effect, tau, share, weights, len(posterior.points))


def _no_sd(prior: PositivePrior, clusters: int) -> str:
    """Why tau has no sd; empty where it has: clusters make its tails lighter than its prior's by as many powers."""
    index = prior.tail_index + clusters
    if index > 2.0 or np.isfinite(prior.support()[1]):
        return ""
    return f"tails fall as x^-{index + 1:g}: no sd exists; read the interval"


# --- the lattice of a model -----------------------------------------------------------------------------------------


def _with_moments(log: Array, points: Array, axes: tuple[Normal | PositivePrior, ...], clusters: int) -> Array:
    """The log density, and it times squares of what has a heavy prior: those may hang on tails the density forgot."""
    logs = [log]
    for i, prior in enumerate(axes):
        if isinstance(prior, PositivePrior) and np.isfinite(prior.tail_index):
            order = 2.0 if prior.tail_index + clusters > 2.0 else 1.0
            logs.append(log + order * np.log(from_score(prior, points[:, i])))
    return np.stack(logs)


def _posterior(
    densities: Callable[[Array, int], Array],
    axes: tuple[Normal | PositivePrior, ...],
    layout: Layout,
    fine: Fineness,
    k: int,
) -> _Posterior:
    d = len(axes)
    lattices = lattice_sums(densities, np.zeros((1, d)), layout, fine.step(d), fine.cut(d), MOST_TERMS // k)
    logs = np.concatenate([one.logs + one.log_cell for one in lattices])
    log_mass = float(special.logsumexp(logs) - np.log(2.0))
    amounts = np.exp(logs - log_mass) / 2.0
    return _Posterior(lattices, np.concatenate([one.points for one in lattices]), amounts / amounts.sum(), log_mass)


# --- marginal posteriors --------------------------------------------------------------------------------------------


def _moments(p: _Posterior, values: Array) -> tuple[float, float, list[float]]:
    """Mean and sd of a quantity, and how far both lattices differ in them, in its sds."""
    both, *each = p.means(values)
    squares = p.means((values - both) ** 2)
    sd = float(np.sqrt(squares[0]))
    # second moments about the common mean: the difference of the sds is half that of the squares over the sd
    gaps = [abs(each[0] - each[1]) / sd, abs(squares[1] - squares[2]) / (2.0 * squares[0])] if sd > 0 else []
    return both, sd, gaps


def _axis_marginal(prior: Normal | PositivePrior, p: _Posterior, axis: int, no_sd: str) -> tuple[Marginal, list[float]]:
    """The marginal of an aligned axis: sums over planes, joined on a log scale."""
    mean, sd, gaps = _moments(p, from_score(prior, p.points[:, axis]))
    if no_sd:
        # sums over a tail without a variance say nothing of the error
        gaps = []
    x, density = _planes(p, axis)
    # The log of a density is close to a parabola, so a cubic spline through the planes has nearly nothing to guess.
    log = interpolate.CubicSpline(x, np.log(density))
    shift = float(mean) if isinstance(prior, Normal) else 0.0
    unit = float(np.median(np.abs(from_score(prior, x) - shift))) or 1.0
    ends = np.arcsinh((from_score(prior, x) - shift) / unit)
    low, high = ends[:-1], ends[1:]
    used = high > low
    low, high = low[used], high[used]
    u = (low + high)[:, None] / 2.0 + (high - low)[:, None] / 2.0 * legendre_rule(PANEL).nodes
    value = shift + unit * np.sinh(u)
    score = to_score(prior, value)
    # the change of variables from score to u, in logs: the value's prior density over the score's
    jacobian = prior.logpdf(value) + 0.5 * (LOG_2PI + score**2) + np.log(unit * np.cosh(u))
    series = np.exp(log(score) + jacobian) @ legendre_rule(PANEL).coefficients.T
    found = panel_density(low, high, series, unit, mean=mean, sd=np.nan if no_sd else sd, reason=no_sd, shift=shift)
    return found, gaps


def _planes(p: _Posterior, axis: int) -> tuple[Array, Array]:
    """Scores of the planes across an axis, in order, and the marginal density at each."""
    places = np.concatenate([one.places[:, axis] for one in p.lattices])
    which, inverse = np.unique(places, return_inverse=True)
    # Each lattice alone is normalised to half the mass, and its planes lie two places apart.
    density = np.bincount(inverse.ravel(), weights=p.amounts) * 2.0
    first = np.zeros(len(which), dtype=np.intp)
    first[inverse.ravel()] = np.arange(len(places))
    x = p.points[first, axis]
    # planes whose whole mass is below rounding have no log
    used = density > 1e-300
    return x[used], np.asarray(density[used], dtype=float)
