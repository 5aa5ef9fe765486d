"""Every proper prior is a distribution: its density integrates to its tails, its quantiles invert them."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import integrate, stats

from replication.errors import ModelError
from replication.models.bayes.priors import (
    Beta,
    Cauchy,
    CoefficientPrior,
    Exponential,
    Fixed,
    Flat,
    HalfCauchy,
    HalfNormal,
    HalfT,
    InverseGamma,
    LogNormal,
    Normal,
    PositivePrior,
    Power,
    StudentT,
    Table,
    Uniform,
)

POSITIVE: list[PositivePrior] = [
    HalfNormal(0.3),
    HalfNormal(0.3, on="tau2"),
    HalfCauchy(25.0),
    HalfT(1e-3, df=4.0),
    HalfT(2.0, df=0.7),
    Exponential(0.4),
    Exponential(0.4, on="tau2"),
    Uniform(0.0, 0.5),
    Uniform(0.1, 0.5, on="tau2"),
    InverseGamma(1.0, 0.15, on="tau"),
    InverseGamma(0.01, 0.01, on="tau2"),
    LogNormal(-2.0, 1.5, on="tau2"),
    LogNormal(3.0, 0.2, on="tau"),
    Table((0.0, 0.1, 0.4, 2.0), (1.0, 3.0, 0.0, 0.5)),
    Table((0.1, 0.2), (0.0, 5.0), on="tau2"),
    Beta(2.0, 1.0),
    Beta(0.7, 3.0),
]
COEFFICIENT: list[CoefficientPrior] = [Normal(0.2, 3.0), StudentT(-1.0, 0.5, df=3.0), Cauchy(0.0, 1e3)]
P = np.array([0.001, 0.05, 0.3, 0.5, 0.8, 0.99])


@pytest.mark.parametrize("prior", POSITIVE, ids=str)
def test_quantiles_invert_both_tails(prior: PositivePrior) -> None:
    q = prior.ppf(P)
    np.testing.assert_allclose(prior.cdf(q), P, rtol=1e-9)
    np.testing.assert_allclose(prior.sf(q), 1.0 - P, rtol=1e-9)


@pytest.mark.parametrize("prior", POSITIVE, ids=str)
def test_upper_quantiles_keep_their_digits(prior: PositivePrior) -> None:
    """Where a prior has no end, a tail of 1e-30 has a quantile of its own; 1 - 1e-30 is 1."""
    np.testing.assert_allclose(prior.isf(P), prior.ppf(1.0 - P), rtol=1e-9)
    # the quantile of a tail that falls as q^-0.01 is beyond all numbers
    if prior.support()[1] == np.inf and np.isfinite(prior.isf(1e-30)):
        np.testing.assert_allclose(prior.sf(prior.isf(1e-30)), 1e-30, rtol=1e-6)


@pytest.mark.parametrize("prior", POSITIVE, ids=str)
def test_density_integrates_to_the_probability(prior: PositivePrior) -> None:
    edges = np.unique(np.concatenate([prior.ppf(np.linspace(0.05, 0.95, 19)), prior.knots()]))
    edges = edges[(edges >= prior.ppf(0.05)) & (edges <= prior.ppf(0.95))]
    steps = itertools.pairwise(np.log(edges))
    area = sum(integrate.quad(lambda t: prior.pdf(np.exp(t)) * np.exp(t), a, b, epsabs=0)[0] for a, b in steps)
    assert area == pytest.approx(0.9, rel=1e-8)


@pytest.mark.parametrize("prior", COEFFICIENT, ids=str)
def test_coefficient_priors_agree_with_themselves(prior: CoefficientPrior) -> None:
    q = prior.ppf(P)
    np.testing.assert_allclose(prior.cdf(q), P, rtol=1e-9)
    assert integrate.quad(prior.pdf, q[1], q[4], epsabs=0)[0] == pytest.approx(P[4] - P[1], rel=1e-8)


def test_densities_are_those_of_scipy() -> None:
    x = np.array([1e-3, 0.2, 1.0, 30.0])
    cases = [
        (HalfNormal(0.3), stats.halfnorm(scale=0.3)),
        (HalfCauchy(0.3), stats.halfcauchy(scale=0.3)),
        (Exponential(0.4), stats.expon(scale=0.4)),
        (InverseGamma(1.5, 0.15, on="tau"), stats.invgamma(1.5, scale=0.15)),
        (LogNormal(-2.0, 1.5, on="tau"), stats.lognorm(1.5, scale=np.exp(-2.0))),
    ]
    for ours, theirs in cases:
        np.testing.assert_allclose(ours.logpdf(x), theirs.logpdf(x), rtol=1e-12)
        np.testing.assert_allclose(ours.sf(x), theirs.sf(x), rtol=1e-10)
    np.testing.assert_allclose(HalfT(0.5, df=3.0).pdf(x), 2.0 * stats.t(3.0, scale=0.5).pdf(x), rtol=1e-12)


def test_half_t_reaches_its_limits() -> None:
    x = np.array([0.0, 1e-6, 0.3, 1.0, 1e9])
    np.testing.assert_allclose(HalfT(0.3, df=1.0).pdf(x), HalfCauchy(0.3).pdf(x), rtol=1e-12)
    np.testing.assert_allclose(HalfT(0.3, df=1e12).logpdf(x[:4]), HalfNormal(0.3).logpdf(x[:4]), rtol=1e-9)


def test_a_density_on_tau2_is_moved_by_the_jacobian() -> None:
    tau = np.array([0.01, 0.5, 3.0])
    stated = stats.invgamma(2.0, scale=0.7)
    np.testing.assert_allclose(InverseGamma(2.0, 0.7, on="tau2").pdf(tau), stated.pdf(tau**2) * 2.0 * tau, rtol=1e-12)


def test_nothing_lies_outside_the_support() -> None:
    for prior in POSITIVE:
        low, high = prior.support()
        assert prior.pdf(-0.1) == 0.0
        assert prior.cdf(low) == pytest.approx(0.0, abs=1e-15)
        assert prior.sf(high) == pytest.approx(0.0, abs=1e-15)


def test_tail_index_is_where_moments_end() -> None:
    for prior in (
        HalfCauchy(1.0),
        HalfT(1.0, df=3.5),
        InverseGamma(2.0, 1.0, on="tau"),
        InverseGamma(2.0, 1.0, on="tau2"),
    ):
        far = np.array([1e6, 1e7])
        slope = np.diff(np.log(prior.sf(far))) / np.log(10.0)
        assert -slope[0] == pytest.approx(prior.tail_index, rel=1e-4)
    assert HalfNormal(1.0).tail_index == np.inf


def test_improper_priors_refuse_probabilities() -> None:
    assert not Power(0.0).proper
    assert not Flat().proper
    with pytest.raises(ModelError, match="improper"):
        Power(0.0).cdf(1.0)
    with pytest.raises(ModelError, match="improper"):
        Flat().ppf(0.5)


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda: HalfNormal(0.0), "scale"),
        (lambda: HalfCauchy(float("nan")), "scale"),
        (lambda: Normal(0.0, -1.0), "sd"),
        (lambda: Uniform(0.4, 0.2), "low"),
        (lambda: Table((0.0, 1.0), (0.0, 0.0)), "not all 0"),
        (lambda: Fixed(-0.1), ">= 0"),
        (lambda: HalfNormal(0.3, on="sd"), "'tau2'"),
    ],
)
def test_a_bad_parameter_is_named(make: object, word: str) -> None:
    with pytest.raises(ModelError, match=word):
        make()


def test_a_prior_is_a_record_with_its_reason() -> None:
    record = InverseGamma(1.0, 0.15, on="tau", reason="because", source="there").record()
    assert (record.distribution, record.parameters, record.on) == (
        "inverse-gamma",
        {"shape": 1.0, "scale": 0.15},
        "tau",
    )
    assert (record.reason, record.source, record.proper) == ("because", "there", True)
    assert str(Normal(0.0, 1.0)) == "normal(mean=0, sd=1)"
