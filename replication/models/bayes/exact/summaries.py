"""Numbers to report of a marginal posterior: mode, median, moments, central and shortest intervals, a curve to draw."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import optimize

from replication.models.bayes.exact.marginals import Marginal, PanelDensity, Point
from replication.models.fit import Array, Interval
from replication.models.prepare import check_level
from replication.models.readable import Readable

__all__ = ["Curve", "Summary", "central_interval", "density_curve", "mode", "shortest_interval", "summarize"]

# Probabilities whose quantiles span a distribution.
SPREAD = (0.001, 0.25, 0.5, 0.75, 0.999)


@dataclass(frozen=True, slots=True, repr=False)
class Summary(Readable):
    """One marginal posterior in numbers. NaN means: does not exist, see `reason`."""

    name: str
    mean: float
    sd: float
    mode: float
    median: float
    central: Interval
    shortest: Interval
    reason: str = ""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Curve(Readable):
    """A density to draw: `x, density (n,)`."""

    x: Array
    density: Array


def summarize(marginal: Marginal, name: str, level: float = 0.95) -> Summary:
    """Every number of one marginal."""
    check_level(level)
    tails = (0.5 - level / 2.0, 0.5 + level / 2.0)
    # All quantiles in one search: it is most of what a summary costs.
    q = marginal.ppf([*SPREAD, *tails])
    places = _places(marginal, q[:5])
    return Summary(
        name,
        marginal.mean,
        marginal.sd,
        _highest(marginal, places),
        float(q[2]),
        Interval(float(q[5]), float(q[6]), level, "central"),
        _shortest(marginal, level, q[5:], places),
        marginal.reason,
    )


def central_interval(marginal: Marginal, level: float = 0.95) -> Interval:
    """The interval with equal probability on both sides."""
    low, high = (float(q) for q in marginal.ppf([0.5 - level / 2.0, 0.5 + level / 2.0]))
    return Interval(low, high, level, "central")


def shortest_interval(marginal: Marginal, level: float = 0.95) -> Interval:
    """The shortest single interval of the given probability (the highest density one, if there is one peak)."""
    tails = marginal.ppf([0.5 - level / 2.0, 0.5 + level / 2.0])
    return _shortest(marginal, level, tails, _places(marginal, marginal.ppf(SPREAD)))


def mode(marginal: Marginal) -> float:
    """The point of highest density: an end of the support, or where the slope changes sign."""
    return _highest(marginal, _places(marginal, marginal.ppf(SPREAD)))


def density_curve(marginal: Marginal, points: int = 201, tail: float = 1e-4) -> Curve:
    """The density between the quantiles `tail` and `1 - tail`, from the end of the support where that is near."""
    low, high = (float(q) for q in marginal.ppf([tail, 1.0 - tail]))
    # A curve that began just beside 0 would look as if it rose from nothing there.
    if np.isfinite(marginal.support[0]) and marginal.support[0] > low - 0.1 * (high - low):
        low = marginal.support[0]
    x = np.linspace(low, high, points)
    return Curve(x, marginal.pdf(x))


@dataclass(frozen=True, slots=True, eq=False)
class _Places:
    """Closely spaced points `x (n,)` and the density there, up to the ends of a bounded support."""

    x: Array
    density: Array


def _places(marginal: Marginal, spread: Array) -> _Places:
    if isinstance(marginal, PanelDensity):
        # Twelve points a panel: panels are narrow where the density moves, so the peak falls between neighbours.
        share = np.linspace(0.0, 1.0, 12, endpoint=False)
        inner = (marginal.low[:, None] + (marginal.high - marginal.low)[:, None] * share).ravel()
        x = marginal.shift + marginal.scale * np.sinh(np.append(inner, marginal.high[-1]))
    else:
        # A finer grid in the middle half, where the peak of most densities is.
        x = np.union1d(np.linspace(spread[0], spread[4], 65), np.linspace(spread[1], spread[3], 33))
    return _Places(x, marginal.pdf(x))


def _highest(marginal: Marginal, places: _Places) -> float:
    if isinstance(marginal, Point):
        return marginal.mean
    x, at = places.x, int(np.argmax(places.density))
    # Of a variance the density often falls from its lower end on: there is no point of slope 0 to look for.
    if np.isfinite(marginal.support[0]) and places.density[0] >= places.density[at] * (1.0 - 1e-7):
        return float(x[0])
    low, high = x[max(at - 1, 0)], x[min(at + 1, len(x) - 1)]
    if marginal.slope(low) <= 0 or marginal.slope(high) >= 0:
        return float(x[at])
    return float(optimize.brentq(lambda t: float(marginal.slope(t)), low, high, xtol=1e-12 * (high - low), rtol=1e-12))


def _shortest(marginal: Marginal, level: float, tails: Array, places: _Places) -> Interval:
    if isinstance(marginal, Point):
        return Interval(marginal.mean, marginal.mean, level, "shortest")
    ends = _by_newton(marginal, level, tails)
    # Newton stops wherever both ends are equally high, also around a valley: what it found is tested before it is
    # said.
    if ends is None or not _is_shortest(marginal, *ends, places):
        ends = _by_search(marginal, level)
    return Interval(*ends, level, "shortest")


def _by_newton(marginal: Marginal, level: float, ends: Array) -> tuple[float, float] | None:
    """Solve `F(u) - F(l) = level`, `f(l) = f(u)` from the central interval; None where that does not settle."""
    for _ in range(30):
        f, slope = marginal.pdf(ends), marginal.slope(ends)
        # A density of 0 has no logarithm; such an end is a matter of the search.
        if not np.all(f > 0):
            return None
        gap = np.array([np.diff(marginal.cdf(ends))[0] - level, np.log(f[1] / f[0])])
        jacobian = np.array([[-f[0], f[1]], [-slope[0] / f[0], slope[1] / f[1]]])
        if abs(np.linalg.det(jacobian)) == 0.0:
            return None
        step = np.linalg.solve(jacobian, gap)
        new = ends - step
        if not (marginal.support[0] <= new[0] < new[1] <= marginal.support[1]) or not np.all(np.isfinite(new)):
            return None
        width, ends = ends[1] - ends[0], new
        if np.abs(step).max() < 1e-10 * width + 1e-15 * np.abs(ends).max():
            return float(ends[0]), float(ends[1])
    return None


def _is_shortest(marginal: Marginal, low: float, high: float, places: _Places) -> bool:
    """Whether no point inside lies lower, and none outside higher, than the ends."""
    edge = float(marginal.pdf(low))
    inside = (places.x > low) & (places.x < high)
    lowest, highest = places.density[inside].min(initial=edge), places.density[~inside].max(initial=edge)
    return bool(lowest >= edge * (1 - 1e-6) and highest <= edge * (1 + 1e-6))


def _by_search(marginal: Marginal, level: float) -> tuple[float, float]:
    """Try every left end, then refine: for densities that peak at an end of the support or more than once."""
    # Ends as probabilities, not as points: every trial then holds exactly `level`, whatever the scale.
    first = np.linspace(0.0, 1.0 - level, 201)[1:-1]
    widths = marginal.ppf(first + level) - marginal.ppf(first)
    at = int(np.argmin(widths))
    low, high = (first[at - 1] if at > 0 else 0.0), (first[at + 1] if at + 1 < len(first) else 1.0 - level)

    def imbalance(p: float) -> float:
        left, right = marginal.pdf(marginal.ppf([p, p + level]))
        return float(left - right)

    if low == 0.0 and np.isfinite(marginal.support[0]):
        low_end = (marginal.support[0], float(marginal.ppf(level)))
        if low_end[1] - low_end[0] <= widths[at] * (1.0 + 1e-9):
            return low_end
    if high == 1.0 - level and np.isfinite(marginal.support[1]):
        high_end = (float(marginal.ppf(1.0 - level)), marginal.support[1])
        if high_end[1] - high_end[0] <= widths[at]:
            return high_end
    # At a probability of exactly 0 or 1 the quantile of an unbounded density is infinite.
    low, high = max(low, 1e-12), min(high, 1.0 - level - 1e-12)
    inside = imbalance(low) < 0 < imbalance(high)
    p = optimize.brentq(imbalance, low, high, xtol=1e-13) if inside else first[at]
    return float(marginal.ppf(p)), float(marginal.ppf(p + level))
