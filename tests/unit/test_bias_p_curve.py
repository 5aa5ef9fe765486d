"""P-curve: each pp by integration, the collapse cases of its tests, and results that cannot be."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import integrate, optimize, stats

from replication.errors import ModelError
from replication.models.bias import p_curve

Z = np.array([2.1, 2.4, 3.0, 2.05, 4.1, 2.3, 1.2])
CRITICAL = stats.norm.isf(0.025)
HALF = stats.norm.isf(0.0125)


def two_sided_tail(z: float, delta: float) -> float:
    """P(|Z| > z) for Z ~ N(delta, 1), by integration of the density of |Z|."""
    return float(
        integrate.quad(lambda t: stats.norm.pdf(t - delta) + stats.norm.pdf(t + delta), z, z + 40, epsabs=1e-14)[0]
    )


def stouffer(z: np.ndarray, delta: float, critical: float) -> float:
    pp = [two_sided_tail(x, delta) / two_sided_tail(critical, delta) for x in z if x > critical]
    return float(stats.norm.ppf(pp).sum() / np.sqrt(len(pp)))


def delta_of(power: float) -> float:
    """Two-sided 5 % power solved for the noncentrality."""

    def gap(delta: float) -> float:
        return float(stats.norm.sf(CRITICAL - delta) + stats.norm.cdf(-CRITICAL - delta) - power)

    return float(optimize.brentq(gap, 0.0, 10.0, xtol=1e-12))


def test_right_skew_by_hand() -> None:
    """Under no power p is uniform below .05, so pp = p / .05."""
    p = 2 * stats.norm.sf(Z)
    test = p_curve(Z * 0.2, np.full(7, 0.04)).right_skew
    full, half = stats.norm.ppf(p[p < 0.05] / 0.05), stats.norm.ppf(p[p < 0.025] / 0.025)
    assert test.z == pytest.approx(full.sum() / np.sqrt(len(full)))
    assert test.half_z == pytest.approx(half.sum() / np.sqrt(len(half)))
    assert (test.p, test.half_p) == pytest.approx((stats.norm.cdf(test.z), stats.norm.cdf(test.half_z)))
    assert test.binomial_p == pytest.approx(stats.binomtest(len(half), len(full), 0.5, alternative="greater").pvalue)


def test_flatness_by_integration() -> None:
    delta = delta_of(1 / 3)
    test = p_curve(Z * 0.2, np.full(7, 0.04)).flatness
    assert test.z == pytest.approx(stouffer(Z, delta, CRITICAL), rel=1e-8)
    assert test.half_z == pytest.approx(stouffer(Z, delta, HALF), rel=1e-8)
    assert test.p == pytest.approx(stats.norm.sf(test.z))
    share = two_sided_tail(HALF, delta) / two_sided_tail(CRITICAL, delta)
    assert test.binomial_p == pytest.approx(stats.binom.cdf((Z > HALF).sum(), (Z > CRITICAL).sum(), share), rel=1e-8)


def test_power_is_where_the_sum_is_zero() -> None:
    curve = p_curve(Z * 0.2, np.full(7, 0.04))
    assert stouffer(Z, delta_of(curve.power), CRITICAL) == pytest.approx(0.0, abs=1e-7)
    low, high = curve.power_interval.low, curve.power_interval.high
    assert 0.05 <= low < curve.power < high < 0.99
    assert stouffer(Z, delta_of(high), CRITICAL) == pytest.approx(stats.norm.isf(0.05), abs=1e-7)


def test_strong_effects_have_evidential_value_and_weak_ones_are_flat() -> None:
    strong = p_curve(np.full(8, 1.0), np.full(8, 0.05))
    assert (strong.evidential_value, strong.inadequate) == (True, False)
    flat = p_curve(np.linspace(1.97, 2.1, 8), np.ones(8))
    assert (flat.evidential_value, flat.inadequate, flat.power) == (False, True, 0.05)
    assert "cut at the range" in flat.power_interval.reason


def test_enormous_z_keep_their_digits() -> None:
    """p of 1e-350 has no double; its pp quantile is still about -z."""
    z = p_curve([40.0], [1.0]).right_skew.z
    assert stats.norm.logcdf(z) == pytest.approx(np.log(2 / 0.05) + stats.norm.logsf(40.0), rel=1e-12)
    assert p_curve([40.0], [1.0], cut=2.2e-16).right_skew.z == pytest.approx(stats.norm.ppf(2.2e-16))
    assert p_curve([40.0], [1.0]).power == 0.99


def test_results_just_below_the_threshold_keep_their_digits() -> None:
    z = CRITICAL * (1 + 1e-9)
    assert 4.0 < p_curve([z], [1.0]).right_skew.z < 7.0


def test_against_the_direction_is_left_out_and_named() -> None:
    y, v = np.array([0.5, -0.6, 0.7, 0.1]), np.full(4, 0.04)
    curve = p_curve(y, v, direction="positive")
    assert curve.significant == 2
    assert [note.rows for note in curve.notes] == [(1,)]
    assert curve.right_skew.z == pytest.approx(p_curve(y[[0, 2]], v[[0, 2]]).right_skew.z)
    assert p_curve(y, v).significant == 3


def test_without_significant_results_nothing_is_defined() -> None:
    curve = p_curve([0.1, 0.2], [0.04, 0.04])
    assert np.isnan([curve.power, curve.right_skew.z, curve.right_skew.p, curve.flatness.binomial_p]).all()
    assert (curve.evidential_value, curve.inadequate) == (False, False)
    assert [note.code for note in curve.notes] == ["undefined"]


def test_without_very_significant_results_the_half_curve_is_undefined() -> None:
    curve = p_curve([2.0, 2.1], [1.0, 1.0])
    assert np.isnan([curve.right_skew.half_z, curve.right_skew.half_p]).all()
    assert np.isfinite(curve.right_skew.z)


@pytest.mark.parametrize(
    ("change", "message"), [({"direction": "up"}, "'positive', 'negative'"), ({"level": 90}, "level=90")]
)
def test_bad_arguments_say_what_is_expected(change: dict[str, object], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        p_curve([1.0], [0.1], **change)  # type: ignore[arg-type]
