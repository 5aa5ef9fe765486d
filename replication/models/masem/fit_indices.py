"""How well a model of correlations fits: chi-square and the indices made of it.

The formulas are those metaSEM and OpenMx print; where the two differ (the divisor of RMSEA, the level of its interval)
the caller says which. metaSEM labels its RMSEA interval "95%", but its ends are the 5 % and 95 % points: here it is
called what it is, a 90 % interval.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import optimize

from replication.models.fit import Array, Interval
from replication.models.probability import chi2_cdf, chi2_sf, ncx2_cdf

__all__ = [
    "ChiSquareTest",
    "FitIndices",
    "Misfit",
    "Rmsea",
    "cfi",
    "chi_square_test",
    "fit_indices",
    "rmsea",
    "srmr",
    "tli",
]


@dataclass(frozen=True, slots=True)
class Rmsea:
    """How RMSEA is counted: `divisor` of its estimate, `interval_divisor`, number of `groups`, `level`."""

    divisor: float
    interval_divisor: float
    groups: int = 1
    level: float = 0.90


@dataclass(frozen=True, slots=True)
class FitIndices:
    """Chi-square of the model and of the baseline (all correlations 0) and what follows from them.

    NaN stands for an index that is not defined, as with no degrees of freedom left.
    """

    n: float
    chi2: float
    df: int
    p: float
    baseline_chi2: float
    baseline_df: int
    rmsea: float
    rmsea_interval: Interval
    srmr: float
    cfi: float
    tli: float
    aic: float
    bic: float


@dataclass(frozen=True, slots=True)
class ChiSquareTest:
    """A chi-square, or a difference of two, with its degrees of freedom and p."""

    chi2: float
    df: int
    p: float


def chi_square_test(chi2: float, df: int) -> ChiSquareTest:
    """A chi-square with its p; one that rounding left below 0 counts as 0.

    >>> round(chi_square_test(10.153, 3).p, 3)
    0.017
    """
    return ChiSquareTest(chi2, df, float(chi2_sf(max(chi2, 0.0), df)))


def rmsea(chi2: float, df: int, how: Rmsea) -> tuple[float, Interval]:
    """Root mean square error of approximation with its interval from the noncentral chi-square distribution.

    Source: Steiger (1998), equation 24, for several groups.

    >>> round(rmsea(10.7692, 2, Rmsea(29437, 29437))[0], 5)
    0.0122
    """
    method = "noncentral chi-square"
    # A saturated model fits perfectly by construction: there is no error per degree of freedom to speak of.
    if df == 0:
        return 0.0, Interval(0.0, 0.0, how.level, method, "no degrees of freedom")
    factor = np.sqrt(how.groups)
    tail = (1.0 - how.level) / 2.0
    low, high = (_noncentrality(chi2, df, target) for target in (1.0 - tail, tail))
    ends = [float(factor * np.sqrt(end / how.interval_divisor / df)) for end in (low, high)]
    return float(factor * np.sqrt(max((chi2 - df) / how.divisor, 0.0) / df)), Interval(
        ends[0], ends[1], how.level, method
    )


def _noncentrality(chi2: float, df: int, target: float) -> float:
    """The noncentrality at which `chi2` is the `target` point of its distribution; 0 where it lies below that."""
    # Even the central distribution has chi2 below this point: more noncentrality only moves it further off.
    if not np.isfinite(chi2) or chi2_cdf(chi2, df) < target:
        return 0.0 if np.isfinite(chi2) else float("nan")

    def excess(noncentrality: float) -> float:
        return ncx2_cdf(chi2, df, noncentrality) - target

    high = max(chi2, 1.0)
    while excess(high) > 0:
        high *= 2.0
    return float(optimize.brentq(excess, 0.0, high, xtol=1e-12 * high, rtol=1e-14))


def cfi(chi2: float, df: int, baseline_chi2: float, baseline_df: int) -> float:
    """Comparative fit index.

    >>> round(cfi(10.7692, 2, 287.5058, 6), 4)
    0.9688
    """
    # Including the model's own misfit keeps the index within [0, 1].
    worst = max(chi2 - df, baseline_chi2 - baseline_df, 0.0)
    return 1.0 - max(chi2 - df, 0.0) / worst if worst > 0 else 1.0


def tli(chi2: float, df: int, baseline_chi2: float, baseline_df: int) -> float:
    """Tucker-Lewis index; NaN with no degrees of freedom.

    >>> round(tli(10.7692, 2, 287.5058, 6), 4)
    0.9065
    """
    if df == 0 or baseline_df in {0, baseline_chi2}:
        return float("nan")
    return (baseline_chi2 / baseline_df - chi2 / df) / (baseline_chi2 / baseline_df - 1.0)


def srmr(observed: Array, implied: Array) -> float:
    """Root mean square difference between two vectors of correlations `(p,)`."""
    return float(np.sqrt(np.mean((observed - implied) ** 2))) if len(observed) else float("nan")


@dataclass(frozen=True, slots=True)
class Misfit:
    """What the indices are made of: chi-square of the model and of the baseline with their df, n, SRMR."""

    n: float
    chi2: float
    df: int
    baseline_chi2: float
    baseline_df: int
    srmr: float


def fit_indices(misfit: Misfit, how: Rmsea) -> FitIndices:
    """All indices; AIC and BIC are `chi2 - 2 df` and `chi2 - log(n) df`."""
    n, chi2, df = misfit.n, misfit.chi2, misfit.df
    baseline_chi2, baseline_df = misfit.baseline_chi2, misfit.baseline_df
    estimate, interval = rmsea(chi2, df, how)
    return FitIndices(
        n=n,
        chi2=chi2,
        df=df,
        p=float(chi2_sf(chi2, df)) if df > 0 else float("nan"),
        baseline_chi2=baseline_chi2,
        baseline_df=baseline_df,
        rmsea=estimate,
        rmsea_interval=interval,
        srmr=misfit.srmr,
        cfi=cfi(chi2, df, baseline_chi2, baseline_df),
        tli=tli(chi2, df, baseline_chi2, baseline_df),
        # Least squares has no likelihood: these count from the saturated model, and only differences mean anything.
        aic=chi2 - 2.0 * df,
        bic=chi2 - float(np.log(n)) * df,
    )
