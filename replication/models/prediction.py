"""What a fit says about effects: the mean at given moderators, where a new true effect would lie, and shrunken effects.

The shrunken effect of a study (best linear unbiased prediction, BLUP) is its own result drawn towards the model.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from replication.errors import ModelError
from replication.models.fit import Array, Fit, Interval
from replication.models.multilevel.robust import contrast_df
from replication.models.options import PredictionMethod, check_choice
from replication.models.prepare import check_level, effect_data
from replication.models.probability import t_ppf

__all__ = ["Blups", "Prediction", "blups", "predict", "prediction_interval"]


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """Predicted means and the range of new true effects, per row of moderators.

    At the n rows `x (n, p)`: the mean `fit`, its `se (n,)` and `interval (n, 2)`, and the `prediction_interval (n, 2)`
    for a new true effect. `df (n,)` belongs to `interval`; `reason` says why an end is NaN.
    """

    x: Array
    fit: Array
    se: Array
    interval: Array
    prediction_interval: Array
    df: Array
    level: float
    reason: str = ""


def predict(fit: Fit, x_new: ArrayLike, level: float | None = None, *, method: PredictionMethod = "test") -> Prediction:
    """Means and prediction intervals at the rows `x_new (n, p)` (whole design rows, in the order of `fit.names`).

    Parameters
    ----------
    fit : any fit with variance components
    x_new : (n, p)
    level : confidence level, the fit's own by default
    method : degrees of freedom of the prediction interval: those of the fit's test (normal for z, Satterthwaite's
        of the row for cluster-robust fits), or riley, k - p - 1 whatever the test. It adds the variance components to
        the variance of the mean

    Source: Riley, Higgins & Deeks (2011); Partlett & Riley (2017) for Knapp-Hartung.

    >>> from replication.models.two_level.random_effects import fit_random_effects
    >>> fit = fit_random_effects([0.1, 0.3, 0.5, 0.2], [0.01, 0.02, 0.03, 0.01], method="DL", test="z")
    >>> predict(fit, [[1.0]]).prediction_interval.round(6).tolist()
    [[0.012909, 0.452537]]
    """
    check_choice(method, PredictionMethod, "method")
    x = np.array(x_new, dtype=float)
    if x.ndim != 2 or x.shape[1] != len(fit.names):
        raise ModelError(f"x_new has shape {x.shape}; pass rows (n, {len(fit.names)}) for {', '.join(fit.names)}.")
    level = check_level(fit.level if level is None else level)
    mean = x @ fit.beta
    # Rounding can leave the variance of a certain combination just below zero, which has no root.
    variance = np.maximum(np.vecdot(x @ fit.vcov, x), 0.0)
    df = contrast_df(fit, x)
    spread = _between_variance(fit, df if method == "test" else np.full(len(x), float(fit.k - len(fit.names) - 1)))
    return Prediction(
        x,
        mean,
        np.sqrt(variance),
        _around(mean, _quantile(level, df) * np.sqrt(variance)),
        _around(mean, _quantile(level, spread.df) * np.sqrt(variance + spread.variance)),
        df,
        level,
        spread.reason,
    )


def prediction_interval(fit: Fit, level: float | None = None, *, method: PredictionMethod = "test") -> Interval:
    """Where the true effect of a new study would lie, for a fit without moderators. Choices as in `predict`.

    >>> from replication.models.two_level.random_effects import fit_random_effects
    >>> fit = fit_random_effects([0.1, 0.3, 0.5, 0.2], [0.01, 0.02, 0.03, 0.01], method="DL")
    >>> round(prediction_interval(fit).low, 6)
    -0.12913
    """
    if len(fit.names) != 1:
        raise ModelError(
            f"the fit has moderators ({', '.join(fit.names)}); use predict(fit, x_new) and say at which values."
        )
    prediction = predict(fit, [[1.0]], level, method=method)
    low, high = prediction.prediction_interval[0]
    return Interval(float(low), float(high), prediction.level, f"prediction, {method} df", prediction.reason)


@dataclass(frozen=True, slots=True)
class _Spread:
    """Variance of true effects and the degrees of freedom to use with it; NaN with a reason where there is none."""

    variance: float
    df: Array
    reason: str = ""


def _between_variance(fit: Fit, df: Array) -> _Spread:
    nan = float("nan")
    if fit.method.get("tau2") == "EE":
        return _Spread(nan, df, "a common-effect model says nothing about how true effects differ")
    if fit.method.get("model") == "multivariate":
        reason = "true effects vary by outcome; use the variance of the outcome in fit.components, or fit it alone"
        return _Spread(nan, df, reason)
    total = float(sum(component.estimate for component in fit.components))
    if np.isnan(total):
        return _Spread(nan, df, "a variance component is not defined; see the notes of the fit")
    # t with less than one degree of freedom has no quantile anybody would call an interval.
    if (df < 1).any():
        reason = f"{fit.k} effects leave no degrees of freedom for a prediction interval"
        return _Spread(total, np.where(df < 1, nan, df), reason)
    return _Spread(total, df)


def _quantile(level: float, df: Array) -> Array:
    return np.asarray(t_ppf(0.5 + 0.5 * level, df))


def _around(centre: Array, half: Array) -> Array:
    return np.column_stack([centre - half, centre + half])


@dataclass(frozen=True, slots=True, eq=False)
class Blups:
    """Shrunken effects: each study drawn towards the model.

    Per effect `(k,)`: predicted true `effect` with `se` and `interval (k, 2)`, and its `deviation` from the model with
    `deviation_se`.
    """

    rows: tuple[int, ...]
    effect: Array
    se: Array
    interval: Array
    deviation: Array
    deviation_se: Array


def blups(fit: Fit) -> Blups:
    """Empirical Bayes predictions: observed effect and fitted value, weighed by tau2 and v (Raudenbush & Bryk 1985).

    The standard errors count the uncertainty of the coefficients, not that of tau2.

    >>> from replication.models.two_level.random_effects import fit_random_effects
    >>> fit = fit_random_effects([0.1, 0.3, 0.5, 0.2], [0.01, 0.02, 0.03, 0.01], test="z")
    >>> blups(fit).effect.round(6).tolist()
    [0.186177, 0.243385, 0.267901, 0.219497]
    """
    data = effect_data(fit)
    tau2 = fit.component("tau2").estimate
    # Without heterogeneity every effect is the model's; tau2 / v would be 0 / 0 at a variance of 0.
    share = tau2 / (tau2 + data.v) if tau2 > 0 else np.zeros_like(data.v)
    fitted = data.x @ fit.beta
    fitted_variance = np.vecdot(data.x @ fit.vcov, data.x)
    effect = share * data.y + (1.0 - share) * fitted
    se = np.sqrt(share * data.v + (1.0 - share) ** 2 * fitted_variance)
    # The fewest degrees of freedom of the coefficients: never narrower than the fit's own intervals.
    half = float(t_ppf(0.5 + 0.5 * fit.level, fit.df.min())) * se
    return Blups(
        data.rows,
        effect,
        se,
        np.column_stack([effect - half, effect + half]),
        effect - fitted,
        np.sqrt(share * data.v + share**2 * fitted_variance),
    )
