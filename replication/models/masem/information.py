"""From the second derivatives at a minimum of -2 log likelihood (or chi-square) to the covariance of estimates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from replication.models.fit import Array, Note
from replication.models.literals import BoundRule
from replication.models.masem.newton import Minimum

__all__ = ["MinimumCovariance", "covariance_of_minimum", "covariance_on_edge"]


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
    usable = bool(np.isfinite(first).all()) and needed > 0 and float(np.linalg.eigvalsh(first)[0]) > 0
    chosen = full if at_bound == "full-hessian" and usable else vcov
    where = ", ".join(name for name, on in zip(names, held, strict=True) if on)
    comparison = _compare(names, held, full, vcov, chosen)
    notes.append(Note("boundary", f"tau2 of {where} is on its lower bound. {comparison}"))
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
        return np.asarray(2.0 * np.linalg.inv(hessian))
    except np.linalg.LinAlgError:
        return np.full_like(hessian, np.nan)


def _held_covariance(minimum: Minimum) -> Array:
    free = ~minimum.held
    vcov = np.full_like(minimum.at.hessian, np.nan)
    vcov[np.ix_(free, free)] = _inverse(minimum.at.hessian[np.ix_(free, free)])
    return vcov


def _compare(names: Sequence[str], held: NDArray[np.bool_], full: Array, vcov: Array, chosen: Array) -> str:
    with np.errstate(invalid="ignore"):
        se_full, se_held = np.sqrt(np.diag(full)), np.sqrt(np.diag(vcov))
        gap = np.where(held | ~np.isfinite(se_full), 0.0, np.abs(se_full / se_held - 1.0))
    if not np.isfinite(se_full[~held]).all():
        lost = ", ".join(name for name, se, on in zip(names, se_full, held, strict=True) if not on and np.isnan(se))
        return f"It is taken as known, for all second derivatives leave {lost} without a standard error."
    worst = int(np.argmax(gap))
    if gap[worst] < 5e-3:
        return "Standard errors are the same whether it counts as known or not."
    rule = "all second derivatives (as metaSEM)" if chosen is full else "that variance taken as known"
    return (
        f"Standard errors rest on {rule}; the largest difference is at {names[worst]}: {se_full[worst]:.4g} with all "
        f"second derivatives, {se_held[worst]:.4g} with that variance taken as known. Trust the larger."
    )


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
