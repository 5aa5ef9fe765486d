"""The saturated path model of this literature: two relationships, engagement, achievement.

Achievement on engagement and both relationships, engagement on both relationships. With four variables and no path
left out, paths follow from correlations and correlations from paths.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np

from replication.models.box import JointSolution, box_range, joint_solution
from replication.models.fit import Array
from replication.printed import Printed

__all__ = [
    "PATHS",
    "correlation_ranges",
    "implied_correlations",
    "implied_third",
    "joint_paths",
    "path_ranges",
    "saturated_paths",
]

PATHS = (
    "pos_enga",
    "neg_enga",
    "enga_ach",
    "pos_ach",
    "neg_ach",
    "pos_indirect",
    "neg_indirect",
    "R2_enga",
    "R2_ach",
)


def saturated_paths(x: Array) -> Array:
    """Paths, indirect effects and explained variances, in the order of `PATHS`.

    Parameters
    ----------
    x : (6,) correlations pos-enga, neg-enga, pos-ach, neg-ach, enga-ach, pos-neg.

    >>> saturated_paths(np.array([0.35, -0.28, 0.17, -0.16, 0.28, -0.31]))[:2].round(3).tolist()
    [0.291, -0.19]
    """
    pe, ne, pa, na, ea, pn = x
    predictors = np.array([[1.0, pn, pe], [pn, 1.0, ne], [pe, ne, 1.0]])
    to_enga = np.linalg.solve(predictors[:2, :2], np.array([pe, ne]))
    to_ach = np.linalg.solve(predictors, np.array([pa, na, ea]))
    indirect = to_enga * to_ach[2]
    explained = (to_enga @ np.array([pe, ne]), to_ach @ np.array([pa, na, ea]))
    return np.array([*to_enga, to_ach[2], to_ach[0], to_ach[1], *indirect, *explained])


def implied_correlations(x: Array) -> Array:
    """Correlations pos-enga, neg-enga, pos-ach, neg-ach, enga-ach `(5,)` that the paths imply.

    Parameters
    ----------
    x : (6,) the first five of `PATHS` and the correlation pos-neg.
    """
    b_pe, b_ne, b_ea, b_pa, b_na, pn = x
    pe, ne = b_pe + b_ne * pn, b_ne + b_pe * pn
    return np.array([pe, ne, b_pa + b_na * pn + b_ea * pe, b_na + b_pa * pn + b_ea * ne, b_ea + b_pa * pe + b_na * ne])


def implied_third(r_pe: Printed, r_ne: Printed, b_pe: Printed, b_ne: Printed) -> tuple[float, float]:
    """The correlation of the two predictors that is not printed: where both equations of the mediator allow it.

    r_pe = b_pe + b_ne r and r_ne = b_ne + b_pe r, with every number in its rounding interval.
    """
    one = _quotient(r_pe.low - b_pe.high, r_pe.high - b_pe.low, b_ne)
    two = _quotient(r_ne.low - b_ne.high, r_ne.high - b_ne.low, b_pe)
    return max(one[0], two[0]), min(one[1], two[1])


def path_ranges(r: Sequence[Printed], third: tuple[float, float]) -> dict[str, tuple[float, float]]:
    """What five printed correlations and the interval of the sixth allow for each of `PATHS`."""
    low, high = _box(r, third)
    return {name: box_range(partial(_entry, saturated_paths, at), low, high) for at, name in enumerate(PATHS)}


def correlation_ranges(b: Sequence[Printed], third: tuple[float, float]) -> list[tuple[float, float]]:
    """What five printed paths and the interval of the predictors' correlation allow for the five correlations."""
    low, high = _box(b, third)
    return [box_range(partial(_entry, implied_correlations, at), low, high) for at in range(len(b))]


def joint_paths(r: Sequence[Printed], third: tuple[float, float], printed: Mapping[str, Printed]) -> JointSolution:
    """One set of correlations in their box that gives every printed result at once, or the nearest miss."""
    low, high = _box(r, third)
    at = [PATHS.index(name) for name in printed]
    scale = np.array([100.0 if p.percent else 1.0 for p in printed.values()])
    floor, ceiling = (np.array([getattr(p, end) for p in printed.values()]) for end in ("low", "high"))
    return joint_solution(lambda x: saturated_paths(x)[at] * scale, low, high, floor, ceiling)


def _entry(function: Callable[[Array], Array], at: int, x: Array) -> float:
    return float(function(x)[at])


def _box(printed: Sequence[Printed], third: tuple[float, float]) -> tuple[Array, Array]:
    low, high = (np.array([getattr(p, end) for p in printed]) for end in ("low", "high"))
    return np.append(low, third[0]), np.append(high, third[1])


def _quotient(low: float, high: float, by: Printed) -> tuple[float, float]:
    ends = [a / b for a in (low, high) for b in (by.low, by.high)]
    return min(ends), max(ends)
