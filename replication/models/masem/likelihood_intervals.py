"""Likelihood-based intervals of parameters and of smooth functions of them (Neale & Miller 1997).

An interval holds all values of a quantity at which -2 log likelihood (or chi-square) rises by less than a chi-square
cutoff when everything else is chosen best. The quantity may be a parameter or any
smooth function of parameters, such as an indirect effect. Unlike Wald intervals they need not be symmetric and do not
depend on how the model is parameterized.

Each end solves `grad F = lambda grad g, F = F_min + cutoff` by Newton steps; where these fail, by SLSQP. Where the
quantity has a peak of its own inside the region (a residual variance cannot exceed 1), that peak is the end.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

from replication.models.fit import Array, Interval
from replication.models.masem.model_text import Jet
from replication.models.masem.newton import Evaluation, Minimum, Objective

__all__ = ["likelihood_interval"]

Free = NDArray[np.bool_]

METHOD = "likelihood"
MOST_STEPS = 60

# An end counts as found when F is this close to its cutoff, and the slopes of F and g this parallel.
ON_CUTOFF, PARALLEL = 1e-8, 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class _Problem:
    objective: Objective
    target: Callable[[Array], Jet]
    minimum: Minimum
    cutoff: float
    metric: Array


def likelihood_interval(
    objective: Objective, target: Callable[[Array], Jet], minimum: Minimum, level: float
) -> Interval:
    """The interval of `target(theta)` at `level`, from the minimum of `objective`.

    Parameters held on their bound stay there. An end that does not exist is NaN, with the reason.
    """
    free = ~minimum.held
    # Lengths are measured in the curvature at the minimum, so paths and variances need no common unit.
    metric = minimum.at.hessian[np.ix_(free, free)]
    if not minimum.converged or np.linalg.eigvalsh(metric)[0] <= 0:
        reason = "the estimates are not at a proper minimum"
        return Interval(float("nan"), float("nan"), level, METHOD, reason)
    cutoff = minimum.at.value + float(special.chdtri(1, 1.0 - level))
    problem = _Problem(objective, target, minimum, cutoff, metric)
    here = target(minimum.theta)
    if not here.gradient[free].any():
        return Interval(here.value, here.value, level, METHOD, "the quantity does not depend on the parameters")
    ends, reasons = [], []
    for sign, side in ((-1.0, "lower"), (1.0, "upper")):
        end = _end(problem, here, free, sign)
        ends.append(end)
        if not np.isfinite(end):
            reasons.append(f"no {side} end was found: chi-square may never rise that far on this side")
    return Interval(ends[0], ends[1], level, METHOD, "; ".join(reasons))


def _end(problem: _Problem, here: Jet, free: Free, sign: float) -> float:
    slope = sign * here.gradient[free]
    # If chi-square were a parabola and the quantity linear, this step would land on the end exactly.
    direction = np.linalg.solve(problem.metric, slope)
    rise = problem.cutoff - problem.minimum.at.value
    length = np.sqrt(2.0 * rise / (slope @ direction))
    theta = problem.minimum.theta.copy()
    theta[free] += length * direction
    found = _newton(problem, theta, free, sign, float(length))
    # Newton may settle on the end of the other side, which solves the same equations.
    if found is not None and sign * (found - here.value) >= 0:
        return found
    others = [_slsqp(problem, start, free, sign) for start in _starts(problem, here, theta, free, sign)]
    reached = [value for value in others if value is not None and sign * (value - here.value) >= 0]
    return sign * max(sign * value for value in reached) if reached else float("nan")


def _starts(problem: _Problem, here: Jet, theta: Array, free: Free, sign: float) -> list[Array]:
    """The point Newton started from, the estimates, and both ways along which the quantity curves most."""
    root = np.linalg.inv(np.linalg.cholesky(problem.metric)).T
    curved = sign * root.T @ here.hessian[np.ix_(free, free)] @ root
    steepest = root @ np.linalg.eigh(curved)[1][:, -1]
    reach = np.sqrt(2.0 * (problem.cutoff - problem.minimum.at.value))
    starts = [theta, problem.minimum.theta]
    for way in (-reach, reach):
        start = problem.minimum.theta.copy()
        start[free] += way * steepest
        starts.append(start)
    return starts


def _newton(problem: _Problem, theta: Array, free: Free, sign: float, multiplier: float) -> float | None:
    """Newton steps on the two equations; None when they do not settle."""
    reach = np.sqrt(2.0 * (problem.cutoff - problem.minimum.at.value))
    for _ in range(MOST_STEPS):
        at, g = problem.objective.evaluate(theta), problem.target(theta)
        if not (np.isfinite(at.value) and np.isfinite(g.value)):
            return None
        slope, pull = at.gradient[free], sign * g.gradient[free]
        if _settled(problem, at, slope, pull, multiplier):
            return g.value
        size = len(slope)
        system = np.zeros((size + 1, size + 1))
        # The Jacobian of both equations in (theta, lambda): the Hessian of the Lagrangian, bordered by the slopes.
        system[:size, :size] = at.hessian[np.ix_(free, free)] - multiplier * sign * g.hessian[np.ix_(free, free)]
        system[:size, size], system[size, :size] = -pull, slope
        try:
            move = np.linalg.solve(system, -np.append(slope - multiplier * pull, at.value - problem.cutoff))
        except np.linalg.LinAlgError:
            return None
        stride = np.sqrt(max(float(move[:size] @ problem.metric @ move[:size]), 0.0))
        # A step longer than the region is wide has left the range where the curvature means anything.
        shrink = min(1.0, reach / stride) if stride > 0 else 1.0
        theta = theta.copy()
        theta[free] += shrink * move[:size]
        multiplier += shrink * float(move[size])
    return None


def _settled(problem: _Problem, at: Evaluation, slope: Array, pull: Array, multiplier: float) -> bool:
    # A multiplier below 0 belongs to a point where the quantity still moves inwards.
    if abs(at.value - problem.cutoff) > ON_CUTOFF or multiplier <= 0:
        return False
    rest = slope - multiplier * pull
    return bool(
        rest @ np.linalg.solve(problem.metric, rest) < PARALLEL**2 * (slope @ np.linalg.solve(problem.metric, slope))
    )


def _slsqp(problem: _Problem, start: Array, free: Free, sign: float) -> float | None:
    base = problem.minimum.theta.copy()

    def full(x: Array) -> Array:
        theta = base.copy()
        theta[free] = x
        return theta

    def room(x: Array) -> Array:
        value = problem.objective.evaluate(full(x)).value
        # SLSQP cannot work with inf: a large finite violation turns it back all the same.
        return np.array([problem.cutoff - value if np.isfinite(value) else -1e10])

    def room_slope(x: Array) -> Array:
        return np.asarray(-problem.objective.evaluate(full(x)).gradient[free][None, :])

    def height(x: Array) -> float:
        return -sign * problem.target(full(x)).value

    def height_slope(x: Array) -> Array:
        return np.asarray(-sign * problem.target(full(x)).gradient[free])

    inside = optimize.NonlinearConstraint(room, 0.0, np.inf, jac=room_slope)
    result = optimize.minimize(
        height,
        start[free],
        jac=height_slope,
        constraints=inside,
        method="SLSQP",
        options={"ftol": 1e-13, "maxiter": 500},
    )
    found = float(problem.target(full(result.x)).value)
    if result.success and abs(room(result.x)[0]) < 1e-5:
        return found
    return found if room(result.x)[0] > 0 and _flat(problem, full(result.x), free) else None


def _flat(problem: _Problem, theta: Array, free: Free) -> bool:
    """Whether the quantity has its own peak at `theta`: no slope left against the one at the estimates."""

    def steepness(at: Array) -> float:
        slope = problem.target(at).gradient[free]
        return float(slope @ np.linalg.solve(problem.metric, slope))

    return steepness(theta) < 1e-8 * steepness(problem.minimum.theta)
