"""From one effect size to another (d, r, log odds ratio, beta read as r), and from a test statistic to one.

Every conversion rests on a model of what lies behind (two normal groups, a logistic latent variable); the result is
flagged with it. F with 1 numerator df, chi-square with 1 df and p have no direction: `sign` (1 or -1) must be given, as
the source states it.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
import scipy
from numpy.typing import ArrayLike

from replication.effects.correlation import correlation_variance
from replication.effects.effect_size import Array, EffectSize, Flag, numbers, refuse, rows_where
from replication.effects.mean_difference import Correction, small_sample_factor
from replication.errors import UserError, list_rows

__all__ = [
    "Sides",
    "beta_to_r",
    "d_from_f",
    "d_from_p",
    "d_from_t",
    "d_to_log_odds",
    "d_to_r",
    "log_odds_to_d",
    "log_odds_to_r",
    "r_from_chi2",
    "r_from_f",
    "r_from_p",
    "r_from_t",
    "r_to_d",
    "r_to_log_odds",
]


def d_to_r(d: EffectSize, n1: ArrayLike = 1.0, n2: ArrayLike = 1.0) -> EffectSize:
    """Point-biserial r of a standardised difference; group sizes matter by their ratio, equal by default.

    `d / sqrt(d^2 + A)`, `A = (n1 + n2)^2 / (n1 n2)`, variance `A^2 v / (d^2 + A)^3`.
    Source: Borenstein et al. (2009), eqs. 7.7-7.9.

    >>> from replication.effects.effect_size import EffectSize
    >>> d = EffectSize(np.array(0.5), np.array(0.04), "d")
    >>> round(float(d_to_r(d).estimate), 6), round(float(d_to_r(d).variance), 6)
    (0.242536, 0.008337)
    """
    _expect(d, "d", "g")
    y, v, n1, n2 = numbers({"estimate": d.estimate, "variance": d.variance, "n1": n1, "n2": n2})
    refuse((n1 <= 0) | (n2 <= 0), "group sizes must be above 0")
    # 4 for equal groups; unequal ones make the same d a smaller correlation
    A = (n1 + n2) ** 2 / (n1 * n2)
    flags = (*d.flags, Flag("from-d", "r converted from a standardised difference of two groups"))
    return EffectSize(y / np.sqrt(y**2 + A), A**2 * v / (y**2 + A) ** 3, "r", flags)


def r_to_d(r: EffectSize) -> EffectSize:
    """Standardised difference of two equal groups that would give this r: `2 r / sqrt(1 - r^2)`.

    Variance `4 v / (1 - r^2)^3`. Source: Borenstein et al. (2009), eqs. 7.5-7.6.

    >>> from replication.effects.correlation import correlation
    >>> round(float(r_to_d(correlation(0.5, 100)).estimate), 6)
    1.154701
    """
    _expect(r, "r")
    refuse(np.abs(r.estimate) >= 1, "r of 1 or -1 has no d")
    # The derivative of 2 r / sqrt(1 - r^2) is 2 / rest^1.5; squared it is 4 / rest^3.
    rest = 1.0 - r.estimate**2
    flags = (*r.flags, Flag("from-r", "d converted from a correlation, as of two equal groups"))
    return EffectSize(2.0 * r.estimate / np.sqrt(rest), 4.0 * r.variance / rest**3, "d", flags)


def log_odds_to_d(effect: EffectSize) -> EffectSize:
    """`d = log(OR) sqrt(3) / pi`: the outcome is a logistic variable cut in two.

    Source: Hasselblad & Hedges (1995); Borenstein et al. (2009), eqs. 7.1-7.2.

    >>> from replication.effects.effect_size import EffectSize
    >>> round(float(log_odds_to_d(EffectSize(np.array(0.9069), np.array(0.0676), "log odds ratio")).estimate), 4)
    0.5
    """
    _expect(effect, "log odds ratio")
    # the standard deviation of the logistic distribution is pi / sqrt(3)
    factor = np.sqrt(3.0) / np.pi
    flags = (*effect.flags, Flag("from-log-odds", "d converted from a log odds ratio, by a logistic outcome"))
    return EffectSize(effect.estimate * factor, effect.variance * factor**2, "d", flags)


def d_to_log_odds(d: EffectSize) -> EffectSize:
    """`log(OR) = d pi / sqrt(3)`. Source: Borenstein et al. (2009), eqs. 7.3-7.4.

    >>> from replication.effects.effect_size import EffectSize
    >>> round(float(d_to_log_odds(EffectSize(np.array(0.5), np.array(0.0205), "d")).variance), 4)
    0.0674
    """
    _expect(d, "d", "g")
    factor = np.pi / np.sqrt(3.0)
    flags = (*d.flags, Flag("from-d", "log odds ratio converted from a standardised difference"))
    return EffectSize(d.estimate * factor, d.variance * factor**2, "log odds ratio", flags)


def log_odds_to_r(effect: EffectSize, n1: ArrayLike = 1.0, n2: ArrayLike = 1.0) -> EffectSize:
    """By way of d. Parameters as in `d_to_r`.

    >>> from replication.effects.effect_size import EffectSize
    >>> round(float(log_odds_to_r(EffectSize(np.array(0.9069), np.array(0.0676), "log odds ratio")).estimate), 4)
    0.2425
    """
    return d_to_r(log_odds_to_d(effect), n1, n2)


def r_to_log_odds(r: EffectSize) -> EffectSize:
    """By way of d of two equal groups.

    >>> from replication.effects.correlation import correlation
    >>> round(float(r_to_log_odds(correlation(0.5, 100)).estimate), 6)
    2.094395
    """
    return d_to_log_odds(r_to_d(r))


def beta_to_r(beta: ArrayLike, n: ArrayLike) -> EffectSize:
    """A standardised regression coefficient read as a correlation: `0.98 beta + 0.05 lambda`.

    Parameters
    ----------
    beta : standardised coefficient; lambda is 1 where it is 0 or more, else 0
    n : persons

    A stop-gap, not a conversion: a beta depends on the other predictors. The flag `beta-as-r` travels with the result,
    so that an analysis can leave it out; betas beyond the -.50 to .50 of the source's data are flagged beside.
    Source: Peterson & Brown (2005), eq. 3.

    >>> round(float(beta_to_r(0.3, 100).estimate), 6)
    0.344
    """
    beta, n = numbers({"beta": beta, "n": n})
    refuse(n < 2, "n below 2: the variance is not defined")
    # NaN >= 0 is False, which would count a missing beta as a negative one
    r = np.where(np.isnan(beta), np.nan, 0.98 * beta + 0.05 * (beta >= 0))
    refuse(np.abs(r) > 1, "beta is so large that no correlation corresponds to it")
    flags = [Flag("beta-as-r", "a standardised regression coefficient read as a correlation (Peterson & Brown 2005)")]
    beyond = rows_where(np.abs(beta) > 0.5)
    if beyond:
        flags.append(Flag("beta-beyond-source", f"beta outside -.50 to .50 in {list_rows(beyond)}", beyond))
    return EffectSize(r, correlation_variance(r, n), "r", tuple(flags))


def _expect(effect: EffectSize, *metrics: str) -> None:
    if effect.metric not in metrics:
        raise UserError(f"this converts {' or '.join(metrics)}, but the effect is a {effect.metric}; convert it first.")


Sides = Literal["two-sided", "one-sided"]


def r_from_t(t: ArrayLike, n: ArrayLike) -> EffectSize:
    """Correlation of two variables from the t of its test, df = n - 2: `t / sqrt(t^2 + df)`.

    Source: Rosenthal (1991), eq. 2.16. For a coefficient in a regression use `partial_correlation`.

    >>> round(float(r_from_t(3.0, 50).estimate), 6)
    0.39736
    """
    t, n = numbers({"t": t, "n": n})
    refuse(n < 3, "n below 3 leaves no degrees of freedom")
    return _as_r(t / np.sqrt(t**2 + n - 2.0), n)


def r_from_f(f: ArrayLike, n: ArrayLike, sign: ArrayLike) -> EffectSize:
    """Correlation from F with 1 and n - 2 degrees of freedom: the t of its root, with the sign given.

    >>> round(float(r_from_f(9.0, 50, sign=-1).estimate), 6)
    -0.39736
    """
    return r_from_t(_root(f, sign, "f"), n)


def r_from_chi2(chi2: ArrayLike, n: ArrayLike, sign: ArrayLike) -> EffectSize:
    """Phi, the correlation of two dichotomies, from chi-square with 1 df (no continuity correction): `sqrt(chi2 / n)`.

    >>> round(float(r_from_chi2(4.0, 100, sign=1).estimate), 6)
    0.2
    """
    root, n, chi2 = numbers({"root": _root(chi2, sign, "chi2"), "n": n, "chi2": chi2})
    # A phi beyond 1: the table is larger than two by two, or n is that of another group. Asked of the number printed:
    # the square of its root may exceed it by rounding, and a table without a single exception is possible.
    refuse(chi2 > n, "chi-square above n is not possible for a table of two by two; check both")
    return _as_r(root / np.sqrt(n), n)


def r_from_p(p: ArrayLike, n: ArrayLike, sign: ArrayLike, sides: Sides = "two-sided") -> EffectSize:
    """Correlation from the exact p of its t test. A bound such as p < .05 is no p: it gives a bound of r at best.

    >>> round(float(r_from_p(0.004, 50, sign=1).estimate), 6)
    0.400007
    """
    p, n, sign = numbers({"p": p, "n": n, "sign": sign})
    refuse(n < 3, "n below 3 leaves no degrees of freedom")
    return r_from_t(_t_of_p(p, n - 2.0, sign, sides), n)


def d_from_t(t: ArrayLike, n1: ArrayLike, n2: ArrayLike, correction: Correction = "exact") -> EffectSize:
    """Standardised difference of two independent groups from their t test: `t sqrt(1/n1 + 1/n2)`, as g by default.

    Source: Rosenthal (1991), eq. 2.28; correction and variance as in `standardized_mean_difference`.

    >>> round(float(d_from_t(2.5, 30, 40, correction="none").estimate), 6)
    0.603807
    """
    t, n1, n2 = numbers({"t": t, "n1": n1, "n2": n2})
    refuse((n1 < 1) | (n2 < 1) | (n1 + n2 < 4), "groups too small: n1 and n2 of 1 or more, together 4 or more")
    d = small_sample_factor(n1 + n2 - 2.0, correction) * t * np.sqrt(1.0 / n1 + 1.0 / n2)
    variance = 1.0 / n1 + 1.0 / n2 + d**2 / (2.0 * (n1 + n2))
    return EffectSize(d, variance, "d" if correction == "none" else "g")


def d_from_f(
    f: ArrayLike, n1: ArrayLike, n2: ArrayLike, sign: ArrayLike, correction: Correction = "exact"
) -> EffectSize:
    """The same from F with 1 numerator degree of freedom (two groups).

    >>> round(float(d_from_f(6.25, 30, 40, sign=1, correction="none").estimate), 6)
    0.603807
    """
    return d_from_t(_root(f, sign, "f"), n1, n2, correction)


def d_from_p(
    p: ArrayLike,
    n1: ArrayLike,
    n2: ArrayLike,
    sign: ArrayLike,
    *,
    sides: Sides = "two-sided",
    correction: Correction = "exact",
) -> EffectSize:
    """The same from the exact p of the t test.

    >>> round(float(d_from_p(0.0148, 30, 40, sign=1, correction="none").estimate), 3)
    0.604
    """
    p, n1, n2, sign = numbers({"p": p, "n1": n1, "n2": n2, "sign": sign})
    refuse(n1 + n2 < 4, "groups too small: together 4 or more")
    return d_from_t(_t_of_p(p, n1 + n2 - 2.0, sign, sides), n1, n2, correction)


def _as_r(r: Array, n: Array) -> EffectSize:
    refuse(np.abs(r) > 1.0, "the result lies outside -1 to 1; check the statistic and n")
    return EffectSize(r, correlation_variance(r, n), "r", (Flag("from-test", "computed from a test statistic"),))


def _root(value: ArrayLike, sign: ArrayLike, name: str) -> Array:
    value, sign = numbers({name: value, "sign": sign})
    refuse(value < 0, f"{name} is negative; F and chi-square cannot be")
    _check_sign(sign)
    return np.asarray(sign * np.sqrt(value))


def _t_of_p(p: Array, df: Array, sign: Array, sides: Sides) -> Array:
    if sides not in get_args(Sides):
        raise UserError(f"sides={sides!r} is not known; choose one of {', '.join(get_args(Sides))}.")
    refuse((p <= 0) | (p > (1.0 if sides == "two-sided" else 0.5)), "p outside its range; pass an exact p above 0")
    _check_sign(sign)
    # the test's own quantile, not the normal one: with 20 persons they differ in the second decimal of r
    tail = p / 2.0 if sides == "two-sided" else p
    return np.asarray(sign * -scipy.special.stdtrit(df, tail))


def _check_sign(sign: Array) -> None:
    refuse(~(np.isin(sign, (-1.0, 1.0)) | np.isnan(sign)), "sign must be 1 or -1, as the source states the direction")
