"""Estimators of the between-study variance tau2, for any number of data sets at once.

Three families, in the notation of Viechtbauer (2005) and Viechtbauer et al. (2015), with `w_i = 1 / (v_i + tau2)`:

- closed moments: HE, DL, HS, HSk, SJ;
- the generalised Q statistic `y'Py` equal to a target, which falls in tau2 and so has one root: PM and EB
  (its mean, k - p) and PMM (its median);
- the likelihood, in `tau2_likelihood.py`: ML and REML.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from replication.models.fit import Array
from replication.models.literals import Tau2Method
from replication.models.roots import Roots, falling_roots
from replication.models.tau2_likelihood import highest_peaks, information
from replication.models.weighted import (
    EffectSets,
    Weighted,
    quadratic_PP,
    raw_effects,
    rss,
    sum_of_squares,
    trace_P,
    trace_PP,
    weighted_at,
    weighted_with,
)

__all__ = ["INVERSE_VARIANCE", "Tau2", "estimate_tau2", "solve_q"]

# Estimators that weigh by 1 / v and so need every v > 0.
INVERSE_VARIANCE = ("EE", "DL", "HS", "HSk")


@dataclass(frozen=True, slots=True, eq=False)
class Tau2:
    """One estimate per data set `(B,)`; `peaks` counts the local maxima of the likelihood (1 for other estimators)."""

    value: Array
    se: Array
    converged: NDArray[np.bool_]
    peaks: NDArray[np.intp]


def estimate_tau2(sets: EffectSets, method: Tau2Method) -> Tau2:
    """Estimate tau2 of every data set; negative estimates are set to 0."""
    one = np.ones(sets.size, dtype=np.intp)
    if method == "EE":
        return Tau2(np.zeros(sets.size), np.full(sets.size, np.nan), one == 1, one)
    if method in ("ML", "REML"):
        return _likelihood(sets, restricted=method == "REML")
    if method in ("PM", "EB", "PMM"):
        df = np.broadcast_to(sets.k - sets.p, (sets.size, 1))
        target = np.asarray(special.chdtri(df, 0.5) if method == "PMM" else df, dtype=np.float64)
        roots = solve_q(sets, target)
        return Tau2(roots.value[:, 0], _se_q(sets, roots.value)[:, 0], roots.converged[:, 0], one)
    value, se = _moment(sets, method)
    return Tau2(value[:, 0], se[:, 0], one == 1, one)


def solve_q(sets: EffectSets, target: Array) -> Roots:
    """The tau2 `(B, G)` at which `y'Py` equals `target (B, G)`; 0 where it is below the target at tau2 = 0 already.

    `1 / y'Py` is nearly linear in tau2, so Newton's method is used on that scale.
    """
    low = sets.floor
    high = np.maximum(sum_of_squares(sets) / target - sets.offset, low)

    def function(tau2: Array) -> tuple[Array, Array]:
        fit = weighted_at(sets, tau2)
        q = rss(fit)
        return 1.0 / target - 1.0 / q, -quadratic_PP(fit) / (q * q)

    with np.errstate(divide="ignore", invalid="ignore"):
        excess, slope = function(low)
        start = low - excess / slope
    below = ~(excess > 0)
    roots = falling_roots(
        function, low, np.where(below, low, high), offset=sets.offset, start=np.where(below, low, start)
    )
    return Roots(np.where(below, 0.0, roots.value), roots.converged | below)


def _likelihood(sets: EffectSets, *, restricted: bool) -> Tau2:
    """The highest peak, with the standard error of the expected information."""
    peaks = highest_peaks(sets, restricted=restricted)
    fit = weighted_at(sets, peaks.value[:, None])
    se = np.sqrt(2.0 / information(sets, fit, restricted=restricted))
    return Tau2(peaks.value, se[:, 0], peaks.converged, peaks.number)


def _se_q(sets: EffectSets, tau2: Array) -> Array:
    """Of the Paule-Mandel family: `k / (k - p) sqrt(2 (k - p)) / tr W`."""
    w = 1.0 / (sets.v + np.maximum(tau2, sets.floor)[..., None])
    return np.asarray(sets.k * np.sqrt(2.0 / (sets.k - sets.p)) / np.vecdot(w, sets.counts))


def _moment(sets: EffectSets, method: Tau2Method) -> tuple[Array, Array]:
    """Closed estimators: untruncated value from a quadratic form in fixed weights, se by its normal-theory variance."""
    if method == "SJ":
        return _sidik_jonkman(sets)
    w = np.ones_like(sets.v) if method == "HE" else 1.0 / sets.v
    fit = weighted_with(sets, w)
    df = sets.k - sets.p
    expected = trace_P(sets, fit, sets.v)
    excess, divisor = rss(fit) - expected, trace_P(sets, fit)
    if method in ("HS", "HSk"):
        small = sets.k / df if method == "HSk" else np.ones_like(df)
        excess, divisor = rss(fit) - sets.k / small, np.vecdot(w, sets.counts) / small
    value = np.maximum(excess / divisor, 0.0)
    return value, _quadratic_sd(sets, fit, value) / divisor


def _quadratic_sd(sets: EffectSets, fit: Weighted, tau2: Array) -> Array:
    """Standard deviation of `y'Py` when `y` has variances `v + tau2`: `sqrt(2 tr P(V + tau2)P(V + tau2))`."""
    return np.asarray(np.sqrt(2.0 * trace_PP(sets, fit, sets.v + tau2[..., None])))


def _sidik_jonkman(sets: EffectSets) -> tuple[Array, Array]:
    """Two steps: the crude variance of `y`, then its multiple that makes the scaled residual mean square 1."""
    crude = _crude_variance(sets)
    safe = np.where(crude > 0, crude, 1.0)
    fit = weighted_at(sets, safe)
    df = sets.k - sets.p
    value = np.where(crude > 0, safe * rss(fit) / df, 0.0)
    return value, np.where(crude > 0, safe * _quadratic_sd(sets, fit, value) / df, 0.0)


def _crude_variance(sets: EffectSets) -> Array:
    y = raw_effects(sets)
    mean = (sets.counts * y).sum(-1, keepdims=True) / sets.k[..., None]
    return np.asarray((sets.counts * (y - mean) ** 2).sum(-1) / sets.k)
