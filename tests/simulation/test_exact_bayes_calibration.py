"""Simulation-based calibration of the exact models (Talts et al. 2018): parameters from the prior, data given them.

If posteriors are right, the posterior probability below the true value is uniform on (0, 1). Each quantity is tested
with Kolmogorov-Smirnov at p > 1e-4 and by the spread of its ranks; with 1,000 data sets a posterior sd that is 15 % too
small would be found (see the last test).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from replication.models.bayes.exact.exact import exact_three_level, exact_two_level
from replication.models.bayes.priors import Cauchy, Exponential, HalfCauchy, HalfNormal, InverseGamma, Normal
from replication.models.multilevel.structure import BlockV

pytestmark = pytest.mark.simulation

SETS = 1000


def two_levels(rng: np.random.Generator) -> list[float]:
    """Six effects, half-Cauchy tau: mean, tau, a new effect."""
    tau, mean = HalfCauchy(0.2), Normal(0.0, 0.5)
    v = rng.uniform(0.005, 0.1, size=6)
    t, m = float(tau.ppf(rng.uniform())), rng.normal(0.0, 0.5)
    fit = exact_two_level(rng.normal(m, np.sqrt(v + t * t)), v, tau=tau, coefficients=mean)
    return [float(fit.sd().cdf(t)), float(fit.coefficient().cdf(m)), float(fit.predict().cdf(rng.normal(m, t)))]


def heavy_mean(rng: np.random.Generator) -> list[float]:
    """Three effects, Cauchy mean, inverse gamma tau."""
    tau, mean = InverseGamma(1.0, 0.15, on="tau"), Cauchy(0.0, 0.5)
    v = rng.uniform(0.005, 0.1, size=3)
    t, m = float(tau.ppf(rng.uniform())), float(mean.ppf(rng.uniform()))
    fit = exact_two_level(rng.normal(m, np.sqrt(v + t * t)), v, tau=tau, coefficients=mean)
    return [float(fit.sd().cdf(t)), float(fit.coefficient().cdf(m))]


def regression(rng: np.random.Generator) -> list[float]:
    """Eight effects with a moderator."""
    tau, priors = Exponential(0.2), [Normal(0.0, 0.5), Normal(0.0, 0.3)]
    v, x = rng.uniform(0.005, 0.1, size=8), np.column_stack([np.ones(8), rng.normal(size=8)])
    t, beta = float(tau.ppf(rng.uniform())), rng.normal(0.0, [0.5, 0.3])
    fit = exact_two_level(rng.normal(x @ beta, np.sqrt(v + t * t)), v, x, tau=tau, coefficients=priors)
    return [float(fit.sd().cdf(t)), *(float(fit.coefficient(n).cdf(b)) for n, b in zip(fit.names, beta, strict=True))]


def three_levels(rng: np.random.Generator) -> list[float]:
    """Ten effects in five samples whose errors correlate by .5: both sds, the mean, one true effect."""
    prior, mean, sample = HalfNormal(0.3), Normal(0.0, 0.5), np.repeat(np.arange(5), [1, 1, 2, 2, 4])
    V = BlockV.constant_correlation(rng.uniform(0.005, 0.05, size=10), sample, 0.5)
    b, w = (float(prior.ppf(rng.uniform())) for _ in range(2))
    m = rng.normal(0.0, 0.5)
    effects = m + rng.normal(0.0, b, size=5)[sample] + rng.normal(0.0, w, size=10)
    y = rng.multivariate_normal(effects, V.dense())
    fit = exact_three_level(y, V, sample, between=prior, within=prior, coefficients=mean)
    found = [float(fit.sd("between").cdf(b)), float(fit.sd("within").cdf(w)), float(fit.coefficient().cdf(m))]
    return [*found, float(fit.effect(7).cdf(effects[7]))]


MODELS: dict[str, Callable[[np.random.Generator], list[float]]] = {
    "two levels": two_levels,
    "heavy-tailed mean": heavy_mean,
    "regression": regression,
    "three levels": three_levels,
}


def uniform(ranks: np.ndarray) -> bool:
    """Kolmogorov-Smirnov and the mean square distance from the middle, which is 1/12 with variance 1/180 a draw."""
    spread = (np.mean((ranks - 0.5) ** 2) - 1 / 12) / np.sqrt(1 / 180 / len(ranks))
    return bool(stats.kstest(ranks, "uniform").pvalue > 1e-4 and abs(spread) < 4.0)


@pytest.mark.parametrize("model", MODELS)
def test_ranks_are_uniform(model: str) -> None:
    rng = np.random.default_rng([2011, len(model)])
    ranks = np.array([MODELS[model](rng) for _ in range(SETS)])
    for quantity in ranks.T:
        assert uniform(quantity)


def test_a_posterior_that_is_too_narrow_would_be_found() -> None:
    """Ranks of normals whose sd is stated 15 % too small fail the same test."""
    rng = np.random.default_rng(1)
    assert not uniform(stats.norm.cdf(rng.normal(size=SETS), scale=0.85))
    assert uniform(stats.norm.cdf(rng.normal(size=SETS)))
