"""Adjustments of an effect size: unreliable measures, and samples drawn in clusters."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from replication.effects.effect_size import Array, EffectSize, Flag
from replication.effects.inputs import numbers, refuse, rows_where
from replication.errors import UserError, list_rows

__all__ = ["correct_attenuation", "design_effect", "effective_n", "inflate_for_clusters"]


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
    if effect.metric != "r" and (rx < 1).any():
        raise UserError("a group is known without error: pass reliability_y alone for d and g.")
    corrected = y / np.sqrt(rx * ry)
    flags = [Flag("corrected-for-reliability", "divided by the root of the reliabilities")]
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
