"""Many one-dimensional roots at once: Newton steps kept inside a shrinking bracket."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from replication.models.fit import Array

__all__ = ["Roots", "falling_roots"]

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
