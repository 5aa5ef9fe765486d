"""What a fit says about an effect not yet seen: the mean at given moderators, and where a new true effect would lie."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from replication.errors import ModelError
from replication.models.fit import Array, Fit, Interval
from replication.models.prepare import check_level

__all__ = ["Prediction", "predict", "prediction_interval"]


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """At the n rows `x (n, p)`: the mean `fit`, its `se (n,)` and `interval (n, 2)`, and the `prediction_interval

    (n, 2)` for a new true effect. `df` belongs to both intervals; `reason` says why an end is NaN.
    """

    x: Array
    fit: Array
    se: Array
    interval: Array
    prediction_interval: Array
    df: Array
    level: float
    reason: str = ""


def predict(fit: Fit, x_new: ArrayLike, level: float | None = None) -> Prediction:
    """Means and prediction intervals at the rows `x_new (n, p)` (whole design rows, in the order of `fit.names`).

    Both intervals use the quantile of the fit's own test: normal for z, t with k - p degrees of freedom for the
    others; the prediction interval adds tau2 to the variance of the mean (Riley, Higgins & Deeks 2011).

    >>> from replication.models.random_effects import fit_random_effects
    >>> fit = fit_random_effects([0.1, 0.3, 0.5, 0.2], [0.01, 0.02, 0.03, 0.01], method="DL", test="z")
    >>> predict(fit, [[1.0]]).prediction_interval.round(6).tolist()
    [[0.012909, 0.452537]]
    """
    x = np.array(x_new, dtype=float)
    if x.ndim != 2 or x.shape[1] != len(fit.names):
        raise ModelError(f"x_new has shape {x.shape}; pass rows (n, {len(fit.names)}) for {', '.join(fit.names)}.")
    level = check_level(fit.level if level is None else level)
    mean = x @ fit.beta
    variance = np.einsum("ij,jk,ik->i", x, fit.vcov, x)
    df = np.full(len(x), fit.df.min())
    critical = stats.t.ppf(0.5 + 0.5 * level, df)
    spread, reason = _between_variance(fit)
    return Prediction(
        x,
        mean,
        np.sqrt(variance),
        _around(mean, critical * np.sqrt(variance)),
        _around(mean, critical * np.sqrt(variance + spread)),
        df,
        level,
        reason,
    )


def prediction_interval(fit: Fit, level: float | None = None) -> Interval:
    """Where the true effect of a new study would lie, for a fit without moderators.

    >>> from replication.models.random_effects import fit_random_effects
    >>> fit = fit_random_effects([0.1, 0.3, 0.5, 0.2], [0.01, 0.02, 0.03, 0.01], method="DL")
    >>> round(prediction_interval(fit).low, 6)
    -0.12913
    """
    if len(fit.names) != 1:
        raise ModelError(
            f"the fit has moderators ({', '.join(fit.names)}); use predict(fit, x_new) and say at which values."
        )
    prediction = predict(fit, [[1.0]], level)
    low, high = prediction.prediction_interval[0]
    return Interval(float(low), float(high), prediction.level, "prediction", prediction.reason)


def _between_variance(fit: Fit) -> tuple[float, str]:
    total = float(sum(component.estimate for component in fit.components))
    if fit.method.get("tau2") == "EE":
        return float("nan"), "a common-effect model says nothing about how true effects differ"
    return total, ""


def _around(centre: Array, half: Array) -> Array:
    return np.column_stack([centre - half, centre + half])
