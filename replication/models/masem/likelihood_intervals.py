"""Likelihood-based intervals of parameters and of smooth functions of them (Neale & Miller 1997).

An interval holds all values of a quantity at which -2 log likelihood (or chi-square) rises by less than a chi-square
cutoff when everything else is chosen best. The quantity may be a parameter or any
smooth function of parameters, such as an indirect effect. Unlike Wald intervals they need not be symmetric and do not
depend on how the model is parameterized.

Each end solves `grad F = lambda grad g, F = F_min + cutoff` by Newton steps; where these fail, by SLSQP. Where the
quantity has a peak of its own inside the region (a residual variance cannot exceed 1), that peak is the end.

All ends of a fit are sought in step, so that a function which takes many points at once is asked a handful of times.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

from replication.models.fit import Array, Interval
from replication.models.masem.model_text import Jet
from replication.models.masem.newton import Evaluation, Minimum, Objective

__all__ = ["intervals_by_likelihood"]

Free = NDArray[np.bool_]
Target = Callable[[Array], Jet]

# A search for an end: it asks for the function at a point, is sent it, and gives the end or None.
Search = Generator[Array, Evaluation, "float | None"]

METHOD = "likelihood"
MOST_STEPS = 60

# An end counts as found when F is this close to its cutoff, and the slopes of F and g this parallel.
ON_CUTOFF, PARALLEL = 1e-8, 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class _Problem:
    objective: Objective
    minimum: Minimum
    free: Free
    cutoff: float
    metric: Array

    @property
    def reach(self) -> float:
        """How wide the region is, in the metric."""
        return float(np.sqrt(2.0 * (self.cutoff - self.minimum.at.value)))


@dataclass(frozen=True, slots=True, eq=False)
class _End:
    """The lower (`sign` -1) or upper end of `target`, which is `here` at the minimum."""

    target: Target
    here: Jet
    sign: float


def intervals_by_likelihood(
    objective: Objective,
    targets: Mapping[str, Target],
    minimum: Minimum,
    level: float,
    evaluate_each: Callable[[Array], Sequence[Evaluation]] | None = None,
) -> dict[str, Interval]:
    """The interval of each of `targets` at `level`, from the minimum of `objective`.

    Parameters held on their bound stay there. An end that does not exist is NaN, with the reason. `evaluate_each` is
    the objective at many points `(n, q)` at once, where there is a quicker way than one by one.
    """
    free = ~minimum.held
    # Lengths are measured in the curvature at the minimum, so paths and variances need no common unit.
    metric = minimum.at.hessian[np.ix_(free, free)]
    if not minimum.converged or np.linalg.eigvalsh(metric)[0] <= 0:
        reason = "the estimates are not at a proper minimum"
        return dict.fromkeys(targets, Interval(float("nan"), float("nan"), level, METHOD, reason))
    cutoff = minimum.at.value + float(special.chdtri(1, 1.0 - level))
    problem = _Problem(objective, minimum, free, cutoff, metric)
    here = {name: target(minimum.theta) for name, target in targets.items()}
    ends = [
        _End(target, here[name], sign)
        for name, target in targets.items()
        for sign in (-1.0, 1.0)
        if here[name].gradient[free].any()
    ]
    searches = [_newton(problem, end, *_parabola(problem, end)) for end in ends]
    by_newton = _in_step(searches, evaluate_each or (lambda thetas: [objective.evaluate(theta) for theta in thetas]))
    found = {(e.target, e.sign): _checked(problem, e, value) for e, value in zip(ends, by_newton, strict=True)}
    return {
        name: _interval(here[name].value, found.get((target, -1.0)), found.get((target, 1.0)), level)
        for name, target in targets.items()
    }


def _interval(value: float, low: float | None, high: float | None, level: float) -> Interval:
    """The interval of a quantity between its ends; None where it moves with no parameter."""
    if low is None or high is None:
        return Interval(value, value, level, METHOD, "the quantity does not depend on the parameters")
    reasons = [
        f"no {side} end was found: chi-square may never rise that far on this side"
        for side, end in (("lower", low), ("upper", high))
        if not np.isfinite(end)
    ]
    return Interval(low, high, level, METHOD, "; ".join(reasons))


def _in_step(searches: Sequence[Search], evaluate_each: Callable[[Array], Sequence[Evaluation]]) -> list[float | None]:
    """What each search finds; the function is evaluated for all that still ask."""
    found: list[float | None] = [None] * len(searches)
    asked = {at: next(search) for at, search in enumerate(searches)}
    while asked:
        for at, evaluation in zip(list(asked), evaluate_each(np.array(list(asked.values()))), strict=True):
            try:
                asked[at] = searches[at].send(evaluation)
            except StopIteration as end:
                found[at] = end.value
                del asked[at]
    return found


def _parabola(problem: _Problem, end: _End) -> tuple[Array, float]:
    """Where the end would be if chi-square were a parabola and the quantity linear, with the multiplier there."""
    slope = end.sign * end.here.gradient[problem.free]
    direction = np.linalg.solve(problem.metric, slope)
    length = problem.reach / np.sqrt(slope @ direction)
    theta = problem.minimum.theta.copy()
    theta[problem.free] += length * direction
    return theta, float(length)


def _checked(problem: _Problem, end: _End, found: float | None) -> float:
    """What Newton found, or else what SLSQP finds; NaN where there is nothing."""
    # Newton may settle on the end of the other side, which solves the same equations.
    if found is not None and end.sign * (found - end.here.value) >= 0:
        return found
    others = [_slsqp(problem, start, end) for start in _starts(problem, end)]
    reached = [value for value in others if value is not None and end.sign * (value - end.here.value) >= 0]
    return end.sign * max(end.sign * value for value in reached) if reached else float("nan")


def _starts(problem: _Problem, end: _End) -> list[Array]:
    """The point Newton started from, the estimates, and both ways along which the quantity curves most."""
    free = problem.free
    root = np.linalg.inv(np.linalg.cholesky(problem.metric)).T
    curved = end.sign * root.T @ end.here.hessian[np.ix_(free, free)] @ root
    steepest = root @ np.linalg.eigh(curved)[1][:, -1]
    starts = [_parabola(problem, end)[0], problem.minimum.theta]
    for way in (-problem.reach, problem.reach):
        start = problem.minimum.theta.copy()
        start[free] += way * steepest
        starts.append(start)
    return starts


def _newton(problem: _Problem, end: _End, theta: Array, multiplier: float) -> Search:
    """Newton steps on the two equations; None when they do not settle."""
    reach, free, sign = problem.reach, problem.free, end.sign
    for _ in range(MOST_STEPS):
        at, g = (yield theta), end.target(theta)
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


def _slsqp(problem: _Problem, start: Array, end: _End) -> float | None:
    base, free, sign = problem.minimum.theta.copy(), problem.free, end.sign

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
        return -sign * end.target(full(x)).value

    def height_slope(x: Array) -> Array:
        return np.asarray(-sign * end.target(full(x)).gradient[free])

    inside = optimize.NonlinearConstraint(room, 0.0, np.inf, jac=room_slope)
    result = optimize.minimize(
        height,
        start[free],
        jac=height_slope,
        constraints=inside,
        method="SLSQP",
        options={"ftol": 1e-13, "maxiter": 500},
    )
    found = float(end.target(full(result.x)).value)
    if result.success and abs(room(result.x)[0]) < 1e-5:
        return found
    return found if room(result.x)[0] > 0 and _flat(problem, full(result.x), end) else None


def _flat(problem: _Problem, theta: Array, end: _End) -> bool:
    """Whether the quantity has its own peak at `theta`: no slope left against the one at the estimates."""

    def steepness(at: Array) -> float:
        slope = end.target(at).gradient[problem.free]
        return float(slope @ np.linalg.solve(problem.metric, slope))

    return steepness(theta) < 1e-8 * steepness(problem.minimum.theta)
