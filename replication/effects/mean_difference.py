"""Differences of means: raw, standardised between groups (d, g), and standardised within persons."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

import numpy as np
import scipy
from numpy.typing import ArrayLike

from replication.effects.effect_size import Array, EffectSize, numbers, refuse
from replication.errors import UserError

__all__ = [
    "Correction",
    "change_in_change_sd",
    "change_in_raw_sd",
    "change_in_raw_sd_heteroscedastic",
    "heteroscedastic_mean_difference",
    "mean_change",
    "mean_difference",
    "small_sample_factor",
    "standardized_mean_difference",
]

# exact: Hedges' J by gamma functions; approximate: 1 - 3 / (4 df - 1); none: Cohen's d as it is.
Correction = Literal["exact", "approximate", "none"]


def small_sample_factor(df: ArrayLike, correction: Correction = "exact") -> Array:
    """Hedges' J, which takes the small-sample bias out of d.

    Source: Hedges (1981), eq. 6e (exact) and its approximation.

    >>> round(float(small_sample_factor(10)), 6), round(float(small_sample_factor(10, "approximate")), 6)
    (0.922746, 0.923077)
    """
    if correction not in get_args(Correction):
        raise UserError(f"correction={correction!r} is not known; choose one of {', '.join(get_args(Correction))}.")
    (m,) = numbers({"df": df})
    refuse(m < 2, "fewer than 2 degrees of freedom: the correction is not defined")
    if correction == "none":
        return np.ones_like(m)
    if correction == "approximate":
        return np.asarray(1.0 - 3.0 / (4.0 * m - 1.0))
    # Pochhammer's symbol is a ratio of gammas that does not overflow at large df
    return np.asarray(scipy.special.poch((m - 1.0) / 2.0, 0.5) / np.sqrt(m / 2.0))


def mean_difference(
    *, mean1: ArrayLike, sd1: ArrayLike, n1: ArrayLike, mean2: ArrayLike, sd2: ArrayLike, n2: ArrayLike
) -> EffectSize:
    """Mean of group 1 minus mean of group 2, in the units of the measure; groups may differ in spread.

    >>> round(float(mean_difference(mean1=10, sd1=2, n1=20, mean2=9, sd2=2.5, n2=25).variance), 6)
    0.45
    """
    m1, s1, k1, m2, s2, k2 = _groups({"mean1": mean1, "sd1": sd1, "n1": n1, "mean2": mean2, "sd2": sd2, "n2": n2})
    return EffectSize(m1 - m2, s1**2 / k1 + s2**2 / k2, "mean difference")


def standardized_mean_difference(
    *,
    mean1: ArrayLike,
    sd1: ArrayLike,
    n1: ArrayLike,
    mean2: ArrayLike,
    sd2: ArrayLike,
    n2: ArrayLike,
    correction: Correction = "exact",
) -> EffectSize:
    """Difference of two independent groups in pooled standard deviations: g, or d with `correction="none"`.

    Parameters
    ----------
    mean1, sd1, n1, mean2, sd2, n2 : of both groups; the sign is group 1 minus group 2
    correction : exact J (default), its approximation, or none

    The variance is `1/n1 + 1/n2 + g^2 / (2 (n1 + n2))`. Source: Hedges & Olkin (1985), ch. 5, eqs. 3, 10, 15.

    >>> g = standardized_mean_difference(mean1=10, sd1=2, n1=20, mean2=9, sd2=2.5, n2=25)
    >>> round(float(g.estimate), 6), round(float(g.variance), 6)
    (0.428534, 0.09204)
    """
    m1, s1, k1, m2, s2, k2 = _groups({"mean1": mean1, "sd1": sd1, "n1": n1, "mean2": mean2, "sd2": sd2, "n2": n2})
    df = k1 + k2 - 2.0
    pooled = np.sqrt(((k1 - 1.0) * s1**2 + (k2 - 1.0) * s2**2) / df)
    refuse(pooled == 0, "both standard deviations are 0: a standardised difference is not defined")
    d = small_sample_factor(df, correction) * (m1 - m2) / pooled
    return EffectSize(d, _variance(d, k1, k2), "d" if correction == "none" else "g")


def change_in_change_sd(
    *,
    mean1: ArrayLike,
    sd1: ArrayLike,
    mean2: ArrayLike,
    sd2: ArrayLike,
    n: ArrayLike,
    r: ArrayLike,
    correction: Correction = "exact",
) -> EffectSize:
    """Mean at 1 minus mean at 2 of the same persons, in standard deviations of the change.

    Parameters
    ----------
    n : persons measured twice
    r : correlation of the two measurements

    Variance `1/n + g^2 / (2 n)`. Source: Gibbons, Hedeker & Davis (1993).

    >>> round(float(change_in_change_sd(mean1=10, sd1=2, mean2=9, sd2=2.5, n=20, r=0.6).estimate), 6)
    0.465625
    """
    m1, s1, m2, s2, k, rho = _pairs({"mean1": mean1, "sd1": sd1, "mean2": mean2, "sd2": sd2, "n": n, "r": r})
    # printed sds and r can leave a tiny negative here only if r is beyond 1, which is refused above
    change = np.sqrt(s1**2 + s2**2 - 2.0 * rho * s1 * s2)
    refuse(change == 0, "the changes have no spread: a standardised change is not defined")
    d = small_sample_factor(k - 1.0, correction) * (m1 - m2) / change
    return EffectSize(d, 1.0 / k + d**2 / (2.0 * k), "d" if correction == "none" else "g")


def change_in_raw_sd(
    *,
    mean1: ArrayLike,
    sd1: ArrayLike,
    mean2: ArrayLike,
    n: ArrayLike,
    r: ArrayLike,
    correction: Correction = "exact",
) -> EffectSize:
    """Mean at 1 minus mean at 2 of the same persons, in standard deviations at 1; comparable with d between groups.

    Variance `2 (1 - r) / n + g^2 / (2 n)`. Source: Becker (1988).

    >>> round(float(change_in_raw_sd(mean1=10, sd1=2, mean2=9, n=20, r=0.6).estimate), 6)
    0.479955
    """
    m1, s1, m2, _, k, rho = _pairs({"mean1": mean1, "sd1": sd1, "mean2": mean2, "sd2": sd1, "n": n, "r": r})
    refuse(s1 == 0, "sd1 is 0: a standardised change is not defined")
    d = small_sample_factor(k - 1.0, correction) * (m1 - m2) / s1
    return EffectSize(d, 2.0 * (1.0 - rho) / k + d**2 / (2.0 * k), "d" if correction == "none" else "g")


def change_in_raw_sd_heteroscedastic(
    *,
    mean1: ArrayLike,
    sd1: ArrayLike,
    mean2: ArrayLike,
    sd2: ArrayLike,
    n: ArrayLike,
    r: ArrayLike,
    correction: Correction = "exact",
) -> EffectSize:
    """The same standardised change with a variance that lets both occasions differ in spread.

    The variance holds g where Bonett writes d and is multiplied by J^2, as in metafor's SMCRH.
    Source: Bonett (2008), eq. 13.

    >>> change = {"mean1": 10, "sd1": 2, "mean2": 9, "sd2": 2.5, "n": 20, "r": 0.6}
    >>> round(float(change_in_raw_sd_heteroscedastic(**change).estimate), 6)
    0.479955
    """
    m1, s1, m2, s2, k, rho = _pairs({"mean1": mean1, "sd1": sd1, "mean2": mean2, "sd2": sd2, "n": n, "r": r})
    refuse(s1 == 0, "sd1 is 0: a standardised change is not defined")
    J = small_sample_factor(k - 1.0, correction)
    d = J * (m1 - m2) / s1
    change = s1**2 + s2**2 - 2.0 * rho * s1 * s2
    variance = J**2 * (change / (s1**2 * (k - 1.0)) + d**2 / (2.0 * (k - 1.0)))
    return EffectSize(d, variance, "d" if correction == "none" else "g")


def mean_change(
    *, mean1: ArrayLike, sd1: ArrayLike, mean2: ArrayLike, sd2: ArrayLike, n: ArrayLike, r: ArrayLike
) -> EffectSize:
    """Mean at 1 minus mean at 2 of the same persons, in the units of the measure.

    >>> round(float(mean_change(mean1=10, sd1=2, mean2=9, sd2=2.5, n=20, r=0.6).variance), 6)
    0.2125
    """
    m1, s1, m2, s2, k, rho = _pairs({"mean1": mean1, "sd1": sd1, "mean2": mean2, "sd2": sd2, "n": n, "r": r})
    return EffectSize(m1 - m2, (s1**2 + s2**2 - 2.0 * rho * s1 * s2) / k, "mean change")


def heteroscedastic_mean_difference(
    *,
    mean1: ArrayLike,
    sd1: ArrayLike,
    n1: ArrayLike,
    mean2: ArrayLike,
    sd2: ArrayLike,
    n2: ArrayLike,
    correction: Correction = "exact",
) -> EffectSize:
    """Difference of two independent groups of unequal spread, in the root of the mean of their variances.

    The variance holds g where Bonett writes d and is multiplied by J^2, as in metafor's SMDH.
    Source: Bonett (2008), eqs. 8 and 9 with both groups weighing the same.

    >>> g = heteroscedastic_mean_difference(mean1=10, sd1=2, n1=20, mean2=9, sd2=2.5, n2=25)
    >>> round(float(g.estimate), 6)
    0.433969
    """
    m1, s1, k1, m2, s2, k2 = _groups({"mean1": mean1, "sd1": sd1, "n1": n1, "mean2": mean2, "sd2": sd2, "n2": n2})
    total = s1**2 + s2**2
    refuse(total == 0, "both groups without spread: a standardised difference is not defined")
    J = small_sample_factor(k1 + k2 - 2.0, correction)
    d = J * (m1 - m2) / np.sqrt(total / 2.0)
    # Eq. 8 has two parts: the spread of the standardiser, and that of the difference in its units.
    own = d**2 * (s1**4 / (k1 - 1.0) + s2**4 / (k2 - 1.0)) / (2.0 * total**2)
    variance = J**2 * (own + 2.0 * (s1**2 / (k1 - 1.0) + s2**2 / (k2 - 1.0)) / total)
    return EffectSize(d, variance, "d" if correction == "none" else "g")


def _variance(d: Array, n1: Array, n2: Array) -> Array:
    return np.asarray(1.0 / n1 + 1.0 / n2 + d**2 / (2.0 * (n1 + n2)))


def _groups(printed: Mapping[str, ArrayLike]) -> tuple[Array, ...]:
    """Mean, sd and n of both groups, checked."""
    values = numbers(printed)
    refuse((values[1] < 0) | (values[4] < 0), "a negative standard deviation; check the printed number")
    refuse((values[2] < 2) | (values[5] < 2), "a group of fewer than 2 persons has no standard deviation")
    return values


def _pairs(printed: Mapping[str, ArrayLike]) -> tuple[Array, ...]:
    """Mean and sd of both occasions, n and r, checked."""
    values = numbers(printed)
    refuse((values[1] < 0) | (values[3] < 0), "a negative standard deviation; check the printed number")
    # With two the correlation of the occasions is 1 or -1, whatever they measured.
    refuse(values[4] < 3, "fewer than 3 persons measured twice")
    refuse(np.abs(values[5]) > 1, "r outside -1 to 1")
    return values
