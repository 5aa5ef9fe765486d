"""The variances (and covariances) between studies as components of a fit, and on the log scale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from replication.models.fit import Array, Component, Interval
from replication.models.literals import BoundRule, Tau2Structure
from replication.models.masem.information import MinimumCovariance, covariance_of_minimum, covariance_on_edge
from replication.models.masem.likelihood import Tau2Cells
from replication.models.masem.newton import Minimum

__all__ = ["LogTau2", "cell_names", "estimate_covariance", "log_tau2", "variance_components"]


@dataclass(frozen=True, slots=True, eq=False)
class LogTau2:
    """log tau2 `(p,)` with its standard error by the delta method; NaN for a pair without a variance of its own."""

    estimate: Array
    se: Array


def cell_names(pairs: Sequence[str], cells: Tau2Cells) -> tuple[str, ...]:
    """A variance has the name of its pair, a covariance those of two pairs."""
    return tuple(pairs[a] if a == b else f"{pairs[b]}, {pairs[a]}" for a, b in zip(cells.a, cells.b, strict=True))


def estimate_covariance(
    minimum: Minimum, names: Sequence[str], structure: Tau2Structure, at_bound: BoundRule = "held", needed: int = 0
) -> MinimumCovariance:
    """The covariance of means and tau2 together, for each structure of tau2."""
    if structure == "symmetric":
        return covariance_on_edge(minimum, "tau2 as a whole")
    return covariance_of_minimum(minimum, names, at_bound, needed)


def variance_components(
    names: Sequence[str], minimum: Minimum, vcov: Array, level: float, *, log_scale: bool = False
) -> tuple[Component, ...]:
    """The last parameters as components, with Wald intervals (those of variances on the log scale, if asked)."""
    size = len(minimum.theta) - len(names)
    crit = float(special.ndtri(0.5 + level / 2.0))
    found = []
    for i, name in enumerate(names, start=size):
        estimate, variance = float(minimum.theta[i]), vcov[i, i]
        se = float(np.sqrt(variance)) if variance > 0 else float("nan")
        make = _log_interval if log_scale and "," not in name else _wald_interval
        found.append(Component(name, estimate, se, make(estimate, se, crit, level), bool(minimum.held[i])))
    return tuple(found)


def _wald_interval(estimate: float, se: float, crit: float, level: float) -> Interval:
    reason = "" if np.isfinite(se) else "no standard error on the bound"
    return Interval(estimate - crit * se, estimate + crit * se, level, "wald", reason)


def _log_interval(estimate: float, se: float, crit: float, level: float) -> Interval:
    """Ends `exp(log tau2 -+ crit se(log tau2))`: never below zero."""
    with np.errstate(over="ignore"):
        reach = float(np.exp(np.float64(crit * se / estimate)))
    reason = "" if np.isfinite(se) else "no standard error on the bound"
    return Interval(estimate / reach, estimate * reach, level, "wald, log scale", reason)


def log_tau2(cells: Tau2Cells, minimum: Minimum, vcov: Array, p: int) -> LogTau2:
    """Variances on the log scale, for all p pairs."""
    size = len(minimum.theta) - len(cells.a)
    estimate, se = np.full(p, np.nan), np.full(p, np.nan)
    for i, (a, b) in enumerate(zip(cells.a, cells.b, strict=True), start=size):
        if a == b:
            estimate[a] = np.log(minimum.theta[i])
            se[a] = np.sqrt(vcov[i, i]) / minimum.theta[i] if vcov[i, i] > 0 else np.nan
    return LogTau2(estimate, se)
