"""Begg & Mazumdar's rank test: are standardised effects correlated with their variances?

Source: Begg & Mazumdar (1994, Biometrics 50:1088). Effects are centred at the common-effect mean and divided by the
standard error of that difference; Kendall's tau with the variances is the statistic.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from replication.models.bias.inputs import bias_data
from replication.models.fit import Array, Note

__all__ = ["RankTest", "rank_test"]


@dataclass(frozen=True, slots=True)
class RankTest:
    """Kendall's `tau` with its two-sided `p`, exact without ties and normal (tie-corrected) with them."""

    tau: float
    p: float
    exact: bool
    k: int
    notes: tuple[Note, ...]


def rank_test(y: ArrayLike, v: ArrayLike) -> RankTest:
    """Test funnel-plot asymmetry by Kendall's rank correlation of standardised effects and variances.

    `y, v (k,)` effects and sampling variances. The p value is exact where neither has ties; else it is the normal
    approximation with the variance corrected for ties and no continuity correction. Where all variances (or all
    standardised effects) are equal, tau and p are NaN with a note.

    Raises `ModelError` for fewer than two effects or a sampling variance of 0.

    >>> test = rank_test([0.1, 0.3, 0.8, 0.5], [0.01, 0.02, 0.04, 0.09])
    >>> round(test.tau, 6), round(test.p, 6), test.exact
    (0.666667, 0.333333, True)
    """
    data = bias_data(y, v, fewest=2, method="the rank test")
    standardised = _standardise(data.y, data.v)
    ties = {name: _tied(values) for name, values in (("effects", standardised), ("variances", data.v))}
    constant = [name for name, values in (("effects", standardised), ("variances", data.v)) if np.ptp(values) == 0]
    if constant:
        message = f"all {' and '.join(constant)} are equal: there are no ranks to correlate, so tau is NaN."
        return RankTest(float("nan"), float("nan"), False, data.k, (*data.notes, Note("undefined", message)))
    exact = not any(ties.values())
    from scipy import stats

    result = stats.kendalltau(standardised, data.v, method="exact" if exact else "asymptotic")
    return RankTest(float(result.statistic), float(result.pvalue), exact, data.k, data.notes + _tie_notes(ties))


def _standardise(y: Array, v: Array) -> Array:
    """Centre at the common-effect mean and divide by the standard error of the difference, `v_i - 1 / sum(1 / v)`."""
    w = 1.0 / v
    mean = w @ y / w.sum()
    return np.asarray((y - mean) / np.sqrt(v - 1.0 / w.sum()))


def _tied(values: Array) -> bool:
    return len(np.unique(values)) < len(values)


def _tie_notes(ties: dict[str, bool]) -> tuple[Note, ...]:
    tied = [name for name, has in ties.items() if has]
    if not tied:
        return ()
    return (Note("ties", f"ties among the {' and the '.join(tied)}: p is the tie-corrected normal approximation."),)
