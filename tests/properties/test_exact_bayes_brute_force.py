"""Exact posteriors against brute force: dense covariance matrices on a plain grid of log tau, no code shared.

The trapezoid rule in log tau is exact to machine precision for these smooth integrands, which vanish at both ends.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from scipy import integrate, stats

from replication.models.bayes.exact.exact import exact_three_level, exact_two_level
from replication.models.bayes.exact.posterior import ExactPosterior
from replication.models.bayes.priors import (
    Cauchy,
    CoefficientPrior,
    Exponential,
    Flat,
    HalfCauchy,
    HalfNormal,
    HalfT,
    InverseGamma,
    LogNormal,
    Normal,
    PositivePrior,
    StudentT,
    Uniform,
)
from replication.models.multilevel.structure import BlockV

Y = np.array([0.28, -0.05, 0.61, 0.33, 0.12, 0.95])
V = np.array([0.010, 0.022, 0.015, 0.008, 0.041, 0.030])
SAMPLE = np.array([0, 0, 1, 2, 2, 2])
X = np.column_stack([np.ones(6), [-1.0, 0.5, 2.0, 0.0, 1.0, 1.5]])


@dataclass
class Brute:
    """Moments of a posterior on a grid."""

    log_mass: float
    sds: np.ndarray  # means, then sds, of (between, within)
    mean: np.ndarray
    covariance: np.ndarray
    effects: np.ndarray
    effect_sds: np.ndarray


def brute_force(
    y: np.ndarray,
    V: np.ndarray,
    Z: np.ndarray,
    X: np.ndarray,
    *,
    sds: tuple[PositivePrior, PositivePrior | None],
    priors: list[CoefficientPrior],
    span: tuple[float, float, int],
) -> Brute:
    """Integrate over log sds on a grid; coefficients by the dense normal formulas, flat ones as precision 0."""
    within, between = sds
    t = np.exp(np.linspace(*span))
    step = np.log(t[1] / t[0])
    tw, tb = (a.ravel() for a in np.meshgrid(t, t if between else [0.0], indexing="ij"))
    S = V + tw[:, None, None] ** 2 * np.eye(len(y)) + tb[:, None, None] ** 2 * (Z @ Z.T)
    P = np.diag([p.sd**-2.0 if isinstance(p, Normal) else 0.0 for p in priors])
    b = np.array([p.mean if isinstance(p, Normal) else 0.0 for p in priors])
    W = np.linalg.inv(S)
    C = np.linalg.inv(X.T @ W @ X + P)
    m = (C @ (X.T @ W @ y + P @ b)[..., None])[..., 0]
    r = y - m @ X.T
    quad = np.einsum("ni,nij,nj->n", r, W, r) + np.einsum("ni,ij,nj->n", m - b, P, m - b)
    proper = np.diag(P) > 0
    size = (len(y) - (~proper).sum()) * np.log(2 * np.pi) - np.log(np.diag(P)[proper]).sum()
    log = -0.5 * (size + np.linalg.slogdet(S)[1] - np.linalg.slogdet(C)[1] + quad)
    log = log + within.logpdf(tw) + np.log(tw * step) + (between.logpdf(tb) + np.log(tb * step) if between else 0.0)
    w = np.exp(log - log.max())
    mass = w.sum()
    w /= mass
    mean = w @ m
    effect = y - np.einsum("ij,njk,nk->ni", V, W, r)
    pull = V @ W @ X
    spread = V - V @ W @ V + pull @ C @ pull.swapaxes(1, 2)
    middle = w @ effect
    return Brute(
        log_mass=float(np.log(mass) + log.max()),
        sds=np.array([[w @ s, np.sqrt(w @ (s - w @ s) ** 2)] for s in (tb, tw)]),
        mean=mean,
        covariance=np.einsum("n,nij->ij", w, C + (m - mean)[:, :, None] * (m - mean)[:, None, :]),
        effects=middle,
        effect_sds=np.sqrt(w @ (np.diagonal(spread, axis1=1, axis2=2) + (effect - middle) ** 2)),
    )


def check(fit: ExactPosterior, brute: Brute, rtol: float) -> None:
    assert fit.solution.log_mass == pytest.approx(brute.log_mass, abs=rtol)
    for name in fit.sds:
        mean, sd = brute.sds[0 if name == "between" else 1]
        assert fit.sd(name).mean == pytest.approx(mean, rel=rtol)
        assert fit.sd(name).sd == pytest.approx(sd, rel=rtol)
    for j, name in enumerate(fit.names):
        assert fit.coefficient(name).mean == pytest.approx(brute.mean[j], rel=rtol)
        assert fit.coefficient(name).sd == pytest.approx(np.sqrt(brute.covariance[j, j]), rel=rtol)
    effects = fit.effects()
    np.testing.assert_allclose(effects.mean, brute.effects, rtol=rtol)
    np.testing.assert_allclose(effects.sd, brute.effect_sds, rtol=rtol)
    assert fit.accuracy.error <= fit.accuracy.asked


TAUS: list[PositivePrior] = [
    HalfNormal(0.3),
    HalfT(0.3, df=5.0),
    HalfCauchy(0.3),
    Exponential(0.2),
    InverseGamma(1.0, 0.15, on="tau"),
    InverseGamma(0.01, 0.01, on="tau2"),
    LogNormal(-2.6, 1.7, on="tau2"),
    HalfNormal(0.2, on="tau2"),
]


@pytest.mark.parametrize("tau", TAUS, ids=str)
@pytest.mark.parametrize("mean", [Normal(0.1, 0.5), Flat()], ids=str)
def test_two_levels(tau: PositivePrior, mean: CoefficientPrior) -> None:
    fit = exact_two_level(Y, V, tau=tau, coefficients=mean, rtol=1e-9)
    brute = brute_force(
        Y, np.diag(V), np.eye(6), np.ones((6, 1)), sds=(tau, None), priors=[mean], span=(-30.0, 25.0, 4001)
    )
    check(fit, brute, 1e-8)


def test_meta_regression_with_one_flat_coefficient() -> None:
    priors = [Flat(), Normal(0.0, 0.2)]
    fit = exact_two_level(Y, V, X, tau=HalfCauchy(0.2), coefficients=priors, names=["mean", "slope"], rtol=1e-9)
    check(
        fit,
        brute_force(Y, np.diag(V), np.eye(6), X, sds=(HalfCauchy(0.2), None), priors=priors, span=(-30.0, 25.0, 4001)),
        1e-8,
    )


def test_meta_regression_on_a_badly_scaled_moderator() -> None:
    years = np.column_stack([np.ones(6), [1998.0, 2003.0, 2011.0, 2005.0, 2019.0, 2020.0]])
    priors = [Normal(0.0, 100.0), Normal(0.0, 0.05)]
    fit = exact_two_level(Y, V, years, tau=HalfNormal(0.3), coefficients=priors, rtol=1e-9)
    check(
        fit,
        brute_force(
            Y, np.diag(V), np.eye(6), years, sds=(HalfNormal(0.3), None), priors=priors, span=(-30.0, 5.0, 2001)
        ),
        1e-6,
    )


BLOCKS = {
    "diagonal": BlockV.diagonal(V),
    "constant": BlockV.constant_correlation(V, SAMPLE, 0.6),
    "dense": BlockV.from_blocks(
        [
            [[0.010, -0.004], [-0.004, 0.022]],
            [[0.015]],
            [[0.008, 0.002, 0.011], [0.002, 0.041, 0.003], [0.011, 0.003, 0.030]],
        ]
    ),
}


@pytest.mark.parametrize("kind", BLOCKS)
@pytest.mark.parametrize("design", [X[:, :1], X], ids=["mean", "slope"])
def test_three_levels(kind: str, design: np.ndarray) -> None:
    priors: list[CoefficientPrior] = [Normal(0.0, 1.0), Normal(0.0, 0.3)][: design.shape[1]]
    between, within = HalfNormal(0.4), Exponential(0.2)
    Z = np.equal.outer(SAMPLE, np.arange(3)).astype(float)
    fit = exact_three_level(
        Y, BLOCKS[kind], SAMPLE, design, between=between, within=within, coefficients=priors, rtol=1e-9
    )
    check(
        fit,
        brute_force(Y, BLOCKS[kind].dense(), Z, design, sds=(within, between), priors=priors, span=(-27.0, 3.0, 121)),
        1e-7,
    )


def test_two_levels_with_covariances_and_shuffled_rows() -> None:
    shuffle = np.array([4, 0, 5, 2, 1, 3])
    dense = BLOCKS["dense"].dense()[np.ix_(shuffle, shuffle)]
    fit = exact_two_level(Y[shuffle], dense, tau=HalfNormal(0.3), coefficients=Normal(0, 1), rtol=1e-9)
    sds = (HalfNormal(0.3), None)
    brute = brute_force(Y[shuffle], dense, np.eye(6), X[:, :1], sds=sds, priors=[Normal(0, 1)], span=(-30.0, 4.0, 2001))
    check(fit, brute, 1e-8)


def test_three_levels_with_shuffled_rows() -> None:
    shuffle = np.array([4, 0, 5, 2, 1, 3])
    args = {"between": HalfNormal(0.4), "within": HalfNormal(0.2), "coefficients": Normal(0.0, 1.0)}
    straight = exact_three_level(Y, BLOCKS["dense"], SAMPLE, **args)
    turned = exact_three_level(Y[shuffle], BLOCKS["dense"].take(shuffle), SAMPLE[shuffle], **args)
    np.testing.assert_allclose(turned.effects().mean, straight.effects().mean[shuffle], rtol=1e-10)
    np.testing.assert_allclose(turned.effects().sd, straight.effects().sd[shuffle], rtol=1e-10)


@pytest.mark.parametrize("prior", [StudentT(0.2, 0.3, df=4.0), Cauchy(0.0, 0.4)], ids=str)
def test_t_priors_of_the_mean(prior: CoefficientPrior) -> None:
    """Against a grid of (mu, log tau) on which the t density is used as it is, not as a mixture."""
    fit = exact_two_level(Y, V, tau=HalfNormal(0.3), coefficients=prior)
    t = np.exp(np.linspace(-20.0, 2.0, 301))
    mu = np.sinh(np.linspace(-9.0, 9.0, 1201))
    log = stats.norm.logpdf(Y[:, None, None], mu, np.sqrt(V[:, None, None] + t[:, None] ** 2)).sum(0)
    log = log + prior.logpdf(mu) + HalfNormal(0.3).logpdf(t)[:, None] + np.log(t)[:, None]
    w = np.exp(log) * np.hypot(1.0, mu) * (18.0 / 1200) * (22.0 / 300)
    assert fit.log_marginal == pytest.approx(np.log(w.sum()), abs=1e-8)
    w /= w.sum()
    mean = (w * mu).sum()
    assert fit.coefficient().mean == pytest.approx(mean, rel=1e-8)
    assert fit.coefficient().sd == pytest.approx(np.sqrt((w * (mu - mean) ** 2).sum()), rel=1e-8)
    assert fit.sd().mean == pytest.approx((w * t[:, None]).sum(), rel=1e-8)


def test_uniform_prior_with_its_jump() -> None:
    tau = Uniform(0.05, 0.4)
    fit = exact_two_level(Y, V, tau=tau, coefficients=Normal(0.0, 1.0))

    def likelihood(t: float) -> float:
        return float(stats.multivariate_normal.pdf(Y, np.zeros(6), np.diag(V + t * t) + 1.0) / 0.35)

    mass = integrate.quad(likelihood, 0.05, 0.4, epsrel=1e-12)[0]
    assert fit.log_marginal == pytest.approx(np.log(mass), abs=1e-10)
    half = integrate.quad(likelihood, 0.05, 0.2, epsrel=1e-12)[0] / mass
    assert float(fit.sd().cdf(0.2)) == pytest.approx(half, rel=1e-10)


def test_distributions_answer_alike() -> None:
    """Density, both tails, quantiles and slope of every marginal belong together."""
    fit = exact_three_level(
        Y, BLOCKS["constant"], SAMPLE, between=HalfNormal(0.4), within=HalfCauchy(0.2), coefficients=Normal(0.0, 1.0)
    )
    p = np.array([0.001, 0.1, 0.5, 0.9, 0.999])
    for marginal in (fit.sd("between"), fit.sd("within"), fit.coefficient(), fit.predict(), fit.effect(3)):
        q = marginal.ppf(p)
        np.testing.assert_allclose(marginal.cdf(q), p, rtol=1e-9)
        np.testing.assert_allclose(marginal.sf(q), 1.0 - p, rtol=1e-7)
        area = integrate.quad(marginal.pdf, q[1], q[3], epsrel=1e-10)[0]
        assert area == pytest.approx(0.8, rel=1e-7)
        h = 1e-5 * (q[3] - q[1])
        np.testing.assert_allclose(
            marginal.slope(q),
            (marginal.pdf(q + h) - marginal.pdf(q - h)) / (2 * h),
            rtol=1e-4,
            atol=1e-6 * marginal.pdf(q[2]),
        )


def test_moments_are_those_of_the_distribution() -> None:
    fit = exact_two_level(Y, V, tau=HalfNormal(0.3), coefficients=Normal(0.0, 1.0), rtol=1e-9)
    for marginal in (fit.sd(), fit.coefficient(), fit.predict(v=0.02)):
        low, middle, high = marginal.ppf([1e-13, 0.5, 1.0 - 1e-13])
        nodes, weights = np.polynomial.legendre.leggauss(200)
        parts = [(low, middle), (middle, high)]
        x = np.concatenate([(a + b) / 2 + (b - a) / 2 * nodes for a, b in parts])
        w = np.concatenate([(b - a) / 2 * weights for a, b in parts])
        assert (w * marginal.pdf(x)).sum() == pytest.approx(1.0, abs=1e-8)
        assert (w * x * marginal.pdf(x)).sum() == pytest.approx(marginal.mean, rel=1e-8)
        assert (w * x**2 * marginal.pdf(x)).sum() == pytest.approx(marginal.sd**2 + marginal.mean**2, rel=1e-8)


@pytest.mark.parametrize("rtol", [1e-3, 1e-6, 1e-9])
def test_the_stated_error_is_not_exceeded(rtol: float) -> None:
    tau, priors = HalfCauchy(0.3), [Normal(0.0, 1.0)]
    brute = brute_force(Y, np.diag(V), np.eye(6), X[:, :1], sds=(tau, None), priors=priors, span=(-30.0, 25.0, 4001))
    fit = exact_two_level(Y, V, tau=tau, coefficients=priors, rtol=rtol)
    check(fit, brute, fit.accuracy.error)
    assert fit.accuracy.error <= rtol


def test_prediction_is_a_draw_from_the_population() -> None:
    """P(new estimate > c) by integrating the normal tail over the joint posterior density."""
    fit = exact_two_level(Y, V, tau=HalfNormal(0.3), coefficients=Normal(0.0, 1.0))

    def inner(t: float) -> float:
        w = 1.0 / (V + t * t)
        precision = w.sum() + 1.0
        mean = (w * Y).sum() / precision
        tail = stats.norm.sf(0.5, mean, np.sqrt(1.0 / precision + t * t + 0.02))
        return float(np.exp(fit.log_density(t)) * tail)

    expected = integrate.quad(inner, 0.0, 0.3, epsrel=1e-10)[0] + integrate.quad(inner, 0.3, 3.0, epsrel=1e-10)[0]
    assert float(fit.predict(v=0.02).sf(0.5)) == pytest.approx(expected, rel=1e-7)


def test_joint_density_integrates_to_the_marginals() -> None:
    fit = exact_three_level(
        Y, V, SAMPLE, between=HalfNormal(0.4), within=HalfNormal(0.2), coefficients=Normal(0.0, 1.0)
    )
    grid = np.linspace(0.0, 2.0, 2001)
    across = np.exp(fit.log_density(0.15, grid))
    assert integrate.simpson(across, x=grid) == pytest.approx(float(fit.sd("within").pdf(0.15)), rel=1e-7)
    mu = np.linspace(-3.0, 3.0, 2001)
    with_mu = np.exp(fit.log_density(0.15, 0.3, mu[:, None]))
    assert integrate.simpson(with_mu, x=mu) == pytest.approx(float(np.exp(fit.log_density(0.15, 0.3))), rel=1e-8)


def test_bayes_factors_are_density_ratios() -> None:
    """Savage-Dickey: p(y | free) / p(y | restricted) = prior density / posterior density at the restriction."""
    prior, tau = Normal(0.1, 0.5), HalfNormal(0.3)
    fit = exact_two_level(Y, V, tau=tau, coefficients=prior)
    expected = float(np.log10(prior.pdf(0.25) / fit.coefficient().pdf(0.25)))
    assert fit.bayes_factor(value=0.25).log10 == pytest.approx(expected, abs=1e-7)
    expected = float(np.log10(tau.pdf(0.0) / fit.sd().pdf(0.0)))
    assert fit.bayes_factor_sd().log10 == pytest.approx(expected, abs=1e-6)
    three = exact_three_level(Y, V, SAMPLE, between=tau, within=HalfNormal(0.2), coefficients=prior)
    expected = float(np.log10(tau.pdf(0.0) / three.sd("between").pdf(0.0)))
    assert three.bayes_factor_sd("between").log10 == pytest.approx(expected, abs=1e-6)


def test_far_tail_probabilities_keep_their_digits() -> None:
    """P(mu < -1) is tiny; brute force gives it to all digits, and so must the mixture."""
    fit = exact_two_level(Y, V, tau=HalfNormal(0.1), coefficients=Normal(0.0, 1.0))
    t = np.exp(np.linspace(-25.0, 2.0, 4001))
    w = 1.0 / (V[:, None] + t**2)
    precision = w.sum(0) + 1.0
    mean = (w * Y[:, None]).sum(0) / precision
    density = np.exp(fit.log_density(t)) * t * np.log(t[1] / t[0])
    expected = (density * stats.norm.cdf(-1.0, mean, precision**-0.5)).sum()
    assert expected < 1e-6
    assert float(fit.coefficient().cdf(-1.0)) == pytest.approx(expected, rel=1e-5)
