"""Effects from test statistics: r or d from t, F with 1 numerator df, chi-square with 1 df, or p with n.

F, chi-square and p have no direction: `sign` (1 or -1) must be given, as the source states it.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from replication.effects.effect_size import Array, EffectSize, Flag
from replication.effects.inputs import numbers, refuse
from replication.effects.mean_difference import Correction, small_sample_factor
from replication.errors import UserError

__all__ = ["Sides", "d_from_f", "d_from_p", "d_from_t", "r_from_chi2", "r_from_f", "r_from_p", "r_from_t"]

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
    root, n = numbers({"chi2": _root(chi2, sign, "chi2"), "n": n})
    refuse(root**2 > n, "chi-square above n is not possible for a table of two by two; check both")
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
    return EffectSize(r, (1.0 - r**2) ** 2 / (n - 1.0), "r", (Flag("from-test", "computed from a test statistic"),))


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
    tail = p / 2.0 if sides == "two-sided" else p
    return np.asarray(sign * -special.stdtrit(df, tail))


def _check_sign(sign: Array) -> None:
    refuse(~(np.isin(sign, (-1.0, 1.0)) | np.isnan(sign)), "sign must be 1 or -1, as the source states the direction")
