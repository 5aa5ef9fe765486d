"""Estimators of the between-study variance tau2, for any number of data sets at once.

Three families, in the notation of Viechtbauer (2005) and Viechtbauer et al. (2015), with `w_i = 1 / (v_i + tau2)`:

- closed moments: HE (CO), DL, HS, HSk, SJ, and GENQ with any weights; DLIT repeats DL with weights `1 / (v + tau2)`
  until it stays;
- the generalised Q statistic `y'Py` equal to a target, which falls in tau2 and so has one root: PM, EB and the
  iterated SJ, SJIT (its mean, k - p) and PMM (its median). The roots are found together, by Newton steps inside
  shrinking brackets;
- the likelihood: ML and REML. Its profile may have several peaks: every fall of the score through zero on a grid over
  a proven range, and tau2 = 0 where the score falls already there, is a candidate; the highest wins.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from replication.errors import ModelError
from replication.models.fit import Array
from replication.models.least_squares import (
    CANCELLED,
    EffectSets,
    OneMean,
    OneMeanSums,
    Weighted,
    log_likelihood,
    one_column,
    quadratic_PP,
    quadratic_PPP,
    raw_effects,
    rss,
    sum_of_squares,
    take,
    trace_P,
    trace_PP,
    weighted_at,
    weighted_with,
)
from replication.models.options import Tau2Method

__all__ = [
    "INVERSE_VARIANCE",
    "Peaks",
    "Roots",
    "Tau2",
    "estimate_tau2",
    "falling_root",
    "falling_roots",
    "highest_peaks",
    "information",
    "likelihood_score",
    "search_grid",
    "solve_q",
]

# Newton's error is the square of the step before: after a step this small (relative) it is below rounding.
STEP = 1e-7


@dataclass(frozen=True, slots=True, eq=False)
class Roots:
    """The roots and, for each, whether the last step was negligible."""

    value: Array
    converged: NDArray[np.bool_]


def falling_roots(
    function: Callable[[Array], tuple[Array, Array]],
    low: Array,
    high: Array,
    *,
    offset: Array,
    start: Array,
    max_steps: int = 100,
) -> Roots:
    """Where a function falls through zero, for many brackets `[low, high]` with values > 0 at `low`, <= 0 at `high`.

    `function(t)` returns values and slopes. `offset > 0` sets the scale on which `t` is measured: bisection halves
    `log(t + offset)`, and a step counts as small beside `t + offset`. `start` is clipped into the bracket.

    >>> two, one = np.array([2.0]), np.array([1.0])
    >>> round(float(falling_roots(lambda t: (2.0 - t * t, -2.0 * t), 0 * one, two, offset=one, start=one).value[0]), 12)
    1.414213562373
    """
    t = np.minimum(np.maximum(start, low), high)
    done = np.zeros(t.shape, dtype=bool)
    with np.errstate(divide="ignore", invalid="ignore"):
        for _ in range(max_steps):
            f, slope = function(t)
            above = f > 0
            low, high = np.where(above, t, low), np.where(above, high, t)
            new = t - f / slope
            # Newton where it stays in the bracket, bisection where not: no start can fail
            inside = (new >= low) & (new <= high)  # never so where the slope is not negative
            if not inside.all():
                new = np.where(inside, new, np.sqrt((low + offset) * (high + offset)) - offset)
            if done.any():
                new = np.where(done, t, new)
            done |= np.abs(new - t) <= STEP * (new + offset)
            t = new
            if done.all():
                break
    return Roots(t, done)


def falling_root(
    function: Callable[[list[float]], list[tuple[float, float]]],
    brackets: list[tuple[float, float]],
    start: list[float],
    *,
    offset: float,
    max_steps: int = 100,
) -> tuple[list[float], list[bool]]:
    """The same in plain numbers, where a handful of roots would spend their time in calls on tiny arrays.

    Returns the roots and which of them settled.

    >>> falling_root(lambda ts: [(2.0 - t * t, -2.0 * t) for t in ts], [(0.0, 2.0)], [1.0], offset=1.0)[1]
    [True]
    """
    ends = [list(bracket) for bracket in brackets]
    t = [min(max(first, low), high) for first, (low, high) in zip(start, brackets, strict=True)]
    done = [False] * len(t)
    for _ in range(max_steps):
        for i, (f, slope) in enumerate(function(t)):
            if done[i]:
                continue
            ends[i][f <= 0.0] = t[i]
            low, high = ends[i]
            new = t[i] - f / slope if slope < 0.0 else np.inf
            if not low <= new <= high:
                new = ((low + offset) * (high + offset)) ** 0.5 - offset
            done[i] = abs(new - t[i]) <= STEP * (new + offset)
            t[i] = new
        if all(done):
            break
    return t, done


# Spacing of the search grid in log(tau2 + v_min). Every term of the score changes on a scale of 1 or more there.
GRID_STEP = 0.5

# Numbers in one temporary array: of more the system hands out fresh pages each time, which costs more than the sums.
LARGEST = 12_000

# So many data sets that share their variances are searched on one grid: of fewer, that of the widest costs more.
SHARED = 16


@dataclass(frozen=True, slots=True, eq=False)
class Peaks:
    """The tau2 of the highest peak per data set `(B,)`, whether its search settled, and how many peaks there are."""

    value: Array
    converged: NDArray[np.bool_]
    number: NDArray[np.intp]


def likelihood_score(sets: EffectSets, fit: Weighted, *, restricted: bool) -> Array:
    """Derivative `(B, G)` of the (restricted) log-likelihood in tau2: `(y'PPy - tr P) / 2`, with `tr W` for ML."""
    return np.asarray(0.5 * (quadratic_PP(fit) - _trace(sets, fit, restricted=restricted)))


def information(sets: EffectSets, fit: Weighted, *, restricted: bool) -> Array:
    """Twice the expected information `(B, G)`: `tr PP`, with `tr WW` for ML."""
    return trace_PP(sets, fit) if restricted else np.asarray(np.vecdot(fit.w * fit.w, sets.counts))


def _trace(sets: EffectSets, fit: Weighted, *, restricted: bool) -> Array:
    return trace_P(sets, fit) if restricted else np.asarray(np.vecdot(fit.w, sets.counts))


def _balance(sets: EffectSets, fit: Weighted, *, restricted: bool) -> Array:
    """`1 - tr P / y'PPy`: zero with the score and of its sign, but nearly linear in tau2."""
    with np.errstate(divide="ignore"):
        return np.asarray(1.0 - _trace(sets, fit, restricted=restricted) / quadratic_PP(fit))


def _balance_at(sets: EffectSets, tau2: Array, *, restricted: bool) -> Array:
    """The balance at `tau2 (B, G)`."""
    if sets.p > 1:
        return _balance(sets, weighted_at(sets, tau2), restricted=restricted)
    one = one_column(sets, tau2)
    trace = one.sums[0] - one.shares[0] if restricted else one.sums[0]
    with np.errstate(divide="ignore"):
        return np.asarray(1.0 - trace / one.PP)


def _balance_and_slope_at(sets: EffectSets, tau2: Array, *, restricted: bool) -> tuple[Array, Array]:
    """The balance at `tau2 (B, G)` and its slope."""
    one = one_column(sets, tau2, powers=3) if sets.p == 1 else None
    if one is None or one.cancelled:
        return _balance_and_slope(sets, weighted_at(sets, tau2), restricted=restricted)
    trace, trace_pp = one.sums
    if restricted:
        trace, trace_pp = trace - one.shares[0], trace_pp - 2.0 * one.shares[1] + one.shares[0] ** 2
    return 1.0 - trace / one.PP, (trace_pp * one.PP - 2.0 * trace * one.PPP) / one.PP**2


def _balance_and_slope(sets: EffectSets, fit: Weighted, *, restricted: bool) -> tuple[Array, Array]:
    square, trace = quadratic_PP(fit), _trace(sets, fit, restricted=restricted)
    rise = information(sets, fit, restricted=restricted) * square - 2.0 * trace * quadratic_PPP(fit)
    return 1.0 - trace / square, rise / square**2


def search_grid(sets: EffectSets) -> Array:
    """Trial values `(B, G)`, even in log(tau2 + v_min), up to where the score is proven negative."""
    return _grid(sets, sets.offset + sets.floor, _bound(sets))


def _bound(sets: EffectSets) -> Array:
    """The tau2 + v_min `(B, 1)` beyond which the score is proven negative, so that no peak is missed to the right.

    With s2 the residual mean square and x = tau2 + v_min, it is so once x^2 > s2 (x + v_max - v_min).
    """
    s2 = sum_of_squares(sets) / (sets.k - sets.p)
    spread = sets.v.max(-1) - sets.offset
    return np.asarray(0.5 * (s2 + np.sqrt(s2 * (s2 + 4.0 * np.maximum(spread, 0.0)))))


def _grid(sets: EffectSets, low: Array, bound: Array) -> Array:
    width = np.log(np.maximum(1.01 * bound, low) / low)
    cells = max(4, int(width.max() / GRID_STEP) + 1)
    grid = np.maximum(low * np.exp(width * (np.arange(cells + 1) / cells)) - (low - sets.floor), sets.floor)
    grid[:, 0] = np.broadcast_to(sets.floor, (len(grid), 1))[:, 0]
    return np.asarray(grid)


def highest_peaks(sets: EffectSets, *, restricted: bool) -> Peaks:
    """The tau2 that maximises the likelihood of each data set."""
    if sets.alone is not None and (peak := _single_peak(sets, sets.alone, restricted=restricted)) is not None:
        return peak
    grid, balance = _on_grid(sets, restricted=restricted)
    size = len(balance)
    index, cell = np.nonzero((balance[:, :-1] > 0) & (balance[:, 1:] <= 0))
    inner = _climb(sets, index, cell, grid, balance, restricted=restricted)
    at_floor = np.nonzero(balance[:, 0] <= 0)[0]
    owner = np.concatenate([at_floor, index])
    value = np.concatenate([grid[at_floor, 0], inner.value])
    converged = np.concatenate([np.ones(len(at_floor), dtype=bool), inner.converged])
    number = np.bincount(owner, minlength=size)
    best = _highest(sets, owner, value, size, restricted=restricted) if (number > 1).any() else np.argsort(owner)
    return Peaks(value[best], converged[best], number)


def _single_peak(sets: EffectSets, one: OneMean, *, restricted: bool) -> Peaks | None:
    """The same of one data set with one coefficient; None where it has several peaks, or traces without digits."""

    def function(tau2: list[float]) -> list[tuple[float, float]]:
        return [_single_balance(sums, restricted=restricted) for sums in one.at(tau2)]

    grid = search_grid(sets)[0].tolist()
    sums = one.at(grid)
    if not all(at.trace_pp > CANCELLED * at.trace_ww for at in sums):
        return None
    balance = [_single_balance(at, restricted=restricted)[0] for at in sums]
    cells = [i for i in range(len(grid) - 1) if balance[i] > 0.0 >= balance[i + 1]]
    if len(cells) + (balance[0] <= 0.0) != 1:
        return None
    if not cells:
        return Peaks(np.array(grid[:1]), np.array([True]), np.array([1]))
    cell, near = cells[0], max(0, min(cells[0] - 1, len(grid) - 4))
    start = _neville(grid[near : near + 4], balance[near : near + 4])
    root, settled = falling_root(function, [(grid[cell], grid[cell + 1])], [start], offset=float(sets.offset[0, 0]))
    return Peaks(np.array(root), np.array(settled), np.array([1]))


def _neville(t: list[float], f: list[float]) -> float:
    """Where f is 0, with t a cubic in f (as in `_interpolated`); the middle of the points where f repeats a value."""
    if len(set(f)) < len(f):
        return 0.5 * (t[1] + t[2])
    for width in range(1, len(f)):
        t = [(t[i] * f[i + width] - t[i + 1] * f[i]) / (f[i + width] - f[i]) for i in range(len(t) - 1)]
    return t[0]


def _single_balance(at: OneMeanSums, *, restricted: bool) -> tuple[float, float]:
    """The balance and its slope, as `_balance_and_slope_at` has them."""
    trace, information = (at.trace_p, at.trace_pp) if restricted else (at.trace, at.trace_ww)
    return 1.0 - trace / at.PP, (information * at.PP - 2.0 * trace * at.PPP) / at.PP**2


def _on_grid(sets: EffectSets, *, restricted: bool) -> tuple[Array, Array]:
    """Trial values `(B, G)` and the balance at them, some columns at a time where the arrays would be large."""
    shared = sets.p == 1 and sets.size >= SHARED and len(sets.v) == len(sets.columns) == 1
    if shared and not sets.floor.any():
        # resamplings, permutations and subsets of the same effects: a grid in common makes sums over rows products
        grid = _grid(sets, sets.offset.min(keepdims=True), _bound(sets).max(keepdims=True))[:1]
        balance = _balance_by_products(sets, grid[0], restricted=restricted)
        if balance is not None:
            return np.broadcast_to(grid, balance.shape), balance
    grid = search_grid(sets)
    step = max(1, LARGEST // (sets.size * sets.y.shape[-1]))
    parts = [grid[:, i : i + step] for i in range(0, grid.shape[1], step)]
    return grid, np.concatenate([_balance_at(sets, part, restricted=restricted) for part in parts], axis=1)


def _balance_by_products(sets: EffectSets, grid: Array, *, restricted: bool) -> Array | None:
    """The balance `(B, G)` of sets that share variances and one column, at trial values `(G,)` in common.

    None where `y'PPy`, here a difference of sums of squares, has lost its digits.
    """
    x, counts = sets.columns[0, 0], sets.counts[:, 0]
    once = counts * sets.y[:, 0]
    twice = once * sets.y[:, 0]
    w = 1.0 / (sets.v[0, 0][:, None] + grid)
    wx, ww = w * x[:, None], w * w
    wxx, wwx, wwxx = wx * x[:, None], wx * w, wx * wx
    information, squares = counts @ wxx, twice @ ww
    m, crossed = (once @ wx) / information, (once @ wwx)
    column = counts @ wwxx
    PP = squares - 2.0 * m * crossed + m * m * column
    digits = PP / np.maximum(squares + m * m * column, np.finfo(float).tiny)
    if digits.min() < CANCELLED:
        return None
    trace = counts @ w
    return np.asarray(1.0 - (trace - column / information if restricted else trace) / PP)


def _climb(
    sets: EffectSets, index: NDArray[np.intp], cell: NDArray[np.intp], grid: Array, balance: Array, *, restricted: bool
) -> Roots:
    """The peak of the data sets at `index (N,)` within `cell (N,)` of their grids."""
    if len(index) == 0:
        return Roots(np.zeros(0), np.zeros(0, dtype=bool))
    chosen = sets if np.array_equal(index, np.arange(sets.size)) else take(sets, index)
    low, high = grid[index, cell][:, None], grid[index, cell + 1][:, None]
    start = _interpolated(index, cell, grid, balance)[:, None]
    # two steps settle nearly all; the few that need more would else take all others along
    first = _fall(chosen, low, high, start, restricted=restricted, max_steps=2)
    value, converged, rest = first.value[:, 0], first.converged[:, 0], np.flatnonzero(~first.converged[:, 0])
    if len(rest):
        late = _fall(take(chosen, rest), low[rest], high[rest], first.value[rest], restricted=restricted)
        value[rest], converged[rest] = late.value[:, 0], late.converged[:, 0]
    return Roots(value, converged)


def _fall(sets: EffectSets, low: Array, high: Array, start: Array, *, restricted: bool, max_steps: int = 100) -> Roots:
    def function(tau2: Array) -> tuple[Array, Array]:
        return _balance_and_slope_at(sets, tau2, restricted=restricted)

    return falling_roots(function, low, high, offset=sets.offset, start=start, max_steps=max_steps)


def _interpolated(index: NDArray[np.intp], cell: NDArray[np.intp], grid: Array, balance: Array) -> Array:
    """Where the balance is zero `(N,)`: tau2 as a cubic in the balance at four points about the cell (Aitken, Neville).

    The balance is nearly a line in tau2; where the cubic has no value or leaves the cell, the secant's is taken.
    """
    near = np.clip(cell - 1, 0, grid.shape[1] - 4)[:, None] + np.arange(4)
    t, f = grid[index[:, None], near].T, balance[index[:, None], near].T
    low, high, above, below = (a[index, cell + i] for a in (grid, balance) for i in (0, 1))
    with np.errstate(divide="ignore", invalid="ignore"):
        for width in (1, 2, 3):
            t = (t[:-1] * f[width:] - t[1:] * f[:-width]) / (f[width:] - f[:-width])
        inside = (t[0] >= low) & (t[0] <= high)
    return np.asarray(np.where(inside, t[0], low + (high - low) * above / (above - below)))


def _highest(
    sets: EffectSets, owner: NDArray[np.intp], value: Array, size: int, *, restricted: bool
) -> NDArray[np.intp]:
    """Position of each set's candidate with the greatest likelihood."""
    chosen = take(sets, owner)
    height = log_likelihood(chosen, weighted_at(chosen, value[:, None]), restricted=restricted)[:, 0]
    # sorted by set, then by height: the first of each set is its highest
    order = np.lexsort((-height, owner))
    return order[np.searchsorted(owner[order], np.arange(size))]


