"""Tails and quantiles against scipy.stats, which has the same distributions with another interface."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from replication.models.probability import (
    NORMAL_95,
    chi2_cdf,
    chi2_sf,
    f_isf,
    f_sf,
    ncx2_cdf,
    normal_isf,
    sign_test,
    t_isf,
    t_ppf,
    t_sf,
    wilson_interval,
)

X = np.array([-40.0, -3.0, -1e-3, 0.0, 0.5, 2.0, 9.0, 60.0])
P = np.array([1e-300, 1e-12, 0.025, 0.5, 0.9, 0.975])


@pytest.mark.parametrize("df", [0.7, 1.0, 2.5, 30.0, 1e6, np.inf])
def test_t(df: float) -> None:
    assert t_sf(X, df) == pytest.approx(stats.t.sf(X, df), rel=1e-9, abs=1e-300)
    assert t_ppf(P[1:], df) == pytest.approx(stats.t.ppf(P[1:], df), rel=1e-9)
    assert t_isf(P[1:], df) == pytest.approx(stats.t.isf(P[1:], df), rel=1e-9)


def test_normal() -> None:
    assert normal_isf(P) == pytest.approx(stats.norm.isf(P), rel=1e-12)
    # Written as a number, so that a check loads no scipy.special: it must be the quantile to the last digit.
    assert NORMAL_95 == float(stats.norm.ppf(0.975)) == pytest.approx(float(normal_isf(0.025)), rel=1e-15)


@pytest.mark.parametrize("df", [1, 2, 17, 400])
def test_chi_square(df: int) -> None:
    x = np.array([0.0, 1e-4, 1.0, 20.0, 900.0])
    assert chi2_sf(x, df) == pytest.approx(stats.chi2.sf(x, df), rel=1e-10, abs=1e-300)
    assert chi2_cdf(x, df) == pytest.approx(stats.chi2.cdf(x, df), rel=1e-10)
    for noncentrality in (0.0, 1e-3, 4.0, 300.0):
        theirs = stats.ncx2.cdf(x[2:], df, noncentrality) if noncentrality else stats.chi2.cdf(x[2:], df)
        ours = [ncx2_cdf(float(value), df, noncentrality) for value in x[2:]]
        assert ours == pytest.approx(theirs, rel=1e-8, abs=1e-12)


@pytest.mark.parametrize(("first", "second"), [(1, 5.5), (3, 40), (12, 900)])
def test_f(first: float, second: float) -> None:
    x = np.array([0.1, 1.0, 4.0, 50.0])
    assert f_sf(x, first, second) == pytest.approx(stats.f.sf(x, first, second), rel=1e-9)
    for p in (1e-10, 0.001, 0.05, 0.9):
        assert float(f_sf(f_isf(p, first, second), first, second)) == pytest.approx(p, rel=1e-12)
    for p in (0.001, 0.05, 0.9):  # at 1e-10 the quantile of scipy.stats misses its own tail by 8e-8
        assert f_isf(p, first, second) == pytest.approx(stats.f.isf(p, first, second), rel=1e-10)


def test_a_statistic_just_below_zero_counts_as_zero_and_nan_stays_nan() -> None:
    assert float(chi2_sf(-1e-14, 3)) == float(f_sf(-1e-14, 2, 9)) == 1.0
    assert float(chi2_cdf(-1e-14, 3)) == ncx2_cdf(-1e-14, 3, 2.0) == 0.0
    assert np.isnan(chi2_sf(np.nan, 3))
    assert np.isnan(ncx2_cdf(np.nan, 3, 2.0))


@pytest.mark.parametrize("trials", [1, 2, 7, 10, 53])
def test_a_sign_test_and_its_interval(trials: int) -> None:
    for successes in range(trials + 1):
        theirs = stats.binomtest(successes, trials)
        assert sign_test(successes, trials) == pytest.approx(theirs.pvalue, rel=1e-12)
        interval = theirs.proportion_ci(method="wilson")
        assert wilson_interval(successes, trials) == pytest.approx((interval.low, interval.high), abs=1e-14)
