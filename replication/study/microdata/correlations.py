"""Correlations of survey data: plain, weighted, and the size a simple random sample would need to be as precise.

The standard error is the Taylor linearisation of the (weighted) correlation with schools as clusters: person i adds
`w_i (zx zy - r (zx^2 + zy^2) / 2)`, with z standardised by the weighted moments and weights summing to one; the
squared sums of G clusters, times G / (G - 1), are the variance. With m plausible values r is their mean, and the
variance is the mean of the m variances plus (1 + 1/m) times the variance of the m correlations (Rubin 1987).
n_effective is the n for which the large-sample variance (1 - r^2)^2 / (n - 1) is that variance, at most n.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from replication.effects.correlation import n_of_correlation_variance
from replication.models.fit import Array

__all__ = ["Correlated", "Groups", "concordance", "correlate", "kish_size"]

Groups = NDArray[np.intp]
"""Cluster numbers `(n,)`."""

_SMALLEST_N = 4
_PERFECT = 1e-12  # what is left of 1 - r^2 by rounding alone


@dataclass(frozen=True, slots=True)
class Correlated:
    """r, weighted r (NaN without weights), its standard error, n and n_effective (NaN where not defined).

    `note` says why r or n_effective is not defined; `unweighted` persons count for n and r, but have no weight above 0.
    """

    r: float
    r_weighted: float
    se: float
    n: int
    n_effective: float
    note: str = ""
    unweighted: int = 0


@dataclass(frozen=True, slots=True)
class _Estimate:
    r: float
    variance: float


def correlate(x: Array, y: Array, weights: Array | None = None, clusters: Groups | None = None) -> Correlated:
    """The correlation of two measures.

    Parameters
    ----------
    x, y : (n, 1), or (n, m) for plausible values; NaN is missing. Rows with both are used.
    weights : (n,) survey weights; None: none.
    clusters : (n,) cluster numbers, -1 is missing; None: every person for himself.

    Returns NaN for r with fewer than four complete rows or where a measure does not vary, and for n_effective where
    the standard error is not defined: one cluster, r of 1 or -1, no weights above 0.

    Source: Wolter (2007), Introduction to Variance Estimation, ch. 6; Rubin (1987), ch. 3.

    >>> x, y = np.array([[1.0], [2.0], [3.0], [4.0]]), np.array([[1.0], [3.0], [2.0], [4.0]])
    >>> round(correlate(x, y).r, 6)
    0.8
    """
    complete = np.isfinite(x).all(axis=1) & np.isfinite(y).all(axis=1)
    n = int(complete.sum())
    if n < _SMALLEST_N:
        return Correlated(
            np.nan, np.nan, np.nan, n, np.nan, f"{n} persons have both answers, and {_SMALLEST_N} are needed"
        )
    if not (_varies(x[complete]) and _varies(y[complete])):
        return Correlated(np.nan, np.nan, np.nan, n, np.nan, f"all {n} persons have the same answer to one of the two")
    plain = _design(x, y, complete.astype(float), clusters)
    designed = plain if weights is None else _design(x, y, np.where(complete, np.nan_to_num(weights), 0.0), clusters)
    note = _undefined(designed, clusters)
    n_effective = np.nan if note else min(float(n), float(n_of_correlation_variance(designed.r, designed.variance)))
    r_weighted = np.nan if weights is None else designed.r
    unweighted = 0 if weights is None else n - int((weights[complete] > 0).sum())
    return Correlated(plain.r, r_weighted, float(np.sqrt(designed.variance)), n, n_effective, note, unweighted)


def concordance(x: Array, y: Array, weights: Array | None = None) -> tuple[float, float]:
    """Of two random persons, the chance that the one with more of x has more of y too, and that they tie on either.

    What is left to one is the chance that the one with more of x has less of y. No distribution is assumed: skewed
    answers, and answers most persons share, are counted as they are (Kendall 1938; his tau is the first less the last).

    Parameters
    ----------
    x, y : (n,); NaN is missing. Persons with both, and with a weight above 0, are used.
    weights : (n,) survey weights; a pair counts with the product of its two.

    Returns NaN for both where fewer than two persons are left.

    >>> concordance(np.array([1.0, 2.0, 3.0, 4.0]), np.array([1.0, 1.0, 1.0, 2.0]))
    (0.5, 0.5)
    """
    w = np.ones(len(x)) if weights is None else np.nan_to_num(weights)
    used = np.isfinite(x) & np.isfinite(y) & (w > 0)
    x, y, w = x[used], y[used], w[used]
    pairs = (w.sum() ** 2 - w @ w) / 2.0
    if not pairs > 0:
        return np.nan, np.nan
    if len(np.unique(x)) > len(np.unique(y)):
        x, y = y, x  # the loop runs over the answers of the coarser measure
    level = np.unique(y, return_inverse=True)[1]
    more, less, seen = 0.0, 0.0, np.zeros(int(level.max()) + 1)
    for answer in np.unique(x):
        here = np.bincount(level[x == answer], weights=w[x == answer], minlength=len(seen))
        below = np.cumsum(seen) - seen
        more += float(here @ below)
        less += float(here @ (seen.sum() - below - seen))
        seen += here
    return float(more / pairs), float(1.0 - (more + less) / pairs)


def kish_size(weights: Array) -> float:
    """Kish's effective size `(sum w)^2 / sum w^2`: the precision unequal weights leave (Kish 1965).

    >>> kish_size(np.array([1.0, 1.0, 2.0]))
    2.6666666666666665
    """
    return float(weights.sum() ** 2 / (weights**2).sum()) if (weights > 0).any() else float("nan")


def _undefined(designed: _Estimate, clusters: Groups | None) -> str:
    """Why the standard error, and with it n_effective, is not defined; "" where it is."""
    if not np.isfinite(designed.r):
        return f"fewer than {_SMALLEST_N} different persons with a weight above 0"
    if 1.0 - designed.r**2 < _PERFECT:
        return "a correlation of 1 or -1 has no standard error"
    if not designed.variance > 0:
        return "everybody is in one cluster" if clusters is not None else "the standard error is not defined"
    return ""


def _design(x: Array, y: Array, weights: Array, clusters: Groups | None) -> _Estimate:
    """The weighted correlation and its variance, over the rows with a positive weight."""
    used = weights > 0
    if used.sum() < _SMALLEST_N or not (_varies(x[used]) and _varies(y[used])):
        return _Estimate(np.nan, np.nan)
    w = weights[used] / weights[used].sum()
    # Every person a cluster of one: the same formula then serves samples without schools.
    groups = np.arange(len(w)) if clusters is None else np.unique(clusters[used], return_inverse=True)[1]
    estimates = [_linearised(a, b, w, groups) for a in x[used].T for b in y[used].T]
    r = np.array([estimate.r for estimate in estimates])
    m = len(estimates)
    # Rubin's 1 / m: what a finite number of draws adds.
    between = (1.0 + 1.0 / m) * float(r.var(ddof=1)) if m > 1 else 0.0
    within = float(np.mean([estimate.variance for estimate in estimates]))
    return _Estimate(float(r.mean()), within + between)


def _linearised(x: Array, y: Array, w: Array, groups: Groups) -> _Estimate:
    zx, zy = _standardised(x, w), _standardised(y, w)
    r = float(w @ (zx * zy))
    sums = np.bincount(groups, weights=w * (zx * zy - 0.5 * r * (zx**2 + zy**2)))
    g = len(sums)
    return _Estimate(r, float(sums @ sums) * g / (g - 1) if g > 1 else np.nan)


def _standardised(x: Array, w: Array) -> Array:
    centred = x - w @ x
    result: Array = centred / np.sqrt(w @ centred**2)
    return result


def _varies(columns: Array) -> bool:
    return bool((np.ptp(columns, axis=0) > 0).all())