# Estimators that weigh by 1 / v and so need every v > 0.
INVERSE_VARIANCE = ("EE", "DL", "DLIT", "HS", "HSk")


@dataclass(frozen=True, slots=True, eq=False)
class Tau2:
    """One estimate per data set `(B,)`; `peaks` counts the local maxima of the likelihood (1 for other estimators).

    `fit` is the weighted fit at the estimates, where the estimator needed it for the standard error.
    """

    value: Array
    se: Array
    converged: NDArray[np.bool_]
    peaks: NDArray[np.intp]
    fit: Weighted | None = None


def estimate_tau2(sets: EffectSets, method: Tau2Method, held: float | None = None) -> Tau2:
    """Estimate tau2 of every data set; negative estimates are set to 0. `held` is a value to take instead."""
    one = np.ones(sets.size, dtype=np.intp)
    if held is not None:
        return Tau2(np.full(sets.size, held), np.full(sets.size, np.nan), one == 1, one)
    if method == "EE":
        return Tau2(np.zeros(sets.size), np.full(sets.size, np.nan), one == 1, one)
    if method in ("ML", "REML"):
        return _likelihood(sets, restricted=method == "REML")
    if method in ("PM", "EB", "PMM", "SJIT"):
        df = np.broadcast_to(sets.k - sets.p, (sets.size, 1))
        target = np.asarray(special.chdtri(df, 0.5) if method == "PMM" else df, dtype=np.float64)
        roots = solve_q(sets, target)
        return Tau2(roots.value[:, 0], _se_q(sets, roots.value)[:, 0], roots.converged[:, 0], one)
    if method == "DLIT":
        return _iterated_dl(sets, one)
    value, se = _moment(sets, method)
    return Tau2(value[:, 0], se[:, 0], one == 1, one)


