"""The lowest point of a smooth function, with lower bounds on some parameters.

Two ideas:

1. Newton steps with the exact second derivatives, so that the number of correct digits doubles each time; where
   they are not those of a valley, the expected ones (Fisher, Gauss-Newton) take their place, with a ridge if needed.
2. A parameter on its bound whose slope points further down stays there; a step past a bound stops at it
   (Bertsekas 1982). A step that does not descend is halved.

Functions are on the scale of -2 log likelihood or chi-square, so "close enough" needs no unit: the search ends when
the next step would lower the function by less than `DONE`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from replication.models.fit import Array

__all__ = ["Evaluation", "Minimum", "Objective", "minimize"]

DONE = 1e-13
MOST_STEPS = 300
MOST_HALVINGS = 40

# Smallest over largest eigenvalue below which a matrix of second derivatives is not leant on.
CONDITION = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """A function at one point: `value` (inf where it is not defined), `gradient (q,)`, `hessian (q, q)`, and

    `expected (q, q)`, a positive semi-definite stand-in for the Hessian.
    """

    value: float
    gradient: Array
    hessian: Array
    expected: Array


class Objective(Protocol):
    """What can be minimized: a function of `theta (q,)` with its derivatives."""

    def evaluate(self, theta: Array) -> Evaluation: ...


@dataclass(frozen=True, slots=True, eq=False)
class Minimum:
    """Where a search ended: `theta (q,)`, the function there, which parameters `held (q,)` sit on their bound."""

    theta: Array
    at: Evaluation
    held: NDArray[np.bool_]
    converged: bool
    steps: int


def minimize(objective: Objective, start: Array, lower: Array | None = None) -> Minimum:
    """Minimize `objective` from `start (q,)` with lower bounds `lower (q,)` (-inf: none)."""
    bound = np.full(len(start), -np.inf) if lower is None else lower
    theta = np.maximum(np.asarray(start, dtype=float), bound)
    here = objective.evaluate(theta)
    for step in range(MOST_STEPS):
        held = (theta <= bound) & (here.gradient > 0)
        move, gain = _newton_step(here, held)
        theta_next, there = _descend(objective, theta, here, move, bound)
        stuck = there is here
        if gain < DONE * (1.0 + abs(here.value) * 1e-3) or stuck:
            return Minimum(theta_next, there, _held(theta_next, there, bound), gain < 1e-6, step + 1)
        theta, here = theta_next, there
    return Minimum(theta, here, _held(theta, here, bound), False, MOST_STEPS)


def _held(theta: Array, at: Evaluation, bound: Array) -> NDArray[np.bool_]:
    return (theta <= bound) & (at.gradient > 0)


def _newton_step(here: Evaluation, held: NDArray[np.bool_]) -> tuple[Array, float]:
    """The step over the free parameters and how much it would gain if the function were a parabola."""
    move = np.zeros(len(held))
    free = np.flatnonzero(~held)
    if not len(free):
        return move, 0.0
    gradient = here.gradient[free]
    move[free] = -_solve_positive(here.hessian[np.ix_(free, free)], here.expected[np.ix_(free, free)], gradient)
    return move, float(-0.5 * gradient @ move[free])


def _solve_positive(hessian: Array, expected: Array, gradient: Array) -> Array:
    """`H^-1 gradient` where H is positive definite; else with the expected derivatives, if these are well

    conditioned; else with every eigenvalue of H turned positive (which leaves saddle points behind).
    """
    scale = np.sqrt(np.maximum(np.diag(expected), np.abs(np.diag(hessian))))
    scale = np.where(scale > 0, scale, 1.0)
    unit, scaled = hessian / np.outer(scale, scale), gradient / scale
    try:
        factor = linalg.cho_factor(unit, check_finite=False)
        return np.asarray(linalg.cho_solve(factor, scaled, check_finite=False) / scale)
    except linalg.LinAlgError:
        pass
    values, vectors = np.linalg.eigh(expected / np.outer(scale, scale))
    if values[0] < CONDITION * values[-1]:
        values, vectors = np.linalg.eigh(unit)
        values = np.maximum(np.abs(values), CONDITION * np.abs(values).max())
    return np.asarray(vectors @ ((vectors.T @ scaled) / values) / scale)


def _descend(
    objective: Objective, theta: Array, here: Evaluation, move: Array, bound: Array
) -> tuple[Array, Evaluation]:
    """The first of the step, its half, its quarter, ... that does not climb; the point itself if none does."""
    slack = 1e-13 * (1.0 + abs(here.value))
    for halving in range(MOST_HALVINGS):
        candidate = np.maximum(theta + move * 0.5**halving, bound)
        there = objective.evaluate(candidate)
        if there.value <= here.value + slack:
            return candidate, there
    return theta, here
