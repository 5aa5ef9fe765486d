"""Profile-likelihood intervals for tau2 and the selection parameters of a selection model.

A value belongs to the interval when the highest likelihood with the parameter held there lies no more than half a
chi-square quantile below the peak (Venzon & Moolgavkar 1988, Applied Statistics 37:87). Wald intervals of a selection
model rest on a curvature that changes within one standard error, and they know nothing of edges: a tau2 or a weight
estimated as 0 has no Wald interval at all, but it has this one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import optimize, special

from replication.models.bias.selection_fit import SelectionFit, SelectionSearch
from replication.models.bias.selection_likelihood import Peak, SelectionLikelihood, highest_peak
from replication.models.fit import Array, Interval

__all__ = ["selection_intervals"]

METHOD = "profile likelihood"
NAN = float("nan")
# A weight of e^-30 is 0 to any reader, and the likelihood there is that of weight 0 to ten digits.
SMALLEST_LOG_WEIGHT = -30.0
# Doublings of the step from a standard error before an end counts as not there: a factor of 2^30.
DOUBLINGS = 30


def selection_intervals(found: SelectionFit, level: float | None = None) -> tuple[tuple[str, Interval], ...]:
    """Names and profile-likelihood intervals of tau2 and the estimated selection parameters, in the order of the fit.

    `level` is that of the fit by default. Parameters that were fixed are left out. An end that does not exist within
    the range of the parameter is that edge (0, say) or infinity, and the interval's `reason` says so.

    >>> from replication.models.bias.selection_models import fit_step_selection
    >>> y = [0.1, 0.6, 0.5, -0.1, 0.4, 0.8, 0.2, 0.3]
    >>> result = fit_step_selection(y, [0.04, 0.05, 0.03, 0.02, 0.02, 0.06, 0.03, 0.01], tau2="EE")
    >>> [(name, round(at.low, 3), round(at.high, 3)) for name, at in selection_intervals(result)]
    [('p in (0.025, 1]', 0.012, 1.38)]
    """
    level = found.fit.level if level is None else level
    setup, selection = found.search.setup, found.search.selection
    p = len(found.fit.names)
    chosen = [setup.heterogeneous, *selection.estimated]
    zero = [False, *selection.zero]
    names = ("tau2", *selection.names)
    return tuple(
        (names[j], _interval(found.search, p + j, level, dropped=bool(zero[j]))) for j in range(len(names)) if chosen[j]
    )


def _interval(search: SelectionSearch, place: int, level: float, *, dropped: bool) -> Interval:
    if not search.peak.converged:
        return Interval(NAN, NAN, level, METHOD, "the likelihood has no maximum that was found")
    # An interval of p without p values was taken out of the likelihood, which now says nothing about its weight.
    if dropped:
        return Interval(NAN, NAN, level, METHOD, "no p value lies in this interval of p: its weight was set to 0")
    profile = _Profile.of(search, place, level)
    low, low_reason = profile.low_end()
    high, high_reason = profile.high_end()
    reasons = [reason for reason in (low_reason, high_reason) if reason]
    return Interval(*_natural(search, place, low, high), level, METHOD, "; ".join(reasons))


def _natural(search: SelectionSearch, place: int, low: float, high: float) -> tuple[float, float]:
    """The ends on the scale of the data; the scale of the search is another for tau2 and for log weights."""
    setup, selection = search.setup, search.selection
    if place == len(setup.data.effects.names):
        return low * setup.scale**2, high * setup.scale**2
    if selection.log_link:
        return float(np.exp(low)), float(np.exp(high))
    return selection.base + low, selection.base + high


@dataclass(frozen=True, slots=True, eq=False)
class _Profile:
    """The profile of one parameter: its `place` in theta, the range it may take, the fall that ends the interval."""

    likelihood: SelectionLikelihood
    search: SelectionSearch
    starts: Array
    place: int
    step: float
    floor: float
    ceiling: float
    fall: float

    @classmethod
    def of(cls, search: SelectionSearch, place: int, level: float) -> _Profile:
        setup, selection = search.setup, search.selection
        is_tau2 = place == len(setup.data.effects.names)
        lows = np.broadcast_to(selection.eta_range.low, len(selection.names))
        floor = 0.0 if is_tau2 else max(float(lows[place - len(setup.data.effects.names) - 1]), SMALLEST_LOG_WEIGHT)
        # tau2 has no upper limit of its own; selection parameters stop where the search would call them lost.
        ceiling = np.inf if is_tau2 else selection.eta_range.far
        return cls(
            setup.likelihood(selection),
            search,
            np.vstack([search.peak.theta, setup.starts(selection)]),
            place,
            _first_step(search.peak, place),
            floor,
            ceiling,
            float(special.chdtri(1.0, 1.0 - level)),
        )

    def excess(self, value: float) -> float:
        """By how much twice the fall of the profile at `value` exceeds the fall that ends the interval."""
        starts = self.starts.copy()
        starts[:, self.place] = value
        chosen = self.search.selection.estimated & ~self.search.selection.zero
        free = self.search.setup.free(chosen)
        free[self.place] = False
        # From the peak and from afar: with a parameter held, another of several peaks may be the highest.
        best = highest_peak(self.likelihood, starts, free, self.search.selection.eta_range)
        return 2.0 * (self.search.peak.value - best.value) - self.fall

    def low_end(self) -> tuple[float, str]:
        at = float(self.search.peak.theta[self.place])
        if at <= self.floor or self.excess(self.floor) <= 0.0:
            return self._floor(), "it reaches down to the edge of the range"
        inner, outer, step = at, max(self.floor, at - self.step), self.step
        while self.excess(outer) <= 0.0:
            step *= 2.0
            inner, outer = outer, max(self.floor, at - step)
        return self._root(inner, outer), ""

    def high_end(self) -> tuple[float, str]:
        at, step = float(self.search.peak.theta[self.place]), self.step
        inner = at
        for _ in range(DOUBLINGS):
            outer = min(self.ceiling, at + step)
            if self.excess(outer) > 0.0:
                return self._root(inner, outer), ""
            if outer == self.ceiling:
                break
            inner, step = outer, 2.0 * step
        return np.inf, "the likelihood never falls enough above the estimate: no upper end"

    def _floor(self) -> float:
        """The floor itself; for a log weight minus infinity, which is weight 0."""
        return -np.inf if self.floor == SMALLEST_LOG_WEIGHT else self.floor

    def _root(self, inner: float, outer: float) -> float:
        low, high = min(inner, outer), max(inner, outer)
        return float(optimize.brentq(self.excess, low, high, xtol=1e-9 * max(1.0, abs(high)), rtol=1e-9))


def _first_step(peak: Peak, place: int) -> float:
    """Two standard errors, or one unit of the search where the peak has none."""
    # `covariance` has rows for free parameters only.
    position = int(peak.free[:place].sum())
    if not peak.free[place]:
        return 1.0
    step = 2.0 * float(np.sqrt(peak.covariance[position, position]))
    return step if np.isfinite(step) and step > 0.0 else 1.0