def solve_q(sets: EffectSets, target: Array) -> Roots:
    """The tau2 `(B, G)` at which `y'Py` equals `target (B, G)`; 0 where it is below the target at tau2 = 0 already.

    `1 / y'Py` is nearly linear in tau2, so Newton's method is used on that scale.
    """
    if sets.alone is not None and (target > 0).all():
        return _solve_single_q(sets, sets.alone, target)
    low = sets.floor
    high = np.maximum(sum_of_squares(sets) / target - sets.offset, low)

    def function(tau2: Array) -> tuple[Array, Array]:
        fit = weighted_at(sets, tau2)
        q = rss(fit)
        return 1.0 / target - 1.0 / q, -quadratic_PP(fit) / (q * q)

    with np.errstate(divide="ignore", invalid="ignore"):
        excess, slope = function(low)
        start = low - excess / slope
    below = ~(excess > 0)
    roots = falling_roots(
        function, low, np.where(below, low, high), offset=sets.offset, start=np.where(below, low, start)
    )
    return Roots(np.where(below, 0.0, roots.value), roots.converged | below)


def _solve_single_q(sets: EffectSets, one: OneMean, target: Array) -> Roots:
    """The same of one data set with one coefficient."""
    offset, squares, goals = float(sets.offset[0, 0]), float(sum_of_squares(sets)[0, 0]), target[0].tolist()
    (zero,) = one.at([0.0])
    # Newton's first step, from 0
    starts = [(zero.rss**2 / goal - zero.rss) / zero.PP for goal in goals]
    above = [i for i, goal in enumerate(goals) if zero.rss > goal]
    value, converged = [0.0] * len(goals), [True] * len(goals)
    if above:

        def function(tau2: list[float]) -> list[tuple[float, float]]:
            sums = zip(above, one.at(tau2), strict=True)
            return [(1.0 / goals[i] - 1.0 / at.rss, -at.PP / at.rss**2) for i, at in sums]

        brackets = [(0.0, max(squares / goals[i] - offset, 0.0)) for i in above]
        found, settled = falling_root(function, brackets, [starts[i] for i in above], offset=offset)
        for i, root, end in zip(above, found, settled, strict=True):
            value[i], converged[i] = root, end
    return Roots(np.array([value]), np.array([converged]))


