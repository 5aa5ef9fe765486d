"""Exact posteriors where the answer is a formula: tau known, one effect, conjugate and limiting cases."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from scipy import stats

from replication.models.bayes.exact.exact import exact_three_level, exact_two_level
from replication.models.bayes.exact.summaries import density_curve, shortest_interval, summarize
from replication.models.bayes.priors import (
    Fixed,
    Flat,
    HalfCauchy,
    HalfNormal,
    HalfT,
    InverseGamma,
    Normal,
    PositivePrior,
    StudentT,
    Table,
    Uniform,
)

Y, V = np.array([0.3, 0.1, 0.6, 0.2]), np.array([0.01, 0.02, 0.01, 0.03])


@pytest.mark.parametrize("tau", [0.0, 0.2, 5.0])
def test_known_tau_is_the_conjugate_normal(tau: float) -> None:
    fit = exact_two_level(Y, V, tau=Fixed(tau), coefficients=Normal(0.5, 0.4))
    w = 1.0 / (V + tau**2)
    precision = w.sum() + 1.0 / 0.16
    mean = ((w * Y).sum() + 0.5 / 0.16) / precision
    marginal = fit.coefficient()
    assert marginal.mean == pytest.approx(mean, rel=1e-13)
    assert marginal.sd == pytest.approx(precision**-0.5, rel=1e-13)
    np.testing.assert_allclose(
        marginal.ppf([0.025, 0.8]), stats.norm.ppf([0.025, 0.8], mean, precision**-0.5), rtol=1e-9
    )
    covariance = np.diag(V + tau**2) + 0.16
    assert fit.log_marginal == pytest.approx(
        stats.multivariate_normal.logpdf(Y, np.full(4, 0.5), covariance), rel=1e-12
    )
    assert fit.sds == ()


def test_known_tau_is_the_common_effect_estimate_under_a_flat_prior() -> None:
    fit = exact_two_level(Y, V, tau=Fixed(0.0), coefficients=Flat())
    assert fit.coefficient().mean == pytest.approx((Y / V).sum() / (1.0 / V).sum(), rel=1e-13)
    assert fit.predict().sd == pytest.approx((1.0 / V).sum() ** -0.5, rel=1e-13)
    np.testing.assert_allclose(fit.effects().sd, (1.0 / V).sum() ** -0.5, rtol=1e-10)


@pytest.mark.parametrize(
    "tau", [HalfNormal(0.3), HalfCauchy(0.3), HalfT(0.3, df=0.05), InverseGamma(2.0, 0.1, on="tau2"), Uniform(0.1, 0.4)]
)
def test_one_effect_under_a_flat_prior_says_nothing_about_tau(tau: PositivePrior) -> None:
    fit = exact_two_level([0.3], [0.01], tau=tau, coefficients=Flat())
    p = [0.025, 0.5, 0.975]
    np.testing.assert_allclose(fit.sd().cdf(tau.ppf(p)), p, rtol=1e-6)
    assert float(fit.coefficient().ppf(0.5)) == pytest.approx(0.3)
    assert any(note.code == "prior-only" for note in fit.notes)


def test_one_effect_with_a_half_normal_prior_by_arithmetic() -> None:
    """mu | tau ~ N(y, v + tau^2), so Var(mu) = v + E tau^2 = v + scale^2."""
    fit = exact_two_level([0.3], [0.01], tau=HalfNormal(0.2), coefficients=Flat())
    assert fit.coefficient().sd == pytest.approx(np.sqrt(0.01 + 0.04), rel=1e-7)
    assert fit.predict().sd == pytest.approx(np.sqrt(0.01 + 0.04 + 0.04), rel=1e-7)


def test_two_effects_by_the_difference_they_show() -> None:
    """With a flat mean the data speak through d = y1 - y2 alone: d ~ N(0, v1 + v2 + 2 tau^2)."""
    fit = exact_two_level([0.3, 0.9], [0.01, 0.02], tau=Uniform(0.0, 1.0), coefficients=Flat(), rtol=1e-9)
    t = np.linspace(0.0, 1.0, 20001)
    density = stats.norm.pdf(0.6, 0.0, np.sqrt(0.03 + 2 * t**2))
    expected = (density[:10001].sum() - density[[0, 10000]].sum() / 2) / (density.sum() - density[[0, -1]].sum() / 2)
    assert float(fit.sd().cdf(0.5)) == pytest.approx(expected, rel=1e-7)


def test_wide_priors_approach_the_flat_ones() -> None:
    flat = exact_two_level(Y, V, tau=HalfNormal(0.3), coefficients=Flat())
    wide = exact_two_level(Y, V, tau=HalfNormal(0.3), coefficients=Normal(0.0, 1e6))
    assert wide.coefficient().mean == pytest.approx(flat.coefficient().mean, rel=1e-9)
    assert wide.sd().mean == pytest.approx(flat.sd().mean, rel=1e-7)


def test_a_sharp_prior_of_tau_is_a_known_tau() -> None:
    spike = Table((0.0, 0.2, 0.20001, 0.20002, 3.0), (0.0, 0.0, 1.0, 0.0, 0.0))
    fit = exact_two_level(Y, V, tau=spike, coefficients=Normal(0.0, 1.0))
    known = exact_two_level(Y, V, tau=Fixed(0.20001), coefficients=Normal(0.0, 1.0))
    assert fit.coefficient().sd == pytest.approx(known.coefficient().sd, rel=1e-8)
    assert fit.log_marginal == pytest.approx(known.log_marginal, abs=1e-8)


def test_a_table_of_the_half_normal_is_the_half_normal() -> None:
    x = np.linspace(0.0, 3.0, 3001)
    table = Table(tuple(x), tuple(HalfNormal(0.3).pdf(x)))
    fit = exact_two_level(Y, V, tau=table, coefficients=Normal(0.0, 1.0))
    exact = exact_two_level(Y, V, tau=HalfNormal(0.3), coefficients=Normal(0.0, 1.0))
    assert fit.sd().mean == pytest.approx(exact.sd().mean, rel=1e-5)


def test_three_levels_collapse_to_two() -> None:
    sample = ["a", "a", "b", "c"]
    two = exact_two_level(Y, V, tau=HalfNormal(0.3), coefficients=Normal(0.0, 1.0))
    no_between = exact_three_level(
        Y, V, sample, between=Fixed(0.0), within=HalfNormal(0.3), coefficients=Normal(0.0, 1.0)
    )
    assert no_between.log_marginal == pytest.approx(two.log_marginal, abs=1e-12)
    assert no_between.coefficient().sd == pytest.approx(two.coefficient().sd, rel=1e-12)
    own = exact_three_level(Y, V, range(4), between=HalfNormal(0.3), within=Fixed(0.0), coefficients=Normal(0.0, 1.0))
    assert own.log_marginal == pytest.approx(two.log_marginal, abs=1e-8)
    assert own.sd("between").mean == pytest.approx(two.sd().mean, rel=1e-8)


def test_a_t_prior_with_many_degrees_of_freedom_is_the_normal() -> None:
    sds = {"between": HalfNormal(0.3), "within": HalfNormal(0.2)}
    wide_t = exact_three_level(Y, V, ["a", "a", "b", "c"], **sds, coefficients=StudentT(0.1, 0.5, df=1e7))
    normal = exact_three_level(Y, V, ["a", "a", "b", "c"], **sds, coefficients=Normal(0.1, 0.5))
    assert wide_t.accuracy.reached
    assert wide_t.log_marginal == pytest.approx(normal.log_marginal, abs=1e-6)
    assert wide_t.coefficient().sd == pytest.approx(normal.coefficient().sd, rel=1e-6)
    assert wide_t.sd("between").mean == pytest.approx(normal.sd("between").mean, rel=1e-6)


def test_shortest_interval_of_a_falling_density_starts_at_its_end() -> None:
    fit = exact_two_level([0.3, 0.31], [0.01, 0.01], tau=HalfNormal(0.3), coefficients=Flat())
    interval = shortest_interval(fit.sd(), 0.9)
    assert interval.low == 0.0
    assert float(fit.sd().cdf(interval.high)) == pytest.approx(0.9, abs=1e-9)
    assert summarize(fit.sd(), "tau").mode == 0.0


def test_shortest_interval_has_equal_heights_and_is_shorter() -> None:
    fit = exact_two_level(Y, V, tau=HalfNormal(0.3), coefficients=Normal(0.0, 1.0))
    for marginal in (fit.coefficient(), fit.predict()):
        s = summarize(marginal, "", 0.9)
        ends = np.array([s.shortest.low, s.shortest.high])
        low, high = marginal.pdf(ends)
        assert low == pytest.approx(high, rel=1e-6)
        assert float(np.diff(marginal.cdf(ends))[0]) == pytest.approx(0.9, abs=1e-9)
        assert s.shortest.high - s.shortest.low <= s.central.high - s.central.low
        assert float(marginal.slope(s.mode)) == pytest.approx(0.0, abs=1e-6 * float(marginal.pdf(s.mode)))


def test_shortest_interval_of_two_peaks_is_the_shortest_there_is() -> None:
    """A prior far from the data makes two peaks; every other interval of the same probability is longer."""
    fit = exact_two_level([3.0], [0.01], tau=HalfCauchy(0.5), coefficients=Normal(0.0, 0.5))
    marginal = fit.coefficient()
    s = summarize(marginal, "", 0.8)
    p = np.linspace(1e-6, 0.2 - 1e-6, 4001)
    assert s.shortest.high - s.shortest.low <= (marginal.ppf(p + 0.8) - marginal.ppf(p)).min() * (1 + 1e-6)


def test_curves_hold_nearly_all_of_the_area() -> None:
    fit = exact_two_level(Y, V, tau=HalfNormal(0.3), coefficients=Normal(0.0, 1.0))
    for marginal in (fit.sd(), fit.coefficient()):
        curve = density_curve(marginal, 401)
        assert np.trapezoid(curve.density, curve.x) == pytest.approx(1.0, abs=2e-3)
    assert density_curve(fit.sd()).x[0] == 0.0


def test_probability_above_and_the_average_at_a_moderator() -> None:
    x = np.column_stack([np.ones(4), [0.0, 0.0, 1.0, 1.0]])
    fit = exact_two_level(Y, V, x, tau=HalfNormal(0.3), coefficients=Normal(0.0, 1.0), names=["mean", "slope"])
    assert float(fit.probability_above(0.1, "mean")) == pytest.approx(float(fit.coefficient("mean").sf(0.1)))
    assert fit.average([1.0, 0.0]).sd == pytest.approx(fit.coefficient("mean").sd, rel=1e-12)
    both = fit.average([1.0, 1.0])
    assert both.mean == pytest.approx(fit.coefficient("mean").mean + fit.coefficient("slope").mean, rel=1e-12)
    assert fit.predict([1.0, 1.0]).sd > both.sd


def test_the_summary_is_plain_data() -> None:
    fit = exact_two_level(Y, V, tau=HalfCauchy(0.3), coefficients=Normal(0.0, 1.0))
    plain = json.loads(json.dumps(dataclasses.asdict(fit.summary())))
    assert [q["name"] for q in plain["quantities"]] == ["tau", "intercept"]
    assert plain["prediction"]["name"] == "prediction"
    assert plain["priors"]["tau"]["distribution"] == "half-Cauchy"
    assert plain["accuracy"]["error"] <= 1e-6
    assert [b["restriction"] for b in plain["bayes_factors"]] == ["intercept = 0", "tau = 0"]
