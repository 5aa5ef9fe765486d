"""The highest point of a smooth likelihood over variances that cannot be negative.

Two ideas:

1. Newton steps with the average of observed and expected information (Gilmour, Thompson & Cullis 1995), which is
   cheap and fast with many clusters; where it gains too little a step, it is corrected by what it lacks of the
   observed information.
2. A variance at 0 whose slope points further down stays there; a step past 0 stops at 0 (Bertsekas 1982). A step
   that does not climb is halved.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from replication.models.fit import Array

__all__ = ["Likelihood", "Peak", "Slope", "climb"]

# Steps are relative. Below CLOSE, a step more than SLOW times the last one calls for the observed information; the
# search ends when the step still to come would be below DONE; steps below ROUNDING that no longer shrink are noise.
CLOSE, SLOW, DONE, ROUNDING = 1e-2, 0.02, 1e-12, 1e-7
MOST_STEPS = 200
# The same end where a step costs seconds: far below the standard error of any variance.
COSTLY_DONE = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class Slope:
    """A log-likelihood at one point, with its slope.

    A log-likelihood at `theta (q,)`: `value`, `gradient (q,)`, average `information (q, q)`, and `ratio (q,)`: the
    square root of observed over expected squared effects, by which each variance would grow in an MM step (Zhou et al.
    2019).
    """

    theta: Array
    value: float
    gradient: Array
    information: Array
    ratio: Array


class Likelihood(Protocol):
    """What is climbed. `unit` is the scale on which a variance counts as small; `costly`, whether a step takes seconds.

    A costly one is climbed by average information alone.
    """

    @property
    def unit(self) -> float: ...

    @property
    def costly(self) -> bool: ...

    def slope(self, theta: Array) -> Slope: ...

    def observed_information(self, theta: Array, free: NDArray[np.intp]) -> Array: ...


@dataclass(frozen=True, slots=True, eq=False)
class Peak:
    """Where the search ended, and whether the last step was negligible.

    `observed (q, q)` is the observed information there, where the search had it anyway.
    """

    slope: Slope
    converged: bool
    steps: int
    observed: Array | None = None


def climb(likelihood: Likelihood, start: Array, allowed: NDArray[np.bool_], *, near: bool = False) -> Peak:
    """Climb from `start (q,)`; variances not `allowed (q,)` stay as they are.

    A start that is not `near` a peak is first brought into its range by an MM step.
    """
    here = likelihood.slope(start)
    if not near:
        # one MM step never overshoots, however far off the start is; Newton from there would
        here = likelihood.slope(np.where(allowed, start * here.ratio, start))
    lacking, before = np.zeros_like(here.information), np.inf
    for steps in range(1, MOST_STEPS + 1):
        # on the edge and pointing outwards: held there (Bertsekas 1982)
        free = np.flatnonzero(allowed & ((here.theta > 0) | (here.gradient > 0)))
        if len(free) == 0:
            return Peak(here, True, steps)
        step = _newton_step(here, lacking, free)
        if likelihood.costly and _left_over(step, before, here, likelihood) < COSTLY_DONE:
            # the quadratic model knows the end to more digits than asked: no need to compute it
            return Peak(_predicted(here, step), True, steps)
        ahead = _try_step(likelihood, here, step)
        if ahead is None:
            return Peak(here, _size(step, here, likelihood) < ROUNDING, steps)
        moved = _size(ahead.theta - here.theta, here, likelihood)
        here = ahead
        # with a constant pace the rest of the way is moved * pace / (1 - pace); below DONE it is over
        pace = moved / before if np.isfinite(before) else 1.0
        done = COSTLY_DONE if likelihood.costly else DONE
        if moved * min(pace, 1.0) < done or before < moved < ROUNDING:
            return Peak(here, True, steps)
        # average information converges linearly where clusters are few; the observed one restores Newton
        if moved < CLOSE and pace > SLOW and not likelihood.costly:
            lacking = _lacking(likelihood, here, free)
        before = moved
    return Peak(here, False, MOST_STEPS)


def _size(step: Array, here: Slope, likelihood: Likelihood) -> float:
    # relative to the variance, but a variance near 0 is measured against the data's own unit
    return float(np.abs(step / (here.theta + 1e-3 * likelihood.unit)).max())


def _left_over(step: Array, before: float, here: Slope, likelihood: Likelihood) -> float:
    """How far from the peak a `step` will end, at the pace of the one `before`."""
    size = _size(step, here, likelihood)
    return size * min(size / before, 1.0) if np.isfinite(before) else np.inf


def _predicted(here: Slope, step: Array) -> Slope:
    """The slope after the `step` as the quadratic model has it."""
    turned = here.information @ step
    value = here.value + float(here.gradient @ step - 0.5 * step @ turned)
    return replace(here, theta=here.theta + step, value=value, gradient=here.gradient - turned)


def _lacking(likelihood: Likelihood, here: Slope, free: NDArray[np.intp]) -> Array:
    """Observed minus average information."""
    difference = np.zeros_like(here.information)
    block = np.ix_(free, free)
    difference[block] = likelihood.observed_information(here.theta, free) - here.information[block]
    return difference


def _newton_step(here: Slope, lacking: Array, free: NDArray[np.intp]) -> Array:
    """The step along the variances `free` to the top of the quadratic model, no variance going below 0.

    The corrected information is used where it has a peak ahead. If the top lies past an edge, every choice of
    variances to put at 0 is tried: there are few.
    """
    information = here.information + lacking
    # away from the peak the observed information need not be positive; the average always is
    if np.linalg.eigvalsh(information[np.ix_(free, free)])[0] <= 0:
        information = here.information
    best, height = np.zeros_like(here.theta), 0.0
    for size in range(len(free) + 1):
        for held in combinations(free.tolist(), size):
            inactive = np.array([i for i in free if i not in held], dtype=np.intp)
            step = _face_step(here, information, inactive, np.array(held, dtype=np.intp))
            gain = float(here.gradient @ step - 0.5 * step @ information @ step)
            if (here.theta + step >= 0.0).all() and gain > height:
                best, height = step, gain
        # fewest variances on the edge first: a larger face is tried only where the smaller gains nothing
        if height > 0.0:
            break
    return best


def _face_step(here: Slope, information: Array, inactive: NDArray[np.intp], held: NDArray[np.intp]) -> Array:
    """To the top of the quadratic model over `inactive`, with the variances `held` put at 0."""
    step = np.zeros_like(here.theta)
    step[held] = -here.theta[held]
    if len(inactive):
        values, vectors = np.linalg.eigh(information[np.ix_(inactive, inactive)])
        slope = here.gradient[inactive] - information[np.ix_(inactive, held)] @ step[held]
        if values[-1] > 0:
            step[inactive] = vectors @ ((vectors.T @ slope) / np.maximum(values, 1e-12 * values[-1]))
    return step


def _try_step(likelihood: Likelihood, here: Slope, step: Array) -> Slope | None:
    """The slope after the longest of the step, its half, its quarter, ... that does not lose height."""
    # rounding of the likelihood itself; without it the last steps would be halved away
    slack = 1e-13 * (abs(here.value) + 1.0)
    for halving in range(40):
        theta = np.maximum(here.theta + step * 0.5**halving, 0.0)
        if np.array_equal(theta, here.theta):
            return here if halving == 0 else None
        try:
            ahead = likelihood.slope(theta)
        except np.linalg.LinAlgError:
            continue
        if ahead.value >= here.value - slack:
            return ahead
    return None