def _likelihood(sets: EffectSets, *, restricted: bool) -> Tau2:
    """The highest peak, with the standard error of the expected information."""
    peaks = highest_peaks(sets, restricted=restricted)
    if sets.alone is not None:
        (at,) = sets.alone.at(peaks.value.tolist())
        if (twice := at.trace_pp if restricted else at.trace_ww) > CANCELLED * at.trace_ww:
            return Tau2(peaks.value, np.array([math.sqrt(2.0 / twice)]), peaks.converged, peaks.number)
    fit = weighted_at(sets, peaks.value[:, None])
    se = np.sqrt(2.0 / information(sets, fit, restricted=restricted))
    return Tau2(peaks.value, se[:, 0], peaks.converged, peaks.number, fit)


def _se_q(sets: EffectSets, tau2: Array) -> Array:
    """Standard errors of tau2 of the Paule-Mandel family: `k / (k - p) sqrt(2 (k - p)) / tr W`."""
    w = 1.0 / (sets.v + np.maximum(tau2, sets.floor)[..., None])
    return np.asarray(sets.k * np.sqrt(2.0 / (sets.k - sets.p)) / np.vecdot(w, sets.counts))


def _moment(sets: EffectSets, method: Tau2Method) -> tuple[Array, Array]:
    """Closed estimators: untruncated value from a quadratic form in fixed weights, se by its normal-theory variance."""
    if method == "SJ":
        return _sidik_jonkman(sets)
    w = _moment_weights(sets, method)
    fit = weighted_with(sets, w)
    df = sets.k - sets.p
    expected = trace_P(sets, fit, sets.v)
    excess, divisor = rss(fit) - expected, trace_P(sets, fit)
    if method in ("HS", "HSk"):
        # HSk is HS with its bias in k removed (Brannick et al. 2019)
        small = sets.k / df if method == "HSk" else np.ones_like(df)
        excess, divisor = rss(fit) - sets.k / small, np.vecdot(w, sets.counts) / small
    value = np.maximum(excess / divisor, 0.0)
    return value, _quadratic_sd(sets, fit, value) / divisor


