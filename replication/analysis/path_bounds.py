"""What printed paths and correlations allow each other to be, in the saturated path model of four variables.

Achievement on engagement and both relationships, engagement on both relationships: with no path left out, paths follow
from correlations and correlations from paths. Printed numbers are boxes, not points, so what follows from them is a
range: sought at the corners of the box and polished inside by bounded optimisation (scipy).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize

from replication.models.fit import Array
from replication.printed import Printed

__all__ = [
    "PATHS",
    "JointSolution",
    "box_range",
    "correlation_ranges",
    "implied_correlations",
    "implied_third",
    "joint_paths",
    "joint_solution",
    "path_ranges",
    "saturated_paths",
]

_POLISHED = 4


@dataclass(frozen=True, slots=True, eq=False)
class JointSolution:
    """A point `x` of the box and its largest `violation` of the target intervals; 0 means all hold at once."""

    x: Array
    violation: float


def box_range(function: Callable[[Array], float], low: ArrayLike, high: ArrayLike) -> tuple[float, float]:
    """Smallest and largest value of `function` over the box from `low` to `high (n,)`.

    Exact for functions that are monotone in each coordinate; otherwise polished by bounded quasi-Newton steps.

    >>> box_range(lambda x: float(x[0] * x[1]), [-1.0, 2.0], [1.0, 3.0])
    (-3.0, 3.0)
    """
    a, b = np.asarray(low, dtype=float), np.asarray(high, dtype=float)
    # 64 corners at most: six printed numbers; functions here are monotone in most of them
    corners = [np.array(corner) for corner in itertools.product(*zip(a, b, strict=True))] + [(a + b) / 2]
    values = [float(function(corner)) for corner in corners]
    # Only the most promising corners are polished: polishing costs far more than a corner.
    order = np.argsort(values)
    least = [_polish(function, corners[i], a, b, 1.0) for i in order[:_POLISHED]]
    most = [_polish(function, corners[i], a, b, -1.0) for i in order[-_POLISHED:]]
    return min(values + least), max(values + most)


def joint_solution(
    function: Callable[[Array], Array],
    low: ArrayLike,
    high: ArrayLike,
    target_low: ArrayLike,
    target_high: ArrayLike,
    *,
    starts: int = 20,
    seed: int = 0,
) -> JointSolution:
    """A point of the box at which every value of `function` lies in its target interval, or the nearest miss.

    The hinge distances to the intervals are driven to zero by bounded least squares from seeded starts.

    >>> joint_solution(lambda x: x**2, [0.0], [3.0], [3.9], [4.1]).violation
    0.0
    """
    a, b = np.asarray(low, dtype=float), np.asarray(high, dtype=float)
    floor, ceiling = np.asarray(target_low, dtype=float), np.asarray(target_high, dtype=float)

    def miss(x: Array) -> Array:
        value = function(x)
        return np.asarray(np.maximum(0.0, floor - value) + np.maximum(0.0, value - ceiling))

    rng = np.random.default_rng(seed)
    best = JointSolution((a + b) / 2, float(np.max(miss((a + b) / 2))))
    # the hinge is flat where all targets hold, so a local search can stall short of the box's feasible part
    for _ in range(starts):
        if best.violation == 0.0:
            break
        found = optimize.least_squares(miss, rng.uniform(a, b), bounds=(a, b), xtol=1e-15, ftol=1e-15, gtol=1e-15)
        violation = float(np.max(miss(found.x)))
        if violation < best.violation:
            best = JointSolution(found.x, violation)
    return best


def _polish(function: Callable[[Array], float], start: Array, a: Array, b: Array, sign: float) -> float:
    def signed(x: Array) -> float:
        return sign * float(function(x))

    return sign * float(optimize.minimize(signed, start, bounds=list(zip(a, b, strict=True))).fun)


PATHS = (
    "pos_enga",
    "neg_enga",
    "enga_ach",
    "pos_ach",
    "neg_ach",
    "pos_indirect",
    "neg_indirect",
    "R2_enga",
    "R2_ach",
)


def saturated_paths(x: Array) -> Array:
    """Paths, indirect effects and explained variances, in the order of `PATHS`.

    Parameters
    ----------
    x : (6,) correlations pos-enga, neg-enga, pos-ach, neg-ach, enga-ach, pos-neg.

    >>> saturated_paths(np.array([0.35, -0.28, 0.17, -0.16, 0.28, -0.31]))[:2].round(3).tolist()
    [0.291, -0.19]
    """
    pe, ne, pa, na, ea, pn = x
    # Normal equations on correlations: a saturated path model is two regressions, of the mediator and of the outcome.
    predictors = np.array([[1.0, pn, pe], [pn, 1.0, ne], [pe, ne, 1.0]])
    to_enga = np.linalg.solve(predictors[:2, :2], np.array([pe, ne]))
    to_ach = np.linalg.solve(predictors, np.array([pa, na, ea]))
    indirect = to_enga * to_ach[2]
    explained = (to_enga @ np.array([pe, ne]), to_ach @ np.array([pa, na, ea]))
    return np.array([*to_enga, to_ach[2], to_ach[0], to_ach[1], *indirect, *explained])


def implied_correlations(x: Array) -> Array:
    """Correlations pos-enga, neg-enga, pos-ach, neg-ach, enga-ach `(5,)` that the paths imply.

    Parameters
    ----------
    x : (6,) the first five of `PATHS` and the correlation pos-neg.
    """
    b_pe, b_ne, b_ea, b_pa, b_na, pn = x
    pe, ne = b_pe + b_ne * pn, b_ne + b_pe * pn
    return np.array([pe, ne, b_pa + b_na * pn + b_ea * pe, b_na + b_pa * pn + b_ea * ne, b_ea + b_pa * pe + b_na * ne])


def implied_third(r_pe: Printed, r_ne: Printed, b_pe: Printed, b_ne: Printed) -> tuple[float, float]:
    """The correlation of the two predictors that is not printed: where both equations of the mediator allow it.

    r_pe = b_pe + b_ne r and r_ne = b_ne + b_pe r, with every number in its rounding interval.
    """
    one = _quotient(r_pe.low - b_pe.high, r_pe.high - b_pe.low, b_ne)
    two = _quotient(r_ne.low - b_ne.high, r_ne.high - b_ne.low, b_pe)
    # Both equations must hold, so what is left is where their intervals meet; empty when the low end is the higher one.
    return max(one[0], two[0]), min(one[1], two[1])


def path_ranges(r: Sequence[Printed], third: tuple[float, float]) -> dict[str, tuple[float, float]]:
    """What five printed correlations and the interval of the sixth allow for each of `PATHS`."""
    low, high = _interval_bounds(r, third)
    return {name: box_range(partial(_entry, saturated_paths, at), low, high) for at, name in enumerate(PATHS)}


def correlation_ranges(b: Sequence[Printed], third: tuple[float, float]) -> list[tuple[float, float]]:
    """What five printed paths and the interval of the predictors' correlation allow for the five correlations."""
    low, high = _interval_bounds(b, third)
    return [box_range(partial(_entry, implied_correlations, at), low, high) for at in range(len(b))]


def joint_paths(r: Sequence[Printed], third: tuple[float, float], printed: Mapping[str, Printed]) -> JointSolution:
    """One set of correlations in their box that gives every printed result at once, or the nearest miss."""
    low, high = _interval_bounds(r, third)
    at = [PATHS.index(name) for name in printed]
    # R2 is printed in per cent, paths are not: each in the unit of its print
    scale = np.array([100.0 if p.percent else 1.0 for p in printed.values()])
    floor, ceiling = (np.array([getattr(p, end) for p in printed.values()]) for end in ("low", "high"))
    return joint_solution(lambda x: saturated_paths(x)[at] * scale, low, high, floor, ceiling)


def _entry(function: Callable[[Array], Array], at: int, x: Array) -> float:
    return float(function(x)[at])


def _interval_bounds(printed: Sequence[Printed], third: tuple[float, float]) -> tuple[Array, Array]:
    low, high = (np.array([getattr(p, end) for p in printed]) for end in ("low", "high"))
    return np.append(low, third[0]), np.append(high, third[1])


def _quotient(low: float, high: float, by: Printed) -> tuple[float, float]:
    ends = [a / b for a in (low, high) for b in (by.low, by.high)]
    return min(ends), max(ends)
