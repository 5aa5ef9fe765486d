"""Correlations and what is made of them: r, Fisher's z and back, partial and semipartial r, corrections.

This file owns Fisher's z and its inverse, the variances of z and r and the n behind them; nothing else in the project
writes them (a test sees to it). Two adjustments stand at its end: for unreliable measures (attenuation) and for samples
drawn in clusters (design effect).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from replication.effects.effect_size import Array, EffectSize, Flag, numbers, refuse, rows_where
from replication.errors import UserError, list_rows

__all__ = [
    "back_to_r",
    "correct_attenuation",
    "correlation",
    "correlation_variance",
    "design_effect",
    "effective_n",
    "fisher_z",
    "fisher_z_variance",
    "inflate_for_clusters",
    "n_for_variance",
    "n_of_correlation_variance",
    "n_of_fisher_z_variance",
    "partial_correlation",
    "partial_fisher_z",
    "partial_from_correlations",
    "semipartial_correlation",
    "to_fisher_z",
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
    return EffectSize(r, correlation_variance(r, n), "r")


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
    # a printed 1.00 may be .996; guessing the digits would decide the weight of the row
    refuse(np.abs(r) >= 1.0, "r of 1 or -1 has no Fisher z; check the number or leave the row out")
    return EffectSize(to_fisher_z(r), fisher_z_variance(n), "fisher z")


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
    return EffectSize(r, correlation_variance(r, left + 2.0), "partial r")


def partial_fisher_z(t: ArrayLike, n: ArrayLike, predictors: ArrayLike) -> EffectSize:
    """Fisher's z of a partial correlation, variance `1 / (n - m - 2)` (Fisher 1924). Parameters as there.

    >>> round(float(partial_fisher_z(2.5, 50, 3).variance), 6)
    0.022222
    """
    r, left = _partial(t, n, predictors)
    refuse(left < 2, "fewer than 2 residual degrees of freedom; z needs n of at least predictors + 3")
    # a partial r is distributed as a plain r of n - m + 1 persons, of whom left = n - m - 1 remain
    return EffectSize(to_fisher_z(r), fisher_z_variance(left + 2.0), "partial fisher z")


def partial_from_correlations(matrix: ArrayLike) -> float:
    """The partial correlation of the first two variables given all the others, from the matrix `(p, p)` of all.

    Source: Anderson (2003), section 2.5: minus the off-diagonal element of the inverse over the root of the diagonal.
    Correlations that were each computed on their own complete cases can contradict each other: then there is none.

    >>> round(partial_from_correlations([[1, 0.5, 0.4], [0.5, 1, 0.3], [0.4, 0.3, 1]]), 4)
    0.4346
    """
    R = np.asarray(matrix, dtype=float)
    square = R.ndim == 2 and R.shape[0] == R.shape[1] >= 2
    if not (square and np.allclose(R, R.T) and np.allclose(np.diag(R), 1.0)):
        raise UserError(
            f"a correlation matrix is square and symmetric with ones on its diagonal; found shape {R.shape}"
        )
    # Without this check the inverse exists and gives a partial r beyond 1, or an imaginary one.
    if float(np.linalg.eigvalsh(R)[0]) <= 0.0:
        raise UserError("these correlations contradict each other (a negative eigenvalue): they come from other cases")
    inverse = np.linalg.inv(R)
    return float(-inverse[0, 1] / np.sqrt(inverse[0, 0] * inverse[1, 1]))


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
    # rounding of a printed t and R2 can take this a hair below 0; more than that is a slip
    refuse(without < -1e-6, "t and r_squared contradict each other: the predictor alone would explain more than R2")
    variance = (R2**2 - 2.0 * R2 + without + 1.0 - without**2) / n
    return EffectSize(r, variance, "semipartial r")


def to_fisher_z(r: ArrayLike) -> Array:
    """Fisher's z of correlations already checked: `atanh r`, infinite at 1 and -1.

    >>> round(float(to_fisher_z(0.4)), 6)
    0.423649
    """
    return np.asarray(np.arctanh(np.asarray(r, dtype=float)))


def fisher_z_variance(n: ArrayLike) -> Array:
    """The large-sample variance of Fisher's z of n persons, or of an effective n: `1 / (n - 3)`.

    Source: Fisher (1921).

    >>> float(fisher_z_variance(103))
    0.01
    """
    return np.asarray(1.0 / (np.asarray(n, dtype=float) - 3.0))


def correlation_variance(r: ArrayLike, n: ArrayLike) -> Array:
    """The large-sample variance of correlations already checked, of n persons: `(1 - r^2)^2 / (n - 1)`.

    Source: Olkin & Siotani (1976).

    >>> round(float(correlation_variance(0.4, 50)), 6)
    0.0144
    """
    return np.asarray((1.0 - np.asarray(r, dtype=float) ** 2) ** 2 / (np.asarray(n, dtype=float) - 1.0))


def n_of_fisher_z_variance(variance: ArrayLike) -> Array:
    """The n for which Fisher's z has this variance, `fisher_z_variance` turned round: `1 / variance + 3`.

    >>> float(n_of_fisher_z_variance(0.01))
    103.0
    """
    return np.asarray(1.0 / np.asarray(variance, dtype=float) + 3.0)


def n_of_correlation_variance(r: ArrayLike, variance: ArrayLike) -> Array:
    """The n for which r has this variance, `correlation_variance` turned round: `(1 - r^2)^2 / variance + 1`.

    >>> round(float(n_of_correlation_variance(0.4, 0.0144)), 6)
    50.0
    """
    return np.asarray((1.0 - np.asarray(r, dtype=float) ** 2) ** 2 / np.asarray(variance, dtype=float) + 1.0)


def n_for_variance(n: ArrayLike, n_effective: ArrayLike, least: float = -np.inf) -> Array:
    """The n that decides a variance: the effective n where there is one above `least`, else the number of persons.

    A missing effective n is NaN: the sample was drawn without clusters or weights, or nothing is known of its design.

    >>> n_for_variance([120.0, 90.0], [np.nan, 60.0]).tolist()
    [120.0, 60.0]
    """
    effective = np.asarray(n_effective, dtype=float)
    # NaN is above nothing, so the comparison alone asks both questions.
    return np.asarray(np.where(effective > least, effective, np.asarray(n, dtype=float)))


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
    # Residual degrees of freedom of the regression, its intercept counted.
    left = n - m - 1.0
    refuse(left < 1, "no residual degrees of freedom; n must exceed predictors + 1")
    return t / np.sqrt(t**2 + left), left


def correct_attenuation(
    effect: EffectSize, reliability_x: ArrayLike = 1.0, reliability_y: ArrayLike = 1.0
) -> EffectSize:
    """What the effect would be with measures free of error: divided by the root of the reliabilities.

    Parameters
    ----------
    effect : r, d or g (not Fisher z: correct r, then transform); for d and g only the outcome's reliability counts
    reliability_x, reliability_y : from above 0 to 1; taken as known, so the variance is divided by their product

    Source: Spearman (1904); Hunter & Schmidt (2004), eqs. 3.6-3.7.

    >>> from replication.effects.correlation import correlation
    >>> round(float(correct_attenuation(correlation(0.3, 100), 0.8, 0.7).estimate), 6)
    0.400892
    """
    if effect.metric not in ("r", "d", "g"):
        raise UserError(
            f"reliability corrects r, d or g, but the effect is a {effect.metric}; correct before transforming."
        )
    rx, ry, y, v = numbers(
        {"reliability_x": reliability_x, "reliability_y": reliability_y, "y": effect.estimate, "v": effect.variance}
    )
    refuse((rx <= 0) | (rx > 1) | (ry <= 0) | (ry > 1), "a reliability outside 0 to 1")
    # which group a person is in carries no error of measurement
    if effect.metric != "r" and (rx < 1).any():
        raise UserError("a group is known without error: pass reliability_y alone for d and g.")
    corrected = y / np.sqrt(rx * ry)
    flags = [Flag("corrected-for-reliability", "divided by the root of the reliabilities")]
    # kept and flagged, not cut to 1: a corrected r beyond 1 says that a reliability is too low
    beyond = rows_where(np.abs(corrected) > 1.0) if effect.metric == "r" else ()
    if beyond:
        flags.append(Flag("beyond-one", f"corrected correlation beyond 1 in {list_rows(beyond)}", beyond))
    return EffectSize(corrected, v / (rx * ry), effect.metric, (*effect.flags, *flags))


def design_effect(cluster_size: ArrayLike, icc: ArrayLike) -> Array:
    """By how much clusters inflate a variance: `1 + (m - 1) icc` (Kish 1965).

    Parameters
    ----------
    cluster_size : m, mean persons a cluster (school class), 1 or more
    icc : intraclass correlation, 0 to 1

    >>> round(float(design_effect(25, 0.1)), 6)
    3.4
    """
    m, rho = numbers({"cluster_size": cluster_size, "icc": icc})
    refuse(m < 1, "a cluster of fewer than 1 person")
    refuse((rho < 0) | (rho > 1), "icc outside 0 to 1")
    return np.asarray(1.0 + (m - 1.0) * rho)


def effective_n(n: ArrayLike, cluster_size: ArrayLike, icc: ArrayLike) -> Array:
    """How many independent persons a clustered sample is worth: n over the design effect.

    >>> round(float(effective_n(340, 25, 0.1)), 6)
    100.0
    """
    return np.asarray(np.asarray(n, dtype=float) / design_effect(cluster_size, icc))


def inflate_for_clusters(effect: EffectSize, cluster_size: ArrayLike, icc: ArrayLike) -> EffectSize:
    """The same estimate with its variance times the design effect, flagged.

    >>> from replication.effects.correlation import correlation
    >>> round(float(inflate_for_clusters(correlation(0.3, 341), 25, 0.1).variance), 6)
    0.008281
    """
    factor = design_effect(cluster_size, icc)
    flag = Flag("design-effect", "variance multiplied by the design effect of the clusters")
    return EffectSize(effect.estimate, np.asarray(effect.variance * factor), effect.metric, (*effect.flags, flag))
