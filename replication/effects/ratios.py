"""Two groups compared by ratios on the log scale: of means, of standard deviations, of coefficients of variation."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from replication.effects.effect_size import Array, EffectSize, numbers, refuse

__all__ = ["log_ratio_of_means", "log_variability_ratio", "log_variation_ratio"]


def log_ratio_of_means(
    *, mean1: ArrayLike, sd1: ArrayLike, n1: ArrayLike, mean2: ArrayLike, sd2: ArrayLike, n2: ArrayLike
) -> EffectSize:
    """Log of mean 1 over mean 2, for measures with a true zero; variance `sd1^2/(n1 mean1^2) + sd2^2/(n2 mean2^2)`.

    Source: Hedges, Gurevitch & Curtis (1999), eq. 1.

    >>> e = log_ratio_of_means(mean1=10, sd1=2, n1=20, mean2=9, sd2=2.5, n2=25)
    >>> round(float(e.estimate), 6), round(float(e.variance), 6)
    (0.105361, 0.005086)
    """
    m1, s1, k1, m2, s2, k2 = _groups({"mean1": mean1, "sd1": sd1, "n1": n1, "mean2": mean2, "sd2": sd2, "n2": n2})
    _refuse_means(m1, m2)
    return EffectSize(np.log(m1 / m2), s1**2 / (k1 * m1**2) + s2**2 / (k2 * m2**2), "log ratio of means")


def log_variability_ratio(*, sd1: ArrayLike, n1: ArrayLike, sd2: ArrayLike, n2: ArrayLike) -> EffectSize:
    """Log of sd 1 over sd 2, `+ 1/(2(n1-1)) - 1/(2(n2-1))`, variance the sum of both halves.

    Source: Nakagawa et al. (2015), eqs. 5 and 6.

    >>> round(float(log_variability_ratio(sd1=2, n1=20, sd2=2.5, n2=25).estimate), 6)
    -0.217661
    """
    s1, k1, s2, k2 = numbers({"sd1": sd1, "n1": n1, "sd2": sd2, "n2": n2})
    _refuse_spread(s1, k1, s2, k2)
    # The log of a sample sd is biased by -1 / (2 (n - 1)), and has just that as its variance.
    a, b = 0.5 / (k1 - 1.0), 0.5 / (k2 - 1.0)
    return EffectSize(np.log(s1 / s2) + a - b, a + b, "log variability ratio")


def log_variation_ratio(
    *, mean1: ArrayLike, sd1: ArrayLike, n1: ArrayLike, mean2: ArrayLike, sd2: ArrayLike, n2: ArrayLike
) -> EffectSize:
    """Log ratio of the coefficients of variation sd / mean of two independent groups.

    Source: Nakagawa et al. (2015), eqs. 11 and 12, with mean and sd of a group independent.

    >>> round(float(log_variation_ratio(mean1=10, sd1=2, n1=20, mean2=9, sd2=2.5, n2=25).estimate), 6)
    -0.323022
    """
    m1, s1, k1, m2, s2, k2 = _groups({"mean1": mean1, "sd1": sd1, "n1": n1, "mean2": mean2, "sd2": sd2, "n2": n2})
    _refuse_means(m1, m2)
    _refuse_spread(s1, k1, s2, k2)
    a, b = 0.5 / (k1 - 1.0), 0.5 / (k2 - 1.0)
    estimate = np.log(s1 / m1) - np.log(s2 / m2) + a - b
    return EffectSize(estimate, s1**2 / (k1 * m1**2) + a + s2**2 / (k2 * m2**2) + b, "log variation ratio")


def _groups(printed: Mapping[str, ArrayLike]) -> tuple[Array, ...]:
    values = numbers(printed)
    refuse((values[1] < 0) | (values[4] < 0), "a negative standard deviation; check the printed number")
    refuse((values[2] < 2) | (values[5] < 2), "a group of fewer than 2 persons has no standard deviation")
    return values


def _refuse_means(m1: Array, m2: Array) -> None:
    # NaN passes: a missing mean gives a missing effect, not an error.
    refuse(~((m1 > 0) & (m2 > 0)) & ~np.isnan(m1 + m2), "a mean that is not above 0 has no log; use a difference")


def _refuse_spread(s1: Array, k1: Array, s2: Array, k2: Array) -> None:
    refuse((s1 <= 0) | (s2 <= 0), "a standard deviation that is not above 0 has no log")
    refuse((k1 < 2) | (k2 < 2), "a group of fewer than 2 persons has no standard deviation")
