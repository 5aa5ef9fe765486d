"""The correlation of two measures of a survey, with the variance its sampling design gives Fisher's z.

The weighted r is the main figure wherever there are weights, and `n_effective` is 1 / Var(z) + 3: whoever pools z with
1 / (n_effective - 3) pools with the survey's own variance. It exceeds n where strata are worth something; schools alone
cannot make a sample more precise than a simple one, so without strata or replicates it is at most n. With m
plausible values r is their mean, as the manuals ask, and the variance is taken on z: the mean sampling variance plus
(1 + 1/m) times the variance of the m values of z (Rubin 1987), with the degrees of freedom of Barnard & Rubin (1999).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from replication.effects.correlation import n_of_fisher_z_variance, to_fisher_z
from replication.models.fit import Array
from replication.study.microdata.design import SurveyDesign, taylor_variance

__all__ = ["Combined", "DesignCorrelation", "combine_plausible", "correlate_by_design", "too_little"]

_SMALLEST_N = 4
_PERFECT = 1e-12  # what is left of 1 - r^2 by rounding alone


@dataclass(frozen=True, slots=True)
class Combined:
    """An estimate over plausible values with its total variance and degrees of freedom."""

    estimate: float
    variance: float
    df: float


@dataclass(frozen=True, slots=True)
class DesignCorrelation:
    """r, weighted r (NaN without weights), persons with both answers, and what the design makes of their number.

    `n_effective` with its `df` belongs to the weighted r where there is one, else to r; `n_effective_unweighted` to
    the plain r beside a weighted one. `note` says why r or n_effective is not defined; `unweighted` persons count for
    n and r, but have no weight above 0.
    """

    r: float
    r_weighted: float
    n: int
    n_effective: float
    df: float
    n_effective_unweighted: float
    note: str = ""
    unweighted: int = 0


def correlate_by_design(
    x: Array, y: Array, design: SurveyDesign, among: NDArray[np.bool_] | None = None, *, by_index: bool = False
) -> DesignCorrelation:
    """The correlation of two measures with the variance the survey's design gives it.

    Parameters
    ----------
    x, y : (n, 1), or (n, m) for plausible values; NaN is missing. Persons with both are used.
    design : of all n persons, so that those without an answer keep their place in it.
    among : (n,) the persons of the part that is asked about; None: all.
    by_index : plausible values of x and y were drawn together and go by their index; else each of x with each of y.

    Returns NaN for r with fewer than four complete persons or where a measure does not vary, and for n_effective where
    the variance is not defined: one school, r of 1 or -1, no weights above 0.

    >>> x, y = np.array([[1.0], [2.0], [3.0], [4.0]]), np.array([[1.0], [3.0], [2.0], [4.0]])
    >>> round(correlate_by_design(x, y, SurveyDesign()).r, 6)
    0.8
    """
    complete: NDArray[np.bool_] = np.asarray(np.isfinite(np.hstack([x, y])).all(axis=1))
    if among is not None:
        complete = complete & among
    n = int(complete.sum())
    reason = too_little(x[complete], y[complete])
    if reason:
        return DesignCorrelation(np.nan, np.nan, n, np.nan, np.nan, np.nan, reason)
    x, y = _paired(x, y, by_index=by_index)
    # Replicate weights are multiples of the weights and mean nothing for the unweighted r.
    plain = SurveyDesign(None, design.clusters, design.strata, df=design.df)
    r, beside, note = _combined(x, y, complete, plain)
    if design.weights is None:
        return DesignCorrelation(r, np.nan, n, _effective(beside, plain, n), beside.df, np.nan, note)
    weighted = complete & (design.weights > 0)
    without = n - int(weighted.sum())
    if too_little(x[weighted], y[weighted]):
        note = f"fewer than {_SMALLEST_N} different persons with a weight above 0"
        return DesignCorrelation(r, np.nan, n, np.nan, np.nan, _effective(beside, plain, n), note, without)
    r_weighted, main, note = _combined(x, y, weighted, design)
    effective, plainly = _effective(main, design, n), _effective(beside, plain, n)
    return DesignCorrelation(r, r_weighted, n, effective, main.df, plainly, note, without)


def combine_plausible(estimates: Array, variances: Array, df: float) -> Combined:
    """One estimate from m plausible values, by Rubin's rules.

    Parameters
    ----------
    estimates, variances : (m,) one a plausible value
    df : degrees of freedom of the variances, those of the design

    Source: Rubin (1987), ch. 3; Barnard & Rubin (1999).

    >>> combined = combine_plausible(np.array([0.1, 0.3]), np.array([0.01, 0.03]), 74.0)
    >>> round(combined.estimate, 6), round(combined.variance, 6), round(combined.df, 6)
    (0.2, 0.05, 2.533668)
    """
    m = len(estimates)
    within = float(variances.mean())
    if m == 1:
        return Combined(float(estimates[0]), within, df)
    between = (1.0 + 1.0 / m) * float(estimates.var(ddof=1))
    total = within + between
    share = between / total if total > 0 else 0.0
    imputed = (m - 1) / share**2 if share > 0 else np.inf
    # Barnard & Rubin (1999): Rubin's own df can exceed those of the design.
    sampled = (df + 1.0) / (df + 3.0) * df * (1.0 - share) if np.isfinite(df) else np.inf
    inverse = (1.0 / imputed) + (1.0 / sampled if sampled > 0 else np.inf)
    return Combined(float(estimates.mean()), total, 1.0 / inverse if inverse > 0 else np.inf)


def too_little(x: Array, y: Array) -> str:
    """Why the complete persons give no correlation; "" where they do."""
    n = len(x)
    if n < _SMALLEST_N:
        return f"{n} persons have both answers, and {_SMALLEST_N} are needed"
    if not all((np.ptp(columns, axis=0) > 0).all() for columns in (x, y)):
        return f"all {n} persons have the same answer to one of the two"
    return ""


def _combined(x: Array, y: Array, used: NDArray[np.bool_], design: SurveyDesign) -> tuple[float, Combined, str]:
    """r, z over plausible values under one design, and why z has no variance."""
    w = used.astype(float) if design.weights is None else np.where(used, design.weights, 0.0)
    r, scores = _linearised(x, y, used, w)
    if (1.0 - r**2 < _PERFECT).any():
        return float(r.mean()), Combined(np.nan, np.nan, np.nan), "a correlation of 1 or -1 has no standard error"
    z = to_fisher_z(r)
    if design.replicates is None:
        variances = taylor_variance(scores, design)
    else:
        apart = _replicated(x[used], y[used], design.replicates[used]) - z
        variances = design.factor * (apart**2).sum(axis=0)
    note = ""
    if not (np.isfinite(variances) & (variances > 0)).all():
        one = design.clusters is not None and len(np.unique(design.clusters[w > 0])) == 1
        note = "everybody is in one cluster" if one else "the standard error is not defined"
        return float(r.mean()), Combined(float(z.mean()), np.nan, np.nan), note
    return float(r.mean()), combine_plausible(z, variances, design.df), note


def _effective(combined: Combined, design: SurveyDesign, n: int) -> float:
    effective = float(n_of_fisher_z_variance(combined.variance))
    gains = design.replicates is not None or design.strata is not None
    return effective if gains or np.isnan(effective) else min(effective, float(n))


def _paired(x: Array, y: Array, *, by_index: bool) -> tuple[Array, Array]:
    """Both sides with one column per pair `(n, m)`."""
    if by_index and x.shape[1] == y.shape[1]:
        return x, y
    return np.repeat(x, y.shape[1], axis=1), np.tile(y, (1, x.shape[1]))


def _linearised(x: Array, y: Array, used: NDArray[np.bool_], w: Array) -> tuple[Array, Array]:
    """r `(m,)` and what each person adds to z `(n, m)`: the score of r over 1 - r^2, 0 for who is not used."""
    share = (w[used] / w.sum())[:, None]
    zx, zy = _standardised(x[used], share), _standardised(y[used], share)
    r = (share * zx * zy).sum(axis=0)
    scores = np.zeros(x.shape)
    with np.errstate(divide="ignore", invalid="ignore"):  # a perfect r has no score, and is told apart above
        scores[used] = share * (zx * zy - 0.5 * r * (zx**2 + zy**2)) / (1.0 - r**2)
    return r, scores


def _standardised(x: Array, share: Array) -> Array:
    centred = x - (share * x).sum(axis=0)
    return np.asarray(centred / np.sqrt((share * centred**2).sum(axis=0)))


def _replicated(x: Array, y: Array, weights: Array) -> Array:
    """Fisher z under every replicate `(R, m)`, by moments: one product of matrices, not R passes over the persons."""
    x, y = (a - a.mean(axis=0) for a in (x, y))  # moments about a far-off zero would lose digits
    total = weights.sum(axis=0)[:, None]
    m = x.shape[1]
    moments = weights.T @ np.hstack([x, y, x * x, y * y, x * y]) / total
    mx, my, xx, yy, xy = (moments[:, i * m : (i + 1) * m] for i in range(5))
    with np.errstate(divide="ignore", invalid="ignore"):  # a replicate without spread is NaN and said so above
        return to_fisher_z((xy - mx * my) / np.sqrt((xx - mx**2) * (yy - my**2)))
