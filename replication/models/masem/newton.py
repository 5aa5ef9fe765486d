"""The lowest point of a smooth function, with lower bounds on some parameters.

Two ideas:

1. Newton steps with the exact second derivatives, so that the number of correct digits doubles each time; where
   they are not those of a valley, the expected ones (Fisher, Gauss-Newton) take their place, with a ridge if needed.
2. A parameter on its bound whose slope points further down stays there; a step past a bound stops at it
   (Bertsekas 1982). A step that does not descend is halved.

Functions are on the scale of -2 log likelihood or chi-square, so "close enough" needs no unit: the search ends when
the next step would lower the function by less than `DONE`.

From the second derivatives at a minimum of -2 log likelihood (or chi-square) to the covariance of estimates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from replication.labels import Cell, Label
from replication.models.fit import Array, Note
from replication.models.options import BoundRule

__all__ = [
    "Evaluation",
    "Minimum",
    "MinimumCovariance",
    "Objective",
    "covariance_of_minimum",
    "covariance_on_edge",
    "minimize",
]

# Far below any digit that is printed; the square of the step before already meets it.
DONE = 1e-13
# A well-posed model needs about 10; what needs more is reported as not converged.
MOST_STEPS = 300
# 2^-40 of a step is rounding.
MOST_HALVINGS = 40

# Smallest over largest eigenvalue below which a matrix of second derivatives is not leant on.
CONDITION = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """A function at one point, with its derivatives.

    A function at one point: `value` (inf where it is not defined), `gradient (q,)`, `hessian (q, q)`, and `expected (q,
    q)`, a positive semi-definite stand-in for the Hessian.
    """

    value: float
    gradient: Array
    hessian: Array
    expected: Array

    @classmethod
    def undefined(cls, size: int) -> Evaluation:
        """Where the function of so many parameters has no value."""
        nothing = np.zeros((size, size))
        return cls(float("inf"), np.zeros(size), nothing, nothing)


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
        # no halving descends any more: rounding decides, and the gain says whether this is the top
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
    """The Newton step, with a positive definite matrix in any case.

    `H^-1 gradient` where H is positive definite; else with the expected derivatives, if these are well conditioned;
    else with every eigenvalue of H turned positive (which leaves saddle points behind).
    """
    scale = np.sqrt(np.maximum(np.diag(expected), np.abs(np.diag(hessian))))
    # A parameter that moves nothing has slope 0 as well; any scale will do for it.
    scale = np.where(scale > 0, scale, 1.0)
    # parameters differ in scale by orders (paths, variances): scaled, the condition means something
    unit, scaled = hessian / np.outer(scale, scale), gradient / scale
    try:
        factor = linalg.cho_factor(unit, check_finite=False)
        return np.asarray(linalg.cho_solve(factor, scaled, check_finite=False) / scale)
    except linalg.LinAlgError:
        pass
    values, vectors = np.linalg.eigh(expected / np.outer(scale, scale))
    if values[0] < CONDITION * values[-1]:
        values, vectors = np.linalg.eigh(unit)
        # negative curvature flipped: the step leads away from a saddle instead of into it
        values = np.maximum(np.abs(values), CONDITION * np.abs(values).max())
    return np.asarray(vectors @ ((vectors.T @ scaled) / values) / scale)


def _descend(
    objective: Objective, theta: Array, here: Evaluation, move: Array, bound: Array
) -> tuple[Array, Evaluation]:
    """The first of the step, its half, its quarter, ... that does not climb; the point itself if none does."""
    # near the minimum differences drown in rounding; without slack the search would halve for ever
    slack = 1e-13 * (1.0 + abs(here.value))
    for halving in range(MOST_HALVINGS):
        candidate = np.maximum(theta + move * 0.5**halving, bound)
        there = objective.evaluate(candidate)
        if there.value <= here.value + slack:
            return candidate, there
    return theta, here


@dataclass(frozen=True, slots=True, eq=False)
class MinimumCovariance:
    """The covariance `(q, q)` of the estimates (NaN for parameters held on a bound) and what to know about it."""

    vcov: Array
    notes: tuple[Note, ...]


def covariance_of_minimum(
    minimum: Minimum, names: Sequence[str], at_bound: BoundRule = "held", needed: int = 0
) -> MinimumCovariance:
    """Twice the inverse of the observed second derivatives.

    A parameter on its bound is either held (taken as known; its own covariance is NaN) or kept among the second
    derivatives ("full-hessian", as metaSEM does). The latter can make other standard errors too small, so a note gives
    both; it is given up when it leaves the first `needed` parameters without a proper covariance.
    """
    notes = [] if minimum.converged else [_not_converged(minimum)]
    held = minimum.held
    vcov = _held_covariance(minimum)
    if not held.any():
        return MinimumCovariance(vcov, (*notes, *_improper(vcov, names)))
    full = _inverse(minimum.at.hessian)
    first = full[:needed, :needed]
    # metaSEM's rule can leave correlations without a proper covariance; then it is not used
    usable = bool(np.isfinite(first).all()) and needed > 0 and float(np.linalg.eigvalsh(first)[0]) > 0
    chosen = full if at_bound == "full-hessian" and usable else vcov
    where = ", ".join(name for name, on in zip(names, held, strict=True) if on)
    comparison, told = _compare(names, held, full, vcov, chosen)
    message = f"tau2 of {where} is on its lower bound. {comparison}"
    notes.append(Note("boundary", message, label=Label("note_on_lower_bound", {"names": where, "errors": told})))
    return MinimumCovariance(chosen, tuple(notes))


def covariance_on_edge(minimum: Minimum, subject: str) -> MinimumCovariance:
    """The covariance of the estimates with an unrestricted tau2; on the edge, `subject` is taken as known."""
    notes = [] if minimum.converged else [_not_converged(minimum)]
    if minimum.held.any():
        message = f"{subject} is on the edge of what it can be (singular); standard errors take it as known."
        notes.append(Note("boundary", message))
    return MinimumCovariance(_held_covariance(minimum), tuple(notes))


def _inverse(hessian: Array) -> Array:
    try:
        # Twice, as these are derivatives of -2 log likelihood.
        return np.asarray(2.0 * np.linalg.inv(hessian))
    except np.linalg.LinAlgError:
        return np.full_like(hessian, np.nan)


def _held_covariance(minimum: Minimum) -> Array:
    free = ~minimum.held
    # NaN and not 0 for what is held: a standard error of 0 would read as certainty.
    vcov = np.full_like(minimum.at.hessian, np.nan)
    vcov[np.ix_(free, free)] = _inverse(minimum.at.hessian[np.ix_(free, free)])
    return vcov


def _compare(
    names: Sequence[str], held: NDArray[np.bool_], full: Array, vcov: Array, chosen: Array
) -> tuple[str, Label]:
    """How far the two rules' standard errors are apart, as a sentence and as its label."""
    with np.errstate(invalid="ignore"):
        se_full, se_held = np.sqrt(np.diag(full)), np.sqrt(np.diag(vcov))
        gap = np.where(held | ~np.isfinite(se_full), 0.0, np.abs(se_full / se_held - 1.0))
    if not np.isfinite(se_full[~held]).all():
        lost = ", ".join(name for name, se, on in zip(names, se_full, held, strict=True) if not on and np.isnan(se))
        message = f"It is taken as known, for all second derivatives leave {lost} without a standard error."
        return message, Label("errors_lost", {"names": lost})
    worst = int(np.argmax(gap))
    # a difference no printed standard error would show
    if gap[worst] < 5e-3:
        return "Standard errors are the same whether it counts as known or not.", Label("errors_the_same")
    rule = "all second derivatives (as metaSEM)" if chosen is full else "that variance taken as known"
    message = (
        f"Standard errors rest on {rule}; the largest difference is at {names[worst]}: {se_full[worst]:.4g} with all "
        f"second derivatives, {se_held[worst]:.4g} with that variance taken as known. Trust the larger."
    )
    told: dict[str, Cell] = {"name": names[worst], "full": float(se_full[worst]), "held": float(se_held[worst])}
    return message, Label("errors_on_all_derivatives" if chosen is full else "errors_with_it_known", told)


def _improper(vcov: Array, names: Sequence[str]) -> list[Note]:
    bad = [name for name, variance in zip(names, np.diag(vcov), strict=True) if not variance > 0]
    if not bad:
        return []
    message = f"the second derivatives are not those of a minimum; no standard error for {', '.join(bad)}."
    return [Note("information-not-positive-definite", message)]


def _not_converged(minimum: Minimum) -> Note:
    return Note(
        "not-converged",
        f"the search stopped after {minimum.steps} steps without reaching a minimum; the estimates are where it stood.",
    )
