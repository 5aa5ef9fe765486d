"""Correlations behind what was cut, ranked or put through a logistic: what Pearson's r of the variables would be.

Biserial and tetrachoric correlations, and those behind Spearman's rho, Kendall's tau and the slope of a logistic
regression. All assume that the variables behind are bivariate normal (a logistic outcome for the slope); each result is
flagged with it, because no print can show whether it is so.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy import integrate, optimize, special

from replication.effects.correlation import fisher_z_variance
from replication.effects.effect_size import Array, EffectSize, Flag, numbers, refuse
from replication.effects.mean_difference import standardized_mean_difference

__all__ = [
    "biserial",
    "biserial_from_means",
    "biserial_from_t",
    "r_from_logistic_slope",
    "r_from_rho",
    "r_from_tau",
    "tetrachoric",
]

_TAU_ERROR = 0.437  # variance of Fisher's z of tau times n - 4 (Fieller, Hartley & Pearson 1957)
_LOGISTIC_VARIANCE = np.pi**2 / 3.0


def biserial_from_t(t: ArrayLike, n1: ArrayLike, n2: ArrayLike) -> EffectSize:
    """Biserial correlation from the t of two groups made by cutting a measured variable.

    Parameters
    ----------
    t : t of the two groups, df = n1 + n2 - 2
    n1, n2 : persons above and below the cut

    Source: Jacobs & Viechtbauer (2017); the point-biserial r is `t / sqrt(t^2 + df)`.

    >>> effect = biserial_from_t(2.31, 60, 60)
    >>> round(float(effect.estimate), 4), round(float(effect.variance), 6)
    (0.2607, 0.011811)
    """
    t, n1, n2 = numbers({"t": t, "n1": n1, "n2": n2})
    refuse((n1 < 1) | (n2 < 1) | (n1 + n2 < 4), "groups too small: n1 and n2 of 1 or more, together 4 or more")
    return biserial(t / np.sqrt(t**2 + n1 + n2 - 2.0), n1, n2)


def biserial_from_means(
    *, mean1: ArrayLike, sd1: ArrayLike, n1: ArrayLike, mean2: ArrayLike, sd2: ArrayLike, n2: ArrayLike
) -> EffectSize:
    """Biserial correlation from means and standard deviations of two groups made by cutting a measured variable.

    Through the t of the two groups; the sign is group 1 minus group 2. Source as of `biserial_from_t`.

    >>> found = biserial_from_means(mean1=10, sd1=2, n1=60, mean2=9, sd2=2.5, n2=60)
    >>> round(float(found.estimate), 6), round(float(found.variance), 6)
    (0.27247, 0.011687)
    """
    d = standardized_mean_difference(
        mean1=mean1, sd1=sd1, n1=n1, mean2=mean2, sd2=sd2, n2=n2, correction="none"
    ).estimate
    k1, k2 = np.asarray(n1, dtype=float), np.asarray(n2, dtype=float)
    return biserial_from_t(d / np.sqrt(1.0 / k1 + 1.0 / k2), k1, k2)


def biserial(point: ArrayLike, n1: ArrayLike, n2: ArrayLike) -> EffectSize:
    """Biserial correlation from the point-biserial one: `r sqrt(p q) / f`, f the normal density at the cut.

    Variance `(p q / f^2 - (3/2 + (1 - p x / f)(1 + q x / f)) r^2 + r^4) / (n - 1)`, x the cut and r the biserial.
    Source: Soper (1914); Jacobs & Viechtbauer (2017).

    >>> round(float(biserial(0.2080, 60, 60).estimate), 4)
    0.2607
    """
    point, n1, n2 = numbers({"r": point, "n1": n1, "n2": n2})
    refuse(np.abs(point) > 1, "r outside -1 to 1; check the printed number")
    n = n1 + n2
    p, q = n1 / n, n2 / n
    x = special.ndtri(q)  # the share p lies above the cut
    f = _density(x)
    r = point * np.sqrt(p * q) / f
    refuse(np.abs(r) >= 1, "the biserial correlation would be 1 or more: the variable behind the groups is not normal")
    variance = (p * q / f**2 - (1.5 + (1 - p * x / f) * (1 + q * x / f)) * r**2 + r**4) / (n - 1.0)
    flag = Flag("biserial", "the correlation with the normal variable behind two groups that were made by cutting it")
    return EffectSize(r, variance, "r", (flag,))


def r_from_rho(rho: ArrayLike, n: ArrayLike) -> EffectSize:
    """Pearson's r behind Spearman's rho in a bivariate normal population: `2 sin(pi rho / 6)`.

    Variance of rho `(1 - rho^2)^2 (1 + rho^2 / 2) / (n - 3)` (Bonett & Wright 2000), carried over by the delta method.
    Source: Pearson (1907); Rupinski & Dunlap (1996).

    >>> round(float(r_from_rho(0.31, 120).estimate), 4)
    0.3232
    """
    rho, n = _ranked(rho, n, least=4)
    # The derivative of 2 sin(pi rho / 6): the delta method multiplies the variance by its square.
    slope = np.pi / 3.0 * np.cos(np.pi * rho / 6.0)
    variance = (1 - rho**2) ** 2 * (1 + rho**2 / 2) * fisher_z_variance(n) * slope**2
    flag = Flag("spearman", "Pearson's r of the normal variables behind a rank correlation")
    return EffectSize(2.0 * np.sin(np.pi * rho / 6.0), variance, "r", (flag,))


def r_from_tau(tau: ArrayLike, n: ArrayLike) -> EffectSize:
    """Pearson's r behind Kendall's tau in a bivariate normal population: `sin(pi tau / 2)`.

    Variance of tau `.437 (1 - tau^2)^2 / (n - 4)` (Bonett & Wright 2000), carried over by the delta method.
    Source: Greiner (1909); Kendall (1962).

    >>> round(float(r_from_tau(0.21, 120).estimate), 4)
    0.3239
    """
    tau, n = _ranked(tau, n, least=5)
    # The derivative of sin(pi tau / 2).
    slope = np.pi / 2.0 * np.cos(np.pi * tau / 2.0)
    variance = _TAU_ERROR * (1 - tau**2) ** 2 / (n - 4.0) * slope**2
    flag = Flag("kendall", "Pearson's r of the normal variables behind a rank correlation")
    return EffectSize(np.sin(np.pi * tau / 2.0), variance, "r", (flag,))


def r_from_logistic_slope(slope: ArrayLike, se: ArrayLike, sd: ArrayLike) -> EffectSize:
    """Correlation of a predictor with the logistic variable behind a yes-or-no outcome, from its log odds per unit.

    Parameters
    ----------
    slope : log of the odds ratio per unit of the predictor, which is the only one of the model
    se : its standard error
    sd : standard deviation of the predictor, in the same unit

    `b s / sqrt(b^2 s^2 + pi^2 / 3)`, variance by the delta method. Source: McKelvey & Zavoina (1975), whose R2 of
    one predictor is the square of this.

    >>> round(float(r_from_logistic_slope(0.5, 0.1, 1.2).estimate), 4)
    0.3141
    """
    b, se, s = numbers({"slope": slope, "se": se, "sd": sd})
    refuse((se <= 0) | (s <= 0), "se and sd must be above 0")
    spread = b**2 * s**2 + _LOGISTIC_VARIANCE
    variance = (se * s * _LOGISTIC_VARIANCE) ** 2 / spread**3
    flag = Flag("logistic", "the correlation with the logistic variable behind a yes-or-no outcome")
    return EffectSize(b * s / np.sqrt(spread), variance, "r", (flag,))


def tetrachoric(a: ArrayLike, b: ArrayLike, c: ArrayLike, d: ArrayLike) -> EffectSize:
    """Tetrachoric correlation of tables of two by two: a and d count agreement, b and c disagreement.

    The correlation at which the bivariate normal has the table's own shares; by maximum likelihood the same, because
    such a table leaves nothing over. Variance by the delta method from the multinomial. A missing cell gives NaN.
    Source: Pearson (1900); Brown (1977) for the variance. Table 40, 20, 15, 45 (metafor 3.8.1: 0.6121, 0.01065):

    >>> effect = tetrachoric(40, 20, 15, 45)
    >>> round(float(effect.estimate), 4), round(float(effect.variance), 5)
    (0.6121, 0.01065)
    """
    counts = np.array(np.broadcast_arrays(*numbers({"a": a, "b": b, "c": c, "d": d})), dtype=float)
    refuse(
        ((counts <= 0) | np.isinf(counts)).any(axis=0),
        "a cell that is 0 or no count; no tetrachoric correlation can be told",
    )
    tables = counts.reshape(4, -1).T
    found = [(np.nan, np.nan) if np.isnan(table).any() else _of_table(table) for table in tables]
    r, variance = (np.reshape([pair[i] for pair in found], counts.shape[1:]) for i in (0, 1))
    flag = Flag("tetrachoric", "the correlation of the normal variables behind two yes-or-no ones")
    return EffectSize(r, variance, "r", (flag,))


def _of_table(counts: Array) -> tuple[float, float]:
    """The correlation of one table `(4,)` and its variance."""
    n = counts.sum()
    p = counts / n
    h, k = special.ndtri(p[0] + p[1]), special.ndtri(p[0] + p[2])
    # In the angle whose sine is r the share below both cuts is smooth up to r = 1; in r its slope has no end there.
    bound = np.pi / 2 - 1e-9
    angle = optimize.brentq(lambda x: _both_below(h, k, x) - p[0], -bound, bound, xtol=1e-13)
    r = np.sin(angle)
    # From here on as Brown (1977): how the shares of the four cells move r, weighed by their multinomial covariance.
    rest = np.sqrt(1 - r**2)
    density = np.exp(-(h**2 + k**2 - 2 * r * h * k) / (2 * rest**2)) / (2 * np.pi * rest)
    across, down = special.ndtr((k - r * h) / rest), special.ndtr((h - r * k) / rest)
    weights = np.array([1 - across - down, -across, -down, 0.0]) / density
    return float(r), float((p @ weights**2 - (p @ weights) ** 2) / n)


def _both_below(h: float, k: float, angle: float) -> float:
    """The bivariate normal share below h and k, as the integral over the sine's angle of its correlation.

    Source: Drezner & Wesolowsky (1990).
    """

    def slice_(x: float) -> float:
        return float(np.exp(-(h**2 + k**2 - 2 * h * k * np.sin(x)) / (2 * np.cos(x) ** 2)))

    area, _ = integrate.quad(slice_, 0.0, angle, epsabs=1e-13, epsrel=1e-12)
    return float(special.ndtr(h) * special.ndtr(k) + area / (2 * np.pi))


def _density(x: Array) -> Array:
    return np.asarray(np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi))


def _ranked(value: ArrayLike, n: ArrayLike, least: int) -> tuple[Array, Array]:
    value, n = numbers({"value": value, "n": n})
    refuse(np.abs(value) >= 1, "a rank correlation strictly between -1 and 1; check the printed number")
    refuse(n < least, f"n below {least}: the variance is not defined")
    return value, n
