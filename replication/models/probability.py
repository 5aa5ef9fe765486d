"""Tail probabilities and quantiles of the normal, t, chi-square, F and binomial distributions, on scipy.special.

scipy.stats gives the same numbers, but loading it takes longer than everything else a run loads. scipy loads special
when a function first needs it: a check of printed intervals needs one quantile and no function.
"""

from __future__ import annotations

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "NORMAL_95",
    "chi2_cdf",
    "chi2_sf",
    "f_isf",
    "f_sf",
    "ncx2_cdf",
    "normal_isf",
    "sign_test",
    "t_isf",
    "t_ppf",
    "t_sf",
    "wilson_interval",
]

Array = NDArray[np.float64]

NORMAL_95 = 1.959963984540054
"""Half the width, in standard errors, of a normal interval of 95 %: the 97.5 % quantile, as a test compares."""


def normal_isf(p: ArrayLike) -> Array:
    """Quantiles of the normal distribution counted from above.

    >>> round(float(normal_isf(0.025)), 6)
    1.959964
    """
    return np.asarray(-scipy.special.ndtri(_floats(p)), dtype=float)


def t_sf(x: ArrayLike, df: ArrayLike) -> Array:
    """P(T > x) of Student's t; infinite degrees of freedom mean the normal distribution.

    >>> round(float(t_sf(2.0, 10)), 6), round(float(t_sf(2.0, np.inf)), 6)
    (0.036694, 0.02275)
    """
    # stdtr is NaN at infinite df, and a whole array must not be: the normal takes those places.
    x, df = _floats(x), _floats(df)
    return np.where(np.isinf(df), scipy.special.ndtr(-x), scipy.special.stdtr(np.where(np.isinf(df), 1.0, df), -x))


def t_ppf(p: ArrayLike, df: ArrayLike) -> Array:
    """Quantiles of Student's t; infinite degrees of freedom mean the normal distribution.

    >>> round(float(t_ppf(0.975, 10)), 6), round(float(t_ppf(0.975, np.inf)), 6)
    (2.228139, 1.959964)
    """
    p, df = _floats(p), _floats(df)
    return np.where(np.isinf(df), scipy.special.ndtri(p), scipy.special.stdtrit(np.where(np.isinf(df), 1.0, df), p))


def t_isf(p: ArrayLike, df: ArrayLike) -> Array:
    """Quantiles of Student's t counted from above: small tails keep their digits.

    >>> round(float(t_isf(0.025, 10)), 6)
    2.228139
    """
    return -t_ppf(p, df)


def chi2_sf(x: ArrayLike, df: ArrayLike) -> Array:
    """P(chi-square > x).

    >>> round(float(chi2_sf(5.0, 2)), 6)
    0.082085
    """
    return np.asarray(scipy.special.chdtrc(_floats(df), _positive(x)), dtype=float)


def chi2_cdf(x: ArrayLike, df: ArrayLike) -> Array:
    """P(chi-square <= x).

    >>> round(float(chi2_cdf(5.0, 2)), 6)
    0.917915
    """
    return np.asarray(scipy.special.chdtr(_floats(df), _positive(x)), dtype=float)


def ncx2_cdf(x: float, df: float, noncentrality: float) -> float:
    """P(noncentral chi-square <= x), as a mixture of central ones with Poisson weights.

    >>> round(ncx2_cdf(5.0, 2, 3.0), 6)
    0.594061
    """
    half = noncentrality / 2.0
    # Twelve standard deviations beyond the Poisson mean: what is left out is below 1e-16.
    j = np.arange(int(half + 12.0 * np.sqrt(half)) + 60)
    # On the log scale, where j! does not overflow; xlogy makes 0 log 0 the 0 it is for a central chi-square.
    weights = np.exp(scipy.special.xlogy(j, half) - half - scipy.special.gammaln(j + 1.0))
    return float((weights * scipy.special.chdtr(df + 2.0 * j, _positive(x))).sum())


def f_sf(x: ArrayLike, first: ArrayLike, second: ArrayLike) -> Array:
    """P(F > x) with `first` and `second` degrees of freedom.

    >>> round(float(f_sf(4.0, 2, 10)), 6)
    0.052922
    """
    return np.asarray(scipy.special.fdtrc(_floats(first), _floats(second), _positive(x)), dtype=float)


def f_isf(p: float, first: float, second: float) -> float:
    """Quantiles of F counted from above, by the inverse of the incomplete beta function.

    >>> round(f_isf(0.05, 2, 10), 6)
    4.102821
    """
    share = float(scipy.special.betaincinv(second / 2.0, first / 2.0, p))
    return second * (1.0 - share) / (first * share)


def sign_test(successes: int, trials: int) -> float:
    """The exact two-sided p of a sign test: twice the smaller tail of a binomial distribution with share one half.

    >>> round(sign_test(9, 10), 6), sign_test(5, 10)
    (0.021484, 1.0)
    """
    return min(1.0, 2.0 * float(scipy.special.bdtr(min(successes, trials - successes), trials, 0.5)))


def wilson_interval(successes: int, trials: int) -> tuple[float, float]:
    """The 95 % interval of a share by Wilson (1927): the shares that a score test does not refuse.

    >>> [round(end, 6) for end in wilson_interval(9, 10)]
    [0.59585, 0.982124]
    """
    share, width = successes / trials, NORMAL_95**2 / trials
    middle = (share + width / 2.0) / (1.0 + width)
    half = np.sqrt(width * (share * (1.0 - share) + width / 4.0)) / (1.0 + width)
    # a share of 0 or 1 is an end itself, which rounding would pass
    return max(0.0, float(middle - half)), min(1.0, float(middle + half))


def _floats(values: ArrayLike) -> Array:
    return np.asarray(values, dtype=float)


def _positive(x: ArrayLike) -> Array:
    """A statistic that rounding left just below zero counts as zero; NaN stays NaN."""
    return np.maximum(_floats(x), 0.0)
