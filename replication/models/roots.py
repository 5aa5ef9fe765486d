"""Many one-dimensional roots at once: Newton steps kept inside a shrinking bracket."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from replication.models.fit import Array

__all__ = ["Roots", "falling_roots"]

# A step this small (relative) is followed by one whose error is its square: below rounding.
STEP = 1e-10


@dataclass(frozen=True, slots=True, eq=False)
class Roots:
    """The roots and, for each, whether the last step was negligible."""

    value: Array
    converged: NDArray[np.bool_]


def falling_roots(
    function: Callable[[Array], tuple[Array, Array]], low: Array, high: Array, offset: Array, max_steps: int = 100
) -> Roots:
    """Where a function falls through zero, for many brackets `[low, high]` with values > 0 at `low`, <= 0 at `high`.

    `function(t)` returns values and slopes. `offset > 0` sets the scale on which `t` is measured: bisection halves
    `log(t + offset)`, and a step counts as small beside `t + offset`.

    >>> halves = falling_roots(lambda t: (2.0 - t * t, -2.0 * t), np.array([0.0]), np.array([4.0]), np.array([1.0]))
    >>> float(halves.value[0].round(12))
    1.414213562373
    """
    t = _midpoint(low, high, offset)
    done = np.zeros(t.shape, dtype=bool)
    for _ in range(max_steps):
        f, slope = function(t)
        low, high = np.where(f > 0, t, low), np.where(f > 0, high, t)
        with np.errstate(divide="ignore", invalid="ignore"):
            proposal = t - f / slope
        inside = (slope < 0) & (proposal >= low) & (proposal <= high)
        new = np.where(done, t, np.where(inside, proposal, _midpoint(low, high, offset)))
        done = done | (np.abs(new - t) <= STEP * (new + offset))
        t = new
        if done.all():
            break
    return Roots(t, done)


def _midpoint(low: Array, high: Array, offset: Array) -> Array:
    return np.asarray(np.clip(np.sqrt((low + offset) * (high + offset)) - offset, low, high))
