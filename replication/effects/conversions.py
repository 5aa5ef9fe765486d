"""From one effect size to another: d, r, log odds ratio, and beta read as r.

Every conversion rests on a model of what lies behind (two normal groups, a logistic latent variable); the result is
flagged with it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from replication.effects.effect_size import EffectSize, Flag
from replication.effects.inputs import numbers, refuse, rows_where
from replication.errors import UserError, list_rows

__all__ = ["beta_to_r", "d_to_log_odds", "d_to_r", "log_odds_to_d", "log_odds_to_r", "r_to_d", "r_to_log_odds"]


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
    r = np.where(np.isnan(beta), np.nan, 0.98 * beta + 0.05 * (beta >= 0))
    refuse(np.abs(r) > 1, "beta is so large that no correlation corresponds to it")
    flags = [Flag("beta-as-r", "a standardised regression coefficient read as a correlation (Peterson & Brown 2005)")]
    beyond = rows_where(np.abs(beta) > 0.5)
    if beyond:
        flags.append(Flag("beta-beyond-source", f"beta outside -.50 to .50 in {list_rows(beyond)}", beyond))
    return EffectSize(r, (1.0 - r**2) ** 2 / (n - 1.0), "r", tuple(flags))


def _expect(effect: EffectSize, *metrics: str) -> None:
    if effect.metric not in metrics:
        raise UserError(f"this converts {' or '.join(metrics)}, but the effect is a {effect.metric}; convert it first.")
