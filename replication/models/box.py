"""Ranges of a function over a box of rounding intervals, and points that satisfy several intervals at once.

Printed numbers are boxes, not points: what follows from them is a range. The range of a smooth function over a box is
sought at the corners and polished inside by bounded optimisation from the best corners.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize

from replication.models.fit import Array

__all__ = ["JointSolution", "box_range", "joint_solution"]

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
    corners = [np.array(corner) for corner in itertools.product(*zip(a, b, strict=True))] + [(a + b) / 2]
    values = [float(function(corner)) for corner in corners]
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
