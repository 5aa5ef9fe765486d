"""Trim and fill: how many studies are missing on one side of the funnel, and the average with them put in.

Source: Duval & Tweedie (2000a, JASA 95:89; 2000b, Biometrics 56:455). Alternate until nothing changes: trim the k0
most extreme effects, take the mean of the rest, count from the ranks of the deviations from it how many are missing.
Then mirror the k0 most extreme effects at that mean. Read it as a sensitivity analysis, not as a corrected estimate.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from replication.errors import ModelError
from replication.models.bias.funnel_asymmetry import fit_funnel_regression
from replication.models.bias.inputs import DUST, BiasData, bias_data
from replication.models.fit import Array, Fit, Note
from replication.models.options import FillEstimator, FillSide, Tau2Method, TestMethod, check_choice
from replication.models.readable import Readable
from replication.models.two_level.random_effects import fit_random_effects, mean_effect

__all__ = ["TrimFill", "trim_fill"]

MAX_STEPS = 100
# Decimals of a deviation, as a share of the largest, that count: what differs by less does by rounding alone.
DECIMALS = 12


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class TrimFill(Readable):
    """The estimated number missing `k0` on `side`, with standard error and (R0 only) p for "none is missing".

    The standard error is NaN where its formula turns negative.

    `filled_y, filled_v (k0,)` are the mirror images put in, `mirrored` the rows they mirror; `fit` has them in,
    `observed` has not.
    """

    k0: int
    k0_se: float
    p: float
    side: FillSide
    estimator: FillEstimator
    filled_y: Array
    filled_v: Array
    mirrored: tuple[int, ...]
    fit: Fit
    observed: Fit
    notes: tuple[Note, ...]


@dataclass(frozen=True, slots=True)
class _Missing:
    """An estimate of the number missing before rounding, and its standard error."""

    value: float
    se: float


@dataclass(frozen=True, slots=True)
class _Options:
    method: Tau2Method
    test: TestMethod
    level: float


def trim_fill(
    y: ArrayLike,
    v: ArrayLike,
    *,
    estimator: FillEstimator = "L0",
    side: FillSide | None = None,
    method: Tau2Method = "REML",
    test: TestMethod = "knha",
    level: float = 0.95,
) -> TrimFill:
    """Estimate the number of missing effects and refit with their mirror images.

    Parameters
    ----------
    y, v : (k,) effects and sampling variances
    estimator : L0 (linear in the rank sum), R0 (rightmost run), Q0 (quadratic)
    side : where studies are missing; None takes the left if Egger's mixed slope on the standard error is not negative
    method, test, level : of the models, as in `fit_random_effects`

    Raises `ModelError` for fewer than two effects, when the side cannot be told, or when the steps go in a circle.

    >>> result = trim_fill([0.1, 0.12, 0.3, 0.35, 0.8, 1.0], [0.01, 0.01, 0.02, 0.03, 0.08, 0.1], method="DL")
    >>> result.k0, result.side
    (1, 'left')
    """
    check_choice(estimator, FillEstimator, "estimator")
    data = bias_data(y, v, fewest=2, method="trim and fill")
    options = _Options(method, test, level)
    chosen = _side(data, options) if side is None else side
    check_choice(chosen, FillSide, "side")
    # The counting below looks for gaps on the left only; a gap on the right is the left of the mirror image.
    sign = 1.0 if chosen == "left" else -1.0
    order = np.argsort(sign * data.y, kind="stable")
    ordered, variances = sign * data.y[order], data.v[order]
    missing, k0, mean = _trim(ordered, variances, estimator, options.method)
    # Mirrored at the mean of the trimmed effects, with the variance of the original, as the authors do.
    extreme = order[data.k - k0 :]
    filled_y, filled_v = 2.0 * sign * mean - data.y[extreme], data.v[extreme]
    observed = _fit(data.y, data.v, options)
    return TrimFill(
        k0=k0,
        k0_se=missing.se,
        p=0.5 ** (k0 + 1) if estimator == "R0" else float("nan"),
        side=chosen,
        estimator=estimator,
        filled_y=filled_y,
        filled_v=filled_v,
        mirrored=tuple(data.effects.rows[i] for i in extreme),
        fit=_fit(np.append(data.y, filled_y), np.append(data.v, filled_v), options) if k0 else observed,
        observed=observed,
        notes=data.notes,
    )


def _fit(y: Array, v: Array, options: _Options) -> Fit:
    return fit_random_effects(y, v, method=options.method, test=options.test, level=options.level)


def _side(data: BiasData, options: _Options) -> FillSide:
    try:
        # Only the sign of the slope is used, so the choice of test does not matter.
        line = fit_funnel_regression(data.y, data.v, model="mixed", method=options.method, test="z")
    except ModelError as error:
        raise ModelError(f"the side cannot be read off Egger's slope ({error}) Pass side='left' or 'right'.") from None
    return "right" if line.beta[1] < -DUST * line.se[1] else "left"


def _trim(y: Array, v: Array, estimator: FillEstimator, method: Tau2Method) -> tuple[_Missing, int, float]:
    """The number missing on the left of ascending effects `y`, and the mean of those not trimmed."""
    k, k0, seen = len(y), 0, [0]
    # Equal effects have no ranks: rounding in y - mean would decide the count.
    if np.ptp(y) == 0:
        return _Missing(0.0, _se(estimator, k, 0.0)), 0, float(y[0])
    for _ in range(MAX_STEPS):
        mean = mean_effect(y[: k - k0], v[: k - k0], method)
        missing = _count(y - mean, estimator)
        # rint rounds halves to even, as R does: results then agree with metafor's.
        new = max(0, int(np.rint(missing.value)))
        if new == k0:
            return missing, k0, mean
        if new >= k:
            raise ModelError(
                f"{estimator} finds {new} of {k} effects missing and so leaves none; try another estimator."
            )
        seen.append(k0 := new)
    raise ModelError(
        f"trim and fill by {estimator} goes in a circle (k0 = {', '.join(map(str, seen[-4:]))}, ...): "
        "no estimate; try another estimator or method."
    )


def _count(deviations: Array, estimator: FillEstimator) -> _Missing:
    """Duval & Tweedie's estimators from the signed ranks of the deviations from the mean."""
    k = len(deviations)
    # An effect at the mean lies on no side, and of two that are as far from it the lower one comes first: by the last
    # bit of the mean it would be the processor that decides.
    deviations = np.round(deviations / np.abs(deviations).max(), DECIMALS)
    ranks = np.empty(k)
    ranks[np.argsort(np.abs(deviations), kind="stable")] = np.arange(1, k + 1)
    above = float(ranks[deviations > 0].sum())
    if estimator == "R0":
        value = k - float(ranks[deviations < 0].max(initial=0.0)) - 1.0
    elif estimator == "L0":
        value = (4.0 * above - k * (k + 1)) / (2.0 * k - 1.0)
    else:
        square = 2.0 * k**2 - 4.0 * above + 0.25
        if square < 0.0:
            raise ModelError("Q0 is the root of a negative number here: nearly all ranks lie above; use L0 or R0.")
        value = k - 0.5 - float(np.sqrt(square))
    return _Missing(value, _se(estimator, k, value))


def _se(estimator: FillEstimator, k: int, k0: float) -> float:
    """Standard error of the number missing; for L0 and Q0 from the variance of the rank sum."""
    if estimator == "R0":
        return float(np.sqrt(2.0 * max(0.0, k0) + 2.0))
    cubic = 10.0 * k0**3 + 27.0 * k0**2 + 17.0 * k0 - 18.0 * k * k0**2 - 18.0 * k * k0 + 6.0 * k**2 * k0
    variance = (k * (k + 1) * (2 * k + 1) + cubic) / 24.0
    if variance < 0.0:
        return float("nan")
    rank_sum_sd = np.sqrt(variance)
    if estimator == "L0":
        # L0 is linear in the rank sum, so its slope carries the sd over; Q0 below needs the delta method.
        return float(4.0 * rank_sum_sd / (2.0 * k - 1.0))
    return float(2.0 * rank_sum_sd / np.sqrt((k - 0.5) ** 2 - k0 * (2.0 * k - k0 - 1.0)))
