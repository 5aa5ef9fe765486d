"""Correlations: r, Fisher's z, partial and semipartial r."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from replication.effects.effect_size import Array, EffectSize
from replication.effects.inputs import numbers, refuse

__all__ = [
    "back_to_r",
    "correlation",
    "fisher_z",
    "partial_correlation",
    "partial_fisher_z",
    "semipartial_correlation",
]


def correlation(r: ArrayLike, n: ArrayLike) -> EffectSize:
    """A correlation with its large-sample variance `(1 - r^2)^2 / (n - 1)`.

    Parameters
    ----------
    r : correlation, from -1 to 1
    n : persons, above 1

    Source: Olkin & Siotani (1976); Borenstein et al. (2009), eq. 6.1.

    >>> round(float(correlation(0.4, 50).variance), 6)
    0.0144
    """
    r, n = _checked(r, n, least=2)
    return EffectSize(r, (1.0 - r**2) ** 2 / (n - 1.0), "r")


def fisher_z(r: ArrayLike, n: ArrayLike) -> EffectSize:
    """Fisher's `z = atanh r` with variance `1 / (n - 3)`.

    Parameters
    ----------
    r : correlation, strictly between -1 and 1 (z has no value at the ends)
    n : persons, above 3

    Source: Fisher (1921).

    >>> round(float(fisher_z(0.4, 50).estimate), 6), round(float(fisher_z(0.4, 50).variance), 6)
    (0.423649, 0.021277)
    """
    r, n = _checked(r, n, least=4)
    refuse(np.abs(r) >= 1.0, "r of 1 or -1 has no Fisher z; check the number or leave the row out")
    return EffectSize(np.arctanh(r), 1.0 / (n - 3.0), "fisher z")


def partial_correlation(t: ArrayLike, n: ArrayLike, predictors: ArrayLike) -> EffectSize:
    """A partial correlation from the t of a regression coefficient, variance `(1 - r^2)^2 / (n - m)`.

    Parameters
    ----------
    t : t statistic of the coefficient
    n : persons
    predictors : m, all predictors in the model, this one included

    With m - 1 variables held constant, a partial r is distributed as a plain r of n - m + 1 persons (Fisher 1924).
    Source of `t / sqrt(t^2 + df)`, df = n - m - 1: Aloe & Thompson (2013).

    >>> round(float(partial_correlation(2.5, 50, 3).estimate), 6)
    0.345857
    """
    r, left = _partial(t, n, predictors)
    return EffectSize(r, (1.0 - r**2) ** 2 / (left + 1.0), "partial r")


def partial_fisher_z(t: ArrayLike, n: ArrayLike, predictors: ArrayLike) -> EffectSize:
    """Fisher's z of a partial correlation, variance `1 / (n - m - 2)` (Fisher 1924). Parameters as there.

    >>> round(float(partial_fisher_z(2.5, 50, 3).variance), 6)
    0.022222
    """
    r, left = _partial(t, n, predictors)
    refuse(left < 2, "fewer than 2 residual degrees of freedom; z needs n of at least predictors + 3")
    return EffectSize(np.arctanh(r), 1.0 / (left - 1.0), "partial fisher z")


def semipartial_correlation(t: ArrayLike, n: ArrayLike, predictors: ArrayLike, r_squared: ArrayLike) -> EffectSize:
    """The semipartial correlation of a predictor: its unique part with the whole outcome.

    Parameters
    ----------
    t : t statistic of the coefficient
    n : persons
    predictors : m, all predictors in the model, this one included
    r_squared : R2 of the whole model

    Source: Aloe & Becker (2012), eqs. 2 and 5: `t sqrt(1 - R2) / sqrt(n - m - 1)`.

    >>> round(float(semipartial_correlation(2.5, 50, 3, 0.3).estimate), 6)
    0.308397
    """
    t, n, m, R2 = numbers({"t": t, "n": n, "predictors": predictors, "r_squared": r_squared})
    refuse(n - m - 1 < 1, "no residual degrees of freedom; n must exceed predictors + 1")
    refuse((R2 < 0) | (R2 >= 1), "r_squared outside 0 to 1; pass a proportion, not per cent")
    r = t * np.sqrt((1.0 - R2) / (n - m - 1.0))
    without = R2 - r**2
    refuse(without < -1e-6, "t and r_squared contradict each other: the predictor alone would explain more than R2")
    variance = (R2**2 - 2.0 * R2 + without + 1.0 - without**2) / n
    return EffectSize(r, variance, "semipartial r")


def back_to_r(z: ArrayLike) -> Array:
    """Fisher z, or an end of its interval, as a correlation: `tanh z`.

    >>> round(float(back_to_r(0.423649)), 6)
    0.4
    """
    return np.asarray(np.tanh(np.asarray(z, dtype=float)))


def _checked(r: ArrayLike, n: ArrayLike, least: int) -> tuple[Array, Array]:
    r, n = numbers({"r": r, "n": n})
    refuse(np.abs(r) > 1.0, "r outside -1 to 1; check the printed number")
    refuse(n < least, f"n below {least}: the variance is not defined")
    return r, n


def _partial(t: ArrayLike, n: ArrayLike, predictors: ArrayLike) -> tuple[Array, Array]:
    """The partial r and its residual degrees of freedom."""
    t, n, m = numbers({"t": t, "n": n, "predictors": predictors})
    refuse(m < 1, "predictors below 1; count the predictor itself")
    left = n - m - 1.0
    refuse(left < 1, "no residual degrees of freedom; n must exceed predictors + 1")
    return t / np.sqrt(t**2 + left), left