def _moment_weights(sets: EffectSets, method: Tau2Method) -> Array:
    """Weights of the quadratic form: equal for HE, the user's for GENQ (DerSimonian & Kacker 2007), `1 / v` else."""
    if method == "GENQ":
        if sets.weights is None:
            raise ModelError("method='GENQ' estimates tau2 in weights of yours; pass weights, or use DL or HE.")
        return np.broadcast_to(sets.weights, sets.v.shape)
    return np.ones_like(sets.v) if method in ("HE", "CO") else 1.0 / sets.v


def _iterated_dl(sets: EffectSets, one: NDArray[np.intp]) -> Tau2:
    """Where DL's formula `(y'Py - (k - p)) / tr P` with weights `1 / (v + tau2)` gives tau2 back.

    Not the root of PM: the formula takes the weights for those of a common effect, as metafor's DLIT does.
    """
    df = np.broadcast_to(sets.k - sets.p, (sets.size, 1))
    low = np.zeros((sets.size, 1))
    high = np.maximum(sum_of_squares(sets) / df, sets.offset)

    def function(tau2: Array) -> tuple[Array, Array]:
        fit = weighted_at(sets, tau2)
        value = rss(fit) - df - tau2 * trace_P(sets, fit)
        return value, tau2 * trace_PP(sets, fit) - trace_P(sets, fit) - quadratic_PP(fit)

    roots = falling_roots(function, low, np.where(function(low)[0] > 0, high, low), offset=sets.offset, start=high / 4)
    fit = weighted_at(sets, roots.value)
    t, trace = roots.value, trace_P(sets, fit)
    se = np.sqrt(2.0 * df + 4.0 * t * trace + 2.0 * t * t * trace_PP(sets, fit)) / trace
    return Tau2(roots.value[:, 0], se[:, 0], roots.converged[:, 0], one)


def _quadratic_sd(sets: EffectSets, fit: Weighted, tau2: Array) -> Array:
    """Standard deviation of `y'Py` when `y` has variances `v + tau2`: `sqrt(2 tr P(V + tau2)P(V + tau2))`."""
    return np.asarray(np.sqrt(2.0 * trace_PP(sets, fit, sets.v + tau2[..., None])))


def _sidik_jonkman(sets: EffectSets) -> tuple[Array, Array]:
    """Two steps: the crude variance of `y`, then its multiple that makes the scaled residual mean square 1."""
    crude = _crude_variance(sets)
    # no spread at all: SJ is 0, and 1 only keeps the weights finite
    safe = np.where(crude > 0, crude, 1.0)
    fit = weighted_at(sets, safe)
    df = sets.k - sets.p
    value = np.where(crude > 0, safe * rss(fit) / df, 0.0)
    return value, np.where(crude > 0, safe * _quadratic_sd(sets, fit, value) / df, 0.0)


def _crude_variance(sets: EffectSets) -> Array:
    y = raw_effects(sets)
    mean = (sets.counts * y).sum(-1, keepdims=True) / sets.k[..., None]
    return np.asarray((sets.counts * (y - mean) ** 2).sum(-1) / sets.k)
