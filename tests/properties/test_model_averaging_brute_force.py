"""Averaged models against brute force: plain grids and plain densities, with no code shared."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy import special, stats

from replication.models.bayes.averaging.averaging import Averaged, average_models
from replication.models.bayes.averaging.bias_integrals import BiasSolution
from replication.models.bayes.averaging.bias_likelihoods import Selection, selection_log
from replication.models.bayes.averaging.bias_models import (
    Bias,
    BiasModel,
    BiasPriors,
    CumulativeDirichlet,
    Regression,
    WeightFunction,
    bias_priors,
    psma_models,
)
from replication.models.bayes.averaging.clustered_effects import arrange
from replication.models.bayes.exact.exact import exact_two_level
from replication.models.bayes.priors import Fixed, Normal
from replication.models.bayes.priors.positive import Beta, HalfCauchy, HalfNormal

Y = np.array([0.42, 0.11, 0.35, 0.62])
V = np.array([0.020, 0.008, 0.015, 0.060])
SE = np.sqrt(V)
PRIORS = BiasPriors(
    "test", Normal(0.1, 0.5), HalfNormal(0.3), HalfCauchy(1.0), HalfNormal(5.0), CumulativeDirichlet(1.0)
)


def one(effect: bool, heterogeneity: bool, bias: Bias, priors: BiasPriors = PRIORS, rtol: float = 1e-6) -> Averaged:
    return average_models(Y, V, priors=priors, models=(BiasModel(effect, heterogeneity, bias, 1.0),), rtol=rtol)


def gauss(low: float, high: float, n: int) -> tuple[np.ndarray, np.ndarray]:
    x, w = np.polynomial.legendre.leggauss(n)
    return (low + high) / 2 + (high - low) / 2 * x, (high - low) / 2 * w


def seen(
    mu: np.ndarray, sigma: np.ndarray, i: int, steps: tuple[float, ...], weights: list[np.ndarray], two: bool
) -> np.ndarray:
    """Probability that effect i would be seen: interval by interval from p values, as a definition."""
    p = np.array([0.0, *steps, 1.0])
    total = np.zeros(np.broadcast_shapes(mu.shape, sigma.shape, weights[-1].shape))
    for j, weight in enumerate(weights):
        upper, lower = stats.norm.isf(p[j] / (1 + two)), stats.norm.isf(p[j + 1] / (1 + two))
        chance = stats.norm.sf(max(lower, -40.0) * SE[i], mu, sigma) - stats.norm.sf(
            min(upper, 40.0) * SE[i], mu, sigma
        )
        if two:
            chance = (
                chance
                + stats.norm.cdf(-lower * SE[i], mu, sigma)
                - stats.norm.cdf(-min(upper, 40.0) * SE[i], mu, sigma)
            )
        total = total + weight * chance
    return total


def density(
    mu: np.ndarray, tau: np.ndarray, weights: list[np.ndarray], steps: tuple[float, ...], two: bool
) -> np.ndarray:
    """Likelihood of a step selection model."""
    out = np.ones(())
    for i in range(len(Y)):
        sigma = np.hypot(SE[i], tau)
        z = abs(Y[i] / SE[i]) if two else Y[i] / SE[i]
        place = int(np.searchsorted(steps, stats.norm.sf(z) * (1 + two)))
        out = out * weights[place] * stats.norm.pdf(Y[i], mu, sigma) / seen(mu, sigma, i, steps, weights, two)
    return out


@pytest.mark.parametrize("sides", ["one", "two"])
def test_one_step_with_effect_and_heterogeneity(sides: str) -> None:
    mu, wm = (a[:, None, None] for a in gauss(-2.5, 2.5, 240))
    tau, wt = (a[:, None] for a in gauss(0.0, 2.4, 160))
    omega, wo = gauss(0.0, 1.0, 50)
    steps = (0.05,)
    value = density(mu, tau, [np.ones(1), omega], steps, sides == "two")
    value = value * stats.norm.pdf(mu, 0.1, 0.5) * stats.halfnorm.pdf(tau, scale=0.3) * wm * wt * wo
    found = one(True, True, WeightFunction(sides, steps))
    mass = value.sum()
    assert found.models[0].log_marginal == pytest.approx(np.log(mass), abs=1e-6)
    assert found.models[0].mean_effect == pytest.approx((value * mu).sum() / mass, rel=1e-5)
    assert found.models[0].mean_tau == pytest.approx((value * tau).sum() / mass, rel=1e-5)
    assert found.models[0].weights[1] == pytest.approx((value * omega).sum() / mass, rel=1e-5)
    second = (value * mu**2).sum() / mass
    assert found.effect.sd == pytest.approx(np.sqrt(second - ((value * mu).sum() / mass) ** 2), rel=1e-4)


@pytest.mark.parametrize(
    "model", [m for m in psma_models() if isinstance(m.bias, WeightFunction) and m.effect], ids=str
)
def test_every_weight_function_against_draws_from_its_prior(model: BiasModel) -> None:
    """The marginal likelihood is the mean likelihood over the prior: weights as sums of Dirichlet shares."""
    assert isinstance(model.bias, WeightFunction)
    rng = np.random.default_rng(7)
    n = 200_000
    steps, two = model.bias.steps, model.bias.sides == "two"
    shares = rng.dirichlet(np.ones(len(steps) + 1), size=n)
    weights = [shares[:, j:].sum(axis=1) for j in range(len(steps) + 1)]
    mu = rng.normal(0.1, 0.5, size=n)
    tau = np.abs(rng.normal(0.0, 0.3, size=n)) if model.heterogeneity else np.zeros(n)
    value = density(mu, tau, weights, steps, two)
    found = one(True, model.heterogeneity, model.bias, rtol=1e-3)
    mean, error = value.mean(), value.std() / np.sqrt(n)
    assert abs(np.exp(found.models[0].log_marginal) - mean) < 4 * error + 1e-3 * mean


@pytest.mark.parametrize("alpha", [1.0, 3.0])
def test_three_steps_without_effect_and_heterogeneity(alpha: float) -> None:
    """Only the weights vary; shares from the Dirichlet density itself, on the simplex by another substitution."""
    steps = (0.025, 0.05, 0.5)
    priors = BiasPriors("", PRIORS.effect, PRIORS.tau, PRIORS.pet, PRIORS.peese, CumulativeDirichlet(alpha))
    x, w = special.roots_jacobi(60, alpha - 1, 3 * alpha - 1)
    a, wa = (1 + x) / 2, w / w.sum()
    x, w = special.roots_jacobi(60, alpha - 1, 2 * alpha - 1)
    b, wb = (1 + x) / 2, w / w.sum()
    x, w = special.roots_jacobi(60, alpha - 1, alpha - 1)
    c, wc = (1 + x) / 2, w / w.sum()
    a, b, c = 1 - a[:, None, None], 1 - b[:, None], 1 - c
    a, b, c = 1 - a, 1 - b, 1 - c
    omega = [np.ones(1), a, a * b, a * b * c]
    value = density(np.zeros(1), np.zeros(1), omega, steps, False) * wa[:, None, None] * wb[:, None] * wc
    found = one(False, False, WeightFunction("one", steps), priors)
    assert found.models[0].log_marginal == pytest.approx(np.log(value.sum()), abs=2e-4)
    for j in (1, 2, 3):
        assert found.models[0].weights[j] == pytest.approx((value * omega[j]).sum() / value.sum(), abs=2e-4)


@pytest.mark.parametrize("kind", ["PET", "PEESE"])
@pytest.mark.parametrize("effect", [True, False])
def test_regressions(kind: str, effect: bool) -> None:
    regressor = SE if kind == "PET" else V
    prior = stats.halfcauchy() if kind == "PET" else stats.halfnorm(scale=5.0)
    mu, wm = (a[:, None, None] for a in gauss(-3.0, 3.0, 160)) if effect else (np.zeros((1, 1, 1)), np.ones((1, 1, 1)))
    tau, wt = (a[:, None] for a in gauss(0.0, 2.4, 100))
    x, wx = gauss(0.0, 1.0, 160)
    slope, jacobian = x / (1 - x), (1 - x) ** -2.0
    value = wm * wt * wx * jacobian * prior.pdf(slope) * stats.halfnorm.pdf(tau, scale=0.3)
    for i in range(len(Y)):
        value = value * stats.norm.pdf(Y[i], mu + slope * regressor[i], np.hypot(SE[i], tau))
    if effect:
        value = value * stats.norm.pdf(mu, 0.1, 0.5)
    found = one(effect, True, Regression("PET" if kind == "PET" else "PEESE"))
    assert found.models[0].log_marginal == pytest.approx(np.log(value.sum()), abs=1e-6)
    assert found.models[0].mean_effect == pytest.approx((value * mu).sum() / value.sum(), rel=1e-5)
    assert found.models[0].mean_tau == pytest.approx((value * tau).sum() / value.sum(), rel=1e-5)


def test_without_bias_the_models_are_the_exact_ones() -> None:
    models = tuple(BiasModel(e, h, None, 0.25) for e in (False, True) for h in (False, True))
    found = average_models(Y, V, priors=PRIORS, models=models, rtol=1e-6)
    exact = exact_two_level(Y, V, tau=PRIORS.tau, coefficients=PRIORS.effect)
    common = exact_two_level(Y, V, tau=Fixed(0.0), coefficients=PRIORS.effect)
    assert found.models[3].log_marginal == pytest.approx(exact.log_marginal, abs=1e-8)
    assert found.models[2].log_marginal == pytest.approx(common.log_marginal, abs=1e-10)
    log10 = (found.models[3].log_marginal - found.models[1].log_marginal) / np.log(10.0)
    assert log10 == pytest.approx(exact.bayes_factor().log10, abs=1e-7)
    log10 = (found.models[3].log_marginal - found.models[2].log_marginal) / np.log(10.0)
    assert log10 == pytest.approx(exact.bayes_factor_sd().log10, abs=1e-7)
    assert found.models[3].mean_effect == pytest.approx(exact.coefficient().mean, rel=1e-8)


@pytest.mark.parametrize("clusters", [[0, 1, 2, 3], [0, 0, 1, 2]], ids=["apart", "clustered"])
def test_weights_of_one_are_no_selection(clusters: list[int]) -> None:
    """At weights of 1 the selection density is the normal one, whatever the steps."""
    function = WeightFunction("one", (0.025, 0.5))
    data = arrange(Y, V, np.array(clusters), 0.6)
    z = -special.ndtri(np.array(function.steps))
    place = ((Y / SE)[:, None] < z).sum(axis=1)
    # a prior whose score 37 is a ratio of exactly 1
    ratios = (Beta(2.0, 1.0), Beta(1.0, 1.0))
    model = Selection(data, SE[:, None] * z, place, function, PRIORS.effect, Fixed(0.2), Fixed(0.25), ratios)
    x = np.array([-1.0, 0.0, 0.7])
    log = selection_log(model, np.column_stack([x, np.full((3, 2), 37.0)]), 0)
    same = np.equal.outer(clusters, clusters)
    covariance = same * (0.25 * 0.04 + 0.6 * np.outer(SE, SE)) + np.diag(0.75 * 0.04 + 0.4 * V)
    expected = [stats.multivariate_normal.logpdf(Y, np.full(4, 0.1 + 0.5 * mu), covariance) for mu in x]
    scores = stats.norm.logpdf(x) + 2.0 * stats.norm.logpdf(37.0)
    np.testing.assert_allclose(log, np.array(expected) + scores, rtol=1e-12)


def test_averages_are_the_sums_they_claim_to_be() -> None:
    found = average_models(Y, V, priors=bias_priors("z"))
    posterior = np.array([m.posterior for m in found.models])
    assert posterior.sum() == pytest.approx(1.0, abs=1e-12)
    assert sum(m.prior for m in found.models) == pytest.approx(1.0, abs=1e-12)
    logs = np.array([np.log(m.prior) + m.log_marginal for m in found.models])
    np.testing.assert_allclose(posterior, np.exp(logs - special.logsumexp(logs)), rtol=1e-12)
    assert found.effect.mean == pytest.approx(sum(m.posterior * m.mean_effect for m in found.models), rel=1e-10)
    for inclusion in found.inclusion:
        odds = inclusion.posterior / (1 - inclusion.posterior) / (inclusion.prior / (1 - inclusion.prior))
        assert inclusion.log10 == pytest.approx(np.log10(odds), abs=1e-9)
    zero = sum(m.posterior for m in found.models if not m.effect)
    jump = float(found.effect.cdf(0.0) - found.effect.cdf(-1e-12))
    assert jump == pytest.approx(zero, abs=1e-9)
    p = np.array([0.01, 0.2, 0.5, 0.9, 0.99])
    q = found.effect.ppf(p)
    assert np.all(found.effect.cdf(q) >= p - 1e-12)
    assert np.all(found.effect.cdf(q - 1e-7) <= p)
    middle = (float(found.effect.cdf(-1e-9)) + float(found.effect.cdf(0.0))) / 2
    assert float(found.effect.ppf(middle)) == 0.0
    assert found.error <= 1e-3


def test_turning_signs_turns_the_answer() -> None:
    up, down = average_models(Y, V, priors=PRIORS), average_models(-Y, V, priors=_turned(PRIORS), direction="negative")
    for a, b in zip(up.models, down.models, strict=True):
        assert a.log_marginal == pytest.approx(b.log_marginal, abs=1e-12)
        assert a.mean_effect == pytest.approx(-b.mean_effect, abs=1e-12)
    p = np.array([0.1, 0.5, 0.8])
    np.testing.assert_allclose(up.effect.ppf(p), -down.effect.ppf(1 - p), atol=1e-9)
    assert float(up.effect.sf(0.2)) == pytest.approx(float(down.effect.cdf(-0.2)), abs=1e-12)
    assert float(up.effect.pdf(0.2)) == pytest.approx(float(down.effect.pdf(-0.2)), rel=1e-12)


def _turned(priors: BiasPriors) -> BiasPriors:
    effect = Normal(-priors.effect.mean, priors.effect.sd)
    return BiasPriors("", effect, priors.tau, priors.pet, priors.peese, priors.weights)


SHORT = tuple(m for m in psma_models() if not isinstance(m.bias, WeightFunction) or len(m.bias.steps) == 1)


@pytest.mark.parametrize(
    "change", [lambda y, v: (y[::-1], v[::-1]), lambda y, v: (y * 1e-4, v * 1e-8)], ids=["order", "unit"]
)
def test_order_and_unit_do_not_matter(change: Callable[..., tuple[np.ndarray, np.ndarray]]) -> None:
    y, v = change(Y, V)
    unit = float(np.sqrt(v.sum() / V.sum()))
    scaled = BiasPriors(
        "",
        Normal(0.1 * unit, 0.5 * unit),
        HalfNormal(0.3 * unit),
        HalfCauchy(1.0),
        HalfNormal(5.0 / unit),
        PRIORS.weights,
    )
    one, other = (average_models(*data, priors=p, models=SHORT) for data, p in (((Y, V), PRIORS), ((y, v), scaled)))
    for a, b in zip(one.models, other.models, strict=True):
        assert a.posterior == pytest.approx(b.posterior, abs=1e-6)
        assert a.mean_effect * unit == pytest.approx(b.mean_effect, abs=1e-5 * unit)


def test_solutions_are_frozen_records() -> None:
    assert BiasSolution.__slots__
    assert [m.label for m in psma_models()][:2] == ["no effect, no tau, no bias", "no effect, no tau, two-sided .05"]
