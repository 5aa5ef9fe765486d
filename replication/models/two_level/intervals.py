"""Intervals for tau2: Q-profile (exact under normality), profile likelihood, and Wald."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import special

from replication.errors import ModelError
from replication.models.fit import Array, Component, Fit, Interval
from replication.models.least_squares import (
    EffectSets,
    log_likelihood,
    orthonormal,
    rss,
    single_set,
    trace_P,
    weighted_at,
)
from replication.models.options import Tau2IntervalMethod, check_choice
from replication.models.prepare import check_level, effect_data
from replication.models.two_level.tau2 import falling_roots, likelihood_score, search_grid, solve_q

__all__ = ["HeterogeneityIntervals", "heterogeneity_intervals", "q_profile", "tau2_interval"]

NAN = float("nan")


@dataclass(frozen=True, slots=True)
class HeterogeneityIntervals:
    """One interval on four scales; I2 in per cent."""

    tau2: Interval
    tau: Interval
    I2: Interval
    H2: Interval


def tau2_interval(fit: Fit, method: Tau2IntervalMethod = "qprofile", level: float | None = None) -> Interval:
    """An interval for tau2.

    Parameters
    ----------
    fit : from `fit_random_effects`, not the common-effect model
    method : qprofile (Viechtbauer 2007; needs normality only), profile (likelihood ratio; ML and REML fits,
        Hardy & Thompson 1996) or wald (estimate and se, cut at 0; poor unless k is large)
    level : confidence level, the fit's own by default

    >>> from replication.models.two_level.random_effects import fit_random_effects
    >>> fit = fit_random_effects([0.1, 0.3, 0.5, 0.2], [0.01, 0.02, 0.03, 0.01])
    >>> round(tau2_interval(fit, "profile").high, 6)
    0.197578
    """
    check_choice(method, Tau2IntervalMethod, "method")
    level = check_level(fit.level if level is None else level)
    component, data = fit.component("tau2"), effect_data(fit)
    if fit.method["tau2"] in ("EE", "fixed"):
        return Interval(NAN, NAN, level, method, "the fit has no estimate of tau2 to put an interval around")
    if method == "wald":
        return _wald(component, level)
    sets = single_set(data.y, data.v, orthonormal(data.x))
    if method == "qprofile":
        return q_profile(sets, level)
    if fit.method["tau2"] not in ("ML", "REML"):
        raise ModelError(
            f"a profile-likelihood interval needs an ML or REML fit, not {fit.method['tau2']}; refit, or use qprofile."
        )
    return _profile(sets, component.estimate, level, restricted=fit.method["tau2"] == "REML")


def heterogeneity_intervals(
    fit: Fit, method: Tau2IntervalMethod = "qprofile", level: float | None = None
) -> HeterogeneityIntervals:
    """The interval for tau2 carried over to tau, I2 and H2, which rise with it.

    >>> from replication.models.two_level.random_effects import fit_random_effects
    >>> fit = fit_random_effects([0.1, 0.3, 0.5, 0.2], [0.01, 0.02, 0.03, 0.01])
    >>> round(heterogeneity_intervals(fit).I2.high, 4)
    96.2398
    """
    tau2, data = tau2_interval(fit, method, level), effect_data(fit)
    if fit.method["tau2"] == "EE":
        return HeterogeneityIntervals(tau2, tau2, tau2, tau2)
    sets = single_set(data.y, data.v, orthonormal(data.x))
    # The typical sampling variance of Higgins & Thompson (2002), at the weights of tau2 = 0; with a variance of 0 there
    # is none.
    typical = NAN
    if (data.v > 0).all():
        typical = float(((sets.k - sets.p) / trace_P(sets, weighted_at(sets, sets.floor)))[0, 0])
    ends = np.array([tau2.low, tau2.high])
    return HeterogeneityIntervals(
        tau2,
        _carried(tau2, np.sqrt(ends)),
        _carried(tau2, 100.0 * ends / (ends + typical)),
        _carried(tau2, 1.0 + ends / typical),
    )


def _carried(tau2: Interval, ends: Array) -> Interval:
    return replace(tau2, low=float(ends[0]), high=float(ends[1]))


def q_profile(sets: EffectSets, level: float) -> Interval:
    """The tau2 at which `y'Py` equals the upper and the lower chi-square quantile (Viechtbauer 2007)."""
    df = float((sets.k - sets.p)[0, 0])
    tail = 0.5 * (1.0 - level)
    quantiles = np.array([[special.chdtri(df, tail), special.chdtri(df, 1.0 - tail)]])
    low, high = solve_q(sets, quantiles).value[0]
    # Viechtbauer (2007): Q below its lower quantile rejects every tau2, so the set is empty
    if high == 0.0 and float(rss(weighted_at(sets, sets.floor))[0, 0]) < quantiles[0, 1]:
        return Interval(NAN, NAN, level, "qprofile", "empty: Q lies below its lower quantile already at tau2 = 0")
    return Interval(float(low), float(high), level, "qprofile")


def _wald(component: Component, level: float) -> Interval:
    # Symmetric around an estimate that is not: kept for comparison, hence "poor" above.
    half = float(special.ndtri(0.5 + 0.5 * level)) * component.se
    return Interval(max(0.0, component.estimate - half), component.estimate + half, level, "wald")


def _profile(sets: EffectSets, estimate: float, level: float, *, restricted: bool) -> Interval:
    """Where the log-likelihood has fallen by half the chi-square(1) quantile; the outermost such points."""
    peak = _height(sets, np.array([[estimate]]), restricted=restricted)[0]
    cut = float(peak) - 0.5 * float(special.chdtri(1.0, 1.0 - level))
    trial = _trial_values(sets, estimate, cut, restricted=restricted)
    inside = np.flatnonzero(_height(sets, trial, restricted=restricted) >= cut)
    # a likelihood with two peaks has gaps inside: the outermost crossings make one interval
    first, last = int(inside[0]), int(inside[-1])
    low = _crossing(sets, trial[:, first - 1 : first + 1], cut, -1.0, restricted=restricted) if first else 0.0
    high = _crossing(sets, trial[:, last : last + 2], cut, 1.0, restricted=restricted)
    return Interval(low, high, level, "profile")


def _height(sets: EffectSets, tau2: Array, *, restricted: bool) -> Array:
    return np.asarray(log_likelihood(sets, weighted_at(sets, tau2), restricted=restricted)[0])


def _trial_values(sets: EffectSets, estimate: float, cut: float, *, restricted: bool) -> Array:
    """The search grid with the estimate, continued until the likelihood is below the cut for good."""
    values = [*search_grid(sets)[0], estimate]
    top = max(values)
    while _height(sets, np.array([[top]]), restricted=restricted)[0] >= cut:
        # fourfold steps: the upper end can be hundreds of times the estimate with three studies
        top = 4.0 * (top + float(sets.offset[0, 0]))
        values.append(top)
    return np.sort(np.array([values]))


def _crossing(sets: EffectSets, ends: Array, cut: float, sign: float, *, restricted: bool) -> float:
    """Where the likelihood crosses the cut between two `ends (1, 2)`: downwards for sign 1, upwards for -1."""

    def function(tau2: Array) -> tuple[Array, Array]:
        fit = weighted_at(sets, tau2)
        height = log_likelihood(sets, fit, restricted=restricted) - cut
        return sign * height, sign * likelihood_score(sets, fit, restricted=restricted)

    low, high = ends[:, :1], ends[:, 1:]
    return float(falling_roots(function, low, high, offset=sets.offset, start=0.5 * (low + high)).value[0, 0])
