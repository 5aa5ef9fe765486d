"""Intervals for tau2: Q-profile (exact under normality), profile likelihood, and Wald."""

from __future__ import annotations

import numpy as np
from scipy import special

from replication.models.fit import Interval
from replication.models.tau2 import solve_q
from replication.models.weighted import EffectSets, rss, weighted_at

__all__ = ["q_profile"]


def q_profile(sets: EffectSets, level: float) -> Interval:
    """The tau2 at which `y'Py` equals the upper and the lower chi-square quantile (Viechtbauer 2007)."""
    df = float((sets.k - sets.p)[0, 0])
    tail = 0.5 * (1.0 - level)
    quantiles = np.array([[special.chdtri(df, tail), special.chdtri(df, 1.0 - tail)]])
    low, high = solve_q(sets, quantiles).value[0]
    if high == 0.0 and float(rss(weighted_at(sets, np.zeros((1, 1))))[0, 0]) < quantiles[0, 1]:
        return Interval(
            float("nan"), float("nan"), level, "qprofile", "empty: Q lies below its lower quantile at tau2 = 0"
        )
    return Interval(float(low), float(high), level, "qprofile")
